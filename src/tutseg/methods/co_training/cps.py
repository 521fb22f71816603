"""CPS: cross pseudo supervision (Chen et al., CVPR 2021).

Two networks see the same picture; each learns from the other's hard prediction. The disagreement of two random
initialisations is all the diversity there is.

DME-FD's paper prints one row under two names: CPS in Table 1, "Sup+CPS" in Table 4. Both can be had here, and a table
says by the options which it shows. ``cps`` is CPS as published: a constant weight. ``{cross: dme-fd, ramp: 1.0,
weight: 1.0}`` is DME-FD without its two other terms: step by step the losses of ``dme-fd`` with ``{dme: false, fdl:
none}``.

Deviations from the authors' code:

- The supervised loss is the package's ``0.5 (BCE + Dice)`` where CPS has cross-entropy, so that rivals share it.
- Labelled and unlabelled pictures go through a branch in one forward, so they share batch statistics (the authors
  have one forward each).
- The optimiser, its learning rate and the CutMix variant are not CPS's: the trial sets the first two for all
  methods alike, and the variant is left out, as DME-FD has none.
"""

from typing import Literal

import torch
from torch import Tensor

from tutseg.losses import bce, bce_dice
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import TwoBranch, forward_views, hard_label, ramp_up
from tutseg.methods.options import NotNegative, Share, checked


class CPS(TwoBranch):
    """Minimise ``L_sup + w(t) L_cps`` with ``L_cps = BCE(p1, [p2 >= .5]) + BCE(p2, [p1 >= .5])``.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    weight : float
        The trade-off weight w of the cross term, >= 0; CPS uses 1.5 on VOC.
    ramp : float
        Share of training over which w grows to `weight`, by the warm-up of Laine and Aila. 0, the authors' way, is a
        constant w; 1 is the ramp that DME-FD's alpha has.
    cross : {"cps", "dme-fd"}
        "cps": cross-entropy over labelled and unlabelled pictures. "dme-fd": ``0.5 (BCE + Dice)`` over the unlabelled
        ones, the L_cps of DME-FD.
    """

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        weight: NotNegative = 1.5,
        ramp: Share = 0.0,
        cross: Literal["cps", "dme-fd"] = "cps",
    ) -> None:
        super().__init__(net, size, pretrained)
        self.weight, self.ramp, self.cross = weight, ramp, cross

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Supervised and cross terms of both branches."""
        x, y, x_u = batch["labelled"].image, batch["labelled"].mask, batch["unlabelled"].image
        l1, u1 = forward_views(self.branch1, [x, x_u])
        l2, u2 = forward_views(self.branch2, [x, x_u])
        terms = {"sup1": bce_dice(l1.logits, y), "sup2": bce_dice(l2.logits, y)}
        z1, z2, loss = u1.logits, u2.logits, bce_dice
        if self.cross == "cps":
            z1, z2, loss = torch.cat([l1.logits, z1]), torch.cat([l2.logits, z2]), bce
        w = self.weights(progress)["cps"]
        terms["cps1"] = w * loss(z1, hard_label(z2))
        terms["cps2"] = w * loss(z2, hard_label(z1))
        return terms

    def weights(self, progress: Progress) -> dict[str, float]:
        """w(t) of the cross term."""
        done = (progress.step + 1) / progress.steps
        return {"cps": self.weight * ramp_up(done / self.ramp) if self.ramp else self.weight}
