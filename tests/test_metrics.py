"""Scores against brute force, scikit-learn and MONAI, on random masks and on the awkward ones."""

import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from tutseg import metrics
from tutseg.errors import InputError

H, W = 20, 30
DIAGONAL = np.hypot(H, W)


def draw(kind: str, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = np.zeros((H, W), bool)
    if kind == "noise":
        mask = rng.random((H, W)) < 0.4
    elif kind == "blob":
        y, x = np.mgrid[:H, :W]
        mask = ((y - rng.uniform(5, 15)) / rng.uniform(2, 7)) ** 2 + (
            (x - rng.uniform(8, 22)) / rng.uniform(2, 9)
        ) ** 2 < 1
    elif kind == "full":
        mask[:] = True
    elif kind == "pixel":
        mask[rng.integers(H), rng.integers(W)] = True
    elif kind == "corner":
        mask[:4, -6:] = True
    elif kind == "edge":
        mask[5:, :3] = True
    return mask


KINDS = ("noise", "blob", "full", "pixel", "corner", "edge", "empty")
PAIRS = [(a, b) for a in KINDS for b in KINDS]


@pytest.fixture(scope="module")
def stack():
    """49 pairs: every kind of prediction against every kind of truth."""
    p = np.stack([draw(a, i) for i, (a, _) in enumerate(PAIRS)])
    t = np.stack([draw(b, 100 + i) for i, (_, b) in enumerate(PAIRS)])
    return p, t


@pytest.fixture(scope="module")
def columns(stack):
    return metrics.per_image(*stack)


def brute_surface(mask):
    """Pixels of the mask with a 4-neighbour that is background or outside the picture."""
    out = []
    for y, x in np.argwhere(mask):
        around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        if any(not (0 <= v < mask.shape[0] and 0 <= u < mask.shape[1] and mask[v, u]) for v, u in around):
            out.append((y, x))
    return np.array(out)


def brute_distances(p, t):
    if not p.any() and not t.any():
        return dict.fromkeys(metrics.DISTANCES, 0.0)
    if not p.any() or not t.any():
        return dict.fromkeys(metrics.DISTANCES, DIAGONAL)
    d = cdist(brute_surface(p), brute_surface(t))
    there, back = d.min(axis=1), d.min(axis=0)
    both = np.concatenate([there, back])
    return {
        "hd95": max(np.percentile(there, 95), np.percentile(back, 95)),
        "hd95_pooled": np.percentile(both, 95),
        "asd": there.mean(),
        "assd": both.mean(),
    }


def test_counts_by_counting(stack):
    p, t = stack
    expected = [
        [sum(bool(a) == x and bool(b) == y for a, b in zip(i.ravel(), j.ravel(), strict=True)) for x, y in order]
        for i, j in zip(p[:12], t[:12], strict=True)
        for order in [[(True, True), (True, False), (False, True), (False, False)]]
    ]
    got = metrics.counts(p[:12], t[:12])
    assert got.dtype == np.int64 and got.tolist() == expected


def test_distances_against_brute_force(stack, columns):
    for i, (p, t) in enumerate(zip(*stack, strict=True)):
        for name, value in brute_distances(p, t).items():
            assert columns[name][i] == pytest.approx(value, abs=1e-12), (PAIRS[i], name)


def test_area_against_scikit_learn(stack, columns):
    from sklearn import metrics as sk

    for i, (p, t) in enumerate(zip(*stack, strict=True)):
        p, t = p.ravel(), t.ravel()
        # both empty counts as agreement; otherwise 0/0 is 0, which is scikit-learn's zero_division=0
        rule = {"zero_division": 1.0 if not p.any() and not t.any() else 0.0}
        background = {"pos_label": False, "zero_division": 1.0 if p.all() and t.all() else 0.0}
        expected = {
            "dice": sk.f1_score(t, p, **rule),
            "jaccard": sk.jaccard_score(t, p, **rule),
            "precision": sk.precision_score(t, p, **rule),
            "sensitivity": sk.recall_score(t, p, **rule),
            "specificity": sk.recall_score(t, p, **background),
            "accuracy": sk.accuracy_score(t, p),
            "miou": (sk.jaccard_score(t, p, **rule) + sk.jaccard_score(t, p, **background)) / 2,
            "mdice": (sk.f1_score(t, p, **rule) + sk.f1_score(t, p, **background)) / 2,
        }
        for name, value in expected.items():
            assert columns[name][i] == pytest.approx(value, abs=1e-12), (PAIRS[i], name)


def test_against_monai(stack, columns):
    from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance

    defined = stack[0].any(axis=(1, 2)) & stack[1].any(axis=(1, 2))  # MONAI gives inf or nan for an empty mask
    p, t = (torch.from_numpy(m[defined])[:, None] for m in stack)
    kw = {"include_background": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "dice": compute_dice(p, t, **kw),
            "hd95": compute_hausdorff_distance(p, t, percentile=95, **kw),
            "asd": compute_average_surface_distance(p, t, **kw),
            "assd": compute_average_surface_distance(p, t, symmetric=True, **kw),
        }
    for name, value in expected.items():  # MONAI computes in float32
        np.testing.assert_allclose(columns[name][defined], value[:, 0].numpy(), rtol=1e-6, atol=1e-6, err_msg=name)


def test_the_two_hd95_differ():
    """A spur on one mask: its list alone has a large 95th percentile, the pooled list dilutes it."""
    t = np.zeros((40, 40), bool)
    t[10:30, 10:30] = True
    p = t.copy()
    p[20, 30:36] = True
    got = metrics.per_image([p], [t])
    there = np.sort([0.0] * (brute_surface(p).shape[0] - 6) + [1, 2, 3, 4, 5, 6])
    assert got["hd95"][0] == pytest.approx(np.percentile(there, 95))
    assert got["hd95_pooled"][0] < got["hd95"][0]


def test_rule_for_empty_masks():
    empty, full, some = draw("empty"), draw("full"), draw("corner")
    got = metrics.per_image([empty, empty, some, empty, full, some], [empty, some, empty, full, empty, full])
    both, *one_empty = range(5)
    for name in ("dice", "jaccard", "precision", "sensitivity", "accuracy", "specificity", "miou", "mdice"):
        assert got[name][both] == 1
    for name in ("hm", "xor", *metrics.DISTANCES):
        assert got[name][both] == 0
    for i in one_empty:
        assert [got[n][i] for n in ("dice", "jaccard", "precision", "sensitivity", "hm", "xor")] == [0, 0, 0, 0, 1, 1]
        assert [got[n][i] for n in metrics.DISTANCES] == [DIAGONAL] * 4
    assert got["specificity"][5] == 0, "the truth has no background, the prediction claims some"
    table = metrics.table_from_counts(got)
    assert table["assd"]["per_image"]["penalised"] == 4 and table["assd"]["per_image"]["both_empty"] == 1
    assert metrics.empties(got) == {"prediction": 3, "truth": 3, "both": 1, "one": 4}
    assert all(np.isfinite(block["mean"]) for row in table.values() for block in row.values())


@pytest.mark.parametrize("k", [1, 3, 5, 49, 100])
def test_averagings(stack, columns, k):
    p, t = stack
    table = metrics.score(p, t, batch=k)
    assert json.loads(json.dumps(table)) == table
    for name in ("dice", "jaccard", "xor", "miou"):
        row = table[name]
        assert row["per_image"] == pytest.approx(
            {"mean": columns[name].mean(), "std": columns[name].std(), "n": len(p)}
        )
        # one picture made of all the pixels of a batch, scored like any other
        parts = [np.s_[i : i + k] for i in range(0, len(p), k)]
        flat = [metrics.per_image([p[s].reshape(-1, W)], [t[s].reshape(-1, W)])[name][0] for s in parts]
        length = [len(p[s]) for s in parts]
        mean = sum(f * n for f, n in zip(flat, length, strict=True)) / len(p)
        assert row["batch"]["mean"] == pytest.approx(mean, abs=1e-12) and row["batch"]["n"] == len(parts)
        whole = metrics.per_image([p.reshape(-1, W)], [t.reshape(-1, W)])[name][0]
        assert row["pooled"] == pytest.approx({"mean": whole, "std": 0, "n": 1})
        if k == 1:
            assert row["batch"] == row["per_image"]
        if k >= len(p):
            assert row["batch"]["mean"] == row["pooled"]["mean"]
    for name in metrics.DISTANCES:
        assert set(table[name]) == {"per_image", "batch"}
        assert table[name]["batch"]["mean"] == pytest.approx(table[name]["per_image"]["mean"])
        assert table[name]["per_image"]["mean"] == pytest.approx(columns[name].mean())


def test_kept_columns_give_the_same_table(stack, columns):
    """What a run keeps of each picture is enough, with or without distances, also as a data frame."""
    import pandas as pd

    whole = metrics.score(*stack)
    assert metrics.table_from_counts(pd.DataFrame(columns)) == whole
    areas = metrics.table_from_counts({name: columns[name] for name in metrics.COUNTS})
    assert areas == {name: row for name, row in whole.items() if name not in metrics.DISTANCES}


def test_what_is_accepted(stack):
    p, t = stack
    expected = metrics.per_image(p, t)
    forms = [
        (torch.from_numpy(p)[:, None].float().requires_grad_(), torch.from_numpy(t)[:, None].float()),
        (p.astype(np.uint8), list(t)),
        ((m for m in p), (m[None] for m in t)),
    ]
    for form in forms:
        got = metrics.per_image(*form)
        assert all(np.array_equal(got[name], expected[name]) for name in expected)
    sizes = metrics.counts([draw("blob"), np.ones((3, 5), bool)], [draw("blob"), np.ones((3, 5), bool)])
    assert sizes.sum(axis=1).tolist() == [H * W, 15]


def test_what_is_refused():
    small, large = np.ones((2, 3), bool), np.ones((2, 4), bool)
    with pytest.raises(InputError, match=r"ISIC_1: the prediction is 3x2 pixels, the truth 4x2"):
        metrics.score([large, small], [large, large], ids=["ISIC_0", "ISIC_1"])
    with pytest.raises(InputError, match="no picture"):
        metrics.score([], [])
    with pytest.raises(ValueError, match="threshold"):
        metrics.counts(np.full((1, 2, 2), 0.3), np.ones((1, 2, 2)))
    with pytest.raises(ValueError, match="shorter"):
        metrics.counts([small, small], [small])


masks = arrays(bool, (9, 11))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(masks, masks)
def test_identities(p, t):
    got = {name: values[0] for name, values in metrics.per_image([p], [t]).items()}
    back = {name: values[0] for name, values in metrics.per_image([t], [p]).items()}
    close = lambda x: pytest.approx(x, abs=1e-12)
    assert got["jaccard"] == close(got["dice"] / (2 - got["dice"]))
    assert got["hm"] == close(1 - got["jaccard"]) and got["hm"] <= got["xor"] + 1e-12
    assert 0 <= got["assd"] <= np.hypot(9, 11) and got["hd95"] >= 0
    for name in ("dice", "jaccard", "accuracy", "miou", "mdice", "hm", "hd95", "hd95_pooled", "assd"):
        assert got[name] == close(back[name]), f"{name} is symmetric"
    if p.any() and t.any():
        assert got["precision"] == close(back["sensitivity"])
        for name, value in brute_distances(p, t).items():
            assert got[name] == close(value)
    turned = metrics.per_image([p[::-1].T], [t[::-1].T])
    assert turned["assd"][0] == close(got["assd"]) and turned["hd95"][0] == close(got["hd95"])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.tuples(*[st.integers(0, 50)] * 4).filter(any), min_size=1, max_size=12), st.integers(1, 6))
def test_convexity_bound_under_every_averaging(rows, k):
    """mean J >= D/(2-D) of the mean Dice (methods.md 1.1), with equality when pooled."""
    table = metrics.table_from_counts(dict(zip(metrics.COUNTS, np.array(rows).T, strict=True)), batch=k)
    for averaging in ("per_image", "batch", "pooled"):
        d, j = table["dice"][averaging]["mean"], table["jaccard"][averaging]["mean"]
        assert d / (2 - d) - 1e-12 <= j <= d + 1e-12
    assert j == pytest.approx(d / (2 - d), abs=1e-12)


def test_imports_no_torch():
    import subprocess
    import sys

    code = "import sys, tutseg.metrics; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
