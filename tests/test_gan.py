"""Training a StyleGAN3: its losses by hand, augmentation by closed forms, a killed training that goes on bit by bit."""

import copy
import errno
import json
import math
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import drawn_pictures, stepper
from PIL import Image
from torch.nn.functional import softplus

from tutseg.errors import InputError, Stopped
from tutseg.methods import CARDS as METHODS
from tutseg.methods import build_method
from tutseg.methods.base import Progress, Views
from tutseg.methods.generative import ada
from tutseg.methods.generative.stylegan3 import slope_penalty
from tutseg.nets import CARDS
from tutseg.report.stylegan import generators_table
from tutseg.training import fit as loop
from tutseg.training.checkpoint import save_weights
from tutseg.training.drawn import generated_pictures
from tutseg.training.evidence import write_evidence
from tutseg.training.fit import TrainingSet, fit, learning_rate, make_fabric, settings_of
from tutseg.training.run import load_run, run_trial
from tutseg.training.start import build_for
from tutseg.training.trial import Trial, make_trial

DATA = {"data": "synth", "data_options": {"n": 30, "size": 32}, "size": 32, "batch": 4}
TINY = {"layers": 3, "base": 64, "width": 4, "latent": 4}


@pytest.fixture(autouse=True, scope="module")
def tiny():
    """The book's smallest generator, smaller still."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in TINY.items():
            patch.setitem(CARDS["stylegan3-s"].options, name, value)
        yield


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory) -> Path:
    """The run folder of a generator after two steps."""
    folder = tmp_path_factory.mktemp("gan") / "run"
    trial = make_trial(method="stylegan3-t", net="stylegan3-s", steps=2, pictures=4, evaluations=2, **DATA)
    run_trial(trial, None, "cpu", folder)
    return folder


def method(**options):
    torch.manual_seed(0)
    return build_method("stylegan3-t", net="stylegan3-s", size=32, **options).train()


def real(count: int = 4) -> dict[str, Views]:
    return {"unlabelled": Views(drawn_pictures(count, 1, 32).images.float() / 255)}


# ---- losses ----------------------------------------------------------------------------------------------------------


def test_a_step_minimises_what_the_paper_says():
    gan, batch = method(most=0.0), real()
    twin = copy.deepcopy(gan)
    torch.manual_seed(5)
    told = gan.update(batch, Progress(0, 10, 1), stepper(gan, lr=0.0))
    torch.manual_seed(5)
    fake, images = twin.generator(torch.randn(4, 4)), batch["unlabelled"].image.requires_grad_()
    on_real, on_fake = twin.discriminator(images), twin.discriminator(fake)
    assert told["discriminator"] == pytest.approx((softplus(on_fake) + softplus(-on_real)).mean().item(), rel=1e-5)
    assert told["generator"] == pytest.approx(softplus(-on_fake).mean().item(), rel=1e-5)
    slopes = sum(torch.autograd.grad(logit, images, retain_graph=True)[0] for logit in on_real)  # they share a batch
    assert told["r1"] == pytest.approx(slopes.square().sum().item() / 4, rel=1e-4)
    bound = 0.25 * (32 / 64) ** 2 * 16 / 4  # gamma at this size and batch; one step stands for sixteen
    loss = (softplus(on_fake) + softplus(-on_real)).mean() + bound / 2 * 16 * slope_penalty(on_real, images)
    for ours, theirs in zip(gan.discriminator.parameters(), twin.discriminator.parameters(), strict=True):
        (expected,) = torch.autograd.grad(loss, theirs, retain_graph=True)
        assert torch.allclose(ours.grad, expected, rtol=1e-3, atol=1e-5)
    assert set(told) == {"discriminator", "generator", "score of real", "score of drawn", "r1", "p"}


def test_the_penalty_is_the_squared_slope():
    images = torch.rand(2, 3, 4, 4, requires_grad=True)
    logits = torch.stack([2 * images[0].sum(), images[1].square().sum()])
    expected = (4 * 48 + 4 * images[1].square().sum().item()) / 2
    assert slope_penalty(logits, images).item() == pytest.approx(expected, rel=1e-5)


def test_each_network_steps_down_its_own_loss_and_the_penalty_comes_every_so_often():
    gan, batch = method(r1_every=2, most=0.0), real()
    slopes = []
    for k in range(4):
        before = copy.deepcopy(gan.state_dict())
        slopes.append(gan.update(batch, Progress(k, 10, 1), stepper(gan, lr=0.01))["r1"].item())
        moved = {name.split(".")[0] for name, value in gan.state_dict().items() if not torch.equal(value, before[name])}
        assert {"generator", "discriminator", "average"} <= moved
    assert slopes[0] == slopes[1] != slopes[2] == slopes[3]
    assert all(p.requires_grad for p in gan.discriminator.parameters())
    assert not any(p.requires_grad for p in gan.average.parameters())


def test_p_rises_while_real_pictures_are_known_too_well_and_falls_again():
    gan = method(target=0.6, ada_kimg=0.1, most=0.5)
    p = []
    for k in range(24):
        gan.follow(torch.ones(4) if k < 16 else torch.tensor([1.0, 1, 1, -1]), k, 4)  # r = 1, then 0.5
        p.append(gan.p.item())
    step = 4 * 4 / 100
    assert p[:4] == [0, 0, 0, pytest.approx(step)] and p[15] == 0.5  # the ceiling
    assert p[19] == pytest.approx(0.5 - step) and p[23] == pytest.approx(0.5 - 2 * step)
    silent = method(most=0.0)
    for k in range(4):
        silent.follow(torch.ones(4), k, 4)
    assert silent.p == 0


def test_the_average_has_the_half_life_of_its_ramp_and_the_generator_s_buffers():
    gan = method()
    with torch.no_grad():
        for parameter in gan.generator.parameters():
            parameter.fill_(1.0)
        for parameter in gan.average.parameters():
            parameter.fill_(0.0)
    gan.generator.centre.fill_(3.0)
    gan.follow(torch.zeros(4), 99, 4)  # 400 pictures seen: half is forgotten in 20
    value = next(gan.average.parameters()).flatten()[0].item()
    assert value == pytest.approx(1 - 0.5 ** (4 / 20), rel=1e-4) and gan.average.centre.mean() == 3


def test_its_optimisers_are_the_paper_s_unless_the_trial_says_otherwise():
    gan = method()
    own = settings_of(gan, make_trial(method="stylegan3-t", net="stylegan3-s"))
    assert (own["generator"]["lr"], own["discriminator"]["lr"]) == (0.0025, 0.002)
    assert own["generator"]["betas"] == (0.0, 0.99) and own["generator"]["optimizer"] == "adam"
    assert learning_rate("constant", 0.9) == 1 and own["generator"]["schedule"] == "constant"
    said = make_trial(method="stylegan3-t", lr=0.01, groups={"generator": {"lr": 0.1}})
    told = settings_of(gan, said)
    assert (told["generator"]["lr"], told["discriminator"]["lr"]) == (0.1, 0.01)
    plain = settings_of(build_method("supervised", net="unet-s", size=32), make_trial(method="supervised"))
    assert next(iter(plain.values())) == {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.01, "schedule": "cosine"}


# ---- augmentation ----------------------------------------------------------------------------------------------------


def test_without_augmentation_a_picture_is_itself():
    images = torch.rand(2, 3, 8, 8)
    assert ada.augmented(images, 0.0) is images
    assert not torch.allclose(ada.augmented(images, 1.0), images, atol=0.01)


def test_flips_turns_and_shifts_are_exact():
    images = torch.rand(1, 3, 8, 8)
    place = lambda *rows: ada.moved(images, torch.tensor([rows], dtype=torch.float32))
    assert torch.allclose(place([-1, 0, 0], [0, 1, 0]), images.flip(3), atol=1e-5)
    assert torch.allclose(place([0, -1, 0], [1, 0, 0]), images.rot90(1, (2, 3)), atol=1e-5)
    assert torch.allclose(place([1, 0, 0.5], [0, 1, 0])[..., :6], images[..., 2:], atol=1e-5)  # half a width of two


def test_a_hue_of_a_third_of_a_turn_passes_the_colours_on_and_grey_stays():
    third = torch.tensor([2 * math.pi / 3])
    turn = (ada.GREY + ada.turned_about_grey(third))[0]
    assert torch.allclose(turn @ torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0]), atol=1e-6)
    images = torch.rand(1, 3, 4, 4)
    grey = torch.cat([ada.GREY, torch.full((3, 1), 0.25)], 1)[None]
    assert torch.allclose(ada.recoloured(images, grey), images.mean(1, keepdim=True).expand(-1, 3, -1, -1) + 0.25)


def test_each_change_befalls_its_share_of_pictures():
    torch.manual_seed(0)
    still = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    shares = []
    for p in (0.1, 0.5):
        changed = (ada.placing(4000, 64, p) - still).abs().sum((1, 2)) > 1e-6
        # a flip or turn may be none: 1/2 and 3/4 of them are some; nearly every shift, tilt and scale is
        shares.append((changed.float().mean().item(), 1 - (1 - p / 2) * (1 - 0.75 * p) * (1 - p) ** 3))
        colours = ada.colouring(4000, p)
        same = (colours - torch.eye(3, 4)).abs().sum((1, 2)) < 1e-5
        shares.append((same.float().mean().item(), (1 - p) ** 4))
    for found, expected in shares:
        assert found == pytest.approx(expected, abs=0.03)


# ---- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["Ctrl-C", "killed"])
def test_a_stopped_training_goes_on_bit_by_bit(how, tmp_path, monkeypatch):
    trial = make_trial(
        method="stylegan3-t", net="stylegan3-s", steps=6, options={"ada_kimg": 0.05, "r1_every": 2}, **DATA
    )
    pictures, fabric = drawn_pictures(8, 1, 32), make_fabric("cpu", "32-true")
    whole = build_for(trial, {})
    fit(whole, TrainingSet(pictures, pictures), trial, tmp_path / "whole", fabric)

    def stop(done: int, total: int) -> None:
        if done == 3 and how == "Ctrl-C":
            signal.raise_signal(signal.SIGINT)
        elif done == 3:
            monkeypatch.setattr(loop, "SAVE_EVERY_S", math.inf)
        elif done == 5:  # two steps after the state was saved
            raise ZeroDivisionError

    if how == "killed":
        monkeypatch.setattr(loop, "SAVE_EVERY_S", 0)
    with pytest.raises(Stopped if how == "Ctrl-C" else ZeroDivisionError):
        fit(build_for(trial, {}), TrainingSet(pictures, pictures), trial, tmp_path / "parts", fabric, stop)
    again = build_for(trial, {})
    fit(again, TrainingSet(pictures, pictures), trial, tmp_path / "parts", fabric)
    assert whole.p > 0 and all(map(torch.equal, whole.state_dict().values(), again.state_dict().values()))
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1] and "score of real" in logs[0]


def test_a_run_leaves_pictures_sheets_and_scores_with_their_floor(run):
    result = json.loads((run / "result.json").read_text())
    assert METHODS["stylegan3-t"].kind == "generative" and set(result["scores"]) == {"net", "training", "blurred"}
    kid = {view: scores["kid"]["pooled"]["mean"] for view, scores in result["scores"].items()}
    assert abs(kid["training"]) < kid["net"]
    sheets = sorted((run / "sheets").iterdir())
    assert [sheet.name for sheet in sheets] == ["000001.png", "000002.png"]
    drawn, _ = load_run(run)
    last = np.asarray(Image.open(sheets[1]))
    assert last.shape == (192, 192, 3)  # six rows of six
    assert np.array_equal(last[:32, 32:64], pixels(drawn, 1))
    assert np.array_equal(np.asarray(Image.open(run / "images/00003.png")), pixels(drawn, 3))
    assert not np.array_equal(pixels(drawn, 3), pixels(drawn, 4))


def test_a_table_sets_what_was_drawn_beside_its_floor(run, tmp_path, monkeypatch):
    trial = Trial(**json.loads((run / "result.json").read_text())["trial"])
    shutil.copytree(run, tmp_path / "runs" / trial.id)
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path / "runs"))
    table = generators_table(write_evidence([("", trial)], tmp_path / "results/ssgnet/mine"))
    scores = json.loads((run / "result.json").read_text())["scores"]
    kid = [f"{1000 * scores[view]['kid']['pooled']['mean']:.0f}" for view in ("net", "training", "blurred")]
    assert [row[3] for row in table.rows] == kid and len({len(row) for row in (*table.rows, table.heads)}) == 1
    assert [row[1:3] for row in table.rows] == [
        ("drawn", "0.008"),
        ("real ones that it was shown", "–"),
        ("these without detail", "–"),
    ]
    recall = scores["training"]["recall"]["per_image"]["mean"]
    assert table.rows[1][6] == f"{100 * recall:.1f}" and "stylegan3-s at 32 px" in table.origin


def pixels(method, number: int, psi: float = 1.0) -> np.ndarray:
    """A drawn picture as uint8 ``(S, S, 3)``."""
    return (method.sample(number, psi) * 255).round().byte().permute(1, 2, 0).numpy()


def test_too_few_pictures_are_told(tmp_path):
    trial = make_trial(method="stylegan3-t", net="stylegan3-s", **DATA | {"batch": 32})
    with pytest.raises(
        InputError, match=r"data synth: \d+ pictures to learn from, fewer than a batch of 32: give it more"
    ):
        run_trial(trial, None, "cpu", tmp_path)
    with pytest.raises(InputError, match=r"stylegan3-t wants draw of its net, .* nets that do: stylegan3-s"):
        build_method("stylegan3-t", net="unet-s", size=32)
    with pytest.raises(InputError, match="size 96 is no power of two"):
        build_method("stylegan3-t", net="stylegan3-s", size=96)


# ---- drawing ---------------------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_generate_draws_what_the_weights_and_the_seed_say(tutseg, run, tmp_path):
    said = tutseg("generate", run, "--n", 3, "--out", tmp_path / "a")
    assert (said.code, said.out) == (0, f"3 pictures of 32 pixels in {tmp_path / 'a'}\n")
    assert sorted(contents(tmp_path / "a")) == ["00000.png", "00001.png", "00002.png"]
    drawn, _ = load_run(run)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a/00002.png")), pixels(drawn, 2))
    told = tutseg("generate", run, "--n", 1, "--seed", 1, "--psi", 0.5, "--out", tmp_path / "b", "--json")
    assert json.loads(told.out) == {"out": str(tmp_path / "b"), "n": 1, "seed": 1, "psi": 0.5, "size": 32}
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b/00000.png")), pixels(drawn, 1_000_003, 0.5))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()}
    assert tutseg("generate", run, "--n", 3, "--out", tmp_path / "a").code == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("fault", ["Ctrl-C", "full disk"])
def test_a_drawing_that_is_cut_short_leaves_whole_pictures_and_goes_on(fault, tutseg, run, tmp_path, monkeypatch):
    tutseg("generate", run, "--n", 4, "--out", tmp_path / "whole")
    fsync, left = os.fsync, [2]

    def cut(file):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt if fault == "Ctrl-C" else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", cut)
        said = tutseg("generate", run, "--n", 4, "--out", tmp_path / "parts")
    assert said.code == 2 and said.err.count("\n") == 1
    whole = contents(tmp_path / "whole")
    assert contents(tmp_path / "parts") == {name: whole[name] for name in ("00000.png", "00001.png")}
    assert tutseg("generate", run, "--n", 4, "--out", tmp_path / "parts").code == 0
    assert contents(tmp_path / "parts") == whole


def test_generate_refuses_in_one_line_and_loses_nothing(tutseg, run, tmp_path):
    def refused(*words: object) -> str:
        said = tutseg("generate", *words)
        assert said.code == 2 and said.err.count("\n") == 1 and not said.out
        return said.err

    out = tmp_path / "out"
    assert "nowhere is no run folder" in refused(tmp_path / "nowhere", "--out", out)
    tutseg("generate", run, "--n", 3, "--out", out)
    before = contents(out)
    assert "00002.png is there already, and not one of the 2: choose another --out" in refused(
        run, "--n", 2, "--out", out
    )
    assert "was not made by this command" in refused(run, "--n", 3, "--seed", 1, "--out", out)
    assert contents(out) == before and "'--n'" in refused(run, "--n", 0, "--out", out)
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    weights = damaged / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "damaged or no safetensors file" in refused(damaged, "--out", tmp_path / "none")
    weights.unlink()
    assert "is not finished" in refused(damaged, "--out", tmp_path / "none")
    segmenter = tmp_path / "segmenter"
    segmenter.mkdir()
    (segmenter / "config.json").write_text(
        json.dumps(make_trial(method="supervised", net="unet-s", size=32).model_dump())
    )
    save_weights(segmenter / "weights.safetensors", build_method("supervised", net="unet-s", size=32), {})
    assert "holds a network to segment, which draws nothing" in refused(segmenter, "--out", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(
        InputError, match="drawn pictures of 32 pixels, the trial's are of 64: pin a generator of --size 64"
    ):
        generated_pictures(run, 64)
