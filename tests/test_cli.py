"""The command line: examples, JSON for programs, masks at the picture's own size, and lists that need no torch."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from tutseg import metrics
from tutseg.cli import app
from tutseg.training.checkpoint import save_weights
from tutseg.training.start import build_for
from tutseg.training.trial import Trial, make_trial

COMMANDS = [[command.name or command.callback.__name__] for command in app.registered_commands]
COMMANDS += [
    [group.name, command.name]
    for group in app.registered_groups
    for command in group.typer_instance.registered_commands
]
TRAIN = ["train", "supervised", "--net", "unet-s", "--size", 32, "--steps", 2, "--batch", 2, "--labelled", 0.2]
TRAIN += ["-d", "n=20", "-d", "size=32"]


def folder_of_run(folder, **fields) -> Trial:
    """A run folder whose nets were never trained, but say foreground here and background there."""
    trial = make_trial(**{"method": "cps", "net": "unet-s", "size": 32, **fields})
    method = build_for(trial)
    with torch.no_grad():
        for branch in (method.branch1, method.branch2):
            image = torch.rand(1, 3, 32, 32)
            branch.head.bias -= branch.eval()(image).logits.median()
    save_weights(folder / "weights.safetensors", method, {"trial": trial.id})
    (folder / "config.json").write_text(json.dumps(trial.model_dump()))
    return trial


def test_every_command_of_the_design_is_there():
    words = {" ".join(command) for command in COMMANDS}
    assert {"book", "run", "train", "predict", "score", "nets", "methods", "doctor", "grid"} <= words
    assert {"data list", "data show", "data verify", "data synth", "weights list", "weights check"} <= words


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_shows_an_example(tutseg, command):
    said = tutseg(*command, "--help")
    assert said.code == 0 and "Example" in said.out
    assert f"tutseg {' '.join(command)}" in said.out.split("Example")[1]


def test_help_and_lists_import_no_torch():
    """One process runs them all: torch must not be there after the last."""
    calls = [["--help"], *([*command, "--help"] for command in COMMANDS)]
    calls += [
        ["nets"],
        ["nets", "--json"],
        ["methods"],
        ["methods", "--json"],
        ["data", "list"],
        ["data", "list", "--json"],
        ["weights", "list"],
        ["weights", "list", "--json"],
    ]
    code = f"""
import sys
from tutseg.cli import main
for words in {calls!r}:
    sys.argv = ["tutseg", *words]
    try:
        main()
    except SystemExit as exit:
        assert not exit.code, words
    assert "torch" not in sys.modules, words
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        *(["nets"], ["nets", "unet-s"], ["methods"], ["methods", "dme-fd"]),
        *(["data", "list"], ["weights", "list"], ["doctor"]),
    ],
)
def test_lists_speak_json(tutseg, command):
    said = tutseg(*command, "--json")
    rows = json.loads(said.out)
    assert isinstance(rows, list) and rows and all(isinstance(row, dict) and row["name"] for row in rows)
    assert len({row["name"] for row in rows}) == len(rows)


def test_one_net_is_told_of(tutseg):
    said = tutseg("nets", "transfuse").out
    assert "BiFusion" in said and "encode, decoded, aux1, aux2" in said and "26.25" in said
    wrong = tutseg("nets", "transfus")
    assert wrong.code == 2 and "did you mean transfuse" in wrong.err


def test_train_prints_where_and_how_good(tutseg, tmp_path):
    said = tutseg(*TRAIN)
    assert said.code == 0 and said.err == ""
    first, second, folder = said.out.splitlines()
    assert first.startswith("supervised on synth: Dice ") and second.startswith("2 labelled, 12 unlabelled")
    result = json.loads((tmp_path / folder / "result.json").read_text())
    again = tutseg(*TRAIN, "--json")  # finished: the stored result, at once
    assert json.loads(again.out) == result
    assert result["id"] == folder.split("/")[-1] == Trial(**result["trial"]).id
    assert f"{result['scores']['net']['dice']['per_image']['mean']:.4f}" in first


@pytest.mark.parametrize("seed", [4295, 2**63 - 1])
def test_train_takes_any_seed_of_63_bits(tutseg, seed):
    said = tutseg(*TRAIN, "--seed", seed)
    assert said.code == 0 and said.err == ""


def test_train_is_repeated_by_the_command_it_records(tutseg):
    trial = make_trial(
        method="dme-fd",
        labelled=0.5,
        net="unet-s",
        size=32,
        lr=0.002,
        pretrained=True,
        options={"tau": 0.9, "cps": False, "combine": "self"},
        data_options={"n": 20, "artefacts": ["hair"]},
    )
    seen = []
    from tutseg.training import run

    def caught(given, *rest):
        seen.append(given)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "run_trial", caught)
        import shlex

        assert tutseg(*shlex.split(trial.command)[1:]).code == 2
    assert seen == [trial]


def test_predict_writes_masks_of_the_pictures_size(tutseg, tmp_path, write_pictures):
    trial = folder_of_run(tmp_path)
    pictures = write_pictures(tmp_path / "here", count=2, size=(70, 46)) / "images"
    Image.fromarray(np.full((33, 41), 90, np.uint8)).save(tmp_path / "grey.png")
    said = tutseg("predict", tmp_path, pictures, tmp_path / "grey.png", "--out", "masks", "--overlay")
    assert said.code == 0 and said.out.strip() == "3 masks in masks" and said.err == ""
    sizes = {"p00": (70, 46), "p01": (70, 46), "grey": (41, 33)}
    assert {path.name for path in (tmp_path / "masks").iterdir()} == {
        f"{stem}{suffix}.png" for stem in sizes for suffix in ("", "_overlay")
    }
    from tutseg.training.predict import probability_map
    from tutseg.training.run import load_run

    method, _ = load_run(tmp_path)
    for stem, size in sizes.items():
        with Image.open(tmp_path / "masks" / f"{stem}.png") as mask:
            values = np.asarray(mask)
            assert mask.size == size and mask.mode == "L" and set(np.unique(values)) <= {0, 255}
        source = pictures / f"{stem}.jpg" if stem != "grey" else tmp_path / "grey.png"
        image = np.asarray(Image.open(source).convert("RGB"))
        assert stem == "grey" or 0 < values.mean() < 255
        assert np.array_equal(values > 0, probability_map(method, image, trial.size) >= 0.5)
        assert Image.open(tmp_path / "masks" / f"{stem}_overlay.png").size == size


def test_predict_takes_another_branch(tutseg, tmp_path, write_pictures):
    folder_of_run(tmp_path)
    pictures = write_pictures(tmp_path / "here", count=1) / "images"
    for view in ("branch1", "branch2"):
        assert tutseg("predict", tmp_path, pictures, "--out", view, "--view", view).code == 0
    assert (tmp_path / "branch1/p00.png").read_bytes() != (tmp_path / "branch2/p00.png").read_bytes()


def test_score_pairs_by_stem_and_gives_every_averaging(tutseg, tmp_path):
    rng = np.random.default_rng(0)
    masks = {}
    for folder, suffix in (("ours", ""), ("truth", "_segmentation")):
        (tmp_path / folder).mkdir()
        for i in range(7):
            masks[folder, i] = rng.random((12, 10)) < 0.4
            Image.fromarray(masks[folder, i].astype(np.uint8) * 255).save(tmp_path / folder / f"ISIC_{i}{suffix}.png")
    said = tutseg("score", "ours", "truth", "--json")
    table = json.loads(said.out)
    assert table.pop("scored")["pairs"] == 7
    assert {"dice", "jaccard", "precision", "accuracy", "hd95", "assd", "hm", "xor"} <= set(table)
    for ways in table.values():
        assert {"per_image", "batch"} <= set(ways) <= {"per_image", "batch", "pooled"}
        assert all({"mean", "std", "n"} <= set(cell) for cell in ways.values())
    both = np.array([(masks["ours", i] & masks["truth", i]).sum() for i in range(7)])
    sizes = np.array([masks["ours", i].sum() + masks["truth", i].sum() for i in range(7)])
    dice = table["dice"]
    assert dice["per_image"]["mean"] == pytest.approx((2 * both / sizes).mean()) and dice["per_image"]["n"] == 7
    assert dice["pooled"]["mean"] == pytest.approx(2 * both.sum() / sizes.sum())
    batches = [2 * both[k].sum() / sizes[k].sum() for k in (slice(0, 5), slice(5, 7))]
    assert dice["batch"]["mean"] == pytest.approx((5 * batches[0] + 2 * batches[1]) / 7)
    printed = tutseg("score", "ours", "truth").out
    assert f"{dice['per_image']['mean']:.4f}" in printed and "n = 7" in printed


def test_training_tells_how_many_images_are_empty_in_truth_and_prediction(tutseg, monkeypatch):
    some = np.eye(8, dtype=bool)
    table = metrics.score([some, some & False, some & False], [some, some & False, some])
    result = {"scores": {"net": table}, "n": {"test": 3}}
    monkeypatch.setattr("tutseg.training.run.run_trial", lambda *given, **more: result)
    said = tutseg("train", "supervised", "--net", "unet-s", "--size", 32)
    assert said.code == 0 and "1 test images have an empty truth and an empty prediction" in said.out


def test_drawn_pictures_are_a_folder_data_set(tutseg, tmp_path):
    assert tutseg("data", "synth", "--n", 3, "--size", 32, "--out", "drawn").out == "3 pictures in drawn\n"
    said = tutseg("data", "verify", "folder", "--root", "drawn", "--json")
    assert said.code == 0 and not [row for row in json.loads(said.out) if row["severity"] == "error"]
    said = tutseg("data", "verify", "folder", "--root", "drawn", "-d", "label=1")
    assert said.code == 2 and "did you mean labels" in said.err
    next((tmp_path / "drawn/masks").iterdir()).write_bytes(b"no picture")
    said = tutseg("data", "verify", "folder", "--root", "drawn", "--json")
    assert said.code == 1 and [row for row in json.loads(said.out) if row["severity"] == "error"]
    assert len(list((tmp_path / "drawn/images").iterdir())) == len(list((tmp_path / "drawn/masks").iterdir())) == 3


def test_options_are_read_as_yaml():
    from tutseg.cli import _joined
    from tutseg.cli.common import values

    assert values(["tau=0.9", "combine=self", "cps=false", "a=[1, 2]", "b=x=y"]) == {
        "tau": 0.9,
        "combine": "self",
        "cps": False,
        "a": [1, 2],
        "b": "x=y",
    }
    assert _joined(["run", "01", "-p", "SEEDS", "[0, 1]", "-p", "A=1"]) == [
        "run",
        "01",
        "-p",
        "SEEDS=[0, 1]",
        "-p",
        "A=1",
    ]
