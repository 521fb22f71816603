"""Figures of the chapters, in one style: colour-blind safe, readable at a phone's width, nothing drawn twice."""

import functools
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
STYLE = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=PALETTE),
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "image.cmap": "viridis",
}


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """A figure in the book's style; closed, since a notebook shows what a cell returns and would show it twice."""

    @functools.wraps(draw)
    def drawn(*args: Any, **options: Any) -> Figure:
        with plt.rc_context(STYLE):
            figure = draw(*args, **options)
        plt.close(figure)
        return figure

    return drawn
