"""U-Net++ (Zhou et al., DLMIA 2018; IEEE TMI 2020): skips filled with nested, dense convolution blocks.

A node X^{i,j} stands at level `i` (1/2^i of the resolution, `width` 2^i channels) and hears everything to the left of
it: ``X^{i,j} = H([X^{i,0}, ..., X^{i,j-1}, up(X^{i+1,j-1})])``, where ``X^{i,0}`` is the encoder and `H` a double
convolution. The first row, at full resolution, says the mask four times::

    X^{0,0} -- X^{0,1} -- X^{0,2} -- X^{0,3} -- X^{0,4}     width,    H x W
    X^{1,0} -- X^{1,1} -- X^{1,2} -- X^{1,3}              2 width,  H/2 x W/2
    X^{2,0} -- X^{2,1} -- X^{2,2}                         4 width,  H/4 x W/4
    X^{3,0} -- X^{3,1}                                    8 width,  H/8 x W/8
    X^{4,0}                                              16 width, H/16 x W/16

Deviations: convolutions have batch norm in the place of a bias, as our U-Net has; the paper counts 9.04 M either way.
What is evaluated is X^{0,4} (the paper's accurate mode is the mean of four), and all four losses weigh the same.
"""

import torch
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import DeepSupervision, ImageNetNorm, double_conv

LEVELS = 5


class UNetPlusPlus(DeepSupervision):
    """U-Net whose skips are dense blocks, each fed from below.

    Parameters
    ----------
    width : int
        Channels at full resolution; doubled at each of the four levels below.
    supervised : bool
        Whether X^{0,1} to X^{0,3} have heads too; without them it is the network that most comparisons count.
    """

    def __init__(self, width: int = 32, supervised: bool = True) -> None:
        super().__init__()
        c = [width * 2**level for level in range(LEVELS)]
        self.normalise = ImageNetNorm()
        self.encoder = nn.ModuleList(double_conv(a, b) for a, b in zip([3, *c[:-1]], c, strict=True))
        self.down = nn.MaxPool2d(2)
        self.nodes = [(i, j) for j in range(1, LEVELS) for i in range(LEVELS - j)]
        self.up = nn.ModuleList(nn.ConvTranspose2d(c[i + 1], c[i], 2, stride=2) for i, _ in self.nodes)
        self.decoder = nn.ModuleList(double_conv((j + 1) * c[i], c[i]) for i, j in self.nodes)
        self.head = nn.Conv2d(width, 1, 1)
        self.deep = (1.0, 1.0, 1.0) if supervised else ()
        self.auxiliary = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in self.deep)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to ``X^{0,0}`` ... ``X^{4,0}``, at strides 1 to 16."""
        maps = [self.encoder[0](self.normalise(images))]
        for block in self.encoder[1:]:
            maps.append(block(self.down(maps[-1])))
        return maps

    def climb(self, features: list[Tensor]) -> list[Tensor]:
        """``X^{0,1}`` to ``X^{0,3}``, and what ``X^{0,4}`` sees, ``(B, 5 width, H, W)``."""
        rows = [[x] for x in features]
        for (i, _), up, block in zip(self.nodes[:-1], self.up[:-1], self.decoder[:-1], strict=True):
            rows[i].append(block(torch.cat([*rows[i], up(rows[i + 1][-1])], dim=1)))
        joined = torch.cat([*rows[0], self.up[-1](rows[1][-1])], dim=1)
        return [*(rows[0][1:] if self.deep else []), joined]

    def finish(self, joined: Tensor) -> Output:
        """``X^{0,4}`` and its head; decoded is ``(B, width, H, W)``."""
        x = self.decoder[-1](joined)
        return Output(self.head(x), decoded=x)


def build(in_size: int, **options: object) -> UNetPlusPlus:
    """U-Net++ for any `in_size` that is a multiple of 16; options are those of `UNetPlusPlus`."""
    return UNetPlusPlus(**options)
