"""Everything a user can get wrong: one line that names the fault and its remedy, exit code 2, nothing half-done."""

import errno
import json
import os
import pickle
import resource
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tutseg.training import fit as loop
from tutseg.training.checkpoint import read_weights, save_weights
from tutseg.training.run import load_run
from tutseg.training.start import build_for
from tutseg.training.trial import make_trial

SMALL = {"net": "unet-s", "size": 32, "steps": 2, "batch": 2, "labelled": 0.2, "out": "out"}


class Exploit:
    """A pickle that would leave a file behind if it were ever loaded."""

    def __reduce__(self):
        return os.mkdir, ("pwned",)


def train(method: str = "supervised", *more: object, **fields: object) -> list[object]:
    """A small training on the folder ``here``; a field replaces its default."""
    given = {**SMALL, "data": "folder", "root": "here", **fields}
    return ["train", method, *(w for k, v in given.items() for w in (f"--{k}", v)), *more]


def synth(*more: object, **fields: object) -> list[object]:
    return ["train", "supervised", "-d", "n=20", "-d", "size=32", *train(**{**fields, "data": "synth"})[2:], *more]


# ---- what is done to a sound folder before the command runs; `here` holds 12 pairs, `run` an untrained run folder ----


def nothing(here: Path, run: Path) -> None:
    pass


def no_pictures(here: Path, run: Path) -> None:
    for path in here.glob("*/*"):
        path.unlink()


def no_mask(here: Path, run: Path) -> None:
    (here / "masks/p03.png").unlink()


def no_mask_fits(here: Path, run: Path) -> None:
    for path in (here / "masks").iterdir():
        path.rename(path.with_stem(f"{path.stem}-copy"))


def no_masks_at_all(here: Path, run: Path) -> None:
    shutil.rmtree(here / "masks")


def other_size(here: Path, run: Path) -> None:
    Image.new("L", (9, 7)).save(here / "masks/p03.png")


def truncated(here: Path, run: Path) -> None:
    path = here / "images/p03.jpg"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero_bytes(here: Path, run: Path) -> None:
    (here / "images/p03.jpg").write_bytes(b"")


def text_as_picture(here: Path, run: Path) -> None:
    (here / "images/p03.jpg").write_text("<html>404</html>")


def same_stem(here: Path, run: Path) -> None:
    shutil.copy(here / "images/p03.jpg", here / "images/p03.jpeg")


def weights(content: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    def prepare(here: Path, run: Path) -> None:
        content(run / "weights.safetensors")

    prepare.__name__ = content.__name__
    return prepare


def other_net(path: Path) -> None:
    save_weights(path, build_for(make_trial(method="supervised", net="mobilenet-unet", size=32)), {})


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(4096))


def exploit(path: Path) -> None:
    path.write_bytes(pickle.dumps(Exploit()))


def torch_file(path: Path) -> None:
    torch.save({"state_dict": Exploit()}, path)


def state(content: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    """An unfinished run folder of the same trial, with `content` for its state."""

    def prepare(here: Path, run: Path) -> None:
        trial = make_trial(
            method="supervised", data="folder", **{k: v for k, v in SMALL.items() if k != "out"}
        ).model_dump()
        out = here.parent / "out"
        out.mkdir()
        (out / "config.json").write_text(json.dumps(trial))
        content(out / "state.pt")

    return prepare


def other_state(path: Path) -> None:
    torch.save({"step": 1}, path)


def unfinished(here: Path, run: Path) -> None:
    (run / "weights.safetensors").unlink()


def broken_config(here: Path, run: Path) -> None:
    (run / "config.json").write_text("{")


def classes_alone(here: Path, run: Path) -> None:
    images, labels = np.random.default_rng(0).integers(0, 256, (8, 28, 28), np.uint8), np.arange(8) % 2
    parts = ("train", "val", "test")
    np.savez(
        here / "breastmnist.npz", **{f"{p}_{k}": v for p in parts for k, v in (("images", images), ("labels", labels))}
    )


def foreign_config(here: Path, run: Path) -> None:
    (run / "config.json").write_text('{"epochs": 3}')


def other_trial(here: Path, run: Path) -> None:
    shutil.copytree(run, here.parent / "out")


def out_with_broken_config(here: Path, run: Path) -> None:
    (here.parent / "out").mkdir()
    (here.parent / "out/config.json").write_text("{")


def out_is_a_file(here: Path, run: Path) -> None:
    (here.parent / "out").write_text("")


@dataclass(frozen=True)
class Case:
    """A fault, the command that meets it, and words its one line must hold: the file or field, and the remedy."""

    name: str
    words: list[object]
    says: tuple[str, ...]
    prepare: Callable[[Path, Path], None] = nothing


PREDICT = ["predict", "run", "here/images", "--out", "out"]
CASES = [
    Case("missing root", train(root="nowhere"), ("nowhere", "--root")),
    Case("no root", ["train", "cps", "--data", "isic2018"], ("isic2018", "TUTSEG_DATA")),
    Case("root of another data set", train(data="isic2018"), ("isic2018", "here")),
    Case("empty folder", train(), ("here/images", "no pictures"), no_pictures),
    Case("no masks", train(), ("here", "masks"), no_masks_at_all),
    Case("classes alone", train(data="breastmnist"), ("breastmnist", "has no masks"), classes_alone),
    Case("no mask fits", train(), ("p00.jpg", "has a mask", "masks"), no_mask_fits),
    Case("mask of another size", train(), ("p03.png", "9x7", "48x40", "same width"), other_size),
    Case("truncated picture", train(), ("p03.jpg", "truncated", "fetch it again"), truncated),
    Case("zero-byte picture", train(), ("p03.jpg", "0 bytes", "fetch it again"), zero_bytes),
    Case("no picture at all", train(), ("p03.jpg", "an HTML page, not a picture", "fetch it again"), text_as_picture),
    Case("two pictures of one stem", train(), ("p03.jpg", "p03.jpeg", "keep one"), same_stem),
    Case("share that gives no picture", train(labelled=0.01), ("labelled", "0.01", "at least 0.1")),
    Case("share above one", train(labelled=1.5), ("labelled", "1.5", "(0, 1]")),
    Case("fold out of range", train(fold=5), ("fold", "5", "less than or equal to 4")),
    Case("size off the stride", train(size=40), ("size 40", "unet-s", "32 or 48")),
    Case("unknown method", train("dmefd"), ("method", "dmefd", "dme-fd")),
    Case("net for a method of one image", train("s3-net"), ("labelled", "s3-net", "tutseg methods")),
    *(
        Case(
            f"change {given}",
            [
                "train",
                "otsu",
                "--data",
                "synth",
                "-d",
                "n=4",
                "-d",
                "size=32",
                "--size",
                32,
                "--out",
                "out",
                "--change",
                given,
            ],
            (f"change {given.split('=')[0]} = ", says),
        )
        for given, says in {
            "angle=abc": "valid number",
            "angle=.inf": "finite",
            "scale=0": "greater than 0",
            "shear=90": "less than 90",
            "hair=3": "valid boolean",
        }.items()
    ),
    Case("pictures for a trained method", train("supervised", "--pictures", 3), ("pictures", "supervised", "segment")),
    Case("change for a trained method", train("supervised", "--change", "angle=3"), ("change", "supervised")),
    Case("unknown net", train(net="unets"), ("net", "unets", "unet-s")),
    Case("unknown data", train(data="isic18"), ("data", "isic18", "isic2018")),
    Case("unknown method option", train("dme-fd", "-o", "tao=0.9"), ("tao", "tutseg methods dme-fd")),
    Case("bad method option", train("dme-fd", "-o", "combine=or"), ("combine", "or", "union")),
    *(
        Case(
            f"field {name} as a method option", train("dme-fd", "-o", f"{name}=1"), (f"{name} is no option", f"{flag},")
        )
        for name, flag in {
            "net": "--net",
            "size": "--size",
            "pretrained": "--pretrained",
            "inputs": "--input",
            "weight_decay": "--weight-decay",
            "seed": "--seed",
        }.items()
    ),
    Case("seed of 64 bits", train(seed=2**63), ("seed", str(2**63), f"less than or equal to {2**63 - 1}")),
    Case("name as a method option", train("dme-fd", "-o", "name=cps"), ("unknown option", "'name'")),
    Case("self as a method option", train("dme-fd", "-o", "self=1"), ("unknown option", "'self'")),
    Case("unknown data option", synth("-d", "clinik=a"), ("clinik", "clinic")),
    *(
        Case(f"{name} as a data option", synth("-d", f"{name}=x"), ("option of data synth", f"'{name}'", "clinic"))
        for name in ("name", "root", "style")
    ),
    Case("option without value", train("dme-fd", "-o", "tau"), ("tau", "name=value")),
    Case("unknown option", train("dme-fd", "--step", 3), ("--step", "--steps", "--help")),
    Case("no number", train(steps="many"), ("--steps", "integer", "--help")),
    Case("no steps", train(steps=0), ("0 steps", "trains nothing", "start")),
    Case("fewer than no steps", train(steps=-1), ("steps", "greater than or equal to 0")),
    Case("unknown device", train(device="tpu"), ("tpu", "cpu or cuda")),
    Case("unknown protocol", train(protocol="fair"), ("protocol", "fair", "'honest', 'paper'")),
    Case("start from nothing", train("dme-fd", "--input", "start=nowhere"), ("nowhere", "pin it")),
    Case("start from what is not here", train("dme-fd", "--input", f"start={'0' * 16}"), ("0000", "not finished")),
    Case("folder of another trial", train(), ("out", "another trial", "--out"), other_trial),
    Case("folder of something else", train(), ("out", "another trial", "--out"), out_with_broken_config),
    Case("out is a file", train(), ("out", "cannot write", "--out"), out_is_a_file),
    Case("state that is noise", train(), ("out/state.pt", "delete it"), state(noise)),
    Case("state that runs code", train(), ("out/state.pt", "delete it"), state(exploit)),
    Case("state that holds code", train(), ("out/state.pt", "delete it"), state(torch_file)),
    Case("state of something else", train(), ("out/state.pt", "delete it"), state(other_state)),
    Case("no run folder", ["predict", "nowhere", "here/images", "--out", "out"], ("nowhere", "tutseg train")),
    Case("unfinished run", PREDICT, ("run", "not finished", "again"), unfinished),
    Case("damaged config", PREDICT, ("config.json", "damaged"), broken_config),
    Case("config of something else", PREDICT, ("epochs",), foreign_config),
    Case("weights of another net", PREDICT, ("weights.safetensors", "another network", "net"), weights(other_net)),
    Case("weights cut short", PREDICT, ("weights.safetensors", "damaged", "again"), weights(cut)),
    Case("weights that are noise", PREDICT, ("weights.safetensors", "damaged", "again"), weights(noise)),
    Case("weights that run code", PREDICT, ("weights.safetensors", "damaged", "again"), weights(exploit)),
    Case("weights of torch.save", PREDICT, ("weights.safetensors", "damaged", "again"), weights(torch_file)),
    Case("predict without pictures", ["predict", "run", "nowhere", "--out", "out"], ("nowhere", "picture")),
    Case(
        "predict a broken picture", ["predict", "run", "here/images/p03.jpg", "--out", "out"], ("p03.jpg",), truncated
    ),
    Case("predict two of one stem", PREDICT, ("p03.jpg", "p03.jpeg", "rename"), same_stem),
    Case("unknown view", [*PREDICT, "--view", "branch3"], ("branch3", "branch1")),
    Case("score a missing folder", ["score", "nowhere", "here/masks"], ("predictions nowhere", "does not exist")),
    Case("score against no folder", ["score", "here/masks", "nowhere"], ("truths nowhere", "does not exist")),
    Case("score pictures", ["score", "here/images", "here/masks"], ("prediction here/images/p00.jpg", "photograph")),
    Case("score other sizes", ["score", "here/other", "here/masks"], ("p00", "9x7", "one size")),
    Case("unknown method to describe", ["methods", "dmefd"], ("dmefd", "dme-fd")),
    Case("unknown data to verify", ["data", "verify", "isic18"], ("isic18", "isic2018")),
    Case("unknown command", ["trian"], ("trian", "train", "--help")),
    Case("missing argument", ["score", "here"], ("truth", "--help")),
    Case("missing spec", ["grid", "none.yaml"], ("none.yaml", "experiments")),
    Case("too small a drawing", ["data", "synth", "--size", 8, "--out", "out"], ("size 8", "32")),
]


@pytest.fixture(scope="module")
def untrained(tmp_path_factory) -> Path:
    """A run folder of CPS on two unet-s, with random weights."""
    folder = tmp_path_factory.mktemp("run")
    trial = make_trial(method="cps", net="unet-s", size=32)
    save_weights(folder / "weights.safetensors", build_for(trial), {"trial": trial.id})
    (folder / "config.json").write_text(json.dumps(trial.model_dump()))
    return folder


@pytest.fixture
def here(tmp_path, write_pictures, untrained) -> Path:
    """``here`` with twelve pairs (and a ``here/other`` whose masks are too small), ``run`` with weights."""
    shutil.copytree(untrained, tmp_path / "run")
    folder = write_pictures(tmp_path / "here")
    (folder / "other").mkdir()
    for path in (folder / "masks").iterdir():
        Image.new("L", (9, 7)).save(folder / "other" / path.name)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_one_line_names_fault_and_remedy(case, tutseg, here, tmp_path):
    case.prepare(here, tmp_path / "run")
    said = tutseg(*case.words)
    assert said.code == 2, said
    assert said.err.startswith("tutseg: ") and said.err.count("\n") == 1 and said.out == "", said
    for word in case.says:
        assert word in said.err
    assert not (tmp_path / "pwned").exists()
    assert_nothing_looks_finished(tmp_path)


def assert_nothing_looks_finished(folder: Path) -> None:
    """No result, no weights in a run folder, no mask, and no temporary file left over."""
    out = folder / "out"
    left = [path.name for path in out.rglob("*") if path.is_file()] if out.exists() else []
    if (out / "config.json").exists() and "weights.safetensors" in left:  # the copied run of "another trial"
        left.remove("weights.safetensors")
    assert set(left) <= {"config.json", "state.pt"}, left
    assert not (folder / "runs").exists()


def test_grey_masks_are_thresholded_with_a_notice(tutseg, here):
    for name in ("p03", "p04"):
        mask = np.asarray(Image.open(here / f"masks/{name}.png")).copy()
        mask[0, :2] = 100, 180
        Image.fromarray(mask).save(here / f"masks/{name}.png")
    said = tutseg(*train(root=here))  # a path of its own: what was read of "here" before may still be in memory
    assert said.code == 0
    assert said.err.startswith("tutseg: notice: ") and said.err.count("\n") == 1
    assert "grey values" in said.err and "127" in said.err and "masks/p0" in said.err
    from tutseg.data.masks import read_mask

    with pytest.warns(UserWarning, match="grey"):
        assert read_mask(here / "masks/p03.png")[0, :2].tolist() == [0, 1]


def test_masks_without_foreground_are_not_trained_on(tutseg, here, tmp_path):
    for path in (here / "masks").iterdir():
        Image.new("L", (48, 40)).save(path)
    said = tutseg(*train(root=here))
    assert said.code == 2 and said.err.count("\n") == 1
    assert all(word in said.err for word in ("labelled", "empty", "32 pixels", "--labelled more"))
    assert_nothing_looks_finished(tmp_path)


def out_of_space(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said_in_one_line(tutseg, tmp_path, monkeypatch):
    """At the first file, at the state in mid-training and at the weights; the same command then goes on."""
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0)
    words = synth(steps=3)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", out_of_space)
        said = tutseg(*words)
    assert said.code == 2 and said.err.count("\n") == 1
    assert "out/config.json" in said.err and "No space left on device" in said.err and "--out" in said.err
    assert list((tmp_path / "out").iterdir()) == []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))  # weights need 2 MB, config and log a few kB
    try:
        said = tutseg(*words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert said.code == 2 and said.err.count("\n") == 1 and "out/state.pt" in said.err and "free some space" in said.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["config.json"]
    assert tutseg(*words).code == 0 and (tmp_path / "out/result.json").exists()


def test_a_disk_that_fills_later_keeps_the_old_state(tutseg, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0)
    fsync, left = os.fsync, [4]  # config, state, log, state; the disk is full at the second log

    def filling(descriptor: int) -> None:
        left[0] -= 1
        (fsync if left[0] >= 0 else out_of_space)(descriptor)

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", filling)
        said = tutseg(*synth(steps=3))
    assert said.code == 2 and "out/log.csv" in said.err
    assert torch.load(tmp_path / "out/state.pt", weights_only=True)["step"] == 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"config.json", "log.csv", "state.pt"}
    assert tutseg(*synth(steps=3)).code == 0
    shutil.move(tmp_path / "out", tmp_path / "resumed")
    assert tutseg(*synth(steps=3)).code == 0
    one, other = (read_weights(tmp_path / name / "weights.safetensors")[0] for name in ("resumed", "out"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def ctrl_c():
    """Ctrl-C as a user's shell sets it up; a job in the background is started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_while_reading_says_so(tutseg, here, monkeypatch):
    from tutseg.training import pictures

    monkeypatch.setattr(pictures, "load_pictures", lambda *_: signal.raise_signal(signal.SIGINT))
    said = tutseg(*train(root=here))
    assert said.code == 2 and said.err.startswith("tutseg: interrupted") and said.err.count("\n") == 1


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_while_predicting_leaves_whole_masks(tutseg, here, tmp_path, monkeypatch):
    from tutseg.training import predict

    read, seen = predict.read_image, []

    def interrupted(path):
        seen.append(path)
        if len(seen) == 3:
            signal.raise_signal(signal.SIGINT)
        return read(path)

    monkeypatch.setattr(predict, "read_image", interrupted)
    said = tutseg(*PREDICT)
    assert said.code == 2 and said.err.count("\n") == 1
    masks = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in masks] == ["p00.png", "p01.png"]
    assert all(Image.open(path).size == (48, 40) for path in masks)


def test_the_untouched_folders_are_sound(tutseg, here, tmp_path):
    """The table's faults are those it makes: without them the same commands succeed."""
    assert load_run(tmp_path / "run")[1].method == "cps"
    assert tutseg(*PREDICT).code == 0
    assert tutseg("score", "out", "here/masks").code == 0
    shutil.rmtree(tmp_path / "out")
    assert tutseg(*train()).code == 0
