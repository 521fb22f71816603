"""U-Net (Ronneberger et al. 2015) with batch norm and transposed-convolution up-sampling.

With base width 32 it has the 7.76 M parameters that SAM-KD's Table 3 ("Unet, 7.8 M") and the MALUNet paper print.
"""

import torch
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder, ImageNetNorm, double_conv


class UNet(EncoderDecoder):
    """Four times down, four times up, concatenated skips.

    Parameters
    ----------
    width : int
        Channels at full resolution; doubled at each of the four levels below.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        c = [width * 2**level for level in range(5)]
        self.normalise = ImageNetNorm()
        self.encoder = nn.ModuleList(double_conv(a, b) for a, b in zip([3, *c[:-1]], c, strict=True))
        self.down = nn.MaxPool2d(2)
        self.up = nn.ModuleList(nn.ConvTranspose2d(c[i + 1], c[i], 2, stride=2) for i in (3, 2, 1, 0))
        self.decoder = nn.ModuleList(double_conv(2 * c[i], c[i]) for i in (3, 2, 1, 0))
        self.head = nn.Conv2d(width, 1, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to five maps at strides 1 to 16; the bottleneck is ``(B, 16 width, H/16, W/16)``."""
        maps = [self.encoder[0](self.normalise(images))]
        for block in self.encoder[1:]:
            maps.append(block(self.down(maps[-1])))
        return maps

    def join(self, features: list[Tensor]) -> Tensor:
        """The maps of `encode` to the input of the last double convolution, ``(B, 2 width, H, W)``."""
        finest, *skips, x = features
        for up, block, skip in zip(self.up[:-1], self.decoder[:-1], reversed(skips), strict=True):
            x = block(torch.cat([skip, up(x)], dim=1))
        return torch.cat([finest, self.up[-1](x)], dim=1)

    def finish(self, joined: Tensor) -> Output:
        """What `join` returned to logits; decoded is ``(B, width, H, W)``."""
        x = self.decoder[-1](joined)
        return Output(self.head(x), decoded=x)


def build(in_size: int, width: int = 32) -> UNet:
    """U-Net for any `in_size` that is a multiple of 16."""
    return UNet(width)
