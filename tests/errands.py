"""What `test_side_by_side` lets other processes do; they import it by name."""

import os
import signal
import time
import warnings
from pathlib import Path

from tutseg.errors import InputError


def square(x, report):
    report("train", 1, 2)
    report("train", 2, 2)
    return x * x


def wait_and_tell(seconds, name, report):
    time.sleep(seconds)
    return name


def where(report):
    return os.getpid(), os.environ["TUTSEG_JOBS"]


def die(code, report):
    if code < 0:
        os.kill(os.getpid(), -code)
    os.write(2, b"a library's\nlast words\n")
    os._exit(code)


def refuse(report):
    raise InputError("the picture is torn", "take another")


def stumble(report):
    return [][1]


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one}{two}")


def be_odd(report):
    raise Odd("a", "b")


def warn(report):
    warnings.warn("old data", UserWarning, stacklevel=1)


def read(path, report):
    return Path(path).read_text()


def linger(folder, name, report):
    """Works until it is stopped, and saves then."""
    (Path(folder) / f"{name}.pid").write_text(str(os.getpid()))
    try:
        while True:
            time.sleep(0.01)
            report("train", 1, 10)
    except KeyboardInterrupt:
        (Path(folder) / f"{name}.saved").touch()
        raise


def be_deaf(folder, name, report):
    """Works until it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    (Path(folder) / f"{name}.pid").write_text(str(os.getpid()))
    time.sleep(600)
