"""Supervised-only: the network learns from the labelled pictures alone (the papers' *SupOnly* rows).

How long should it train beside methods that also learn from unlabelled pictures? DME-FD's authors match *epochs*: at
2 % labelled their supervised run takes 640 steps where the others take 29,000. Here it is matched by *steps* unless the
option `matched` says otherwise, and papers' tables take the step-matched one.

Deviations from the authors' code
---------------------------------
- As many steps as the other methods, the harder baseline; ``matched: epochs``, with the fewer steps, is theirs.
- The learning rate falls as the trial says; theirs halves after 50 of 80 epochs (schedule ``step``).
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from tutseg.data.loader import Pictures
from tutseg.errors import InputError
from tutseg.losses import bce_dice, bce_plus_dice, edge_points
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import OneNet
from tutseg.methods.options import checked
from tutseg.methods.t_vmf import AdaptiveTvMF, Kappa

MIRRORS = ([2], [3], [2, 3])  # axes of a batch of pictures


class Supervised(OneNet):
    """Minimise a loss on labelled pictures, of all heads where the network has deep supervision.

    Parameters
    ----------
    net : str
        Name of the network.
    size : int
        Input height and width in pixels.
    pretrained : bool
        Start the encoder from ImageNet weights.
    matched : {"steps", "epochs"}
        What the trial's steps are meant to equal in the semi-supervised ones beside it: their steps, or their passes
        over unlabelled pictures, that is their steps times labelled / unlabelled. It changes no number: it is a name,
        so that neither is taken for the other.
    keep_statistics : bool
        Leave the encoder's batch normalisation the means and variances of its weights: for a pretrained encoder, and
        pictures to train on that look unlike those to come, as drawn ones do.
    mirrored : bool
        Predict the mean over a picture and its three mirror images, turned back.
    one_region : bool
        Predict the largest region alone, and nothing elsewhere: for pictures of one lesion each.
    loss : {"plain", "bce-dice", "t-vmf"}
        ``0.5 (BCE + Dice)`` as all methods here have it, SSGNet's Eq. 4, or the t-vMF Dice loss (`AdaptiveTvMF`).
    kappa : {"validation", "training"} or float
        What the t-vMF loss's sharpness follows, or what it is.
    """

    streams: ClassVar = {"labelled": 0}

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        matched: Literal["steps", "epochs"] = "steps",
        keep_statistics: bool = False,
        mirrored: bool = False,
        one_region: bool = False,
        loss: Literal["plain", "bce-dice", "t-vmf"] = "plain",
        kappa: Kappa = "validation",
    ) -> None:
        super().__init__()
        self.mirrored, self.one_region = mirrored, one_region
        self.net, self.matched, self.keep_statistics = self.make_net(net, size, pretrained), matched, keep_statistics
        self.adaptive = AdaptiveTvMF(kappa) if loss == "t-vmf" else None
        self.plain = bce_dice if loss == "plain" else bce_plus_dice

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """Encoder and decoder, so that a pretrained encoder can learn more slowly; all at once if it has no encoder."""
        if not hasattr(self.net, "encoder"):
            return super().groups()
        encoder = dict(self.net.encoder.named_parameters(prefix="encoder"))
        rest = [p for name, p in self.net.named_parameters() if name not in encoder]
        return {"encoder": encoder.values(), "decoder": rest}

    def train(self, mode: bool = True) -> "Supervised":
        """As `Method.train`, but for statistics that are kept."""
        super().train(mode)
        for module in self._kept():
            module.eval()
        return self

    def _kept(self) -> list[nn.BatchNorm2d]:
        """The layers whose statistics are kept."""
        modules = self.net.encoder.modules() if self.keep_statistics else ()
        return [module for module in modules if isinstance(module, nn.BatchNorm2d)]

    def prepare(self, train: Any, validation: Pictures) -> Any:
        """As `Method.prepare`: kappa may follow the validation part; an InputError where there is nothing to keep."""
        if self.keep_statistics and not any(layer.running_mean.any() for layer in self._kept()):
            raise InputError(
                "keep_statistics: the encoder has seen no picture yet, so its statistics normalise nothing",
                "start it with --pretrained or --input start=ID, or leave the option out",
            )
        if self.adaptive:
            self.adaptive.watch(validation)
        return train

    @torch.no_grad()
    def _calmly(self, images: Tensor) -> Tensor:
        """`predict` in evaluation mode, in the middle of training."""
        self.eval()
        probability = self.predict(images)
        self.train()
        return probability

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """L_sup of one step."""
        if self.adaptive:
            self.adaptive.begin(progress, self._calmly)
        out, mask = self.net(batch["labelled"].image), batch["labelled"].mask
        if self.adaptive:
            self.adaptive.met(out.logits, mask)
        loss = self.adaptive or self.plain
        return {"sup": out.supervise(lambda logits: loss(logits, mask)), **edge_points(out.heads, mask)}

    def weights(self, progress: Progress) -> dict[str, float]:
        """Kappa of background and lesion, where the loss has one."""
        return dict(zip(("kappa_0", "kappa_1"), self.adaptive.kappa.tolist(), strict=True)) if self.adaptive else {}

    def predict(self, images: Tensor, view: str | None = None) -> Tensor:
        """As `OneNet.predict`, with the options `mirrored` and `one_region`."""
        predict = super().predict
        foreground = predict(images, view)
        if self.mirrored:
            turned = [predict(images.flip(axes), view).flip(axes) for axes in MIRRORS]
            foreground = torch.stack([foreground, *turned]).mean(0)
        return foreground * largest_region(foreground >= 0.5) if self.one_region else foreground


def largest_region(masks: Tensor) -> Tensor:
    """The largest 4-connected region of each mask of a bool ``(B, 1, H, W)``; an empty one stays empty."""
    kept = []
    for mask in masks[:, 0].cpu().numpy():
        regions, _ = ndimage.label(mask)
        sizes = np.bincount(regions.ravel())
        sizes[0] = 0
        kept.append(torch.from_numpy((regions == sizes.argmax()) & mask))
    return torch.stack(kept)[:, None].to(masks.device)
