"""Patterns between the rows of a table: the level of J - f(D) in a block, and Dice against the labelled share.

See `tutseg.audit.bounds` for the notation. A pattern is a statistic; a table without it is merely unremarkable.
"""

import math
from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations, pairwise
from statistics import median

from tutseg.audit.bounds import gap_of
from tutseg.audit.finding import Finding, judge
from tutseg.audit.interval import POINT, Interval, pct
from tutseg.audit.rows import DICE, JACCARD, Line


def dispersion(d: Decimal, gap: Decimal) -> Decimal:
    """The share of the largest possible variance of Dice that a gap J - f(D) speaks of, to second order.

    gap = f''(D) Var(D) / 2 with f''(D) = 4/(2 - D)^3, and Var(D) <= D (1 - D).
    """
    return gap * (2 - d) ** 3 / (2 * d * (1 - d))


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
