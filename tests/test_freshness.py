"""A page is stale when, and only when, something that it was computed from has changed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tutseg.code import REGISTRIES
from tutseg.errors import InputError
from tutseg.workflow.freshness import changed, inputs, sources, stamp
from tutseg.workflow.notebooks import BookFailed, execute

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "tutseg"


def loaded_by(code: str) -> set[str]:
    """Files of the package that Python itself loads when it runs `code`."""
    tell = (
        "import json, sys; print(json.dumps([m.__file__ for n, m in sys.modules.items()"
        " if n.split('.')[0] == 'tutseg' and m.__file__]))"
    )
    done = subprocess.run([sys.executable, "-c", f"{code}\n{tell}"], capture_output=True, text=True, check=True)
    return {str(Path(file).relative_to(PACKAGE)) for file in json.loads(done.stdout.splitlines()[-1])}


def found_by(code: str, words: tuple[str, ...] = ()) -> set[str]:
    return {str(file.relative_to(PACKAGE)) for file in sources(code, words, PACKAGE)}


@pytest.mark.parametrize(
    "code",
    [
        "import tutseg.errors",
        "from tutseg import files",
        "import tutseg.workflow.book",
        "from tutseg.methods import build_method; build_method('dme-fd', size=32, net='mobilenet-unet')",
    ],
)
def test_no_file_that_python_loads_is_missed(code):
    assert loaded_by(code) - set(REGISTRIES) <= found_by(code)


def test_only_the_methods_named_count():
    one = found_by("from tutseg.methods import build_method\nbuild_method('cps')")
    assert "methods/co_training/cps.py" in one and "methods/co_training/dme_fd.py" not in one
    assert "methods/co_training/dme_fd.py" in found_by("from tutseg.methods import build_method", ("dme-fd",))
    assert found_by("import numpy") == set()


def make_project(root: Path) -> Path:
    """A project of one page that reads a table, lists a folder and imports two modules."""
    for name in ("errors.py", "files.py", "__init__.py", "metrics.py"):
        (root / "src/tutseg").mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / name, root / "src/tutseg")
    for name, text in {
        "data/table.csv": "1,2",
        "data/other.csv": "3,4",
        "results/a.json": "{}",
        "requirements.lock": "numpy==2.4.6",
        "notebooks/profiles/page.yaml": "\n".join(
            f"{name}: {{hardware: any, minutes: 1, expect: nothing, settings: {{steps: {steps}}}}}"
            for name, steps in {"lab": 1, "gpu": 2, "paper": 3}.items()
        ),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    v4 = nbformat.v4
    page = v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# A page"),
            v4.new_code_cell('PROFILE = "lab"\nSTEPS = 1', metadata={"tags": ["parameters"]}),
            v4.new_code_cell("from tutseg.errors import InputError\nfrom pathlib import Path"),
            v4.new_code_cell('print(Path("../data/table.csv").read_text(), len(list(Path("../results").iterdir())))'),
            v4.new_code_cell("print(PROFILE, STEPS, 6 // STEPS)"),
        ],
        metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}},
    )
    nbformat.write(page, root / "notebooks/page.ipynb")
    return root


@pytest.fixture
def project(tmp_path) -> Path:
    return make_project(tmp_path)


def paths(project: Path) -> tuple[Path, Path]:
    return project / "notebooks/page.ipynb", project / "_build/executed/lab/page.ipynb"


def edit_page(project: Path, kind: str) -> None:
    page = nbformat.read(project / "notebooks/page.ipynb", as_version=4)
    cell = next(cell for cell in page.cells if cell.cell_type == kind)
    cell.source += "  # changed"
    nbformat.write(page, project / "notebooks/page.ipynb")


def append(name: str):
    def edit(project: Path) -> None:
        (project / name).write_text((project / name).read_text() + "\n")

    return edit


def replace_in_profile(old: str, new: str):
    def edit(project: Path) -> None:
        file = project / "notebooks/profiles/page.yaml"
        file.write_text(file.read_text().replace(old, new))

    return edit


EDITS = {
    "nothing": (lambda project: None, []),
    "code": (lambda project: edit_page(project, "code"), ["code"]),
    "prose": (lambda project: edit_page(project, "markdown"), []),
    "a module it imports": (append("src/tutseg/errors.py"), ["src/tutseg/errors.py"]),
    "a module it does not import": (append("src/tutseg/metrics.py"), []),
    "the lock": (append("requirements.lock"), ["requirements.lock"]),
    "its profile": (replace_in_profile("steps: 1", "steps: 9"), ["profile"]),
    "another profile": (replace_in_profile("steps: 2", "steps: 9"), []),
    "data it read": (append("data/table.csv"), ["data/table.csv"]),
    "data it did not read": (append("data/other.csv"), []),
    "data it read, gone": (lambda project: (project / "data/table.csv").unlink(), ["data/table.csv"]),
    "a new file where it looked": (lambda project: (project / "results/b.json").write_text("{}"), ["results/"]),
}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The project, executed once."""
    root = make_project(tmp_path_factory.mktemp("executed"))
    notebook, target = paths(root)
    execute(notebook, "lab", {}, target)
    return root


@pytest.mark.parametrize("what", EDITS)
def test_what_makes_a_page_stale(executed, tmp_path, what):
    copy = tmp_path / "copy"
    shutil.copytree(executed, copy)
    edit, reasons = EDITS[what]
    edit(copy)
    assert changed(*paths(copy)) == reasons


def test_an_executed_page_tells_what_it_was_made_from(executed):
    notebook, target = paths(executed)
    page = nbformat.read(target, as_version=4)
    record = page.metadata["tutseg"]
    assert record["read"] == ["data/table.csv", "results/"]
    assert record["inputs"] == inputs(notebook, "lab", {}, record["read"])
    assert record["stamp"] == stamp(record["inputs"])
    assert "1,2 1" in page.cells[3].outputs[0].text
    assert list(target.parent.iterdir()) == [target]


def test_a_page_never_executed_is_stale(project):
    assert changed(*paths(project)) == ["never executed"]


def test_parameters_and_profile_reach_the_page(project):
    notebook, target = paths(project)
    execute(notebook, "gpu", {"STEPS": 3}, target)
    assert nbformat.read(target, as_version=4).cells[-1].outputs[0].text == "gpu 3 2\n"
    assert changed(notebook, target) == []
    with pytest.raises(InputError, match="unknown parameter of page 'STEP': did you mean STEPS"):
        execute(notebook, "lab", {"STEP": 3}, target)


def test_a_failing_page_tells_its_error_and_leaves_the_last_good_one(executed, tmp_path):
    shutil.copytree(executed, tmp_path / "copy")
    notebook, target = paths(tmp_path / "copy")
    before = target.read_bytes()
    with pytest.raises(BookFailed) as failure:
        execute(notebook, "lab", {"STEPS": 0}, target)
    partial = target.with_name("page.failed.ipynb")
    assert str(failure.value) == f"page.ipynb: ZeroDivisionError: integer division or modulo by zero\n{partial}"
    assert "1,2 1" in partial.read_text()
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        (
            "methods/co_training/dme_fd.py",
            "return 1.0 / (distance + eps)",
            "return 2.0 / (distance + eps)",
            {"01_dme_fd", "01b_dme_fd_tables"},
        ),
        ("methods/distillation/sam_kd.py", "(z + d) / 2", "(z + d) / 3", {"02_sam_kd", "02b_sam_kd_tables"}),
        ("methods/noisy_labels/dale.py", "slope > 0", "slope >= 0", {"03_dale", "03b_dale_tables"}),
        ("methods/generative/ada.py", "FARTHEST = 8", "FARTHEST = 9", {"04_ssgnet"}),
        ("methods/one_image/s3_net.py", "grey = (colours @", "grey = -(colours @", {"05_s3_net", "05b_s3_net_tables"}),
        (
            "metrics.py",
            "inside = m[:-2",
            "outside = m[:-2",
            {
                "00_data_and_metrics",
                "01_dme_fd",
                "01b_dme_fd_tables",
                "02_sam_kd",
                "02b_sam_kd_tables",
                "03_dale",
                "03b_dale_tables",
                "04_ssgnet",
                "04b_ssgnet_tables",
                "05_s3_net",
                "05b_s3_net_tables",
                "06_own_pictures",
            },
        ),
    ],
)
def test_one_changed_line_makes_exactly_the_pages_that_use_it_stale(tmp_path, file, old, new, stale):
    book = PACKAGE.parents[1]
    for part in ("src/tutseg", "notebooks"):
        shutil.copytree(book / part, tmp_path / part)
    shutil.copy(book / "requirements.lock", tmp_path)
    pages = sorted((tmp_path / "notebooks").glob("*.ipynb"))
    before = {page.stem: stamp(inputs(page, "lab")) for page in pages}
    line = tmp_path / "src/tutseg" / file
    assert old in line.read_text()
    line.write_text(line.read_text().replace(old, new))
    assert {page.stem for page in pages if stamp(inputs(page, "lab")) != before[page.stem]} == stale
