"""Cards, what is here, and what `verify` finds in spoilt trees."""

import importlib.util
import runpy

import numpy as np
import pytest
from PIL import Image
from test_leaks import put_kvasir, scene
from test_readers import TREES, ellipse, put, tree_kvasir

from tutseg.data import source_names
from tutseg.data.cards import card, list_data, load_cards
from tutseg.data.readers import READERS
from tutseg.data.verify import summary, verify
from tutseg.errors import InputError
from tutseg.files import knowledge


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tutseg.data.leaks.knowledge", lambda: tmp_path / "knowledge")
    monkeypatch.delenv("TUTSEG_DATA", raising=False)


def test_every_source_has_a_card_and_every_card_a_source():
    assert set(load_cards()) == set(source_names()) - {"folder"}


def test_trees_begin_with_the_folder_that_the_reader_looks_for():
    for name, reader in READERS.items():
        assert load_cards()[name].tree.splitlines()[0] == f"{reader.folder}/"


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("isic2018", [2594, 100, 1000]),
        ("isic2017", [2000, 150, 600]),
        ("isic2016", [900, 379]),
        ("ham10000", [10015]),
        ("ph2", [200]),
        ("kvasir-seg", [1000]),
        ("cvc-clinicdb", [612]),
        ("mosmeddata", [2183, 273, 273]),
    ],
)
def test_published_counts(name, counts):
    assert list(card(name).counts.values()) == counts


def test_medmnist_facts_are_those_of_its_package():
    package = importlib.util.find_spec("medmnist")
    if package is None:
        pytest.skip("medmnist is not installed")
    info = runpy.run_path(f"{package.submodule_search_locations[0]}/info.py")["INFO"]  # without its import of torch
    for name in ("breastmnist", "pneumoniamnist"):
        assert card(name).counts == info[name]["n_samples"]
        small, large = card(name).downloads
        assert (small.url, small.hash) == (info[name]["url"], f"md5:{info[name]['MD5']}")
        assert (large.url, large.hash) == (info[name]["url_224"], f"md5:{info[name]['MD5_224']}")


@pytest.mark.parametrize("spoil", ["titel: wrong field\n", "counts: many\n", "downloads: [{name: x, link: y}]\n"])
def test_cards_are_checked(spoil, tmp_path, monkeypatch):
    good = (knowledge() / "cards/ph2.yaml").read_text()
    monkeypatch.setattr("tutseg.data.cards.knowledge", lambda: tmp_path)
    (tmp_path / "cards").mkdir()
    load_cards.cache_clear()
    try:
        (tmp_path / "cards/ph2.yaml").write_text(good)
        assert list(load_cards()) == ["ph2"]
        load_cards.cache_clear()
        (tmp_path / "cards/ph2.yaml").write_text(good.replace("masks: true\n", "masks: true\n" + spoil))
        with pytest.raises(InputError, match=rf"ph2\.yaml is not valid .*{spoil.split(':')[0]}"):
            load_cards()
    finally:
        monkeypatch.undo()
        load_cards.cache_clear()


def test_list_says_what_is_here_missing_and_broken(tmp_path):
    tree_kvasir(tmp_path / "Kvasir-SEG")
    TREES["cvc-clinicdb"](tmp_path / "CVC-ClinicDB")
    (tmp_path / "CVC-ClinicDB/Ground Truth/25.tif").unlink()
    rows = {row["name"]: row for row in list_data(tmp_path)}
    assert (rows["kvasir-seg"]["state"], rows["kvasir-seg"]["n"], rows["kvasir-seg"]["official"]) == ("here", 2, 1000)
    assert rows["cvc-clinicdb"]["state"] == "broken" and "25.tif has no mask" in rows["cvc-clinicdb"]["get"]
    assert rows["ph2"]["state"] == "missing" and rows["ph2"]["get"].startswith("https://")
    assert rows["synth"]["state"] == "drawn"
    assert {row["state"] for row in list_data(None)} == {"drawn", "missing"}
    with pytest.warns(UserWarning, match="nowhere is no folder"):
        assert {row["state"] for row in list_data(tmp_path / "nowhere")} == {"drawn", "missing"}


@pytest.mark.parametrize("name", ["kvasir-seg", "synapse", "kaggle-lung", "breastmnist", "ph2", "chest-xray"])
def test_verify_passes_every_kind_of_tree(name, tmp_path):
    TREES[name](tmp_path / "x")
    steps = []
    findings = verify(name, tmp_path / "x", progress=lambda done, of: steps.append((done, of)))
    assert "error" not in {f.severity for f in findings if f.check != "split"}
    assert steps == [(done, steps[0][1]) for done in range(1, steps[0][1] + 1)]


def test_verify_names_each_fault(tmp_path):
    """One tree with every fault; each finding names exactly the pictures that have it."""
    pictures = {f"p{n:02d}": scene(n) for n in range(12)}
    pictures["twin"] = np.asarray(Image.fromarray(scene(3)).resize((64, 64)))
    put_kvasir(tmp_path, pictures)
    masks = tmp_path / "masks"
    for path in sorted(masks.glob("*.jpg")):
        Image.open(path).point(lambda v: 255 * (v > 127)).save(path.with_suffix(".png"))
        path.unlink()
    full = np.full((96, 96), 255, np.uint8)
    put(masks / "p04.png", full)
    put(masks / "p05.png", full * 0)
    soft = full.copy()
    soft[:50] = 0
    soft[50] = 90
    put(masks / "p06.png", soft)
    put(masks / "p07.png", ellipse(0)[1] * 255)
    put(masks / "stray.png", full)
    data = (tmp_path / "images/p08.jpg").read_bytes()
    (tmp_path / "images/p08.jpg").write_bytes(data[: len(data) // 3])
    (tmp_path / "images/p09.jpg").write_bytes(b"")
    found = {}
    for finding in verify("kvasir-seg", tmp_path):
        if finding.severity not in ("ok",):
            found.setdefault((finding.severity, finding.check), []).append(finding)
    ids = {key: sorted(id for finding in some for id in finding.ids) for key, some in found.items()}
    assert ids[("warning", "pair")] == ["stray"]
    assert ids[("error", "readable")] == ["p08", "p09"]
    assert ids[("error", "size")] == ["p07"]
    assert ids[("warning", "grey mask")] == ["p06"]
    assert ids[("note", "empty mask")] == ["p05"]
    assert ids[("warning", "full mask")] == ["p04"]
    assert ids[("note", "duplicates")] == ["p03", "twin"]
    assert "13 pictures; published are all 1000" in found[("warning", "count")][0].message


def test_verify_finds_copies_across_official_parts(tmp_path):
    TREES["breastmnist"](tmp_path / "x")
    split = [f for f in verify("breastmnist", tmp_path / "x") if f.check == "split"]
    assert split[0].severity == "warning" and "official parts separate 6 near-duplicate pairs" in split[0].message
    assert summary(split)["warning"] == 1


def test_verify_says_why_a_set_cannot_be_opened(tmp_path):
    tree_kvasir(tmp_path)
    (tmp_path / "masks/cju0.jpg").unlink()
    (finding,) = verify("kvasir-seg", tmp_path)
    assert finding.severity == "error" and "cju0.jpg has no mask" in finding.message
    with pytest.raises(InputError, match="is drawn by the program"):
        verify("synth")
    with pytest.raises(InputError, match="did you mean"):
        verify("kvasir", tmp_path)
