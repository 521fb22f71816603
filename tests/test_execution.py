"""Chapters executed side by side: shared cores, a failure that stops no other, and no kernel left behind."""

import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import pytest
import yaml
from rich.console import Console
from test_side_by_side import gone, soon

from tutseg.workflow import book, notebooks
from tutseg.workflow.notebooks import BookFailed

PAGES = {
    "01_share": ("import os; print('jobs', os.environ['TUTSEG_JOBS'])", 3.0),
    "02_torn": ("raise ValueError('torn')", 1.0),
    "03_sum": ("print(6 * 7 * 1000)", 2.0),
}
SLEEPY = "import os, pathlib, time; pathlib.Path('../pid').write_text(str(os.getpid())); time.sleep(600)"


def project(root: Path, pages: dict[str, tuple[str, float]]) -> Path:
    """A checkout of pages of one cell, with the minutes that each says it takes."""
    (root / "notebooks/profiles").mkdir(parents=True)
    (root / "src/tutseg").mkdir(parents=True)
    chapters = [{"file": f"notebooks/{name}"} for name in pages]
    (root / "_toc.yml").write_text(yaml.safe_dump({"root": "book/intro", "parts": [{"chapters": chapters}]}))
    (root / "requirements.lock").touch()
    v4 = nbformat.v4
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    for name, (code, minutes) in pages.items():
        about = {"hardware": "any", "minutes": minutes, "expect": "nothing", "settings": {}}
        (root / f"notebooks/profiles/{name}.yaml").write_text(yaml.safe_dump({"lab": about}))
        page = v4.new_notebook(cells=[v4.new_code_cell(code)], metadata=kernel)
        nbformat.write(page, root / f"notebooks/{name}.ipynb")
    return root


def test_chapters_share_the_cores_and_fail_alone(tmp_path, monkeypatch):
    root = project(tmp_path, PAGES)
    monkeypatch.setattr(notebooks, "project_root", lambda: root)
    monkeypatch.setattr(book, "processes", lambda: 7)
    with open(tmp_path / "said", "w") as file, pytest.raises(BookFailed, match=r"02_torn.*ValueError: torn"):
        book.execute_stale("lab", console=Console(file=file, width=200))
    executed = root / "_build/executed/lab"
    assert sorted(path.name for path in executed.iterdir()) == [
        "01_share.ipynb",
        "02_torn.failed.ipynb",
        "03_sum.ipynb",
    ]
    said = [nbformat.read(executed / f"{name}.ipynb", as_version=4).cells[0].outputs[0].text
            for name in ("01_share", "03_sum")]  # fmt: skip
    assert said == ["jobs 2\n", "42000\n"]
    lines = (tmp_path / "said").read_text().splitlines()
    assert lines[0] == "01_share: about 180 s; stale: never executed"  # the longest begins
    assert "02_torn failed" in lines and sum(" s; stale" in line for line in lines) == 3
    monkeypatch.setattr(book, "execute", lambda page, *_: pytest.fail(f"{page} is fresh"))
    with pytest.raises(pytest.fail.Exception, match="02_torn"):
        book.execute_stale("lab", console=Console(file=io.StringIO()))


PARENT = """
    import sys
    from pathlib import Path
    from tutseg.workflow import book, notebooks
    root = Path(sys.argv[1])
    notebooks.project_root = lambda: root
    book.processes = lambda: 2
    sys.argv = ["tutseg", "book"]
    from tutseg.cli import main
    main()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_kernel_outlives_the_book(tmp_path, number):
    root = project(tmp_path, {"01_sleepy": (SLEEPY, 1.0), "02_sum": ("print(1)", 1.0)})
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), root],
        start_new_session=True, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    asleep, done = root / "pid", root / "_build/executed/lab/02_sum.ipynb"
    assert soon(lambda: asleep.exists() and asleep.read_text() and done.exists(), 120), process.communicate()[1]
    time.sleep(0.2)
    (os.kill if number == signal.SIGKILL else os.killpg)(process.pid, number)
    said = process.communicate(timeout=90)[1]
    assert soon(lambda: gone(int(asleep.read_text())))
    if number == signal.SIGINT:
        assert said.splitlines()[-1] == "tutseg: stopped with 1 of 2 done: the same command goes on there"
        assert process.returncode == 2
