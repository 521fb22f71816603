"""How many threads a process computes with, read from the environment."""

import os

from tutseg.errors import InputError


def threads() -> int:
    """Threads of a process on a CPU: ``OMP_NUM_THREADS``, which is 1 unless the user has set it."""
    told = os.environ.get("OMP_NUM_THREADS", "1")
    first = told.split(",")[0].strip()  # OpenMP takes a list, one number a level of nesting
    if not (first.isdigit() and int(first)):
        raise InputError(f"OMP_NUM_THREADS={told} is no number of threads", "set it to 1 or more, or unset it")
    return int(first)
