"""Tables of finished trials: never a number without its n, its spread and where it came from."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tutseg.files import canonical_json
from tutseg.papers.tables import find_cells, load_paper
from tutseg.report.groups import (
    Difference,
    Group,
    differences,
    group_results,
    heading,
    in_groups,
    of_spec,
    provenance,
    scale_of,
    together,
    told,
    told_interval,
    unfinished,
)
from tutseg.report.table import Table
from tutseg.training.evidence import Finished, read_run, read_spec_evidence
from tutseg.training.run import Run
from tutseg.training.spec import spec_of


def at_share(folder: Path, labelled: float, names: Mapping[str, str]) -> list[Group]:
    """`group_results` of one labelled share.

    Parameters
    ----------
    folder : Path
        As for `group_results`.
    labelled : float
        The share, or number, of labelled pictures.
    names : mapping
        Options of a trial, as canonical JSON -> name of its group; others are left out.
    """

    def name(item: Finished) -> str | None:
        return names.get(canonical_json(item.trial.options)) if item.trial.labelled == labelled else None

    return group_results(folder, name)


def spec_table(folder: Path, caption: str) -> Table:
    """The committed trials of a spec, a row an arm; which command makes them where there are none.

    Parameters
    ----------
    folder : Path
        ``results/<paper>/<spec>``, which need not be there.
    caption : str
        Of the table.
    """
    if items := committed(folder):
        return score_table(in_groups(items), caption)
    spec = spec_of(folder)
    scale = f" --scale {spec.scale}" if spec and spec.scale else ""
    name = spec.name.removesuffix(f"-{spec.scale}") if spec else ""
    command = f"tutseg grid experiments/{folder.parent.name}/{name}.yaml{scale}" if spec else "nothing yet"
    return Table(("ours", "what makes it"), (("not yet", command),), caption)


def spec_differences(folder: Path, reference: str) -> Table | None:
    """`reference` less every other arm of the committed trials of a spec; nothing where there are none."""
    groups = in_groups(committed(folder))
    return difference_table(groups, reference) if any(group.name == reference for group in groups) else None


def committed(folder: Path) -> list[Finished]:
    """A spec's committed trials, if any: where its rows have names, without parents that are no row themselves."""
    items = of_spec(folder)[0] if (folder / "trials.csv").exists() else []
    return [item for item in items if item.name] or items


def method_table(groups: Sequence[Group], paper: str, number: int, rows: Mapping[str, str], **setting: Any) -> Table:
    """The paper's score beside ours, a row a method.

    Parameters
    ----------
    groups : sequence of Group
        Ours, of one data set, labelled share and score.
    paper, number
        The paper's table with the numbers for comparison.
    rows : mapping
        Group name -> row name in the paper.
    **setting
        What the paper's cells have in common, such as ``data="isic2018", labelled=0.02``.
    """
    score = groups[0].score
    theirs = f"{heading(score)} (Table {number})"
    if "labelled" in setting:
        theirs = f"{load_paper(paper).counted(setting['labelled'], setting.get('data', ''))}, {theirs}"
    printed = {group.name: printed_cell(paper, number, rows.get(group.name, ""), score, **setting) for group in groups}
    return score_table(groups, f"{score.capitalize()}, the paper's and ours", {f"paper, {theirs}": printed})


def labels(labelled: float) -> str:
    """A labelled share or number in words: 0.02 as "2 % labelled", 59 as "59 labelled"."""
    return f"{labelled:g} labelled" if labelled > 1 else f"{100 * labelled:g} % labelled"


def score_table(groups: Sequence[Group], caption: str, beside: dict[str, dict[str, str]] | None = None) -> Table:
    """A score of each group with spread, interval and n.

    Parameters
    ----------
    groups : sequence of Group
        A row each, of one score.
    caption : str
        What it shows.
    beside : dict
        Further columns: title -> group name -> cell.
    """
    beside = beside or {}
    lines = []
    for group in groups:
        mean = f"{told(group.mean, group.score)} ± {told(group.seed_spread, group.score)}"
        others = (column.get(group.name, "–") for column in beside.values())
        spread = told(group.image_spread, group.score, decimals=0)
        lines.append((group.name, *others, mean, told_interval(group.values, group.score), group.n, spread))
    heads = (
        "system", *beside, f"ours{_with_labels(groups)}, {heading(groups[0].score)} (± sd over seeds)", "95 % interval",
        "n = seeds × images", "sd over images",
    )  # fmt: skip
    trials = [item for group in groups for item in group.trials]
    return Table(heads, tuple(lines), caption, unfinished(trials), provenance(trials, commands=True))


def _with_labels(groups: Sequence[Group]) -> str:
    """How many labelled pictures all groups have, and which share that is, if it is the same."""
    counts = {(item.n.get("labelled"), item.trial.labelled) for group in groups for item in group.trials}
    count, labelled = counts.pop() if len(counts) == 1 else (None, 0)
    return "" if not count else f", {count} labels" + f" = {100 * labelled:g} %" * (labelled <= 1)


def by_share(folder: Path, methods: Iterable[str], score: str = "dice") -> dict[str, list[Group]]:
    """Committed trials of some methods, each a group, by their labelled share in words, the smallest first."""
    items = [item for item in read_spec_evidence(folder) if item.trial.method in methods]
    shares: dict[float, list[Finished]] = {}
    for item in items:
        shares.setdefault(item.trial.labelled, []).append(item)
    return {labels(share): in_groups(shares[share], score=score) for share in sorted(shares)}


def differences_by_share(found: Mapping[str, Sequence[Group]], reference: str) -> list[Difference]:
    """`differences` at every share that has the reference and others; the share is their setting."""
    return [
        each
        for share, groups in found.items()
        if reference in (group.name for group in groups)
        for each in differences(groups, reference, share)
    ]


def share_table(
    found: Mapping[str, Sequence[Group]], paper: str, number: int, rows: Mapping[str, str], **setting: Any
) -> Table:
    """Methods by labelled share, each cell "paper | ours ± sd over seeds [95 % interval] n seeds", heads the same.

    Parameters
    ----------
    found : mapping
        What `by_share` gives: a column a share.
    paper, number
        The paper's table.
    rows : mapping
        Method -> row name in the paper, in the order wanted.
    **setting
        What the paper's cells have in common besides the share, such as ``data="isic2018"``.
    """
    every = [group for groups in found.values() for group in groups]
    score, trials = every[0].score, [item for group in every for item in group.trials]
    cells: dict[str, list[str]] = {method: [method] for method in rows}
    for groups in found.values():
        share, of = groups[0].trials[0].trial.labelled, {group.name: group for group in groups}
        for method, row in rows.items():
            text = "–"
            if group := of.get(method):
                mean, spread = told(group.mean, score), told(group.seed_spread, score)
                text = f"{mean} ± {spread} [{told_interval(group.values, score)}] n={len(group.values)}"
            printed = printed_cell(paper, number, row, score, labelled=share, **setting).split(" ± ")[0]
            cells[method].append(f"{printed} | {text}")
    n = sorted({group.values.shape[1] for group in every})
    heads = []
    for groups in found.values():
        share, ours = groups[0].trials[0].trial.labelled, groups[0].trials[0].n["labelled"]
        theirs = load_paper(paper).labels(setting.get("data", ""), share) or "all"
        heads.append(f"{theirs} | {ours} labels = {100 * share:g} %" if share <= 1 else f"{ours} labels")
    return Table(
        ("method", *heads),
        tuple(tuple(line) for line in cells.values()),
        f"{heading(score)}: the paper's Table {number} | ours ± sd over seeds [95 % interval], "
        f"n seeds × {'/'.join(map(str, n))} test images",
        unfinished(trials),
        provenance(trials),
    )


def printed_cell(paper: str, number: int, row: str, metric: str, **setting: Any) -> str:
    """What the paper prints in a cell, "80.07 ± 0.70"; a dash where it has none."""
    wanted = {key: value if isinstance(value, str) else f"{value:g}" for key, value in setting.items()}
    cells = find_cells(paper, number, row, metric, wanted) if row else []
    if not cells:
        return "–"
    return f"{cells[0].value}" + (f" ± {cells[0].spread}" if cells[0].spread is not None else "")


def difference_table(groups: Sequence[Group], reference: str) -> Table:
    """`differences` as a table, in points of the score, with what the interval allows one to say."""
    score, rows = groups[0].score, []
    for each in differences(groups, reference):
        effect, low, high = (told(value, score, "+") for value in (each.value, each.low, each.high))
        ends = "–" if np.isnan(each.low) else f"{low} to {high}"
        rows.append((f"{reference} − {each.other}", effect, ends, each.verdict))
    unit = "pixels" if scale_of(score) == 1 else "points"
    return Table(
        ("difference", f"{score.capitalize()} {unit}", "95 % interval", f"{reference} is"),
        tuple(rows),
        "Paired over the same test images and seeds",
        "Undecided: the interval covers zero. It is for other seeds and other images than these; one seed has none.",
    )


def averaging_table(runs: Sequence[Run], view: str | None = None) -> Table:
    """Dice of the same runs per image, over batches of five pooled, and over all pixels pooled: mean over seeds."""
    rows = []
    for name, members in together(runs).items():
        dice = [run.result["scores"][view or next(iter(run.result["scores"]))]["dice"] for run in members]
        cells = [[each[way]["mean"] for each in dice] for way in ("per_image", "batch", "pooled")]
        rows.append((name, *(f"{told(np.mean(c))} ± {told(np.std(c, ddof=1))}" for c in cells), str(len(members))))
    return Table(
        ("method", "per image", "batches of 5 pooled", "all pixels pooled", "seeds"),
        tuple(rows),
        "Dice % of the same predictions under three averagings (± sd over seeds)",
        origin=provenance(read_run(run.folder) for run in runs),
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
        cells = [f"{told(v.mean())} ± {told(v.std(ddof=1))}" for v in chosen.values()]
        rows.append((name, *cells, f"{100 * gain.mean():+.1f} ({100 * gain.min():+.1f} to {100 * gain.max():+.1f})"))
    return Table(
        ("method", *chosen, "test − last: mean (range over seeds)"),
        tuple(rows),
        f"Dice % by how the weights are chosen, over {len(members)} seeds",
        origin=provenance(read_run(run.folder) for run in runs),
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
