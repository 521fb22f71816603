"""What methods, networks and the training loop promise each other, each promise kept by a small real use."""

import copy
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import drawn_batch, ellipses, stepper
from torch import Tensor, nn
from torch.func import functional_call

from tutseg import methods, nets
from tutseg.data.loader import Pictures
from tutseg.data.noise import depth_of
from tutseg.errors import InputError
from tutseg.losses import bce_dice
from tutseg.methods import build_method, check_net
from tutseg.methods.base import STREAMS, Batch, Progress
from tutseg.methods.cards import MethodCard
from tutseg.methods.co_training.common import OneNet, forward_views
from tutseg.methods.step import Stepper, apart
from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder
from tutseg.training.fit import TrainingSet, fit, make_batch, make_fabric
from tutseg.training.trial import make_trial

SIZE = 16


class TwoHeads(EncoderDecoder):
    """A few convolutions with two heads, the mask's and "sdf"."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.head, self.sdf = nn.Conv2d(8, 1, 1), nn.Conv2d(8, 1, 1)

    def encode(self, images: Tensor) -> list[Tensor]:
        return [self.encoder(images)]

    def join(self, features: list[Tensor]) -> Tensor:
        return features[-1]

    def finish(self, joined: Tensor) -> Output:
        decoded = self.up(joined)
        return Output(self.head(decoded), {"sdf": torch.tanh(self.sdf(decoded))}, decoded=decoded)


class Plain(nn.Module):
    """One convolution that gives logits and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.only = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, images: Tensor, features: bool = False) -> Output:
        return Output(self.only(images))


def build(in_size: int, kind: type[nn.Module]) -> nn.Module:
    """What `tutseg.nets.build` calls for the networks of this file."""
    return kind()


class Signed(OneNet):
    """Learns the mask, and from its second head how far inside the mask a pixel lies (tanh, in widths of 4 pixels)."""

    streams: ClassVar = {"labelled": 0}
    needs = ("sdf",)

    def __init__(self, net: str, size: int, pretrained: bool = False) -> None:
        super().__init__()
        self.net = self.make_net(net, size, pretrained)

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        image, mask = batch["labelled"].image, batch["labelled"].mask
        out = self.net(image)
        depth = torch.from_numpy(np.stack([depth_of(m[0].numpy() > 0) for m in mask])[:, None])
        return {"mask": bce_dice(out.logits, mask), "sdf": F.mse_loss(out.heads["sdf"], torch.tanh(depth / 4))}


class Watcher(OneNet):
    """Learns as `Supervised` does and keeps every batch it is given."""

    streams: ClassVar = {"generated": 0, "clean": 2, "unlabelled": 1, "labelled": 0}

    def __init__(self, net: str, size: int, pretrained: bool = False) -> None:
        super().__init__()
        self.net, self.seen = self.make_net(net, size, pretrained), []

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        self.seen.append(batch)
        return {"sup": bce_dice(self.net(batch["labelled"].image).logits, batch["labelled"].mask)}


class Parted(Signed):
    """`Signed` with encoder and rest as groups of their own."""

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        encoder = list(self.net.encoder.parameters())
        return {"encoder": encoder, "rest": [p for p in self.parameters() if all(p is not q for q in encoder)]}


def sample_losses(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of each picture, ``(B,)``."""
    return F.binary_cross_entropy_with_logits(logits, mask, reduction="none").mean((1, 2, 3))


class Reweighted(OneNet):
    """Two levels (Ren et al., ICML 2018): a labelled picture weighs what a step on it would do for clean ones."""

    streams: ClassVar = {"labelled": 0, "clean": 0}

    def __init__(self, net: str, size: int, pretrained: bool = False) -> None:
        super().__init__()
        self.net, self.given = self.make_net(net, size, pretrained), []

    def update(self, batch: Batch, progress: Progress, step: Stepper) -> dict[str, Tensor]:
        noisy, clean = batch["labelled"], batch["clean"]
        weight = torch.zeros(len(noisy.image), requires_grad=True)
        state = step.virtual(self.net, lambda net: (weight * sample_losses(net(noisy.image).logits, noisy.mask)).sum())
        after = sample_losses(functional_call(self.net, state, clean.image).logits, clean.mask).mean()
        (slope,) = torch.autograd.grad(after, weight)
        weight = F.normalize(F.relu(-slope), p=1, dim=0)
        self.given += zip(noisy.label.tolist(), weight.tolist(), strict=True)
        return step({"sup": (weight * sample_losses(self.net(noisy.image).logits, noisy.mask)).sum()})


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The networks and methods of this file, known for one test."""
    card = replace(nets.cards.CARDS["unet-s"], module=__name__, stride=4)
    for name, kind, gives in (("two-heads", TwoHeads, ("encode", "decoded", "sdf")), ("plain", Plain, ())):
        monkeypatch.setitem(nets.cards.CARDS, name, replace(card, name=name, options={"kind": kind}, gives=gives))
    for cls in (Signed, Watcher, Parted, Reweighted):
        name = cls.__name__.lower()
        known = MethodCard(name, f"{__name__}:{cls.__name__}", "semi-supervised", "-", "of a test")
        monkeypatch.setitem(methods.cards.CARDS, name, known)


def drawn(count: int, seed: int) -> Pictures:
    image, mask = ellipses(count, SIZE, seed)
    ids = tuple(f"{seed}-{i}" for i in range(count))
    return Pictures((image * 255).byte(), ids, ids, "ellipses", mask.byte(), mask.byte())


def trained(folder, train: TrainingSet, **fields):
    """A method of this file after a short training."""
    given = {"net": "two-heads", "size": SIZE, "batch": 4, "lr": 0.02, "steps": 30, **fields}
    trial = make_trial(**given)
    torch.manual_seed(trial.seed)
    method = build_method(trial.method, net=trial.net, size=SIZE, **trial.options)
    fit(method, train, trial, folder, make_fabric("cpu", "32-true"))
    return method.eval()


# ---- what a network gives, what a method needs -----------------------------------------------------------------------


def test_a_second_head_learns_its_own_target(tmp_path):
    method = trained(tmp_path, TrainingSet(drawn(8, 1), drawn(1, 2)), method="signed")
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
    with pytest.raises(InputError, match=r"method signed wants sdf of its net, .* nets that do: two-heads"):
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
    return replace(drawn(count, seed), labels=torch.arange(count) % 2, classes=("a", "b"))


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
    train = TrainingSet(*(drawn(count, count) for count in (3, 5, 4, 6)))
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


def test_a_stream_without_pictures_is_named(tmp_path):
    for train in (TrainingSet(drawn(2, 1), drawn(2, 2)), TrainingSet(drawn(2, 1), drawn(2, 2), drawn(2, 3).take([]))):
        with pytest.raises(InputError, match=r"method watcher got no (generated|clean) picture"):
            trained(tmp_path, train, method="watcher")


# ---- optimisers of several groups ------------------------------------------------------------------------------------


def test_each_group_has_the_optimiser_rate_and_schedule_that_the_trial_gives_it(tmp_path):
    """Three steps by hand: plain descent for the encoder, AdamW at the trial's own rate for the rest."""
    train = TrainingSet(drawn(5, 1))
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
    train = TrainingSet(drawn(5, 1))
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
        trained(tmp_path, TrainingSet(drawn(2, 1)), method="parted", groups=groups)


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
    pictures = drawn(8, 1)
    wrong = torch.arange(8) % 2
    masks = torch.where(wrong.bool().view(-1, 1, 1, 1), 1 - pictures.masks, pictures.masks)
    noisy = replace(pictures, masks=masks, labels=wrong, classes=("right", "wrong"))
    given = trained(tmp_path, TrainingSet(noisy, clean=drawn(4, 2)), method="reweighted").given
    right, wrong = (np.mean([weight for label, weight in given if label == kind]) for kind in (0, 1))
    assert right > 5 * wrong and len(given) == 30 * 4
