"""SANet (Wei et al., MICCAI 2021): Res2Net-50 and shallow attention, in which deep maps mask the shallow ones.

======== ============================================== ========= ===========
part     what                                           stride    parameters
======== ============================================== ========= ===========
encoder  timm's Res2Net-50d: 512, 1024, 2048 channels   8 to 32   23,669,352
reduce   each to 64 channels: f3, f4, f5                8 to 32   229,952
head     1x1 convolution on [f5, f5 f4, f5 f4 f3]       8         193
======== ============================================== ========= ===========

Together the authors' 23,899,497. What is clear from afar multiplies what is seen from near, so that the noise of
shallow maps is heard only where the deep ones have found something.

Left out: the exchange of colours between pictures, which is augmentation, and the correction of probabilities at test
time, which divides logits above and below 0 by how many there are of each. A bias in front of a batch norm does
nothing, and stays because it is counted.
"""

import timm
import torch
from torch import Tensor, nn

from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder, ImageNetNorm, upsample


class SANet(EncoderDecoder):
    """Three deep maps, multiplied.

    Parameters
    ----------
    width : int
        Channels that each of the maps is reduced to.
    **options
        Over timm's own for Res2Net-50d: ``layers``, ``channels``, ``stem_width``.
    """

    def __init__(self, width: int = 64, **options: object) -> None:
        super().__init__()
        self.normalise = ImageNetNorm()
        self.encoder = timm.create_model(
            "res2net50d", features_only=True, out_indices=(2, 3, 4), zero_init_last=False, **options
        )
        self.reduce = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, width, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
            for c in self.encoder.feature_info.channels()
        )
        self.head = nn.Conv2d(3 * width, 1, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 3, H, W)`` to three maps at strides 8, 16 and 32."""
        return self.encoder(self.normalise(images))

    def join(self, features: list[Tensor]) -> Tensor:
        """The maps of `encode` to ``[f5, f5 f4, f5 f4 f3]``, ``(B, 3 width, H/8, W/8)``."""
        f3, f4, f5 = (
            upsample(reduce(x), 2**k) for k, (reduce, x) in enumerate(zip(self.reduce, features, strict=True))
        )
        return torch.cat([f5, f5 * f4, f5 * f4 * f3], dim=1)

    def finish(self, joined: Tensor) -> Output:
        """What `join` returned to logits; decoded is the same."""
        return Output(upsample(self.head(joined), 8), decoded=joined)


def build(in_size: int, **options: object) -> SANet:
    """SANet for any `in_size` that is a multiple of 32; options are those of `SANet`."""
    return SANet(**options)
