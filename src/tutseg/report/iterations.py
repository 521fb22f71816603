"""The iterations of a one-image method on one picture."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tutseg.methods.one_image.clusters import choose
from tutseg.methods.one_image.trace import Trace
from tutseg.metrics import area_scores, counts
from tutseg.report.explorers import StepExplorer
from tutseg.report.groups import told
from tutseg.report.table import Table


def dice_of_steps(trace: Trace, image: Tensor, truth: Tensor, rule: str = "oracle") -> np.ndarray:
    """Dice ``(T + 1,)`` of the cluster that `rule` takes at every iteration, and of the result.

    Parameters
    ----------
    trace : Trace
        Of one picture.
    image, truth : Tensor
        ``(3, H, W)`` and ``(1, H, W)``.
    """
    labels = torch.from_numpy(np.concatenate([trace.labels, trace.result[None]])).long()
    truths = truth.expand(len(labels), -1, -1)[:, None]
    images = image.expand(len(labels), -1, -1, -1)
    chosen = choose(labels, images, rule, truths if rule == "oracle" else None)
    return area_scores(counts(chosen, truths))["dice"]


def stop_table(traces: Sequence[Trace], images: Tensor, truth: Tensor, ids: Sequence[str], earliest: int = 6) -> Table:
    """What the moment of stopping costs: Dice at the best iteration, at the earliest allowed, and at the end."""
    rows = []
    for trace, image, mask, name in zip(traces, images, truth, ids, strict=True):
        dice = dice_of_steps(trace, image, mask)
        best = int(dice.argmax())
        clusters = len(np.unique(trace.result))
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


def most_lost(traces: Sequence[Trace], images: Tensor, truth: Tensor) -> int:
    """Place of the picture whose result lies furthest below its best iteration."""
    dice = [dice_of_steps(*each) for each in zip(traces, images, truth, strict=True)]
    return int(np.argmax([own.max() - own[-1] for own in dice]))


def step_explorer(trace: Trace, image: Tensor, truth: Tensor, title: str) -> StepExplorer:
    """Cluster map, clusters, losses and Dice at every iteration of one picture."""
    steps = len(trace.clusters)
    numbers = {"clusters": list(trace.clusters)}
    numbers |= {f"loss term {name}": list(values) for name, values in trace.losses.items()}
    for rule in ("oracle", "darkest"):
        numbers[f"Dice, {rule}"] = list(dice_of_steps(trace, image, truth, rule)[:steps])
    return StepExplorer(list(trace.labels), numbers, title=title)
