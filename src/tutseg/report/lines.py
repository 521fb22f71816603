"""Curves: losses over the steps, agreement over fuzziness, one score over another."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure as Canvas

from tutseg.data.noise import agreement
from tutseg.data.sample import Source
from tutseg.metrics import COUNTS, area_scores, counts, table_from_counts
from tutseg.report.figure import DASHES, INK, MARKERS, PALETTE, columns, legend_below, line_figure, sheet, spoken


@line_figure
def curves(
    logs: Mapping[str, Sequence[Mapping[str, np.ndarray]]], terms: Mapping[str, str], smooth: int = 15
) -> tuple[Callable[[float], Canvas], str]:
    """Loss terms and weights over the steps, a panel each, a line a run, one colour a method.

    Parameters
    ----------
    logs : mapping
        method -> logs of its runs (`tutseg.training.run.Run.log`).
    terms : mapping
        Column of the log -> title of its panel; a run without it is left out.
    smooth : int
        Steps of the running mean.
    """
    kernel = np.ones(smooth) / smooth
    lines: dict[str, dict[str, list[tuple[np.ndarray, np.ndarray]]]] = {}
    for term in terms:
        for method, runs in logs.items():
            for log in (run for run in runs if term in run):
                pair = (np.asarray(log["step"]), np.asarray(log[term]))
                if not term.startswith("w_"):
                    pair = tuple(np.convolve(each, kernel, "valid") for each in pair)
                lines.setdefault(term, {}).setdefault(method, []).append(pair)

    def draw(width: float) -> Canvas:
        side_by_side = min(columns(width, len(terms)), 3)
        rows = -(-len(terms) // side_by_side)
        figure, axes = sheet(width, 1.8 * rows + 0.4, rows, side_by_side, squeeze=False)
        for axis, (term, title) in zip(axes.flat, terms.items(), strict=False):
            for i, method in enumerate(logs):
                for k, pair in enumerate(lines.get(term, {}).get(method, ())):
                    axis.plot(*pair, color=PALETTE[i % 8], ls=DASHES[i % 8], lw=1, label=method if k == 0 else None)
            axis.set_title(title)
            if axis.has_data() and axis.dataLim.y1 > 50 * axis.dataLim.y0 > 0:
                axis.set_yscale("log")
        for axis in axes.flat[len(terms) :]:
            axis.axis("off")
        for axis in axes.flat[max(0, len(terms) - side_by_side) : len(terms)]:  # the last of each column
            axis.set_xlabel("step")
        legend_below(figure, axes, width)
        return figure

    ends = lambda pairs: [np.mean([values[at] for _, values in pairs if len(values)]) for at in (0, -1)]
    told = "; ".join(
        f"{spoken(title)}: "
        + ", ".join("{} from {:.3g} to {:.3g}".format(m, *ends(pairs)) for m, pairs in lines.get(term, {}).items())
        for term, title in terms.items()
    )
    return (
        draw,
        f"{len(terms)} panels of curves over the training steps, mean of the runs at first and at last. {told}.",
    )


@line_figure
def agreement_curve(source: Source, bins: int = 10) -> tuple[Callable[[float], Canvas], str]:
    """How often two annotators agree on a pixel, by its fuzziness; drawn data with at least two annotators."""
    fuzzy, agree = [], []
    for sample in source:
        per_pixel, _ = agreement(sample.extra["annotators"])
        fuzzy.append(sample.extra["fuzziness"].ravel())
        agree.append(per_pixel.ravel())
    fuzzy, agree = np.concatenate(fuzzy), np.concatenate(agree)
    edges = np.linspace(0, 1, bins + 1)
    at = np.clip(np.digitize(fuzzy, edges) - 1, 0, bins - 1)
    pixels = np.bincount(at, minlength=bins)
    shown = pixels > 0
    mean = np.bincount(at, agree, minlength=bins)[shown] / pixels[shown]
    centre = (edges[:-1] + edges[1:])[shown] / 2
    title = f"{len(source)} pictures, {len(fuzzy):,} pixels"

    def draw(width: float) -> Canvas:
        figure, axis = sheet(min(width, 4.6), 2.6)
        axis.plot(centre, mean, "o-")
        axis.set(xlabel="fuzziness of the pixel", ylabel="two annotators agree", ylim=(None, 1.01), title=title)
        return figure

    told = ", ".join(f"{m:.2f} at {c:.2f}" for c, m in zip(centre, mean, strict=True))
    return draw, f"How often two annotators agree, by the fuzziness of the pixel; {title}. Agreement: {told}."


@line_figure
def gap_figure(prediction: np.ndarray, truth: np.ndarray) -> tuple[Callable[[float], Canvas], str]:
    """Mean Jaccard against mean Dice under three averagings, with the bound J = D / (2 - D) and the single pictures.

    Parameters
    ----------
    prediction, truth : numpy.ndarray
        Boolean ``(N, H, W)``.
    """
    each = area_scores(counts(prediction, truth))
    table = table_from_counts(dict(zip(COUNTS, counts(prediction, truth).T, strict=True)))
    bound = lambda dice: dice / (2 - dice)
    names = {"per_image": "per picture", "batch": "batches of 5", "pooled": "pooled"}
    places = {name: tuple(table[score][way]["mean"] for score in ("dice", "jaccard")) for way, name in names.items()}
    gaps = {name: 100 * (jaccard - bound(dice)) for name, (dice, jaccard) in places.items()}

    def draw(width: float) -> Canvas:
        side_by_side = columns(width, 2, 3)
        figure, axes = sheet(width, 2.9 * (2 // side_by_side), 2 // side_by_side, side_by_side, squeeze=False)
        first, second = axes.flat
        curve = np.linspace(0, 1, 200)
        for axis in (first, second):
            axis.plot(curve, bound(curve), color=INK, alpha=0.6, lw=1, label="$J = D / (2 - D)$")
            axis.set(xlabel="Dice", ylabel="Jaccard")
        first.plot(each["dice"], each["jaccard"], ".", ms=4, label="single pictures")
        for marker, (name, place) in zip(MARKERS, places.items(), strict=False):
            second.plot(*place, marker, label=f"{name}: gap {gaps[name]:.2f} points")
        (left, low), (right, high) = np.min(list(places.values()), 0), np.max(list(places.values()), 0)
        second.set(xlim=(left - 0.02, right + 0.02), ylim=(low - 0.03, high + 0.03))
        for axis in (first, second):
            axis.legend()
        return figure

    told = "; ".join(f"{k}: Dice {d:.3f}, Jaccard {j:.3f}, {gaps[k]:.2f} points above" for k, (d, j) in places.items())
    return draw, f"Jaccard against Dice of {len(truth)} pictures with the bound J = D / (2 − D). Means {told}."
