"""Segmentation losses that more than one method uses; all in float32, whatever the precision of the logits."""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor


def soft_dice(probability: Tensor, target: Tensor, smooth: float = 1e-5, weight: Tensor | None = None) -> Tensor:
    """Soft Dice loss over the whole batch at once, with squared denominator, as DME-FD's code computes it.

    ``1 - (2 Σ p y + s) / (Σ p² + Σ y² + s)``: one ratio a batch, so a picture weighs as much as its lesion is large.

    Parameters
    ----------
    probability, target : Tensor
        The same shape ``(B, 1, H, W)``, values in [0, 1]. No gradient is stopped here: detach a pseudo-label first.
    smooth : float
        `s`; makes the loss of two empty masks 0.
    weight : Tensor, optional
        Factor of each pixel in all three sums, same shape.

    Returns
    -------
    Tensor
        Scalar in [0, 1).
    """
    p, y = probability.float(), target.float()
    if weight is not None:
        w = weight.float()
        return 1 - (2 * (w * p * y).sum() + smooth) / ((w * p.square()).sum() + (w * y.square()).sum() + smooth)
    return 1 - (2 * (p * y).sum() + smooth) / (p.square().sum() + y.square().sum() + smooth)


def bce(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, the mean over ALL pixels.

    Parameters
    ----------
    logits, target : Tensor
        The same shape ``(B, 1, H, W)``; target in [0, 1].
    weight : Tensor, optional
        Factor of each pixel, same shape. The sum is still divided by the number of pixels, not by the sum of
        weights, as UniMatch (weight 0 below the confidence threshold) and CCVC (2 on conflicts) do.
    """
    return F.binary_cross_entropy_with_logits(
        logits.float(), target.float(), None if weight is None else weight.float()
    )


def bce_dice(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """``0.5 (BCE + soft Dice)``: DME-FD's supervised, CPS and mask-ensemble loss (`L_bce,dice`)."""
    return 0.5 * (bce(logits, target, weight) + soft_dice(torch.sigmoid(logits.float()), target, weight=weight))


def bce_plus_dice(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """``BCE + Dice``, SSGNet Eq. 2-4: Dice of each picture, unsquared, then the mean over the batch.

    Parameters
    ----------
    logits, target : Tensor
        The same shape ``(B, 1, H, W)``; target in {0, 1}.
    smooth : float
        Epsilon of Eq. 3, 1 in the published code.
    """
    p, y = torch.sigmoid(logits.float()).flatten(1), target.float().flatten(1)
    dice = (2 * (p * y).sum(1) + smooth) / (p.sum(1) + y.sum(1) + smooth)
    return bce(logits, target) + 1 - dice.mean()


def t_vmf(c: Tensor, kappa: Tensor) -> Tensor:
    """The t-vMF similarity ``(1 + c) / (1 + kappa (1 - c)) - 1`` of a cosine `c`, in [-1, 1].

    It is `c` itself at ``kappa = 0``; the larger kappa, the nearer to 1 a cosine must be for a similarity near 1.
    """
    return (1 + c) / (1 + kappa * (1 - c)) - 1


def t_vmf_dice(logits: Tensor, target: Tensor, kappa: Tensor) -> Tensor:
    """The t-vMF Dice loss of Kato and Hotta (2023): the mean over both classes of ``(1 - t_vmf(c, kappa))^2``.

    `c` is the cosine between a class's map of probabilities and its map of labels, over all pixels of the batch; of a
    class that the labels do not have it is 0.

    Parameters
    ----------
    logits, target : Tensor
        The same shape ``(B, 1, H, W)``; target in {0, 1}.
    kappa : Tensor
        ``(2,)``, of background and lesion, >= 0.
    """
    p, y = torch.sigmoid(logits.float()).flatten(), target.float().flatten()
    maps, labels = torch.stack([1 - p, p]), torch.stack([1 - y, y])
    return (1 - t_vmf(F.cosine_similarity(maps, labels), kappa)).square().mean()


def edge_of(masks: Tensor) -> Tensor:
    """1 where the 3x3 neighbourhood of a pixel holds both labels, else 0; of the masks' shape ``(B, 1, H, W)``."""
    return F.max_pool2d(masks, 3, 1, 1) + F.max_pool2d(-masks, 3, 1, 1)


def edge_points(heads: Mapping[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
    """XBound-Former's loss of boundary points: the sum over scales of the mean cross-entropy.

    Parameters
    ----------
    heads : mapping of str to Tensor
        A net's further heads; those named "edge..." are logits ``(B, 1, h, w)`` of how likely a cell holds an edge.
    mask : Tensor
        ``(B, 1, H, W)`` in {0, 1}. A cell holds an edge where any of its pixels does.

    Returns
    -------
    dict
        The one term "edge", or none where the net has no such heads.
    """
    points = [logits for name, logits in heads.items() if name.startswith("edge")]
    edge = edge_of(mask) if points else mask
    loss = [bce(logits, F.adaptive_max_pool2d(edge, logits.shape[-2:])) for logits in points]
    return {"edge": torch.stack(loss).sum()} if loss else {}


def signed_distance(mask: Tensor) -> Tensor:
    """The second head's target: SAM-KD's signed distance function of section 2.1, each side brought to [-1, 1].

    ``phi(x)`` is the Euclidean distance to the nearest pixel of the border: with a minus inside, 0 on the border, with
    a plus outside. The border belongs to the region: its pixels that have a neighbour (of four) outside, or lie at the
    picture's edge. The paper leaves phi in pixels; here each side is divided by its largest value, as DTC does, since a
    head with tanh could not say more.

    Parameters
    ----------
    mask : Tensor
        ``(B, 1, H, W)`` in {0, 1}.

    Returns
    -------
    Tensor
        float32, of the mask's shape and on its device. All 0 where the mask is empty: there is no border.
    """
    maps = np.zeros(mask.shape, np.float32)
    for inside, phi in zip(mask[:, 0].cpu().numpy() > 0, maps[:, 0], strict=True):
        if inside.any():
            border = inside & ~ndimage.binary_erosion(inside)
            distance = ndimage.distance_transform_edt(~border)
            for side, sign in ((inside, -1), (~inside, 1)):
                phi[side] = sign * distance[side] / max(distance[side].max(initial=0), 1)
    return torch.from_numpy(maps).to(mask.device)
