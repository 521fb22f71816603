"""Diagrams: a method's idea as boxes and arrows."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from tutseg.report.figure import styled


@styled
def diagram(boxes: Mapping[str, tuple[float, float, str]], arrows: Sequence[tuple[str, str, str]]) -> Figure:
    """Boxes and arrows: a method's idea in one picture.

    Parameters
    ----------
    boxes : mapping
        key -> (x, y, text), in units of a box's width and height; y grows downwards.
    arrows : sequence
        (from, to, label).
    """
    plt.rcParams["axes.grid"] = False
    xs, ys = ([box[i] for box in boxes.values()] for i in (0, 1))
    figure, axes = plt.subplots(figsize=(1.9 * (max(xs) + 1), 0.95 * (max(ys) + 1)))
    for x, y, text in boxes.values():
        shape = FancyBboxPatch((x - 0.31, y - 0.26), 0.62, 0.52, boxstyle="round,pad=0.02", fc="#eef3f8", ec="#456")
        axes.add_patch(shape)
        axes.text(x, y, text, ha="center", va="center", fontsize=8)
    for start, end, label in arrows:
        (x0, y0, _), (x1, y1, _) = boxes[start], boxes[end]
        dx = 0.34 * np.sign(x1 - x0)
        dy = 0 if dx else 0.29 * np.sign(y1 - y0)
        arrow = FancyArrowPatch(
            (x0 + dx, y0 + dy), (x1 - dx, y1 - dy), arrowstyle="-|>", mutation_scale=10, color="#456", lw=1
        )
        axes.add_patch(arrow)
        if label:
            place, ground = ((x0 + x1) / 2, (y0 + y1) / 2), {"fc": "white", "ec": "none", "pad": 0.8}
            axes.text(*place, label, ha="center", va="center", fontsize=6.5, color="#a33", bbox=ground)
    axes.set(xlim=(min(xs) - 0.5, max(xs) + 0.5), ylim=(max(ys) + 0.5, min(ys) - 0.5))
    axes.axis("off")
    return figure
