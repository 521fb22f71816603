"""From a trial to its finished run folder, and from a run folder back to a network that predicts."""

import csv
import importlib
import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tutseg import __version__
from tutseg.errors import InputError
from tutseg.files import atomic_write, csv_text, json_of, project_root, sha256
from tutseg.methods import build_method
from tutseg.methods.base import Method
from tutseg.training.checkpoint import load_weights
from tutseg.training.fit import make_fabric, snapshot_path
from tutseg.training.stamp import stamp_of
from tutseg.training.start import hash_of, inputs_of
from tutseg.training.tasks import Job, Report, task_of
from tutseg.training.trial import Trial, make_trial


def _quiet(stage: str, done: int, total: int) -> None:
    """Report nothing."""


@lru_cache(maxsize=1)
def environment() -> dict[str, str]:
    """What a number depends on besides its trial and the code it reaches: versions, commit, lock file.

    The commit is ``$TUTSEG_COMMIT``, for sources that travelled without their history, else git's.
    """
    root = project_root()
    lock = root / "requirements.lock" if root else None
    commit = os.environ.get("TUTSEG_COMMIT", "")
    if not commit and root and (root / ".git").exists():
        asked = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True
        )
        commit = asked.stdout.strip()
    return {
        "tutseg": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit or "unknown",
        "lock": sha256(lock.read_bytes())[:16] if lock and lock.exists() else "unknown",
    }


def device_name(device: torch.device) -> str:
    """ "cpu (N threads)" or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({torch.get_num_threads()} threads)"


def finished(folder: Path, trial: Trial) -> dict[str, Any] | None:
    """The result in `folder` if it is there and belongs to `trial`."""
    result = json_of(folder / "result.json")
    return result if result and result.get("id") == trial.id else None


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
        return {name: np.array([float(row[name]) for row in rows]) for name in (rows[0] if rows else ())}

    def method(self, step: int | None = None) -> Method:
        """The trained method, or as it was after `step` steps where snapshots were kept."""
        method, _ = load_run(self.folder)
        if step is not None:
            load_weights(snapshot_path(self.folder, step), method)
        return method


def run_trial(
    trial: Trial,
    root: str | None = None,
    device: str = "auto",
    out: Path | None = None,
    report: Report = _quiet,
    keep_snapshots: bool = False,
) -> dict[str, Any]:
    """Run a trial and write its run folder; a finished one is returned as it is, an unfinished one goes on.

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
    task = task_of(trial.method)
    config = folder / "config.json"
    if config.exists() and json_of(config) != trial.model_dump():
        raise InputError(f"{folder} holds another trial", "choose another --out, or delete it")

    fabric = make_fabric(device, trial.precision)
    torch.use_deterministic_algorithms(fabric.device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that takes a quarter of a step
    inputs = inputs_of(trial)
    begin = lambda: atomic_write(config, json.dumps(trial.model_dump(), indent=1))
    outcome = importlib.import_module(task.module).run(Job(trial, folder, root, fabric, inputs, report, begin))
    atomic_write(folder / "per_image.csv", csv_text(_rounded(outcome.rows)))
    weights = folder / "weights.safetensors"
    result = {
        "id": trial.id,
        "trial": trial.model_dump(),
        "n": outcome.n,
        "scores": outcome.scores,
        "selection": outcome.selection,
        "seconds": {stage: round(seconds, 2) for stage, seconds in outcome.seconds.items()},
        **({"weights": hash_of(weights)} if weights.exists() else {}),
        "provenance": {
            "command": trial.command,
            "seed": trial.seed,
            **outcome.origin,
            **{f"input {role}": hash_of(path)[:16] for role, path in inputs.items()},
            "device": device_name(fabric.device),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "code": stamp_of(trial),
            **environment(),
        },
    }
    atomic_write(folder / "result.json", json.dumps(result, indent=1))
    if not keep_snapshots:
        shutil.rmtree(folder / "snapshots", ignore_errors=True)
    (folder / "state.pt").unlink(missing_ok=True)
    report("score", 1, 1)
    return result


def _rounded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} for row in rows]


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
