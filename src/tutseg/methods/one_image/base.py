"""The contract of a method that segments one picture with no labels: what S3-Net and its rivals share.

Such a method sees one picture and returns a map of clusters. Three things are kept apart here that the papers mix:

1. `OneImageMethod.segment` groups the pixels, and sees no truth.
2. `clusters.choose` says which cluster is the lesion. The papers ask the truth (``oracle``); the other rules do not.
3. `clusters.leak` deletes what lies far from the true lesion. The published evaluation code of S3-Net and MS-Former
   does that to the prediction it scores.

Every picture has a network, a seed and a stop of its own; no picture's result depends on its neighbours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tutseg.errors import InputError


@dataclass(frozen=True)
class Step:
    """One iteration of a method, as `segment` shows it to whoever watches.

    Parameters
    ----------
    number : int
        Iterations done before this one, from 0.
    pictures : Tensor
        int64 ``(A,)``: which of the batch's pictures are still running.
    labels : Tensor
        int64 ``(A, H, W)``: their cluster maps before this iteration's update.
    losses : dict of Tensor
        The weighted terms, each ``(A,)``.
    """

    number: int
    pictures: Tensor
    labels: Tensor
    losses: dict[str, Tensor]


OnStep = Callable[[Step], None]


class OneImageMethod:
    """A method that needs nothing but the picture. A subclass writes `cluster`.

    Parameters
    ----------
    seed : int
        Of everything random, where `segment` is given no seeds.
    steps : int
        The most iterations spent on a picture.
    """

    multiple_of: ClassVar[int] = 1

    def __init__(self, seed: int = 0, steps: int = 50) -> None:
        self.seed, self.steps = seed, steps

    def segment(self, images: Tensor, seeds: Sequence[int] | None = None, on_step: OnStep | None = None) -> Tensor:
        """Group the pixels of each picture.

        On a CPU the pictures go one by one: running them side by side costs more there than it saves (see
        ``benchmarks/one_image.py``).

        Parameters
        ----------
        images : Tensor
            float ``(B, 3, H, W)`` in [0, 1].
        seeds : sequence of int, optional
            One a picture; without it every picture has the method's own seed.
        on_step : callable, optional
            Called with a `Step` at every iteration of an iterative method.

        Returns
        -------
        Tensor
            int64 cluster maps ``(B, H, W)``. The numbers of the clusters mean nothing and may have gaps.

        Raises
        ------
        InputError
            Images of another shape, or of a size that the method cannot take.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise InputError(f"images have shape {tuple(images.shape)}", "give float images (B, 3, H, W) in [0, 1]")
        if any(side % self.multiple_of for side in images.shape[2:]):
            raise InputError(
                f"pictures of {images.shape[3]}x{images.shape[2]} pixels do not fit {type(self).__name__}",
                f"use a multiple of {self.multiple_of}",
            )
        seeds = [self.seed] * len(images) if seeds is None else list(seeds)
        if images.device.type != "cpu":
            return self.cluster(images, seeds, on_step)
        maps = []
        for i, seed in enumerate(seeds):
            watch = on_step and (
                lambda step, i=i: on_step(Step(step.number, torch.tensor([i]), step.labels, step.losses))
            )
            maps.append(self.cluster(images[i : i + 1], [seed], watch))
        return torch.cat(maps)

    def cluster(self, images: Tensor, seeds: Sequence[int], on_step: OnStep | None = None) -> Tensor:
        """What `segment` does, all pictures side by side."""
        raise NotImplementedError
