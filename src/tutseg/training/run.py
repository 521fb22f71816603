"""From a trial to its finished run folder, and from a run folder back to a network that predicts."""

import contextlib
import csv
import importlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import Timeout

from tutseg import __version__
from tutseg.errors import InputError
from tutseg.files import alone, atomic_write, csv_text, json_of, project_root, sha256
from tutseg.methods import build_method
from tutseg.methods.base import Method
from tutseg.training.checkpoint import load_weights
from tutseg.training.fit import make_fabric, snapshot_path
from tutseg.training.pictures import files_behind
from tutseg.training.stamp import stamp_of
from tutseg.training.start import hash_of, inputs_of
from tutseg.training.tasks import Job, Outcome, Report, task_of
from tutseg.training.trial import Trial, make_trial, result_in

WRITTEN = (
    "config.json", "state.pt", "log.csv", "noise.npz", "snapshots", "pictures.json", "maps", "images", "sheets",
    "per_image.csv", "weights.safetensors", "result.json", "doubts.csv", "doubts.npz",
)  # fmt: skip


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
    result = result_in(folder)
    return result if result and result["id"] == trial.id else None


def unchanged(folder: Path, trial: Trial, root: str | None) -> dict[str, Any] | None:
    """The result in `folder` if it belongs to `trial` and to the data as it is now, as far as its files tell.

    They do where the trial draws its pictures, and where the files' paths, sizes and times are as they were. If not,
    `run_trial` reads the pictures and compares those.
    """
    result = finished(folder, trial)
    if not result:
        return None
    files = files_behind(trial, root)
    return result if files == _config(folder)[1].get("files", "") else None


def _config(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """A run folder's trial, and what it was begun with: fingerprints of the data and of its files."""
    fields = json_of(folder / "config.json") or {}
    read = fields.pop("read", {})
    return fields, read if isinstance(read, dict) else {}


class _Done(Exception):
    """The trial turns out to be finished."""


def _same_data(folder: Path, recorded: dict[str, str], here: dict[str, str]) -> None:
    for use, found in here.items():
        if recorded.get(use, found) != found:
            raise InputError(
                f"{folder} was made from other data (fingerprint {recorded[use]}, here {found})",
                f"give --out {shlex.quote(f'{folder}-{found[:8]}')} for a run of its own, or the data that it was made "
                "from",
            )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a run folder against other processes; say so where one is at it, and wait."""
    try:
        lock = alone(folder)
        with contextlib.suppress(Timeout):
            lock.acquire(blocking=False)
    except OSError as error:
        raise InputError(f"cannot write {folder} ({error.strerror})", "choose another --out") from error
    if not lock.is_locked:
        warnings.warn(f"another process is at {folder}: waiting for it", stacklevel=2)
        lock.acquire()
    try:
        yield
    finally:
        if lock.lock_counter == 1:  # else a caller holds it too
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


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
    parents: Mapping[str, Path] = {},
) -> dict[str, Any]:
    """Run a trial and write its run folder; a finished one is returned as it is, an unfinished one goes on.

    Either only if it was made from the data that is here now: the same pictures, masks and groups, wherever they lie.
    Of two processes that are at one run folder, the second waits and then finds it finished.

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
    parents : mapping
        Id -> run folder of the trials that it is made from, where they are not kept in their own.

    Returns
    -------
    dict
        The content of ``result.json``.
    """
    folder = out or trial.folder
    if result := unchanged(folder, trial, root):
        return result
    config, fields = folder / "config.json", trial.model_dump()
    if config.exists():
        if {**Trial(method=trial.method).model_dump(), **_config(folder)[0]} != fields:  # a field may be newer than it
            raise InputError(f"{folder} holds another trial", "choose another --out, or delete it")
    elif taken := [name for name in WRITTEN if os.path.lexists(folder / name)]:
        raise InputError(f"{folder / taken[0]} is there already, and no run's", "choose another --out")

    fabric = make_fabric(device, trial.precision)
    torch.use_deterministic_algorithms(fabric.device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that takes a quarter of a step
    inputs = inputs_of(trial, parents)
    files = files_behind(trial, root)
    with contextlib.ExitStack() as held:

        def begin(origin: dict[str, str]) -> None:
            held.enter_context(_alone(folder))
            result = finished(folder, trial)
            _same_data(folder, result["provenance"] if result else _config(folder)[1], origin)
            read = {"read": {**origin, "files": files}} if files else {}
            atomic_write(config, json.dumps(fields | read, indent=1))
            if result:
                raise _Done

        job = Job(trial, folder, root, fabric, inputs, report, begin)
        try:
            outcome = importlib.import_module(task_of(trial.method).module).run(job)
        except _Done:
            return finished(folder, trial)
        return _keep(trial, folder, root, fabric.device, inputs, outcome, keep_snapshots, report)


def _keep(
    trial: Trial,
    folder: Path,
    root: str | None,
    device: torch.device,
    inputs: dict[str, Path],
    outcome: Outcome,
    keep_snapshots: bool,
    report: Report,
) -> dict[str, Any]:
    """Write what a run measured, the result last."""
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
            "command": trial.command_at(root),
            "seed": trial.seed,
            **outcome.origin,
            **{f"input {role}": hash_of(path)[:16] for role, path in inputs.items()},
            "device": device_name(device),
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
        json.loads(config.read_text(encoding="utf-8"))
        trial = make_trial(**_config(folder)[0])
    except (ValueError, TypeError) as error:
        raise InputError(f"{config} is damaged", "train again") from error
    weights = folder / "weights.safetensors"
    if not weights.is_file():
        raise InputError(f"{folder} is not finished (no weights.safetensors)", "run the same `tutseg train` again")
    method = build_method(trial.method, net=trial.net, size=trial.size, **trial.options)
    load_weights(weights, method)
    return method.eval(), trial
