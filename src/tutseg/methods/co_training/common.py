"""What several methods share: ramps, one forward for many views, and the two-branch skeleton of co-training."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tutseg.errors import unknown
from tutseg.methods.base import Method
from tutseg.nets import Output


def ramp_up(fraction: float) -> float:
    """Consistency warm-up ``exp(-5 (1 - t)^2)`` of Laine and Aila (2017).

    Parameters
    ----------
    fraction : float
        Share of the ramp done; clipped to [0, 1].

    Returns
    -------
    float
        From exp(-5) = 0.0067 at 0 to 1 at 1.
    """
    t = min(max(fraction, 0.0), 1.0)
    return math.exp(-5.0 * (1.0 - t) ** 2)


def forward_views(net: nn.Module, views: list[Tensor], features: bool = False, separate: bool = False) -> list[Output]:
    """One forward over several views, concatenated along the batch, and split again.

    Equal to one forward a view for a net without batch statistics, and cheaper; with batch normalisation the
    views share their statistics, which is what a student sees in most co-training code that concatenates.

    Parameters
    ----------
    net : nn.Module
        Maps ``(B, 3, H, W)`` to an `Output`.
    views : list of Tensor
        Each ``(B_i, 3, H, W)``; empty ones are allowed.
    features : bool
        Whether features are wanted.
    separate : bool
        One forward a view after all, so that each view is normalised by its own statistics.
    """
    if separate:
        return [net(view, features=features) for view in views]
    return net(torch.cat(views), features=features).split([len(view) for view in views])


def hard_label(logits: Tensor) -> Tensor:
    """Binary arg-max: 1 where p >= 0.5; float like the logits, without gradient."""
    return (logits.detach() >= 0).to(logits.dtype)


@contextmanager
def inference(net: nn.Module) -> Iterator[None]:
    """`net` in evaluation mode (running statistics, no dropout) inside the block, as it was after it."""
    training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(training)


@contextmanager
def statistics_kept(net: nn.Module) -> Iterator[None]:
    """Inside the block batch normalisation uses the batch's own statistics, and the running ones do not move."""
    layers = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


@torch.no_grad()
def dry_run(net: nn.Module, size: int) -> tuple[list[Tensor], Tensor]:
    """What `net` makes of one black picture: all encoder maps, and what its last block sees, for their shapes."""
    with inference(net):
        maps = net.encode(torch.zeros(1, 3, size, size))
        return maps, net.join(maps)


class OneNet(Method):
    """A method that is evaluated by one network, `self.net`."""

    net: nn.Module

    def predict(self, images: Tensor, view: str | None = None) -> Tensor:
        """Probability of the single network; see `Method.predict`."""
        if view not in (None, *self.views):
            raise unknown("view", view, self.views)
        return torch.sigmoid(self.net(images).logits.float())

    def features(self, images: Tensor) -> list[Tensor]:
        """Bottleneck of the single network; see `Method.features`."""
        return [self.net(images, features=True).bottleneck]


class NamedNets(Method):
    """A method whose views are its networks, by the names of their attributes; the first is its features'."""

    def predict(self, images: Tensor, view: str | None = None) -> Tensor:
        """Probability of the network `view`, by default the first; see `Method.predict`."""
        view = view or self.views[0]
        if view not in self.views:
            raise unknown("view", view, self.views)
        return torch.sigmoid(getattr(self, view)(images).logits.float())

    def features(self, images: Tensor) -> list[Tensor]:
        """Bottleneck of the first network; see `Method.features`."""
        return [getattr(self, self.views[0])(images, features=True).bottleneck]


class TwoBranch(Method):
    """Two networks of one architecture, initialised independently, no weights shared.

    Either branch or the mean of their probabilities can be evaluated. The official code of DME-FD reports the
    better branch on the test fold; CPS reports branch 1, which is the default here.
    """

    views = ("branch1", "branch2", "mean")

    def __init__(self, net: str, size: int, pretrained: bool = False) -> None:
        super().__init__()
        self.branch1 = self.make_net(net, size, pretrained)
        self.branch2 = self.make_net(net, size, pretrained)

    def predict(self, images: Tensor, view: str | None = None) -> Tensor:
        """Probability by ``view``: "branch1" (default), "branch2" or "mean"."""
        view = view or self.views[0]
        if view not in self.views:
            raise unknown("view", view, self.views)
        branches = [1, 2] if view == "mean" else [int(view[-1])]
        return torch.stack([torch.sigmoid(self.branch(images, i).logits.float()) for i in branches]).mean(0)

    def branch(self, images: Tensor, which: int) -> Output:
        """Output of branch 1 or 2."""
        return (self.branch1 if which == 1 else self.branch2)(images)

    def features(self, images: Tensor) -> list[Tensor]:
        """Bottlenecks of branch 1 and branch 2."""
        return [net(images, features=True).bottleneck for net in (self.branch1, self.branch2)]
