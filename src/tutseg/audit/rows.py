"""The printed rows of a table: its cells by metric, and the names under which the rules know the metrics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from tutseg.audit.cell import Cell
from tutseg.audit.interval import Interval, printed

DICE = ("dice", "mdice", "dsc")
JACCARD = ("jaccard", "iou", "miou", "jc")
ASD, HD95, HM, XOR = ("asd", "assd"), ("hd95",), ("hm",), ("xor",)
RECALL = ("sensitivity", "recall")
SHARES = {*DICE, *JACCARD, *RECALL, "precision", "specificity", "accuracy", "f1", "macro_f1", "hm"}
NOT_NEGATIVE = {*ASD, *HD95, *XOR}
PROTOCOL = ("data", "train", "labelled", "class", "variant", "round")


@dataclass(frozen=True)
class Line:
    """One printed row of one table: its cells by metric; `cut` if their last digits may be cut off, not rounded."""

    paper: str
    table: str
    row: str
    setting: dict[str, str]
    cells: dict[str, Cell]
    zeros: dict[str, int] = field(default_factory=dict)
    cut: bool = False

    def cell(self, names: tuple[str, ...] | str) -> Cell | None:
        names = (names,) if isinstance(names, str) else names
        return next((self.cells[name] for name in names if name in self.cells), None)

    def value(self, names: tuple[str, ...] | str) -> Interval | None:
        """A cell as an interval, percentages as fractions."""
        cell = self.cell(names)
        return None if cell is None else printed(cell.value, scale_of(cell), self.zeros.get(cell.metric, 0), self.cut)

    def spread(self, names: tuple[str, ...] | str) -> Interval | None:
        cell = self.cell(names)
        return None if cell is None or cell.spread is None else printed(cell.spread, scale_of(cell), cut=self.cut)

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


def scale_of(cell: Cell) -> int:
    """What a printed value is divided by: percentages become fractions."""
    return 100 if cell.unit == "percent" else 1


def lines_of(cells: Iterable[Cell], cut: bool = False) -> list[Line]:
    """Cells gathered into printed rows, in order of appearance.

    A column of five numbers or more whose last digits are all 0 (95.0 %, 86.0 %, ...) was rounded before it: those
    zeros carry nothing and are not counted as digits. With `cut` further digits may have been cut off, not rounded.
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
        line = found.setdefault(key, Line(cell.paper, table, cell.row, dict(cell.setting), {}, {}, cut))
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


def select(lines: list[Line], where: Mapping[str, Any]) -> list[Line]:
    """The rows a statement speaks of: `table`, `row`, and at least the entries of `setting`; each may be missing."""
    setting = {key: str(value) for key, value in (where.get("setting") or {}).items()}
    return [
        line
        for line in lines
        if str(where.get("table") or line.table) == line.table
        and (where.get("row") or line.row) == line.row
        and setting.items() <= line.setting.items()
    ]
