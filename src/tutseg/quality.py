"""How good drawn pictures are, and whether a generator is equivariant.

Nothing here knows a network: pictures come as features ``(N, D)`` (`tutseg.nets.lite0_features`), a generator as a
function. Every distance between two sets needs its floor beside it, that between two parts of the real pictures. The
features are not those of the papers' FID, so these numbers and printed ones never stand in one column.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def translation_db(draw: Callable[[tuple[int, int]], Tensor], shifts: Iterable[tuple[int, int]]) -> float:
    """EQ-T: how well moving the input moves the picture, in decibels (StyleGAN3 Eq. 5).

    The peak of the ratio is four standard deviations of the pictures, so that pale ones get no credit for being pale.

    Parameters
    ----------
    draw : callable
        The pictures ``(B, C, H, W)`` with their input moved by so many pixels, right and down; always the same ones.
    shifts : iterable of (int, int)
        What to try; what was moved out of the picture is not compared.
    """
    still = draw((0, 0))
    error = []
    for dx, dy in shifts:
        (new_y, old_y), (new_x, old_x) = (_overlap(d, n) for d, n in zip((dy, dx), still.shape[2:], strict=True))
        moved = draw((dx, dy))[..., new_y, new_x] - still[..., old_y, old_x]
        error.append(moved.double().square().mean())
    return 10 * torch.log10(16 * still.double().var() / torch.stack(error).mean()).item()


def _overlap(moved: int, length: int) -> tuple[slice, slice]:
    """Where along an axis the moved picture shows what the still one shows."""
    new = slice(max(moved, 0), length + min(moved, 0))
    return new, slice(new.start - moved, new.stop - moved)
