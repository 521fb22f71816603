"""One table: rows of text with a caption, a note, and where its numbers come from."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Table:
    """Rows of text with a caption; a notebook shows it as HTML.

    Parameters
    ----------
    heads : tuple of str
        Column titles.
    rows : tuple of tuple of str
        Cells.
    caption, note : str
        What it shows; how to read it.
    origin : str
        Where its numbers come from; folded away.
    keys : int
        So many of the first columns name their row.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    note: str = ""
    origin: str = ""
    keys: int = 1

    def _repr_html_(self) -> str:
        note = f"<p><small>{html.escape(self.note)}</small></p>" if self.note else ""
        cells = [[html.escape(text) for text in row] for row in self.rows]
        table = html_table([html.escape(head) for head in self.heads], cells, html.escape(self.caption), self.keys)
        origin = folded(html.escape(self.origin).split("; "))
        return f'<div class="tutseg-table">{scrolling(table, self.caption)}{note}{origin}</div>'

    def __repr__(self) -> str:
        lines = [self.caption, " | ".join(self.heads), *(" | ".join(row) for row in self.rows), self.note, self.origin]
        return "\n".join(line for line in lines if line)


def html_table(heads: Iterable[str], rows: Iterable[Sequence[str]], caption: str = "", keys: int = 1) -> str:
    """A table of cells that are HTML; heads belong to their columns, the first `keys` cells to their row."""
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    body = "".join(
        "<tr>"
        + "".join(f'<th scope="row">{text}</th>' for text in row[:keys])
        + "".join(
            f'<td class="tutseg-short">{text}</td>' if len(text) < 22 else f"<td>{text}</td>" for text in row[keys:]
        )
        + "</tr>"
        for row in rows
    )
    caption = f"<caption><span>{caption}</span></caption>" if caption else ""
    return f'<table class="table">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def scrolling(wide: str, name: str) -> str:
    """Something wide, such as a table, that is moved sideways, by keyboard too, where the page is narrower."""
    return (
        f'<div class="tutseg-scroll" role="group" tabindex="0" aria-label="{html.escape(name)}" '
        f'style="overflow-x:auto">{wide}</div>'
    )


def folded(items: Sequence[str]) -> str:
    """Where the numbers come from, as HTML items that open on demand; nothing for none."""
    if not any(items):
        return ""
    each = "".join(f"<li>{item}</li>" for item in items)
    return f"<details><summary>Where these numbers come from</summary><ul>{each}</ul></details>"
