# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # Lab 1. One prediction, many scores
#
# **Goal.** You write the scores of the five papers from four counts of pixels, average them in the three ways that
# their codes do, and find out how far apart three honest numbers for one and the same set of predictions can lie.
#
# **How a lab works.** You fill the blanks, `# YOUR CODE HERE`; the cell below each blank checks it and says what is
# likely wrong. Where a cell says `predict`, replace `None` by your guess *before* you go on: nobody grades guesses, but
# you learn nothing from a result that you did not expect to be otherwise. You need NumPy, and no GPU, data or network.
#
# ## Start (5 min)

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from tutseg.data import open_source
from tutseg.labs import check, met, predict, short

# %% [markdown]
# Forty lesions that the package draws, and forty predictions of them: each outline is moved by a few pixels and grown
# or shrunk, as a network does. A mask is boolean, `True` for lesion.

# %%
lesions = open_source("synth", n=short(40, 12), size=96)
truths = [lesions[i].mask.astype(bool).reshape(96, 96) for i in range(len(lesions))]


def blurred_copy(mask, rng):
    """A prediction: the mask moved by up to four pixels, its border redrawn with luck."""
    moved = np.roll(mask, rng.integers(-4, 5, 2), axis=(0, 1))
    near = sum(np.roll(moved, (a, b), (0, 1)) for a in (-2, 0, 2) for b in (-2, 0, 2))
    return near + rng.normal(0, 1.5, mask.shape) > rng.uniform(2, 7)


dice_roll = np.random.default_rng(1)
predictions = [blurred_copy(mask, dice_roll) for mask in truths]

figure, axes = plt.subplots(2, 6, figsize=(7, 2.6), layout="constrained")
for column, i in enumerate(range(6)):
    axes[0, column].imshow(truths[i], cmap="gray")
    axes[1, column].imshow(predictions[i], cmap="gray")
for axis in axes.flat:
    axis.axis("off")
axes[0, 0].set_title("truth", loc="left")
axes[1, 0].set_title("prediction", loc="left")
plt.show()

# %% [markdown]
# ## 1. Four counts (10 min)
#
# Everything follows from four numbers: of all pixels, how many are lesion in both masks (TP), in the prediction alone
# (FP), in the truth alone (FN), in neither (TN)?


# %%
def counts(prediction, truth):
    """TP, FP, FN, TN of two boolean masks (H, W), as four integers."""
    ### BEGIN SOLUTION
    tp = int((prediction & truth).sum())
    fp = int((prediction & ~truth).sum())
    fn = int((~prediction & truth).sum())
    return tp, fp, fn, truth.size - tp - fp - fn
    ### END SOLUTION


# %%
check("L1.1", counts=counts)

# %% [markdown]
# ## 2. Three scores (15 min)
#
# For the set $P$ of predicted pixels and the set $T$ of true ones,
#
# $$\text{Dice} = \frac{2\,|P \cap T|}{|P| + |T|}, \qquad \text{Jaccard} = \frac{|P \cap T|}{|P \cup T|}, \qquad
# \text{HM} = \frac{|P \cup T| - |P \cap T|}{|P \cup T|}.$$
#
# Write them in TP, FP and FN. Why does TN not occur, and what would accuracy say of a picture that is almost all skin?


# %%
def scores(tp, fp, fn):
    """Dice, Jaccard and HM; at least one of the three counts is not zero."""
    ### BEGIN SOLUTION
    dice = 2 * tp / (2 * tp + fp + fn)
    jaccard = tp / (tp + fp + fn)
    return dice, jaccard, 1 - jaccard
    ### END SOLUTION


# %%
check("L1.2", scores=scores)

# %% [markdown]
# A paper prints Dice 80 % and no Jaccard. What is the Jaccard of a picture whose Dice is 0.8? Guess a number in [0, 1].

# %%
predict("L1.a", None)

# %%
# Dice 0.8, for example: 8 pixels found, 2 added, 2 missed.
met("L1.a", scores(8, 2, 2)[1])

# %% [markdown]
# ## 3. When nothing is there (15 min)
#
# Healthy pictures have no lesion, and a network may find none. Then both fractions are 0/0, and every published code
# decides by itself what that is. Our rule: prediction and truth agree that there is nothing, so the score is 1; if only
# one of them is empty, it is 0. (NumPy would give `nan`, and a code that adds a small $\varepsilon$ above and below
# decides too, though its authors may not have noticed: what does it give in either case?)


# %%
def dice_of(tp, fp, fn):
    """Dice in [0, 1] of any picture, empty masks included."""
    ### BEGIN SOLUTION
    if tp + fp + fn == 0:
        return 1.0
    return 2 * tp / (2 * tp + fp + fn)
    ### END SOLUTION


# %%
check("L1.3", dice_of=dice_of)

# %% [markdown]
# Ten healthy pictures join the forty. Of nine the prediction is empty, as it should be; of one it has a single wrong
# pixel out of 9216. How many points does the mean Dice of these ten alone lose by that pixel? (1 point is 0.01.)

# %%
predict("L1.b", None)

# %%
healthy = [dice_of(0, 0, 0)] * 9 + [dice_of(0, 1, 0)]
met("L1.b", 100 * (1 - np.mean(healthy)))

# %% [markdown]
# ## 4. Three averagings (20 min)
#
# The papers' codes average in three ways. **Per image**: the Dice of each picture, then the mean. **Pooled**: add the
# counts of all pictures, then take one Dice. **Batch**: add the counts of every $k$ consecutive pictures, take a Dice
# of each batch, then the mean over the batches, where a last batch that is shorter counts by its length. DME-FD's code
# does the last, with $k = 5$; the VM-UNet family and SSGNet pool.


# %%
def averaged(count, k):
    """Dice per image, by batches of k, and pooled.

    count: integers (N, 3), each picture's TP, FP, FN, none of them all zero.
    """
    ### BEGIN SOLUTION
    per_image = np.mean([dice_of(*row) for row in count])
    batches = [count[i : i + k] for i in range(0, len(count), k)]
    each = [dice_of(*batch.sum(axis=0)) for batch in batches]
    by_batch = np.average(each, weights=[len(batch) for batch in batches])
    return per_image, by_batch, dice_of(*count.sum(axis=0))
    ### END SOLUTION


# %%
check("L1.4", averaged=averaged)

# %% [markdown]
# Which of the three is highest for the forty predictions above? Large lesions are easier than small ones: an error of
# two pixels at the border is a smaller part of them. Answer "per image", "batch" or "pooled".

# %%
predict("L1.c", None)

# %%
count = np.array([counts(p, t)[:3] for p, t in zip(predictions, truths, strict=True)])
found = dict(zip(("per image", "batch", "pooled"), averaged(count, 5), strict=True))
for name, value in found.items():
    print(f"{name:10} Dice {100 * value:.2f} %")
met("L1.c", max(found, key=found.get))

# %% tags=["figure"]
sizes = range(1, len(count) + 1)
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
axis.plot(sizes, [100 * averaged(count, k)[1] for k in sizes], marker="o", markersize=3)
axis.set_xlabel("pictures in a batch (1: per image; all: pooled)")
axis.set_ylabel("Dice %")
axis.axvline(5, linestyle=":", color="gray")
axis.text(5.3, axis.get_ylim()[0], "DME-FD's code", va="bottom", fontsize=8)
axis.set_title("The same predictions, averaged by batches", fontsize=9)
plt.show()

# %% [markdown]
# ## 5. Compare with the package (5 min)
#
# `tutseg.metrics` does the same for every score of the five papers, and distances beside. Yours must agree with it.

# %%
from tutseg.metrics import score

table = score(predictions, truths, batch=5)["dice"]
for name, key in (("per image", "per_image"), ("batch", "batch"), ("pooled", "pooled")):
    print(f"{name:10} yours {found[name]:.6f}, the package {table[key]['mean']:.6f}")

# %% [markdown]
# ## Free task (20 min)
#
# Choose one.
#
# 1. Sort the forty predictions by the size of the lesion and average by batches again; then sort them the other way
#    round. How far can the order of the pictures alone move the number, for $k = 5$?
# 2. A rival's network finds small lesions better and large ones worse. Make such predictions, so that the two networks
#    change places when per image is replaced by pooled.
# 3. Write $\varepsilon$-Dice, $(2\,\text{TP} + \varepsilon) / (2\,\text{TP} + \text{FP} + \text{FN} + \varepsilon)$. For
#    which lesions does $\varepsilon = 1$ change the third decimal?

# %%
# your free task

# %% [markdown]
# ## Rubric
#
# | part | points |
# |---|---|
# | each of the four blanks, as checked | 4 × 2 |
# | predictions written before the runs, and one sentence on each that was wrong | 2 |
# | free task: it runs, its question is answered with a number, the answer says what was held fixed | 4 |
# | one sentence: which averaging you would report, and why | 1 |
