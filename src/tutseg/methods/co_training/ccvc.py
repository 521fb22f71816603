"""CCVC: conflict-based cross-view consistency (Wang et al., CVPR 2023).

Cross pseudo supervision in which the two branches are kept apart by a discrepancy loss on their features, and in which
the pixels they disagree on count more. DME-FD's Table 5 borrows the discrepancy loss alone.

Deviations from the authors' code
---------------------------------
- The supervised loss is the package's ``0.5 (BCE + Dice)``, for all methods alike; theirs is cross-entropy.
- Labelled and unlabelled pictures go through a branch in one forward, so they share batch statistics (the authors
  have one forward each).
- The mapping sits where theirs does, on the concatenated features before the last two convolutions of the decoder. In
  a Swin-Unet, which has none, that is before the linear layer and the Swin blocks of the last stage.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from tutseg.losses import bce, bce_dice
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import TwoBranch, dry_run, hard_label
from tutseg.methods.options import PartShare, checked
from tutseg.nets import Output


def cosine_discrepancy(f1: Tensor, f2: Tensor) -> Tensor:
    """CCVC's discrepancy loss: ``1 + cos(f1, f2)`` per position over channels, each side detached in turn.

    Parameters
    ----------
    f1, f2 : Tensor
        Features ``(B, C, h, w)``.

    Returns
    -------
    Tensor
        Scalar in [0, 2]: 0 for opposite, 1 for orthogonal, 2 for equal directions.
    """
    f1, f2 = f1.float(), f2.float()
    return 1 + (cosine_similarity(f1.detach(), f2).mean() + cosine_similarity(f1, f2.detach()).mean()) / 2


def conflict_weight(labelling: Tensor, other: Tensor, threshold: float, weight: float) -> Tensor:
    """`weight` where the two masks disagree and the labelling branch is sure, 1 everywhere else.

    Parameters
    ----------
    labelling, other : Tensor
        Logits of the branch that makes the label and of the branch that learns from it, ``(B, 1, H, W)``; detached.
    threshold : float
        Confidence ``max(p, 1 - p)`` that must be exceeded.
    weight : float
        Weight of a confident conflict.
    """
    conflict = hard_label(labelling) != hard_label(other)
    sure = torch.sigmoid(labelling.detach().float().abs()) > threshold
    return 1 + (weight - 1) * (conflict & sure)


class CCVC(TwoBranch):
    """Minimise ``(L_sup1 + L_sup2) / 2 + (L_con1 + L_con2) / 2 + L_dis``, all three weights 1 as in the authors' code.

    The last block of branch 2 sees its input (`EncoderDecoder.join`) through an extra mapping: 1x1 convolution, batch
    norm, ReLU, channel dropout. L_dis compares that input of branch 1 with the mapped one of branch 2, on labelled and
    unlabelled pictures alike.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    threshold : float
        Confidence above which a conflict counts more. 0, the authors' script, lets every conflict count.
    conflict : float
        Weight of such a pixel, >= 1.
    drop : float
        Share of channels dropped after the mapping, in training.
    """

    needs = ("encode",)

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        threshold: PartShare = 0.0,
        conflict: Annotated[float, Field(ge=1)] = 2.0,
        drop: PartShare = 0.5,
    ) -> None:
        super().__init__(net, size, pretrained)
        channels = dry_run(self.branch2, size)[1].shape[1]
        self.mapping = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(), nn.Dropout2d(drop)
        )
        self.threshold, self.conflict = threshold, conflict

    def joined(self, images: Tensor, which: int) -> Tensor:
        """What the last block of branch 1 or 2 sees, ``(B, C, h, w)``."""
        net = self.branch1 if which == 1 else self.branch2
        joined = net.join(net.encode(images))
        return joined if which == 1 else self.mapping(joined)

    def branch(self, images: Tensor, which: int) -> Output:
        """Output of branch 1, or of branch 2 through the mapping."""
        return (self.branch1 if which == 1 else self.branch2).finish(self.joined(images, which))

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Supervised, conflict-weighted cross, and discrepancy terms."""
        x, y, x_u = batch["labelled"].image, batch["labelled"].mask, batch["unlabelled"].image
        both, n = torch.cat([x, x_u]), len(x)
        joined1, joined2 = self.joined(both, 1), self.joined(both, 2)
        z1, z2 = self.branch1.finish(joined1).logits, self.branch2.finish(joined2).logits
        w1, w2 = z1[n:], z2[n:]
        weight1 = conflict_weight(w2, w1, self.threshold, self.conflict)
        weight2 = conflict_weight(w1, w2, self.threshold, self.conflict)
        labelled, unlabelled = (cosine_discrepancy(joined1[part], joined2[part]) for part in (slice(n), slice(n, None)))
        return {
            "sup1": bce_dice(z1[:n], y) / 2,
            "sup2": bce_dice(z2[:n], y) / 2,
            "con1": bce(w1, hard_label(w2), weight1) / 2,
            "con2": bce(w2, hard_label(w1), weight2) / 2,
            "dis": (labelled + unlabelled) / 2,
        }
