"""What a rule makes of some numbers."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tutseg.audit.cell import Cell
from tutseg.audit.rows import PROTOCOL
from tutseg.audit.rules import RULES


@dataclass(frozen=True)
class Statement:
    """What a section of the text says, in our words, where a finding rests on it."""

    section: str
    statement: str


@dataclass
class Finding:
    """One rule applied to some numbers; what the audit returns are those that do not hold.

    `computed` and `expected` are for people, `numbers` holds the same values for programs (percentages in points).
    `x` names the candidates of ``data/papers/candidates.yaml`` that this finding bears on.
    """

    id: str
    paper: str
    table: str
    rule: str
    inputs: tuple[Cell | Statement, ...]
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


def _plain(item: Cell | Statement) -> dict[str, Any]:
    if isinstance(item, Statement):
        return {"section": item.section, "statement": item.statement}
    return {
        "table": str(item.table), "row": item.row, "setting": dict(item.setting), "metric": item.metric,
        "value": str(item.value), "spread": None if item.spread is None else str(item.spread),
        "position": item.position,
    }  # fmt: skip


def judge(
    rule: str,
    holds: bool,
    inputs: Iterable[Cell | Statement],
    message: str,
    computed: str = "",
    expected: str = "",
    where: tuple[str, str, str] | None = None,
    severity: str | None = None,
    **numbers: Decimal,
) -> Finding:
    """The outcome of a rule, as grave as its rule unless `severity` says so.

    `where` = (paper, table, what) if the first input is no cell.
    """
    law, inputs = RULES[rule], tuple(inputs)
    if where is None:
        first = inputs[0]
        where = (first.paper, str(first.table), slug(first))
    paper, table, what = where
    return Finding(
        id=f"{paper}/{table}/{rule}/{what}",
        paper=paper,
        table=table,
        rule=rule,
        inputs=inputs,
        computed=computed,
        expected=expected,
        severity="holds" if holds else severity or law.severity,
        assumption=law.assumption,
        innocent=law.innocent,
        message=message,
        numbers={name: Decimal(value) for name, value in numbers.items()},
    )


def slug(cell: Cell) -> str:
    return ",".join([cell.row, *(f"{k}={v}" for k, v in cell.setting.items() if k in PROTOCOL)]).replace(" ", "")
