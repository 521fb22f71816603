# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # Lab 5. What the baseline was not given
#
# **Goal.** A paper's gain is its method minus its baseline. You count the steps that each of the two trains, write the
# views of the pictures that each of them sees, and find out how much of a gain is left when the baseline gets what the
# method was given.
#
# ## Start (5 min)

# %% tags=["setup"]
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from tutseg.data import open_source
from tutseg.labs import check, met, predict, short

# %% [markdown]
# The task: lesions that the package draws, eight of them with masks, some hundred without. The baseline is supervised
# training on the eight. The method is cross pseudo supervision (CPS): two networks, each taught by the other's masks on
# the pictures that have none.

# %%
LABELLED, SIZE, BATCH = 8, 64, 8
lesions = open_source("synth", n=6, size=SIZE)
figure, axes = plt.subplots(1, 6, figsize=(7, 1.4), layout="constrained")
for i, axis in enumerate(axes):
    axis.imshow(lesions[i].image)
    axis.contour(lesions[i].mask, [0.5], colors="white", linewidths=1)
    axis.axis("off")
plt.show()

# %% [markdown]
# ## 1. Steps or epochs (15 min)
#
# An epoch is one pass over the pictures, in batches of $b$; a last batch that is shorter is a step too. But over *which*
# pictures? A semi-supervised method passes over the unlabelled ones and takes a batch of labelled ones along in every
# step. A supervised baseline "of as many epochs" passes over the few labelled ones.


# %%
def training_of(epochs, pictures, labelled, batch):
    """Steps of a training, and how often it sees each labelled picture on average.

    pictures: over how many an epoch passes. In every step a batch of labelled pictures is
    seen, never more than there are.
    """
    ### BEGIN SOLUTION
    steps = epochs * int(np.ceil(pictures / batch))
    seen = steps * min(batch, labelled) / labelled
    return steps, seen
    ### END SOLUTION


# %%
check("L5.1", training_of=training_of)

# %% [markdown]
# DME-FD's paper trains 80 epochs with batches of 16. ISIC 2018's training part has 2074 pictures there, and 40 of them
# have masks. How many times as many steps as supervised training does the method take, if both do 80 epochs?

# %%
predict("L5.a", None)

# %%
method_steps, seen = training_of(80, 2074 - 40, 40, 16)
baseline_steps, seen_by_baseline = training_of(80, 40, 40, 16)
print(f"steps: {method_steps} and {baseline_steps}")
print(f"times each labelled picture is seen: {seen:.0f} and {seen_by_baseline:.0f}")
met("L5.a", method_steps / baseline_steps)

# %% [markdown]
# ## 2. The rate goes with the steps (10 min)
#
# A learning rate usually falls to zero over the training: at step $s$ of $S$, counted from 0, it is
# $\tfrac{1}{2} \eta\, (1 + \cos(\pi s / S))$. Whoever stops such a training early compares a network at rest with one on
# the move: a baseline of fewer steps needs a schedule of its own.


# %%
def rate(step, steps, first):
    """The learning rate at a step of a cosine schedule from `first` to zero."""
    ### BEGIN SOLUTION
    share = step / steps
    return first * (1 + np.cos(np.pi * share)) / 2
    ### END SOLUTION


# %%
check("L5.2", rate=rate)

# %% [markdown]
# ## 3. Weak views, strong views (20 min)
#
# Semi-supervised methods see each picture in two ways. A **weak** view turns it over: with probability one half from
# left to right, and independently from top to bottom; the mask goes along. A **strong** view changes colours too: with
# $c$ uniform in [0.6, 1.4] and $d$ uniform in [-0.2, 0.2] every value $x$ becomes $(x - m)\, c + m + d$, where $m$ is the
# mean of the picture, and what leaves [0, 1] is cut off there.


# %%
def weak(image, mask, rng):
    """A weak view: image (H, W, 3) and mask (H, W), both turned over in the same way."""
    ### BEGIN SOLUTION
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if rng.random() < 0.5:
        image, mask = image[::-1], mask[::-1]
    return image, mask
    ### END SOLUTION


# %%
check("L5.3", weak=weak)


# %%
def strong(image, rng):
    """The colours of a strong view of an image (H, W, 3) with values in [0, 1]."""
    ### BEGIN SOLUTION
    contrast, brightness = rng.uniform(0.6, 1.4), rng.uniform(-0.2, 0.2)
    mean = image.mean()
    return np.clip((image - mean) * contrast + mean + brightness, 0, 1)
    ### END SOLUTION


# %%
check("L5.4", strong=strong)

# %%
rng = np.random.default_rng(4)
figure, axes = plt.subplots(2, 6, figsize=(7, 2.4), layout="constrained")
for column in range(6):
    image, mask = weak(lesions[1].image / 255, lesions[1].mask, rng)
    for axis, view in zip(axes[:, column], (image, strong(image, rng)), strict=True):
        axis.imshow(view)
        axis.contour(mask, [0.5], colors="white", linewidths=1)
        axis.axis("off")
plt.show()

# %% [markdown]
# Nothing of this needs unlabelled pictures. If the method's labelled pictures are seen in strong views and the baseline's
# are not, part of the gain is the views'.
#
# ## 4. A gain, taken apart (20 min)
#
# Five trainings, each with the same seeds: supervised for as many *epochs* as CPS, for as many *steps*, then with strong
# views, then from an encoder that has seen ImageNet; and CPS with nothing but its steps. Which of the three gifts is worth
# most in Dice: "steps", "views" or "ImageNet"?

# %%
predict("L5.b", None)

# %% [markdown]
# And by how many points will CPS then lie above the baseline that was given all three? (Below: a negative number.)

# %%
predict("L5.c", None)

# %% [markdown]
# Compare two trainings by the same seeds, since a seed also decides which pictures have masks.


# %%
def gain(method, baseline):
    """Mean difference over the seeds that both have, and how many these are.

    method, baseline: dictionaries from seed to score.
    """
    ### BEGIN SOLUTION
    both = method.keys() & baseline.keys()
    differences = [method[seed] - baseline[seed] for seed in both]
    return np.mean(differences), len(both)
    ### END SOLUTION


# %%
check("L5.5", gain=gain)

# %% tags=["long"]
from tutseg.training.chapter import run_trials
from tutseg.training.trial import make_trial

STEPS = short(120, 4)
own_steps = max(STEPS * LABELLED // 104, 2)  # as many epochs over 8 pictures as over 104
common = {"net": "lite0-unet", "size": SIZE, "batch": BATCH, "labelled": LABELLED}
common |= {"data_options": {"n": 160, "size": SIZE}}
arms = {
    "supervised, same epochs": {"method": "supervised", "steps": own_steps},
    "supervised, same steps": {"method": "supervised", "steps": STEPS},
    "and strong views": {"method": "supervised", "steps": STEPS, "augment": "strong"},
    "and ImageNet": {
        "method": "supervised",
        "steps": STEPS,
        "augment": "strong",
        "pretrained": True,
    },
    "CPS": {"method": "cps", "steps": STEPS},
}
seeds = range(short(3, 2))
trials = [
    make_trial(**common, **arm, seed=seed) for arm in arms.values() for seed in seeds
]
runs = iter(run_trials(trials, Path("runs")))
dice = {}
for name in arms:
    dice[name] = {}
    for seed in seeds:
        views = next(runs).result["scores"]
        dice[name][seed] = next(iter(views.values()))["dice"]["per_image"]["mean"]
names = list(arms)
gifts = {
    gift: 100 * gain(dice[after], dice[before])[0]
    for gift, before, after in zip(
        ("steps", "views", "ImageNet"), names, names[1:], strict=False
    )
}
for gift, points in gifts.items():
    print(f"{gift:9} {points:+.1f} points")
for name in names[:-1]:
    print(f"CPS minus {name}: {100 * gain(dice['CPS'], dice[name])[0]:+.1f} points")
met("L5.b", max(gifts, key=gifts.get))
met("L5.c", 100 * gain(dice["CPS"], dice["and ImageNet"])[0])

# %% tags=["figure"]
figure, axis = plt.subplots(figsize=(6, 2.8), layout="constrained")
for at, name in enumerate(names):
    values = [100 * value for value in dice[name].values()]
    axis.plot(values, [at] * len(values), "o", alpha=0.6)
    axis.plot([np.mean(values)] * 2, [at - 0.25, at + 0.25], color="black")
axis.set_yticks(range(len(names)), names)
axis.invert_yaxis()
axis.set_xlabel("Dice %")
axis.set_title("Eight labelled pictures; a dot is a seed", fontsize=9)
plt.show()

# %% [markdown]
# Which of these lines would you call *the* baseline, and what would the paper's table have shown with each of the others?
#
# ## Free task (20 min)
#
# Choose one. Change `arms` and run the last two cells again; trainings that are finished are not repeated.
#
# 1. Give CPS what the baseline has, one gift at a time. Does the order of the two change once more?
# 2. The seeds disagree. Put an interval beside every gain (lab 4), and say which sentences above still stand.
# 3. Choose the baseline's learning rate (`lr`) among three by a part of the data that is not the test part
#    (`scored="validation"`). How much is that choice worth, and who made it for the baseline in the papers you know?

# %%
# your free task

# %% [markdown]
# ## Rubric
#
# | part | points |
# |---|---|
# | each of the five blanks, as checked | 5 × 2 |
# | predictions written before the runs, and one sentence on each that was wrong | 2 |
# | free task: it runs, and its question is answered with a number over seeds | 4 |
# | three questions that you would ask of a paper about its baseline | 2 |
