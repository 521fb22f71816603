"""Small loss: learn from the pixels whose label the network finds likely, and leave out the others.

The plain rule behind most methods for noisy labels (such as Co-teaching, NeurIPS 2018), with one network and nothing
else. DALE does not compare with it.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from tutseg.losses import bce_dice, edge_points
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import OneNet
from tutseg.methods.options import PartShare, SomeShare, checked


@torch.no_grad()
def small(logits: Tensor, target: Tensor, forget: float) -> Tensor:
    """1 for all but the share `forget` of pixels of each label that have the largest loss, else 0.

    Parameters
    ----------
    logits, target : Tensor
        ``(B, 1, H, W)``; target in {0, 1}. The share is taken over the whole batch, within each label: noise on one
        side would else cost one class its pixels.
    forget : float
        In [0, 1).
    """
    loss = binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="none")
    kept = torch.ones_like(loss)
    for label in (0, 1):
        here = (target == label).nonzero(as_tuple=True)
        dropped = loss[here].argsort(descending=True, stable=True)[: int(forget * len(here[0]))]
        kept[tuple(place[dropped] for place in here)] = 0
    return kept


class SmallLoss(OneNet):
    """Minimise ``0.5 (BCE + Dice)`` over the pixels with small loss.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    forget : float
        Share of each label's pixels that are left out in the end.
    rise : float
        Share of the training over which `forget` is reached, evenly, since an untrained network knows nothing.
    """

    streams: ClassVar = {"labelled": 0}

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        forget: PartShare = 0.05,
        rise: SomeShare = 0.3,
    ) -> None:
        super().__init__()
        self.net, self.forget, self.rise = self.make_net(net, size, pretrained), forget, rise

    def weights(self, progress: Progress) -> dict[str, float]:
        """The share that is left out at this step."""
        return {"forget": self.forget * min(1.0, progress.fraction / self.rise)}

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """L_sup over what is kept."""
        out, mask = self.net(batch["labelled"].image), batch["labelled"].mask
        kept = small(out.logits, mask, self.weights(progress)["forget"])
        return {"sup": out.supervise(lambda logits: bce_dice(logits, mask, kept)), **edge_points(out.heads, mask)}
