"""The loop of Kanezaki, SGSCN, MS-Former and S3-Net: a network learns its own arg-max until few clusters are left."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from tutseg.methods.one_image.base import OneImageMethod, OnStep, Step
from tutseg.methods.one_image.clusters import number_of_clusters
from tutseg.methods.one_image.stack import Stack


def self_label_loss(logits: Tensor) -> Tensor:
    """Cross-entropy of each pixel to its own largest channel, mean over pixels (S3-Net Eq. 4); ``(B,)``.

    Its gradient makes the winner win by more; clusters vanish because a network that shares its weights over the
    picture cannot keep them all.
    """
    return F.cross_entropy(logits, logits.detach().argmax(1), reduction="none").mean((1, 2))


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
        sgd = partial(SGD, lr=self.lr, momentum=0.9)
        stack = Stack(lambda: self.network(tuple(images.shape[2:])), seeds, images, sgd)
        chance = [np.random.default_rng(seed) for seed in seeds]
        running = torch.arange(len(images), device=images.device)
        result = torch.empty(len(images), *images.shape[2:], dtype=torch.int64, device=images.device)
        for number in range(self.steps):
            logits, terms = self.losses(stack, images[running], [chance[i] for i in running.tolist()])
            labels = logits.detach().argmax(1)
            if on_step:
                on_step(Step(number, running, labels, {name: term.detach() for name, term in terms.items()}))
            stack.descend(sum(terms.values()))
            few = number_of_clusters(labels) <= self.min_labels
            done = few & (number + 1 >= self.min_steps) | (number + 1 == self.steps)
            if done.any():
                result[running[done]] = self.labels(stack.take(done), images[running[done]])
                if done.all():
                    break
                stack, running = stack.take(~done), running[~done]
        return result
