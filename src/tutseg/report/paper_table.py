"""A paper's table with ours in each cell."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from tutseg.papers.cells import Entry, entries
from tutseg.papers.tables import load_paper, said
from tutseg.report.table import folded, html_table, scrolling
from tutseg.training.evidence import Finished


@dataclass(frozen=True)
class Block:
    """The part of a printed table under one heading (a data set, say): lines of cells, some of them empty."""

    heading: str
    metrics: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Entry | None, ...]], ...]


@dataclass(frozen=True)
class PaperTable:
    """A paper's table with ours in each cell; a notebook shows it as HTML, provenance folded away.

    Parameters
    ----------
    paper, number, caption : str, int, str
        Which table.
    setting : str
        What all its cells have in common.
    blocks : tuple of Block
        Its parts.
    setups : dict
        A letter for each of our setups; cells of different letters are not comparable with one another.
    reasons : dict
        A number for each reason why a cell has no number of ours, or why ours differs in kind from the paper's.
    """

    paper: str
    number: int
    caption: str
    setting: str
    blocks: tuple[Block, ...]
    setups: dict[str, str]
    reasons: dict[str, int]

    @property
    def entries(self) -> list[Entry]:
        """All cells, in reading order."""
        return [entry for block in self.blocks for _, line in block.lines for entry in line if entry]

    @property
    def title(self) -> str:
        """Caption, and how many cells have a number of ours."""
        states = [entry.state for entry in self.entries]
        could = len(states) - states.count("cannot")
        return (
            f"{self.paper}, Table {self.number}: {self.caption}{self.setting and f' ({self.setting})'}. "
            f"Ours in {states.count('ours')} of {could} cells that we can name, of {len(states)} in all."
        )

    def ours(self, entry: Entry) -> str:
        """Our part of a cell: value ± spread with the setup's letter, "not yet", or "cannot"."""
        note = f" ({self.reasons[entry.why]})" if entry.why else ""
        if entry.ours is None:
            return f"{entry.state}{note}"
        letter = self.setups[entry.ours.setup]
        return f"{_number(entry, entry.ours.value, entry.ours.spread)} {letter}{note}"

    def evidence(self, entry: Entry) -> str:
        """Interval and n of our part of a cell."""
        if entry.ours is None:
            return ""
        ours = entry.ours
        n = f"{ours.seeds} × {ours.n_images}"
        if ours.low is None or ours.high is None:
            return f"one seed, n = {n}"
        about = "" if ours.by == "images" else "about "
        return f"{about}{_number(entry, ours.low)} to {_number(entry, ours.high)}, n = {n}"

    def lines(self, entry: Entry) -> list[str]:
        """A cell as lines of text: the paper's number, ours, and the evidence for ours."""
        return list(filter(None, (_printed(entry), self.ours(entry), self.evidence(entry))))

    def origins(self) -> dict[str, str]:
        """Where the numbers of each setup come from, by its letter."""
        found = {}
        for setup, letter in self.setups.items():
            trials = {item.id: item for e in self.entries if e.ours and e.ours.setup == setup for item in e.ours.trials}
            stamp = lambda name, trials=trials: ", ".join(
                sorted({item.provenance.get(name, "") for item in trials.values()})
            )
            where = ", ".join(sorted({item.origin.partition("/")[0] if item.origin.startswith("runs") else item.origin
                                      for item in trials.values()}))  # fmt: skip
            found[letter] = (
                f"{len(trials)} trials of {where}; data {stamp('data')}; code {stamp('code')}; "
                f"{stamp('device')}; torch {stamp('torch')}; {stamp('date')}."
            )
        return found

    def commands(self) -> dict[str, str]:
        """What made the numbers of each line, by the line's name."""
        made: dict[str, dict[str, None]] = {}
        for block in self.blocks:
            for label, line in block.lines:
                for entry in line:
                    if entry and entry.ours and (command := entry.ours.provenance.get("command")):
                        made.setdefault(", ".join(filter(None, (label, block.heading))), {})[command] = None
        return {name: ", ".join(commands) for name, commands in made.items()}

    def notes(self) -> list[str]:
        """Footnotes: what the letters and numbers stand for, and how to read a cell."""
        found = [f"{letter}: {setup}." for setup, letter in self.setups.items()]
        if len(self.setups) > 1:
            found.append("Numbers with different letters are not comparable with one another.")
        found += [f"({number}) {reason}." for reason, number in self.reasons.items()]
        if self.setups:
            found.append(
                "Ours: mean over test images and seeds ± standard deviation over seeds; below it the 95 % interval "
                "over seeds and images, and n = seeds × images ('about': from the two deviations). Distances are in "
                "pixels of the size named."
            )
        return found

    def as_rows(self) -> list[dict[str, Any]]:
        """Plain values, ready for JSON."""
        rows = []
        for entry in self.entries:
            cell, ours = entry.cell, entry.ours
            mine = ours and {
                "value": ours.value, "spread": ours.spread, "low": ours.low, "high": ours.high, "interval": ours.by,
                "seeds": ours.seeds, "n_images": ours.n_images, "setup": ours.setup, "score": ours.score,
                "trials": [item.id for item in ours.trials], **ours.provenance,
            }  # fmt: skip
            name = ", ".join([cell.row, *(f"{k}={v}" for k, v in cell.setting.items()), cell.metric])
            printed = {"value": float(cell.value), "spread": None if cell.spread is None else float(cell.spread)}
            rows.append(
                {"name": name, "row": cell.row, "setting": cell.setting, "metric": cell.metric, "unit": cell.unit,
                 "position": cell.position, "paper": printed, "state": entry.state, "why": entry.why, "ours": mine}
            )  # fmt: skip
        return rows

    def _repr_html_(self) -> str:
        parts = [f"<p>{html.escape(self.title)}</p>"]
        for block in self.blocks:
            rows = [[html.escape(label), *map(self._cell, line)] for label, line in block.lines]
            first = html.escape(block.heading) or "<span class='visually-hidden'>row</span>"
            parts.append(
                scrolling(html_table([first, *map(html.escape, block.metrics)], rows), block.heading or "cells")
            )
        notes = "<br>".join(map(html.escape, self.notes()))
        made = [html.escape(f"{letter}: {origin}") for letter, origin in self.origins().items()]
        made += [f"{html.escape(name)}: <code>{html.escape(line)}</code>" for name, line in self.commands().items()]
        return f"<div class='tutseg-table'>{''.join(parts)}<p><small>{notes}</small></p>{folded(made)}</div>"

    def _cell(self, entry: Entry | None) -> str:
        if entry is None:
            return ""
        printed, ours = html.escape(_printed(entry)), html.escape(self.ours(entry))
        if entry.ours is None:
            return f"{printed}<br><small>{ours}</small>"
        evidence = "<br>".join(html.escape(self.evidence(entry)).split(", "))
        return f"{printed}<br><strong>{ours}</strong><br><small>{evidence}</small>"


def _printed(entry: Entry) -> str:
    cell = entry.cell
    return f"{cell.value}" if cell.spread is None else f"{cell.value} ± {cell.spread}"


def _number(entry: Entry, value: float, spread: float | None = None) -> str:
    """Two digits for percentages and pixels, three for fractions; more would not survive another seed."""
    digits = 3 if entry.cell.unit == "fraction" else 2
    return f"{value:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")


def paper_table(paper: str, number: int, evidence: Sequence[Finished] | None = None) -> PaperTable:
    """A paper's table with ours in each cell.

    Raises
    ------
    InputError
        Unknown paper or table.
    """
    found = entries(paper, number, evidence)
    lines: dict[str, list[Entry]] = {}
    for entry in found:
        lines.setdefault(entry.cell.position.partition("c")[0], []).append(entry)
    everywhere = set.intersection(*(set(entry.cell.setting.items()) for entry in found))
    if "data" not in dict(everywhere):  # of how many pictures a share is depends on the data set
        everywhere = {(key, value) for key, value in everywhere if key != "labelled"}
    headings: dict[str, tuple[list[str], dict[str, dict[str, Entry]]]] = {}
    for line in lines.values():
        common = dict(set.intersection(*(set(entry.cell.setting.items()) for entry in line)))
        if "data" not in common:
            common.pop("labelled", None)
        for entry in line:
            cell = entry.cell
            told = lambda own, cell=cell: said(paper, own, cell.setting)
            heading = ", ".join(told({k: v for k, v in cell.setting.items() if k not in common}))
            own = {k: v for k, v in cell.setting.items() if k in common and (k, v) not in everywhere}
            label = ", ".join([cell.row, *told(own)])
            metrics, rows = headings.setdefault(heading, ([], {}))
            metrics += [cell.metric] if cell.metric not in metrics else []
            rows.setdefault(label, {})[cell.metric] = entry
    blocks = [
        Block(heading, tuple(metrics), tuple((label, tuple(map(row.get, metrics))) for label, row in rows.items()))
        for heading, (metrics, rows) in headings.items()
    ]
    setups = dict.fromkeys(entry.ours.setup for entry in found if entry.ours)
    reasons = dict.fromkeys(entry.why for entry in found if entry.why)
    return PaperTable(
        paper,
        number,
        load_paper(paper).table(number).caption.rstrip("."),
        ", ".join(said(paper, {k: v for k, v in found[0].cell.setting.items() if (k, v) in everywhere})),
        tuple(blocks),
        dict(zip(setups, ascii_lowercase, strict=False)),
        {reason: i for i, reason in enumerate(reasons, 1)},
    )
