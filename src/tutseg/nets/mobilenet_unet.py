"""U-Net on a MobileNetV2 encoder: our reading of SAM-KD's "MobileNet encoder + decoder, 2.9 M parameters".

The paper names neither MobileNet's version nor the decoder. V3-Large alone exceeds 2.9 M (2.97 M), so V2 it is:
1.81 M up to its last bottleneck block (the 1280-channel layer serves classification only and is left out), and a
decoder of 1.09 M that stops at half resolution, where most of the remaining cost would lie.
"""

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.nets import NetOutput
from tutseg.nets.common import EncoderDecoder, ImageNetNorm, double_conv, pretrained_file

ENCODER = "mobilenetv2_100"
DECODER_CHANNELS = (160, 72, 48, 32)  # at 1/16, 1/8, 1/4, 1/2 of the resolution


class MobileNetUNet(EncoderDecoder):
    """MobileNetV2 encoder (strides 2 to 32), bilinear up-sampling, concatenated skips, double convolutions."""

    def __init__(self, pretrained: bool = False) -> None:
        super().__init__()
        overlay = {"file": str(pretrained_file(ENCODER))} if pretrained else None
        self.normalise = ImageNetNorm()
        self.encoder = timm.create_model(
            ENCODER, pretrained=pretrained, pretrained_cfg_overlay=overlay, features_only=True
        )
        *skips, deepest = self.encoder.feature_info.channels()
        below = (deepest, *DECODER_CHANNELS[:-1])
        self.decoder = nn.ModuleList(
            double_conv(b + s, c) for b, s, c in zip(below, reversed(skips), DECODER_CHANNELS, strict=True)
        )
        self.head = nn.Conv2d(DECODER_CHANNELS[-1], 1, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to five maps at strides 2 to 32; the bottleneck is ``(B, 320, H/32, W/32)``."""
        return self.encoder(self.normalise(images))

    def decode(self, features: list[Tensor]) -> NetOutput:
        """The maps of `encode` to logits at the images' size; decoded is ``(B, 32, H/2, W/2)``."""
        *skips, bottleneck = features
        x = bottleneck
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = block(torch.cat([skip, x], dim=1))
        logits = F.interpolate(self.head(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        return NetOutput(logits, bottleneck, x)


def build(in_size: int, pretrained: bool = False) -> MobileNetUNet:
    """MobileNetV2 U-Net for any `in_size` that is a multiple of 32.

    Raises
    ------
    InputError
        `pretrained` was asked for and timm's weights cannot be had.
    """
    return MobileNetUNet(pretrained)
