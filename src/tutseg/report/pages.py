"""Parts of the book's pages that are made from what the package knows: Markdown (MyST) out, nothing typed in twice.

A page asks for one with a line ``<!-- generated: NAME -->``; the names are the keys of `GENERATED`.
"""

import inspect
import json
from collections.abc import Callable
from pathlib import Path

from tutseg.files import csv_rows, project_root
from tutseg.report.markdown import plain, raw, table

# The package from its foundation up, with what a reader looks for in each room.
_ROOMS = {
    "code": "What a piece of code reaches",
    "reads": "What a process reads",
    "audit": "What printed numbers owe one another",
    "data": "Images and masks in",
    "metrics": "Every score, under every averaging convention",
    "quality": "How good drawn pictures are",
    "losses": "Losses that more than one method uses",
    "weights": "Pretrained files",
    "nets": "Networks",
    "methods": "How networks learn",
    "training": "Fit, evaluate, keep",
    "papers": "The papers as data",
    "report": "Tables and figures",
    "workflow": "From notebooks to a book",
    "labs": "What a class works on",
    "files": "Where things are",
    "errors": "The one kind of error",
}


def datasets(_: Path) -> str:
    """One section a dataset card."""
    from tutseg.data.cards import load_cards

    parts = []
    for card in load_cards().values():
        masks = "" if card.masks else ", classes without masks"
        parts.append(f"### {card.title}\n\n`{card.name}`: {card.kind}{masks}.\n")
        facts = {
            "Pictures": ", ".join(f"{count} {part}" for part, count in card.counts.items()),
            "Licence": card.licence,
            "Where": f"<{card.ask}>" if card.ask.startswith("http") else card.ask,
            "Kept together by a split": card.groups,
            "To cite": "; ".join(card.citation),
        }
        parts.append("\n".join(f"- {name}: {text}" for name, text in facts.items() if text) + "\n")
        if not card.tree.startswith("("):
            parts.append(f"```text\n{card.tree.rstrip()}\n```\n")
        if card.defects:
            parts.append("What to beware of:\n\n" + "\n".join(f"- {defect}" for defect in card.defects) + "\n")
    return "\n".join(parts)


def readers(_: Path) -> str:
    """Every reader: where it looks, what can be chosen, and whether it has read real files."""
    from tutseg.data import DRAWN, reader
    from tutseg.data.readers import READERS

    on_real = {row["data"]: int(row["pictures"]) for row in csv_rows(_evidence("duplicates.csv"))}
    rows = []
    for name, card in READERS.items():
        options = [
            f"`{option}={parameter.default!r}`"
            for option, parameter in inspect.signature(reader(name)).parameters.items()
            if option != "root"
        ]
        read = f"{on_real[name]} real pictures" if name in on_real else "drawn pictures in the documented layout"
        rows.append((f"`{name}`", f"`{card.folder}/`", ", ".join(options) or None, read))
    rows += [(f"`{name}`", None, "see `tutseg.data.synth.Synth`", "it draws them") for name in DRAWN]
    rows.append(("`folder`", "any", None, "drawn pictures"))
    return table(["data set", "official folder", "options and defaults", "tested on"], rows)


def _drawn(what: str, spec: str) -> Callable[[Path], str]:
    """A table or a sentence of `tutseg.report.drawn`, of the evidence of a spec below ``results/drawn``."""

    def part(_: Path) -> str:
        from tutseg.report import drawn
        from tutseg.report.say import Said

        made = getattr(drawn, what)(_evidence(f"drawn/{spec}"))
        return f"{made.text}\n" if isinstance(made, Said) else raw(made._repr_html_())

    return part


def drawn_start(_: Path) -> str:
    """Few real labels with and without drawn pictures before them: ``results/drawn/start``."""
    from tutseg.report.drawn import start_reading, start_tables

    folder = _evidence("drawn/start")
    tables = (raw(each._repr_html_()) for each in start_tables(folder))
    return "\n".join([*tables, f"{start_reading(folder).text}\n"])


def promptable(_: Path) -> str:
    """How well the book's own small Segment Anything does what it is told: ``results/sam-kd/teacher*``."""
    from tutseg.report.promptable import promptability

    return raw(promptability(_evidence("sam-kd/teacher"), _evidence("sam-kd/teacher-ph2"))._repr_html_())


def _evidence(name: str) -> Path:
    return project_root() / "results" / name


def nets(_: Path) -> str:
    """The registered networks."""
    from tutseg.nets import CARDS

    rows = [
        (
            *(f"`{c.name}`", c.paper, f"{c.parameters:,}", c.published_millions, c.published_size, c.stride, c.source),
            c.weights and f"`{c.weights}`",
        )
        for c in CARDS.values()
    ]
    heads = ["name", "paper", "parameters", "published, millions", "at size", "stride", "source", "pretrained"]
    return table(heads, rows, right=(2, 3, 4, 5))


def weights(_: Path) -> str:
    """The pretrained files, wherever the page is made."""
    from tutseg.nets import CARDS as NETS
    from tutseg.weights.cards import CARDS

    heads = ["name", "network, trained on", "used by", "from", "licence", "SHA-256"]
    rows = []
    for card in CARDS.values():
        users = ", ".join(f"`{net.name}`" for net in NETS.values() if net.weights == card.name)
        digest = f"`{card.sha256[:16]}`…" if card.sha256 else "as the Hub states it"
        rows.append((f"`{card.name}`", card.content, users, card.origin, card.licence, digest))
    return table(heads, rows)


def methods(_: Path) -> str:
    """The registered methods."""
    from tutseg.methods import CARDS

    return table(
        ["name", "kind", "paper", "what it does"],
        [(f"`{c.name}`", c.kind, c.paper, c.summary) for c in CARDS.values()],
    )


def api(_: Path) -> str:
    """Every public function and class, from its docstring, room by room."""
    package = Path(__file__).resolve().parents[1]
    parts = []
    for room, what in _ROOMS.items():
        files = sorted((package / room).rglob("*.py")) or [package / f"{room}.py"]
        paths = [file.relative_to(package.parent).with_suffix("") for file in files]
        names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
        if not all(file.exists() for file in files):
            continue
        parts.append(f"## {what}\n")
        for name in names:
            # `kernel` is a program, not a module to import from.
            if name != "tutseg.workflow.kernel":
                parts.append(f"### {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n")
    return "\n".join(parts)


def audit(_: Path) -> str:
    """What does not hold in the papers' numbers, paper by paper, gravest first."""
    from tutseg.papers.contradictions import audit_all, totals
    from tutseg.papers.tables import load_paper

    findings = audit_all()
    counts = totals(findings)
    severities = list(next(iter(counts.values())))
    rows = [(f"[](audit-{name})", *row.values()) for name, row in counts.items()]
    parts = [table(["paper", *severities], rows, range(1, 1 + len(severities)))]
    for name in counts:
        parts.append(f"(audit-{name})=\n## {load_paper(name).title}\n")
        for severity in severities:
            told = [finding for finding in findings if finding.paper == name and finding.severity == severity]
            if told:
                parts.append(f":::{{dropdown}} {severity.capitalize()}: {len(told)}\n")
            for finding in told:
                parts.append(
                    f"- Table {finding.table}. {plain(finding.message)}"
                    f" *This assumes that {plain(finding.assumption)}."
                    f" It could be innocent: {plain('; or '.join(finding.innocent))}.*"
                )
            parts.append(":::\n" if told else "")
    return "\n".join(parts)


def _ledger(name: str) -> Callable[[Path], str]:
    """A part made by `tutseg.report.ledger`, which is read only when a page asks for it."""

    def part(_: Path) -> str:
        from tutseg.report.ledger import part as made

        return made(name)

    return part


def runtimes(executed: Path) -> str:
    """How long each page took, on what, and the stamp of what it was made from."""
    rows = []
    for file in sorted(executed.glob("*.ipynb")):
        page = json.loads(file.read_text())
        if "tutseg" not in page["metadata"]:
            continue
        record = page["metadata"]["tutseg"]
        seconds = [cell["metadata"].get("papermill", {}).get("duration") or 0 for cell in page["cells"]]
        rows.append(
            (
                f"[](../notebooks/{file.name})",
                record["profile"],
                f"{record['seconds']:.1f}",
                f"{max(seconds):.1f}",
                record["machine"],
                page["metadata"]["papermill"]["end_time"][:16].replace("T", " "),
                f"`{record['stamp']}`",
            )
        )
    if not rows:
        return "No page has been executed here yet; `make book` does it.\n"
    heads = ["page", "profile", "seconds", "slowest cell, seconds", "machine", "finished", "stamp"]
    return table(heads, rows, right=(2, 3))


def _classroom(what: str) -> Callable[[Path], str]:
    """A part made by `tutseg.report.classroom`."""

    def part(folder: Path) -> str:
        from tutseg.report import classroom

        return getattr(classroom, what)(folder)

    return part


GENERATED: dict[str, Callable[[Path], str]] = {
    "datasets": datasets,
    "readers": readers,
    "transfer": _drawn("transfer_table", "transfer"),
    "transfer-reading": _drawn("transfer_reading", "transfer"),
    "transfer-pilot": _drawn("pilot_table", "transfer-pilot"),
    "transfer-polyps": _drawn("transfer_table", "polyps"),
    "drawn-start": drawn_start,
    "nets": nets,
    "weights": weights,
    "promptable": promptable,
    "methods": methods,
    "api": api,
    "audit": audit,
    **{
        name: _ledger(name)
        for name in (
            "ledger-coverage",
            "ledger-forest",
            "ledger-claims",
            "ledger-power",
            "ledger-words",
            "ledger-tables",
            "audit-rules",
            "audit-candidates",
        )
    },
    "labs-term": _classroom("term"),
    "labs": _classroom("labs"),
    "runtimes": runtimes,
}
