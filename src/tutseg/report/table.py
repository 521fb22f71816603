"""One table: rows of text with a caption and a footnote."""

import html
from dataclasses import dataclass, field


@dataclass(frozen=True, repr=False)
class Table:
    """Rows of text with a caption and a footnote; a notebook shows it as HTML.

    Parameters
    ----------
    heads : tuple of str
        Column titles.
    rows : tuple of tuple of str
        Cells.
    caption, note : str
        What it shows; where it came from.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    note: str = ""
    tips: dict[tuple[int, int], str] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        cell = lambda text, tag, tip="": (
            f"<{tag}{tip and f' title={chr(34)}{html.escape(tip)}{chr(34)}'}>{text}</{tag}>"
        )
        head = "".join(cell(html.escape(text), "th") for text in self.heads)
        body = "".join(
            "<tr>"
            + "".join(cell(html.escape(text), "td", self.tips.get((i, j), "")) for j, text in enumerate(row))
            + "</tr>"
            for i, row in enumerate(self.rows)
        )
        note = f"<p><small>{html.escape(self.note)}</small></p>" if self.note else ""
        return (
            f'<div class="tutseg-table" style="overflow-x:auto"><table class="table">'
            f"<caption>{html.escape(self.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}</div>"
        )

    def __repr__(self) -> str:
        lines = [self.caption, " | ".join(self.heads), *(" | ".join(row) for row in self.rows), self.note]
        return "\n".join(line for line in lines if line)
