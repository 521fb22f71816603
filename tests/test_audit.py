"""The audit finds what is planted, is silent on honest tables, and computes its verdicts."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

import numpy as np
import pytest
from honest_tables import average, confusion, honest_table, scores
from hypothesis import given, settings
from hypothesis import strategies as st

from tutseg.audit.bounds import jaccard_of, most_mean_distance
from tutseg.audit.cell import Cell
from tutseg.audit.examine import SEVERITIES, audit_cells, audit_csv
from tutseg.audit.interval import Interval, printed, span
from tutseg.audit.rows import lines_of
from tutseg.audit.rules import CUT, RULES
from tutseg.errors import InputError
from tutseg.metrics import surface_distances
from tutseg.papers import contradictions

RICH = {"columns": ("dice", "jaccard", "precision", "accuracy"), "unit": "percent", "digits": 2, "folds": 5, "n": 1500,
        "methods": 6, "labels": ("0.02", "0.04"), "spread": True}  # fmt: skip


def rules(cells, **statements):
    return {finding.rule for finding in audit_cells(cells, **statements)}


def cell(row, metric, value, spread=None, unit="percent", table=1, paper="p", **setting):
    spread = None if spread is None else Decimal(spread)
    direction = "lower" if metric in ("hm", "xor", "hd95", "asd") else "higher"
    return Cell(paper, table, row, setting, metric, Decimal(value), spread, "", "", unit, direction)


def changed(cells, change):
    return [change(c) for c in cells]


# ------------------------------------------------------------------------------------------------------ honest tables


@pytest.mark.parametrize("part", range(8))
def test_nothing_is_found_in_honest_tables(part):
    """256 tables: four averagings, 20 to 2000 images, folds, units, 0 to 6 decimals, all sets of columns."""
    for seed in range(10_000 + part * 32, 10_000 + part * 32 + 32):
        findings = audit_cells(honest_table(seed))
        assert not findings, f"seed {seed}: {findings[0].message}"


def test_the_simulation_covers_what_it_claims():
    tables = [honest_table(seed) for seed in range(10_000, 10_064)]
    assert {c.unit for t in tables for c in t} >= {"percent", "fraction", "pixels"}
    assert {c.metric for t in tables for c in t} >= {"dice", "jaccard", "hm", "xor", "asd", "hd95", "sensitivity"}
    assert len({c.digits for t in tables for c in t}) >= 5
    assert {c.spread is None for t in tables for c in t} == {True, False}


def test_the_simulation_is_exact_before_rounding():
    """Pooled scores obey their identities, averages their inequalities: the generator is no straw man."""
    rng = np.random.default_rng(0)
    counts = confusion(rng, 400, 0.85, 0.8, 0.02, rng.beta(2, 7, 400).clip(0.004, 0.9), rng.standard_normal(400))
    pooled, image = average(counts, "pooled"), average(counts, "image")
    assert pooled["jaccard"] == pytest.approx(pooled["dice"] / (2 - pooled["dice"]))
    assert image["jaccard"] > image["dice"] / (2 - image["dice"]) + 0.01
    assert np.allclose(1 - scores(counts, False)["jaccard"], scores(counts, False)["hm"])


# ----------------------------------------------------------------------------------------------------- planted faults


def test_swapped_columns_are_found_and_the_row_that_stays_impossible():
    base = honest_table(2, convention="image", **RICH)
    other = {"dice": "jaccard", "jaccard": "dice"}
    swapped = changed(base, lambda c: replace(c, metric=other.get(c.metric, c.metric)))
    found = audit_cells(swapped)
    assert {"swapped-columns", "jaccard-above-dice"} <= {f.rule for f in found}
    rows = len(lines_of(base))
    assert next(f for f in found if f.rule == "swapped-columns").numbers["rows"] == rows
    line = lines_of(swapped)[0]
    broken = [replace(c, value=c.value - 30) if c is line.cells["dice"] else c for c in swapped]
    assert "wrong-either-way" in rules(broken)


@pytest.mark.parametrize("pair", [("hm", "xor"), ("asd", "hd95")])
def test_one_row_with_two_cells_exchanged(pair):
    columns = ("dice", *pair) if "hm" in pair else ("dice", "jaccard", *pair)
    base = honest_table(5, convention="image", columns=columns, digits=2, n=300, unit="percent", labels=())
    line = lines_of(base)[1]
    a, b = (line.cells[name] for name in pair)
    swap = {id(a): b, id(b): a}
    cells = [replace(c, value=swap[id(c)].value) if id(c) in swap else c for c in base]
    assert {f"{pair[0]}-above-{pair[1]}", "swapped-columns"} <= rules(cells)


@pytest.mark.parametrize("convention", ["image", "batch", "pooled", "two-class"])
def test_a_jaccard_just_below_the_bound_is_found_and_one_on_it_is_not(convention):
    base = honest_table(3, convention=convention, **{**RICH, "columns": ("dice", "jaccard")})
    line = lines_of(base)[4]
    d = line.value("dice")
    bound = span(jaccard_of, d).lo * 100
    for offset, expected in ((Decimal("0.00"), False), (Decimal("-0.02"), True)):
        value = Decimal(f"{bound:.2f}") + offset
        cells = [replace(c, value=value) if c is line.cells["jaccard"] else c for c in base]
        assert ("jaccard-below-bound" in rules(cells)) is expected


@pytest.mark.parametrize("seed", range(4))
def test_no_mean_distance_is_beyond_its_bound(seed):
    """Random masks with specks far away, so that a few distances are enormous: ours and the pooled conventions."""
    rng = np.random.default_rng(seed)
    beyond = 0
    for _ in range(60):
        side = int(rng.integers(24, 64))
        y, x = np.mgrid[:side, :side]
        radius = np.hypot(y - side // 2, x - side // 2)
        truth, predicted = radius < rng.uniform(6, 11), radius < rng.uniform(6, 11)
        for _ in range(rng.integers(0, 5)):
            predicted[tuple(rng.choice([0, 1, side - 2, side - 1], 2))] = True
        if rng.random() < 0.3:
            predicted |= rng.random((side, side)) < rng.choice([0.001, 0.01, 0.3])
        to_t, to_p = surface_distances(predicted.astype(np.uint8), truth.astype(np.uint8))
        both, diagonal = np.concatenate([to_t, to_p]), Decimal(side * np.sqrt(2))
        directed = max(np.percentile(to_t, 95), np.percentile(to_p, 95))
        beyond += both.mean() > np.percentile(both, 95)
        for mean, hd95 in ((to_t.mean(), directed), (both.mean(), directed), (both.mean(), np.percentile(both, 95)),
                           (to_t.mean(), np.percentile(to_t, 95))):  # fmt: skip
            assert Decimal(mean) <= most_mean_distance(Decimal(hd95), diagonal) + Decimal("1e-9")
    assert beyond or seed, "no mean above its percentile: the masks prove nothing"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=60))
def test_the_bound_of_distances_holds_for_any_list_and_is_met(distances):
    mean, hd95 = np.mean(distances), np.percentile(distances, 95)
    assert mean <= float(most_mean_distance(Decimal(hd95), Decimal(100))) + 1e-9
    worst = [10] * 95 + [100] * 5
    assert np.mean(worst) == pytest.approx(float(most_mean_distance(Decimal(10), Decimal(100))))


def test_a_mean_distance_above_its_percentile_is_suspicious_and_impossible_only_beyond_all_pictures():
    row = lambda asd: [cell("a", m, v, unit="pixels", data="d") for m, v in (("hd95", "4.0"), ("asd", asd))]
    facts = {"sides": [{"data": "d", "height": 30, "width": 40}]}  # diagonal 50: at most 0.95 * 4 + 0.05 * 50 = 6.3
    graver = lambda asd, facts: [f.severity for f in audit_cells(row(asd), facts) if f.rule == "asd-above-hd95"]
    assert graver("4.0", facts) == [] and graver("4.2", facts) == graver("6.3", facts) == ["suspicious"]
    assert graver("6.5", facts) == ["impossible"]
    assert (
        graver("6.5", {}) == graver("6000", {"sides": [{"data": "other", "height": 1, "width": 1}]}) == ["suspicious"]
    )
    swapped = [f for f in audit_cells(row("6.5"), {}) if f.rule == "swapped-columns"]
    assert [f.severity for f in swapped] == ["suspicious"]


def test_one_unit_of_the_last_digit_may_be_truncation():
    """Dice 80.00 needs a Jaccard of 66.66 (66.662 at its lowest); 66.65 is one unit below, 66.64 two."""
    row = lambda j: [cell("a", "dice", "80.00"), cell("a", "jaccard", j)]
    (near,), (far,) = audit_cells(row("66.65")), audit_cells(row("66.63"))
    assert near.rule == far.rule == "jaccard-below-bound" and near.severity == "impossible"
    assert near.innocent[0] == CUT and CUT not in far.innocent
    assert CUT not in RULES["jaccard-below-bound"].innocent


def test_every_law_that_breaks_in_a_truncated_table_says_so():
    """Pooled scores, J = f(D), with digits cut off: where Dice is low, J may end below its bound."""
    cells = []
    for i, dice in enumerate(np.random.default_rng(0).uniform(0.05, 0.4, 300)):
        for metric, score in (("dice", dice), ("jaccard", dice / (2 - dice))):
            cells.append(cell(f"r{i}", metric, Decimal(100 * score).quantize(Decimal("0.1"), ROUND_DOWN)))
    found = [f for f in audit_cells(cells) if RULES[f.rule].law]
    assert len(found) > 3 and all(f.innocent[0] == CUT for f in found)


def test_a_copied_row_is_found():
    base = honest_table(7, convention="image", **RICH)
    source, target = lines_of(base)[1], lines_of(base)[9]
    assert source.setting != target.setting
    cells = [
        replace(c, value=source.cells[c.metric].value, spread=source.cells[c.metric].spread)
        if c in target.cells.values() else c for c in base
    ]  # fmt: skip
    assert "repeated-row" in rules(cells)


def test_one_wrong_digit_in_a_specificity_is_found_in_pooled_rows():
    columns = ("dice", "jaccard", "accuracy", "sensitivity", "specificity")
    base = honest_table(11, convention="pooled", columns=columns, unit="percent", digits=2, folds=1, n=800,
                        methods=6, labels=())  # fmt: skip
    assert not rules(base)
    line = lines_of(base)[2]
    cells = [replace(c, value=c.value - 1) if c is line.cells["specificity"] else c for c in base]
    assert {"one-confusion-matrix", "prevalence"} <= rules(cells)


def test_two_class_rows_among_rows_of_the_lesion_are_found():
    columns = ("dice", "jaccard", "accuracy", "sensitivity", "specificity")
    fixed = {"columns": columns, "unit": "percent", "digits": 2, "folds": 1, "n": 800, "methods": 5, "labels": ()}
    lesion = honest_table(13, convention="pooled", **fixed)
    both = honest_table(13, convention="two-class", **fixed)
    cells = [b if a.row == "M4" else a for a, b in zip(lesion, both, strict=True)]
    found = [f for f in audit_cells(cells) if f.rule == "mixed-definitions"]
    assert {c.row for f in found for c in f.inputs} == {"M4"}
    truth = {(c.row, c.setting["data"], c.metric): c.value for c in lesion}
    for finding in found:
        c = finding.inputs[0]
        assert abs(finding.numbers["dice"] - truth["M4", c.setting["data"], "dice"]) < Decimal("0.1")


def test_two_averagings_in_one_block_are_found():
    """CCT and UniMatch scored in batches of five, the others per image: the case of DME-FD's 4 % block."""
    fixed = {**RICH, "columns": ("dice", "jaccard"), "labels": ()}
    image, batch = (honest_table(21, convention=c, **fixed) for c in ("image", "batch"))
    cells = []
    for a in image:
        d, j = (next(c for c in batch if (c.row, c.setting, c.metric) == (a.row, a.setting, m)) for m in
                ("dice", "jaccard"))  # fmt: skip
        gap = j.value / 100 - jaccard_of(d.value / 100)
        own = next(c for c in image if (c.row, c.setting, c.metric) == (a.row, a.setting, "dice")).value / 100
        low = a.metric == "jaccard" and a.row in ("M1", "M3")
        cells.append(replace(a, value=Decimal(f"{(jaccard_of(own) + gap) * 100:.2f}")) if low else a)
    assert not rules(image)
    assert "two-gaps" in rules(cells)


def test_zero_gap_where_all_others_have_one():
    base = honest_table(25, convention="image", **{**RICH, "columns": ("dice", "jaccard"), "methods": 8})
    line = lines_of(base)[3]
    value = Decimal(f"{jaccard_of(line.value('dice').mid) * 100:.2f}")
    cells = [replace(c, value=value) if c is line.cells["jaccard"] else c for c in base]
    assert rules(cells) == {"gap-outlier"}


def test_a_fully_labelled_row_far_below():
    base = honest_table(29, convention="image", **{**RICH, "columns": ("dice",)})
    lowest = min(c.value for c in base)
    cells = [replace(c, value=lowest - 10) if c.row == "Full" else c for c in base]
    assert "fewer-labels-win" in rules(cells)


@pytest.mark.parametrize(
    ("numbers", "rule"),
    [
        ({"dice": "90.00", "precision": "80.00", "sensitivity": "85.00"}, "dice-above-precision-recall"),
        ({"dice": "60.00", "precision": "90.00", "sensitivity": "85.00"}, "dice-below-precision-recall"),
        ({"dice": "71.3", "hm": "130.8", "xor": "41.3"}, "out-of-range"),
        ({"dice": "79.6", "hm": "35.8"}, "hm-above-dice-bound"),
        ({"dice": "79.6", "hm": "15.8"}, "hm-below-dice-bound"),
    ],
)
def test_laws_of_one_row(numbers, rule):
    assert rule in rules([cell("a", metric, value) for metric, value in numbers.items()])


def test_a_spread_no_shares_can_have():
    assert rules([cell("a", "dice", "0.90", "0.69", unit="fraction")]) == {"spread-too-large"}
    assert not rules([cell("a", "dice", "0.90", "0.20", unit="fraction")])


def test_class_tables():
    def table(benign_recall, malignant_recall, accuracy, precision):
        return [cell("r", "recall", benign_recall, **{"class": "benign"}), cell("r", "accuracy", accuracy),
                cell("r", "precision", precision, **{"class": "benign"}),
                cell("r", "recall", malignant_recall, **{"class": "malignant"})]  # fmt: skip

    # 27 benign, 73 malignant: 20 and 70 right; precision 20/23
    honest = table("74.07", "95.89", "90.00", "86.96")
    assert not rules(honest)
    assert "class-precision" in rules(table("74.07", "95.89", "90.00", "80.96"))
    assert "class-share" in rules(table("74.07", "95.89", "97.00", "86.96"))
    known = {
        "class_shares": [{"data": "b", "class": "benign", "share": 0.73, "slack": 0.05, "section": "", "statement": ""}]
    }
    at = [replace(c, setting={**c.setting, "data": "b"}) for c in honest]
    assert rules(at, facts=known) == {"class-share"}


def test_statements_of_the_text():
    cells = [cell("Ours", "dice", "82.06", data="d"), cell("Base", "dice", "80.06", data="d"),
             cell("Ours", "hd95", "3.0", unit="pixels", data="d"),
             cell("Base", "hd95", "4.0", unit="pixels", data="d")]  # fmt: skip

    def say(**words):
        return {"row": "Ours", "setting": {"data": "d"}, "metric": "dice", "section": "1", "statement": "q", **words}

    assert not rules(cells, text=[say(value="82.1"), say(value="2", minus="Base"),
                                  say(value="25", minus="Base", relative=True, metric="hd95"),
                                  say(value="1.9", minus="Base", relation="more than")])  # fmt: skip
    assert rules(cells, text=[say(value="82.16")]) == {"text-against-table"}
    assert rules(cells, text=[say(value="3", minus="Base")]) == {"gain"}
    assert rules(cells, text=[say(value="3", minus="Base", relation="more than")]) == {"gain"}
    assert rules(cells, text=[say(value="0.4-1.6", minus="Base", relation="between")]) == {"gain"}
    worst = {
        "table": 1,
        "row": "Base",
        "metrics": ["dice", "hd95"],
        "rank": 1,
        "among": {},
        "section": "",
        "statement": "",
    }
    assert [f.rule for f in audit_cells(cells, {"ranks": [worst]})] == ["rank", "rank"]
    counts = {"name": "n", "whole": 2955, "parts": {"labelled": 59, "unlabelled": 1896}, "section": "", "statement": ""}
    (finding,) = audit_cells(cells, {"counts": [counts]})
    assert finding.numbers["unlabelled"] == 2896


def test_growth_times_and_epochs():
    cells = [cell("U", "dice", "0.646", unit="fraction"), cell("*U", "dice", "0.694", unit="fraction"),
             cell("*U", "growth", "7.45"), cell("mean", "growth", "7.45"),
             cell("U", "iter_s", "0.51", unit="seconds", table=2),
             cell("U", "iterations", "14400", unit="count", table=2),
             cell("U", "total_h", "2.04", unit="hours", table=2)]  # fmt: skip
    facts = {
        "growth": [{"table": 1, "prefix": "*", "of": "dice"}],
        "times": [{"table": 2, "each": "iter_s", "count": "iterations", "total": "total_h"}],
        "epochs": [{"table": 2, "count": "iterations", "images": 864, "batch": 24}],
    }
    assert rules(cells, facts=facts) == set()
    wrong = {"growth": "9.45", "total_h": "2.55", "iterations": "14401"}
    broken = [replace(c, value=Decimal(wrong.get(c.metric, str(c.value)))) if c.row != "mean" else c for c in cells]
    assert rules(broken, facts=facts) == {"growth", "mean-growth", "time", "epochs"}


def test_idle_zeros_are_not_digits():
    """95.0 %, 86.0 %, ...: rounded to whole per cent and printed with a zero."""
    rows = [("90", "80"), ("92", "81"), ("88", "70"), ("60", "50"), ("70", "60")]
    cells = []
    for i, (p, r) in enumerate(rows):
        f1 = 2 * int(p) * int(r) / (int(p) + int(r))
        for metric, value in (("precision", p), ("recall", r), ("f1", f"{f1:.0f}")):
            cells.append(cell(f"r{i}", metric, f"{value}.0", **{"class": "x"}))
    assert "f1-identity" not in rules(cells)
    exact = [replace(c, value=c.value + Decimal("0.3")) if c.row == "r0" and c.metric == "f1" else c for c in cells]
    assert "f1-identity" in rules(exact)


# --------------------------------------------------------------------------------------------------------- arithmetic


@settings(max_examples=200, deadline=None)
@given(st.decimals(0, 100, places=2), st.integers(0, 2))
def test_a_printed_number_contains_all_that_round_to_it(value, zeros):
    interval = printed(value, 100)
    assert interval.lo <= value / 100 <= interval.hi
    assert (interval.hi - interval.lo) == Decimal("0.0001")
    assert printed(value, 1, zeros).width == Decimal("0.01").scaleb(zeros)


@settings(max_examples=100, deadline=None)
@given(st.floats(0.01, 0.98), st.floats(0.0005, 0.01), st.floats(0, 1))
def test_the_corners_of_f_bound_its_inside(low, width, part):
    d = Interval(Decimal(low), Decimal(low) + Decimal(width))
    inside = d.lo + Decimal(part) * d.width
    bounds = span(jaccard_of, d)
    rest = Decimal("1e-25")  # of a division to 28 digits
    assert bounds.lo - rest <= jaccard_of(inside) <= bounds.hi + rest


# ------------------------------------------------------------------------------------------------------ any CSV table


def test_a_wide_table_with_everyday_headings(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        "Method,Dataset,Labeled (%),DSC (%) ↑,JC (%),95HD,ASD\n"
        "CPS,ISIC,2,79.61 ± 1.66,67.04±2.28,12.1,3.2\n"
        ",,4,80.89 (0.91),70.31 +- 1.07,-,\n"
        "Ours,ISIC,2,**83.44** \\pm 1.91,68.97 ± 2.50,3.595,15.577\n",
        encoding="utf-8",
    )
    found = audit_csv(path)
    assert {f.rule for f in found} == {"jaccard-below-bound", "asd-above-hd95", "swapped-columns"}
    first = next(f for f in found if f.rule == "jaccard-below-bound")
    assert first.severity == "impossible" and first.inputs[0].position == "line 4, column 4"
    assert first.inputs[0].setting == {"data": "ISIC", "labelled": "0.02"}
    assert first.as_dict()["inputs"][0]["value"] == "83.44"


def test_a_tidy_table_and_a_semicolon_table(tmp_path):
    tidy = tmp_path / "tidy.csv"
    tidy.write_text(
        "row,setting,metric,value,spread\nA,data=x;labelled=2%,Dice,0.90,0.01\nA,data=x;labelled=2%,IoU,0.70,\n"
    )
    assert {f.rule for f in audit_csv(tidy)} == {"jaccard-below-bound"}
    wide = tmp_path / "wide.csv"
    wide.write_text("Model;Dice;mIoU\nA;0.90;0.82\nB;0.80;0.70\n")
    assert audit_csv(wide) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Method,Dice\nA,abc\n", "line 2, column 'Dice'"),
        ("Method,Dice\nA,80,3\n", "line 2: 3 cells under 2 headings"),
        ("Method,FPS\nA,80\n", "no heading names a metric"),
        ("Method,Dice,DSC\nA,80,80\n", "'Dice' and 'DSC' are both dice"),
        ("row,metric,value\nA,dice,x\n", "line 2, column 'value'"),
        ("row,setting,metric,value\nA,isic,dice,8\n", "has no '='"),
        ("", "has no rows"),
        ("Method,Dice\nA,\n", "holds no number"),
    ],
)
def test_a_faulty_table_is_named_with_its_place(tmp_path, text, words):
    path = tmp_path / "faulty.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        audit_csv(path)


def test_a_missing_or_binary_file(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        audit_csv(tmp_path / "none.csv")
    path = tmp_path / "binary.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="not UTF-8"):
        audit_csv(path)


def test_the_audit_of_a_file_imports_nothing_heavy(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Method,Dice,IoU\nA,0.90,0.70\n")
    code = (
        "import sys; from tutseg.audit.examine import audit_csv; assert audit_csv(sys.argv[1]);"
        "print([m for m in ('torch', 'pandas', 'numpy', 'pydantic', 'tutseg.papers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --------------------------------------------------------------------------------------------------------- the papers


@pytest.fixture(scope="module")
def outcomes():
    return contradictions.examine_all()


def test_findings_are_complete_and_unique(outcomes):
    findings = [f for f in outcomes if not f.holds]
    assert len({f.id for f in findings}) == len(findings)
    for f in findings:
        assert f.severity in SEVERITIES and f.assumption and f.innocent and f.inputs and f.message, f.id
        assert f.rule in RULES and f.as_dict()["rule"] == f.rule


@pytest.mark.parametrize(
    ("paper", "table", "rule", "row"),
    [
        ("dme-fd", "2", "jaccard-below-bound", "PseudoSeg"),
        ("dme-fd", "4", "repeated-row", "Sup+CPS"),
        ("sam-kd", "3", "repeated-row", "Unet (SupOnly)"),
        ("dale", "1", "asd-above-hd95", "*Unet++"),
        ("ssgnet", "6", "wrong-either-way", "2nd Pseudo-Labeling"),
        ("s3-net", "1", "out-of-range", "k-means"),
    ],
)
def test_known_contradictions_of_the_papers(outcomes, paper, table, rule, row):
    assert [f for f in outcomes if (f.paper, f.table, f.rule) == (paper, table, rule) and not f.holds
            and any(getattr(c, "row", "") == row for c in f.inputs)]  # fmt: skip


def test_no_sentence_is_stretched_over_numbers_that_it_does_not_name(outcomes):
    """DME-FD calls itself second in Jaccard at 8 %; S3-Net says nothing of the spatial loss by itself, nor that it is
    the best on lungs in HM or XOR."""
    of = lambda *words: [f.id for f in outcomes if f.rule in ("rank", "gain") and all(word in f.id for word in words)]
    assert of("dme-fd", "jaccard", "0.08") == ["dme-fd/1/rank/Ours,jaccard,isic2018,0.08,of6"]
    assert not of("s3-net", "hm,lung") and not of("s3-net", "xor,lung") and not of("s3-net", "L_ce+L_S-L_ce,")
    assert not [f for f in outcomes if not f.holds and f.rule in ("rank", "gain") and f.paper in ("dme-fd", "s3-net")]


def test_every_candidate_gets_a_computed_verdict(outcomes):
    report = contradictions.reconcile(outcomes)
    assert [entry["x"] for entry in report] == [f"X-{i:02d}" for i in range(1, 70)]
    for entry in report:
        assert entry["verdict"] in ("confirmed", "refuted", "undecided") and entry["why"]
    kinds = Counter(entry["verdict"] for entry in report)
    assert kinds["confirmed"] > 40
    ids = {f.id for f in outcomes}
    assert all(set(entry["findings"]) <= ids for entry in report)


def test_verdicts_follow_from_findings_not_from_the_register(outcomes):
    """Without the finding the suspicion falls; with another number than suspected it is refuted."""
    repaired = [replace(f, severity="holds") if f.rule == "jaccard-below-bound" else f for f in outcomes]
    verdict = {entry["x"]: entry["verdict"] for entry in contradictions.reconcile(repaired)}
    assert verdict["X-06"] == verdict["X-15"] == "refuted"
    shifted = [
        replace(f, numbers={**f.numbers, "short": Decimal(9)}) if f.rule == "jaccard-below-bound" else f
        for f in outcomes
    ]
    verdict = {entry["x"]: entry["verdict"] for entry in contradictions.reconcile(shifted)}
    assert verdict["X-06"] == "refuted" and verdict["X-01"] == "confirmed"


def test_findings_name_their_candidates():
    findings = contradictions.audit_paper("dme-fd")
    assert {x for f in findings for x in f.x} >= {"X-01", "X-02", "X-03", "X-04", "X-06", "X-07"}
    assert set(contradictions.totals(findings)) == {"dme-fd"}
