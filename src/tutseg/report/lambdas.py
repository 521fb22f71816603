"""The search over the three weights of S3-Net's Eq. 7, from the files of ``benchmarks/lambdas.py``."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from tutseg.files import csv_rows
from tutseg.report.interactive import GridExplorer
from tutseg.report.one_image import interval
from tutseg.report.table import Table
from tutseg.report.tables import percent
from tutseg.training.one_image import SCORED

PRINTED_WEIGHTS = "1.2-0.3-0.3"


def _lambda_rows(path: Path) -> pd.DataFrame:
    return pd.DataFrame(csv_rows(path)).astype({"dice": float, "leak": int, "clusters": int})


def _weights(rows: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Dice, a row a combination of weights, a column a picture, under one rule and without leak."""
    part = rows[(rows["rule"] == rule) & (rows["leak"] == 0)]
    table = part.pivot(index="variant", columns="id", values="dice")
    return table.set_axis(table.index.str.removeprefix("lambda/"))


def lambda_table(path: Path) -> Table:
    """What a search over λ finds, and how much of it is left on pictures that the search did not see.

    Parameters
    ----------
    path : Path
        ``scores-<data>.csv``.

    Returns
    -------
    Table
        For each rule: the printed weights, the best and the worst of the grid, and the best on one half of the
        pictures scored on the other half, both ways.
    """
    rows = _lambda_rows(path)
    lines = []
    for rule in ("oracle", *(rule for rule, _ in SCORED[3:])):
        dice = _weights(rows, rule)
        values, at = dice.to_numpy(), list(dice.index)
        even = np.arange(values.shape[1]) % 2 == 0
        halves = [values[values[:, own].mean(1).argmax(), ~own] for own in (even, ~even)]
        unseen = np.concatenate(halves)
        mean = values.mean(1)
        for name, found, weights in (
            ("printed", values[at.index(PRINTED_WEIGHTS)], PRINTED_WEIGHTS),
            ("best", values[mean.argmax()], at[mean.argmax()]),
            ("best on one half, scored on the other", unseen, "–"),
            ("worst", values[mean.argmin()], at[mean.argmin()]),
        ):
            spread = f"{percent(found.mean())} ± {percent(found.std(ddof=1))}"
            lines.append((rule, name, weights.replace("-", ", "), spread, interval(found[None]), str(len(found))))
    first = rows.iloc[0]
    kept = ("data_fingerprint", "size", "device", "threads", "torch", "commit", "code", "seed")
    note = "; ".join(f"{key}: {first[key]}" for key in kept)
    return Table(
        ("cluster chosen by", "weights", "λ1, λ2, λ3", "Dice % ± sd over pictures", "95 % interval", "pictures"),
        tuple(lines),
        f"{len(at)} combinations of weights on {first['data']}",
        f"From {path.parent.name}/{path.name}; {note}.",
    )


def lambda_explorer(folder: Path) -> GridExplorer:
    """The cluster maps of every combination of weights on the first drawn pictures."""
    rows = _lambda_rows(folder / "scores-synth.csv")
    dice = {rule: _weights(rows, rule) for rule in ("oracle", "darkest")}
    clusters = rows.drop_duplicates(["variant", "id"]).set_index(["variant", "id"])["clusters"]
    names = list(dict.fromkeys(rows["variant"].str.removeprefix("lambda/")))
    maps = {}
    for name in names:
        with np.load(folder / "maps" / f"{name}.npz") as file:
            maps[name] = file["arr_0"]
    pictures = list(dict.fromkeys(rows["id"]))[: len(maps[names[0]])]
    axes = {f"λ{k + 1}": sorted({name.split("-")[k] for name in names}, key=float) for k in range(3)}
    frames, numbers = [], {"clusters": [], "Dice, oracle": [], "Dice, darkest": []}
    for i, picture in enumerate(pictures):
        for name in ("-".join(values) for values in product(*axes.values())):
            frames.append(maps[name][i])
            numbers["clusters"].append(clusters[f"lambda/{name}", picture])
            for rule, table in dice.items():
                numbers[f"Dice, {rule}"].append(table.loc[name, picture])
    return GridExplorer(
        {"picture": pictures, **axes}, frames, numbers, "The clusters for every combination of weights."
    )
