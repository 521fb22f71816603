"""Networks and methods for tests of what they promise each other: small, and each for one promise."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from tutseg import methods, nets
from tutseg.data.noise import depth_of
from tutseg.losses import bce_dice
from tutseg.methods import build_method
from tutseg.methods.base import Batch, Progress, frozen
from tutseg.methods.cards import MethodCard
from tutseg.methods.co_training.common import OneNet, forward_views
from tutseg.methods.step import Stepper
from tutseg.nets import Output
from tutseg.nets.common import EncoderDecoder, Promptable
from tutseg.training.fit import TrainingSet, fit, make_fabric
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


class Glance(nn.Module):
    """Two convolutions, then the mean over the picture: logits of classes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU()
        )
        self.head = nn.Linear(16, classes)

    def forward(self, images: Tensor, features: bool = False) -> Output:
        return Output(self.head(self.see(images).mean((2, 3))))


def build(in_size: int, kind: type[nn.Module], **options: object) -> nn.Module:
    """What `tutseg.nets.build` calls for the networks of this file."""
    return kind(**options)


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


class Lens(Promptable):
    """Two layers: one embeds, one decodes what it saw beside a drawing of the prompts."""

    def __init__(self) -> None:
        super().__init__()
        self.eye = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.hand = nn.Conv2d(4 + 3, 1, 3, padding=1)

    def embed(self, images: Tensor) -> Tensor:
        return self.eye(images)

    def decode(self, embedding, points=None, boxes=None, mask_logits=None, tokens=None) -> Output:
        b, _, h, w = embedding.shape
        clicks, inside = torch.zeros(2, b, 1, h, w)
        x, y = torch.meshgrid((torch.arange(w) + 0.5) / w, (torch.arange(h) + 0.5) / h, indexing="xy")
        for i in range(b):
            for px, py, on in [] if points is None else points[i]:
                clicks[i] += (2 * on - 1) * torch.exp(-50 * ((x - px) ** 2 + (y - py) ** 2))
            if boxes is not None:
                left, top, right, bottom = boxes[i]
                inside[i, 0] = ((left < x) & (x < right) & (top < y) & (y < bottom)).float()
        guess = torch.zeros(b, 1, h, w) if mask_logits is None else torch.tanh(mask_logits)
        told = embedding if tokens is None else embedding + tokens.mean(1)[..., None, None]
        return Output(self.hand(torch.cat([told, clicks, inside, guess], dim=1)))


class Prompted(OneNet):
    """SAM-KD in small: a frozen teacher, prompted by the student's belief and a learned token, teaches the student."""

    roles = ("teacher",)
    borrowed = ("teacher",)

    def __init__(self, net: str, size: int, pretrained: bool = False, inputs: Mapping[str, Path] | None = None) -> None:
        super().__init__()
        self.net = self.make_net(net, size, pretrained)
        self.tokens = nn.Parameter(torch.zeros(1, 2, 4))
        if inputs:
            self.teacher = frozen(Lens(), inputs["teacher"])

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        x, y, x_u = batch["labelled"].image, batch["labelled"].mask, batch["unlabelled"].image
        labelled, unlabelled = forward_views(self.net, [x, x_u])
        both, guess = torch.cat([x, x_u]), torch.cat([labelled.logits, unlabelled.logits]).detach()
        told = self.teacher(both, mask_logits=guess, tokens=self.tokens.expand(len(both), -1, -1)).logits
        target = torch.sigmoid(told[len(x) :].detach())
        return {
            "sup": bce_dice(labelled.logits, y),
            "sam": bce_dice(told[: len(x)], y),
            "kd": bce_dice(unlabelled.logits, target),
        }


class Taught(OneNet):
    """Learns the logits of a finished trial's network, but for a shift."""

    roles = ("teacher",)
    borrowed = ("teacher",)
    streams: ClassVar = {"labelled": 0}

    def __init__(self, net: str, size: int, pretrained: bool = False, inputs: Mapping[str, Path] | None = None) -> None:
        super().__init__()
        self.net = self.make_net(net, size, pretrained)
        if inputs:
            self.teacher = frozen(self.make_net(net, size), inputs["teacher"], "net")
        self.shift = nn.Parameter(torch.zeros(1))

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        image = batch["labelled"].image
        return {"kd": F.mse_loss(self.net(image).logits + self.shift, self.teacher(image).logits)}


def register_toys(monkeypatch) -> None:
    """Make the networks and methods of this file known for one test."""
    card = replace(nets.cards.CARDS["unet-s"], module=__name__, stride=4)
    for name, kind, gives in (
        ("two-heads", TwoHeads, ("encode", "decoded", "sdf")),
        ("plain", Plain, ()),
        ("glance", Glance, ("classify",)),
    ):
        monkeypatch.setitem(nets.cards.CARDS, name, replace(card, name=name, options={"kind": kind}, gives=gives))
    for cls in (Signed, Watcher, Parted, Reweighted, Prompted, Taught):
        name = cls.__name__.lower()
        known = MethodCard(name, f"{__name__}:{cls.__name__}", "semi-supervised", "-", "of a test")
        monkeypatch.setitem(methods.cards.CARDS, name, known)


def trained(folder, train: TrainingSet, **fields):
    """A method of this file after a short training."""
    given = {"net": "two-heads", "size": SIZE, "batch": 4, "lr": 0.02, "steps": 30, **fields}
    trial = make_trial(**given)
    torch.manual_seed(trial.seed)
    method = build_method(trial.method, net=trial.net, size=SIZE, **trial.options)
    fit(method, train, trial, folder, make_fabric("cpu", "32-true"))
    return method.eval()
