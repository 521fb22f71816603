"""The Sphinx extension of the book: it gives notebooks their outputs and pages their generated parts.

Both happen as Sphinx reads a page, so that nothing generated lies in the sources and ``jupyter-book build .`` alone
renders the book with whatever has been executed.

- A notebook page is the committed notebook, with the outputs of its executed copy in ``_build/executed/<profile>/``
  and a last line that says from what it was computed.
- A line ``<!-- generated: NAME -->`` in a page becomes the Markdown that `tutseg.report.pages` makes.
- In a table of Markdown heads belong to their columns, the first cell of a row to the row, and a table that is wider
  than the page is moved by keyboard too.
"""

import os
import re
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.application import Sphinx

from tutseg import __version__
from tutseg.files import sha256
from tutseg.report.pages import GENERATED
from tutseg.workflow.freshness import changed

_MARK = re.compile(r"^<!-- generated: ([a-z-]+) -->$", re.MULTILINE)


def executed_folder(root: Path) -> Path:
    """Where the executed notebooks of the profile being rendered lie (``$TUTSEG_PROFILE``, by default ``lab``)."""
    return root / "_build" / "executed" / os.environ.get("TUTSEG_PROFILE", "lab")


def with_outputs(page: nbformat.NotebookNode, executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The committed notebook with the outputs of its executed copy.

    The prose is the committed one; outputs belong to the code cells in order. A cell of injected parameters is kept,
    because it shows the values that hold.
    """
    ran = [cell for cell in executed.cells if cell.cell_type == "code"]
    cells = []
    for cell in page.cells:
        cells.append(cell)
        if cell.cell_type == "code" and ran:
            done = ran.pop(0)
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
            if ran and "injected-parameters" in ran[0].metadata.get("tags", []):
                cells.append(ran.pop(0))
    page.cells = cells
    page.metadata["language_info"] = executed.metadata.get("language_info", {"name": "python"})
    return page


def colophon(notebook: Path, executed: Path) -> str:
    """The page's last line: from what, when and how long it was computed, and what has changed since."""
    if not executed.exists():
        return "*This page was rendered without being executed: `make book` fills in its results.*"
    record = nbformat.read(executed, as_version=4).metadata["tutseg"]
    line = (
        f"*Computed with profile `{record['profile']}` in {record['seconds']:.0f} s ({record['machine']}); "
        f"stamp `{record['stamp']}`.*"
    )
    since = changed(notebook, executed)
    if not since:
        return line
    names = ", ".join(f"`{name}`" for name in since)
    return f"{line}\n\n:::{{warning}}\nThese results are older than {names}: run `tutseg book` again.\n:::"


def filled(page: Path, text: str, folder: Path) -> str:
    """A page's source with its outputs, from the executed notebooks in `folder`, or its generated parts in place."""
    if page.suffix == ".ipynb":
        executed = folder / page.name
        notebook = nbformat.reads(text, as_version=4)
        if executed.exists():
            notebook = with_outputs(notebook, nbformat.read(executed, as_version=4))
        notebook.cells.append(nbformat.v4.new_markdown_cell(colophon(page, executed), id="colophon"))
        return nbformat.writes(notebook)
    return _MARK.sub(lambda mark: GENERATED[mark[1]](folder), text)


def _on_read(app: Sphinx, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    source[0] = filled(page, source[0], executed_folder(Path(app.srcdir)))
    _digests(app)[docname] = sha256(source[0])


def _digests(app: Sphinx) -> dict[str, str]:
    if not hasattr(app.env, "tutseg_digests"):
        app.env.tutseg_digests = {}
    return app.env.tutseg_digests


def _outdated(app: Sphinx, env, added: set[str], changed_pages: set[str], removed: set[str]) -> list[str]:
    """Pages whose own file is as it was, but not what would be filled in."""
    folder = executed_folder(Path(app.srcdir))
    pages = {name: Path(env.doc2path(name)) for name in env.found_docs - added - changed_pages - removed}
    now = {name: sha256(filled(page, page.read_text(), folder)) for name, page in pages.items()}
    return [name for name, digest in now.items() if digest != _digests(app).get(name)]


def _plain_bars(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """In our docstrings a bar is an absolute value, never a substitution of reStructuredText."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(``.*?``)", line)
            lines[i] = "".join(part if part.startswith("``") else part.replace("|", "\\|") for part in parts)


def _row_heads(app: Sphinx, doctree: nodes.document) -> None:
    """The first column of a table names its rows."""
    for group in doctree.findall(nodes.tgroup):
        if next(group.findall(nodes.thead), None):
            next(group.findall(nodes.colspec))["stub"] = 1


# What Docutils and the extensions write -> what every reader is served by.
_MENDED = {
    '<th class="head': '<th scope="col" class="head',
    '<th class="stub': '<th scope="row" class="stub',
    '<div class="pst-scrollable-table-container">': (
        '<div class="pst-scrollable-table-container" role="group" tabindex="0" aria-label="Table">'
    ),
    ' aria-label="Toggle hidden content"': "",  # folded code is called what it reads
    'role="doc-biblioentry"': 'role="listitem"',
}


def accessible(body: str) -> str:
    """HTML of a page whose tables' heads say what they belong to, whose tables can be moved by keyboard, ..."""
    for written, mended in _MENDED.items():
        body = body.replace(written, mended)
    return body


def _accessible(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    if "body" in context:
        context["body"] = accessible(context["body"])


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.connect("doctree-read", _row_heads)
    app.connect("html-page-context", _accessible)
    app.connect("source-read", _on_read)
    app.connect("autodoc-process-docstring", _plain_bars)
    app.connect("env-get-outdated", _outdated)
    return {"version": __version__, "parallel_read_safe": False}
