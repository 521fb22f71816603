"""SAM-KD's tables: a plan's trials beside the paper's numbers, and "not yet" for what has not been run."""

from dataclasses import replace

import numpy as np
import pytest
from components import finished

from tutseg.files import csv_text
from tutseg.papers.intervals import paired_interval
from tutseg.report import sam_kd
from tutseg.report.sam_kd import AS_IT_IS, CHOICES, TABLE_1, TABLE_3, by_method, choice, planned
from tutseg.training.chapter import experiment
from tutseg.training.evidence import Finished

SCORES = np.array([[0.5, 0.7, 0.9], [0.6, 0.6, 0.8]])  # two seeds, three pictures


def evidence(trial, shift: float) -> Finished:
    """A finished form of a planned trial; each picture of a seed scores as in `SCORES`, and by `shift` more."""
    values = {f"im{i}": float(value) + shift for i, value in enumerate(SCORES[trial.seed])}
    return replace(finished(trial.method, trial.seed, {"net": {"dice": values}}), trial=trial)


@pytest.fixture
def committed(monkeypatch, tmp_path):
    """Makes the committed evidence be that of some systems of a spec, seeds 0 and 1, each with a shift of its score."""

    def commit(spec, name, shifts: dict[str, float]) -> None:
        items = [evidence(t, shifts[name(t)]) for t in spec.trials if name(t) in shifts and t.seed < 2]
        (tmp_path / "trials.csv").touch()
        monkeypatch.setattr(sam_kd, "results_of", lambda spec: tmp_path)
        monkeypatch.setattr(sam_kd, "of_spec", lambda folder: (items, ""))
        monkeypatch.setattr(sam_kd, "part_of_spec", lambda folder: "2 of 9 have been run.")

    return commit


def test_every_alternative_of_the_design_choices_is_in_the_ablations_plan():
    spec = experiment("sam-kd", "ablation", "lab")
    names = {choice(trial) for trial in spec.trials}
    assert {other for _, _, others in CHOICES for other in others} | {AS_IT_IS} <= names
    seeds = {trial.seed for trial in spec.trials}
    assert len(names) * len(seeds) == len(spec.trials)  # no two systems have one name


def test_a_plan_shows_what_there_is_and_what_is_not_yet(committed):
    spec = experiment("sam-kd", "ablation", "lab")
    committed(spec, choice, {AS_IT_IS: 0.1, "kd = 0": 0.0})
    plan = planned(spec, choice)
    assert list(plan) == list(dict.fromkeys(map(choice, spec.trials)))
    assert [name for name, group in plan.items() if group] == [AS_IT_IS, "kd = 0"]
    rows = {row[0]: row[1:] for row in sam_kd.ablation_table(spec).rows}
    low, high = paired_interval(np.full((2, 3), 0.1))
    assert rows["kd = 0"][0] == f"{100 * SCORES.mean():.1f} ± {100 * SCORES.mean(1).std(ddof=1):.1f}"
    assert rows["kd = 0"][2:] == ("2 × 3", f"+10.0 ({100 * low:+.1f} to {100 * high:+.1f}), higher")
    assert rows[AS_IT_IS][-1] == "" and rows["teacher = false"] == ("not yet", "", "", "")
    choices = {row[0]: row[2] for row in sam_kd.choices_table(spec).rows}
    assert choices["weight of Eq. 3"] == f"kd = 0: {rows['kd = 0'][-1]}"
    assert choices["the teacher with a ViT (§2)"] == "teacher = false: not yet"
    said = sam_kd.told_ablation(spec)
    assert "SAM-KD as it is, is higher than `kd = 0`. Not yet known: what SemiSAM's leak is worth," in said


def test_the_papers_number_stands_beside_the_trials_with_as_many_labels(committed):
    spec = experiment("sam-kd", "isic2018-64")
    name = sam_kd.on_isic(59, True)
    committed(spec, name, {"supervised": 0.0, "sam-kd": 0.05, "supervised, all labels": 0.1})
    rows = {row[0]: row for row in sam_kd.real_table(spec, 59, True).rows}
    assert [rows[system][1] for system in ("supervised", "dme-fd", "sam-kd", "semisam", "supervised, all labels")] == [
        "74.65 ± 2.92", "80.07 ± 1.75", "83.44 ± 1.91", "–", "87.66 ± 0.93",
    ]  # fmt: skip
    said = sam_kd.told_real(spec, 59, True)
    assert "SAM-KD is higher than `supervised`" in said and "with these, higher by 10.0 points" in said
    other = experiment("sam-kd", "isic2018-96")
    printed = sam_kd.printed_of(other, sam_kd.on_isic(118, False), 1, TABLE_1, "isic2018")
    assert printed["sam-kd"] == "85.33 ± 0.72"


def test_nothing_committed_is_not_yet_everywhere(monkeypatch, tmp_path):
    monkeypatch.setattr(sam_kd, "results_of", lambda spec: tmp_path / "none")
    one, three = (experiment("sam-kd", name, "lab") for name in ("table-1", "table-3"))
    for made, printed in (
        (sam_kd.system_table(one, 1, "isic2018"), "85.33 ± 0.72"),
        (sam_kd.system_table(one, 2, "ham10000"), "91.56 ± 0.37"),
        (sam_kd.network_table(three), "0.8533 ± 0.0072"),
    ):
        assert {row[2] for row in made.rows} == {"not yet"} and not made.origin
        assert next(row[1] for row in made.rows if row[0].lower() == "sam-kd") == printed
    assert [row[0] for row in sam_kd.network_table(three).rows] == list(TABLE_3)
    assert sam_kd.told_systems(one) == "SAM-KD is not yet compared there."
    assert "not yet compared" in sam_kd.told_real(experiment("sam-kd", "isic2018-64"), 59, True)
    missing = tmp_path / "none.csv"
    assert sam_kd.echo_of(missing).rows == sam_kd.speed_table(missing).rows == (("not yet",),)
    assert sam_kd.told_speed(missing) == "The speeds have not been measured yet."


def test_names_say_the_labels_where_they_differ():
    labels = {trial.labelled: by_method(0.04)(trial) for trial in experiment("sam-kd", "table-1", "gpu").trials[:1]}
    every = {by_method(0.04)(trial) for trial in experiment("sam-kd", "table-1", "gpu").trials}
    assert labels == {0.02: "supervised, 2 % labelled"} and {"sam-kd", "supervised, all labels"} <= every


def test_speed_is_shown_as_it_was_measured(tmp_path):
    rows = [
        {"what": what, "name": name, "parameters_m": "1.00", "ms": ms, "ratio": ratio, "ratio_low": "0.90",
         "ratio_high": "5.00", "printed_s": print_s, "printed_ratio": times, "size": 64, "batch": 1, "turns": 3,
         "threads": 1, "command": "c", "commit": "d", "torch": "2", "code": "e"}
        for what, name, ms, ratio, print_s, times in (
            ("a picture", "mobilenet-unet-sdf", "10.0", "1.00", "0.02", "1"),
            ("a picture", "unet", "45.0", "4.50", "0.8", "40"),
            ("a picture", "swin-unet", "90.0", "9.00", "1.2", "60"),
            ("a picture", "sam-b", "99.0", "9.90", "", ""),
            ("a training step", "sam-kd", "20.0", "2.00", "", ""),
        )
    ]  # fmt: skip
    path = tmp_path / "speed.csv"
    path.write_text(csv_text(rows))
    found = sam_kd.speed_table(path).rows
    assert found[1] == ("unet", "1.00", "45.0", "4.50 (0.90 to 5.00)", "0.8", "40")
    assert found[3][-2:] == ("–", "–") and len(found) == 4
    assert sam_kd.speed_table(path, "a training step").rows == (("sam-kd", "1.00", "20.0", "2.00 (0.90 to 5.00)"),)
    said = sam_kd.told_speed(path)
    assert "Unet (SupOnly) takes 4.5 times as long here and 40 times in print" in said and "9.0 times" in said
    assert [row[3] for row in sam_kd.sizes_table().rows] == ["2.9", "7.8", "41.4"]
