"""Supervised-only: the network learns from the labelled pictures alone (the papers' *SupOnly* rows).

DME-FD's authors match *epochs*: at 2 % labelled their supervised run takes 640 steps where the semi-supervised ones
take 29,000. A trial here says its steps, so both the epoch-matched and the step-matched comparison can be asked for.
"""

from typing import ClassVar

from torch import Tensor

from tutseg.losses import bce_dice
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import OneNet
from tutseg.methods.options import checked


class Supervised(OneNet):
    """Minimise ``0.5 (BCE + Dice)`` on labelled pictures.

    Parameters
    ----------
    net : str
        Name of the network.
    size : int
        Input height and width in pixels.
    pretrained : bool
        Start the encoder from ImageNet weights.
    """

    streams: ClassVar = {"labelled": 0}

    @checked
    def __init__(self, net: str, size: int, pretrained: bool = False) -> None:
        super().__init__()
        self.net = self.make_net(net, size, pretrained)

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """L_sup of one step."""
        labelled = batch["labelled"]
        return {"sup": bce_dice(self.net(labelled.image).logits, labelled.mask)}
