"""k-means on colours, for many pictures at once; the baseline of every paper here, and DeepCluster's teacher."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tutseg.methods.one_image.base import OneImageMethod, OnStep
from tutseg.methods.options import Count, Several, Whole, checked


def nearest(points: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Index of and squared distance to the nearest centre: ``(B, N, D)``, ``(B, k, D)`` to two ``(B, N)``."""
    square = torch.cdist(points, centres, compute_mode="donot_use_mm_for_euclid_dist").square()
    distance, index = square.min(2)
    return index, distance


def plus_plus(points: Tensor, uniform: Tensor) -> Tensor:
    """k-means++: each further centre is a point drawn with probability ∝ squared distance to the nearest centre.

    Parameters
    ----------
    points : Tensor
        ``(B, N, D)``.
    uniform : Tensor
        ``(B, k)`` in [0, 1): the chance to be used.

    Returns
    -------
    Tensor
        ``(B, k, D)``.
    """
    b, n, d = points.shape
    distance = torch.full((b, n), torch.inf, dtype=points.dtype, device=points.device)
    chosen = (uniform[:, :1] * n).long()
    centres = []
    for i in range(uniform.shape[1]):
        if i:
            total = distance.double().cumsum(1)
            chosen = torch.searchsorted(total, uniform[:, i : i + 1].double() * total[:, -1:], right=True)
        centres.append(points.gather(1, chosen.clamp(max=n - 1)[:, :, None].expand(-1, -1, d)))
        distance = torch.minimum(distance, (points - centres[-1]).square().sum(2))
    return torch.cat(centres, dim=1)


def lloyd(points: Tensor, centres: Tensor, iterations: int = 300) -> tuple[Tensor, Tensor, Tensor]:
    """Lloyd's algorithm until no assignment changes.

    An empty cluster takes the point furthest from its centre. Clusterings that have settled stay as they are while
    others in the batch go on.

    Returns
    -------
    tuple of Tensor
        Labels ``(B, N)``, centres ``(B, k, D)`` and inertia ``(B,)``, the sum of squared distances.
    """
    k = centres.shape[1]
    labels, distance = nearest(points, centres)
    for _ in range(iterations):
        one_hot = torch.nn.functional.one_hot(labels, k).to(points.dtype)
        size = one_hot.sum(1)
        centres = (one_hot.transpose(1, 2) @ points) / size.clamp(min=1)[:, :, None]
        for b, empty in (size == 0).nonzero().tolist():
            centres[b, empty] = points[b, distance[b].argmax()]
        new, distance = nearest(points, centres)
        if torch.equal(new, labels):
            break
        labels = new
    return labels, centres, distance.sum(1)


def k_means(points: Tensor, k: int, restarts: int, chance: Sequence[np.random.Generator]) -> Tensor:
    """The best of several k-means++ starts.

    Parameters
    ----------
    points : Tensor
        ``(B, N, D)``.
    k, restarts : int
        Clusters, and starts of which the one with the smallest inertia is kept.
    chance : sequence of numpy.random.Generator
        One a picture.

    Returns
    -------
    Tensor
        int64 labels ``(B, N)``.
    """
    best, least = None, None
    uniform = torch.from_numpy(np.stack([rng.random((restarts, k)) for rng in chance])).to(points)
    for start in range(restarts):
        labels, _, inertia = lloyd(points, plus_plus(points, uniform[:, start]))
        if best is None:
            best, least = labels, inertia
        else:
            better = inertia < least
            best, least = torch.where(better[:, None], labels, best), torch.where(better, inertia, least)
    return best


class KMeans(OneImageMethod):
    """k-means of the pixels' colours.

    Parameters
    ----------
    k : int
        Clusters. No paper states its k; 2 and 3 are usual.
    restarts : int
        Starts of which the best is kept.
    """

    @checked
    def __init__(self, seed: Whole = 0, steps: Count = 1, k: Several = 3, restarts: Count = 10) -> None:
        super().__init__(seed, steps)
        self.k, self.restarts = k, restarts

    def cluster(self, images: Tensor, seeds: Sequence[int], on_step: OnStep | None = None) -> Tensor:
        points = images.flatten(2).transpose(1, 2)
        labels = k_means(points, self.k, self.restarts, [np.random.default_rng(seed) for seed in seeds])
        return labels.reshape(-1, *images.shape[2:])
