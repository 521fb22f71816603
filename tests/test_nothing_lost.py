"""What is the user's stays the user's: nothing is written over, one broken picture stops nobody, and a result belongs
to its data."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tutseg.training.checkpoint import save_weights
from tutseg.training.start import build_for
from tutseg.training.trial import make_trial


def bytes_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def here(tmp_path, write_pictures) -> Path:
    """``here/images/p00.jpg ... p02.jpg`` and ``here/masks``."""
    return write_pictures(tmp_path / "here", count=3)


OTSU = ["segment", "otsu", "--size", 32]


def as_png(here: Path) -> Path:
    """The pictures as PNG, so that a mask beside one has its name."""
    for path in (here / "images").iterdir():
        Image.open(path).save(path.with_suffix(".png"))
        path.unlink()
    return here / "images"


def on_the_pictures(here):
    return [as_png(here), "--out", here / "images"], "is one of the pictures"


def on_the_pictures_by_another_name(here):
    as_png(here)
    (here / "link").symlink_to("images")
    return [here / "images", "--out", here / "link"], "is one of the pictures"


def on_hard_links_of_the_pictures(here):
    as_png(here)
    (here / "out").mkdir()
    for path in (here / "images").iterdir():
        os.link(path, here / "out" / path.name)
    return [here / "images", "--out", here / "out"], "is one of the pictures"


def on_pictures_that_are_links(here):
    pictures = as_png(here)
    (here / "in").mkdir()
    for path in pictures.iterdir():
        (here / "in" / path.name).symlink_to(path)
    return [here / "in", "--out", pictures], "is one of the pictures"


def on_true_masks(here):
    return [here / "images", "--out", here / "masks"], "--overwrite"


def on_a_mask_beside_a_picture_of_another_ending(here):
    shutil.copy(here / "masks/p01.png", here / "images")
    return [here / "images/p01.jpg", "--out", here / "images"], "p01.png"


def on_the_last_one_alone(here):
    (here / "out").mkdir()
    shutil.copy(here / "masks/p02.png", here / "out")
    return [here / "images", "--out", here / "out"], "p02.png"


def on_a_link_to_a_mask(here):
    (here / "out").mkdir()
    (here / "out/p02.png").symlink_to(here / "masks/p02.png")
    return [here / "images", "--out", here / "out"], "p02.png"


def on_a_link_to_nothing(here):
    (here / "out").mkdir()
    (here / "out/p02.png").symlink_to(here / "gone.png")
    return [here / "images", "--out", here / "out"], "p02.png"


def on_what_is_no_picture(here):
    (here / "out").mkdir()
    (here / "out/p02.png").write_text("notes")
    return [here / "images", "--out", here / "out"], "p02.png"


def from_two_pictures_of_one_stem(here):
    shutil.copy(here / "images/p00.jpg", here / "p00.jpg")
    return [here / "images", here / "p00.jpg", "--out", here / "out"], "rename one"


@pytest.mark.parametrize(
    "prepare",
    [
        on_the_pictures,
        on_the_pictures_by_another_name,
        on_hard_links_of_the_pictures,
        on_pictures_that_are_links,
        on_true_masks,
        on_a_mask_beside_a_picture_of_another_ending,
        on_the_last_one_alone,
        on_a_link_to_a_mask,
        on_a_link_to_nothing,
        on_what_is_no_picture,
        from_two_pictures_of_one_stem,
    ],
    ids=lambda prepare: prepare.__name__,
)
def test_nothing_of_the_users_is_written_over(tutseg, here, prepare):
    words, says = prepare(here)
    before = bytes_below(here)
    said = tutseg(*OTSU, *words)
    assert said.code == 2 and says in said.err and said.err.count("\n") == 1 and said.out == ""
    assert bytes_below(here) == before
    if "one of the pictures" in says:  # pictures are safe even from --overwrite
        assert tutseg(*OTSU, *words, "--overwrite").code == 2 and bytes_below(here) == before


def test_the_same_command_goes_on_and_another_ones_masks_are_safe(tutseg, here, tmp_path):
    words = [*OTSU, here / "images", "--out", tmp_path / "out"]
    assert tutseg(*words).code == 0
    before = bytes_below(tmp_path / "out")
    (tmp_path / "out/p01.png").unlink()
    assert tutseg(*words).code == 0 and bytes_below(tmp_path / "out") == before
    for other in (["-o", "blur=0.3"], ["--size", 48]):  # another method, or an option of it
        said = tutseg(*words, *other)
        assert said.code == 2 and "was not made by this command" in said.err
    (tmp_path / "more").mkdir()  # another patient's picture of the same name
    shutil.copy(here / "images/p00.jpg", tmp_path / "more/p01.jpg")
    assert tutseg(*OTSU, tmp_path / "more", "--out", tmp_path / "out").code == 2
    with Image.open(tmp_path / "out/p02.png") as mask:  # corrected by hand, whatever the editor leaves of the file
        text, pixels = mask.text, np.array(mask)
    pixels[0, 0] ^= 255
    from PIL.PngImagePlugin import PngInfo

    kept = PngInfo()
    for key, value in text.items():
        kept.add_text(key, value)
    Image.fromarray(pixels).save(tmp_path / "out/p02.png", pnginfo=kept)
    corrected = bytes_below(tmp_path / "out")
    assert tutseg(*words).code == 2 and bytes_below(tmp_path / "out") == corrected
    assert tutseg(*words, "--overwrite").code == 0 and bytes_below(tmp_path / "out") == before


def test_drawn_pictures_and_sheets_lose_nothing(tutseg, here, tmp_path):
    draw = ["data", "synth", "--size", 32, "--out", "drawn", "--n"]
    assert tutseg(*draw, 2).code == 0
    before = bytes_below(tmp_path / "drawn")
    assert tutseg(*draw, 3).code == 0 and before.items() < bytes_below(tmp_path / "drawn").items()
    before = bytes_below(tmp_path / "drawn")
    said = tutseg(*draw, 2, "--seed", 1)
    assert said.code == 2 and "--overwrite" in said.err and bytes_below(tmp_path / "drawn") == before
    assert tutseg(*draw, 2, "--seed", 1, "--overwrite").code == 0
    picture = (here / "images/p00.jpg").read_bytes()
    show = ["data", "show", "folder", "--root", "here", "--out"]
    assert tutseg(*show, "here/images/p00.jpg").code == 2 and (here / "images/p00.jpg").read_bytes() == picture
    assert tutseg(*show, "sheet.png").code == tutseg(*show, "sheet.png").code == 0


@pytest.fixture
def trained(tmp_path) -> Path:
    """A run folder of untrained weights."""
    folder = tmp_path / "run"
    trial = make_trial(method="supervised", net="unet-s", size=32)
    save_weights(folder / "weights.safetensors", build_for(trial), {"trial": trial.id})
    (folder / "config.json").write_text(json.dumps(trial.model_dump()))
    return folder


def test_an_overlay_does_not_meet_another_mask(tutseg, here, trained):
    shutil.copy(here / "images/p01.jpg", here / "images/p00_overlay.jpg")
    words = ["predict", trained, here / "images", "--out", here / "out"]
    said = tutseg(*words, "--overlay")
    assert said.code == 2 and "p00_overlay.png" in said.err and not (here / "out").exists()
    assert tutseg(*words).code == 0
    (here / "out/p02_overlay.png").write_bytes((here / "masks/p02.png").read_bytes())
    (here / "images/p00_overlay.jpg").unlink()
    (here / "out/p00_overlay.png").unlink()
    said = tutseg(*words, "--overlay")
    assert said.code == 2 and "p02_overlay.png" in said.err and not (here / "out/p01_overlay.png").exists()


@pytest.mark.parametrize("command", ["predict", "segment"])
def test_one_broken_picture_among_many(tutseg, here, trained, command):
    """Every other picture has its mask, and all that failed are listed."""
    whole = (here / "images/p00.jpg").read_bytes()
    for name, content in {"cut.jpg": whole[:200], "empty.png": b"", "text.png": b"<html>", "z.jpg": whole}.items():
        (here / "images" / name).write_bytes(content)
    words = OTSU if command == "segment" else ["predict", trained, "--overlay"]
    said = tutseg(*words, here / "images", "--out", here / "out")
    assert said.code == 1 and said.out.strip() == f"4 masks in {here / 'out'}"
    *listed, last = said.err.splitlines()
    assert [Path(line.split()[1]).name for line in listed] == ["cut.jpg", "empty.png", "text.png"]
    assert all(line.startswith("failed: ") for line in listed) and last == "tutseg: 3 of 7 pictures have no mask"
    masks = {path.name for path in (here / "out").iterdir() if not path.stem.endswith("_overlay")}
    assert masks == {"p00.png", "p01.png", "p02.png", "z.png"}
    (here / "images/cut.jpg").write_bytes(whole)  # mended: the same command goes on
    assert tutseg(*words, here / "images", "--out", here / "out").code == 1 and (here / "out/cut.png").exists()


def test_a_picture_too_large_for_the_memory_does_not_stop_the_others(tutseg, here, trained, monkeypatch):
    from tutseg.training import predict

    compute = predict.probability_map

    def short(method, image, *rest):
        if image.shape[1] == 50:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory")
        return compute(method, image, *rest)

    monkeypatch.setattr(predict, "probability_map", short)
    Image.new("RGB", (50, 40)).save(here / "images/p01.jpg")
    said = tutseg("predict", trained, here / "images", "--out", here / "out")
    assert said.code == 1 and "p01.jpg: there is not enough memory" in said.err
    assert {path.name for path in (here / "out").iterdir()} == {"p00.png", "p02.png"}


def test_any_name_survives(tutseg, here):
    picture = (here / "images/p00.jpg").read_bytes()
    shutil.rmtree(here / "images")
    names = [
        b"\xff\xe9",
        b" ",
        b"a b",
        b'"',
        b"'",
        b"new\nline",
        b"\x1b[31m",
        "läsion".encode(),
        b"-o",
        b"a.b",
        b"x" * 251,
    ]
    (here / "images").mkdir()
    for name in names:
        (here / "images" / os.fsdecode(name + b".jpg")).write_bytes(picture)
    said = tutseg(*OTSU, here / "images", "--out", here / "out")
    assert said.code == 0, said
    assert {os.fsencode(path.name) for path in (here / "out").iterdir()} == {name + b".png" for name in names}
    for name in names:
        (here / "images" / os.fsdecode(name + b".jpg")).write_bytes(b"broken")
    said = tutseg(*OTSU, here / "images", "--out", here / "out")
    assert said.code == 1 and said.err.count("\n") == len(names) + 1 and "\x1b" not in said.err


def test_executed_notebooks_do_not_go_over_the_notebooks(tutseg):
    from tutseg.workflow.notebooks import folder

    said = tutseg("run", "01_dme_fd", "--out", folder())
    assert said.code == 2 and "holds the notebooks themselves" in said.err
