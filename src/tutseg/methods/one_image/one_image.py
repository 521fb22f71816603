"""Segmenting one picture with no labels: what S3-Net and its rivals share.

Such a method sees one picture and returns a map of clusters. Three things are kept apart here that the papers mix:

1. `OneImageMethod.segment` groups the pixels, and sees no truth.
2. `choose` says which cluster is the lesion. The papers ask the truth (``oracle``); the other rules do not.
3. `leak` deletes what lies far from the true lesion. The published evaluation code of S3-Net and MS-Former does
   that to the prediction it scores.

Every picture has a network, a seed and a stop of its own. `Stack` runs many such networks side by side, which a GPU
needs to be busy; no picture's result depends on its neighbours.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from tutseg.errors import InputError, unknown


@dataclass(frozen=True)
class Step:
    """One iteration of a method, as `segment` shows it to whoever watches.

    Parameters
    ----------
    number : int
        Iterations done before this one, from 0.
    pictures : Tensor
        int64 ``(A,)``: which of the batch's pictures are still running.
    labels : Tensor
        int64 ``(A, H, W)``: their cluster maps before this iteration's update.
    losses : dict of Tensor
        The weighted terms, each ``(A,)``.
    """

    number: int
    pictures: Tensor
    labels: Tensor
    losses: dict[str, Tensor]


OnStep = Callable[[Step], None]


class OneImageMethod:
    """A method that needs nothing but the picture. A subclass writes `cluster`.

    Parameters
    ----------
    seed : int
        Of everything random, where `segment` is given no seeds.
    steps : int
        The most iterations spent on a picture.
    """

    multiple_of: ClassVar[int] = 1

    def __init__(self, seed: int = 0, steps: int = 50) -> None:
        if steps < 1:
            raise InputError(f"steps {steps} is too few", "use 1 or more")
        self.seed, self.steps = seed, steps

    def segment(self, images: Tensor, seeds: Sequence[int] | None = None, on_step: OnStep | None = None) -> Tensor:
        """Group the pixels of each picture.

        On a CPU the pictures go one by one: running them side by side costs more there than it saves (see
        ``benchmarks/one_image.py``).

        Parameters
        ----------
        images : Tensor
            float ``(B, 3, H, W)`` in [0, 1].
        seeds : sequence of int, optional
            One a picture; without it every picture has the method's own seed.
        on_step : callable, optional
            Called with a `Step` at every iteration of an iterative method.

        Returns
        -------
        Tensor
            int64 cluster maps ``(B, H, W)``. The numbers of the clusters mean nothing and may have gaps.

        Raises
        ------
        InputError
            Images of another shape, or of a size that the method cannot take.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise InputError(f"images have shape {tuple(images.shape)}", "give float images (B, 3, H, W) in [0, 1]")
        if any(side % self.multiple_of for side in images.shape[2:]):
            raise InputError(
                f"pictures of {images.shape[3]}x{images.shape[2]} pixels do not fit {type(self).__name__}",
                f"use a multiple of {self.multiple_of}",
            )
        seeds = [self.seed] * len(images) if seeds is None else list(seeds)
        if images.device.type != "cpu":
            return self.cluster(images, seeds, on_step)
        maps = []
        for i, seed in enumerate(seeds):
            watch = on_step and (
                lambda step, i=i: on_step(Step(step.number, torch.tensor([i]), step.labels, step.losses))
            )
            maps.append(self.cluster(images[i : i + 1], [seed], watch))
        return torch.cat(maps)

    def cluster(self, images: Tensor, seeds: Sequence[int], on_step: OnStep | None = None) -> Tensor:
        """What `segment` does, all pictures side by side."""
        raise NotImplementedError


class Stack:
    """One network a picture, of one architecture, run together.

    Parameters
    ----------
    make : callable
        Builds one network, drawing from torch's global generator.
    seeds : sequence of int
        One a network.
    like : Tensor
        The networks take its device and dtype.
    """

    def __init__(self, make: Callable[[], nn.Module], seeds: Sequence[int], like: Tensor) -> None:
        networks = []
        for seed in seeds:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                networks.append(make())
        parameters, _ = stack_module_state(networks)
        self.parameters = {name: p.detach().to(like).requires_grad_() for name, p in parameters.items()}
        self._velocity: dict[str, Tensor] = {}
        self._skeleton = copy.deepcopy(networks[0]).to("meta")

    def __call__(self, images: Tensor, **options: Any) -> Any:
        """Each network's output for its own picture; tensors ``(B, ...)`` as if one network had made them."""

        def one(parameters: dict[str, Tensor], image: Tensor) -> Any:
            return functional_call(self._skeleton, parameters, (image[None],), options)

        if len(images) == 1:
            # The same sums without vmap's detours, in the memory format in which a CPU convolves twice as fast.
            own = {name: p[0] for name, p in self.parameters.items()}
            nhwc = images.contiguous(memory_format=torch.channels_last)
            return functional_call(self._skeleton, own, (nhwc,), options)
        out = torch.vmap(one)(self.parameters, images)
        return out.squeeze(1) if isinstance(out, Tensor) else tuple(part.squeeze(1) for part in out)

    def descend(self, losses: Tensor, lr: float, momentum: float = 0.9, decay: float = 0.0) -> None:
        """One step of SGD with momentum for each network on its own loss ``(B,)``.

        The networks share nothing, so the gradient of the sum is each one's own gradient.
        """
        gradients = torch.autograd.grad(losses.sum(), list(self.parameters.values()), materialize_grads=True)
        with torch.no_grad():
            for (name, p), gradient in zip(self.parameters.items(), gradients, strict=True):
                if decay:
                    gradient = gradient + decay * p
                if name in self._velocity:
                    gradient = self._velocity[name].mul_(momentum).add_(gradient)
                self._velocity[name] = gradient
                p -= lr * gradient

    def take(self, at: Tensor) -> "Stack":
        """The networks at ``at``, with their momentum."""
        part = copy.copy(self)
        part.parameters = {name: p.detach()[at].requires_grad_() for name, p in self.parameters.items()}
        part._velocity = {name: v[at] for name, v in self._velocity.items()}
        return part

    def renew(self, prefix: str, other: "Stack") -> None:
        """Take the parameters under ``prefix`` from another stack and forget their momentum."""
        for name in self.parameters:
            if name.startswith(prefix):
                self.parameters[name] = other.parameters[name]
                self._velocity.pop(name, None)


class SelfTraining(OneImageMethod):
    """A network that learns its own arg-max until few clusters are left (Kanezaki and all that followed).

    A subclass writes `network` and `losses`. Its loop, from Kanezaki's code: forward, label each pixel with its
    largest channel, one step of SGD; stop when no more than `min_labels` labels are left; one last forward.

    Parameters
    ----------
    lr : float
        Of SGD with momentum 0.9.
    min_labels : int
        Stop at so many clusters or fewer; 0 never stops early.
    min_steps : int
        But not before so many iterations.
    """

    def __init__(self, seed: int, steps: int, lr: float, min_labels: int, min_steps: int = 1) -> None:
        super().__init__(seed, steps)
        self.lr, self.min_labels, self.min_steps = lr, min_labels, min_steps

    def network(self, size: tuple[int, int]) -> nn.Module:
        """One picture's network, whose first (or only) output is the logits ``(1, K, H, W)``."""
        raise NotImplementedError

    def losses(
        self, stack: Stack, images: Tensor, chance: Sequence[np.random.Generator]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits ``(B, K, H, W)`` and the weighted loss terms, each ``(B,)``; `chance` is each picture's own."""
        raise NotImplementedError

    def labels(self, stack: Stack, images: Tensor) -> Tensor:
        """Cluster maps ``(B, H, W)``: the arg-max of one forward pass."""
        with torch.no_grad():
            out = stack(images)
        return (out if isinstance(out, Tensor) else out[0]).argmax(1)

    def cluster(self, images: Tensor, seeds: Sequence[int], on_step: OnStep | None = None) -> Tensor:
        stack = Stack(lambda: self.network(tuple(images.shape[2:])), seeds, images)
        chance = [np.random.default_rng(seed) for seed in seeds]
        running = torch.arange(len(images), device=images.device)
        result = torch.empty(len(images), *images.shape[2:], dtype=torch.int64, device=images.device)
        for number in range(self.steps):
            logits, terms = self.losses(stack, images[running], [chance[i] for i in running.tolist()])
            labels = logits.detach().argmax(1)
            if on_step:
                on_step(Step(number, running, labels, {name: term.detach() for name, term in terms.items()}))
            stack.descend(sum(terms.values()), self.lr)
            few = number_of_clusters(labels) <= self.min_labels
            done = few & (number + 1 >= self.min_steps) | (number + 1 == self.steps)
            if done.any():
                result[running[done]] = self.labels(stack.take(done), images[running[done]])
                if done.all():
                    break
                stack, running = stack.take(~done), running[~done]
        return result


def self_label_loss(logits: Tensor) -> Tensor:
    """Cross-entropy of each pixel to its own largest channel, mean over pixels (S3-Net Eq. 4); ``(B,)``.

    Its gradient makes the winner win by more; clusters vanish because a network that shares its weights over the
    picture cannot keep them all.
    """
    return F.cross_entropy(logits, logits.detach().argmax(1), reduction="none").mean((1, 2))


def number_of_clusters(labels: Tensor) -> Tensor:
    """How many different labels each map ``(B, H, W)`` holds; int64 ``(B,)``."""
    present = torch.zeros(len(labels), int(labels.max()) + 1, dtype=torch.int64, device=labels.device)
    return present.scatter_(1, labels.flatten(1), 1).sum(1)


@dataclass(frozen=True)
class Trace:
    """What happened to one picture.

    Parameters
    ----------
    labels : numpy.ndarray
        uint8 ``(T, H, W)``: the cluster map at each iteration.
    clusters : numpy.ndarray
        int64 ``(T,)``: how many clusters each map holds.
    losses : dict of numpy.ndarray
        The weighted terms, each float32 ``(T,)``.
    result : numpy.ndarray
        uint8 ``(H, W)``: what `segment` returns.
    """

    labels: np.ndarray
    clusters: np.ndarray
    losses: dict[str, np.ndarray]
    result: np.ndarray


def trace(method: OneImageMethod, image: Tensor, seed: int | None = None) -> Trace:
    """Segment one picture ``(3, H, W)`` and keep every iteration; a method without iterations has T = 0."""
    steps: list[Step] = []
    result = method.segment(image[None], None if seed is None else [seed], steps.append)[0]
    maps = [step.labels[0] for step in steps]
    names = list(steps[0].losses) if steps else []
    return Trace(
        labels=np.array([m.cpu().numpy() for m in maps], dtype=np.uint8).reshape(len(maps), *result.shape),
        clusters=np.array([int(m.unique().numel()) for m in maps], dtype=np.int64),
        losses={n: np.array([float(step.losses[n][0]) for step in steps], dtype=np.float32) for n in names},
        result=result.cpu().numpy().astype(np.uint8),
    )


# Which cluster is the lesion?

RULES = ("oracle", "darkest", "central", "contrast")
SMALLEST = 0.01  # of the picture: below it a cluster is a hair or a ruler mark, and no rule but the oracle takes it
FRAME_HELD = 0.1  # of the frame: a cluster that holds more of it is taken for background


def choose(labels: Tensor, images: Tensor, rule: str, truth: Tensor | None = None) -> Tensor:
    """The cluster that is taken for the foreground.

    Parameters
    ----------
    labels : Tensor
        int64 cluster maps ``(B, H, W)``.
    images : Tensor
        ``(B, 3, H, W)`` in [0, 1].
    rule : {"oracle", "darkest", "central", "contrast"}
        ``oracle``: the largest overlap with the truth, which is how S3-Net, MS-Former and SGSCN are evaluated.
        ``darkest``: the lowest mean grey. ``central``: the smallest mean squared distance to the picture's centre.
        ``contrast``: the mean colour furthest from that of the rest, among clusters that hold less than a tenth of
        the picture's frame (its outer 5 %), since skin and dark corners reach the edge and a lesion seldom does;
        where there is none, among all. The distance counts by the share of the frame left free. The three look only at
        clusters of at least 1 % of the picture.
    truth : Tensor, optional
        ``(B, 1, H, W)`` in {0, 1}; only the oracle may have it.

    Returns
    -------
    Tensor
        float32 in {0, 1}, ``(B, 1, H, W)``.
    """
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    if (rule == "oracle") != (truth is not None):
        raise InputError(f"rule {rule}", "give the truth to the oracle, and to no other rule")
    maps = [_one_hot(m) for m in labels]
    if rule == "oracle":
        best = [one_hot[(one_hot * t).sum((1, 2)).argmax()] for one_hot, t in zip(maps, truth, strict=True)]
    else:
        best = [m[_score(m, image, rule).argmax()] for m, image in zip(maps, images, strict=True)]
    return torch.stack(best)[:, None]


def _one_hot(labels: Tensor) -> Tensor:
    """float32 ``(k, H, W)``, one mask for each label that occurs."""
    return (labels == labels.unique()[:, None, None]).float()


def _score(one_hot: Tensor, image: Tensor, rule: str) -> Tensor:
    """How much each cluster ``(k, H, W)`` looks like a lesion to a label-free rule; ``(k,)``."""
    area = one_hot.sum((1, 2))
    h, w = image.shape[1:]
    large = area >= min(SMALLEST * h * w, float(area.max()))
    if rule == "central":
        y = torch.linspace(-1, 1, h, device=image.device)[:, None] ** 2
        x = torch.linspace(-1, 1, w, device=image.device) ** 2
        return (-(one_hot * (y + x)).sum((1, 2)) / area).masked_fill(~large, -torch.inf)
    colour = torch.einsum("khw,chw->kc", one_hot, image.float()) / area[:, None]
    if rule == "darkest":
        return -(colour @ colour.new_tensor([0.299, 0.587, 0.114])).masked_fill(~large, torch.inf)
    frame = torch.ones(h, w, dtype=torch.bool, device=image.device)
    frame[h // 20 + 1 : -(h // 20 + 1), w // 20 + 1 : -(w // 20 + 1)] = False
    held = one_hot[:, frame].mean(1)
    rest = (image.float().sum((1, 2)) - colour * area[:, None]) / (h * w - area).clamp(min=1)[:, None]
    within = large & (held < FRAME_HELD)
    score = (colour - rest).norm(dim=1) * (1 - held)
    return score.masked_fill(~(within if within.any() else large), -torch.inf)


def leak(prediction: Tensor, truth: Tensor, margin: int) -> Tensor:
    """The prediction with all that lies further than ``margin`` pixels (chessboard) from the true lesion deleted.

    The evaluation helpers of S3-Net (4 px: a 5x5 dilation, twice) and of MS-Former (6 px: 7x7, twice) do this
    before they score. False positives vanish; no Dice can fall. Shapes ``(B, 1, H, W)``.
    """
    return prediction * F.max_pool2d(truth, 2 * margin + 1, stride=1, padding=margin)


# Moving pictures.


def affine_grid(
    shape: tuple[int, int], angle: Tensor, scale: Tensor, shear: Tensor, shift: Tensor, inverse: bool = False
) -> Tensor:
    """Where each pixel of the moved picture comes from: rotate, shear and scale about the centre, then translate.

    Parameters
    ----------
    shape : (int, int)
        H and W.
    angle, scale, shear : Tensor
        ``(B,)``: degrees, a factor (above 1 enlarges), degrees.
    shift : Tensor
        ``(B, 2)``: (Δx, Δy) as a fraction of the width and height.
    inverse : bool
        The grid that undoes the move.

    Returns
    -------
    Tensor
        ``(B, H, W, 2)`` for `move`.
    """
    h, w = shape
    turn, slant = torch.deg2rad(angle), torch.tan(torch.deg2rad(shear))
    cos, sin = turn.cos() * scale, turn.sin() * scale
    forward = torch.stack([torch.stack([cos, cos * slant - sin], -1), torch.stack([sin, sin * slant + cos], -1)], 1)
    side = forward.new_tensor([w, h])
    y, x = torch.meshgrid(
        (torch.arange(h, device=side.device, dtype=side.dtype) + 0.5) / h * 2 - 1,
        (torch.arange(w, device=side.device, dtype=side.dtype) + 0.5) / w * 2 - 1,
        indexing="ij",
    )
    # In half pictures times side = pixels, so that a rotation stays one in pictures that are not square.
    target = torch.stack([x, y], -1) * side
    move_by = (2 * shift * side)[:, None, None]
    if inverse:
        source = torch.einsum("bij,hwj->bhwi", forward, target) + move_by
    else:
        source = torch.einsum("bij,bhwj->bhwi", torch.linalg.inv(forward), target - move_by)
    return source / side


def move(maps: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """Maps ``(B, C, H, W)`` resampled at `grid`; 0 where it leaves the picture."""
    return F.grid_sample(maps, grid.to(maps.dtype), mode=mode, padding_mode="zeros", align_corners=False)


def inside(grid: Tensor) -> Tensor:
    """bool ``(B, H, W)``: pixels that come wholly from within the picture."""
    h, w = grid.shape[1:3]
    edge = 1 + 1e-5  # the grid is rounded
    return (grid[..., 0].abs() <= edge - 1 / w) & (grid[..., 1].abs() <= edge - 1 / h)
