"""Adaptive discriminator augmentation (Karras et al., NeurIPS 2020): the discriminator never sees a picture bare.

What it sees, real or drawn, is moved and recoloured at random, each change with probability p. As long as p is well
below one the generator still learns the bare pictures. p rises while the discriminator knows the real pictures too
well: with few of them it would learn them by heart.

This is the least of it: flips, quarter turns, whole-pixel shifts, scale and small rotations; brightness, contrast, hue
and saturation. The authors' stretching, and filters that they leave out too, are not there.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

FARTHEST = 8  # of a picture's width over it: the longest shift
TILT = math.pi / 12  # the largest rotation, besides quarter turns
SCALE, CONTRAST, SATURATION = 0.2, 0.3, 0.5  # standard deviations of binary logarithms
BRIGHTNESS = 0.1  # standard deviation, of pictures in [0, 1]


def augmented(images: Tensor, p: float) -> Tensor:
    """Images ``(B, 3, H, W)`` in [0, 1], each changed by its own draw; values may leave [0, 1] by a little.

    Differentiable; with p = 0 the very same tensor.
    """
    if not p:
        return images
    b, size = len(images), images.shape[-1]
    places, colours = placing(b, size, p).to(images), colouring(b, p).to(images)
    return recoloured(moved(images, places), colours)


def moved(images: Tensor, places: Tensor) -> Tensor:
    """Images ``(B, C, H, W)`` through affine maps ``(B, 2, 3)`` from [-1, 1]^2 to where to look; edges mirror."""
    grid = F.affine_grid(places, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def recoloured(images: Tensor, colours: Tensor) -> Tensor:
    """Images ``(B, 3, H, W)`` under affine maps of colours ``(B, 3, 4)``, about the middle grey."""
    turned = torch.einsum("bdc,bchw->bdhw", colours[:, :, :3], images - 0.5)
    return turned + colours[:, :, 3, None, None] + 0.5


def placing(count: int, size: int, p: float) -> Tensor:
    """Random maps for `moved`, ``(count, 2, 3)``: each change with probability `p`."""
    chosen = (torch.rand(5, count) < p).float()
    flip = 1 - 2 * chosen[0] * torch.randint(2, (count,))
    angle = chosen[1] * torch.randint(4, (count,)) * (math.pi / 2) + chosen[2] * TILT * (2 * torch.rand(count) - 1)
    scale = torch.exp2(chosen[3] * SCALE * torch.randn(count))
    most = size // FARTHEST
    shift = chosen[4] * torch.randint(-most, most + 1, (2, count)) * (2 / size)
    c, s = angle.cos() * scale, angle.sin() * scale
    return torch.stack([c * flip, -s, shift[0], s * flip, c, shift[1]], 1).view(count, 2, 3)


def colouring(count: int, p: float) -> Tensor:
    """Random maps for `recoloured`, ``(count, 3, 4)``: each change with probability `p`."""
    chosen = (torch.rand(4, count) < p).float()
    brightness = chosen[0] * BRIGHTNESS * torch.randn(count)
    contrast = torch.exp2(chosen[1] * CONTRAST * torch.randn(count))
    hue = chosen[2] * math.pi * (2 * torch.rand(count) - 1)
    saturation = torch.exp2(chosen[3] * SATURATION * torch.randn(count))
    colours = contrast[:, None, None] * (GREY + saturation[:, None, None] * turned_about_grey(hue))
    return torch.cat([colours, brightness[:, None, None].expand(-1, 3, 1)], 2)


GREY = torch.full((3, 3), 1 / 3)  # what of a colour is grey


def turned_about_grey(angle: Tensor) -> Tensor:
    """Rotations ``(B, 3, 3)`` of what of a colour is not grey; a third of a turn leads from red to green."""
    across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    return angle.cos()[:, None, None] * (torch.eye(3) - GREY) + angle.sin()[:, None, None] * across
