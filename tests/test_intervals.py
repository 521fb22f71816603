"""The interval of a mean over seeds and images covers what it says, which a percentile bootstrap does not."""

import numpy as np
import pytest
from scipy import stats

from tutseg.papers.intervals import (
    Spread,
    direction,
    paired_interval,
    smallest_difference,
    spread_of,
    t_interval,
)

IMAGES, TRUTH = 40, 0.3
# standard deviations of seed, image and rest; in the last neither source dominates the mean
DATA = {"seeds dominate": (1, 0.2, 0.5), "images dominate": (0.05, 1, 0.2), "both count": (0.2, 1, 0.2)}


def experiments(k, deviations, count, n=IMAGES):
    rng = np.random.default_rng(11)
    seed, image, rest = deviations
    return (
        TRUTH
        + seed * rng.normal(size=(count, k, 1))
        + image * rng.normal(size=(count, 1, n))
        + rest * rng.normal(size=(count, k, n))
    )


def percentile_bootstrap(differences, resamples=400):
    """Seeds and images drawn with replacement, every drawn seed on the same drawn images."""
    rng = np.random.default_rng(5)
    k, n = differences.shape[-2:]
    seeds, images = (rng.multinomial(size, [1 / size] * size, resamples) / size for size in (k, n))
    drawn = np.einsum("rkb,bk->rb", differences @ images.T, seeds)
    return np.quantile(drawn, [0.025, 0.975], axis=1)


def coverage(interval, differences):
    low, high = interval(differences)
    return np.mean((low <= TRUTH) & (high >= TRUTH))


@pytest.mark.parametrize("k", [3, 5, 10])
@pytest.mark.parametrize("data", DATA)
def test_it_holds_the_truth_at_least_93_times_of_100(k, data):
    assert coverage(paired_interval, experiments(k, DATA[data], 2000)) >= 0.93


@pytest.mark.parametrize(("k", "most"), [(3, 0.80), (5, 0.90), (10, 0.93)])
def test_the_percentile_bootstrap_fails_this(k, most):
    assert coverage(percentile_bootstrap, experiments(k, DATA["seeds dominate"], 500)) < most


def test_it_is_not_wider_than_it_need_be():
    """As narrow as the textbook's t interval where one source is alone."""
    rng = np.random.default_rng(0)
    seeds, images = rng.normal(size=(4, 1)), rng.normal(size=(1, 50))
    for values, alone in ((seeds + 0 * images, seeds), (0 * seeds + images, images)):
        expected = stats.t.interval(0.95, alone.size - 1, alone.mean(), stats.sem(alone, axis=None))
        assert paired_interval(values) == pytest.approx(expected)


def test_the_variances_are_those_of_the_mean_squares():
    x = experiments(4, (0.5, 1, 0.3), 1)[0]
    k, n = x.shape
    rows, columns = x.mean(1, keepdims=True), x.mean(0, keepdims=True)
    seed = n * ((rows - x.mean()) ** 2).sum() / (k - 1)
    image = k * ((columns - x.mean()) ** 2).sum() / (n - 1)
    error = ((x - rows - columns + x.mean()) ** 2).sum() / ((k - 1) * (n - 1))
    found = spread_of(x)
    assert (found.seed, found.image, found.rest) == pytest.approx(((seed - error) / n, (image - error) / k, error))
    low, high = paired_interval(x)
    half = np.sqrt(stats.t.ppf(0.975, k - 1) ** 2 * seed + stats.t.ppf(0.975, n - 1) ** 2 * (image - error))
    assert (high - low) / 2 == pytest.approx(half / np.sqrt(k * n))


def test_pairs_of_cells_by_brute_force_where_seeds_lack_images():
    x = experiments(3, (0.5, 1, 0.3), 1, 7)[0]
    x[0, :3] = x[2, 4:] = np.nan
    cells = [(s, i, x[s, i]) for s, i in np.argwhere(np.isfinite(x))]
    means = {}
    for s, i, a in cells:
        for t, j, b in cells:
            if (s, i) != (t, j):
                means.setdefault((s == t, i == j), []).append((a - b) ** 2 / 2)
    apart, one_seed, one_image = (np.mean(means[key]) for key in ((False, False), (True, False), (False, True)))
    found = spread_of(x)
    assert found.seed == pytest.approx(max(apart - one_seed, 0))
    assert found.image == pytest.approx(max(apart - one_image, 0))
    assert found.rest == pytest.approx(max(one_seed + one_image - apart, 0))


def test_seeds_with_their_own_images():
    """Disjoint test images: the seeds' means are independent, and the interval is theirs."""
    scores = experiments(6, (1, 1, 0.5), 1, 30)[0]
    own = np.full((6, 6, 30), np.nan)
    own[np.arange(6), np.arange(6)] = scores
    expected = stats.t.interval(0.95, 5, scores.mean(), stats.sem(scores.mean(1)))
    assert paired_interval(own.reshape(6, 180)) == pytest.approx(expected, rel=0.02)


def test_one_seed_says_nothing_of_another():
    x = np.random.default_rng(0).normal(size=30)
    assert np.isnan(paired_interval(x[None])).all()
    assert np.isnan(paired_interval(x[:, None])).all()
    assert t_interval(x) == pytest.approx(stats.t.interval(0.95, 29, x.mean(), stats.sem(x)))


def test_the_smallest_difference_is_seen_four_times_out_of_five():
    for deviations in DATA.values():
        x = experiments(5, deviations, 4000, 439) - TRUTH
        spread = Spread(*(deviation**2 for deviation in deviations))
        low, _ = paired_interval(x + smallest_difference(spread, 5, 439))
        assert np.mean(low > 0) == pytest.approx(0.8, abs=0.06)


def test_a_direction_needs_an_interval_that_leaves_out_zero():
    assert [direction(*ends) for ends in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1), (np.nan, np.nan), (0, 0))] == [
        "higher", "lower", "undecided", "undecided", "undecided",
    ]  # fmt: skip
