"""The papers' cells beside what our own finished trials measured.

Evidence is what `tutseg.training.evidence` wrote into ``results/`` (committed), and finished runs. Where several
set-ups could serve a cell, `rank` says which one is shown.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tutseg.audit.cell import Cell
from tutseg.files import canonical_json
from tutseg.papers.claims import load_claims
from tutseg.papers.intervals import interval_of_deviations, paired_interval
from tutseg.papers.setups import describe_scaled, describe_setup, fits, grouped, rank, setup_of
from tutseg.papers.tables import CellTrial, cell_trials, load_paper, papers
from tutseg.training.evidence import Finished, read_evidence
from tutseg.training.tasks import task_of

NO_SCORE = {
    "params_m": "a count and no score: `tutseg nets` prints it beside the published one",
    "time_s": "times depend on the hardware; only their ratios could be compared",
    "growth": "computed from the other cells",
}


@dataclass(frozen=True)
class Ours:
    """Our number for a cell, from one setup.

    Parameters
    ----------
    value, spread : float, float or None
        Mean over images (per image) and seeds, and its standard deviation over seeds, in the cell's unit.
    low, high : float or None
        95 % interval; None with one seed.
    by : str
        What the interval was made from: the "images" of every seed, or the two "deviations" where only these are kept.
    n_images, seeds : int
        How many.
    trials : tuple of Finished
        What it rests on.
    score : str
        The score's name in ``tutseg.metrics``.
    """

    value: float
    spread: float | None
    low: float | None
    high: float | None
    by: str
    n_images: int
    seeds: int
    trials: tuple[Finished, ...]
    score: str

    @property
    def setup(self) -> str:
        """The set-up in words."""
        words = describe_setup(self.trials)
        trains = task_of(self.trials[0].trial.method).trains
        return words if trains else f"{words}, the cluster chosen by the truth, nothing masked"

    @property
    def provenance(self) -> dict[str, str]:
        """What a footnote says: where the number was read, and the stamps and commands behind it."""
        names = ("data", "code", "device", "torch", "date", "command")
        told = {
            "evidence": {re.sub(r"^runs/.*", "runs", item.origin): None for item in self.trials},
            **{name: {item.provenance.get(name, ""): None for item in self.trials} for name in names},
        }
        return {name: ", ".join(filter(None, values)) for name, values in told.items()}


@dataclass(frozen=True)
class Entry:
    """A cell of the ledger.

    Parameters
    ----------
    state : {"ours", "not yet", "cannot"}
        Whether there is a number of ours, could be one, or never will.
    why : str
        The reason for "cannot"; for the others in what our trial differs from the paper's, if anything is known.
    """

    cell: Cell
    state: str
    why: str
    ours: Ours | None = None


def entries(paper: str, number: int | None = None, evidence: Sequence[Finished] | None = None) -> list[Entry]:
    """The cells of a table, or of a paper, each with our number or the reason why there is none.

    Raises
    ------
    InputError
        Unknown paper or table.
    """
    evidence = read_evidence() if evidence is None else evidence
    cells = cell_trials(paper, number)
    groups = [_fitting(item, evidence) for item in cells]
    filled = Counter(_column(item.cell, group) for item, found in zip(cells, groups, strict=True) for group in found)
    found = []
    for item, own in zip(cells, groups, strict=True):
        cannot = _never(item)
        if cannot or item.trial is None:
            found.append(Entry(item.cell, "cannot", cannot))
            continue
        notes = [item.trial.get("stand_in", "")]
        if own:
            best = max(own, key=lambda group, cell=item.cell: rank(group, filled[_column(cell, group)]))
            if "net" in item.trial and best[0].trial.net != item.trial["net"]:
                notes.append(f"{best[0].trial.net} is a small variant of the network")
            notes += describe_scaled(best)
            why = "; ".join(filter(None, notes))
            found.append(Entry(item.cell, "ours", why, _ours(item.cell, score_of(item.cell), best)))
        else:
            found.append(Entry(item.cell, "not yet", *notes))
    return found


def _never(item: CellTrial) -> str:
    return item.cannot or NO_SCORE.get(item.cell.metric, "")


def _fitting(item: CellTrial, evidence: Sequence[Finished]) -> list[list[Finished]]:
    """The trials that could stand beside a cell, by set-up."""
    if item.trial is None or _never(item):
        return []
    score = score_of(item.cell)
    fitting = [each for each in evidence if score in each.default.means and fits(each, item.trial)]
    return list(grouped(fitting, item.trial).values())


def _column(cell: Cell, group: Sequence[Finished]) -> tuple:
    """A column of a table, and a set-up with its network."""
    return cell.table, cell.metric, canonical_json(cell.setting), setup_of(group[0])


@cache
def _measures() -> dict[tuple[str, int | None, str], str]:
    """The score that a column holds where a claim says that it is not called like the column."""
    claims = [claim for claim in load_claims() if claim.measure]
    by_paper = {(claim.paper, None, claim.metric): claim.measure for claim in claims}
    return by_paper | {(claim.paper, claim.table, claim.metric): claim.measure for claim in claims}


def score_of(cell: Cell) -> str:
    """The name in ``tutseg.metrics`` of what a column holds."""
    if kind := load_paper(cell.paper).classes.get(cell.setting.get("data", ""), {}).get(cell.setting.get("class", "")):
        return f"{cell.metric} of {kind}"
    known = _measures()
    measure = known.get((cell.paper, cell.table, cell.metric)) or known.get((cell.paper, None, cell.metric))
    return measure or {"iou": "jaccard", "f1": "dice", "recall": "sensitivity", "macro_f1": "f1"}.get(
        cell.metric, cell.metric
    )


def _ours(cell: Cell, score: str, group: Sequence[Finished]) -> Ours:
    scale = 100.0 if cell.unit == "percent" else 1.0
    seeds = sorted({item.trial.seed for item in group})
    means = np.array([np.mean([mean_of(i, score) for i in group if i.trial.seed == s]) for s in seeds])
    spread = float(means.std(ddof=1)) if len(seeds) > 1 else None
    low = high = None
    by, n = "", max(item.n["test"] for item in group)
    values = _matrix(group, score, seeds)
    if values is not None:
        n = values.shape[1]
    if spread is not None and values is not None:
        by, (low, high) = "images", paired_interval(values)
    elif spread is not None and all(score in item.default.deviations for item in group):
        over_images = np.mean([item.default.deviations[score] ** 2 for item in group])
        by, (low, high) = "deviations", interval_of_deviations(means, over_images, n)
    scaled = [None if number is None else float(number) * scale for number in (float(means.mean()), spread, low, high)]
    return Ours(*scaled, by=by, n_images=n, seeds=len(seeds), trials=tuple(group), score=score)


def mean_of(item: Finished, score: str) -> float:
    """A trial's score: its mean over pictures, or the only number there is where a score is no such mean."""
    ways = item.default.means[score]
    return ways["per_image"] if "per_image" in ways else next(iter(ways.values()))


def _matrix(group: Sequence[Finished], score: str, seeds: Sequence[int]) -> np.ndarray | None:
    """Scores ``(seeds, images)``, averaged over folds; None unless every trial kept them."""
    kept = [(item.trial.seed, item.default.per_image(score)) for item in group]
    if not all(images for _, images in kept):
        return None
    names = {name: j for j, name in enumerate(sorted({name for _, images in kept for name in images}))}
    total, count = np.zeros((len(seeds), len(names))), np.zeros((len(seeds), len(names)))
    for seed, images in kept:
        columns = [names[name] for name in images]
        total[seeds.index(seed), columns] += list(images.values())
        count[seeds.index(seed), columns] += 1
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def coverage(evidence: Sequence[Finished] | None = None) -> list[dict[str, Any]]:
    """Cells with a number of ours, cells that could have one, and all, of each paper."""
    evidence = read_evidence() if evidence is None else evidence
    rows = []
    for paper in papers():
        found = entries(paper, None, evidence)
        count = lambda state, found=found: sum(entry.state == state for entry in found)
        rows.append(
            {
                "name": paper,
                "ours": count("ours"),
                "nameable": len(found) - count("cannot"),
                "cells": len(found),
                "illegible": sum(len(i.positions) for table in load_paper(paper).tables for i in table.illegible),
            }
        )
    return rows
