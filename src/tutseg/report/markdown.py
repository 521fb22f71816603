"""Markdown (MyST) that generated parts of pages are made of."""

import re
from collections.abc import Iterable, Sequence
from typing import Any


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], right: Iterable[int] = ()) -> str:
    """A Markdown table.

    Parameters
    ----------
    heads : sequence of str
        Column titles.
    rows : iterable of sequences
        Cells; None becomes a dash.
    right : iterable of int
        Columns that hold numbers and are aligned right.
    """
    right = set(right)
    cell = lambda value: "–" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
    lines = [heads, ["--:" if i in right else ":--" for i in range(len(heads))], *rows]
    body = "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)
    return f"\n{body}\n"


def plain(text: str) -> str:
    """Text whose stars, bars and brackets Markdown leaves alone."""
    return re.sub(r"([\\`*_\[\]<>$|])", r"\\\1", text.strip())


def raw(text: str) -> str:
    """HTML that Markdown must leave alone."""
    return f"```{{raw}} html\n{text}\n```\n"
