"""The chapters' tables against numbers worked out by hand."""

import hashlib
import json
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tutseg.errors import InputError
from tutseg.files import atomic_write, csv_text, project_root
from tutseg.report import trained
from tutseg.report.drawn import ablation_reading, ablation_table, pilot_table, transfer_table, untuned
from tutseg.report.groups import Group, differences, group_results, in_groups
from tutseg.report.leaks import gains, leak_gain, leak_table
from tutseg.report.tables import (
    at_share,
    by_share,
    difference_table,
    differences_by_share,
    score_table,
    share_table,
    spec_differences,
    spec_table,
)
from tutseg.training.evidence import Finished, in_order, read_spec_evidence
from tutseg.training.spec import read_spec
from tutseg.training.trial import Trial, make_trial

IMAGES = ("a", "b", "c")
DICE = {"t0": (0.8, 0.9, 0.7), "t1": (0.6, 0.8, 0.7), "t2": (0.5, 0.6, 0.4), "t3": (0.9, 0.9, 0.9)}
TRIALS = (
    ("t0", "dme-fd", 0.04, 0),
    ("t1", "dme-fd", 0.04, 1),
    ("t2", "supervised", 0.04, 1),
    ("t3", "dme-fd", 0.08, 0),
)


def write(folder: Path, found: list[tuple[Trial, dict[str, float]]]) -> Path:
    """Evidence of trials, from the Dice of each picture, as `write_evidence` keeps it."""
    fixed = dict.fromkeys(("n_labelled", "n_unlabelled", "n_validation"), 9)
    fixed |= {"fingerprint": "f0", "tested": "g0", "device": "cpu", "torch": "2", "code": "c0", "command": "tutseg"}
    rows, series, images = [], [], {image: "" for _, dice in found for image in dice}
    for trial, dice in found:
        given = {name: json.dumps(v) if isinstance(v, dict) else v for name, v in trial.given.items()}
        means = {"n_test": len(dice), "dice_per_image": fmean(dice.values())}
        rows.append({"id": trial.id, "view": "net", "name": "", **given, **fixed, **means})
        series.append({"trial": trial.id, "view": "net", "score": "dice", **images, **dice})
    atomic_write(folder / "trials.csv", csv_text(in_order(rows)))
    atomic_write(folder / "per_image.csv", csv_text(series))
    return folder


@pytest.fixture
def evidence(tmp_path) -> Path:
    """Four trials of three pictures."""
    fields = {"net": "unet-s", "size": 64, "steps": 2, "batch": 8}
    trials = [(make_trial(method=m, labelled=share, seed=s, **fields), DICE[name]) for name, m, share, s in TRIALS]
    return write(tmp_path, [(trial, dict(zip(IMAGES, dice, strict=True))) for trial, dice in trials])


def at_4(item: Finished) -> str | None:
    return item.trial.method if item.trial.labelled == 0.04 else None


def test_results_can_be_read_for_some_images_only(evidence):
    ours, other = group_results(evidence, at_4, keep=lambda image: image != "b")
    assert ours.values == pytest.approx(np.array([[0.8, 0.7], [0.6, 0.7]])) and other.values.tolist() == [[0.5, 0.4]]


def test_a_trial_that_stands_in_two_folders_is_one_seed(evidence):
    twice = [*read_spec_evidence(evidence), *read_spec_evidence(evidence)]
    assert [len(group.values) for group in in_groups(twice, at_4)] == [2, 1]


def test_one_labelled_share_is_named_by_its_options(evidence):
    (found,) = at_share(evidence, 0.04, {"{}": "all"})
    assert found.name == "all" and found.values.tolist() == [list(DICE[i]) for i in ("t0", "t1", "t2")]
    assert at_share(evidence, 0.5, {"{}": "all"}) == at_share(evidence, 0.04, {"other": "all"}) == []


def test_a_difference_counts_only_the_seeds_that_both_have(evidence):
    groups = group_results(evidence, at_4)
    (found,) = differences(groups, "dme-fd")
    assert (found.other, found.value) == ("supervised", pytest.approx(0.2))
    assert np.isnan([found.low, found.high]).all(), "one seed says nothing of another"
    assert difference_table(groups, "dme-fd").rows[0][2:] == ("–", "undecided")
    bare = [Group(name, np.full((2, 3), value), []) for name, value in (("a", 0.5), ("b", 0.4))]
    (found,) = differences(bare, "a")  # rows without trials are seeds in order
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert difference_table(bare, "a").rows[0][2:] == ("+10.0 to +10.0", "higher")


def test_a_share_table_sets_the_paper_beside_each_cell(evidence):
    rows = {"supervised": "SupOnly", "dme-fd": "Ours"}
    found = by_share(evidence, rows)
    table = share_table(found, "dme-fd", 1, rows, data="isic2018")
    assert table.heads == ("method", "118 | 9 labels = 4 %", "236 | 9 labels = 8 %")
    cells = {row[0]: row[1:] for row in table.rows}
    assert cells["dme-fd"][0].startswith("82.06 | 75.0 ± 7.1 [") and cells["dme-fd"][0].endswith("n=2")
    assert cells["dme-fd"][1].startswith("84.00 | 90.0 ± – [90.0 to 90.0 (images only)]")
    assert cells["supervised"][1].endswith("| –")
    ((name, *gain),) = [each.row for each in differences_by_share(found, "dme-fd")]
    assert name == "dme-fd − supervised, 4 % labelled" and gain == pytest.approx([20, np.nan, np.nan], nan_ok=True)


def test_a_table_says_of_which_spec_only_a_part_has_been_run(tmp_path, evidence, monkeypatch):
    results = tmp_path / "results" / "dme-fd" / "small"
    for name in ("trials.csv", "per_image.csv"):
        atomic_write(results / name, (evidence / name).read_text())
    for module in ("tutseg.report.groups", "tutseg.training.spec"):
        monkeypatch.setattr(f"{module}.project_root", lambda: tmp_path)

    def note(grid: str) -> str:
        fixed = "defaults: {net: unet-s, size: 64, steps: 2, batch: 8, labelled: 0.04}"
        atomic_write(tmp_path / "experiments" / "dme-fd" / "small.yaml", f"{fixed}\ngrid: {grid}")
        return score_table(group_results(results, at_4), "").note

    whole = "{method: [supervised, dme-fd, cps], seed: [0, 1, 2]}"
    assert note(whole) == "3 of 9 trials of experiments/dme-fd/small.yaml have been run."
    assert note("{method: [dme-fd], seed: [0, 1]}") == ""


ODD, EVEN = ("IMD003", "IMD008"), ("IMD004", "IMD006")  # by the last digit of the SHA-256 of the name


def test_the_half_that_a_drawing_was_tuned_on_is_told_by_a_hash():
    digits = {name: hashlib.sha256(name.encode()).hexdigest()[-1] for name in (*ODD, *EVEN)}
    assert [digits[name] in "13579bdf" for name in (*ODD, *EVEN)] == [True, True, False, False]
    assert [untuned(name) for name in (*ODD, *EVEN)] == [True, True, False, False]


def drawn_trial(seed: int, test_data: str = "ph2", **options) -> Trial:
    return make_trial(method="supervised", labelled=1.0, seed=seed, test_data=test_data, data_options=options)


def test_transfer_counts_the_untuned_half_and_shows_the_other(tmp_path):
    seeds = [dict(zip((*ODD, *EVEN), values, strict=True)) for values in ((0.5, 0.7, 0.9, 0.8), (0.6, 0.8, 0.9, 1.0))]
    table = transfer_table(write(tmp_path, [(drawn_trial(seed), dice) for seed, dice in enumerate(seeds)]))
    (row,) = table.rows
    assert row[:3] == ("mobilenet-unet, synth, tested on ph2", "90.0 (n = 2 × 2)", "65.0 ± 7.1") and row[4] == "2 × 2"
    assert "tested on: ph2 (g0)" in table.origin and table.note == ""


def test_the_pilot_is_ranked_by_the_tuned_half(tmp_path):
    dice = {"weak": {ODD[0]: 0.9, EVEN[0]: 0.5}, "strong": {ODD[0]: 0.3, EVEN[0]: 0.7}}
    trial = lambda views: make_trial(method="supervised", labelled=1.0, test_data="ph2", augment=views)
    table = pilot_table(write(tmp_path, [(trial(views), each) for views, each in dice.items()]))
    assert [row[0].split(",")[1] for row in table.rows] == [" strong views", " weak views"]
    assert [row[1] for row in table.rows] == ["70.0 ± –", "50.0 ± –"]


def test_ablation_is_the_loss_against_the_same_seed(tmp_path):
    of = lambda odd, even: {ODD[0]: odd, EVEN[0]: even}
    dice = [
        (drawn_trial(0, n=9), of(0.9, 0.5)),
        (drawn_trial(1, n=9), of(0.8, 0.6)),
        (drawn_trial(0, n=9, without=["hair"]), of(0.85, 0.6)),
        (drawn_trial(1, n=9, without=["hair"]), of(0.79, 0.6)),
        (drawn_trial(1, n=9, without=["ink", "chart"]), of(0.81, 0.6)),
        (drawn_trial(1, "isic2018", n=9), of(0.7, 0.2)),
        (drawn_trial(0, "isic2018", n=9, without=["hair"]), of(0.7, 0.2)),
    ]
    table = ablation_table(write(tmp_path, dice[:6]))
    assert table.heads == ("left out", *(f"{data}, {half} half (n = 1)"
                                         for data in ("ph2", "isic2018") for half in ("untuned", "tuned")))  # fmt: skip
    assert {row[0]: row[1:] for row in table.rows} == {
        "nothing: Dice %": ("85.0", "55.0", "70.0", "20.0"),
        "hair": ("+3.0 (+5.0, +1.0)", "-5.0 (-10.0, +0.0)", "–", "–"),
        "ink + chart": ("-1.0 (-1.0)", "+0.0 (+0.0)", "–", "–"),
    }
    with pytest.raises(InputError, match="no seed in common"):
        ablation_table(write(tmp_path, dice))


def test_a_drawn_feature_is_missed_only_where_every_seed_and_half_says_so(tmp_path):
    of = lambda odd, even: {ODD[0]: odd, EVEN[0]: even}
    whole = [(drawn_trial(seed, n=9), of(0.8, 0.6)) for seed in (0, 1)]
    without = {"hair": ((0.7, 0.5), (0.7, 0.5)), "ink": ((0.7, 0.7), (0.7, 0.5)), "large": ((0.9, 0.7), (0.9, 0.7)),
               "chart": ((0.795, 0.595), (0.795, 0.595))}  # fmt: skip
    rows = [
        (drawn_trial(seed, n=9, without=[name]), of(*each[seed])) for name, each in without.items() for seed in (0, 1)
    ]
    text = ablation_reading(write(tmp_path, whole + rows)).text
    assert "each of 2 seeds" in text and "on average: on ph2 `hair` (better without: `large`). " in text


def leak_trial(protocol: str, seed: int, data: str = "cvc-clinicdb") -> Trial:
    return make_trial(method="supervised", data=data, labelled=9, protocol=protocol, seed=seed)


def test_a_leak_is_the_gain_on_the_same_pictures_of_the_same_seed(tmp_path):
    dice = [
        (leak_trial("without-kin", 0), {"a": 0.5, "b": 0.7}),
        (leak_trial("without-kin", 1), {"b": 0.6, "c": 0.4, "d": 0.5}),
        (leak_trial("without-kin", 2), {"a": 0.0, "d": 0.0}),
        (leak_trial("with-kin", 1), {"b": 0.7, "c": 0.5, "d": 0.6}),
        (leak_trial("with-kin", 0), {"a": 0.8, "b": 1.0}),
        (leak_trial("with-itself", 1), {"b": 0.9, "c": 0.4, "d": 0.5}),
        (leak_trial("with-kin", 0, "isic2018"), {"x": 1.0}),
    ]
    table = leak_table(write(tmp_path, dice))
    assert [row[:4] for row in table.rows] == [
        ("cvc-clinicdb", "others of its group", "55.0", "75.0"),
        ("cvc-clinicdb", "the picture itself", "50.0", "60.0"),
    ]
    # two seeds' means are 30 and 10: t has one degree of freedom, and its quantile is 12.71
    assert table.rows[0][4:] == ("+20.0 [-107.1 to +147.1]", "undecided", "2/3", "9")
    assert table.rows[1][4].endswith("(images only)]") and table.rows[1][5:7] == ("undecided", "3")
    items = {(item.trial.protocol, item.trial.seed): item for item in read_spec_evidence(tmp_path)[:-1]}
    found = gains([(items["without-kin", seed], items["with-kin", seed]) for seed in (0, 1)])
    nan = float("nan")
    np.testing.assert_allclose(found, [[0.3, 0.3, nan, nan], [nan, 0.1, 0.1, 0.1]])
    one = leak_gain(tmp_path, "cvc-clinicdb", "with-kin")
    assert (one.value, one.verdict) == (pytest.approx(0.2), "undecided")
    with pytest.raises(InputError, match="no seed of isic2018 with-kin"):
        leak_gain(tmp_path, "isic2018", "with-kin")


def test_evidence_of_a_spec_says_what_is_missing_and_leaves_out_what_it_no_longer_lists(tmp_path):
    spec = read_spec(project_root() / "experiments" / "drawn" / "polyps.yaml")
    dice = dict.fromkeys((*ODD, *EVEN), 0.5)
    folder = tmp_path / "drawn" / "polyps"
    write(folder, [(trial, dice) for trial in (*spec.trials[:2], drawn_trial(0, n=9))])
    table = transfer_table(folder)
    assert table.note == f"2 of {len(spec.trials)} trials of experiments/drawn/polyps.yaml have been run."
    assert [row[0] for row in table.rows] == ["lite0-unet, pretrained, synth, tested on kvasir-seg"] and table.rows[0][
        4
    ] == "2 × 2"
    write(folder, [(trial, dice) for trial in spec.trials])
    assert transfer_table(folder).note == ""


def test_a_term_is_overtaken_by_the_others_together():
    log = {
        "step": np.arange(4),
        "sup": np.ones(4),
        "cps": np.ones(4),
        "fdl": np.array([9, 3, 1.5, 1]),
        "w_beta": np.full(4, 50),
    }
    assert [trained.overtaken(log, term) for term in ("fdl", "sup")] == [2, 0]
    assert trained.overtaken(log | {"fdl": np.full(4, 3)}, "fdl") == 4


def test_missing_evidence_is_one_line_that_names_the_file(tmp_path):
    for read in (ablation_table, leak_table, transfer_table, group_results):
        with pytest.raises(InputError, match=r"\.csv is missing or empty.*results/README"):
            read(tmp_path)


def test_groups_that_cannot_be_compared_say_why():
    def group(name, seed):
        return Group(name, np.zeros((1, 4)), [Finished(make_trial(method=name, seed=seed), name, {}, {}, {}, "")])

    with pytest.raises(InputError, match="unknown group 'cp': did you mean cps"):
        differences([group("cps", 0), group("dme-fd", 0)], "cp")
    with pytest.raises(InputError, match="dme-fd and cps have no seed in common"):
        differences([group("cps", 0), group("dme-fd", 1)], "dme-fd")


def test_hard_cases_set_one_drawn_set_against_itself(monkeypatch):
    seen = []

    def source(name, **options):
        seen.append(options)
        return options

    monkeypatch.setattr(trained, "open_source", source)
    monkeypatch.setattr(trained, "load_pictures", lambda drawn, size: drawn)
    monkeypatch.setattr(trained, "dice_of", lambda method, test, fabric: np.full(8, 0.5 if test["artefacts"] else 0.75))
    monkeypatch.setattr(trained, "provenance", lambda trials: "")
    fields = SimpleNamespace(method="cps", size=32)
    run = SimpleNamespace(trial=fields, method=lambda: None, result={})
    table = trained.hard_cases([run, run], ["hair"], n=8)
    assert table.rows[0][:2] == ("none", "75.0 ± 0.0")
    assert table.rows[1][:2] == ("hair", "50.0 ± 0.0 (-25.0 [-25.0 to -25.0])")
    assert len({(each["seed"], each["n"], each["size"]) for each in seen}) == 1
    assert f"seed {trained.HARD_CASES_SEED}" in table.caption


def test_contours_compare_runs_of_one_share_and_seed(monkeypatch):
    def run(method, labelled, seed):
        fields = SimpleNamespace(method=method, data="synth", labelled=labelled, seed=seed, size=32, data_options={})
        return SimpleNamespace(trial=fields, method=lambda: SimpleNamespace(views=["net"]))

    shown = []
    pictures = SimpleNamespace(take=lambda at: SimpleNamespace(images=torch.zeros(1, 3, 4, 4)))
    monkeypatch.setattr(trained, "pictures_of", lambda *_: pictures)
    monkeypatch.setattr(trained, "split_of", lambda trial, _: shown.append(trial) or SimpleNamespace(test=[0]))
    monkeypatch.setattr(trained, "foreground", lambda *_: None)
    monkeypatch.setattr(trained, "truth_of", lambda _: None)
    monkeypatch.setattr(trained, "contours", lambda images, truth, predictions: list(predictions))
    runs = [run("cps", 0.02, 0), run("cps", 0.04, 0), run("cps", 0.04, 1), run("dme-fd", 0.04, 1), run("cct", 0.08, 1)]
    assert trained.contour_sheet(runs) == ["cps", "dme-fd"]
    assert (shown[0].labelled, shown[0].seed) == (0.04, 1)


def test_a_table_that_is_not_there_says_what_makes_it(tmp_path):
    folder = project_root() / "results/sam-kd/table-3-lab"
    assert {"SAM-KD", "U-Net"} <= {row[0] for row in spec_table(folder, "Ours").rows}
    assert any("U-Net" in row[0] for row in spec_differences(folder, "SAM-KD").rows)
    (row,) = spec_table(tmp_path / "dale" / "table-3-gpu", "Ours").rows
    assert row == ("not yet", "tutseg grid experiments/dale/table-3.yaml --scale gpu")
    assert spec_differences(tmp_path / "dale" / "table-3-gpu", "DALE") is None
    assert spec_table(tmp_path / "dale" / "no-such-spec", "Ours").rows == (("not yet", "nothing yet"),)
