"""Tables of finished trials: never a number without its n, its spread and where it came from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tutseg.errors import InputError, unknown
from tutseg.files import csv_rows
from tutseg.papers.claims import paired_bootstrap
from tutseg.papers.tables import find_cells
from tutseg.report.table import Table
from tutseg.training.run import Run


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

    @property
    def seeds(self) -> list[int]:
        """The seed of each row of `values`; its place where no trials are named."""
        return [int(result["trial"]["seed"]) for result in self.results] or list(range(len(self.values)))

    def interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the mean over seeds and images."""
        return paired_bootstrap(self.values)


def group_runs(runs: Sequence[Run], score: str = "dice", names: Callable[[Run], str] | None = None) -> list[Group]:
    """Finished runs grouped by name (the method's, unless `names` says otherwise), seeds in rows."""
    groups = []
    for name, members in together(runs, names).items():
        ids, values = zip(*(run.per_image(score) for run in members), strict=True)
        if any(each != ids[0] for each in ids):
            raise InputError(f"runs of {name} were tested on different images", "group runs of one test fold")
        groups.append(Group(name, np.stack(values), [run.result for run in members]))
    return groups


def together(runs: Sequence[Run], names: Callable[[Run], str] | None = None) -> dict[str, list[Run]]:
    """Runs by name (their method's, unless `names` says otherwise), in the order given."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(names(run) if names else run.trial.method, []).append(run)
    return found


def group_results(
    folder: Path,
    name: Callable[[dict[str, str]], str | None],
    keep: Callable[[dict[str, str]], bool] = lambda image: True,
) -> list[Group]:
    """Committed evidence (`tutseg.workflow.grid.collect_results`) as groups of Dice.

    Parameters
    ----------
    folder : Path
        ``results/<spec>`` with ``trials.csv`` and ``dice.csv``.
    name : callable
        From a row of ``trials.csv`` to its group's name; None leaves the trial out.
    keep : callable
        Whether to keep a row of ``dice.csv`` (a test image).
    """
    trials = csv_rows(folder / "trials.csv")
    images = [row for row in csv_rows(folder / "dice.csv") if keep(row)]
    first: dict[str, dict[str, str]] = {}
    for row in trials:
        first.setdefault(row["id"], row)  # the default view comes first
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


def at_share(folder: Path, share: str, names: Mapping[str, str]) -> list[Group]:
    """`group_results` of one labelled share.

    Parameters
    ----------
    folder : Path
        As for `group_results`.
    share : str
        As ``trials.csv`` has it, such as ``"0.04"``.
    names : mapping
        Options of a trial, as JSON -> name of its group; others are left out.
    """
    return group_results(folder, lambda row: names.get(row["options"]) if row["labelled"] == share else None)


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
    shares = sorted({float(result["trial"]["labelled"]) for group in groups for result in group.results})
    ours = " and ".join(f"{100 * share:g} %" for share in shares)
    caption = f"Dice; the paper's with {100 * labelled:g} % labelled, ours with {ours}"
    printed = {group.name: _printed(paper, number, rows.get(group.name, ""), labelled) for group in groups}
    return dice_table(groups, caption, {f"paper, Dice % (Table {number})": printed})


def dice_table(groups: Sequence[Group], caption: str, beside: dict[str, dict[str, str]] | None = None) -> Table:
    """Dice of each group with spread, interval and n.

    Parameters
    ----------
    groups : sequence of Group
        A row each.
    caption : str
        What it shows.
    beside : dict
        Further columns: title -> group name -> cell.
    """
    beside = beside or {}
    lines, tips = [], {}
    for i, group in enumerate(groups):
        low, high = group.interval()
        k, n = group.values.shape
        mean = f"{percent(group.mean)} ± {percent(group.seed_spread)}"
        others = (column.get(group.name, "–") for column in beside.values())
        spread = percent(group.image_spread, 0)
        lines.append((group.name, *others, mean, f"{percent(low)} to {percent(high)}", f"{k} × {n}", spread))
        tips[(i, 1 + len(beside))] = "; ".join(r["provenance"]["command"] for r in group.results)
    heads = (
        "system", *beside, "ours, Dice % (± sd over seeds)", "95 % interval", "n = seeds × images", "sd over images",
    )  # fmt: skip
    return Table(heads, tuple(lines), caption, provenance(groups), tips)


def share_table(
    folder: Path, paper: str, number: int, shares: Sequence[float], rows: dict[str, str], reference: str
) -> tuple[Table, list[tuple[str, float, float, float]]]:
    """Committed trials by method and labelled share beside the paper's table, and `reference` minus each other method.

    Parameters
    ----------
    folder : Path
        As for `group_results`.
    paper, number
        The paper's table.
    shares : sequence of float
        Labelled shares, a column each; those without a trial are left out.
    rows : dict
        Method -> row name in the paper, in the order wanted.
    reference : str
        The method that the others are compared with.

    Returns
    -------
    table : Table
        Cells "paper | ours ± sd over seeds [95 % interval] n seeds".
    gains : list of tuple
        (name, difference, low, high) as `differences` gives them, at every share; only seeds that both have.
    """
    cells: dict[str, list[str]] = {method: [method] for method in rows}
    used, gains, every = [], [], []
    for share in shares:
        groups = group_results(
            folder, lambda row, share=share: row["method"] if float(row["labelled"]) == share else None
        )
        found = {group.name: group for group in groups if group.name in rows}
        if not found:
            continue
        used.append(share)
        every += found.values()
        for method, row in rows.items():
            text = "–"
            if group := found.get(method):
                low, high = group.interval()
                text = f"{percent(group.mean)} ± {percent(group.seed_spread)} [{percent(low)}, {percent(high)}]"
                text += f" n={len(group.values)}"
            printed = _printed(paper, number, row, share).split(" ± ")[0]
            cells[method].append(f"{printed} | {text}")
        for method, group in found.items():
            if method != reference and reference in found:
                gains.append((f"{reference} − {method}, {share:.0%}", *_paired(found[reference], group)))
    n = sorted({group.values.shape[1] for group in every})
    table = Table(
        ("method", *(f"{share:.0%} labelled" for share in used)),
        tuple(tuple(line) for line in cells.values()),
        f"Dice %: the paper's Table {number} | ours ± sd over seeds [95 % interval], "
        f"n seeds × {'/'.join(map(str, n))} test images",
        provenance(every) if every else "",
    )
    return table, gains


def _paired(a: Group, b: Group) -> tuple[float, float, float]:
    """Mean of a − b over the seeds both have, and its 95 % interval."""
    both = [seed for seed in a.seeds if seed in b.seeds]
    if not both:
        raise InputError(f"{a.name} and {b.name} have no seed in common", "run both with the same seeds")
    gain = np.stack([a.values[a.seeds.index(seed)] - b.values[b.seeds.index(seed)] for seed in both])
    return float(gain.mean()), *paired_bootstrap(gain)


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
    if reference not in of:
        raise unknown("group", reference, of)
    found = []
    for group in groups:
        if group.name != reference:
            found.append((group.name, *_paired(of[reference], group)))
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
    for name, members in together(runs).items():
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
    for name, members in together(runs).items():
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
