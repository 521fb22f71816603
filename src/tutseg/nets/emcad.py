"""EMCAD (Rahman, Munir, Marculescu, CVPR 2024): PVTv2 and a decoder of depth-wise convolutions at several scales.

The encoder is timm's PVTv2-B2, 24.85 M parameters; the decoder has 1.91 M::

    encoder    64 x H/4, 128 x H/8, 320 x H/16, 512 x H/32
    decoder   512 x H/32 -> up, + gated skip -> 320 x H/16 -> 128 x H/8 -> 64 x H/4; each stage attends and has a head

A stage is channel attention, spatial attention and a multi-scale convolution block in turn (MSCAM); a skip passes a
gate that looks at what came up (LGAG) and is added.

What the count of parameters tells beyond the paper: one spatial attention serves all four stages, and the bottleneck of
the channel attention, the block's convolutions and the spatial attention have no bias.

Deviations
----------
- The published count has 12 parameters more, of a layer that gives grey pictures three channels.
- The channel shuffle in front of a pointwise convolution is left out: it only renames that convolution's inputs.
- The authors sum the losses of all sums of heads (15 of four heads); here each head has its own, of one weight. What is
  evaluated is the finest head, as theirs.
"""

from itertools import pairwise

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import DeepSupervision, ImageNetNorm

SCALES = (1, 3, 5)  # kernels of the multi-scale block
EXPAND = 2
RATIO = 16  # of the channel attention


class ChannelAttention(nn.Module):
    """CAB: one gate a channel, from its largest and its mean value."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // RATIO
        self.mix = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), nn.ReLU(), nn.Conv2d(hidden, channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` to ``(B, C, h, w)``."""
        return x * torch.sigmoid(self.mix(x.amax((2, 3), keepdim=True)) + self.mix(x.mean((2, 3), keepdim=True)))


class SpatialAttention(nn.Module):
    """SAB: one gate a place, from the largest and the mean value over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` to ``(B, C, h, w)``."""
        return x * torch.sigmoid(self.look(torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1)))


def normed(conv: nn.Conv2d, *then: nn.Module) -> nn.Sequential:
    """A convolution, batch norm, and what follows."""
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), *then)


class MultiScaleBlock(nn.Module):
    """MSCB: channels are widened, looked at by kernels of 1, 3 and 5, summed, narrowed, and added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = EXPAND * channels
        self.widen = normed(nn.Conv2d(channels, wide, 1, bias=False), nn.ReLU6())
        self.scales = nn.ModuleList(
            normed(nn.Conv2d(wide, wide, k, padding=k // 2, groups=wide, bias=False), nn.ReLU6()) for k in SCALES
        )
        self.narrow = normed(nn.Conv2d(wide, channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` to ``(B, C, h, w)``."""
        wide = self.widen(x)
        return x + self.narrow(sum(scale(wide) for scale in self.scales))


class Gate(nn.Module):
    """LGAG: large-kernel grouped attention gate; what came up says where the skip counts."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        grouped = lambda: normed(nn.Conv2d(channels, half, 3, padding=1, groups=half))
        self.of_below, self.of_skip = grouped(), grouped()
        self.gate = normed(nn.Conv2d(half, 1, 1), nn.Sigmoid())

    def forward(self, skip: Tensor, below: Tensor) -> Tensor:
        """Both ``(B, C, h, w)``; returns the skip, gated."""
        return skip * self.gate(F.relu(self.of_below(below) + self.of_skip(skip)))


def up_block(c_in: int, c_out: int) -> nn.Sequential:
    """EUCB: twice the size, a depth-wise convolution of 3, and a pointwise one."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        *normed(nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in, bias=False), nn.ReLU()),
        nn.Conv2d(c_in, c_out, 1),
    )


class EMCAD(DeepSupervision):
    """PVTv2 encoder, multi-scale convolutional attention decoder, four heads.

    Parameters
    ----------
    encoder : str
        timm's name of a PVTv2.
    **widths
        Over timm's own: ``embed_dims``, ``depths`` and ``num_heads`` of the encoder's four stages.
    """

    deep = (1.0, 1.0, 1.0)

    def __init__(self, encoder: str = "pvt_v2_b2", **widths: tuple[int, ...]) -> None:
        super().__init__()
        self.normalise = ImageNetNorm()
        self.encoder = timm.create_model(encoder, features_only=True, pretrained=False, **widths)
        c = self.encoder.feature_info.channels()[::-1]  # coarse to fine
        self.spatial = SpatialAttention()
        self.channel = nn.ModuleList(ChannelAttention(n) for n in c)
        self.decoder = nn.ModuleList(MultiScaleBlock(n) for n in c)
        self.up = nn.ModuleList(up_block(a, b) for a, b in pairwise(c))
        self.gates = nn.ModuleList(Gate(n) for n in c[1:])
        self.head = nn.Conv2d(c[-1], 1, 1)
        self.auxiliary = nn.ModuleList(nn.Conv2d(n, 1, 1) for n in c[-2::-1])

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to four maps at strides 4 to 32."""
        return self.encoder(self.normalise(images))

    def _attend(self, stage: int, x: Tensor) -> Tensor:
        """MSCAM of a stage, the coarsest being 0."""
        return self.decoder[stage](self.spatial(self.channel[stage](x)))

    def climb(self, features: list[Tensor]) -> list[Tensor]:
        """The decoder's first three maps; and the finest skip with what came up, ``(B, 64 + 64, H/4, W/4)``."""
        *skips, x = features
        stages = [self._attend(0, x)]
        for k, skip in enumerate(skips[:0:-1], start=1):
            below = self.up[k - 1](stages[-1])
            stages.append(self._attend(k, below + self.gates[k - 1](skip, below)))
        return [*stages, torch.cat([skips[0], self.up[-1](stages[-1])], dim=1)]

    def finish(self, joined: Tensor) -> Output:
        """The last stage, its logits four times larger; decoded is ``(B, 64, H/4, W/4)``."""
        skip, below = joined.chunk(2, dim=1)
        x = self._attend(3, below + self.gates[-1](skip, below))
        return Output(F.interpolate(self.head(x), scale_factor=4.0, mode="bilinear", align_corners=False), decoded=x)


def build(in_size: int, **options: object) -> EMCAD:
    """EMCAD for any `in_size` that is a multiple of 32; options are those of `EMCAD`."""
    return EMCAD(**options)
