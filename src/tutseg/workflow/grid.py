"""Running the trials of a spec: which are done, which are missing, how long the rest will take, and running them."""

import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from tutseg.errors import InputError, Stopped, as_input_error
from tutseg.files import alone, atomic_write, canonical_json, held, json_of, runs_folder
from tutseg.training.side_by_side import Call, Watcher, make_calls
from tutseg.training.spec import Spec
from tutseg.training.tasks import task_of
from tutseg.training.trial import Trial, result_in

if TYPE_CHECKING:
    from tutseg.training.run import Run

STATES = ("done", "failed", "started", "missing")
HERE = Path(__file__).resolve().parent

Report = Callable[[str, int, int], None]


def states(spec: Spec) -> Iterator[tuple[Trial, str, float]]:
    """Each trial with "done", "failed", "started" or "missing", and its measured seconds (0 unless done)."""
    for trial in spec.trials:
        folder = runs_folder() / trial.id
        if (folder / "failed.json").exists():
            yield trial, "failed", 0.0
        elif result := result_in(folder):
            yield trial, "done", sum(result["seconds"].values())
        else:
            begun = any((folder / name).exists() for name in ("state.pt", "pictures.json"))
            yield trial, "started" if begun else "missing", 0.0


def forecast(spec: Spec, at_once: int = 1) -> dict[str, Any]:
    """Counts by state, and the seconds left as measured on finished trials of the same method and net.

    Parameters
    ----------
    at_once : int
        Trials that run side by side.

    Returns
    -------
    dict
        ``name``, ``trials``, the counts, ``seconds_spent``, and ``seconds_left``: None while nothing is measured.
    """
    measured: dict[tuple[str, str], list[float]] = {}
    open_trials, counts, spent = [], dict.fromkeys(STATES, 0), 0.0
    for trial, state, seconds in states(spec):
        counts[state] += 1
        spent += seconds
        if state != "done":
            open_trials.append(trial)
        elif trial.cost:
            measured.setdefault((trial.method, trial.net), []).append(seconds / trial.cost)
    overall = [rate for rates in measured.values() for rate in rates]
    left: float | None = 0.0
    for trial in open_trials:
        rates = measured.get((trial.method, trial.net), overall)
        left = left + sum(rates) / len(rates) * trial.cost / at_once if rates else None
        if left is None:
            break
    return {"name": spec.name, "trials": len(spec.trials), **counts, "seconds_spent": spent, "seconds_left": left}


def failures(spec: Spec) -> list[dict[str, str]]:
    """The trials whose last attempt failed: id, the error, and the command that repeats it."""
    return [
        {
            "name": trial.id,
            "error": str((json_of(runs_folder() / trial.id / "failed.json") or {}).get("error", "unknown")),
            "command": trial.command,
        }
        for trial, state, _ in states(spec)
        if state == "failed"
    ]


def _attempt(trial: Trial, root: str | None, device: str, report: Report) -> bool:
    """Run a trial that is not finished; True if it is done afterwards. A failure goes to ``failed.json``.

    Every start is a line of ``attempts.jsonl``.
    """
    from tutseg.training.run import run_trial, unchanged

    folder = runs_folder() / trial.id
    with alone(folder):
        if unchanged(folder, trial, root):
            (folder / "failed.json").unlink(missing_ok=True)
            return True
        start = {"at": time.time(), "host": platform.node(), "pid": os.getpid()}
        with open(folder / "attempts.jsonl", "a") as log:
            log.write(json.dumps(start) + "\n")
        try:
            run_trial(trial, root, device, report=report)
        except Stopped:
            raise
        except Exception as error:
            said = str(as_input_error(error) or error) or type(error).__name__
            fault = {"error": said, "type": type(error).__name__, **start}
            atomic_write(folder / "failed.json", json.dumps(fault))
            return False
        (folder / "failed.json").unlink(missing_ok=True)
        return True


def check_runnable(spec: Spec) -> None:
    """What cannot run should be met before the first trial, not after a night of them.

    Each method is built once with its options, its net and its size, without memory for the weights. Whether real data
    is here is not asked: the trials may run elsewhere.

    Raises
    ------
    InputError
        A network or an input that a method lacks, a size that the net refuses, a bad option of method or data.
    """
    import torch  # reading a spec does without

    from tutseg.data import DRAWN, checked_options, open_source
    from tutseg.methods import build_method, check_inputs, check_net

    seen = set()
    for trial in spec.trials:
        for name, options in ((trial.data, trial.data_options), (trial.test_data, trial.test_options)):
            if name in DRAWN:
                open_source(name, None, **options)
            elif name:
                checked_options(name, options)
        if (trains := task_of(trial.method).trains) and trial.steps:
            check_inputs(trial.method, trial.inputs)
        of_net = {"net": trial.net, "size": trial.size, "pretrained": False} if trains else {}
        if trains:
            check_net(trial.method, trial.net, trial.pretrained)
        if (key := canonical_json([trial.method, of_net, trial.options])) not in seen:
            with torch.device("meta"):
                build_method(trial.method, **of_net, **trial.options)
            seen.add(key)


class _Failed(Exception):
    """A trial has failed, and ``failed.json`` says why."""


def _try(
    attempt: Callable[..., bool], retries: int, trial: Trial, root: str | None, device: str, report: Report
) -> None:
    if not any(attempt(trial, root, device, report) for _ in range(retries + 1)):
        raise _Failed(trial.id)


def run_serial(
    spec: Spec,
    root: str | None = None,
    device: str = "auto",
    shard: tuple[int, int] = (0, 1),
    retries: int = 1,
    jobs: int = 1,
    display: Callable[[list[Call]], AbstractContextManager[Watcher]] = lambda calls: nullcontext(Watcher()),
    attempt: Callable[..., bool] = _attempt,
) -> list[Trial]:
    """Run every trial that is not done, cheapest first, `jobs` at once; a failure is recorded and the rest go on.

    A trial is done on the data as it is now: `tutseg.training.run.run_trial` looks at one again whose files are not as
    they were. What another process is at is left for last, so several may work on one spec. What a trial is made from
    runs first; of several processes one runs it and the others wait.

    Parameters
    ----------
    shard : (k, n)
        Take only every n-th trial from the k-th on, so that n processes can share one machine.
    retries : int
        Further attempts at a trial that raises.
    jobs : int
        Trials at once, each in a process of its own; 1: in this one.
    display : callable
        Gives a context with what watches the calls that will be made.
    attempt : callable
        How one trial is run.

    Returns
    -------
    list of Trial
        Those that failed; each has ``failed.json`` in its run folder.
    """
    from tutseg.training.run import unchanged

    check_runnable(spec)
    k, n = shard
    cheapest_first = sorted(states(spec), key=lambda item: item[0].cost)
    done = {t.id for t, state, _ in cheapest_first if state == "done" and unchanged(runs_folder() / t.id, t, root)}
    todo = [trial for trial, *_ in cheapest_first[k::n] if trial.id not in done]
    calls: dict[str, Call] = {}
    for trial in todo:
        for each in (*ancestors(spec, trial), trial):
            if each.id not in done:
                made_from = tuple(parent.id for parent in spec.parents.get(each.id, ()))
                args = (attempt, retries, each, root, device)
                calls.setdefault(each.id, Call(each.id, _try, args, each.title, each.cost, made_from))
    wanted = list(calls.values())
    with display(wanted) as watcher:
        answers = make_calls(wanted, jobs, watcher, later=lambda call: held(runs_folder() / call.name))
    for name, answer in answers.items():
        if answer.error and not isinstance(answer.error, _Failed):  # it could not say so itself
            fault = {"error": str(answer.error), "type": type(answer.error).__name__}
            atomic_write(runs_folder() / name / "failed.json", json.dumps(fault))
    return [trial for trial in todo if trial.id in answers and answers[trial.id].error]


@contextmanager
def within(minutes: float | None) -> Iterator[None]:
    """End what runs inside after so many minutes as Ctrl-C does, so that each training saves its state, but quietly."""
    rung = []

    def ring(number: int, frame: FrameType | None) -> None:
        rung.append(number)
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):  # a job in the background of a script ignores Ctrl-C
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 60 * (minutes or 0))
    try:
        yield
    except (Stopped, KeyboardInterrupt):
        if not rung:
            raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ancestors(spec: Spec, trial: Trial) -> list[Trial]:
    """What a trial is made from, and what that is made from: each once, in an order in which they can be run."""
    found: dict[str, Trial] = {}
    for parent in spec.parents.get(trial.id, ()):
        found |= {each.id: each for each in ancestors(spec, parent)} | {parent.id: parent}
    return list(found.values())


def run_snakemake(
    spec: Spec,
    path: Path,
    root: str | None = None,
    device: str = "auto",
    jobs: int = 1,
    gpus: int = 0,
    retries: int = 1,
    profile: str = "",
    dry_run: bool = False,
) -> list[Trial]:
    """Hand the trials that are not done to Snakemake: each is a target ``<runs>/<id>/result.json`` of its own, and
    what it is made from is its input, so that no job waits for another.

    Snakemake keeps its notes in ``<runs>/.grid``. A trial is done if its result is there, whatever Snakemake
    remembers; so a killed run goes on, and a trial that finished while Snakemake was dead is not run again.

    Parameters
    ----------
    path : Path
        The spec's file, which every job reads again.
    jobs : int
        Trials at once; each gets one core.
    gpus : int
        GPUs shared by all; if there are any, each trial takes one.
    profile : str
        A Snakemake profile for a cluster: "slurm" (this package's), or a folder. Empty: this machine.
    dry_run : bool
        Only show what Snakemake would do.

    Returns
    -------
    list of Trial
        Those that are not done afterwards (none for a dry run).

    Raises
    ------
    InputError
        Snakemake is missing, or it cannot plan the run.
    """
    if importlib.util.find_spec("snakemake") is None:
        raise InputError("Snakemake is not installed", "install tutseg with its extra [grid], or use --executor serial")
    todo = [trial.id for trial, state, _ in states(spec) if state != "done"]
    if not todo:
        return []
    check_runnable(spec)
    runs = runs_folder().resolve()
    place = runs / ".grid"
    config = {
        "ids": todo,
        "parents": {child: [parent.id for parent in made] for child, made in spec.parents.items()},
        "runs": str(runs),
        "retries": retries,
        "gpu": min(gpus, 1),
        "shell": [sys.executable, "-c", "from tutseg.cli import main; main()", "grid", str(path.resolve()),
                  *(["--scale", spec.scale] if spec.scale else []),
                  "--device", device, "--retries", "0", *(["--root", str(Path(root).resolve())] if root else [])],
        "cwd": os.getcwd(),
    }  # fmt: skip
    atomic_write(place / f"{spec.name}.json", json.dumps(config, indent=1))
    chosen = HERE / profile if (HERE / profile / "config.yaml").is_file() else Path(profile).resolve()
    if profile and not (chosen / "config.yaml").is_file():
        raise InputError(f"no Snakemake profile in {profile}", "use slurm, or a folder with config.yaml")
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(HERE / "Snakefile"), "--directory", str(place),
        "--configfile", str(place / f"{spec.name}.json"), "--keep-going", "--ignore-incomplete", "--nolock",
        "--rerun-triggers", "mtime", "--quiet", "rules", "host",
        *(["--profile", str(chosen), "--jobs", str(jobs)] if profile else ["--cores", str(jobs)]),
        *(["--resources", f"gpu={gpus}"] if gpus else []), *(["--dry-run"] if dry_run else []),
    ]  # fmt: skip
    with alone(place):
        done = subprocess.run(command, stdout=2, check=False)
    if dry_run:
        if done.returncode:
            raise InputError("Snakemake cannot plan this run", "its message stands above")
        return []
    return [trial for trial, state, _ in states(spec) if state != "done"]


def finished_runs(spec: Spec) -> "list[Run]":
    """The run folders of the trials that are done, in the spec's order."""
    from tutseg.training.run import Run

    done = [runs_folder() / trial.id for trial, state, _ in states(spec) if state == "done"]
    return [Run(folder, result) for folder in done if (result := result_in(folder))]
