"""Results tables as an honest author would print them, simulated from per-image confusion counts."""

from decimal import Decimal

import numpy as np

from tutseg.audit.cell import Cell

CONVENTIONS = ("image", "batch", "pooled", "two-class")
_EMPTY_AS_ZERO = {"divide": "ignore", "invalid": "ignore"}


def confusion(rng: np.random.Generator, n: int, mean: float, sd: float, fail: float, share, hard) -> np.ndarray:
    """(n, 4) shares of pixels TP, FP, FN, TN for images of lesion share `share` and difficulty `hard`."""
    logit = np.log(mean / (1 - mean)) + sd * (0.8 * hard + 0.6 * rng.standard_normal(n))
    dice = 1 / (1 + np.exp(-logit))
    missed = rng.random(n) < fail
    side = np.where(missed, 1.0, rng.beta(2, 2, n))  # FN as a share of the errors; an empty prediction has no FP
    dice = np.where(missed, 0.0, dice)
    wrong = 2 * share * (1 - dice) / (dice + 2 * side * (1 - dice))
    fn = side * wrong
    fp = np.minimum((1 - side) * wrong, 0.95 * (1 - share))
    return np.stack([share - fn, fp, fn, 1 - share - fp], axis=1).clip(0)


def scores(counts: np.ndarray, two_class: bool) -> dict[str, np.ndarray]:
    """Every metric of (m, 4) counts."""
    tp, fp, fn, tn = counts.T
    with np.errstate(**_EMPTY_AS_ZERO):
        ratio = lambda a, b: np.where(b > 0, a / np.where(b > 0, b, 1), 0.0)
        dice, jaccard = ratio(2 * tp, 2 * tp + fp + fn), ratio(tp, tp + fp + fn)
        if two_class:
            dice = (dice + ratio(2 * tn, 2 * tn + fp + fn)) / 2
            jaccard = (jaccard + ratio(tn, tn + fp + fn)) / 2
        return {
            "dice": dice,
            "jaccard": jaccard,
            "precision": ratio(tp, tp + fp),
            "accuracy": (tp + tn) / counts.sum(1),
            "sensitivity": ratio(tp, tp + fn),
            "specificity": ratio(tn, tn + fp),
            "hm": 1 - ratio(tp, tp + fp + fn),
            "xor": ratio(fp + fn, tp + fn),
        }


def average(counts: np.ndarray, convention: str) -> dict[str, float]:
    """One convention for a whole table: per image, per batch of 5 (weighted by its length), or over all pixels."""
    if convention in ("pooled", "two-class"):
        groups, weights = counts.sum(0, keepdims=True), np.ones(1)
    elif convention == "batch":
        parts = [counts[i : i + 5] for i in range(0, len(counts), 5)]
        groups, weights = np.stack([part.sum(0) for part in parts]), np.array([len(part) for part in parts])
    else:
        groups, weights = counts, np.ones(len(counts))
    return {k: float(np.average(v, weights=weights)) for k, v in scores(groups, convention == "two-class").items()}


def printed(value: float, digits: int) -> Decimal:
    return Decimal(f"{value:.{digits}f}")


def honest_table(seed: int, convention: str | None = None, **fixed) -> list[Cell]:
    """One table; `fixed` may give n, folds, digits, unit, columns, methods and labels."""
    rng = np.random.default_rng(seed)
    pick = lambda name, choices: fixed.get(name, choices[rng.integers(len(choices))])
    convention = convention or CONVENTIONS[seed % 4]
    n, folds = fixed.get("n", int(np.exp(rng.uniform(np.log(20), np.log(2000))))), pick("folds", (1, 3, 5))
    folds = min(folds, n // 10)
    unit = pick("unit", ("percent", "fraction"))
    digits = pick("digits", (0, 1, 2) if unit == "percent" else (2, 3, 4))
    if "digits" not in fixed and seed % 5 == 0:
        digits += 2
    spread = folds > 1 and bool(fixed.get("spread", rng.random() < 0.75))
    columns = pick("columns", (
        ("dice", "jaccard"),
        ("dice", "jaccard", "precision", "accuracy"),
        ("dice", "jaccard", "sensitivity", "specificity"),
        ("jaccard", "dice", "accuracy", "specificity", "sensitivity"),
        ("dice", "jaccard", "precision", "sensitivity", "specificity", "accuracy"),
        ("dice", "hm", "xor"),
        ("dice", "jaccard", "hd95", "asd"),
    ))  # fmt: skip
    if convention == "two-class":  # the lesion's precision and HM beside a two-class Dice owe each other nothing
        columns = tuple(c for c in columns if c not in ("precision", "hm", "xor"))
    methods = [f"M{i}" for i in range(fixed.get("methods", int(rng.integers(3, 9))))]
    labels = pick("labels", ((), ("0.02", "0.04"), ("0.01", "0.02", "0.04", "0.08")))
    settings = [{"labelled": label} for label in labels] or [{}]
    cells = []
    for data in ("a", "b")[: int(rng.integers(1, 3))]:
        a, b = rng.uniform(1.2, 2.5), rng.uniform(4, 12)
        share, hard = rng.beta(a, b, n).clip(0.004, 0.9), rng.standard_normal(n)
        level, sd = rng.uniform(0.7, 0.93), rng.uniform(0.5, 1.1)
        rows = [(m, s) for s in settings for m in methods] + ([("Full", {"labelled": "1"})] if labels else [])
        for row, (method, setting) in enumerate(rows, start=1):
            gain = 0.3 * [*labels, "1"].index(setting["labelled"]) if labels else 0.0
            mean = 1 / (1 + np.exp(-(np.log(level / (1 - level)) + gain + 0.12 * rng.standard_normal())))
            own_sd = sd * np.exp(0.08 * rng.standard_normal()) * (1 - 0.08 * gain)
            fail = rng.uniform(0, 0.02) * (1 - mean) / (1 - level)
            counts = confusion(rng, n, mean, own_sd, fail, share, hard)
            if "asd" in columns:
                far = 1 + 20 * (1 - scores(counts, False)["dice"])
                surface = np.exp(rng.standard_normal((n, 60))) * far[:, None]
            per_fold = []
            for part in np.array_split(np.arange(n), folds):
                values = average(counts[part], convention)
                if "asd" in columns:
                    values["asd"] = float(surface[part].mean())
                    values["hd95"] = float(np.percentile(surface[part], 95, axis=1).mean())
                per_fold.append(values)
            for column, metric in enumerate(columns, start=2):
                values = np.array([fold[metric] for fold in per_fold])
                distance = metric in ("hd95", "asd")
                scale = 100 if unit == "percent" and not distance else 1
                cells.append(Cell(
                    "honest", 1, method, {"data": data, **setting}, metric, printed(values.mean() * scale, digits),
                    printed(values.std() * scale, digits) if spread else None, f"r{row}c{column}", "",
                    "pixels" if distance else unit, "lower" if metric in ("hd95", "asd", "hm", "xor") else "higher",
                ))  # fmt: skip
    return cells
