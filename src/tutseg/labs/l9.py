"""Checks of lab 9: boxes, prompts and distillation against loops over pixels; a clock; a Pareto front by all pairs."""

import math
import time
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from tutseg.labs.chance import normal
from tutseg.labs.checking import Mistake, expect, rng, same


def boxes(box_of: Callable[[np.ndarray], tuple]) -> None:
    """The box of random masks, from their pixels' edges."""
    chance = rng()
    for _ in range(8):
        h, w = (int(side) for side in chance.integers(6, 9, 2))
        w += h  # never square
        mask = np.zeros((h, w), bool)
        for _ in range(3):
            mask[chance.integers(1, h - 1), chance.integers(1, w - 1)] = True
        pixels = list(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))
        top, bottom = min(i for i, _ in pixels), max(i for i, _ in pixels)
        left, right = min(j for _, j in pixels), max(j for _, j in pixels)
        wanted = (left / w, top / h, (right + 1) / w, (bottom + 1) / h)
        same(
            box_of(mask),
            wanted,
            f"a mask of {h} rows and {w} columns",
            {
                "a pixel has a width: where is the far edge of the last one?": (
                    left / w,
                    top / h,
                    right / w,
                    bottom / h,
                ),
                "are rows and columns exchanged? Left comes before top": (
                    top / h,
                    left / w,
                    (bottom + 1) / h,
                    (right + 1) / w,
                ),
                "are rows divided by the width, and columns by the height?": (
                    left / h,
                    top / w,
                    (right + 1) / h,
                    (bottom + 1) / w,
                ),
                "these are pixels; shares of width and height are asked for": (left, top, right + 1, bottom + 1),
                "these are pixels, and the far edge is missing": (left, top, right, bottom),
                "is this a corner with width and height? Two corners are asked for": (
                    left / w,
                    top / h,
                    (right + 1 - left) / w,
                    (bottom + 1 - top) / h,
                ),
                "in which order do the edges come?": (left / w, (right + 1) / w, top / h, (bottom + 1) / h),
            },
        )


def logistic(z: float) -> float:
    """The probability that belongs to a logit."""
    return 1 / (1 + math.exp(-z))


def prompt(fused: Callable[..., Tensor]) -> None:
    """The mean of two logits, pixel by pixel."""
    chance = rng()
    z, phi = normal(chance, 2, 1, 4, 5).requires_grad_(), torch.tanh(normal(chance, 2, 1, 4, 5)).requires_grad_()
    for k in (10.0, 3.0):
        pairs = list(zip(z.flatten().tolist(), phi.flatten().tolist(), strict=True))
        each = lambda rule, pairs=pairs: np.reshape([rule(a, b) for a, b in pairs], z.shape)
        got = fused(z, phi, k)
        same(
            got,
            each(lambda a, b, k=k: (a - k * b) / 2),
            f"a prompt with k = {k:g}",
            {
                "inside a lesion the distance is below 0, and the logits are above: what of the sign?": each(
                    lambda a, b, k=k: (a + k * b) / 2
                ),
                "is k used?": each(lambda a, b: (a - b) / 2),
                "is k always 10?": each(lambda a, b: (a - 10 * b) / 2),
                "this is a sum; what of a mean?": each(lambda a, b, k=k: a - k * b),
                "these are probabilities; what does Segment Anything take?": each(
                    lambda a, b, k=k: (logistic(a) + logistic(-k * b)) / 2
                ),
                "does k multiply both? The mask's head is a logit already": each(lambda a, b, k=k: k * (a - b) / 2),
                "this is the larger of the two logits": each(lambda a, b, k=k: max(a, -k * b)),
            },
            tol=1e-5,
        )
        expect(isinstance(got, Tensor) and not got.requires_grad, "a gradient passes through the prompt")


def divergence(distillation: Callable[..., Tensor]) -> None:
    """Eq. 2-3, class by class of each pixel."""
    chance = rng()
    sam, main = (3 * normal(chance, 2, 1, 3, 4) for _ in range(2))
    sam.requires_grad_()
    main.requires_grad_()

    def kl(z_from: Tensor, z_to: Tensor, t: float, classes: tuple[int, ...] = (0, 1)) -> float:
        total = 0.0
        for a, b in zip(z_from.flatten().tolist(), z_to.flatten().tolist(), strict=True):
            p, q = ([logistic(-z / t), logistic(z / t)] for z in (a, b))
            total += sum(p[c] * math.log(p[c] / q[c]) for c in classes)
        return total / z_from.numel()

    for t in (2.0, 1.0):
        got = distillation(sam, main, t)
        same(
            got,
            kl(sam, main, t),
            f"two networks at T = {t:g}",
            {
                "which of the two networks stands in front of the logarithm?": kl(main, sam, t),
                "only lesion is there; what of the second class?": kl(sam, main, t, (1,)),
                "only skin is there; what of the second class?": kl(sam, main, t, (0,)),
                "does T act? This is the loss at T = 1": kl(sam, main, 1.0),
                "there is a factor that Eq. 3 has not": t * t * kl(sam, main, t),
                "is it multiplied by T where Eq. 2 divides?": kl(sam, main, 1 / t),
                "this is a sum over pixels": sam.numel() * kl(sam, main, t),
                "which way round is the fraction in the logarithm? A divergence is not negative": -kl(sam, main, t),
                "this is a cross-entropy; a divergence is 0 where the two agree": kl(sam, main, t)
                + entropy(sam.detach() / t),
            },
            tol=1e-4,
        )
    expect(isinstance(got, Tensor) and got.requires_grad, "no gradient reaches the small network")
    (of_sam,) = torch.autograd.grad(got, sam, allow_unused=True)
    expect(of_sam is None, "a gradient reaches Segment Anything: who teaches whom?")
    expect(
        bool(torch.isfinite(distillation(sam * 40, main * 40, 1.0))),
        "for very sure networks the loss is not finite: is the logarithm of a sigmoid taken?",
    )


def entropy(logits: Tensor) -> float:
    """The mean entropy of two classes."""
    total = 0.0
    for z in logits.flatten().tolist():
        p = logistic(z)
        total -= p * math.log(p) + (1 - p) * math.log(1 - p)
    return total / logits.numel()


def clock(milliseconds: Callable[..., float]) -> None:
    """A call whose times are known, by a clock that only it moves: slow at first, and once in between."""
    waits, now = [0.04, 0.003, 0.004, 0.06, 0.005, 0.006], [0.0]
    calls: list[float] = []

    def call() -> None:
        calls.append(waits[min(len(calls), 5)])
        now[0] += calls[-1]

    with patch.object(time, "perf_counter", lambda: now[0]):
        got = milliseconds(call, 5)
    expect(len(calls) != 5, "five calls were made in all; is there one before them that is not measured?")
    expect(len(calls) == 6, f"{len(calls)} calls were made; one to warm up and five that are measured are asked for")
    measured = waits[1:]
    same(
        got,
        1000 * sorted(measured)[2],
        "five calls, one of them slow, after a first slow one",
        {
            "this is a mean; what of the slow call?": 1000 * sum(measured) / 5,
            "this is a mean, with the first call in it": 1000 * sum(waits) / 6,
            "are these seconds?": sorted(measured)[2],
            "the first call is among those that are measured": 1000 * float(np.median(waits)),
            "this is the fastest; what of a median?": 1000 * min(measured),
            "this is the slowest; what of a median?": 1000 * max(measured),
            "this is the time of all calls": 1000 * sum(measured),
            "no time has passed: is it time.perf_counter() that is asked?": 0.0,
        },
    )


def pareto(front: Callable[[dict], list]) -> None:
    """The front of random points, by all pairs, with ties."""
    chance = rng()
    for _ in range(12):
        order = chance.permutation(list("abcdef"))
        points = {str(n): (int(chance.integers(3, 8)) / 10, int(chance.integers(1, 7))) for n in order}
        if len(set(points.values())) < 6:
            continue  # two alike

        def left(beats: Callable[[tuple, tuple], bool], points: dict = points) -> list[str]:
            names = [n for n in points if not any(beats(p, points[n]) for p in points.values() if p != points[n])]
            return sorted(names, key=lambda n: points[n][1])

        wanted = left(lambda p, q: p[0] >= q[0] and p[1] <= q[1])
        got = front(dict(points))
        expect(isinstance(got, list), "a list of names is asked for")
        if got == wanted:
            continue
        expect(len(got) > 0, "nobody is left: is every point compared with itself, too?")
        expect(sorted(got) != sorted(wanted), "these are the right names; which one comes first?")
        for hint, beats in (
            ("one is left that another beats here and equals there", lambda p, q: p[0] > q[0] and p[1] < q[1]),
            ("is a network better for taking longer?", lambda p, q: p[0] >= q[0] and p[1] >= q[1]),
            ("is a network better for being less accurate?", lambda p, q: p[0] <= q[0] and p[1] <= q[1]),
        ):
            expect(sorted(got) != sorted(left(beats)), hint)
        expect(
            len(got) > 1 or len(wanted) == 1,
            "only one is left: the best in one respect is not the only one worth having",
        )
        expect(False, "this is not what comparing every pair by hand gives; draw five points on paper")


CHECKS = {"L9.1": boxes, "L9.2": prompt, "L9.3": divergence, "L9.4": clock, "L9.5": pareto}

MISTAKES = (
    Mistake(
        "L9.1",
        "the last pixel has no width",
        "far edge",
        "rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))\n"
        "h, w = mask.shape\n"
        "return columns[0] / w, rows[0] / h, columns[-1] / w, rows[-1] / h",
    ),
    Mistake(
        "L9.1",
        "rows for columns",
        "rows and columns exchanged",
        "rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))\n"
        "h, w = mask.shape\n"
        "return rows[0] / h, columns[0] / w, (rows[-1] + 1) / h, (columns[-1] + 1) / w",
    ),
    Mistake("L9.2", "the sign of the distance", "what of the sign", "return (z.detach() + k * phi.detach()) / 2"),
    Mistake("L9.2", "a gradient", "a gradient passes", "return (z - k * phi) / 2"),
    Mistake(
        "L9.3",
        "the divergence the other way",
        "in front of the logarithm",
        "log = torch.nn.functional.logsigmoid\n"
        "s, m = sam.detach() / temperature, main / temperature\n"
        "return (m.sigmoid() * (log(m) - log(s)) + (-m).sigmoid() * (log(-m) - log(-s))).mean()",
    ),
    Mistake(
        "L9.3",
        "one class",
        "second class",
        "log = torch.nn.functional.logsigmoid\n"
        "s, m = sam.detach() / temperature, main / temperature\n"
        "return (s.sigmoid() * (log(s) - log(m))).mean()",
    ),
    Mistake(
        "L9.4",
        "a mean",
        "this is a mean",
        "call()\n"
        "start = time.perf_counter()\n"
        "for _ in range(repeats):\n"
        "    call()\n"
        "return 1000 * (time.perf_counter() - start) / repeats",
    ),
    Mistake(
        "L9.4",
        "no warming up",
        "not measured",
        "times = []\n"
        "for _ in range(repeats):\n"
        "    start = time.perf_counter()\n"
        "    call()\n"
        "    times.append(time.perf_counter() - start)\n"
        "return 1000 * np.median(times)",
    ),
    Mistake(
        "L9.5",
        "only what is better in both",
        "beats here and equals there",
        "better = lambda p, q: p[0] > q[0] and p[1] < q[1]\n"
        "names = [n for n in points if not any(better(p, points[n]) for p in points.values())]\n"
        "return sorted(names, key=lambda n: points[n][1])",
    ),
    Mistake(
        "L9.5",
        "compared with itself",
        "compared with itself",
        "better = lambda p, q: p[0] >= q[0] and p[1] <= q[1]\n"
        "names = [n for n in points if not any(better(p, points[n]) for p in points.values())]\n"
        "return sorted(names, key=lambda n: points[n][1])",
    ),
)
