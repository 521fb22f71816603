"""Scoring a trained method on pictures it never saw, by every view and every way of choosing the weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric

from tutseg import metrics
from tutseg.data.loader import Pictures
from tutseg.methods.base import Method
from tutseg.training.checkpoint import load_weights
from tutseg.training.fit import snapshot_path, snapshot_steps
from tutseg.training.trial import Trial

Measure = Callable[[Method, Pictures, str], dict[str, float]]  # method, pictures, view -> named means
OFFICIAL_BATCH = 5  # the evaluation batch of DME-FD's script, over which it pools Dice


@torch.inference_mode()
def foreground(method: Method, pictures: Pictures, view: str, fabric: Fabric, batch: int = 64) -> np.ndarray:
    """Boolean masks ``(N, S, S)``: foreground probability of `view` at least 0.5."""
    method.eval()
    masks = []
    for at in torch.arange(len(pictures)).split(batch):
        images, _ = pictures.floats(at)
        with fabric.autocast():
            probability = method.predict(images.to(fabric.device), view)
        masks.append((probability >= 0.5)[:, 0].cpu().numpy())
    return np.concatenate(masks)


def truth_of(pictures: Pictures) -> np.ndarray:
    """Boolean truth ``(N, S, S)``."""
    return pictures.need("truth").truth[:, 0].cpu().numpy().astype(bool)


def means_of(prediction: np.ndarray, truth: np.ndarray, score: str) -> dict[str, float]:
    """A score's mean per image, and over pooled batches of five as DME-FD's script averages it."""
    table = metrics.table_from_counts(
        dict(zip(metrics.COUNTS, metrics.counts(prediction, truth).T, strict=True)), batch=OFFICIAL_BATCH
    )
    return {f"{score}_{averaging}": table[score][averaging]["mean"] for averaging in ("per_image", "batch")}


def choose_weights(
    method: Method, trial: Trial, folder: Path, validation: Pictures, test: Pictures, measure: Measure
) -> dict[str, dict[str, Any]]:
    """What three ways of choosing among the kept weights give on the test pictures.

    "last" takes the last step, "validation" the step whose default view is best on the validation part, and "test"
    the step *and* branch best on the test pictures themselves, as DME-FD's script does. The last is no estimate of
    anything; it is here because its distance from the others is a result.

    Parameters
    ----------
    method, trial, folder
        Whose kept weights are tried.
    validation, test : Pictures
        The former may be empty.
    measure : callable
        Method, pictures and view to means, the more the better. The first chooses on the validation part, the last on
        the test pictures.

    Returns
    -------
    dict
        For each way: ``step``, ``view``, the means on the test pictures, and where there is a validation part
        ``on_validation``, the first of them there.
    """
    found, means = [], {}
    for step in snapshot_steps(trial):
        load_weights(snapshot_path(folder, step), method)
        on_validation = float("nan")
        if len(validation):
            on_validation = next(iter(measure(method, validation, method.views[0]).values()))
        for view in method.views:
            means = measure(method, test, view)
            found.append({"step": step, "view": view, **means, "on_validation": on_validation})
    default = [row for row in found if row["view"] == method.views[0]]
    chosen = {"last": default[-1], "test": max(found, key=lambda row: row[list(means)[-1]])}
    if len(validation):
        chosen["validation"] = max(default, key=lambda row: row["on_validation"])
    told = ("step", "view", *means, *(("on_validation",) if len(validation) else ()))
    return {way: {name: row[name] for name in told} for way, row in chosen.items()}


def score_views(method: Method, test: Pictures, fabric: Fabric) -> tuple[dict[str, dict], list[dict[str, Any]]]:
    """Scores of every view, and the per-image rows they come from.

    Returns
    -------
    scores : dict
        view -> metric -> averaging, as `tutseg.metrics.score`.
    rows : list of dict
        One a picture and view: ``id``, ``view``, counts and scores.
    """
    truth = truth_of(test)
    scores, rows = {}, []
    for view in method.views:
        prediction = foreground(method, test, view, fabric)
        each = metrics.per_image(prediction, truth)
        scores[view] = metrics.table_from_counts(each, batch=OFFICIAL_BATCH)
        columns = {name: values.tolist() for name, values in each.items()}
        rows += [
            {"id": name, "view": view, **{column: values[i] for column, values in columns.items()}}
            for i, name in enumerate(test.ids)
        ]
    return scores, rows


def dice_of(method: Method, pictures: Pictures, fabric: Fabric) -> np.ndarray:
    """Per-image Dice ``(N,)`` of the default view."""
    return metrics.per_image(foreground(method, pictures, method.views[0], fabric), truth_of(pictures))["dice"]


@torch.inference_mode()
def branch_vectors(method: Method, pictures: Pictures, softmax: bool = False) -> list[np.ndarray]:
    """Each network's bottleneck features, one vector a picture.

    Parameters
    ----------
    method : Method
        Trained; put into evaluation mode.
    pictures : Pictures
        On the method's device.
    softmax : bool
        Channel-softmaxed as in DME-FD Eq. 7 (then every cosine is positive) instead of raw.

    Returns
    -------
    list of numpy.ndarray
        ``(n, C h w)`` for each network.
    """
    images, _ = pictures.floats(torch.arange(len(pictures)))
    features = method.eval().features(images)
    return [(f.float().softmax(1) if softmax else f.float()).flatten(1).cpu().numpy() for f in features]


@torch.inference_mode()
def bottleneck_positions(method: Method, pictures: Pictures) -> tuple[np.ndarray, np.ndarray]:
    """The first network's features at every bottleneck position, and the share of lesion under each.

    Returns
    -------
    features : numpy.ndarray
        ``(n h w, C)``.
    lesion : numpy.ndarray
        ``(n h w,)`` in [0, 1].
    """
    images, _ = pictures.floats(torch.arange(len(pictures)))
    features = method.eval().features(images)[0].float()
    truth = pictures.need("truth").truth.float()
    lesion = torch.nn.functional.adaptive_avg_pool2d(truth, features.shape[-2:])
    return features.permute(0, 2, 3, 1).flatten(0, 2).cpu().numpy(), lesion.flatten().cpu().numpy()


@torch.inference_mode()
def weak_maps(method: Method, pictures: Pictures) -> list[np.ndarray]:
    """Each view's foreground probability of each picture, ``(n, S, S)``."""
    images, _ = pictures.floats(torch.arange(len(pictures)))
    return [method.eval().predict(images, view)[:, 0].float().cpu().numpy() for view in method.views]
