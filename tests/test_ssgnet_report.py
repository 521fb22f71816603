"""Two definitions of a score, and what the chapter says of rounds and controls."""

import json

import numpy as np
import pytest
from finished import write_run

from tutseg.errors import InputError
from tutseg.metrics import area_scores, counts, counts_from_dice, counts_from_rates
from tutseg.report.definitions import (
    AGAINST,
    both_scores,
    definitions_table,
    discs,
    leads,
    prevalence_explorer,
    told_leads,
)
from tutseg.report.ssgnet import chains, choice, choice_table, controls_table, rounds_table, told_controls, told_rounds
from tutseg.report.tables import spec_table
from tutseg.training.evidence import read_spec_evidence, write_evidence


def masks(seed: int, shape=(5, 20, 20)):
    draw = np.random.default_rng(seed)
    truth = draw.random(shape) < 0.2
    return truth ^ (draw.random(shape) < 0.1), truth


@pytest.mark.parametrize("seed", range(4))
def test_pooled_counts_come_back_from_dice_and_sizes_and_from_three_rates(seed):
    """Pixels counted one by one, and the two IoU from them by their definitions."""
    p, t = masks(seed)
    tp, fp, fn, tn = (np.sum(a & b) for a, b in ((p, t), (p, ~t), (~p, t), (~p, ~t)))
    share = np.array([tp, fp, fn, tn]) / p.size * 1e6
    dice = 2 * tp / (p.sum() + t.sum())
    assert np.allclose(counts_from_dice(dice, t.mean(), p.mean()), share)
    assert np.allclose(counts_from_rates(tp / (tp + fn), tn / (tn + fp), (tp + tn) / p.size), share)
    found = both_scores(dice, t.mean(), p.mean())
    lesion, background = tp / np.sum(p | t), tn / np.sum(~p | ~t)
    assert found["lesion's IoU"] == pytest.approx(lesion) == pytest.approx(dice / (2 - dice))
    assert found["mean IoU of two classes"] == pytest.approx((lesion + background) / 2)
    assert found["mean Dice of two classes"] == pytest.approx((dice + 2 * tn / (np.sum(~p) + np.sum(~t))) / 2)


def test_what_no_masks_can_have_is_refused():
    with pytest.raises(InputError, match=r"no masks of 0\.8 and 0\.8 of the pixels have Dice 0\.1"):
        counts_from_dice(0.1, 0.8)
    with pytest.raises(InputError, match=r"accuracy .* does not lie between"):
        counts_from_rates(0.9, 0.95, 0.5)


def test_the_t_vmf_rows_are_two_class_means_and_their_lead_is_the_backgrounds():
    """Recomputed within the printed digits, as a mean of two classes; on the lesion's own score most rows lag."""
    found = leads()
    assert len(found) == 8 and {each["row"] for each in found} == set(AGAINST)
    assert all(each["two_class"] == pytest.approx(each["printed"], abs=1e-3) for each in found)
    by = {(each["data"], each["row"]): each for each in found}
    assert by["isic2017", "Atvmf (reproduced)"]["lesion"] == pytest.approx(0.757, abs=5e-4)
    assert by["cbis-ddsm", "SSGNet+ Atvmf (Ours)"]["lesion"] == pytest.approx(0.342, abs=5e-4)
    assert by["isic2018", "Atvmf (reproduced)"]["lead"] == pytest.approx(0.0422)
    assert all(each["lead"] > 0 for each in found) and sum(each["like"] < 0 for each in found) == 6
    assert len(definitions_table().rows) == 8
    assert told_leads().startswith("As printed, the t-vMF rows lead by 4.0 to 11.8 points")


def test_the_explorer_holds_dice_and_moves_prevalence():
    for share in (0.06, 0.3):
        prediction, truth = discs(0.8, share)
        scores = area_scores(counts([prediction], [truth])[0])
        assert scores["dice"] == pytest.approx(0.8, abs=0.02) and truth.mean() == pytest.approx(share, rel=0.05)
    explorer = prevalence_explorer()
    iou = lambda dice: dice / (2 - dice)
    for share, gap in zip(explorer.steps, explorer.values["two classes minus lesion, points"], strict=True):
        background = 1 - 0.12 * share / (100 - share)  # as many pixels are wrong, of more
        assert gap == pytest.approx(50 * (iou(background) - iou(0.88)))
    assert set(explorer.values["lesion's Dice"]) == {0.88}


# ---- rounds and controls ---------------------------------------------------------------------------------------------

ROUNDS = {0: (0.0, 0.50), 1: (0.04, 0.70), 2: (0.01, 0.60)}  # of each round: test Dice above the first, validation Dice


@pytest.fixture
def evidence(tmp_path, monkeypatch):
    """Makes committed evidence of made-up trials: rows of a name, a level of Dice, validation Dice and options."""
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path / "runs"))

    def commit(rows, seeds=3):
        named = []
        for name, level, on_validation, given in rows:
            for seed in range(seeds):
                method = "ssgnet" if "round" in given.get("options", {}) else "supervised"
                fields = {"method": method, "labelled": 24, "steps": 60, "batch": 8, "seed": seed} | given
                trial = write_run(tmp_path / "runs", level, **fields)
                path = trial.folder / "result.json"
                result = json.loads(path.read_text())
                result["n"] |= {"trained_on": 264} if method == "ssgnet" else {}
                result["selection"]["last"]["on_validation"] = on_validation - 0.3 * (seed == 2 and level == 0.04)
                for score in ("jaccard", "miou"):
                    result["scores"]["net"].setdefault(score, {})["pooled"] = {"mean": 0.5 + level, "std": 0, "n": 1}
                path.write_text(json.dumps(result))
                named.append((name, trial))
        drawer = write_run(tmp_path / "runs", 0.3, method="cps")  # a parent: no row of a table
        return write_evidence([("", drawer), *named], tmp_path / "results/ssgnet/mine")

    return commit


def chain_rows(name="lesions"):
    options = lambda k: {"options": {"loss": "bce-dice"} | ({"round": k} if k else {})}
    return [(f"{name}, round {k}", *ROUNDS[k], options(k)) for k in (2, 0, 1)]


def test_the_rounds_of_a_chain_in_order_with_passes_over_real_pictures(evidence):
    folder = evidence(chain_rows())
    table = rounds_table(folder)
    assert [row[:2] for row in table.rows] == [("lesions", str(k)) for k in range(3)]
    # 60 steps of 8 over 24 real pictures, or over these and 240 drawn ones
    assert [row[-2] for row in table.rows] == ["20.0", "1.8", "1.8"]
    assert table.rows[1][4].startswith("higher by 4") and table.rows[0][4] == ""
    assert [row[6] for row in table.rows] == ["50.0", "54.0", "51.0"]
    assert "Of lesions, round 2 is, against round 0, " in told_rounds(folder)


def test_a_round_is_chosen_on_validation_and_the_leak_is_what_test_adds(evidence):
    """In two seeds validation knows the best round, in the third it takes round 2."""
    folder = evidence(chain_rows())
    (groups,) = chains(read_spec_evidence(folder)).values()
    ways = choice(groups)
    means = np.stack([group.values.mean(1) for group in groups])
    assert ways["validation"] == pytest.approx([means[1, 0], means[1, 1], means[2, 2]])
    assert ways["test"] == pytest.approx(means.max(0)) and ways["last"] == pytest.approx(means[2])
    leak = (means.max(0) - ways["validation"]).mean()
    assert leak > 0 and choice_table(folder).rows[0][4] == f"{100 * leak:+.1f}"


def test_controls_answer_their_questions(evidence):
    one = {"loss": "bce-dice", "round": 1}
    folder = evidence(
        [
            ("no generated pictures", 0.0, 0.5, {"options": {"loss": "bce-dice"}}),
            ("SSGNet", 0.05, 0.6, {"options": one}),
            ("labels exchanged between pictures", -0.05, 0.4, {"options": {**one, "shuffled": True}}),
            ("SSGNet, half of each batch real", 0.05, 0.6, {"options": {**one, "balanced": True}}),
        ]
    )
    rows = {row[0]: row for row in controls_table(folder).rows}
    assert rows["no generated pictures"][1] == "Do generated pictures help?"
    assert rows["no generated pictures"][3].startswith("higher by ") and rows["SSGNet"][3] == ""
    assert rows["SSGNet"][4] == "1.8" and rows["SSGNet, half of each batch real"][4] == "10.0"
    assert "higher than `no generated pictures` and `labels exchanged" in told_controls(folder)
    assert list(rows) == [row[0] for row in spec_table(folder, "all").rows] and len(rows) == 4


def test_what_is_not_there_yet_is_said(tmp_path):
    folder = tmp_path / "results/ssgnet/table-5-lab"
    for table in (rounds_table, choice_table, controls_table):
        assert "not yet" in table(folder).rows[0]
    assert "not been run" in told_rounds(folder) and "not been run" in told_controls(folder)
