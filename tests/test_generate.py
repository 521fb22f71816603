"""The task "generate", and a chain: one trial draws, the next one trains on what it drew."""

import json
from typing import ClassVar

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from toys import register_toys

from tutseg.errors import InputError
from tutseg.methods import CARDS
from tutseg.methods.base import Method
from tutseg.methods.cards import MethodCard
from tutseg.methods.co_training.supervised import Supervised
from tutseg.training.drawn import generated_pictures
from tutseg.training.generate import nearest
from tutseg.training.pictures import pictures_of, split_of
from tutseg.training.run import run_trial
from tutseg.training.spec import read_spec
from tutseg.training.start import build_for
from tutseg.training.trial import make_trial
from tutseg.workflow.grid import run_serial

DATA = {"data": "synth", "data_options": {"n": 30, "size": 32}, "size": 32, "labelled": 0.5, "batch": 2}


class Mean(Method):
    """Draws the mean of what it was shown, and noise around it."""

    def __init__(self, net: str, size: int, pretrained: bool = False) -> None:
        super().__init__()
        self.mean = torch.nn.Parameter(torch.zeros(3, size, size))

    def losses(self, batch, progress):
        assert batch["unlabelled"].mask is None
        return {"square": (batch["unlabelled"].image - self.mean).square().mean()}

    def sample(self, seed: int, psi: float = 1.0) -> torch.Tensor:
        noise = torch.randn(self.mean.shape, generator=torch.Generator().manual_seed(seed))
        return self.mean.cpu() + 0.05 * noise


class Shown(Supervised):
    """Supervised training that also looks at generated pictures."""

    streams: ClassVar = {"labelled": 0, "generated": 0}
    seen: ClassVar[list] = []

    def losses(self, batch, progress):
        assert batch["generated"].mask is None
        self.seen.append(batch["generated"].image.mean().item())
        return super().losses(batch, progress)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    register_toys(monkeypatch)
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path / "runs"))
    for name, kind in (("Mean", "generative"), ("Shown", "semi-supervised")):
        monkeypatch.setitem(CARDS, name.lower(), MethodCard(name.lower(), f"test_generate:{name}", kind, "-", name))
    Shown.seen.clear()


def test_it_sees_the_training_part_only_and_draws_what_can_be_read(tmp_path):
    trial = make_trial(method="mean", steps=60, lr=0.05, pictures=5, net="unet-s", **DATA)
    result = run_trial(trial, None, "cpu")
    whole = pictures_of("synth", None, 32, trial.data_options)
    split = split_of(trial, whole)
    held_out = len(split.validation) + len(split.test)
    assert result["n"] == {"training": 30 - held_out, "test": 5, "held_out": held_out}
    drawn = generated_pictures(trial.folder)
    assert len(drawn) == 5 and drawn.masks is None and len(set(map(bytes, drawn.images.numpy()))) == 5
    train = whole.take(sorted((*split.labelled, *split.unlabelled))).images.float().mean(0)
    assert (drawn.images.float().mean(0) - train).abs().mean() < 20
    scores = result["scores"]
    assert scores["net"]["nearest"]["per_image"]["mean"] > 0.01
    # a mean with noise is no picture: farther from real ones than real ones are, and always the same
    assert scores["net"]["kid"]["pooled"]["mean"] > scores["training"]["kid"]["pooled"]["mean"]
    assert scores["net"]["repeats"]["per_image"]["mean"] == 1 > scores["training"]["repeats"]["per_image"]["mean"]


def test_a_killed_drawing_goes_on_and_a_damaged_picture_is_named(tmp_path):
    trial = make_trial(method="mean", steps=2, pictures=4, net="unet-s", **DATA)
    run_trial(trial, None, "cpu")
    pictures = sorted((trial.folder / "images").iterdir())
    before = {path.name: path.read_bytes() for path in pictures}
    for gone in (*pictures[2:], trial.folder / "result.json"):
        gone.unlink()
    run_trial(trial, None, "cpu")
    assert {path.name: path.read_bytes() for path in pictures} == before
    pictures[1].write_bytes(before[pictures[1].name][:30])
    with pytest.raises(InputError, match=r"00001\.png"):
        generated_pictures(trial.folder)


def test_the_nearest_is_found_by_brute_force():
    draw = np.random.default_rng(0)
    a, b = (torch.from_numpy(draw.integers(0, 255, (n, 3, 16, 16), np.uint8)) for n in (3, 5))
    expected = [min(((x - y) ** 2).mean() ** 0.5 for y in b.numpy() / 255) for x in a.numpy() / 255]
    assert np.allclose(nearest(a, b, False), expected, atol=1e-6)
    assert nearest(a, a, False).max() < 1e-6 < nearest(a, a, True).min()


@pytest.mark.slow
def test_a_chain_trains_on_what_its_parent_drew(tmp_path):
    parent = DATA | {"method": "mean", "steps": 3, "pictures": 4}  # of the same data: it has seen no test picture
    defaults = DATA | {"method": "shown", "net": "unet-s", "steps": 2, "inputs": {"generated": parent}}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({"defaults": defaults, "grid": {"seed": [0]}}))
    spec = read_spec(tmp_path / "spec.yaml")
    assert [trial.method for trial in spec.trials] == ["mean", "shown"]
    assert run_serial(spec, device="cpu") == []
    first, child = (json.loads((trial.folder / "result.json").read_text()) for trial in spec.trials)
    assert child["provenance"]["drawn"] == first["provenance"]["drawn"]
    assert child["provenance"]["input generated"] == first["weights"][:16]
    images = [np.asarray(Image.open(path)) for path in sorted((spec.trials[0].folder / "images").iterdir())]
    # two pictures a step, flipped: the mean of a batch is that of two of the four
    means = sorted(float(image.mean()) / 255 for image in images)
    assert all(means[0] - 1e-3 <= seen <= means[-1] + 1e-3 for seen in Shown.seen) and len(Shown.seen) == 2


def test_only_a_method_that_looks_at_them_takes_generated_pictures(tmp_path):
    trial = make_trial(method="supervised", net="unet-s", **DATA)
    with pytest.raises(InputError, match="unknown input of method supervised 'generated'"):
        build_for(trial, {"generated": tmp_path})
