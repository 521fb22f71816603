"""What a map of clusters says: how many there are, which of them is the lesion, and what a leak of the truth hides."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tutseg.errors import InputError, unknown

RULES = ("oracle", "darkest", "central", "contrast")
SMALLEST = 0.01  # of the picture: below it a cluster is a hair or a ruler mark, and no rule but the oracle takes it
FRAME_HELD = 0.1  # of the frame: a cluster that holds more of it is taken for background


def number_of_clusters(labels: Tensor) -> Tensor:
    """How many different labels each map ``(B, H, W)`` holds; int64 ``(B,)``."""
    present = torch.zeros(len(labels), int(labels.max()) + 1, dtype=torch.int64, device=labels.device)
    return present.scatter_(1, labels.flatten(1), 1).sum(1)


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
