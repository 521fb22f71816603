"""Label noise: closed forms (a disc, a half plane), brute force over pairs, and the identities it promises."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from tutseg.data.loader import Pictures
from tutseg.data.noise import BAND, KINDS, LabelNoise, add_noise, agreement, redraw, with_noise
from tutseg.errors import InputError
from tutseg.training.spec import check
from tutseg.training.trial import make_trial

SIZE = 128
SHRINK = {"kind": "shrink", "rate": 0.03}
Y, X = np.mgrid[:SIZE, :SIZE] + 0.5


def disc(radius, x=64.0, y=64.0):
    return (np.hypot(X - x, Y - y) < radius).astype(np.uint8)


@pytest.mark.parametrize("mask", [disc(30), disc(30)[:, 20:90], np.zeros((40, 50)), np.ones((40, 50)), 255 * disc(9)])
def test_no_noise_is_the_identity(mask):
    noisy, changed = add_noise(mask, LabelNoise(), seed=3)
    assert noisy.dtype == np.uint8 and changed.dtype == bool
    np.testing.assert_array_equal(noisy, mask > 0)
    assert not changed.any()


@pytest.mark.parametrize(
    "style",
    [
        LabelNoise(warp=0.03),
        LabelNoise(grow=0.04),
        LabelNoise(grow=-0.04),
        LabelNoise(drop=0.3),
        LabelNoise(smooth=0.05, warp=0.01),
    ],
)
def test_noise_map_is_the_difference_and_the_seed_decides(style):
    mask = disc(30) | disc(8, 20, 20)
    noisy, changed = add_noise(mask, style, seed=1)
    np.testing.assert_array_equal(changed, np.logical_xor(noisy, mask))
    assert changed.any()
    np.testing.assert_array_equal(noisy, add_noise(mask, style, seed=1)[0])
    if style.warp or style.drop:
        assert (noisy != add_noise(mask, style, seed=2)[0]).any()


@pytest.mark.parametrize("pixels", [-12, -5, 5, 12])
def test_growing_a_disc_changes_its_radius(pixels):
    noisy, _ = add_noise(disc(30), LabelNoise(grow=pixels / SIZE), seed=0)
    assert np.sqrt(noisy.sum() / np.pi) == pytest.approx(30 + pixels, abs=0.5)


@pytest.mark.parametrize("amplitude", [0.02, 0.05])
def test_warp_moves_a_straight_border_by_its_own_deviation(amplitude):
    half_plane = (X < 64).astype(np.uint8)
    moved = [
        redraw(half_plane, LabelNoise(warp=amplitude), np.random.default_rng(s)).sum(1, dtype=float) - 64
        for s in range(20)
    ]
    assert np.std(moved) / SIZE == pytest.approx(amplitude, rel=0.25)
    assert abs(np.mean(moved)) / SIZE < 0.5 * amplitude


def test_warp_counts_in_units_of_the_uncertainty():
    half_plane = (X < 64).astype(np.uint8)
    uncertainty = np.where(Y < 64, 0.001, 0.04)
    moved = np.stack(
        [
            redraw(half_plane, LabelNoise(warp=1), np.random.default_rng(s), uncertainty).sum(1, dtype=float) - 64
            for s in range(10)
        ]
    )
    assert moved[:, :60].std() < 0.5 < 2 < moved[:, 68:].std()


def test_dropped_share_is_the_asked_one_and_nothing_is_added():
    noisy, changed = add_noise(disc(40), LabelNoise(drop=0.3), seed=5)
    assert not (noisy & ~disc(40)).any()
    assert changed.sum() / disc(40).sum() == pytest.approx(0.3, abs=0.002)


def test_missed_satellites():
    mask = disc(30) | disc(5, 10, 10) | disc(5, 115, 20)
    np.testing.assert_array_equal(add_noise(mask, LabelNoise(miss=1), seed=0)[0], disc(30))
    kept = [add_noise(mask, LabelNoise(miss=0.5), seed=s)[0].sum() for s in range(40)]
    assert np.mean(kept) == pytest.approx(disc(30).sum() + disc(5, 10, 10).sum(), rel=0.02)


def test_over_smoothing_rounds_off_a_star():
    angle, reach = np.arctan2(Y - 64, X - 64), np.hypot(X - 64, Y - 64)
    star = (reach < 30 + 8 * np.cos(14 * angle)).astype(np.uint8)
    noisy, _ = add_noise(star, LabelNoise(smooth=0.06), seed=0)

    def roughness(mask):
        edges = np.abs(np.diff(mask.astype(int), axis=0)).sum() + np.abs(np.diff(mask.astype(int), axis=1)).sum()
        return edges / np.sqrt(mask.sum())

    assert roughness(noisy) < 0.75 * roughness(star)


def test_a_mask_without_a_border_stays():
    for mask in (np.zeros((30, 40), np.uint8), np.ones((30, 40), np.uint8)):
        noisy, changed = add_noise(mask, LabelNoise(grow=-0.1, warp=0.1, smooth=0.1), seed=0)
        np.testing.assert_array_equal(noisy, mask)
        assert not changed.any()


def test_agreement_against_brute_force():
    rng = np.random.default_rng(0)
    masks = (rng.random((5, 9, 7)) < 0.4).astype(np.uint8)
    masks[3] = masks[4] = 0
    per_pixel, dice = agreement(masks)
    pairs = list(combinations(range(5), 2))
    np.testing.assert_allclose(per_pixel, np.mean([masks[i] == masks[j] for i, j in pairs], axis=0))
    for i, j in pairs:
        total = int(masks[i].sum()) + int(masks[j].sum())
        expected = 1.0 if total == 0 else 2 * int((masks[i] & masks[j]).sum()) / total
        assert dice[i, j] == dice[j, i] == pytest.approx(expected)
    with pytest.raises(InputError, match="two annotators"):
        agreement(masks[:1])


def discs() -> Pictures:
    masks = torch.from_numpy(np.stack([disc(radius) for radius in (20, 30, 40)])[:, None])
    images = torch.zeros(3, 3, SIZE, SIZE, dtype=torch.uint8)
    return Pictures(images, ("a", "b", "c"), ("a", "b", "c"), "discs", masks, masks)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_of_a_trial_changes_the_masks_and_leaves_the_truth(kind):
    pictures = discs()
    if kind == "miss":
        pictures.truth[:, :, 5:10, 5:10] = 1  # satellites
    noisy, changed = with_noise(pictures, {"kind": kind, "rate": {"miss": 1.0}.get(kind, 0.05), "seed": 3})
    assert torch.equal(noisy.truth, pictures.truth) and noisy.masks.dtype == torch.uint8
    assert np.array_equal(changed, (noisy.masks != pictures.truth)[:, 0].numpy())
    assert changed.any((1, 2)).all() or kind == "smooth"
    assert noisy.ids == pictures.ids and torch.equal(noisy.images, pictures.images)


def test_noise_of_a_picture_follows_from_its_id_and_the_seed():
    pictures, noise = discs(), {"kind": "warp", "rate": 0.03, "seed": 1}
    whole, changed = with_noise(pictures, noise)
    part, few = with_noise(pictures.take([2, 0]), noise)
    assert torch.equal(part.masks, whole.masks[[2, 0]]) and np.array_equal(few, changed[[2, 0]])
    assert not torch.equal(whole.masks, with_noise(pictures, noise | {"seed": 2})[0].masks)
    same = replace(pictures, masks=pictures.masks[[0, 0, 0]], truth=None)
    drawn = with_noise(same, noise)[0].masks
    assert not torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], whole.masks[0])
    again = with_noise(pictures, {"kind": "warp", "rate": 0.03})[0]
    assert torch.equal(again.masks, with_noise(pictures, noise | {"seed": 0})[0].masks)


@pytest.mark.parametrize(
    ("noise", "says"),
    [
        ({"kind": "grown", "rate": 0.1}, "unknown kind of label noise 'grown': did you mean grow"),
        ({"rate": 0.1}, "unknown kind of label noise 'None'"),
        ({"kind": "grow"}, "label noise rate = None: give a number"),
        ({"kind": "grow", "rate": "much"}, "label noise rate = 'much'"),
        ({"kind": "grow", "rate": 0.1, "seed": 0.5}, "label noise seed = 0.5"),
        ({"kind": "grow", "rate": 0.1, "sead": 1}, "unknown field of label noise 'sead': did you mean seed"),
        ({"kind": "drop", "rate": 2}, "label noise drop=2: use a share"),
        ({"kind": "flip", "rate": -1}, "label noise flip=-1: use a share"),
        ({"kind": "warp", "rate": 0.1, "share": 0}, "label noise share = 0: give the share of pictures"),
    ],
)
def test_noise_that_cannot_be_is_named(noise, says):
    with pytest.raises(InputError, match=says):
        with_noise(discs(), noise)
    with pytest.raises(InputError, match="data discs has no masks"):
        with_noise(discs().without("masks"), {"kind": "grow", "rate": 0.1})


@pytest.mark.parametrize("wrong", [{"drop": 1.5}, {"miss": -0.1}, {"warp": -1.0}, {"smooth": -0.1}, {"waves": 1}])
def test_impossible_noise_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        LabelNoise(**wrong)


def test_flips_are_near_the_border_and_as_many_as_asked_for():
    mask = disc(30)
    _, changed = add_noise(mask, LabelNoise(flip=0.3), seed=1)
    band = np.abs(np.hypot(X - 64, Y - 64) - 30)
    assert band[changed].max() < BAND * SIZE + 1
    sure = band < BAND * SIZE - 1
    for label in (0, 1):
        assert changed[sure & (mask == label)].mean() == pytest.approx(0.3, abs=0.05)
    assert not add_noise(np.ones((30, 40)), LabelNoise(flip=1), seed=0)[1].any()


def test_shrinking_is_growing_inwards():
    grown, shrunk = (with_noise(discs(), noise)[0] for noise in ({"kind": "grow", "rate": -0.03}, SHRINK))
    assert torch.equal(grown.masks, shrunk.masks) and shrunk.masks.sum() < discs().masks.sum()


def test_a_share_of_the_pictures_is_befallen_as_without_it():
    masks = torch.from_numpy(disc(30)).expand(200, 1, SIZE, SIZE)
    names = tuple(map(str, range(200)))
    pictures = Pictures(torch.zeros(200, 3, 1, 1), names, names, "discs", masks, masks)
    some, changed = with_noise(pictures, SHRINK | {"share": 0.2})
    all_of_them, _ = with_noise(pictures, SHRINK)
    hit = changed.any((1, 2))
    assert hit.mean() == pytest.approx(0.2, abs=0.08)
    assert torch.equal(some.masks[hit], all_of_them.masks[hit]) and torch.equal(some.masks[~hit], masks[~hit])
    more = with_noise(pictures, SHRINK | {"share": 0.4})[1].any((1, 2))
    assert (more >= hit).all() and more.sum() > hit.sum()


def test_the_short_form_of_a_trials_noise_is_the_long_one():
    long = make_trial(method="supervised", noise={"kind": "warp", "rate": 0.03, "seed": 2})
    short = make_trial(method="supervised", noise={"warp": 0.03, "seed": 2})
    assert short == long and short.id == long.id and "--noise kind=warp --noise rate=0.03" in short.command
    assert make_trial(method="supervised").noise == {}
    with pytest.raises(InputError, match="unknown kind of label noise 'wrap': did you mean warp"):
        check(make_trial(method="supervised", noise={"wrap": 0.1}))
    with pytest.raises(InputError, match="unknown field of label noise 'flip'"):
        check(make_trial(method="supervised", noise={"kind": "warp", "rate": 0.1, "flip": 0.1}))
