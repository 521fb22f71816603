"""Moving pictures by affine maps: where each pixel comes from, the resampling, and which pixels are known."""

import torch
import torch.nn.functional as F
from kornia.geometry.conversions import normalize_homography
from kornia.geometry.transform import get_affine_matrix2d
from torch import Tensor


def affine_grid(
    shape: tuple[int, int], angle: Tensor, scale: Tensor, shear: Tensor, shift: Tensor, inverse: bool = False
) -> Tensor:
    """Where each pixel of the moved picture comes from: shear, scale and rotate about the centre, then translate.

    The angles are of the picture's own pixels, so a rotation stays one in pictures that are not square.

    Parameters
    ----------
    shape : (int, int)
        H and W.
    angle, scale, shear : Tensor
        ``(B,)``: degrees (clockwise), a factor (above 1 enlarges), degrees.
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
    side = angle.new_tensor([w, h])
    centre = ((side - 1) / 2).expand_as(shift)
    # kornia's shear is negative: x moves by -tan(sx) y.
    there = get_affine_matrix2d(shift * side, centre, scale[:, None].expand_as(shift), angle, -torch.deg2rad(shear))
    there = normalize_homography(there, shape, shape, align_corners=False)
    source = there if inverse else torch.linalg.inv(there)
    return F.affine_grid(source[:, :2], [len(shift), 1, h, w], align_corners=False)


def move(maps: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """Maps ``(B, C, H, W)`` resampled at `grid`; 0 where it leaves the picture."""
    return F.grid_sample(maps, grid.to(maps.dtype), mode=mode, padding_mode="zeros", align_corners=False)


def inside(grid: Tensor) -> Tensor:
    """bool ``(B, H, W)``: pixels that come wholly from within the picture."""
    h, w = grid.shape[1:3]
    edge = 1 + 1e-5  # the grid is rounded
    return (grid[..., 0].abs() <= edge - 1 / w) & (grid[..., 1].abs() <= edge - 1 / h)
