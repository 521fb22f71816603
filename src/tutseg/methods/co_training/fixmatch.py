"""FixMatch (Sohn et al., NeurIPS 2020) for segmentation, as UniMatch restates it.

The net labels the weak view; where it is sure, its hard label teaches it on the strong view. CutMix is part of the
strong view, so image, label and confidence are pasted together.

Deviations from UniMatch's code of it
-------------------------------------
- Weak views are flips and the strong view is DME-FD's (noise, brightness-contrast, colour jitter), for all methods
  alike; the authors resize and crop, and jitter, blur and take away colour at random.
- The supervised loss is the package's ``0.5 (BCE + Dice)``, for all methods alike; theirs is cross-entropy.
- What is pasted comes from another picture, as CutMix means it. The authors draw from one loader twice, and where its
  sampler repeats its order, the two pictures are one, cropped differently.
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


def cutmix_view(
    strong: Tensor, labels: Tensor, partner: Tensor, partner_labels: Tensor, p: float
) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of its partner into each strong view, and the same into its labels.

    Parameters
    ----------
    strong, partner : Tensor
        Strong views ``(U, 3, H, W)``, of the pictures and of their partners.
    labels, partner_labels : Tensor
        Logits ``(U, 1, H, W)`` that label them; detached.
    p : float
        Probability of a rectangle.

    Returns
    -------
    tuple of Tensor
        The mixed images and the mixed logits; label and confidence follow from the latter.
    """
    box = cutmix_masks(strong, p)
    return torch.where(box, partner, strong), torch.where(box, partner_labels, labels).detach()


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
    partners: ClassVar = 1

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
        partners = batch["partners"]
        pasted = inference_logits(self.net, partners.image)
        labelled, weak = forward_views(self.net, [x, x_w])
        mixed, labels = cutmix_view(x_s, weak.logits, partners.strong[0], pasted, self.cutmix)
        return {
            "sup": bce_dice(labelled.logits, y) / 2,
            "s": confident_bce(self.net(mixed).logits, labels, self.threshold) / 2,
        }

    def weights(self, progress: Progress) -> dict[str, float]:
        """The constant weight of L_s."""
        return {"s": 0.5}
