"""One display for calls made side by side: bars on a terminal, a line a finished call elsewhere, time left in both."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from tutseg.training.side_by_side import Answer, Call, Watcher

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def duration(seconds: float) -> str:
    """Seconds for people: "90 s", "5 min", "2.5 h"."""
    minutes, hours = seconds / 60, seconds / 3600
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if hours < 2 else f"{hours:.1f} h"


@dataclass
class _Pace:
    """How far a running call is, and how fast it goes since its first report: starting a process is not its pace."""

    cost: float
    start: float
    share: float = 0.0
    spent: float = 0.0
    first: tuple[float, float] | None = None

    def share_is(self, share: float, now: float) -> None:
        self.share = max(self.share, share)
        self.first = self.first or (self.share, now)
        self.spent = now - self.first[1]

    @property
    def paid(self) -> float:
        return self.cost * (self.share - self.first[0]) if self.first else 0.0


class Clock(Watcher):
    """How long the rest will take, from the calls' costs and what was measured of them.

    Parameters
    ----------
    calls : iterable of Call
        All that will be made.
    at_once : int
        Processes.
    rate : float or None
        Seconds a unit of cost, if they are known beforehand; else they are measured, and a call's progress is what it
        reports of any stage but "read".
    """

    def __init__(self, calls: Iterable[Call], at_once: int, rate: float | None = None) -> None:
        self.waiting = {call.name: call.cost for call in calls}
        self.at_once, self.known = at_once, rate
        self.running: dict[str, _Pace] = {}
        self.spent, self.paid = 0.0, 0.0  # seconds, and the cost that they paid for

    def started(self, call: Call) -> None:
        """A process has begun with a call."""
        self.waiting.pop(call.name)
        self.running[call.name] = _Pace(call.cost, time.monotonic())

    def reported(self, call: Call, stage: str, done: int, total: int) -> None:
        """A call is at `done` of `total` of a stage."""
        if stage != "read":
            self.running[call.name].share_is(done / total, time.monotonic())

    def ended(self, call: Call, answer: Answer) -> None:
        """A call has its answer; one that failed has paid for nothing."""
        self.waiting.pop(call.name, None)
        if self.running.pop(call.name, None) and answer.error is None:
            self.spent += answer.seconds
            self.paid += call.cost

    def left(self) -> float | None:
        """Seconds until all is done; None while nothing is measured."""
        now = time.monotonic()
        rate, running = self.known, self.running.values()
        if rate is None:
            paid = self.paid + sum(pace.paid for pace in running)
            if not paid:
                return None
            rate = (self.spent + sum(pace.spent for pace in running)) / paid
            rest = [rate * pace.cost * (1 - pace.share) for pace in running]
        else:
            rest = [max(0.0, rate * pace.cost - (now - pace.start)) for pace in running]
        # the longest call ends no sooner because others have ended
        return max([(rate * sum(self.waiting.values()) + sum(rest)) / self.at_once, *rest])

    def told(self) -> str:
        """The time left in words; empty while it is not known."""
        left = self.left()
        return "" if left is None else f"about {duration(left)} left"


class Display(Watcher):
    """A context that shows how calls go on, on stderr.

    Parameters
    ----------
    calls : sequence of Call
        All that will be made.
    at_once, rate
        See `Clock`.
    unit : str
        What the calls are, such as "trials".
    lines : bool
        Whether a line is printed for every call of several that has ended, where stderr is no terminal.
    console : rich.console.Console, optional
        Where to show it.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        at_once: int,
        unit: str,
        rate: float | None = None,
        lines: bool = True,
        console: "Console | None" = None,
    ) -> None:
        from rich.console import Console

        self.console = console or Console(stderr=True)
        self.total, self.done, self.unit = len(calls), 0, unit
        self.clock = Clock(calls, min(at_once, max(1, len(calls))), rate)
        self.lines = lines and len(calls) > 1 and not self.console.is_terminal
        self.bars = self._bars() if self.console.is_terminal else None
        self.tasks: dict[str, int] = {}

    def _bars(self) -> "Progress":
        import sys

        from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
        from rich.text import Text

        clock = self.clock

        class Note(ProgressColumn):
            max_refresh = 0.5

            def render(self, task: Task) -> Text:
                return Text(task.fields["note"] if task.id else clock.told())

        columns = (TextColumn("{task.description}"), BarColumn(), Note())
        return Progress(*columns, console=self.console, transient=True, redirect_stdout=sys.stdout.isatty())

    def __enter__(self) -> "Display":
        if self.bars:
            self.bars.start()
            self.bars.add_task(f"0 of {self.total} {self.unit}", total=self.total)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bars:
            self.bars.stop()

    def started(self, call: Call) -> None:
        """A process has begun with a call."""
        self.clock.started(call)
        if self.bars:
            self.tasks[call.name] = self.bars.add_task(f"  {call.title}", total=None, note="")

    def reported(self, call: Call, stage: str, done: int, total: int) -> None:
        """A call is at `done` of `total` of a stage."""
        self.clock.reported(call, stage, done, total)
        if self.bars:
            about = {"description": f"  {call.title}: {stage}", "note": f"{done} of {total}"}
            self.bars.update(self.tasks[call.name], completed=done, total=total, **about)

    def ended(self, call: Call, answer: Answer) -> None:
        """A call has its answer."""
        self.clock.ended(call, answer)
        self.done += 1
        if self.bars:
            if call.name in self.tasks:
                self.bars.remove_task(self.tasks.pop(call.name))
            self.bars.update(0, completed=self.done, description=f"{self.done} of {self.total} {self.unit}")
        if self.lines:
            how = "failed" if answer.error else duration(answer.seconds)
            rest = self.clock.told() if self.done < self.total else ""
            told = ", ".join(filter(None, (f"{self.done} of {self.total} {self.unit}", rest)))
            self.console.print(f"{call.title}: {how}; {told}", highlight=False, soft_wrap=True, markup=False)
