"""Figures of the chapters, in one style: colour-blind safe, readable at a phone's width, nothing drawn twice."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from tutseg.data.noise import agreement
from tutseg.data.sample import Source
from tutseg.metrics import COUNTS, area_scores, counts, table_from_counts

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


@styled
def diagram(boxes: Mapping[str, tuple[float, float, str]], arrows: Sequence[tuple[str, str, str]]) -> Figure:
    """Boxes and arrows: a method's idea in one picture.

    Parameters
    ----------
    boxes : mapping
        key -> (x, y, text), in units of a box's width and height; y grows downwards.
    arrows : sequence
        (from, to, label).
    """
    plt.rcParams["axes.grid"] = False
    xs, ys = ([box[i] for box in boxes.values()] for i in (0, 1))
    figure, axes = plt.subplots(figsize=(1.9 * (max(xs) + 1), 0.95 * (max(ys) + 1)))
    for x, y, text in boxes.values():
        shape = FancyBboxPatch((x - 0.31, y - 0.26), 0.62, 0.52, boxstyle="round,pad=0.02", fc="#eef3f8", ec="#456")
        axes.add_patch(shape)
        axes.text(x, y, text, ha="center", va="center", fontsize=8)
    for start, end, label in arrows:
        (x0, y0, _), (x1, y1, _) = boxes[start], boxes[end]
        dx = 0.34 * np.sign(x1 - x0)
        dy = 0 if dx else 0.29 * np.sign(y1 - y0)
        arrow = FancyArrowPatch(
            (x0 + dx, y0 + dy), (x1 - dx, y1 - dy), arrowstyle="-|>", mutation_scale=10, color="#456", lw=1
        )
        axes.add_patch(arrow)
        if label:
            place, ground = ((x0 + x1) / 2, (y0 + y1) / 2), {"fc": "white", "ec": "none", "pad": 0.8}
            axes.text(*place, label, ha="center", va="center", fontsize=6.5, color="#a33", bbox=ground)
    axes.set(xlim=(min(xs) - 0.5, max(xs) + 0.5), ylim=(max(ys) + 0.5, min(ys) - 0.5))
    axes.axis("off")
    return figure


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
def contours(images: np.ndarray, truth: np.ndarray, predictions: Mapping[str, np.ndarray]) -> Figure:
    """A row a picture: the truth's contour (white) and each method's (colour), with its Dice.

    Parameters
    ----------
    images : numpy.ndarray
        uint8 ``(n, H, W, 3)``.
    truth : numpy.ndarray
        Boolean ``(n, H, W)``.
    predictions : mapping
        method -> boolean ``(n, H, W)``.
    """
    plt.rcParams["axes.grid"] = False
    size = (1.35 * (len(predictions) + 1), 1.45 * len(images))
    figure, axes = plt.subplots(len(images), len(predictions) + 1, figsize=size, squeeze=False)
    for i, (row, image, true) in enumerate(zip(axes, images, truth, strict=True)):
        for axis in row:
            axis.imshow(image)
            axis.axis("off")
        _outline(row[0], true, "white")
        for axis, colour, masks in zip(row[1:], PALETTE, predictions.values(), strict=False):
            mask = masks[i]
            _outline(axis, true, "white")
            _outline(axis, mask, colour)
            total = mask.sum() + true.sum()
            axis.set_title(f"{2 * (mask & true).sum() / total if total else 1:.2f}", fontsize=8, pad=2)
    for axis, name in zip(axes[0], ["picture and truth", *predictions], strict=True):
        axis.set_title(f"{name}\n{axis.get_title()}", fontsize=8, pad=2)
    return figure


def _outline(axis: plt.Axes, mask: np.ndarray, colour: str) -> None:
    if mask.any() and not mask.all():
        axis.contour(mask.astype(float), levels=[0.5], colors=["black"], linewidths=2.2)
        axis.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=1.3)


@styled
def cosine_matrices(panels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """DME-FD Tables 6-7: cosine similarity of branch 1's features of picture i with branch 2's of picture j.

    Parameters
    ----------
    panels : mapping
        title -> (features of branch 1, features of branch 2), each ``(n, D)``.
    """
    plt.rcParams["axes.grid"] = False
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.5 * columns, 2.4 * rows), squeeze=False)
    for axis, (title, (f1, f2)) in zip(axes.flat, panels.items(), strict=False):
        similarity = cosine_matrix(f1, f2)
        shown = axis.imshow(similarity, vmin=-1, vmax=1, cmap="RdBu_r")
        axis.set_title(f"{title}\ndiagonal {np.diag(similarity).mean():+.2f}", fontsize=8)
        axis.set(xlabel="branch 2, picture", ylabel="branch 1, picture")
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    figure.colorbar(shown, ax=axes, shrink=0.7, label="cosine similarity")
    return figure


def cosine_matrix(f1: np.ndarray, f2: np.ndarray) -> np.ndarray:
    """Cosine similarity ``(n, n)`` of every row of `f1` with every row of `f2`, each ``(n, D)``."""
    unit = lambda f: f / np.maximum(np.linalg.norm(f, axis=1, keepdims=True), 1e-12)
    return unit(f1) @ unit(f2).T


@styled
def tsne(features: Mapping[str, np.ndarray], lesion: Mapping[str, np.ndarray], seed: int = 0) -> Figure:
    """t-SNE of bottleneck positions, all panels embedded together; colour: how much of the position is lesion.

    Parameters
    ----------
    features : mapping
        panel -> ``(n, D)``.
    lesion : mapping
        panel -> share of lesion at each position ``(n,)`` in [0, 1].
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    stacked = np.concatenate(list(features.values()))
    stacked = PCA(min(30, *stacked.shape), random_state=seed).fit_transform(stacked)
    places = TSNE(perplexity=min(30, (len(stacked) - 1) / 3), init="pca", random_state=seed).fit_transform(stacked)
    plt.rcParams["axes.grid"] = False
    size = (2.6 * len(features), 2.6)
    figure, axes = plt.subplots(1, len(features), figsize=size, squeeze=False, sharex=True, sharey=True)
    start = 0
    for axis, (name, part) in zip(axes[0], features.items(), strict=True):
        here = places[start : start + len(part)]
        start += len(part)
        dots = axis.scatter(*here.T, c=lesion[name], s=6, cmap="cividis", vmin=0, vmax=1, linewidths=0)
        axis.set(title=name, xticks=[], yticks=[])
    figure.colorbar(dots, ax=axes, label="share of lesion", shrink=0.8)
    return figure


@styled
def intervals(rows: Sequence[tuple[str, float, float, float]], xlabel: str, zero: bool = True) -> Figure:
    """Points with 95 % intervals, a line each: (name, value, low, high)."""
    figure, axis = plt.subplots(figsize=(5.6, 0.32 * len(rows) + 0.9))
    for y, (_, value, low, high) in enumerate(rows):
        axis.plot([low, high], [y, y], color=PALETTE[0], lw=2)
        axis.plot(value, y, "o", color=PALETTE[1], ms=5)
    if zero:
        axis.axvline(0, color="#666", lw=0.8, ls="--")
    axis.set(yticks=range(len(rows)), yticklabels=[row[0] for row in rows], xlabel=xlabel)
    axis.invert_yaxis()
    return figure


@styled
def pictures(images: Sequence[np.ndarray], titles: Sequence[str], columns: int = 6, cmap: str = "magma") -> Figure:
    """A grid of pictures (RGB) and maps (one channel, shown with a colour map in [0, 1])."""
    plt.rcParams["axes.grid"] = False
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(1.4 * columns, 1.55 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        axis.imshow(image, **({} if image.ndim == 3 else {"cmap": cmap, "vmin": 0, "vmax": 1}))
        axis.set_title(title, fontsize=7, pad=2)
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
