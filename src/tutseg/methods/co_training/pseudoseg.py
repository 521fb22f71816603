"""PseudoSeg (Zou et al., ICLR 2021) for one foreground class.

The label of an unlabelled picture is fused from two sources that fail differently: the decoder's prediction and a
class activation map, refined by self-attention (SGC). Fused, sharpened and soft, it teaches the strong view.

Deviations from the authors' code
---------------------------------
- No branch classifies pictures, as every dermoscopic picture shows a lesion: the class score behind the activation map
  is the segmentation logit, averaged over the picture. DME-FD does not say how it adapted the method.
- SGC ends in a batch norm of one score, in the place of a 1x1 convolution with batch norm of two (see `SGC`).
- The strong view is DME-FD's, for all methods alike, and a cutout of the authors' size beside the picture's; their
  colour jitter is stronger.
- The supervised loss is the package's ``0.5 (BCE + Dice)``, for all methods alike; theirs is cross-entropy.
"""

from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from tutseg.losses import bce, bce_dice
from tutseg.methods.base import Batch, Progress
from tutseg.methods.co_training.common import OneNet, dry_run, inference
from tutseg.methods.co_training.cutmix import cutout_masks
from tutseg.methods.options import NotNegative, SomeShare, checked

GREY = 0.5  # what cutout leaves
CUTOUT_SIDE = 100 / 513  # the authors cut 100 px out of crops of 513


def grad_cam(net: nn.Module, maps: list[Tensor]) -> Tensor:
    """Grad-CAM of the picture's mean logit at the bottleneck: ``ReLU(sum_k w_k A_k)``, ``w_k = mean dz/dA_k``.

    The decoder runs in evaluation mode: batch normalisation by the batch's own statistics would make the mean logit
    blind to any shift of its input, and the weights would vanish.

    Parameters
    ----------
    net : nn.Module
        Whose `decode` gives the logits; its parameters receive no gradient.
    maps : list of Tensor
        What `encode` returned, the bottleneck A ``(B, C, h, w)`` last.

    Returns
    -------
    Tensor
        ``(B, 1, h, w)`` in [0, 1], detached; the largest value of a picture is 1, or all are 0.
    """
    *skips, bottleneck = (z.detach() for z in maps)
    bottleneck.requires_grad_()
    with inference(net), torch.enable_grad():
        score = net.decode([*skips, bottleneck]).logits.float().mean((1, 2, 3)).sum()
        (gradient,) = torch.autograd.grad(score, bottleneck)
    cam = F.relu((gradient.mean((2, 3), keepdim=True) * bottleneck.detach()).sum(1, keepdim=True).float())
    largest = cam.amax((2, 3), keepdim=True)
    return torch.where(largest > 0, cam / largest, cam)


class SGC(nn.Module):
    """Self-attention Grad-CAM: each place takes the activation of the places whose features are like its own.

    Query and key are 1x1 convolutions of the last two encoder maps (the hypercolumn), the value is the activation
    map; both inputs are detached. The authors append a background score ``2 - s`` and map the two scores to logits by
    a 1x1 convolution with batch norm; for one class that is a batch norm of s.

    Parameters
    ----------
    channels : int
        Channels of the last two maps together.
    dim : int
        Width of query and key.
    """

    def __init__(self, channels: int, dim: int = 128) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, dim, 1, bias=False)
        self.key = nn.Conv2d(channels, dim, 1, bias=False)
        self.calibrate = nn.BatchNorm2d(1)

    def forward(self, maps: list[Tensor], cam: Tensor) -> Tensor:
        """Coarse logits ``(B, 1, h, w)`` on the finer grid of the last two maps."""
        grid = maps[-2].shape[-2:]
        last, before, value = (_resize(t.detach(), grid) for t in (maps[-1], maps[-2], cam))
        column = torch.cat([before, last], dim=1)
        q, k, v = (t.flatten(2).transpose(1, 2) for t in (self.query(column), self.key(column), value))
        attended = F.scaled_dot_product_attention(q, k, v.to(q.dtype))
        score = value + attended.transpose(1, 2).reshape(value.shape)
        return self.calibrate(score)


def fuse(logits: Tensor, coarse: Tensor, temperature: float) -> Tensor:
    """PseudoSeg's calibrated fusion: ``Sharpen((softmax(a / rms) + softmax(b / rms)) / 2, T)``.

    Parameters
    ----------
    logits, coarse : Tensor
        Lesion logits of decoder and SGC, one shape. As two classes a logit z is (z/2, -z/2), and `rms` is the root
        mean square of all these numbers, of both sources and the whole batch, as in the authors' code. A norm for
        each pixel, as the formula in the paper can also be read, would give every pixel where the two agree one and
        the same confidence when there are but two classes.
    temperature : float
        T of ``p^(1/T) / (p^(1/T) + (1 - p)^(1/T))``.

    Returns
    -------
    Tensor
        Soft label in [0, 1], detached.
    """
    z, c = logits.detach().float(), coarse.detach().float()
    rms = (torch.cat([z, c]) / 2).square().mean().add(1e-8).sqrt()
    p = (torch.sigmoid(z / rms) + torch.sigmoid(c / rms)) / 2
    lesion, background = p ** (1 / temperature), (1 - p) ** (1 / temperature)
    return lesion / (lesion + background)


def _resize(z: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(z, size, mode="bilinear", align_corners=False)


class PseudoSeg(OneNet):
    """Minimise ``L_sup + L_sgc + w BCE(p_s, sg(fused label))``; the net's own output is evaluated.

    Parameters
    ----------
    net, size, pretrained
        See `Supervised`.
    temperature : float
        T of the sharpening, in (0, 1].
    weight : float
        Weight of the unlabelled term, >= 0.
    cutout : float
        Side of the square cut out of each strong view, as a share of its height; those pixels teach nothing.
    """

    streams: ClassVar = {"labelled": 0, "unlabelled": 1}
    needs = ("encode",)

    @checked
    def __init__(
        self,
        net: str,
        size: int,
        pretrained: bool = False,
        temperature: SomeShare = 0.5,
        weight: NotNegative = 1.0,
        cutout: Annotated[float, Field(ge=0, lt=0.5)] = CUTOUT_SIDE,
    ) -> None:
        super().__init__()
        self.net = self.make_net(net, size, pretrained)
        maps, _ = dry_run(self.net, size)
        self.sgc = SGC(sum(z.shape[1] for z in maps[-2:]))
        self.temperature, self.weight, self.cutout = temperature, weight, cutout

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Supervised term, SGC's own supervised term, and the fused label on the strong view."""
        x, y = batch["labelled"].image, batch["labelled"].mask
        x_w, x_s = batch["unlabelled"].image, batch["unlabelled"].strong[0]
        maps = self.net.encode(torch.cat([x, x_w]))
        labelled, weak = self.net.decode(maps).logits.split([len(x), len(x_w)])
        cam = grad_cam(self.net, maps)
        coarse = self.sgc([z[: len(x)] for z in maps[-2:]], cam[: len(x)])
        with torch.no_grad():  # SGC learns from labelled pictures alone
            coarse_weak = self.sgc([z[len(x) :] for z in maps[-2:]], cam[len(x) :])
        label = fuse(weak, _resize(coarse_weak, weak.shape[-2:]), self.temperature)
        cut = cutout_masks(x_s, self.cutout)
        strong = self.net(torch.where(cut, GREY, x_s)).logits
        seen = (~cut).float()
        return {
            "sup": bce_dice(labelled, y),
            "sgc": bce(_resize(coarse, y.shape[-2:]), y),
            "strong": self.weight * bce(strong, label, weight=seen / seen.mean()),
        }

    def weights(self, progress: Progress) -> dict[str, float]:
        """The constant weight of the unlabelled term."""
        return {"strong": self.weight}
