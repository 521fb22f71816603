"""Which of the project's files a process reads.

A page depends on more than its imports show: a table read by a function three modules away, a method fetched from a
registry by name. Python reports every file it opens (PEP 578), so the list is complete whatever opened it.
"""

import os
import sys
from importlib.util import source_from_cache
from pathlib import Path

WATCHED = ("src", "data", "experiments", "results")
_WRITING = os.O_WRONLY | os.O_RDWR


def watch_reads() -> None:
    """Append to ``$TUTSEG_READ_LOG``, once each, the project's files read and folders listed from now on.

    Paths are relative to ``$TUTSEG_ROOT``, one a line; a folder ends with a slash. Other processes may write to the
    same list. Nothing is watched where the two are not set.
    """
    if "TUTSEG_READ_LOG" not in os.environ:
        return
    root = Path(os.environ["TUTSEG_ROOT"])
    out = os.open(os.environ["TUTSEG_READ_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    folders = tuple(f"{root / name}{os.sep}" for name in WATCHED)
    seen: set[str] = set()

    def record(event: str, args: tuple) -> None:
        listing = event in ("os.listdir", "os.scandir")
        if not listing and not (event == "open" and not args[2] & _WRITING):
            return
        if not isinstance(args[0], str | bytes | os.PathLike):
            return
        path = os.path.abspath(os.fsdecode(args[0]))
        if path.endswith(".pyc"):
            path = source_from_cache(path)
        if listing:
            path += os.sep
        if path in seen or not path.startswith(folders):
            return
        seen.add(path)
        # The import system lists the package's folders on its own account.
        if not (listing and path.startswith(folders[0])):
            os.write(out, (os.path.relpath(path, root).replace(os.sep, "/") + "/" * listing + "\n").encode())

    sys.addaudithook(record)
