"""Tables straight from one committed CSV file."""

from pathlib import Path

from tutseg.files import csv_rows
from tutseg.report.table import Table


def csv_table(path: Path, columns: dict[str, str], caption: str) -> Table:
    """Some columns of a committed CSV file under readable heads, with the file as provenance."""
    rows = [tuple(row[column] for column in columns) for row in csv_rows(path)]
    return Table(tuple(columns.values()), tuple(rows), caption, origin=f"From results/{path.name}.")
