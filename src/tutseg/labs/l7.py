"""Checks of lab 7: the evaluation of clusterings, against loops over pixels and clusters."""

from collections.abc import Callable, Iterator

import numpy as np

from tutseg.labs.checking import Mistake, expect, rng, same

NUMBERS = (2, 3, 7, 11)  # of clusters: with gaps, and none is 0


def scenes(chance: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Cluster maps ``(H, W)``, truths and grey pictures; some clusters are large, one is a speck."""
    for _ in range(12):
        h, w = chance.integers(14, 20, 2)
        labels = chance.choice(NUMBERS[:3], size=(h, w), p=chance.dirichlet((4, 2, 1)))
        labels[tuple(chance.integers(0, (h, w)))] = NUMBERS[3]
        truth = chance.random((h, w)) < 0.3
        yield labels, truth, chance.random((h, w)) * 0.5 + 0.1 * (labels != NUMBERS[3])


def chosen(labels: np.ndarray, worth: dict[int, float]) -> np.ndarray:
    """The cluster that is worth most, as a mask."""
    return labels == max(worth, key=worth.get)


def by_overlap(oracle: Callable[..., np.ndarray]) -> None:
    """The cluster with the largest overlap, counted pixel by pixel."""
    for labels, truth, _ in scenes(rng()):
        size = {n: sum(each == n for each in labels.flat) for n in np.unique(labels)}
        common = dict.fromkeys(size, 0)
        for n, inside in zip(labels.flat, truth.flat, strict=True):
            common[n] += bool(inside)
        got = oracle(labels, truth)
        expect(np.ndim(got) == 2, "a mask (H, W) is asked for, and not the number of the cluster")
        same(
            got,
            chosen(labels, common),
            "a map of four clusters",
            {
                "this is the cluster with the largest Dice; how does the published evaluation choose?": chosen(
                    labels, {n: 2 * common[n] / (size[n] + truth.sum()) for n in size}
                ),
                "is this the cluster that lies in the truth by the largest share of its own size?": chosen(
                    labels, {n: common[n] / size[n] for n in size}
                ),
                "is this the largest cluster, wherever the truth is?": chosen(labels, size),
                "does the truth decide here at all, or the cluster's number?": labels == labels.min(),
                "this is the cluster with the *smallest* overlap": chosen(labels, {n: -common[n] for n in size}),
                "the clusters' numbers have gaps: is a place in a list taken for a number?": labels
                == list(size).index(max(common, key=common.get)),
            },
        )


def by_grey(darkest: Callable[..., np.ndarray]) -> None:
    """The lowest mean grey among clusters that are large enough."""
    for labels, _, grey in scenes(rng()):
        size = {n: int((labels == n).sum()) for n in np.unique(labels)}
        total = {n: sum(grey[i] for i in np.ndindex(*labels.shape) if labels[i] == n) for n in size}
        large = [n for n in size if size[n] / labels.size >= 0.01]
        mean = {n: total[n] / size[n] for n in size}
        first = {n: -mean[n] for n in large}
        same(
            darkest(labels, grey),
            chosen(labels, first),
            "a map of three clusters and a speck",
            {
                "a speck of a few pixels was taken: what share must a cluster have at least?": chosen(
                    labels, {n: -mean[n] for n in size}
                ),
                "is the grey value added up? Then a small cluster is dark because it is small": chosen(
                    labels, {n: -total[n] for n in large}
                ),
                "this is the lightest cluster": chosen(labels, {n: mean[n] for n in large}),
                "is this the cluster with the darkest single pixel? A mean is asked for": chosen(
                    labels, {n: -grey[labels == n].min() for n in large}
                ),
                "is this the largest cluster, whatever its grey?": chosen(labels, size),
            },
        )
    labels, grey = np.repeat([[2, 3]], 10, axis=0).repeat([3, 7], axis=1), np.full((10, 10), 0.5)
    grey[labels == 2] = 0.2
    same(darkest(labels, grey, 0.5), labels == 3, "a share of at least one half", {"is `least` used?": labels == 2})


def kings_walk(leak: Callable[..., np.ndarray]) -> None:
    """Every pixel's distance to the nearest of the truth, as a king walks."""
    chance = rng()
    for margin in (4, 1, 2):
        truth, prediction = np.zeros((15, 17), bool), chance.random((15, 17)) < 0.8
        for place in chance.integers(3, 12, (2, 2)):
            truth[tuple(place)] = True
        far = {"king": np.zeros(truth.shape), "rook": np.zeros(truth.shape)}
        for i, j in np.ndindex(*truth.shape):
            steps = [(abs(i - u), abs(j - v)) for u, v in np.argwhere(truth)]
            far["king"][i, j], far["rook"][i, j] = min(map(max, steps)), min(map(sum, steps))
        cut = lambda way, most, far=far, prediction=prediction: prediction & (far[way] <= most)
        before = prediction.copy()
        got = leak(prediction, truth, margin)
        expect(np.array_equal(before, prediction), "the prediction was changed; return a mask of its own")
        same(
            got,
            cut("king", margin),
            f"a margin of {margin} pixels",
            {
                "does a diagonal step cost two here? The default structure of a dilation is a cross": cut(
                    "rook", margin
                ),
                "is the margin half of what is asked for? A square of so many pixels reaches half as far": cut(
                    "king", margin // 2
                ),
                "is the margin one pixel too wide?": cut("king", margin + 1),
                "is the margin too narrow?": cut("king", margin - 1),
                "this is what lies *further* than the margin: that is what is deleted": prediction
                & (far["king"] > margin),
                "this is the neighbourhood of the truth; where is the prediction?": far["king"] <= margin,
                "something was added to the prediction; only a part of it is deleted": prediction
                | (far["king"] <= margin),
                "is anything kept beside the truth itself?": prediction & truth,
            },
        )


def one_number(mean_dice: Callable[..., float]) -> None:
    """Dice of sets of pixels, then the mean."""
    chance = rng()
    pairs = [(chance.random((2, *chance.integers(4, 20, 2))) < chance.uniform(0.1, 0.9)) for _ in range(5)]
    sets = [[set(zip(*np.nonzero(mask), strict=True)) for mask in pair] for pair in pairs]
    each = [2 * len(p & t) / (len(p) + len(t)) for p, t in sets]
    jaccard = [len(p & t) / len(p | t) for p, t in sets]
    pooled = 2 * sum(len(p & t) for p, t in sets) / sum(len(p) + len(t) for p, t in sets)
    predictions, truths = ([pair[k] for pair in pairs] for k in (0, 1))
    same(
        mean_dice(predictions, truths),
        np.mean(each),
        "five pictures",
        {
            "are the pixels of all pictures added up? Every picture has a score of its own": pooled,
            "this is the mean of Jaccard": np.mean(jaccard),
            "this is half of it: how often does the overlap stand above the line?": np.mean(each) / 2,
            "this is a sum; how many pictures are there?": np.sum(each),
            "this is the score of the first picture; is there a `return` inside the loop?": each[0],
            "this is the score of the last picture; is every score kept?": each[-1],
            "this is what is wrong, and not what is right": 1 - np.mean(each),
        },
    )
    none = np.zeros((3, 3), bool)
    same(
        mean_dice([none, ~none], [none, ~none]),
        1.0,
        "a picture with two empty masks and one that fits",
        {"both masks are empty: do they agree or not?": 0.5},
    )


def turned_round(reversed_pairs: Callable[..., list[tuple[str, str]]]) -> None:
    """All pairs of six methods in two tables, with ties."""
    chance = rng()
    for _ in range(10):
        names = list(chance.permutation(list("abcdef")))
        one, other = (dict(zip(names, chance.integers(0, 8, 6) / 8, strict=True)) for _ in range(2))
        wanted, tied, kept, first = [], [], [], []
        for a in sorted(names):
            for b in sorted(names):
                if a < b:
                    left, right = np.sign(one[a] - one[b]), np.sign(other[a] - other[b])
                    wanted += [(a, b)] * int(left * right == -1)
                    tied += [(a, b)] * int(left != right)
                    kept += [(a, b)] * int(left == right)
                    first += [(a, b)] * int(left > 0 > right)
        got = reversed_pairs(one, other)
        expect(isinstance(got, list) and all(len(pair) == 2 for pair in got), "a list of pairs is asked for")
        told = sorted(tuple(pair) for pair in got)
        mirrored = sorted(wanted + [(b, a) for a, b in wanted])
        if told == wanted and list(map(tuple, got)) == wanted:
            continue
        for hint, wrong in (
            ("the right pairs, but not sorted, or not with the first name first", wanted),
            ("each pair stands there twice, once in either order", mirrored),
            ("is a tie counted as an order?", tied),
            ("these pairs keep their order", kept),
            ("only the pairs count in which the first is ahead at first; what of the others?", first),
        ):
            expect(told != wrong and sorted(tuple(sorted(pair)) for pair in told) != wrong, hint)
        expect(False, "this is not what comparing every pair by hand gives; try two tables of three methods on paper")


CHECKS = {"L7.1": by_overlap, "L7.2": by_grey, "L7.3": kings_walk, "L7.4": one_number, "L7.5": turned_round}

MISTAKES = (
    Mistake(
        "L7.1",
        "largest Dice",
        "largest Dice",
        "numbers = np.unique(labels)\n"
        "dice = [2 * np.sum(truth & (labels == n)) / (truth.sum() + np.sum(labels == n)) for n in numbers]\n"
        "return labels == numbers[np.argmax(dice)]",
    ),
    Mistake(
        "L7.1",
        "a place in the list for a number",
        "have gaps",
        "overlap = [np.sum(truth & (labels == n)) for n in np.unique(labels)]\nreturn labels == np.argmax(overlap)",
    ),
    Mistake(
        "L7.2",
        "a speck",
        "speck",
        "numbers = np.unique(labels)\nreturn labels == numbers[np.argmin([grey[labels == n].mean() for n in numbers])]",
    ),
    Mistake(
        "L7.2",
        "sum for mean",
        "added up",
        "large = [n for n in np.unique(labels) if np.mean(labels == n) >= least]\n"
        "return labels == large[np.argmin([grey[labels == n].sum() for n in large])]",
    ),
    Mistake(
        "L7.3",
        "rook for king",
        "a diagonal step cost two",
        "return prediction & ndimage.binary_dilation(truth, iterations=margin)",
    ),
    Mistake(
        "L7.3",
        "half the margin",
        "half",
        "return prediction & ndimage.binary_dilation(truth, np.ones((2 * (margin // 2) + 1,) * 2))",
    ),
    Mistake(
        "L7.4",
        "pooled",
        "score of its own",
        "both = sum(np.sum(p & t) for p, t in zip(predictions, truths, strict=True))\n"
        "return 2 * both / sum(p.sum() + t.sum() for p, t in zip(predictions, truths, strict=True))",
    ),
    Mistake(
        "L7.4",
        "empty masks disagree",
        "agree or not",
        "pairs = list(zip(predictions, truths, strict=True))\n"
        "return np.mean([2 * np.sum(p & t) / max(p.sum() + t.sum(), 1) for p, t in pairs])",
    ),
    Mistake(
        "L7.5",
        "a tie is an order",
        "is a tie",
        "order = lambda table, a, b: np.sign(table[a] - table[b])\n"
        "pairs = itertools.combinations(sorted(one), 2)\n"
        "return [pair for pair in pairs if order(one, *pair) != order(other, *pair)]",
    ),
    Mistake(
        "L7.5",
        "every pair twice",
        "twice",
        "pairs = itertools.permutations(sorted(one), 2)\n"
        "return [(a, b) for a, b in pairs if (one[a] - one[b]) * (other[a] - other[b]) < 0]",
    ),
)
