"""One prediction, two scores called mIoU: the lesion's own over all pixels, and the mean over lesion and background.

SSGNet's Table 2 has both kinds of rows (`tutseg audit ssgnet`, rule mixed-definitions).
"""

import numpy as np

from tutseg.metrics import area_scores, counts, counts_from_dice, counts_from_rates
from tutseg.papers.tables import find_cells
from tutseg.report.explorers import COLOURS, StepExplorer, judged
from tutseg.report.table import Table

DATA = ("isic2017", "isic2018", "cbis-ddsm", "kvasir-seg")
# Rows of Table 2 that are two-class means, and the row of the lesion's own score that each is set against.
AGAINST = {"Atvmf (reproduced)": "VM-UNet (reproduced)", "SSGNet+ Atvmf (Ours)": "SSGNet+ VM-UNet (Ours)"}
SIDE = 128  # of the explorer's pictures, in pixels


def both_scores(dice: float, prevalence: float, predicted: float | None = None) -> dict[str, float]:
    """The two mIoU of one prediction, and the two Dice, from the lesion's Dice and its share of the pixels.

    Parameters
    ----------
    dice, prevalence, predicted
        See `tutseg.metrics.counts_from_dice`.
    """
    scores = area_scores(counts_from_dice(dice, prevalence, predicted))
    names = {"dice": "lesion's Dice", "jaccard": "lesion's IoU", "mdice": "mean Dice of two classes",
             "miou": "mean IoU of two classes"}  # fmt: skip
    return {words: float(scores[name]) for name, words in names.items()}


def printed(row: str, data: str) -> dict[str, float]:
    """A row of Table 2 as fractions: miou, dice, accuracy, specificity, sensitivity."""
    metrics = ("miou", "dice", "accuracy", "specificity", "sensitivity")
    return {name: float(find_cells("ssgnet", 2, row, name, {"data": data})[0].value) / 100 for name in metrics}


def leads() -> list[dict[str, float | str]]:
    """For each two-class row of Table 2 its lead in mIoU over the row it is set against, in points.

    Returns
    -------
    list of dict
        ``data``, ``row``, ``other``; ``printed`` and ``other_printed``, mIoU as printed; ``prevalence``, ``two_class``
        and ``lesion``, recomputed from the row's sensitivity, specificity and accuracy; ``lead`` of the printed
        numbers, and ``like`` of the lesion's, all but the names as fractions.
    """
    found = []
    for data in DATA:
        for row, other in AGAINST.items():
            own, beside = printed(row, data), printed(other, data)
            count = counts_from_rates(own["sensitivity"], own["specificity"], own["accuracy"])
            scores = area_scores(count)
            found.append(
                {"data": data, "row": row, "other": other, "printed": own["miou"], "other_printed": beside["miou"],
                 "prevalence": float(count[[0, 2]].sum() / count.sum()), "two_class": float(scores["miou"]),
                 "lesion": float(scores["jaccard"]), "lead": own["miou"] - beside["miou"],
                 "like": float(scores["jaccard"]) - beside["miou"]}
            )  # fmt: skip
    return found


def definitions_table() -> Table:
    """The t-vMF rows of Table 2 under both definitions, and their lead over VM-UNet under each."""
    rows = tuple(
        (each["data"], each["row"], f"{100 * each['printed']:.2f}", f"{100 * each['prevalence']:.1f}",
         f"{100 * each['two_class']:.2f}", f"{100 * each['lesion']:.1f}", f"{100 * each['other_printed']:.2f}",
         f"{100 * each['lead']:+.2f}", f"{100 * each['like']:+.1f}")
        for each in leads()
    )  # fmt: skip
    heads = ("data", "row of Table 2", "mIoU % printed", "lesion % of the pixels", "mean of two classes %",
             "lesion's IoU %", "VM-UNet's row, printed %", "printed lead, points", "lead, like with like")  # fmt: skip
    note = (
        "From the row's own sensitivity, specificity and accuracy: they fix the lesion's share of the pixels, and with "
        "it every other score. VM-UNet's rows are the lesion's own."
    )
    return Table(heads, rows, "Two definitions of mIoU in Table 2", note, keys=2)


def told_leads() -> str:
    """The printed leads and those of like with like, as a sentence with their ends."""
    ends = lambda name: [100 * end for each in (min, max) for end in [each(lead[name] for lead in leads())]]
    (low, high), (below, above) = ends("lead"), ends("like")
    return (
        f"As printed, the t-vMF rows lead by {low:.1f} to {high:.1f} points of mIoU; on the lesion's own score the "
        f"same rows are at {below:+.1f} to {above:+.1f} points."
    )


def discs(dice: float, prevalence: float, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """A disc of a share of the picture, and the same disc moved until the Dice of both is nearest to `dice`.

    Returns
    -------
    tuple of numpy.ndarray
        Prediction and truth, boolean ``(side, side)``.
    """
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    radius = side * np.sqrt(prevalence / np.pi)
    disc = lambda shift: (x - shift) ** 2 + y**2 <= radius**2
    shifts = np.linspace(0, side, 4 * side + 1)
    far = [abs(float(area_scores(counts([disc(s / 2)], [disc(-s / 2)])[0])["dice"]) - dice) for s in shifts]
    shift = shifts[int(np.argmin(far))]
    return disc(shift / 2), disc(-shift / 2)


def prevalence_explorer(dice: float = 0.88) -> StepExplorer:
    """One quality of outline, and what both definitions make of it as the lesion grows: a slider over prevalence.

    Parameters
    ----------
    dice : float
        The lesion's Dice, the same at every prevalence; that of the picture as nearly as its pixels allow.
    """
    shares = [2, 4, 6, 8, 10, 12, 15, 18, 22, 26, 30, 35, 40]
    frames, numbers = [], {}
    for share in shares:
        frames.append(judged(*discs(dice, share / 100)))
        scores = both_scores(dice, share / 100)
        scores["two classes minus lesion, points"] = 100 * (scores["mean IoU of two classes"] - scores["lesion's IoU"])
        for words, value in scores.items():
            numbers.setdefault(words, []).append(value)
    return StepExplorer(
        frames, numbers, shares, "The two scores called mIoU of one prediction, as the lesion grows.",
        key=COLOURS, shown="prediction against truth", counted="lesion, % of the pixels",
    )  # fmt: skip
