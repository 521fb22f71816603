"""Everything that happened while one picture was segmented, for figures and tables."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tutseg.methods.one_image.base import OneImageMethod, Step


@dataclass(frozen=True)
class Trace:
    """What happened to one picture.

    Parameters
    ----------
    labels : numpy.ndarray
        uint8 ``(T, H, W)``: the cluster map at each iteration.
    clusters : numpy.ndarray
        int64 ``(T,)``: how many clusters each map holds.
    losses : dict of numpy.ndarray
        The weighted terms, each float32 ``(T,)``.
    result : numpy.ndarray
        uint8 ``(H, W)``: what `segment` returns.
    """

    labels: np.ndarray
    clusters: np.ndarray
    losses: dict[str, np.ndarray]
    result: np.ndarray


def trace(method: OneImageMethod, image: Tensor, seed: int | None = None) -> Trace:
    """Segment one picture ``(3, H, W)`` and keep every iteration; a method without iterations has T = 0."""
    steps: list[Step] = []
    result = method.segment(image[None], None if seed is None else [seed], steps.append)[0]
    maps = [step.labels[0] for step in steps]
    names = list(steps[0].losses) if steps else []
    return Trace(
        labels=np.array([m.cpu().numpy() for m in maps], dtype=np.uint8).reshape(len(maps), *result.shape),
        clusters=np.array([int(m.unique().numel()) for m in maps], dtype=np.int64),
        losses={n: np.array([float(step.losses[n][0]) for step in steps], dtype=np.float32) for n in names},
        result=result.cpu().numpy().astype(np.uint8),
    )
