"""Pictures in memory: what is read is what was there, and batches are pure functions of the step."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tutseg.data.loader import load_pictures, step_indices
from tutseg.data.sample import Sample
from tutseg.errors import InputError


class Arrays:
    """A source of three random pictures of different sizes."""

    name = "arrays"
    ids = ("c", "a", "b")
    groups = ("1", "2", "2")

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        sizes = [(20, 30), (16, 16), (40, 24)]
        self.samples = [
            Sample(rng.integers(0, 256, (*s, 3), np.uint8), rng.integers(0, 2, s).astype(np.uint8), i, g)
            for s, i, g in zip(sizes, self.ids, self.groups, strict=True)
        ]

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def __iter__(self):
        return iter(self.samples)


def test_pictures_are_squashed_as_pillow_does_it():
    pictures = load_pictures(Arrays(), 16)
    assert pictures.images.shape == (3, 3, 16, 16) and pictures.masks.shape == (3, 1, 16, 16)
    assert pictures.images.dtype == pictures.masks.dtype == torch.uint8
    for i, sample in enumerate(Arrays()):
        image = np.asarray(Image.fromarray(sample.image).resize((16, 16), Image.Resampling.BICUBIC))
        rows, columns = (((np.arange(16) + 0.5) * n / 16).astype(int) for n in sample.mask.shape)  # nearest centre
        assert np.abs(pictures.images[i].permute(1, 2, 0).numpy().astype(int) - image).max() <= 2
        assert np.array_equal(pictures.masks[i, 0], sample.mask[np.ix_(rows, columns)])
    assert torch.equal(pictures.images[1].permute(1, 2, 0), torch.from_numpy(Arrays()[1].image))  # already that size


def test_order_does_not_depend_on_the_number_of_threads():
    one, many = (load_pictures(Arrays(), 16, workers=workers) for workers in (1, 8))
    assert torch.equal(one.images, many.images) and one.ids == many.ids == ("c", "a", "b")


def test_progress_is_reported_once_a_picture():
    seen = []
    load_pictures(Arrays(), 16, on_picture=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


class Changed(Arrays):
    """`Arrays` with some fields of some samples changed."""

    def __init__(self, **columns) -> None:
        super().__init__()
        for name, values in columns.items():
            self.samples = [replace(s, **{name: v}) for s, v in zip(self.samples, values, strict=True)]


def test_masks_are_read_as_what_training_may_see_and_as_truth():
    pictures = load_pictures(Arrays(), 16)
    assert pictures.masks is pictures.truth  # one tensor, also of a part
    part = pictures.take([1])
    assert part.masks is part.truth and part.to("cpu").masks is part.to("cpu").truth
    assert pictures.labels is None and pictures.classes == ()


def test_pictures_without_masks_load():
    pictures = load_pictures(Changed(mask=[None] * 3), 16)
    assert pictures.masks is None and pictures.truth is None
    assert torch.equal(pictures.images, load_pictures(Arrays(), 16).images)
    image, mask = pictures.take([2, 0]).floats(torch.tensor([1]))
    assert mask is None and torch.equal(image[0], pictures.images[0] / 255)
    with pytest.raises(InputError, match="data arrays has no masks: choose data, or a part, that has masks"):
        pictures.need("masks")


def test_some_pictures_may_have_no_mask():
    masks = [sample.mask for sample in Arrays()]
    whole, some = load_pictures(Arrays(), 16), load_pictures(Changed(mask=[masks[0], None, masks[2]]), 16)
    assert some.masked == (True, False, True) and whole.masked == ()
    assert some.outlined().ids == ("c", "b") and torch.equal(some.outlined().need("masks").masks, whole.masks[[0, 2]])
    assert whole.outlined() is whole and some.take([2, 0]).need("truth").masked == (True, True)
    with pytest.raises(InputError, match="data arrays: a has no mask: choose a part where all have one"):
        some.need("masks")
    empty = load_pictures(Changed(mask=[masks[0], np.zeros_like(masks[1]), masks[2]]), 16)
    assert len({each.fingerprint() for each in (whole, some, empty)}) == 3  # no mask is not an empty one


def test_classes_are_numbered_by_name():
    pictures = load_pictures(Changed(label=["nevus", None, "melanoma"], mask=[None] * 3), 16)
    assert pictures.classes == ("melanoma", "nevus") and pictures.labels.tolist() == [1, -1, 0]
    part = pictures.take([2, 0])
    assert part.labels.tolist() == [0, 1] and part.classes == pictures.classes
    relabelled = replace(pictures, labels=torch.tensor([0, -1, 1]))
    assert relabelled.fingerprint() != pictures.fingerprint()


def test_hidden_columns_are_gone_from_the_copy():
    pictures = load_pictures(Changed(label=["x", "y", "x"]), 16)
    bare = pictures.without("masks", "labels")
    assert bare.masks is None and bare.labels is None and torch.equal(bare.truth, pictures.truth)
    assert pictures.masks is not None and pictures.need("masks", "labels") is pictures
    with pytest.raises(InputError, match="unknown column of pictures 'mask': did you mean masks"):
        pictures.without("mask")


def test_a_fault_in_one_picture_stops_the_reading():
    class Broken(Arrays):
        def __getitem__(self, index: int) -> Sample:
            if index == 1:
                raise InputError("a.jpg is truncated", "fetch it again")
            return super().__getitem__(index)

    with pytest.raises(InputError, match=r"a\.jpg is truncated"):
        load_pictures(Broken(), 16)


def test_a_part_keeps_pictures_ids_and_groups_together():
    whole = load_pictures(Arrays(), 16)
    part = whole.take([2, 0])
    assert part.ids == ("b", "c") and part.groups == ("2", "1")
    assert torch.equal(part.images, whole.images[[2, 0]]) and torch.equal(part.masks, whole.masks[[2, 0]])
    assert len(whole.take([])) == 0


def test_floats_are_the_bytes_over_255():
    pictures = load_pictures(Arrays(), 16)
    image, mask = pictures.floats(torch.tensor([2, 2, 0]))
    assert image.dtype == mask.dtype == torch.float32 and image.shape == (3, 3, 16, 16)
    assert np.array_equal((image * 255).round().numpy(), pictures.images[[2, 2, 0]].numpy())
    assert set(mask.unique().tolist()) <= {0.0, 1.0}


def test_fingerprint_follows_pixels_and_ids_but_not_order():
    whole = load_pictures(Arrays(), 16)
    other = whole.take([1, 2, 0])
    assert other.fingerprint() == whole.fingerprint()
    images, truth = whole.images.clone(), whole.truth.clone()
    images[0, 0, 0, 0] ^= 1
    truth[0, 0, 0, 0] ^= 1
    changed = [replace(whole, images=images), replace(whole, truth=truth), replace(whole, ids=("c", "a", "d"))]
    prints = {whole.fingerprint(), *(p.fingerprint() for p in changed)}
    assert len(prints) == 4 and all(len(bytes.fromhex(p)) == hashlib.sha256().digest_size for p in prints)


@given(n=st.integers(1, 40), batch=st.integers(1, 20), seed=st.integers(0, 2**40), epochs=st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_each_pass_shows_each_picture_once(n, batch, seed, epochs):
    steps = -(-n * epochs // batch)
    drawn = torch.cat([step_indices(n, batch, step, seed) for step in range(steps)])[: n * epochs]
    for epoch in drawn.view(epochs, n):
        assert sorted(epoch.tolist()) == list(range(n))


def test_steps_are_pure_functions():
    wanted = step_indices(30, 8, 17, 5)
    for step in range(20):
        step_indices(30, 8, step, 6)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert torch.equal(step_indices(30, 8, 17, 5), wanted)
    assert torch.equal(torch.get_rng_state(), before)  # nor does drawing touch the global generator


def test_seeds_and_passes_are_in_different_orders():
    orders = {tuple(step_indices(30, 30, epoch, seed).tolist()) for epoch in range(3) for seed in range(3)}
    assert len(orders) == 9
