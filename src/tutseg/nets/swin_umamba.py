"""Swin-UMamba (Liu et al., MICCAI 2024): VMamba's encoder, and a U-Net's decoder of residual convolutions.

The encoder is VMamba-T behind a stem of its own; its blocks (`VSSBlock`) scan the map four ways. Every skip passes a
residual block, and the picture itself is the finest of them::

    picture    3 x H ----------------------------- block ->  48 x H
    stem      48 x H/2, 7x7 ---------------------- block ->  96 x H/2
    VMamba    96 x H/4, 2 blocks ----------------- block -> 192 x H/4
             192 x H/8, 2 blocks ----------------- block -> 384 x H/8
             384 x H/16, 9 blocks ---------------- block -> 768 x H/16
             768 x H/32, 2 blocks
    decoder  768 x H/16, 384 x H/8, 192 x H/4, 96 x H/2, 48 x H; heads on the last four

A residual block is two convolutions with instance norm and leaky ReLU, and a way around them.

The losses of the heads at H/2, H/4 and H/8 weigh a half, a quarter and an eighth of the last one's, as in nnU-Net.

Deviations: the coarser heads learn the mask at full size, where nnU-Net shrinks the mask; all of the network learns
from the first step (theirs, from ImageNet weights, keeps the encoder still for ten epochs).
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.models.swin_transformer import PatchMerging
from torch import Tensor, nn

from tutseg.errors import InputError
from tutseg.nets import Output
from tutseg.nets.common import DeepSupervision, ImageNetNorm
from tutseg.nets.scan import VSSBlock

STRIDE = 32


class ResidualBlock(nn.Module):
    """Two convolutions of 3 with instance norm; a projection goes around them where the channels change."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        conv = lambda a, k: (nn.Conv2d(a, c_out, k, padding=k // 2, bias=False), nn.InstanceNorm2d(c_out))
        self.body = nn.Sequential(*conv(c_in, 3), nn.LeakyReLU(), *conv(c_out, 3))
        self.around = nn.Identity() if c_in == c_out else nn.Sequential(*conv(c_in, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, c_in, h, w)`` to ``(B, c_out, h, w)``."""
        return F.leaky_relu(self.body(x) + self.around(x))


class Encoder(nn.Module):
    """Stem, VMamba, and a residual block on every map but the coarsest."""

    def __init__(self, c: tuple[int, ...], depths: tuple[int, ...], states: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, c[0], 7, stride=2, padding=3), nn.InstanceNorm2d(c[0], affine=True))
        self.embed, self.norm = nn.Conv2d(c[0], c[1], 2, stride=2), nn.LayerNorm(c[1])
        self.stages = nn.ModuleList(
            nn.Sequential(*(VSSBlock(n, states) for _ in range(depth))) for n, depth in zip(c[1:], depths, strict=True)
        )
        self.down = nn.ModuleList(PatchMerging(n) for n in c[1:-1])
        self.skips = nn.ModuleList(ResidualBlock(a, b) for a, b in pairwise((3, *c)))

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` to six maps at strides 1 to 32."""
        maps = [x, self.stem(x)]
        x = self.norm(self.embed(maps[-1]).permute(0, 2, 3, 1))
        for k, stage in enumerate(self.stages):
            x = stage(self.down[k - 1](x) if k else x)
            maps.append(x.permute(0, 3, 1, 2))
        return [*(block(m) for block, m in zip(self.skips, maps[:-1], strict=True)), maps[-1]]


class SwinUMamba(DeepSupervision):
    """The network of this file.

    Parameters
    ----------
    channels : tuple of int
        At strides 2 to 32; the first are those at full size, too.
    depths : tuple of int
        Blocks of the encoder's four stages, strides 4 to 32.
    states : int
        See `SS2D`.
    """

    deep = (1 / 2, 1 / 4, 1 / 8)

    def __init__(
        self,
        channels: tuple[int, ...] = (48, 96, 192, 384, 768),
        depths: tuple[int, ...] = (2, 2, 9, 2),
        states: int = 16,
    ) -> None:
        super().__init__()
        c = channels
        self.normalise = ImageNetNorm()
        self.encoder = Encoder(c, depths, states)
        steps = pairwise((c[-1], *c[::-1]))  # coarse to fine
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2, bias=False) for a, b in steps)
        self.decoder = nn.ModuleList(ResidualBlock(2 * n, n) for n in c[::-1])
        self.decoder[-1] = nn.Sequential(self.decoder[-1], ResidualBlock(c[0], c[0]))
        self.head = nn.Conv2d(c[0], 1, 1)
        self.auxiliary = nn.ModuleList(nn.Conv2d(n, 1, 1) for n in c[1:4])

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to six maps at strides 1 to 32."""
        return self.encoder(self.normalise(images))

    def climb(self, features: list[Tensor]) -> list[Tensor]:
        """The decoder's maps at H/8, H/4 and H/2; and what came up with the finest skip, ``(B, 48 + 48, H, W)``."""
        *skips, x = features
        stages = []
        for up, block, skip in zip(self.up[:-1], self.decoder[:-1], skips[:0:-1], strict=True):
            x = block(torch.cat([up(x), skip], dim=1))
            stages.append(x)
        return [*stages[1:], torch.cat([self.up[-1](x), skips[0]], dim=1)]

    def finish(self, joined: Tensor) -> Output:
        """The last stage and its head; decoded is ``(B, 48, H, W)``."""
        x = self.decoder[-1](joined)
        return Output(self.head(x), decoded=x)


def build(in_size: int, **options: object) -> SwinUMamba:
    """Swin-UMamba for any `in_size` that is a multiple of 32 and at least 64; options are those of `SwinUMamba`.

    Raises
    ------
    InputError
        At 32 pixels the coarsest map has one place, and instance norm leaves nothing of it.
    """
    if in_size < 2 * STRIDE:
        raise InputError(f"size {in_size} is too small for net swin-umamba", f"use {2 * STRIDE} or more")
    return SwinUMamba(**options)
