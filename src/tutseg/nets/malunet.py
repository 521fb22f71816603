"""MALUNet (Ruan et al., BIBM 2022): attention in the place of width, 178 thousand parameters.

Six stages with 8, 16, 24, 32, 48 and 64 channels, as in EGE-UNet, its successor. The first three are convolutions, the
others external attention (`ExternalAttention`) and dilated gated attention (`DilatedGate`). All skips pass one bridge,
a spatial gate that they share, then a channel gate that looks at all of them at once::

    encoder    8 x H/2, 16 x H/4, 24 x H/8, 32 x H/16, 48 x H/32, 64 x H/32 (the last stage does not halve)
    decoder   48 x H/32, 32 x H/16, 24 x H/8, 16 x H/4, 8 x H/2; each adds its skip
    head       1 x H

The number of parameters settles what words leave open: the external attention's keys and values, which begin alike,
are learned apart.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder, ImageNetNorm
from tutseg.nets.ege_unet import conv3, resized

GROUPS = 4


def depthwise(channels: int, kernel: int = 3, dilation: int = 1) -> nn.Conv2d:
    """A convolution of each channel by itself; the size stays."""
    return nn.Conv2d(channels, channels, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=channels)


def separable(c_in: int, c_out: int, kernel: int = 3) -> nn.Sequential:
    """Depth-wise convolution, group norm, pointwise convolution; the size stays."""
    return nn.Sequential(depthwise(c_in, kernel), nn.GroupNorm(GROUPS, c_in), nn.Conv2d(c_in, c_out, 1))


class ExternalAttention(nn.Module):
    """IEA: places attend to a learned memory of four times as many entries as there are channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 1)
        self.keys = nn.Linear(channels, 4 * channels, bias=False)
        self.values = nn.Linear(4 * channels, channels, bias=False)
        self.values.weight.data.copy_(self.keys.weight.data.T)
        self.leave = nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), nn.GroupNorm(GROUPS, channels))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` to the same shape; over places a softmax, then over entries a share."""
        attention = self.keys(self.enter(x).permute(0, 2, 3, 1)).flatten(1, 2).softmax(1)
        attention = attention / (attention.sum(2, keepdim=True) + 1e-9)
        return F.gelu(x + self.leave(self.values(attention).transpose(1, 2).unflatten(2, x.shape[2:])))


class DilatedGate(nn.Module):
    """DGA: a quarter of the channels at each dilation, then a product of two views, one of them a gate."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.spread = nn.ModuleList(depthwise(c_in // 4, dilation=d) for d in (7, 5, 2, 1))
        self.mix = nn.Sequential(nn.GroupNorm(GROUPS, c_in), nn.Conv2d(c_in, c_in, 1))
        self.gate = nn.Sequential(separable(c_in, c_in), nn.Sigmoid())
        self.view = nn.Sequential(separable(c_in, c_in, kernel=5), nn.GELU())
        self.leave, self.around = nn.Sequential(separable(c_in, c_out), nn.GELU()), nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, c_in, h, w)`` to ``(B, c_out, h, w)``."""
        x = self.mix(torch.cat([s(q) for s, q in zip(self.spread, x.chunk(4, dim=1), strict=True)], dim=1))
        return self.leave(self.gate(x) * self.view(x)) + self.around(x)


class SkipBridge(nn.Module):
    """SAB and CAB over all skips; each is added to what it was before."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.places = nn.Sequential(nn.Conv2d(2, 1, 7, padding=9, dilation=3), nn.Sigmoid())
        self.across = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.channels = nn.ModuleList(nn.Linear(sum(channels), c) for c in channels)

    def forward(self, skips: list[Tensor]) -> list[Tensor]:
        """The skips ``(B, C_i, h_i, w_i)``, gated."""
        looked = [torch.cat([s.mean(1, keepdim=True), s.amax(1, keepdim=True)], dim=1) for s in skips]
        skips = [s + s * self.places(look) for s, look in zip(skips, looked, strict=True)]
        means = self.across(torch.cat([s.mean((2, 3)) for s in skips], dim=1)[:, None])[:, 0]
        gates = [torch.sigmoid(layer(means))[:, :, None, None] for layer in self.channels]
        return [s + s * gate for s, gate in zip(skips, gates, strict=True)]


def going_down(c_in: int, c_out: int) -> nn.Sequential:
    """A stage of the encoder's lower half."""
    return nn.Sequential(ExternalAttention(c_in), DilatedGate(c_in, c_out))


def coming_up(c_in: int, c_out: int) -> nn.Sequential:
    """A stage of the decoder's lower half."""
    return nn.Sequential(DilatedGate(c_in, c_out), ExternalAttention(c_out))


class Encoder(nn.Module):
    """Six stages, and the bridge that the first five pass on their way to the decoder."""

    def __init__(self, c: tuple[int, ...]) -> None:
        super().__init__()
        kinds = (conv3, conv3, conv3, going_down, going_down)
        self.stages = nn.ModuleList(
            nn.Sequential(kind(a, b), nn.GroupNorm(GROUPS, b), nn.MaxPool2d(2), nn.GELU())
            for kind, (a, b) in zip(kinds, pairwise((3, *c[:5])), strict=True)
        )
        self.last = nn.Sequential(going_down(c[4], c[5]), nn.GELU())
        self.bridge = SkipBridge(c[:5])

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` to six maps, the last two at stride 32."""
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        return [*self.bridge(skips), self.last(x)]


class MALUNet(EncoderDecoder):
    """The network of this file.

    Parameters
    ----------
    channels : tuple of int
        Of the six stages; multiples of 4.
    """

    def __init__(self, channels: tuple[int, ...] = (8, 16, 24, 32, 48, 64)) -> None:
        super().__init__()
        self.normalise = ImageNetNorm()
        self.encoder = Encoder(channels)
        kinds = (coming_up, coming_up, coming_up, conv3, conv3)
        self.decoder = nn.ModuleList(
            nn.Sequential(kind(a, b), nn.GroupNorm(GROUPS, b))
            for kind, (a, b) in zip(kinds, pairwise(channels[::-1]), strict=True)
        )
        self.head = nn.Conv2d(channels[0], 1, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to six maps, the last two at stride 32."""
        return self.encoder(self.normalise(images))

    def join(self, features: list[Tensor]) -> Tensor:
        """The finest skip and what came up to it, ``(B, 8 + 8, H/2, W/2)``."""
        *skips, x = features
        for stage, skip in zip(self.decoder, reversed(skips), strict=True):
            below = F.gelu(resized(stage(x), skip.shape[2:]))
            x = below + skip
        return torch.cat([skips[0], below], dim=1)

    def finish(self, joined: Tensor) -> Output:
        """The head of their sum, its logits twice as large; decoded is ``(B, 8, H/2, W/2)``."""
        skip, below = joined.chunk(2, dim=1)
        x = skip + below
        return Output(resized(self.head(x), [2 * side for side in x.shape[2:]]), decoded=x)


def build(in_size: int, **options: object) -> MALUNet:
    """MALUNet for any `in_size` that is a multiple of 32; options are those of `MALUNet`."""
    return MALUNet(**options)
