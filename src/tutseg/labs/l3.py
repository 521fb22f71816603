"""Checks of lab 3: the losses of DME-FD, against loops over every pixel, place and channel."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tutseg.labs.chance import coins, normal
from tutseg.labs.checking import Mistake, Wrong, expect, rng, same

Features = Callable[[int], tuple[Tensor, Tensor]]


def confident(confident_mask: Callable[[Tensor, float], Tensor]) -> None:
    """Eq. 2-3, class by class of each pixel."""
    p = torch.sigmoid(2 * normal(rng(), 2, 1, 5, 6)).requires_grad_()
    for tau in (0.6, 0.85):
        truth = [float(lesion > 1 - lesion and max(lesion, 1 - lesion) > tau) for lesion in p.flatten().tolist()]
        got = confident_mask(p, tau)
        same(
            got,
            np.reshape(truth, p.shape),
            f"The mask at tau = {tau}",
            {
                "1 stands wherever the branch is sure, of either class: where does the class come in?": (
                    torch.maximum(p, 1 - p) > tau
                ),
                "does tau have an effect? This is the mask of a threshold of one half.": p > 0.5,
                "these are the probabilities of the sure pixels; what values has a mask?": p * (p > tau),
                "1 marks skin here: which class has the number 1?": 1 - p > tau,
                "1 stands wherever lesion is not ruled out: which probability is compared with tau?": p > 1 - tau,
            },
        )
        expect(isinstance(got, Tensor) and got.is_floating_point(), "Is the mask a tensor of floats? A loss needs one.")
        expect(not got.requires_grad, "A gradient passes through the mask: may a branch move its own target?")


def bce_dice(logits: Tensor, target: Tensor) -> float:
    """0.5 (BCE + Dice), pixel by pixel, as DME-FD's code has them."""
    bce, both, squares = 0.0, 0.0, 0.0
    for z, y in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-z))
        bce -= y * math.log(p) + (1 - y) * math.log(1 - p)
        both, squares = both + p * y, squares + p * p + y * y
    return 0.5 * (bce / logits.numel() + 1 - (2 * both + 1e-5) / (squares + 1e-5))


def dual(dme_loss: Callable[..., Tensor]) -> None:
    """Eq. 4-5, the union pixel by pixel."""
    z1, z2 = normal(chance := rng(), 2, 2, 1, 4, 4)
    m1, m2 = coins(chance, 2, 2, 1, 4, 4)
    pixels = zip(m1.flatten().tolist(), m2.flatten().tolist(), strict=True)
    union = torch.tensor([float(1 in pixel) for pixel in pixels]).view_as(m1)
    of = lambda t1, t2: bce_dice(z1, t1) + bce_dice(z2, t2)
    same(
        dme_loss(z1, z2, m1, m2),
        of(union, union),
        "L_DME",
        {
            "what is the target where both masks say lesion? A mask has no 2.": of(m1 + m2, m1 + m2),
            "the target is lesion where both branches say so; which word does the paper have?": of(m1 * m2, m1 * m2),
            "each branch is taught by its own mask; how many targets has Eq. 5?": of(m1, m2),
            "each branch is taught by the other's mask, as in cross pseudo supervision; what is in Eq. 5?": of(m2, m1),
            "the target is one half where the masks differ; is that an OR?": of((m1 + m2) / 2, (m1 + m2) / 2),
            "only branch 1 is taught; how many terms has Eq. 5?": bce_dice(z1, union),
            "only branch 2 is taught; how many terms has Eq. 5?": bce_dice(z2, union),
            "the two terms are averaged; what does Eq. 5 do with them?": of(union, union) / 2,
        },
        tol=1e-4,
    )


def distance(f1: Tensor, f2: Tensor) -> float:
    """The mean over all elements of |softmax(f1) - softmax(f2)|, place by place."""
    total = 0.0
    for picture1, picture2 in zip(f1.detach().double(), f2.detach().double(), strict=True):
        for place1, place2 in zip(picture1.flatten(1).T.tolist(), picture2.flatten(1).T.tolist(), strict=True):
            e1, e2 = ([math.exp(value) for value in place] for place in (place1, place2))
            total += sum(abs(u / sum(e1) - v / sum(e2)) for u, v in zip(e1, e2, strict=True))
    return total / f1.numel()


def apart(discrepancy: Callable[..., Tensor]) -> None:
    """Eq. 6-7, place by place."""
    f1, f2 = normal(rng(), 2, 2, 6, 3, 4).requires_grad_()
    of = lambda gap: 1 / (gap.mean() + 1e-6)
    space = lambda f: f.flatten(2).softmax(2).view_as(f)
    gap = (f1.softmax(1) - f2.softmax(1)).abs()
    truth = 1 / (distance(f1, f2) + 1e-6)
    got = discrepancy(f1, f2)
    same(
        got,
        truth,
        "L_dis",
        {
            "where is the softmax of Eq. 7?": of((f1 - f2).abs()),
            "the softmax runs over the places of a map: of what is there a distribution at each place?": of(
                (space(f1) - space(f2)).abs()
            ),
            "the softmax runs over the pictures of the batch: of what is there a distribution at each place?": of(
                (f1.softmax(0) - f2.softmax(0)).abs()
            ),
            "this is the distance itself: is it large where features are alike?": 1 / truth,
            "the distance is a sum over everything; what does the text above ask for?": of(gap.sum()),
            "the distance is a sum over the channels; what does the text above ask for?": of(gap.sum(1)),
            "the differences are squared; has the Manhattan distance squares?": of(gap.square()),
        },
        tol=1e-3,
    )
    expect(isinstance(got, Tensor) and got.requires_grad, "No gradient reaches the features: how could they be moved?")
    expect(abs(discrepancy(f1, f1).item() - 1e6) < 1e3, "Equal features do not give 1 / eps: where does eps stand?")


def halves(feature_loss: Callable[..., Tensor]) -> None:
    """Eq. 8 from four different features."""
    chance = rng()
    sup1, sup2, weak1, weak2 = (scale * normal(chance, 2, 5, 2, 3) for scale in (0.2, 0.2, 2, 2))
    d = lambda one, two: 1 / (distance(one, two) + 1e-6)
    truth = (d(sup1, sup2) + d(weak1, weak2)) / 2
    mean = (distance(sup1, sup2) + distance(weak1, weak2)) / 2
    same(
        feature_loss(d, sup1, sup2, weak1, weak2),
        truth,
        "L_FDL",
        {
            "which factor stands before the bracket of Eq. 8?": 2 * truth,
            "each branch is compared with itself; whose features does Eq. 8 compare?": (d(sup1, weak1) + d(sup2, weak2))
            / 2,
            "this is the loss of the mean distance; which of the two comes first in Eq. 8?": 1 / (mean + 1e-6),
            "only the labelled pictures count; what is the second term of Eq. 8?": d(sup1, sup2),
            "only the unlabelled pictures count; what is the first term of Eq. 8?": d(weak1, weak2),
            "labelled pictures of one branch are compared with unlabelled ones of the other.": (
                d(sup1, weak2) + d(weak1, sup2)
            )
            / 2,
        },
        tol=1e-3,
    )


def least_loss(channels: int) -> float:
    """The least 1 / mean |F1 - F2| over many pairs of distributions, flat ones and ones on a single channel."""
    spread = rng().random((2, 100, channels)) ** 8
    one_hot = np.eye(channels)
    flat = spread / spread.sum(2, keepdims=True)
    pairs = np.concatenate([flat, np.stack([one_hot, np.roll(one_hot, 1, 0)])], axis=1)
    return float(1 / np.abs(pairs[0] - pairs[1]).mean(1).max())


def least(floor: Callable[[int], float]) -> None:
    """The floor, by trying distributions over several numbers of channels."""
    for channels in (5, 32, 768):
        truth = least_loss(channels)
        same(
            floor(channels),
            truth,
            f"The floor of {channels} channels",
            {
                "is the distance a sum over the channels, or a mean?": 0.5,
                "this is the largest distance; what loss belongs to it?": 1 / truth,
                "how far apart are two distributions that share no channel? Both of them sum to one.": 2 * truth,
                "can two distributions be that far apart? Try two that sit on one channel each.": truth / 2,
                "can every channel differ by one at the same place? Both distributions sum to one.": 1.0,
                "a loss of 0 needs an infinite distance; is there one between distributions?": 0.0,
            },
            tol=1e-3,
        )


def reached(farthest: Features) -> None:
    """Whether the features stand on the floor."""
    for channels in (2, 16, 128):
        try:
            f1, f2 = farthest(channels)
        except (TypeError, ValueError):
            raise Wrong("Are two features returned, f1 and f2?") from None
        for f in (f1, f2):
            expect(
                isinstance(f, Tensor) and tuple(f.shape) == (1, channels, 1, 1),
                f"For {channels} channels both features are tensors of the shape (1, {channels}, 1, 1); is yours?",
            )
        expect(bool(torch.isfinite(torch.cat([f1, f2])).all()), "A feature is not finite; a large number will do.")
        over = 1 / (distance(f1, f2) + 1e-12) / least_loss(channels)
        expect(over < 1e3, "The two features are alike after the softmax: there the loss is largest.")
        expect(
            over <= 1.01,
            f"Their loss is {over:.2f} times the floor. A softmax comes behind these numbers: on how many channels "
            "does each distribution sit then, and do they share any?",
        )


CHECKS = {"L3.1": confident, "L3.2": dual, "L3.3": apart, "L3.4": halves, "L3.5": least, "L3.6": reached}

MISTAKES = (
    Mistake(
        "L3.1",
        "sure of either class",
        "where does the class come in",
        "return (torch.maximum(p, 1 - p).detach() > tau).to(p.dtype)",
    ),
    Mistake("L3.1", "gradient", "may a branch move", "return 0 * p + (p > tau).to(p.dtype)"),
    Mistake(
        "L3.2",
        "plain sum",
        "A mask has no 2",
        "joint = mask1 + mask2\nreturn bce_dice(logits1, joint) + bce_dice(logits2, joint)",
    ),
    Mistake(
        "L3.2",
        "intersection",
        "which word does the paper have",
        "joint = mask1 * mask2\nreturn bce_dice(logits1, joint) + bce_dice(logits2, joint)",
    ),
    Mistake(
        "L3.3",
        "softmax over places",
        "places of a map",
        "F1, F2 = (f.flatten(2).softmax(2) for f in (f1, f2))\nreturn 1 / ((F1 - F2).abs().mean() + eps)",
    ),
    Mistake("L3.3", "no softmax", "where is the softmax", "return 1 / ((f1 - f2).abs().mean() + eps)"),
    Mistake("L3.4", "no half", "which factor", "return loss(sup1, sup2) + loss(weak1, weak2)"),
    Mistake(
        "L3.4",
        "within a branch",
        "compared with itself",
        "return (loss(sup1, weak1) + loss(sup2, weak2)) / 2",
    ),
    Mistake("L3.5", "distance of one", "share no channel", "return float(channels)"),
    Mistake(
        "L3.6",
        "logits too small",
        "times the floor",
        "f1, f2 = torch.zeros(2, 1, channels, 1, 1)\nf1[:, 0], f2[:, 1] = 1, 1\nreturn f1, f2",
    ),
)
