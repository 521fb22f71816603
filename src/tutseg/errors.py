"""The one kind of error a user should ever meet: a line that names the fault and its remedy."""

import difflib
from collections.abc import Iterable


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
        super().__init__(f"{what}: {remedy}" if remedy else what)


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
