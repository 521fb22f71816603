"""Diagrams: a method's idea as boxes and arrows."""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from tutseg.report.figure import GROUND, INK, PALETTE, WIDE, line_figure, sheet, spoken

_BOX = (0.68, 0.52)  # width and height of a box, in units of their distance


@line_figure
def diagram(
    boxes: Mapping[str, tuple[float, float, str]], arrows: Sequence[tuple[str, str, str]]
) -> tuple[Callable[[float], Canvas], str]:
    """Boxes and arrows: a method's idea in one picture, from left to right; on a telephone from top to bottom.

    Parameters
    ----------
    boxes : mapping
        key -> (x, y, text), in units of a box's width and height; y grows downwards.
    arrows : sequence
        (from, to, label).
    """

    def draw(width: float) -> Canvas:
        down = width < WIDE
        places = {key: np.array((y, x) if down else (x, y)) for key, (x, y, _) in boxes.items()}
        low, high = (reach(list(places.values()), axis=0) for reach in (np.min, np.max))
        across, along = high - low + 0.9
        figure, axes = sheet(min(width, 1.9 * across), 0.95 * along)
        for key, (_, _, text) in boxes.items():
            corner = places[key] - np.array(_BOX) / 2
            shape = FancyBboxPatch(corner, *_BOX, boxstyle="round,pad=0.02", fc="none", ec=PALETTE[0])
            axes.add_patch(shape)
            axes.text(*places[key], text, ha="center", va="center", fontsize=8)
        for start, end, label in arrows:
            way = np.sign(places[end] - places[start])
            side = 1 if (way[1] if down else not way[0]) else 0  # of a box where its arrows begin and end
            reach = way * (np.array(_BOX) / 2 + 0.03) * (np.arange(2) == side)
            arrow = FancyArrowPatch(
                places[start] + reach, places[end] - reach, arrowstyle="-|>", mutation_scale=10, color=INK, lw=0.9,
                shrinkA=0, shrinkB=0,
            )  # fmt: skip
            axes.add_patch(arrow)
            if label:
                middle, ground = (places[start] + places[end]) / 2, {"fc": GROUND, "ec": "none", "pad": 0.8}
                level = not way[1]  # then it stands on the arrow, no wider than the gap between the boxes
                gap = (abs(places[end] - places[start])[0] - _BOX[0]) * figure.get_figwidth() / across
                whole = re.sub(r"Eq\. [\d, -]+", lambda found: found[0].replace(" ", "\u00a0"), label)
                text = textwrap.fill(whole, max(5, int(gap * 17)), break_long_words=False) if level else label
                axes.text(
                    *middle, text, ha="center", va="bottom" if level else "center", fontsize=7.5, style="italic",
                    bbox=None if level else ground,
                )  # fmt: skip
        axes.set(xlim=(low[0] - 0.45, high[0] + 0.45), ylim=(high[1] + 0.45, low[1] - 0.45))
        axes.axis("off")
        return figure

    name = {key: spoken(text) for key, (_, _, text) in boxes.items()}
    told = [f"{name[a]} to {name[b]}" + (f" ({spoken(label)})" if label else "") for a, b, label in arrows]
    return draw, f"Diagram of {len(boxes)} boxes and {len(arrows)} arrows: {'; '.join(told)}."
