"""The chapters' tables against numbers worked out by hand."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tutseg.errors import InputError
from tutseg.files import atomic_write, csv_text
from tutseg.report import pages, trained
from tutseg.report.csv_tables import ablation_table, leak_table
from tutseg.report.groups import Group, differences, group_results
from tutseg.report.tables import at_share, difference_table, share_table
from tutseg.training.evidence import Finished
from tutseg.training.trial import make_trial

IMAGES = ("a", "b", "c")
DICE = {"t0": (0.8, 0.9, 0.7), "t1": (0.6, 0.8, 0.7), "t2": (0.5, 0.6, 0.4), "t3": (0.9, 0.9, 0.9)}
TRIALS = (
    ("t0", "dme-fd", 0.04, 0),
    ("t1", "dme-fd", 0.04, 1),
    ("t2", "supervised", 0.04, 1),
    ("t3", "dme-fd", 0.08, 0),
)


@pytest.fixture
def evidence(tmp_path) -> Path:
    """Four trials of three pictures, as `write_evidence` keeps them."""
    fixed = dict.fromkeys(("n_labelled", "n_unlabelled", "n_validation"), 9) | {"n_test": 3}
    fixed |= {"fingerprint": "f0", "device": "cpu", "torch": "2", "code": "c0", "command": "tutseg train"}
    rows, series = [], []
    for name, method, share, seed in TRIALS:
        trial = make_trial(method=method, labelled=share, seed=seed, net="unet-s", size=64, steps=2, batch=8)
        rows.append({"id": trial.id, "view": "net", "name": "", **trial.given, "dice_per_image": 0.5, **fixed})
        images = dict(zip(IMAGES, DICE[name], strict=True))
        series.append({"trial": trial.id, "view": "net", "score": "dice", **images})
    atomic_write(tmp_path / "trials.csv", csv_text(rows))
    atomic_write(tmp_path / "per_image.csv", csv_text(series))
    return tmp_path


def at_4(item: Finished) -> str | None:
    return item.trial.method if item.trial.labelled == 0.04 else None


def test_results_can_be_read_for_some_images_only(evidence):
    ours, other = group_results(evidence, at_4, keep=lambda image: image != "b")
    assert ours.values == pytest.approx(np.array([[0.8, 0.7], [0.6, 0.7]])) and other.values.tolist() == [[0.5, 0.4]]


def test_one_labelled_share_is_named_by_its_options(evidence):
    (found,) = at_share(evidence, 0.04, {"{}": "all"})
    assert found.name == "all" and found.values.tolist() == [list(DICE[i]) for i in ("t0", "t1", "t2")]
    assert at_share(evidence, 0.5, {"{}": "all"}) == at_share(evidence, 0.04, {"other": "all"}) == []


def test_a_difference_counts_only_the_seeds_that_both_have(evidence):
    groups = group_results(evidence, at_4)
    ((name, effect, low, high),) = differences(groups, "dme-fd")
    assert (
        (name, effect) == ("supervised", pytest.approx(0.2))
        and low == pytest.approx(0.1)
        and high == pytest.approx(0.3)
    )
    assert "higher" in difference_table(groups, "dme-fd").rows[0]
    bare = [Group(name, np.full((2, 3), value), []) for name, value in (("a", 0.5), ("b", 0.4))]
    assert differences(bare, "a")[0][1] == pytest.approx(0.1)  # rows without trials are seeds in order


def test_a_share_table_sets_the_paper_beside_each_cell(evidence):
    rows = {"supervised": "SupOnly", "dme-fd": "Ours"}
    table, gains = share_table(evidence, "dme-fd", 1, (0.02, 0.04, 0.08), rows, "dme-fd", data="isic2018")
    assert table.heads == ("method", "4 % labelled", "8 % labelled")
    cells = {row[0]: row[1:] for row in table.rows}
    assert cells["dme-fd"][0].startswith("82.06 | 75.0 ± 7.1 [") and cells["dme-fd"][0].endswith("n=2")
    assert cells["dme-fd"][1].startswith("84.00 | 90.0 ± – [90.0, 90.0]")
    assert cells["supervised"][1].endswith("| –")
    assert [(name, round(gain, 3)) for name, gain, _, _ in gains] == [("dme-fd − supervised, 4 % labelled", 0.2)]


def test_ablation_is_the_loss_against_the_same_seed(tmp_path):
    path = tmp_path / "ablation.csv"
    lines = ["without,seed,ph2_report,ph2_report_n,steps,size,n,device,torch,commit,code"]
    for without, seed, dice in (("", 0, 0.9), ("", 1, 0.8), ("hair", 0, 0.85), ("ink+chart", 1, 0.81)):
        lines.append(f"{without},{seed},{dice},67,2,64,9,cpu,2,c,d")
    path.write_text("\n".join(lines))
    rows = {row[0]: row[1:] for row in ablation_table(path).rows}
    assert rows == {"nothing: Dice %": ("85.0", "2"), "hair": ("+5.0", "1"), "ink + chart": ("-1.0", "1")}


def test_a_leak_is_shown_with_n_interval_and_origin(tmp_path):
    row = {"data": "ph2", "what": "the picture itself", "n_test": "7/8", "seeds": 2, "without": 0.5, "with": 0.75}
    row |= {"difference": 0.25, "low": 0.2, "high": 0.3, "net": "unet-s", "size": 64, "steps": 2, "device": "cpu"}
    row |= {"data_fingerprint": "f0", "torch": "2", "commit": "c", "code": "d", "command": "python benchmarks/leaks.py"}
    path = tmp_path / "leaks.csv"
    path.write_text(",".join(row) + "\n" + ",".join(map(str, row.values())))
    table = leak_table(path)
    assert table.rows == (("ph2", "the picture itself", "50.0", "75.0", "+25.0 [+20.0, +30.0]", "7/8", "2"),)
    assert "ph2 (f0)" in table.origin and "benchmarks/leaks.py" in table.origin


def test_missing_evidence_is_one_line_that_names_the_file(tmp_path):
    for read in (ablation_table, leak_table, lambda path: group_results(path.parent)):
        with pytest.raises(InputError, match=r"\.csv is missing or empty.*results/README"):
            read(tmp_path / "none.csv")


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
    assert table.rows[1][:2] == ("hair", "50.0 ± 0.0 (-25.0 [-25.0, -25.0])")
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


def test_the_transfer_page_sets_calibrated_dice_beside_the_plain_one(monkeypatch, tmp_path):
    row = {"style": "synth", "kvasir_tune": 0.3, "kvasir_report": 0.4, "kvasir_report_n": 9}
    row |= {"command": "benchmarks/transfer.py", "steps": 600, "device": "cpu", "torch": "2", "commit": "c"}
    monkeypatch.setattr(pages, "_evidence", lambda name: tmp_path / name)

    def page(rows):
        lines = [",".join(rows[0]), *(",".join(map(str, each.values())) for each in rows)]
        (tmp_path / "transfer-endoscopy.csv").write_text("\n".join(lines))
        return pages.GENERATED["transfer-polyps"](tmp_path)

    assert "calibrated" not in page([row])
    text = page([row | {"kvasir_threshold": t, "kvasir_calibrated": dice} for t, dice in ((0.3, 0.5), (0.2, 0.46))])
    assert "calibrated" in text and "| 0.480: 0.500 at 0.3, 0.460 at 0.2 |" in text and "| 0.400 |" in text
