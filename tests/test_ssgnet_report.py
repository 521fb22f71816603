"""Two definitions of a score, and what the chapter says of rounds and controls."""

import numpy as np
import pytest

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
