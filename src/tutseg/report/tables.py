"""Tables of finished trials: never a number without its n, its spread and where it came from."""

import csv
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tutseg.errors import InputError
from tutseg.papers.claims import paired_bootstrap
from tutseg.papers.tables import find_cells
from tutseg.training.run import Run


@dataclass(frozen=True, repr=False)
class Table:
    """Rows of text with a caption and a footnote; a notebook shows it as HTML.

    Parameters
    ----------
    heads : tuple of str
        Column titles.
    rows : tuple of tuple of str
        Cells.
    caption, note : str
        What it shows; where it came from.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    note: str = ""
    tips: dict[tuple[int, int], str] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        cell = lambda text, tag, tip="": (
            f"<{tag}{tip and f' title={chr(34)}{html.escape(tip)}{chr(34)}'}>{text}</{tag}>"
        )
        head = "".join(cell(html.escape(text), "th") for text in self.heads)
        body = "".join(
            "<tr>"
            + "".join(cell(html.escape(text), "td", self.tips.get((i, j), "")) for j, text in enumerate(row))
            + "</tr>"
            for i, row in enumerate(self.rows)
        )
        note = f"<p><small>{html.escape(self.note)}</small></p>" if self.note else ""
        return (
            f'<div class="tutseg-table" style="overflow-x:auto"><table class="table">'
            f"<caption>{html.escape(self.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}</div>"
        )

    def __repr__(self) -> str:
        lines = [self.caption, " | ".join(self.heads), *(" | ".join(row) for row in self.rows), self.note]
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True)
class Group:
    """Trials that differ in their seed alone, as a matrix of one score.

    Parameters
    ----------
    name : str
        What the row is called.
    values : numpy.ndarray
        ``(seeds, images)``: the score of each test image, in the same order for every seed.
    results : list of dict
        The trials' ``result.json``.
    """

    name: str
    values: np.ndarray
    results: list[dict[str, Any]]

    @property
    def mean(self) -> float:
        """Mean over images and seeds."""
        return float(self.values.mean())

    @property
    def seed_spread(self) -> float:
        """Standard deviation over seeds of the mean over images (n - 1)."""
        return float(self.values.mean(1).std(ddof=1)) if len(self.values) > 1 else float("nan")

    @property
    def image_spread(self) -> float:
        """Standard deviation over images, averaged over seeds."""
        return float(self.values.std(1).mean())

    def interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the mean over seeds and images."""
        return paired_bootstrap(self.values)


def group_runs(runs: Sequence[Run], score: str = "dice", names: Callable[[Run], str] | None = None) -> list[Group]:
    """Finished runs grouped by name (the method's, unless `names` says otherwise), seeds in rows."""
    groups = []
    for name, members in _together(runs, names or (lambda run: run.trial.method)).items():
        ids, values = zip(*(run.per_image(score) for run in members), strict=True)
        if any(each != ids[0] for each in ids):
            raise InputError(f"runs of {name} were tested on different images", "group runs of one test fold")
        groups.append(Group(name, np.stack(values), [run.result for run in members]))
    return groups


def _together(runs: Sequence[Run], names: Callable[[Run], str]) -> dict[str, list[Run]]:
    together: dict[str, list[Run]] = {}
    for run in runs:
        together.setdefault(names(run), []).append(run)
    return together


def group_results(folder: Path, name: Callable[[dict[str, str]], str | None]) -> list[Group]:
    """Committed evidence (`tutseg.workflow.grid.collect_results`) as groups of Dice.

    Parameters
    ----------
    folder : Path
        ``results/<spec>`` with ``trials.csv`` and ``dice.csv``.
    name : callable
        From a row of ``trials.csv`` to its group's name; None leaves the trial out.
    """
    with open(folder / "trials.csv", newline="") as file:
        trials = list(csv.DictReader(file))
    with open(folder / "dice.csv", newline="") as file:
        images = list(csv.DictReader(file))
    first = {row["id"]: row for row in reversed(trials)}  # the default view comes first
    together: dict[str, list[dict[str, str]]] = {}
    for row in first.values():
        if (group := name(row)) is not None:
            together.setdefault(group, []).append(row)
    groups = []
    for group, rows in together.items():
        rows = sorted(rows, key=lambda row: int(row["seed"]))
        values = np.array([[float(image[row["id"]]) for image in images if image[row["id"]]] for row in rows])
        groups.append(Group(group, values, [_as_result(row) for row in rows]))
    return groups


def _as_result(row: dict[str, str]) -> dict[str, Any]:
    n = {part: int(row[f"n_{part}"]) for part in ("labelled", "unlabelled", "validation", "test")}
    return {"trial": row, "n": n, "provenance": row | {"data": row["fingerprint"]}}


def percent(value: float, decimals: int = 1) -> str:
    """0.8123 as "81.2"."""
    return "–" if not np.isfinite(value) else f"{100 * value:.{decimals}f}"


def method_table(groups: Sequence[Group], paper: str, number: int, labelled: float, rows: dict[str, str]) -> Table:
    """The paper's Dice beside ours, a row a method.

    Parameters
    ----------
    groups : sequence of Group
        Ours, of one data set and labelled fraction.
    paper, number
        The paper's table with the numbers for comparison.
    labelled : float
        Labelled fraction of the paper's block.
    rows : dict
        Group name -> row name in the paper.
    """
    lines, tips = [], {}
    for i, group in enumerate(groups):
        printed = _printed(paper, number, rows.get(group.name, ""), labelled)
        low, high = group.interval()
        k, n = group.values.shape
        mean = f"{percent(group.mean)} ± {percent(group.seed_spread)}"
        spread = percent(group.image_spread, 0)
        lines.append((group.name, printed, mean, f"{percent(low)} to {percent(high)}", f"{k} × {n}", spread))
        tips[(i, 2)] = "; ".join(r["provenance"]["command"] for r in group.results)
    heads = (
        "method", f"paper, Dice % (Table {number})", "ours, Dice % (± sd over seeds)", "95 % interval",
        "n = seeds × images", "sd over images",
    )  # fmt: skip
    shares = sorted({float(result["trial"]["labelled"]) for group in groups for result in group.results})
    ours = " and ".join(f"{100 * share:g} %" for share in shares)
    caption = f"Dice; the paper's with {100 * labelled:g} % labelled, ours with {ours}"
    return Table(heads, tuple(lines), caption, provenance(groups), tips)


def _printed(paper: str, number: int, row: str, labelled: float) -> str:
    setting = {"data": "isic2018", "labelled": f"{labelled:g}"}
    cells = find_cells(paper, number, row, "dice", setting) if row else []
    return f"{cells[0].value} ± {cells[0].spread}" if cells else "–"


def provenance(groups: Sequence[Group]) -> str:
    """One line: data, network, steps, device, commit, fingerprints; mixed ones are all named."""
    found: dict[str, list[str]] = {}
    for group in groups:
        for result in group.results:
            trial, origin = result["trial"], result["provenance"]
            n = result["n"]
            for key, value in {
                "data": f"{trial['data']} ({origin['data']})",
                "net": f"{trial['net']} at {trial['size']} px",
                "training": f"{trial['steps']} steps of {trial['batch']}",
                "labelled/unlabelled": f"{n['labelled']}/{n['unlabelled']}",
                "seeds": str(trial["seed"]),
                "device": origin["device"],
                "torch": origin["torch"],
                "code": origin["code"],
            }.items():
                found.setdefault(key, [])
                if value not in found[key]:
                    found[key].append(value)
    return (
        "; ".join(f"{key}: {', '.join(values)}" for key, values in found.items()) + ". Hover a cell for its commands."
    )


def differences(groups: Sequence[Group], reference: str) -> list[tuple[str, float, float, float]]:
    """Mean of `reference` minus each other group over the same images and seeds, with its 95 % interval."""
    of = {group.name: group for group in groups}
    found = []
    for group in groups:
        if group.name != reference:
            gain = of[reference].values - group.values
            found.append((group.name, float(gain.mean()), *paired_bootstrap(gain)))
    return found


def difference_table(groups: Sequence[Group], reference: str) -> Table:
    """`differences` as a table, in Dice points, with what the interval allows one to say."""
    rows = []
    for name, effect, low, high in differences(groups, reference):
        verdict = "higher" if low > 0 else "lower" if high < 0 else "undecided (interval covers zero)"
        points: Callable[[float], str] = lambda value: f"{100 * value:+.1f}"
        rows.append((f"{reference} − {name}", points(effect), f"{points(low)} to {points(high)}", verdict))
    return Table(
        ("difference", "Dice points", "95 % interval", f"{reference} is"),
        tuple(rows),
        "Paired over the same test images and seeds",
        "Bootstrap over seeds, and over images within them; 2000 resamples.",
    )


def averaging_table(runs: Sequence[Run], view: str | None = None) -> Table:
    """Dice of the same runs per image, over batches of five pooled, and over all pixels pooled: mean over seeds."""
    rows = []
    for name, members in _together(runs, lambda run: run.trial.method).items():
        dice = [run.result["scores"][view or next(iter(run.result["scores"]))]["dice"] for run in members]
        cells = [[each[way]["mean"] for each in dice] for way in ("per_image", "batch", "pooled")]
        rows.append(
            (name, *(f"{percent(np.mean(c))} ± {percent(np.std(c, ddof=1))}" for c in cells), str(len(members)))
        )
    return Table(
        ("method", "per image", "batches of 5 pooled", "all pixels pooled", "seeds"),
        tuple(rows),
        "Dice % of the same predictions under three averagings (± sd over seeds)",
        provenance([Group("", np.zeros((1, 1)), [run.result for run in runs])]),
    )


def selection_table(runs: Sequence[Run]) -> Table:
    """What choosing the weights on the test pictures adds to Dice (batches of five pooled, as the script averages)."""
    rows = []
    for name, members in _together(runs, lambda run: run.trial.method).items():
        chosen = {
            way: np.array([run.result["selection"][way]["dice_batch"] for run in members])
            for way in ("last", "validation", "test")
            if all(way in run.result["selection"] for run in members)
        }
        gain = chosen["test"] - chosen["last"]
        cells = [f"{percent(v.mean())} ± {percent(v.std(ddof=1))}" for v in chosen.values()]
        rows.append((name, *cells, f"{100 * gain.mean():+.1f} ({100 * gain.min():+.1f} to {100 * gain.max():+.1f})"))
    return Table(
        ("method", *chosen, "test − last: mean (range over seeds)"),
        tuple(rows),
        f"Dice % by how the weights are chosen, over {len(members)} seeds",
        provenance([Group("", np.zeros((1, 1)), [run.result for run in runs])]),
    )


def scores_table(table: dict[str, dict[str, dict[str, float]]], caption: str) -> Table:
    """What `tutseg.metrics.score` returns, a row a score: mean ± standard deviation over units."""
    rows = []
    for name, ways in table.items():
        cells = [
            f"{ways[way]['mean']:.3f} ± {ways[way]['std']:.3f}" if way in ways else "–"
            for way in ("per_image", "batch", "pooled")
        ]
        rows.append((name, *cells))
    n = [table["dice"][way]["n"] for way in ("per_image", "batch")]
    heads = ("score", f"per picture (n = {n[0]:g})", f"batches of 5 (n = {n[1]:g})", "all pixels (n = 1)")
    return Table(heads, tuple(rows), caption, "Distances in pixels; they have no pooled form.")


def csv_table(path: Path, columns: dict[str, str], caption: str) -> Table:
    """Some columns of a committed CSV file under readable heads, with the file as provenance."""
    with open(path, newline="") as file:
        rows = [tuple(row[column] for column in columns) for row in csv.DictReader(file)]
    return Table(tuple(columns.values()), tuple(rows), caption, f"From results/{path.name}.")
