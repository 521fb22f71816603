"""Laws within one row: ranges, the bounds between Dice, Jaccard, HM, precision and recall, and orders.

Notation: D Dice, J Jaccard of the same masks, f(D) = D/(2 - D). For one mask J = f(D), and f is convex, so for
every averaging over images, batches, folds or classes mean(J) >= f(mean D), and mean(J) <= mean(D).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tutseg.audit.finding import Finding, judge
from tutseg.audit.interval import Interval, pct, span
from tutseg.audit.rows import ASD, DICE, HD95, HM, JACCARD, NOT_NEGATIVE, RECALL, SHARES, XOR, Line


def jaccard_of(d: Decimal) -> Decimal:
    """f(D) = D/(2 - D)."""
    return d / (2 - d)


def gap_of(line: Line) -> Interval | None:
    """J - f(D) of a row, as an interval."""
    d, j = line.value(DICE), line.value(JACCARD)
    if d is None or j is None or not 0 < d.lo <= d.hi < 1:
        return None
    least = span(jaccard_of, d)
    return Interval(j.lo - least.hi, j.hi - least.lo)


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


def most_mean_distance(hd95: Decimal, diagonal: Decimal) -> Decimal:
    """The largest mean of distances: 95 % of them at their 95th percentile, the rest at the picture's diagonal."""
    return Decimal("0.95") * hd95 + Decimal("0.05") * diagonal


def orders(lines: list[Line], facts: Mapping[str, Any]) -> Iterator[Finding]:
    """J <= D, ASD <= HD95, HM <= XOR; and whether exchanging the two columns repairs what breaks.

    ASD above HD95 takes a few enormous distances; impossible is only what `most_mean_distance` rules out, where the
    size of the pictures is among the `sides` of `facts`.
    """
    diagonals = {
        side["data"]: Decimal(side["height"] ** 2 + side["width"] ** 2).sqrt() for side in facts.get("sides", ())
    }
    for small, large, rule, law in _ORDERS:
        tables: dict[tuple[str, str], list[Line]] = {}
        for line in lines:
            if line.cell(small) is not None and line.cell(large) is not None:
                tables.setdefault((line.paper, line.table), []).append(line)
        for table, rows in tables.items():
            broken = []
            for line in rows:
                a, b = line.cell(small), line.cell(large)
                low, high = line.value(small).lo, line.value(large).hi
                holds = low <= high
                broken += [] if holds else [line]
                must, severity = f"it must be {law}", None
                if small is ASD:
                    must = f"{law} but for a few enormous distances"
                    diagonal = diagonals.get(line.setting.get("data"))
                    if diagonal is not None:
                        most = most_mean_distance(high, diagonal)
                        severity = "impossible" if low > most else None
                        must += f", and {a.metric} <= {most:.1f} even with them on pictures of this size"
                yield judge(rule, holds, [a, b],
                            f"{line.label}: {a.metric} {a.value} beside {b.metric} {b.value}; {must}.",
                            computed=f"{a.metric} = {a.value}, {b.metric} = {b.value}", expected=law,
                            severity=severity)  # fmt: skip
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
                    where=(*table, f"{a.metric},{b.metric}"), severity="suspicious" if small is ASD else None,
                    rows=len(repaired))  # fmt: skip
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
