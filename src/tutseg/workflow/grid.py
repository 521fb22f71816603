"""Many trials from one spec: which exist, which are missing, how long the rest will take, and running them.

A spec is YAML::

    name: isic2018-96
    paper: dme-fd
    about: what the grid is for, and on what it was run
    defaults: {data: isic2018, net: mobilenet-unet, size: 96, steps: 300}
    grid: {method: [supervised, cps, dme-fd], labelled: [0.02, 0.04], seed: [0, 1, 2]}
    also:                       # further blocks, each over the defaults with a grid of its own
      - defaults: {method: dme-fd, labelled: 0.04}
        grid: {options: [{combine: intersect}, {combine: self}], seed: [0, 1, 2]}
      - defaults: {start: {method: supervised, data: synth}}  # net, size and seed are the trial's own; it runs first
    scales:                     # optional sizes of the same trials, one to be chosen with --scale
      lab: {data: synth, net: unet-s, size: 64, steps: 200}
      gpu: {data: isic2018, net: swin-unet, size: 224, steps: 2000}
"""

import csv
import importlib.util
import io
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tutseg.errors import InputError, Stopped, unknown
from tutseg.files import alone, atomic_write, canonical_json, held, json_of, runs_folder

if TYPE_CHECKING:
    from tutseg.training.run import Run
    from tutseg.training.trial import Trial

FIELDS = ("name", "paper", "about", "defaults", "grid", "also", "scales")
BLOCK_FIELDS = ("defaults", "grid")
STATES = ("done", "failed", "started", "missing")
HERE = Path(__file__).resolve().parent

Report = Callable[["Trial", str, int, int], None]


@dataclass(frozen=True)
class Spec:
    """A named list of trials, each once, in the order of the file."""

    name: str
    about: str
    trials: tuple["Trial", ...]
    scale: str = ""
    starts: tuple["Trial", ...] = ()  # those among `trials`, or left out by `only`, that others start from


def read_spec(path: Path, scale: str = "") -> Spec:
    """Read and expand a spec.

    Parameters
    ----------
    path : Path
        YAML.
    scale : str
        One of the spec's ``scales``, whose fields then go over its defaults; needed if it has any.

    Raises
    ------
    InputError
        Missing file, broken YAML, an unknown field, or a trial that cannot be.
    """
    from tutseg.training.trial import make_trial

    try:
        spec = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(
            f"cannot read {path} ({error.strerror})", "give a spec, such as those in results/specs"
        ) from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML ({str(error).splitlines()[0]})", "correct the file") from error
    if not isinstance(spec, dict) or "name" not in spec:
        raise InputError(f"{path} is no spec", "it needs at least `name` and `grid`")
    _known_fields(path, spec, FIELDS)
    scales = spec.get("scales", {})
    if scale not in (scales or [""]):
        raise unknown(f"scale of {path}", scale, scales or ["(none)"])
    shared = {
        **({"paper": spec["paper"]} if "paper" in spec else {}),
        **spec.get("defaults", {}),
        **scales.get(scale, {}),
    }
    blocks = [{"grid": spec["grid"]}] if "grid" in spec else []
    trials: dict[str, Trial] = {}
    starts: dict[str, Trial] = {}
    for block in blocks + spec.get("also", []):
        _known_fields(path, block, BLOCK_FIELDS)
        fixed = {**shared, **block.get("defaults", {})}
        for point in _points(path, block.get("grid", {})):
            fields = {**fixed, **point}
            if isinstance(before := fields.get("start"), dict):
                own = {name: fields[name] for name in ("net", "size", "seed", "paper") if name in fields}
                first = make_trial(**{**own, **before})
                _known_parts(first)
                starts[first.id] = trials.setdefault(first.id, first)
                fields["start"] = first.id
            trial = make_trial(**fields)
            _known_parts(trial)
            trials.setdefault(trial.id, trial)
    if not trials:
        raise InputError(f"{path} lists no trial", "give it a `grid`, or `also` with blocks")
    name = "-".join(filter(None, (spec["name"], scale)))
    return Spec(name, " ".join(spec.get("about", "").split()), tuple(trials.values()), scale, tuple(starts.values()))


def _known_fields(path: Path, block: Any, known: tuple[str, ...]) -> None:
    if not isinstance(block, dict):
        raise InputError(f"{path}: '{block}' is no block", f"a block has {' and '.join(known)}")
    for field in block:
        if field not in known:
            raise unknown(f"field in {path}", field, known)


def _points(path: Path, grid: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of a grid's values."""
    for name, values in grid.items():
        if not isinstance(values, list):
            raise InputError(f"{path}: grid field {name} is {values!r}", f"write a list, such as [{values}]")
    for point in itertools.product(*grid.values()):
        yield dict(zip(grid, point, strict=True))


def _known_parts(trial: "Trial") -> None:
    """A misspelt method or network should be met before the first trial, not after a night of them."""
    from tutseg import methods, nets

    for kind, name, known in (("method", trial.method, methods.CARDS), ("net", trial.net, nets.CARDS)):
        if name not in known:
            raise unknown(kind, name, known)


def states(spec: Spec) -> Iterator[tuple["Trial", str, float]]:
    """Each trial with "done", "failed", "started" or "missing", and its measured seconds (0 unless done)."""
    for trial in spec.trials:
        folder = runs_folder() / trial.id
        if result := json_of(folder / "result.json"):
            yield trial, "done", sum(result["seconds"].values())
        elif (folder / "failed.json").exists():
            yield trial, "failed", 0.0
        else:
            yield trial, "started" if (folder / "state.pt").exists() else "missing", 0.0


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
        if state == "done":
            measured.setdefault((trial.method, trial.net), []).append(seconds / (trial.steps * trial.size**2))
        else:
            open_trials.append(trial)
    overall = [rate for rates in measured.values() for rate in rates]
    left: float | None = 0.0
    for trial in open_trials:
        rates = measured.get((trial.method, trial.net), overall)
        left = left + sum(rates) / len(rates) * trial.steps * trial.size**2 / at_once if rates else None
        if left is None:
            break
    return {"name": spec.name, "trials": len(spec.trials), **counts, "seconds_spent": spent, "seconds_left": left}


def failures(spec: Spec) -> list[dict[str, str]]:
    """The trials whose last attempt failed: id, the error, and the command that repeats it."""
    return [
        {
            "name": trial.id,
            "error": json.loads((runs_folder() / trial.id / "failed.json").read_text())["error"],
            "command": trial.command,
        }
        for trial, state, _ in states(spec)
        if state == "failed"
    ]


def _attempt(trial: "Trial", root: str | None, device: str, report: Callable[[str, int, int], None]) -> bool:
    """Run a trial that is not finished; True if it is done afterwards. A failure goes to ``failed.json``.

    Every start is a line of ``attempts.jsonl``.
    """
    from tutseg.training.run import finished, run_trial

    folder = runs_folder() / trial.id
    with alone(folder):
        if finished(folder, trial):
            return True
        start = {"at": time.time(), "host": platform.node(), "pid": os.getpid()}
        with open(folder / "attempts.jsonl", "a") as log:
            log.write(json.dumps(start) + "\n")
        try:
            run_trial(trial, root, device, report=report)
        except Stopped:
            raise
        except Exception as error:
            fault = {"error": str(error) or type(error).__name__, "type": type(error).__name__, **start}
            atomic_write(folder / "failed.json", json.dumps(fault))
            return False
        (folder / "failed.json").unlink(missing_ok=True)
        return True


def run_serial(
    spec: Spec,
    root: str | None = None,
    device: str = "auto",
    shard: tuple[int, int] = (0, 1),
    retries: int = 1,
    report: Report = lambda trial, stage, done, total: None,
    attempt: Callable[..., bool] = _attempt,
) -> list["Trial"]:
    """Run every trial that is not done, one after another, cheapest first; a failure is recorded and the rest go on.

    What another process is at is left for last, so several may work on one spec. A trial that starts from another has
    that one run first; of several processes one runs it and the others wait.

    Parameters
    ----------
    shard : (k, n)
        Take only every n-th trial from the k-th on, so that n processes can share one machine.
    retries : int
        Further attempts at a trial that raises.
    report : callable
        Called with (trial, stage, done, total) while it runs.
    attempt : callable
        How one trial is run.

    Returns
    -------
    list of Trial
        Those that failed; each has ``failed.json`` in its run folder.
    """
    k, n = shard
    cheapest_first = sorted(states(spec), key=lambda item: item[0].steps * item[0].size ** 2)
    failed, later = [], []
    starts = {trial.id: trial for trial in spec.starts}
    for trial in itertools.chain((trial for trial, state, _ in cheapest_first[k::n] if state != "done"), later):
        if trial not in later and held(runs_folder() / trial.id):
            later.append(trial)
            continue
        tell = lambda *stage, trial=trial: report(trial, *stage)
        if trial.start in starts:
            attempt(starts[trial.start], root, device, tell)
        if not any(attempt(trial, root, device, tell) for _ in range(retries + 1)):
            failed.append(trial)
    return failed


def only(spec: Spec, name: str) -> Spec:
    """The spec with one trial left, by its id."""
    found = tuple(trial for trial in spec.trials if trial.id == name)
    if not found:
        raise InputError(f"no trial {name} in {spec.name}", "`tutseg grid SPEC --dry-run` lists the ids")
    return replace(spec, trials=found)


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
) -> list["Trial"]:
    """Hand the trials that are not done to Snakemake: each is a target ``<runs>/<id>/result.json`` of its own.

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
    runs = runs_folder().resolve()
    place = runs / ".grid"
    config = {
        "ids": todo,
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


def collect_results(spec: Spec, out: Path) -> Path:
    """Write what finished trials measured, small enough for git, with everything needed to get it again.

    ``<out>/<name>/trials.csv`` has one row a trial and view: its fields, n, mean and standard deviation of every score
    under every averaging, the three ways of choosing weights, and where it came from. ``dice.csv`` has one row a
    test picture and one column a trial (default view, Dice; Jaccard follows as D / (2 - D)), for paired intervals.

    Raises
    ------
    InputError
        No trial is finished, or finished ones come from different data.
    """
    rows, pictures, fingerprints = [], {}, {}
    for trial, state, _ in states(spec):
        if state != "done":
            continue
        folder = runs_folder() / trial.id
        result = json.loads((folder / "result.json").read_text())
        rows += list(_trial_rows(trial, result))
        seen = (trial.data, trial.size, canonical_json(trial.data_options))
        fingerprints.setdefault(seen, set()).add(result["provenance"]["data"])
        view = next(iter(result["scores"]))
        with open(folder / "per_image.csv", newline="") as file:
            for row in csv.DictReader(file):
                if row["view"] == view:
                    pictures.setdefault(row["id"], {})[trial.id] = f"{float(row['dice']):.4f}"
    if not rows:
        raise InputError(f"no trial of {spec.name} is finished", "run the grid first")
    for (data, size, _), found in fingerprints.items():
        if len(found) > 1:
            raise InputError(f"trials of {spec.name} saw different versions of {data} at {size} px", "run them again")
    folder = out / spec.name
    ids = list(dict.fromkeys(row["id"] for row in rows))
    atomic_write(folder / "trials.csv", _csv(list(dict.fromkeys(key for row in rows for key in row)), rows))
    table = [{"image": image, **cells} for image, cells in sorted(pictures.items())]
    atomic_write(folder / "dice.csv", _csv(["image", *ids], table))
    return folder


def finished_runs(spec: Spec) -> list["Run"]:
    """The run folders of the trials that are done, in the spec's order."""
    from tutseg.training.run import Run

    done = [runs_folder() / trial.id for trial, state, _ in states(spec) if state == "done"]
    return [Run(folder, json.loads((folder / "result.json").read_text())) for folder in done]


def _trial_rows(trial: "Trial", result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    given = {k: canonical_json(v) if isinstance(v, dict) else v for k, v in trial.model_dump().items()}
    # the fingerprint of the data must not take the place of the data's name
    origin = {"fingerprint" if k == "data" else k: v for k, v in result["provenance"].items() if k != "seed"}
    for view, scores in result["scores"].items():
        row = {"id": trial.id, **given, "view": view, **{f"n_{part}": n for part, n in result["n"].items()}}
        for name, ways in scores.items():
            for way, cell in ways.items():
                row[f"{name}_{way}"] = round(cell["mean"], 6)
                if way == "per_image":
                    row[f"{name}_sd"] = round(cell["std"], 6)
        for way, chosen in result["selection"].items():
            row |= {f"{way}_{key}": chosen[key] for key in ("step", "view", "dice_per_image", "dice_batch")}
        yield row | {f"seconds_{k}": v for k, v in result["seconds"].items()} | origin


def _csv(names: list[str], rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
