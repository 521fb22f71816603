"""The papers' cells and claims beside what our own finished trials measured.

Evidence is what `tutseg.training.evidence` wrote into ``results/`` (committed), and finished runs.

A paper's table says which method, data and labelled share a cell is of; it seldom says enough to repeat the rest. All
the rest of a trial (network, size, steps, batch, protocol, ...) together with the fingerprint of its data is its
*setup*. A number of ours comes from one setup alone, and so do all sides of a comparison. Where several setups could
serve, those with enough seeds go first, then the larger size, then more steps.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from tutseg.audit.cell import Cell
from tutseg.data.splits import LEAKS
from tutseg.files import canonical_json
from tutseg.papers.claims import (
    MIN_SEEDS,
    Claim,
    TrialRecords,
    Verdict,
    decide,
    load_claims,
    paper_effect,
    trials_needed,
)
from tutseg.papers.intervals import interval_of_deviations, paired_interval
from tutseg.papers.tables import cell_trials, load_paper, matches, papers
from tutseg.training.evidence import Finished, read_evidence
from tutseg.training.tasks import task_of
from tutseg.training.trial import Trial

# What a cell says of a trial, or what a table repeats over; the other fields are the setup.
CELL_FIELDS = ("method", "options", "labelled", "data", "test_data", "seed", "fold", "pictures", "evaluations")
# Fields of our own studies: papers have the default, whether they say so or not.
STUDY_FIELDS = ("augment", "inputs", "noise", "groups", "change", "scored")
# Options of one-image methods at the values that a paper's row means without naming them.
UNNAMED = {"k": 3, "reading": "paper"}
NO_SCORE = {
    "params_m": "a count and no score: `tutseg nets` prints it beside the published one",
    "time_s": "times depend on the hardware; only their ratios could be compared",
    "growth": "computed from the other cells",
}
DISTANCES = ("hd95", "asd", "assd")


def setup_of(item: Finished, without: Iterable[str] = ()) -> str:
    """A trial's setup as canonical JSON, fields that a cell names left out."""
    left_out = {*CELL_FIELDS, *without}
    fields = {key: value for key, value in item.fields.items() if key not in left_out}
    return canonical_json({**fields, "fingerprint": item.provenance.get("data", "")})


# ------------------------------------------------------------------------------------------------------- the cells


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
        """Network, size, steps and protocol in words, and what the paper's own would be called if it differs."""
        return describe_setup(self.trials)

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


def describe_setup(trials: Sequence[Finished]) -> str:
    """Network, size, steps and protocol of trials of one setup (several networks where the table names them)."""
    first = trials[0].trial
    if not task_of(first.method).trains:
        return f"one picture at a time at {first.size} px, the cluster chosen by the truth, nothing masked"
    words = [
        " and ".join(dict.fromkeys(item.trial.net for item in trials)) + f" at {first.size} px",
        f"{first.steps} steps of {first.batch}",
        f"{first.protocol} protocol",
        *(["ImageNet weights"] if first.pretrained else []),
        *(f"{key} {value}" for key, value in (first.data_options | first.test_options).items()),
    ]
    return ", ".join(words)


def entries(paper: str, number: int | None = None, evidence: Sequence[Finished] | None = None) -> list[Entry]:
    """The cells of a table, or of a paper, each with our number or the reason why there is none.

    Raises
    ------
    InputError
        Unknown paper or table.
    """
    evidence = read_evidence() if evidence is None else evidence
    found = []
    for item in cell_trials(paper, number):
        cannot = item.cannot or NO_SCORE.get(item.cell.metric)
        if cannot or item.trial is None:
            found.append(Entry(item.cell, "cannot", cannot or ""))
            continue
        score = score_of(item.cell)
        fitting = [each for each in evidence if score in each.default.means and _fits(each, item.trial)]
        groups = _grouped(fitting, item.trial)
        why = item.trial.get("stand_in", "")
        if groups:
            found.append(Entry(item.cell, "ours", why, _ours(item.cell, score, max(groups.values(), key=_rank))))
        else:
            found.append(Entry(item.cell, "not yet", why))
    return found


@cache
def _measures() -> dict[tuple[str, int | None, str], str]:
    """The score that a column holds where a claim says that it is not called like the column."""
    claims = [claim for claim in load_claims() if claim.measure]
    by_paper = {(claim.paper, None, claim.metric): claim.measure for claim in claims}
    return by_paper | {(claim.paper, claim.table, claim.metric): claim.measure for claim in claims}


def score_of(cell: Cell) -> str:
    """The name in ``tutseg.metrics`` of what a column holds."""
    known = _measures()
    measure = known.get((cell.paper, cell.table, cell.metric)) or known.get((cell.paper, None, cell.metric))
    return measure or {"iou": "jaccard", "f1": "dice", "recall": "sensitivity"}.get(cell.metric, cell.metric)


def _fits(item: Finished, wanted: Mapping[str, Any]) -> bool:
    """Whether a trial is what a cell asks for: no option beyond the paper's, none of our studies' changes."""
    options = named_options(item)
    if options.keys() - {name for name, value in wanted["options"].items() if value is not None}:
        return False
    if any(item.fields[name] != Trial.model_fields[name].default for name in STUDY_FIELDS if name not in wanted):
        return False
    if item.trial.protocol in LEAKS:
        return False
    return matches(wanted, item.fields | {"options": options})


def named_options(item: Finished) -> dict[str, Any]:
    """A trial's options but for those that papers leave unnamed."""
    return {name: value for name, value in item.trial.options.items() if UNNAMED.get(name) != value}


def _grouped(items: Iterable[Finished], named: Iterable[str]) -> dict[str, list[Finished]]:
    groups: dict[str, list[Finished]] = {}
    for item in items:
        groups.setdefault(setup_of(item, named), []).append(item)
    return groups


def _rank(group: Sequence[Finished]) -> tuple:
    """Setups in ascending order of what we would rather show."""
    trial, seeds = group[0].trial, len({item.trial.seed for item in group})
    defaults = sum(group[0].fields[name] == field.default for name, field in Trial.model_fields.items())
    return seeds >= MIN_SEEDS, trial.size, trial.steps, seeds, defaults, setup_of(group[0])


def _ours(cell: Cell, score: str, group: Sequence[Finished]) -> Ours:
    scale = 100.0 if cell.unit == "percent" else 1.0
    seeds = sorted({item.trial.seed for item in group})
    means = np.array(
        [np.mean([i.default.means[score]["per_image"] for i in group if i.trial.seed == s]) for s in seeds]
    )
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


# ------------------------------------------------------------------------------------------------------ the claims


@dataclass(frozen=True)
class Decided:
    """A claim with its verdict.

    Parameters
    ----------
    paper_effect : float
        The difference between the paper's own cells, in the verdict's unit.
    trials : tuple of Finished
        What the verdict rests on, empty if it was not attempted.
    """

    claim: Claim
    verdict: Verdict
    paper_effect: float
    trials: tuple[Finished, ...] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        v, c = self.verdict, self.claim
        return {
            "name": c.id, "paper": c.paper, "verdict": v.verdict, "why": v.why, "effect": v.effect, "low": v.low,
            "high": v.high, "seeds": v.seeds, "n_images": v.n_images, "paper_effect": self.paper_effect,
            "score": c.score, "kind": c.kind, "margin": c.margin, "threshold": c.threshold, "table": c.table,
            "place": c.place, "sentence": c.sentence, "setting": c.setting,
            "setup": describe_setup(self.trials) if self.trials else None,
            "trials": [item.id for item in self.trials],
        }  # fmt: skip


def verdicts(paper: str | None = None, evidence: Sequence[Finished] | None = None) -> list[Decided]:
    """Every claim of a paper, or of all, decided from finished trials of one setup each.

    Raises
    ------
    InputError
        Unknown paper.
    """
    evidence = read_evidence() if evidence is None else evidence
    return [_decided(claim, evidence) for claim in load_claims(paper)]


def _decided(claim: Claim, evidence: Sequence[Finished]) -> Decided:
    sides = trials_needed(claim)
    effect = paper_effect(claim)
    if claim.cannot or any("cannot" in side for side in sides):
        return Decided(claim, decide(claim, []), effect)
    chosen = _one_setup(evidence, sides)
    kept = [item for item in chosen if item.default.per_image(claim.score)]
    verdict = decide(claim, TrialRecords(_records(kept, claim.score)))
    if verdict.verdict == "not attempted":
        lacking = [item for item in chosen if not item.default.per_image(claim.score)]
        if lacking and len({item.id for item in lacking}) == len(chosen):
            why = f"{claim.score} of each image is not among the committed evidence, and the runs are not here"
            verdict = Verdict("not attempted", None, None, None, 0, 0, why)
        return Decided(claim, verdict, effect)
    return Decided(claim, verdict, effect, tuple(kept))


def _one_setup(evidence: Sequence[Finished], sides: Sequence[Mapping[str, Any]]) -> list[Finished]:
    """The trials of the setup that serves most sides of a comparison, the best of such setups; each trial once."""
    named = {name for side in sides for name in side}
    setups: dict[str, dict[int, list[Finished]]] = {}
    for i, side in enumerate(sides):
        for setup, group in _grouped((item for item in evidence if _fits(item, side)), named).items():
            # where the other side names a field that this one leaves open, this one still keeps to one value of it
            setups.setdefault(setup, {})[i] = max(_grouped(group, side).values(), key=_rank)
    if not setups:
        return []
    best = max(setups.values(), key=lambda found: (len(found), min(_rank(group) for group in found.values())))
    return list({item.id: item for group in best.values() for item in group}.values())


def _records(items: Iterable[Finished], score: str) -> list[dict[str, Any]]:
    names = ("method", "net", "data", "test_data", "labelled", "seed", "fold")
    return [
        {**{name: item.fields[name] for name in names}, "options": named_options(item), "id": image, score: value}
        for item in items
        for image, value in item.default.per_image(score).items()
    ]


def counts(decided: Iterable[Decided]) -> dict[str, int]:
    """How many claims got each verdict."""
    words = dict.fromkeys(("reproduced", "not reproduced", "inconclusive", "not attempted"), 0)
    for item in decided:
        words[item.verdict.verdict] += 1
    return words


def points(item: Decided, value: float | None) -> str:
    """A difference in points of the score (0.0123 as "+1.2"); distances in pixels, as they are."""
    return "–" if value is None else f"{value * scale_of(item.claim):+.1f}"


def scale_of(claim: Claim) -> float:
    """From a claim's differences to points (shares) or pixels (distances)."""
    return 1.0 if claim.score in DISTANCES else 100.0
