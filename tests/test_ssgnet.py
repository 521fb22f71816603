"""SSGNet: its losses against closed forms, its training set by hand, its controls, and chains of rounds."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from drawn import drawn_pictures, labeller_file, register_tiny

from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.errors import InputError
from tutseg.losses import bce_plus_dice, t_vmf, t_vmf_dice
from tutseg.methods import build_method
from tutseg.methods.base import Progress
from tutseg.methods.t_vmf import LAMBDA, AdaptiveTvMF
from tutseg.training.fit import LeakingSet, TrainingSet, make_batch
from tutseg.training.run import load_run, run_trial
from tutseg.training.spec import read_spec
from tutseg.training.start import build_for
from tutseg.training.trial import make_trial
from tutseg.workflow.grid import run_serial

DATA = {"data": "synth", "data_options": {"n": 40, "size": 32}, "size": 32, "labelled": 4, "batch": 4}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    register_tiny(monkeypatch)
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path / "runs"))


@pytest.fixture
def ssgnet(tmp_path):
    """Builds the method on "tiny", with a labeller that finds lesion in half of the pixels."""
    images = drawn_pictures(7, 3).images.float() / 255

    def build(**options):
        inputs = {"labeller": labeller_file(tmp_path / "weights")}
        method = build_method("ssgnet", inputs, net="tiny", size=32, **options)
        with torch.no_grad():
            method.labeller.head.bias -= method.labeller(images).logits.median()
        return method

    return build


def bare(count: int, seed: int):
    return drawn_pictures(count, seed).without("masks", "truth")


def training_set(kind=TrainingSet):
    return kind(drawn_pictures(3, 1), drawn_pictures(5, 2), generated=bare(7, 3))


# ---- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kappa", "expected"), [(0, 0.9), (2, 0.583), (8, 0.056), (32, -0.548)])
def test_the_similarity_has_its_closed_form_and_its_ends(kappa, expected):
    assert t_vmf(torch.tensor(0.9), torch.tensor(float(kappa))).item() == pytest.approx(expected, abs=5e-4)
    assert t_vmf(torch.ones(()), torch.tensor(float(kappa))).item() == pytest.approx(1)


def test_the_losses_are_the_papers_formulas_in_double_precision():
    draw = torch.Generator().manual_seed(0)
    logits, mask = 2 * torch.randn(3, 1, 8, 8, generator=draw), (torch.rand(3, 1, 8, 8, generator=draw) > 0.7).float()
    p, y = 1 / (1 + np.exp(-logits.double().numpy())), mask.double().numpy()
    cross = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    dice = np.mean([1 - (2 * (a * b).sum() + 1) / (a.sum() + b.sum() + 1) for a, b in zip(p, y, strict=True)])
    assert bce_plus_dice(logits, mask).item() == pytest.approx(cross + dice, rel=1e-6)
    expected = []
    for kappa, q, z in ((3, 1 - p, 1 - y), (20, p, y)):
        c = (q * z).sum() / np.sqrt((q**2).sum() * (z**2).sum())
        expected.append((1 - ((1 + c) / (1 + kappa * (1 - c)) - 1)) ** 2)
    assert t_vmf_dice(logits, mask, torch.tensor([3.0, 20.0])).item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_class_that_is_absent_has_a_finite_loss_and_gradient():
    logits = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = t_vmf_dice(logits, torch.zeros(1, 1, 4, 4), torch.tensor([2.0, 2.0]))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all() and logits.grad.abs().sum() > 0


class TestKappa:
    """Six pictures with known errors: kappa is 32 times Dice of both classes, after each epoch and not before."""

    truth = drawn_pictures(6, 4)
    said = truth.masks.roll(2, -1)

    def expected(self):
        p, y = self.said.bool(), self.truth.masks.bool()
        dice = lambda a, b: 2 * (a & b).sum() / (a.sum() + b.sum())
        return LAMBDA * torch.stack([dice(~p, ~y), dice(p, y)])

    def test_by_validation(self):
        loss = AdaptiveTvMF("validation")
        loss.watch(self.truth)
        for step in range(5):
            loss.begin(Progress(step, 9, 5), lambda images: self.said.float())
            assert not loss.kappa.any()
        loss.begin(Progress(5, 9, 5), lambda images: self.said.float())
        assert torch.allclose(loss.kappa, self.expected())

    def test_by_training_the_epoch_before_alone(self):
        loss, logits = AdaptiveTvMF("training"), 4.0 * self.said - 2
        for step in range(6):
            loss.begin(Progress(step, 9, 3), None)
            loss.met(logits if step >= 3 else -logits, self.truth.masks)
        loss.begin(Progress(6, 9, 3), None)
        assert torch.allclose(loss.kappa, self.expected())

    def test_a_number_stays_and_nobody_to_follow_is_said(self):
        loss = AdaptiveTvMF(32.0)
        loss.begin(Progress(5, 9, 5), None)
        assert loss.kappa.tolist() == [32, 32]
        with pytest.raises(InputError, match="no validation part to follow: give -o kappa=training"):
            AdaptiveTvMF("validation").watch(self.truth.take([]))

    @pytest.mark.parametrize("kappa", ["validation", "training"])
    def test_training_moves_it_and_goes_on_with_it(self, kappa, tmp_path):
        """A trial stopped in the middle of an epoch ends as one that was not."""
        trial = make_trial(
            method="supervised", net="tiny", steps=5, options={"loss": "t-vmf", "kappa": kappa}, **DATA | {"batch": 2}
        )
        results = []
        for place, stops in (("whole", False), ("parts", True)):

            def stop(stage, done, total, stops=stops):
                if stops and (stage, done) == ("train", 3):
                    raise KeyboardInterrupt

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tutseg.training.fit.SAVE_EVERY_S", 0)
                if stops:
                    with pytest.raises(KeyboardInterrupt):
                        run_trial(trial, None, "cpu", tmp_path / place, stop)
                results.append(run_trial(trial, None, "cpu", tmp_path / place))
        method, _ = load_run(tmp_path / "parts")
        assert (method.adaptive.kappa > 0).all() and results[0]["weights"] == results[1]["weights"]
        assert "w_kappa_1" in (tmp_path / "parts/log.csv").read_text().splitlines()[0]


# ---- the training set ------------------------------------------------------------------------------------------------


def prepared(method, train=None):
    return method.prepare(train or training_set(), drawn_pictures(2, 9))


def labels_by(method, pictures):
    """Of each picture by itself, as `predict` of the trial behind the labeller would have it."""
    with torch.no_grad():
        each = [method.labeller(pictures.images[k : k + 1].float() / 255).logits for k in range(len(pictures))]
    return (torch.cat(each) >= 0).byte()


def test_real_pictures_come_first_then_the_drawn_ones_with_the_labellers_hard_masks(ssgnet):
    method, train = ssgnet(), training_set()
    union = prepared(method, train).labelled
    assert union.ids == train.labelled.ids + train.generated.ids
    assert torch.equal(union.images, torch.cat([train.labelled.images, train.generated.images]))
    assert torch.equal(union.masks[:3], train.labelled.masks)
    assert torch.equal(union.masks[3:], labels_by(method, train.generated)) and union.masks[3:].any()
    assert prepared(ssgnet(count=2), train).labelled.ids == union.ids[:5]
    # and that is what a batch is drawn from, in proportion
    trial = make_trial(method="ssgnet", batch=10)
    assert list(make_batch(prepared(method, train), trial, method, 0)) == ["labelled"]


def test_masks_that_it_must_not_see_change_nothing(ssgnet):
    """Whatever is written in the place of the hidden masks, the training set is the same."""
    pictures = drawn_pictures(5, 2)
    noise = replace(pictures, masks=torch.randint(0, 2, pictures.masks.shape, dtype=torch.uint8), truth=None)
    one, other = (
        prepared(ssgnet(source="unlabelled"), TrainingSet(drawn_pictures(3, 1), each)).labelled
        for each in (pictures, noise)
    )
    assert torch.equal(one.masks, other.masks) and torch.equal(one.images, other.images)


def test_each_control_is_what_it_is_called(ssgnet):
    own = prepared(ssgnet()).labelled.masks[3:]
    assert torch.equal(prepared(ssgnet(shuffled=True)).labelled.masks[3:], own.roll(1, 0))
    real = prepared(ssgnet(source="unlabelled")).labelled
    assert real.ids[3:] == drawn_pictures(5, 2).ids and torch.equal(real.images[3:], drawn_pictures(5, 2).images)
    exact = prepared(ssgnet(source="unlabelled", exact=True), training_set(LeakingSet)).labelled
    assert torch.equal(exact.masks[3:], drawn_pictures(5, 2).masks) and not torch.equal(real.masks, exact.masks)
    real = replace(drawn_pictures(3, 1), name="real")
    scenes = prepared(ssgnet(source="endoscopy", count=4), TrainingSet(real)).labelled
    truth = load_pictures(open_source("synth", kind="endoscopy", n=4, size=32), 32)
    assert torch.equal(scenes.images[3:], truth.images) and torch.equal(scenes.masks[3:], truth.masks)
    ids = prepared(ssgnet(balanced=True)).labelled.ids
    assert ids[:7] == (drawn_pictures(3, 1).ids * 3)[:7] and ids[7:] == bare(7, 3).ids


def test_the_filter_keeps_the_pictures_that_the_labeller_is_sure_of(ssgnet):
    method, drawn = ssgnet(), bare(7, 3)
    p = method.label(drawn)
    sure = torch.maximum(p, 1 - p).flatten(1).mean(1)
    bar = float(sure.sort().values[3:5].mean())
    kept = prepared(ssgnet(confidence=bar)).labelled.ids[3:]
    assert kept == tuple(name for name, s in zip(drawn.ids, sure.tolist(), strict=True) if s >= bar) and len(kept) == 3
    with pytest.raises(InputError, match="of no picture is the labeller as sure as 1"):
        prepared(ssgnet(confidence=1.0))


def test_too_few_pictures_and_masks_that_nobody_knows_are_said(ssgnet):
    with pytest.raises(InputError, match="wants 8 generated pictures and gets 7: pin a generator"):
        prepared(ssgnet(count=8))
    with pytest.raises(InputError, match="wants some unlabelled pictures and gets 0: label fewer"):
        prepared(ssgnet(source="unlabelled"), TrainingSet(drawn_pictures(3, 1)))
    with pytest.raises(InputError, match="exact is for unlabelled pictures"):
        ssgnet(exact=True)
    with pytest.raises(InputError, match="there is no end: say how many"):
        ssgnet(source="dermoscopy")
    with pytest.raises(InputError, match="the data are drawn scenes already"):
        prepared(ssgnet(source="dermoscopy", count=4), TrainingSet(replace(drawn_pictures(3, 1), name="synth")))


def test_every_round_begins_with_the_weights_of_round_0(tmp_path):
    labeller = labeller_file(tmp_path / "weights")
    zero = build_for(make_trial(method="supervised", net="tiny", size=32, seed=5), {})
    one = build_for(make_trial(method="ssgnet", net="tiny", size=32, seed=5), {"labeller": labeller})
    assert all(torch.equal(a, one.net.state_dict()[name]) for name, a in zero.net.state_dict().items())
    assert not any(name.startswith("labeller") for name in one.state_dict())


# ---- chains ----------------------------------------------------------------------------------------------------------


def chain(folder, **block):
    """A tiny generator's spec: it draws what a few steps have taught it."""
    generator = {"method": "stylegan3-t", "net": "stylegan3-s", "steps": 1, "pictures": 5, "seed": 0, "labelled": 1.0}
    path = folder / "spec.yaml"
    also = {
        "name": "rounds, round {round}",
        "rounds": 2,
        "defaults": {"method": "ssgnet", "inputs": {"generated": DATA | generator}},
        "grid": {"seed": [0, 1]},
    }
    path.write_text(yaml.safe_dump({"defaults": DATA | {"net": "tiny", "steps": 3}, "also": [also | block]}))
    return read_spec(path)


def test_rounds_are_a_chain_with_parents_first(tmp_path):
    spec = chain(tmp_path)
    by_row = {}
    for row, trial in spec.named:
        by_row.setdefault(row, []).append(trial)
    zero, one, two = (by_row[f"rounds, round {number}"] for number in range(3))
    (generator,) = by_row[""]
    assert [len(each) for each in (zero, one, two)] == [2, 2, 2]
    for seed in (0, 1):
        assert zero[seed].method == "supervised" and zero[seed].options == {"loss": "bce-dice"}
        assert not zero[seed].inputs and one[seed].options == {"round": 1} and two[seed].options == {"round": 2}
        assert one[seed].inputs == {"generated": generator.id, "labeller": zero[seed].id}
        assert two[seed].inputs == {"generated": generator.id, "labeller": one[seed].id}
        assert {trial.seed for trial in (zero[seed], one[seed], two[seed])} == {seed}
    places = {trial.id: at for at, trial in enumerate(spec.trials)}
    assert all(places[parent.id] < places[child] for child, parents in spec.parents.items() for parent in parents)
    options = {"loss": "t-vmf", "kappa": "training", "shuffled": True}
    spec = chain(tmp_path, defaults={"method": "ssgnet", "options": options})
    assert spec.trials[0].options == {"loss": "t-vmf", "kappa": "training"}
    assert spec.trials[1].options == options | {"round": 1}


@pytest.mark.slow
def test_a_chain_goes_on_after_the_trial_it_was_stopped_at(tmp_path):
    spec = chain(tmp_path, grid={"seed": [0]})
    for trial in spec.trials[:-1]:
        run_trial(trial, None, "cpu")
    written = lambda: [(trial.folder / "result.json").stat().st_mtime_ns for trial in spec.trials[:-1]]
    before = written()
    assert run_serial(spec, device="cpu") == [] and written() == before
    result = json.loads((spec.trials[-1].folder / "result.json").read_text())
    assert result["n"]["labelled"] == 4 and result["n"]["trained_on"] == 9
    assert 0 <= result["selection"]["last"]["on_validation"] <= 1
