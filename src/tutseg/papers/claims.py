"""What the five papers claim, as comparisons that a program decides.

A claim names two rows of a printed table (or a chain of rows) and says which is better. `paper_effect` computes what
the paper's own cells give; `decide` asks the per-image scores of finished trials the same question. Ours is the paired
difference on the same image with the same seed, and its interval that of `paired_interval`.

What the words mean stands in `MEANING`; `tutseg.papers.verdicts` adds those that one set-up cannot say of itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from tutseg.errors import InputError
from tutseg.papers.intervals import Spread, holm, paired_interval, smallest_difference, spread_of
from tutseg.papers.tables import (
    Cell,
    Setting,
    find_cells,
    load_paper,
    matches,
    paper_folder,
    papers,
    read_yaml,
    said,
    trial_of,
)

if TYPE_CHECKING:
    import pandas

MIN_SEEDS, MIN_IMAGES = 5, 30

Kind = Literal["superior", "noninferior", "equivalent", "monotone", "threshold"]
Word = Literal[
    "reproduced", "sign only", "not reproduced", "set-up-dependent", "inconclusive", "cannot be tested here",
    "not attempted",
]  # fmt: skip
MEANING: dict[Word, str] = {
    "reproduced": "Every comparison's interval lies on the claimed side: above zero, or above what the claim asks for.",
    "sign only": (
        "Every interval lies above zero, but at least one ends below the difference that the paper prints, or below "
        "what the claim asks for: the sign agrees and the size does not."
    ),
    "not reproduced": (
        "No part of at least one interval lies on the claimed side, corrected by Holm for the number of comparisons "
        "that the claim makes."
    ),
    "set-up-dependent": "Set-ups that may judge do not agree. All are shown, and none is preferred.",
    "inconclusive": (
        f"An interval has room for both, or there are fewer than {MIN_SEEDS} seeds or {MIN_IMAGES} test pictures."
    ),
    "cannot be tested here": (
        "The claim is about few labels, and labels are worth too little in this set-up: the headroom (supervised "
        "training with all labels minus the same with the few) has an interval that reaches zero, or is smaller than "
        "the effect that the paper prints, or than 1.5 times the smallest difference that these seeds and pictures can "
        "see. Or the claim is about all labels, and training had not ended: at least 4 times the steps are worth as "
        "much to plain training as the paper prints for the method. The numbers stand beside."
    ),
    "not attempted": "A trial is missing, or never can be made; the reason is given.",
}
WORDS: tuple[Word, ...] = get_args(Word)


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

    @property
    def scale(self) -> float:
        """From a difference to points (shares), or to the unit of the column (pixels)."""
        unit = load_paper(self.paper).table(self.table).unit[self.metric]
        return 100.0 if unit in ("percent", "fraction") else 1.0

    def points(self, value: float | None, decimals: int = 1) -> str:
        """A difference in points of the score (0.0123 as "+1.2"); distances in pixels, as they are."""
        return "–" if value is None or value != value else f"{value * self.scale:+.{decimals}f}"


@dataclass(frozen=True)
class Pair:
    """One comparison of a claim. Differences are in units of the score, positive where the claimed side is better.

    Parameters
    ----------
    name : str
        "Ours − CPS".
    paper : float
        The difference between the paper's own cells.
    effect, low, high : float, float or None
        Ours and its 95 % interval; none with one seed.
    seeds, n_images : int
        Seeds and images that both sides have.
    spread : Spread or None
        Variances of the difference; none with one seed.
    """

    name: str
    paper: float
    effect: float
    low: float | None
    high: float | None
    seeds: int
    n_images: int
    spread: Spread | None

    @property
    def smallest(self) -> float:
        """The smallest true difference of which these seeds and images tell the sign four times out of five, or NaN."""
        return smallest_difference(self.spread, self.seeds, self.n_images) if self.spread else float("nan")


@dataclass(frozen=True)
class Verdict:
    """What the trials of one set-up say of a claim.

    Parameters
    ----------
    verdict : str
        One of `WORDS`.
    why : str
        The sentence behind the word.
    pairs : tuple of Pair
        Every comparison that the claim makes; none if it was not attempted.
    """

    verdict: Word
    why: str
    pairs: tuple[Pair, ...] = ()

    @property
    def lacking(self) -> str:
        """What is missing for a verdict: seeds, images, or nothing."""
        seeds, images = (min(each) for each in zip(*((pair.seeds, pair.n_images) for pair in self.pairs), strict=True))
        lacking = [f"{seeds} of the {MIN_SEEDS} seeds"] * (seeds < MIN_SEEDS)
        lacking += [f"{images} of the {MIN_IMAGES} images"] * (images < MIN_IMAGES)
        return " and ".join(lacking)


def weakest(claim: Claim, pairs: Sequence[Pair]) -> Pair:
    """The comparison that decides: the smallest effect, of an equivalence the largest in size."""
    return max(pairs, key=lambda pair: abs(pair.effect) if claim.kind == "equivalent" else -pair.effect)


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
    printed = [_printed(claim, *pair) for pair in claim.pairs]
    return max(printed, key=abs) if claim.kind == "equivalent" else min(printed)


def _printed(claim: Claim, better: Side, worse: Side) -> float:
    a, b = cell_of(claim, better), cell_of(claim, worse)
    difference = a.value - b.value if a.direction == "higher" else b.value - a.value
    return float(difference / 100 if a.unit == "percent" else difference)


def trials_needed(claim: Claim, reading: str = "") -> list[dict[str, Any]]:
    """Fields of the trials a claim compares, see `trial_of`; an entry ``{"cannot": reason}`` rules the claim out."""
    return [trial_of(claim.paper, side.row, {**claim.setting, **side.setting}, reading) for side in claim.sides]


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
            self.groups.setdefault(str(trial), (trial, []))[1].append(record)

    def of(self, trial: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The records of all trials that `matches` accepts for the fields of `trial_of`."""
        return [record for found, records in self.groups.values() if matches(trial, found) for record in records]


def decide(
    claim: Claim, results: "TrialRecords | Iterable[Mapping[str, Any]] | pandas.DataFrame", reading: str = ""
) -> Verdict:
    """Decide a claim from finished trials of one set-up.

    Parameters
    ----------
    claim : Claim
        From `load_claims`.
    results : list of dict, pandas.DataFrame, or TrialRecords (for many claims)
        One record an image and trial: the trial's fields (``method``, ``data``, ``labelled``, ``seed``, ``fold``,
        ``options``, ...), ``id``, and the scores of the image as fractions or pixels. Records of several folds or
        test models of one seed are averaged by image; they must be of one protocol.
    reading : str
        Which of the paper's readings (``paper.yaml``) the trials are of.

    Raises
    ------
    InputError
        Two records are the same image of the same trial, or a score is not a number.
    """
    reasons = [claim.cannot, *(trial.get("cannot", "") for trial in trials_needed(claim))]
    if any(reasons):
        return Verdict("not attempted", next(filter(None, reasons)))
    records = results if isinstance(results, TrialRecords) else TrialRecords(results)
    found = []
    for better, worse in claim.pairs:
        a, b = (_scores(claim, side, records, reading) for side in (better, worse))
        missing = [_named(claim, side) for side, scores in ((better, a), (worse, b)) if not scores]
        if missing:
            return Verdict("not attempted", f"no finished trial of {' nor of '.join(missing)}")
        sign = 1.0 if cell_of(claim, better).direction == "higher" else -1.0
        matrix = sign * differences(a, b)
        if not matrix.size:
            why = f"{_named(claim, better)} and {_named(claim, worse)} share no image of the same seed"
            return Verdict("not attempted", why)
        found.append(matrix)
    pairs = tuple(
        _pair(f"{_label(claim, better)} − {_label(claim, worse)}", _printed(claim, better, worse), matrix)
        for (better, worse), matrix in zip(claim.pairs, found, strict=True)
    )
    if lacking := Verdict("inconclusive", "", pairs).lacking:
        return Verdict("inconclusive", f"{lacking} that a verdict needs", pairs)
    return Verdict(*_judged(claim, pairs, found), pairs)


def _pair(name: str, paper: float, matrix: np.ndarray) -> Pair:
    seeds, images = matrix.shape
    effect = float(np.nanmean(matrix, axis=1).mean())
    if min(seeds, images) < 2:
        return Pair(name, paper, effect, None, None, seeds, images, None)
    return Pair(name, paper, effect, *map(float, paired_interval(matrix)), seeds, images, spread_of(matrix))


def _judged(claim: Claim, pairs: tuple[Pair, ...], matrices: list[np.ndarray]) -> tuple[Word, str]:
    one = "the interval" if len(pairs) == 1 else "every interval"
    if all(_holds(claim, pair.low, pair.high) for pair in pairs):
        short = [pair.name for pair in pairs if pair.high < pair.paper]
        if short and claim.kind in ("superior", "monotone"):
            return "sign only", f"{one} lies above 0, but below what the paper prints: {', '.join(short)}"
        return "reproduced", f"{one} lies {_place(claim)}"
    fallen = [pairs[i].name for i in holm(matrices, lambda low, high: _fails(claim, low, high))]
    if fallen:
        told = f"no part of the interval lies {_place(claim)}: {', '.join(fallen)}"
        told += f" (corrected by Holm over {len(pairs)} comparisons)" * (len(pairs) > 1)
        if claim.kind == "threshold" and all(pair.low > 0 for pair in pairs):
            return "sign only", f"{one} lies above 0, but {told}"
        return "not reproduced", told
    unclear = [pair.name for pair in pairs if not _holds(claim, pair.low, pair.high)]
    return "inconclusive", f"the interval lies on both sides of the line: {', '.join(unclear)}"


def _place(claim: Claim) -> str:
    if claim.kind == "equivalent":
        return f"within ±{claim.points(claim.margin).lstrip('+')} points"
    return f"above {claim.points(claim.line).lstrip('+') if claim.line else 0}"


def _holds(claim: Claim, low: float, high: float) -> bool:
    """Whether all of the interval lies where the claim says."""
    return -claim.margin < low and high < claim.margin if claim.kind == "equivalent" else low > claim.line


def _fails(claim: Claim, low: float, high: float) -> bool:
    """Whether none of it does."""
    return low >= claim.margin or high <= -claim.margin if claim.kind == "equivalent" else high <= claim.line


def _label(claim: Claim, side: Side) -> str:
    words = said(claim.paper, side.setting, claim.setting)
    return " ".join([side.row, *(f"({word})" for word in words)])


def _named(claim: Claim, side: Side) -> str:
    setting = {**claim.setting, **side.setting}
    return f"{side.row} ({', '.join(f'{key}={value}' for key, value in setting.items())})"


def _scores(claim: Claim, side: Side, records: TrialRecords, reading: str) -> dict[tuple[Any, Any, str], float]:
    """Scores of the trials behind one side, by (seed, fold, image)."""
    trial = trial_of(claim.paper, side.row, {**claim.setting, **side.setting}, reading)
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


def differences(a: dict[tuple[Any, Any, str], float], b: dict[tuple[Any, Any, str], float]) -> np.ndarray:
    """Paired differences ``(k, n)`` by seed and image, averaged over folds; NaN where a seed lacks an image."""
    shared = sorted(a.keys() & b.keys(), key=str)
    rows = {seed: i for i, seed in enumerate(sorted({key[0] for key in shared}))}
    columns = {image: j for j, image in enumerate(sorted({key[2] for key in shared}))}
    total, count = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
    for key in shared:
        total[rows[key[0]], columns[key[2]]] += a[key] - b[key]
        count[rows[key[0]], columns[key[2]]] += 1
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
