"""Label noise with known truth: redraw any mask as a careless annotator would, and keep what changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from tutseg.data.draw_canvas import coherent_noise
from tutseg.errors import InputError, unknown
from tutseg.files import sha256

if TYPE_CHECKING:
    from tutseg.data.loader import Pictures


KINDS = ("grow", "shrink", "warp", "flip", "smooth", "miss", "drop")
NOISE_FIELDS = ("kind", "rate", "seed", "share")
BAND = 0.05  # how far from the border labels are flipped, in picture widths


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
    flip : float
        Probability in [0, 1] that a pixel near the border (`BAND`) has the other label, each by itself.
    """

    grow: float = 0.0
    warp: float = 0.0
    waves: int = 16
    smooth: float = 0.0
    miss: float = 0.0
    drop: float = 0.0
    flip: float = 0.0

    def __post_init__(self) -> None:
        for name in ("miss", "drop", "flip"):
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
    if style.flip > 0 and drawn.any() and not drawn.all():
        near = np.abs(depth_of(drawn)) < BAND * width
        drawn = drawn ^ (near & (rng.random(mask.shape) < style.flip))
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


def style_of(noise: Mapping[str, Any]) -> LabelNoise:
    """A trial's ``noise: {kind, rate, seed, share}`` as a style: one of `KINDS`, as strong as the rate says.

    Raises
    ------
    InputError
        A field or kind that is not known or missing, or a rate, seed or share that cannot be.
    """
    for name in noise:
        if name not in NOISE_FIELDS:
            raise unknown("field of label noise", name, NOISE_FIELDS)
    kind, rate, seed, share = noise.get("kind"), noise.get("rate"), noise.get("seed", 0), noise.get("share", 1)
    if kind not in KINDS:
        raise unknown("kind of label noise", str(kind), KINDS)
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise InputError(f"label noise rate = {rate!r}", f"give a number, the `{kind}` of LabelNoise")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InputError(f"label noise seed = {seed!r}", "give a whole number")
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise InputError(f"label noise share = {share!r}", "give the share of pictures that it befalls, in (0, 1]")
    return LabelNoise(grow=-rate) if kind == "shrink" else LabelNoise(**{kind: rate})


def with_noise(pictures: "Pictures", noise: Mapping[str, Any]) -> "tuple[Pictures, np.ndarray]":
    """Masks as a careless annotator would have drawn them; the truth stays as it is.

    What happens to a picture's mask follows from the noise and the picture's id alone, not from the other pictures.

    Parameters
    ----------
    pictures : Pictures
        With masks.
    noise : mapping
        ``kind`` (one of `KINDS`), ``rate`` (that field of `LabelNoise`; "shrink" is "grow" inwards), ``seed`` (0 if it
        is left out) and ``share``, the part of the pictures that it befalls (1 if it is left out).

    Returns
    -------
    pictures : Pictures
        With other masks, on the device they were on.
    changed : numpy.ndarray
        bool ``(N, S, S)``: the pixels whose mask is now wrong. For scoring; training has no use for it.

    Raises
    ------
    InputError
        The noise cannot be (see `style_of`), or there are no masks.
    """
    import torch

    style, share = style_of(noise), noise.get("share", 1)
    masks = pictures.need("masks").masks
    drawn = []
    for mask, name in zip(masks[:, 0].cpu().numpy(), pictures.ids, strict=True):
        digits = sha256(f"{noise.get('seed', 0)}:{name}")
        befallen = int(digits[16:32], 16) < share * 16**16
        drawn.append(add_noise(mask, style if befallen else LabelNoise(), int(digits[:16], 16)))
    noisy = torch.from_numpy(np.stack([mask for mask, _ in drawn])[:, None]).to(masks.device)
    return replace(pictures, masks=noisy), np.stack([changed for _, changed in drawn])


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
