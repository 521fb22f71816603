# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # Lab 7. An order that the evaluation makes
#
# **Goal.** You write the evaluation of S3-Net and its rivals, with its two kinds of help from the truth, and turn the
# order of a table round without touching a single method.
#
# **You need** the chapter's lesson three. Nothing is trained; the methods are thresholds and clusterings of colours.
#
# A method of this family groups the pixels of a picture. Which group is the lesion, it does not say. Whoever
# evaluates it has to choose, and what this choice may look at is the subject of this lab.

# %% tags=["setup"]
import itertools

import numpy as np
from scipy import ndimage

from tutseg.labs import check, met, predict, short

# %% [markdown]
# ## 1. The oracle (12 min)
#
# The published evaluation takes the cluster that has most pixels in common with the truth.
#
# A cluster map is an array of whole numbers, one number a cluster; the numbers have gaps and mean nothing. Return a
# boolean mask.


# %%
def oracle(labels, truth):
    """The cluster of a map (H, W) with most pixels of a boolean truth (H, W)."""
    ### BEGIN SOLUTION
    numbers = np.unique(labels)
    overlap = [np.sum(truth & (labels == number)) for number in numbers]
    return labels == numbers[np.argmax(overlap)]
    ### END SOLUTION


# %%
check("L7.1", oracle=oracle)

# %% [markdown]
# ## 2. The darkest (12 min)
#
# Without truth, a simple rule is to take the darkest cluster: that with the lowest *mean* grey value. A hair is dark
# too, so only clusters of at least one per cent of the picture may be taken.


# %%
def darkest(labels, grey, least=0.01):
    """The darkest cluster that fills at least a share `least` of the picture, boolean."""
    ### BEGIN SOLUTION
    numbers = np.unique(labels)
    large = [number for number in numbers if np.mean(labels == number) >= least]
    means = [grey[labels == number].mean() for number in large]
    return labels == large[np.argmin(means)]
    ### END SOLUTION


# %%
check("L7.2", darkest=darkest)

# %% [markdown]
# ## 3. The leak (14 min)
#
# A helper of the published code deletes from the prediction whatever lies further than some pixels from the true
# lesion, before it is scored. Distance is counted as a king moves on a chessboard: a diagonal step is one step.
# `ndimage.binary_dilation` grows a mask; look at its `structure` and `iterations`.


# %%
def leak(prediction, truth, margin):
    """A prediction without what lies further than `margin` pixels from the truth."""
    ### BEGIN SOLUTION
    king = np.ones((2 * margin + 1, 2 * margin + 1), bool)
    near = ndimage.binary_dilation(truth, king)
    return prediction & near
    ### END SOLUTION


# %%
check("L7.3", leak=leak)

# %% [markdown]
# ## 4. One number (10 min)
#
# The tables print a mean of Dice over pictures. Count first, average second. If both masks of a picture are empty,
# its Dice is 1.


# %%
def mean_dice(predictions, truths):
    """The mean over pictures of Dice; lists of boolean masks."""
    ### BEGIN SOLUTION
    scores = []
    for prediction, truth in zip(predictions, truths, strict=True):
        both, sizes = np.sum(prediction & truth), prediction.sum() + truth.sum()
        scores.append(2 * both / sizes if sizes else 1.0)
    return np.mean(scores)
    ### END SOLUTION


# %%
check("L7.4", mean_dice=mean_dice)

# %% [markdown]
# ## 5. Four methods, one table (18 min)
#
# Two tables with the same methods: which pairs of methods stand in one order in the first, and in the other order in
# the second? A tie is no order.


# %%
def reversed_pairs(one, other):
    """Pairs (a, b), a < b, that two tables (name -> score) rank differently; sorted."""
    ### BEGIN SOLUTION
    turned = []
    for a, b in itertools.combinations(sorted(one), 2):
        if (one[a] - one[b]) * (other[a] - other[b]) < 0:
            turned.append((a, b))
    return turned
    ### END SOLUTION


# %%
check("L7.5", reversed_pairs=reversed_pairs)

# %% [markdown]
# Otsu's threshold, k-means of the colours with two and with three clusters, and superpixels that are merged while
# their colours are alike.
#
# **Predict.** A leak of 4 pixels, in pictures of 64: by how much does it raise the mean Dice of k-means with two
# clusters? (As a fraction: 0.03 are three points.)

# %%
predict("L7.a", None)

# %% [markdown]
# **Predict.** The oracle knows the truth, the darkest does not. On how many of the 24 pictures has the darker of two
# colours a higher Dice than the oracle's choice?

# %%
predict("L7.b", None)

# %% [markdown]
# **Predict.** Four methods make six pairs. How many are turned round between the oracle and the oracle with a leak of
# 4 pixels?

# %%
predict("L7.c", None)

# %% tags=["long"]
import torch

from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.methods.one_image.classical import Otsu, SlicMerge
from tutseg.methods.one_image.k_means import KMeans

pictures = load_pictures(open_source("synth", n=short(24, 6), size=64), 64)
images, masks = pictures.floats(torch.arange(len(pictures)))
truths = list(masks[:, 0].numpy() > 0)
greys = list(images.mean(1).numpy())
METHODS = {
    "Otsu": Otsu(),
    "2 colours": KMeans(k=2),
    "3 colours": KMeans(k=3),
    "superpixels": SlicMerge(),
}
maps = {name: list(method.segment(images).numpy()) for name, method in METHODS.items()}

# %% tags=["long"]
RULES = {
    "oracle": lambda labels, grey, truth: oracle(labels, truth),
    "darkest": lambda labels, grey, truth: darkest(labels, grey),
}


def evaluated(rule, margin=None, some=range(len(truths))):
    """Mean Dice of every method under a rule, with a leak or without, of some."""
    table = {}
    for name, of_method in maps.items():
        found = [RULES[rule](of_method[i], greys[i], truths[i]) for i in some]
        if margin is not None:
            found = [
                leak(mask, truths[i], margin) for mask, i in zip(found, some, strict=True)
            ]
        table[name] = mean_dice(found, [truths[i] for i in some])
    return table


TABLES = {
    "darkest": evaluated("darkest"),
    "oracle": evaluated("oracle"),
    "oracle, 6 px": evaluated("oracle", 6),
    "oracle, 4 px": evaluated("oracle", 4),
}
for name, table in TABLES.items():
    best_first = sorted(table, key=table.get, reverse=True)
    print(f"{name:<13}", "  ".join(f"{each} {table[each]:.3f}" for each in best_first))

# %% tags=["long"]
plain, helped = TABLES["oracle"], TABLES["oracle, 4 px"]
met("L7.a", helped["2 colours"] - plain["2 colours"])
pairs = zip(maps["2 colours"], greys, truths, strict=True)
better = [
    mean_dice([darkest(labels, grey)], [truth])
    > mean_dice([oracle(labels, truth)], [truth])
    for labels, grey, truth in pairs
]
met("L7.b", sum(better))
met("L7.c", len(reversed_pairs(plain, helped)))

# %% tags=["figure"]
from tutseg.report.lab import chart

chart(
    {
        name: (range(len(TABLES)), [table[name] for table in TABLES.values()])
        for name in METHODS
    },
    "how the same clusters are evaluated",
    "mean Dice",
    ticks=tuple(TABLES),
)

# %% [markdown]
# Nothing was found between the columns. Where two lines cross, a table would have told another story.
#
# ## 6. Make your favourite win (14 min)
#
# You are the author of one of the four methods, and reviewers have asked for no particular protocol. Here is all that
# you may choose: the rule, the margin, and the pictures with large or with small lesions. Which methods can be made
# to look best?

# %% tags=["long"]
size = [truth.mean() for truth in truths]
order = np.argsort(size)
groups = {
    "all": order,
    "small": order[: len(order) // 2],
    "large": order[len(order) // 2 :],
}
winners = {}
for (group, some), rule, margin in itertools.product(
    groups.items(), RULES, (None, 2, 4, 6)
):
    table = evaluated(rule, margin, some)
    winners.setdefault(max(table, key=table.get), []).append((group, rule, margin))
for name, ways in winners.items():
    print(f"{name}: best under {len(ways)} evaluations, such as {ways[0]}")

# %% [markdown]
# ## 7. Free task (10 min)
#
# Choose one. Write what you expect before you run it, and one sentence about what came out.
#
# 1. **A better oracle.** Take the cluster with the largest *Dice* in place of the largest overlap. Can the darkest
#    still be ahead? Why could it before?
# 2. **A margin for another size.** The paper's pictures have 256 pixels a side. What share of the width are 4 pixels
#    there, and here? Draw 128 pixels and keep the margin: what becomes of the gain?
# 3. **A fair rule.** Write a label-free rule of your own (position, contrast with the rest), and say on which
#    pictures it may be tuned.
#
# ## Rubric
#
# | points | for |
# |---|---|
# | 5 | one for each check that is content |
# | 2 | the predictions, made before the run, and a sentence on the one that surprised you most |
# | 3 | two sentences that a reviewer could send: what a table of this kind must say about its evaluation |
# | 2 | the free task: expectation, run, conclusion |
