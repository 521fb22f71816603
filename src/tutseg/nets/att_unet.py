"""Attention U-Net (Oktay et al., MIDL 2018): a U-Net whose skips pass a gate that what came up decides.

``a = sigmoid(psi(ReLU(W_x x + W_g g)))`` is one number in (0, 1) at each place of the skip `x`, and the decoder gets
``a x`` (Eq. 1-2). SSGNet's reference is a later paper on brain tumours that uses the same network.

Deviations: the gate's signal `g` is what has already been brought to the skip's size, as in most 2-D code that is
called by this name; the paper takes it from the level below and resizes the gate. Convolutions have batch norm.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.nets.unet import UNet


class AttentionGate(nn.Module):
    """Additive attention over the places of a skip; `width` is that of the sum inside."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        normed = lambda a, b: nn.Sequential(nn.Conv2d(a, b, 1), nn.BatchNorm2d(b))
        self.of_skip, self.of_below, self.psi = normed(channels, width), normed(channels, width), normed(width, 1)

    def forward(self, skip: Tensor, below: Tensor) -> Tensor:
        """Both ``(B, C, h, w)``; returns the skip, gated."""
        return skip * torch.sigmoid(self.psi(F.relu(self.of_skip(skip) + self.of_below(below))))


class AttUNet(UNet):
    """U-Net with a gate on each of its four skips.

    Parameters
    ----------
    width : int
        Channels at full resolution; doubled at each of the four levels below.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__(width)
        self.gates = nn.ModuleList(AttentionGate(width * 2**i, width * 2**i // 2) for i in (3, 2, 1, 0))

    def join(self, features: list[Tensor]) -> Tensor:
        """The maps of `encode` to the input of the last double convolution, ``(B, 2 width, H, W)``."""
        *skips, x = features
        for k, (up, gate, skip) in enumerate(zip(self.up, self.gates, reversed(skips), strict=True)):
            x = up(self.decoder[k - 1](x) if k else x)
            x = torch.cat([gate(skip, x), x], dim=1)
        return x


def build(in_size: int, width: int = 64) -> AttUNet:
    """Attention U-Net for any `in_size` that is a multiple of 16."""
    return AttUNet(width)
