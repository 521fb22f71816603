"""What methods, networks and the training loop promise each other, each promise kept by a small real use."""

import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import drawn_batch, drawn_pictures, ellipses, stepper
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.func import functional_call
from toys import SIZE, Lens, Reweighted, TwoHeads, Watcher, register_toys, sample_losses, trained

from tutseg.data.loader import Pictures
from tutseg.data.noise import depth_of
from tutseg.errors import InputError
from tutseg.files import file_hash
from tutseg.methods import build_method, check_net
from tutseg.methods.base import STREAMS, Progress
from tutseg.methods.co_training.common import forward_views
from tutseg.methods.step import apart
from tutseg.training import learn
from tutseg.training.checkpoint import load_state, read_weights
from tutseg.training.evaluate import foreground, truth_of
from tutseg.training.fit import TrainingSet, fit, make_batch, make_fabric
from tutseg.training.pictures import pictures_of, split_of
from tutseg.training.run import load_run, run_trial
from tutseg.training.start import build_for
from tutseg.training.trial import make_trial


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    register_toys(monkeypatch)


# ---- what a network gives, what a method needs -----------------------------------------------------------------------


def test_a_second_head_learns_its_own_target(tmp_path):
    method = trained(tmp_path, TrainingSet(drawn_pictures(8, 1, SIZE), drawn_pictures(1, 2, SIZE)), method="signed")
    image, mask = ellipses(6, SIZE, 3)
    with torch.inference_mode():
        out = method.net(image)
    assert set(out.heads) == {"sdf"} and out.features == () and out.decoded is None
    depth = torch.from_numpy(np.stack([depth_of(m[0].numpy() > 0) for m in mask])[:, None])
    assert torch.corrcoef(torch.stack([out.heads["sdf"].flatten(), torch.tanh(depth / 4).flatten()]))[0, 1] > 0.8
    assert ((out.heads["sdf"] > 0) == mask.bool()).float().mean() > 0.9


def test_views_that_share_a_forward_are_parted_in_every_field():
    torch.manual_seed(0)
    net, views = TwoHeads().eval(), [torch.rand(n, 3, SIZE, SIZE) for n in (2, 0, 3)]
    parts = forward_views(net, views, features=True)
    for view, part in zip(views, parts, strict=True):
        alone = net(view, features=True)
        for a, b in (
            (part.logits, alone.logits),
            (part.heads["sdf"], alone.heads["sdf"]),
            (part.bottleneck, alone.bottleneck),
            (part.decoded, alone.decoded),
        ):
            assert torch.allclose(a, b, atol=1e-6) and len(a) == len(view)
    assert all(part.features == () and part.decoded is None for part in forward_views(net, views))


def test_a_method_is_refused_a_net_that_lacks_what_it_needs():
    says = r"method cct wants encode of its net, which plain does not give: nets that do: .*unet-s.*two-heads"
    for ask in (lambda: build_method("cct", net="plain", size=SIZE), lambda: check_net("cct", "plain")):
        with pytest.raises(InputError, match=says):
            ask()
    with pytest.raises(InputError, match=r"method signed wants sdf of its net, .* nets that do: .*two-heads"):
        check_net("signed", "unet-s")
    with pytest.raises(InputError, match=r"no pretrained weights exist for two-heads: .*mobilenet-unet"):
        check_net("signed", "two-heads", pretrained=True)
    with pytest.raises(InputError, match="unknown net 'unets'"):
        check_net("cct", "unets")
    build_method("supervised", net="plain", size=SIZE)
    check_net("signed", "two-heads")


# ---- what a batch holds ----------------------------------------------------------------------------------------------


def known(count: int, seed: int) -> Pictures:
    """Drawn pictures about which everything is known."""
    return replace(drawn_pictures(count, seed, SIZE), labels=torch.arange(count) % 2, classes=("a", "b"))


def test_each_stream_gives_what_was_asked_for_and_may_be_seen(tmp_path):
    train = TrainingSet(*(known(count, count) for count in (3, 5, 4, 6)))
    first, second = trained(tmp_path, train, method="watcher", steps=2, batch=6).seen
    assert list(first) == list(STREAMS)
    for batch in (first, second):
        assert {stream: len(views.strong) for stream, views in batch.items()} == Watcher.streams
        for stream, views in batch.items():
            hidden = stream == "unlabelled"
            assert (views.mask is None) == (views.label is None) == hidden
            assert all(view.shape == views.image.shape == (6, 3, SIZE, SIZE) for view in views.strong)
            if not hidden:  # flipped with the picture: the lesion is where it is dark
                assert views.mask.shape == (6, 1, SIZE, SIZE) and views.label.dtype == torch.long
                assert ((views.image.mean(1, keepdim=True) < 0.55) == views.mask.bool()).float().mean() > 0.99
        pass_over = batch["generated"].label  # six of six pictures: each once
        assert sorted(pass_over.tolist()) == [0, 0, 0, 1, 1, 1]
    assert not torch.equal(*(views.strong[k] for views in (first["clean"],) for k in (0, 1)))


def test_a_further_stream_moves_no_draw_of_the_others():
    train = TrainingSet(*(drawn_pictures(count, count, SIZE) for count in (3, 5, 4, 6)))
    few, all_of_them = Watcher("two-heads", SIZE), Watcher("two-heads", SIZE)
    few.streams = {"labelled": 0, "unlabelled": 1}
    batches = []
    for method in (few, all_of_them):
        torch.manual_seed(4)
        batches.append(make_batch(train, make_trial(method="watcher", batch=4), method, 2))
    for stream in few.streams:
        assert torch.equal(batches[0][stream].image, batches[1][stream].image)
    assert torch.equal(batches[0]["unlabelled"].strong[0], batches[1]["unlabelled"].strong[0])


def test_partners_are_unlabelled_pictures_of_a_draw_apart_and_move_no_other():
    train = TrainingSet(known(3, 3), known(40, 5))
    without, method = Watcher("two-heads", SIZE), Watcher("two-heads", SIZE)
    for each in (without, method):
        each.streams = {"labelled": 0, "unlabelled": 1}
    method.partners = 2
    met = set()
    for step in range(10):
        batches = []
        for each in (without, method):
            torch.manual_seed(step)
            batches.append(make_batch(train, make_trial(method="watcher", batch=4), each, step))
        plain, batch = batches
        assert list(plain) == ["labelled", "unlabelled"] and list(batch) == ["labelled", "unlabelled", "partners"]
        assert all(torch.equal(plain[name].image, batch[name].image) for name in plain)
        assert torch.equal(plain["unlabelled"].strong[0], batch["unlabelled"].strong[0])
        partners = batch["partners"]
        assert partners.mask is None and partners.label is None and len(partners.strong) == 2
        sums = [{round(picture.sum().item(), 2) for picture in batch[n].image} for n in ("unlabelled", "partners")]
        assert sums[0] != sums[1]
        met |= sums[1]
    pictures = {round((picture.float() / 255).sum().item(), 2) for picture in train.unlabelled.images}
    assert met == pictures  # ten steps of four of forty pictures: each once


@pytest.mark.parametrize("further", [{}, {"clean": 0}])
def test_a_stream_without_pictures_is_named(further, tmp_path):
    parts = {"unlabelled": 2, "generated": 2} | further
    few = {stream: drawn_pictures(2, 2, SIZE).take(range(count)) for stream, count in parts.items()}
    train = TrainingSet(drawn_pictures(2, 1, SIZE), **few)
    with pytest.raises(InputError, match="method watcher got no clean picture"):
        trained(tmp_path, train, method="watcher")


# ---- optimisers of several groups ------------------------------------------------------------------------------------


def test_each_group_has_the_optimiser_rate_and_schedule_that_the_trial_gives_it(tmp_path):
    """Three steps by hand: plain descent for the encoder, AdamW at the trial's own rate for the rest."""
    train = TrainingSet(drawn_pictures(5, 1, SIZE))
    encoder = {"optimizer": "sgd", "lr": 0.3, "schedule": "step", "weight_decay": 0.0}
    fields = {"method": "parted", "steps": 3, "batch": 4, "lr": 0.01, "groups": {"encoder": encoder}}
    method = trained(tmp_path, train, **fields)
    torch.manual_seed(0)
    by_hand = build_method("parted", net="two-heads", size=SIZE).to(memory_format=torch.channels_last).train()
    groups, trial = by_hand.groups(), make_trial(net="two-heads", size=SIZE, **fields)
    adam = torch.optim.AdamW(groups["rest"], weight_decay=trial.weight_decay)
    for step, fall in enumerate((1.0, 1.0, 0.5)):  # halved after 50/80 of the steps
        torch.manual_seed(step)
        by_hand.zero_grad()
        sum(by_hand.losses(make_batch(train, trial, by_hand, step), Progress(step, 3, 2)).values()).backward()
        adam.param_groups[0]["lr"] = 0.01 * (1 + math.cos(math.pi * step / 3)) / 2
        adam.step()
        with torch.no_grad():
            for parameter in groups["encoder"]:
                parameter -= 0.3 * fall * parameter.grad
    for (name, ours), theirs in zip(method.named_parameters(), by_hand.parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-7), name


def test_groups_without_settings_train_as_one(tmp_path):
    train = TrainingSet(drawn_pictures(5, 1, SIZE))
    parted, whole = (trained(tmp_path / name, train, method=name, steps=3) for name in ("parted", "signed"))
    assert all(map(torch.equal, parted.state_dict().values(), whole.state_dict().values()))


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({"encode": {"lr": 1.0}}, "unknown parameter group of method parted 'encode': did you mean encoder"),
        ({"encoder": {"optimizer": "sdg"}}, "unknown optimizer 'sdg': did you mean sgd"),
        ({"encoder": {"schedule": "cosin"}}, "unknown schedule 'cosin': did you mean cosine"),
        ({"encoder": {"momentum": 0.9}}, "parameter group encoder: .*AdamW.* 'momentum'.*: see torch.optim"),
        ({"encoder": {"lr": -1.0}}, "parameter group encoder: Invalid learning rate: -1.0"),
        ({"encoder": {"lr": "fast"}}, "parameter group encoder: .*: see torch.optim"),
    ],
)
def test_an_impossible_group_is_named(groups, says, tmp_path):
    with pytest.raises(InputError, match=says):
        trained(tmp_path, TrainingSet(drawn_pictures(2, 1, SIZE)), method="parted", groups=groups)


# ---- several steps, and steps that are not taken ---------------------------------------------------------------------


def reweighted(dtype: torch.dtype = torch.float32) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    views = drawn_batch(4, 0, SIZE, 0)["labelled"]
    return Reweighted("two-heads", SIZE).to(dtype).train(), views.image.to(dtype), views.mask.to(dtype)


def test_a_virtual_step_is_the_step_that_a_copy_takes():
    method, image, mask = reweighted()
    method.net.sdf.requires_grad_(False)  # what is frozen stays
    loss_of = lambda net: sample_losses(net(image).logits, mask).sum()
    twin, before = copy.deepcopy(method.net), copy.deepcopy(method.state_dict())
    loss_of(twin).backward()
    torch.optim.SGD(twin.parameters(), lr=0.3).step()
    state = stepper(method, lr=0.3).virtual(method.net, loss_of)
    assert state.keys() == twin.state_dict().keys()
    for name, tensor in twin.state_dict().items():
        assert torch.allclose(state[name].to(tensor.dtype), tensor, atol=1e-6), name
    functional_call(method.net, state, image)
    assert all(torch.equal(tensor, before[name]) for name, tensor in method.state_dict().items())
    assert all(parameter.grad is None for parameter in method.parameters())
    assert not torch.equal(state["encoder.1.running_mean"], before["net.encoder.1.running_mean"])  # has its own


def test_the_slope_of_a_virtual_step_is_that_of_finite_differences():
    method, image, mask = reweighted(torch.float64)
    step = stepper(method, lr=0.3)

    def after(weight: Tensor) -> Tensor:
        state = step.virtual(method.net, lambda net: (weight * sample_losses(net(image).logits, mask)).sum())
        return sample_losses(functional_call(method.net, state, image).logits, mask)[-1]

    weight = torch.full((4,), 0.25, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(after(weight), weight)
    nudges = 1e-6 * torch.eye(4, dtype=torch.float64)
    differences = [((after(weight + nudge) - after(weight - nudge)) / 2e-6).item() for nudge in nudges]
    assert slope.tolist() == pytest.approx(differences, rel=1e-4, abs=1e-9)


def test_forward_derivatives_leave_batch_statistics_alone():
    """DALE's way to all slopes at once: one forward-mode derivative, with the copies made inside."""
    method, image, mask = reweighted()
    parameters = dict(method.net.named_parameters())
    towards = {name: torch.randn_like(parameter) for name, parameter in parameters.items()}
    before = copy.deepcopy(method.state_dict())

    def losses(moved: dict[str, Tensor]) -> Tensor:
        return sample_losses(functional_call(method.net, apart(method.net) | moved, image).logits, mask)

    _, slope = torch.func.jvp(losses, (parameters,), (towards,))
    assert all(torch.equal(tensor, before[name]) for name, tensor in method.state_dict().items())
    for i in range(4):
        gradients = torch.autograd.grad(losses(parameters)[i], parameters.values(), allow_unused=True)
        pairs = zip(gradients, towards.values(), strict=True)
        assert slope[i].item() == pytest.approx(sum((g * t).sum().item() for g, t in pairs if g is not None), rel=1e-3)


def test_two_levels_learn_which_masks_are_wrong(tmp_path):
    """Half of the labelled pictures have inverted masks; their label, which nothing but this test reads, says so."""
    pictures = drawn_pictures(8, 1, SIZE)
    wrong = torch.arange(8) % 2
    masks = torch.where(wrong.bool().view(-1, 1, 1, 1), 1 - pictures.masks, pictures.masks)
    noisy = replace(pictures, masks=masks, labels=wrong, classes=("right", "wrong"))
    given = trained(tmp_path, TrainingSet(noisy, clean=drawn_pictures(4, 2, SIZE)), method="reweighted").given
    right, wrong = (np.mean([weight for label, weight in given if label == kind]) for kind in (0, 1))
    assert right > 5 * wrong and len(given) == 30 * 4


# ---- networks that are borrowed from files ---------------------------------------------------------------------------

DRAWN = {"data_options": {"n": 30, "size": 32}, "net": "two-heads", "size": 32, "steps": 4, "batch": 2, "labelled": 2}


@pytest.fixture
def teacher_file(tmp_path, monkeypatch) -> Path:
    """A teacher's weights, where a trial finds them by their hash."""
    torch.manual_seed(5)
    (tmp_path / "weights").mkdir()
    save_file(Lens().state_dict(), tmp_path / "weights/lens.safetensors")
    monkeypatch.setenv("TUTSEG_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights/lens.safetensors"


def test_each_prompt_reaches_its_own_picture_alone():
    torch.manual_seed(0)
    lens, images = Lens().eval(), torch.rand(3, 3, SIZE, SIZE)
    prompts = {
        "points": torch.tensor([[[0.2, 0.2, 1.0]], [[0.8, 0.3, 1.0]], [[0.5, 0.5, 0.0]]]),
        "boxes": torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.2, 0.4, 0.9, 0.8], [0.0, 0.0, 1.0, 1.0]]),
        "mask_logits": torch.randn(3, 1, SIZE, SIZE),
        "tokens": torch.randn(3, 2, 4),
    }
    embedding = lens.embed(images)
    for name, prompt in prompts.items():
        told = lens.decode(embedding, **{name: prompt}).logits
        assert torch.equal(told, lens(images, **{name: prompt}).logits)
        other = prompt.clone()
        other[1] = prompt[2]
        moved = (lens.decode(embedding, **{name: other}).logits != told).flatten(1).any(1)
        assert moved.tolist() == [False, True, False], name


def test_a_borrowed_teacher_teaches_and_is_neither_trained_nor_saved_nor_needed_to_predict(
    teacher_file, tmp_path, monkeypatch
):
    lens = load_file(teacher_file)
    trial = make_trial(method="prompted", inputs={"teacher": file_hash(teacher_file)}, **DRAWN)
    result = run_trial(trial, None, "cpu", tmp_path / "run")
    assert "input teacher" in result["provenance"]
    method = build_for(trial)
    tokens = method.tokens.clone()
    pictures = pictures_of("synth", None, 32, trial.data_options)
    fit(
        method,
        TrainingSet(pictures.take([0, 1]), pictures.take([2, 3])),
        trial,
        tmp_path,
        make_fabric("cpu", "32-true"),
    )
    assert method.training and not method.teacher.training and not torch.equal(method.tokens, tokens)
    assert all(torch.equal(tensor, lens[name]) for name, tensor in method.teacher.state_dict().items())
    assert not any(name.startswith("teacher") for name in method.state_dict())
    assert not any(parameter.requires_grad for parameter in method.teacher.parameters())
    assert len(method.groups()["all"]) == len(list(method.net.parameters())) + 1  # and the tokens

    teacher_file.unlink()
    saved, _ = read_weights(tmp_path / "run/weights.safetensors")
    assert saved.keys() == method.state_dict().keys()
    method, _ = load_run(tmp_path / "run")
    assert not hasattr(method, "teacher")
    test = pictures.take(split_of(trial, pictures).test)
    prediction = foreground(method, test, "net", make_fabric("cpu", "32-true"))
    dice = 2 * (prediction & truth_of(test)).sum() / (prediction.sum() + truth_of(test).sum())
    assert result["scores"]["net"]["dice"]["pooled"]["mean"] == pytest.approx(dice)

    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path))
    (tmp_path / "run").rename(tmp_path / trial.id)
    again = make_trial(method="prompted", inputs={"start": trial.id}, **DRAWN | {"steps": 0})  # scored, not trained
    assert run_trial(again, None, "cpu")["scores"] == result["scores"]


def test_training_goes_on_with_a_borrowed_teacher_where_it_was_stopped(teacher_file, tmp_path, monkeypatch):
    trial = make_trial(method="prompted", inputs={"teacher": file_hash(teacher_file)}, **DRAWN)
    run_trial(trial, None, "cpu", tmp_path / "whole")
    monkeypatch.setattr("tutseg.training.fit.SAVE_EVERY_S", 0)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "train" and done == 3:
            raise KeyError

    with pytest.raises(KeyError):
        run_trial(trial, None, "cpu", tmp_path / "parts", stop)
    state = load_state(tmp_path / "parts/state.pt")
    assert state["step"] == 3 and not any(name.startswith("teacher") for name in state["method"])
    run_trial(trial, None, "cpu", tmp_path / "parts")
    whole, parts = (read_weights(tmp_path / name / "weights.safetensors")[0] for name in ("whole", "parts"))
    assert whole.keys() == parts.keys() and all(map(torch.equal, whole.values(), parts.values()))


def test_the_network_of_a_finished_trial_is_borrowed_by_its_id(tmp_path, monkeypatch):
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path))
    first = make_trial(method="supervised", **DRAWN)
    run_trial(first)
    method = build_for(make_trial(method="taught", inputs={"teacher": first.id}, **DRAWN))
    teacher, _ = load_run(first.folder)
    assert all(map(torch.equal, method.teacher.state_dict().values(), teacher.net.state_dict().values()))
    other = make_trial(method="supervised", **DRAWN, seed=1)
    run_trial(other)
    started = build_for(make_trial(method="taught", inputs={"teacher": first.id, "start": other.id}, **DRAWN))
    assert all(map(torch.equal, started.teacher.state_dict().values(), teacher.net.state_dict().values()))
    assert torch.equal(started.net.head.weight, load_run(other.folder)[0].net.head.weight)
    assert not torch.equal(method.net.head.weight, teacher.net.head.weight)


def test_a_role_without_a_file_and_a_file_without_a_role_are_named(teacher_file, tmp_path):
    known = {"teacher": file_hash(teacher_file)}
    with pytest.raises(InputError, match="method prompted has no input teacher: pin one: --input teacher=ID"):
        run_trial(make_trial(method="prompted", **DRAWN), None, "cpu", tmp_path / "run")
    with pytest.raises(InputError, match="unknown input of method prompted 'teacha': did you mean teacher"):
        build_for(make_trial(method="prompted", inputs=known | {"teacha": known["teacher"]}, **DRAWN))
    with pytest.raises(InputError, match=r"lens.safetensors belongs to another network .*: pin the weights"):
        build_for(make_trial(method="taught", inputs=known, **DRAWN))


# ---- label noise as a property of the trial --------------------------------------------------------------------------


def test_a_trial_learns_from_noisy_masks_and_is_scored_by_true_ones(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(learn, "fit", lambda method, train, *rest: seen.append(train) or fit(method, train, *rest))
    fields = DRAWN | {"method": "supervised", "labelled": 4}
    trial = make_trial(**fields, noise={"kind": "grow", "rate": 0.1, "seed": 1})
    result, again = (run_trial(trial, None, "cpu", tmp_path / name) for name in ("noisy", "again"))
    run_trial(make_trial(**fields), None, "cpu", tmp_path / "clean")
    pictures = pictures_of("synth", None, 32, trial.data_options)
    split, kept = split_of(trial, pictures), np.load(tmp_path / "noisy/noise.npz")
    labelled, test = pictures.take(split.labelled), pictures.take(split.test)
    true, given = (masks[:, 0].numpy().astype(bool) for masks in (labelled.truth, seen[0].labelled.masks))
    assert tuple(kept["ids"]) == labelled.ids and np.array_equal(kept["changed"], true ^ given)
    assert kept["changed"].any((1, 2)).all() and not (kept["changed"] & true).any()  # wrong outside the lesions alone
    assert all(train.labelled.truth is None for train in seen) and torch.equal(seen[2].labelled.masks, labelled.truth)
    assert result["scores"] == again["scores"] and not (tmp_path / "clean/noise.npz").exists()
    assert (tmp_path / "noisy/noise.npz").read_bytes() == (tmp_path / "again/noise.npz").read_bytes()
    noisy, clean = (read_weights(tmp_path / name / "weights.safetensors")[0] for name in ("noisy", "clean"))
    assert not torch.equal(noisy["net.head.weight"], clean["net.head.weight"])
    prediction = foreground(load_run(tmp_path / "noisy")[0], test, "net", make_fabric("cpu", "32-true"))
    dice = 2 * (prediction & truth_of(test)).sum() / (prediction.sum() + truth_of(test).sum())
    assert result["scores"]["net"]["dice"]["pooled"]["mean"] == pytest.approx(dice)
