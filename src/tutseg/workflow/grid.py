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
"""

import csv
import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tutseg.errors import InputError, Stopped, unknown
from tutseg.files import atomic_write, canonical_json, runs_folder

if TYPE_CHECKING:
    from tutseg.training.trial import Trial

FIELDS = ("name", "paper", "about", "defaults", "grid", "also")


@dataclass(frozen=True)
class Spec:
    """A named list of trials, each once, in the order of the file."""

    name: str
    about: str
    trials: tuple["Trial", ...]


def read_spec(path: Path) -> Spec:
    """Read and expand a spec.

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
    for field in spec:
        if field not in FIELDS:
            raise unknown(f"field in {path}", field, FIELDS)
    paper = {"paper": spec["paper"]} if "paper" in spec else {}
    blocks = [{"grid": spec.get("grid", {})}] if "grid" in spec else []
    trials: dict[str, Trial] = {}
    for block in blocks + spec.get("also", []):
        fixed = {**paper, **spec.get("defaults", {}), **block.get("defaults", {})}
        names, values = list(block.get("grid", {})), list(block.get("grid", {}).values())
        for point in itertools.product(*values):
            trial = make_trial(**{**fixed, **dict(zip(names, point, strict=True))})
            trials.setdefault(trial.id, trial)
    return Spec(spec["name"], spec.get("about", ""), tuple(trials.values()))


def states(spec: Spec) -> Iterator[tuple["Trial", str, float]]:
    """Each trial with "done", "failed", "started" or "missing", and its measured seconds (0 unless done)."""
    for trial in spec.trials:
        folder = runs_folder() / trial.id
        if (folder / "result.json").exists():
            seconds = json.loads((folder / "result.json").read_text())["seconds"]
            yield trial, "done", seconds["train"] + seconds["score"]
        elif (folder / "failed.json").exists():
            yield trial, "failed", 0.0
        else:
            yield trial, "started" if (folder / "state.pt").exists() else "missing", 0.0


def forecast(spec: Spec) -> dict[str, Any]:
    """Counts by state, and the seconds left as measured on finished trials of the same method and net."""
    measured: dict[tuple[str, str], list[float]] = {}
    open_trials, counts = [], {"done": 0, "failed": 0, "started": 0, "missing": 0}
    for trial, state, seconds in states(spec):
        counts[state] += 1
        if state == "done":
            measured.setdefault((trial.method, trial.net), []).append(seconds / (trial.steps * trial.size**2))
        else:
            open_trials.append(trial)
    overall = [rate for rates in measured.values() for rate in rates]
    left = 0.0
    for trial in open_trials:
        rates = measured.get((trial.method, trial.net), overall)
        left += sum(rates) / len(rates) * trial.steps * trial.size**2 if rates else float("nan")
    return {"name": spec.name, **counts, "seconds_left": left}


def run_serial(
    spec: Spec,
    root: str | None = None,
    device: str = "auto",
    shard: tuple[int, int] = (0, 1),
    retries: int = 1,
    report: Callable[["Trial", str, int, int], None] = lambda trial, stage, done, total: None,
) -> list["Trial"]:
    """Run every trial that is not done, one after another, cheapest first; a failure is recorded and the rest go on.

    Parameters
    ----------
    shard : (k, n)
        Take only every n-th trial from the k-th on, so that n processes can share one machine.
    retries : int
        Further attempts at a trial that raises.
    report : callable
        Called with (trial, stage, done, total) while it runs.

    Returns
    -------
    list of Trial
        Those that failed; each has ``failed.json`` in its run folder.
    """
    from tutseg.training.run import run_trial

    k, n = shard
    cheapest_first = sorted(states(spec), key=lambda item: item[0].steps * item[0].size ** 2)
    failed = []
    for trial, state, _ in cheapest_first[k::n]:
        if state == "done":
            continue
        for attempt in range(retries + 1):
            started = time.time()
            try:
                run_trial(trial, root, device, report=lambda *state, trial=trial: report(trial, *state))
            except Stopped:
                raise
            except Exception as error:
                fault = {"error": str(error), "type": type(error).__name__, "attempt": attempt, "at": started}
                atomic_write(runs_folder() / trial.id / "failed.json", json.dumps(fault))
            else:
                (runs_folder() / trial.id / "failed.json").unlink(missing_ok=True)
                break
        else:
            failed.append(trial)
    return failed


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
        fingerprints.setdefault((trial.data, trial.size), set()).add(result["provenance"]["data"])
        view = next(iter(result["scores"]))
        with open(folder / "per_image.csv", newline="") as file:
            for row in csv.DictReader(file):
                if row["view"] == view:
                    pictures.setdefault(row["id"], {})[trial.id] = f"{float(row['dice']):.4f}"
    if not rows:
        raise InputError(f"no trial of {spec.name} is finished", "run the grid first")
    for (data, size), found in fingerprints.items():
        if len(found) > 1:
            raise InputError(f"trials of {spec.name} saw different versions of {data} at {size} px", "run them again")
    folder = out / spec.name
    ids = list(dict.fromkeys(row["id"] for row in rows))
    atomic_write(folder / "trials.csv", _csv(list(dict.fromkeys(key for row in rows for key in row)), rows))
    table = [{"image": image, **cells} for image, cells in sorted(pictures.items())]
    atomic_write(folder / "dice.csv", _csv(["image", *ids], table))
    return folder


def _trial_rows(trial: "Trial", result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    given = {k: canonical_json(v) if isinstance(v, dict) else v for k, v in trial.model_dump().items()}
    for view, scores in result["scores"].items():
        row = {"id": trial.id, **given, "view": view, **{f"n_{part}": n for part, n in result["n"].items()}}
        for name, ways in scores.items():
            for way, cell in ways.items():
                row[f"{name}_{way}"] = round(cell["mean"], 6)
                if way == "per_image":
                    row[f"{name}_sd"] = round(cell["std"], 6)
        for way, chosen in result["selection"].items():
            row |= {f"{way}_{key}": chosen[key] for key in ("step", "view", "dice_per_image", "dice_batch")}
        yield row | {f"seconds_{k}": v for k, v in result["seconds"].items()} | result["provenance"]


def _csv(names: list[str], rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
