"""What S3-Net prints for PH2, and whether its level is reached; apart, for pages that run none of its code."""

from collections.abc import Sequence

from tutseg.papers.intervals import paired_interval
from tutseg.papers.tables import find_cells
from tutseg.report.groups import in_groups, named, told
from tutseg.training.evidence import Finished


def printed(number: int, row: str, metric: str = "dice", **setting: str) -> float:
    """A cell of the paper as a fraction; the setting is PH2's unless it says otherwise."""
    (cell,) = find_cells("s3-net", number, row, metric, {"data": "ph2"} | setting)
    return float(cell.value) / 100


def level(items: Sequence[Finished]) -> str:
    """Whether the published code reaches the three printed scores of PH2, with the evaluation that sees the truth.

    "Reached" takes every printed score inside our 95 % interval, seeds and pictures crossed. The level is judged by
    itself: the claims compare rows, each reading and evaluation against its own rivals.
    """
    ours, theirs, inside = [], [], []
    for score in ("dice", "hm", "xor"):
        group = named(in_groups(items, score=score, view="oracle+4"), "s3-net-code")
        low, high = paired_interval(group.values)
        target = printed(1, "Our Method", score)
        ours.append(told(group.mean))
        theirs.append(told(target))
        inside.append(low <= target <= high)
    seeds, images = group.values.shape
    without = told(named(in_groups(items, score="dice", view="oracle"), "s3-net-code").mean)
    reached = "is reached" if all(inside) else "is not reached"
    return (
        f"The printed level on PH2 {reached} by the published code with the evaluation that sees the truth: Dice, HM "
        f"and XOR are {', '.join(ours)} beside the printed {', '.join(theirs)}; without it Dice is {without} "
        f"({seeds} seeds, {images} pictures, 256 px)."
    )
