"""The papers' own text, where it is at hand: the prose of a section, and the numbers in it."""

import os
import re
from functools import cache
from pathlib import Path

import pytest

from tutseg.files import project_root
from tutseg.papers.tables import Table, load_paper

HEADING = re.compile(r"^[ #*]*(Abstract|References|Supplementary|\d+(?:\.\d+)*(?=\.? +[A-Z]))", re.M)
NUMBER = re.compile(r"(?<![\w.])(?<!ISIC[ -])\d+(?:\.\d+)?(?!\d|\.\d)")
WORDS = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6"}


def text_of(paper: str) -> str:
    """A paper's text; without the papers the calling test is skipped."""
    root = project_root()
    folder = Path(os.environ.get("TUTSEG_PAPERS") or (root.parent / "shared" / "papers" if root else "papers"))
    if not folder.is_dir():
        pytest.skip("the papers' text is not here: set TUTSEG_PAPERS to a folder of dme-fd.txt, sam-kd.txt, ...")
    return (folder / f"{paper}.txt").read_text(encoding="utf-8")


def span_of(text: str, table: Table) -> str:
    """The part of the text in which a table stands."""
    start = text.index(table.span[0])
    return text[start : text.index(table.span[1], start + 1) if table.span[1] else None]


@cache
def sections(paper: str) -> dict[str, str]:
    """The prose below each numbered heading, the abstract and the supplement; the tables are cut out.

    A number of the prose is thus looked for in the prose, not in the table it is copied from.
    """
    text = text_of(paper)
    for table in load_paper(paper).tables:
        text = text.replace(span_of(text, table), "\n")
    found = list(HEADING.finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    parts: dict[str, str] = {}
    for match, end in zip(found, ends, strict=True):
        parts.setdefault(match[1].lower(), plain(text[match.end() : end]))
    return parts


def place(paper: str, section: str) -> str:
    """The prose of a section, or all of a table for ``"Table 2"``."""
    if section.startswith("Table "):
        return plain(span_of(text_of(paper), load_paper(paper).table(int(section[6:]))))
    return sections(paper)[section.lower()]


def plain(text: str) -> str:
    """One line, without emphasis, with plain hyphens and without commas in thousands."""
    text = " ".join(text.replace("**", "").replace("–", "-").split())
    return re.sub(r"(?<=\d),(?=\d{3})", "", text)


def numbers(text: str) -> set[str]:
    """Every number of a text, as printed; the year in the name of an ISIC challenge is none."""
    return set(NUMBER.findall(plain(text)))


def numbers_of(paper: str, section: str) -> set[str]:
    """Every number that stands in a section or table, in digits or as a word up to six."""
    text = place(paper, section)
    return numbers(text) | {digit for word, digit in WORDS.items() if re.search(rf"\b{word}\b", text, re.I)}
