"""Tables straight from one committed CSV file."""

from pathlib import Path

import numpy as np

from tutseg.files import csv_rows
from tutseg.report.groups import told
from tutseg.report.table import Table


def ablation_table(path: Path) -> Table:
    """What each drawn feature is worth: Dice on real pictures with everything drawn, minus without the feature.

    Parameters
    ----------
    path : Path
        CSV of ``benchmarks/transfer.py --without``; the rows with an empty ``without`` are the reference.
    """
    rows = csv_rows(path)
    columns = [name for name in rows[0] if name.endswith(("_tune", "_report"))]
    whole = {row["seed"]: row for row in rows if not row["without"]}
    lines = []
    for without in dict.fromkeys(row["without"] for row in rows):
        members = [row for row in rows if row["without"] == without and row["seed"] in whole]
        cells = []
        for column in columns:
            scores = [float(row[column]) for row in members]
            if not without:
                cells.append(f"{told(np.mean(scores))}")
                continue
            worth = [100 * (float(whole[row["seed"]][column]) - float(row[column])) for row in members]
            each = f" ({', '.join(f'{w:+.1f}' for w in worth)})" if len(worth) > 1 else ""
            cells.append(f"{np.mean(worth):+.1f}{each}")
        lines.append((without.replace("+", " + ") or "nothing: Dice %", *cells, str(len(members))))
    heads = [
        f"{name.rsplit('_', 1)[0]}, {name.rsplit('_', 1)[1]} half (n = {rows[0][name + '_n']})" for name in columns
    ]
    origin = {k: rows[0][k] for k in ("steps", "size", "n", "device", "torch", "commit", "code")}
    note = "; ".join(f"{k}: {v}" for k, v in origin.items())
    return Table(
        ("left out", *heads, "seeds"),
        tuple(lines),
        "Dice points lost on real pictures when a drawn feature is left out (mean, and each seed)",
        origin=f"From results/{path.name}. {note}.",
    )


def leak_table(path: Path) -> Table:
    """What each leak is worth: the CSV of ``benchmarks/leaks.py``."""
    rows = csv_rows(path)
    lines = []
    for row in rows:
        without, with_kin, gain, low, high = (
            100 * float(row[key]) for key in ("without", "with", "difference", "low", "high")
        )
        gained = f"{gain:+.1f} [{low:+.1f}, {high:+.1f}]"
        lines.append(
            (row["data"], row["what"], f"{without:.1f}", f"{with_kin:.1f}", gained, row["n_test"], row["seeds"])
        )
    heads = (
        "data set", "in training for each test picture", "Dice % without", "Dice % with", "gain [95 % interval]",
        "n by seed", "seeds",
    )  # fmt: skip
    first = rows[0]
    origin = {key: first[key] for key in ("net", "size", "steps", "device", "torch", "commit", "code", "command")}
    note = "; ".join(f"{key}: {value}" for key, value in origin.items())
    prints = ", ".join(dict.fromkeys(f"{row['data']} ({row['data_fingerprint']})" for row in rows))
    caption = "The same test pictures and equally many training pictures, without and with the test pictures' kin"
    return Table(heads, tuple(lines), caption, origin=f"From results/{path.name}. data: {prints}; {note}.", keys=2)


def csv_table(path: Path, columns: dict[str, str], caption: str) -> Table:
    """Some columns of a committed CSV file under readable heads, with the file as provenance."""
    rows = [tuple(row[column] for column in columns) for row in csv_rows(path)]
    return Table(tuple(columns.values()), tuple(rows), caption, origin=f"From results/{path.name}.")
