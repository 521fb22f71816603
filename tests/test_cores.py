"""One thread a process and waiting without spinning, unless the user says otherwise."""

import os
import platform
import resource
import subprocess
import sys

import pytest

from tutseg.errors import InputError
from tutseg.training.cores import keep_memory, threads

OURS = (
    "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES",
)  # fmt: skip


def told(code: str, **environment: str) -> tuple[str, str]:
    """What a fresh Python prints, and what OpenMP says of itself when it is loaded."""
    clean = {name: value for name, value in os.environ.items() if name not in OURS}
    environment |= {"OMP_DISPLAY_ENV": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip(), done.stderr


POOLS = "import threadpoolctl; print({p['user_api']: p['num_threads'] for p in threadpoolctl.threadpool_info()})"


def test_one_passive_thread_is_the_default_of_every_library():
    """OpenMP prints its own settings; threadpoolctl asks the loaded libraries, MKL through torch."""
    out, openmp = told(f"import tutseg, torch, numpy, sklearn; print(torch.__config__.parallel_info()); {POOLS}")
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in openmp and "OMP_NUM_THREADS = '1'" in openmp
    assert "at::get_num_threads() : 1" in out and "mkl_get_max_threads() : 2" not in out
    assert "'openmp': 1" in out and "'blas': 1" in out


def test_another_c_library_is_left_alone(monkeypatch):
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
    asked = []
    monkeypatch.setattr("ctypes.CDLL", lambda name: asked.append(name) or object())  # it has no mallopt
    keep_memory.__wrapped__()
    assert asked == [None]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory in its own way")
@pytest.mark.parametrize("own", [{}, {"MALLOC_TRIM_THRESHOLD_": "131072"}])
def test_freed_memory_is_kept_unless_the_user_has_a_say(own):
    """A page that is given back has to be mapped again: the system counts that."""
    code = """
import ctypes, resource
from tutseg.training.cores import keep_memory
libc, size = ctypes.CDLL(None), 1_000_000
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
keep_memory()
for k in range(11):
    if k == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [libc.malloc(size) for _ in range(8)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks:
        libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults, pages = int(told(code, **own)[0]), 10 * 8_000_000 // resource.getpagesize()
    assert faults < pages / 20 if not own else faults > pages / 2


@pytest.mark.slow
def test_the_users_own_settings_win():
    code = "import tutseg, torch; from tutseg.training.fit import make_fabric; make_fabric('cpu', '32-true')"
    out, openmp = told(f"{code}; print(torch.get_num_threads())", OMP_NUM_THREADS="3,2", OMP_WAIT_POLICY="ACTIVE")
    assert out == "3" and "OMP_WAIT_POLICY = 'ACTIVE'" in openmp


@pytest.mark.slow
def test_torch_loaded_first_trains_with_one_thread_too():
    code = "import torch; torch.set_num_threads(2); from tutseg.training.fit import make_fabric"
    assert told(f"{code}; make_fabric('cpu', '32-true'); print(torch.get_num_threads())")[0] == "1"


@pytest.mark.parametrize("value", ["", "0", "two", "-1"])
def test_a_number_of_threads_that_is_none_is_said_in_one_line(value, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with pytest.raises(InputError, match="OMP_NUM_THREADS"):
        threads()
