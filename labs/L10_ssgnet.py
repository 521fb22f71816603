# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # Lab 10. Rounds of pseudo-labels, with controls; and a forged table
#
# **Goal.** You write SSGNet's rounds (label, retrain, label again), set controls beside them that the paper has not,
# and then audit a table of which somebody has forged two rows.
#
# **You need** sections 3.3 and 3.4 of the paper and its Tables 2, 5 and 6. A few small trainings run in the middle.
#
# SSGNet draws new pictures with StyleGAN3. Here a drawing program of another style stands in for it: the rounds only
# need pictures without masks.

# %% tags=["setup"]
import torch

from tutseg.labs import check, met, predict, short

# %% [markdown]
# ## 1. Label (12 min)
#
# A trained network labels new pictures: lesion where its probability is at least one half, with no filter of
# confidence. While it labels it does not learn: no gradient, and its batch statistics stay as they are.
#
# `net(images).logits` are the logits $(B, 1, H, W)$.


# %%
def label(net, images):
    """Hard masks (B, 1, H, W), 0 and 1 as floats; the network stays as it is."""
    ### BEGIN SOLUTION
    net.eval()
    with torch.no_grad():
        probability = net(images).logits.sigmoid()
    return (probability >= 0.5).float()
    ### END SOLUTION


# %%
check("L10.1", label=label)

# %% [markdown]
# ## 2. Rounds (18 min)
#
# The first network learns from the real pictures alone. In each round the newest network labels *all* generated
# pictures anew, and a *fresh* network learns from the real pictures and those together. Return all networks, the
# first one included.
#
# `train(pairs)` returns a fresh network that has learned from a list of (picture, mask); `label(net, pictures)`
# returns a list of masks.


# %%
def rounds(train, label, real, generated, count):
    """The networks f_0 to f_count. real: (picture, mask) pairs; generated: pictures."""
    ### BEGIN SOLUTION
    nets = [train(real)]
    for _ in range(count):
        masks = label(nets[-1], generated)
        pseudo = list(zip(generated, masks, strict=True))
        nets.append(train(real + pseudo))
    return nets
    ### END SOLUTION


# %%
check("L10.2", rounds=rounds)

# %% [markdown]
# ## 3. What is equal? (8 min)
#
# The paper's networks of different rounds have an equal number of *steps* in one of its two codes. How often has each
# *real* picture been seen then, on the average, if batches are drawn evenly from all pictures?


# %%
def passes(steps, batch, real, generated):
    """How often each real picture is seen on the average; numbers of pictures."""
    ### BEGIN SOLUTION
    seen = steps * batch
    return seen / (real + generated)
    ### END SOLUTION


# %%
check("L10.3", passes=passes)

# %% [markdown]
# **Predict.** The paper adds 10000 pictures to about 1900 real ones. With 4000 steps of 24 pictures: how often is a
# real picture seen?

# %%
predict("L10.a", None)

# %%
met("L10.a", passes(4000, 24, 1900, 10000))

# %% [markdown]
# With the real pictures alone it would be as many times more often as there are more pictures. A gain could come from
# the new pictures, or from not repeating the old ones; a loss too.
#
# ## 4. Run it, with controls (22 min)
#
# Twenty real pictures with masks, eighty generated ones without, forty to test. Beside the baseline and two rounds
# stand two controls: the baseline with another *seed*, which says how large a difference luck makes, and a network
# that gets the *true* masks of the generated pictures, which says what perfect pseudo-labels would be worth.
#
# **Predict.** By how much is Dice after round 2 above the baseline, on the average over two seeds? (0.03 are three
# points.)

# %%
predict("L10.b", None)

# %% [markdown]
# **Predict.** How far apart are the two seeds of the baseline?

# %%
predict("L10.c", None)

# %% tags=["long"]
from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.labs.loop import dice_of, learn
from tutseg.losses import bce_dice
from tutseg.nets import build

SIZE, STEPS = 48, short(80, 2)


def drawings(style, n, seed):
    """Drawn pictures and masks, as float tensors."""
    pictures = load_pictures(open_source(style, n=n, size=SIZE, seed=seed), SIZE)
    return pictures.floats(torch.arange(n))


real = drawings("synth", 20, seed=0)
generated = drawings("synth-wild", short(80, 8), seed=1)
test = drawings("synth", short(40, 4), seed=2)


def trainer(seed):
    """A `train` for `rounds`, of one seed."""

    def train(pairs):
        images, masks = (torch.stack(each) for each in zip(*pairs, strict=True))
        torch.manual_seed(seed)
        net = build("unet-s", SIZE)
        return learn(net, images, masks, bce_dice, STEPS, seed=seed)

    return train


# %% tags=["long"]
listed = lambda net, pictures: list(label(net, torch.stack(pictures)))
pairs = list(zip(*real, strict=True))
dice = {}
for seed in (0, 1):
    nets = rounds(trainer(seed), listed, pairs, list(generated[0]), 2)
    best = trainer(seed)(pairs + list(zip(*generated, strict=True)))
    dice[seed] = [dice_of(net, *test) for net in (*nets, best)]
    print(f"seed {seed}:", "  ".join(f"{each:.3f}" for each in dice[seed]))

# %% tags=["long"]
met("L10.b", sum(each[2] - each[0] for each in dice.values()) / 2)
met("L10.c", abs(dice[0][0] - dice[1][0]))

# %% tags=["figure"]
from tutseg.report.lab import chart

chart(
    {f"seed {seed}": (range(4), each) for seed, each in dice.items()},
    "what the network has learned from",
    "mean Dice",
    ticks=("real alone", "round 1", "round 2", "true masks"),
)

# %% [markdown]
# Set the gain of a round beside the distance of the two seeds, and beside what true masks would give. A claim such as
# "improves across rounds" needs both.
#
# ## 5. Two laws for a table (14 min)
#
# **Dice and Jaccard.** For one mask $J = D / (2 - D)$, which bends upwards as $D$ grows. So for means over pictures
# $\overline D / (2 - \overline D) \le \overline J \le \overline D$. A printed number stands for an interval: 81.54
# can be anything from 81.535 to 81.545. Give the range of Jaccard that a printed Dice allows.


# %%
def jaccard_range(dice, half=0.005):
    """Least and largest mean Jaccard beside a printed mean Dice, both in per cent."""
    ### BEGIN SOLUTION
    low, high = (dice - half) / 100, (dice + half) / 100
    return 100 * low / (2 - low), 100 * high
    ### END SOLUTION


# %%
check("L10.4", jaccard_range=jaccard_range)

# %% [markdown]
# **Three scores tell a fourth.** With sensitivity $s$, specificity $c$ and the lesion's share $\pi$ of all pixels,
# accuracy is $a = \pi s + (1 - \pi) c$. All rows of one test set have the same $\pi$.


# %%
def lesion_share(sensitivity, specificity, accuracy):
    """The share of lesion pixels that three scores imply, all in per cent."""
    ### BEGIN SOLUTION
    above = specificity - accuracy
    return above / (specificity - sensitivity)
    ### END SOLUTION


# %%
check("L10.5", lesion_share=lesion_share)

# %% [markdown]
# ## 6. The forged table (10 min)
#
# Six methods on one test set. Two rows have been touched.
#
# **Predict.** Before you compute: which two letters?

# %%
predict("L10.d", None)

# %%
PRINTED = """method,Dice,Jaccard,Sensitivity,Specificity,Accuracy
A,87.27,77.42,86.40,97.10,94.96
B,88.48,79.35,88.20,97.21,95.41
C,89.73,80.47,89.70,97.44,95.89
D,87.56,77.87,85.10,97.68,95.16
E,89.29,80.66,92.10,96.40,95.66
F,88.92,80.05,87.90,97.55,95.62
"""
suspect = []
for line in PRINTED.splitlines()[1:]:
    name, *scores = line.split(",")
    dice_, jaccard, sensitivity, specificity, accuracy = map(float, scores)
    least, most = jaccard_range(dice_)
    share = lesion_share(sensitivity, specificity, accuracy)
    print(f"{name}  Jaccard {jaccard} in [{least:.2f}, {most:.2f}]  lesion {share:.1%}")
    if not least <= jaccard <= most or abs(share - 0.2) > 0.01:
        suspect.append(name)

# %%
met("L10.d", " ".join(suspect))

# %% tags=["long"]
from pathlib import Path

from tutseg.audit.examine import audit_csv

Path("printed.csv").write_text(PRINTED)
for finding in audit_csv("printed.csv"):
    print(f"[{finding.severity}] {finding.message}")

# %% [markdown]
# One of the two breaks a law that holds for every table. The other would pass alone; beside its own Dice, and beside
# the other rows, it implies another share of lesion.
#
# ## 7. Free task (6 min)
#
# Choose one. Write what you expect before you run it, and one sentence about what came out.
#
# 1. **The paper's own table.** Audit the rows of Table 2 (`data/papers/ssgnet/table_2.csv`) with your two functions.
#    Which rows imply another lesion share?
# 2. **A third control.** Retrain with the pseudo-labels of round 0 shuffled among the pictures. Which Dice do you
#    expect?
# 3. **Forge better.** Change one number of an honest row so that neither law sees it. What would?
#
# ## Rubric
#
# | points | for |
# |---|---|
# | 5 | one for each check that is content |
# | 2 | the predictions, made before the run, and a sentence on the one that surprised you most |
# | 3 | what the run can say of the rounds, with both controls in the sentence |
# | 2 | the free task: expectation, run, conclusion |
