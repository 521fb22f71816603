"""The one kind of error a user should ever meet: a line that names the fault and its remedy."""

import difflib
import os
from collections.abc import Iterable

_NO_MEMORY = ("out of memory", "allocate memory", "DefaultCPUAllocator", "bad_alloc", "can't start new thread")


def printable(text: str) -> str:
    """Text in one line: what is not seen as itself (line breaks, escapes, bytes of a file name) is written in ASCII.

    Examples
    --------
    >>> printable("a\\nb.png")
    'a\\\\nb.png'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class InputError(Exception):
    """The input is wrong; the command line prints the message alone and exits with 2.

    Parameters
    ----------
    what : str
        What is wrong, naming the file, field or option.
    remedy : str
        What the user can do about it.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what, self.remedy = what, remedy
        super().__init__(printable(f"{what}: {remedy}" if remedy else what))


class Stopped(InputError):
    """The user pressed Ctrl-C; what was done is saved."""


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Error for an unknown name, with the nearest known ones.

    Examples
    --------
    >>> str(unknown("method", "dmefd", ["cps", "dme-fd"]))
    "unknown method 'dmefd': did you mean dme-fd? Known: cps, dme-fd"
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return InputError(f"unknown {kind} '{name}'", f"{hint}Known: {', '.join(known)}")


def as_input_error(error: BaseException) -> InputError | None:
    """An error that is no fault of the program (no memory, a file that the system refuses, a batch of 1); else None."""
    if isinstance(error, InputError):
        return error
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in _NO_MEMORY)
    ):
        return InputError("there is not enough memory", "take a smaller --size or --batch, smaller or fewer pictures")
    if isinstance(error, ValueError) and "more than 1 value per channel" in str(error):
        return InputError("a batch of one picture of this size leaves nothing to normalise", "use --batch 2 or more")
    if isinstance(error, OSError):
        where = "its output" if error.filename is None else os.fsdecode(error.filename)
        return InputError(f"the system refuses {where} ({error.strerror or error})", "correct the path, or make room")
    return None
