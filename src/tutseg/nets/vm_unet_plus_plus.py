"""VM-UNet++ as its name says it: a RECONSTRUCTION of a row of SSGNet's Table 2, of which no code is published.

Nobody can say that the printed numbers are of this network. It takes the two that its name joins at their word: the
encoder of VM-UNet (`tutseg.nets.vm_unet`), and U-Net++'s dense skips (`tutseg.nets.unet_plus_plus`), whose every node
is a linear layer over all that it hears and a block of VMamba's scan::

    X^{i,j} = VSS(W [X^{i,0}, ..., X^{i,j-1}, expand(X^{i+1,j-1})])

    X^{0,0} -- X^{0,1} -- X^{0,2} -- X^{0,3}     96,  H/4 x W/4
    X^{1,0} -- X^{1,1} -- X^{1,2}               192,  H/8 x W/8
    X^{2,0} -- X^{2,1}                          384, H/16 x W/16
    X^{3,0}                                     768, H/32 x W/32

``X^{i,0}`` is what an encoder stage ends with. Only ``X^{0,3}`` has a head, expanded to all pixels in one step.
"""

import torch
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder, ImageNetNorm
from tutseg.nets.scan import VSSBlock
from tutseg.nets.swin_unet import PatchExpand
from tutseg.nets.vm_unet import PATCH, Encoder


class Ends(Encoder):
    """VM-UNet's encoder, heard at the end of its stages."""

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` to four maps at strides 4 to 32, ``(B, C, h, w)``."""
        maps = [self.stages[0](self.norm(self.embed(x).permute(0, 2, 3, 1)))]
        for down, blocks in zip(self.down, self.stages[1:], strict=True):
            maps.append(blocks(down(maps[-1])))
        return [m.permute(0, 3, 1, 2) for m in maps]


class VMUNetPlusPlus(EncoderDecoder):
    """The network of this file.

    Parameters
    ----------
    embed : int
        Channels of the finest tokens; doubled by each merging.
    depths : tuple of int
        Blocks of each encoder stage.
    states : int
        See `tutseg.nets.scan.SS2D`.
    drop_path : float
        Stochastic depth, rising from 0 to this over the encoder's blocks.
    """

    def __init__(
        self, embed: int = 96, depths: tuple[int, ...] = (2, 2, 2, 2), states: int = 16, drop_path: float = 0.2
    ) -> None:
        super().__init__()
        c = [embed * 2**level for level in range(len(depths))]
        self.normalise = ImageNetNorm()
        self.encoder = Ends(c, depths, states, drop_path)
        self.nodes = [(i, j) for j in range(1, len(c)) for i in range(len(c) - j)]
        self.expand = nn.ModuleList(PatchExpand(c[i + 1], c[i], 2) for i, _ in self.nodes)
        self.decoder = nn.ModuleList(
            nn.Sequential(nn.Linear((j + 1) * c[i], c[i]), VSSBlock(c[i], states)) for i, j in self.nodes
        )
        self.final_expand = PatchExpand(embed, embed // PATCH, PATCH)
        self.head = nn.Conv2d(embed // PATCH, 1, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to ``X^{0,0}`` ... ``X^{3,0}``, at strides 4 to 32."""
        return self.encoder(self.normalise(images))

    def join(self, features: list[Tensor]) -> Tensor:
        """What ``X^{0,3}`` hears, ``(B, 4 embed, H/4, W/4)``."""
        rows = [[m.permute(0, 2, 3, 1)] for m in features]
        for (i, _), expand, node in zip(self.nodes[:-1], self.expand[:-1], self.decoder[:-1], strict=True):
            rows[i].append(node(torch.cat([*rows[i], expand(rows[i + 1][-1])], dim=-1)))
        return torch.cat([*rows[0], self.expand[-1](rows[1][-1])], dim=-1).permute(0, 3, 1, 2)

    def finish(self, joined: Tensor) -> Output:
        """``X^{0,3}``, expanded, and its head; decoded is ``(B, embed / 4, H, W)``."""
        x = self.final_expand(self.decoder[-1](joined.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        return Output(self.head(x), decoded=x)


def build(in_size: int, **options: object) -> VMUNetPlusPlus:
    """VM-UNet++ for any `in_size` that is a multiple of 32; options are those of `VMUNetPlusPlus`."""
    return VMUNetPlusPlus(**options)
