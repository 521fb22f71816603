"""Which labels a trained network holds to be wrong, and whether it is right where that is known.

A *doubt* is a map of each training picture, the higher the less the pixel's label is believed: the plain loss of the
network, and what the method itself has to say (`Method.doubts`), such as DALE's omega.

Wrong and right labels are told apart by the area under the ROC curve. Noise that only adds lesion is found by any map
that is high on lesion, so the area is computed within each label, and "label" says which.
"""

import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric

from tutseg.data.loader import Pictures, step_indices
from tutseg.errors import InputError
from tutseg.files import atomic_write, csv_rows, csv_text
from tutseg.methods.base import Method
from tutseg.training.checkpoint import load_weights
from tutseg.training.evidence import DOUBT_SCORES
from tutseg.training.fit import snapshot_path, snapshot_steps
from tutseg.training.trial import Trial

NOISE = "noise.npz"  # in a run folder: ids of the labelled pictures, their masks, which pixels are changed
DOUBT_MAPS = (
    "doubts.npz"  # in a run folder: ids, and a map of each picture by the name of each doubt, after the last step
)
PASSES = 4  # over the pictures, in batches drawn anew, since what a method says of one depends on its batch
NEAR = 8  # pixels: an outline's surroundings are the squares of this width that it crosses
REGIONS = {"picture": "all pixels", "outline": f"squares of {NEAR} pixels with an outline in them"}
LABELS = ("lesion", "background")


def doubts_of(
    method: Method, pictures: Pictures, trial: Trial, fabric: Fabric, passes: int = PASSES
) -> dict[str, np.ndarray]:
    """Every doubt of a method about the masks of some pictures, on the device of `fabric`.

    Returns
    -------
    dict
        "loss", the cross-entropy of the default view, and what `Method.doubts` gives: each float32 ``(N, S, S)``.
    """
    method.eval()
    loss = []
    with torch.inference_mode():
        for at in torch.arange(len(pictures)).split(64):
            images, masks = pictures.floats(at)
            loss.append(F.binary_cross_entropy(method.predict(images), masks, reduction="none")[:, 0].cpu())
    found = {"loss": torch.cat(loss).numpy()}
    method.train()
    seen = np.zeros(len(pictures))
    sums: dict[str, np.ndarray] = {}
    for step in range(math.ceil(passes * len(pictures) / trial.batch)):
        fabric.seed_everything((trial.seed * 1_000_003 + step) % 2**32, verbose=False)
        at = step_indices(len(pictures), trial.batch, step, trial.seed)
        own = method.doubts(*pictures.floats(at), trial.lr)
        if not own:
            break
        np.add.at(seen, at.numpy(), 1)
        for name, values in own.items():
            total = sums.setdefault(name, np.zeros_like(found["loss"]))
            np.add.at(total, at.numpy(), values[:, 0].float().cpu().numpy())
    method.eval()
    return found | {name: total / seen[:, None, None] for name, total in sums.items()}


def surroundings(masks: np.ndarray) -> np.ndarray:
    """Which pixels of masks ``(N, S, S)`` lie in a square of `NEAR` pixels that holds both labels; bool."""
    n, height, width = masks.shape
    grown = np.pad(masks, ((0, 0), (0, -height % NEAR), (0, -width % NEAR)), mode="edge")
    squares = grown.reshape(n, grown.shape[1] // NEAR, NEAR, -1, NEAR)
    mixed = squares.max((2, 4)) != squares.min((2, 4))
    return mixed.repeat(NEAR, 1).repeat(NEAR, 2)[:, :height, :width]


def score_doubt(doubt: np.ndarray, masks: np.ndarray, changed: np.ndarray) -> list[dict[str, Any]]:
    """How well a doubt tells wrong labels from right ones.

    Parameters
    ----------
    doubt : numpy.ndarray
        ``(N, S, S)``.
    masks, changed : numpy.ndarray
        bool ``(N, S, S)``: the labels as given, and which of them are wrong.

    Returns
    -------
    list of dict
        One for each of `REGIONS` and `LABELS`: ``region``, ``label``, ``auc`` (1: every wrong label is doubted more
        than any right one; .5: chance; None where all are right or all are wrong), ``wrong`` and ``pixels``.
    """
    from sklearn.metrics import roc_auc_score  # loads for a second, and only trials with label noise have use for it

    rows = []
    for region, inside in (("picture", np.ones_like(changed)), ("outline", surroundings(masks))):
        for label in LABELS:
            here = inside & (masks == (label == "lesion"))
            wrong, pixels = int(changed[here].sum()), int(here.sum())
            auc = float(roc_auc_score(changed[here], doubt[here])) if 0 < wrong < pixels else None
            rows.append({"region": region, "label": label, "auc": auc, "wrong": wrong, "pixels": pixels})
    return rows


def record_doubts(
    method: Method,
    trial: Trial,
    folder: Path,
    pictures: Pictures,
    changed: np.ndarray,
    fabric: Fabric,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write `DOUBT_SCORES` of every kept step and `DOUBT_MAPS` of the last one into a run folder.

    `pictures` are the labelled ones as training saw them, `changed` ``(N, S, S)`` says which of their labels are wrong.
    """
    masks, rows = pictures.masks[:, 0].cpu().numpy() > 0, []
    maps: dict[str, np.ndarray] = {}
    steps = snapshot_steps(trial)
    for done, step in enumerate(steps, 1):
        load_weights(snapshot_path(folder, step), method)
        maps = doubts_of(method, pictures, trial, fabric)
        for name, doubt in maps.items():
            rows += [{"step": step, "doubt": name, **row} for row in score_doubt(doubt, masks, changed)]
        on_step(done, len(steps))
    rounded = [row | {"auc": "" if row["auc"] is None else f"{row['auc']:.4f}"} for row in rows]
    atomic_write(folder / DOUBT_SCORES, csv_text(rounded))
    kept = {"ids": np.array(pictures.ids), **maps}
    atomic_write(folder / DOUBT_MAPS, lambda file: np.savez_compressed(file, **kept))


def read_maps(path: Path, size: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """The arrays of `NOISE`, `DOUBT_MAPS` or a file like them: "ids" ``(N,)`` and maps ``(N, S, S)``.

    Raises
    ------
    InputError
        No such file, none of numpy's, or arrays that do not go together.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise InputError(
            f"{path} does not exist", "give a file of maps, or the folder of a run with --noise"
        ) from error
    except (OSError, ValueError, AttributeError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is no file of maps", "write one with numpy.savez: ids, and maps (N, S, S)") from error
    if "ids" not in arrays or arrays["ids"].ndim != 1:
        raise InputError(f"{path} has no ids", "name the pictures of its maps, one a row")
    for name, array in arrays.items():
        if name != "ids" and (array.ndim != 3 or len(array) != len(arrays["ids"])):
            raise InputError(f"{path}: {name} is {array.shape}", f"give a map of each of its {len(arrays['ids'])} ids")
        if name != "ids" and array.dtype.kind not in "biuf":
            raise InputError(f"{path}: {name} holds no numbers", "give maps of numbers")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(f"{path}: {name} has values that are not finite", "give finite ones")
    return arrays


def scores_of_run(run: Path) -> list[dict[str, Any]]:
    """What a run with label noise recorded (`record_doubts`); an InputError where it has not."""
    read_noise(run)
    if not (run / DOUBT_SCORES).exists():
        raise InputError(f"{run} has no {DOUBT_SCORES}", "finish the run: the same `tutseg train` goes on")
    return [
        {
            **row,
            **{name: int(row[name]) for name in ("step", "wrong", "pixels")},
            "auc": float(row["auc"]) if row["auc"] else None,
        }
        for row in csv_rows(run / DOUBT_SCORES)
    ]


def score_maps(maps: Path, run: Path) -> list[dict[str, Any]]:
    """Doubts of a file (see `read_maps`) against the label noise of a run; rows as of `score_doubt`, with ``doubt``.

    Raises
    ------
    InputError
        The run had no label noise, or a map lacks a picture or has another size.
    """
    truth, given = read_noise(run), read_maps(maps)
    place = {name: i for i, name in enumerate(given["ids"].tolist())}
    lacking = [name for name in truth["ids"].tolist() if name not in place]
    if lacking:
        raise InputError(f"{maps} has no map of {lacking[0]}", f"give one of each picture in {run / NOISE}")
    at, rows = [place[name] for name in truth["ids"].tolist()], []
    for name, doubt in given.items():
        if name == "ids":
            continue
        if doubt.shape[1:] != truth["changed"].shape[1:]:
            own, wanted = (" x ".join(map(str, each.shape[1:])) for each in (doubt, truth["changed"]))
            raise InputError(f"{maps}: {name} is of {own} pixels", f"give maps of {wanted}")
        rows += [{"doubt": name, **row} for row in score_doubt(doubt[at], truth["masks"], truth["changed"])]
    return rows


def read_noise(run: Path) -> dict[str, np.ndarray]:
    """A run's label noise: ``ids`` ``(N,)``, ``masks`` as training saw them and which pixels are ``changed``, bool."""
    if not (run / NOISE).exists():
        raise InputError(f"{run} has no {NOISE}", "give the folder of a run with label noise, `tutseg train --noise`")
    return read_maps(run / NOISE)
