"""The transcription against the papers' own text, against the shape of the printed tables, and against itself."""

import inspect
import re
import subprocess
import sys
from decimal import Decimal

import pytest
from drawn import net_for, register_tiny
from papers_text import numbers, numbers_of, place, sections, span_of, text_of

from tutseg.data import source_names
from tutseg.errors import InputError
from tutseg.files import canonical_json
from tutseg.methods import CARDS as METHODS
from tutseg.methods import build_method, method_class
from tutseg.nets import CARDS as NETS
from tutseg.papers.tables import (
    cell_trials,
    find_cells,
    load_cells,
    load_paper,
    load_table,
    matches,
    paper_folder,
    papers,
    parse_setting,
    read_yaml,
    trial_of,
)

# Printed rows x printed columns of numbers (+ cells that span rows).
GRID = {
    ("dme-fd", 1): 27 * 4,
    ("dme-fd", 2): 15 * 4,
    ("dme-fd", 3): 4 * 4,
    ("dme-fd", 4): 4 * 2,
    ("dme-fd", 5): 4 * 4,
    ("sam-kd", 1): 18 * 4,
    ("sam-kd", 2): 18 * 4,
    ("sam-kd", 3): 4 * 4,
    ("dale", 1): 18 * 4 + 9 + 1,  # growth rates: one a model, and their average
    ("dale", 2): 16 * 14 + 2 * 8 + 2,
    ("dale", 3): 6 * 8,
    ("dale", 4): 8 * 4,
    ("dale", 5): 3 * 6,
    ("ssgnet", 1): 11,
    ("ssgnet", 2): (9 + 12 + 4 + 4) * 5,
    ("ssgnet", 3): 8 * 2,
    ("ssgnet", 4): 38 * 3 + 19,  # an accuracy for each pair of class rows
    ("ssgnet", 5): 12 * 3,
    ("ssgnet", 6): 12 * 3,
    ("s3-net", 1): 6 * 6 - 3,  # IIC has no lung numbers
    ("s3-net", 2): 4 * 3,
}
# Cells whose value the text layer misreads, and which it repeats rightly elsewhere in the table's span.
MISREAD = {("ssgnet", 4, "r15c7"), ("ssgnet", 4, "r23c7")}

each_table = pytest.mark.parametrize(("paper", "number"), GRID, ids=lambda x: str(x))
each_paper = pytest.mark.parametrize("paper", ["dale", "dme-fd", "s3-net", "sam-kd", "ssgnet"])


def test_all_tables_are_there():
    assert papers() == ["dale", "dme-fd", "s3-net", "sam-kd", "ssgnet"]
    assert {(paper, table.number) for paper in papers() for table in load_paper(paper).tables} == set(GRID)


@each_table
def test_every_cell_of_the_grid(paper, number):
    table = load_paper(paper).table(number)
    cells = load_cells(paper, number)
    lost = [position for part in table.illegible for position in part.positions]
    places = [cell.position for cell in cells] + lost
    if (paper, number) != ("ssgnet", 1):  # prints "a / b" in one cell
        assert len(set(places)) == len(places)
    assert not set(places) & set(table.empty)
    assert all(re.fullmatch(r"r[1-9]\d*c[1-9]\d*", place) for place in places)
    assert len(places) == table.cells == GRID[paper, number]


@each_table
def test_schema(paper, number):
    card = load_paper(paper)
    table = card.table(number)
    cells = load_cells(paper, number)
    assert {cell.metric for cell in cells} == set(table.unit) == set(table.direction)
    rows = {cell.row for cell in cells}
    assert set(table.ours) <= rows <= set(card.methods)
    keys = [(cell.row, cell.metric, *sorted(cell.setting.items())) for cell in cells]
    assert len(set(keys)) == len(keys), "row, setting and metric name a cell"
    for cell in cells:
        top = {"percent": 100, "fraction": 1}.get(cell.unit)
        assert cell.value >= 0
        if top and cell.metric not in ("hm", "xor"):  # these two may exceed 1
            assert cell.value <= top
        if cell.spread is not None:
            assert cell.spread.as_tuple().exponent == cell.value.as_tuple().exponent
        if "labelled" in cell.setting:
            assert 0 < float(cell.setting["labelled"]) <= 1
    frame = load_table(paper, number)
    assert len(frame) == len(cells)
    assert frame["value"].tolist() == [float(cell.value) for cell in cells]
    assert frame["digits"].tolist() == [cell.digits for cell in cells]


@each_table
def test_each_cell_stands_at_its_place(paper, number):
    """In the table's span, in order; the value is in the quote; and no number of the span is left over."""
    table = load_paper(paper).table(number)
    span = span_of(text_of(paper), table)
    cursor, rest = 0, []
    for cell in load_cells(paper, number):
        found = span.find(cell.quote, cursor)
        assert found >= 0, f"{cell.row}, {cell.metric}, {cell.position}: '{cell.quote}' not found in order"
        rest.append(span[cursor:found])
        cursor = found + len(cell.quote)
        if (paper, number, cell.position) in MISREAD:
            assert str(cell.value) not in cell.quote
            assert str(cell.value) in span
        else:
            assert str(cell.value) in cell.quote
        if cell.spread is not None:
            assert cell.quote.endswith(str(cell.spread))
            assert len(re.findall(r"\d+\.\d+", cell.quote)) == 2
    rest.append(span[cursor:])
    if not table.illegible:
        assert re.findall(r"(?<![A-Za-z\d])(?:\d+\.\d+|\d{5,})", " ".join(rest)) == []


@each_paper
def test_settings_stand_in_their_section(paper):
    for item in load_paper(paper).settings:
        text = place(paper, item.section)
        if item.printed:
            assert item.printed in text, item
        else:
            standing = {*re.split(r"[\s,;:()\[\]×]+", text.replace(". ", " ")), *numbers_of(paper, item.section)}
            assert set(re.split(r"[\s,]+", item.value)) <= standing, item


@each_paper
def test_numbers_of_the_prose_stand_in_their_section(paper):
    for item in load_paper(paper).text_numbers:
        assert set(item.value.split("-")) <= numbers(item.statement), item
        assert numbers(item.statement) <= numbers_of(paper, item.section), item


@each_paper
def test_numbers_of_the_facts_stand_in_their_section(paper):
    for kind, facts in read_yaml(paper_folder(paper) / "facts.yaml").items():
        for fact in facts:
            if "section" not in fact or kind == "class_shares":  # MedMNIST counted these, not the paper
                continue
            told, standing = numbers(fact["statement"]), numbers_of(paper, fact["section"])
            assert told <= standing, fact
            if kind == "counts":
                assert {str(part) for part in fact["parts"].values()} <= told, fact
                assert any(str(fact["whole"]) in numbers(text) for text in sections(paper).values()), fact
            elif kind == "epochs":
                assert {str(fact["images"]), str(fact["batch"])} <= told, fact
            elif kind == "gains" and fact["value"]:
                assert fact["value"] in told, fact
            elif fact.get("key") == "labelled":
                assert {f"{100 * float(share):g}" for share in fact.get("values", [])} <= told, fact
                assert {str(fact[name]) for name in {"count"} & set(fact)} <= standing, fact
            elif fact.get("key") == "row":
                assert all(row in place(paper, fact["section"]) for row in fact["values"]), fact


@each_paper
def test_text_numbers_speak_of_printed_rows(paper):
    for item in load_paper(paper).text_numbers:
        assert (item.row is None) or (item.table is not None)
        for row in filter(None, [item.row, item.minus]):
            assert find_cells(paper, item.table, row, item.metric, {}), item


def test_two_text_layers_agree_on_copied_numbers():
    """SAM-KD copies DME-FD's rows: two independent readings of the same digits."""
    names = {"UniMatch": "Unimatch", "Ours": "DME-FD"}
    metrics = {"dice": "dice", "jaccard": "iou"}
    copied = 0
    for number in (1, 2):
        theirs = {
            (cell.row, cell.metric, cell.setting["labelled"]): (cell.value, cell.spread)
            for cell in load_cells("sam-kd", number)
        }
        for cell in load_cells("dme-fd", number):
            key = (names.get(cell.row, cell.row), metrics.get(cell.metric), cell.setting["labelled"])
            if key in theirs:
                assert theirs[key] == (cell.value, cell.spread), key
                copied += 1
    assert copied == 2 * (3 + 2 * 6) * 2  # tables x (SupOnly + shares x methods) x metrics


def test_repeated_rows_within_dme_fd():
    """Tables 3, 4 and 5 repeat the proposed method's row of Table 1: the same digits under four headings."""
    own = {
        (number, row, cell.metric): (cell.value, cell.spread)
        for number, row in [(1, "Ours"), (3, "Union"), (4, "Sup+CPS+DME+FDL"), (5, "FDL")]
        for metric in ("dice", "jaccard")
        for cell in find_cells("dme-fd", number, row, metric, {"data": "isic2018", "labelled": "0.04"})
    }
    for metric in ("dice", "jaccard"):
        assert len({value for (_, _, m), value in own.items() if m == metric}) == 1
    assert own[1, "Ours", "dice"] == (Decimal("82.06"), Decimal("0.69"))


@each_paper
def test_every_cell_has_a_trial_or_a_reason(paper):
    found = cell_trials(paper)
    assert len(found) == len(load_cells(paper))
    for item in found:
        assert (item.trial is None) != (item.cannot is None)
        if item.trial:
            assert {"method", "data", "options"} <= set(item.trial)
            assert paper == "s3-net" or 0 < item.trial["labelled"] <= 1


def test_a_trial_matches_only_its_own_cells():
    record = {"method": "dme-fd", "data": "isic2018", "labelled": 0.04, "seed": 3, "steps": 300, "options": {}}
    ours = trial_of("dme-fd", "Ours", {"data": "isic2018", "labelled": "0.04"})
    intersect = trial_of("dme-fd", "Intersect", {"data": "isic2018", "labelled": "0.04"})
    assert matches(ours, record)
    assert matches(ours, record | {"options": {"tau": 0.9}}), "an option that no row of the paper sets is free"
    assert not matches(intersect, record)
    variant = record | {"options": {"combine": "intersect"}}
    assert matches(intersect, variant)
    assert not matches(ours, variant)
    for change in ({"labelled": 0.02}, {"data": "ph2"}, {"method": "cps"}, {"test_data": "ph2"}):
        assert not matches(ours, record | change)
    assert not matches(ours, {"method": "dme-fd", "data": "isic2018"}), "a missing field is no match"
    alone = trial_of("s3-net", "L_ce", {"data": "ph2"})
    one_image = {"method": "s3-net", "data": "ph2"}
    assert matches(alone, one_image | {"options": {"weights": (1.2, 0.0, 0.0)}})
    assert not matches(alone, one_image)
    dale = trial_of("dale", "*Unet", {"train": "isic2016", "data": "ph2"})
    assert matches(dale, {"method": "dale", "net": "unet", "data": "isic2018", "test_data": "ph2", "labelled": 1})
    assert "MosMedData+" in trial_of("dale", "*Unet", {"data": "mosmed"})["cannot"]


def test_errors_name_the_remedy():
    with pytest.raises(InputError, match="did you mean dme-fd"):
        load_paper("dmefd")
    with pytest.raises(InputError, match=r"no table 9 .* choose one of 1, 2, 3"):
        load_cells("sam-kd", 9)
    with pytest.raises(InputError, match=r"unknown entry of 'methods' in dme-fd/paper.yaml 'Uninon'"):
        trial_of("dme-fd", "Uninon", {})
    with pytest.raises(ValueError, match="key=value"):
        parse_setting("data")


def lacking(trial):
    """What a trial names and the package has not: methods, nets, data sets, and options of its method."""
    known = {"method": METHODS, "net": NETS, "data": source_names(), "test_data": source_names()}
    found = {f"{field} {trial[field]}" for field in known.keys() & trial.keys() if trial[field] not in known[field]}
    if trial["method"] in METHODS:
        taken = inspect.signature(method_class(trial["method"])).parameters
        found |= {f"option {trial['method']}.{name}" for name in set_options(trial) if name not in taken}
    return found


def set_options(trial):
    return {name: value for name, value in trial["options"].items() if value is not None}


@each_paper
def test_every_trial_can_be_built_or_the_paper_card_says_what_is_lacking(paper, monkeypatch):
    """No row may name, silently, a method or an option that nothing here can take: its cells would wait for ever."""
    register_tiny(monkeypatch)
    trials = {canonical_json(item.trial): item.trial for item in cell_trials(paper) if item.trial}
    for trial in trials.values():
        assert lacking(trial) <= load_paper(paper).lacking.keys(), trial
        if trial["method"] in METHODS and not lacking(trial):
            trained = METHODS[trial["method"]].kind != "one-image"
            net = {"net": net_for(trial["method"]), "size": 32} if trained else {}
            build_method(trial["method"], **net, **set_options(trial))
    needed = {name for trial in trials.values() for name in lacking(trial)}
    assert load_paper(paper).lacking.keys() == needed, "what has been written since is no longer lacking"


def test_lists_need_neither_torch_nor_pandas():
    code = """
import sys
from tutseg.papers.claims import load_claims, paper_effect
from tutseg.papers.tables import cell_trials, papers
[paper_effect(claim) for claim in load_claims()], [cell_trials(paper) for paper in papers()]
print([name for name in ("torch", "pandas", "scipy") if name in sys.modules])
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
