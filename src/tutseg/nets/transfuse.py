"""TransFuse-S (Zhang et al. 2021): a ResNet and a DeiT beside one another, fused at three scales.

======== ============================================ =================
map      what                                         shape
======== ============================================ =================
g0 to g2 ResNet-34's stages 3, 2, 1                   256, 128, 64 channels at S/16, S/8, S/4
t0       DeiT-S cut to 8 blocks, normalised           384 at S/16
t1, t2   t0, up-sampled and convolved twice           128 at S/8, 64 at S/4
f0 to f2 `BiFusion` of g and t of one scale           256, 128, 64
joined   f0 up, past f1, up to f2: attention gates    192 at S/4
======== ============================================ =================

Three guesses at the mask learn: from f2 (the one that counts, weight .5), from t2 alone (.3: "aux1") and from f0
(.2: "aux2"); here the first weighs 1 and the others in proportion.

At the authors' 192 x 256 pixels it has their 26,248,725 parameters, but for DeiT's class token, which they keep and
never read. A square of as many patches does not exist, so the count on the card differs by the position embedding.

Deviations: no dropout, and no ImageNet weights unless a file of them is known here. A bias in front of a batch norm
does nothing, and stays because it is counted.
"""

import timm
import torch
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import DeepSupervision, ImageNetNorm, upsample

PATCH = 16


def conv(c_in: int, c_out: int, kernel: int, relu: bool = True) -> nn.Sequential:
    """Convolution with a bias, batch norm and perhaps ReLU; the size stays."""
    layers = [nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2), nn.BatchNorm2d(c_out)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class BiFusion(nn.Module):
    """What the two branches say at one scale, each put right by attention, and their product.

    ``f = Residual([conv(W_g g * W_t t), SpatialAttention(g), ChannelAttention(t)])``

    Parameters
    ----------
    c_g, c_t : int
        Channels of the convolutional branch, which are those of the result too, and of the transformer's.
    reduction : int
        How much narrower the channel attention is within.
    """

    def __init__(self, c_g: int, c_t: int, reduction: int) -> None:
        super().__init__()
        self.which_channel = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(c_t, c_t // reduction, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c_t // reduction, c_t, 1),
            nn.Sigmoid(),
        )
        self.where = nn.Sequential(nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1), nn.Sigmoid())
        self.from_g, self.from_t = conv(c_g, c_g, 1, relu=False), conv(c_t, c_g, 1, relu=False)
        self.product = conv(c_g, c_g, 3)
        self.residual = Residual(2 * c_g + c_t, c_g)

    def forward(self, g: Tensor, t: Tensor) -> Tensor:
        """``(B, c_g, h, w)`` and ``(B, c_t, h, w)`` to ``(B, c_g, h, w)``."""
        both = self.product(self.from_g(g) * self.from_t(t))
        place = self.where(torch.cat([g.amax(1, keepdim=True), g.mean(1, keepdim=True)], dim=1))
        return self.residual(torch.cat([both, place * g, self.which_channel(t) * t], dim=1))


class Residual(nn.Module):
    """A bottleneck of three convolutions, each behind batch norm and ReLU, beside a 1x1 convolution."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        half = c_out // 2
        layers = []
        for a, b, kernel in ((c_in, half, 1), (half, half, 3), (half, c_out, 1)):
            layers += [nn.BatchNorm2d(a), nn.ReLU(), nn.Conv2d(a, b, kernel, padding=kernel // 2)]
        self.layers = nn.Sequential(*layers)
        self.skip = nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, c_in, h, w)`` to ``(B, c_out, h, w)``."""
        return self.layers(x) + self.skip(x)


class Rise(nn.Module):
    """One step up: a skip seen through an attention gate, if there is one, and two convolutions beside a third."""

    def __init__(self, c_in: int, c_out: int, c_skip: int = 0) -> None:
        super().__init__()
        self.parts = (c_skip, c_in)
        if c_skip:
            self.of_skip, self.of_below = conv(c_skip, c_out, 1, relu=False), conv(c_in, c_out, 1, relu=False)
            self.gate = nn.Sequential(nn.ReLU(), nn.Conv2d(c_out, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())
        total = c_skip + c_in
        self.convs = nn.Sequential(conv(total, c_out, 3), conv(c_out, c_out, 3, relu=False))
        self.beside = conv(total, c_out, 1, relu=False)

    def forward(self, joined: Tensor) -> Tensor:
        """The skip and what came up, ``(B, c_skip + c_in, h, w)``, to ``(B, c_out, h, w)``."""
        skip, below = joined.split(self.parts, dim=1)
        if skip.shape[1]:
            skip = skip * self.gate(self.of_skip(skip) + self.of_below(below))
        x = torch.cat([skip, below], dim=1)
        return torch.relu(self.convs(x) + self.beside(x))


def guess(c_in: int, width: int) -> nn.Sequential:
    """A head of two 3x3 convolutions, behind a 1x1 one where the channels are not `width`: logits ``(B, 1, h, w)``."""
    narrow = [] if c_in == width else [conv(c_in, width, 1)]
    return nn.Sequential(*narrow, conv(width, width, 3), nn.Conv2d(width, 1, 3, padding=1))


class TransFuse(DeepSupervision):
    """Both branches, three fusions, three guesses.

    Parameters
    ----------
    in_size : int
        Height and width of the input, a multiple of 16: the position embedding has one entry a patch.
    channels : tuple of int
        Channels of the ResNet's stages; the last stage is not built.
    embed, depth, heads : int
        The transformer's channels, blocks, and heads of each.
    """

    def __init__(
        self,
        in_size: int,
        channels: tuple[int, ...] = (64, 128, 256, 512),
        embed: int = 384,
        depth: int = 8,
        heads: int = 6,
    ) -> None:
        super().__init__()
        c2, c1, c0, _ = channels
        self.normalise = ImageNetNorm()
        cnn = timm.create_model(
            "resnet34", features_only=True, out_indices=(1, 2, 3), channels=channels, zero_init_last=False
        )
        vit = timm.create_model(
            "deit_small_patch16_224",
            img_size=in_size,
            embed_dim=embed,
            depth=depth,
            num_heads=heads,
            class_token=False,
            global_pool="",
            num_classes=0,
        )
        self.encoder = nn.ModuleDict({"cnn": cnn, "transformer": vit})
        self.tokens = nn.ModuleList([Rise(embed, c1), Rise(c1, c2)])
        self.fusion = nn.ModuleList([BiFusion(c0, embed, 4), BiFusion(c1, c1, 2), BiFusion(c2, c2, 1)])
        self.decoder = nn.ModuleList([Rise(c0, c1, c1), Rise(c1, c2, c2)])
        self.last = conv(c2, c2, 3)
        self.head = nn.Conv2d(c2, 1, 3, padding=1)
        self.auxiliary = nn.ModuleList([guess(c2, c2), guess(c0, c2)])
        self.deep = (0.6, 0.4)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, S, S)`` to g2, g1, g0 and t0."""
        x = self.normalise(images)
        grid = x.shape[-1] // PATCH
        tokens = self.encoder["transformer"](x).transpose(1, 2)
        return [*self.encoder["cnn"](x), tokens.unflatten(2, (grid, grid))]

    def climb(self, features: list[Tensor]) -> list[Tensor]:
        """f0, t2, and what the last block sees: f2 and what came up to it, ``(B, 192, S/4, S/4)``."""
        g2, g1, g0, t0 = features
        t1 = self.tokens[0](upsample(t0))
        t2 = self.tokens[1](upsample(t1))
        f0, f1, f2 = (fuse(g, t) for fuse, g, t in zip(self.fusion, (g0, g1, g2), (t0, t1, t2), strict=True))
        x = self.decoder[0](torch.cat([f1, upsample(f0)], dim=1))
        return [f0, t2, torch.cat([f2, upsample(x)], dim=1)]

    def finish(self, joined: Tensor) -> Output:
        """What `join` returned to logits; decoded is ``(B, 64, S/4, S/4)``."""
        x = self.last(self.decoder[1](joined))
        return Output(upsample(self.head(x), 4), decoded=x)


def build(in_size: int, **options: object) -> TransFuse:
    """TransFuse for square images of `in_size`, a multiple of 16; options are those of `TransFuse`."""
    return TransFuse(in_size, **options)
