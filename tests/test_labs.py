"""Every lab: its source keeps the rules; its checks pass the solution, fail the blank and catch ten mistakes."""

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from tutseg import labs as room
from tutseg.errors import InputError
from tutseg.labs import build, checking, sources
from tutseg.labs.bundle import SCRIPTS, bundle
from tutseg.labs.checking import Wrong, checks_of, fault_of, mistakes_of, names_of, same
from tutseg.labs.sources import Lab, differences, faults_of, labs, replaced
from tutseg.report import classroom

matplotlib.use("Agg")
LABS = labs()
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module", params=LABS, ids=lambda lab: lab.name)
def solved(request, tmp_path_factory):
    """A lab and the names that its solution defines, without its trainings and its figure."""
    lab, names = request.param, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp(lab.name))
        patch.setenv("TUTSEG_LAB_FAST", "1")
        for cell in sources.graded(lab):
            exec(cell, names)
    return lab, names


def said_of(lab: Lab, names: dict, answers: dict[str, str], only: str = "") -> dict[str, str]:
    """What each check, or one, says where some blanks have other lines; empty where it passes."""
    names = dict(names)
    for blank in lab.blanks:
        if blank.check in answers:
            exec(replaced(lab.notebook.cells[blank.cell].source, answers[blank.check]), names)
    return {
        name: fault_of(check, {each: names[each] for each in names_of(check)})
        for name, check in checks_of(lab.name).items()
        if only in ("", name)
    }


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_a_source_keeps_the_rules(lab):
    assert faults_of(lab) == []


def test_the_solution_passes_and_with_other_random_inputs_too(solved, monkeypatch):
    for seed in ("0", "1"):
        monkeypatch.setenv("TUTSEG_LAB_SEED", seed)
        assert set(said_of(*solved, {}).values()) == {""}


def test_a_blank_fails_its_check_with_a_line_that_helps(solved):
    lab, names = solved
    said = said_of(lab, names, {blank.check: "raise NotImplementedError()" for blank in lab.blanks})
    assert set(said.values()) == {"the blank is still empty"}
    for wrong in ("pass", "return None", "return 'text'"):
        for blank in lab.blanks:
            said = said_of(lab, names, {blank.check: wrong}, blank.check)[blank.check]
            assert said and "\n" not in said


def test_ten_mistakes_are_caught_and_named_without_the_answer(solved):
    lab, names = solved
    mistakes = mistakes_of(lab.name)
    lines = {line.strip() for blank in lab.blanks for line in blank.solution.split("\n") if len(line.strip()) > 20}
    assert len(mistakes) == 10 and {each.check for each in mistakes} == set(checks_of(lab.name))
    for mistake in mistakes:
        said = said_of(lab, names, {mistake.check: mistake.code})
        assert mistake.hint in said[mistake.check], (mistake.what, said[mistake.check])
        assert {name for name, fault in said.items() if fault} == {mistake.check, *mistake.also}, mistake.what
        assert not any(line.removeprefix("return ") in said[mistake.check] for line in lines)


# Student = solution minus its blanks ----------------------------------------------------------------------------------


def test_built_notebooks_are_what_the_sources_say_until_someone_edits_one(tmp_path):
    built = build.build(None, tmp_path)
    assert len(built) == 2 * len(LABS) + 1 and build.faults(tmp_path) == []
    student = next(path for path in built if path.parent.name == "student")
    assert "SOLUTION" not in student.read_text() and "YOUR CODE HERE" in student.read_text()
    student.write_text(student.read_text().replace("YOUR CODE HERE", "my code"))
    (fault,) = build.faults(tmp_path)
    assert student.name in fault
    teacher = (tmp_path / "teacher.html").read_text()
    assert all(lab.title in teacher and "<h2>Answers</h2>" in teacher for lab in LABS)


@pytest.mark.parametrize(
    "edit",
    [
        lambda page: page.cells.pop(),
        lambda page: page.cells[2].update(source=page.cells[2].source + "\n# more"),
        lambda page: page.cells[-1].update(source="something else"),
    ],
)
def test_a_student_notebook_edited_apart_is_seen(edit):
    lab = LABS[0]
    cut = copy.deepcopy(lab.notebook)
    for cell in cut.cells:
        cell.source = replaced(cell.source, "# YOUR CODE HERE\nraise NotImplementedError()")
    assert differences(lab.notebook, cut) == []
    edit(cut)
    assert len(differences(lab.notebook, cut)) == 1


def test_a_source_against_the_rules_is_told(tmp_path):
    lab = LABS[0]
    text = lab.path.read_text()
    broken = tmp_path / lab.path.name
    broken.write_text(
        text.replace("(10 min)", "(11 min)")
        .replace('check("L1.2", scores=scores)', "scores(1, 1, 1)")
        .replace('met("L1.a"', 'met("L1.z"')
        .replace('tags=["figure"]', "")
    )
    (tmp_path / "teacher").mkdir()
    told = "\n".join(faults_of(Lab("L1", broken, lab.title, lab.goal, lab.chapter, lab.needs, lab.alt)))
    for part in ("91 minutes", "its blanks are checked by", "it predicts", "tagged figure", "no teacher's notes"):
        assert part in told


# The checks' own tools ------------------------------------------------------------------------------------------------


def test_same_tells_what_came_back_and_never_the_truth():
    truth = np.array([0.123456, 0.654321])
    same(truth + 1e-9, truth, "x")
    likely = {"is it upside down?": truth[::-1]}
    for got, hint in (
        (None, "does the function end with `return`"),
        ("a", "a str came back"),
        ([1.0], "has the shape (1,)"),
        ([np.nan, 1], "not finite"),
        (truth[::-1], "is it upside down?"),
        ([1, 2], "work one small case out"),
    ):
        with pytest.raises(Wrong) as wrong:
            same(got, truth, "x", likely)
        assert hint in str(wrong.value) and "0.1234" not in str(wrong.value)


def test_an_error_in_an_answer_is_one_line_with_its_place():
    names = {}
    exec(compile("def answer(x):\n    return 1 / 0", "<cell>", "exec"), names)
    said = fault_of(lambda answer: answer(1), {"answer": names["answer"]})
    assert said == "stops with ZeroDivisionError: division by zero (line 2 of the cell, in answer)"


def test_check_says_right_or_raises_one_line(capsys, monkeypatch):
    monkeypatch.setattr(checking, "checks_of", lambda lab: {"L1.1": lambda x: same(x, 1, "x")})
    room.check("L1.1", x=1)
    assert capsys.readouterr().out == "L1.1: right.\n"
    with pytest.raises(Wrong, match=r"L1\.1: x: 2 is not what"):
        room.check("L1.1", x=2)
    with pytest.raises(InputError, match=r"unknown check 'L1\.9'"):
        room.check("L1.9", x=2)


def test_a_prediction_is_stored_and_met_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    room.met("L1.a", np.float64(0.5))
    room.predict("L1.a", None)
    room.predict("L1.a", 0.8)
    room.met("L1.a", np.float64(0.5))
    room.predict("L1.a", 0.5)  # too late
    room.predict("L1.b", "Pooled")
    room.met("L1.b", "pooled")
    said = capsys.readouterr().out.splitlines()
    for line, part in zip(said, ("nothing", "in place of None", "stored", "0.3 apart", "it stays", "stored", "so it"),
                          strict=True):  # fmt: skip
        assert part in line


@pytest.mark.parametrize("spoiled", ['{"L1.a": 3}', '{"L1.a": {"answer": 0.8}}', '["L1.a"]', "{", '{"L1.a": null}'])
def test_predictions_spoiled_by_hand_count_as_none(tmp_path, monkeypatch, capsys, spoiled):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "predictions.json").write_text(spoiled)
    room.met("L1.a", 0.5)
    room.predict("L1.a", 0.8)
    assert "predicted nothing" in (said := capsys.readouterr().out) and "stored" in said


@pytest.mark.slow
def test_lab_1_needs_no_torch(tmp_path):
    (lab,) = labs(["L1"])
    code = "import sys; sys.modules['torch'] = None\n" + "\n".join(
        cell.source for cell in lab.notebook.cells if cell.cell_type == "code"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "MPLBACKEND": "Agg", "TUTSEG_LAB_FAST": "1"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^L1\.\d: right\.$", done.stdout, re.MULTILINE)) == 4


# What teachers see ----------------------------------------------------------------------------------------------------


def test_the_pages_show_every_lab_with_goal_minutes_and_figure():
    term, pages = classroom.term(Path()), classroom.labs(Path())
    for lab in LABS:
        assert f"(lab-{lab.name})" in term and f"(lab-{lab.name})=" in pages and lab.goal in pages
        drawn = (ROOT / "labs" / "figures" / f"{lab.name}.png").exists()
        assert (f"figures/{lab.name}.png\n:alt: {lab.alt}\n" in pages) == drawn
        assert (ROOT / f"{lab.chapter}{'.ipynb' if lab.chapter.startswith('notebooks') else '.md'}").exists()
        assert all(f"| {minutes} |" in pages for _, minutes in lab.parts if minutes)
    assert "not yet" not in pages  # else a heading has changed: `python benchmarks/labs.py`


@pytest.mark.slow
def test_a_bundle_has_no_solution_and_what_a_room_needs(tmp_path):
    out = bundle(tmp_path / "stick")
    assert {path.name for path in out.iterdir()} == {"tutseg", "student", "requirements.txt", *SCRIPTS}
    assert len(list((out / "student").glob("*.ipynb"))) == len(LABS)
    texts = [path for path in out.rglob("*") if path.suffix in (".py", ".ipynb", ".md") and "labs" in path.parts[-2:]]
    assert not any("BEGIN SOLUTION\n" in path.read_text() for path in texts)
    pins = (out / "requirements.txt").read_text()
    assert "nvidia" not in pins and "jupyterlab==" in pins
    for name in SCRIPTS:
        assert subprocess.run(["sh", "-n", out / name], check=False).returncode == 0
    with pytest.raises(InputError, match="exists"):
        bundle(out)


def test_labs_without_nbgrader_are_one_line(tutseg, monkeypatch):
    monkeypatch.setitem(sys.modules, "nbgrader.preprocessors", None)
    said = tutseg("labs", "build", "L1", "--out", "built")
    assert said.code == 2 and said.err.count("\n") == 1 and "tutseg[labs]" in said.err
