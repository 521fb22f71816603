"""Tables of the one-image chapter against counts made by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from tutseg.errors import InputError
from tutseg.methods.one_image.trace import Trace
from tutseg.report import one_image as report
from tutseg.report.iterations import dice_of_steps, step_explorer, stop_table
from tutseg.report.lambdas import lambda_explorer, lambda_table
from tutseg.report.one_image_figures import robustness_figure
from tutseg.report.s3_net import gradient_table, turn_table
from tutseg.training.one_image import COLUMNS, SCORED

DICE = {("a", "p", 0): 0.5, ("a", "q", 0): 0.7, ("a", "p", 1): 0.6, ("a", "q", 1): 1.0}
DICE |= {("b", "p", 0): 0.2, ("b", "q", 0): 0.4, ("b", "p", 1): 0.2, ("b", "q", 1): 0.4}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Two variants, two pictures, two seeds; every way of scoring adds a point of Dice to the one before."""
    made = []
    for (variant, picture, seed), dice in DICE.items():
        for extra, (rule, leak) in enumerate(SCORED):
            row = dict.fromkeys(COLUMNS, "") | {"variant": f"group/{variant}", "method": variant, "options": "{}"}
            row |= {"data": "synth", "size": 8, "id": picture, "seed": seed, "rule": rule, "leak": leak}
            made.append(row | {"dice": dice + extra / 100, "hm": 0.25, "xor": 0.5})
    return pd.DataFrame(made, columns=COLUMNS)


def test_groups_are_seeds_by_pictures(rows):
    first, second = report.groups(rows)
    assert (first.name, second.name) == ("a", "b")
    assert np.allclose(first.values, [[0.5, 0.7], [0.6, 1.0]]) and np.allclose(second.values, [[0.2, 0.4]] * 2)
    assert np.allclose(report.groups(rows, leak=6)[1].values, [[0.22, 0.42]] * 2)
    halfway = rows[(rows["variant"] != "group/b") | (rows["id"] != "q") | (rows["seed"] != 1)]
    assert np.allclose(report.groups(halfway)[1].values, [[0.2], [0.2]])
    assert set(report.on_shared_pictures(halfway)["id"]) == {"p"}
    assert len(report.on_shared_pictures(rows)) == len(rows)


def test_methods_table_stands_beside_the_paper(rows):
    table = report.methods_table(rows, {"a": "Our Method"})
    of = dict(zip(table.heads, table.rows[0], strict=True))
    assert of["paper, PH2 (Table 1)"] == "88.0" and table.rows[1][1] == "–"
    assert of["oracle, no leak (± sd over seeds)"] == "70.0 ± 14.1"  # means over pictures: 60 and 80
    assert of["oracle, 4 px leak"].startswith("71.0") and of["oracle, 6 px leak"].startswith("72.0")
    assert of["label-free (darkest)"].startswith("73.0") and of["n = seeds × images"] == "2 × 2"
    assert of["sd over images"] == "15"  # 10 and 20
    areas = dict(zip((other := report.areas_table(rows, {"a": "Our Method"})).heads, other.rows[0], strict=True))
    assert areas["HM: paper, PH2"] == "20.4" and areas["n = seeds × images"] == "2 × 2"
    assert [cell[:4] for head, cell in areas.items() if "ours" in head] == ["25.0", "50.0"]
    assert report.hardest(rows, "group/a", 1) == ["p"]


def test_sizes_are_compared_on_what_both_have(rows):
    larger = rows[(rows["variant"] == "group/a") & (rows["id"] == "q")].assign(size=16)
    larger = larger.assign(dice=larger["dice"] - 0.1 * (larger["leak"] == 0))
    table = report.size_table(larger, rows)
    assert [head for head in table.heads if "px" in head] == ["Dice at 16 px", "Dice at 8 px"]
    plain, leaked = table.rows
    assert plain[:4] == ("a", "0 px", "75.0 ± 21.2", "85.0 ± 21.2") and plain[4].startswith("-10.0 (-10.0")
    assert leaked[1:4] == ("4 px", "86.0 ± 21.2", "86.0 ± 21.2") and leaked[5] == "2 × 1"


def test_sizes_without_a_common_picture_are_refused(rows):
    with pytest.raises(InputError, match="both sizes"):
        report.size_table(rows[rows["id"] == "p"], rows[rows["id"] == "q"])


def test_print_lies_inside_or_outside_the_interval(rows):
    made = rows.assign(dice=0.8 + 0.08 * (rows["leak"] == 4), hm=0.204, xor=0.3)
    table = report.printed_table(made, "group/a", "Our Method")
    assert [line[:4] for line in table.rows[:2]] == [
        ("Dice", "0 px", "88.0", "80.0 ± 0.0"),
        ("Dice", "4 px", "88.0", "88.0 ± 0.0"),
    ]
    assert [line[5] for line in table.rows] == ["outside", "inside", "inside", "inside", "outside", "outside"]


def test_variants_with_fewer_pictures_are_left_out(rows):
    halfway = rows[(rows["variant"] != "group/b") | (rows["id"] != "q")]
    assert set(report.with_most_pictures(halfway)["variant"]) == {"group/a"}
    assert len(report.with_most_pictures(rows)) == len(rows)


def test_committed_scores_leave_out_what_is_half_done(rows, tmp_path):
    rows.to_csv(tmp_path / "scores.csv", index=False)
    origin = {"variant": "group/a", "n": 4, "data": "ph2", "fingerprint": "f", "size": 8, "device": "cpu"}
    origin |= {"torch": "2", "commit": "c", "code": "d", "command": "python benchmarks/one_image_scores.py"}
    (tmp_path / "provenance.csv").write_text(",".join(origin) + "\n" + ",".join(map(str, origin.values())))
    kept, note = report.committed_scores(tmp_path)
    assert set(kept["variant"]) == {"group/a"} and "fingerprint: f" in note and "one_image_scores" in note
    assert report.methods_table(kept, {}, note).note == note
    assert "fingerprint: f" in report.as_above(note) and "one_image_scores" not in report.as_above(note)
    assert report.methods_table(kept, {}, note, "lung").heads[1] == "paper, LUNG (Table 1)"


def test_seconds_are_medians_over_pictures_and_seeds(rows):
    table = report.seconds_table(rows.assign(seconds=np.arange(len(rows)) % 3 + 1.0), "somewhere")
    assert table.note == "somewhere" and len(table.rows) == rows["variant"].nunique()
    assert all(1 <= float(row[1]) <= 3 for row in table.rows)


def test_the_lessons_hold_on_noise():
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    pulls = {line[0]: [float(cell.split("gradient ")[1]) for cell in line[1:]] for line in _gradients(image)}
    assert pulls["code"][2] == 0 and min(pulls["paper"] + pulls["meant"] + pulls["code"][:2]) > 1e-4
    change = [abs(float(line[3])) for line in turn_table(image, clusters=6).rows]
    assert change[0] < 1e-5 and change[1] < 1e-5 and change[2] > 1e-3


def _gradients(image):
    return gradient_table(image, clusters=6).rows


def test_what_the_stop_costs():
    """Three maps: all background, the truth itself, three quarters of the truth."""
    truth = torch.zeros(1, 8, 8)
    truth[0, 2:6, 2:6] = 1
    part = truth[0].clone()
    part[:, 5:] = 0
    maps = np.stack([np.zeros((8, 8)), truth[0].numpy()]).astype(np.uint8)
    trace = Trace(maps, np.array([1, 2]), {"ce": np.array([1.0, 0.5])}, part.numpy().astype(np.uint8))
    image = 1 - truth.expand(3, -1, -1) * 0.5
    dice = dice_of_steps(trace, image, truth)
    assert np.allclose(dice, [32 / 80, 1, 2 * 12 / (12 + 16)])
    (row,) = stop_table([trace], image[None], truth[None], ["p"], earliest=0).rows
    assert row == ("p", "100.0 (after 1)", "40.0", "85.7 (after 2)", "-14.3", "2")
    figure = step_explorer(trace, image, truth, "")
    assert figure.numbers(frame=1) == {
        "iteration": 1, "clusters": 2, "loss term ce": 0.5, "Dice, oracle": 1, "Dice, darkest": 1
    }  # fmt: skip


def test_a_search_over_weights_is_scored_on_pictures_it_did_not_see(tmp_path):
    """Four pictures; 3-0-0 is best on the first and third, 1.2-0.3-0.3 on the others."""
    table = {"1.2-0.3-0.3": (0.1, 0.6, 0.3, 0.8), "3-0-0": (0.9, 0.2, 0.7, 0.4), "0-0-0": (0, 0, 0, 0)}
    rows = []
    for name, scores in table.items():
        for i, dice in enumerate(scores):
            for rule, leak in SCORED:
                row = {"variant": f"lambda/{name}", "data": "synth", "id": f"p{i}", "rule": rule, "leak": leak}
                rows.append(row | {"dice": dice if not leak else 1.0, "clusters": i + 1})
    made = pd.DataFrame(rows).assign(data_fingerprint="f", size=8, device="cpu", threads=1, torch="2", seed=0)
    made.assign(commit="c", code="d").to_csv(tmp_path / "scores-synth.csv")
    found = {line[1]: line[3] for line in lambda_table(tmp_path / "scores-synth.csv").rows if line[0] == "oracle"}
    assert found["printed"].startswith("45.0 ±") and found["best"].startswith("55.0 ±")
    assert found["worst"].startswith("0.0 ±") and found["best on one half, scored on the other"].startswith("25.0 ±")


def test_the_explorer_of_weights_shows_the_map_of_each_combination(tmp_path):
    (tmp_path / "maps").mkdir()
    rows = []
    for k, (a, b) in enumerate([("0.6", "0"), ("0.6", "3"), ("1.2", "0"), ("1.2", "3")]):
        name = f"{a}-{b}-1"
        np.savez(tmp_path / "maps" / f"{name}.npz", np.full((1, 4, 4), k, np.uint8))
        for rule in ("oracle", "darkest"):
            row = {"variant": f"lambda/{name}", "id": "p", "rule": rule, "leak": 0, "clusters": k + 2}
            rows.append(row | {"dice": k / 10 + (rule == "darkest") / 20})
    pd.DataFrame(rows).to_csv(tmp_path / "scores-synth.csv")
    figure = lambda_explorer(tmp_path)
    state = {"picture": "p", "λ1": "1.2", "λ2": "0", "λ3": "1"}
    assert figure.numbers(**state) == {"clusters": 4, "Dice, oracle": 0.2, "Dice, darkest": 0.25}
    assert figure.place(**state) == 2 and figure.start() == {"picture": "p", "λ1": "0.6", "λ2": "0", "λ3": "1"}


def test_robustness_is_told_by_method_and_change(rows):
    made = [
        rows[rows["variant"] == "group/a"].assign(variant=f"robust/{method} {change}", flips=flips)
        for flips, method in ((0.1, "paper"), (0.3, "code"))
        for change in ("angle=10", "angle=30", "scale=0.9", "hair=1")
    ]
    table = report.robustness_table(pd.concat(made))
    assert table.heads == ("method", "angle=10", "angle=30", "scale=0.9", "hair") and "2 seed(s) × 2" in table.caption
    assert [line[0] for line in table.rows] == ["paper", "code"]
    assert table.rows[1][1].startswith("30.0 (30.0 to 30.0) flipped; Dice 70.0 (")
    flips, dice = np.split(np.array(robustness_figure(pd.concat(made)).axes), 2)
    assert [axis.get_xlabel() for axis in dice] == ["angle, degrees", "scale", "hair"]
    drawn = {bars.get_label(): tuple(bars.lines[0].get_ydata()) for bars in flips[0].containers}
    assert drawn == {"paper": (10, 10), "code": (30, 30)}
