"""BECO: boundary-enhanced co-training (Rong et al., CVPR 2023), from weak supervision to noisy outlines.

Two networks learn the reliable pixels' labels, and each learns the other's hard mask where labels are unreliable.
Lesions that both are sure of are pasted into other pictures: the border of what is pasted is known, and counts more.

Deviations from the authors' code
---------------------------------
- Reliable is what DALE calls non-fuzzy (`regions`), given labels stay; theirs come from class activation maps and are
  renewed online. So DALE describes its comparison: pseudo-labels in place of all fuzzy labels.
- The loss is the package's ``0.5 (BCE + Dice)`` on reliable pixels, BCE on the others.
- The mean of probabilities is evaluated; theirs is that of logits.
"""

from typing import ClassVar

import torch
from torch import Tensor

from tutseg.losses import bce, bce_dice, edge_of, edge_points
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import TwoBranch, hard_label, inference
from tutseg.methods.noisy_labels.regions import check_patch, fuzziness
from tutseg.methods.options import Confidence, NotNegative, Several, Share, checked


class BECO(TwoBranch):
    """Minimise, for both networks, the reliable and the cross term, with pasted lesions after the first epoch.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    patch, tau, bins
        Reliable is what DALE calls non-fuzzy; see `regions.fuzziness`.
    confidence : float
        Mean probability above which a pixel may be pasted as lesion.
    mix : float
        Probability that a picture gets its neighbour's lesion.
    boundary : float
        What the border of a pasted lesion weighs more.
    """

    streams: ClassVar = {"labelled": 0}
    views = ("mean", "branch1", "branch2")

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        patch: Several = 16,
        tau: Share = 0.9,
        bins: Several = 256,
        confidence: Confidence = 0.95,
        mix: Share = 0.5,
        boundary: NotNegative = 0.2,
    ) -> None:
        super().__init__(net, size, pretrained)
        check_patch(size, patch)
        self.patch, self.tau, self.bins = patch, tau, bins
        self.confidence, self.mix, self.boundary = confidence, mix, boundary

    @torch.no_grad()
    def pasted(self, images: Tensor) -> Tensor:
        """Where a picture gets the lesion of the one before it, ``(B, 1, H, W)`` in {0, 1}: what both are sure of."""
        with inference(self):
            sure = (self.predict(images, "mean") > self.confidence).float()
        chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < self.mix
        return sure.roll(1, 0) * chosen

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Reliable and cross terms of both networks."""
        x, y = batch["labelled"].image, batch["labelled"].mask
        reliable = (fuzziness(x, y, self.patch, bins=self.bins) <= self.tau).float()
        weight = reliable
        if progress.step >= progress.steps_per_epoch:
            paste = self.pasted(x)
            x = paste * x.roll(1, 0) + (1 - paste) * x
            y, reliable = torch.maximum(paste, y), torch.maximum(paste, reliable)
            weight = reliable * (1 + self.boundary * edge_of(paste))
        out1, out2 = self.branch1(x), self.branch2(x)
        terms = {}
        for k, out, other in (("1", out1, out2), ("2", out2, out1)):
            said = hard_label(other.logits)
            terms[f"sup{k}"] = out.supervise(lambda logits: bce_dice(logits, y, weight))
            terms |= {f"{name}{k}": loss for name, loss in edge_points(out.heads, y).items()}
            terms[f"cross{k}"] = bce(out.logits, said, 1 - reliable)
        return terms
