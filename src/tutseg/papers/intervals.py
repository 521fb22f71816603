"""The 95 % interval of a mean over seeds and images: the one that decides claims and stands in every table.

Scores of k seeds on n images are crossed: every seed is tested on the same images. In two-way random effects
d_si = mu + a_s + b_i + e_si the variance of the mean is Var(a)/k + Var(b)/n + Var(e)/(k n). Its two sources have their
own degrees of freedom, k - 1 for seeds and n - 1 for images, so each gets its own t quantile, and the two half-widths
add like the legs of a right triangle (Graybill and Wang 1980; Zou and Donner 2008, "MOVER"):

    half-width^2 = t(k-1)^2 (Var(a)/k + Var(e)/(k n)) + t(n-1)^2 Var(b)/n

Where seeds dominate this is the t interval over seeds, for a method that no seed changes the t interval over images,
and between the two it covers at least what it says (``tests/test_intervals.py``). A percentile bootstrap does not: of
three seeds' means it cannot tell more than that the truth lies among them, which it does three times out of four.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95
POWER = 0.8


@dataclass(frozen=True)
class Spread:
    """Variances of a score, or of a paired difference, by where they come from.

    Parameters
    ----------
    seed, image, rest : float or numpy.ndarray
        Of the seed's effect, the image's effect and what is left, in squared units of the score; none is negative.
    """

    seed: ArrayLike
    image: ArrayLike
    rest: ArrayLike


def spread_of(values: np.ndarray) -> Spread:
    """The variances behind scores ``(..., k, n)`` by seed and image; NaN where a seed lacks an image.

    Half the mean squared difference of two cells is Var(b) + Var(e) for two images of one seed, Var(a) + Var(e) for two
    seeds of one image, and the sum of all three for cells that share neither. In a full matrix these are the usual
    estimates from mean squares. Where no image has two seeds, Var(b) is part of Var(e).
    """
    present = np.isfinite(values)
    count = present.sum((-2, -1), keepdims=True)
    centre = np.where(present, values, 0.0).sum((-2, -1), keepdims=True) / count
    x = np.where(present, values - centre, 0.0)
    of_seed, of_image, of_all = (_squares(x, present, axis) for axis in (-1, -2, (-2, -1)))
    apart = _mean(*(whole - a - b for whole, a, b in zip(of_all, of_seed, of_image, strict=True)))
    same_seed, same_image = (np.where(found[1] > 0, _mean(*found), apart) for found in (of_seed, of_image))
    seed, image, rest = apart - same_seed, apart - same_image, same_seed + same_image - apart
    found = (np.maximum(each, 0.0) for each in (seed, image, rest))
    return Spread(*(float(each) if each.ndim == 0 else each for each in found))


def _squares(x: np.ndarray, present: np.ndarray, axis: int | tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Sum of half the squared differences over ordered pairs within each group along `axis`, and number of pairs."""
    n = present.sum(axis)
    total = n * (x**2).sum(axis) - x.sum(axis) ** 2
    pairs = n * (n - 1)
    return (total, pairs) if isinstance(axis, tuple) else (total.sum(-1), pairs.sum(-1))


def _mean(total: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.divide(total, pairs, out=np.zeros(np.shape(total)), where=pairs > 0)


def paired_interval(differences: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Interval of the mean over seeds of the mean over images, for other seeds and other images than these.

    Parameters
    ----------
    differences : numpy.ndarray
        ``(k, n)``, or many of them ``(..., k, n)``: by seed and image; NaN where a seed lacks an image.
    level : float
        Share of experiments in which it holds the truth.

    Returns
    -------
    (low, high) : float
        Both NaN with one seed, which says nothing about another, and with one image.
    """
    k, n = differences.shape[-2:]
    middle = np.nanmean(differences, -1).mean(-1)
    if k < 2 or n < 2:
        return middle * np.nan, middle * np.nan
    present = np.isfinite(differences)
    weight = present / (k * present.sum(-1, keepdims=True))  # of each cell in the mean
    found = spread_of(differences)
    by_seed = found.seed / k + found.rest * (weight**2).sum((-2, -1))
    by_image = found.image * (weight.sum(-2) ** 2).sum(-1)
    half = _half_width(by_seed, by_image, k, n, (1 + level) / 2)
    return middle - half, middle + half


def holm(
    differences: Sequence[np.ndarray], decided: Callable[[float, float], bool], planned: int | None = None
) -> list[int]:
    """Which comparisons are decided by Holm's steps: one of m at 1 - 0.05/m, a second at 1 - 0.05/(m - 1), and so on.

    Parameters
    ----------
    differences : sequence of numpy.ndarray
        As `paired_interval` takes them.
    decided : callable
        Whether an interval, low and high, decides.
    planned : int, optional
        m, where more comparisons were planned than there are differences.
    """
    found: list[int] = []
    while len(found) < len(differences):
        level = 1 - (1 - LEVEL) / ((planned or len(differences)) - len(found))
        left = [i for i in range(len(differences)) if i not in found]
        more = [i for i in left if decided(*paired_interval(differences[i], level))]
        if not more:
            break
        found += more
    return sorted(found)


def _half_width(by_seed: ArrayLike, by_image: ArrayLike, k: int, n: int, *quantiles: float) -> np.ndarray:
    """From the two variances of the mean; t quantiles of several probabilities add up."""
    of_seeds, of_images = (sum(_quantile(quantile, df) for quantile in quantiles) for df in (k - 1, n - 1))
    return np.sqrt(of_seeds**2 * by_seed + of_images**2 * by_image)


def _quantile(probability: float, df: int) -> float:
    from scipy.special import stdtrit  # lists of claims do not wait for it

    return float(stdtrit(df, probability))


def interval_of_deviations(means: ArrayLike, image_variance: float, images: int) -> tuple[float, float]:
    """`paired_interval` where only the mean of each seed and the variance over so many images are known.

    It counts what seed and image have in common twice, and is a little too wide.
    """
    k, middle = len(means), np.mean(means)
    half = _half_width(np.var(means, ddof=1) / k, image_variance / images, k, images, (1 + LEVEL) / 2)
    return middle - half, middle + half


def t_interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The t interval of a mean of ``(n,)``: of one seed's images, not for another seed; or the other way round."""
    half = _quantile((1 + level) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def smallest_difference(spread: Spread, seeds: int, images: int, power: float = POWER) -> float:
    """The smallest true difference of which so many seeds and images would tell the sign with probability `power`."""
    by_seed = spread.seed / seeds + spread.rest / (seeds * images)
    return float(_half_width(by_seed, spread.image / images, seeds, images, (1 + LEVEL) / 2, power))


def direction(low: float, high: float) -> Literal["higher", "lower", "undecided"]:
    """What the interval of a difference allows one to say of its first side."""
    return "higher" if low > 0 else "lower" if high < 0 else "undecided"
