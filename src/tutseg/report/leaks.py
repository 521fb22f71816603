"""What a leak is worth: the same test pictures, with their kin in training or without."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tutseg.errors import InputError
from tutseg.papers.intervals import direction, paired_interval
from tutseg.report.groups import Difference, of_spec, provenance, told, told_interval
from tutseg.report.table import Table
from tutseg.training.evidence import Finished

LEAKED = {"with-kin": "others of its group", "with-itself": "the picture itself"}

Pairs = list[tuple[Finished, Finished]]


def leak_table(folder: Path) -> Table:
    """Dice without and with each leak, and the gain with its interval.

    Parameters
    ----------
    folder : Path
        Evidence, ``results/data/leaks``: trials of the protocols ``without-kin``, ``with-kin`` and ``with-itself``.
    """
    items, missing = of_spec(folder)
    rows = []
    for data in dict.fromkeys(item.trial.data for item in items):
        for protocol, what in LEAKED.items():
            if not (pairs := pairs_of(items, data, protocol)):
                continue
            without, leaked = (np.mean([each.default.means["dice"]["per_image"] for each in side])
                               for side in zip(*pairs, strict=True))  # fmt: skip
            gain = gains(pairs)
            n = "/".join(str(count) for count in np.isfinite(gain).sum(1))
            found = f"{told(leaked - without, sign='+')} [{told_interval(gain, sign='+')}]"
            trained = str(pairs[0][0].n["labelled"])
            rows.append((data, what, told(without), told(leaked), found, direction(*paired_interval(gain)), n, trained))
    return Table(
        ("data set", "in training for each test picture", "Dice % without", "Dice % with", "gain [95 % interval]",
         "with the leak it is", "test pictures, by seed", "training pictures"),
        tuple(rows),
        "The same test pictures and equally many training pictures, without and with a leak",
        missing,
        provenance(items),
        keys=2,
    )  # fmt: skip


def leak_gain(folder: Path, data: str, protocol: str) -> Difference:
    """One gain of `leak_table`, for a sentence.

    Raises
    ------
    InputError
        No seed has both trials.
    """
    if not (pairs := pairs_of(of_spec(folder)[0], data, protocol)):
        raise InputError(f"{folder} has no seed of {data} {protocol} and without-kin", "run its spec and collect it")
    gain = gains(pairs)
    return Difference(protocol, "without-kin", float(np.nanmean(gain, 1).mean()), *paired_interval(gain))


def pairs_of(items: Sequence[Finished], data: str, protocol: str) -> Pairs:
    """Trials of a data set without and with a leak, by seed."""
    of = {(item.trial.protocol, item.trial.seed): item for item in items if item.trial.data == data}
    both = sorted(seed for arm, seed in of if arm == protocol and ("without-kin", seed) in of)
    return [(of["without-kin", seed], of[protocol, seed]) for seed in both]


def gains(pairs: Pairs) -> np.ndarray:
    """Dice with minus without, by picture: ``(pairs, pictures)``, NaN where a pair tested others."""
    dice = [[item.default.per_image("dice") for item in pair] for pair in pairs]
    images = sorted({image for pair in dice for image in pair[0]})
    absent = float("nan")
    return np.array([[b.get(image, absent) - a.get(image, absent) for image in images] for a, b in dice])
