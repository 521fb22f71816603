"""The audit: every rule over the cells of a paper's tables, or over any results table.

A finding states which numbers cannot, or can hardly, stand together, on which assumption, and which harmless
explanations there are. It accuses nobody.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tutseg.audit.bounds import orders, overlap_bounds, precision_recall, ranges
from tutseg.audit.cell import Cell
from tutseg.audit.classification import class_tables
from tutseg.audit.confusion import confusion, definitions, prevalence
from tutseg.audit.finding import Finding
from tutseg.audit.patterns import gaps, labels
from tutseg.audit.promises import promise_checks
from tutseg.audit.repeats import repeats
from tutseg.audit.rows import Line, lines_of
from tutseg.audit.rules import CUT, RULES
from tutseg.audit.usertable import UserTable, read_table

SEVERITIES = ("impossible", "inconsistent", "suspicious")


def examine(
    cells: Iterable[Cell], facts: Mapping[str, Any] | None = None, text: list[Any] | None = None
) -> list[Finding]:
    """Apply every rule; the outcomes, those that hold among them (``severity == "holds"``).

    Parameters
    ----------
    cells : iterable of Cell
        Cells of one or more tables of one paper.
    facts, text : dict, list
        Statements about the tables, as in ``facts.yaml`` and as ``text_numbers`` of ``paper.yaml``.
    """
    cells, facts, text = list(cells), facts or {}, text or []
    outcomes = list(_checks(lines_of(cells), facts, text))
    broken = [outcome for outcome in outcomes if not outcome.holds and RULES[outcome.rule].law]
    if broken:
        still = {outcome.id for outcome in _checks(lines_of(cells, cut=True), facts, text) if not outcome.holds}
        for outcome in broken:
            if outcome.id not in still:
                outcome.innocent = (CUT, *outcome.innocent)
    return numbered(outcomes)


def _checks(lines: list[Line], facts: Mapping[str, Any], text: list[Any]) -> Iterator[Finding]:
    for check in (ranges, overlap_bounds, precision_recall, confusion, prevalence, definitions, gaps, labels):
        yield from check(lines)
    yield from orders(lines, facts)
    yield from class_tables(lines, facts)
    yield from repeats(lines)
    yield from promise_checks(lines, facts, text)


def numbered(outcomes: list[Finding]) -> list[Finding]:
    """Give equal ids a number, and put the gravest first."""
    seen: dict[str, int] = {}
    for outcome in outcomes:
        seen[outcome.id] = seen.get(outcome.id, 0) + 1
        if seen[outcome.id] > 1:
            outcome.id += f"#{seen[outcome.id]}"
    order = {name: i for i, name in enumerate(SEVERITIES)}
    return sorted(outcomes, key=lambda f: (f.paper, order.get(f.severity, len(order)), str(f.table)))


def audit_cells(
    cells: Iterable[Cell], facts: Mapping[str, Any] | None = None, text: list[Any] | None = None
) -> list[Finding]:
    """The rules that do not hold, gravest first; see `examine` for the parameters."""
    return [outcome for outcome in examine(cells, facts, text) if not outcome.holds]


def audit_table(table: UserTable) -> list[Finding]:
    """What is found in a results table of one's own, see `read_table`."""
    return numbered([*table.aside, *audit_cells(table.cells)])


def audit_csv(path: str | Path) -> list[Finding]:
    """Audit any results table, wide or tidy (see `read_table`).

    Raises
    ------
    InputError
        The file cannot be read as a table; names line and column.
    """
    return audit_table(read_table(Path(path)))
