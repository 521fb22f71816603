"""What a generator does, and how good it is, in figures and tables."""

from collections.abc import Sequence
from pathlib import Path

import torch

from tutseg.methods.generative.equivariance import equivariance, warmed
from tutseg.nets import build
from tutseg.nets.lite0_features import NAME as FEATURES
from tutseg.report.figure import DASHES, INK, MARKERS, legend_below, line_figure, sheet
from tutseg.report.groups import of_spec, provenance, told
from tutseg.report.table import Table
from tutseg.training.evidence import View

SHARES = ("precision", "recall", "copies", "repeats")
FLOORS = {"training": "real ones that it was shown", "blurred": "these without detail"}
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


def generators_table(folder: Path) -> Table:
    """How good drawn pictures are after how many that the discriminator was shown, beside real ones and blurred ones.

    Parameters
    ----------
    folder : Path
        Evidence of trials of the task "generate".
    """
    items, missing = of_spec(folder)
    items.sort(key=lambda item: (item.trial.data, item.trial.steps * item.trial.batch))
    rows = []
    for k, item in enumerate(items):
        kimg = item.trial.steps * item.trial.batch / 1000
        rows.append((item.trial.data, "drawn", f"{kimg:.3g}", *_quality(item.views["net"]), str(item.n["test"])))
        if k + 1 == len(items) or items[k + 1].trial.data != item.trial.data:
            few = str(min(item.n["test"], item.n["training"]))
            rows += [(item.trial.data, what, "–", *_quality(item.views[view]), few) for view, what in FLOORS.items()]
    heads = ("data", "pictures", "kimg", "KID × 1000", "Fréchet", *(f"{share} %" for share in SHARES), "n")
    note = (
        f"KID and Fréchet distance from held-out pictures, on features of {FEATURES}: they are not FID, and the second "
        "is mostly bias with so few. Real pictures are the floor. Copies are nearer to a picture that the generator "
        "was shown, repeats nearer to each other, than one in twenty real ones is. "
    )
    return Table(heads, tuple(rows), "What a generator draws", note + missing, provenance(items), keys=2)


def _quality(view: View) -> tuple[str, ...]:
    kid, frechet = (view.means[name]["pooled"] for name in ("kid", "frechet"))
    return (f"{1000 * kid:.0f}", f"{frechet:.0f}", *(told(view.means[share]["per_image"]) for share in SHARES))
