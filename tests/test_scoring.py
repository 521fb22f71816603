"""``tutseg score`` says what it scored: pairs, files without a partner, overlays, labels, and empty masks."""

import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from tutseg.data.folders import list_images
from tutseg.data.scoring import match
from tutseg.errors import InputError


def disc(at: int = 12, radius: int = 5) -> np.ndarray:
    y, x = np.mgrid[:24, :24]
    return (y - at) ** 2 + (x - at) ** 2 < radius**2


def put(path, mask, factor: int = 255) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * np.uint8(factor)).save(path)


@pytest.fixture
def folders(tmp_path):
    """Three predictions and their truths; b is empty in both."""
    for name in ("a", "b", "c"):
        put(tmp_path / f"ours/{name}.png", disc() * (name != "b"))
        put(tmp_path / f"truth/{name}_mask.png", disc(13) * (name != "b"))
    return tmp_path


def told(said) -> dict:
    return json.loads(said.out)["scored"]


def test_two_empties_are_counted(tutseg, folders):
    said = tutseg("score", "ours", "truth", "--json")
    assert said.code == 0 and said.err == ""
    assert told(said) == {
        "pairs": 3,
        "both_empty": 1,
        "empty_predictions": 1,
        "empty_truths": 1,
        "predictions_without_truth": [],
        "truths_without_prediction": [],
        "overlays_left_out": [],
    }
    assert "pairs: 3; both empty, which scores as perfect: 1" in tutseg("score", "ours", "truth").out


def test_files_without_a_partner_are_listed_and_the_exit_code_is_1(tutseg, folders):
    put(folders / "ours/d.png", disc())
    put(folders / "truth/e.png", disc())
    put(folders / "truth/f.png", disc())
    for words, code, lines in (((), 1, 4), (("--allow-missing",), 0, 3), (("--json",), 1, 4)):
        said = tutseg("score", "ours", "truth", *words)
        assert said.code == code and said.err.count("\n") == lines
        for line in (
            "prediction without truth: ours/d.png",
            *(f"truth without prediction: truth/{x}.png" for x in "ef"),
        ):
            assert line in said.err.splitlines()
        if code:
            assert "1 predictions and 2 truths" in said.err and "--allow-missing" in said.err
    assert told(said)["predictions_without_truth"] == ["d.png"] and told(said)["pairs"] == 3
    assert told(said)["truths_without_prediction"] == ["e.png", "f.png"]


def test_overlays_are_left_out(tutseg, folders):
    photograph = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    for name in ("a", "b", "c"):
        Image.fromarray(photograph).save(folders / f"ours/{name}_overlay.png")
    assert tutseg("score", "ours", "truth").code == 0
    assert told(tutseg("score", "ours", "truth", "--json"))["overlays_left_out"] == [f"{x}_overlay.png" for x in "abc"]
    put(folders / "ours/a_overlay.png", disc())  # a picture of this name has a truth: it is a prediction
    put(folders / "truth/a_overlay.png", disc())
    scored = told(tutseg("score", "ours", "truth", "--json"))
    assert scored["pairs"] == 4 and len(scored["overlays_left_out"]) == 2


def test_a_folder_of_superpixel_maps_holds_nothing_to_score(tutseg, tmp_path):
    put(tmp_path / "ours/a.png", disc())
    put(tmp_path / "truth/a_superpixels.png", disc())
    for words in (("ours", "truth"), ("truth", "ours")):
        said = tutseg("score", *words)
        assert said.code == 2 and "holds no" in said.err and said.err.count("\n") == 1


def test_labels_are_labels(tutseg, tmp_path):
    """Label 1 of the prediction is where label 2 of the truth is, and the other way round."""
    one, two = disc(7, 4), disc(17, 4)
    put(tmp_path / "ours/a.png", one + 2 * two, 1)
    put(tmp_path / "truth/a.png", two + 2 * one, 1)
    dice = {}
    for labels in ("1", "2", "1,2", None):
        said = tutseg("score", "ours", "truth", "--json", *(("--labels", labels) if labels else ()))
        dice[labels] = json.loads(said.out)["dice"]["per_image"]["mean"]
        notices = [line for line in said.err.splitlines() if "labels 0, 1, 2" in line]
        assert len(notices) == (0 if labels else 2)
    assert dice == {"1": 0, "2": 0, "1,2": 1, None: 1}


def test_a_label_that_no_truth_has_is_refused_and_one_that_no_prediction_has_is_told(tutseg, tmp_path):
    put(tmp_path / "ours/a.png", disc(), 1)
    put(tmp_path / "truth/a.png", disc(7, 4) + 2 * disc(17, 4), 1)
    said = tutseg("score", "ours", "truth", "--labels", 3)
    assert said.code == 2 and "no truth of truth holds the label 3" in said.err and "1, 2" in said.err and not said.out
    said = tutseg("score", "ours", "truth", "--labels", 2, "--json")
    assert said.code == 0 and "no prediction of ours holds the label 2" in said.err
    assert told(said)["empty_predictions"] == 1


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda at: put(at / "ours/a.bmp", disc()), ("predictions", "ours/a.bmp", "ours/a.png", "same name")),
        (lambda at: put(at / "truth/a.png", disc()), ("truths", "truth/a.png", "truth/a_mask.png", "same name")),
        (lambda at: (at / "truth/a_mask.png").write_bytes(b"GIF"), ("truth/a_mask.png", "truncated")),
        (lambda at: [path.rename(path.with_stem(f"x{path.stem}")) for path in (at / "ours").iterdir()],
         ("no prediction in ours has the name of a truth in truth",)),
        (lambda at: [path.rename(path.with_suffix(".gif")) for path in (at / "ours").iterdir()],
         ("ours holds no predictions but 3 files ending in .gif",)),
    ],
)  # fmt: skip
def test_faults_are_one_line_about_predictions_and_truths(tutseg, folders, spoil, words):
    spoil(folders)
    said = tutseg("score", "ours", "truth")
    assert said.code == 2 and said.err.count("\n") == 1 and not said.out
    assert all(word in said.err for word in words), said.err


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines", b'blank and "quotes"'])
def test_any_name_can_be_scored(tutseg, tmp_path, name):
    name = os.fsdecode(name)
    for folder in ("ours", "truth"):
        put(tmp_path / folder / f"{name}.png", disc())
    put(tmp_path / "ours" / f"{name} alone.png", disc())
    said = tutseg("score", "ours", "truth")
    assert said.code == 1 and len(said.err.splitlines()) == 2
    said = tutseg("score", "ours", "truth", "--json")
    assert told(said)["pairs"] == 1 and told(said)["predictions_without_truth"] == [f"{name} alone.png"]


def test_what_is_left_out_is_counted(tutseg, folders):
    (folders / "ours/old").mkdir()
    for name in ("x.gif", "y.gif", "z.dcm", "w.jfif", "IM0001", "notes.txt", "LICENSE", ".hidden"):
        (folders / "ours" / name).write_bytes(b"0")
    said = tutseg("score", "ours", "truth")
    assert said.code == 0 and said.err.count("\n") == 1
    for what in ("2 files ending in .gif", "1 file ending in .dcm", "1 file ending in .jfif", "1 file without ending"):
        assert what in said.err
    assert "1 sub-folder" in said.err and "txt" not in said.err
    with pytest.warns(UserWarning, match="left out"):
        assert [path.name for path in list_images(folders / "ours")] == ["a.png", "b.png", "c.png"]


def test_no_folder_is_named_for_what_it_should_hold(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    put(tmp_path / "ours/a.png", disc())
    for ours, truth, told in (
        ("file", "ours", "folder of predictions .*file is a file"),
        ("none", "ours", "folder of predictions .*none does not exist"),
        ("ours", "none", "folder of truths .*none does not exist"),
        ("empty", "ours", "empty holds no predictions"),
        ("ours", "empty", "empty holds no truths"),
    ):
        with pytest.raises(InputError, match=told):
            match(tmp_path / ours, tmp_path / truth)
