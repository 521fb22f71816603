"""What the pages for teachers show of the labs: goal, minutes, figure; read from ``labs/``."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from tutseg.errors import InputError
from tutseg.files import csv_rows, project_root
from tutseg.report.markdown import plain, table

_PART = re.compile(r"^# ## (.+?)(?: \((\d+) min\))?$", re.MULTILINE)


@dataclass(frozen=True)
class Card:
    """What ``labs.yaml`` says of a lab.

    Parameters
    ----------
    name : str
        "L1".
    path : Path
        Its source, ``labs/L1_scores.py``.
    title, goal, chapter, needs, alt : str
        Title, one sentence, the page of the book it belongs to, "numpy" or "torch", alternative text of its figure.
    """

    name: str
    path: Path
    title: str
    goal: str
    chapter: str
    needs: str
    alt: str

    @cached_property
    def parts(self) -> list[tuple[str, int]]:
        """The headings of its source and their minutes, 0 where none are given."""
        found = _PART.findall(self.path.read_text(encoding="utf-8"))
        return [(title, int(minutes or 0)) for title, minutes in found]

    @property
    def link(self) -> str:
        """To its chapter, from a page of ``book/``."""
        return f"[](../{self.chapter}.{'ipynb' if self.chapter.startswith('notebooks/') else 'md'})"

    @property
    def minutes(self) -> int:
        """What it takes in class."""
        return sum(minutes for _, minutes in self.parts)


def folder() -> Path:
    """The checkout's ``labs/``."""
    root = project_root()
    if root is None or not (root / "labs" / "labs.yaml").exists():
        raise InputError("the labs' sources are not here", "clone the repository and install it with `make setup`")
    return root / "labs"


def cards() -> dict[str, Card]:
    """The labs of ``labs.yaml``, by name, in the order of the course."""
    where = folder()
    known = yaml.safe_load((where / "labs.yaml").read_text(encoding="utf-8"))
    names = {stem: stem.partition("_")[0] for stem in known}
    return {names[stem]: Card(names[stem], where / f"{stem}.py", **card) for stem, card in known.items()}


def term(_: Path) -> str:
    """A term, a session a lab: what is read before it, and what it takes."""
    rows = [
        (at, card.link, f"[{card.name}: {plain(card.title)}](lab-{card.name})", card.minutes)
        for at, card in enumerate(cards().values(), 1)
    ]
    return table(("session", "read before", "lab", "minutes"), rows, right=(0, 3))


def labs(_: Path) -> str:
    """Every lab: its goal, minutes and figure; and a computer's seconds for its parts, by ``benchmarks/labs.py``."""
    parts, took = [], folder().parent / "results" / "labs" / "seconds.csv"
    seconds = {(row["lab"], row["part"]): row["seconds"] for row in csv_rows(took)} if took.exists() else {}
    for card in cards().values():
        minutes = [
            (plain(title), planned, seconds.get((card.name, title), "not yet"))
            for title, planned in card.parts
            if planned
        ]
        needs = "NumPy alone" if card.needs == "numpy" else "the whole package"
        parts.append(
            f"(lab-{card.name})=\n## {card.name}: {plain(card.title)}\n\n{card.goal}\n\n"
            f"To read before: {card.link}. It needs {needs}.\n"
        )
        if (card.path.parent / "figures" / f"{card.name}.png").exists():
            parts.append(f"```{{image}} ../labs/figures/{card.name}.png\n:alt: {card.alt}\n```\n")
        parts.append(table(("part", "minutes in class, planned", "seconds of computing"), minutes, right=(1, 2)))
    return "\n".join(parts)
