"""Lab 2, leaks: splits at random and by group, kin, the nearest picture, near-duplicates."""

import numpy as np

from tutseg.labs.checking import Mistake, Wrong, expect, rng, same


def _parts(got, what):
    """The two parts of a split as lists of whole numbers."""
    try:
        train, test = ([int(each) for each in np.asarray(part).ravel()] for part in got)
    except (TypeError, ValueError):
        raise Wrong(f"{what}: two arrays of indices are asked for, training and test") from None
    return train, test


def _parted(train, test, n, what):
    expect(len(test) == len(set(test)), f"{what}: a picture is tested twice; is it drawn with replacement?")
    expect(len(train) == len(set(train)), f"{what}: a picture stands twice in the training part")
    expect(not {*train} & {*test}, f"{what}: a picture is in both parts")
    expect({*train, *test} == {*range(n)}, f"{what}: some pictures are in neither part, or are not there at all")


def random_split(random_split):
    """Sizes, no picture twice, none lost, and another split with another generator."""
    random = rng()
    for _ in range(8):
        n, share, seed = int(random.integers(20, 60)), random.uniform(0.1, 0.4), int(random.integers(1000))
        what, count = f"n = {n}, share = {share:.2f}", round(share * n)
        train, test = _parts(random_split(n, share, np.random.default_rng(seed)), what)
        _parted(train, test, n, what)
        expect(len(train) != count or len(test) == count, f"{what}: are training and test in each other's place?")
        expect(len(test) == count, f"{what}: {len(test)} pictures are tested; how many are asked for?")
        tests = [_parts(random_split(n, share, np.random.default_rng(seed + i)), what)[1] for i in range(1, 5)]
        alike = all({*test} == {*other} for other in tests)
        expect(not alike, f"{what}: every generator gives the same test part; is rng used, or made anew inside?")
        again = _parts(random_split(n, share, np.random.default_rng(seed)), what)[1]
        expect({*again} == {*test}, f"{what}: the same generator gives another split; does something else draw?")


def with_kin(with_kin):
    """The number of test pictures with kin, against two loops."""
    random = rng()
    for _ in range(12):
        groups = random.integers(0, 8, 24)
        order = random.permutation(24)
        train, test = order[8:], order[:8]
        kin = [any(groups[i] == groups[j] for j in train) for i in test]
        likely = {
            "are pairs counted? A test picture counts once": sum(groups[i] == groups[j] for i in test for j in train),
            "are groups counted, and not pictures?": len({*groups[train]} & {*groups[test]}),
            "are training pictures counted?": sum(any(groups[i] == groups[j] for j in test) for i in train),
            "are those without kin counted?": 8 - sum(kin),
            "a number of pictures is asked for, not a share": sum(kin) / 8,
        }
        same(with_kin(train, test, groups), sum(kin), "24 pictures of at most 8 groups", likely)


def nearest(nearest):
    """The nearest picture, against loops over all values."""
    random = rng()
    for _ in range(8):
        training, tested = random.random((7, 3, 4)), random.random((5, 3, 4))
        far, signed, brightest = [], [], []
        truth = []
        for picture in tested:
            sums = [sum((a - b) ** 2 for a, b in zip(each.flat, picture.flat, strict=True)) for each in training]
            plain = [abs(sum(a - b for a, b in zip(each.flat, picture.flat, strict=True))) for each in training]
            truth.append(min(range(7), key=sums.__getitem__))
            far.append(max(range(7), key=sums.__getitem__))
            signed.append(min(range(7), key=plain.__getitem__))
            brightest.append(min(range(7), key=lambda i, p=picture: (training[i] - p).mean()))
        likely = {
            "is it the farthest picture?": far,
            "differences of opposite sign cancel; are they squared before they are averaged?": signed,
            "a negative difference is not a small one; are differences squared?": brightest,
        }
        same(nearest(training, tested), truth, "7 training pictures and 5 tested", likely)


def grouped_split(grouped_split):
    """Whole groups, enough pictures, no group too many, and another split with another generator."""
    random = rng()
    for _ in range(8):
        sizes = random.integers(3, 6, 9)
        groups = random.permutation(np.repeat(np.arange(9) * 3 + 5, sizes))
        n, share, seed = len(groups), random.uniform(0.2, 0.3), int(random.integers(1000))
        what = f"{n} pictures of 9 groups, share = {share:.2f}"
        train, test = _parts(grouped_split(groups, share, np.random.default_rng(seed)), what)
        _parted(train, test, n, what)
        both = {*groups[train]} & {*groups[test]}
        expect(not both, f"{what}: {len(both)} groups are on both sides")
        expect(not len(train) < len(test), f"{what}: are training and test in each other's place?")
        expect(len(test) >= share * n, f"{what}: {len(test)} pictures are tested, too few; is the share one of groups?")
        largest = max(int((groups == group).sum()) for group in {*groups[test]})
        expect(len(test) - largest < share * n, f"{what}: a whole group more is tested than it takes")
        tests = [_parts(grouped_split(groups, share, np.random.default_rng(seed + i)), what)[1] for i in range(1, 6)]
        alike = all({*test} == {*other} for other in tests)
        expect(not alike, f"{what}: every generator gives the same test part; in which order do the groups come?")


def near(near):
    """Pairs of near hashes, against loops over bits."""
    random = rng()
    for limit in (0, 2, 3, 5):
        bits = random.random((9, 8)) < 0.5
        bits[4] = bits[1]
        apart = {(i, j): sum(bool(a) != bool(b) for a, b in zip(bits[i], bits[j], strict=True))
                 for i in range(9) for j in range(9)}  # fmt: skip
        truth = {(i, j) for i, j in apart if i < j and apart[i, j] <= limit}
        what, got = f"9 hashes of 8 bits, limit {limit}", near(bits, limit)
        try:
            pairs = [(int(i), int(j)) for i, j in got]
        except (TypeError, ValueError):
            raise Wrong(f"{what}: a list of pairs (i, j) is asked for") from None
        expect(not any(i == j for i, j in pairs), f"{what}: a picture is paired with itself")
        expect(
            len(pairs) == len({frozenset(pair) for pair in pairs}),
            f"{what}: a pair stands there twice, (i, j) and (j, i)?",
        )
        expect({*pairs} != {(i, j) for i, j in truth if apart[i, j] < limit} or {*pairs} == truth,
               f"{what}: what of pairs that differ in exactly {limit} bits?")  # fmt: skip
        alike = {(i, j) for i, j in apart if i < j and 8 - apart[i, j] <= limit}
        expect({*pairs} != alike or alike == truth, f"{what}: are bits counted that agree?")
        expect({*pairs} == truth, f"{what}: {len(pairs)} pairs are not what counting bit by bit gives")


CHECKS = {"L2.1": random_split, "L2.2": with_kin, "L2.3": nearest, "L2.4": grouped_split, "L2.5": near}

MISTAKES = (
    Mistake("L2.1", "drawn with replacement", "with replacement",
            "test = rng.integers(0, n, round(share * n))\nreturn np.setdiff1d(np.arange(n), test), test"),
    Mistake("L2.1", "the first pictures, whatever the generator", "is rng used",
            "count = round(share * n)\nreturn np.arange(n)[count:], np.arange(n)[:count]"),
    Mistake("L2.1", "test pictures stay in training", "in both parts",
            "order = rng.permutation(n)\nreturn order, order[: round(share * n)]"),
    Mistake("L2.2", "counts groups", "are groups counted",
            "known = set(groups[train])\nreturn len(known & set(groups[test]))"),
    Mistake("L2.2", "counts pairs", "are pairs counted",
            "pairs = groups[test][:, None] == groups[train][None]\nreturn int(pairs.sum())"),
    Mistake("L2.3", "the farthest", "farthest",
            "difference = ((tested[:, None] - training[None]) ** 2).reshape(len(tested), len(training), -1)\n"
            "return difference.mean(axis=2).argmax(axis=1)"),
    Mistake("L2.3", "differences not squared", "are differences squared",
            "difference = (training[None] - tested[:, None]).reshape(len(tested), len(training), -1)\n"
            "return difference.mean(axis=2).argmin(axis=1)"),
    Mistake("L2.4", "the random split again", "are on both sides",
            "order = rng.permutation(len(groups))\ncount = int(np.ceil(share * len(groups)))\n"
            "return order[count:], order[:count]"),
    Mistake("L2.4", "groups in their own order", "in which order do the groups come",
            "tested = np.zeros(len(groups), dtype=bool)\nfor group in np.unique(groups):\n"
            "    if tested.sum() < share * len(groups):\n        tested |= groups == group\n"
            "return np.flatnonzero(~tested), np.flatnonzero(tested)"),
    Mistake("L2.5", "less than the limit", "differ in exactly",
            "n = len(bits)\n"
            "return [(i, j) for i in range(n) for j in range(i + 1, n) if (bits[i] != bits[j]).sum() < limit]"),
)  # fmt: skip
