"""Kanezaki's self-training: a small network that learns its own arg-max, smoothed by differences of its response.

Wonjik Kim*, Asako Kanezaki*, Masayuki Tanaka, "Unsupervised Learning of Image Segmentation Based on Differentiable
Feature Clustering", IEEE TIP 2020; first as Kanezaki, ICASSP 2018. The ancestor of SGSCN, MS-Former and S3-Net, none
of which compares with it. Checked against its published code (``pytorch-unsupervised-segmentation-tip``).
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from tutseg.methods.one_image.self_training import SelfTraining, self_label_loss
from tutseg.methods.one_image.stack import Stack
from tutseg.methods.options import Count, NotNegative, Positive, Several, Whole, checked
from tutseg.nets.s3_encoder import batch_norm


def trunk(channels: int = 100, depth: int = 2) -> nn.Sequential:
    """``depth`` times 3x3 convolution, ReLU, batch normalisation: ``(B, 3, H, W)`` to ``(B, channels, H, W)``."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Conv2d(channels if i else 3, channels, 3, padding=1), nn.ReLU(), batch_norm(channels)]
    return nn.Sequential(*layers)


def clustering_network(clusters: int = 100) -> nn.Sequential:
    """Kanezaki's network, which SGSCN took over: the trunk, then a 1x1 convolution and batch normalisation."""
    return nn.Sequential(trunk(clusters), nn.Conv2d(clusters, clusters, 1), batch_norm(clusters))


def continuity_loss(response: Tensor) -> Tensor:
    """Mean absolute vertical plus mean absolute horizontal difference of ``(B, K, H, W)``; ``(B,)``."""
    return response.diff(dim=2).abs().mean((1, 2, 3)) + response.diff(dim=3).abs().mean((1, 2, 3))


class Kanezaki(SelfTraining):
    """L = L_sim + μ L_con; the published weights are 1 and 1, 100 clusters, and at most 1000 iterations.

    Parameters
    ----------
    clusters : int
        K, the clusters at the start.
    continuity : float
        μ, the weight of the continuity loss.
    """

    @checked
    def __init__(
        self,
        seed: Whole = 0,
        steps: Count = 1000,
        lr: Positive = 0.1,
        min_labels: Whole = 3,
        clusters: Several = 100,
        continuity: NotNegative = 1.0,
    ) -> None:
        super().__init__(seed, steps, lr, min_labels)
        self.clusters, self.continuity = clusters, continuity

    def network(self, size: tuple[int, int]) -> nn.Module:
        return clustering_network(self.clusters)

    def losses(
        self, stack: Stack, images: Tensor, chance: Sequence[np.random.Generator]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        response = stack(images)
        return response, {
            "self_label": self_label_loss(response),
            "continuity": self.continuity * continuity_loss(response),
        }
