"""Photographs and drawn lesions side by side: tiles with words below, never recoloured."""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure as Canvas
from PIL import Image

from tutseg.data.decode import png_bytes
from tutseg.data.sample import Source
from tutseg.report.figure import PALETTE
from tutseg.report.pictures import with_contour
from tutseg.report.shown import Shown
from tutseg.report.table import scrolling

_SIDE = 128  # pixels that a tile with contours has at least


@dataclass(frozen=True)
class Tile:
    """One picture, uint8 RGB ``(H, W, 3)``, the words below it and its alternative text."""

    pixels: np.ndarray
    words: str
    alt: str


@dataclass(frozen=True, repr=False)
class Tiles(Shown):
    """Rows of tiles that wrap where a page is narrow; a notebook shows them as HTML.

    Parameters
    ----------
    rows : tuple of tuple of Tile
        What belongs together.
    columns : int
        Tiles side by side at most.
    alt : str
        What all of them show.
    """

    rows: tuple[tuple[Tile, ...], ...]
    columns: int
    alt: str

    def to_html(self) -> str:
        """What a page shows."""
        gap, least = 0.4, 4.6  # rem
        width = f"max({least}rem,(100% - {gap * (self.columns - 1):g}rem)/{self.columns})"
        style = f"display:grid;grid-template-columns:repeat(auto-fill,minmax({width},1fr));gap:{gap}rem"
        words = "font-size:0.8em;line-height:1.25;text-align:left;color:inherit!important;margin:0.2rem 0 0;padding:0"
        tile = lambda each: (
            f'<figure style="margin:0">{photograph(png_bytes(Image.fromarray(each.pixels)), each.alt)}'
            f'<figcaption style="{words}">{html.escape(each.words)}</figcaption></figure>'
        )
        rows = "".join(f'<div style="{style}">{"".join(map(tile, row))}</div>' for row in self.rows)
        return (
            f'<div class="tutseg-tiles" role="group" aria-label="{html.escape(self.alt)}" '
            f'style="display:grid;gap:{2 * gap}rem;max-width:{8.5 * self.columns}rem">{rows}</div>'
        )

    def savefig(self, *args: Any, **options: Any) -> None:
        """All tiles as one picture with their words, as matplotlib's ``savefig`` writes it."""
        lines = [row[i : i + self.columns] for row in self.rows for i in range(0, len(row), self.columns)]
        size = (1.35 * self.columns, 1.5 * len(lines))
        figure = Canvas(figsize=size, layout="constrained", dpi=110)
        axes = figure.subplots(len(lines), self.columns, squeeze=False)
        for axis in axes.flat:
            axis.axis("off")
        for line, row in zip(axes, lines, strict=True):
            for axis, each in zip(line, row, strict=False):
                axis.imshow(each.pixels)
                axis.set_title(each.words, fontsize=7, pad=2)
        figure.savefig(*args, **options)


def photograph(png: bytes, alt: str, style: str = "") -> str:
    """A PNG inside the page; its class keeps the theme from darkening it."""
    address = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    style = f"width:100%;{style}"
    return f'<img class="dark-light tutseg-photograph" src="{address}" alt="{html.escape(alt)}" style="{style}">'


@dataclass(frozen=True, repr=False)
class Stored(Shown):
    """A picture from a PNG file with an alternative text, moved sideways where a page is narrow."""

    path: Path
    alt: str

    def to_html(self) -> str:
        """What a page shows."""
        picture = photograph(self.path.read_bytes(), self.alt, "min-width:44rem")
        return scrolling(f'<div class="tutseg-tiles">{picture}</div>', self.path.stem)


def contours(images: np.ndarray, truth: np.ndarray, predictions: Mapping[str, np.ndarray]) -> Tiles:
    """A row a picture: the truth's contour (white) and each method's (colour), with its Dice.

    Parameters
    ----------
    images : numpy.ndarray
        uint8 ``(n, H, W, 3)``.
    truth : numpy.ndarray
        Boolean ``(n, H, W)``.
    predictions : mapping
        method -> boolean ``(n, H, W)``.
    """
    rows, dice = [], {name: [] for name in predictions}
    for i, (image, true) in enumerate(zip(images, truth, strict=True)):
        outlined = _outline(_enlarged(image), true, "#ffffff")
        row = [Tile(outlined, "picture and truth", f"Picture {i + 1} with the truth, {true.mean():.0%} of it")]
        for k, (name, masks) in enumerate(predictions.items()):
            total = masks[i].sum() + true.sum()
            dice[name].append(2 * (masks[i] & true).sum() / total if total else 1.0)
            drawn = _outline(outlined, masks[i], PALETTE[k % 8])
            words = f"{name} {dice[name][-1]:.2f}"
            row.append(Tile(drawn, words, f"Picture {i + 1}, {name}: Dice {dice[name][-1]:.2f}"))
        rows.append(tuple(row))
    told = "; ".join(f"{name} {', '.join(f'{each:.2f}' for each in found)}" for name, found in dice.items())
    alt = (
        f"Contours of the truth (white) and of {len(predictions)} predictions on {len(images)} pictures. Dice: {told}."
    )
    return Tiles(tuple(rows), len(predictions) + 1, alt)


def _enlarged(image: np.ndarray) -> np.ndarray:
    """The picture in whole multiples of its size, at least `_SIDE` pixels wide."""
    times = math.ceil(_SIDE / image.shape[1])
    size = (image.shape[1] * times, image.shape[0] * times)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def _outline(image: np.ndarray, mask: np.ndarray, colour: str) -> np.ndarray:
    """The picture with the outline of a smaller mask ``(H, W)``."""
    smooth = Image.fromarray(mask.astype(np.float32)).resize(image.shape[1::-1], Image.Resampling.BILINEAR)
    rgb = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return np.asarray(with_contour(image, np.asarray(smooth) > 0.5, rgb, width=2))


def pictures(images: Sequence[np.ndarray], titles: Sequence[str], columns: int = 6, cmap: str = "magma") -> Tiles:
    """Pictures (uint8 RGB) and maps (one channel, shown with a colour map in [0, 1])."""
    tiles = []
    for image, title in zip(images, titles, strict=True):
        if image.ndim == 3:
            tiles.append(Tile(image, title, title))
        else:
            shown = (255 * colormaps[cmap](np.clip(image, 0, 1))[..., :3]).astype(np.uint8)
            told = f"{title}: map from {image.min():.2f} to {image.max():.2f}, mean {image.mean():.2f}"
            tiles.append(Tile(shown, title, told))
    return Tiles((tuple(tiles),), columns, f"{len(tiles)} pictures: {'; '.join(tile.alt for tile in tiles)}.")


def outlined(source: Source, n: int, columns: int = 6) -> Tiles:
    """The first to last of a source in `n` even steps, each with its mask's contour (green)."""
    tiles = []
    for at in np.linspace(0, len(source) - 1, min(n, len(source))).round().astype(int):
        sample = source[int(at)]
        covered = sample.mask > 0
        drawn = _outline(_enlarged(sample.image), covered, "#00ff78")
        tiles.append(Tile(drawn, sample.id, f"{sample.id}: lesion on {covered.mean():.0%} of the picture"))
    return Tiles((tuple(tiles),), columns, f"{len(tiles)} of {len(source)} pictures with their lesion's outline.")
