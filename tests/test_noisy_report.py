"""Doubts as tables: the ranking against numbers made up for it, areas against the file they come from."""

import re

import numpy as np
import pytest

from tutseg.errors import InputError
from tutseg.files import csv_text
from tutseg.report import noisy_labels
from tutseg.report.noisy_labels import auc_table, border, recall_of_errors, suspect_table, suspects
from tutseg.training.evidence import Finished, View
from tutseg.training.spec import experiments, read_spec
from tutseg.training.trial import make_trial


@pytest.fixture
def run(tmp_path):
    """Forty squares of 8 pixels, every fifth shifted, doubted there; picture 3 is doubted without reason."""
    masks = np.zeros((40, 24, 24), bool)
    masks[:, 8:16, 8:16] = True
    changed = np.zeros_like(masks)
    changed[::5, 8:16, 16:18] = True
    masks ^= changed
    doubt = 0.01 + changed * np.linspace(1, 2, 40)[:, None, None]
    doubt[3] += 1
    ids = np.array([f"p{i}" for i in range(40)])
    np.savez(tmp_path / "noise.npz", ids=ids, masks=masks, changed=changed)
    np.savez(tmp_path / "doubts.npz", ids=ids, loss=doubt, omega=-doubt)
    return tmp_path


def test_a_border_is_counted_between_pixels():
    mask = np.zeros((9, 9), bool)
    mask[2:5, 3:8] = True
    assert border(mask) == 2 * (3 + 5) and border(np.ones((4, 4))) == 0


def test_the_worst_outlines_come_first(run):
    ranked = suspects(run)
    assert [each.id for each in ranked[:3]] == ["p3", "p35", "p30"] and len(ranked) == 40
    assert ranked[0].wrong == 0 and ranked[1].wrong == 16
    border_of_wide = 2 * (8 + 10)
    expected = (576 * 0.01 + 16 * (1 + 35 / 39)) / border_of_wide
    assert ranked[1].doubt == pytest.approx(expected)
    assert recall_of_errors(run) == (8, 8) and recall_of_errors(run, n=5) == (4, 8)
    assert recall_of_errors(run, "omega") == (0, 8)
    table = suspect_table(run, n=9)
    assert table.rows[0][2] == "none" and table.rows[1] == ("p35", f"{expected:.3g}", "16")
    assert table.note == "8 of them are among the 8 of 40 pictures with an injected error."


def test_a_doubt_that_is_not_there_is_named(run):
    with pytest.raises(InputError, match="unknown doubt 'omga': did you mean omega"):
        suspects(run, "omga")
    (run / "doubts.npz").unlink()
    with pytest.raises(InputError, match=r"has no doubts\.npz: finish the run"):
        suspects(run)


def test_areas_by_arm_noise_and_label(tmp_path, monkeypatch):
    trials = [make_trial(method="dale", noise={"warp": 0.03}, seed=seed) for seed in (0, 1)]
    provenance = {"data": "0", "device": "cpu", "date": "", "torch": "", "commit": "", "code": "0", "tested": ""}
    n = {"labelled": 9, "unlabelled": 0, "test": 3}
    items = [Finished(trial, "DALE", {"net": View({}, {})}, n, provenance, "") for trial in trials]
    monkeypatch.setattr(noisy_labels, "of_spec", lambda folder: (items, "half is missing"))
    areas = {"lesion": (0.6, 0.8), "background": (0.3, "")}
    rows = [
        {"trial": trial.id, "step": step, "doubt": "omega", "region": region, "label": label,
         "auc": auc[seed] if step == 60 and region == "outline" else 0.1}
        for seed, trial in enumerate(trials)
        for step in (30, 60)
        for region in ("picture", "outline")
        for label, auc in areas.items()
    ]  # fmt: skip
    (tmp_path / "doubts.csv").write_text(csv_text(rows))
    table = auc_table(tmp_path)
    (line,) = table.rows
    assert line[:4] == ("DALE", "warp", "0.03", "omega") and line[-1] == "2/1"
    assert line[4].startswith("0.70 [") and line[5] == "0.30" and line[6].startswith("0.30 [") and line[7] == "0.70"
    low, high = map(float, re.search(r"\[(.*), (.*)\]", line[4]).groups())
    assert (low + high) / 2 == pytest.approx(0.7, abs=0.01) and high - low > 1  # 12.7 standard errors of two seeds
    assert "half is missing" in table.note
    assert auc_table(tmp_path, step=30).rows[0][4] == "0.10 [0.10, 0.10]"
    with pytest.raises(InputError, match="unknown region 'edge'"):
        auc_table(tmp_path, region="edge")


def test_the_plan_has_every_arm_at_every_noise_with_five_seeds():
    spec = read_spec(experiments() / "dale" / "noise.yaml", "cpu")
    arms = {}
    for name, trial in spec.named:
        noise = trial.noise
        arms.setdefault(name, {}).setdefault((noise.get("kind"), noise.get("rate")), set()).add(trial.seed)
    published, script = arms.pop("DALE, omega by Adam"), arms.pop("DALE, the script's sign")
    assert len(arms) == 9 and {kind for kind, _ in published} == {"warp", "grow", "shrink", "flip"}
    noises = arms["supervised"]
    assert script.keys() == {("warp", 0.05), ("grow", 0.06)}
    assert len(noises) == 1 + 4 * 4 and published.keys() < noises.keys()
    assert all(arm.keys() == noises.keys() for arm in arms.values())
    assert all(seeds == set(range(5)) for arm in (*arms.values(), published, script) for seeds in arm.values())
    steps = {name: trial.steps for name, trial in spec.named}
    assert steps.pop("supervised, twice the steps") == 300 and set(steps.values()) == {150}
