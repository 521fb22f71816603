"""Figures of the methods that segment one picture."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tutseg.papers.claims import paired_bootstrap
from tutseg.report.figure import PALETTE, styled
from tutseg.report.groups import in_groups
from tutseg.report.one_image import robust
from tutseg.training.evidence import Finished


@styled
def robustness_figure(items: Sequence[Finished]) -> Figure:
    """Flipped labels and Dice against angle, scale and shear, and under hair, with 95 % intervals."""
    found = robust(items)
    fields = list(dict.fromkeys(change.split("=")[0] for _, change in found))
    figure, axes = plt.subplots(
        2, len(fields), figsize=(7, 4.2), sharey="row", sharex="col", squeeze=False,
        width_ratios=[1 if field == "hair" else 4 for field in fields],
    )  # fmt: skip
    methods = list(dict.fromkeys(method for method, _ in found))
    for row, (score, title) in zip(axes, {"flips": "labels flipped, %", "dice": "Dice, %"}.items(), strict=True):
        for axis, field in zip(row, fields, strict=True):
            at = sorted({float(change.split("=")[1]) for _, change in found if change.startswith(field)})
            width = (at[-1] - at[0] or 1) / 60
            for i, (method, colour) in enumerate(zip(methods, PALETTE, strict=False)):
                values = [100 * found[method, f"{field}={x:g}"][score].values for x in at]
                means = np.array([value.mean() for value in values])
                ends = np.array([paired_bootstrap(value) for value in values])
                place = np.array(at) + width * (i - (len(methods) - 1) / 2)
                axis.errorbar(place, means, abs(ends.T - means), marker="o", ms=3, lw=1, color=colour, label=method)
            axis.set(xticks=at, xticklabels=[""] if field == "hair" else [f"{x:g}" for x in at])
        row[0].set(ylabel=title)
    for axis, field in zip(axes[-1], fields, strict=True):
        axis.set(xlabel={"angle": "angle, degrees", "scale": "scale", "shear": "shear, degrees"}.get(field, field))
    seeds, pictures = next(iter(found.values()))["flips"].values.shape
    data, size = items[0].trial.data, items[0].trial.size
    figure.suptitle(f"{pictures} pictures of {data} at {size} px, {seeds} seed(s)", fontsize=9)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(methods), fontsize=8)
    return figure


@styled
def evaluation_figure(items: Sequence[Finished]) -> Figure:
    """Dice that the evaluation adds, by method: the leak's gain, and what the oracle is worth over the darkest."""
    base = in_groups(items)
    panels = {
        "gain by the leak": [("4 px", in_groups(items, view="oracle+4")), ("6 px", in_groups(items, view="oracle+6"))],
        "gain by the oracle": [("over the darkest cluster", in_groups(items, view="darkest"))],
    }
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 0.3 * len(base) + 1.2), sharey=True)
    for axis, (title, series) in zip(axes, panels.items(), strict=True):
        for shift, (colour, (label, others)) in enumerate(zip(PALETTE, series, strict=False)):
            for y, (own, other) in enumerate(zip(base, others, strict=True)):
                gain = other.values - own.values if "leak" in title else own.values - other.values
                low, high = paired_bootstrap(gain)
                place = y + 0.25 * (shift - (len(series) - 1) / 2)
                axis.plot([100 * low, 100 * high], [place, place], color=colour, lw=2)
                axis.plot(100 * gain.mean(), place, "o", color=colour, ms=4, label=label if y == 0 else None)
        axis.axvline(0, color="#666", lw=0.8, ls="--")
        axis.set(title=title, xlabel="Dice points, 95 % interval")
        axis.legend(fontsize=7)
    axes[0].set(yticks=range(len(base)), yticklabels=[group.name for group in base])
    axes[0].invert_yaxis()
    return figure
