"""Lab 1, scores: counts, Dice, Jaccard and HM, empty masks, three averagings."""

import numpy as np

from tutseg.labs.checking import Mistake, expect, rng, same


def counts(counts):
    """TP, FP, FN, TN against a loop over the pixels of small random masks."""
    random = rng()
    for _ in range(12):
        prediction, truth = random.random((2, *random.integers(3, 8, 2))) < random.uniform(0.2, 0.8)
        tp = fp = fn = tn = 0
        for p, t in zip(prediction.flat, truth.flat, strict=True):
            tp, fp, fn, tn = tp + (p and t), fp + (p and not t), fn + (t and not p), tn + (not p and not t)
        before = prediction.copy(), truth.copy()
        got = counts(prediction, truth)
        unchanged = all(np.array_equal(*pair) for pair in zip(before, (prediction, truth), strict=True))
        expect(unchanged, "the masks are other than before the call; count without changing them")
        likely = {
            "are FP and FN in each other's place?": (tp, fn, fp, tn),
            "does TP count the pixels on which the masks agree, skin included?": (tp + tn, fp, fn, tn),
            "is TP the number of all predicted pixels?": (tp + fp, fp, fn, tn),
            "is TP counted in pixels that either mask has?": (tp + fp + fn, fp, fn, tn),
            "does TN count all pixels that are not lesion in the truth?": (tp, fp, fn, tn + fp),
            "these look like shares of the pixels, not numbers of them": np.array([tp, fp, fn, tn]) / truth.size,
            "which order do TP, FP, FN, TN come in?": (tp, tn, fp, fn),
        }
        same(got, (tp, fp, fn, tn), f"masks of {truth.shape[0]}x{truth.shape[1]} pixels", likely)


def scores(scores):
    """Dice, Jaccard and HM against sets of pixels."""
    random = rng()
    for _ in range(20):
        tp, fp, fn = (int(each) for each in random.integers(1, 30, 3))
        p, t = set(range(tp + fp)), {*range(tp), *range(-fn, 0)}
        dice, jaccard = 2 * len(p & t) / (len(p) + len(t)), len(p & t) / len(p | t)
        twice, half = 2 * tp / (tp + fp + fn), tp / (2 * tp + fp + fn)
        likely = {
            "are Dice and Jaccard in each other's place?": (jaccard, dice, 1 - jaccard),
            "is HM taken from Dice? It is what is left of the union": (dice, jaccard, 1 - dice),
            "in Dice, TP is part of both masks, and stands below the line as often": (twice, jaccard, 1 - jaccard),
            "in Dice, how often does TP stand above the line?": (half, jaccard, 1 - jaccard),
            "HM is an error: it is 0 for a perfect prediction": (dice, jaccard, jaccard),
            "is the union as large as the two masks together?": (dice, half, 1 - half),
            "HM counts FP and FN alike: is one of them missing?": (dice, jaccard, fp / (tp + fp + fn)),
        }  # fmt: skip
        same(scores(tp, fp, fn), (dice, jaccard, 1 - jaccard), f"TP = {tp}, FP = {fp}, FN = {fn}", likely)


def dice_of(dice_of):
    """Dice where a mask may be empty."""
    random = rng()
    both = float(_number(dice_of, 0, 0, 0))
    expect(not np.isnan(both), "both masks are empty: 0/0 has to be decided before it is computed")
    same(both, 1.0, "both masks are empty", {"prediction and truth agree: is that the worst score or the best?": 0.0})
    for name, given in (("prediction", (0, 0, 1)), ("truth", (0, 1, 0))):
        given = tuple(int(each * random.integers(1, 50)) for each in given)
        what = f"only the {name} is empty"
        found = float(_number(dice_of, *given))
        expect(not 0 < found < 1, f"{what}: does a small number above the line decide here?")
        same(found, 0.0, what, {"is 1 given whenever one of the masks is empty? They do not agree": 1.0})
    for _ in range(10):
        tp, fp, fn = (int(each) for each in random.integers(0, 9, 3) + (1, 0, 0))
        likely = {"is this Jaccard?": tp / (tp + fp + fn)}
        truth = 2 * tp / ((tp + fp) + (tp + fn))
        same(dice_of(tp, fp, fn), truth, f"no mask is empty: TP = {tp}, FP = {fp}, FN = {fn}", likely)


def _number(function, *given):
    """What it returns, or NaN where it divides by zero."""
    try:
        with np.errstate(all="ignore"):
            found = function(*given)
    except ZeroDivisionError:
        return np.nan
    return np.nan if found is None else found


def averaged(averaged):
    """The three averagings against loops that add pixel after pixel."""
    random = rng()
    for n, k in ((10, 5), (7, 3), (12, 5), (4, 9), (5, 1)):
        count = random.integers(1, 400, (n, 3))
        of = lambda rows: 2 * sum(r[0] for r in rows) / sum(2 * r[0] + r[1] + r[2] for r in rows)
        rows = [tuple(int(each) for each in row) for row in count]
        per_image, pooled = sum(of([row]) for row in rows) / n, of(rows)
        batches = [rows[i : i + k] for i in range(0, n, k)]
        weighted = sum(len(batch) * of(batch) for batch in batches) / n
        alike = sum(map(of, batches)) / len(batches)
        whole = [batch for batch in batches if len(batch) == k]
        dropped = sum(map(of, whole)) / len(whole) if whole else np.nan
        each = [sum(of([row]) for row in batch) / len(batch) for batch in batches]
        likely = {
            "the last batch is shorter: does it count as much as the others?": (per_image, alike, pooled),
            "what became of the last, shorter batch?": (per_image, dropped, pooled),
            "within a batch, are scores averaged? Counts are added first": (per_image, sum(each) / len(each), pooled),
            "per image and pooled are in each other's place": (pooled, weighted, per_image),
            "pooled is a mean of the pictures' scores: what has to be added first?": (per_image, weighted, per_image),
            "per image is the score of all counts together": (pooled, weighted, pooled),
        }
        same(averaged(count, k), (per_image, weighted, pooled), f"{n} pictures in batches of {k}", likely)


CHECKS = {"L1.1": counts, "L1.2": scores, "L1.3": dice_of, "L1.4": averaged}

_AVERAGED = """per_image = np.mean([dice_of(*row) for row in count])
batches = [count[i : i + k] for i in range(0, len(count), k)]
"""
MISTAKES = (
    Mistake("L1.1", "FP and FN exchanged", "each other's place",
            "tp = int((prediction & truth).sum())\nfn = int((prediction & ~truth).sum())\n"
            "fp = int((~prediction & truth).sum())\nreturn tp, fp, fn, truth.size - tp - fp - fn"),
    Mistake("L1.1", "TP counts agreement, skin included", "skin included",
            "tp = int((prediction == truth).sum())\nfp = int((prediction & ~truth).sum())\n"
            "fn = int((~prediction & truth).sum())\nreturn tp, fp, fn, int((~prediction & ~truth).sum())"),
    Mistake("L1.2", "Dice and Jaccard exchanged", "in each other's place",
            "dice = 2 * tp / (2 * tp + fp + fn)\njaccard = tp / (tp + fp + fn)\nreturn jaccard, dice, 1 - jaccard"),
    Mistake("L1.2", "the denominator of Dice has TP once", "stands below the line as often",
            "dice = 2 * tp / (tp + fp + fn)\njaccard = tp / (tp + fp + fn)\nreturn dice, jaccard, 1 - jaccard"),
    Mistake("L1.2", "HM is 1 - Dice", "is HM taken from Dice",
            "dice = 2 * tp / (2 * tp + fp + fn)\njaccard = tp / (tp + fp + fn)\nreturn dice, jaccard, 1 - dice"),
    Mistake("L1.3", "two empty masks get 0", "the worst score or the best",
            "if tp + fp + fn == 0:\n    return 0.0\nreturn 2 * tp / (2 * tp + fp + fn)"),
    Mistake("L1.3", "0/0 is not decided", "0/0 has to be decided", "union = fp + fn\nreturn 2 * tp / (2 * tp + union)"),
    Mistake("L1.3", "one empty mask is enough for 1", "They do not agree",
            "if tp == 0:\n    return 1.0\nreturn 2 * tp / (2 * tp + fp + fn)"),
    Mistake("L1.4", "batches weigh alike", "does it count as much",
            _AVERAGED + "by_batch = np.mean([dice_of(*batch.sum(axis=0)) for batch in batches])\n"
            "return per_image, by_batch, dice_of(*count.sum(axis=0))"),
    Mistake("L1.4", "pooled is the mean of the scores", "what has to be added first",
            _AVERAGED + "each = [dice_of(*batch.sum(axis=0)) for batch in batches]\n"
            "by_batch = np.average(each, weights=[len(batch) for batch in batches])\n"
            "return per_image, by_batch, per_image"),
)  # fmt: skip
