"""What a design can see: the smallest differences that so many seeds and test pictures can tell from none."""

from collections.abc import Sequence
from statistics import median

from tutseg.papers.claims import MIN_IMAGES, MIN_SEEDS, Claim, Pair, cell_of
from tutseg.papers.intervals import Spread, smallest_difference
from tutseg.papers.verdicts import Decided
from tutseg.report.markdown import plain, table
from tutseg.training.tasks import task_of

SEEDS = (3, MIN_SEEDS, 10, 20)
FOLDS = 5  # of the papers that print ±


def comparisons(decided: Sequence[Decided]) -> dict[tuple[str, str], Pair]:
    """Every comparison in Dice of trained networks whose spreads have been measured, by set-up and name."""
    return {
        (each.setup, pair.name): pair
        for item in decided
        for each in item.setups
        if item.claim.score == "dice" and all(task_of(trial.trial.method).trains for trial in each.trials)
        for pair in each.verdict.pairs
        if pair.spread
    }


def seen(pair: Pair, seeds: int) -> float:
    """The smallest difference that so many seeds and the comparison's own test pictures can see, in points."""
    return 100 * smallest_difference(pair.spread, seeds, pair.n_images)


def seen_by_folds(claim: Claim) -> float:
    """The smallest difference, in points, that five folds could see between a claim's two closest rows; NaN without ±.

    Their spreads are what the paper prints behind ±, taken as those of two independent rows.
    """
    cells = [[cell_of(claim, side) for side in pair] for pair in claim.pairs]
    better, worse = min(cells, key=lambda pair: pair[0].value - pair[1].value)
    if better.spread is None or worse.spread is None:
        return float("nan")
    variance = float(better.spread**2 + worse.spread**2) * (claim.scale / (100 if better.unit == "percent" else 1)) ** 2
    return smallest_difference(Spread(variance, 0.0, 0.0), FOLDS, MIN_IMAGES)


def power_part(decided: Sequence[Decided]) -> str:
    """What so many seeds can see in each comparison that was measured, and which printed differences lie below it."""
    found = comparisons(decided)
    if not found:
        return "No spread between seeds has been measured yet.\n"
    images = " or ".join(map(str, sorted({pair.n_images for pair in found.values()})))
    rows = []
    for (setup, name), pair in found.items():
        spread = 100 * pair.spread.seed**0.5
        rows.append(
            (plain(setup), plain(name), f"{100 * pair.paper:+.2f}", f"{spread:.1f}",
             *(f"{seen(pair, k):.1f}" for k in SEEDS))
        )  # fmt: skip
    heads = ("set-up", "comparison", "the paper prints", "sd over seeds", *(f"{k} seeds see" for k in SEEDS))
    body = table(heads, rows, range(2, len(heads)))
    told = f"{_sentence(decided, found, images)}\n\n:::{{dropdown}} What {len(found)} comparisons in Dice can see\n\n"
    return f"{told}Points of Dice; n = {images} test pictures.\n\n{body}\n:::\n"


def _sentence(decided: Sequence[Decided], found: dict[tuple[str, str], Pair], images: str) -> str:
    can = [seen(pair, MIN_SEEDS) for pair in found.values()]
    below, folds, claims = [], [], 0
    for item in decided:
        mine = [
            min(each.verdict.pairs, key=lambda pair: pair.paper)
            for each in item.setups
            if all((each.setup, pair.name) in found for pair in each.verdict.pairs)
        ]
        if item.claim.kind == "superior" and item.claim.score == "dice" and item.paper_effect > 0 and mine:
            claims += 1
            sharpest = min(seen(pair, MIN_SEEDS) for pair in mine)
            if 100 * item.paper_effect < sharpest:
                below.append((100 * item.paper_effect, sharpest))
                folds.append(seen_by_folds(item.claim))
    text = (
        f"With {MIN_SEEDS} seeds and {images} test pictures the quietest of {len(found)} comparisons measured here "
        f"could see {min(can):.1f} points of Dice, the median one {median(can):.1f}. "
    )
    if below:
        printed, needed = zip(*below, strict=True)
        text += (
            f"Of {claims} claims to be better in Dice, {len(below)} rest on a printed difference of {min(printed):.2f} "
            f"to {max(printed):.2f} points, less than could be seen in the very same comparison ({min(needed):.1f} to "
            f"{max(needed):.1f} points): at such a spread {MIN_SEEDS} seeds cannot confirm them."
        )
    reach = [(effect, fold) for (effect, _), fold in zip(below, folds, strict=True) if fold == fold]
    if reach:
        short = sum(effect < fold for effect, fold in reach)
        least, most = min(fold for _, fold in reach), max(fold for _, fold in reach)
        text += (
            f" Nor can the papers' own experiments: with the spread that they print behind ±, two rows independent, "
            f"{FOLDS} folds see {least:.1f} to {most:.1f} points, and {short} of {len(reach)} differences are less."
        )
    return text
