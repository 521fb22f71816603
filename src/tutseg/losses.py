"""Segmentation losses that more than one method uses; all in float32, whatever the precision of the logits."""

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_dice(probability: Tensor, target: Tensor, smooth: float = 1e-5) -> Tensor:
    """Soft Dice loss over the whole batch at once, with squared denominator, as DME-FD's code computes it.

    ``1 - (2 Σ p y + s) / (Σ p² + Σ y² + s)``: one ratio a batch, so a picture weighs as much as its lesion is large.

    Parameters
    ----------
    probability, target : Tensor
        The same shape ``(B, 1, H, W)``, values in [0, 1]. No gradient is stopped here: detach a pseudo-label first.
    smooth : float
        `s`; makes the loss of two empty masks 0.

    Returns
    -------
    Tensor
        Scalar in [0, 1).
    """
    p, y = probability.float(), target.float()
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


def bce_dice(logits: Tensor, target: Tensor) -> Tensor:
    """``0.5 (BCE + soft Dice)``: DME-FD's supervised, CPS and mask-ensemble loss (`L_bce,dice`)."""
    return 0.5 * (bce(logits, target) + soft_dice(torch.sigmoid(logits.float()), target))
