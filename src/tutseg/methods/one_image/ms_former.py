"""MS-Former: two scales of efficient attention that must agree.

Karimijafarbigloo, Azad, Kazerouni, Merhof, "MS-Former: Multi-Scale Self-Guided Transformer for Medical Image
Segmentation", MIDL 2023, by S3-Net's authors and evaluated like it. Checked against their notebook.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutseg.methods.one_image.self_training import SelfTraining, self_label_loss
from tutseg.methods.one_image.stack import Stack
from tutseg.methods.options import Count, NotNegative, Positive, Several, Whole, checked
from tutseg.nets.s3_encoder import batch_norm

PATCH = 32


def channel_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Layer normalisation over the channels of ``(B, C, H, W)``."""
    return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class EfficientBlock(nn.Module):
    """Efficient attention, then a feed-forward with a depth-wise convolution, each with a skip.

    Efficient attention (Shen et al., WACV 2021) multiplies keys and values first: their product is a
    ``channels x channels`` context whatever the picture's size, and the thing that the two scales compare.
    """

    def __init__(self, channels: int, widen: int = 4) -> None:
        super().__init__()
        self.norm, self.norm_mlp = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.keys, self.queries, self.values, self.project = (nn.Conv2d(channels, channels, 1) for _ in range(4))
        wide = widen * channels
        self.enter, self.leave = nn.Conv2d(channels, wide, 1), nn.Conv2d(wide, channels, 1)
        self.local = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.norm_wide = nn.LayerNorm(wide)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(B, C, H, W)`` and the context ``(B, C, C)``."""
        normed = channel_norm(self.norm, x)
        keys = self.keys(normed).flatten(2).softmax(2)
        queries = self.queries(normed).flatten(2).softmax(1)
        context = keys @ self.values(normed).flatten(2).transpose(1, 2)
        x = x + self.project((context.transpose(1, 2) @ queries).reshape(x.shape))
        wide = self.enter(channel_norm(self.norm_mlp, x))
        wide = channel_norm(self.norm_wide, self.local(wide) + wide)
        return x + self.leave(F.gelu(wide)), context


class Branch(nn.Module):
    """Overlapping 3x3 patches at one stride, then attention blocks, each with batch normalisation."""

    def __init__(self, channels: int, stride: int, depth: int = 2) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Conv2d(3, channels, 3, stride, padding=1), batch_norm(channels))
        self.blocks = nn.ModuleList(EfficientBlock(channels) for _ in range(depth))
        self.norms = nn.ModuleList(batch_norm(channels) for _ in range(depth))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and the last block's context."""
        x = self.embed(images)
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x, context = block(x)
            x = norm(x)
        return x, context


class MSFormerNet(nn.Module):
    """Both branches, joined; the picture comes with one more row and column than it has.

    Returns the logits ``(B, K, H+1, W+1)``, the attention between patches of the logits and of the logits shifted
    by one pixel ``(B, P, P)``, and the contexts of the fine and of the coarse branch.
    """

    def __init__(self, clusters: int) -> None:
        super().__init__()
        self.fine, self.coarse = Branch(clusters, 1), Branch(clusters, 2)
        self.up = nn.Conv2d(clusters, 4 * clusters, 1, bias=False)
        self.join = nn.Conv2d(2 * clusters, clusters, 1, bias=False)
        self.norm = batch_norm(clusters)
        self.patches = nn.Conv2d(clusters, clusters, PATCH, stride=PATCH)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        h, w = images.shape[2:]
        fine, context_fine = self.fine(images)
        coarse, context_coarse = self.coarse(images)
        coarse = F.pixel_shuffle(self.up(coarse), 2)[:, :, :h, :w]
        logits = self.join(torch.cat([coarse, fine], dim=1))
        normed = self.norm(logits)
        query = self.patches(normed[:, :, 1:, 1:]).flatten(2).transpose(1, 2)
        key = self.patches(normed[:, :, :-1, :-1]).flatten(2)
        # 1/8 and not 1/sqrt(channels): from the notebook.
        return logits, (query @ key / 8).softmax(-1), context_fine, context_coarse


def inter_scale_loss(fine: Tensor, coarse: Tensor) -> Tensor:
    """1 - cosine between the rows of the two contexts ``(B, C, C)``, mean over rows; ``(B,)``."""
    return (1 - F.cosine_similarity(fine, coarse, dim=2)).mean(1)


def intra_scale_loss(attention: Tensor) -> Tensor:
    """Mean absolute difference of the attention ``(B, P, P)`` to the identity; ``(B,)``.

    It is 0 when every patch of the shifted map attends to the same patch of the map alone.
    """
    return (attention - torch.eye(attention.shape[-1]).to(attention)).abs().mean((1, 2))


class MSFormer(SelfTraining):
    """L = L_ce + 1.5 L_inter + 1.3 L_intra, all weights from the notebook.

    The notebook resizes to 257 pixels, so that the shifted maps have 256; here the last row and column are repeated
    instead and cut off again, so that labels lie on the picture's own pixels.

    Parameters
    ----------
    inter, intra : float
        The weights of the two further losses.
    clusters : int
        K, the clusters at the start and the channels throughout.
    """

    multiple_of = PATCH

    @checked
    def __init__(
        self,
        seed: Whole = 0,
        steps: Count = 50,
        lr: Positive = 0.1,
        min_labels: Whole = 3,
        clusters: Several = 100,
        inter: NotNegative = 1.5,
        intra: NotNegative = 1.3,
    ) -> None:
        super().__init__(seed, steps, lr, min_labels)
        self.clusters, self.inter, self.intra = clusters, inter, intra

    def network(self, size: tuple[int, int]) -> nn.Module:
        return MSFormerNet(self.clusters)

    def losses(
        self, stack: Stack, images: Tensor, chance: Sequence[np.random.Generator]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        logits, attention, fine, coarse = stack(F.pad(images, (0, 1, 0, 1), mode="replicate"))
        return logits[:, :, :-1, :-1], {
            "self_label": self_label_loss(logits),
            "inter": self.inter * inter_scale_loss(fine, coarse),
            "intra": self.intra * intra_scale_loss(attention),
        }

    def labels(self, stack: Stack, images: Tensor) -> Tensor:
        padded = F.pad(images, (0, 1, 0, 1), mode="replicate")
        return super().labels(stack, padded)[:, :-1, :-1].contiguous()
