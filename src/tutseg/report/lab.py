"""The one kind of line figure that the labs draw: a few named lines or clouds of points over one axis."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt

from tutseg.report.figure import DASHES, MARKERS, PALETTE


def chart(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x: str,
    y: str,
    ticks: Sequence[str] = (),
    across: Mapping[str, float] | None = None,
    logarithmic: str = "",
    joined: bool = True,
) -> None:
    """Show named lines over one axis.

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
    figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
    for i, (name, (px, py)) in enumerate(series.items()):
        marker = MARKERS[i % 8] if len(px) < 30 else None
        axis.plot(px, py, color=PALETTE[i % 8], ls=DASHES[i % 8] if joined else "none", marker=marker, label=name)
    for i, (name, height) in enumerate((across or {}).items()):
        axis.axhline(height, color="#808080", lw=1.2, ls=DASHES[(i + 2) % 8], label=name)
    if ticks:
        axis.set_xticks(range(len(ticks)), ticks)
    for scaled in logarithmic:
        axis.set(**{f"{scaled}scale": "log"})
    axis.set(xlabel=x, ylabel=y)
    axis.grid(alpha=0.2)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    plt.show()
