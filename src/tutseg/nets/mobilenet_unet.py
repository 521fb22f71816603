"""U-Net on a MobileNetV2 encoder: our reading of SAM-KD's "MobileNet encoder + decoder, 2.9 M parameters".

The paper names neither MobileNet's version nor the decoder. V3-Large alone exceeds 2.9 M (2.97 M), so V2 it is:
1.81 M up to its last bottleneck block (the 1280-channel layer serves classification only and is left out), and a
decoder of 1.09 M.
"""

import timm

from tutseg import weights
from tutseg.nets.common import ImageNetNorm, PyramidUNet, load_encoder

ENCODER = "mobilenetv2_100"
DECODER_CHANNELS = (160, 72, 48, 32)  # at 1/16, 1/8, 1/4, 1/2 of the resolution


class MobileNetUNet(PyramidUNet):
    """MobileNetV2 encoder, maps of 16, 24, 32, 96 and 320 channels."""

    def __init__(self, pretrained: bool = False) -> None:
        encoder = timm.create_model(ENCODER, features_only=True)
        if pretrained:
            load_encoder(encoder, weights.read("mobilenetv2"), "mobilenetv2")
        super().__init__(encoder, ImageNetNorm(), DECODER_CHANNELS)


def build(in_size: int, pretrained: bool = False) -> MobileNetUNet:
    """MobileNetV2 U-Net for any `in_size` that is a multiple of 32.

    Raises
    ------
    InputError
        `pretrained` was asked for and the ImageNet weights cannot be had.
    """
    return MobileNetUNet(pretrained)
