"""Every score of the five papers, under every averaging that their codes use.

Count first, average second: of each picture only the four pixel counts TP, FP, FN, TN and a few surface distances
are kept, and every score under every averaging follows from these. The averagings (`table_from_counts`):

- ``per_image``: the score of each picture, then the mean over pictures.
- ``batch``: counts summed over consecutive batches of k pictures, then the mean over batches weighted by their
  length. DME-FD's code does this with k = 5; it is why its Jaccard and Dice columns lie as they do.
- ``pooled``: counts summed over the data set, one score. The VM-UNet family and SSGNet do this.

Distances cannot be pooled: they are averaged over pictures, and their ``batch`` differs only in its spread.

Empty masks. A ratio 0/0 is 1 when prediction and truth agree that the class is absent, and 0 otherwise. So, both
empty: Dice = Jaccard = precision = sensitivity = 1, HM = XOR = 0, distances 0. Exactly one empty: Dice = Jaccard =
precision = sensitivity = 0, HM = XOR = 1, distances = the picture's diagonal; such pictures are counted as
``penalised`` and never dropped. The published codes disagree here: some give a false alarm Dice 1, or an empty
prediction the best distance.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from tutseg.errors import InputError

COUNTS = ("tp", "fp", "fn", "tn")
DISTANCES = ("hd95", "hd95_pooled", "asd", "assd")
LOWER_IS_BETTER = (*DISTANCES, "hm", "xor")


def _masks(stack: Iterable) -> Iterator[np.ndarray]:
    """Boolean ``(H, W)`` masks of a ``(N, H, W)`` or ``(N, 1, H, W)`` array or tensor, or of a lazy iterable."""
    for mask in stack.detach().cpu().numpy() if hasattr(stack, "detach") else stack:
        mask = np.asarray(mask)
        mask = mask[0] if mask.ndim == 3 and mask.shape[0] == 1 else mask
        if mask.dtype != bool and not ((mask == 0) | (mask == 1)).all():
            raise ValueError("a mask holds values other than 0 and 1: threshold probabilities first")
        yield mask.astype(bool, copy=False)


def _pairs(
    prediction: Iterable, truth: Iterable, ids: Sequence[str] | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for i, (p, t) in enumerate(zip(_masks(prediction), _masks(truth), strict=True)):
        if p.shape != t.shape:
            raise InputError(
                f"{ids[i] if ids else f'picture {i}'}: the prediction is {p.shape[1]}x{p.shape[0]} pixels, "
                f"the truth {t.shape[1]}x{t.shape[0]}",
                "bring both to one size before scoring",
            )
        yield p, t


def _count(p: np.ndarray, t: np.ndarray) -> tuple[int, int, int, int]:
    tp = np.count_nonzero(p & t)
    fp = np.count_nonzero(p) - tp
    fn = np.count_nonzero(t) - tp
    return tp, fp, fn, p.size - tp - fp - fn


def counts(prediction: Iterable, truth: Iterable) -> np.ndarray:
    """Pixel counts of each picture.

    Parameters
    ----------
    prediction, truth : array, tensor or iterable
        N masks, boolean or in {0, 1}: ``(N, H, W)``, ``(N, 1, H, W)``, or ``(H, W)`` each with sizes of their own.

    Returns
    -------
    numpy.ndarray
        int64 ``(N, 4)``: TP, FP, FN, TN.

    Raises
    ------
    InputError
        The two masks of a picture differ in size.
    """
    return np.array([_count(p, t) for p, t in _pairs(prediction, truth)], dtype=np.int64).reshape(-1, 4)


def _ratio(numerator: np.ndarray, denominator: np.ndarray, agree: np.ndarray) -> np.ndarray:
    """``numerator / denominator``, and where that is 0/0: 1 if both masks `agree` that the class is absent, else 0."""
    return np.where(denominator > 0, numerator / np.maximum(denominator, 1), np.where(agree, 1.0, 0.0))


def area_scores(count: ArrayLike) -> dict[str, np.ndarray]:
    """All scores that follow from pixel counts.

    Parameters
    ----------
    count : array
        ``(..., 4)``: TP, FP, FN, TN of pictures, of batches or of a whole data set.

    Returns
    -------
    dict of numpy.ndarray
        Each ``(...,)``. In [0, 1], but for `xor`, which has no upper bound:

        - dice = 2TP / (2TP + FP + FN); jaccard = TP / (TP + FP + FN)
        - precision = TP / (TP + FP); sensitivity = TP / (TP + FN); specificity = TN / (TN + FP)
        - accuracy = (TP + TN) / all
        - mdice, miou: mean of dice, or jaccard, over the two classes lesion and background
        - hm (Hammoude) = (FP + FN) / (TP + FP + FN) = 1 - jaccard; xor = (FP + FN) / (TP + FN)
    """
    tp, fp, fn, tn = np.moveaxis(np.asarray(count, dtype=np.float64), -1, 0)
    wrong = fp + fn
    no_lesion, no_background = tp + wrong == 0, tn + wrong == 0
    dice, jaccard = _ratio(2 * tp, 2 * tp + wrong, no_lesion), _ratio(tp, tp + wrong, no_lesion)
    return {
        "dice": dice,
        "jaccard": jaccard,
        "precision": _ratio(tp, tp + fp, no_lesion),
        "accuracy": (tp + tn) / (tp + tn + wrong),
        "sensitivity": _ratio(tp, tp + fn, no_lesion),
        "specificity": _ratio(tn, tn + fp, no_background),
        "miou": (jaccard + _ratio(tn, tn + wrong, no_background)) / 2,
        "mdice": (dice + _ratio(2 * tn, 2 * tn + wrong, no_background)) / 2,
        "hm": 1 - jaccard,
        # with an empty truth XOR is x/0: it gets the value it has for an empty prediction, 1
        "xor": np.where(tp + fn > 0, wrong / np.maximum(tp + fn, 1), np.where(fp > 0, 1.0, 0.0)),
    }


def counts_from_dice(dice: float, prevalence: float, predicted: float | None = None) -> np.ndarray:
    """The pixel counts behind a pooled Dice of the lesion, of a million pixels; `area_scores` gives every other score.

    Parameters
    ----------
    dice : float
        Of the lesion, in [0, 1].
    prevalence : float
        Share of the pixels that are lesion, in (0, 1).
    predicted : float, optional
        Share that is called lesion; by default as many, so that false alarms and misses are equally many.

    Raises
    ------
    InputError
        No masks of these sizes have that Dice.
    """
    predicted = prevalence if predicted is None else predicted
    tp = dice * (prevalence + predicted) / 2
    shares = np.array([tp, predicted - tp, prevalence - tp, 1 - prevalence - predicted + tp])
    if (shares < 0).any():
        raise InputError(
            f"no masks of {prevalence:g} and {predicted:g} of the pixels have Dice {dice:g}", "give other sizes"
        )
    return 1e6 * shares


def counts_from_rates(sensitivity: float, specificity: float, accuracy: float) -> np.ndarray:
    """The pixel counts behind three pooled rates in [0, 1], of a million pixels.

    Accuracy is a mean of the two others, weighted by prevalence, which therefore is
    ``(Spe - Acc) / (Spe - Sen)``.

    Raises
    ------
    InputError
        Accuracy is not between the two others, or they are equal.
    """
    if not min(sensitivity, specificity) <= accuracy <= max(sensitivity, specificity) or sensitivity == specificity:
        raise InputError(
            f"accuracy {accuracy:g} does not lie between sensitivity {sensitivity:g} and specificity {specificity:g}",
            "give three rates of one confusion matrix",
        )
    lesion = (specificity - accuracy) / (specificity - sensitivity)
    tp, tn = lesion * sensitivity, (1 - lesion) * specificity
    return 1e6 * np.array([tp, 1 - lesion - tn, lesion - tp, tn])


def _surface(mask: np.ndarray) -> np.ndarray:
    """Coordinates ``(S, 2)`` of the pixels that erosion with the 4-neighbour cross removes."""
    m = np.pad(mask, 1)  # what lies outside the picture is background, so a lesion at the edge has a surface there
    inside = m[:-2, 1:-1] & m[2:, 1:-1] & m[1:-1, :-2] & m[1:-1, 2:]
    return np.argwhere(mask & ~inside)


def surface_distances(p: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each surface pixel of one mask to the nearest surface pixel of the other, both ways.

    Parameters
    ----------
    p, t : numpy.ndarray
        Boolean ``(H, W)``, neither empty.

    Returns
    -------
    tuple of numpy.ndarray
        Prediction to truth ``(S_p,)`` and truth to prediction ``(S_t,)``, in pixels.
    """
    union = p | t
    rows, columns = np.flatnonzero(union.any(axis=1)), np.flatnonzero(union.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    surface_p, surface_t = _surface(p[box]), _surface(t[box])
    return cKDTree(surface_t).query(surface_p)[0], cKDTree(surface_p).query(surface_t)[0]


def _distances(p: np.ndarray, t: np.ndarray) -> tuple[float, float, float, float]:
    """`DISTANCES` of one picture, under the module's rule for empty masks."""
    if not p.any() or not t.any():
        return (0.0 if p.any() == t.any() else float(np.hypot(*p.shape)),) * 4
    to_t, to_p = surface_distances(p, t)
    both = np.concatenate([to_t, to_p])
    hd95 = max(np.percentile(to_t, 95), np.percentile(to_p, 95))
    return float(hd95), float(np.percentile(both, 95)), float(to_t.mean()), float(both.mean())


def per_image(prediction: Iterable, truth: Iterable, ids: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Counts, area scores and distances of each picture, in one pass that needs one picture in memory at a time.

    Parameters
    ----------
    prediction, truth : array, tensor or iterable
        As for `counts`.
    ids : sequence of str, optional
        Names for the error message.

    Returns
    -------
    dict of numpy.ndarray
        Columns ``(N,)``: `COUNTS`, the scores of `area_scores`, and in pixels of the masks as given:

        - hd95: the larger of the two directed 95th percentiles (MONAI's convention)
        - hd95_pooled: the 95th percentile of both directed lists together (medpy's convention)
        - asd: mean over the prediction's surface of the distance to the truth's
        - assd: mean over both surfaces

        A surface is the mask minus its 4-connected erosion.

    Raises
    ------
    InputError
        The two masks of a picture differ in size.
    """
    rows = [(_count(p, t), _distances(p, t)) for p, t in _pairs(prediction, truth, ids)]
    count = np.array([c for c, _ in rows], dtype=np.int64).reshape(-1, 4)
    distance = np.array([d for _, d in rows]).reshape(-1, 4)
    return dict(zip(COUNTS, count.T, strict=True)) | area_scores(count) | dict(zip(DISTANCES, distance.T, strict=True))


def _summary(values: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """Mean and population standard deviation, and the number of units they are over."""
    mean = np.average(values, weights=weights)
    return {
        "mean": float(mean),
        "std": float(np.sqrt(np.average((values - mean) ** 2, weights=weights))),
        "n": len(values),
    }


def empties(columns: Mapping[str, ArrayLike]) -> dict[str, int]:
    """Of how many pictures the ``prediction`` is empty, the ``truth``, ``both``, or ``one`` alone; by `COUNTS`."""
    tp, fp, fn = (np.asarray(columns[name]) for name in COUNTS[:3])
    prediction, truth = tp + fp == 0, tp + fn == 0
    found = {"prediction": prediction, "truth": truth, "both": prediction & truth, "one": prediction ^ truth}
    return {name: int(which.sum()) for name, which in found.items()}


def table_from_counts(columns: Mapping[str, ArrayLike], batch: int = 5) -> dict[str, dict[str, dict[str, float]]]:
    """Every score under every averaging, from what was kept of each picture.

    Parameters
    ----------
    columns : mapping
        Columns ``(N,)`` named as in `COUNTS` and, if distances are wanted, `DISTANCES`: the result of `per_image`,
        or a data frame of it.
    batch : int
        Pictures in a batch, in the order given; the last may be shorter.

    Returns
    -------
    dict
        ``{"dice": {"per_image": {"mean", "std", "n"}, "batch": {...}, "pooled": {...}}, ...}``; n is the number of
        pictures, of batches, and 1. Distances have no ``pooled``, and their ``per_image`` says how many pictures were
        ``penalised`` with the diagonal, and of how many prediction and truth are ``both_empty``, a distance of 0.

    Raises
    ------
    InputError
        There is no picture.
    """
    count = np.stack([np.asarray(columns[name], dtype=np.int64) for name in COUNTS], axis=1)
    if not len(count):
        raise InputError("no picture to score", "give at least one prediction with its truth")
    starts = np.arange(0, len(count), batch)
    length = np.diff(np.append(starts, len(count)))
    units = {
        "per_image": (count, np.ones(len(count))),
        "batch": (np.add.reduceat(count, starts), length),
        "pooled": (count.sum(axis=0, keepdims=True), np.ones(1)),
    }
    table: dict = {}
    for averaging, (counted, weights) in units.items():
        for name, values in area_scores(counted).items():
            table.setdefault(name, {})[averaging] = _summary(values, weights)
    empty = empties(columns)
    for name in DISTANCES:
        if name in columns:
            values = np.asarray(columns[name], dtype=np.float64)
            table[name] = {
                "per_image": {
                    **_summary(values, np.ones(len(values))),
                    "penalised": empty["one"],
                    "both_empty": empty["both"],
                },
                "batch": _summary(np.add.reduceat(values, starts) / length, length),
            }
    return table


def score(
    prediction: Iterable, truth: Iterable, ids: Sequence[str] | None = None, batch: int = 5
) -> dict[str, dict[str, dict[str, float]]]:
    """Every score of N predictions under every averaging: `per_image`, then `table_from_counts`."""
    return table_from_counts(per_image(prediction, truth, ids), batch)


def class_scores(confusion: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Scores of a classifier from its confusion matrix.

    Parameters
    ----------
    confusion : numpy.ndarray
        ``(K, K)``: pictures of the true class (row) that were told to be of a class (column).
    classes : sequence of str
        Their K names.

    Returns
    -------
    dict
        "accuracy"; "f1", the mean of the classes' F1, a class that is neither there nor predicted left out; and of each
        class its "precision of", "recall of" and "f1 of", where 0/0 is 0.
    """
    right, there, told = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    share = lambda a, b: np.divide(a, b, out=np.zeros(len(b)), where=b > 0)
    each = {"precision": share(right, told), "recall": share(right, there), "f1": share(2 * right, there + told)}
    known = there + told > 0
    scores = {"accuracy": right.sum() / confusion.sum(), "f1": each["f1"][known].mean()}
    scores |= {f"{score} of {name}": v for score, of in each.items() for name, v in zip(classes, of, strict=True)}
    return {score: float(value) for score, value in scores.items()}


def confusion_of(truth: np.ndarray, found: np.ndarray, count: int) -> np.ndarray:
    """The confusion matrix ``(K, K)`` of true and told classes, whole numbers ``(N,)`` below `count`."""
    return np.bincount(np.asarray(truth) * count + np.asarray(found), minlength=count**2).reshape(count, count)


def by_picture(truth: np.ndarray, found: np.ndarray, classes: Sequence[str], score: str) -> np.ndarray:
    """What each picture says of a score of `class_scores`, ``(N,)``: the jackknife's pseudo-values.

    Their mean is the score, and their variance over N is about that of the score over other pictures; so a score that
    is no mean over pictures gets an interval as one that is. Of accuracy they are right (1) and wrong (0).
    """
    truth, found = np.asarray(truth, dtype=int), np.asarray(found, dtype=int)
    n, confusion = len(truth), confusion_of(truth, found, len(classes))
    whole = class_scores(confusion, classes)[score]
    values = np.empty(n)
    for t, f in zip(*np.nonzero(confusion), strict=True):  # pictures of one cell say the same
        rest = confusion.copy()
        rest[t, f] -= 1
        values[(truth == t) & (found == f)] = n * whole - (n - 1) * class_scores(rest, classes)[score]
    return values + whole - values.mean()
