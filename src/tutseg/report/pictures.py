"""Pictures with contours: overlays and mosaics."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion

from tutseg.data.sample import Source


def with_contour(
    image: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int] = (0, 255, 120), width: int = 1
) -> Image.Image:
    """A picture ``(H, W, 3)`` with the edge of its mask ``(H, W)`` drawn `width` pixels wide, inside the mask."""
    mask = mask.astype(bool)
    edge = mask & ~binary_erosion(mask, iterations=width)
    drawn = image.copy()
    drawn[binary_dilation(edge) & ~mask] = 0  # a dark rim keeps the line visible on light skin
    drawn[edge] = colour
    return Image.fromarray(drawn)


def mosaic(source: Source, chosen: Sequence[int], tile: int = 192, columns: int = 6) -> Image.Image:
    """The `chosen` pictures of a source, each with its mask's contour, `tile` pixels square."""
    rows = -(-len(chosen) // columns)
    sheet = Image.new("RGB", (columns * tile, rows * tile), "white")
    for place, index in enumerate(chosen):
        sample = source[index]
        picture = Image.fromarray(sample.image).resize((tile, tile), Image.Resampling.BICUBIC)
        if sample.mask is not None:
            mask = Image.fromarray(sample.mask).resize((tile, tile), Image.Resampling.NEAREST)
            picture = with_contour(np.asarray(picture), np.asarray(mask), width=2)
        sheet.paste(picture, (place % columns * tile, place // columns * tile))
    return sheet
