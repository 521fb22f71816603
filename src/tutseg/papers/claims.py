"""What the five papers claim, as comparisons that a program decides.

A claim names two rows of a printed table (or a chain of rows) and says which is better. `paper_effect` computes what
the paper's own cells give; `decide` asks the per-image scores of finished trials the same question.

Ours is the paired difference on the same image with the same seed, and its interval that of `paired_interval`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from tutseg.errors import InputError
from tutseg.files import canonical_json
from tutseg.papers.intervals import paired_interval
from tutseg.papers.tables import Cell, Setting, find_cells, matches, paper_folder, papers, read_yaml, trial_of

if TYPE_CHECKING:
    import pandas

MIN_SEEDS = 3

Kind = Literal["superior", "noninferior", "equivalent", "monotone", "threshold"]
Word = Literal["reproduced", "not reproduced", "inconclusive", "not attempted"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Side(_Strict):
    """One side of a comparison: a row, and what its setting has beyond the claim's."""

    row: str
    setting: Setting = {}


def _sides(value: Any) -> Any:
    value = value if isinstance(value, list) else [value]
    return [{"row": item} if isinstance(item, str) else item for item in value]


Sides = Annotated[list[Side], BeforeValidator(_sides)]


class Claim(_Strict):
    """One comparison.

    Parameters
    ----------
    sentence, section : str
        What is claimed, in our words, and the section of the paper that claims it.
    kind : str
        - superior: each of `better` beats each of `worse`.
        - noninferior: none of `better` is worse than any of `worse` by `margin` or more.
        - equivalent: they differ by less than `margin`.
        - monotone: each of `chain` beats the one before it.
        - threshold: `better` beats `worse` by more than `threshold`.
    table, metric, setting : int, str, dict
        The cells compared; `metric` as the column is labelled.
    measure : str
        The per-image score that decides, where it is not called like the column.
    margin, threshold : float
        In units of the score (0.01 is one Dice point); `margin_reason` defends it.
    cannot : str
        Why the claim cannot be attempted, where that does not follow from its rows and data sets.
    """

    paper: str
    id: str
    sentence: str
    section: str
    kind: Kind
    table: int
    metric: str
    measure: str = ""
    setting: Setting = {}
    better: Sides = []
    worse: Sides = []
    chain: Sides = []
    margin: float | None = None
    margin_reason: str = ""
    threshold: float | None = None
    cannot: str = ""

    @model_validator(mode="after")
    def _complete(self) -> "Claim":
        if self.kind == "monotone":
            if len(self.chain) < 2 or self.better or self.worse:
                raise ValueError("a monotone claim has a chain of two or more, and no better or worse")
        elif not self.better or not self.worse or self.chain:
            raise ValueError(f"a claim of kind {self.kind} has better and worse, and no chain")
        if (self.margin is not None and bool(self.margin_reason)) != (self.kind in ("noninferior", "equivalent")):
            raise ValueError("noninferior and equivalent claims have a margin and its reason, the others none")
        if (self.threshold is not None) != (self.kind == "threshold"):
            raise ValueError("threshold claims have a threshold, the others none")
        return self

    @property
    def place(self) -> str:
        """Where the claim and its numbers stand: section, table and rows."""
        section = f"Section {self.section}" if self.section[0].isdigit() else self.section
        rows = list(dict.fromkeys(side.row for side in self.sides))
        return f"{section}, Table {self.table}, row{'s'[: len(rows) - 1]} {', '.join(rows)}"

    @property
    def sides(self) -> list[Side]:
        """Every row compared."""
        return self.chain or [*self.better, *self.worse]

    @property
    def score(self) -> str:
        """The name of the per-image score that decides."""
        return self.measure or {"iou": "jaccard"}.get(self.metric, self.metric)

    @property
    def pairs(self) -> list[tuple[Side, Side]]:
        """Every (better, worse) pair that must hold."""
        if self.chain:
            return [(after, before) for before, after in zip(self.chain, self.chain[1:], strict=False)]
        return [(better, worse) for better in self.better for worse in self.worse]

    @property
    def line(self) -> float:
        """The difference that must be exceeded."""
        return {"noninferior": -(self.margin or 0.0), "threshold": self.threshold or 0.0}.get(self.kind, 0.0)


@dataclass(frozen=True)
class Verdict:
    """What the trials say of a claim.

    Parameters
    ----------
    verdict : str
        "reproduced", "not reproduced", "inconclusive" or "not attempted".
    effect, low, high : float or None
        Difference (positive: the claimed side is better) and its 95 % interval, in units of the score. Of several
        pairs the weakest counts: each of the three is the smallest over the pairs (for an equivalence the effect
        is the largest in size and the interval covers all).
    n_images, seeds : int
        Paired images and seeds of the poorest pair.
    why : str
        The sentence behind the word.
    """

    verdict: Word
    effect: float | None
    low: float | None
    high: float | None
    n_images: int
    seeds: int
    why: str


def load_claims(paper: str | None = None) -> list[Claim]:
    """The claims of one paper, or of all.

    Raises
    ------
    InputError
        Unknown paper, or a ``claims.yaml`` that breaks the schema.
    """
    if paper is None:
        return [claim for name in papers() for claim in load_claims(name)]
    path = paper_folder(paper) / "claims.yaml"
    try:
        return [Claim(paper=paper, **item) for item in read_yaml(path)]
    except ValidationError as error:
        fault = error.errors()[0]
        raise InputError(f"{path}: {fault['msg']} ({fault['input']!r:.80})", "correct the file") from error


def cell_of(claim: Claim, side: Side) -> Cell:
    """The one cell that a side of a claim speaks of.

    Raises
    ------
    InputError
        No cell, or several.
    """
    setting = {**claim.setting, **side.setting}
    found = find_cells(claim.paper, claim.table, side.row, claim.metric, setting)
    if len(found) != 1:
        raise InputError(
            f"claim {claim.id}: {len(found)} cells are row '{side.row}', {claim.metric}, {setting}",
            f"correct the claim in data/papers/{claim.paper}/claims.yaml",
        )
    return found[0]


def paper_effect(claim: Claim) -> float:
    """The difference between the paper's own cells, positive where the claimed side is better.

    In units of the score: percent are divided by 100. Of several pairs the weakest (for an equivalence the largest in
    size) counts, so a positive effect means that the paper's table bears the sentence out.
    """
    differences = []
    for better, worse in claim.pairs:
        a, b = cell_of(claim, better), cell_of(claim, worse)
        difference = a.value - b.value if a.direction == "higher" else b.value - a.value
        differences.append(float(difference / 100 if a.unit == "percent" else difference))
    return max(differences, key=abs) if claim.kind == "equivalent" else min(differences)


def trials_needed(claim: Claim) -> list[dict[str, Any]]:
    """Fields of the trials a claim compares, see `trial_of`; an entry ``{"cannot": reason}`` rules the claim out."""
    return [trial_of(claim.paper, side.row, {**claim.setting, **side.setting}) for side in claim.sides]


class TrialRecords:
    """Per-image records, grouped by trial so that a hundred claims need not search them one by one.

    Parameters
    ----------
    results : list of dict, or pandas.DataFrame
        See `decide`.
    """

    IDENTITY = ("method", "net", "data", "test_data", "labelled", "options")

    def __init__(self, results: "Iterable[Mapping[str, Any]] | pandas.DataFrame") -> None:
        frame = hasattr(results, "to_dict")
        self.groups: dict[str, tuple[dict[str, Any], list[Mapping[str, Any]]]] = {}
        for record in results.to_dict("records") if frame else results:
            # a frame fills what a record lacks with NaN, which alone differs from itself
            trial = {name: record[name] for name in self.IDENTITY if name in record and record[name] == record[name]}
            self.groups.setdefault(canonical_json(trial), (trial, []))[1].append(record)

    def of(self, trial: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The records of all trials that `matches` accepts for the fields of `trial_of`."""
        return [record for found, records in self.groups.values() if matches(trial, found) for record in records]


def decide(
    claim: Claim,
    results: "TrialRecords | Iterable[Mapping[str, Any]] | pandas.DataFrame",
) -> Verdict:
    """Decide a claim from finished trials.

    Parameters
    ----------
    claim : Claim
        From `load_claims`.
    results : list of dict, pandas.DataFrame, or TrialRecords (for many claims)
        One record an image and trial: the trial's fields (``method``, ``data``, ``labelled``, ``seed``, ``fold``,
        ``options``, ...), ``id``, and the scores of the image as fractions or pixels. Records of several folds or
        test models of one seed are averaged by image; they must be of one protocol.

    Returns
    -------
    Verdict
        Never "reproduced" or "not reproduced" with fewer than three seeds.

    Raises
    ------
    InputError
        Two records are the same image of the same trial, or a score is not a number.
    """
    reasons = [claim.cannot, *(trial.get("cannot", "") for trial in trials_needed(claim))]
    if any(reasons):
        return Verdict("not attempted", None, None, None, 0, 0, next(filter(None, reasons)))
    records = results if isinstance(results, TrialRecords) else TrialRecords(results)

    effects, lows, highs, images, seeds = [], [], [], [], []
    for better, worse in claim.pairs:
        a, b = (_scores(claim, side, records) for side in (better, worse))
        missing = [_named(claim, side) for side, found in ((better, a), (worse, b)) if not found]
        if missing:
            why = f"no finished trial of {' nor of '.join(missing)}"
            return Verdict("not attempted", None, None, None, 0, 0, why)
        sign = 1.0 if cell_of(claim, better).direction == "higher" else -1.0
        differences = sign * _differences(a, b)
        if not differences.size:
            why = f"{_named(claim, better)} and {_named(claim, worse)} share no image of the same seed"
            return Verdict("not attempted", None, None, None, 0, 0, why)
        low, high = paired_interval(differences)
        effects.append(float(np.nanmean(differences, axis=1).mean()))
        lows.append(float(low))
        highs.append(float(high))
        seeds.append(differences.shape[0])
        images.append(differences.shape[1])

    if claim.kind == "equivalent":
        effect, low, high = max(effects, key=abs), min(lows), max(highs)
    else:
        effect, low, high = min(effects), min(lows), min(highs)
    word, why = _judge(claim, low, high, min(seeds))
    if min(seeds) == 1:
        return Verdict(word, effect, None, None, min(images), 1, why)
    return Verdict(word, effect, low, high, min(images), min(seeds), why)


def _judge(claim: Claim, low: float, high: float, seeds: int) -> tuple[Word, str]:
    interval = f"95 % interval [{low:.4f}, {high:.4f}]" if seeds > 1 else "no interval"
    if seeds < MIN_SEEDS:
        return "inconclusive", f"{seeds} seed{'s' if seeds > 1 else ''} of the {MIN_SEEDS} needed; {interval}"
    if claim.kind == "equivalent":
        margin = claim.margin or 0.0
        if -margin < low and high < margin:
            return "reproduced", f"{interval} lies within ±{margin:g}"
        if low >= margin or high <= -margin:
            return "not reproduced", f"{interval} lies outside ±{margin:g}"
        return "inconclusive", f"{interval} crosses the margin ±{margin:g}"
    if low > claim.line:
        return "reproduced", f"{interval} lies above {claim.line:g}"
    if high <= claim.line:
        return "not reproduced", f"{interval} does not reach above {claim.line:g}"
    return "inconclusive", f"{interval} contains {claim.line:g}"


def _named(claim: Claim, side: Side) -> str:
    setting = {**claim.setting, **side.setting}
    return f"{side.row} ({', '.join(f'{key}={value}' for key, value in setting.items())})"


def _scores(claim: Claim, side: Side, records: TrialRecords) -> dict[tuple[Any, Any, str], float]:
    """Scores of the trials behind one side, by (seed, fold, image)."""
    trial = trial_of(claim.paper, side.row, {**claim.setting, **side.setting})
    found: dict[tuple[Any, Any, str], float] = {}
    for record in records.of(trial):
        if claim.score not in record:
            continue
        key = (record["seed"], record.get("fold", 0), record["id"])
        if key in found:
            raise InputError(
                f"claim {claim.id}: two trials of {_named(claim, side)} scored image {key[2]} with seed {key[0]}",
                "give results of one protocol: one profile, size, net and number of steps",
            )
        found[key] = float(record[claim.score])
        if not np.isfinite(found[key]):
            raise InputError(
                f"claim {claim.id}: {claim.score} of image {key[2]} is {found[key]}",
                "score empty masks by the rule of tutseg.metrics instead of leaving them out",
            )
    return found


def _differences(a: dict[tuple[Any, Any, str], float], b: dict[tuple[Any, Any, str], float]) -> np.ndarray:
    """Paired differences ``(k, n)`` by seed and image, averaged over folds; NaN where a seed lacks an image."""
    shared = sorted(a.keys() & b.keys(), key=str)
    rows = {seed: i for i, seed in enumerate(sorted({key[0] for key in shared}))}
    columns = {image: j for j, image in enumerate(sorted({key[2] for key in shared}))}
    total, count = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
    for key in shared:
        total[rows[key[0]], columns[key[2]]] += a[key] - b[key]
        count[rows[key[0]], columns[key[2]]] += 1
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
