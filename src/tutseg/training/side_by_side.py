"""Calls made side by side, each in a process of one thread: trials of a chapter or a grid, chapters of the book.

What a call returns does not depend on how many run at once, nor on their order: processes share nothing. A process
that dies takes the one call with it that it was at. The processes are started from nothing, not forked, so they are
sound beside threads and GPUs and do not run a caller's script again; functions travel by name, so those defined in a
notebook cannot.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, BinaryIO

from tutseg.errors import InputError, Stopped
from tutseg.training.cores import positive, threads

PATIENCE_S = 60.0  # for a training to end its step and save


@dataclass(frozen=True)
class Call:
    """One thing to be done in whatever process is free.

    Parameters
    ----------
    name : str
        Unique among the calls made together.
    function : callable
        Called as ``function(*args, report=report)``, where ``report(stage, done, total)`` tells of progress.
    args : tuple
        As pickle takes them.
    title : str
        What a display calls it.
    cost : float
        What it takes, in any unit that the calls share.
    after : tuple of str
        Names of calls that must have succeeded before.
    """

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    title: str = ""
    cost: float = 1.0
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What became of a call: its value, or the exception that it raised or that stands for its process's death."""

    value: Any = None
    error: Exception | None = None
    seconds: float = 0.0


class Watcher:
    """Hears what happens to the calls; this one does nothing."""

    def started(self, call: Call) -> None:
        """A process has begun with a call."""

    def reported(self, call: Call, stage: str, done: int, total: int) -> None:
        """A call is at `done` of `total` of a stage."""

    def ended(self, call: Call, answer: Answer) -> None:
        """A call has its answer."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes(device: str = "auto") -> int:
    """How many processes may compute side by side: ``TUTSEG_JOBS``, or else one on a GPU and one a core on a CPU.

    Whoever starts processes that may start others tells them through ``TUTSEG_JOBS`` which share is theirs.
    """
    if told := os.environ.get("TUTSEG_JOBS"):
        return positive("TUTSEG_JOBS", told)
    if device != "cpu":
        import torch

        if torch.cuda.is_available():
            return 1
    return max(1, cores() // threads())


def make_calls(
    calls: Sequence[Call],
    at_once: int,
    *watchers: Watcher,
    later: Callable[[Call], bool] = lambda call: False,
    share: int = 1,
) -> dict[str, Answer]:
    """Make calls in their order, so many at once; an error ends its call alone.

    Parameters
    ----------
    calls : sequence of Call
        Names must differ.
    at_once : int
        Processes. One is this very process: nothing is started.
    watchers : Watcher
        Told of every start, report and end.
    later : callable
        Whether a call had better wait for all others, because somebody else is at it.
    share : int
        Processes that each process may start in its turn (``TUTSEG_JOBS``).

    Returns
    -------
    dict
        Name -> answer, every call's.

    Raises
    ------
    Stopped
        Ctrl-C: each training has saved its state after the step it was at. A second Ctrl-C does not wait for that.
    """
    todo, warned = _Todo(calls, later), {}
    at_once = min(at_once, len(calls))
    with contextlib.suppress(KeyboardInterrupt), _Crew(share) as crew:
        while todo.open:
            _refuse(todo, watchers)
            while len(crew.at_work) < at_once and (call := todo.next()):
                _tell(watchers, "started", call)
                if at_once == 1:
                    _end(todo, call, _here(call, watchers), watchers)
                else:
                    crew.give(call)
            for call, kind, said in crew.news():
                if kind == "report":
                    _tell(watchers, "reported", call, *said)
                elif kind == "warning":
                    category, text = said
                    warnings.warn_explicit(text, category, "tutseg", 0, registry=warned)  # once, however many say it
                elif kind == "stopped":
                    raise KeyboardInterrupt
                else:
                    _end(todo, call, said[0], watchers)
            if not (crew.at_work or todo.can_go_on):
                raise ValueError("calls wait for each other")
        return todo.answers
    done = sum(answer.error is None for answer in todo.answers.values())
    raise Stopped(f"stopped with {done} of {len(calls)} done", "the same command goes on there")


def _tell(watchers: Iterable[Watcher], event: str, *what: Any) -> None:
    for watcher in watchers:
        getattr(watcher, event)(*what)


def _end(todo: "_Todo", call: Call, answer: Answer, watchers: Iterable[Watcher]) -> None:
    todo.answers[call.name] = answer
    _tell(watchers, "ended", call, answer)


def _refuse(todo: "_Todo", watchers: Iterable[Watcher]) -> None:
    """Answer the calls that wait for one that failed."""
    while hopeless := [call for call in todo.waiting if todo.failed_before(call)]:
        for call in hopeless:
            todo.waiting.remove(call)
            what = f"{todo.failed_before(call)}, which {call.name} is made from, failed"
            _end(todo, call, Answer(error=InputError(what, "see its own error")), watchers)


def _here(call: Call, watchers: Iterable[Watcher]) -> Answer:
    """Make a call in this process."""
    start = time.perf_counter()
    value, error = None, None
    try:
        value = call.function(*call.args, report=lambda *state: _tell(watchers, "reported", call, *state))
    except Stopped:
        raise
    except Exception as raised:
        error = raised
    return Answer(value, error, time.perf_counter() - start)


class _Todo:
    """The calls that wait, and the answers so far."""

    def __init__(self, calls: Sequence[Call], later: Callable[[Call], bool]) -> None:
        self.waiting, self.later = list(calls), later
        self.names = {call.name for call in calls}
        if len(self.names) < len(calls):
            raise ValueError("two calls of one name")
        self.answers: dict[str, Answer] = {}

    @property
    def open(self) -> bool:
        return len(self.answers) < len(self.names)

    @property
    def can_go_on(self) -> bool:
        """Whether everything is answered, or some call waits for nothing that is still to come."""
        known = self.answers.keys()
        return not self.waiting or any(self.names.intersection(call.after) <= known for call in self.waiting)

    def failed_before(self, call: Call) -> str:
        """Name of a call that this one needs and that failed; empty if there is none."""
        return next((name for name in call.after if name in self.answers and self.answers[name].error), "")

    def next(self) -> Call | None:
        """Take the first call that can begin; None if all wait for others."""
        ready = [call for call in self.waiting if self.names.intersection(call.after) <= self.answers.keys()]
        ready = [call for call in ready if not self.failed_before(call)]
        call = next((call for call in ready if not self.later(call)), ready[0] if ready else None)
        if call:
            self.waiting.remove(call)
        return call


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen
    pipe: Any
    said: BinaryIO  # what the process and its libraries print: of use only if it dies
    call: Call | None = None
    since: float = 0.0

    def close(self) -> None:
        self.pipe.close()
        self.said.close()


class _Crew:
    """The processes at work. On the way out they save what they are at and end, whatever the reason."""

    def __init__(self, share: int) -> None:
        self.workers: list[_Worker] = []
        self.environment = {**os.environ, "TUTSEG_JOBS": str(share)}

    def __enter__(self) -> "_Crew":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            busy = self.at_work
            for worker in busy:
                with contextlib.suppress(OSError):
                    worker.pipe.send_bytes(b"")
            deadline = time.monotonic() + PATIENCE_S
            for worker in busy:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.process.wait(max(0.1, deadline - time.monotonic()))
        finally:  # killing is safe at any moment: a training then goes on from its last saved state
            for worker in self.workers:
                worker.process.kill()
                worker.process.wait()
                worker.close()

    @property
    def at_work(self) -> list[_Worker]:
        return [worker for worker in self.workers if worker.call]

    def _hire(self) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        said = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the process)
        code = f"from tutseg.training.worker import main; main({theirs.fileno()})"
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=self.environment,
        )  # fmt: skip
        theirs.close()
        self.workers.append(_Worker(process, ours, said))
        return self.workers[-1]

    def give(self, call: Call) -> None:
        """Let an idle process begin with a call."""
        worker = next((each for each in self.workers if not each.call), None) or self._hire()
        worker.call, worker.since = call, time.perf_counter()
        order = pickle.dumps((call.function, call.args))
        with contextlib.suppress(OSError):  # a process that died idle: its end of the pipe says so below
            worker.pipe.send_bytes(order)

    def news(self) -> list[tuple[Call, str, Any]]:
        """What the processes say, as (call, kind, content); waits until one says something."""
        found = []
        ready = wait([worker.pipe for worker in self.at_work]) if self.at_work else []
        for worker in [each for each in self.at_work if each.pipe in ready]:
            call, seconds = worker.call, time.perf_counter() - worker.since
            try:
                kind, *said = worker.pipe.recv()
            except (EOFError, OSError):
                kind, said = "failed", [self._death(worker)]
            if kind in ("done", "failed"):
                worker.call = None
                said = [Answer(said[0], None, seconds) if kind == "done" else Answer(None, said[0], seconds)]
            found.append((call, kind, said))
        return found

    def _death(self, worker: _Worker) -> InputError:
        """Why a process has died, from its exit code and its last words."""
        code = worker.process.wait()
        worker.said.seek(0)
        last = worker.said.read().decode(errors="replace").strip().splitlines()[-1:]
        self.workers.remove(worker)
        worker.close()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        memory = ["out of memory?"] if code == -signal.SIGKILL else []
        why = f" ({'; '.join(memory + last)})" if memory or last else ""
        return InputError(f"its process {how}{why}", "the same command goes on where it was")
