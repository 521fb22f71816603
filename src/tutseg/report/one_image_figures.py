"""Figures of the methods that segment one picture."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure as Canvas

from tutseg.papers.intervals import paired_interval
from tutseg.report.figure import INK, MARKERS, PALETTE, columns, legend_below, line_figure, sheet
from tutseg.report.groups import gain, in_groups
from tutseg.report.one_image import robust
from tutseg.training.evidence import Finished

_AXES = {"angle": "angle, degrees", "scale": "scale", "shear": "shear, degrees"}


@line_figure
def robustness_figure(items: Sequence[Finished]) -> tuple[Callable[[float], Canvas], str]:
    """Flipped labels and Dice against angle, scale and shear, and under hair, with 95 % intervals."""
    found = robust(items)
    methods = list(dict.fromkeys(method for method, _ in found))
    changes: dict[str, list[float]] = {}
    for field, value in dict.fromkeys(tuple(change.split("=")) for _, change in found):
        changes.setdefault(field, []).append(float(value))
    changes = {field: sorted(values) for field, values in changes.items()}
    scores = {"flips": "labels flipped, %", "dice": "Dice, %"}
    means, ends = {}, {}
    for (method, change), of in found.items():
        for score in scores:
            values = 100 * of[score].values
            means[score, method, change], ends[score, method, change] = values.mean(), paired_interval(values)
    seeds, pictures = next(iter(found.values()))["flips"].values.shape
    title = f"{pictures} pictures of {items[0].trial.data} at {items[0].trial.size} px, {seeds} seed(s)"

    def panel(axis: object, score: str, field: str) -> None:
        at = changes[field]
        step = (at[-1] - at[0] or 1) / 60
        for i, method in enumerate(methods):
            keys = [(score, method, f"{field}={x:g}") for x in at]
            mean, (low, high) = np.array([means[key] for key in keys]), np.transpose([ends[key] for key in keys])
            place = np.array(at) + step * (i - (len(methods) - 1) / 2)
            style = {"marker": MARKERS[i % 8], "ms": 4, "lw": 1, "color": PALETTE[i % 8]}
            axis.errorbar(place, mean, (mean - low, high - mean), label=method, **style)
        axis.set(xticks=at, xticklabels=[""] if field == "hair" else [f"{x:g}" for x in at])
        if len(at) == 1:
            axis.set_xlim(at[0] - 0.1, at[0] + 0.1)

    def draw(width: float) -> Canvas:
        n = len(changes)
        wide = columns(width, n) == n
        layout = {"width_ratios": [1 if field == "hair" else 4 for field in changes]} if wide else {}
        shared = {"sharey": "row", "sharex": "col"} if wide else {"sharey": "col", "sharex": "row"}
        size, shape = ((width, 4.2), (2, n)) if wide else ((width, 1.7 * n + 0.6), (n, 2))
        figure, axes = sheet(*size, *shape, squeeze=False, **shared, **layout)
        by_score = axes if wide else axes.T
        for line, (score, name) in zip(by_score, scores.items(), strict=True):
            for axis, field in zip(line, changes, strict=True):
                panel(axis, score, field)
            line[0].set(**{"ylabel" if wide else "title": name})
        for line in by_score[-1:] if wide else by_score:
            for axis, field in zip(line, changes, strict=True):
                axis.set_xlabel(_AXES.get(field, field))
        figure.suptitle(title, fontsize=9)
        legend_below(figure, axes, width)
        return figure

    told = "; ".join(
        f"{method}, {change.removesuffix('=1')}: {means['flips', method, change]:.0f} % flipped, "
        f"Dice {means['dice', method, change]:.0f} %"
        for method, change in found
    )
    return draw, f"Labels that flip and Dice when the picture changes; {title}. {told}."


@line_figure
def evaluation_figure(items: Sequence[Finished]) -> tuple[Callable[[float], Canvas], str]:
    """Dice that the evaluation adds, by method: the leak's gain, and what the oracle is worth over the darkest."""
    base = in_groups(items)
    seen_by = {view: in_groups(items, view=view) for view in ("oracle+4", "oracle+6", "darkest")}
    leaks = {
        f"{margin} px": [gain(b, a) for a, b in zip(base, seen_by[f"oracle+{margin}"], strict=True)]
        for margin in (4, 6)
    }
    oracle = [gain(a, b) for a, b in zip(base, seen_by["darkest"], strict=True)]
    panels = {"gain by the leak": leaks, "gain by the oracle": {"over the darkest cluster": oracle}}
    seen = {
        (title, label): [(100 * each.mean(), *(100 * end for end in paired_interval(each))) for each in gains]
        for title, series in panels.items()
        for label, gains in series.items()
    }

    def draw(width: float) -> Canvas:
        side_by_side = columns(width, 2, 3)
        height = 0.3 * len(base) + 1
        figure, axes = sheet(
            width, height * (2 // side_by_side), 2 // side_by_side, side_by_side, sharey=True, squeeze=False
        )
        for axis, (title, series) in zip(axes.flat, panels.items(), strict=True):
            axis.axvline(0, color=INK, lw=0.8, ls="--", alpha=0.6)
            for shift, label in enumerate(series):
                for y, (mean, low, high) in enumerate(seen[title, label]):
                    place = y + 0.25 * (shift - (len(series) - 1) / 2)
                    axis.plot([low, high], [place, place], color=PALETTE[shift], lw=2)
                    axis.plot(mean, place, MARKERS[shift], color=PALETTE[shift], ms=4, label=None if y else label)
            axis.set(title=title, xlabel="Dice points, 95 % interval")
            axis.legend()
        for axis in axes[:, 0]:
            axis.set(yticks=range(len(base)), yticklabels=[group.name for group in base])
        axes[0, 0].invert_yaxis()
        return figure

    told = "; ".join(
        f"{title}, {label}: "
        + ", ".join(f"{b.name} {m:+.1f} ({lo:+.1f} to {hi:+.1f})" for b, (m, lo, hi) in zip(base, values, strict=True))
        for (title, label), values in seen.items()
    )
    return draw, f"Dice points that the evaluation adds to {len(base)} methods. {told}."
