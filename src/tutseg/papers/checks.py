"""What the numbers of one results table owe one another.

Every check takes printed numbers as intervals (79.61 may be anything in [79.605, 79.615]), so that nothing it
reports is an artefact of the last digit. Two kinds of rule: a *law* is arithmetic and a table that obeys it is
cleared; a *pattern* is a statistic and a table without it is merely unremarkable.

Notation: D Dice, J Jaccard of the same masks, f(D) = D/(2 - D). For one mask J = f(D), and f is convex, so for
every averaging over images, batches, folds or classes mean(J) >= f(mean D), and mean(J) <= mean(D).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from itertools import combinations, pairwise, product
from statistics import median
from typing import Any

DICE = ("dice", "mdice", "dsc")
JACCARD = ("jaccard", "iou", "miou", "jc")
ASD, HD95, HM, XOR = ("asd", "assd"), ("hd95",), ("hm",), ("xor",)
RECALL = ("sensitivity", "recall")
SHARES = {*DICE, *JACCARD, *RECALL, "precision", "specificity", "accuracy", "f1", "macro_f1", "hm"}
NOT_NEGATIVE = {*ASD, *HD95, *XOR}
PROTOCOL = ("data", "train", "labelled", "class", "variant", "round")
POINT = Decimal("0.01")
SLACK = Decimal("0.015")  # of a share of pixels, for rows that are means over a few folds and do not say so


@dataclass(frozen=True)
class Interval:
    """All values a printed number can stand for; arithmetic keeps the outer ends."""

    lo: Decimal
    hi: Decimal

    @property
    def mid(self) -> Decimal:
        return (self.lo + self.hi) / 2

    @property
    def width(self) -> Decimal:
        return self.hi - self.lo

    def meets(self, other: "Interval") -> bool:
        return self.lo <= other.hi and other.lo <= self.hi

    def away(self, other: "Interval") -> Decimal:
        """Distance between two intervals, 0 if they meet."""
        return max(self.lo - other.hi, other.lo - self.hi, Decimal(0))


def printed(number: Decimal, scale: int | Decimal = 1, zeros: int = 0) -> Interval:
    """The numbers that round to `number` at its last digit, `zeros` idle ones not counted, divided by `scale`.

    Examples
    --------
    >>> printed(Decimal("79.61"))
    Interval(lo=Decimal('79.605'), hi=Decimal('79.615'))
    """
    half = Decimal(1).scaleb(number.as_tuple().exponent + zeros) / 2
    return Interval((number - half) / scale, (number + half) / scale)


def span(function: Callable[..., Decimal], *intervals: Interval) -> Interval:
    """Range of a function that is monotone in each argument: its extremes lie at the corners."""
    values = [function(*corner) for corner in product(*((i.lo, i.hi) for i in intervals))]
    return Interval(min(values), max(values))


def jaccard_of(d: Decimal) -> Decimal:
    """f(D) = D/(2 - D)."""
    return d / (2 - d)


def dispersion(d: Decimal, gap: Decimal) -> Decimal:
    """The share of the largest possible variance of Dice that a gap J - f(D) speaks of, to second order.

    gap = f''(D) Var(D) / 2 with f''(D) = 4/(2 - D)^3, and Var(D) <= D (1 - D).
    """
    return gap * (2 - d) ** 3 / (2 * d * (1 - d))


@dataclass(frozen=True)
class Line:
    """One printed row of one table: its cells by metric."""

    paper: str
    table: str
    row: str
    setting: dict[str, str]
    cells: dict[str, Any]
    zeros: dict[str, int] = field(default_factory=dict)

    def cell(self, names: tuple[str, ...] | str) -> Any | None:
        names = (names,) if isinstance(names, str) else names
        return next((self.cells[name] for name in names if name in self.cells), None)

    def value(self, names: tuple[str, ...] | str) -> Interval | None:
        """A cell as an interval, percentages as fractions."""
        cell = self.cell(names)
        return None if cell is None else printed(cell.value, scale_of(cell), self.zeros.get(cell.metric, 0))

    def spread(self, names: tuple[str, ...] | str) -> Interval | None:
        cell = self.cell(names)
        return None if cell is None or cell.spread is None else printed(cell.spread, scale_of(cell))

    @cached_property
    def label(self) -> str:
        shown = [f"{k}={v}" for k, v in self.setting.items() if k in PROTOCOL]
        return f"{self.row} ({', '.join(shown)})" if shown else self.row

    @property
    def test_set(self) -> tuple[str, ...]:
        return (self.paper, self.setting.get("data", ""), self.setting.get("class", ""))

    @property
    def block(self) -> tuple[Any, ...]:
        return (self.paper, self.table, *sorted(self.setting.items()))


def scale_of(cell: Any) -> int:
    """What a printed value is divided by: percentages become fractions."""
    return 100 if cell.unit == "percent" else 1


def lines_of(cells: Iterable[Any]) -> list[Line]:
    """Cells gathered into printed rows, in order of appearance.

    A column of five numbers or more whose last digits are all 0 (95.0 %, 86.0 %, ...) was rounded before it: those
    zeros carry nothing and are not counted as digits.
    """
    cells = list(cells)
    columns: dict[tuple, list[Decimal]] = {}
    for cell in cells:
        columns.setdefault((cell.paper, str(cell.table), cell.metric), []).append(cell.value)
    zeros = {key: _idle_zeros(values) for key, values in columns.items()}
    found: dict[tuple, Line] = {}
    for cell in cells:
        table = str(cell.table)
        key = (cell.paper, table, cell.row, tuple(sorted(cell.setting.items())))
        line = found.setdefault(key, Line(cell.paper, table, cell.row, dict(cell.setting), {}, {}))
        line.cells[cell.metric] = cell
        line.zeros[cell.metric] = zeros[cell.paper, table, cell.metric]
    return list(found.values())


def _idle_zeros(values: list[Decimal]) -> int:
    if len(values) < 5:
        return 0
    decimals = [-min(0, value.as_tuple().exponent) for value in values]
    idle = [
        places - len(f"{value:f}".rstrip("0").partition(".")[2]) for places, value in zip(decimals, values, strict=True)
    ]
    return min(idle) if len(set(decimals)) == 1 else 0


@dataclass(frozen=True)
class Rule:
    """A thing numbers owe one another.

    Parameters
    ----------
    name, says : str
        Identifier, and the rule in one sentence.
    severity : {"impossible", "inconsistent", "suspicious"}
        What breaking it means: no data could give these numbers; two statements cannot both hold; it is odd.
    assumption : str
        What must be true for the rule to apply.
    innocent : tuple of str
        Explanations in which nobody did anything wrong but print badly.
    law : bool
        Whether keeping the rule clears the numbers (arithmetic) or says nothing (statistics).
    """

    name: str
    severity: str
    says: str
    assumption: str
    innocent: tuple[str, ...]
    law: bool = True


_SAME_UNITS = "both columns are averages over the same images, folds and classes, of the same masks"
_TYPO = "a slip of the pen in one cell"
_RUNS = "the two columns come from different runs, thresholds or checkpoints"
_TWO_DEFINITIONS = "one column is a mean over lesion and background, the other over the lesion only"
_POOLED = "the row's metrics come from one confusion matrix over all pixels (its J equals f(D) to the digit)"

RULES = {
    rule.name: rule
    for rule in (
        Rule("out-of-range", "impossible", "A share lies in [0, 1]; a distance or an area is not negative.",
             "the column shows what its heading says", (_TYPO, "the heading stands over the wrong column")),
        Rule("spread-too-large", "impossible", "The deviation of shares with mean m is at most sqrt(2 m (1 - m)).",
             "the spread is a standard deviation over two or more values", (_TYPO, "the unit of the spread differs")),
        Rule("jaccard-below-bound", "impossible", "mean(J) >= f(mean D), because f(D) = D/(2 - D) is convex.",
             _SAME_UNITS, (_RUNS, _TYPO, _TWO_DEFINITIONS)),
        Rule("jaccard-above-dice", "impossible", "J <= D for every mask, hence for every average.",
             _SAME_UNITS, ("the two headings are exchanged", _TWO_DEFINITIONS, _TYPO)),
        Rule("asd-above-hd95", "impossible",
             "A mean of surface distances does not exceed their 95th percentile, unless a few are enormous.",
             "both distances are of the same masks, without a heavy tail beyond the 95th percentile",
             ("the two cells are exchanged", "some images have no surface and a penalty was averaged in", _TYPO)),
        Rule("hm-above-xor", "impossible",
             "HM = |A xor B|/|A or B| and XOR = |A xor B|/|B| share the numerator, and |A or B| >= |B|.",
             _SAME_UNITS, ("the two cells are exchanged", "an earlier paper used the names the other way round")),
        Rule("hm-above-dice-bound", "impossible", "HM = 1 - J, hence mean(HM) <= 2(1 - D)/(2 - D).",
             _SAME_UNITS, ("HM is exchanged with XOR", _RUNS, _TYPO)),
        Rule("hm-below-dice-bound", "impossible", "HM = 1 - J and J <= D, hence mean(HM) >= 1 - D.",
             _SAME_UNITS, (_RUNS, _TYPO)),
        Rule("swapped-columns", "inconsistent", "Exchanging two columns repairs every relation they break.",
             "the relations broken are those of the headings",
             ("only the headings are exchanged, no number is wrong",)),
        Rule("wrong-either-way", "impossible", "A row must be possible under the headings or under their exchange.",
             "the other rows of the table show that its headings are exchanged", (_TYPO, _RUNS)),
        Rule("dice-above-precision-recall", "impossible",
             "D is the harmonic mean of precision and recall, which is concave: mean(D) <= 2PR/(P + R) of the means.",
             "all three are averages over the same images and of the same class",
             (_RUNS, "images without prediction were left out of the precision", _TWO_DEFINITIONS)),
        Rule("dice-below-precision-recall", "impossible", "D >= P + R - 1 for every mask, hence for every average.",
             "all three are averages over the same images and of the same class", (_RUNS, _TYPO)),
        Rule("f1-identity", "inconsistent", "F1 of one class over one test set is exactly 2PR/(P + R).",
             "precision and recall are printed for the same predictions", (_TYPO, "an average over several trainings")),
        Rule("one-confusion-matrix", "inconsistent",
             "Accuracy, sensitivity and specificity fix the lesion's share of pixels; so do Dice, sensitivity and "
             "specificity. In one confusion matrix both shares are the same.", _POOLED,
             (_TYPO, "sensitivity or specificity were averaged per image and the rest pooled", _RUNS)),
        Rule("prevalence", "inconsistent",
             "(Spe - Acc)/(Spe - Sen) is the lesion's share of pixels, the same for every method on one test set.",
             _POOLED, ("the rows come from different splits of the data set", _TYPO, _RUNS)),
        Rule("mixed-definitions", "inconsistent",
             "One heading, one definition: Dice and Jaccard recomputed from Sen, Spe and Acc must be of the lesion in "
             "all rows or means over lesion and background in all rows.",
             "accuracy, sensitivity and specificity of all rows are of the lesion and pooled over pixels",
             ("each row was scored by its own method's script",)),
        Rule("two-class-identity", "inconsistent",
             "Where Dice and Jaccard are means over lesion and background, Sen, Spe and Acc fix both.", _POOLED,
             (_TYPO, _RUNS)),
        Rule("class-share", "inconsistent",
             "Accuracy and the recalls of two classes fix each class's share of the test set.",
             "accuracy and recalls are of one test set of two classes",
             ("the names of the two classes are exchanged", "another test split was used", _TYPO)),
        Rule("class-shares-agree", "inconsistent",
             "Accuracy and the recalls of two classes fix each class's share, the same for all rows on one test set.",
             "all rows use one test set", ("another test split was used", _TYPO)),
        Rule("class-precision", "inconsistent", "Recalls and class shares fix both precisions.",
             "accuracy, precisions and recalls are of one confusion matrix",
             (_TYPO, "averages over several trainings")),
        Rule("two-gaps", "suspicious",
             "J - f(D) grows with the spread between the units averaged; in a block of alike methods it has one level.",
             "the methods of a block were scored by one script",
             ("rows were scored per image and per batch", "a few methods fail on a few images"), law=False),
        Rule("gap-of-block", "suspicious",
             "With a better Dice the spread between images, and with it J - f(D), falls, not rises.",
             "all blocks of a table were scored by one script",
             ("blocks were scored with different batch sizes", "labelled sets of unlike quality"), law=False),
        Rule("gap-outlier", "suspicious",
             "Rows whose J - f(D) is near or below zero while all others agree on a large one.",
             "the rows of a block were scored by one script",
             ("J or D of this row comes from another run or another averaging", _TYPO), law=False),
        Rule("repeated-row", "inconsistent", "Different experiments do not agree in every digit of mean and spread.",
             "the numbers are measured, with enough digits that a coincidence is out of the question",
             ("a row was carried over to the wrong place", "the label of one row is wrong")),
        Rule("shared-rows", "suspicious", "Rows equal in every digit to rows of an earlier paper were not run again.",
             "two papers' own runs would differ in the last digits",
             ("quoting published baselines is common practice", "the same authors reuse their own runs"), law=False),
        Rule("fewer-labels-win", "suspicious",
             "The same data with all labels is an upper reference; a row with fewer labels is well above it.",
             "the fully labelled row has a network and budget like the others",
             ("the fully labelled row uses a smaller network", "the row's label is wrong"), law=False),
        Rule("same-run-differs", "inconsistent", "One run printed in two tables has one value.",
             "both tables show the same run", ("a second training of the same configuration", _TYPO)),
        Rule("text-against-table", "inconsistent", "A number quoted in the text is in the table.",
             "text and table speak of the same experiment", ("the text was written for an earlier version",)),
        Rule("counts", "inconsistent", "Parts add up to the whole.", "the parts are disjoint and complete", (_TYPO,)),
        Rule("rank", "inconsistent", "A method said to be best (or second) is so in its column.",
             "the claim is about this column and these rows", ("the claim leaves out a reference row on purpose",)),
        Rule("gain", "inconsistent", "A gain named in the text is the difference of the cells it is about.",
             "text and table speak of the same experiments", ("the text was written for an earlier version",)),
        Rule("growth", "inconsistent", "A growth rate is (after - before)/before of the printed cells.",
             "rates are relative gains of the printed metric", ("rates were computed from unrounded values",)),
        Rule("mean-growth", "inconsistent", "An average growth rate is the mean of the printed rates.",
             "the average is over the rows of its table", ("another average, or rows not shown",)),
        Rule("time", "inconsistent", "Seconds an iteration times iterations is the total time.",
             "the total contains nothing but the iterations",
             ("the number of iterations of another run", "validation time")),
        Rule("epochs", "suspicious", "Iterations are whole epochs of ceil or floor(images/batch) steps.",
             "an iteration is one batch of the stated size",
             ("an iteration counts one image", "another batch size was used", "training stopped within an epoch"),
             law=False),
        Rule("macro", "inconsistent", "A macro score is the mean of the class scores.",
             "both tables show the same runs", (_TYPO,)),
        Rule("named-data", "inconsistent", "Text and table name the same data set.",
             "the passage is about this table", (_TYPO,)),
        Rule("announced", "inconsistent", "The settings announced are the settings shown.",
             "the announcement is about this table", ("results were added after the sentence was written",)),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Quote:
    """A passage of the text that a finding rests on."""

    section: str
    quote: str


@dataclass
class Finding:
    """One rule applied to some numbers; what `audit_*` return are those that do not hold.

    `computed` and `expected` are for people, `numbers` holds the same values for programs (percentages in points).
    `x` names the candidates of ``data/papers/candidates.yaml`` that this finding bears on.
    """

    id: str
    paper: str
    table: str
    rule: str
    inputs: tuple[Any, ...]
    computed: str
    expected: str
    severity: str
    assumption: str
    innocent: tuple[str, ...]
    message: str
    x: tuple[str, ...] = ()
    numbers: dict[str, Decimal] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return self.severity == "holds"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "id": self.id, "paper": self.paper, "table": self.table, "rule": self.rule, "severity": self.severity,
            "message": self.message, "computed": self.computed, "expected": self.expected,
            "assumption": self.assumption, "innocent": list(self.innocent), "x": list(self.x),
            "numbers": {name: float(number) for name, number in self.numbers.items()},
            "inputs": [_plain(i) for i in self.inputs],
        }  # fmt: skip


def _plain(item: Any) -> dict[str, Any]:
    if isinstance(item, Quote):
        return {"section": item.section, "quote": item.quote}
    return {
        "table": str(item.table), "row": item.row, "setting": dict(item.setting), "metric": item.metric,
        "value": str(item.value), "spread": None if item.spread is None else str(item.spread),
        "position": item.position,
    }  # fmt: skip


def judge(
    rule: str,
    holds: bool,
    inputs: Iterable[Any],
    message: str,
    computed: str = "",
    expected: str = "",
    where: tuple[str, str, str] | None = None,
    **numbers: Decimal,
) -> Finding:
    """The outcome of a rule; `where` = (paper, table, what) if the first input is no cell."""
    law, inputs = RULES[rule], tuple(inputs)
    if where is None:
        first = inputs[0]
        where = (first.paper, str(first.table), _slug(first))
    paper, table, what = where
    return Finding(
        id=f"{paper}/{table}/{rule}/{what}",
        paper=paper,
        table=table,
        rule=rule,
        inputs=inputs,
        computed=computed,
        expected=expected,
        severity="holds" if holds else law.severity,
        assumption=law.assumption,
        innocent=law.innocent,
        message=message,
        numbers={name: Decimal(value) for name, value in numbers.items()},
    )


def _slug(cell: Any) -> str:
    return ",".join([cell.row, *(f"{k}={v}" for k, v in cell.setting.items() if k in PROTOCOL)]).replace(" ", "")


def pct(value: Decimal | Interval, digits: int = 2) -> str:
    """A fraction, or an interval of fractions, as points."""
    if isinstance(value, Interval):
        return f"[{pct(value.lo, digits)}, {pct(value.hi, digits)}]"
    return f"{value * 100:.{digits}f}"


# ------------------------------------------------------------------------------------------------ laws of one row


def ranges(lines: list[Line]) -> Iterator[Finding]:
    """Shares in [0, 1], nothing negative, spreads no larger than shares allow."""
    for line in lines:
        for name, cell in line.cells.items():
            share, value = name in SHARES and cell.unit in ("percent", "fraction"), line.value(name)
            if not share and name not in NOT_NEGATIVE:
                continue
            top = Decimal(1) if share else value.hi
            limit = "[0, 100] %" if share else "at least 0"
            yield judge("out-of-range", value.hi >= 0 and value.lo <= top, [cell],
                        f"{line.label}: {name} is printed as {cell.value}; it must be {limit}.",
                        computed=str(cell.value), expected=limit)  # fmt: skip
            if share and cell.spread is not None and value.lo >= 0 and value.hi <= 1:
                spread = line.spread(name)
                variance = max((2 * m * (1 - m) for m in (value.lo, value.hi)), default=Decimal(0))
                if value.lo <= Decimal("0.5") <= value.hi:
                    variance = Decimal("0.5")
                most = variance.sqrt()
                yield judge("spread-too-large", spread.lo <= most and spread.hi >= 0, [cell],
                            f"{line.label}: a spread of {cell.spread} around {name} {cell.value} is too large.",
                            computed=str(cell.spread), expected=f"at most {pct(most)} points")  # fmt: skip


def overlap_bounds(lines: list[Line]) -> Iterator[Finding]:
    """f(D) <= J, and for HM = 1 - J: 1 - D <= HM <= 2(1 - D)/(2 - D)."""
    for line in lines:
        d, j, hm = line.value(DICE), line.value(JACCARD), line.value(HM)
        if d is None or not 0 <= d.lo <= d.hi <= 1:
            continue
        least = span(jaccard_of, d)
        if j is not None and j.lo <= d.hi:
            gap = j.mid - jaccard_of(d.mid)
            yield judge("jaccard-below-bound", j.hi >= least.lo, [line.cell(DICE), line.cell(JACCARD)],
                        f"{line.label}: a Dice of {pct(d.mid)} needs a Jaccard of at least {pct(least.lo)}; printed is "
                        f"{pct(j.mid)}.", computed=f"J = {pct(j.mid)}", expected=f"J >= {pct(least.lo)}",
                        gap=gap * 100, short=-gap * 100, needed=jaccard_of(d.mid) * 100)  # fmt: skip
        if hm is not None:
            cells = [line.cell(DICE), line.cell(HM)]
            most, fewest = 1 - least.lo, 1 - d.hi
            yield judge("hm-above-dice-bound", hm.lo <= most, cells,
                        f"{line.label}: a Dice of {pct(d.mid, 1)} allows an HM of at most {pct(most, 1)}; printed is "
                        f"{pct(hm.mid, 1)}.", computed=f"HM = {pct(hm.mid, 1)}", expected=f"HM <= {pct(most, 1)}",
                        bound=(1 - jaccard_of(d.mid)) * 100)  # fmt: skip
            yield judge("hm-below-dice-bound", hm.hi >= fewest, cells,
                        f"{line.label}: a Dice of {pct(d.mid, 1)} needs an HM of at least {pct(fewest, 1)}; printed is "
                        f"{pct(hm.mid, 1)}.", computed=f"HM = {pct(hm.mid, 1)}", expected=f"HM >= {pct(fewest, 1)}",
                        )  # fmt: skip


_ORDERS = (
    (JACCARD, DICE, "jaccard-above-dice", "J <= D"),
    (ASD, HD95, "asd-above-hd95", "ASD <= HD95"),
    (HM, XOR, "hm-above-xor", "HM <= XOR"),
)


def orders(lines: list[Line]) -> Iterator[Finding]:
    """J <= D, ASD <= HD95, HM <= XOR; and whether exchanging the two columns repairs what breaks."""
    for small, large, rule, law in _ORDERS:
        tables: dict[tuple[str, str], list[Line]] = {}
        for line in lines:
            if line.cell(small) is not None and line.cell(large) is not None:
                tables.setdefault((line.paper, line.table), []).append(line)
        for table, rows in tables.items():
            broken = []
            for line in rows:
                a, b = line.cell(small), line.cell(large)
                holds = line.value(small).lo <= line.value(large).hi
                broken += [] if holds else [line]
                yield judge(rule, holds, [a, b],
                            f"{line.label}: {a.metric} {a.value} beside {b.metric} {b.value}; it must be {law}.",
                            computed=f"{a.metric} = {a.value}, {b.metric} = {b.value}", expected=law)  # fmt: skip
            yield from _swap(rows, broken, small, large, table)


def _swap(
    rows: list[Line], broken: list[Line], small: tuple[str, ...], large: tuple[str, ...], table: tuple[str, str]
) -> Iterator[Finding]:
    repaired, hopeless = [], []
    for line in broken:
        a, b = line.cell(small), line.cell(large)
        turned = replace(line, cells={**line.cells, a.metric: b, b.metric: a})
        before, after = (
            {outcome.rule for outcome in (*ranges([row]), *overlap_bounds([row])) if not outcome.holds}
            for row in (line, turned)
        )
        (hopeless if after - before else repaired).append(line)
    if repaired:
        a, b = repaired[0].cell(small), repaired[0].cell(large)
        yield judge("swapped-columns", False, [line.cell(names) for line in repaired for names in (small, large)],
                    f"Exchanging {a.metric} and {b.metric} repairs {len(repaired)} of the {len(broken)} rows of this "
                    f"table (of {len(rows)} in all) that break their order: "
                    f"{', '.join(line.label for line in repaired)}.",
                    computed=f"{len(broken)} of {len(rows)} rows in the wrong order", expected="none",
                    where=(*table, f"{a.metric},{b.metric}"), rows=len(repaired))  # fmt: skip
    for line in hopeless:
        if len(repaired) >= 2 and len(broken) > len(rows) / 2:
            cells = [line.cell(small), line.cell(large)]
            yield judge("wrong-either-way", False, cells,
                        f"{line.label}: {cells[0].metric} {cells[0].value} with {cells[1].metric} {cells[1].value} is "
                        "impossible as printed and after exchanging the two columns.",
                        computed="impossible both ways", expected="possible one way")  # fmt: skip


def precision_recall(lines: list[Line]) -> Iterator[Finding]:
    """P + R - 1 <= D <= 2PR/(P + R) for averages; equality for the F1 of one class."""
    harmonic = lambda p, r: 2 * p * r / (p + r) if p + r else Decimal(0)
    for line in lines:
        p, r = line.value("precision"), line.value(RECALL)
        if p is None or r is None or p.lo < 0 or r.lo < 0:
            continue
        mean = span(harmonic, p, r)
        if "class" in line.setting and (f1 := line.value("f1")) is not None:
            yield judge("f1-identity", f1.meets(mean), [line.cell(m) for m in ("precision", "recall", "f1")],
                        f"{line.label}: precision and recall give F1 {pct(mean, 1)}; printed is {pct(f1.mid, 1)}.",
                        computed=pct(mean, 1), expected=pct(f1.mid, 1))  # fmt: skip
            continue
        d = line.value((*DICE, "f1"))
        if d is None:
            continue
        cells = [line.cell((*DICE, "f1")), line.cell("precision"), line.cell(RECALL)]
        yield judge("dice-above-precision-recall", d.lo <= mean.hi, cells,
                    f"{line.label}: precision and recall allow a Dice of at most {pct(mean.hi)}; printed is "
                    f"{pct(d.mid)}.", computed=f"D = {pct(d.mid)}", expected=f"D <= {pct(mean.hi)}")  # fmt: skip
        least = p.lo + r.lo - 1
        yield judge("dice-below-precision-recall", d.hi >= least, cells,
                    f"{line.label}: precision and recall need a Dice of at least {pct(least)}; printed is "
                    f"{pct(d.mid)}.", computed=f"D = {pct(d.mid)}", expected=f"D >= {pct(least)}")  # fmt: skip


# --------------------------------------------------------------------------------------- one confusion matrix a row


def gap_of(line: Line) -> Interval | None:
    """J - f(D) of a row, as an interval."""
    d, j = line.value(DICE), line.value(JACCARD)
    if d is None or j is None or not 0 < d.lo <= d.hi < 1:
        return None
    least = span(jaccard_of, d)
    return Interval(j.lo - least.hi, j.hi - least.lo)


def pooled_rows(lines: list[Line]) -> list[Line]:
    """Rows that come from one confusion matrix over all pixels, by their own witness.

    In single runs (no spread is printed) J equals f(D) to the printed digit. Where at least three rows, and half of
    all rows of a table, do so, others within 0.12 points are taken to be of their kind.
    """
    tables: dict[tuple[str, str], list[tuple[Line, Interval]]] = {}
    for line in lines:
        gap = gap_of(line)
        if gap is not None:
            tables.setdefault((line.paper, line.table), []).append((line, gap))
    near = Interval(Decimal("-0.0012"), Decimal("0.0012"))
    found = []
    for rows in tables.values():
        fine = [(line, gap) for line, gap in rows if gap.width <= Decimal("0.0006") and line.cell(DICE).spread is None]
        exact = [line for line, gap in fine if gap.lo <= 0 <= gap.hi]
        if len(exact) >= max(3, len(rows) / 2):
            found += [line for line, gap in fine if gap.meets(near)]
    return found


def prevalence_from_accuracy(line: Line) -> Interval | None:
    """(Spe - Acc)/(Spe - Sen): the lesion's share of pixels."""
    a, s, c = line.value("accuracy"), line.value("sensitivity"), line.value("specificity")
    if (
        a is None
        or s is None
        or c is None
        or Interval(c.lo - s.hi, c.hi - s.lo).meets(Interval(Decimal(0), Decimal(0)))
    ):
        return None
    return span(lambda a, s, c: (c - a) / (c - s), a, s, c)


def prevalence_from_dice(line: Line) -> Interval | None:
    """D(1 - Spe)/(2 Sen - D(Sen + Spe)): the same share, by way of Dice."""
    d, s, c = line.value(DICE), line.value("sensitivity"), line.value("specificity")
    if d is None or s is None or c is None or 2 * s.lo - d.hi * (s.lo + c.hi) <= 0:
        return None
    return span(lambda d, s, c: d * (1 - c) / (2 * s - d * (s + c)), d, s, c)


def pooled_scores(share: Interval, line: Line) -> tuple[Interval, Interval, Interval, Interval]:
    """Dice and Jaccard of the lesion, and their means over lesion and background, from share, Sen and Spe."""
    s, c = line.value("sensitivity"), line.value("specificity")
    lesion = span(lambda p, s, c: 2 * p * s / (p * s + p + (1 - p) * (1 - c)), share, s, c)
    background = span(lambda p, s, c: 2 * (1 - p) * c / ((1 - p) * c + (1 - p) + p * (1 - s)), share, s, c)
    j_lesion, j_background = span(jaccard_of, lesion), span(jaccard_of, background)
    mean = lambda a, b: Interval((a.lo + b.lo) / 2, (a.hi + b.hi) / 2)
    return lesion, j_lesion, mean(lesion, background), mean(j_lesion, j_background)


def confusion(lines: list[Line]) -> Iterator[Finding]:
    """In rows that are pooled, two ways to the lesion's share of pixels lead to the same place."""
    for line in pooled_rows(lines):
        by_accuracy, by_dice = prevalence_from_accuracy(line), prevalence_from_dice(line)
        if by_accuracy is None or by_dice is None:
            continue
        c, a, s = line.value("specificity"), line.value("accuracy"), line.value("sensitivity")
        # D, Acc and Sen fix the specificity: FP = TP (2/D - 1) - FN with everything a share of pixels
        d = line.value(DICE)
        p = (1 - a.mid) / (s.mid * (2 / d.mid - 2))
        needed = 1 - (1 - a.mid - p * (1 - s.mid)) / (1 - p)
        yield judge("one-confusion-matrix", by_accuracy.away(by_dice) <= SLACK,
                    [line.cell(m) for m in (DICE, "accuracy", "sensitivity", "specificity")],
                    f"{line.label}: Acc, Sen and Spe give the lesion {pct(by_accuracy, 1)} % of the pixels; Dice, Sen "
                    f"and Spe give {pct(by_dice, 1)} %. With D, Acc and Sen as printed, Spe would be {pct(needed)} "
                    f"(printed {pct(c.mid)}).", computed=f"{pct(by_accuracy, 1)} %", expected=f"{pct(by_dice, 1)} %",
                    by_accuracy=by_accuracy.mid * 100, by_dice=by_dice.mid * 100,
                    specificity=needed * 100)  # fmt: skip


def prevalence(lines: list[Line]) -> Iterator[Finding]:
    """All pooled rows on one test set agree on the lesion's share of pixels."""
    groups: dict[tuple, list[tuple[Line, Interval]]] = {}
    for line in pooled_rows(lines):
        share = prevalence_from_accuracy(line)
        if share is not None and share.width <= 2 * POINT:
            groups.setdefault((line.test_set, line.table), []).append((line, share))
    for rows in groups.values():
        if len(rows) < 3:
            continue
        middle = median(share.mid for _, share in rows)
        for line, share in rows:
            holds = share.away(Interval(middle, middle)) <= SLACK
            yield judge("prevalence", holds, [line.cell(m) for m in ("accuracy", "sensitivity", "specificity")],
                        f"{line.label}: Acc, Sen and Spe give the lesion {pct(share, 1)} % of the pixels; the "
                        f"{len(rows)} pooled rows on this test set agree on {pct(middle, 1)} %.",
                        computed=f"{pct(share, 1)} %", expected=f"{pct(middle, 1)} %",
                        share=share.mid * 100, median=middle * 100)  # fmt: skip


def definitions(lines: list[Line]) -> Iterator[Finding]:
    """Rows of one table whose Dice and Jaccard are the lesion's beside rows where they are two-class means."""
    lesions: dict[tuple, int] = {}
    for line in pooled_rows(lines):
        key = (line.paper, line.table)
        lesions[key] = lesions.get(key, 0) + 1
    for line in lines:
        share, d, j = prevalence_from_accuracy(line), line.value(DICE), line.value(JACCARD)
        rows = lesions.get((line.paper, line.table), 0)
        if d is None or j is None or share is None or not 0 < share.lo <= share.hi < 1 or not rows:
            continue
        lesion, j_lesion, both, j_both = pooled_scores(share, line)
        if max(both.width, j_both.width) > 2 * POINT or d.away(lesion) <= POINT:
            continue
        if d.away(both) > POINT / 2 or j.away(j_both) > POINT / 2:
            continue
        names = (DICE, JACCARD, "accuracy", "sensitivity", "specificity")
        cells = [line.cell(m) for m in names]
        yield judge("mixed-definitions", False, cells,
                    f"{line.label}: Dice {pct(d.mid)} and Jaccard {pct(j.mid)} are means over lesion and background; "
                    f"the lesion's own, from Acc, Sen and Spe, are {pct(lesion.mid, 1)} and {pct(j_lesion.mid, 1)}. "
                    f"{rows} rows of this table show the lesion's.", computed="mean over two classes",
                    expected="the lesion's, as in the other rows",
                    dice=lesion.mid * 100, jaccard=j_lesion.mid * 100)  # fmt: skip
        yield judge("two-class-identity", d.meets(both) and j.meets(j_both), cells,
                    f"{line.label}: as means over two classes, Acc, Sen and Spe give Dice {pct(both)} and Jaccard "
                    f"{pct(j_both)}; printed are {pct(d.mid)} and {pct(j.mid)}.", computed=f"J = {pct(j_both)}",
                    expected=f"J = {pct(j.mid)}", jaccard=j_both.mid * 100, dice=both.mid * 100)  # fmt: skip


# --------------------------------------------------------------------------------------------- two-class tables


def class_tables(lines: list[Line], facts: dict[str, Any]) -> Iterator[Finding]:
    """Classification tables: accuracy and both recalls fix the class shares, these fix the precisions."""
    groups: dict[tuple, dict[str, Line]] = {}
    for line in lines:
        setting = {k: v for k, v in line.setting.items() if k != "class"}
        key = (line.paper, line.table, line.row, tuple(sorted(setting.items())))
        groups.setdefault(key, {})[line.setting.get("class", "")] = line
    shares: dict[tuple, list[tuple[Line, str, Interval, tuple]]] = {}
    for rows in groups.values():
        whole, classes = rows.get(""), [name for name in rows if name]
        accuracy = whole.value("accuracy") if whole else None
        if accuracy is None or len(classes) != 2:
            continue
        one, two = (rows[name] for name in classes)
        r1, r2 = one.value("recall"), two.value("recall")
        if r1 is None or r2 is None or r1.meets(r2):
            continue
        share = span(lambda a, r, q: (a - q) / (r - q), accuracy, r1, r2)
        share = Interval(max(share.lo, Decimal(0)), min(share.hi, Decimal(1)))
        inputs = (whole.cell("accuracy"), one.cell("recall"), two.cell("recall"))
        yield judge("class-share", share.lo <= share.hi, inputs,
                    f"{one.label}: no class share gives accuracy {whole.cell('accuracy').value} from recalls "
                    f"{one.cell('recall').value} and {two.cell('recall').value}.")  # fmt: skip
        if share.lo > share.hi:
            continue
        test = (whole.paper, whole.table, tuple((k, v) for k, v in whole.setting.items() if k in ("data", "variant")))
        shares.setdefault(test, []).append((one, classes[0], share, inputs))
        for line, part, hit, other in (
            (one, share, r1, r2),
            (two, Interval(1 - share.hi, 1 - share.lo), r2, r1),
        ):
            p = line.value("precision")
            if p is None or part.lo <= 0:
                continue
            found = span(lambda w, r, q: w * r / (w * r + (1 - w) * (1 - q)), part, hit, other)
            yield judge("class-precision", p.meets(found), [line.cell("precision"), *inputs],
                        f"{line.label}: accuracy and recalls give a precision in {pct(found, 1)}; printed is "
                        f"{pct(p.mid, 1)}.", computed=pct(found, 1), expected=pct(p.mid, 1))  # fmt: skip
    for test, rows in shares.items():
        if len(rows) > 1:
            lo, hi = max(r[2].lo for r in rows), min(r[2].hi for r in rows)
            yield judge("class-shares-agree", lo <= hi, [cell for row in rows for cell in row[3]],
                        f"Class {rows[0][1]}: the rows give it shares of "
                        f"{', '.join(pct(r[2], 0) for r in rows)} % of one test set.",
                        computed="shares that do not meet", expected="one share",
                        where=(test[0], test[1], ",".join(v for _, v in test[2])))  # fmt: skip
    for known in facts.get("class_shares", []):
        for test, rows in shares.items():
            if ("data", known["data"]) not in test[2]:
                continue
            for _line, name, share, inputs in rows:
                share = share if name == known["class"] else Interval(1 - share.hi, 1 - share.lo)
                told, slack = Decimal(str(known["share"])), Decimal(str(known["slack"]))
                holds = share.away(Interval(told, told)) <= slack
                yield judge("class-share", holds, [*inputs, Quote(known["section"], known["quote"])],
                            f"{inputs[0].row} ({known['data']}): accuracy and recalls give class {known['class']} "
                            f"{pct(share, 0)} % of the test set; it is known to have {pct(told, 0)} %"
                            + (", the share of the other class." if share.away(Interval(1 - told, 1 - told)) <= slack
                               else "."),
                            computed=f"{pct(share, 0)} %", expected=f"{pct(told, 0)} %", share=share.mid)  # fmt: skip


# ------------------------------------------------------------------------------------------------------- patterns


def gaps(lines: list[Line]) -> Iterator[Finding]:
    """One block of alike methods, one level of J - f(D)."""
    blocks: dict[tuple, list[tuple[Line, Interval, Decimal]]] = {}
    for line in lines:
        gap = gap_of(line)
        if gap is not None:
            d = line.value(DICE).mid
            blocks.setdefault(line.block, []).append((line, gap, dispersion(d, gap.mid)))
    for rows in blocks.values():
        yield from _outliers(rows)
        yield from _two_levels(rows)
    yield from _levels_of_blocks(blocks)


def _outliers(rows: list[tuple[Line, Interval, Decimal]]) -> Iterator[Finding]:
    for line, gap, _ in rows:
        others = [q for other, _, q in rows if other is not line]
        rest = sorted(others)[2:]  # a second and third odd row must not hide the first
        if gap.hi < 0 or len(others) < 5 or rest[0] <= 0 or rest[-1] / rest[0] > Decimal("2.2"):
            continue
        d = line.value(DICE)
        usual = median(rest) * 2 * d.mid * (1 - d.mid) / (2 - d.mid) ** 3
        holds = usual < POINT or gap.width > usual / 2 or gap.hi >= usual / 15
        yield judge("gap-outlier", holds, [line.cell(DICE), line.cell(JACCARD)],
                    f"{line.label}: J - f(D) is {pct(gap.mid)} points (at most {pct(gap.hi)}); rows like the others of "
                    f"this block would have {pct(usual)} here.", computed=f"{pct(gap.mid)} points",
                    expected=f"about {pct(usual)} points", gap=gap.mid * 100, usual=usual * 100)  # fmt: skip


def _spreads(rows: list[tuple[Line, Interval, Decimal]]) -> list[Decimal]:
    """The printed spreads of Dice, 1 where there is none.

    With few images, one on which a method fails makes a level of its own; large spreads tell of few images.
    """
    spreads = [line.spread(DICE) for line, *_ in rows]
    return [Decimal(1) if spread is None else spread.hi for spread in spreads]


def _two_levels(rows: list[tuple[Line, Interval, Decimal]]) -> Iterator[Finding]:
    if max(_spreads(rows)) > Decimal("0.015"):
        return
    rows = sorted((row for row in rows if row[1].lo > 0), key=lambda row: row[2])
    if len(rows) < 5:
        return
    steps = [float(math.log(b[2] / a[2])) for a, b in pairwise(rows)]
    cut = max(range(1, len(rows) - 2), key=lambda i: steps[i])
    low, high = rows[: cut + 1], rows[cut + 1 :]
    d_low, d_high = (Interval(min(v), max(v)) for v in ([r[0].value(DICE).mid for r in part] for part in (low, high)))
    a, b = low[-1], high[0]
    sure = math.log(dispersion(b[0].value(DICE).mid, b[1].lo) / dispersion(a[0].value(DICE).mid, a[1].hi))
    within = max(step for i, step in enumerate(steps) if i != cut)
    far = median(row[1].mid for row in high) - median(row[1].mid for row in low) > POINT
    apart = far and sure > math.log(1.8) and steps[cut] > 3 * within and d_low.meets(d_high)
    levels = [", ".join(f"{line.row} {pct(gap.mid)}" for line, gap, _ in part) for part in (low, high)]
    yield judge("two-gaps", not apart, [cell for r in low for cell in (r[0].cell(DICE), r[0].cell(JACCARD))],
                f"J - f(D) in this block, parted at its widest step: {levels[0]} against {levels[1]} points.",
                computed=f"two levels, a factor {math.exp(steps[cut]):.2f} apart", expected="one level",
                where=(low[0][0].paper, low[0][0].table, ",".join(v for _, v in low[0][0].block[2:])),
                factor=Decimal(f"{math.exp(steps[cut]):.3f}"))  # fmt: skip


def _levels_of_blocks(blocks: dict[tuple, list[tuple[Line, Interval, Decimal]]]) -> Iterator[Finding]:
    """Blocks of one table on one test set, which differ in the labelled share alone."""
    tests: dict[tuple, list[list[tuple[Line, Interval, Decimal]]]] = {}
    for key, rows in blocks.items():
        if len(rows) >= 5 and "labelled" in rows[0][0].setting:
            others = tuple(item for item in key[2:] if item[0] != "labelled")
            tests.setdefault((*key[:2], others), []).append(rows)
    for key, group in tests.items():
        for one, two in combinations(group, 2):
            d_one, d_two = (median(row[0].value(DICE).mid for row in rows) for rows in (one, two))
            worse, better = (one, two) if d_one < d_two else (two, one)
            level = [median(row[2] for row in rows) for rows in (worse, better)]
            if level[0] <= 0 or max(median(_spreads(rows)) for rows in (worse, better)) > Decimal("0.025"):
                continue
            share = [rows[0][0].setting["labelled"] for rows in (worse, better)]
            factor = level[1] / level[0]
            gap = [median(row[1].mid for row in rows) for rows in (worse, better)]
            holds = factor <= Decimal("1.8") or gap[0] < POINT / 2 or gap[1] - gap[0] < POINT
            yield judge("gap-of-block", holds, [row[0].cell(JACCARD) for row in better],
                        f"The block with labelled={share[1]} has the better Dice and yet a J - f(D) of {pct(gap[1])} "
                        f"points, against {pct(gap[0])} with labelled={share[0]}.",
                        computed=f"a spread {factor:.1f} times as large", expected="no larger",
                        where=(*key[:2], f"{share[1]} over {share[0]}"), factor=factor)  # fmt: skip


def repeats(lines: list[Line]) -> Iterator[Finding]:
    """Rows of different experiments that agree in every digit of every mean and spread they share.

    How surprising an agreement is, is counted in bits: a value that could be any of 1000 printed ones has 10. Dice
    and Jaccard are nearly functions of one another, so Jaccard counts with the scatter of its gap only, and the other
    metrics with half their bits. Reported is what chance would show in less than one of 8000 tables; the bits of rows
    that one table shares with a table of another paper add up.
    """
    numeric = [line for line in lines if line.cell(DICE) is not None]
    if len(numeric) < 2:
        return
    scale = _information(numeric)
    enough = math.log2(len(numeric) * (len(numeric) - 1) / 2) + 13
    alike: dict[Any, list[Line]] = {}
    for line in numeric:
        alike.setdefault(_fraction(line.cell(DICE).value, line.cell(DICE)), []).append(line)
    shared: dict[tuple, list[tuple[Line, Line, float]]] = {}
    for group in alike.values():
        for one, two in combinations(group, 2):
            columns = _same(one, two)
            if columns is None:
                continue
            bits = sum(scale[column] for column in columns)
            clash = any(one.setting[k] != two.setting[k] for k in PROTOCOL if k in one.setting and k in two.setting)
            if clash or (one.paper, one.table) == (two.paper, two.table):
                if bits >= enough:
                    yield _repeated(one, two)
            elif one.paper != two.paper:
                shared.setdefault((two.paper, two.table, one.paper, one.table), []).append((two, one, bits))
    for (paper, table, other, other_table), rows in shared.items():
        if sum(bits for *_, bits in rows) >= enough:
            yield judge("shared-rows", False, [two.cell(DICE) for two, *_ in rows],
                        f"{len(rows)} rows equal rows of {other} table {other_table} in every digit of mean and "
                        f"spread: {', '.join(two.label for two, *_ in rows)}.", computed=f"{len(rows)} rows equal",
                        expected="own runs", where=(paper, table, f"{other}/{other_table}"),
                        rows=len(rows))  # fmt: skip


def _repeated(one: Line, two: Line) -> Finding:
    source = one.table if one.paper == two.paper else f"{one.table} of {one.paper}"
    return judge("repeated-row", False, [c for line in (two, one) for c in line.cells.values()],
                 f"{two.label} of table {two.table} and {one.label} of table {source} are equal in every digit of mean "
                 "and spread.", computed="equal in every digit", expected="two experiments",
                 where=(two.paper, two.table, f"{_slug(two.cell(DICE))}~{one.paper}/{one.table}/"
                        f"{_slug(one.cell(DICE))}"))  # fmt: skip


_FAMILY = {**dict.fromkeys(DICE, "D"), **dict.fromkeys(JACCARD, "J")}


def _fraction(number: Decimal, cell: Any) -> tuple[Decimal, int]:
    """A printed number as a fraction, with the place of its last digit."""
    shift = 2 if cell.unit == "percent" else 0
    moved = number.scaleb(-shift)
    return moved, moved.as_tuple().exponent


def _same(one: Line, two: Line) -> list[tuple[str, str]] | None:
    """The columns two rows share, if all of them are equal; None otherwise."""
    cells = [{_FAMILY.get(name, name): cell for name, cell in line.cells.items()} for line in (one, two)]
    columns = []
    for name in cells[0].keys() & cells[1].keys():
        a, b = cells[0][name], cells[1][name]
        if name not in ("D", "J") and name not in SHARES | NOT_NEGATIVE:
            continue
        if _fraction(a.value, a) != _fraction(b.value, b):
            return None
        columns.append((name, "mean"))
        if a.spread is not None and b.spread is not None:
            if _fraction(a.spread, a) != _fraction(b.spread, b):
                return None
            columns.append((name, "spread"))
    return columns


def _information(lines: list[Line]) -> dict[tuple[str, str], float]:
    """Bits in one printed number of each column: how many printed values its range holds."""
    values: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for line in lines:
        for name, cell in line.cells.items():
            family = _FAMILY.get(name, name)
            for part, number in (("mean", cell.value), ("spread", cell.spread)):
                if number is not None:
                    moved, place = _fraction(number, cell)
                    values.setdefault((family, part), []).append((float(moved), 10.0**place))
        gap = gap_of(line)
        if gap is not None:
            values.setdefault(("gap", "mean"), []).append((float(gap.mid), float(gap.width)))

    def bits(pairs: list[tuple[float, float]]) -> float:
        numbers = [number for number, _ in pairs]
        return math.log2(max(1.0, (max(numbers) - min(numbers)) / 2 / max(step for _, step in pairs)))

    found = {column: bits(pairs) / (1 if column[0] == "D" else 2) for column, pairs in values.items()}
    found["J", "mean"], found["J", "spread"] = 2 * found.get(("gap", "mean"), 0.0), 1.0
    return found


def labels(lines: list[Line]) -> Iterator[Finding]:
    """The row with every label is not far below a row with few."""
    groups: dict[tuple, list[Line]] = {}
    for line in lines:
        if "labelled" in line.setting and line.value(DICE) is not None:
            groups.setdefault((line.paper, line.table, line.setting.get("data", "")), []).append(line)
    for rows in groups.values():
        full = [line for line in rows if Decimal(line.setting["labelled"]) == 1]
        if not full:
            continue
        reference = max(full, key=lambda line: line.value(DICE).mid)
        top = reference.value(DICE)
        ahead = [line for line in rows if line not in full and line.value(DICE).lo - top.hi > _margin(line, reference)]
        yield judge("fewer-labels-win", not ahead, [line.cell(DICE) for line in (reference, *ahead)],
                    f"{reference.label} has every label and a Dice of {pct(top.mid)}; "
                    f"{', '.join(f'{line.label} {pct(line.value(DICE).mid)}' for line in ahead)} "
                    f"lie far above it.",
                    computed=f"{len(ahead)} rows above", expected="none", rows=len(ahead))  # fmt: skip


def _margin(one: Line, two: Line) -> Decimal:
    """What two Dice may differ by without surprise: three points and two spreads; without spreads, anything."""
    spreads = (one.spread(DICE), two.spread(DICE))
    if None in spreads:
        return Decimal(1)
    return 3 * POINT + 2 * sum((spread.hi**2 for spread in spreads), Decimal(0)).sqrt()


def table_checks(lines: list[Line], facts: dict[str, Any]) -> Iterator[Finding]:
    """Every check that needs nothing but the table itself (and known class shares)."""
    for check in (ranges, overlap_bounds, orders, precision_recall, confusion, prevalence, definitions, gaps, labels):
        yield from check(lines)
    yield from class_tables(lines, facts)
    yield from repeats(lines)
