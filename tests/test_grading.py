"""What a class hands in is graded by our checks, whatever it is, and nothing outside is touched."""

import json
import sys

import nbformat
import pytest

from tutseg.errors import InputError
from tutseg.labs import grade, runner, sandbox, simulate
from tutseg.labs.figures import executed
from tutseg.labs.grade import Marks, Submission, code_of, lab_of, odd, own_cells, submissions
from tutseg.labs.sources import labs

LABS = labs()


@pytest.fixture
def lab():
    return LABS[0]


def test_submissions_are_found_by_student_and_links_are_not_followed(tmp_path):
    for name in ("anna/L1.ipynb", "anna/deep/L2.ipynb", "anna/.ipynb_checkpoints/L1.ipynb", "bert.ipynb", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / "carl").mkdir()
    (tmp_path / "carl/a.ipynb").symlink_to(tmp_path / "bert.ipynb")
    found = [(each.student, each.path and each.path.name) for each in submissions(tmp_path)]
    assert found == [("anna", "L1.ipynb"), ("anna", "L2.ipynb"), ("bert", "bert.ipynb"), ("carl", None)]
    for wrong in (tmp_path / "carl/empty", tmp_path / "notes.txt"):
        with pytest.raises(InputError):
            submissions(wrong)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 3}', '{"cells": [{"cell_type": "code"}]}', "[" * 100_000])
def test_a_broken_file_is_no_notebook(tmp_path, text):
    (tmp_path / "a.ipynb").write_text(text)
    marks = grade.grade_one(Submission("a", tmp_path / "a.ipynb"), tmp_path, LABS, 1, 1)
    assert marks.note.startswith("not a notebook") and marks.row()["passed"] == 0


def test_a_lab_is_known_by_its_name_or_by_its_cells(lab, tmp_path):
    nbformat.write(lab.notebook, tmp_path / "a.ipynb")
    cells, named = code_of(tmp_path / "a.ipynb")
    assert lab_of(cells, named, LABS) is lab and lab_of(cells, "", LABS) is lab
    assert lab_of(cells[:2], "", LABS) is None


def test_long_cells_figures_and_checks_are_not_run_by_id_or_source(lab, tmp_path):
    nbformat.write(lab.notebook, tmp_path / "a.ipynb")
    cells, _ = code_of(tmp_path / "a.ipynb")
    run = own_cells(cells, lab)
    assert not any("check(" in source or "axvline" in source for _, source in run)
    assert any("def counts" in source for _, source in run)
    ran = lambda cells: [at for at, _ in own_cells(cells, lab)]
    renumbered = [(at, f"x{at}", source) for at, _, source in cells]
    edited = [(at, id, source + "\n# mine") for at, id, source in cells]
    assert ran(renumbered) == ran(edited) == ran(cells)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import numpy as np\nnp.allclose = lambda *a: True", "changes np.allclose"),
        ("from tutseg.labs.l1 import CHECKS", "imports tutseg.labs.l1"),
        ("import os\nos._exit(0)", "uses _exit"),
        ("import ctypes", "imports ctypes"),
        ("from tutseg.labs import check\nx = 1\nx.y = 2", ""),
        ("not python", ""),
    ],
)
def test_what_may_be_written_against_the_grader_is_named(source, what):
    assert odd(source) == what


def test_a_spreadsheet_takes_no_name_for_a_formula():
    row = Marks("=cmd()", "-x.ipynb", "L1", {"L1.1": "", "L1.2": "no"}, note="@y").row()
    assert (row["student"], row["file"], row["note"]) == ("'=cmd()", "'-x.ipynb", "'@y")
    assert (row["1"], row["2"], row["passed"], row["of"]) == (1, 0, 1, 2)


def told_by(cells, monkeypatch, seconds=5.0):
    """What the runner tells of cells, in this very process."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    said = []
    checks = {"double": lambda double: _expect_double(double)}
    runner.run(list(enumerate(cells, 1)), checks, lambda **what: said.append(what), seconds)
    return said


def _expect_double(double):
    assert double(2) == 4, "two and two"


def test_a_check_runs_when_its_names_are_there_and_passed_is_passed(monkeypatch):
    right, wrong = "def double(x):\n    return 2 * x", "def double(x):\n    return x"
    assert told_by([right, wrong], monkeypatch) == [{"check": "double", "fault": ""}]
    said = told_by(["1 / 0", wrong, "%magic\n!pip install x\n" + right], monkeypatch)
    assert said[0] == {"cell": 1, "error": "ZeroDivisionError: division by zero"}
    assert "two and two" in said[1]["fault"] and said[2]["fault"] == "" and len(said) == 3


def test_a_helper_that_comes_late_is_still_used(monkeypatch):
    said = told_by(["def double(x):\n    return twice(x)", "def twice(x):\n    return 2 * x"], monkeypatch)
    assert "NameError" in said[0]["fault"] and said[-1] == {"check": "double", "fault": ""}


def test_an_endless_loop_and_an_exit_end_where_they_are(monkeypatch):
    said = told_by(["while True: pass", "raise SystemExit", "def double(x):\n    while True: pass"], monkeypatch, 0.05)
    assert ["was stopped" in each.get("error", each.get("fault", "")) for each in said] == [True, False, True]
    assert "ends the program" in said[1]["error"]


def test_a_class_has_thirty_and_every_kind_once_over_the_labs(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(simulate, "walled", lambda: True)
    handed = simulate.class_of(lab, tmp_path / "x")
    assert len({each.kind for each in handed}) == simulate.CLASS
    assert {"endless loop", "imports what is not there", "deletes its folder"} <= {each.kind for each in handed}


# Slow: processes ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_class_of_thirty_gets_the_right_marks(tmp_path):
    rows = simulate.simulate(["L1"], tmp_path / "class", 40, 5)
    assert len(rows) == 30 and [row for row in rows if not row["right"]] == []


@pytest.mark.slow
@pytest.mark.parametrize("wall", [True, False])
def test_the_walls_hold(tmp_path, lab, monkeypatch, wall):
    if wall and not sandbox.walled():
        pytest.skip("this system has no user namespaces")
    monkeypatch.setattr(sandbox, "walled", lambda: wall)
    monkeypatch.setattr(simulate, "walled", lambda: wall)
    canary, every = tmp_path / "canary", [blank.check for blank in lab.blanks]
    canary.write_text("as it was")
    for kind, (code, told) in simulate.hostile(canary).items():
        if "loop" not in kind:
            nbformat.write(lab.filled({every[-1]: code}), tmp_path / "x.ipynb")
            marks = grade.grade_one(Submission(kind, tmp_path / "x.ipynb"), tmp_path, [lab], 60, 10)
            assert [name for name, fault in marks.faults.items() if fault] == every[-1:], kind
            assert told in " ".join([*marks.faults.values(), marks.note, marks.look]), (kind, marks)
            assert canary.read_text() == "as it was", kind


@pytest.mark.slow
def test_the_table_is_csv_or_json(tutseg, tmp_path, lab):
    folder = tmp_path / "in" / "anna"
    folder.mkdir(parents=True)
    nbformat.write(lab.notebook, folder / "mine.ipynb")
    said = tutseg("labs", "grade", tmp_path / "in")
    assert said.out.splitlines()[0].startswith("student,file,lab,passed,of,1,2,3,4")
    assert said.out.splitlines()[1].startswith("anna,anna/mine.ipynb,L1,4,4,1,1,1,1")
    (row,) = json.loads(tutseg("labs", "grade", tmp_path / "in", "--json").out)
    assert row["student"] == "anna" and set(row["faults"].values()) == {""}


@pytest.mark.slow
@pytest.mark.parametrize("each", LABS, ids=lambda each: each.name)
def test_a_solution_runs_in_a_notebook(each, monkeypatch):
    monkeypatch.setenv("TUTSEG_LAB_FAST", "1")
    page = executed(each)
    printed = "".join(output.get("text", "") for cell in page.cells for output in cell.get("outputs", ()))
    assert printed.count(": right.") == len(each.blanks)
