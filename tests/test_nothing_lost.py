"""What is the user's stays the user's: nothing is written over, one broken picture stops nobody, and a result belongs
to its data."""

import json
import os
import shlex
import shutil
import subprocess
import sys
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
    (here / "images/gone.jpg").symlink_to("nothing.jpg")
    words = OTSU if command == "segment" else ["predict", trained, "--overlay"]
    said = tutseg(*words, here / "images", "--out", here / "out")
    assert said.code == 1 and said.out.strip() == f"4 masks in {here / 'out'}"
    *listed, last = said.err.splitlines()
    assert [Path(line.split()[1]).name for line in listed] == ["cut.jpg", "empty.png", "gone.jpg", "text.png"]
    assert all(line.startswith("failed: ") for line in listed) and last == "tutseg: 4 of 8 pictures have no mask"
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


# ---------------------------------------------------------------------------------------- a result belongs to its data

SMALL = ["--net", "unet-s", "--size", 32, "--steps", 2, "--batch", 2, "--labelled", 0.5, "--data", "folder"]


@pytest.fixture
def train(tutseg):
    """``train("here", ...)``: a small training on a folder; its JSON, or what was said where there is none."""

    def call(root, *more):
        said = tutseg("train", "supervised", *SMALL, *(["--root", root] if root else []), *more, "--json")
        return json.loads(said.out) if said.code == 0 else said

    return call


@pytest.fixture
def two(tmp_path, write_pictures) -> tuple[Path, Path]:
    """Folders of twelve pictures of the same names, and nothing in common."""
    return write_pictures(tmp_path / "a"), write_pictures(tmp_path / "b", seed=1)


def one_grey_level(folder: Path) -> None:
    picture = np.array(Image.open(folder / "images/p03.jpg"))
    Image.fromarray(picture // 2).save(folder / "images/p03.jpg")


def one_mask(folder: Path) -> None:
    mask = np.array(Image.open(folder / "masks/p03.png"))
    Image.fromarray(mask[::-1]).save(folder / "masks/p03.png")


def one_picture_less(folder: Path) -> None:
    (folder / "images/p03.jpg").unlink()
    (folder / "masks/p03.png").unlink()


@pytest.mark.parametrize("change", [one_grey_level, one_mask, one_picture_less], ids=lambda change: change.__name__)
def test_no_old_number_for_changed_data(train, two, change):
    first = train(two[0])
    assert train(two[0]) == first
    change(two[0])
    said = train(two[0])
    assert said.code == 2 and "was made from other data" in said.err and said.err.count("\n") == 1 and not said.out
    out = said.err.split("--out ")[1].split(" for")[0]
    assert train(two[0], "--out", out)["provenance"]["data"] != first["provenance"]["data"]  # as the line says


def test_no_old_number_for_another_root_or_none(train, two, tmp_path):
    first = train(two[0])
    assert "was made from other data" in train(two[1]).err
    for root in (None, tmp_path / "nowhere"):
        said = train(root)
        assert said.code == 2 and "--root" in said.err
    shutil.copytree(two[0], tmp_path / "moved")  # the same pictures elsewhere are the same data
    assert train(tmp_path / "moved") == first
    shutil.rmtree(two[0])
    assert train(two[0]).code == 2 and train(tmp_path / "moved") == first


def test_an_interrupted_training_goes_on_with_its_own_data_alone(train, two, monkeypatch, tmp_path):
    from tutseg.training import fit, learn

    def full(*_):
        raise OSError(28, "No space left on device", "weights")

    monkeypatch.setattr(fit, "SAVE_EVERY_S", 0)
    with monkeypatch.context() as broken:
        broken.setattr(learn, "save_weights", full)
        assert train(two[0]).code == 2
    (state,) = tmp_path.glob("runs/*/state.pt")
    before = state.read_bytes()
    assert "was made from other data" in train(two[1]).err and state.read_bytes() == before
    assert train(two[0])["n"]["test"]


def test_a_grid_gives_no_old_number_either(tutseg, two, tmp_path):
    (tmp_path / "s.yaml").write_text(
        "defaults: {method: supervised, data: folder, net: unet-s, size: 32, steps: 1, batch: 2}\ngrid: {seed: [0]}\n"
    )
    grid = ["grid", "s.yaml", "--jobs", 1, "--retries", 0, "--root"]
    assert tutseg(*grid, two[0]).code == 0
    (result,) = tmp_path.glob("runs/*/result.json")
    before = result.read_bytes()
    said = tutseg(*grid, two[1])
    assert said.code == 1 and "was made from other data" in said.err and result.read_bytes() == before
    said = tutseg(*grid, tmp_path / "nowhere")
    assert said.code and "nowhere does not exist" in said.err
    assert tutseg(*grid, two[0]).code == 0
    assert tutseg(*grid, tmp_path / "nowhere").code == 2


def test_the_recorded_command_can_be_pasted(train, two, tmp_path):
    shutil.move(two[0], tmp_path / "it's here")
    result = train("it's here")
    words = shlex.split(result["provenance"]["command"])
    assert words[:2] == ["tutseg", "train"] and words[-2:] == ["--root", str(tmp_path / "it's here")]
    given = dict(zip(words[3::2], words[4::2], strict=True))
    assert {given[name] for name in ("--size", "--steps")} == {"32", "2"}


def test_options_are_written_as_they_are_read(tutseg, monkeypatch):
    options = {
        "a": "1",
        "b": "true",
        "c": "x y",
        "d": "a: b",
        "e": 1e-05,
        "f": {"lr": 1e-06},
        "g": "[",
        "h": "",
        "i": "é",
    }
    trial = make_trial(method="supervised", options=options, inputs={"start": "1234567890123456"})
    seen = []
    monkeypatch.setattr("tutseg.training.spec.check", lambda trial: None)
    monkeypatch.setattr("tutseg.training.run.run_trial", lambda trial, *_: seen.append(trial) or no_result())
    tutseg(*shlex.split(trial.command)[1:])
    assert seen == [trial]


def no_result():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "name", ["result.json", "log.csv", "weights.safetensors", "snapshots", "state.pt", "doubts.csv"]
)
def test_a_folder_with_files_of_ones_own_is_no_run_folder(tutseg, tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("my own")
    said = tutseg("train", "k-means", "-d", "n=2", "-d", "size=32", "--size", 32, "--out", "mine")
    assert said.code == 2 and name in said.err and bytes_below(tmp_path / "mine") == {name: b"my own"}


def test_of_two_processes_on_one_trial_the_second_waits(tutseg, tmp_path, monkeypatch):
    words = ["train", "otsu", "-d", "n=2", "-d", "size=32", "--size", 32, "--out", "out"]
    hold = "import sys; from pathlib import Path; from tutseg.files import alone"
    hold += "; lock = alone(Path(sys.argv[1])); lock.acquire(); print(flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    holder = subprocess.Popen([sys.executable, "-c", hold, tmp_path / "out"], **pipes)
    holder.stdout.readline()
    told = []

    def warn(what, **_):
        told.append(what)
        assert not (tmp_path / "out/config.json").exists()
        holder.communicate()  # it lets go, and ends

    monkeypatch.setattr("tutseg.training.run.warnings.warn", warn)
    assert tutseg(*words).code == 0
    assert len(told) == 1 and "another process is at out" in told[0]
    assert not (tmp_path / "out/.lock").exists()


def test_what_was_waited_for_is_not_made_again(tutseg, tmp_path, monkeypatch):
    words = ["train", "otsu", "-d", "n=2", "-d", "size=32", "--size", 32, "--out", "out", "--json"]
    first = tutseg(*words)
    from tutseg.training import run

    with monkeypatch.context() as late:  # the other one finished while this one was reading
        late.setattr(run, "unchanged", lambda *_: None)
        late.setattr(run, "_keep", lambda *_: pytest.fail("made again"))
        assert tutseg(*words).out == first.out
