"""Moving pictures by affine maps: where each pixel comes from, the resampling, and which pixels are known."""

import torch
import torch.nn.functional as F
from torch import Tensor


def affine_grid(
    shape: tuple[int, int], angle: Tensor, scale: Tensor, shear: Tensor, shift: Tensor, inverse: bool = False
) -> Tensor:
    """Where each pixel of the moved picture comes from: rotate, shear and scale about the centre, then translate.

    Parameters
    ----------
    shape : (int, int)
        H and W.
    angle, scale, shear : Tensor
        ``(B,)``: degrees, a factor (above 1 enlarges), degrees.
    shift : Tensor
        ``(B, 2)``: (Δx, Δy) as a fraction of the width and height.
    inverse : bool
        The grid that undoes the move.

    Returns
    -------
    Tensor
        ``(B, H, W, 2)`` for `move`.
    """
    h, w = shape
    turn, slant = torch.deg2rad(angle), torch.tan(torch.deg2rad(shear))
    cos, sin = turn.cos() * scale, turn.sin() * scale
    forward = torch.stack([torch.stack([cos, cos * slant - sin], -1), torch.stack([sin, sin * slant + cos], -1)], 1)
    side = forward.new_tensor([w, h])
    y, x = torch.meshgrid(
        (torch.arange(h, device=side.device, dtype=side.dtype) + 0.5) / h * 2 - 1,
        (torch.arange(w, device=side.device, dtype=side.dtype) + 0.5) / w * 2 - 1,
        indexing="ij",
    )
    # In half pictures times side = pixels, so that a rotation stays one in pictures that are not square.
    target = torch.stack([x, y], -1) * side
    move_by = (2 * shift * side)[:, None, None]
    if inverse:
        source = torch.einsum("bij,hwj->bhwi", forward, target) + move_by
    else:
        source = torch.einsum("bij,bhwj->bhwi", torch.linalg.inv(forward), target - move_by)
    return source / side


def move(maps: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """Maps ``(B, C, H, W)`` resampled at `grid`; 0 where it leaves the picture."""
    return F.grid_sample(maps, grid.to(maps.dtype), mode=mode, padding_mode="zeros", align_corners=False)


def inside(grid: Tensor) -> Tensor:
    """bool ``(B, H, W)``: pixels that come wholly from within the picture."""
    h, w = grid.shape[1:3]
    edge = 1 + 1e-5  # the grid is rounded
    return (grid[..., 0].abs() <= edge - 1 / w) & (grid[..., 1].abs() <= edge - 1 / h)
