"""Rectangles for CutMix and cutout: drawn from torch's global generator, equal on every device.

Use with ``torch.where(mask, inside, outside)``, which mixes images, targets and confidences alike.
"""

import math

import torch
from torch import Tensor


def cutmix_masks(like: Tensor, p: float, area: tuple[float, float] = (0.02, 0.4)) -> Tensor:
    """One rectangle a picture with probability `p`, by UniMatch's law.

    Share of the area uniform in `area`, ratio of height to width uniform in [0.3, 1/0.3], position uniform over all
    places where the rectangle fits.

    Parameters
    ----------
    like : Tensor
        Images ``(B, C, H, W)``.
    p : float
        Probability that a picture has a rectangle at all.
    area : tuple of float
        Smallest and largest share of the picture.

    Returns
    -------
    Tensor
        bool ``(B, 1, H, W)`` on the device of `like`, true inside the rectangle.
    """
    count, _, height, width = like.shape
    mask = torch.zeros(count, 1, height, width, dtype=torch.bool)
    for i in range(count):
        if torch.rand(()).item() >= p:
            continue
        pixels = _uniform(*area) * height * width
        while True:
            ratio = _uniform(0.3, 1 / 0.3)
            h, w = int(math.sqrt(pixels * ratio)), int(math.sqrt(pixels / ratio))
            top, left = int(_uniform(0, height)), int(_uniform(0, width))
            if top + h <= height and left + w <= width:
                break
        mask[i, :, top : top + h, left : left + w] = True
    return mask.to(like.device)


def cutout_masks(like: Tensor, side: float) -> Tensor:
    """One square a picture, centred on a uniformly drawn pixel and clipped at the border.

    Parameters
    ----------
    like : Tensor
        Images ``(B, C, H, W)``.
    side : float
        Side of the square as a share of the picture's height.

    Returns
    -------
    Tensor
        bool ``(B, 1, H, W)`` on the device of `like`, true inside the square.
    """
    count, _, height, width = like.shape
    mask = torch.zeros(count, 1, height, width, dtype=torch.bool)
    half = round(side * height / 2)
    for i in range(count):
        row, column = int(_uniform(0, height)), int(_uniform(0, width))
        mask[i, :, max(0, row - half) : row + half, max(0, column - half) : column + half] = True
    return mask.to(like.device)


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * torch.rand(()).item()
