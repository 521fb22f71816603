"""A small book, made from nothing as the real one is: executed, rendered, offline, and left alone when fresh."""

import re
import shutil
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import nbformat
import pytest
import yaml
from chromium import Browser

from tutseg.errors import InputError
from tutseg.report.pages import GENERATED
from tutseg.workflow import book, notebooks
from tutseg.workflow.notebooks import BookFailed
from tutseg.workflow.sphinx_ext import filled

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A project with the real configuration, two pages of prose and one notebook; the workflow works on it."""
    root = tmp_path_factory.mktemp("book")
    for name in ("_config.yml", "requirements.lock", "book/_static", "book/references.bib", "book/how-made.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, root / name)
    (root / "src/tutseg").mkdir(parents=True)
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nparts:\n- chapters:\n  - file: notebooks/01_page\n  - file: book/how-made\n"
    )
    (root / "book/intro.md").write_text("# Start\n\nInline $x^2$ and {cite}`chen2021cps`.\n\n```{bibliography}\n```\n")
    (root / "notebooks/profiles").mkdir(parents=True)
    (root / "notebooks/profiles/01_page.yaml").write_text(
        "lab: {hardware: any, minutes: 0.05, expect: nothing, settings: {}}"
    )
    v4 = nbformat.v4
    cells = [
        v4.new_markdown_cell("# A chapter\n\n$$E = mc^2$$"),
        v4.new_code_cell('PROFILE = "lab"', metadata={"tags": ["parameters"]}),
        v4.new_code_cell("print(6 * 7 * 1000)"),
    ]
    page = v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    nbformat.write(page, root / "notebooks/01_page.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notebooks, "project_root", lambda: root)
        yield root


@pytest.fixture(scope="module")
def built(small):
    index = book.build()
    assert index == small / "_build/html/index.html"
    return small


def page(root: Path, name: str) -> str:
    return (root / "_build/html" / f"{name}.html").read_text()


def test_the_page_shows_what_was_computed_and_from_what(built):
    text = page(built, "notebooks/01_page")
    stamp = nbformat.read(built / "_build/executed/lab/01_page.ipynb", as_version=4).metadata["tutseg"]["stamp"]
    assert "42000" in text and stamp in text
    assert "42000" not in (built / "notebooks/01_page.ipynb").read_text()
    made = page(built, "book/how-made")
    assert stamp in made and "A chapter" in made
    heads, cells = re.findall(r"<th [^>]*>", made), made.count("<td")
    assert [head for head in heads if "scope=" not in head] == [] and cells
    assert '<th scope="col"' in made and '<th scope="row"' in made  # the first column names the row


def test_a_fresh_book_is_left_alone(built, monkeypatch, capsys):
    def refuse(*_, **__):
        raise AssertionError("a fresh book was worked on")

    monkeypatch.setattr(book, "execute", refuse)
    monkeypatch.setattr(subprocess, "run", refuse)
    book.build()
    told = capsys.readouterr()
    assert told.out == f"{built}/_build/html/index.html\n"
    assert "every chapter is fresh" in told.err


@pytest.fixture
def served(built):
    """Address of the built book on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=built / "_build/html"))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_in_a_browser_nothing_comes_from_outside_and_mathematics_is_set(served):
    browser = Browser()
    try:
        for name in ("book/intro", "notebooks/01_page"):
            browser.open(f"{served}{name}.html")
            browser.wait("document.querySelector('mjx-container')")
            fetched = browser.js("return performance.getEntriesByType('resource').map((each) => each.name)")
            assert any("mathjax" in each for each in fetched)
            assert [each for each in fetched if not each.startswith(served)] == []
    finally:
        browser.close()


def test_new_prose_is_rendered_without_executing(built, monkeypatch):
    monkeypatch.setattr(book, "execute", lambda *_: pytest.fail("executed for a change of prose"))
    chapter = nbformat.read(built / "notebooks/01_page.ipynb", as_version=4)
    chapter.cells[0].source = "# Another title"
    nbformat.write(chapter, built / "notebooks/01_page.ipynb")
    book.build()
    text = page(built, "notebooks/01_page")
    assert "Another title" in text and "42000" in text


def test_a_warning_fails_the_book(built):
    intro = built / "book/intro.md"
    before = intro.read_text()
    intro.write_text(before + "\nSee {ref}`nowhere`.\n")
    with pytest.raises(BookFailed, match=r"book/intro.*nowhere[\s\S]*render\.log"):
        book.build()
    intro.write_text(before)


def test_a_failing_chapter_fails_the_book_with_its_last_line(built):
    file = built / "notebooks/01_page.ipynb"
    before = file.read_text()
    chapter = nbformat.read(file, as_version=4)
    chapter.cells[-1].source = "1 / 0"
    nbformat.write(chapter, file)
    with pytest.raises(BookFailed, match=r"01_page\.ipynb: ZeroDivisionError: division by zero\n.*01_page\.failed"):
        book.build()
    file.write_text(before)


def test_wrong_names_are_told(small):
    with pytest.raises(InputError, match="unknown profile 'labs': did you mean lab"):
        book.build("labs")
    with pytest.raises(InputError, match="unknown chapter '09'"):
        book.build(only=["09"])


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/x.css">',
        '<img src="http://pictures.example/x.png">',
        '<img srcset="here.png 1x, https://pictures.example/x.png 2x">',
        '<iframe src="https://widget.example"></iframe>',
        '<p style="background: url(https://pictures.example/x.png)">',
        "<style>@import 'https://fonts.example/x.css';</style>",
        '<script src="missing.js"></script>',
    ],
)
def test_a_load_from_outside_is_found(tmp_path, html):
    (tmp_path / "here.png").touch()
    (tmp_path / "page.html").write_text(html)
    assert len(book.faulty_loads(tmp_path)) == 1


def test_links_and_inner_loads_are_no_fault(tmp_path):
    (tmp_path / "a b.png").touch()
    (tmp_path / "page.html").write_text(
        '<a href="https://example.org">link</a><img src="a%20b.png?v=1"><img src="data:image/png;base64,AA=="><svg>'
        '<use href="#x"/></svg><link rel="canonical" href="https://example.org/page"><script>var x = 1</script>'
    )
    assert book.faulty_loads(tmp_path) == []


def test_an_injected_cell_is_shown_and_does_not_shift_outputs(tmp_path):
    v4 = nbformat.v4
    cells = [
        v4.new_code_cell("A = 1", metadata={"tags": ["parameters"]}),
        v4.new_markdown_cell("words"),
        v4.new_code_cell("print(A)"),
    ]
    text = nbformat.writes(v4.new_notebook(cells=cells))
    injected = v4.new_code_cell("A = 2", metadata={"tags": ["injected-parameters"]})
    said = v4.new_code_cell("print(A)", outputs=[v4.new_output("stream", text="2\n")])
    record = {
        "profile": "lab",
        "parameters": {},
        "read": [],
        "inputs": {},
        "stamp": "s",
        "seconds": 1.0,
        "machine": "m",
    }
    (tmp_path / "notebooks/profiles").mkdir(parents=True)
    (tmp_path / "notebooks/profiles/x.yaml").write_text("lab: {hardware: h, minutes: 1, expect: e, settings: {}}")
    (tmp_path / "notebooks/x.ipynb").write_text(text)
    ran = v4.new_notebook(cells=[cells[0], injected, cells[1], said], metadata={"tutseg": record})
    nbformat.write(ran, tmp_path / "x.ipynb")
    merged = nbformat.reads(filled(tmp_path / "notebooks/x.ipynb", text, tmp_path), as_version=4)
    assert [cell.source for cell in merged.cells[:-1]] == ["A = 1", "A = 2", "words", "print(A)"]
    assert merged.cells[3].outputs[0].text == "2\n"
    assert "older than" in merged.cells[-1].source


def test_every_generated_part_is_asked_for_and_known():
    asked = set()
    for file in (ROOT / "book").glob("*.md"):
        lines = file.read_text().splitlines()
        asked |= {line.split()[2] for line in lines if line.startswith("<!-- generated:")}
    assert asked == set(GENERATED)


def test_every_page_of_prose_is_in_the_contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = {toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])}
    assert {f"book/{file.stem}" for file in (ROOT / "book").glob("*.md")} <= files
    assert all((ROOT / f"{name}{end}").exists() for name in files for end in [".md" if "book/" in name else ".ipynb"])
