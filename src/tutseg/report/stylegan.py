"""What a generator does, and how good it is, in figures and tables."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure as Canvas
from torch import Tensor

from tutseg.methods.generative.equivariance import equivariance, warmed
from tutseg.nets import build
from tutseg.nets.lite0_features import NAME as FEATURES
from tutseg.quality import frechet, kernel_distance, told_apart
from tutseg.report.figure import DASHES, INK, MARKERS, PALETTE, legend_below, line_figure, sheet
from tutseg.report.groups import of_spec, provenance, told
from tutseg.report.statistical import embedded
from tutseg.report.table import Table
from tutseg.training.evidence import Finished, View

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
    items = [item for item in items if "kid" in item.default.means]  # generators, and enough was held out of them
    items.sort(key=lambda item: (_pictures(item), item.trial.steps * item.trial.batch))
    rows = []
    for k, item in enumerate(items):
        kimg, what = item.trial.steps * item.trial.batch / 1000, _pictures(item)
        rows.append((what, "drawn", f"{kimg:.3g}", *_quality(item.views["net"]), str(item.n["test"])))
        if k + 1 == len(items) or _pictures(items[k + 1]) != what:
            few = str(min(item.n["test"], item.n["training"]))
            rows += [(what, floor, "–", *_quality(item.views[view]), few) for view, floor in FLOORS.items()]
    heads = ("data", "pictures", "kimg", "KID × 1000", "Fréchet", *(f"{share} %" for share in SHARES), "n")
    note = (
        f"KID and Fréchet distance from held-out pictures, on features of {FEATURES}: they are not FID, and the second "
        "is mostly bias with so few. Real pictures are the floor. Copies are nearer to a picture that the generator "
        "was shown, repeats nearer to each other, than one in twenty real ones is. "
    )
    return Table(heads, tuple(rows), "What a generator draws", note + missing, provenance(items), keys=2)


def _pictures(item: Finished) -> str:
    """What a generator learned from: the data, and the class if it is of one."""
    return ", ".join(filter(None, (item.trial.data, item.trial.only)))


def _quality(view: View) -> tuple[str, ...]:
    kid, frechet = (view.means[name]["pooled"] for name in ("kid", "frechet"))
    return (f"{1000 * kid:.0f}", f"{frechet:.0f}", *(told(view.means[share]["per_image"]) for share in SHARES))


def kid_of(folder: Path) -> dict[float, dict[str, float]]:
    """KID of what generators drew after so many thousand pictures: kimg -> view -> KID; empty where there is none.

    Parameters
    ----------
    folder : Path
        Evidence of trials of the task "generate" on one data set.
    """
    if not (folder / "trials.csv").exists():
        return {}
    items, _ = of_spec(folder)
    found = {
        item.trial.steps * item.trial.batch / 1000: {
            name: view.means["kid"]["pooled"] for name, view in item.views.items()
        }
        for item in items
    }
    return dict(sorted(found.items()))


@line_figure
def kimg_figure(found: Mapping[float, Mapping[str, float]]) -> tuple[Callable[[float], Canvas], str]:
    """KID over the length of training, with the floor and with real pictures that were blurred: `kid_of`."""
    lines = {
        words: [1000 * kid[view] for kid in found.values()]
        for view, words in {"net": "drawn by the generator", "blurred": "real, blurred", "training": "real"}.items()
    }

    def draw(width: float) -> Canvas:
        figure, axes = sheet(min(width, 5), 2.8)
        for k, (words, kids) in enumerate(lines.items()):
            axes.plot(list(found), kids, marker=MARKERS[k], linestyle=DASHES[k], color=PALETTE[k], label=words)
        axes.set(xscale="log", xlabel="thousand pictures shown to the discriminator", ylabel="KID × 1000")
        axes.set_xticks(list(found), [f"{kimg:.3g}" for kimg in found])
        axes.minorticks_off()
        legend_below(figure, axes, width)
        return figure

    told = "; ".join(
        f"{words}: " + ", ".join(f"{kid:.0f} at {kimg:.3g}" for kimg, kid in zip(found, kids, strict=True))
        for words, kids in lines.items()
    )
    return draw, f"KID × 1000 from held-out pictures over the length of training in thousand pictures. {told}."


def apart_table(features: Mapping[str, Tensor], among: str) -> Table:
    """How far sets of pictures lie from one of them.

    Parameters
    ----------
    features : mapping
        Set -> features ``(N, D)``.
    among : str
        The set that all others are compared with.
    """
    rows = [
        (
            name,
            f"{100 * told_apart(own, features[among]):.0f}",
            f"{1000 * kernel_distance(own, features[among]):.0f}",
            f"{frechet(own, features[among]):.0f}",
            str(len(own)),
        )
        for name, own in features.items()
        if name != among
    ]
    heads = ("pictures", "neighbour of the same set, %", "KID × 1000", "Fréchet", "n")
    note = (
        "As many pictures of either set: how often the one that is nearest to a picture is of its own set. At one half "
        f"they cannot be told apart. Features of {FEATURES}."
    )
    return Table(heads, tuple(rows), f"How far from {among}", note)


@line_figure
def feature_map(features: Mapping[str, Tensor], seed: int = 0) -> tuple[Callable[[float], Canvas], str]:
    """t-SNE of sets of pictures, embedded together; a marker and a colour a set.

    Parameters
    ----------
    features : mapping
        Set -> features ``(N, D)``.
    seed : int
        Of the embedding.
    """
    parts = embedded({name: own.numpy() for name, own in features.items()}, seed)

    def draw(width: float) -> Canvas:
        figure, axes = sheet(min(width, 5.5), min(width, 5.5) * 0.75)
        for k, (name, at) in enumerate(parts.items()):
            style = {"marker": MARKERS[k], "color": PALETTE[k], "s": 14, "alpha": 0.7, "linewidths": 0}
            axes.scatter(*at.T, label=name, **style)
        axes.set(xticks=[], yticks=[])
        legend_below(figure, axes, width)
        return figure

    told = ", ".join(f"{len(at)} of {name}" for name, at in parts.items())
    return draw, f"t-SNE of the features of pictures: {told}. How far the sets are apart says the table beside it."
