"""ConvFormer (Lin et al. 2023) in a SETR host: a transformer whose attention is made of convolutions.

Queries, keys and values are 3x3 convolutions. Attention is no softmax: it is the cosine between query and key, times
a Gaussian of how far apart the two are, whose width every head learns. So it can be negative, it does not flatten out
where data are few, and it needs no position embedding.

======== ====================================== =====================
part     at S = 256                             parameters
======== ====================================== =====================
stem     64, 128, 256, 512 channels, 3 poolings 1,551,936
blocks   12 of 512 channels on 32x32 tokens     12 x 9,443,336
decoder  512 to 128 to 128 channels, to S / 2   737,792
head     one logit (the authors: two classes)   129 (258)
======== ====================================== =====================

With two classes that is the authors' 115,610,018.

Deviations from the authors' code
---------------------------------
- One logit in place of two classes.
- The second layer of the feed-forward part ends with its batch norm, where the paper says no more than "1x1
  convolutions with batch norm".
- Up-sampling: twice before and twice behind the decoder's second convolution, the logits twice again.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder, ImageNetNorm, conv_bn, upsample

NARROWEST, WIDEST = 0.003, 0.4  # of a head's Gaussian, in sides of the picture


def gaussian(h: int, w: int, sigma: Tensor) -> Tensor:
    """How much each token listens to each other one by distance alone, for every head.

    Parameters
    ----------
    h, w : int
        The grid of tokens.
    sigma : Tensor
        Widths ``(heads,)``, in sides of the picture.

    Returns
    -------
    Tensor
        ``(heads, h w, h w)``; every row sums to 1.
    """
    rows, columns = torch.meshgrid(
        torch.arange(h, device=sigma.device) / h, torch.arange(w, device=sigma.device) / w, indexing="ij"
    )
    at = torch.stack([rows.flatten(), columns.flatten()], dim=1)
    square = (at[:, None] - at).square().sum(-1)
    return torch.softmax(-square / (2 * sigma.square()[:, None, None]), dim=-1)


class ConvAttention(nn.Module):
    """CNN-style self-attention: ``(cos(Q, K) * G) V``, G the normalised `gaussian`."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(3))
        self.width = nn.Parameter(torch.randn(heads))
        self.out = conv_bn(channels, channels, 1)

    def attention(self, x: Tensor) -> Tensor:
        """Tokens ``(B, C, h, w)`` to ``(B, heads, h w, h w)``, in [-1, 1]: row i is whom token i listens to."""
        q, k = (F.normalize(self._split(part(x)), dim=-1) for part in (self.query, self.key))
        sigma = NARROWEST + (WIDEST - NARROWEST) * torch.sigmoid(self.width)
        return q @ k.transpose(-1, -2) * gaussian(*x.shape[-2:], sigma)

    def _split(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` to ``(B, heads, h w, C / heads)``."""
        return x.flatten(2).unflatten(1, (self.heads, -1)).transpose(-1, -2)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` to the same shape."""
        heard = self.attention(x) @ self._split(self.value(x))
        return self.out(heard.transpose(-1, -2).reshape(x.shape))


class Block(nn.Module):
    """CNN-style attention, then two 1x1 convolutions, each beside a skip."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.attention = ConvAttention(channels, heads)
        self.feed = nn.Sequential(
            *conv_bn(channels, 4 * channels, 1),
            nn.Conv2d(4 * channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` to the same shape."""
        x = x + self.attention(x)
        return x + self.feed(x)


class ConvFormer(EncoderDecoder):
    """Convolutions down to 1/8, CNN-style transformer blocks there, and up again without skips.

    Parameters
    ----------
    width : int
        Channels of the tokens: a multiple of 8 and of `heads`.
    depth, heads : int
        Blocks, and heads of each.
    """

    def __init__(self, width: int = 512, depth: int = 12, heads: int = 8) -> None:
        super().__init__()
        c = [width // 8, width // 4, width // 2, width]
        stem = [conv_bn(3, c[0], 3)]
        for a, b in pairwise(c):
            stem += [nn.MaxPool2d(2), conv_bn(a, b, 3)]
        self.normalise = ImageNetNorm()
        self.encoder = nn.Sequential(*stem, *(Block(width, heads) for _ in range(depth)))
        self.decoder = nn.ModuleList([conv_bn(width, width // 4, 3), conv_bn(width // 4, width // 4, 3)])
        self.head = nn.Conv2d(width // 4, 1, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to one map, ``(B, width, H/8, W/8)``."""
        return [self.encoder(self.normalise(images))]

    def join(self, features: list[Tensor]) -> Tensor:
        """The map of `encode` to the input of the second convolution, ``(B, width / 4, H/4, W/4)``."""
        return upsample(self.decoder[0](features[0]))

    def finish(self, joined: Tensor) -> Output:
        """What `join` returned to logits; decoded is ``(B, width / 4, H/2, W/2)``."""
        x = upsample(self.decoder[1](joined))
        return Output(upsample(self.head(x)), decoded=x)


def build(in_size: int, **options: int) -> ConvFormer:
    """ConvFormer for any `in_size` that is a multiple of 8; options are those of `ConvFormer`."""
    return ConvFormer(**options)
