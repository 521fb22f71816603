"""``tutseg segment``: masks from methods that need no training, at the picture's own size."""

import numpy as np
import pytest
from PIL import Image


def disc_picture(path, size=(70, 46), lesion=(90, 50, 40), skin=(220, 190, 170)) -> np.ndarray:
    """Write a disc on skin; returns the disc, boolean ``(H, W)``."""
    y, x = np.mgrid[: size[1], : size[0]]
    disc = (y - size[1] / 2) ** 2 + (x - size[0] / 2) ** 2 < (0.3 * size[1]) ** 2
    Image.fromarray(np.where(disc[..., None], lesion, skin).astype(np.uint8)).save(path)
    return disc


def read(path) -> np.ndarray:
    with Image.open(path) as mask:
        assert mask.mode == "L"
        return np.asarray(mask)


@pytest.mark.parametrize("words", [["otsu"], ["k-means", "-o", "k=2"], ["s3-net", "-o", "clusters=6", "-o", "steps=8"]])
def test_it_finds_a_dark_disc_at_its_own_size(tutseg, tmp_path, words):
    (tmp_path / "in").mkdir()
    disc = disc_picture(tmp_path / "in" / "a.png")
    disc_picture(tmp_path / "b.jpg", size=(41, 33))
    said = tutseg("segment", *words, "in", "b.jpg", "--out", "masks", "--size", 64)
    assert said.code == 0 and said.out.strip() == "2 masks in masks" and said.err == ""
    mask = read(tmp_path / "masks" / "a.png")
    assert mask.shape == disc.shape and set(np.unique(mask)) == {0, 255}
    assert 2 * (disc & (mask > 0)).sum() / (disc.sum() + (mask > 0).sum()) > 0.9
    assert read(tmp_path / "masks" / "b.png").shape == (33, 41)


def test_the_rule_chooses_the_cluster(tutseg, tmp_path):
    """A light disc: dark skin around it is the darkest cluster, the disc is the most central."""
    disc = disc_picture(tmp_path / "a.png", size=(48, 48), lesion=(240, 230, 220), skin=(90, 60, 50))
    found = {}
    for rule in ("darkest", "central", "contrast"):
        out = tmp_path / rule
        words = ("segment", "k-means", "a.png", "-o", "k=2", "--rule", rule, "--out", rule, "--size", 48)
        assert tutseg(*words).code == 0
        found[rule] = read(out / "a.png") > 0
    assert np.array_equal(found["central"], disc) and np.array_equal(found["contrast"], disc)
    assert np.array_equal(found["darkest"], ~disc)


def test_the_same_seed_gives_the_same_mask_whatever_stands_beside(tutseg, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(tmp_path / f"{name}.png")
    options = ("-o", "clusters=6", "-o", "steps=3", "--size", 32)
    tutseg("segment", "s3-net", "b.png", "--out", "alone", *options)
    tutseg("segment", "s3-net", "a.png", "b.png", "--out", "together", *options)
    assert np.array_equal(read(tmp_path / "alone" / "b.png"), read(tmp_path / "together" / "b.png"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dme-fd", "a.png"], "needs training"),
        (["nothing", "a.png"], "method"),
        (["otsu", "a.png", "--rule", "oracle"], "rule"),
        (["otsu", "missing.png"], "missing.png"),
        (["ms-former", "a.png", "--size", 48], "multiple of 32"),
        (["otsu", "a.png", "-o", "clusters=3"], "tutseg methods otsu"),
    ],
)
def test_wrong_input_is_one_line(tutseg, tmp_path, words, told):
    disc_picture(tmp_path / "a.png")
    said = tutseg("segment", *words, "--out", "masks")
    assert said.code == 2 and told in said.err and said.err.count("\n") == 1 and not said.out
