"""What a chapter runs: trials, alone or of a spec, side by side on the cores that are free, and what they measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tutseg.files import alone, canonical_json, sha256
from tutseg.training.display import Display
from tutseg.training.evidence import Finished, read_run
from tutseg.training.run import Run, run_trial, unchanged
from tutseg.training.side_by_side import Answer, Call, Watcher, make_calls, processes
from tutseg.training.spec import Spec, experiments, read_spec
from tutseg.training.stamp import stamp_of
from tutseg.training.tasks import Report, task_of
from tutseg.training.trial import Trial


def run_trials(
    trials: Sequence[Trial],
    folder: Path,
    root: str | None = None,
    device: str = "auto",
    keep_snapshots: bool = False,
    jobs: int | None = None,
) -> list[Run]:
    """Run a chapter's trials side by side, with a line of output each, in the order in which they are given.

    Each goes to ``folder/<code stamp>/<trial id>``, so a trial is taken as done only if the code that decides its
    numbers is still the same. One whose `inputs` name another of the list runs after it. If one fails, those that need
    nothing of it are run all the same, and then its error is raised.

    Parameters
    ----------
    jobs : int or None
        Trials at once; None: as many as `tutseg.training.side_by_side.processes`. With 1 they run in this very process
        and may use methods that only this process knows.
    """
    stamps: dict[str, str] = {}
    for trial in trials:  # parents stand before their children
        before = [stamps[name] for name in trial.inputs.values() if name in stamps]
        own = stamp_of(trial)
        stamps[trial.id] = sha256(canonical_json([own, *before]))[:16] if before else own
    places = {name: folder / stamp / name for name, stamp in stamps.items()}
    parents = {trial.id: tuple({*trial.inputs.values()} & places.keys()) for trial in trials}
    calls = [
        Call(
            name,
            _run_alone,
            (trial, root, device, places[name], keep_snapshots, {parent: places[parent] for parent in parents[name]}),
            trial.title,
            trial.cost,
            parents[name],
        )
        for name, trial in {trial.id: trial for trial in trials}.items()
        if not unchanged(places[name], trial, root)
    ]
    at_once = (jobs or processes(device)) if len(calls) > 1 else 1
    lines = _Lines(trials, places, root)
    with Display(calls, at_once, "trials", lines=False) as display:
        make_calls(calls, at_once, display, lines)
    for error in lines.errors():
        raise error
    return [Run(places[trial.id], lines.results[trial.id]) for trial in trials]


def _run_alone(
    trial: Trial,
    root: str | None,
    device: str,
    folder: Path,
    keep_snapshots: bool,
    parents: Mapping[str, Path],
    report: Report,
) -> dict[str, Any]:
    """`run_trial`, unless another chapter is at the same trial: then its result, as soon as it is there."""
    with alone(folder):
        return run_trial(trial, root, device, folder, report, keep_snapshots, parents)


class _Lines(Watcher):
    """Prints a line a trial, each as soon as it and all before it have ended."""

    def __init__(self, trials: Sequence[Trial], places: dict[str, Path], root: str | None) -> None:
        self.trials, self.printed = trials, 0
        self.results = {trial.id: result for trial in trials if (result := unchanged(places[trial.id], trial, root))}
        self.failed: dict[str, Exception] = {}
        self._go_on()

    def ended(self, call: Call, answer: Answer) -> None:
        if answer.error:
            self.failed[call.name] = answer.error
        else:
            self.results[call.name] = answer.value
        self._go_on()

    def _go_on(self) -> None:
        for trial in self.trials[self.printed :]:
            if trial.id in self.results:
                print(one_line(self.results[trial.id]), flush=True)
            elif trial.id not in self.failed:
                return
            self.printed += 1

    def errors(self) -> list[Exception]:
        """Of the trials that failed, in their order."""
        return [self.failed[trial.id] for trial in self.trials if trial.id in self.failed]


def one_line(result: dict[str, Any]) -> str:
    """A finished trial in a line: method, seed, its best score over how many images, seconds."""
    trial = Trial(**result["trial"])
    view, scores = next(iter(result["scores"].items()))
    best, seconds = task_of(trial.method).best, sum(result["seconds"].values())
    if best not in scores:
        return f"{trial.method:<12} seed {trial.seed}  not tested, {seconds:.0f} s"
    score = scores[best]["per_image"]
    told = f"{trial.method:<12} seed {trial.seed}  {best.capitalize()} {score['mean']:.3f} over {score['n']} images"
    return f"{told} ({view}), {seconds:.0f} s"


def run_specs(specs: Sequence[Spec], folder: Path, device: str = "auto") -> list[list[Finished]]:
    """Run the trials of some specs that are not done yet with today's code; of each spec what all of them measured."""
    runs = run_trials([trial for spec in specs for trial in spec.trials], folder, device=device)
    places = {run.trial.id: run.folder for run in runs}
    return [[read_run(places[trial.id], spec.rows[trial.id]) for trial in spec.trials] for spec in specs]


def experiment(paper: str, name: str, scale: str = "") -> Spec:
    """The project's spec ``experiments/<paper>/<name>.yaml``."""
    return read_spec(experiments() / paper / f"{name}.yaml", scale)
