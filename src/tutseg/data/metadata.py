"""Tables that come with pictures (classes, lesions, diagnoses), also when a spreadsheet has saved them again."""

from collections.abc import Sequence
from pathlib import Path

from tutseg.errors import InputError
from tutseg.files import delimited

_REMEDY = "take the table of the download, or repair that line"


class Row(dict[str, str]):
    """A line of a table by column; `where` names file and line."""

    def __init__(self, where: str, cells: dict[str, str]) -> None:
        super().__init__(cells)
        self.where = where

    def yes(self, column: str) -> bool:
        """Whether a cell holds 1 (true), not 0 (false); "1,0" and "0,0" are read too."""
        try:
            value = float(self[column].replace(",", "."))
        except ValueError:
            value = -1.0
        if value not in (0, 1):
            raise InputError(f"{self.where}: {column} is '{self[column]}', not 0 or 1", _REMEDY)
        return bool(value)


def read_metadata(path: Path, columns: Sequence[str], headed: bool = True) -> list[Row]:
    """The lines of a table, whatever separates its cells; blank ones are skipped.

    Parameters
    ----------
    columns : sequence of str
        What the heading must name; for a table without heading (`headed` false), its columns in order.

    Raises
    ------
    InputError
        The file is no table, lacks a column, or a line lacks cells or has one of these empty; names file and line.
    """
    lines = delimited(path)
    head = list(columns)
    if headed:
        (number, head), *lines = lines or [(1, [])]
        if missing := [name for name in columns if name not in head]:
            found = ", ".join(head) or "nothing"
            raise InputError(f"{path}, line {number}: no column {' nor '.join(missing)} (found {found})", _REMEDY)
    rows = []
    for number, cells in lines:
        where = f"{path}, line {number}"
        cells = cells if any(cells[len(head) :]) else cells[: len(head)]
        if len(cells) != len(head):
            raise InputError(f"{where}: {len(cells)} cells under {len(head)} headings", _REMEDY)
        rows.append(Row(where, dict(zip(head, cells, strict=True))))
        if empty := [name for name in columns if not rows[-1][name]]:
            raise InputError(f"{where}: {' and '.join(empty)} is empty", _REMEDY)
    return rows
