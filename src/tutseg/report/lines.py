"""Curves: losses over the steps, agreement over fuzziness, one score over another."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tutseg.data.noise import agreement
from tutseg.data.sample import Source
from tutseg.metrics import COUNTS, area_scores, counts, table_from_counts
from tutseg.report.figure import PALETTE, styled


@styled
def curves(
    logs: Mapping[str, Sequence[Mapping[str, np.ndarray]]], terms: Mapping[str, str], smooth: int = 15
) -> Figure:
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
    columns = min(3, len(terms))
    rows = -(-len(terms) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.7 * columns, 2.1 * rows), squeeze=False, sharex=True)
    for axis, (term, title) in zip(axes.flat, terms.items(), strict=False):
        for colour, (method, runs) in zip(PALETTE, logs.items(), strict=False):
            for i, log in enumerate(run for run in runs if term in run):
                steps, values = log["step"], log[term]
                if not term.startswith("w_"):
                    steps, values = (np.convolve(each, kernel, "valid") for each in (steps, values))
                axis.plot(steps, values, color=colour, lw=1, label=method if i == 0 else None)
        axis.set_title(title, fontsize=9)
        if axis.has_data() and np.nanmax(axis.dataLim.intervaly) > 50 * max(np.nanmin(axis.dataLim.intervaly), 1e-9):
            axis.set_yscale("log")
    for axis in axes.flat[len(terms) :]:
        axis.axis("off")
    for axis in axes[-1]:
        axis.set_xlabel("step")
    handles: dict[str, object] = {}
    for axis in axes.flat:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
    return figure


@styled
def agreement_curve(source: Source, bins: int = 10) -> Figure:
    """How often two annotators agree on a pixel, by its fuzziness; drawn data with at least two annotators."""
    fuzzy, agree = [], []
    for sample in source:
        per_pixel, _ = agreement(sample.extra["annotators"])
        fuzzy.append(sample.extra["fuzziness"].ravel())
        agree.append(per_pixel.ravel())
    fuzzy, agree = np.concatenate(fuzzy), np.concatenate(agree)
    edges = np.linspace(0, 1, bins + 1)
    at = np.clip(np.digitize(fuzzy, edges) - 1, 0, bins - 1)
    counts = np.bincount(at, minlength=bins)
    mean = np.bincount(at, agree, minlength=bins) / np.maximum(counts, 1)
    shown = counts > 0
    figure, axis = plt.subplots(figsize=(4.2, 2.5))
    axis.plot((edges[:-1] + edges[1:])[shown] / 2, mean[shown], "o-")
    axis.set(xlabel="fuzziness of the pixel", ylabel="two annotators agree", ylim=(None, 1.01))
    axis.set_title(f"{len(source)} pictures, {len(fuzzy):,} pixels", fontsize=9)
    return figure


@styled
def gap_figure(prediction: np.ndarray, truth: np.ndarray) -> Figure:
    """Mean Jaccard against mean Dice under three averagings, with the bound J = D / (2 - D) and the single pictures.

    Parameters
    ----------
    prediction, truth : numpy.ndarray
        Boolean ``(N, H, W)``.
    """
    each = area_scores(counts(prediction, truth))
    table = table_from_counts(dict(zip(COUNTS, counts(prediction, truth).T, strict=True)))
    curve = np.linspace(0, 1, 200)
    figure, axes = plt.subplots(1, 2, figsize=(6.6, 2.9))
    for axis in axes:
        axis.plot(curve, curve / (2 - curve), color="#888", lw=1, label="$J = D / (2 - D)$")
        axis.set(xlabel="Dice", ylabel="Jaccard")
    axes[0].plot(each["dice"], each["jaccard"], ".", ms=4, label="single pictures")
    places = []
    for marker, (way, name) in zip(
        "osD", (("per_image", "per picture"), ("batch", "batches of 5"), ("pooled", "pooled")), strict=True
    ):
        dice, jaccard = (table[score][way]["mean"] for score in ("dice", "jaccard"))
        places.append((dice, jaccard))
        gap = 100 * (jaccard - dice / (2 - dice))
        axes[1].plot(dice, jaccard, marker, label=f"{name}: gap {gap:.2f} points")
    dices, jaccards = zip(*places, strict=True)
    axes[1].set(xlim=(min(dices) - 0.02, max(dices) + 0.02), ylim=(min(jaccards) - 0.03, max(jaccards) + 0.03))
    for axis in axes:
        axis.legend(fontsize=7)
    return figure
