"""Checks of lab 6: S3-Net's losses against loops over pixels, and the two tests against functions that are known."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tutseg.labs.chance import coins, normal
from tutseg.labs.checking import Mistake, expect, rng, same

SOBEL = {
    "x": ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
    "y": ((-1, -2, -1), (0, 0, 0), (1, 2, 1)),
    "xy": ((1, 0, -1), (0, 0, 0), (-1, 0, 1)),
}


def self_labels(self_label_loss: Callable[[Tensor], Tensor]) -> None:
    """Eq. 4, pixel by pixel."""
    logits = 2 * normal(rng(), 2, 5, 3, 4)
    wanted, sums, chances = [], [], []
    for picture in logits.flatten(2).tolist():
        columns = list(zip(*picture, strict=True))
        share = [math.exp(max(pixel)) / sum(map(math.exp, pixel)) for pixel in columns]
        wanted.append(-sum(map(math.log, share)) / len(columns))
        sums.append(-sum(map(math.log, share)))
        chances.append(-sum(share) / len(columns))
    places = logits.flatten(2).log_softmax(2).gather(1, logits.flatten(2).argmax(1, keepdim=True))
    same(
        self_label_loss(logits),
        wanted,
        "L_ce of two pictures",
        {
            "each picture has a loss of its own; over what did you take the mean?": np.mean(wanted),
            "this is the sum over the pixels; what stands before the sums of Eq. 4?": sums,
            "the probability itself is averaged; what does Eq. 4 take of it?": chances,
            "a loss falls when the network is surer; does this one?": [-value for value in wanted],
            "the softmax runs over the pixels; over what are a pixel's probabilities distributed?": -places.mean(
                (1, 2)
            ),
            "is there a softmax? Logits are no probabilities.": -logits.amax(1).mean((1, 2)),
            "which cluster is a pixel's label: the most or the least likely?": -logits.log_softmax(1)
            .amin(1)
            .mean((1, 2)),
        },
        tol=1e-4,
    )


def edges(maps: Tensor) -> dict[str, np.ndarray]:
    """Sobel edges of maps by loops, mirrored at the border; each of the maps' shape."""
    padded = np.pad(maps.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    found = {name: np.zeros(maps.shape) for name in SOBEL}
    for name, kernel in SOBEL.items():
        for b, k, i, j in np.ndindex(*maps.shape):
            window = padded[b, k, i : i + 3, j : j + 3]
            found[name][b, k, i, j] = sum(kernel[u][v] * window[u, v] for u in range(3) for v in range(3))
    return found


def smooth(spatial_loss: Callable[[Tensor], Tensor]) -> None:
    """Eq. 5 from edges made by loops."""
    maps = normal(rng(), 2, 3, 5, 6).softmax(1)
    x, y, xy = edges(maps).values()
    gaps = np.abs(x - y) + np.abs(x - xy) + np.abs(y - xy)
    of = lambda values: values.sum(1).mean((1, 2))
    same(
        spatial_loss(maps),
        of(gaps),
        "L_S of two maps",
        {
            "this is the mean over the channels; what does the text above ask for?": gaps.mean((1, 2, 3)),
            "this is the sum over the pixels; what does the text above ask for?": gaps.sum((1, 2, 3)),
            "each picture has a loss of its own; over what did you take the mean?": of(gaps).mean(),
            "these are the edges themselves; what does Eq. 5 compare?": of(np.abs(x) + np.abs(y) + np.abs(xy)),
            "one of the three pairs is missing.": of(np.abs(x - y) + np.abs(x - xy)),
            "positive and negative differences cancel: what stands around them in Eq. 5?": of(2 * x - 2 * xy),
            "the differences are squared; what does Eq. 5 do with them?": of(
                (x - y) ** 2 + (x - xy) ** 2 + (y - xy) ** 2
            ),
        },
        tol=1e-4,
    )


def central(slope: Callable[..., float]) -> None:
    """The central difference of functions whose derivative is known."""
    chance = rng()
    x, direction = normal(chance, 6).double(), 3 * normal(chance, 6).double()
    cubic = lambda at: (at**3).sum()
    truth = float((3 * x**2 * direction).sum())
    wide = 0.1
    rest = wide**2 * float((direction**3).sum())  # what a central difference leaves of a cubic
    same(
        slope(cubic, x, direction, wide),
        truth + rest,
        "The slope of a cubic",
        {
            "how far apart are the two points?": 2 * (truth + rest),
            "by what is the difference divided?": 2 * wide * (truth + rest),
            "which of the two values comes first?": -truth - rest,
            "one of the two points is x itself, which is less exact: which two does the formula have?": float(
                cubic(x + wide * direction) - cubic(x)
            )
            / wide,
            "has the direction been given another length?": slope_of(cubic, x, direction / direction.norm(), wide),
        },
        tol=1e-5,
    )
    same(
        slope(cubic, x, direction, 1e-4),
        truth,
        "The slope of a cubic with a small h",
        {"Is h used, whatever it is?": truth + rest},
        tol=1e-4,
    )


def slope_of(loss: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor, h: float) -> float:
    """The central difference itself, for a direction of another length."""
    return float(loss(x + h * direction) - loss(x - h * direction)) / (2 * h)


def lengths(gradient_size: Callable[..., float]) -> None:
    """The gradient's norm, from differences along every coordinate."""
    x = normal(rng(), 2, 3)
    loss = lambda at: (at**2).sum() + at[0, 0] * at[1, 2]
    each = []
    for place in np.ndindex(2, 3):
        step = torch.zeros(2, 3, dtype=torch.float64)
        step[place] = 1
        each.append(slope_of(loss, x.double(), step, 1e-4))
    each = np.array(each)
    same(
        gradient_size(loss, x),
        np.sqrt((each**2).sum()),
        "The length of a gradient",
        {
            "this is its square; what is the Euclidean norm?": (each**2).sum(),
            "this is the sum of absolute values; what is the Euclidean norm?": np.abs(each).sum(),
            "this is the largest entry; what is the Euclidean norm?": np.abs(each).max(),
            "this is a mean of entries, and those of both signs cancel.": each.mean(),
            "this is the value of the loss; what is asked for?": float(loss(x)),
            "this is the length of x; whose length is asked for?": float(x.norm()),
        },
        tol=1e-3,
    )
    expect(not x.requires_grad, "x itself was changed: does it require a gradient now? Work on a copy.")
    same(gradient_size(lambda at: at.argmax().float(), x), 0.0, "A loss that no way leads to from x")


def identity(identity_test: Callable[..., float]) -> None:
    """Losses that notice one move and not another."""
    maps, weights = normal(rng(), 1, 1, 4, 4), torch.arange(16.0).view(1, 1, 4, 4)
    moves = [lambda m: m.flip(2), lambda m: m.flip(3), lambda m: m.rot90(1, (2, 3)), lambda m: m.roll(1, 3)]
    total = lambda moved: float((weights * moved).sum())
    if max(total(move(maps)) - total(maps) for move in moves) > -min(total(move(maps)) - total(maps) for move in moves):
        maps = -maps  # so that the largest change is one downwards
    loss = lambda move: (weights * move(maps)).sum()
    still = total(maps)
    changes = [total(move(maps)) - still for move in moves]
    sizes = np.abs(changes)
    same(
        identity_test(loss, moves),
        sizes.max(),
        "The largest of four changes",
        {
            "a change downwards is one too: what of its sign?": max(changes),
            "this is the smallest change; one move that is noticed is enough.": sizes.min(),
            "this is the mean change; which one is asked for?": sizes.mean(),
            "this is the change by the first move; there are more.": sizes[0],
            "this is the change by the last move; there are more.": sizes[-1],
            "this is a value of the loss and no change.": max(still + change for change in changes),
            "with what is the moved loss compared? Something must come out without a move.": max(
                abs(still + change) for change in changes
            ),
            "the moves are compared with one another; with what should they be?": max(changes) - min(changes),
            "is no move the same as a loss of nothing? Maps that are all 0 are another input.": np.abs(
                still + np.array(changes)
            ).max(),
        },
        tol=1e-4,
    )
    even = lambda move: move(maps).square().mean()
    same(identity_test(even, moves[:3]), 0.0, "A loss that is blind to turns", tol=1e-5)


def known(moved_loss: Callable[..., Tensor]) -> None:
    """Eq. 6 over the valid pixels, one after the other."""
    chance = rng()
    second, valid = normal(chance, 3, 4, 5, 5), coins(chance, 3, 5, 5, share=0.6).bool()
    valid[2] = False
    target = torch.from_numpy(chance.integers(4, size=(3, 5, 5)))
    wanted, all_pixels = np.zeros(3), np.zeros(3)
    for b, i, j in np.ndindex(3, 5, 5):
        row = second[b, :, i, j].tolist()
        one = math.log(sum(map(math.exp, row))) - row[int(target[b, i, j])]
        wanted[b] += one * bool(valid[b, i, j])
        all_pixels[b] += one
    sums, seen = wanted.copy(), valid.sum((1, 2)).numpy()
    wanted /= np.maximum(seen, 1)
    with np.errstate(invalid="ignore"):
        empty = sums / seen
    same(
        moved_loss(second, target, valid),
        wanted,
        "L_AT of three pictures",
        {
            "pixels from outside count as well.": all_pixels / 25,
            "what is the sum divided by? Only valid pixels have been added up.": sums / 25,
            "this is a sum and no mean.": sums,
            "each picture has a loss of its own; over what did you take the mean?": F.cross_entropy(second, target),
            "the pictures are mixed: each has its own number of valid pixels.": sums / seen.sum(),
            "a picture without a valid pixel gives 0 / 0.": empty,
            "the pixels that are *not* valid count.": (all_pixels - sums) / np.maximum(25 - seen, 1),
        },
        tol=1e-4,
    )


CHECKS = {"L6.1": self_labels, "L6.2": smooth, "L6.3": central, "L6.4": lengths, "L6.5": identity, "L6.6": known}

MISTAKES = (
    Mistake(
        "L6.1",
        "probability without logarithm",
        "what does Eq. 4 take of it",
        "return -logits.softmax(1).amax(1).mean((1, 2))",
    ),
    Mistake(
        "L6.1",
        "logits taken for probabilities",
        "Logits are no probabilities",
        "return -logits.amax(1).mean((1, 2))",
    ),
    Mistake(
        "L6.2",
        "mean over channels",
        "mean over the channels",
        "x, y, xy = sobel(maps)\nreturn ((x - y).abs() + (x - xy).abs() + (y - xy).abs()).mean((1, 2, 3))",
    ),
    Mistake(
        "L6.2",
        "edges themselves",
        "what does Eq. 5 compare",
        "x, y, xy = sobel(maps)\nreturn (x.abs() + y.abs() + xy.abs()).sum(1).mean((1, 2))",
    ),
    Mistake(
        "L6.3", "divided by h", "how far apart", "return float(loss(x + h * direction) - loss(x - h * direction)) / h"
    ),
    Mistake(
        "L6.4",
        "stops where there is no gradient",
        "stops with RuntimeError",
        "x = x.clone().requires_grad_()\n(gradient,) = torch.autograd.grad(loss(x), x)\nreturn gradient.norm().item()",
    ),
    Mistake(
        "L6.4",
        "the value",
        "value of the loss",
        "x = x.clone().requires_grad_()\nreturn float(loss(x)) if loss(x).requires_grad else 0.0",
    ),
    Mistake(
        "L6.5",
        "sign kept",
        "what of its sign",
        "still = float(loss(lambda maps: maps))\nreturn max(float(loss(move)) - still for move in moves)",
    ),
    Mistake(
        "L6.6",
        "mean over all pixels",
        "what is the sum divided by",
        "each = F.cross_entropy(second, target, reduction='none')\nreturn (each * valid).mean((1, 2))",
    ),
    Mistake(
        "L6.6",
        "nothing by nothing",
        "0 / 0",
        "each = F.cross_entropy(second, target, reduction='none') * valid\nreturn each.sum((1, 2)) / valid.sum((1, 2))",
    ),
)
