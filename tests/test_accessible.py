"""The pages, in a browser, serve every reader: axe-core finds nothing, light or dark, wide or on a telephone."""

import json
import os
import re
import shutil
import subprocess
import time
from html import unescape
from pathlib import Path

import nbformat
import pytest
from chromium import Browser
from components import components

from tutseg.report.photographs import Tiles
from tutseg.workflow import book, notebooks

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
AXE = "axe-core@4.14.1"
# Rules of axe-core that our pages need not follow, each with its reason. There are none.
LEFT_OUT: dict[str, str] = {}
PROSE = """# Prose

Inline $x^2$, `code`, [a link](intro.md) and {cite}`chen2021cps`.

| what the paper leaves open | what its code does | what it is worth |
|---|---|---|
| which map goes into Eq. 5 | an arg-max in random colours, without a gradient | `-o spatial=edges` |

:::{dropdown} Folded away
:name: folded

| name | Dice |
|---|--:|
| cps | 0.8 |
:::

```{exercise-start} One
:label: ex-one
```
What is it?
```{exercise-end}
```

```{solution-start} ex-one
:class: dropdown
```
That.
```{solution-end}
```
"""


def missing(why: str) -> None:
    """A test that must not be skipped where every change is checked fails there."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, from npm, kept in ``_build/axe``."""
    folder = ROOT / "_build" / "axe"
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not (script.exists() and AXE in (folder / "package-lock.json").read_text().replace('": "', "@")):
        if not shutil.which("npm"):
            missing(f"needs npm, to install {AXE}")
        folder.mkdir(parents=True, exist_ok=True)
        call = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--save-exact", AXE]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        if done.returncode:
            missing(f"{AXE} could not be installed: {done.stderr.strip()[-300:]}")
    return script.read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A book with the real configuration: one of each table, figure and explorer, and a page of prose."""
    root = tmp_path_factory.mktemp("book")
    for name in ("_config.yml", "requirements.lock", "book/_static", "book/references.bib"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, root / name)
    (root / "src/tutseg").mkdir(parents=True)
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nparts:\n- chapters:\n  - file: notebooks/01_page\n  - file: book/prose\n"
    )
    (root / "book/intro.md").write_text("# Start\n\nA page.\n\n```{bibliography}\n```\n")
    (root / "book/prose.md").write_text(PROSE)
    (root / "notebooks").mkdir()
    v4 = nbformat.v4
    cells = [
        v4.new_markdown_cell("# One of each"),
        v4.new_code_cell("print(1)", outputs=[v4.new_output("stream", text="1")]),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUTSEG_READ_LOG", os.devnull)  # as in the book: no widgets
        for name, shown in components().items():
            mimes = {"text/plain": repr(shown)}
            mimes |= (
                shown._repr_mimebundle_() if hasattr(shown, "_repr_mimebundle_") else {"text/html": shown._repr_html_()}
            )
            output = v4.new_output("execute_result", mimes, execution_count=1)
            cells += [v4.new_markdown_cell(f"## {name}"), v4.new_code_cell(name, outputs=[output])]
            cells[-1].metadata["tags"] = ["hide-input"] if len(cells) % 4 else []
        languages = {"language_info": {"name": "python"}, "kernelspec": {"name": "python3", "display_name": "Python 3"}}
        nbformat.write(v4.new_notebook(cells=cells, metadata=languages), root / "notebooks/01_page.ipynb")
        patch.setattr(notebooks, "project_root", lambda: root)
        return book.render("lab").parent


@pytest.fixture(scope="module")
def browser():
    browser = Browser(1400, 900)
    yield browser
    browser.close()


def show(browser: Browser, page: Path, theme: str, width: int = 1400) -> None:
    """Open a page in light or dark, all of it unfolded and every explorer ready."""
    browser.cdp("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    browser.open(page.resolve().as_uri())
    sheets = "[...document.querySelectorAll('link[rel=stylesheet]')].every((each) => each.sheet)"
    browser.wait(f"document.readyState === 'complete' && {sheets}")
    browser.wait("document.readyState === 'complete' && window.MathJax?.startup?.promise !== null")
    browser.wait("[...document.querySelectorAll('.tutseg-figure')].every((each) => each.dataset.ready)")
    assert browser.js("return document.documentElement.dataset.theme") == theme
    still = "document.head.insertAdjacentHTML('beforeend', '<style>* { transition: none !important; }</style>')"
    browser.js(still)  # else a colour may be seen on its way
    browser.js("for (const each of document.querySelectorAll('details')) each.open = true")


def violations(browser: Browser, axe: str) -> list[str]:
    """What axe-core finds on the page shown, a line a rule with the first places.

    On a busy machine a page may still be taking on its colours; what is found must be found again a moment later.
    """
    if _found(browser, axe):
        time.sleep(5)
        return _found(browser, axe)
    return []


def _found(browser: Browser, axe: str) -> list[str]:
    browser.js(axe)
    options = json.dumps({"resultTypes": ["violations"], "rules": {name: {"enabled": False} for name in LEFT_OUT}})
    browser.js(f"window.found = null; axe.run(document, {options}).then((all) => {{ window.found = all.violations; }})")
    browser.wait("window.found", seconds=120)
    return browser.js(
        "return window.found.map((rule) => `${rule.id} (${rule.nodes.length}): ${rule.help}; "
        "${rule.nodes.slice(0, 3).map((node) => node.target.join(' ')).join(' | ')}`)"
    )


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_our_own_parts_have_no_violation(site, browser, axe, theme, width):
    for page in ("book/intro", "book/prose", "notebooks/01_page"):
        show(browser, site / f"{page}.html", theme, width)
        assert violations(browser, axe) == [], page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_rendered_book_has_no_violation(browser, axe, theme):
    pages = [page for page in (ROOT / "_build/html").rglob("*.html") if not {"_static", "_modules"} & set(page.parts)]
    pages += sorted((ROOT / "_build/html/_modules/tutseg").glob("*.html"))[:1]  # listings of sources are all alike
    if not pages:
        missing("the book is not rendered: `make book`")
    found = {}
    for page in sorted(pages):
        show(browser, page, theme)
        if told := violations(browser, axe):
            found[str(page.relative_to(ROOT))] = told
    assert found == {}


def test_the_check_finds_what_is_wrong(browser, axe, tmp_path):
    (tmp_path / "page.html").write_text(
        "<!doctype html><html lang=en><title>x</title><h1>x</h1><img src='data:,'></html>"
    )
    browser.open((tmp_path / "page.html").as_uri())
    assert any(told.startswith("image-alt") for told in violations(browser, axe))


def test_every_picture_has_an_alternative_text_of_its_own(site):
    text = (site / "notebooks/01_page.html").read_text()
    alts = [unescape(alt) for alt in re.findall(r'<img class="dark-light[^>]* alt="([^"]*)"', text)]
    assert len(alts) > 30 and all(len(alt) > 5 and not alt.endswith((".png", ".svg")) for alt in alts)
    assert sum(len(each.rows) * len(each.rows[0]) for each in components().values() if isinstance(each, Tiles)) < len(
        alts
    )


@pytest.mark.parametrize("page", ["notebooks/01_page", "book/prose"])
def test_on_a_telephone_nothing_is_cut(site, browser, page):
    show(browser, site / f"{page}.html", "light", 390)
    assert browser.js("return document.documentElement.scrollWidth") <= 390
    tables = browser.js("""return [...document.querySelectorAll('article table')].map((table) => {
      const frame = table.closest('.tutseg-scroll, .pst-scrollable-table-container');
      const left = () => table.tBodies[0].rows[0].cells[0].getBoundingClientRect().left;
      const before = left();
      frame.scrollLeft = 1e6;
      const box = frame.getBoundingClientRect(), last = [...table.rows[0].cells].at(-1).getBoundingClientRect();
      return {first: left() - before, cut: last.right - box.right, right: box.right,
              reached: frame.scrollWidth <= frame.clientWidth || frame.tabIndex === 0};
    })""")
    assert len(tables) >= 2
    for table in tables:
        assert abs(table["first"]) < 1 and table["cut"] < 1 and table["right"] <= 390 and table["reached"]


def test_words_of_a_drawing_are_readable_on_a_telephone_and_take_the_pages_colour(site, browser):
    sizes = """const shown = [...document.querySelectorAll('.tutseg-drawing svg')].filter((svg) => svg.clientWidth);
    return shown.map((svg) => {
      const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
      const texts = [...svg.querySelectorAll('text')].filter((text) => text.style.fontSize);
      const size = Math.min(...texts.map((text) => scale * parseFloat(text.style.fontSize)));
      return [size, getComputedStyle(texts[0]).fill];
    })"""
    for theme, width in (("light", 390), ("dark", 390), ("dark", 1400)):
        show(browser, site / "notebooks/01_page.html", theme, width)
        drawn = browser.js(sizes)
        ink = browser.js("return getComputedStyle(document.querySelector('article p')).color")
        assert len(drawn) == 21 and min(size for size, _ in drawn) >= 9.5 and {fill for _, fill in drawn} == {ink}


def test_the_dark_theme_leaves_pictures_alone(site, browser):
    show(browser, site / "notebooks/01_page.html", "dark")
    filters = "return [...document.querySelectorAll('article :is(img, canvas)')].map((e) => getComputedStyle(e).filter)"
    assert set(browser.js(filters)) == {"none"}
