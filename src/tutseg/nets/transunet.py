"""TransUNet (Chen et al. 2021): a ResNet down to 1/16, a transformer there, and a U-Net's way up.

======== ====================================================== ================= ===========
part     what                                                   stride            parameters
======== ====================================================== ================= ===========
cnn      ResNet-50's first three stages (group norm, weights    2 to 16           11,894,848
         standardised): 64, 256, 512, 1024 channels
tokens   1x1 convolution, positions, 12 blocks of ViT-B/16      16                85,993,728
bridge   768 to 512 channels                                    16                3,539,968
decoder  four double convolutions to 256, 128, 64, 16           8 to 1            3,847,232
         channels; the first three have skips
head     3x3 convolution to one logit (the authors: classes)    1                 145 (290)
======== ====================================================== ================= ===========

With two classes that is the authors' network: 105,276,066 parameters at 224 pixels.

Deviation: one logit in place of two classes. Without the authors' weights from ImageNet-21k it is not what their paper
evaluates: a transformer needs to have seen much.
"""

from functools import partial

import torch
from timm.layers import GroupNormAct, StdConv2dSame
from timm.models.resnetv2 import ResNetV2
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder, ImageNetNorm, conv_bn, double_conv, upsample

STRIDE = 16


class Transformer(nn.Module):
    """The patches of a map as tokens, with learned positions, through ViT's blocks and its last norm."""

    def __init__(self, c_in: int, embed: int, depth: int, heads: int, tokens: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(c_in, embed, 1)
        self.position = nn.Parameter(0.02 * torch.randn(1, tokens, embed))
        self.blocks = nn.Sequential(*(Block(embed, heads, qkv_bias=True) for _ in range(depth)))
        self.norm = nn.LayerNorm(embed, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, c_in, h, w)`` to ``(B, embed, h, w)``."""
        x = self.project(x)
        tokens = x.flatten(2).transpose(1, 2) + self.position
        return self.norm(self.blocks(tokens)).transpose(1, 2).reshape(x.shape)


class TransUNet(EncoderDecoder):
    """Hybrid encoder, and the authors' cascade up.

    Parameters
    ----------
    in_size : int
        Height and width of the input, a multiple of 16: there is one position a token.
    layers, channels : tuple of int
        Blocks, and channels, of the ResNet's three stages.
    groups : int
        Of its group norms.
    stem : int
        Its channels at half the resolution.
    embed, depth, heads : int
        The transformer's channels, blocks, and heads of each.
    ascent : tuple of int
        Channels of the bridge at 1/16 and of the decoder at 1/8, 1/4, 1/2 and full resolution.
    """

    def __init__(
        self,
        in_size: int,
        layers: tuple[int, ...] = (3, 4, 9),
        channels: tuple[int, ...] = (256, 512, 1024),
        groups: int = 32,
        stem: int = 64,
        embed: int = 768,
        depth: int = 12,
        heads: int = 12,
        ascent: tuple[int, ...] = (512, 256, 128, 64, 16),
    ) -> None:
        super().__init__()
        self.normalise = ImageNetNorm()
        cnn = ResNetV2(
            layers,
            channels,
            num_classes=0,
            global_pool="",
            stem_chs=stem,
            stem_type="same",
            preact=False,
            norm_layer=partial(GroupNormAct, num_groups=groups),
            conv_layer=partial(StdConv2dSame, eps=1e-8),
        )
        tokens = Transformer(channels[-1], embed, depth, heads, (in_size // STRIDE) ** 2)
        self.encoder = nn.ModuleDict({"cnn": cnn, "transformer": tokens})
        self.bridge = conv_bn(embed, ascent[0], 3)
        skips = (channels[1], channels[0], stem, 0)
        self.decoder = nn.ModuleList(
            double_conv(below + skip, c) for below, skip, c in zip(ascent[:-1], skips, ascent[1:], strict=True)
        )
        self.head = nn.Conv2d(ascent[-1], 1, 3, padding=1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, S, S)`` to three maps at strides 2 to 8, and the tokens ``(B, embed, S/16, S/16)``."""
        cnn = self.encoder["cnn"]
        maps = [cnn.stem[:-1](self.normalise(images))]
        x = cnn.stem[-1](maps[0])
        for stage in cnn.stages:
            x = stage(x)
            maps.append(x)
        maps[-1] = self.encoder["transformer"](x)
        return maps

    def join(self, features: list[Tensor]) -> Tensor:
        """The maps of `encode` to the input of the last double convolution, ``(B, 64, S, S)``."""
        *skips, x = features
        x = self.bridge(x)
        for block, skip in zip(self.decoder[:-1], reversed(skips), strict=True):
            x = block(torch.cat([upsample(x), skip], dim=1))
        return upsample(x)

    def finish(self, joined: Tensor) -> Output:
        """What `join` returned to logits; decoded is ``(B, 16, S, S)``."""
        x = self.decoder[-1](joined)
        return Output(self.head(x), decoded=x)


def build(in_size: int, **options: object) -> TransUNet:
    """TransUNet for square images of `in_size`, a multiple of 16; options are those of `TransUNet`."""
    return TransUNet(in_size, **options)
