"""The search over the three weights of S3-Net's Eq. 7: ``experiments/s3-net/lambda.yaml``."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from tutseg.report.explorers import GridExplorer
from tutseg.report.groups import provenance, told, told_interval
from tutseg.report.table import Table
from tutseg.training.evidence import Finished, read_spec_evidence
from tutseg.training.one_image import VIEWS

PRINTED_WEIGHTS = (1.2, 0.3, 0.3)


def _weights(item: Finished) -> tuple[float, ...]:
    return tuple(map(float, item.trial.options["weights"]))


def search(items: Sequence[Finished], rule: str) -> dict[str, tuple[tuple[float, ...], np.ndarray]]:
    """Weights and Dice of each picture: as printed, the best and worst of the grid, and the best of unseen pictures.

    The last is the best on one half of the pictures scored on the other half, both ways; it has no weights.

    Parameters
    ----------
    items : sequence of Finished
        A trial a combination of weights.
    rule : str
        How the cluster is chosen.
    """
    at = [_weights(item) for item in items]
    values = np.array([list(item.views[rule].per_image("dice").values()) for item in items])
    even = np.arange(values.shape[1]) % 2 == 0
    unseen = np.concatenate([values[values[:, own].mean(1).argmax(), ~own] for own in (even, ~even)])
    best, worst = (int(find(values.mean(1))) for find in (np.argmax, np.argmin))
    return {
        "printed": (PRINTED_WEIGHTS, values[at.index(PRINTED_WEIGHTS)]),
        "best": (at[best], values[best]),
        "best on one half, scored on the other": ((), unseen),
        "worst": (at[worst], values[worst]),
    }


def lambda_table(folder: Path) -> Table:
    """What a search over λ finds by each rule, and how much of it is left on pictures that the search did not see.

    Parameters
    ----------
    folder : Path
        ``results/s3-net/lambda``.
    """
    items = read_spec_evidence(folder)
    lines = []
    for rule in (view for view, (_, margin) in VIEWS.items() if not margin):
        for name, (weights, dice) in search(items, rule).items():
            shown = ", ".join(f"{weight:g}" for weight in weights) or "–"
            spread = f"{told(dice.mean())} ± {told(dice.std(ddof=1))}"
            lines.append((rule, name, shown, spread, told_interval(dice[None]), str(len(dice))))
    return Table(
        ("cluster chosen by", "weights", "λ1, λ2, λ3", "Dice % ± sd over pictures", "95 % interval", "pictures"),
        tuple(lines),
        f"{len(items)} combinations of weights on {items[0].trial.data}",
        origin=provenance(items),
        keys=2,
    )


def lambda_explorer(folder: Path) -> GridExplorer:
    """The cluster maps of every combination of weights on the first drawn pictures."""
    items = {_weights(item): item for item in read_spec_evidence(folder)}
    with np.load(folder / "maps.npz") as file:
        maps = {weights: file[item.id] for weights, item in items.items()}
    pictures = list(next(iter(items.values())).default.per_image("dice"))[: len(next(iter(maps.values())))]
    steps = [sorted({weights[k] for weights in items}) for k in range(3)]
    axes = {f"λ{k + 1}": [f"{value:g}" for value in values] for k, values in enumerate(steps)}
    frames, numbers = [], {"clusters": [], "Dice, oracle": [], "Dice, darkest": []}
    for i, picture in enumerate(pictures):
        for weights in product(*steps):
            frames.append(maps[weights][i])
            views = items[weights].views
            numbers["clusters"].append(int(views["oracle"].per_image("clusters")[picture]))
            for rule in ("oracle", "darkest"):
                numbers[f"Dice, {rule}"].append(views[rule].per_image("dice")[picture])
    return GridExplorer(
        {"picture": pictures, **axes}, frames, numbers, "The clusters for every combination of weights."
    )
