"""What the drawers share: an addressable source of chance, coherent noise, soft edges, colours and a camera.

Everything is stated in picture widths, so that a picture drawn at 64 and at 256 pixels is the same picture.
"""

import io
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

WHITE = 0.95047, 1.0, 1.08883  # D65
WINDOW = 0.15, 0.85  # the cosine basis has zero slope at its ends; a window inside it shows no such edge


@lru_cache(maxsize=64)
def grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres ``(x, y)`` in picture widths, each float32 ``(size, size)`` in (-0.5, 0.5)."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    y, x = np.meshgrid(axis, axis, indexing="ij")
    x.flags.writeable = y.flags.writeable = False
    return x, y


@lru_cache(maxsize=64)
def cosines(size: int, waves: int) -> np.ndarray:
    """Cosine basis ``(size, waves)``; column k has k half waves over the (unseen) full window."""
    position = np.linspace(*WINDOW, 2 * size + 1)[1::2]
    return np.cos(np.pi * position[:, None] * np.arange(waves)[None]).astype(np.float32)


@lru_cache(maxsize=64)
def log_frequencies(waves: int) -> np.ndarray:
    """Logarithm of each coefficient's frequency in half waves a picture, ``(waves, waves)``; the mean has none."""
    k = np.hypot(*np.meshgrid(np.arange(waves), np.arange(waves))) * (WINDOW[1] - WINDOW[0])
    k[0, 0] = 1e-3
    return np.log(k).astype(np.float32)


def unit(field: np.ndarray) -> np.ndarray:
    """The field with mean 0 and standard deviation 1."""
    field = field - field.mean()
    return field * np.float32(1 / (math.sqrt(np.vdot(field, field) / field.size) + 1e-6))


def coherent_noise(
    rng: np.random.Generator, shape: tuple[int, int], slope: float, waves: int = 32, lowest: float = 0.5
) -> np.ndarray:
    """Noise with detail at chosen scales, float32 ``shape``, mean 0 and deviation 1; the same at every size.

    Parameters
    ----------
    slope : float
        Amplitude falls as frequency^-slope: 0 grain, 1 fractal skin, 2 and more smooth patches.
    waves : int
        Half waves a picture (times 1.4) of the finest detail.
    lowest : float
        Half waves a picture of the coarsest detail; near `waves` gives a band.
    """
    log_k = log_frequencies(waves)
    amplitude = np.exp(-np.float32(slope) * log_k) * (log_k >= np.log(lowest))
    amplitude *= rng.standard_normal((waves, waves), dtype=np.float32)
    return unit(cosines(shape[0], waves) @ amplitude @ cosines(shape[1], waves).T)


def smoothstep(value: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and a cubic with flat ends between."""
    value = np.clip(value, 0, 1)
    return value * value * (3 - 2 * value)


def level_depth(field: np.ndarray) -> np.ndarray:
    """About the signed distance to the zero level of a smooth field, in picture widths: value over slope."""
    down, across = np.gradient(field)
    return field / (np.hypot(down, across) * len(field) + 1e-3).astype(np.float32)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform: every scale between `low` and `high` is equally likely."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def lab_to_rgb(lab: Sequence[float]) -> np.ndarray:
    """One colour from CIE Lab (D65) to sRGB in [0, 1], clipped to the gamut, ``(3,)``.

    Ten single colours a picture do not pay for the array machinery of ``skimage.color.lab2rgb``; a test holds the
    two equal.
    """
    fy = (lab[0] + 16) / 116
    f = (fy + lab[1] / 500, fy, max(fy - lab[2] / 200, 0.0))
    X, Y, Z = (w * (t**3 if t > 0.2068966 else (t - 16 / 116) / 7.787) for t, w in zip(f, WHITE, strict=True))
    linear = (
        3.24048134 * X - 1.53715152 * Y - 0.49853633 * Z,
        -0.96925495 * X + 1.87599 * Y + 0.04155593 * Z,
        0.05564664 * X - 0.20404134 * Y + 1.05731107 * Z,
    )
    return np.array([min(max(1.055 * c ** (1 / 2.4) - 0.055 if c > 0.0031308 else 12.92 * c, 0), 1) for c in linear])


def blend(rgb: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Lay a colour ``(3,)`` or a picture ``(3, H, W)`` over `rgb` ``(3, H, W)`` with opacity `cover` ``(H, W)``."""
    colour = np.asarray(colour, dtype=np.float32)
    return rgb + cover * ((colour[:, None, None] if colour.ndim == 1 else colour) - rgb)


@dataclass
class Canvas:
    """One picture's size and chance.

    Every feature draws from its own stream, so that switching one off leaves all others as they were: an ablation
    compares the same pictures.
    """

    size: int
    seed: int
    index: int

    def stream(self, feature: str) -> np.random.Generator:
        """Random numbers that depend on (seed, index, feature) alone."""
        key = np.array([(self.seed % 2**32 << 32) + zlib.crc32(feature.encode()), self.index], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key))

    def noise(self, rng: np.random.Generator, slope: float, waves: int = 32, lowest: float = 0.5) -> np.ndarray:
        """`coherent_noise` over the picture ``(size, size)``."""
        return coherent_noise(rng, (self.size, self.size), slope, waves, lowest)

    def strokes(self, lines: list[tuple[np.ndarray, float]], fine: int = 3) -> np.ndarray:
        """Coverage ``(size, size)`` in [0, 1] of polylines ``(points (n, 2) in picture widths, width)``."""
        picture = Image.new("L", (self.size * fine,) * 2)
        draw = ImageDraw.Draw(picture)
        for points, width in lines:
            pixels = ((points + 0.5) * self.size * fine).ravel().tolist()
            draw.line(pixels, fill=255, width=max(1, round(width * self.size * fine)), joint="curve")
        return np.asarray(picture.reduce(fine), dtype=np.float32) / 255

    def discs(self, centres: np.ndarray, radii: np.ndarray, fine: int = 2) -> np.ndarray:
        """Coverage ``(size, size)`` in [0, 1] of discs at ``(n, 2)``, radii ``(n,)``, in picture widths."""
        picture = Image.new("L", (self.size * fine,) * 2)
        draw = ImageDraw.Draw(picture)
        for centre, radius in zip((centres + 0.5) * self.size * fine, radii * self.size * fine, strict=True):
            draw.ellipse([*(centre - radius), *(centre + radius)], fill=255)
        return np.asarray(picture.reduce(fine), dtype=np.float32) / 255


@dataclass
class Drawing:
    """A finished picture and the truth about it.

    Parameters
    ----------
    image : numpy.ndarray
        uint8 sRGB, ``(H, W, 3)``.
    depth : numpy.ndarray
        Signed distance-like depth inside the lesion in picture widths, > 0 exactly on the mask, ``(H, W)``.
    sigma : numpy.ndarray
        How uncertain the border's position is near each pixel, in picture widths, ``(H, W)``.
    label : str
        Class.
    layers : dict
        bool ``(H, W)`` masks of the artefacts and organs that were drawn.
    """

    image: np.ndarray
    depth: np.ndarray
    sigma: np.ndarray
    label: str
    layers: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def mask(self) -> np.ndarray:
        """uint8 {0, 1} ``(H, W)``: where the lesion is."""
        return (self.depth > 0).astype(np.uint8)


def to_picture(rgb: np.ndarray) -> Image.Image:
    """sRGB in [0, 1], ``(3, H, W)``, as an 8-bit picture."""
    return Image.fromarray(np.ascontiguousarray((np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)))


def plain(canvas: Canvas, colour: np.ndarray) -> np.ndarray:
    """A picture ``(3, H, W)`` of one colour ``(3,)``."""
    return np.broadcast_to(np.float32(colour)[:, None, None], (3, canvas.size, canvas.size))


def camera(rgb: np.ndarray, blur: float, grain: float, quality: int, rng: np.random.Generator) -> np.ndarray:
    """What the camera does last: defocus, sensor noise, JPEG.

    Parameters
    ----------
    rgb : numpy.ndarray
        sRGB in [0, 1], ``(3, H, W)``: the planes apart, because laying layers over each other is faster so.
    blur : float
        Standard deviation in picture widths.
    grain : float
        Standard deviation of the noise, on the scale of [0, 1].
    quality : int
        JPEG quality; above 95 nothing is compressed.

    Returns
    -------
    numpy.ndarray
        uint8 ``(H, W, 3)``.
    """
    picture = to_picture(rgb)
    if blur * picture.width > 0.2:
        picture = picture.filter(ImageFilter.GaussianBlur(blur * picture.width))
    if grain:
        noise = np.float32(255 * grain) * rng.standard_normal((picture.height, picture.width, 3), np.float32)
        picture = Image.fromarray(np.clip(np.asarray(picture) + noise + 0.5, 0, 255).astype(np.uint8))
    if quality <= 95:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        picture = Image.open(file)
    return np.asarray(picture)


def soften(field: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of a scalar field, `sigma` in picture widths."""
    return ndimage.gaussian_filter(field, sigma * len(field), truncate=3) if sigma > 0 else field
