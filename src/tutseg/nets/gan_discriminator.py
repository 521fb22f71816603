"""The discriminator that judges what a StyleGAN draws: residual blocks with blurred down-sampling.

It is StyleGAN2's (Karras et al., CVPR 2020), which StyleGAN3 keeps as it was: it need not be equivariant, since nothing
is drawn with it. Beside its last features stands how much a batch varies, so that a generator that repeats itself is
found out.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.errors import InputError
from tutseg.nets.equalised import Conv, Dense, leaky

GROUP = 4  # pictures whose variation is measured together


class Halving(nn.Module):
    """A residual block ``(B, c_in, H, W) -> (B, c_out, H/2, W/2)``; what is halved is blurred first."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.first = Conv(c_in, c_in, 3)
        self.second = Conv(c_in, c_out, 3, stride=2, padded=False)
        self.skip = Conv(c_in, c_out, 1, bias=False)
        binomial = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("blur", torch.outer(binomial, binomial)[None, None], persistent=False)

    def blurred(self, x: Tensor, stride: int, padding: int) -> Tensor:
        """Every channel under the binomial filter of four taps."""
        c = x.shape[1]
        return F.conv2d(x, self.blur.expand(c, 1, 4, 4), stride=stride, padding=padding, groups=c)

    def forward(self, x: Tensor) -> Tensor:
        """The block; the sum of its two ways has the variance of one."""
        deep = leaky(self.second(self.blurred(leaky(self.first(x)), 1, 2)))
        return (deep + self.skip(self.blurred(x, 2, 1))) / math.sqrt(2)


class Discriminator(nn.Module):
    """Pictures to one logit each, high for those that look real.

    Parameters
    ----------
    size : int
        Height and width, a power of two of at least 8.
    base, width : int
        At resolution r there are ``base / r`` channels, at most `width`.
    """

    def __init__(self, size: int, base: int, width: int) -> None:
        super().__init__()
        if size < 8 or size & (size - 1):
            raise InputError(f"size {size} is no power of two from 8 on", "use --size 32, 64, 128 or 256")
        halvings = [size >> k for k in range(int(math.log2(size)) - 2)]
        channels = [max(1, min(base // resolution, width)) for resolution in (*halvings, 4)]
        self.from_rgb = Conv(3, channels[0], 1)
        self.blocks = nn.Sequential(*(Halving(a, b) for a, b in pairwise(channels)))
        last = channels[-1]
        self.mix = Conv(last + 1, last, 3)
        self.dense = Dense(last * 16, last)
        self.out = Dense(last, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, 3, S, S)`` in [0, 1] to logits ``(B,)``."""
        x = self.blocks(leaky(self.from_rgb(2 * images - 1)))
        x = leaky(self.mix(torch.cat([x, variation(x)], 1)))
        return self.out(leaky(self.dense(x.flatten(1))))[:, 0]


def variation(x: Tensor) -> Tensor:
    """How much each group of a batch varies: standard deviation over the group, mean over all else, ``(B, 1, H, W)``.

    A batch that does not part into groups of `GROUP` is one group.
    """
    b, _, h, w = x.shape
    group = GROUP if b % GROUP == 0 else b
    parted = x.reshape(group, b // group, -1)
    spread = (parted.var(0, unbiased=False) + 1e-8).sqrt().mean(1)
    return spread.repeat(group).view(b, 1, 1, 1).expand(b, 1, h, w)
