"""S3-Net: what its losses do before the first step, and what lies between its printed numbers and ours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tutseg.methods.one_image.s3_net import READINGS, S3Net, affine_loss, affine_loss_literal
from tutseg.methods.one_image.stack import Stack
from tutseg.methods.one_image.warps import affine_grid, move
from tutseg.papers.intervals import paired_interval
from tutseg.report.groups import Difference, in_groups, named, paired, provenance, told, told_interval
from tutseg.report.one_image import shared_pictures
from tutseg.report.s3_net_print import printed
from tutseg.report.table import Table
from tutseg.training.evidence import Finished

PAPER_ROWS = {
    "k-means-2": "k-means",
    "k-means-3": "k-means",
    "deep-cluster": "DeepCluster",
    "iic": "IIC",
    "sgscn": "SGSCN",
    "ms-former": "MS-Former",
    **{f"s3-net-{reading}": "Our Method" for reading in READINGS},
}


def _one_network(method: S3Net, images: Tensor, seed: int) -> Stack:
    """A fresh network of `method` for one picture ``(1, 3, H, W)``."""
    return Stack(lambda: method.network(tuple(images.shape[2:])), [seed], images)


def gradient_table(image: Tensor, seed: int = 0, **options: Any) -> Table:
    """What each weighted term of Eq. 7 is, and how hard it pulls, before the first step: a row a reading.

    Parameters
    ----------
    image : Tensor
        ``(3, H, W)`` in [0, 1].
    seed : int
        Of the network and of the random moves.
    options : dict
        Of `S3Net`, such as fewer clusters.
    """
    terms = {"ce": "λ1 L_ce", "at": "λ2 L_AT", "s": "λ3 L_S"}
    rows = []
    for reading in READINGS:
        method = S3Net(reading, **options)
        stack = _one_network(method, image[None], seed)
        _, losses = method.losses(stack, image[None], [np.random.default_rng(seed)])
        cells = []
        for term in terms:
            norm = 0.0
            if losses[term].requires_grad:
                weights = list(stack.parameters.values())
                pull = torch.autograd.grad(losses[term].sum(), weights, retain_graph=True, materialize_grads=True)
                norm = float(torch.stack([part.norm() for part in pull]).norm())
            cells.append(f"{float(losses[term].detach()):.3f}, gradient {norm:.3g}")
        rows.append((reading, *cells))
    return Table(("reading", *terms.values()), tuple(rows), "Value and gradient norm of each weighted term, first step")


def turn_table(image: Tensor, seed: int = 0, **options: Any) -> Table:
    """L_AT under a quarter turn and under no turn at all, in each form; arguments as in `gradient_table`."""
    images = image[None]
    stack = _one_network(S3Net("meant", **options), images, seed)
    loss: dict[str, list[float]] = {"literal (code)": [], "outputs moved (Eq. 6)": [], "input moved (meant)": []}
    with torch.no_grad():
        logits, second = stack(images)
        labels = logits.argmax(1)
        for angle in (90.0, 0.0):
            zero = torch.zeros(1)
            grid = affine_grid(tuple(images.shape[2:]), torch.tensor([angle]), zero + 1, zero, torch.zeros(1, 2))
            turn = lambda maps, turns=round(angle / 90): maps.rot90(-turns, (2, 3))
            found = (
                affine_loss_literal(second, logits, turn),
                affine_loss(move(second, grid), labels, grid),
                affine_loss(stack(move(images, grid), second_only=True), labels, grid),
            )
            for values, value in zip(loss.values(), found, strict=True):
                values.append(float(value))
    rows = [(name, f"{a:.6f}", f"{b:.6f}", f"{a - b:+.1e}") for name, (a, b) in loss.items()]
    heads = ("form of L_AT", "turned by 90°", "not turned", "difference")
    return Table(heads, tuple(rows), "L_AT of one network on one picture")


def leak_gain(items: Sequence[Finished], name: str, view: str = "oracle+4") -> Difference:
    """What the leak adds to a row's Dice."""
    return paired(*(named(in_groups(items, view=each), name) for each in (view, "oracle")))


def size_gain(items: Sequence[Finished], other: Sequence[Finished], name: str, view: str = "oracle") -> Difference:
    """A row's Dice at the size of `items` minus that at the size of `other`, on the pictures that both have."""
    rows = [[item for item in part if item.name == name] for part in (items, other)]
    shared = shared_pictures(item for part in rows for item in part)
    return paired(*(in_groups([item.on(shared) for item in part], view=view)[0] for part in rows))


def gap_table(items: Sequence[Finished]) -> Table:
    """How far each printed Dice lies from ours without leak, and what four pixels of leak are worth to the row."""
    lines = []
    for group in in_groups(items, view="oracle"):
        gain = leak_gain(items, group.name)
        theirs = printed(1, PAPER_ROWS[group.name]) if group.name in PAPER_ROWS else float("nan")
        low, high = paired_interval(group.values)
        held = "–" if np.isnan(theirs) else "inside" if low <= theirs <= high else "outside"
        ours = f"{told(group.mean)} ({told_interval(group.values)})"
        added = f"{told(gain.value, sign='+')} ({told(gain.low, sign='+')} to {told(gain.high, sign='+')})"
        lines.append((group.name, told(theirs), ours, told(theirs - group.mean, sign="+"), held, added, group.n))
    heads = (
        "method", "paper, PH2", "ours, oracle, no leak (95 % interval)", "print − ours", "print is",
        "4 px of leak add (95 % interval)", "n = seeds × images",
    )  # fmt: skip
    return Table(heads, tuple(lines), "Dice %: print beside ours, and what the leak is worth", origin=provenance(items))
