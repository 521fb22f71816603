"""Lab 4, intervals: t, bootstrap, seeds crossed with pictures, verdicts, power."""

from itertools import product

import numpy as np

from tutseg.labs.checking import Mistake, Wrong, expect, rng, same


def t_interval(t_interval):
    """The t interval, its quantile taken from a table of Student's t."""
    table = {2: 12.7062, 3: 4.30265, 5: 2.77645, 8: 2.36462, 20: 2.09302}  # 0.975, by number of values
    random = rng()
    for n, q in table.items():
        values = random.normal(random.uniform(-1, 1), 2, n)
        mean = sum(values) / n
        squares = sum((value - mean) ** 2 for value in values)
        s, population = (squares / (n - 1)) ** 0.5, (squares / n) ** 0.5
        around = lambda half, mean=mean: (mean - half, mean + half)
        likely = {
            "s divides by n - 1; what does np.std take by default?": around(q * population / n**0.5),
            "is s divided by the root of n? It is the spread of one value, not of the mean": around(q * s),
            "s is divided by the root of n, not by n": around(q * s / n),
            "1.96 is for many values; for so few t is wider": around(1.959964 * s / n**0.5),
            "is this the variance in place of the standard deviation?": around(q * s**2 / n**0.5),
            "are low and high in each other's place?": around(q * s / n**0.5)[::-1],
        }  # fmt: skip
        same(t_interval(values.copy()), around(q * s / n**0.5), f"{n} values", likely, 1e-4)


def bootstrap(bootstrap):
    """The percentile bootstrap against all n to the power n draws there are of a few values."""
    random = rng()
    for _ in range(2):
        n, what = 6, "6 values, 4000 draws"
        values = np.sort(random.normal(0, 1, n)) + np.arange(n) / 3
        means = np.array([*product(values, repeat=n)]).mean(axis=1)
        got = bootstrap(values.copy(), 4000, np.random.default_rng(int(random.integers(1000))))
        expect(np.shape(got) == (2,), f"{what}: two numbers are asked for, low and high")
        below, above = (means < got[0]).mean(), (means > got[1]).mean()
        if max(abs(below - 0.025), abs(above - 0.025)) < 0.015:
            continue
        expect(got[0] <= got[1], f"{what}: are low and high in each other's place?")
        expect(got[1] - got[0] > 1e-9, f"{what}: low and high are the same; are the values drawn with replacement?")
        hint = "is the mean of each draw taken, or are these quantiles of the values?"
        expect(not np.allclose(got, np.quantile(values, [0.025, 0.975]), atol=0.05), f"{what}: {hint}")
        expect(below + above < 0.05, f"{what}: the interval is too narrow; which quantiles are its ends?")
        raise Wrong(f"{what}: the interval is too wide; of how many values is each mean?")


def crossed(crossed):
    """Means of crossed draws against all draws that a small matrix has."""
    random = rng()
    for _ in range(2):
        d = random.normal(0, 1, (2, 3)) + random.normal(0, 2, (2, 1)) + random.normal(0, 2, (1, 3))
        cells = lambda rows, columns, d=d: np.mean([d[i, j] for i in rows for j in columns])
        truth = np.array([cells(i, j) for i in product(range(2), repeat=2) for j in product(range(3), repeat=3)])
        got = np.asarray(crossed(d.copy(), 1000, np.random.default_rng(int(random.integers(1000)))), dtype=float)
        what = "a matrix of 2 seeds and 3 pictures, 1000 draws"
        expect(got.shape == (1000,), f"{what}: one mean a draw is asked for, and {got.shape} came back")
        possible = lambda values, got=got: np.abs(np.subtract.outer(got, np.unique(values))).min(axis=1).max() < 1e-9
        rows = np.array([cells(i, range(3)) for i in product(range(2), repeat=2)])
        columns = np.array([cells(range(2), j) for j in product(range(3), repeat=3)])
        expect(np.std(got) > 1e-12, f"{what}: all means are the same; are rows and columns drawn with replacement?")
        expect(not possible(rows), f"{what}: are pictures drawn too?")
        expect(not possible(columns), f"{what}: are seeds drawn too?")
        expect(possible(truth), f"{what}: a mean that no draw can have; do all seeds get the same pictures?")
        expect(abs(got.std() / truth.std() - 1) < 0.2, f"{what}: the means spread differently; how many are drawn?")


def verdict(verdict):
    """The four words, against what holds of a thousand differences inside of the interval."""
    random = rng()
    for _ in range(60):
        low = random.uniform(-3, 2)
        high, margin = low + random.uniform(0.1, 3), random.uniform(0.5, 2.5)
        inside = np.linspace(low, high, 1000)
        above, below, small = (inside > 0).all(), (inside < 0).all(), (np.abs(inside) < margin).all()
        truth = "higher" if above else "lower" if below else "as good" if small else "undecided"
        got = verdict(low, high, margin)
        what = f"an interval from {low:+.2f} to {high:+.2f}, margin {margin:.2f}"
        words = ("higher", "lower", "as good", "undecided")
        expect(got in words, f"{what}: one of {', '.join(words)} is asked for")
        middle = "higher" if low + high > 0 else "lower"
        if got != truth and got == middle and truth in words[2:]:
            raise Wrong(f"{what}: does the middle decide? The whole interval must lie on one side")
        if got in ("higher", "lower") and truth in ("higher", "lower"):
            expect(got == truth, f"{what}: which side of zero is higher?")
        if truth in ("higher", "lower") and got == "as good":
            raise Wrong(f"{what}: within the margin, and yet on one side of zero: which word goes first?")
        if truth == "as good" and got == "undecided":
            raise Wrong(f"{what}: it holds zero and stays within the margin; which of both ends is compared with what?")
        if truth == "undecided" and got == "as good":
            raise Wrong(f"{what}: it holds zero, and reaches beyond the margin; are both ends looked at?")
        expect(got == truth, f"{what}: {got} is not what the four rules give")


def power(power):
    """Power against the noncentral t distribution's, for the t interval."""
    from scipy.stats import nct, norm, t

    random = rng()
    for k, effect in ((3, 2.0), (6, 1.2), (10, 0.4)):
        sd, quantile = random.uniform(0.5, 2), t.ppf(0.975, k - 1)

        def interval(values, quantile=quantile):
            half = quantile * values.std(ddof=1) / len(values) ** 0.5
            return values.mean() - half, values.mean() + half

        by_noncentral = [1 - nct.cdf(quantile, k - 1, shift * k**0.5) for shift in (effect, 0.0)]
        likely = {
            "are the experiments counted that miss the difference?": 1 - by_noncentral[0],
            "is the middle looked at, and not the lower end?": norm.cdf(effect * k**0.5),
            "is the effect part of what is drawn?": by_noncentral[1],
        }
        got = power(effect * sd, sd, k, 500, interval, np.random.default_rng(int(random.integers(1000))))
        same(got, by_noncentral[0], f"effect {effect * sd:.2f}, sd {sd:.2f}, {k} seeds", likely, 0.07)


CHECKS = {"L4.1": t_interval, "L4.2": bootstrap, "L4.3": crossed, "L4.4": verdict, "L4.5": power}

_POWER = """found = 0
for _ in range(experiments):
    low, high = interval(rng.normal(effect, sd, k))
    found += {}
return found / experiments"""
MISTAKES = (
    Mistake("L4.1", "standard deviation with n", "what does np.std take by default",
            "n = len(values)\nhalf = t.ppf(0.975, n - 1) * np.std(values) / np.sqrt(n)\n"
            "return np.mean(values) - half, np.mean(values) + half"),
    Mistake("L4.1", "not divided by the root of n", "the spread of one value",
            "n = len(values)\nhalf = t.ppf(0.975, n - 1) * np.std(values, ddof=1)\n"
            "return np.mean(values) - half, np.mean(values) + half"),
    Mistake("L4.1", "1.96 in place of t", "1.96 is for many",
            "n = len(values)\nhalf = 1.96 * np.std(values, ddof=1) / np.sqrt(n)\n"
            "return np.mean(values) - half, np.mean(values) + half"),
    Mistake("L4.2", "drawn without replacement", "with replacement",
            "means = [rng.permutation(values).mean() for _ in range(draws)]\n"
            "return np.quantile(means, 0.025), np.quantile(means, 0.975)"),
    Mistake("L4.2", "5 % and 95 %", "which quantiles",
            "n = len(values)\nmeans = values[rng.integers(0, n, (draws, n))].mean(axis=1)\n"
            "return np.quantile(means, 0.05), np.quantile(means, 0.95)"),
    Mistake("L4.3", "draws pictures alone", "are seeds drawn too",
            "k, n = d.shape\nreturn np.array([d[:, rng.integers(0, n, n)].mean() for _ in range(draws)])"),
    Mistake("L4.3", "every seed gets pictures of its own", "do all seeds get the same pictures",
            "k, n = d.shape\nmeans = []\nfor _ in range(draws):\n"
            "    rows = [d[i, rng.integers(0, n, n)] for i in rng.integers(0, k, k)]\n"
            "    means.append(np.mean(rows))\nreturn np.array(means)"),
    Mistake("L4.4", "the middle decides", "does the middle decide",
            "middle = (low + high) / 2\nif abs(middle) < 1e-9:\n    return \"undecided\"\n"
            "return \"higher\" if middle > 0 else \"lower\""),
    Mistake("L4.4", "the margin goes first", "which word goes first",
            "if -margin < low and high < margin:\n    return \"as good\"\nif low > 0:\n    return \"higher\"\n"
            "return \"lower\" if high < 0 else \"undecided\""),
    Mistake("L4.5", "counts the misses", "that miss the difference", _POWER.format("low <= 0")),
)  # fmt: skip
