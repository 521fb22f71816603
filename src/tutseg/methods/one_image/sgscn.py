"""SGSCN: self-labelling kept together in space by two further losses.

Ahn, Feng, Kim, "A Spatial Guided Self-supervised Clustering Network for Medical Image Segmentation", MICCAI 2021.
Kanezaki's network and loop with at most 50 iterations, a heavier difference loss, and a loss that ties every
cluster to its centre. Checked against the code published with it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from tutseg.methods.one_image.kanezaki import clustering_network, continuity_loss
from tutseg.methods.one_image.self_training import SelfTraining, self_label_loss
from tutseg.methods.one_image.stack import Stack
from tutseg.methods.options import Count, NotNegative, Positive, Several, Whole, checked


def context_loss(membership: Tensor) -> Tensor:
    """Context-based consistency: mean squared distance of a cluster's pixels to its centre; ``(B,)``.

    Each channel, divided by its sum, is a density over the picture, whose coordinates run over [-1, 1); its centre
    is its mean and the loss its variance, summed over x and y and averaged over clusters.

    Parameters
    ----------
    membership : Tensor
        ``(B, K, H, W)``, not negative.
    """
    h, w = membership.shape[2:]
    y = torch.arange(h, device=membership.device, dtype=membership.dtype)[:, None] / h * 2 - 1
    x = torch.arange(w, device=membership.device, dtype=membership.dtype) / w * 2 - 1
    density = membership / membership.sum((2, 3), keepdim=True).clamp(min=1e-12)
    variance = [(density * axis**2).sum((2, 3)) - (density * axis).sum((2, 3)) ** 2 for axis in (x, y)]
    return (variance[0] + variance[1]).mean(1)


class SGSCN(SelfTraining):
    """L = L_ce + 5 L_ss + L_cc.

    The published code applies the context loss to the normalised response itself and sums it over clusters. That
    response has mean 0, so what it divides by is 0.001 a pixel and its "density" is mostly noise of both signs;
    and the loss is off unless asked for. Here it gets softmax of the response, which is a density, and the mean
    over clusters, so that its weight means the same for any K.

    Parameters
    ----------
    sparse, context : float
        The weights of the sparse spatial and of the context-based loss.
    clusters : int
        K, the clusters at the start.
    """

    @checked
    def __init__(
        self,
        seed: Whole = 0,
        steps: Count = 50,
        lr: Positive = 0.1,
        min_labels: Whole = 3,
        clusters: Several = 100,
        sparse: NotNegative = 5.0,
        context: NotNegative = 1.0,
    ) -> None:
        super().__init__(seed, steps, lr, min_labels)
        self.clusters, self.sparse, self.context = clusters, sparse, context

    def network(self, size: tuple[int, int]) -> nn.Module:
        return clustering_network(self.clusters)

    def losses(
        self, stack: Stack, images: Tensor, chance: Sequence[np.random.Generator]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        response = stack(images)
        return response, {
            "self_label": self_label_loss(response),
            "sparse": self.sparse * continuity_loss(response),
            "context": self.context * context_loss(response.softmax(1)),
        }
