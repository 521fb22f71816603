"""FixMatch (Sohn et al., NeurIPS 2020) for segmentation, as UniMatch restates it.

The net labels the weak view; where it is sure, its hard label teaches it on the strong view. CutMix is part of the
strong view, so image, label and confidence are pasted together.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from tutseg.losses import bce, bce_dice
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import OneNet, forward_views, hard_label, inference
from tutseg.methods.co_training.cutmix import cutmix_masks
from tutseg.methods.options import Confidence, Share, checked


@torch.no_grad()
def inference_logits(net: nn.Module, images: Tensor) -> Tensor:
    """Logits in evaluation mode, without gradient: who labels the pictures that CutMix pastes."""
    with inference(net):
        return net(images).logits


def cutmix_view(strong: Tensor, labels: Tensor, pasted_labels: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of the next picture of the batch into each strong view, and the same into its labels.

    Parameters
    ----------
    strong : Tensor
        Strong view ``(U, 3, H, W)``.
    labels, pasted_labels : Tensor
        Logits ``(U, 1, H, W)`` that label a picture's own pixels, and those it lends to its neighbour.
    p : float
        Probability of a rectangle.

    Returns
    -------
    tuple of Tensor
        The mixed images and the mixed logits; label and confidence follow from the latter.
    """
    box = cutmix_masks(strong, p)
    mixed = torch.where(box, strong.roll(1, 0), strong)
    return mixed, torch.where(box, pasted_labels.roll(1, 0), labels.detach())


def confident_bce(logits: Tensor, label_logits: Tensor, threshold: float) -> Tensor:
    """Cross-entropy with the hard label where ``max(p, 1 - p) >= threshold``, divided by ALL pixels.

    Parameters
    ----------
    logits : Tensor
        Prediction on the strong view ``(U, 1, H, W)``.
    label_logits : Tensor
        Logits that label it; detached.
    threshold : float
        Confidence in [0.5, 1] below which a pixel teaches nothing.
    """
    confidence = torch.sigmoid(label_logits.detach().float().abs())
    return bce(logits, hard_label(label_logits), weight=confidence >= threshold)


class FixMatch(OneNet):
    """Minimise ``(L_x + L_s) / 2``.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    threshold : float
        Confidence a pseudo-label needs.
    cutmix : float
        Probability of CutMix; 0 is FixMatch without it.
    """

    streams: ClassVar = {"labelled": 0, "unlabelled": 1}

    @checked
    def __init__(
        self, net: str, size: int, pretrained: bool = False, threshold: Confidence = 0.95, cutmix: Share = 0.5
    ) -> None:
        super().__init__()
        self.net = self.make_net(net, size, pretrained)
        self.threshold, self.cutmix = threshold, cutmix

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """L_x on labelled pictures, L_s on the strong view."""
        x, y = batch["labelled"].image, batch["labelled"].mask
        x_w, x_s = batch["unlabelled"].image, batch["unlabelled"].strong[0]
        pasted = inference_logits(self.net, x_w)
        labelled, weak = forward_views(self.net, [x, x_w])
        mixed, labels = cutmix_view(x_s, weak.logits, pasted, self.cutmix)
        return {
            "sup": bce_dice(labelled.logits, y) / 2,
            "s": confident_bce(self.net(mixed).logits, labels, self.threshold) / 2,
        }

    def weights(self, progress: Progress) -> dict[str, float]:
        """The constant weight of L_s."""
        return {"s": 0.5}
