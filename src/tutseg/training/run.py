"""From a trial to its finished run folder, and from a run folder back to a network that predicts."""

import csv
import io
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import seed_everything

from tutseg import __version__
from tutseg.data import open_source
from tutseg.data.leaks import check_split
from tutseg.data.loader import Pictures, load_pictures
from tutseg.data.splits import Split, make_split
from tutseg.errors import InputError
from tutseg.files import atomic_write, canonical_json, json_of, project_root, runs_folder, sha256
from tutseg.methods import build_method
from tutseg.methods.base import Method
from tutseg.training.checkpoint import load_weights, read_weights, save_weights
from tutseg.training.evaluate import choose_weights, score_views
from tutseg.training.fit import TrainingSet, fit, make_fabric, snapshot_path
from tutseg.training.trial import Trial, make_trial

Report = Callable[[str, int, int], None]


def _quiet(stage: str, done: int, total: int) -> None:
    """Report nothing."""


@lru_cache(maxsize=8)
def _pictures(name: str, root: str | None, size: int, options: str) -> Pictures:
    return load_pictures(open_source(name, root, **json.loads(options)), size)


def pictures_of(name: str, root: str | None, size: int, options: dict[str, Any]) -> Pictures:
    """A data set at one size, read once a process."""
    return _pictures(name, root, size, canonical_json(options))


def split_of(trial: Trial, pictures: Pictures) -> Split:
    """The trial's split; refuses one that separates a group (protocol "honest")."""
    split = make_split(
        pictures.ids, pictures.groups, trial.labelled, fold=trial.fold, seed=trial.seed, protocol=trial.protocol
    )
    if trial.protocol == "honest":
        check_split(split, pictures)
    return split


@lru_cache(maxsize=1)
def environment() -> dict[str, str]:
    """What a number depends on besides its trial: versions, commit, lock file.

    The commit is git's; ``$TUTSEG_COMMIT`` names it where the sources travelled without their history.
    """
    root = project_root()
    lock = root / "requirements.lock" if root else None
    commit = os.environ.get("TUTSEG_COMMIT", "unknown")
    if root and (root / ".git").exists():
        asked = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True
        )
        commit = asked.stdout.strip() or commit
    return {
        "tutseg": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit,
        "code": code_stamp(),
        "lock": sha256(lock.read_bytes())[:16] if lock and lock.exists() else "unknown",
    }


@lru_cache(maxsize=1)
def code_stamp() -> str:
    """Hash of the sources that decide a trial's numbers: everything from the data up to the training loop."""
    package = Path(__file__).resolve().parents[1]
    rooms = [package / "metrics.py", package / "losses.py"]
    for room in ("data", "weights", "nets", "methods", "training"):
        rooms += sorted((package / room).rglob("*.py"))
    return sha256("\n".join(sha256(path.read_bytes()) for path in rooms))[:16]


def device_name(device: torch.device) -> str:
    """ "cpu (N threads)" or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({torch.get_num_threads()} threads)"


def finished(folder: Path, trial: Trial) -> dict[str, Any] | None:
    """The result in `folder` if it is there and belongs to `trial`."""
    result = json_of(folder / "result.json")
    return result if result and result.get("id") == trial.id else None


def build_for(trial: Trial) -> Method:
    """The trial's method with freshly drawn weights (from the trial's seed), or those of the run it starts from."""
    seed_everything(trial.seed, verbose=False)
    method = build_method(trial.method, net=trial.net, size=trial.size, pretrained=trial.pretrained, **trial.options)
    if trial.start:
        place = Path(trial.start)
        _start_from(method, place if place.exists() else runs_folder() / place)
    return method


def _start_from(method: Method, folder: Path) -> None:
    """Copy the one network of a finished run into every network of `method` that has its shape."""
    tensors, _ = read_weights(folder / "weights.safetensors")
    trained = {name.removeprefix("net."): tensor for name, tensor in tensors.items() if name.startswith("net.")}
    shapes = {name: tensor.shape for name, tensor in trained.items()}
    twins = [m for m in method.children() if {n: t.shape for n, t in m.state_dict().items()} == shapes]
    if not trained or not twins:
        raise InputError(f"--start {folder}: no network of this trial has that shape", "start from a run of one net")
    for net in twins:
        net.load_state_dict(trained)


@dataclass(frozen=True)
class Run:
    """A finished run folder.

    Parameters
    ----------
    folder : Path
        Where it is.
    result : dict
        The content of its ``result.json``.
    """

    folder: Path
    result: dict[str, Any]

    @property
    def trial(self) -> Trial:
        """What was run."""
        return Trial(**self.result["trial"])

    def per_image(self, score: str = "dice", view: str | None = None) -> tuple[list[str], np.ndarray]:
        """Ids of the test images and one score of each ``(n,)``, by the default view unless another is named."""
        view = view or next(iter(self.result["scores"]))
        with open(self.folder / "per_image.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["view"] == view]
        return [row["id"] for row in rows], np.array([float(row[score]) for row in rows])

    def log(self) -> dict[str, np.ndarray]:
        """Every loss term and weight of every step, each ``(steps,)``."""
        with open(self.folder / "log.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}

    def method(self, step: int | None = None) -> Method:
        """The trained method, or as it was after `step` steps where snapshots were kept."""
        method, _ = load_run(self.folder)
        if step is not None:
            load_weights(snapshot_path(self.folder, step), method)
        return method


def run_trials(
    trials: Sequence[Trial], folder: Path, root: str | None = None, device: str = "auto", keep_snapshots: bool = False
) -> list[Run]:
    """Run a chapter's trials one after another, with one line of output each.

    Each goes to ``folder/<code stamp>/<trial id>``, so a trial is taken as done only if the code that decides its
    numbers is still the same.
    """
    runs = []
    for trial in trials:
        place = folder / code_stamp() / trial.id
        runs.append(Run(place, run_trial(trial, root, device, place, _quiet, keep_snapshots)))
        view, scores = next(iter(runs[-1].result["scores"].items()))
        dice, seconds = scores["dice"]["per_image"], runs[-1].result["seconds"]["train"]
        what = f"{trial.method:<12}seed {trial.seed}  Dice {dice['mean']:.3f} over {dice['n']} test images ({view})"
        print(f"{what}, {seconds:.0f} s of training", flush=True)
    return runs


def run_trial(
    trial: Trial,
    root: str | None = None,
    device: str = "auto",
    out: Path | None = None,
    report: Report = _quiet,
    keep_snapshots: bool = False,
) -> dict[str, Any]:
    """Train, evaluate and write a run folder; a finished one is returned as it is, an unfinished one goes on.

    Parameters
    ----------
    trial : Trial
        What to run.
    root : str or None
        Where the data set is; None: ``$TUTSEG_DATA``.
    device : {"auto", "cpu", "cuda"}
        Where to train.
    out : Path or None
        Run folder; None: the trial's own.
    report : callable
        Called with (stage, done, total), stage one of "read", "train", "score".
    keep_snapshots : bool
        Leave the weights of every evaluation point in ``snapshots/``.

    Returns
    -------
    dict
        The content of ``result.json``.
    """
    folder = out or trial.folder
    if result := finished(folder, trial):
        return result
    config = folder / "config.json"
    if config.exists() and json_of(config) != trial.model_dump():
        raise InputError(f"{folder} holds another trial", "choose another --out, or delete it")

    fabric = make_fabric(device, trial.precision)
    torch.use_deterministic_algorithms(fabric.device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that takes a quarter of a step
    report("read", 0, 1)
    pictures = pictures_of(trial.data, root, trial.size, trial.data_options).need("masks", "truth")
    split = split_of(trial, pictures)
    test = pictures.take(split.test)
    if trial.test_data:
        test = pictures_of(trial.test_data, root, trial.size, trial.test_options).need("truth")
    validation = pictures.take(split.validation).to(fabric.device)
    train = TrainingSet(
        pictures.take(split.labelled).to(fabric.device), pictures.take(split.unlabelled).to(fabric.device)
    )
    report("read", 1, 1)
    method = build_for(trial)
    atomic_write(config, json.dumps(trial.model_dump(), indent=1))
    seconds = fit(method, train, trial, folder, fabric, lambda done, total: report("train", done, total))

    started = time.perf_counter()
    report("score", 0, 2)
    test = test.to(fabric.device)
    selection = choose_weights(method, trial, folder, validation, test, fabric)
    load_weights(snapshot_path(folder, trial.steps), method)
    report("score", 1, 2)
    scores, rows = score_views(method, test, fabric)
    about = {"trial": trial.id, "net": trial.net, "method": trial.method}
    save_weights(folder / "weights.safetensors", method, about)
    _write_rows(folder / "per_image.csv", rows)
    result = {
        "id": trial.id,
        "trial": trial.model_dump(),
        "n": {part: len(getattr(split, part)) for part in ("labelled", "unlabelled", "validation")}
        | {"test": len(test)},
        "scores": scores,
        "selection": selection,
        "seconds": {"train": round(seconds, 2), "score": round(time.perf_counter() - started, 2)},
        "provenance": {
            "command": trial.command,
            "seed": trial.seed,
            "data": _fingerprint(pictures)[:16],
            "split": split.fingerprint(pictures.ids)[:16],
            "device": device_name(fabric.device),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            **environment(),
        },
    }
    atomic_write(folder / "result.json", json.dumps(result, indent=1))
    if not keep_snapshots:
        shutil.rmtree(folder / "snapshots", ignore_errors=True)
    (folder / "state.pt").unlink(missing_ok=True)
    report("score", 2, 2)
    return result


@lru_cache(maxsize=8)
def _fingerprint(pictures: Pictures) -> str:
    return pictures.fingerprint()


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    atomic_write(path, text.getvalue())


def load_run(folder: Path) -> tuple[Method, Trial]:
    """A trained method from its run folder, ready to predict.

    Raises
    ------
    InputError
        No run folder, an unfinished one, or weights that are damaged or another network's.
    """
    config = folder / "config.json"
    if not config.is_file():
        raise InputError(f"{folder} is no run folder (no config.json)", "give a folder that `tutseg train` wrote")
    try:
        trial = make_trial(**json.loads(config.read_text()))
    except (ValueError, TypeError) as error:
        raise InputError(f"{config} is damaged", "train again") from error
    weights = folder / "weights.safetensors"
    if not weights.is_file():
        raise InputError(f"{folder} is not finished (no weights.safetensors)", "run the same `tutseg train` again")
    method = build_method(trial.method, net=trial.net, size=trial.size, **trial.options)
    load_weights(weights, method)
    return method.eval(), trial
