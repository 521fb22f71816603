"""Photographs and drawn lesions side by side, with contours."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tutseg.report.figure import PALETTE, styled


@styled
def contours(images: np.ndarray, truth: np.ndarray, predictions: Mapping[str, np.ndarray]) -> Figure:
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
    plt.rcParams["axes.grid"] = False
    size = (1.35 * (len(predictions) + 1), 1.45 * len(images))
    figure, axes = plt.subplots(len(images), len(predictions) + 1, figsize=size, squeeze=False)
    for i, (row, image, true) in enumerate(zip(axes, images, truth, strict=True)):
        for axis in row:
            axis.imshow(image)
            axis.axis("off")
        _outline(row[0], true, "white")
        for axis, colour, masks in zip(row[1:], PALETTE, predictions.values(), strict=False):
            mask = masks[i]
            _outline(axis, true, "white")
            _outline(axis, mask, colour)
            total = mask.sum() + true.sum()
            axis.set_title(f"{2 * (mask & true).sum() / total if total else 1:.2f}", fontsize=8, pad=2)
    for axis, name in zip(axes[0], ["picture and truth", *predictions], strict=True):
        axis.set_title(f"{name}\n{axis.get_title()}", fontsize=8, pad=2)
    return figure


def _outline(axis: plt.Axes, mask: np.ndarray, colour: str) -> None:
    if mask.any() and not mask.all():
        axis.contour(mask.astype(float), levels=[0.5], colors=["black"], linewidths=2.2)
        axis.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=1.3)


@styled
def pictures(images: Sequence[np.ndarray], titles: Sequence[str], columns: int = 6, cmap: str = "magma") -> Figure:
    """A grid of pictures (RGB) and maps (one channel, shown with a colour map in [0, 1])."""
    plt.rcParams["axes.grid"] = False
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(1.4 * columns, 1.55 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        axis.imshow(image, **({} if image.ndim == 3 else {"cmap": cmap, "vmin": 0, "vmax": 1}))
        axis.set_title(title, fontsize=7, pad=2)
    return figure
