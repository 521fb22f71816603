"""CIRL: clustering-inspired representation learning (Chen et al., CVPR 2024), without labels where they are ambiguous.

First the network also predicts how uncertain its logits are, which is largest along ambiguous borders. Then the pixels
with the largest variance are trained without their labels: drawn to the nearer of the two classes' centres.

No code of the authors is public, and this is written from what the paper says of its two stages: sizes, schedules and
the exact form of the second loss are ours, and the numbers are no judgement on the original.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.losses import edge_points, soft_dice
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import OneNet, inference
from tutseg.methods.options import Count, NotNegative, PartShare, checked
from tutseg.nets import Output


def ambiguous_bce(mean: Tensor, deviation: Tensor, target: Tensor, draws: int) -> Tensor:
    """``-log E p_y`` of each pixel, where the logit is normal with this mean and deviation; all ``(B, 1, H, W)``.

    The expectation is the mean over `draws`. It is taken inside the logarithm: that of the losses would only ever push
    the deviation to zero.
    """
    mean, deviation = mean.float(), deviation.float()
    z = mean + deviation * torch.randn(draws, *mean.shape, device=mean.device)
    log_p = -F.binary_cross_entropy_with_logits(z, target.float().expand_as(z), reduction="none")
    return math.log(draws) - log_p.logsumexp(0)


class CIRL(OneNet):
    """Stage 1: `ambiguous_bce` and Dice. Stage 2: the same outside the ambiguous band, and clustering within it.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    start : float
        Share of the training that is stage 1.
    band : float
        Share of a picture's pixels, those with the largest variance, that lose their label in stage 2.
    beta : float
        Weight of the clustering term: one minus the cosine to the nearer centre, and the entropy of the prediction.
    draws : int
        Logits drawn a pixel.
    keep : float
        What the centres keep of themselves a step.
    """

    streams: ClassVar = {"labelled": 0}
    needs = ("decoded",)

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        start: PartShare = 0.5,
        band: PartShare = 0.05,
        beta: NotNegative = 0.1,
        draws: Count = 10,
        keep: PartShare = 0.9,
    ) -> None:
        super().__init__()
        self.net = self.make_net(net, size, pretrained)
        with torch.no_grad(), inference(self.net):
            channels = self.net(torch.zeros(1, 3, size, size), features=True).decoded.shape[1]
        self.spread = nn.Conv2d(channels, 1, 1)
        self.register_buffer("centres", torch.zeros(2, channels))
        self.start, self.band, self.beta, self.draws, self.keep = start, band, beta, draws, keep

    def deviation(self, out: Output) -> Tensor:
        """Standard deviation of each logit, ``(B, 1, H, W)``, above 0."""
        return F.interpolate(F.softplus(self.spread(out.decoded).float()), out.logits.shape[2:], mode="bilinear")

    def ambiguous(self, deviation: Tensor) -> Tensor:
        """1 for the share `band` of each picture's pixels with the largest deviation, else 0."""
        flat = deviation.detach().flatten(1)
        chosen = torch.zeros_like(flat)
        chosen.scatter_(1, flat.topk(int(self.band * flat.shape[1]), dim=1).indices, 1.0)
        return chosen.view_as(deviation)

    def move_centres(self, features: Tensor, labels: Tensor, clear: Tensor) -> None:
        """Draw each class's centre to the mean direction of its clear pixels; one never met starts there."""
        with torch.no_grad():
            for c in (0, 1):
                own = features[(labels == c) & clear]
                if len(own):
                    keep = self.keep if self.centres[c].any() else 0.0
                    self.centres[c] = keep * self.centres[c] + (1 - keep) * own.mean(0)

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """The terms of the stage that this step belongs to."""
        masks = batch["labelled"].mask
        out = self.net(batch["labelled"].image, features=True)
        deviation = self.deviation(out)
        late = progress.fraction >= self.start
        band = self.ambiguous(deviation) if late else torch.zeros_like(masks)
        rows = lambda x: x.permute(0, 2, 3, 1).flatten(0, 2)
        features = F.normalize(rows(out.decoded.float()), dim=1)
        y, inside = (rows(F.interpolate(each, out.decoded.shape[2:]))[:, 0] for each in (masks, band))
        self.move_centres(features.detach(), y, inside == 0)

        def loss(logits: Tensor) -> Tensor:
            ambiguous = ((1 - band) * ambiguous_bce(logits, deviation, masks, self.draws)).mean()
            return 0.5 * (ambiguous + soft_dice(logits.float().sigmoid(), masks, weight=1 - band))

        terms = {"sup": out.supervise(loss), **edge_points(out.heads, masks)}
        if late and self.beta:
            nearer = (features[inside > 0] @ F.normalize(self.centres, dim=1).T).amax(1)
            z = out.logits.float()
            entropy = F.binary_cross_entropy_with_logits(z, z.sigmoid(), reduction="none")
            # shares of all pixels, as in the other terms
            terms["cluster"] = self.beta * ((1 - nearer).sum() / len(features) + (band * entropy).mean())
        return terms
