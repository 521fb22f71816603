"""UniMatch (Yang et al., CVPR 2023): FixMatch with two strong views and a perturbed feature stream.

One label, made on the weak view, teaches three predictions: on two strong views, each with its own CutMix
rectangles, and on the weak view itself after half of the encoder's channels were dropped.

Deviations from the authors' code
---------------------------------
- Weak views are flips and strong ones are DME-FD's (noise, brightness-contrast, colour jitter), for all methods alike;
  the authors resize and crop, and jitter, blur and take away colour at random.
- The supervised loss is the package's ``0.5 (BCE + Dice)``, for all methods alike; theirs is cross-entropy.
- What is pasted comes from another picture, and from two for the two strong views. The authors paste two views of one
  picture, and draw it from the loader that gave the first: where its sampler repeats its order, picture and partner
  are one, cropped differently.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from tutseg.losses import bce_dice
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import OneNet, forward_views
from tutseg.methods.co_training.fixmatch import confident_bce, cutmix_view, inference_logits
from tutseg.methods.options import Confidence, PartShare, Share, checked


class UniMatch(OneNet):
    """Minimise ``(L_x + (L_s1 + L_s2) / 4 + L_fp / 2) / 2``.

    The label of a weak view comes from the net in training mode, that of the pictures CutMix pastes from evaluation
    mode, as in the authors' code.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    threshold : float
        Confidence a pseudo-label needs.
    cutmix : float
        Probability of CutMix, drawn for each picture of each strong view.
    drop : float
        Share of channels that the feature perturbation drops, from every map the decoder sees.
    """

    streams: ClassVar = {"labelled": 0, "unlabelled": 2}
    partners: ClassVar = 2
    needs = ("encode",)

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        threshold: Confidence = 0.95,
        cutmix: Share = 0.5,
        drop: PartShare = 0.5,
    ) -> None:
        super().__init__()
        self.net = self.make_net(net, size, pretrained)
        self.threshold, self.cutmix, self.drop = threshold, cutmix, drop

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """L_x, L_s1, L_s2 and L_fp of one step, weighted."""
        x, y, x_w = batch["labelled"].image, batch["labelled"].mask, batch["unlabelled"].image
        partners = batch["partners"]
        pasted = inference_logits(self.net, partners.image)
        maps = self.net.encode(torch.cat([x, x_w]))
        dropped = [F.dropout2d(m[len(x) :], self.drop) for m in maps]
        logits = self.net.decode([torch.cat(pair) for pair in zip(maps, dropped, strict=True)]).logits
        labelled, weak, perturbed = logits.split([len(x), len(x_w), len(x_w)])
        (x_s1, labels1), (x_s2, labels2) = (
            cutmix_view(x_s, weak, partner.roll(k, 0), pasted.roll(k, 0), self.cutmix)  # the second view's is the next
            for k, (x_s, partner) in enumerate(zip(batch["unlabelled"].strong, partners.strong, strict=True))
        )
        s1, s2 = forward_views(self.net, [x_s1, x_s2])
        w = self.weights(progress)
        return {
            "sup": bce_dice(labelled, y) / 2,
            "s1": w["s1"] * confident_bce(s1.logits, labels1, self.threshold),
            "s2": w["s2"] * confident_bce(s2.logits, labels2, self.threshold),
            "fp": w["fp"] * confident_bce(perturbed, weak, self.threshold),
        }

    def weights(self, progress: Progress) -> dict[str, float]:
        """The constant weights, the common half included."""
        return {"s1": 0.125, "s2": 0.125, "fp": 0.25}
