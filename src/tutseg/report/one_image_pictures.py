"""Pictures of the methods that segment one picture: what they found, and what their evaluation makes of it."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tutseg.data.loader import Pictures
from tutseg.methods import build_method
from tutseg.report.one_image import hardest
from tutseg.report.photographs import Tiles, contours
from tutseg.training.evidence import Finished
from tutseg.training.one_image import VIEWS, masks_of, picture_seed


def rgb(images: Tensor) -> np.ndarray:
    """``(B, 3, H, W)`` in [0, 1] as uint8 ``(B, H, W, 3)``."""
    return (images.permute(0, 2, 3, 1) * 255).byte().numpy()


def scored_masks(labels: Tensor, images: Tensor, truth: Tensor, keep: Sequence[str]) -> dict[str, np.ndarray]:
    """One prediction as several evaluations see it, for `tutseg.report.photographs.contours`.

    Parameters
    ----------
    labels, images, truth : Tensor
        Cluster maps ``(B, H, W)``, pictures ``(B, 3, H, W)`` and masks ``(B, 1, H, W)``.
    keep : sequence of str
        Which of `tutseg.training.one_image.VIEWS`.

    Returns
    -------
    dict of str to numpy.ndarray
        Name -> boolean ``(B, H, W)``.
    """
    masks = masks_of(labels, images, truth)
    found = {}
    for view in keep:
        rule, margin = VIEWS[view]
        found[f"{rule}, {margin} px leak" if margin else rule] = masks[view][:, 0].bool().numpy()
    return found


def failures(
    items: Sequence[Finished], pictures: Pictures, rows: Sequence[str], n: int = 3, device: str = "cpu"
) -> Tiles:
    """The pictures on which the first of some rows did worst, segmented again by all of them; oracle, no leak.

    Parameters
    ----------
    items : sequence of Finished
        One-image trials with these rows.
    pictures : Pictures
        What they segmented.
    rows : sequence of str
        Names of rows.
    n : int
        Pictures.
    """
    worst = hardest(items, rows[0], n)
    images, truth = pictures.floats(torch.tensor([pictures.ids.index(name) for name in worst]))
    shown = {}
    for row in rows:
        trial = next(item.trial for item in items if item.name == row)
        method = build_method(trial.method, **trial.options)
        labels = method.segment(images.to(device), [picture_seed(0, name) for name in worst]).cpu()
        shown |= {row: scored_masks(labels, images, truth, ["oracle"])["oracle"]}
    return contours(rgb(images), truth[:, 0].bool().numpy(), shown)
