"""Statistical figures: distributions, paired differences, similarities, embeddings, intervals."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.colors import LinearSegmentedColormap, SymLogNorm, to_rgba
from matplotlib.figure import Figure as Canvas

from tutseg.papers.intervals import paired_interval
from tutseg.report.figure import GROUND, INK, PALETTE, columns, line_figure, sheet
from tutseg.report.groups import Group, gain, heading, named, scale_of

# Negative to positive: transparent at zero, so that it lies on any ground.
_ENDS = ((0, PALETTE[1], 0.95), (0.4999, PALETTE[1], 0.02), (0.5001, PALETTE[0], 0.02), (1, PALETTE[0], 0.95))
_SIGNED = LinearSegmentedColormap.from_list("signed", [(at, to_rgba(*colour)) for at, *colour in _ENDS], 30)
_SHARE = LinearSegmentedColormap.from_list("share", [PALETTE[0], PALETTE[5], PALETTE[1]])


@line_figure
def violins(groups: Sequence[Group]) -> tuple[Callable[[float], Canvas], str]:
    """How the score is distributed over the test images: a violin a group, a point an image, the mean as a line."""
    scale, about = scale_of(groups[0].score), f"{heading(groups[0].score)} of each test image, mean over seeds"
    values = {group.name: scale * group.values.mean(0) for group in groups}

    def draw(width: float) -> Canvas:
        figure, axis = sheet(min(width, 6), 0.55 * len(values) + 0.7)
        style = {"inner": None, "cut": 0, "density_norm": "width", "color": PALETTE[0], "fill": False}
        sns.violinplot(values, orient="h", ax=axis, **style)
        _points(values, axis)
        for y, each in enumerate(values.values()):
            axis.plot([each.mean()] * 2, [y - 0.32, y + 0.32], color=INK, lw=2)
        axis.set(xlabel=about, ylabel="")
        return figure

    told = "; ".join(
        "{}: mean {:.1f}, median {:.1f}, middle half {:.1f} to {:.1f}, all {:.1f} to {:.1f}, {} images".format(
            name, each.mean(), *np.quantile(each, (0.5, 0.25, 0.75, 0, 1)), len(each)
        )
        for name, each in values.items()
    )
    return draw, f"Distributions of {about}, in {len(values)} groups. {told}."


@line_figure
def paired_differences(groups: Sequence[Group], reference: str) -> tuple[Callable[[float], Canvas], str]:
    """`reference` minus each other group: a point an image (mean over seeds), and the mean with its 95 % interval.

    Raises
    ------
    InputError
        No group of that name, or two groups without a seed in common.
    """
    whole = named(groups, reference)
    scale = scale_of(groups[0].score)
    about = f"difference in {heading(groups[0].score)}: each test image, and the mean's 95 % interval"
    gains = {group.name: scale * gain(whole, group) for group in groups if group is not whole}
    ends = {name: paired_interval(each) for name, each in gains.items()}

    def draw(width: float) -> Canvas:
        figure, axis = sheet(min(width, 6), 0.5 * len(gains) + 0.8)
        axis.axvline(0, color=INK, lw=0.8, ls="--", alpha=0.6)
        _points({f"{reference} − {name}": each.mean(0) for name, each in gains.items()}, axis)
        for y, (name, each) in enumerate(gains.items()):
            axis.plot(ends[name], [y, y], color=INK, lw=2.4, solid_capstyle="butt")
            axis.plot(each.mean(), y, "D", color=INK, ms=5)
        axis.set(xlabel=about, ylabel="")
        return figure

    told = "; ".join(
        "{} − {}: mean {:+.1f} ({:+.1f} to {:+.1f}), images from {:+.1f} to {:+.1f}, above zero in {} of {}".format(
            reference, name, each.mean(), *ends[name], each.mean(0).min(), each.mean(0).max(),
            int((each.mean(0) > 0).sum()), each.shape[1],
        )
        for name, each in gains.items()
    )  # fmt: skip
    return draw, f"Paired {about}. {told}."


def _points(values: Mapping[str, np.ndarray], axis: object) -> None:
    """A point for each value, in one row a name; the fewer the more opaque."""
    alpha = float(np.clip(30 / max(map(len, values.values())), 0.35, 0.8))
    sns.stripplot(values, orient="h", color=PALETTE[1], size=2.8, alpha=alpha, jitter=0.18, ax=axis)


@line_figure
def cosine_matrices(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> tuple[Callable[[float], Canvas], str]:
    """DME-FD Tables 6-7: cosine similarity of branch 1's features of picture i with branch 2's of picture j.

    All panels share one scale, linear up to 0.01 of either sign and logarithmic beyond: it shows similarities of a
    hundredth beside those of a half.

    Parameters
    ----------
    panels : mapping
        title -> (features of branch 1, features of branch 2), each ``(n, D)``.
    """
    found = {title: cosine_matrix(*pair) for title, pair in panels.items()}
    scale = SymLogNorm(0.01, linscale=0.5, vmin=-1, vmax=1)

    def draw(width: float) -> Canvas:
        side_by_side = min(columns(width, len(found)), 3)
        rows = -(-len(found) // side_by_side)
        figure, axes = sheet(
            width, (width / side_by_side + 0.25) * rows * 0.86 + 0.5, rows, side_by_side, squeeze=False
        )
        for axis, (title, similarity) in zip(axes.flat, found.items(), strict=False):
            sns.heatmap(
                similarity, norm=scale, cmap=_SIGNED, square=True, cbar=False, linewidths=0.4,
                linecolor=GROUND, xticklabels=False, yticklabels=False, ax=axis,
            )  # fmt: skip
            axis.set_title(f"{title}\ndiagonal {np.diag(similarity).mean():+.2f}", fontsize=8)
        for axis in axes.flat[len(found) :]:
            axis.axis("off")
        axes[-1, 0].set(xlabel="branch 2, picture", ylabel="branch 1, picture")
        shown = axes[0, 0].collections[0]
        bar = figure.colorbar(shown, ax=axes, location="bottom", shrink=0.6, aspect=30, label="cosine similarity")
        bar.solids.set_antialiased(False)  # no seams between its steps
        bar.set_ticks([-1, -0.1, 0, 0.1, 1], labels=["−1", "−0.1", "0", "0.1", "1"])
        bar.minorticks_off()
        return figure

    told = "; ".join(
        f"{title}: diagonal {np.diag(each).mean():+.2f}, elsewhere {each[~np.eye(len(each), dtype=bool)].mean():+.2f}, "
        f"from {each.min():+.2f} to {each.max():+.2f}"
        for title, each in found.items()
    )
    return draw, f"Cosine similarity of the branches' features, picture by picture, in {len(found)} panels. {told}."


def cosine_matrix(f1: np.ndarray, f2: np.ndarray) -> np.ndarray:
    """Cosine similarity ``(n, n)`` of every row of `f1` with every row of `f2`, each ``(n, D)``."""
    unit = lambda f: f / np.maximum(np.linalg.norm(f, axis=1, keepdims=True), 1e-12)
    return unit(f1) @ unit(f2).T


@line_figure
def tsne(
    features: Mapping[str, np.ndarray],
    lesion: Mapping[str, np.ndarray],
    seed: int = 0,
    what: str = "bottleneck positions",
) -> tuple[Callable[[float], Canvas], str]:
    """t-SNE of features, all panels embedded together; colour: how much of a position is lesion.

    Parameters
    ----------
    features : mapping
        panel -> ``(n, D)``.
    lesion : mapping
        panel -> share of lesion at each position ``(n,)`` in [0, 1].
    what : str
        Whose features they are.
    """
    from sklearn.neighbors import NearestNeighbors

    places = embedded(features, seed)

    def draw(width: float) -> Canvas:
        side_by_side = columns(width, len(places))
        rows = -(-len(places) // side_by_side)
        size = (width, 0.95 * width / side_by_side * rows + 0.6)
        figure, axes = sheet(*size, rows, side_by_side, squeeze=False, sharex=True, sharey=True)
        for axis, (name, at) in zip(axes.flat, places.items(), strict=False):
            dots = axis.scatter(*at.T, c=lesion[name], s=6, cmap=_SHARE, vmin=0, vmax=1, linewidths=0, rasterized=True)
            axis.set(title=name, xticks=[], yticks=[])
        for axis in axes.flat[len(places) :]:
            axis.axis("off")
        bar = figure.colorbar(dots, ax=axes, location="bottom", label="share of lesion", shrink=0.6, aspect=30)
        bar.solids.set_rasterized(True)
        return figure

    told = []
    for name, at in places.items():
        inside = lesion[name] > 0.5
        near = NearestNeighbors(n_neighbors=min(10, len(at) - 1)).fit(at).kneighbors(return_distance=False)
        alike = (inside[near] == inside[:, None]).mean()
        told.append(f"{name}: {len(at)} positions, {inside.mean():.0%} under lesion, {alike:.0%} of neighbours alike")
    return draw, f"t-SNE of {what}, coloured by their share of lesion. {'; '.join(told)}."


def embedded(features: Mapping[str, np.ndarray], seed: int = 0) -> dict[str, np.ndarray]:
    """t-SNE of several sets of features ``(n, D)``, all embedded together: set -> places ``(n, 2)``."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    stacked = np.concatenate(list(features.values()))
    stacked = PCA(min(30, *stacked.shape), random_state=seed).fit_transform(stacked)
    places = TSNE(perplexity=min(30, (len(stacked) - 1) / 3), init="pca", random_state=seed).fit_transform(stacked)
    ends = np.cumsum([len(part) for part in features.values()])[:-1]
    return dict(zip(features, np.split(places, ends), strict=True))


@line_figure
def intervals(
    rows: Sequence[tuple[str, float, float, float]], xlabel: str, zero: bool = True
) -> tuple[Callable[[float], Canvas], str]:
    """Points with 95 % intervals, a line each: (name, value, low, high)."""

    def draw(width: float) -> Canvas:
        figure, axis = sheet(min(width, 6), 0.3 * len(rows) + 0.8)
        if zero:
            axis.axvline(0, color=INK, lw=0.8, ls="--", alpha=0.6)
        for y, (_, value, low, high) in enumerate(rows):
            axis.plot([low, high], [y, y], color=PALETTE[0], lw=2)
            axis.plot(value, y, "o", color=PALETTE[1], ms=5)
        axis.set(yticks=range(len(rows)), yticklabels=[row[0] for row in rows], xlabel=xlabel)
        axis.set_ylim(len(rows) - 0.5, -0.5)
        return figure

    told = "; ".join(f"{name}: {value:+.1f} ({low:+.1f} to {high:+.1f})" for name, value, low, high in rows)
    return draw, f"Values with their intervals, {xlabel}. {told}."
