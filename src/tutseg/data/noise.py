"""Label noise with known truth: redraw any mask as a careless annotator would, and keep what changed."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tutseg.data.draw_canvas import coherent_noise
from tutseg.errors import InputError


@dataclass(frozen=True)
class LabelNoise:
    """How somebody's outline differs from the true one; all zero draws the true one.

    Parameters
    ----------
    grow : float
        Bias: how far outside the true border the outline runs, in picture widths; negative runs inside.
    warp : float
        Jitter: standard deviation of the outline's smooth wandering, in picture widths (or in units of a map of
        the border's uncertainty, see `redraw`).
    waves : int
        Half waves a picture of the finest wandering.
    smooth : float
        Over-smoothing: details of the border finer than this are lost, in picture widths.
    miss : float
        Probability in [0, 1] that a region other than the largest is overlooked (satellites).
    drop : float
        Share in [0, 1] of the foreground left out in smooth patches.
    """

    grow: float = 0.0
    warp: float = 0.0
    waves: int = 16
    smooth: float = 0.0
    miss: float = 0.0
    drop: float = 0.0

    def __post_init__(self) -> None:
        for name in ("miss", "drop"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"label noise {name}={getattr(self, name)}", "use a share between 0 and 1")
        for name in ("warp", "smooth"):
            if getattr(self, name) < 0:
                raise InputError(f"label noise {name}={getattr(self, name)}", "use 0 or more")
        if self.waves < 2:
            raise InputError(f"label noise waves={self.waves}", "use 2 or more")


def depth_of(mask: np.ndarray) -> np.ndarray:
    """Signed distance to the border in pixels, float32 ``(H, W)``: > 0 inside, < 0 outside.

    The border runs between pixels, half a pixel from the centres beside it.
    """
    inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)


def redraw(
    mask: np.ndarray, style: LabelNoise, rng: np.random.Generator, uncertainty: np.ndarray | None = None
) -> np.ndarray:
    """The mask as drawn by somebody with that style.

    Parameters
    ----------
    mask : numpy.ndarray
        Truth, ``(H, W)``, foreground where > 0.
    style : LabelNoise
        What goes wrong.
    rng : numpy.random.Generator
        Source of chance.
    uncertainty : numpy.ndarray or None
        How uncertain the border is near each pixel ``(H, W)``, in picture widths: `style.warp` counts in its units.

    Returns
    -------
    numpy.ndarray
        uint8 {0, 1}, ``(H, W)``.
    """
    drawn = mask > 0
    width = max(mask.shape)
    if style.miss > 0:
        regions, count = ndimage.label(drawn)
        sizes = np.bincount(regions.ravel(), minlength=count + 1)[1:]
        for region in range(1, count + 1):
            if region != 1 + np.argmax(sizes) and rng.random() < style.miss:
                drawn = drawn & (regions != region)
    # A mask without a border has nothing that could be misplaced.
    if (style.grow or style.warp or style.smooth) and drawn.any() and not drawn.all():
        depth = depth_of(drawn)
        if style.smooth:
            depth = ndimage.gaussian_filter(depth, style.smooth * width)
        if style.warp:
            wander = coherent_noise(rng, mask.shape, 0.5, style.waves)
            depth = depth + width * style.warp * wander * (1 if uncertainty is None else uncertainty)
        drawn = depth + width * style.grow > 0
    if style.drop > 0 and drawn.any():
        patches = coherent_noise(rng, mask.shape, 1.5, style.waves)
        drawn = drawn & (patches >= np.quantile(patches[drawn], style.drop))
    return drawn.astype(np.uint8)


def add_noise(mask: np.ndarray, style: LabelNoise, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inject label noise into a mask, real or drawn.

    Parameters
    ----------
    mask : numpy.ndarray
        ``(H, W)``, foreground where > 0.
    style : LabelNoise
        What goes wrong.
    seed : int
        The same seed gives the same noise.

    Returns
    -------
    noisy : numpy.ndarray
        uint8 {0, 1}, ``(H, W)``.
    changed : numpy.ndarray
        bool ``(H, W)``: the pixels whose label is now wrong.
    """
    noisy = redraw(mask, style, np.random.default_rng(seed))
    return noisy, (noisy > 0) != (mask > 0)


def agreement(annotators: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far several annotators agree.

    Parameters
    ----------
    annotators : numpy.ndarray
        Their masks, {0, 1}, ``(m, H, W)`` with m >= 2.

    Returns
    -------
    per_pixel : numpy.ndarray
        Probability in [0, 1] that two different annotators give the pixel the same label, ``(H, W)``.
    dice : numpy.ndarray
        Dice of every pair of annotators ``(m, m)``; 1 for two empty masks.
    """
    m = len(annotators)
    if m < 2:
        raise InputError("agreement of fewer than two annotators", "draw with annotators=2 or more")
    masks = np.asarray(annotators, dtype=np.float64).reshape(m, -1)
    for_it = masks.sum(0)
    pairs = for_it * (for_it - 1) + (m - for_it) * (m - for_it - 1)
    both = masks @ masks.T
    total = masks.sum(1)[:, None] + masks.sum(1)[None]
    dice = np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0)
    return (pairs / (m * (m - 1))).reshape(annotators.shape[1:]), dice
