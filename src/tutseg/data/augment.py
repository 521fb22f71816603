"""Weak and strong views, one random draw per picture, on whatever device the pictures are.

DME-FD section 2.1: weak is random flipping; strong is Gaussian noise, brightness-contrast and colour jitter on top of
the *same* weak view, so that a mask of the weak view is a mask of the strong one.
"""

import kornia.augmentation as K
import torch
from torch import Tensor, nn

_flips = K.AugmentationSequential(
    K.RandomHorizontalFlip(p=0.5), K.RandomVerticalFlip(p=0.5), data_keys=["input", "mask"], same_on_batch=False
)

# Ranges of the published code's library at its defaults; noise is the middle of its variance range 10-50 (of 255^2).
_colour = nn.Sequential(
    K.RandomGaussianNoise(std=30**0.5 / 255, p=1.0),
    K.RandomBrightness(brightness=(0.8, 1.2), p=1.0),
    K.RandomContrast(contrast=(0.8, 1.2), p=1.0),
    K.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.2, p=1.0),
)


def weak(images: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """``A_w``: flip each picture left-right and top-bottom with probability 1/2, its mask with it.

    The draws are the same whether there are masks or not.

    Parameters
    ----------
    images : Tensor
        ``(B, 3, H, W)`` in [0, 1].
    masks : Tensor or None
        ``(B, 1, H, W)`` in {0, 1}.
    """
    if not len(images):
        return images, masks
    if masks is None:
        return _flips(images, data_keys=["input"]), None
    flipped, mask = _flips(images, masks)
    return flipped, mask


def strong(images: Tensor) -> Tensor:
    """``A_s``: noise, brightness-contrast and colour jitter; geometry unchanged, values stay in [0, 1]."""
    if not len(images):
        return images
    with torch.autocast(images.device.type, enabled=False):
        return _colour(images).clamp(0, 1)
