"""Near-duplicates, groups and splits that separate them, against brute force on drawn pictures."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tutseg.data import leaks, open_source
from tutseg.data.duplicates import duplicate_report
from tutseg.data.leaks import (
    as_words,
    check_split,
    connected,
    distances,
    leaks_of,
    near_pairs,
    perceptual_hash,
    shared_ids,
    shared_pictures,
    source_hashes,
)
from tutseg.data.read_endoscopy import CLINIC_STARTS, clinic_sequence
from tutseg.data.splits import Split, make_split, named_split
from tutseg.errors import InputError
from tutseg.files import knowledge


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(leaks, "knowledge", lambda: tmp_path / "knowledge")


def scene(seed: int, size: int = 96) -> np.ndarray:
    """A smooth random picture: its hash is stable under scaling and recolouring, unlike that of noise."""
    rng = np.random.default_rng(seed)
    small = rng.integers(30, 220, (20, 20, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((size, size), Image.BICUBIC))


def put_kvasir(root, pictures: dict[str, np.ndarray]) -> None:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        mask = np.zeros(picture.shape[:2], np.uint8)
        mask[20:50, 20:60] = 255
        Image.fromarray(picture).save(root / f"images/{name}.jpg", quality=92)
        Image.fromarray(mask).save(root / f"masks/{name}.jpg")


@given(st.lists(st.integers(0, 2**256 - 1), min_size=1, max_size=6), st.lists(st.integers(0, 2**256 - 1), min_size=1))
@settings(max_examples=30, deadline=None)
def test_distances_are_hamming(a, b):
    words = [as_words([f"{value:064x}" for value in values]) for values in (a, b)]
    assert distances(*words).tolist() == [[(x ^ y).bit_count() for y in b] for x in a]


def test_near_pairs_across_blocks():
    """More rows than one block of the computation holds."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**64, (600, 4), dtype=np.uint64)
    words[599] = words[3] ^ np.array([0b101, 0, 0, 0], np.uint64)
    words[300] = words[299]
    assert near_pairs(words) == [(3, 599, 2), (299, 300, 0)]
    assert near_pairs(words[:5], words[590:]) == [(3, 9, 2)]


@given(st.integers(1, 30), st.data())
@settings(max_examples=50, deadline=None)
def test_connected_is_the_transitive_closure(n, data):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    index = st.integers(0, n - 1)
    pairs = data.draw(st.lists(st.tuples(index, index), max_size=40))
    rows, columns = np.array(pairs, int).reshape(-1, 2).T
    _, labels = connected_components(coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n)), directed=False)
    roots = connected(n, pairs)
    assert [[a == b for b in roots] for a in roots] == [[a == b for b in labels] for a in labels]
    assert all(root == min(i for i in range(n) if roots[i] == root) for root in roots)


def test_hash_survives_scaling_recompression_and_colour_but_not_another_scene(tmp_path):
    original = scene(1)
    Image.fromarray(original).resize((60, 48)).save(tmp_path / "a.jpg", quality=60)
    tinted = np.clip(original.astype(float) * (1.0, 0.9, 0.7) + 12, 0, 255).astype(np.uint8)
    hashes = [perceptual_hash(p) for p in (original, np.asarray(Image.open(tmp_path / "a.jpg")), tinted, scene(2))]
    bits = distances(as_words(hashes[:1]), as_words(hashes[1:]))[0]
    assert bits[0] <= 24 and bits[1] <= 24 and bits[2] > 60


def test_a_source_groups_its_copies_and_splits_keep_them(tmp_path):
    pictures = {f"p{n:02d}": scene(n) for n in range(20)}
    pictures["copy"] = np.asarray(Image.fromarray(scene(7)).resize((80, 80)))
    put_kvasir(tmp_path, pictures)
    source = open_source("kvasir-seg", tmp_path)
    assert source.groups[source.ids.index("p07")] == source.groups[source.ids.index("copy")] == "copy"
    assert len(set(source.groups)) == 20
    for fold in range(5):
        check_split(make_split(source.ids, source.groups, 0.5, fold), source)
    assert open_source("folder", tmp_path).groups == source.groups
    report = duplicate_report(source)
    assert (report["pairs"], report["pictures_with_twin"], report["leaked_honest"]) == (1, 2, 0)
    torn = [
        fold
        for fold in range(5)
        if leaks_of(make_split(source.ids, source.groups, 0.5, fold, protocol="paper"), source)
    ]
    assert report["leaked_paper"] == len(torn)  # one test picture for each fold that holds one of the two


def test_leaks_are_named():
    class Few:
        ids, groups = ["a", "b", "c", "d"], ["x", "x", "y", "z"]

    torn = Split(labelled=(0,), unlabelled=(2,), validation=(), test=(1, 3))
    assert [(leak.group, leak.train, leak.held_out) for leak in leaks_of(torn, Few)] == [("x", ("a",), ("b",))]
    with pytest.raises(InputError, match="separates 1 groups, the first x \\(a against b\\)"):
        check_split(torn, Few)
    check_split(Split((0, 1), (2,), (), (3,)), Few)
    between = Split((2,), (), (0,), (1, 3))  # validation against test is a leak, too
    assert [leak.held_out for leak in leaks_of(between, Few)] == [("b",)]
    assert leaks_of(Split((0,), (1,), (2,), (3,)), Few, groups=["x", "y", "z", "y"])[0].group == "y"


def test_two_sources_share_ids_and_pictures(tmp_path):
    put_kvasir(tmp_path / "a", {"p1": scene(1), "p2": scene(2)})
    put_kvasir(tmp_path / "b", {"p2": scene(5), "q": scene(1)})
    a, b = (open_source("folder", tmp_path / side) for side in "ab")
    assert shared_ids(a, b) == ["p2"]
    assert [(x, y) for x, y, _ in shared_pictures(a, b)] == [("p1", "q")]


def test_hashes_are_kept_by_id_only_where_ids_are_published(tmp_path):
    put_kvasir(tmp_path / "data", {"p1": scene(1), "p2": scene(2)})
    source = open_source("kvasir-seg", tmp_path / "data")
    first = source_hashes(source)
    kept = tmp_path / "cache/tutseg/hashes_kvasir-seg.json"
    assert json.loads(kept.read_text()) == dict(zip(source.ids, first, strict=True))
    put_kvasir(tmp_path / "data", {"p1": scene(3)})
    assert source_hashes(source) == first  # not read again
    assert source_hashes(source, recompute=True)[0] != first[0]
    other = open_source("folder", tmp_path / "data")
    assert source_hashes(other) == source_hashes(source, recompute=True)
    assert not (tmp_path / "cache/tutseg/hashes_folder.json").exists()


def test_project_hashes_are_those_of_the_real_pictures(monkeypatch):
    import os

    if not os.environ.get("TUTSEG_DATA"):
        pytest.skip("TUTSEG_DATA is not set: no real data")
    monkeypatch.undo()
    for name in ("ph2", "isic2018", "kvasir-seg", "cvc-clinicdb", "covid-semiseg"):
        try:
            source = open_source(name)
        except InputError:
            continue
        kept = source_hashes(source)
        for index in range(0, len(source), max(1, len(source) // 5)):
            assert kept[index] == perceptual_hash(source.image(index))


# ---- videos and published splits -------------------------------------------------------------------------------------


def test_clinic_sequences_cover_612_frames_once():
    names = [clinic_sequence(str(frame)) for frame in range(1, 613)]
    assert names == sorted(names) and len(set(names)) == len(CLINIC_STARTS) == 29
    assert (names[0], names[24], names[25], names[611]) == ("sequence-01", "sequence-01", "sequence-02", "sequence-29")


def test_pranet_list_has_the_published_counts_and_leaks_every_frame():
    listed = json.loads((knowledge() / "splits" / "pranet.json").read_text())
    kvasir, clinic = set(listed["kvasir-seg"]), {int(id) for id in listed["cvc-clinicdb"]}
    assert (len(kvasir), len(clinic)) == (100, 62) and clinic <= set(range(1, 613))
    assert 1000 - len(kvasir) + 612 - len(clinic) == 1450
    training = set(range(1, 613)) - clinic
    assert all({frame - 1, frame + 1} & training for frame in clinic)


def test_pranet_split_on_a_small_tree(tmp_path, monkeypatch):
    monkeypatch.setattr("tutseg.data.splits.knowledge", knowledge)
    held = json.loads((knowledge() / "splits" / "pranet.json").read_text())["kvasir-seg"][0]
    put_kvasir(tmp_path / "Kvasir-SEG", {held: scene(0), "other": scene(1)})
    for frame in (1, 14):
        for folder in ("Original", "Ground Truth"):
            place = tmp_path / "CVC-ClinicDB" / folder
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(scene(frame)[..., 0] if folder == "Ground Truth" else scene(frame)).save(
                place / f"{frame}.png"
            )
    put_kvasir(tmp_path / "CVC-300", {"150": scene(3)})
    split = named_split("pranet", tmp_path)
    assert {name: part.ids for name, part in split.train.items()} == {"kvasir-seg": ["other"], "cvc-clinicdb": ["1"]}
    assert {name: part.ids for name, part in split.test.items()} == {
        "kvasir-seg": [held], "cvc-clinicdb": ["14"], "endoscene": ["150"],
    }  # fmt: skip
    assert set(split.missing) == {
        "kvasir-seg train", "kvasir-seg test", "cvc-clinicdb train", "cvc-clinicdb test",
        "cvc-colondb test", "etis test", "endoscene test",
    }  # fmt: skip
    with pytest.raises(InputError, match="did you mean pranet"):
        named_split("prane", tmp_path)


def test_isic2016_to_ph2(tmp_path):
    from test_readers import tree_isic2016, tree_ph2

    tree_isic2016(tmp_path / "ISIC2016")
    tree_ph2(tmp_path / "PH2Dataset")
    split = named_split("isic2016-ph2", tmp_path)
    assert split.train["isic2016"].ids == ["ISIC_0000000"] and split.validation["isic2016"].ids == ["ISIC_0000003"]
    assert split.test["ph2"].ids == ["IMD003", "IMD009"]
    assert split.missing["ph2 test"] == "2 of 200 pictures are here"
