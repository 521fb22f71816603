"""IIC on one picture: clusters that tell the most about themselves after the picture was changed.

Ji, Henriques, Vedaldi, "Invariant Information Clustering for Unsupervised Image Classification and Segmentation",
ICCV 2019. Unlike S3-Net's code it transforms the *input* and undoes the move on the output. Published for data sets;
SGSCN and S3-Net print it for single pictures without saying how.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from tutseg.methods.one_image.base import OneImageMethod, OnStep, Step
from tutseg.methods.one_image.kanezaki import trunk
from tutseg.methods.one_image.stack import Stack
from tutseg.methods.one_image.warps import affine_grid, inside, move
from tutseg.methods.options import Count, NotNegative, Positive, Several, Whole, checked

MOST_ANGLE, MOST_SCALE, MOST_SHIFT, MOST_CONTRAST, MOST_BRIGHTNESS = 20.0, 0.15, 0.05, 0.3, 0.15


class _Net(nn.Module):
    """Cluster probabilities of the main head and of the over-clustering head."""

    def __init__(self, channels: int, k: int, over: int) -> None:
        super().__init__()
        self.features = trunk(channels)
        self.main, self.auxiliary = nn.Conv2d(channels, k, 1), nn.Conv2d(channels, over, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(images)
        return self.main(features).softmax(1), self.auxiliary(features).softmax(1)


def joint_matrix(p: Tensor, q: Tensor, valid: Tensor, reach: int) -> Tensor:
    """Joint distribution of the clusters of a pixel and of the changed picture's pixels near it.

    ``P[i, j] ∝ Σ_u Σ_{|t| <= reach} p_i(u) q_j(u + t)``, made symmetric and summing to 1. The sum over the box of
    displacements is a box filter of q, so the cost does not grow with it.

    Parameters
    ----------
    p, q : Tensor
        ``(B, k, H, W)``, probabilities of the picture and, in the same frame, of its changed copy.
    valid : Tensor
        bool ``(B, H, W)``: where q is known.
    reach : int
        Largest displacement in pixels.

    Returns
    -------
    Tensor
        ``(B, k, k)``.
    """
    mask = valid[:, None].to(p.dtype)
    near = F.avg_pool2d(q * mask, 2 * reach + 1, stride=1, padding=reach)
    joint = torch.einsum("bihw,bjhw->bij", p * mask, near)
    joint = joint + joint.transpose(1, 2)
    return joint / joint.sum((1, 2), keepdim=True)


def information_loss(joint: Tensor, entropy_weight: float = 1.0) -> Tensor:
    """Minus the mutual information Σ P (ln P - λ ln P_i - λ ln P_j); ``(B,)``.

    With λ = 1 its least value is -ln k, for k equal clusters that predict each other exactly.

    Parameters
    ----------
    joint : Tensor
        ``(B, k, k)``, symmetric, summing to 1.
    entropy_weight : float
        λ; above 1 it asks more strongly for clusters of equal size.
    """
    joint = joint.clamp(min=torch.finfo(joint.dtype).eps)
    marginal = joint.sum(2).log()
    return -(joint * (joint.log() - entropy_weight * (marginal[:, :, None] + marginal[:, None]))).sum((1, 2))


class IIC(OneImageMethod):
    """Mutual information between a picture's clusters and those of its changed copy.

    The published training takes the two heads in alternating epochs; a single picture has none, so their losses are
    added.

    Parameters
    ----------
    k, over : int
        Clusters of the head that is used, and of the auxiliary one.
    reach : int
        Pixels by which pairs may lie apart (10 as published).
    entropy_weight : float
        λ.
    lr : float
        Of Adam; larger than the published 1e-4, which is for thousands of epochs.
    """

    @checked
    def __init__(
        self,
        seed: Whole = 0,
        steps: Count = 100,
        k: Several = 3,
        over: Several = 15,
        reach: Whole = 10,
        entropy_weight: NotNegative = 1.0,
        channels: Count = 64,
        lr: Positive = 1e-2,
    ) -> None:
        super().__init__(seed, steps)
        self.k, self.over, self.reach, self.entropy_weight = k, over, reach, entropy_weight
        self.channels, self.lr = channels, lr

    def changed(self, images: Tensor, chance: Sequence[np.random.Generator]) -> tuple[Tensor, Tensor, Tensor]:
        """A copy of each picture with other colours, moved; the grid that undoes the move; where that is valid."""
        draws = torch.from_numpy(np.stack([rng.uniform(-1, 1, (3, 3)) for rng in chance])).to(images)
        contrast = 1 + MOST_CONTRAST * draws[:, 0, :, None, None]
        copies = (images - 0.5) * contrast + 0.5 + MOST_BRIGHTNESS * draws[:, 1, :1, None, None]
        motion = {
            "angle": draws[:, 1, 1] * MOST_ANGLE,
            "scale": 1 + draws[:, 1, 2] * MOST_SCALE,
            "shear": torch.zeros_like(draws[:, 0, 0]),
            "shift": draws[:, 2, :2] * MOST_SHIFT,
        }
        shape = tuple(images.shape[2:])
        there, back = affine_grid(shape, **motion), affine_grid(shape, **motion, inverse=True)
        return move(copies.clamp(0, 1), there), back, inside(back)

    def cluster(self, images: Tensor, seeds: Sequence[int], on_step: OnStep | None = None) -> Tensor:
        make = lambda: _Net(self.channels, self.k, self.over)
        stack = Stack(make, seeds, images, partial(Adam, lr=self.lr))
        chance = [np.random.default_rng(seed) for seed in seeds]
        everyone = torch.arange(len(images), device=images.device)
        for number in range(self.steps):
            copies, back, valid = self.changed(images, chance)
            terms = {}
            here = stack(images)
            for name, p, q in zip(("main", "auxiliary"), here, stack(copies), strict=True):
                joint = joint_matrix(p, move(q, back), valid, self.reach)
                terms[name] = information_loss(joint, self.entropy_weight)
            if on_step:
                labels = here[0].detach().argmax(1)
                on_step(Step(number, everyone, labels, {name: term.detach() for name, term in terms.items()}))
            stack.descend(sum(terms.values()))
        with torch.no_grad():
            return stack(images)[0].argmax(1)
