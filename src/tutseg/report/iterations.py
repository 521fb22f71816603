"""The iterations of a one-image method: the way to its result, and what an evaluation makes of that."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tutseg.methods.one_image.base import OneImageMethod
from tutseg.methods.one_image.clusters import choose
from tutseg.methods.one_image.trace import Trace, trace
from tutseg.metrics import area_scores, counts
from tutseg.report.explorers import COLOURS, StepExplorer, judged, outlined
from tutseg.report.groups import told
from tutseg.report.one_image_pictures import rgb, scored_masks
from tutseg.report.photographs import Tiles, contours
from tutseg.report.table import Table
from tutseg.training.one_image import VIEWS, picture_seed


@dataclass(frozen=True)
class Followed:
    """Some pictures, and everything that happened while a method segmented each.

    Parameters
    ----------
    images, truth : Tensor
        ``(B, 3, H, W)`` in [0, 1] and ``(B, 1, H, W)`` in {0, 1}.
    ids : tuple of str
        Names of the pictures.
    traces : tuple of Trace
        One a picture.
    """

    images: Tensor
    truth: Tensor
    ids: tuple[str, ...]
    traces: tuple[Trace, ...]

    @property
    def results(self) -> Tensor:
        """The final cluster maps, int64 ``(B, H, W)``."""
        return torch.stack([torch.from_numpy(each.result).long() for each in self.traces])

    def maps(self, at: int) -> Tensor:
        """The cluster maps of one picture at every iteration, and its result: int64 ``(T + 1, H, W)``."""
        own = self.traces[at]
        return torch.from_numpy(np.concatenate([own.labels, own.result[None]])).long()

    def chosen(self, at: int, rule: str) -> Tensor:
        """The cluster that a rule takes of each of `maps`: float ``(T + 1, 1, H, W)``."""
        maps = self.maps(at)
        truth = self.truth[at].expand(len(maps), 1, -1, -1)
        return choose(maps, self.images[at].expand(len(maps), -1, -1, -1), rule, truth if rule == "oracle" else None)

    def dice(self, at: int, rule: str = "oracle") -> np.ndarray:
        """Dice ``(T + 1,)`` of `chosen`."""
        chosen = self.chosen(at, rule)
        return area_scores(counts(chosen, self.truth[at].expand_as(chosen)))["dice"]

    @property
    def most_lost(self) -> int:
        """Place of the picture whose result lies furthest below its best iteration."""
        dice = [self.dice(at) for at in range(len(self.ids))]
        return int(np.argmax([own.max() - own[-1] for own in dice]))


def follow(method: OneImageMethod, images: Tensor, truth: Tensor, ids: Sequence[str], device: str = "cpu") -> Followed:
    """Segment pictures one by one, each with its own seed, and keep every iteration; parameters as in `Followed`."""
    traces = [trace(method, image.to(device), picture_seed(0, name)) for image, name in zip(images, ids, strict=True)]
    return Followed(images, truth, tuple(ids), tuple(traces))


def evaluations(followed: Followed, views: Sequence[str] = tuple(VIEWS)) -> dict[str, np.ndarray]:
    """Dice ``(B,)`` of one and the same cluster maps under several of `tutseg.training.one_image.VIEWS`."""
    masks = scored_masks(followed.results, followed.images, followed.truth, views)
    truth = followed.truth[:, 0].bool().numpy()
    return {view: area_scores(counts(mask, truth))["dice"] for view, mask in zip(views, masks.values(), strict=True)}


def evaluated(followed: Followed, views: Sequence[str]) -> Tiles:
    """Every picture's result as several evaluations see it."""
    masks = scored_masks(followed.results, followed.images, followed.truth, views)
    return contours(rgb(followed.images), followed.truth[:, 0].bool().numpy(), masks)


def stop_table(followed: Followed, earliest: int = 6) -> Table:
    """What the moment of stopping costs: Dice at the best iteration, at the earliest allowed, and at the end."""
    rows = []
    for at, name in enumerate(followed.ids):
        dice = followed.dice(at)
        best = int(dice.argmax())
        clusters = len(np.unique(followed.traces[at].result))
        rows.append(
            (
                name, f"{told(dice[best])} (after {best})", told(dice[min(earliest, len(dice) - 1)]),
                f"{told(dice[-1])} (after {len(dice) - 1})", f"{100 * (dice[-1] - dice[best]):+.1f}", str(clusters),
            )
        )  # fmt: skip
    heads = (
        "picture", "best (iterations)", f"after {earliest}", "at the stop (iterations)", "lost", "clusters left",
    )  # fmt: skip
    return Table(heads, tuple(rows), "Dice % of the oracle's cluster along the iterations of one seed")


def step_explorer(followed: Followed, at: int, name: str) -> StepExplorer:
    """One picture from the first iteration to its result: clusters, the oracle's choice, losses and Dice.

    Parameters
    ----------
    followed, at
        Which picture.
    name : str
        What the method is called.
    """
    own, maps = followed.traces[at], followed.maps(at)
    truth = followed.truth[at, 0].bool().numpy()
    chosen = followed.chosen(at, "oracle")[:, 0].bool().numpy()
    numbers = {"clusters": [len(each.unique()) for each in maps]}
    numbers |= {f"loss term {term}": [*values, None] for term, values in own.losses.items()}
    numbers |= {f"Dice, {rule}": followed.dice(at, rule) for rule in ("oracle", "darkest")}
    beside = {
        "picture, truth outlined": [outlined(rgb(followed.images)[at], truth)],
        "the oracle's cluster": [judged(mask, truth) for mask in chosen],
    }
    title = f"{name} on {followed.ids[at]}, from its first iteration to its result."
    return StepExplorer(maps.numpy(), numbers, title=title, beside=beside, key=COLOURS)
