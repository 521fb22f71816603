# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # Lab 4. Is it better, or was it lucky?
#
# **Goal.** You compute intervals for a difference between two methods in three ways, find out which of them keep their
# promise with three seeds, decide three claims, and say before an experiment what it can see at all.
#
# ## Start (5 min)

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import t

from tutseg.files import csv_rows, project_root
from tutseg.labs import check, met, predict, short

# %% [markdown]
# The numbers of this lab were measured, not made: three methods, each trained with three seeds on 31 labelled pictures
# of ISIC 2018, each tested on the same pictures. `dice[method]` is a matrix, a row a seed and a column a picture.

# %%
evidence = project_root() / "results" / "dme-fd" / "isic2018-96"
trials = csv_rows(evidence / "trials.csv")
method_of = {row["id"]: row["method"] for row in trials if row["method"]}
dice = {}
for row in csv_rows(evidence / "per_image.csv"):
    values = [float(row[name]) for name in row if name.startswith("ISIC")]
    dice.setdefault(method_of[row["trial"]], []).append(values)
dice = {method: np.array(values) for method, values in dice.items()}
for method, values in dice.items():
    means = "  ".join(f"{100 * value:.1f}" for value in values.mean(axis=1))
    print(f"{method:10} {values.shape}, Dice % of each seed: {means}")

# %% [markdown]
# ## 1. The t interval (10 min)
#
# For $n$ values with mean $m$ and standard deviation $s$ (with $n - 1$ in its denominator) the 95 % interval of the mean
# is $m \pm q\, s / \sqrt{n}$, where $q$ is the 0.975 quantile of Student's t with $n - 1$ degrees of freedom,
# `t.ppf(0.975, n - 1)`.


# %%
def t_interval(values):
    """Low and high end of the 95 % interval of the mean of some values (n,)."""
    ### BEGIN SOLUTION
    n = len(values)
    half = t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
    return np.mean(values) - half, np.mean(values) + half
    ### END SOLUTION


# %%
check("L4.1", t_interval=t_interval)

# %% [markdown]
# ## 2. The bootstrap (15 min)
#
# Draw $n$ of the $n$ values, with replacement, and take the mean; do it many times. The interval reaches from the 2.5 %
# to the 97.5 % quantile of these means (`np.quantile`). No formula, no table of t: it looks like magic.


# %%
def bootstrap(values, draws, rng):
    """Low and high end of the bootstrap's 95 % interval of the mean of values (n,)."""
    ### BEGIN SOLUTION
    n = len(values)
    means = values[rng.integers(0, n, (draws, n))].mean(axis=1)
    return np.quantile(means, 0.025), np.quantile(means, 0.975)
    ### END SOLUTION


# %%
check("L4.2", bootstrap=bootstrap)

# %% [markdown]
# An interval promises to hold the truth in 95 of 100 experiments. We make experiments whose truth is known: $k$ seeds
# from a normal distribution. In how many of 100 does the bootstrap of *three* seeds hold it? Guess a number.

# %%
predict("L4.a", None)

# %%


def coverage(interval, k, experiments, rng):
    """In what share of experiments with k seeds the interval holds the truth, 0."""
    ends = [interval(rng.normal(size=k)) for _ in range(experiments)]
    return np.mean([low <= 0 <= high for low, high in ends])


rng = np.random.default_rng(0)
by_bootstrap = lambda values: bootstrap(values, 200, rng)
many = short(1000, 40)
met("L4.a", 100 * coverage(by_bootstrap, 3, many, rng))

# %% tags=["figure"]
sizes = [2, 3, 4, 5, 7, 10, 15, 20]
found = {
    name: [100 * coverage(interval, k, many, rng) for k in sizes]
    for name, interval in (("t interval", t_interval), ("bootstrap", by_bootstrap))
}
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
for (name, values), marker in zip(found.items(), "os", strict=True):
    axis.plot(sizes, values, marker=marker, label=name)
axis.axhline(95, color="gray", linestyle=":")
axis.set_xlabel("seeds")
axis.set_ylabel("holds the truth, %")
axis.legend()
axis.set_title("What an interval promises is 95 %", fontsize=9)
plt.show()

# %% [markdown]
# ## 3. Seeds and pictures (15 min)
#
# A new experiment has other seeds *and* other pictures. The t interval over seed means is for these pictures only, the
# one over pictures for these seeds only. For both at once draw seeds and pictures, each with replacement, and take the
# mean of the matrix that they make; every seed is tested on the same pictures, so one draw of pictures serves all seeds.


# %%
def crossed(d, draws, rng):
    """Means of `draws` matrices, made from d (k, n) by drawing k rows and n columns."""
    ### BEGIN SOLUTION
    k, n = d.shape
    means = []
    for _ in range(draws):
        seeds, pictures = rng.integers(0, k, k), rng.integers(0, n, n)
        means.append(d[np.ix_(seeds, pictures)].mean())
    return np.array(means)
    ### END SOLUTION


# %%
check("L4.3", crossed=crossed)

# %% [markdown]
# DME-FD against supervised training, picture by picture. Which of the three intervals will be the widest: over
# "seeds", over "pictures", or by drawing "both"?

# %%
predict("L4.b", None)

# %%
difference = dice["dme-fd"] - dice["supervised"]
intervals = {
    "seeds": t_interval(difference.mean(axis=1)),
    "pictures": t_interval(difference.mean(axis=0)),
    "both": tuple(np.quantile(crossed(difference, short(2000, 50), rng), [0.025, 0.975])),
}
for name, (low, high) in intervals.items():
    print(f"{name:9} {100 * low:+.1f} to {100 * high:+.1f} points")
met("L4.b", max(intervals, key=lambda name: intervals[name][1] - intervals[name][0]))

# %% [markdown]
# ## 4. Decide (15 min)
#
# A claim is decided by the interval of a difference, never by its mean alone: **higher** if the whole interval lies
# above zero, **lower** if it lies below, **as good** if it holds zero and lies between $-$margin and $+$margin, and
# **undecided** otherwise.


# %%
def verdict(low, high, margin):
    """ "higher", "lower", "as good" or "undecided"."""
    ### BEGIN SOLUTION
    if low > 0:
        return "higher"
    if high < 0:
        return "lower"
    return "as good" if -margin < low and high < margin else "undecided"
    ### END SOLUTION


# %%
check("L4.4", verdict=verdict)

# %% [markdown]
# Three claims: DME-FD is better than supervised training; CPS is better than supervised training; DME-FD is as good as
# CPS, within one point. Decide each with the interval over seeds and pictures that the package uses for every claim
# of the book, and with the one over pictures alone, which is what most papers would print.

# %%
from tutseg.papers.intervals import paired_interval

for a, b in (("dme-fd", "supervised"), ("cps", "supervised"), ("dme-fd", "cps")):
    d = dice[a] - dice[b]
    for name, (low, high) in (
        ("seeds and pictures", paired_interval(d)),
        ("pictures alone", t_interval(d.mean(axis=0))),
    ):
        ends = f"{100 * low:+.1f} to {100 * high:+.1f}"
        print(f"{a} - {b}, {name}: {ends} points: {verdict(low, high, 0.01)}")

# %% [markdown]
# ## 5. What could have been seen (15 min)
#
# "Undecided" may say nothing of the methods and all of the experiment. Its *power* is the share of experiments that find
# a true difference: draw $k$ seeds from a normal distribution with mean `effect` and standard deviation `sd`, and see
# whether the interval lies above zero.


# %%
def power(effect, sd, k, experiments, interval, rng):
    """Share of experiments with k seeds whose interval lies wholly above zero.

    interval: a function from values (k,) to low and high.
    """
    ### BEGIN SOLUTION
    found = 0
    for _ in range(experiments):
        low, _ = interval(rng.normal(effect, sd, k))
        found += low > 0
    return found / experiments
    ### END SOLUTION


# %%
check("L4.5", power=power)

# %% [markdown]
# The difference between DME-FD and supervised training moves from seed to seed. Suppose DME-FD truly is two points
# better, and seeds move as much as they did here. With how many seeds is the chance to see it at least 80 %?

# %%
predict("L4.c", None)

# %%
sd = difference.mean(axis=1).std(ddof=1)
seeds = 2
while power(0.02, sd, seeds, short(400, 40), t_interval, rng) < 0.8 and seeds < 60:
    seeds += 1
print(f"standard deviation over seeds: {100 * sd:.1f} points")
met("L4.c", seeds)

# %% [markdown]
# ## Free task (15 min)
#
# Choose one.
#
# 1. Add to the figure the coverage of `crossed` for matrices of 3 seeds and 100 pictures, where seeds and pictures both
#    have an effect of standard deviation 1. Is more pictures a cure?
# 2. A paper prints 81.2 ± 0.9 for itself and 80.5 ± 1.1 for a rival, both over five folds. Decide its claim, once as if
#    the folds were paired and perfectly alike, once as if they were independent. What would the authors have to print?
# 3. Three methods are compared in all pairs, and ten scores each. How often does at least one of thirty intervals lie
#    beside zero when nothing is true? Simulate it, and try Holm's steps (`tutseg.papers.intervals.holm`).

# %%
# your free task

# %% [markdown]
# ## Rubric
#
# | part | points |
# |---|---|
# | each of the five blanks, as checked | 5 × 2 |
# | predictions written before the runs, and one sentence on each that was wrong | 2 |
# | free task: it runs, and its question is answered with a number and an interval | 4 |
# | one sentence on the three claims that a reviewer would accept | 2 |
