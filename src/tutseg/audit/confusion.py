"""Laws of rows that come from one confusion matrix over all pixels: their metrics fix one another."""

from collections.abc import Iterator
from decimal import Decimal
from statistics import median

from tutseg.audit.bounds import gap_of, jaccard_of
from tutseg.audit.finding import Finding, judge
from tutseg.audit.interval import POINT, Interval, pct, span
from tutseg.audit.rows import DICE, JACCARD, Line

SLACK = Decimal("0.015")  # of a share of pixels, for rows that are means over a few folds and do not say so


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
