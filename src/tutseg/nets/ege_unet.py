"""EGE-UNet (Ruan et al., MICCAI 2023): a U-Net of 53 thousand parameters, gated by maps in the place of attention.

Six stages with 8, 16, 24, 32, 48 and 64 channels; the first three are convolutions, the others Hadamard attention
(`HadamardAttention`). Each skip goes through a bridge (`Bridge`) that also sees the skip below it and a mask::

    encoder    8 x H/2, 16 x H/4, 24 x H/8, 32 x H/16, 48 x H/32, 64 x H/32 (the last stage does not halve)
    decoder   48 x H/32, 32 x H/16, 24 x H/8, 16 x H/4, 8 x H/2; each says a mask, adds its bridge, and goes up
    head       1 x H, from the finest of these

Facts that only the authors' code tells: the masks enter the bridges as logits, without a sigmoid; resizing aligns
corners; losses of the five masks weigh .5, .4, .3, .2 and .1, fine to coarse, beside the last one's 1.

Deviation: a skip from below is resized first and projected then, which computes the same (both are linear, and the
weights of resizing add up to 1) and leaves the bridge with maps of one size.
"""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder, ImageNetNorm

GRID = 8  # points a side of the learned tensors
DILATIONS = (1, 2, 5, 7)
DEEP = {"aux1": 0.5, "aux2": 0.4, "aux3": 0.3, "aux4": 0.2, "aux5": 0.1}


def resized(x: Tensor, size: torch.Size) -> Tensor:
    """``(B, C, h, w)`` to ``(B, C, *size)``, bilinear, corner to corner."""
    return F.interpolate(x, size, mode="bilinear", align_corners=True)


def conv3(c_in: int, c_out: int) -> nn.Conv2d:
    """A convolution of 3 that keeps the size."""
    return nn.Conv2d(c_in, c_out, 3, padding=1)


def depthwise(conv: type[nn.Module], channels: int) -> nn.Sequential:
    """Depth-wise convolution of 3, GELU, pointwise convolution; `conv` is ``nn.Conv1d`` or ``nn.Conv2d``."""
    spread = conv(channels, channels, 3, padding=1, groups=channels)
    return nn.Sequential(spread, nn.GELU(), conv(channels, channels, 1))


class HadamardAttention(nn.Module):
    """Grouped multi-axis Hadamard product attention: three quarters of the channels are multiplied by learned tensors.

    A tensor of 8 points a side is stretched to the map and passed through a small convolution. It spans height and
    width for the first quarter, channels and height for the second, channels and width for the third; the fourth
    quarter gets a plain depth-wise convolution.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        c = c_in // 4
        self.norm = LayerNorm2d(c_in)
        self.plane = nn.Parameter(torch.ones(1, c, GRID, GRID))
        self.rows = nn.Parameter(torch.ones(1, c, GRID))
        self.columns = nn.Parameter(torch.ones(1, c, GRID))
        self.of_plane = depthwise(nn.Conv2d, c)
        self.of_rows, self.of_columns = depthwise(nn.Conv1d, c), depthwise(nn.Conv1d, c)
        self.local = nn.Sequential(nn.Conv2d(c, c, 1), nn.GELU(), nn.Conv2d(c, c, 3, padding=1, groups=c))
        self.mix = nn.Sequential(
            LayerNorm2d(c_in),
            nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in),
            nn.GELU(),
            nn.Conv2d(c_in, c_out, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, c_in, h, w)`` to ``(B, c_out, h, w)``."""
        h, w = x.shape[2:]
        line = lambda points, length: F.interpolate(points, length, mode="linear", align_corners=True)
        a, b, c, d = self.norm(x).chunk(4, dim=1)
        a = a * self.of_plane(resized(self.plane, x.shape[2:]))
        b = b * self.of_rows(line(self.rows, h))[:, :, :, None]
        c = c * self.of_columns(line(self.columns, w))[:, :, None, :]
        return self.mix(torch.cat([a, b, c, self.local(d)], dim=1))


class Bridge(nn.Module):
    """Group aggregation bridge: a skip, the skip below it and a mask, quarter by quarter, each at its own dilation."""

    def __init__(self, c_high: int, c_low: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(c_high, c_low, 1)
        c = c_low // 2 + 1  # a quarter of both, and the mask
        self.groups = nn.ModuleList(
            nn.Sequential(LayerNorm2d(c), nn.Conv2d(c, c, 3, padding=d, dilation=d, groups=c)) for d in DILATIONS
        )
        self.tail = nn.Sequential(LayerNorm2d(4 * c), nn.Conv2d(4 * c, c_low, 1))

    def forward(self, high: Tensor, low: Tensor, mask: Tensor) -> Tensor:
        """From below ``(B, c_high, h, w)``, the skip ``(B, c_low, h, w)`` and a mask to ``(B, c_low, h, w)``."""
        quarters = zip(self.groups, self.project(high).chunk(4, dim=1), low.chunk(4, dim=1), strict=True)
        return self.tail(torch.cat([group(torch.cat([a, b, mask], dim=1)) for group, a, b in quarters], dim=1))


class BridgedStage(nn.Module):
    """A decoder's mask, its bridge, and their sum with what came up."""

    def __init__(self, c_high: int, c_low: int) -> None:
        super().__init__()
        self.mask = nn.Conv2d(c_low, 1, 1)
        self.bridge = Bridge(c_high, c_low)

    def forward(self, high: Tensor, low: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The sum ``(B, c_low, h, w)``, the bridge's part of it, and the mask's logits ``(B, 1, h, w)``."""
        mask = self.mask(x)
        bridged = self.bridge(high, low, mask)
        return x + bridged, bridged, mask


class EGEUNet(EncoderDecoder):
    """Convolutions above, Hadamard attention below, bridged skips, a mask at each level.

    Parameters
    ----------
    channels : tuple of int
        Of the six stages; multiples of 4.
    """

    def __init__(self, channels: tuple[int, ...] = (8, 16, 24, 32, 48, 64)) -> None:
        super().__init__()
        c = channels
        self.normalise = ImageNetNorm()
        kinds = (conv3, conv3, conv3, HadamardAttention, HadamardAttention)
        self.encoder = nn.ModuleList(
            nn.Sequential(kind(a, b), nn.GroupNorm(4, b), nn.MaxPool2d(2), nn.GELU())
            for kind, a, b in zip(kinds, (3, *c[:4]), c[:5], strict=True)
        )
        self.encoder.append(nn.Sequential(HadamardAttention(c[4], c[5]), nn.GELU()))
        levels = (4, 3, 2, 1, 0)
        self.up = nn.ModuleList(
            nn.Sequential((conv3 if i < 2 else HadamardAttention)(c[i + 1], c[i]), nn.GroupNorm(4, c[i]))
            for i in levels
        )
        self.decoder = nn.ModuleList(BridgedStage(c[i + 1], c[i]) for i in levels)
        self.head = nn.Conv2d(c[0], 1, 1)
        self.apply(_init)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to six maps, the last two at stride 32."""
        x, maps = self.normalise(images), []
        for stage in self.encoder:
            x = stage(x)
            maps.append(x)
        return maps

    def _climb(self, features: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """What the last stage sees, and the masks of the stages before it, coarse to fine."""
        *skips, high = features
        x, masks = high, []
        for up, stage, low in zip(self.up, self.decoder, reversed(skips), strict=True):
            x = F.gelu(resized(up(x), low.shape[2:]))
            high = resized(high, low.shape[2:])
            if stage is not self.decoder[-1]:
                x, high, mask = stage(high, low, x)
                masks.append(mask)
        return torch.cat([skips[0], high, x], dim=1), masks

    def join(self, features: list[Tensor]) -> Tensor:
        """The finest skip, the bridge below it and what came up, ``(B, 8 + 16 + 8, H/2, W/2)``."""
        return self._climb(features)[0]

    def finish(self, joined: Tensor) -> Output:
        """The last stage: logits, and its own mask "aux1"; decoded is ``(B, 8, H/2, W/2)``."""
        c = self.head.in_channels
        low, high, x = joined.split([c, joined.shape[1] - 2 * c, c], dim=1)
        x, _, mask = self.decoder[-1](high, low, x)
        whole = [2 * side for side in x.shape[2:]]
        logits = F.interpolate(self.head(x), whole, mode="bilinear", align_corners=True)
        return Output(logits, {"aux1": resized(mask, whole)}, decoded=x, deep={"aux1": DEEP["aux1"]})

    def decode(self, features: list[Tensor]) -> Output:
        """`finish` after `join`, and the masks of all stages, "aux1" the finest."""
        joined, masks = self._climb(features)
        out = self.finish(joined)
        coarse = {f"aux{6 - k}": resized(mask, out.logits.shape[2:]) for k, mask in enumerate(masks, start=1)}
        return replace(out, heads=out.heads | coarse, deep=DEEP, features=tuple(features))


def _init(module: nn.Module) -> None:
    """The authors': weights that keep the variance of what goes back, biases of 0."""
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels / module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        nn.init.zeros_(module.bias)


def build(in_size: int, **options: object) -> EGEUNet:
    """EGE-UNet for any `in_size` that is a multiple of 32; options are those of `EGEUNet`."""
    return EGEUNet(**options)
