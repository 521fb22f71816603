"""Lab 5, a fair baseline: steps and epochs, the schedule, weak and strong views, gains paired by seed."""

import math

import numpy as np

from tutseg.labs.checking import Mistake, Wrong, expect, rng, same


def training_of(training_of):
    """Steps and views, against a training that is walked through batch by batch."""
    random = rng()
    for at in range(16):
        epochs, labelled, batch = (int(each) for each in random.integers((2, 3, 5), (6, 40 if at % 2 else 8, 20)))
        pictures = int(random.integers(labelled, 120))
        steps = seen = 0
        for _ in range(epochs):
            left = pictures
            while left > 0:
                left -= batch
                steps += 1
                seen += len(range(labelled)[:batch])
        seen /= labelled
        floor = epochs * (pictures // batch)
        likely = {
            "a last batch that is shorter is a step too": (floor, floor * min(batch, labelled) / labelled),
            "is the last batch rounded up at the end of all epochs, and not of each?":
                (x := math.ceil(epochs * pictures / batch), x * min(batch, labelled) / labelled),
            "how many labelled pictures fill a batch when there are fewer than it holds?":
                (steps, steps * batch / labelled),
            "each labelled picture is not seen once an epoch: count the batches of labelled pictures": (steps, epochs),
            "over which pictures does an epoch pass?":
                (y := epochs * math.ceil(labelled / batch), y * min(batch, labelled) / labelled),
            "is an epoch one step?": (epochs, epochs * min(batch, labelled) / labelled),
            "how often is each one seen? This is how many are seen in all": (steps, steps * min(batch, labelled)),
        }  # fmt: skip
        what = f"{epochs} epochs over {pictures} pictures, {labelled} labelled, batches of {batch}"
        same(training_of(epochs, pictures, labelled, batch), (steps, seen), what, likely)


def rate(rate):
    """The schedule against the half circle that a cosine draws."""
    random = rng()
    for _ in range(15):
        steps, first = int(random.integers(10, 400)), random.uniform(1e-4, 1e-1)
        step = int(random.integers(1, steps))
        turn = complex(0, math.pi * step / steps)
        height = (2.718281828459045**turn).real  # the cosine, by Euler
        likely = {
            "does it end below zero? It falls from the first rate to zero": first * height,
            "is it twice as high as it should be at the start?": first * (1 + height),
            "does it rise? It starts at the first rate": first * (1 - height) / 2,
            "half a turn of the cosine, from 1 to -1, is wanted": first * (1 + math.cos(step / steps)) / 2,
            "a whole turn comes back to where it began": first * (1 + math.cos(2 * math.pi * step / steps)) / 2,
            "is it a straight line?": first * (1 - step / steps),
        }
        same(
            rate(step, steps, first),
            first * (1 + height) / 2,
            f"step {step} of {steps}, first rate {first:.4f}",
            likely,
            1e-5,
        )


def weak(weak):
    """All four views occur, equally often, and the mask goes where its pixels go."""
    random = rng()
    size = 5
    image = np.arange(size * size * 3, dtype=float).reshape(size, size, 3) / 75
    mask = np.arange(size * size).reshape(size, size)  # every pixel is told from every other
    before = image.copy()
    seen = {"nothing": 0, "left and right": 0, "top and bottom": 0, "both": 0}
    for _ in range(200):
        got = weak(image, mask, random)
        expect(isinstance(got, tuple) and len(got) == 2, "two things are asked for, the image and the mask")
        turned, cut = np.asarray(got[0]), np.asarray(got[1])
        expect(turned.shape == image.shape and cut.shape == mask.shape, "a view is as large as its picture, (H, W, 3)")
        expect(np.array_equal(image, before), "the picture given is changed; make another one")
        at = np.round(turned[..., 0] * 25).astype(int)
        views = {"nothing": 0, "left and right": 1, "top and bottom": 2, "both": 3}
        found = [name for name, how in views.items() if np.array_equal(at, _turned(mask, how))]
        expect(bool(found), "a pixel is where no turning over puts it; are colours or rows and columns exchanged?")
        hint = "the mask is not turned over as its picture is; does one draw decide for both?"
        expect(np.array_equal(cut, at), hint)
        seen[found[0]] += 1
    missing = [name for name, count in seen.items() if not count]
    expect(not missing, f"of 200 views none has turned over: {', '.join(missing)}; are two independent draws made?")
    expect(min(seen.values()) > 25, f"of 200 views only {min(seen.values())} are of one kind; with which probability?")


def _turned(mask, how):
    """Rows and columns written out backwards, one by one."""
    size = len(mask)
    across = lambda i: size - 1 - i if how & 1 else i
    down = lambda i: size - 1 - i if how & 2 else i
    return np.array([[mask[down(i)][across(j)] for j in range(size)] for i in range(size)])


def strong(strong):
    """Contrast and brightness as read from two pixels that nothing cut off, and their range over many draws."""
    random = rng()
    contrasts, brightnesses = [], []
    for _ in range(150):
        image = random.uniform(0.42, 0.58, (4, 4, 3))
        before, mean = image.copy(), sum(image.flat) / image.size
        view = np.asarray(strong(image, random), dtype=float)
        expect(view.shape == image.shape, "a view has the shape of its picture")
        expect(np.array_equal(image, before), "the picture given is changed; make another one")
        low, high = np.unravel_index(image.argmin(), image.shape), np.unravel_index(image.argmax(), image.shape)
        contrast = (view[high] - view[low]) / (image[high] - image[low])
        line = (image - mean) * contrast + view.mean()
        expect(
            np.allclose(view, line, atol=1e-6), "each value has a change of its own; c and d are drawn once a picture"
        )
        contrasts.append(contrast)
        brightnesses.append(view.mean() - mean)
    told = "of 150 views"
    expect(np.std(contrasts) > 1e-6, f"{told} all have the same contrast")
    expect(np.std(brightnesses) > 1e-6, f"{told} all have the same brightness")
    lowest, highest = min(contrasts), max(contrasts)
    moved = abs(np.corrcoef(contrasts, brightnesses)[0, 1])
    expect(moved < 0.5, f"{told} those of high contrast are brighter too; about which value is the contrast changed?")
    expect(
        0.6 <= lowest < 0.7 and 1.3 < highest <= 1.4, f"{told} the contrast lies between {lowest:.2f} and {highest:.2f}"
    )
    lowest, highest = min(brightnesses), max(brightnesses)
    inside = -0.2 <= lowest < -0.15 and 0.15 < highest <= 0.2
    expect(inside, f"{told} the brightness changes by {lowest:.2f} to {highest:.2f}")
    for _ in range(30):
        view = np.asarray(strong(random.integers(0, 2, (4, 4, 3)).astype(float), random))
        expect(view.min() >= 0 and view.max() <= 1, "a view leaves [0, 1]; what happens to such values?")


def gain(gain):
    """Paired differences, by a loop over all seeds there could be."""
    random = rng()
    for _ in range(15):
        method = {int(s): random.uniform(0.5, 0.9) for s in random.choice(9, 6, replace=False)}
        baseline = {int(s): random.uniform(0.3, 0.9) for s in random.choice(9, 6, replace=False)}
        both = [seed for seed in range(9) if seed in method and seed in baseline]
        if not both or len(both) == 6:
            continue
        truth = sum(method[seed] - baseline[seed] for seed in both) / len(both)
        of = lambda scores: sum(scores.values()) / len(scores)
        ordered = list(zip(method.values(), baseline.values(), strict=True))
        likely = {
            "are seeds used that only one of the two has?": (of(method) - of(baseline), len(both)),
            "are seeds used that only one of the two has? Count them too": (of(method) - of(baseline), 6),
            "is it the method minus the baseline?": (-truth, len(both)),
            "is the sum divided by the number of seeds?": (truth * len(both), len(both)),
            "are scores paired by their place, and not by their seed?":
                (sum(a - b for a, b in ordered) / 6, 6),
            "how many seeds do both have?": (truth, 6),
        }  # fmt: skip
        got = gain(dict(method), dict(baseline))
        if not isinstance(got, tuple):
            raise Wrong("two things are asked for, the mean difference and the number of seeds")
        same(got, (truth, len(both)), f"{len(both)} seeds in common of 6 and 6", likely)


CHECKS = {"L5.1": training_of, "L5.2": rate, "L5.3": weak, "L5.4": strong, "L5.5": gain}

_STRONG = """contrast, brightness = rng.uniform(0.6, 1.4), rng.uniform(-0.2, 0.2)
mean = image.mean()
"""
MISTAKES = (
    Mistake("L5.1", "drops the last batch", "is a step too",
            "steps = epochs * (pictures // batch)\nreturn steps, steps * min(batch, labelled) / labelled"),
    Mistake("L5.1", "a batch of more labelled pictures than there are", "fewer than it holds",
            "steps = epochs * int(np.ceil(pictures / batch))\nreturn steps, steps * batch / labelled"),
    Mistake("L5.1", "every picture once an epoch", "not seen once an epoch",
            "steps = epochs * int(np.ceil(pictures / batch))\nreturn steps, epochs"),
    Mistake("L5.2", "without the one", "below zero", "share = step / steps\nreturn first * np.cos(np.pi * share)"),
    Mistake("L5.2", "forgets pi", "half a turn", "share = step / steps\nreturn first * (1 + np.cos(share)) / 2"),
    Mistake("L5.3", "a draw of its own for the mask", "does one draw decide",
            "if rng.random() < 0.5:\n    image = image[:, ::-1]\nif rng.random() < 0.5:\n    mask = mask[:, ::-1]\n"
            "return image, mask"),
    Mistake("L5.3", "one draw for both directions", "two independent draws",
            "if rng.random() < 0.5:\n    image, mask = image[::-1, ::-1], mask[::-1, ::-1]\nreturn image, mask"),
    Mistake("L5.4", "not cut off", "leaves [0, 1]",
            _STRONG + "return (image - mean) * contrast + mean + brightness"),
    Mistake("L5.4", "contrast about zero", "about which value",
            _STRONG + "return np.clip(image * contrast + brightness, 0, 1)"),
    Mistake("L5.5", "not paired", "only one of the two has",
            "both = method.keys() & baseline.keys()\n"
            "return np.mean(list(method.values())) - np.mean(list(baseline.values())), len(both)"),
)  # fmt: skip
