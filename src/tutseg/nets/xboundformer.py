"""XBound-Former (Wang et al., IEEE TMI 2023): PVTv2-B2, and three learners of where the lesion ends.

At strides 8, 16 and 32, on maps F of 128 channels:

- **im-Bound**: a transformer layer over all places, then a map of boundary points, which is trained on the outline
  (heads "edge8", "edge16", "edge32") and by which the places of F are stressed.
- **ex-Bound**: one learned query looks at F through a transformer's decoder layer, and becomes the embedding `v` of
  what the boundary is like at this scale.
- **X-Bound**: each scale is looked at with the embedding of its *neighbour*, and what is found weighs its channels.

======== ========================================= ========== =======================
part     what                                      stride     parameters
======== ========================================= ========== =======================
encoder  64, 128, 320, 512 channels                4 to 32    24,849,856
learners im- and ex-Bound of three scales          8, 16, 32  3 x 1,547,905, 3 x 128
X-Bound  two pairs of neighbours                   8, 16, 32  2 x 66,816
decoder  two double convolutions, finest skip      16, 8      885,760; 4,096
heads    one at each of 32, 16 and 8, one at 4     4 to 32    3 x 129, 193
reduce   128, 320, 512 channels to 128 each        8, 16, 32  123,264
======== ========================================= ========== =======================

Together the published 30,641,287, with one layer in each learner. What one more layer costs, by the published counts,
tells what a layer is (PyTorch's own encoder and decoder layer, 2,048 channels within, and two convolutions in front of
the point map). The paper does not tell the rest apart: how an embedding acts on a map, the decoder and the finest skip
are our reading, fitted to the published sum.

Deviation: a head is a plain 1x1 convolution; the authors pad theirs by a pixel, which shifts the mask.
"""

from dataclasses import replace

import timm
import torch
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import DeepSupervision, ImageNetNorm, conv_bn, double_conv, upsample


def tokens(x: Tensor) -> Tensor:
    """``(B, C, h, w)`` to ``(h w, B, C)``: with the batch first, PyTorch's layers would take a fused path that has no
    forward derivative, which DALE's virtual step needs."""
    return x.flatten(2).permute(2, 0, 1)


def grid(tokens: Tensor, like: Tensor) -> Tensor:
    """``(h w, B, C)`` back to the shape of `like`, ``(B, C, h, w)``."""
    return tokens.permute(1, 2, 0).reshape(like.shape)


class BoundaryLearner(nn.Module):
    """im-Bound and ex-Bound of one scale."""

    def __init__(self, channels: int, heads: int, feed: int) -> None:
        super().__init__()
        self.context = nn.TransformerEncoderLayer(channels, heads, feed)
        self.points = nn.Sequential(
            conv_bn(channels, channels, 3), conv_bn(channels, channels, 3), nn.Conv2d(channels, 1, 1)
        )
        self.query = nn.Parameter(torch.randn(1, 1, channels))
        self.look = nn.TransformerDecoderLayer(channels, heads, feed)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A map ``(B, C, h, w)``.

        Returns
        -------
        tuple
            The map, stressed where the boundary is; the logits of its points ``(B, 1, h, w)``; and the embedding
            ``(1, B, C)``.
        """
        x = grid(self.context(tokens(x)), x)
        points = self.points(x)
        x = x * (1 + torch.sigmoid(points))
        return x, points, self.look(self.query.expand(-1, len(x), -1), tokens(x))


class CrossScale(nn.Module):
    """X-Bound of two neighbouring scales: each is looked at with the other's embedding."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.ask, self.hear, self.norm = (nn.LayerNorm(channels) for _ in range(3))
        self.attention = nn.MultiheadAttention(channels, heads)

    def one(self, x: Tensor, v: Tensor) -> Tensor:
        """``norm(F + F * u)``, where `u` is what the other scale's embedding finds in F; the shape of F stays."""
        places = tokens(x)
        heard = self.hear(places)
        found, _ = self.attention(self.ask(v), heard, heard, need_weights=False)
        return grid(self.norm(places + places * found), x)

    def forward(self, x: Tensor, y: Tensor, v_x: Tensor, v_y: Tensor) -> tuple[Tensor, Tensor]:
        """Maps ``(B, C, h, w)``, ``(B, C, h/2, w/2)`` and their embeddings ``(1, B, C)``; both maps come back."""
        return self.one(x, v_y), self.one(y, v_x)


class XBoundFormer(DeepSupervision):
    """The encoder, learners at three scales, and a small decoder with a guess at the mask at each of four.

    Parameters
    ----------
    encoder : str
        timm's name of a PVTv2.
    channels, heads, feed : int
        Channels of the learners' maps, their attention heads, and channels within their feed-forward layers.
    **widths
        Over timm's own: ``embed_dims``, ``depths`` and ``num_heads`` of the encoder's four stages.
    """

    deep = (1.0, 1.0, 1.0)
    scales = (8, 16, 32)

    def __init__(
        self,
        encoder: str = "pvt_v2_b2",
        channels: int = 128,
        heads: int = 8,
        feed: int = 2048,
        **widths: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.normalise = ImageNetNorm()
        self.encoder = timm.create_model(encoder, features_only=True, pretrained=False, **widths)
        finest, *coarser = self.encoder.feature_info.channels()
        self.reduce = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in coarser)
        self.learners = nn.ModuleList(BoundaryLearner(channels, heads, feed) for _ in coarser)
        self.cross = nn.ModuleList(CrossScale(channels, heads) for _ in coarser[1:])
        self.decoder = nn.ModuleList(double_conv(2 * channels, channels) for _ in coarser[1:])
        self.finest = nn.Conv2d(finest, finest, 1, bias=False)
        self.head = nn.Conv2d(finest + channels, 1, 1)
        self.auxiliary = nn.ModuleList(nn.Conv2d(channels, 1, 1) for _ in coarser)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to four maps at strides 4 to 32."""
        return self.encoder(self.normalise(images))

    def learn(self, features: list[Tensor]) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The maps of `encode` through the three learners, and the boundary points of each scale by head."""
        finest, *coarser = features
        learned = [learner(reduce(x)) for learner, reduce, x in zip(self.learners, self.reduce, coarser, strict=True)]
        maps, points, v = map(list, zip(*learned, strict=True))
        for i, cross in enumerate(self.cross):
            maps[i], maps[i + 1] = cross(maps[i], maps[i + 1], v[i], v[i + 1])
        return [finest, *maps], {f"edge{s}": point for s, point in zip(self.scales, points, strict=True)}

    def climb(self, features: list[Tensor]) -> list[Tensor]:
        """Learned maps to the decoder's three, at 32, 16 and 8, and what the last head sees, ``(B, 192, H/4, W/4)``."""
        finest, *maps = features
        stages = [maps.pop()]
        for block, skip in zip(self.decoder, reversed(maps), strict=True):
            stages.append(block(torch.cat([skip, upsample(stages[-1])], dim=1)))
        return [*stages, torch.cat([self.finest(finest), upsample(stages[-1])], dim=1)]

    def join(self, features: list[Tensor]) -> Tensor:
        """The maps of `encode`, learned, to the input of the last head, ``(B, 192, H/4, W/4)``."""
        return super().join(self.learn(features)[0])

    def finish(self, joined: Tensor) -> Output:
        """What `join` returned to logits; decoded is the same."""
        return Output(upsample(self.head(joined), 4), decoded=joined)

    def decode(self, features: list[Tensor]) -> Output:
        """Logits, their three coarser guesses, and the boundary points ``(B, 1, h, w)`` of each scale."""
        maps, points = self.learn(features)
        out = super().decode(maps)
        return replace(out, heads={**out.heads, **points}, features=tuple(features))


def build(in_size: int, **options: object) -> XBoundFormer:
    """XBound-Former for any `in_size` that is a multiple of 32; options are those of `XBoundFormer`."""
    return XBoundFormer(**options)
