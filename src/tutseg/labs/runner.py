"""The program that runs one submission, in a process and a folder of its own: cell after cell, then check after check.

It reads what to do as JSON from standard input and tells what it finds, line by line, to the file that it was given,
so that what was found before a process is killed stays found. A check runs as soon as the notebook has defined what it
looks at, and once more at the end; passed is passed.
"""

import contextlib
import json
import linecache
import os
import re
import signal
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tutseg.errors import printable
from tutseg.labs.checking import Check, checks_of, fault_of, names_of

_MAGIC = re.compile(r"^( *)(?:%[a-z%]|[!?]).*$", re.MULTILINE)
_REFUSED = {"os.fork", "os.forkpty", "os.system", "os.exec", "os.posix_spawn", "os.kill", "os.killpg",
            "subprocess.Popen", "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"}  # fmt: skip
_WRITES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.link", "os.symlink",
           "os.truncate", "os.utime"}  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

Tell = Callable[..., None]
LATE = "was stopped after"


class TimeUp(BaseException):
    """A cell or a check has had its time; no ``except Exception`` of a notebook holds it up."""


def run(cells: Sequence[tuple[int, str]], checks: Mapping[str, Check], tell: Tell, seconds: float) -> None:
    """Run cells in one namespace, and each check when its names are there.

    Parameters
    ----------
    cells : sequence of (int, str)
        Number and source of each code cell.
    checks : mapping
        By name.
    tell : callable
        ``tell(cell=3, error="...")`` for a cell that raises, ``tell(check="L1.1", fault="...")`` for a check.
    seconds : float
        What one cell or one check may take.
    """
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    names = main.__dict__
    names |= {"display": lambda *_: None, "get_ipython": lambda: None}
    done, tried = set(), {}  # a check that had its time does not get it twice

    def look(again: bool = False) -> None:
        for name, check in checks.items():
            given = {each: names[each] for each in names_of(check) if each in names}
            new = any(tried.get(name, {}).get(each) is not value for each, value in given.items())
            if name not in done and len(given) == len(names_of(check)) and (new or again):
                tried[name] = given
                fault = _caught(lambda check=check, given=given: fault_of(check, given), seconds)
                done.update((name,) if not fault or fault.startswith(LATE) else ())
                tell(check=name, fault=fault)

    for at, source in cells:
        if error := _caught(lambda at=at, source=source: _cell(at, source, names), seconds):
            tell(cell=at, error=error)
        look()
    look(again=True)


def _cell(at: int, source: str, names: dict[str, Any]) -> str:
    file, code = f"<cell {at}>", _MAGIC.sub(r"\1pass", source)
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    exec(compile(code, file, "exec"), names)
    return ""


def _caught(what: Callable[[], str], seconds: float) -> str:
    """What a call says, or how it ended; empty where nothing is wrong."""
    try:
        with _time(seconds):
            return what()
    except TimeUp:
        return f"{LATE} {seconds:g} seconds; does a loop end?"
    except (SystemExit, KeyboardInterrupt):
        return "ends the program, and goes on after it only here"
    except BaseException as error:
        return printable(f"{type(error).__name__}: {error}"[:300])


@contextlib.contextmanager
def _time(seconds: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer"):
        yield
        return

    def up(*_: object) -> None:
        raise TimeUp

    signal.signal(signal.SIGALRM, up)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


# The walls that Python and the system's limits make -------------------------------------------------------------------


def guard(folder: str) -> None:
    """Refuse other programs, connections, and writing outside of a folder, for as long as the process lives."""
    inside = (folder + os.sep, os.devnull)

    def outside(path: Any) -> bool:
        if isinstance(path, int):
            return False
        full = os.path.join(folder, os.fsdecode(path))
        where = os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))
        return where != folder and not where.startswith(inside)

    def hook(event: str, given: tuple) -> None:
        writes = event in _WRITES or (
            event == "open" and bool(set(given[1] or "") & set("wax+") or (given[2] or 0) & _WRITING)
        )
        if event in _REFUSED or (writes and any(outside(each) for each in _paths(event, given))):
            raise PermissionError(f"the grader refuses {event}: a notebook works in its own folder, and alone")

    sys.addaudithook(hook)


def _paths(event: str, given: tuple) -> list[Any]:
    count = 2 if event in ("os.rename", "os.link") else 1
    return [given[1]] if event == "os.symlink" else [each for each in given[:count] if each is not None]


def limit(memory: int, seconds: float) -> None:
    """Bound further memory, the processor's time, and the size of a file."""
    try:
        import resource
    except ImportError:  # Windows has none
        return
    with open("/proc/self/statm") if os.path.exists("/proc/self/statm") else contextlib.nullcontext() as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize() if statm else 0
    for what, most in ((resource.RLIMIT_AS, used + memory), (resource.RLIMIT_CPU, int(seconds) + 1),
                       (resource.RLIMIT_FSIZE, 64 << 20), (resource.RLIMIT_CORE, 0)):  # fmt: skip
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def main() -> None:
    """Do what standard input says."""
    job = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    told = os.fdopen(job["tell"], "w")
    checks = checks_of(job["lab"])
    for name in job["imports"]:
        __import__(name)
    mark = job["mark"]

    def tell(**what: Any) -> None:
        told.write(json.dumps([mark, what]) + "\n")
        told.flush()

    limit(job["memory"], job["seconds"])
    guard(os.path.realpath(os.getcwd()))
    tell(begun=True)
    run([tuple(cell) for cell in job["cells"]], checks, tell, job["cell_seconds"])
    tell(ended=True)
    os._exit(0)  # whatever the notebook left running


if __name__ == "__main__":
    main()
