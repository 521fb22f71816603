"""The ledger drawn: a paper's table with ours in each cell, verdicts, a forest plot; and the audit explained."""

import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from tutseg.papers.ledger import (
    Decided,
    Entry,
    Finished,
    counts,
    coverage,
    describe_setup,
    entries,
    points,
    read_evidence,
    scale_of,
    verdicts,
)
from tutseg.papers.tables import load_paper, papers
from tutseg.report.pages import plain, table

WORDS = ("reproduced", "inconclusive", "not reproduced")
# mid-tones that keep their contrast on white and on near-black; told apart by shape as well
COLOURS = {"reproduced": "#1b9e77", "inconclusive": "#8c8c8c", "not reproduced": "#d95f02"}
MARKERS = {"reproduced": "o", "inconclusive": "s", "not reproduced": "X"}
_INK = "#010203"  # stands for the page's own text colour until the drawing is finished


# ------------------------------------------------------------------------------------------------ a table and ours


@dataclass(frozen=True)
class Block:
    """The part of a printed table under one heading (a data set, say): lines of cells, some of them empty."""

    heading: str
    metrics: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Entry | None, ...]], ...]


@dataclass(frozen=True)
class PaperTable:
    """A paper's table with ours in each cell; a notebook shows it as HTML, with provenance on hover and in a note.

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
        A number for each reason why a cell will never have a number of ours, or differs from the paper's.
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
        if entry.state != "ours" or entry.ours is None:
            return f"cannot ({self.reasons[entry.why]})" if entry.state == "cannot" else "not yet"
        letter = self.setups[entry.ours.setup]
        note = f" ({self.reasons[entry.why]})" if entry.why else ""
        return f"{_number(entry, entry.ours.value, entry.ours.spread)} {letter}{note}"

    def evidence(self, entry: Entry) -> str:
        """Interval and n of our part of a cell."""
        if entry.ours is None:
            return ""
        ours = entry.ours
        n = f"{ours.seeds} × {ours.n_images}"
        if ours.low is None or ours.high is None:
            return f"one seed, n = {n}"
        about = "" if ours.by == "bootstrap" else "about "
        return f"{about}{_number(entry, ours.low)} to {_number(entry, ours.high)}, n = {n}"

    def lines(self, entry: Entry) -> list[str]:
        """A cell as lines of text: the paper's number, ours, and the evidence for ours."""
        return list(filter(None, (_printed(entry), self.ours(entry), self.evidence(entry))))

    def notes(self) -> list[str]:
        """Footnotes: what the letters and numbers stand for, and how to read a cell."""
        found = []
        for setup, letter in self.setups.items():
            trials = {item.id: item for e in self.entries if e.ours and e.ours.setup == setup for item in e.ours.trials}
            stamp = lambda name, trials=trials: ", ".join(
                sorted({item.provenance.get(name, "") for item in trials.values()})
            )
            where = ", ".join(sorted({item.origin.partition("/")[0] if item.origin.startswith("runs") else item.origin
                                      for item in trials.values()}))  # fmt: skip
            found.append(
                f"{letter}: {setup}. {len(trials)} trials of {where}; data {stamp('data')}; code {stamp('code')}; "
                f"{stamp('device')}; torch {stamp('torch')}; {stamp('date')}."
            )
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
            head = "".join(f"<th>{html.escape(name)}</th>" for name in (block.heading, *block.metrics))
            body = "".join(
                f"<tr><th scope='row'>{html.escape(label)}</th>{''.join(map(self._cell, line))}</tr>"
                for label, line in block.lines
            )
            parts.append(f"<table class='table'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        notes = "<br>".join(map(html.escape, self.notes()))
        return f"<div class='tutseg-table' style='overflow-x:auto'>{''.join(parts)}<p><small>{notes}</small></p></div>"

    def _cell(self, entry: Entry | None) -> str:
        if entry is None:
            return "<td></td>"
        style = "style='white-space:nowrap;overflow-wrap:normal'"
        printed = html.escape(_printed(entry))
        ours = html.escape(self.ours(entry))
        if entry.ours is None:
            return f"<td {style} title='{html.escape(entry.why)}'>{printed}<br><small>{ours}</small></td>"
        tip = "; ".join(f"{name}: {value}" for name, value in entry.ours.provenance.items() if value)
        evidence = "<br>".join(html.escape(self.evidence(entry)).split(", "))
        seen = f"<strong>{ours}</strong><br><small>{evidence}</small>"
        return f"<td {style} title='{html.escape(f'{entry.ours.setup}; {tip}')}'>{printed}<br>{seen}</td>"


def _printed(entry: Entry) -> str:
    cell = entry.cell
    return f"{cell.value}" if cell.spread is None else f"{cell.value} ± {cell.spread}"


def _number(entry: Entry, value: float, spread: float | None = None) -> str:
    """Two digits for percentages and pixels, three for fractions; more would not survive another seed."""
    digits = 3 if entry.cell.unit == "fraction" else 2
    return f"{value:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")


def _said(key: str, value: str) -> str:
    """One entry of a setting in words."""
    return f"{100 * float(value):g} % labelled" if key == "labelled" else f"{key} {value}"


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
    headings: dict[str, tuple[list[str], dict[str, dict[str, Entry]]]] = {}
    for line in lines.values():
        common = dict(set.intersection(*(set(entry.cell.setting.items()) for entry in line)))
        for entry in line:
            cell = entry.cell
            heading = ", ".join(_said(k, v) for k, v in cell.setting.items() if k not in common)
            own = [item for item in cell.setting.items() if item[0] in common and item not in everywhere]
            label = ", ".join([cell.row, *(_said(k, v) for k, v in own)])
            metrics, rows = headings.setdefault(heading, ([], {}))
            metrics += [cell.metric] if cell.metric not in metrics else []
            rows.setdefault(label, {})[cell.metric] = entry
    blocks = [
        Block(heading, tuple(metrics), tuple((label, tuple(map(row.get, metrics))) for label, row in rows.items()))
        for heading, (metrics, rows) in headings.items()
    ]
    setups = dict.fromkeys(entry.ours.setup for entry in found if entry.ours)
    reasons = dict.fromkeys(entry.why for entry in found if entry.why and (entry.ours or entry.state == "cannot"))
    return PaperTable(
        paper,
        number,
        load_paper(paper).table(number).caption.rstrip("."),
        ", ".join(_said(k, v) for k, v in found[0].cell.setting.items() if (k, v) in everywhere),
        tuple(blocks),
        dict(zip(setups, ascii_lowercase, strict=False)),
        {reason: i for i, reason in enumerate(reasons, 1)},
    )


# ------------------------------------------------------------------------------------------------- the forest plot


def forest(decided: Sequence[Decided]) -> str:
    """An SVG of effects with 95 % intervals beside the paper's own effect; empty if no claim was attempted.

    Filled marks are ours, coloured and shaped by verdict; hollow diamonds are the paper's. It takes the colours of the
    page it stands in.
    """
    shown = [item for item in decided if item.verdict.effect is not None]
    if not shown:
        return ""
    import matplotlib
    from matplotlib.figure import Figure

    style = {
        "svg.fonttype": "none", "svg.hashsalt": "tutseg", "font.family": "sans-serif", "font.size": 9,
        "text.color": _INK, "axes.edgecolor": _INK, "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK,
    }  # fmt: skip
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(5.2, 1.1 + 0.24 * len(shown)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(0, color=_INK, lw=0.8, alpha=0.6)
        seen = set()
        for y, item in enumerate(shown):
            verdict, scale = item.verdict, scale_of(item.claim)
            ends = [[(verdict.effect - verdict.low) * scale], [(verdict.high - verdict.effect) * scale]]
            # an equivalence's interval covers all pairs and need not be centred on the largest of them
            ends = [[max(end[0], 0.0)] for end in ends]
            label = None if verdict.verdict in seen else f"ours: {verdict.verdict}"
            seen.add(verdict.verdict)
            axes.errorbar(
                [verdict.effect * scale], [y], xerr=ends, fmt=MARKERS[verdict.verdict], ms=5, lw=1.4,
                color=COLOURS[verdict.verdict], label=label,
            )  # fmt: skip
            told = None if y else "the paper's own"
            axes.plot(item.paper_effect * scale, y, "D", ms=5, mfc="none", mec=_INK, mew=0.9, label=told)
            if item.claim.line:
                axes.plot([item.claim.line * scale] * 2, [y - 0.4, y + 0.4], color=_INK, lw=0.8, ls=":")
        axes.set_yticks(range(len(shown)), [f"{item.claim.id} {item.claim.score}" for item in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("claimed side better by (points of the score)")
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    told = "; ".join(
        f"{item.claim.id}: ours {points(item, item.verdict.effect)} ({points(item, item.verdict.low)} to "
        f"{points(item, item.verdict.high)}), paper {points(item, item.paper_effect)}, {item.verdict.verdict}"
        for item in shown
    )
    about = f"Effects of {len(shown)} claims with 95 % intervals beside the papers' own. {told}."
    return re.sub(
        r"<svg[^>]*?viewBox=\"([^\"]+)\"[^>]*>",
        lambda found: (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{found[1]}" role="img" aria-label="{html.escape(about)}" style="width:100%;max-width:44rem">'
        ),
        svg,
        count=1,
        flags=re.DOTALL,
    )


# ------------------------------------------------------------------------------------------- parts of the book's pages


def _raw(text: str) -> str:
    """HTML that Markdown must leave alone."""
    return f"```{{raw}} html\n{text}\n```\n"


def _committed() -> tuple[Finished, ...]:
    """Pages rest on what is committed, so that they are the same in every checkout."""
    return read_evidence(runs=False)


def coverage_part() -> str:
    """How many cells of each paper have a number of ours."""
    rows = coverage(_committed())
    total = {key: sum(row[key] for row in rows) for key in ("ours", "nameable", "cells", "illegible")} | {"name": "all"}
    heads = ["paper", "with ours", "could have one", "cells", "illegible", "claims"]
    claims = {row["name"]: len(verdicts_of(row["name"])) for row in rows}
    claims["all"] = sum(claims.values())
    return table(
        heads,
        [(*(row[key] for key in ("name", "ours", "nameable", "cells", "illegible")), claims[row["name"]])
         for row in [*rows, total]],
        range(1, 6),
    )  # fmt: skip


def verdicts_of(paper: str) -> list[Decided]:
    """A paper's claims, decided by the committed evidence."""
    return verdicts(paper, _committed())


def forest_part() -> str:
    """One forest plot a paper, where claims have been attempted."""
    parts = []
    for paper in papers():
        if svg := forest(verdicts_of(paper)):
            parts.append(f"### {paper}\n\n{_raw(f'<figure>{svg}</figure>')}")
    return "\n".join(parts) or "No claim has been attempted yet: the evidence for it is not there.\n"


def claims_part() -> str:
    """Verdicts counted, and every claim with its verdict and the sentence it tests."""
    each = {paper: verdicts_of(paper) for paper in papers()}
    words = list(counts(()))
    parts = [
        table(["paper", *words], [(name, *counts(found).values()) for name, found in each.items()], range(1, 5)),
    ]
    for name, found in each.items():
        lines = []
        for item in found:
            verdict, claim = item.verdict, item.claim
            ours = ""
            if verdict.effect is not None:
                ours = (
                    f", ours {points(item, verdict.effect)} ({points(item, verdict.low)} to "
                    f"{points(item, verdict.high)}; n = {verdict.seeds} × {verdict.n_images}; "
                    f"{describe_setup(item.trials)})"
                )
            place = f"{plain(claim.place)}, Table {claim.table}, {plain(where(item))}"
            lines.append(
                f"{claim.id}: **{verdict.verdict}**\n"
                f": “{plain(claim.sentence)}” ({place}). Points: the paper {points(item, item.paper_effect)}{ours}. "
                f"Verdict: {plain(verdict.why)}.\n"
            )
        body = "\n".join(lines)
        parts.append(f":::{{dropdown}} {name}: {len(found)} claims\n\n{body}\n:::\n")
    return "\n".join(parts)


def where(item: Decided) -> str:
    return ", ".join([*(_said(k, v) for k, v in item.claim.setting.items()), item.claim.metric])


def tables_part() -> str:
    """Every table of the papers with ours in each cell."""
    evidence, parts = _committed(), []
    for paper in papers():
        parts.append(f"### {paper}\n")
        for card in load_paper(paper).tables:
            shown = paper_table(paper, card.number, evidence)
            states = [entry.state for entry in shown.entries]
            head = f"Table {card.number}: ours in {states.count('ours')} of {len(states)} cells"
            parts.append(f":::{{dropdown}} {head}\n\n{_raw(shown._repr_html_())}:::\n")
    return "\n".join(parts)


def rules_part() -> str:
    """Every rule of the audit: what it says, what it assumes, what could explain a breach, and how many there are."""
    from tutseg.papers.audit import SEVERITIES, audit_all
    from tutseg.papers.checks import RULES

    found = [finding.rule for finding in audit_all()]
    parts = []
    for severity in SEVERITIES:
        rules = [rule for rule in RULES.values() if rule.severity == severity]
        total = sum(found.count(rule.name) for rule in rules)
        lines = []
        for rule in rules:
            innocent = "; or ".join(rule.innocent)
            times = found.count(rule.name)
            lines.append(
                f"`{rule.name}` ({times} in the five papers)\n"
                f": {plain(rule.says)} Assumes that {plain(rule.assumption)}."
                + (f" Could be innocent: {plain(innocent)}." if innocent else "")
                + ("" if rule.law else " A pattern, not a law: its absence clears nothing.")
                + "\n"
            )
        body = "\n".join(lines)
        parts.append(f":::{{dropdown}} {severity.capitalize()}: {len(rules)} rules, {total} findings\n\n{body}\n:::\n")
    return "\n".join(parts)


def candidates_part() -> str:
    """What a program makes of each suspicion that a reader had noted, and what it found beyond them."""
    from tutseg.papers.audit import audit_all, reconcile

    report, findings = reconcile(), audit_all()
    words = ("confirmed", "refuted", "undecided")
    each = {paper: [row["verdict"] for row in report if row["paper"] == paper] for paper in papers()}
    beyond = [finding for finding in findings if not finding.x]
    new = {paper: sum(finding.paper == paper for finding in beyond) for paper in papers()}
    rows = [(paper, len(got), *map(got.count, words), new[paper]) for paper, got in each.items()]
    total = ("all", *(sum(row[i] for row in rows) for i in range(1, 6)))
    parts = [table(["paper", "suspicions", *words, "findings beyond them"], [*rows, total], range(1, 6))]
    for word in words:
        told = [row for row in report if row["verdict"] == word]
        lines = [f"{row['x']} ({row['paper']}): {plain(row['statement'])}\n: {plain(row['why'])}\n" for row in told]
        if told:
            body = "\n".join(lines)
            parts.append(f":::{{dropdown}} {word.capitalize()}: {len(told)}\n\n{body}\n:::\n")
    lines = [f"- {finding.paper}, Table {finding.table}: {plain(finding.message)}" for finding in beyond]
    if lines:
        body = "\n".join(lines)
        parts.append(f":::{{dropdown}} Found by the program alone: {len(lines)}\n\n{body}\n:::\n")
    return "\n".join(parts)


PARTS = {
    "ledger-coverage": coverage_part,
    "ledger-forest": forest_part,
    "ledger-claims": claims_part,
    "ledger-tables": tables_part,
    "audit-rules": rules_part,
    "audit-candidates": candidates_part,
}


def part(name: str) -> str:
    """A generated part of a page, by name."""
    return PARTS[name]()
