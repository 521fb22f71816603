"""What a generator does, in figures."""

from collections.abc import Sequence

import torch

from tutseg.methods.generative.equivariance import equivariance, warmed
from tutseg.nets import build
from tutseg.report.figure import DASHES, INK, MARKERS, legend_below, line_figure, sheet

KINDS = {"filtered non-linearities": True, "naive": False}


def against_margin(
    margins: Sequence[int] = (0, 2, 4, 6, 8, 10), net: str = "stylegan3-s", size: int = 32, batches: int = 20
) -> dict[str, dict[int, float]]:
    """EQ-T in decibels of untrained generators, by kind of non-linearity and samples of margin.

    Parameters
    ----------
    margins : sequence of int
        What to try.
    net, size
        See `tutseg.nets.build`.
    batches : int
        See `warmed`.
    """
    measured: dict[str, dict[int, float]] = {}
    for kind, filtered in KINDS.items():
        for margin in margins:
            torch.manual_seed(0)
            made = build(net, size, margin=margin, filtered=filtered)
            measured.setdefault(kind, {})[margin] = equivariance(warmed(made, batches=batches))
    return measured


@line_figure
def margin_figure(measured: dict[str, dict[int, float]], wanted: float = 65.0):
    """What the margin around a picture is worth: `against_margin`, and the decibels that are `wanted`."""

    def draw(width):
        figure, axes = sheet(width, 2.8)
        for k, (kind, points) in enumerate(measured.items()):
            axes.plot(points.keys(), points.values(), marker=MARKERS[k], linestyle=DASHES[k], label=kind)
        axes.axhline(wanted, color=INK, linewidth=0.8, linestyle=":", label=f"{wanted:g} dB")
        axes.set(xlabel="samples of margin on each side", ylabel="EQ-T, dB")
        legend_below(figure, axes, width)
        return figure

    told = "; ".join(
        f"{kind}: " + ", ".join(f"{db:.0f} dB at margin {margin}" for margin, db in points.items())
        for kind, points in measured.items()
    )
    return draw, f"How well a generator's picture moves with its input. {told}."
