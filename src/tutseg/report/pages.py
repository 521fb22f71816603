"""Parts of the book's pages that are made from what the package knows: Markdown (MyST) out, nothing typed in twice.

A page asks for one with a line ``<!-- generated: NAME -->``; the names are the keys of `GENERATED`.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from tutseg.files import knowledge

# The package from its foundation up, with what a reader looks for in each room.
_ROOMS = {
    "data": "Images and masks in",
    "metrics": "Every score, under every averaging convention",
    "losses": "Losses that more than one method uses",
    "nets": "Networks",
    "methods": "How networks learn",
    "training": "Fit, evaluate, keep",
    "papers": "The papers as data",
    "report": "Tables and figures",
    "workflow": "From notebooks to a book",
    "files": "Where things are",
    "errors": "The one kind of error",
}


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


def _phrase(value: Any) -> str:
    """A card's value as words: lists with commas, mappings as ``name: value``."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_phrase(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_phrase, value))
    return str(value)


def datasets(_: Path) -> str:
    """One section a dataset card of ``data/cards``."""
    parts = []
    for file in sorted((knowledge() / "cards").glob("*.yaml")):
        card = yaml.safe_load(file.read_text())
        parts.append(f"## {card.get('title', file.stem)}\n")
        for field, value in card.items():
            name = field.replace("_", " ").capitalize()
            if field in ("title", "name"):
                continue
            if field == "tree":
                text = value if isinstance(value, str) else yaml.safe_dump(value, sort_keys=False)
                parts.append(f"{name}:\n\n```text\n{text.rstrip()}\n```\n")
            elif isinstance(value, list):
                parts.append(f"{name}:\n\n" + "\n".join(f"- {_phrase(each)}" for each in value) + "\n")
            elif isinstance(value, dict):
                parts.append(table([name, ""], [(key, _phrase(each)) for key, each in value.items()]))
            else:
                text = f"<{value}>" if str(value).startswith("http") else value
                parts.append(f"{name}: {text}\n")
    return "\n".join(parts)


def nets(_: Path) -> str:
    """The registered networks."""
    from tutseg.nets import CARDS

    rows = [
        (f"`{c.name}`", c.paper, c.published_millions, c.published_size, c.stride, c.source) for c in CARDS.values()
    ]
    heads = ["name", "paper", "parameters, millions, as published", "published size", "stride", "source"]
    return table(heads, rows, right=(2, 3, 4))


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
        files = sorted((package / room).glob("*.py")) or [package / f"{room}.py"]
        names = [
            f"tutseg.{room}" if file.stem in ("__init__", room) else f"tutseg.{room}.{file.stem}" for file in files
        ]
        if not all(file.exists() for file in files):
            continue
        parts.append(f"## {what}\n")
        for name in names:
            # `kernel` is a program, not a module to import from.
            if name != "tutseg.workflow.kernel":
                parts.append(f"### {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n")
    return "\n".join(parts)


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


GENERATED: dict[str, Callable[[Path], str]] = {
    "datasets": datasets,
    "nets": nets,
    "methods": methods,
    "api": api,
    "runtimes": runtimes,
}
