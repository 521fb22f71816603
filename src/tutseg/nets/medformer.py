"""MedFormer (Gao et al. 2022, arXiv 2203.00131), the network that SSGNet's Table 2 calls UTNetV2.

A U-Net of convolutions whose middle levels hear the whole picture by way of a *semantic map*: 3 x 3 tokens beside the
features. A block lets both ask each other with one and the same matrix of affinities (B-MHA)::

    features' = softmax over tokens (q_f q_m^T) v_m        map' = softmax over places (q_f q_m^T)^T v_f

======= ================================= =========================== =======
part    what                              channels                    stride
======= ================================= =========================== =======
stem    convolution, residual block       32                          1
down    merge 2 x 2, two residual blocks  64                          2
down    merge, map, two B-MHA blocks      128, 256, 512 (each a map)  4, 8, 16
fusion  two transformer blocks            512: the 27 tokens together -
up      skip, maps, two B-MHA blocks      256, 128                    8, 4
up      skip, two residual blocks         64, 32                      2, 1
======= ================================= =========================== =======

Where features are parted from what decodes them, the maps have to travel too: they lie as further channels on the
coarsest features, each token in a block of places of its own, and are read there again.

With its settings for two-dimensional pictures (maps of 3 x 3, expansion 2) the authors' code counts 19,187,554: ours,
and 26,624 that it computes and never reads (the map after the last block, and after each level of convolutions).
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from tutseg.errors import InputError
from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder, ImageNetNorm

SIDE = 3  # of a map, in tokens
STRIDE = 16
HEAD = 32  # channels of an attention head


def pointwise(c_in: int, c_out: int) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(c_in, c_out, 1, bias=False)


def separable(c_in: int, c_out: int) -> nn.Sequential:
    """A 3x3 convolution of each channel by itself, then a pointwise one."""
    return nn.Sequential(nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in, bias=False), pointwise(c_in, c_out))


def after_norm(c: int, layer: nn.Module) -> nn.Sequential:
    """Batch norm and GELU, then the layer."""
    return nn.Sequential(nn.BatchNorm2d(c), nn.GELU(), layer)


class Residual(nn.Module):
    """Two 3x3 convolutions behind their norms, and the input added."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(after_norm(c, nn.Conv2d(c, c, 3, padding=1, bias=False)) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` to the same shape."""
        return x + self.body(x)


class Inverted(nn.Module):
    """Widen, look at the neighbours, weigh the channels by what they are on average, narrow; the input added."""

    def __init__(self, c: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * c
        self.widen = nn.Sequential(
            after_norm(c, pointwise(c, wide)),
            after_norm(wide, nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)),
        )
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(wide, wide // 4, 1),
            nn.ReLU(),
            nn.Conv2d(wide // 4, wide, 1),
            nn.Sigmoid(),
        )
        self.narrow = nn.Sequential(nn.BatchNorm2d(wide), pointwise(wide, c))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` to the same shape."""
        wide = self.widen(x)
        return x + self.narrow(wide * self.weigh(wide))


class BothWays(nn.Module):
    """B-MHA: features and map of C channels ask each other, then a feed-forward layer of the features.

    Parameters
    ----------
    c : int
        Channels of both.
    expansion : int
        Of the feed-forward layer.
    last : bool
        Whether nobody asks for the map any more.
    """

    def __init__(self, c: int, expansion: int, last: bool = False) -> None:
        super().__init__()
        self.heads = max(1, c // HEAD)
        self.norms = nn.ModuleList([nn.BatchNorm2d(c), nn.BatchNorm2d(c)])
        self.of_features, self.of_map = separable(c, 2 * c), pointwise(c, 2 * c)
        self.to_features, self.to_map = separable(c, c), None if last else pointwise(c, c)
        self.feed = Inverted(c, expansion)

    def parted(self, both: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and values ``(B, heads, places, d)`` from what one side says ``(B, 2 C, h, w)``."""
        return both.flatten(2).unflatten(1, (2, self.heads, -1)).transpose(3, 4).unbind(1)

    def forward(self, x: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features ``(B, C, h, w)`` and map ``(B, C, 3, 3)``, both renewed."""
        features, semantic = (norm(each) for norm, each in zip(self.norms, (x, tokens), strict=True))
        query, value = self.parted(self.of_features(features))
        key, meaning = self.parted(self.of_map(semantic))
        affinity = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        heard = (affinity.softmax(3) @ meaning).transpose(2, 3).reshape(x.shape)
        x = self.feed(x + self.to_features(heard))
        if self.to_map is None:
            return x, None
        told = (affinity.softmax(2).transpose(2, 3) @ value).transpose(2, 3).reshape(tokens.shape)
        return x, tokens + self.to_map(told)


class Merge(nn.Sequential):
    """Each 2 x 2 places become one."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(nn.PixelUnshuffle(2), nn.BatchNorm2d(4 * c_in), separable(4 * c_in, c_out))


class Down(nn.Module):
    """Merge, gather a map from the features, then blocks both ways."""

    def __init__(self, c_in: int, c: int, depth: int, expansion: int) -> None:
        super().__init__()
        self.merge = Merge(c_in, c)
        self.what, self.where = (nn.Conv2d(c, n, 3, padding=1, bias=False) for n in (c, SIDE**2))
        self.blocks = nn.ModuleList(BothWays(c, expansion) for _ in range(depth))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, c_in, h, w)`` to features ``(B, C, h/2, w/2)`` and map ``(B, C, 3, 3)``."""
        x = self.merge(x)
        weights = self.where(x).flatten(2).softmax(2)
        tokens = (self.what(x).flatten(2) @ weights.transpose(1, 2)).unflatten(2, (SIDE, SIDE))
        for block in self.blocks:
            x, tokens = block(x, tokens)
        return x, tokens


class Encoder(nn.Module):
    """Stem, four levels down; the maps of the last three are told of each other at the end."""

    def __init__(self, c: list[int], depth: int, expansion: int, fusion: int, heads: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, c[0], 3, padding=1, bias=False), Residual(c[0]))
        self.first = nn.Sequential(Merge(c[0], c[1]), *(Residual(c[1]) for _ in range(depth)))
        self.levels = nn.ModuleList(Down(a, b, depth, expansion) for a, b in pairwise(c[1:]))
        self.enter = nn.ModuleList(pointwise(n, fusion) for n in c[2:])
        self.fusion = nn.Sequential(*(Block(fusion, heads, mlp_ratio=1) for _ in range(2)))
        self.leave = nn.ModuleList(pointwise(fusion, n) for n in c[2:])

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` to five maps at strides 1 to 16; the last has the semantic maps on it."""
        maps = [self.stem(x)]
        maps.append(self.first(maps[0]))
        tokens = []
        for level in self.levels:
            x, semantic = level(maps[-1])
            maps.append(x)
            tokens.append(semantic)
        told = [enter(t).flatten(2).transpose(1, 2) for enter, t in zip(self.enter, tokens, strict=True)]
        fused = self.fusion(torch.cat(told, dim=1)).chunk(len(tokens), dim=1)
        tokens = [
            leave(t.transpose(1, 2).unflatten(2, (SIDE, SIDE))) for leave, t in zip(self.leave, fused, strict=True)
        ]
        spread = F.interpolate(torch.cat(tokens, dim=1), maps[-1].shape[2:], mode="nearest")
        return [*maps[:-1], torch.cat([maps[-1], spread], dim=1)]


class Up(nn.Module):
    """Features and map of the level below meet those of the skip; then blocks both ways."""

    def __init__(self, c_in: int, c: int, depth: int, expansion: int, last: bool) -> None:
        super().__init__()
        self.narrow = nn.Sequential(nn.BatchNorm2d(c_in + c), pointwise(c_in + c, c))
        self.join = pointwise(c_in + c, c)
        self.blocks = nn.ModuleList(BothWays(c, expansion, last and k == depth - 1) for k in range(depth))

    def forward(self, x: Tensor, skip: Tensor, tokens: Tensor, beside: Tensor) -> tuple[Tensor, Tensor | None]:
        """What came up, the skip, and a map of each, to features ``(B, C, h, w)`` and their map."""
        x, tokens = self.narrow(beside_skip(x, skip)), self.join(torch.cat([tokens, beside], dim=1))
        for block in self.blocks:
            x, tokens = block(x, tokens)
        return x, tokens


def beside_skip(x: Tensor, skip: Tensor) -> Tensor:
    """What came up, enlarged to the skip's size, and the skip."""
    return torch.cat([F.interpolate(x, skip.shape[2:], mode="bilinear", align_corners=True), skip], dim=1)


class MedFormer(EncoderDecoder):
    """The network of this file.

    Parameters
    ----------
    base : int
        Channels at full resolution; doubled at each of the four levels below.
    depth : int
        Blocks of each level.
    expansion : int
        Of the blocks' feed-forward layers.
    fusion, fusion_heads : int
        Channels and heads of the transformer over all tokens.
    """

    def __init__(
        self, base: int = 32, depth: int = 2, expansion: int = 2, fusion: int = 512, fusion_heads: int = 16
    ) -> None:
        super().__init__()
        c = [base * 2**level for level in range(5)]
        self.normalise = ImageNetNorm()
        self.encoder = Encoder(c, depth, expansion, fusion, fusion_heads)
        self.with_maps = nn.ModuleList(
            Up(a, b, depth, expansion, last=k == 1) for k, (a, b) in enumerate(((c[4], c[3]), (c[3], c[2])))
        )
        self.plain = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(a + b), pointwise(a + b, b), *(Residual(b) for _ in range(depth)))
            for a, b in ((c[2], c[1]), (c[1], c[0]))
        )
        self.head = nn.Conv2d(base, 1, 1)
        self.widths = (c[4], *c[2:])

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to five maps at strides 1 to 16."""
        return self.encoder(self.normalise(images))

    def join(self, features: list[Tensor]) -> Tensor:
        """The maps of `encode` to what the last level sees, ``(B, 3 base, H, W)``."""
        *skips, coarsest = features
        x, *tokens = coarsest.split(self.widths, dim=1)
        at = [math.ceil(k * x.shape[2] / SIDE) for k in range(SIDE)]  # a place where each token lies
        tokens = [t[:, :, at][..., at] for t in tokens]
        semantic = tokens[2]
        for level, skip, beside in zip(self.with_maps, (skips[3], skips[2]), (tokens[1], tokens[0]), strict=True):
            x, semantic = level(x, skip, semantic, beside)
        return beside_skip(self.plain[0](beside_skip(x, skips[1])), skips[0])

    def finish(self, joined: Tensor) -> Output:
        """The last level and the head; decoded is ``(B, base, H, W)``."""
        x = self.plain[1](joined)
        return Output(self.head(x), decoded=x)


def build(in_size: int, **options: object) -> MedFormer:
    """MedFormer for any `in_size` that is a multiple of 16, from 48; options are those of `MedFormer`."""
    if in_size < SIDE * STRIDE:
        raise InputError(f"size {in_size} is too small for MedFormer", f"use {SIDE * STRIDE} or more")
    return MedFormer(**options)
