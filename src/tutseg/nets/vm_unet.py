"""VM-UNet (Ruan and Xiang 2024): a U-Net whose blocks are VMamba's selective scans, up and down.

Tokens are patches of 4 x 4; each stage is a row of `VSSBlock`, between them patches are merged or expanded as in
Swin-Unet. What comes up is *added* to the skip, and no layer follows the sum but the next expansion::

    encoder   96 x H/4, 192 x H/8, 384 x H/16, 768 x H/32    2, 2, 2, 2 blocks
    decoder  768 x H/32, 384 x H/16, 192 x H/8, 96 x H/4     2, 2, 2, 1 blocks
    head      24 x H, expanded from 96 x H/4 in one step, then 1 x H

Where paper and code differ the code is followed, since all numbers are its: a skip is what a stage *begins* with, so
the deepest one is the last stage's own input, and the finest level has none (its patches are kept and never used). The
depths are those it is trained with; the class's own default, 2-2-9-2, is another network of 44.27 M.
"""

import torch
from timm.layers import calculate_drop_path_rates
from timm.models.swin_transformer import PatchMerging
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder, ImageNetNorm
from tutseg.nets.scan import VSSBlock
from tutseg.nets.swin_unet import PatchExpand

PATCH = 4


def stage(channels: int, states: int, drop_path: list[float]) -> nn.Sequential:
    """As many blocks as there are rates, ``(B, h, w, C)`` to the same shape."""
    return nn.Sequential(*(VSSBlock(channels, states, rate) for rate in drop_path))


class Encoder(nn.Module):
    """Patches, and stages that each begin by merging them."""

    def __init__(self, channels: list[int], depths: tuple[int, ...], states: int, drop_path: float) -> None:
        super().__init__()
        self.embed, self.norm = nn.Conv2d(3, channels[0], PATCH, stride=PATCH), nn.LayerNorm(channels[0])
        rates = calculate_drop_path_rates(drop_path, depths, stagewise=True)
        self.stages = nn.ModuleList(stage(c, states, rate) for c, rate in zip(channels, rates, strict=True))
        self.down = nn.ModuleList(PatchMerging(c) for c in channels[:-1])

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` to what the second, third and fourth stage begin with, and what the last ends with."""
        x, maps = self.stages[0](self.norm(self.embed(x).permute(0, 2, 3, 1))), []
        for down, blocks in zip(self.down, self.stages[1:], strict=True):
            maps.append(down(x))
            x = blocks(maps[-1])
        return [m.permute(0, 3, 1, 2) for m in (*maps, x)]


class VMUNet(EncoderDecoder):
    """The network of this file.

    Parameters
    ----------
    embed : int
        Channels of the finest tokens; doubled by each merging.
    depths, decoder_depths : tuple of int
        Blocks of each stage, in the order in which they run.
    states : int
        See `SS2D`.
    drop_path : float
        Stochastic depth, rising from 0 to this over the encoder's blocks, and falling over the decoder's.
    """

    def __init__(
        self,
        embed: int = 96,
        depths: tuple[int, ...] = (2, 2, 2, 2),
        decoder_depths: tuple[int, ...] = (2, 2, 2, 1),
        states: int = 16,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        c = [embed * 2**level for level in range(len(depths))]
        self.normalise = ImageNetNorm()
        self.encoder = Encoder(c, depths, states, drop_path)
        rates = calculate_drop_path_rates(drop_path, decoder_depths[::-1], stagewise=True)
        falling = [rate[::-1] for rate in reversed(rates)]
        self.decoder = nn.ModuleList(stage(n, states, rate) for n, rate in zip(c[::-1], falling, strict=True))
        self.expand = nn.ModuleList(PatchExpand(n, n // 2, 2) for n in c[:0:-1])
        self.final_expand = PatchExpand(embed, embed // PATCH, PATCH)
        self.head = nn.Conv2d(embed // PATCH, 1, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to four maps at strides 8, 16, 32 and 32."""
        return self.encoder(self.normalise(images))

    def join(self, features: list[Tensor]) -> Tensor:
        """The finest skip and what came up to it, ``(B, 192 + 192, H/8, W/8)``."""
        finest, *skips, x = (m.permute(0, 2, 3, 1) for m in features)
        x = self.decoder[0](x)
        for expand, blocks, skip in zip(self.expand[:-1], self.decoder[1:-1], reversed(skips), strict=True):
            x = blocks(expand(x + skip))
        return torch.cat([finest, x], dim=-1).permute(0, 3, 1, 2)

    def finish(self, joined: Tensor) -> Output:
        """Their sum, expanded, through the last blocks; decoded is ``(B, 24, H, W)``."""
        skip, x = joined.permute(0, 2, 3, 1).chunk(2, dim=-1)
        x = self.final_expand(self.decoder[-1](self.expand[-1](x + skip))).permute(0, 3, 1, 2)
        return Output(self.head(x), decoded=x)


def build(in_size: int, **options: object) -> VMUNet:
    """VM-UNet for any `in_size` that is a multiple of 32; options are those of `VMUNet`."""
    return VMUNet(**options)
