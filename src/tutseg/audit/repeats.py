"""Rows of different experiments, or of different papers, that agree in every digit."""

import math
from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations
from typing import Any

from tutseg.audit.bounds import gap_of
from tutseg.audit.cell import Cell
from tutseg.audit.finding import Finding, judge, slug
from tutseg.audit.rows import DICE, JACCARD, NOT_NEGATIVE, PROTOCOL, SHARES, Line


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
                 where=(two.paper, two.table, f"{slug(two.cell(DICE))}~{one.paper}/{one.table}/"
                        f"{slug(one.cell(DICE))}"))  # fmt: skip


_FAMILY = {**dict.fromkeys(DICE, "D"), **dict.fromkeys(JACCARD, "J")}


def _fraction(number: Decimal, cell: Cell) -> tuple[Decimal, int]:
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
