"""The one kind of line figure that the labs draw: a few named lines or clouds of points over one axis."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure as Canvas

from tutseg.report.figure import DASHES, INK, MARKERS, PALETTE, legend_below, line_figure, sheet, spoken


@line_figure
def chart(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x: str,
    y: str,
    ticks: Sequence[str] = (),
    across: Mapping[str, float] | None = None,
    logarithmic: str = "",
    joined: bool = True,
) -> tuple[Callable[[float], Canvas], str]:
    """Named lines over one axis.

    Parameters
    ----------
    series : mapping
        Name -> its x and y, one number a point.
    x, y : str
        What the axes are.
    ticks : sequence of str
        Names of the places 0, 1, 2, ... of the x axis, where these are no numbers.
    across : mapping
        Name -> height of a level line.
    logarithmic : str
        Which axes are: "x", "y" or "xy".
    joined : bool
        Whether the points of a name are joined.
    """
    points = {name: (np.asarray(px, float), np.asarray(py, float)) for name, (px, py) in series.items()}

    def draw(width: float) -> Canvas:
        figure, axis = sheet(min(width, 6.0), 3.2)
        for i, (name, (px, py)) in enumerate(points.items()):
            marker = MARKERS[i % 8] if len(px) < 30 else None
            axis.plot(px, py, color=PALETTE[i % 8], ls=DASHES[i % 8] if joined else "none", marker=marker, label=name)
        for name, height in (across or {}).items():
            axis.axhline(height, color=INK, lw=1, ls=":", label=name)
        if ticks:
            axis.set_xticks(range(len(ticks)), ticks)
        if "x" in logarithmic:
            axis.set_xscale("log")
        if "y" in logarithmic:
            axis.set_yscale("log")
        axis.set(xlabel=x, ylabel=y)
        legend_below(figure, axis, min(width, 6.0))
        return figure

    place = lambda at: ticks[int(at)] if ticks else f"{at:.3g}"
    told = lambda px, py: ", ".join(f"{py[i]:.3g} at {place(px[i])}" for i in sorted({0, len(px) // 2, len(px) - 1}))
    lines = [f"{spoken(name)}: {told(*each)}" for name, each in points.items() if len(each[0])]
    lines += [f"{spoken(name)}: {height:.3g} throughout" for name, height in (across or {}).items()]
    return draw, f"{spoken(y)} over {spoken(x)}. {'; '.join(lines)}."
