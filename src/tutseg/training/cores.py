"""How many threads a process computes with, read from the environment."""

import os

from tutseg.errors import InputError


def threads() -> int:
    """Threads of a process on a CPU: ``OMP_NUM_THREADS``, which is 1 unless the user has set it."""
    told = os.environ.get("OMP_NUM_THREADS", "1")
    return positive("OMP_NUM_THREADS", told.split(",")[0])  # OpenMP takes a list, one number a level of nesting


def positive(name: str, told: str) -> int:
    """The value of an environment variable that must be a whole number from 1 on; `InputError` otherwise."""
    if not (told.strip().isdecimal() and int(told)):
        raise InputError(f"{name}={told} is no whole number from 1 on", "correct it, or unset it")
    return int(told)
