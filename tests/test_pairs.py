"""A chapter is two files that say the same, in the table of contents, with its profiles."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest

from tutseg.errors import InputError
from tutseg.workflow.notebooks import _parameter_names, chapters, check_pairs, choose, folder, sync
from tutseg.workflow.profiles import PROFILES, Profile, load_profile


def test_every_pair_says_the_same():
    assert check_pairs() == []


def test_every_chapter_is_in_the_contents_and_back():
    assert sorted(path.name for path in chapters()) == sorted(path.name for path in folder().glob("*.ipynb"))


@pytest.mark.parametrize("chapter", [path.stem for path in chapters()])
def test_a_chapter_has_parameters_and_three_profiles(chapter):
    names = _parameter_names(nbformat.read(folder() / f"{chapter}.ipynb", as_version=4))
    assert "PROFILE" in names
    for name in PROFILES:
        assert load_profile(chapter, name).minutes > 0


@pytest.fixture
def pair(tmp_path) -> Path:
    for file in folder().glob("00_*.*"):
        shutil.copy(file, tmp_path)
    return tmp_path


def test_sync_is_stable_and_leaves_a_bare_notebook(pair):
    (notebook,) = pair.glob("*.ipynb")
    committed = notebook.read_text()
    assert sync(pair) == []
    notebook.unlink()
    assert sync(pair) == [notebook]
    assert notebook.read_text() == committed
    page = nbformat.read(notebook, as_version=4)
    nbformat.validate(page)
    assert set(page.metadata) == {"jupytext", "kernelspec"}


def change(pair: Path, what) -> list[str]:
    (notebook,) = pair.glob("*.ipynb")
    page = nbformat.read(notebook, as_version=4)
    what(page)
    nbformat.write(page, notebook)
    return check_pairs(pair)


def test_code_wider_than_a_page_shows_is_told(pair):
    script = next(pair.glob("*.py"))
    script.write_text(script.read_text() + f"\n# %%\nx = '{'y' * 90}'\n")
    sync(pair)
    (fault,) = check_pairs(pair)
    assert "is 96 characters wide, a page shows 90" in fault


def code_cells(page):
    return [cell for cell in page.cells if cell.cell_type == "code"]


def test_an_edited_cell_is_noticed(pair):
    def edit(page):
        page.cells[0].source += " changed"

    assert change(pair, edit) == ["00_data_and_metrics: cell 1 differs between .py and .ipynb"]


def test_a_lost_tag_is_noticed(pair):
    def edit(page):
        for cell in page.cells:
            cell.metadata.pop("tags", None)

    assert len(change(pair, edit)) == 1


def test_a_lost_last_cell_is_noticed(pair):
    assert len(change(pair, lambda page: page.cells.pop())) == 1


def test_outputs_are_noticed_and_ids_are_not(pair):
    def edit(page):
        page.cells[0].id = "another"
        code_cells(page)[0].outputs = [nbformat.v4.new_output("stream", text="said")]

    assert change(pair, edit) == ["00_data_and_metrics.ipynb carries outputs"]


def test_a_lone_file_is_noticed(pair):
    (script,) = pair.glob("*.py")
    script.unlink()
    assert check_pairs(pair) == ["00_data_and_metrics.ipynb has no .py"]


def test_chapters_are_chosen_by_a_unique_beginning():
    known = chapters()
    assert choose([]) == known
    assert [path.stem for path in choose(["01", "00_data_and_metrics"])] == [path.stem for path in known[:2]]
    assert [path.stem for path in choose(["01b"])] == ["01b_dme_fd_tables"]
    with pytest.raises(InputError, match="unknown chapter '0'"):
        choose(["0"])
    with pytest.raises(InputError, match="unknown chapter 'missing'"):
        choose(["missing"])


def test_the_help_of_run_names_parameters_that_every_chapter_has(tutseg):
    given = set(re.findall(r" -p (\w+)", tutseg("run", "--help").out.split("Example")[1]))
    assert given
    for path in chapters():
        assert given <= set(_parameter_names(nbformat.read(path, as_version=4)))


def test_a_malformed_profile_is_told_by_file_and_field(tmp_path, monkeypatch):
    monkeypatch.setattr("tutseg.workflow.profiles.project_root", lambda: tmp_path)
    with pytest.raises(InputError, match=r"x\.yaml is missing"):
        load_profile("x", "lab")
    (tmp_path / "notebooks/profiles").mkdir(parents=True)
    file = tmp_path / "notebooks/profiles/x.yaml"
    file.write_text("lab: {hardware: a laptop, minutes: many, expect: much, settings: {}}")
    with pytest.raises(InputError, match=r"x\.yaml: lab\.minutes"):
        load_profile("x", "lab")
    with pytest.raises(InputError, match="profile 'gpu' is missing"):
        load_profile("x", "gpu")
    with pytest.raises(InputError, match="unknown profile 'huge'"):
        load_profile("x", "huge")
    file.write_text("lab: {hardware: a laptop, minutes: 2, expect: much, settings: {a: 1}}")
    assert load_profile("x", "lab") == Profile(hardware="a laptop", minutes=2, expect="much", settings={"a": 1})
