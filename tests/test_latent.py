"""A generator looked at: what the figures show is what the network draws."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from drawn import tiny_generator
from PIL import Image

from tutseg.data.loader import Pictures
from tutseg.methods.generative.equivariance import equivariance
from tutseg.report.latent import (
    LATTICE,
    WalkExplorer,
    glide_tiles,
    gliding,
    latent,
    neighbour_tiles,
    pixels,
    psi_explorer,
)


@pytest.fixture(scope="module")
def net():
    return tiny_generator()


def sampled(net, seed: int, psi: float = 1.0) -> np.ndarray:
    """A picture as the method draws it, levels of 255 ``(S, S, 3)``."""
    z = torch.randn(1, net.latent, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return net(z, psi)[0].clamp(0, 1).mul(255).round().permute(1, 2, 0).numpy()


def apart(a, b) -> float:
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max())


def test_a_walk_has_samples_in_its_corners_and_mixtures_between(net):
    figure = WalkExplorer(net, [3, 1, 4, 5])
    for seed, across, down in ((3, 0, 0), (1, 100, 0), (4, 0, 100), (5, 100, 100)):
        assert apart(figure.picture(across, down), sampled(net, seed)) <= 1  # batches round otherwise
        assert figure.numbers(across, down)["mean difference from the nearest corner"] < 0.01
    w = latent(net, [3, 1, 4, 5])
    with torch.no_grad():
        (middle,) = pixels(net.draw(w.mean(0, keepdim=True)))
    assert apart(figure.picture(50, 50), middle) <= 1
    numbers = figure.numbers(50, 50)
    assert numbers["distance of w from the typical one"] == pytest.approx(
        float((w.mean(0) - net.centre).norm()), rel=1e-5
    )
    ends = [np.abs(sampled(net, seed) - middle).mean() for seed in (3, 1, 4, 5)]
    assert numbers["mean difference from the nearest corner"] == pytest.approx(min(ends), abs=0.05)


def test_a_page_has_the_pictures_of_its_lattice_and_a_kernel_draws_others(net):
    figure = WalkExplorer(net, range(4))
    data = figure.data()
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["sheet"].split(",")[1]))))
    assert sheet.shape == (LATTICE * 32, LATTICE * 32, 3)
    assert np.array_equal(sheet[2 * 32 : 3 * 32, 5 * 32 : 6 * 32], figure.picture(5 * data["step"], 2 * data["step"]))
    *inputs, _, _ = figure.live().children
    inputs[0].value = 41
    assert (41, 0) in figure.known and len(figure.known) == LATTICE**2 + 1
    assert figure.data()["sheet"] == data["sheet"]  # what a kernel drew besides is none of the page's


def test_truncation_ends_at_one_picture(net):
    figure = psi_explorer(net, (0, 50, 100))
    spread = figure.values["spread of the pictures, in [0, 1]"]
    assert spread[0] < 1e-6 and spread[0] < spread[1] < spread[2]
    every = np.stack([sampled(net, seed) for seed in range(12)]) / 255
    assert spread[2] == pytest.approx(np.square(every - every.mean(0)).mean() ** 0.5, rel=0.03)
    drawn = figure.panels(frame=1)["twelve drawn pictures"]
    assert apart(drawn[32:64, 96:128], sampled(net, 7, 0.5)) <= 1  # the eighth, in the second row of four


def test_a_gliding_picture_is_compared_with_the_moved_one(net):
    rows = glide_tiles(net, 2, (0, 5)).rows
    (still, drawn), (_, moved), (nothing, gap) = ([tile.pixels for tile in row] for row in rows)
    assert apart(still, sampled(net, 2)) <= 1 and not nothing.any()
    assert np.array_equal(moved[:, 5:], still[:, :-5]) and not gap[:, :5].any()
    away = np.abs(drawn[:, 5:].astype(int) - moved[:, 5:])
    assert np.array_equal(gap[:, 5:], np.minimum(8 * away, 255))
    assert rows[2][1].words == f"differ by {away.max()} of 255 at most"


def test_an_animation_is_a_strip_of_its_frames_that_can_be_stopped(net):
    figure = gliding(net, 2, frames=8, reach=4)
    page = figure.to_html()
    strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", page)[1]))))
    assert np.array_equal(strip, np.concatenate(figure.frames)) and strip.shape == (8 * 32, 32, 3)
    with torch.no_grad():
        (down,) = pixels(net.draw(latent(net, [2]), (0.0, 4 / 32)))
    assert apart(figure.frames[2], down) <= 1  # a quarter of the circle: straight down
    assert "steps(8) infinite" in page and "prefers-reduced-motion:reduce" in page
    assert '<label><input type="checkbox" checked> moving</label>' in page and ":not(:checked)" in page
    assert f"{equivariance(net):.0f} dB" in figure.alt and figure.alt in page


def test_doubles_are_found():
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (9, 3, 32, 32), generator=rng, dtype=torch.uint8)
    ids = tuple(f"p{i}" for i in range(9))
    pictures = Pictures(images, ids, ids, "made up")
    copied = images[[7, 2, 4]].clone()
    copied[1:, :, :16] = 255 - copied[1:, :, :16]
    drawn = Pictures(copied, ids[:3], ids[:3], "made up")
    (above, below) = neighbour_tiles(drawn, pictures, 2).rows
    assert (above[0].words, below[0].words) == ("0.000 apart", "p7") and len(above) == len(below) == 2
    assert np.array_equal(above[0].pixels, images[7].permute(1, 2, 0).numpy())
