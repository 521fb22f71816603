"""Checks of lab 8: the area under a ROC curve against all pairs, omega's gradient against differences."""

import math
from collections.abc import Callable

import numpy as np

from tutseg.labs.checking import Mistake, expect, rng, same


def all_pairs(doubt: np.ndarray, wrong: np.ndarray, tie: float = 0.5) -> float:
    """How often a wrong label has the higher doubt, pair by pair."""
    pairs = [(a, b) for a in doubt[wrong].tolist() for b in doubt[~wrong].tolist()]
    return sum(1.0 if a > b else tie * (a == b) for a, b in pairs) / len(pairs)


def of_pairs(area: Callable[..., float]) -> None:
    """The area, with ties, from all pairs."""
    chance = rng()
    for _ in range(6):
        n = int(chance.integers(12, 30))
        doubt, wrong = chance.integers(0, 6, n) / 5, chance.random(n) < 0.3
        wrong[:2] = True, False
        same(
            area(doubt, wrong),
            all_pairs(doubt, wrong),
            f"{n} labels, of which {wrong.sum()} are wrong",
            {
                "a tie counts one half: does it count nothing here?": all_pairs(doubt, wrong, 0),
                "a tie counts one half: does it count fully here?": all_pairs(doubt, wrong, 1),
                "which of the two is to have the higher doubt, the wrong label or the right one?": 1
                - all_pairs(doubt, wrong),
                "is a pair made of any two labels? One of them is wrong and the other right": all_pairs(
                    np.concatenate([doubt, doubt]), np.repeat([True, False], n)
                ),
                "this is a number of pairs; of how many?": all_pairs(doubt, wrong) * wrong.sum() * (~wrong).sum(),
                "this is a difference of two mean doubts": doubt[wrong].mean() - doubt[~wrong].mean(),
                "this is the share of wrong labels with a doubt above one half; an area needs no threshold": np.mean(
                    doubt[wrong] > 0.5
                ),
            },
        )


def by_label(area_within: Callable[..., dict[str, float]]) -> None:
    """The area among the pixels of each label."""
    chance = rng()
    for _ in range(6):
        label, doubt = chance.random(40) < 0.4, chance.random(40)
        wrong = chance.random(40) < np.where(label, 0.5, 0.2)
        label[:4], wrong[:4] = (True, True, False, False), (True, False, True, False)
        truth = [all_pairs(doubt[part], wrong[part]) for part in (label, ~label)]
        got = area_within(all_pairs, doubt, label, wrong)
        expect(
            isinstance(got, dict) and set(got) == {"lesion", "background"}, "a dict of lesion and background is asked"
        )
        meant = label != wrong  # what the label would be if it were right
        same(
            [got["lesion"], got["background"]],
            truth,
            "forty pixels",
            {
                "are lesion and background in each other's place?": truth[::-1],
                "this is the area over both labels, twice": [all_pairs(doubt, wrong)] * 2,
                "is a pixel sorted by its true label? It has to be the one that is given": [
                    all_pairs(doubt[part], wrong[part]) for part in (meant, ~meant)
                ],
            },
        )


def entropy(theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The cross-entropy of each pixel, by loops."""
    z = [sum(a * b for a, b in zip(row, theta, strict=True)) for row in x]
    return np.array([math.log1p(math.exp(-value if one else value)) for value, one in zip(z, y, strict=True)])


def after_step(omega: np.ndarray, theta: np.ndarray, fuzzy: tuple, clear: tuple, rate: float) -> float:
    """The clear pixels' mean loss after a virtual step with weights, whose gradient is taken by differences."""
    mean = lambda at: float(np.mean(omega * entropy(at, *fuzzy)))
    h = 1e-5
    gradient = [(mean(theta + h * unit) - mean(theta - h * unit)) / (2 * h) for unit in np.eye(len(theta))]
    return float(np.mean(entropy(theta - rate * np.array(gradient), *clear)))


def through_step(omega_slope: Callable[..., np.ndarray]) -> None:
    """The gradient of omega by differences of the whole procedure."""
    chance = rng()
    theta, rate = chance.normal(size=3), 2.0
    fuzzy, clear = ((chance.normal(size=(n, 3)), chance.integers(0, 2, n)) for n in (8, 11))
    wanted = []
    for k in range(8):
        unit, h = np.eye(8)[k], 1e-3
        ends = (after_step(1 + sign * h * unit, theta, fuzzy, clear, rate) for sign in (1, -1))
        wanted.append((next(ends) - next(ends)) / (2 * h))
    wanted = np.array(wanted)
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    each = (sigmoid(fuzzy[0] @ theta) - fuzzy[1])[:, None] * fuzzy[0]
    wish = lambda at: (sigmoid(clear[0] @ at) - clear[1]) @ clear[0] / 11
    moved = theta - rate * each.mean(0)
    same(
        omega_slope(theta, *fuzzy, *clear, rate),
        wanted,
        "eight fuzzy and eleven clear pixels",
        {
            "is there a minus in front? A step goes down the gradient": -wanted,
            "where is the clear pixels' gradient taken: before the virtual step or after it?": -rate
            / 8
            * each
            @ wish(theta),
            "is the virtual step divided by the number of fuzzy pixels, and its derivative not?": wanted * 8,
            "is the mean over the clear pixels missing?": wanted * 11,
            "which way does the virtual step go?": -rate / 8 * each @ wish(theta + rate * each.mean(0)),
            "is the learning rate missing?": wanted / rate,
            "in the virtual step, is the gradient a mean over the fuzzy pixels?": -rate
            / 8
            * each
            @ wish(theta - rate * each.sum(0)),
            "this is the product with theta itself; with which gradient is it?": -rate / 8 * each @ moved,
        },
        tol=1e-4,
    )


def one_step(omega_after: Callable[..., np.ndarray]) -> None:
    """omega pixel by pixel."""
    chance = rng()
    for rate in (0.1, 0.7):
        slope = 1e-6 * chance.normal(size=30)
        size = math.sqrt(sum(value * value for value in slope.tolist()) / 30)
        wanted = np.array([max(1 - rate * value / size, 0) for value in slope.tolist()])
        same(
            omega_after(slope, rate),
            wanted,
            f"thirty slopes and a rate of {rate}",
            {
                "does omega go up the gradient? It is to go down": np.maximum(1 + rate * slope / size, 0),
                "omega is 1 nearly everywhere: by what is the gradient divided?": np.maximum(1 - rate * slope, 0),
                "where does omega start?": np.maximum(-rate * slope / size, 0),
                "a confidence is below 0": 1 - rate * slope / size,
                "is the root missing? This is divided by the mean square": np.maximum(1 - rate * slope / size**2, 0),
                "is it divided by the length of the whole gradient? That grows with the number of pixels": np.maximum(
                    1 - rate * slope / (size * math.sqrt(30)), 0
                ),
                "is it divided by the standard deviation? Its mean is not 0": np.maximum(
                    1 - rate * slope / slope.std(), 0
                ),
                "is omega cut off at 1? It may rise": np.clip(1 - rate * slope / size, 0, 1),
            },
        )


def kept_labels(right_among_kept: Callable[..., float]) -> None:
    """The share of right labels among those with one sign, one by one."""
    chance = rng()
    for _ in range(5):
        slope, wrong = chance.normal(size=40), chance.random(40) < 0.3
        share = {}
        for name, keep in (("falls", lambda s: s > 0), ("rises", lambda s: s < 0)):
            told = [not bad for value, bad in zip(slope, wrong, strict=True) if keep(value)]
            share[name] = sum(told) / len(told)
        for sign, way, other in (("paper", "rises", "falls"), ("code", "falls", "rises")):
            same(
                right_among_kept(slope, wrong, sign),
                share[way],
                f'the sign "{sign}"',
                {
                    "are the two signs in each other's place? omega goes down its gradient": share[other],
                    "this is the share of wrong labels": 1 - share[way],
                    "this is a share of all labels, not of those kept": share[way] * np.mean(slope < 0)
                    if way == "rises"
                    else share[way] * np.mean(slope > 0),
                    "what share of the labels is kept was not asked": np.mean(
                        slope < 0 if way == "rises" else slope > 0
                    ),
                },
            )


CHECKS = {"L8.1": of_pairs, "L8.2": by_label, "L8.3": through_step, "L8.4": one_step, "L8.5": kept_labels}

MISTAKES = (
    Mistake(
        "L8.1",
        "ties lost",
        "count nothing",
        "high, low = doubt[wrong][:, None], doubt[~wrong]\nreturn np.mean(high > low)",
    ),
    Mistake(
        "L8.1",
        "turned round",
        "which of the two",
        "high, low = doubt[~wrong][:, None], doubt[wrong]\nreturn np.mean((high > low) + 0.5 * (high == low))",
    ),
    Mistake(
        "L8.2",
        "over both labels",
        "over both labels",
        'return {"lesion": area(doubt, wrong), "background": area(doubt, wrong)}',
    ),
    Mistake(
        "L8.2",
        "by the true label",
        "true label",
        "true = label != wrong\n"
        'return {"lesion": area(doubt[true], wrong[true]), "background": area(doubt[~true], wrong[~true])}',
    ),
    Mistake(
        "L8.3",
        "before the step",
        "before the virtual step",
        "each = (sigmoid(fuzzy_x @ theta) - fuzzy_y)[:, None] * fuzzy_x\n"
        "wish = (sigmoid(clear_x @ theta) - clear_y) @ clear_x / len(clear_x)\n"
        "return -rate / len(each) * each @ wish",
    ),
    Mistake(
        "L8.3",
        "no minus",
        "a minus in front",
        "each = (sigmoid(fuzzy_x @ theta) - fuzzy_y)[:, None] * fuzzy_x\n"
        "moved = theta - rate * each.mean(0)\n"
        "wish = (sigmoid(clear_x @ moved) - clear_y) @ clear_x / len(clear_x)\n"
        "return rate / len(each) * each @ wish",
    ),
    Mistake("L8.4", "not divided", "1 nearly everywhere", "return np.maximum(1 - rate * slope, 0)"),
    Mistake(
        "L8.4",
        "up the gradient",
        "up the gradient",
        "return np.maximum(1 + rate * slope / np.sqrt(np.mean(slope**2)), 0)",
    ),
    Mistake(
        "L8.5",
        "the two signs exchanged",
        "each other's place",
        'kept = slope > 0 if sign == "paper" else slope < 0\nreturn np.mean(~wrong[kept])',
    ),
    Mistake(
        "L8.5",
        "of all labels",
        "of all labels",
        'kept = slope < 0 if sign == "paper" else slope > 0\nreturn np.mean(~wrong & kept)',
    ),
)
