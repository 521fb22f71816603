"""One process for one submission, and what keeps it inside.

Around it are two walls. Where Linux allows it (``unshare``, as most desktops and servers do), the process has no
network, a read-only file system but for a folder in memory that goes with it, a list of processes with nobody else in
it, and no rights to change any of that; the submissions and the labs' solutions are not to be seen. Everywhere Python's
own audit hook refuses connections, other programs and writing outside of that folder, and the system's limits bound
memory, time and the size of files.

What they do not hold: without the first wall, code that goes around Python (``ctypes``) does what its user may do. In
neither case are the answers kept from the checks: a submission that is written against the grader can make a check
pass, so the grader names what looks like it (`tutseg.labs.grade.odd`), and marks are for a teacher to look at.
"""

import contextlib
import json
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tutseg.labs.checking import FAST, SEED

_NEEDED = (Path(__file__).resolve(), sys.prefix, sys.base_prefix)  # a process cannot do without
HEARD = 1 << 20  # bytes of a process that are listened to
_SETUP = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o size=256m,mode=700 tutseg "$1/work"
cp -R "$1/given/." "$1/work/"
cd "$1/work"; shift
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mount -t tmpfs -o ro,size=4k tutseg "$1"; fi
  shift
done
shift
while read -r _ at kind options _; do
  at=$(printf '%b' "$at"); keep=ro
  [ "$at" = "$PWD" ] && continue
  for each in nosuid nodev noexec noatime nodiratime relatime; do
    case ",$options," in *",$each,"*) keep=$keep,$each;; esac
  done
  mount -o "remount,bind,$keep" "$at" 2>/dev/null && continue
  case "$kind$options" in proc*|sysfs*|cgroup*|devpts*|mqueue*|*,ro,*|*[a-z0-9]ro,*) continue;; esac
  exit 9
done < /proc/self/mounts
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@"
"""
_WALL = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
         "--", "sh", "-c", _SETUP, "sh")  # fmt: skip


@dataclass
class Heard:
    """What came of a process.

    Parameters
    ----------
    said : list of dict
        What `tutseg.labs.runner` told, in order.
    output : str
        The beginning of what it printed.
    late : bool
        It was killed when its time was over.
    seconds : float
        How long it ran.
    """

    said: list[dict] = field(default_factory=list)
    output: str = ""
    late: bool = False
    seconds: float = 0.0


@cache
def walled() -> bool:
    """Whether this system lets a process be put behind the first wall."""
    with tempfile.TemporaryDirectory() as scratch:
        place = _place(Path(scratch))
        outside = Path(scratch).resolve() / "outside"
        writing = f"open('inside', 'w')\ntry: open({str(outside)!r}, 'w')\nexcept OSError: print('in')"
        test = (sys.executable, "-c", writing)
        try:
            done = subprocess.run([*_WALL, str(place), "--", *test], capture_output=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.stdout == b"in\n" and not outside.exists()


def _place(scratch: Path) -> Path:
    for name in ("given", "work"):
        (scratch / name).mkdir()
    return scratch.resolve()


def hear(job: dict, given: Sequence[Path], hidden: Sequence[Path], seconds: float, lab_seed: int = 1) -> Heard:
    """Run `tutseg.labs.runner` on a job, inside.

    Parameters
    ----------
    job : dict
        Its ``lab``, ``cells``, ``imports``, ``cell_seconds`` and ``memory``.
    given : sequence of Path
        Files that are copied beside it.
    hidden : sequence of Path
        Folders that it must not see.
    seconds : float
        It is killed then.
    """
    with tempfile.TemporaryDirectory(prefix="tutseg-lab-", ignore_cleanup_errors=True) as scratch:
        place = _place(Path(scratch))
        inside = place / ("given" if walled() else "work")
        for file in (*given, *_fonts()):
            shutil.copyfile(file, inside / file.name)
        read, write = os.pipe()
        mark = secrets.token_hex(8)
        kept = (place, *_NEEDED)
        unseen = [str(each) for each in hidden if not any(Path(path).is_relative_to(each) for path in kept)]
        wall = (*_WALL, str(place), *unseen, "--") if walled() else ()
        package = str(Path(__file__).resolve().parents[2])
        program = f"import sys; sys.path.insert(0, {package!r}); from tutseg.labs.runner import main; main()"
        with tempfile.TemporaryFile("w+") as todo:
            json.dump(job | {"tell": write, "mark": mark, "seconds": seconds}, todo)
            todo.seek(0)
            process = subprocess.Popen(
                [*wall, sys.executable, "-c", program],
                stdin=todo, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(write,),
                cwd=place / "work", env=_environment(str(place / "work"), lab_seed), start_new_session=True,
            )  # fmt: skip
        os.close(write)
        try:
            return _listen(process, read, mark, seconds)
        finally:
            _end(process)
            os.close(read)


def _environment(home: str, lab_seed: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    own = dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR", "TUTSEG_RUNS"), home)
    ours = {FAST: "1", SEED: str(lab_seed), "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    return kept | own | ours | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}


@cache
def _fonts() -> tuple[Path, ...]:
    """Matplotlib's list of fonts, which it would make anew in every new home."""
    import matplotlib

    return tuple(Path(matplotlib.get_cachedir()).glob("fontlist-*.json"))


def _listen(process: subprocess.Popen, read: int, mark: str, seconds: float) -> Heard:
    begin, heard = time.monotonic(), Heard()
    kept = {read: b"", process.stdout.fileno(): b""}
    with selectors.DefaultSelector() as selector:
        for file in kept:
            selector.register(file, selectors.EVENT_READ)
        while selector.get_map():
            left = begin + seconds - time.monotonic()
            if left <= 0:
                heard.late = True
                break
            for key, _ in selector.select(left):
                if not (part := os.read(key.fd, 1 << 16)):
                    selector.unregister(key.fd)
                elif len(kept[key.fd]) < HEARD:
                    kept[key.fd] += part
    heard.seconds = time.monotonic() - begin
    heard.output = kept[process.stdout.fileno()][:4000].decode(errors="replace")
    for line in kept[read].decode(errors="replace").splitlines():
        try:
            by, what = json.loads(line)
        except (ValueError, TypeError):
            continue
        if by == mark and isinstance(what, dict):
            heard.said.append(what)
    return heard


def _end(process: subprocess.Popen) -> None:
    """Nothing of it lives on: behind the wall its processes end with the first, elsewhere they are one group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
