"""Views: geometry is shared with the mask, colour is per picture and within the documented ranges."""

import pytest
import torch

from tutseg.data.augment import _colour, strong, weak

NOISE, BRIGHTNESS, CONTRAST, _ = _colour


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def gradients(count: int, size: int = 16) -> torch.Tensor:
    """Pictures without any symmetry, each unlike the others, ``(count, 3, size, size)``."""
    y, x = torch.meshgrid(torch.linspace(0, 0.4, size), torch.linspace(0, 0.2, size), indexing="ij")
    return (x + y + torch.linspace(0, 0.3, count).view(-1, 1, 1)).unsqueeze(1).repeat(1, 3, 1, 1)


def test_flips_are_per_picture_and_the_same_for_the_mask():
    images = gradients(200)
    masks = (images[:, :1] > 0.35).float()
    flipped, moved = weak(images, masks)
    ways = [((), 0), ((-1,), 0), ((-2,), 0), ((-1, -2), 0)]
    seen = []
    for image, mask, new, new_mask in zip(images, masks, flipped, moved, strict=True):
        fits = [axes for axes, _ in ways if torch.equal(new, image.flip(axes) if axes else image)]
        assert len(fits) == 1
        assert torch.equal(new_mask, mask.flip(fits[0]) if fits[0] else mask)
        seen.append(fits[0])
    counts = [seen.count(axes) for axes, _ in ways]
    assert sum(counts) == 200 and all(30 <= count <= 70 for count in counts), counts  # each 1/4: 50 +- 3.3 sd


def test_strong_keeps_geometry_and_range():
    images = torch.zeros(8, 3, 32, 32)
    images[:, :, 8:20, 4:28] = 0.7  # a sharp rectangle, off centre
    images[:, :, 20:, :] = 0.2
    out = strong(images)
    assert out.shape == images.shape and out.min() >= 0 and out.max() <= 1
    for before, after in zip(images, out, strict=True):
        inside, outside = after[:, before[0] > 0.5], after[:, before[0] == 0]
        assert inside.mean() > outside.mean() + 0.2  # the rectangle is where it was
        edge = (after.mean(0)[:, 4] - after.mean(0)[:, 3])[8:20]
        assert (edge > 0.2).all()  # to the pixel


def test_strong_draws_for_each_picture():
    same = gradients(1).repeat(16, 1, 1, 1)
    means = strong(same).mean((2, 3))
    assert len({tuple(row) for row in means.tolist()}) == 16


def test_a_seed_decides_every_view():
    images, masks = gradients(6), torch.ones(6, 1, 16, 16)
    first, second, other = [], [], []
    for seed, views in ((7, first), (7, second), (8, other)):
        torch.manual_seed(seed)
        views += [*weak(images, masks), strong(images)]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[2], other[2])


def test_noise_has_the_documented_spread():
    grey = torch.full((8, 3, 64, 64), 0.5)
    noise = NOISE(grey) - grey
    assert float(noise.std()) == pytest.approx(30**0.5 / 255, rel=0.02)
    assert abs(float(noise.mean())) < 1e-3
    assert float(torch.corrcoef(noise[:, 0].flatten(1)).fill_diagonal_(0).abs().max()) < 0.1  # not one field for all


@pytest.mark.parametrize("change", [BRIGHTNESS, CONTRAST], ids=["brightness", "contrast"])
def test_brightness_and_contrast_stay_within_a_fifth(change):
    grey = torch.full((400, 3, 2, 2), 0.5)
    factor = change(grey).mean((1, 2, 3)) / 0.5
    shift = change is BRIGHTNESS  # kornia's brightness adds factor - 1; its contrast multiplies
    factor = 1 + (factor - 1) * (0.5 if shift else 1)
    assert 0.8 <= float(factor.min()) < 0.82 and 1.18 < float(factor.max()) <= 1.2 + 1e-6
    assert float(factor.mean()) == pytest.approx(1, abs=0.02)  # uniform: standard error 0.006


def test_jitter_turns_the_hue_by_at_most_a_fifth():
    red = torch.zeros(200, 3, 2, 2)
    red[:, 0] = 0.8
    hue = torch.tensor([_hue(picture[:, 0, 0]) for picture in _colour[3](red)])
    turn = (hue + 0.5) % 1 - 0.5
    assert float(turn.abs().max()) <= 0.2 + 1e-4 and float(turn.std()) > 0.05


def _hue(rgb: torch.Tensor) -> float:
    import colorsys

    return colorsys.rgb_to_hsv(*rgb.tolist())[0]


def test_no_picture_gives_no_picture():
    none = torch.empty(0, 3, 8, 8)
    assert weak(none, none[:, :1])[0].shape == strong(none).shape == (0, 3, 8, 8)
