"""A network with two heads on one decoder: the mask, and the signed distance to its border (SAM-KD section 2.1).

SAM-KD's main network is ``mobilenet-unet-sdf``, MobileNetV2 and a light decoder. Beside the one-head network it has one
1x1 convolution more, which is drawn last: of one seed both begin with the same mask head.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.errors import unknown
from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder
from tutseg.nets.lite0_unet import Lite0UNet
from tutseg.nets.mobilenet_unet import MobileNetUNet


class SDFHead(EncoderDecoder):
    """Mixed into a net, gives it the further head "sdf" ``(B, 1, H, W)`` in [-1, 1]: below 0 inside the lesion."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.sdf = nn.Conv2d(self.head.in_channels, 1, 1)

    def finish(self, joined: Tensor) -> Output:
        """What the net's own `finish` says, and the second head beside it."""
        out = super().finish(joined)
        size = out.logits.shape[-2:]
        distance = F.interpolate(self.sdf(out.decoded), size, mode="bilinear", align_corners=False)
        return replace(out, heads={"sdf": torch.tanh(distance)})


class MobileNetSDF(SDFHead, MobileNetUNet):
    """SAM-KD's main network."""


class Lite0SDF(SDFHead, Lite0UNet):
    """Its twin on the encoder whose ImageNet weights need no network."""


NETS = {"mobilenet": MobileNetSDF, "lite0": Lite0SDF}


def build(in_size: int, encoder: str, pretrained: bool = False) -> SDFHead:
    """A two-headed U-Net on an encoder of `NETS`, for any `in_size` that is a multiple of 32."""
    if encoder not in NETS:
        raise unknown("encoder of a net with two heads", encoder, NETS)
    return NETS[encoder](pretrained)
