"""CPS: cross pseudo supervision (Chen et al., CVPR 2021).

Two networks see the same picture; each learns from the other's hard prediction. The disagreement of two random
initialisations is all the diversity there is.
"""

import torch
from torch import Tensor

from tutseg.losses import bce, bce_dice
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import TwoBranch, forward_views, hard_label
from tutseg.methods.options import NotNegative, checked


class CPS(TwoBranch):
    """Minimise ``L_sup + w * L_cps`` with ``L_cps = BCE(p1, [p2 >= .5]) + BCE(p2, [p1 >= .5])``.

    The cross term runs over labelled and unlabelled pictures, as in the CPS paper; there is no threshold and no
    ramp. CPS uses w = 1.5 on VOC.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    weight : float
        The trade-off weight of the cross term, >= 0.
    """

    @checked
    def __init__(self, net: str, size: int, pretrained: bool = False, weight: NotNegative = 1.5) -> None:
        super().__init__(net, size, pretrained)
        self.weight = weight

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Supervised and cross terms of both branches."""
        terms, logits = {}, {}
        x, y, x_u = batch["labelled"].image, batch["labelled"].mask, batch["unlabelled"].image
        for name, net in (("1", self.branch1), ("2", self.branch2)):
            labelled, unlabelled = forward_views(net, [x, x_u])
            terms[f"sup{name}"] = bce_dice(labelled.logits, y)
            logits[name] = torch.cat([labelled.logits, unlabelled.logits])
        terms["cps1"] = self.weight * bce(logits["1"], hard_label(logits["2"]))
        terms["cps2"] = self.weight * bce(logits["2"], hard_label(logits["1"]))
        return terms

    def weights(self, progress: Progress) -> dict[str, float]:
        """The constant weight of the cross term."""
        return {"cps": self.weight}
