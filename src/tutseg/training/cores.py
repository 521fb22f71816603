"""What a process takes of the machine: how many threads, and memory that it keeps from step to step."""

import ctypes
import os
from functools import cache

from tutseg.errors import InputError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def threads() -> int:
    """Threads of a process on a CPU: ``OMP_NUM_THREADS``, which is 1 unless the user has set it."""
    told = os.environ.get("OMP_NUM_THREADS", "1")
    return positive("OMP_NUM_THREADS", told.split(",")[0])  # OpenMP takes a list, one number a level of nesting


@cache
def keep_memory() -> None:
    """Have glibc keep freed memory for the next step; no other C library, and no setting of the user's, is touched.

    By default it takes large tensors from the system and gives them back at every step, and the system has to clear
    their pages each time: a fifth of the processor time of a small training.
    """
    told = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
    if any(name in os.environ for name in told):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
        mallopt(option, 1 << 30)


def positive(name: str, told: str) -> int:
    """The value of an environment variable that must be a whole number from 1 on; `InputError` otherwise."""
    if not (told.strip().isdecimal() and int(told)):
        raise InputError(f"{name}={told} is no whole number from 1 on", "correct it, or unset it")
    return int(told)
