"""S3-Net: self-supervised segmentation of one picture, "consistency over transformation".

Karimijafarbigloo, Azad, Kazerouni, Merhof, ICCV workshop 2023. Checked against the authors' notebook (``SSCT``),
which differs from the paper so much that three readings are kept apart, each switch an option of its own:

======== ============== ==== ===================== ======================== ================= ==========
reading  λ1, λ2, λ3     lr   spatial loss L_S      affine loss L_AT         offsets           I-LKA
======== ============== ==== ===================== ======================== ================= ==========
paper    1.2, 0.3, 0.3  0.36 Eq. 5 on the soft map Eq. 6: moves the outputs predicted         Eq. 1-3
code     3.5, 0.2, 4    0.2  literal: no gradient  literal: turns outputs   free parameters   the code's
meant    1.2, 0.3, 0.3  0.36 edges of the soft map moves the input          predicted         Eq. 1-3
======== ============== ==== ===================== ======================== ================= ==========
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from tutseg.methods.one_image.self_training import SelfTraining, self_label_loss
from tutseg.methods.one_image.stack import Stack
from tutseg.methods.one_image.warps import affine_grid, inside, move
from tutseg.methods.options import Count, NotNegative, Positive, Several, Whole, checked
from tutseg.nets.s3_encoder import S3Encoder

READINGS = {
    "paper": {
        "weights": (1.2, 0.3, 0.3),
        "lr": 0.36,
        "spatial": "pairwise",
        "affine": "outputs",
        "offsets": "predicted",
        "order": "paper",
    },
    "code": {
        "weights": (3.5, 0.2, 4.0),
        "lr": 0.2,
        "spatial": "literal",
        "affine": "literal",
        "offsets": "static",
        "order": "code",
    },
    "meant": {
        "weights": (1.2, 0.3, 0.3),
        "lr": 0.36,
        "spatial": "edges",
        "affine": "input",
        "offsets": "predicted",
        "order": "paper",
    },
}
# Sobel's 3x3 kernels of the derivatives d/dx, d/dy and d²/dxdy.
_SMOOTH, _SLOPE = torch.tensor([1.0, 2.0, 1.0]), torch.tensor([-1.0, 0.0, 1.0])
SOBEL = torch.stack([_SMOOTH.outer(_SLOPE), _SLOPE.outer(_SMOOTH), _SLOPE.outer(_SLOPE)])[:, None]
MOST_ANGLE, MOST_SCALE, MOST_SHEAR, MOST_SHIFT = 30.0, 0.2, 10.0, 0.1


def sobel(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Edges of ``(B, C, H, W)`` in the X, Y and XY directions, each of that shape; the border is mirrored."""
    b, c, h, w = maps.shape
    padded = F.pad(maps.reshape(b * c, 1, h, w), (1, 1, 1, 1), mode="reflect")
    x, y, xy = F.conv2d(padded, SOBEL.to(maps)).unbind(1)
    return x.reshape(maps.shape), y.reshape(maps.shape), xy.reshape(maps.shape)


def spatial_loss_pairwise(maps: Tensor) -> Tensor:
    """L_S (S3-Net Eq. 5): |X - Y| + |X - XY| + |Y - XY|, sum over channels, mean over pixels; ``(B,)``.

    Eq. 5 sums over pixels; the code takes the mean, without which λ3 = 0.3 would drown all else. An edge along the
    main diagonal has X = Y, so it pays less than its mirror image.
    """
    x, y, xy = sobel(maps)
    return ((x - y).abs() + (xy - x).abs() + (xy - y).abs()).sum(1).mean((1, 2))


def spatial_loss_edges(maps: Tensor) -> Tensor:
    """What Eq. 5 is for: |X| + |Y| + |XY|, so that an edge costs the same in every direction; ``(B,)``."""
    return sum(edges.abs() for edges in sobel(maps)).sum(1).mean((1, 2))


def spatial_loss_literal(labels: Tensor, colours: Tensor) -> Tensor:
    """L_S of the published code: Eq. 5 on a grey picture of the arg-max map in random colours; ``(B,)``.

    Nothing in it depends on a parameter in a differentiable way, so it teaches nothing.

    Parameters
    ----------
    labels : Tensor
        int64 ``(B, H, W)``.
    colours : Tensor
        ``(B, K, 3)``, whole numbers in [0, 254], blue first.
    """
    grey = (colours @ colours.new_tensor([0.114, 0.587, 0.299])).round() / 255
    return spatial_loss_pairwise(grey.gather(1, labels.flatten(1)).reshape(labels.shape)[:, None])


def quarter_turn(maps: Tensor) -> Tensor:
    """The code's only transformation: every output map turned by 90 degrees."""
    return maps.rot90(-1, (2, 3))


def affine_loss_literal(second: Tensor, logits: Tensor, turn: Callable[[Tensor], Tensor] = quarter_turn) -> Tensor:
    """L_AT of the published code: both sides of the cross-entropy are turned; ``(B,)``.

    A turn only reorders the pixels over which the mean is taken, so it is the agreement of two heads and nothing
    else: ``turn`` may as well be the identity.
    """
    return F.cross_entropy(turn(second), turn(logits.detach()).argmax(1), reduction="none").mean((1, 2))


def affine_loss(second: Tensor, labels: Tensor, grid: Tensor) -> Tensor:
    """L_AT (S3-Net Eq. 6), mean over the pixels that come from within the picture; ``(B,)``.

    Parameters
    ----------
    second : Tensor
        Logits Y' ``(B, K, H, W)`` of the second path, already in the moved frame: of the moved features (Eq. 6 as
        the paper has it) or of the moved input (what an invariance needs).
    labels : Tensor
        The main path's labels Y ``(B, H, W)``, moved here to Y_a.
    grid : Tensor
        The move, from `affine_grid`.
    """
    # Nearest, as labels cannot be mixed; float32 holds their numbers exactly.
    target = move(labels[:, None].to(second.dtype), grid, "nearest")[:, 0].long()
    valid = inside(grid)
    loss = F.cross_entropy(second, target, reduction="none") * valid
    return loss.sum((1, 2)) / valid.sum((1, 2)).clamp(min=1)


class S3Net(SelfTraining):
    """S3-Net (§3): L = λ1 L_ce + λ2 L_AT + λ3 L_S.

    Parameters
    ----------
    reading : {"paper", "code", "meant"}
        Sets all that is not given.
    weights : (float, float, float), optional
        λ1, λ2, λ3 (Eq. 7). A weight of 0 leaves its term out: Table 2.
    lr : float, optional
        Of SGD with momentum 0.9.
    spatial : {"pairwise", "edges", "literal"}, optional
        The maps and the form of L_S: Eq. 5 on softmax(S); |X| + |Y| + |XY| of softmax(S); the code's.
    affine : {"outputs", "literal", "input"}, optional
        What L_AT moves: features and labels by a random affine map (Eq. 6); logits and labels by a quarter turn
        (code); the input and the labels by a random affine map.
    offsets : {"predicted", "static"}, optional
        Of the deformable convolution: by a convolution, or the code's free parameters.
    order : {"paper", "code"}, optional
        How I-LKA and its block are put together.
    inception, deformable : bool
        False for the ablations of §4.3.
    clusters : int
        K = 64, from the code.
    min_labels, min_steps : int
        Stop at 3 clusters or fewer, but not before 6 iterations (code).
    """

    @checked
    def __init__(
        self,
        reading: Literal["paper", "code", "meant"] = "paper",
        seed: Whole = 0,
        steps: Count = 50,
        lr: Positive | None = None,
        # not strict: YAML and JSON have lists for tuples
        weights: Annotated[tuple[NotNegative, NotNegative, NotNegative], Field(strict=False)] | None = None,
        spatial: Literal["pairwise", "edges", "literal"] | None = None,
        affine: Literal["outputs", "literal", "input"] | None = None,
        offsets: Literal["predicted", "static"] | None = None,
        order: Literal["paper", "code"] | None = None,
        inception: bool = True,
        deformable: bool = True,
        clusters: Several = 64,
        min_labels: Whole = 3,
        min_steps: Count = 6,
    ) -> None:
        given = {"spatial": spatial, "affine": affine, "offsets": offsets, "order": order}
        chosen = {name: value or READINGS[reading][name] for name, value in given.items()}
        super().__init__(seed, steps, lr or READINGS[reading]["lr"], min_labels, min_steps)
        self.spatial, self.affine, self.offsets, self.order = chosen.values()
        self.weights, self.clusters = weights or READINGS[reading]["weights"], clusters
        self.inception, self.deformable = inception, deformable

    def network(self, size: tuple[int, int]) -> nn.Module:
        return S3Encoder(
            self.clusters,
            self.order,
            inception=self.inception,
            deformable=self.deformable,
            static=size if self.offsets == "static" else None,
        )

    def losses(
        self, stack: Stack, images: Tensor, chance: Sequence[np.random.Generator]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        logits, second = stack(images)
        labels = logits.detach().argmax(1)
        ce, at, s = self.weights
        terms = {"ce": ce * self_label_loss(logits)}
        if at:
            terms["at"] = at * self.consistency(stack, images, logits, second, labels, chance)
        if s and self.spatial == "literal":
            colours = torch.stack([torch.from_numpy(rng.integers(255, size=(self.clusters, 3))) for rng in chance])
            terms["s"] = s * spatial_loss_literal(labels, colours.to(logits))
        elif s:
            loss = spatial_loss_pairwise if self.spatial == "pairwise" else spatial_loss_edges
            terms["s"] = s * loss(logits.softmax(1))
        return logits, terms

    def consistency(
        self,
        stack: Stack,
        images: Tensor,
        logits: Tensor,
        second: Tensor,
        labels: Tensor,
        chance: Sequence[np.random.Generator],
    ) -> Tensor:
        """L_AT in the reading chosen, unweighted; ``(B,)``."""
        if self.affine == "literal":
            return affine_loss_literal(second, logits)
        draws = torch.tensor(np.array([rng.uniform(-1, 1, 5) for rng in chance]), device=images.device).to(images)
        grid = affine_grid(
            tuple(images.shape[2:]),
            angle=draws[:, 0] * MOST_ANGLE,
            scale=1 + draws[:, 1] * MOST_SCALE,
            shear=draws[:, 2] * MOST_SHEAR,
            shift=draws[:, 3:] * MOST_SHIFT,
        )
        if self.affine == "input":
            return affine_loss(stack(move(images, grid), second_only=True), labels, grid)
        # A 1x1 convolution and normalisation commute with resampling but for the cropped edge, so moving the second
        # head's output is moving its features.
        return affine_loss(move(second, grid), labels, grid)
