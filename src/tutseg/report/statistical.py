"""Statistical figures: similarities, embeddings, intervals."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tutseg.report.figure import PALETTE, styled


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
