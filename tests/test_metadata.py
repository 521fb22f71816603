"""Tables beside pictures, saved again by other programs: read alike, or refused with file and line."""

import zipfile

import pytest
from test_readers import TREES, put_table, tree_ham10000, tree_isic2016, tree_isic2018, tree_ph2

from tutseg.data import open_source
from tutseg.data.cards import list_data
from tutseg.data.readers import READERS
from tutseg.errors import InputError

SETS = {
    "ham10000": (tree_ham10000, "HAM10000_metadata.csv"),
    "isic2018": (tree_isic2018, "ISIC-2017_Training_Part3_GroundTruth.csv"),
    "isic2016": (tree_isic2016, "ISBI2016_ISIC_Part3_Training_GroundTruth.csv"),
}


def lines_of(path):
    return path.read_text().splitlines()


def semicolons(path):
    path.write_text(path.read_text().replace(",", ";").replace(".0", ",0"))


def tabs(path):
    path.write_text(path.read_text().replace(",", "\t"))


def utf16(path):
    path.write_bytes(path.read_text().encode("utf-16"))


def blank_lines(path):
    commas = "," * lines_of(path)[0].count(",")
    path.write_text("\n".join([lines_of(path)[0], "", commas, *lines_of(path)[1:], "", commas]) + "\n\n")


def empty_columns(path):
    path.write_text("\n".join(line + ",," for line in lines_of(path)))


@pytest.mark.parametrize("change", [semicolons, tabs, utf16, blank_lines, empty_columns])
@pytest.mark.parametrize("name", SETS)
def test_a_table_saved_again_says_the_same(tmp_path, name, change):
    tree, table = SETS[name]
    expected = tree(tmp_path)
    before = open_source(name, tmp_path).labels
    change(tmp_path / table)
    assert open_source(name, tmp_path).labels == before == expected["labels"]
    assert open_source(name, tmp_path).items[0].group == ("HAM_1" if name == "ham10000" else None)


def short_row(path):
    first, *rest, last = lines_of(path)
    path.write_text("\n".join([first, *rest, last.split(",")[0]]))
    return f"line {len(rest) + 2}"


def missing_column(path):
    path.write_text("\n".join(",".join(line.split(",")[:-1]) for line in lines_of(path)))
    return "line 1"


def empty_cell(path):
    first, *rest = lines_of(path)
    path.write_text("\n".join([first, "," + rest[0].split(",", 1)[1], *rest[1:]]))
    return "line 2"


def open_quote(path):
    path.write_text(path.read_text() + '"open,')
    return "line"


def workbook(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("xl/workbook.xml", "<x/>")
    return "not UTF-8 text"


@pytest.mark.parametrize("change", [short_row, missing_column, empty_cell, open_quote, workbook])
def test_a_broken_table_is_one_line_and_the_other_sets_are_listed(tmp_path, change):
    for name in ("ham10000", "kvasir-seg"):
        TREES[name](tmp_path / READERS[name].folder)
    place = change(tmp_path / "HAM10000/HAM10000_metadata.csv")
    with pytest.raises(InputError) as error:
        open_source("ham10000", tmp_path)
    assert "HAM10000_metadata.csv" in error.value.what and place in error.value.what and error.value.remedy
    assert "\n" not in str(error.value)
    rows = {row["name"]: row for row in list_data(tmp_path)}
    assert (rows["ham10000"]["state"], rows["kvasir-seg"]["state"]) == ("broken", "here")
    assert "HAM10000_metadata.csv" in rows["ham10000"]["get"]


@pytest.mark.parametrize(
    ("name", "line"),
    [("isic2016", "ISIC_0000000,maybe"), ("isic2018", "ISIC_0000000,0.5,0.0"), ("isic2018", "ISIC_0000000,x,0.0")],
)
def test_a_class_that_is_none_is_named_with_its_line(tmp_path, name, line):
    tree, table = SETS[name]
    tree(tmp_path)
    with (tmp_path / table).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=rf"{table}, line \d.* not 0 or 1"):
        open_source(name, tmp_path)


def test_task_three_needs_one_class_a_picture(tmp_path):
    from test_readers import ellipse, put

    stem, codes = "ISIC2018_Task3_Training", ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    put(tmp_path / f"{stem}_Input/ISIC_0000000.jpg", ellipse(0)[0])
    table = tmp_path / f"{stem}_GroundTruth/{stem}_GroundTruth.csv"
    for marks in (["0.0"] * 7, ["1.0"] * 2 + ["0.0"] * 5):
        put_table(table, [["image", *codes], ["ISIC_0000000", *marks]])
        with pytest.raises(InputError, match=r"line 2: \d classes are marked"):
            open_source("isic2018", tmp_path, task=3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Name || Clinical Diagnosis ||\nIMD003\n", "line 2: the clinical diagnosis of IMD003 is ''"),
        ("Name || Clinical Diagnosis ||\nIMD003 || 7 ||\n", "line 2: the clinical diagnosis of IMD003 is '7'"),
        ("Name || Asymmetry ||\nIMD003 || 0 ||\n", "no line names a column Clinical Diagnosis"),
        ("Name || Clinical Diagnosis ||\n|| 1 || 0 ||\n", "no line begins with a picture's name"),
    ],
)
def test_ph2_text_saved_again(tmp_path, text, words):
    tree_ph2(tmp_path)
    path = tmp_path / "PH2_dataset.txt"
    path.write_text(path.read_text().replace("||", ";"))
    assert open_source("ph2", tmp_path).labels == ["common nevus", "melanoma"]
    path.write_text(text)
    with pytest.raises(InputError, match=f"PH2_dataset.txt.*{words}"):
        open_source("ph2", tmp_path)


def test_ph2_sheet_saved_again(tmp_path):
    import openpyxl

    tree_ph2(tmp_path)
    (tmp_path / "PH2_dataset.txt").unlink()
    path = tmp_path / "PH2_dataset.xlsx"
    head = ["Image Name", "Common Nevus", "Atypical Nevus", "Melanoma"]
    for rows, words in (
        ([head, [], ["IMD003"]], "row 3: 0 diagnoses are marked"),
        ([head, ["IMD003", "X", "X", None]], "row 2: 2 diagnoses are marked"),
        ([head[:3], ["IMD003", "X", None]], "row 1: no column melanoma"),
        ([["Name"]], "no row names a column Image Name"),
    ):
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
        with pytest.raises(InputError, match=f"PH2_dataset.xlsx.*{words}"):
            open_source("ph2", tmp_path)
    for data in (b"", b"<html>", path.read_bytes()[:2000]):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"PH2_dataset\.xlsx is not an Excel workbook") as error:
            open_source("ph2", tmp_path)
        assert "\n" not in str(error.value)


# ---- whose folder is it? ---------------------------------------------------------------------------------------------


def test_a_folder_of_ones_own_is_no_published_set(tmp_path, write_pictures, monkeypatch):
    root = write_pictures(tmp_path / "mine")
    for part in ("train", "test", "Train_Folder", "Original", "benign", "2d_images"):
        write_pictures(root / part)
    monkeypatch.setenv("TUTSEG_DATA", str(root))
    assert {row["state"] for row in list_data()} == {row["state"] for row in list_data(root)} == {"missing", "drawn"}
    for name in ("kvasir-seg", "etis", "covid-semiseg"):
        with pytest.raises(InputError, match="does not hold"):
            open_source(name)
    assert open_source("kvasir-seg", root).name == "kvasir-seg"  # whoever says so is believed


OTHERWISE = ("endoscene", "isic2018")  # their trees are drawn in a layout that is not theirs alone


@pytest.mark.parametrize("name", [n for n, reader in READERS.items() if reader.signs and n not in OTHERWISE])
def test_what_only_one_set_has_is_known_under_any_name(tmp_path, name):
    TREES[name](tmp_path / "elsewhere")
    here = {row["name"] for row in list_data(tmp_path / "elsewhere") if row["state"] == "here"}
    assert here == {name} | ({"breastmnist", "pneumoniamnist"} if "medmnist" in READERS[name].folder else set())
