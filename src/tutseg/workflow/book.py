"""Make the book: execute what is stale, render, and check that the pages load nothing from outside."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
from rich.console import Console

from tutseg.errors import InputError, unknown
from tutseg.files import atomic_write, canonical_json, sha256
from tutseg.training.display import Display
from tutseg.training.side_by_side import Answer, Call, Watcher, make_calls, processes
from tutseg.training.tasks import Report
from tutseg.workflow.freshness import changed
from tutseg.workflow.notebooks import BookFailed, choose, execute, folder
from tutseg.workflow.profiles import PROFILES, load_profile

# Links that a reader may follow lead outside; what a browser fetches by itself does not.
_LOADING = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "input": ("src",),
}
_LINKS_THAT_LOAD = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "manifest",
}
_CSS_URL = re.compile(r"""url\(\s*['"]?([^'")]+)|@import\s+['"]([^'"]+)""")


class _Loads(HTMLParser):
    """Collects the addresses that a browser fetches to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name in _LOADING.get(tag, ()):
            value = given.get(name, "")
            self.found += [part.split()[0] for part in value.split(", ")] if name == "srcset" and value else [value]
        if tag == "link" and _LINKS_THAT_LOAD & set(given.get("rel", "").split()):
            self.found.append(given.get("href", ""))
        self._in_style = tag == "style"
        self.found += _css_loads(given.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.found += _css_loads(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False


def _css_loads(text: str) -> list[str]:
    return [first or second for first, second in _CSS_URL.findall(text)]


def faulty_loads(site: Path) -> list[str]:
    """What the pages of a built site load from outside, or from a file that is not there.

    Parameters
    ----------
    site : Path
        Folder of HTML and CSS files.

    Returns
    -------
    list of str
        ``page: address``, one a fault.
    """
    faults = []
    pages = [page for page in site.rglob("*.html") if "_static" not in page.parts]  # the theme keeps templates there
    for file in sorted([*pages, *site.rglob("*.css")]):
        text = file.read_text(errors="replace")
        if file.suffix == ".css":
            found = _css_loads(text)
        else:
            parser = _Loads()
            parser.feed(text)
            found = parser.found
        for address in filter(None, found):
            parts = urlsplit(address)
            if parts.scheme in ("data", "blob", "about") or address.startswith("#"):
                continue
            if parts.scheme or parts.netloc:
                faults.append(f"{file.relative_to(site)}: {address} is outside")
            elif not (file.parent / unquote(parts.path)).exists():
                faults.append(f"{file.relative_to(site)}: {address} does not exist")
    return faults


def _expected(page: Path, executed: Path, profile: str) -> float:
    """Seconds a page will take: as long as last time, else what its profile says."""
    if executed.exists():
        return nbformat.read(executed, as_version=4).metadata["tutseg"]["seconds"]
    return 60 * load_profile(page.stem, profile, page.parent / "profiles").minutes


def _execute(page: Path, profile: str, target: Path, report: Report) -> float:
    """Seconds that executing a chapter took."""
    execute(page, profile, {}, target)
    return nbformat.read(target, as_version=4).metadata["tutseg"]["seconds"]


class _Lines(Watcher):
    """Says which chapters are begun, and why; that one has failed is said at once, though the others go on."""

    def __init__(self, console: Console, reasons: dict[str, list[str]]) -> None:
        self.console, self.reasons = console, reasons

    def started(self, call: Call) -> None:
        first, *more = self.reasons[call.name]
        why = first + (f" and {len(more)} more" if more else "")
        self.console.print(f"{call.name}: about {call.cost:.0f} s; stale: {why}")

    def ended(self, call: Call, answer: Answer) -> None:
        if answer.error:
            self.console.print(f"{call.name} failed", style="red")
        else:
            self.console.print(f"{call.name}: {answer.value:.0f} s")


def execute_stale(profile: str, only: Sequence[str] = (), fresh: bool = False, console: Console | None = None) -> int:
    """Execute the chapters whose inputs have changed, side by side; returns how many were executed.

    The longest begins first. The cores are shared out: each chapter may run so many trials at once that all chapters
    together use every core.

    Raises
    ------
    BookFailed
        Some chapters failed; the others have been executed all the same.
    """
    console = console or Console(stderr=True)
    target = folder().parent / "_build" / "executed" / profile
    reasons = {page: ["--fresh"] if fresh else changed(page, target / page.name) for page in choose(only)}
    stale = [page for page, why in reasons.items() if why]
    if not stale:
        return 0
    calls = [
        Call(
            page.stem,
            _execute,
            (page, profile, target / page.name),
            page.stem,
            _expected(page, target / page.name, profile),
        )
        for page in stale
    ]
    calls.sort(key=lambda call: -call.cost)
    free = processes()
    at_once = min(free, len(calls))
    lines = _Lines(console, {page.stem: reasons[page] for page in stale})
    with Display(calls, at_once, "chapters", rate=1.0, lines=False, console=console) as display:
        answers = make_calls(calls, at_once, display, lines, share=max(1, free // at_once))
    errors = [answers[page.stem].error for page in stale if answers[page.stem].error]
    for error in errors:
        if not isinstance(error, BookFailed | InputError):
            raise error
    if errors:
        raise BookFailed("\n".join(map(str, errors)))
    return len(stale)


def _render_stamp(root: Path, profile: str) -> str:
    """Hash of everything the renderer reads."""
    names = ["_config.yml", "_toc.yml", "requirements.lock"]
    trees = ["book", "notebooks", "src", "data", "experiments", "results", f"_build/executed/{profile}"]
    files = [root / name for name in names]
    files += [
        file
        for tree in trees
        for file in (root / tree).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    ]
    return sha256(canonical_json([profile, *sorted((str(f.relative_to(root)), sha256(f.read_bytes())) for f in files)]))


def render(profile: str, fresh: bool = False, console: Console | None = None) -> Path:
    """Render the book with Jupyter Book, warnings as errors, unless nothing has changed since the last time.

    Returns
    -------
    Path
        The book's first page.

    Raises
    ------
    BookFailed
        A warning, or a page that loads something from outside.
    """
    console = console or Console(stderr=True)
    root = folder().parent
    site, note, log = (root / "_build" / name for name in ("html", "rendered", "render.log"))
    now = _render_stamp(root, profile)
    if not fresh and note.exists() and note.read_text() == now and (site / "index.html").exists():
        return site / "index.html"
    note.unlink(missing_ok=True)
    call = "from jupyter_book.cli.main import main; main()"
    options = ["build", str(root), "-W", "-n", "--keep-going", "--all"]  # else a changed stylesheet is not copied
    with console.status("rendering"):
        done = subprocess.run(
            [sys.executable, "-c", call, *options],
            env={**os.environ, "TUTSEG_PROFILE": profile},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    atomic_write(log, said)
    if done.returncode:
        told = [line for line in said.splitlines() if re.search(r"WARNING|ERROR|Error\b|Exception", line)]
        raise BookFailed("\n".join([*told[:20], f"the book was not rendered; the whole log is {log}"]))
    faults = faulty_loads(site)
    if faults:
        raise BookFailed("\n".join([*faults[:20], f"{len(faults)} loads fail without a network"]))
    atomic_write(note, now)
    return site / "index.html"


def build(profile: str = "lab", only: Sequence[str] = (), fresh: bool = False) -> Path:
    """Execute what is stale, render, print where the book is.

    Parameters
    ----------
    profile : str
        ``lab``, ``gpu`` or ``paper``.
    only : sequence of str
        Execute no other chapters than these; the others are rendered as they are.
    fresh : bool
        Execute and render even what is fresh.

    Returns
    -------
    Path
        The book's first page.

    Raises
    ------
    InputError
        Unknown profile or chapter.
    BookFailed
        A chapter raised, the renderer warned, or a page loads something from outside: exit code 1.
    """
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    console = Console(stderr=True)
    executed = execute_stale(profile, only, fresh, console)
    if not executed:
        console.print("every chapter is fresh")
    index = render(profile, fresh, console)
    print(index)
    return index
