"""Tables as people write them: the numbers of one table, in every dress, are read as the same cells."""

import json
from decimal import Decimal

import numpy as np
import pytest
from honest_tables import honest_table

from tutseg.audit.examine import audit_csv
from tutseg.audit.headings import read_heading
from tutseg.audit.numbers import read_number
from tutseg.audit.usertable import read_table
from tutseg.errors import InputError

HEADINGS = {
    "dice": ("Dice", "DSC [%]", "Dice Similarity Coefficient (DSC)", "DI ↑", r"\textbf{Dice} (\%)",
             "Mean Dice (%)", "dice_score", "DSC ± std", r"Dice $\pm$ SD", "Dice (mean ± s.d.)"),
    "jaccard": ("Jaccard", "JSC (%)", "JA", "Jaccard index", "$JSI$", "JI (in %) ↑", "JI ± SD (%)"),
    "iou": ("IoU", "Intersection over Union (IoU)", "foreground IoU (%)", "IOU"),
    "miou": ("mIoU", "Mean IoU (%)", "mean intersection-over-union"),
    "sensitivity": ("SE", "Sens.", "Sensitivity (TPR) ↑"),
    "recall": ("Recall", "Rec. (%)", "Sensitivity/Recall"),
    "specificity": ("SP", "Specificity [%]", "Spec."),
    "accuracy": ("AC", "Acc. (%)", "Pixel accuracy"),
    "precision": ("PRE", "Precision (PPV)", "prec"),
    "hd95": ("95% HD", "HD95 [mm]", "95HD", "HD (95%)", "Hausdorff distance 95 (px) ↓", r"HD$_{95}$", "95% HD (voxel)",
             "95th percentile Hausdorff distance"),
    "asd": ("ASD", "ASD (mm)", "Average surface distance"),
}  # fmt: skip


@pytest.mark.parametrize(("metric", "heading"), [(m, h) for m, names in HEADINGS.items() for h in names])
def test_a_heading_is_understood(metric, heading):
    found = read_heading(heading)
    assert found is not None and found.metric == metric and found.of == ""
    assert found.percent == ("%" in heading and metric != "hd95")


@pytest.mark.parametrize("heading", ["Dice in percent", "Dice (in per cent)", "Dice pct", "Dice percent (mean ± std)"])
def test_per_cent_in_words_is_a_unit(heading):
    assert read_heading(heading) == read_heading("Dice (%)")


@pytest.mark.parametrize(
    "heading",
    [
        "FPS",
        "Params (M)",
        "HD",
        "Dice loss",
        "Dice std",
        "ΔDice",
        "Dice/IoU",
        "1 - Dice",
        "p (Dice)",
        "AUC",
        "Time (s)",
    ],
)
def test_a_heading_that_only_resembles_a_metric_is_not_read(heading):
    assert read_heading(heading) is None


@pytest.mark.parametrize(
    ("text", "value", "spread"),
    [
        (r"$88.0 \pm 0.3$", "88.0", "0.3"),
        (r"\textbf{88.0}", "88.0", None),
        (r"$\mathbf{88.0}_{\pm 0.3}$", "88.0", "0.3"),
        (r"88.0$_{0.30}$", "88.0", "0.30"),
        (r"\underline{88.0 {\scriptsize $\pm$ 0.3}}", "88.0", "0.3"),
        (r"{\bf 88.0}\%", "88.0", None),
        (r"\textcolor{red}{88.0}$^{\dagger}$", "88.0", None),
        ("88,05 ± 0,30", "88.05", "0.30"),
        ("88.0±.3 %", "88.0", "0.3"),
        ("88.0% +/- 0.3%", "88.0", "0.3"),
        ("88.0 (0.3)", "88.0", "0.3"),
        ("88.0 (+1.2)", "88.0", None),
        ("0.88 (0.86-0.90)", "0.88", None),
        ("0.88 [95% CI 0.86, 0.90]", "0.88", None),
        ("**88.0**†", "88.0", None),
        ("1,234.5", "1234.5", None),
        ("1.234,5", "1234.5", None),
        ("1 234,5", "1234.5", None),
        ("1'234'567.8", "1234567.8", None),
        ("81e-3", "0.081", None),
        ("−0.5", "-0.5", None),
    ],
)
def test_a_cell_is_a_number(text, value, spread):
    found = read_number(text)
    assert str(found.value) == value and (found.spread if spread is None else str(found.spread)) == spread


@pytest.mark.parametrize("text", ["abc", "82.06.1", "12,34,56", "82 81", "1e", "±", "82 ± x", "<0.01"])
def test_a_cell_that_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="is not a number"):
        read_number(text)


def test_a_comma_before_three_digits_follows_its_table(tmp_path):
    """1,234 is a thousand where points stand before decimals, else one and a bit."""
    for text, value in (("M;95HD;Dice\nA;1,234;88.05\n", "1234"), ("M;95HD;Dice\nA;1,234;88,05\n", "1.234")):
        (tmp_path / "t.csv").write_text(text)
        assert str(read_table(tmp_path / "t.csv").cells[0].value) == value


def dressed(cells, rng):
    """A table as bytes, with other headings, separator, decimal mark, cells and encoding."""
    rows, metrics = {}, list(dict.fromkeys(c.metric for c in cells))
    for c in cells:
        key = (c.row, c.setting.get("data", ""), c.setting.get("labelled", ""))
        rows.setdefault(key, {})[c.metric] = c
    comma, latex = rng.random() < 0.4, rng.random() < 0.4
    mark = (";", "\t", "|")[rng.integers(3)] if comma else (",", ";", "\t")[rng.integers(3)]
    names = {m: HEADINGS[m][rng.integers(len(HEADINGS[m]))] for m in metrics}
    if any(cell.unit == "fraction" for cell in cells):
        names = {m: HEADINGS[m][0] for m in metrics}
    shares = {s: (f"{float(s):.0%}", f"{float(s) * 100:.0f}/100", s) for s in ("0.01", "0.02", "0.04", "0.08")}
    shares |= {"1": ("all", "100%", "1"), "": ("",) * 3}
    style = rng.integers(3)
    lines = [["Method", "Dataset", "Labelled", *(names[m] for m in metrics)]]
    for (row, data, labelled), found in rows.items():
        texts = []
        for m in metrics:
            c = found[m]
            value, spread = str(c.value), None if c.spread is None else str(c.spread)
            text = f"{value} ± {spread}" if spread else value
            if latex:
                text = rf"$\mathbf{{{value}}} \pm {spread}$" if spread else rf"\textbf{{{value}}}"
            texts.append(text.replace(".", ",") if comma else text)
        lines.append([row, data, shares[labelled][style], *texts])
    quoted = [[f'"{text}"' if mark in text else text for text in line] for line in lines]
    text = "\r\n".join(mark.join(line) for line in quoted) + "\r\n"
    encoding = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le")[rng.integers(4)]
    return text.encode(encoding)


@pytest.mark.parametrize("seed", range(40))
def test_one_table_in_another_dress_is_the_same_table(tmp_path, seed):
    cells = [c for c in honest_table(20_000 + seed) if c.metric in HEADINGS]
    if min((c.value for c in cells if c.unit == "percent"), default=2) <= 1:
        cells = [c for c in cells if c.metric in ("dice", "jaccard")]
    (tmp_path / "t.csv").write_bytes(dressed(cells, np.random.default_rng(seed)))
    table = read_table(tmp_path / "t.csv")
    assert not table.unread and not table.aside
    key = lambda c: (c.row, c.setting.get("data", ""), c.setting.get("labelled", ""), c.metric)
    assert {key(c): (c.value, c.spread) for c in table.cells} == {key(c): (c.value, c.spread) for c in cells}
    assert {(c.metric, c.unit == "percent") for c in table.cells} == {(c.metric, c.unit == "percent") for c in cells}
    assert audit_csv(tmp_path / "t.csv") == []


@pytest.mark.parametrize(
    ("texts", "shares"),
    [
        (["1/8", "1/4", "all"], ["0.125", "0.25", "1"]),
        (["1", "2", "100"], ["0.01", "0.02", "1"]),
        (["0.02", "1"], ["0.02", "1"]),
        (["2 %", "full"], ["0.02", "1"]),
        (["10% (7)", "7 (10%)", "1/16 (92)"], ["0.1", "0.1", "0.0625"]),
        (["59", "118", "all (2955)"], [None, None, "1"]),
        (["30 pictures", "all"], [None, "1"]),
    ],
)
def test_labelled_shares(tmp_path, texts, shares):
    lines = [f"A,{text},8{i}.0" for i, text in enumerate(texts)]
    (tmp_path / "t.csv").write_text("\n".join(["Method,Labeled,Dice", *lines]))
    cells = read_table(tmp_path / "t.csv").cells
    assert [c.setting.get("labelled") for c in cells] == shares
    assert len({str(c.setting) for c in cells}) == len(texts)


def test_what_was_not_read_is_said_and_nothing_is_claimed_about_it(tutseg, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Method,Dice,FPS,Overlap2,Backbone\nA,80.0,30,60.0,R50\nB,81.0,31,61.0,R101\n")
    said = tutseg("audit", str(path)).out
    assert "read: Dice\n" in said and "not read: FPS, Overlap2\n" in said
    assert said.endswith("0 impossible, 0 inconsistent, 0 suspicious among Dice; nothing is said of FPS, Overlap2\n")
    (row,) = json.loads(tutseg("audit", str(path), "--json").out)
    assert row["read"] == ["Dice"] and row["not_read"] == ["FPS", "Overlap2"]
    assert {"heading": "Backbone", "read_as": "tells rows apart"} in row["columns"]


@pytest.mark.parametrize("text", ["Method,FPS\nA,30\n", "row,metric,value\nA,FPS,30\n", "A,B\n1,2\n"])
def test_a_table_of_which_nothing_is_understood_is_refused(tutseg, tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    done = tutseg("audit", str(tmp_path / "t.csv"))
    assert done.code == 2 and "metric" in done.err and "impossible" not in done.out
    assert done.err.count("\n") == 1


def test_tidy_tables_under_everyday_names(tmp_path):
    (tmp_path / "t.csv").write_text(
        "model;dataset;metric;mean;std\nA;PH2;DSC;80,0;1,0\nA;PH2;JSC;60,0;\nA;PH2;FPS;3,0;\nB;PH2;DSC;81,0;\n"
    )
    table = read_table(tmp_path / "t.csv")
    assert table.unread == ["FPS"] and table.cells[0].spread == Decimal("1.0")
    assert table.cells[0].setting == {"data": "PH2"} and table.cells[0].row == "A"
    assert [f.rule for f in audit_csv(tmp_path / "t.csv")] == ["jaccard-below-bound"]


def test_a_number_that_a_tidy_table_gives_twice_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("row,metric,value\nA,dice,80.1\nA,dice,70.2\nA,jaccard,66.8\n")
    with pytest.raises(InputError, match=r"lines 2 and 3 both give dice of A"):
        read_table(tmp_path / "t.csv")


def test_scores_of_two_data_sets_are_not_compared(tmp_path):
    (tmp_path / "t.csv").write_text("Method,Dice (ISIC),IoU (PH2)\nA,90.0,60.0\n")
    assert audit_csv(tmp_path / "t.csv") == []


def test_a_table_without_names_has_its_first_column_read(tmp_path):
    (tmp_path / "t.csv").write_text("Dice,IoU\n80,60\n")
    (finding,) = audit_csv(tmp_path / "t.csv")
    assert finding.rule == "jaccard-below-bound" and "line 2" in finding.message


@pytest.mark.parametrize("heading", ["Dice", "Dice (%)"])
def test_fractions_among_per_cent_are_named_and_not_compared(tmp_path, heading):
    (tmp_path / "t.csv").write_text(f"Method,{heading},IoU (%)\nA,80.0,70.0\nB,0.80,70.0\nC,82.0,72.0\n")
    (finding,) = audit_csv(tmp_path / "t.csv")
    assert finding.rule == "mixed-units" and "B 0.80" in finding.message and "A" not in finding.message
    assert {c.row for c in read_table(tmp_path / "t.csv").cells if c.metric == "dice"} == {"A", "C"}


def test_fractions_under_a_heading_in_per_cent_are_fractions(tmp_path):
    (tmp_path / "t.csv").write_text("Method,Dice (%),IoU (%)\nA,0.80,0.60\nB,0.82,0.72\n")
    assert {f.rule for f in audit_csv(tmp_path / "t.csv")} == {"mixed-units", "jaccard-below-bound"}


@pytest.mark.parametrize("number", ["1e400", "1e999999999", "80 ± 1e400", "9" * 400, "-1e400"])
def test_a_number_beyond_all_bounds_is_impossible(tmp_path, number):
    (tmp_path / "t.csv").write_text(f"Method,Dice,Jaccard,ASD\nA,{number},60.0,3\nB,80.0,70.0,{number}\n")
    findings = audit_csv(tmp_path / "t.csv")
    assert {f.rule for f in findings} == {"out-of-range"} and len(findings) == 2
    assert all(f.as_dict() for f in findings)


def test_more_decimals_than_anyone_measures(tmp_path):
    (tmp_path / "t.csv").write_text(f"Method,Dice,Jaccard\nA,0.8,0.7{'0' * 300}1\nB,1e-400,1e-999999999\n")
    assert audit_csv(tmp_path / "t.csv") == []


def test_an_exponent_that_no_machine_holds(tmp_path):
    (tmp_path / "t.csv").write_text(f"Method,Dice\nA,1e{'9' * 40}\n")
    with pytest.raises(InputError, match="line 2, column 'Dice'"):
        read_table(tmp_path / "t.csv")


def test_other_files_are_named_for_what_they_are_not(tmp_path):
    for data in (b"PK\x03\x04\x14\x00\x06\x00" + bytes(50), bytes(range(256)) * 4, b"\x89PNG\r\n\x1a\n\0\0"):
        (tmp_path / "t.csv").write_bytes(data)
        with pytest.raises(InputError, match="not UTF-8"):
            read_table(tmp_path / "t.csv")


def test_windows_own_encoding_and_excels_first_line(tmp_path):
    (tmp_path / "t.csv").write_bytes("sep=;\r\nMéthode;Dice\r\nA;80,0 ± 1,5\r\n".encode("cp1252"))
    (cell,) = read_table(tmp_path / "t.csv").cells
    assert (str(cell.value), str(cell.spread), cell.position) == ("80.0", "1.5", "line 3, column 2")
