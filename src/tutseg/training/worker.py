"""The other side of `tutseg.training.side_by_side`: a process that makes the calls it is sent, one after another.

It stops as by Ctrl-C when it is told to or when the process that started it is gone, however that one ended; so a
training saves its state after the step it is at.
"""

import os
import pickle
import queue
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from tutseg.errors import Stopped
from tutseg.reads import watch_reads

REPORT_EVERY_S = 0.1


def main(handle: int) -> None:
    """Serve at one end of a pipe, given as a file descriptor, until the other end sends nothing or is closed."""
    os.set_inheritable(handle, False)  # else what this process starts would keep the pipe open after its death
    watch_reads()
    signal.signal(signal.SIGINT, _interrupt_once)
    pipe = Connection(handle)
    warnings.simplefilter("ignore", FutureWarning)  # as the command line does
    warnings.showwarning = lambda message, category, *_, **__: _send(pipe, "warning", category, str(message))
    orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    at_work, told_to_stop = threading.Event(), threading.Event()
    threading.Thread(target=_listen, args=(pipe, orders, at_work, told_to_stop), daemon=True).start()
    with suppress(KeyboardInterrupt):
        while order := orders.get():
            at_work.set()
            if told_to_stop.is_set():
                break
            answer = _answer(pipe, order)
            at_work.clear()
            _send(pipe, *answer)


def _interrupt_once(*_: object) -> None:
    """Raise `KeyboardInterrupt` the first time; a second one must not disturb the way out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _listen(
    pipe: Connection, orders: "queue.SimpleQueue[bytes]", at_work: threading.Event, told_to_stop: threading.Event
) -> None:
    with suppress(EOFError, OSError):
        while order := pipe.recv_bytes():
            orders.put(order)
    told_to_stop.set()
    orders.put(b"")
    if at_work.is_set():
        os.kill(os.getpid(), signal.SIGINT)


def _send(pipe: Connection, *message: Any) -> None:
    with suppress(OSError):  # nobody listens any more: the listening thread sees to that
        pipe.send(message)


def _answer(pipe: Connection, order: bytes) -> tuple[Any, ...]:
    """Make a call; ("done", value), ("failed", exception) or ("stopped", what)."""
    try:
        function, args = pickle.loads(order)
        return "done", function(*args, report=_reporter(pipe))
    except Stopped as stopped:
        return "stopped", stopped.what
    except KeyboardInterrupt:
        return "stopped", "interrupted"
    except Exception as error:
        return "failed", _portable(error)


def _reporter(pipe: Connection) -> Callable[[str, int, int], None]:
    """What a call reports its progress to: every stage's begin and end, and a few states a second between them."""
    last: list[Any] = ["", 0.0]

    def report(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != last[0] or done >= total or now - last[1] > REPORT_EVERY_S:
            last[:] = stage, now
            _send(pipe, "report", stage, done, total)

    return report


def _portable(error: Exception) -> Exception:
    """The error as another process can read it, with the traceback as a note."""
    error.add_note("".join(traceback.format_exception(error)).rstrip())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever a foreign exception's own pickling raises
        stand_in = RuntimeError(f"{type(error).__name__}: {error}")
        stand_in.add_note(error.__notes__[-1])
        return stand_in
    return error
