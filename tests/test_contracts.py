"""What methods, networks and the training loop promise each other, each promise kept by a small real use."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import ellipses
from torch import Tensor, nn

from tutseg import methods, nets
from tutseg.data.loader import Pictures
from tutseg.data.noise import depth_of
from tutseg.errors import InputError
from tutseg.losses import bce_dice
from tutseg.methods import build_method, check_net
from tutseg.methods.base import STREAMS, Batch, Progress
from tutseg.methods.cards import MethodCard
from tutseg.methods.co_training.common import OneNet, forward_views
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

    def decode(self, features: list[Tensor]) -> Output:
        decoded = self.up(features[-1])
        return Output(self.head(decoded), {"sdf": torch.tanh(self.sdf(decoded))}, tuple(features), decoded)


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


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The networks and methods of this file, known for one test."""
    card = replace(nets.cards.CARDS["unet-s"], module=__name__, stride=4)
    for name, kind, gives in (("two-heads", TwoHeads, ("encode", "decoded", "sdf")), ("plain", Plain, ())):
        monkeypatch.setitem(nets.cards.CARDS, name, replace(card, name=name, options={"kind": kind}, gives=gives))
    for cls in (Signed, Watcher):
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


def test_a_stream_without_pictures_is_named(tmp_path):
    for train in (TrainingSet(drawn(2, 1), drawn(2, 2)), TrainingSet(drawn(2, 1), drawn(2, 2), drawn(2, 3).take([]))):
        with pytest.raises(InputError, match=r"method watcher got no (generated|clean) picture"):
            trained(tmp_path, train, method="watcher")
