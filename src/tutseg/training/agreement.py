"""What a student and the Segment Anything that teaches it have in common, at every kept step of a training."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tutseg.data.loader import Pictures
from tutseg.methods.base import Method
from tutseg.training.checkpoint import load_weights
from tutseg.training.fit import snapshot_path, snapshot_steps
from tutseg.training.run import Run
from tutseg.training.start import build_for

See = Callable[[Method, Tensor], Tensor]  # a method and images to SAM's feature map Z (B, D, h, w)


def at_step(run: Run, step: int) -> Method:
    """A run's method as it was after `step` steps, for evaluation, with the networks that it borrows.

    Parameters
    ----------
    run : Run
        With snapshots.
    step : int
        One of `snapshot_steps`, or 0: before the first step.
    """
    method = build_for(run.trial)
    if step:
        load_weights(snapshot_path(run.folder, step), method)
    return method.eval()


@torch.inference_mode()
def outputs_of(method: Method, pictures: Pictures) -> dict[str, np.ndarray]:
    """What SAM-KD's networks say, each ``(n, S, S)``: "main" and "sdf" of the main network, "sam" of SAM told by it.

    The first and the last are logits.
    """
    images, _ = pictures.floats(torch.arange(len(pictures)))
    out = method.eval().net(images)
    said = {"main": out.logits, "sdf": out.heads["sdf"], "sam": method.ask(method.see(images), out)}
    return {name: each[:, 0].float().numpy() for name, each in said.items()}


@torch.inference_mode()
def seen_positions(see: See, method: Method, pictures: Pictures) -> tuple[np.ndarray, np.ndarray]:
    """SAM's features at every position of its map ``(n h w, D)``, and the share of lesion under each ``(n h w,)``."""
    images, _ = pictures.floats(torch.arange(len(pictures)))
    z = see(method.eval(), images).float()
    lesion = F.adaptive_avg_pool2d(pictures.need("truth").truth.float(), z.shape[-2:])
    return _rows(z), lesion.flatten().numpy()


def _rows(maps: Tensor) -> np.ndarray:
    return maps.permute(0, 2, 3, 1).flatten(0, 2).numpy()


def gram_cosine(a: np.ndarray, b: np.ndarray) -> float:
    """How alike two networks find the same places: the cosine of their centred Gram matrices, in [0, 1].

    Features of different networks have different channels, so their vectors have no cosine; the matrices of all inner
    products between places have one (linear CKA, Kornblith et al. 2019). Turning or scaling the features changes
    nothing.

    Parameters
    ----------
    a, b : numpy.ndarray
        A row a place, ``(n, C)`` and ``(n, D)``.
    """
    a, b = a - a.mean(0), b - b.mean(0)
    length = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(np.square(np.linalg.norm(a.T @ b)) / length) if length else 0.0


@torch.inference_mode()
def feature_cosine(run: Run, pictures: Pictures, sees: Mapping[str, See]) -> dict[str, np.ndarray]:
    """`gram_cosine` of the student's bottleneck and of SAM's map, which is averaged down to the same places.

    Parameters
    ----------
    run : Run
        With snapshots.
    pictures : Pictures
        Some that it was not trained on.
    sees : mapping
        By its name, whose map: SAM's as its file has it, say, and as the method adapted it.

    Returns
    -------
    dict
        ``step``, from 0, and by each name the cosine at it, as a log of `tutseg.report.lines.curves`.
    """
    images, _ = pictures.floats(torch.arange(len(pictures)))
    steps = [0, *snapshot_steps(run.trial)]
    found: dict[str, list[float]] = {name: [] for name in sees}
    for step in steps:
        method = at_step(run, step)
        student = method.features(images)[0].float()
        for name, see in sees.items():
            sam = F.adaptive_avg_pool2d(see(method, images).float(), student.shape[-2:])
            found[name].append(gram_cosine(_rows(student), _rows(sam)))
    return {"step": np.array(steps)} | {name: np.array(values) for name, values in found.items()}
