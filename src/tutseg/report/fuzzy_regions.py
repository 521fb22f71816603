"""DALE's fuzzy mask beside the fuzziness that a drawing knows: do entropy and edges find where labels are unsure?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure as Canvas
from torch import Tensor

from tutseg.data.sample import Source
from tutseg.methods.noisy_labels.regions import Criterion, Entropy, fuzziness
from tutseg.report.explorers import FuzzyExplorer
from tutseg.report.figure import DASHES, PALETTE, legend_below, line_figure, sheet
from tutseg.report.table import Table

TRULY = 0.5  # a pixel counts as truly fuzzy where its label is more uncertain than this
RULES: dict[str, tuple[Criterion, Entropy]] = {
    "AE": ("entropy", "shannon"),
    "AE as printed": ("entropy", "literal"),
    "ER": ("edge", "shannon"),
    "AE and ER": ("both", "shannon"),
    "AE as printed, and ER": ("both", "literal"),
}


@dataclass(frozen=True)
class Drawn:
    """Drawn pictures, and how uncertain the label of each of their pixels is.

    Parameters
    ----------
    images, masks : Tensor
        ``(n, 3, S, S)`` in [0, 1] and ``(n, 1, S, S)`` in {0, 1}.
    truth : numpy.ndarray
        ``(n, S, S)`` in [0, 1]; see `tutseg.data.synth.fuzziness`.
    ids : tuple of str
        Names of the pictures.
    patch, bins : int
        How DALE cuts them; see `average_entropy`.
    """

    images: Tensor
    masks: Tensor
    truth: np.ndarray
    ids: tuple[str, ...]
    patch: int = 8
    bins: int = 32

    def m(self, criterion: Criterion, entropy: Entropy = "shannon") -> np.ndarray:
        """DALE Eqs. 3 to 5: `m` of every pixel, ``(n, S, S)`` in [0, 1]."""
        return fuzziness(self.images, self.masks, self.patch, criterion, entropy, self.bins)[:, 0].numpy()

    @property
    def fuzzy(self) -> np.ndarray:
        """Where a label is truly fuzzy, bool ``(n, S, S)``."""
        return self.truth > TRULY


def drawn(source: Source, n: int, patch: int = 8, bins: int = 32) -> Drawn:
    """The first `n` pictures of a drawn source, at the source's own size."""
    samples = [source[i] for i in range(n)]
    images = torch.from_numpy(np.stack([sample.image.transpose(2, 0, 1) for sample in samples])).float() / 255
    masks = torch.from_numpy(np.stack([sample.mask for sample in samples]))[:, None].float()
    truth = np.stack([sample.extra["fuzziness"] for sample in samples])
    return Drawn(images, masks, truth, tuple(sample.id for sample in samples), patch, bins)


def score_fuzziness(m: np.ndarray, fuzzy: np.ndarray, tau: float = 0.9) -> dict[str, float]:
    """How well `m` tells truly fuzzy pixels from others.

    Parameters
    ----------
    m : numpy.ndarray
        In [0, 1], any shape.
    fuzzy : numpy.ndarray
        bool, of the same shape, with both kinds of pixels.
    tau : float
        Threshold of Eq. 6.

    Returns
    -------
    dict
        "auc" (1: all fuzzy pixels have the larger `m`, .5: chance), "dice" of ``m > tau`` with the fuzzy pixels,
        "best" Dice over all thresholds in twentieths, and the threshold "at" which it is.
    """
    from sklearn.metrics import roc_auc_score  # loads for a second

    taus = np.arange(0, 1, 0.05)
    dice = dice_over(m, fuzzy, taus)
    best = int(dice.argmax())
    return {
        "auc": float(roc_auc_score(fuzzy.ravel(), m.ravel())),
        "dice": float(dice_over(m, fuzzy, [tau])[0]),
        "best": float(dice[best]),
        "at": float(taus[best]),
    }


def dice_over(m: np.ndarray, fuzzy: np.ndarray, taus: Sequence[float]) -> np.ndarray:
    """Dice ``(len(taus),)`` of ``m > tau`` with the fuzzy pixels, all pixels of all pictures together."""
    called = [m > tau for tau in taus]
    return np.array([2 * (each & fuzzy).sum() / max(1, each.sum() + fuzzy.sum()) for each in called])


def fuzzy_scores(pictures: Drawn) -> dict[str, dict[str, float]]:
    """`score_fuzziness` by each of `RULES`; "beside" is the area among pixels of patches with an outline alone."""
    edges = pictures.m("edge") > 0
    found = {}
    for name, rule in RULES.items():
        m = pictures.m(*rule)
        beside = score_fuzziness(m[edges], pictures.fuzzy[edges])["auc"]
        found[name] = score_fuzziness(m, pictures.fuzzy) | {"beside": beside}
    return found


def fuzzy_table(pictures: Drawn) -> Table:
    """`fuzzy_scores` as a table."""
    rows = [
        (name, f"{each['auc']:.2f}", f"{each['beside']:.2f}", f"{100 * each['dice']:.0f}",
         f"{100 * each['best']:.0f} (τ = {each['at']:.2f})")
        for name, each in fuzzy_scores(pictures).items()
    ]  # fmt: skip
    return Table(
        ("fuzzy by", "AUC", "AUC, patches with an outline", "Dice % at τ = 0.90", "best Dice % (its τ)"),
        tuple(rows),
        f"m against the true fuzziness of {len(pictures.ids)} drawn pictures, patches of {pictures.patch} pixels",
        "AUC: 1 if every truly fuzzy pixel has a larger m than any other, .5 by chance. The second asks only where in "
        "the neighbourhood of an outline labels are fuzzy, not where the outline is.",
    )


@line_figure
def dice_over_tau(pictures: Drawn) -> tuple[Callable[[float], Canvas], str]:
    """Dice of ``m > tau`` with the truly fuzzy pixels over the threshold, a line a rule."""
    taus = np.arange(0, 1, 0.02)
    lines = {name: 100 * dice_over(pictures.m(*rule), pictures.fuzzy, taus) for name, rule in RULES.items()}

    def draw(width: float) -> Canvas:
        figure, axis = sheet(min(width, 5.5), 2.6)
        for i, (name, dice) in enumerate(lines.items()):
            axis.plot(taus, dice, color=PALETTE[i], ls=DASHES[i], label=name)
        axis.axvline(0.9, color=PALETTE[5], lw=0.8)
        axis.set(xlabel="threshold τ (the paper's is marked)", ylabel="Dice %", ylim=(0, None))
        legend_below(figure, axis, width)
        return figure

    told = "; ".join(f"{name} best {dice.max():.0f} at {taus[dice.argmax()]:.2f}" for name, dice in lines.items())
    return draw, f"Dice % of patches called fuzzy with truly fuzzy pixels, over the threshold. {told}."


def fuzzy_explorer(pictures: Drawn, n: int = 6) -> FuzzyExplorer:
    """The first pictures with a threshold to move."""
    images = (255 * pictures.images[:n].permute(0, 2, 3, 1)).round().to(torch.uint8).numpy()
    criteria = {"entropy (AE)": pictures.m("entropy")[:n], "edges (ER)": pictures.m("edge")[:n]}
    return FuzzyExplorer(criteria, pictures.truth[:n], images, pictures.ids[:n])
