"""DeepCluster in its per-picture form: the pixels of one picture in the place of the pictures of a data set.

Caron, Bojanowski, Joulin, Douze, "Deep Clustering for Unsupervised Learning of Visual Features", ECCV 2018. SGSCN
and S3-Net print it in their tables without saying how it was brought to single pictures; this is the plain way.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from tutseg.errors import InputError
from tutseg.methods.one_image.base import OneImageMethod, OnStep, Step
from tutseg.methods.one_image.k_means import k_means
from tutseg.methods.one_image.kanezaki import trunk
from tutseg.methods.one_image.stack import Stack
from tutseg.methods.options import Count, Positive, Several, Whole, checked


class _Net(nn.Module):
    """Features ``(B, C, H, W)`` and the classifier's logits ``(B, k, H, W)``."""

    def __init__(self, channels: int, k: int) -> None:
        super().__init__()
        self.features = trunk(channels)
        self.classifier = nn.Conv2d(channels, k, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(images)
        return features, self.classifier(features)


def whiten(features: Tensor, components: int) -> Tensor:
    """PCA, whitening and L2 normalisation of ``(B, N, C)`` to ``(B, N, components)``, as DeepCluster's code does."""
    centred = features - features.mean(1, keepdim=True)
    covariance = centred.transpose(1, 2) @ centred / features.shape[1]
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values[:, -components:], vectors[:, :, -components:]
    floor = 1e-5 * values[:, -1:]  # a direction without variance must not be blown up to unit variance
    return F.normalize(centred @ vectors / values.clamp(min=floor).sqrt()[:, None], dim=2)


def balanced_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy in which every cluster weighs the same; ``(B,)``.

    It is the expectation of what DeepCluster does: it draws its batches uniformly over clusters, so that one large
    cluster cannot take all.
    """
    each = F.cross_entropy(logits, labels, reduction="none").flatten(1)
    member = F.one_hot(labels.flatten(1), logits.shape[1]).to(each.dtype)
    size = member.sum(1)
    means = (each[:, :, None] * member).sum(1) / size.clamp(min=1)
    return means.sum(1) / (size > 0).sum(1)


class DeepCluster(OneImageMethod):
    """In turn: k-means of the features makes labels, and a fresh classifier teaches them to the features.

    Parameters
    ----------
    k : int
        Clusters.
    rounds : int
        How often the features are clustered; `steps` steps of SGD are shared among the rounds.
    channels, components : int
        Features of the network, and what PCA leaves of them.
    lr : float
        Of SGD with momentum 0.9 and weight decay 1e-5, as published.
    """

    @checked
    def __init__(
        self,
        seed: Whole = 0,
        steps: Count = 50,
        k: Several = 3,
        rounds: Count = 10,
        channels: Count = 64,
        components: Count = 16,
        lr: Positive = 0.05,
    ) -> None:
        super().__init__(seed, steps)
        if steps < rounds:
            raise InputError(
                f"method deep-cluster: steps = {steps} are fewer than rounds = {rounds}",
                "give each round a step or more; see `tutseg methods deep-cluster`",
            )
        self.k, self.rounds, self.channels, self.components, self.lr = k, rounds, channels, components, lr

    def cluster(self, images: Tensor, seeds: Sequence[int], on_step: OnStep | None = None) -> Tensor:
        shape = images.shape[2:]
        make = lambda: _Net(self.channels, self.k)
        stack = Stack(make, seeds, images, partial(SGD, lr=self.lr, momentum=0.9, weight_decay=1e-5))
        chance = [np.random.default_rng(seed) for seed in seeds]
        everyone = torch.arange(len(images), device=images.device)

        def assign() -> Tensor:
            with torch.no_grad():
                features = stack(images)[0].flatten(2).transpose(1, 2)
                return k_means(whiten(features, self.components), self.k, 1, chance).reshape(-1, *shape)

        for number in range(self.steps):
            if number % (self.steps // self.rounds) == 0:
                labels = assign()
                fresh = [int(rng.integers(2**31)) for rng in chance]
                stack.renew("classifier", Stack(make, fresh, images))
            loss = balanced_cross_entropy(stack(images)[1], labels)
            if on_step:
                on_step(Step(number, everyone, labels, {"classifier": loss.detach()}))
            stack.descend(loss)
        return assign()
