"""What a design can see: the smallest differences that so many seeds and test pictures can tell from none."""

from collections.abc import Sequence
from statistics import median

from tutseg.papers.claims import MIN_SEEDS, Pair
from tutseg.papers.intervals import smallest_difference
from tutseg.papers.verdicts import Decided
from tutseg.report.markdown import plain, table
from tutseg.training.tasks import task_of

SEEDS = (3, MIN_SEEDS, 10, 20)


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
    below, claims = [], 0
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
    text = (
        f"With {MIN_SEEDS} seeds and {images} test pictures the quietest of {len(found)} comparisons measured here "
        f"could see {min(can):.1f} points of Dice, the median one {median(can):.1f}. "
    )
    if below:
        printed, needed = zip(*below, strict=True)
        text += (
            f"Of {claims} claims to be better in Dice, {len(below)} rest on a printed difference of {min(printed):.2f} "
            f"to {max(printed):.2f} points, less than could be seen in the very same comparison ({min(needed):.1f} to "
            f"{max(needed):.1f} points): at such a spread between seeds nobody can confirm them, and the papers with "
            "their five folds could not either."
        )
    return text
