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


def frechet(a: Tensor, b: Tensor) -> float:
    """Frechet distance of two sets of features ``(N, D)``, ``(M, D)``, each taken for a Gaussian (Heusel et al., 2017).

    ``|m_a - m_b|^2 + tr(C_a) + tr(C_b) - 2 tr((C_a C_b)^(1/2))``. The last trace is the sum of the singular values of
    the product of the centred sets, an N x M matrix, which is quick and exact where N and M are small. With few
    pictures the distance is mostly bias, and a set without variety has less of it.
    """
    a, b = a.double(), b.double()
    mean_a, mean_b = a.mean(0), b.mean(0)
    a, b = ((x - mean) / (len(x) - 1) ** 0.5 for x, mean in ((a, mean_a), (b, mean_b)))
    both = torch.linalg.svdvals(a @ b.T).sum()
    return ((mean_a - mean_b).square().sum() + a.square().sum() + b.square().sum() - 2 * both).item()


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """KID: the squared distance of two sets of features in the space of a cubic kernel (Binkowski et al., 2018).

    Its expectation does not depend on how many pictures there are, and is zero for two parts of one set; so a single
    value may well be below zero.
    """
    a, b = a.double(), b.double()
    kernel = lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3
    within = [(k.sum() - k.trace()) / (len(x) * (len(x) - 1)) for x in (a, b) for k in (kernel(x, x),)]
    return (within[0] + within[1] - 2 * kernel(a, b).mean()).item()


def nearest(a: Tensor, b: Tensor) -> Tensor:
    """Distance of each of `a` ``(N, D)`` to the nearest of `b`; where both are one tensor, to the nearest other."""
    distance = torch.cdist(a.double(), b.double())
    if a is b:
        distance.fill_diagonal_(torch.inf)
    return distance.min(1).values


def within(points: Tensor, support: Tensor, k: int = 3) -> Tensor:
    """Which of `points` ``(N, D)`` lie where `support` does: not farther from one of it than its own k-th neighbour.

    The mean is the precision of drawn points with real ones as support, and the recall the other way round
    (Kynkaanniemi et al., 2019).
    """
    radius = torch.cdist(support.double(), support.double()).kthvalue(min(k + 1, len(support))).values
    return (torch.cdist(points.double(), support.double()) <= radius).any(1)


def closer(distances: Tensor, usual: Tensor, share: float = 0.05) -> Tensor:
    """Which distances are as small as a `share` of the usual ones: if more than the share are, there are copies."""
    return distances < usual.double().quantile(share)


def told_apart(a: Tensor, b: Tensor) -> float:
    """How often the nearest other point is of the same set, of as many of each (Lopez-Paz and Oquab, 2017).

    One half: `a` and `b` ``(N, D)`` lie among each other. One: there is no telling a neighbour of the other set.
    """
    few = min(len(a), len(b))
    both = torch.cat([a[:few], b[:few]]).double()
    distance = torch.cdist(both, both).fill_diagonal_(torch.inf)
    own = torch.arange(len(both)) < few
    return (own[distance.argmin(1)] == own).double().mean().item()
