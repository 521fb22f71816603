"""What a leak is worth: the same test pictures, with their kin in training or without."""

from pathlib import Path

import numpy as np

from tutseg.papers.intervals import direction, paired_interval
from tutseg.report.groups import of_spec, provenance, told, told_interval
from tutseg.report.table import Table
from tutseg.training.evidence import Finished

LEAKED = {"with-kin": "others of its group", "with-itself": "the picture itself"}


def leak_table(folder: Path) -> Table:
    """Dice without and with each leak, and the gain with its interval.

    Parameters
    ----------
    folder : Path
        Evidence, ``results/data/leaks``: trials of the protocols ``without-kin``, ``with-kin`` and ``with-itself``.
    """
    items, missing = of_spec(folder)
    of = {(item.trial.data, item.trial.protocol, item.trial.seed): item for item in items}
    rows = []
    for data in dict.fromkeys(item.trial.data for item in items):
        for protocol, what in LEAKED.items():
            seeds = sorted(seed for name, arm, seed in of if (name, arm) == (data, protocol))
            pairs = [(of[data, "without-kin", seed], of[data, protocol, seed]) for seed in seeds
                     if (data, "without-kin", seed) in of]  # fmt: skip
            if not pairs:
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


def gains(pairs: list[tuple[Finished, Finished]]) -> np.ndarray:
    """Second minus first of each pair, by picture: ``(pairs, pictures)``, NaN where a pair tested others."""
    dice = [[item.default.per_image("dice") for item in pair] for pair in pairs]
    images = sorted({image for pair in dice for image in pair[0]})
    absent = float("nan")
    return np.array([[b.get(image, absent) - a.get(image, absent) for image in images] for a, b in dice])
