# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # Lab 2. The same picture twice
#
# **Goal.** You split frames of videos at random and by video, show with a method that learns nothing at all what that
# is worth, and write the two checks that find such a leak in anybody's split.
#
# ## Start (5 min)

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np

from tutseg.data import open_source
from tutseg.labs import check, met, predict, short

# %% [markdown]
# The package draws polyps; we make videos of them. A frame is a window that drifts over one drawn picture while the
# light changes. `groups[i]` says which video frame $i$ is of. Real data sets are no different: CVC-ClinicDB's 612
# pictures are frames of 29 videos, and ISIC 2018 has near-copies of one lesion.

# %%
VIDEOS, FRAMES, SIZE = short(16, 4), 12, 64


def film(sample, rng):
    """Frames (FRAMES, SIZE, SIZE, 3) in [0, 1] and masks of one drifting window."""
    frames, masks, at = [], [], rng.uniform(8, 24, 2)
    for _ in range(FRAMES):
        at = np.clip(at + rng.normal(0, 2, 2), 0, 32)
        y, x = at.astype(int)
        light = rng.normal(1, 0.06)
        window = np.s_[y : y + SIZE, x : x + SIZE]
        frames.append(np.clip(sample.image[window] / 255 * light, 0, 1))
        masks.append(sample.mask[window].astype(bool))
    return frames, masks


drawn = open_source("synth", n=VIDEOS, size=SIZE + 32, kind="endoscopy", seed=3)
films = [film(drawn[i], np.random.default_rng(i)) for i in range(VIDEOS)]
images = np.concatenate([frames for frames, _ in films])
masks = np.concatenate([masks for _, masks in films])
groups = np.repeat(np.arange(VIDEOS), FRAMES)
print(images.shape, masks.shape, groups.shape)

figure, axes = plt.subplots(2, 6, figsize=(7, 2.6), layout="constrained")
for video, row in enumerate(axes):
    for frame, axis in enumerate(row):
        axis.imshow(images[video * FRAMES + 2 * frame])
        axis.contour(
            masks[video * FRAMES + 2 * frame], [0.5], colors="white", linewidths=1
        )
        axis.axis("off")
plt.show()

# %% [markdown]
# ## 1. Split at random (10 min)
#
# What most codes do: shuffle the pictures, and the first part is the test part.


# %%
def random_split(n, share, rng):
    """Indices of training and test: rng draws the round(share * n) that are tested."""
    ### BEGIN SOLUTION
    order = rng.permutation(n)
    count = round(share * n)
    return order[count:], order[:count]
    ### END SOLUTION


# %%
check("L2.1", random_split=random_split)

# %% [markdown]
# ## 2. Count the kin (15 min)
#
# How many test pictures have at least one training picture of their own group?


# %%
def with_kin(train, test, groups):
    """The number of test pictures whose group has a picture in training.

    train, test: indices; groups: the group of every picture, as an array.
    """
    ### BEGIN SOLUTION
    known = set(groups[train])
    return sum(group in known for group in groups[test])
    ### END SOLUTION


# %%
check("L2.2", with_kin=with_kin)

# %% [markdown]
# A quarter of the frames is tested, split at random. What share of the test frames has kin in training? Guess a number
# in [0, 1].

# %%
predict("L2.a", None)

# %%
train, test = random_split(len(images), 0.25, np.random.default_rng(0))
met("L2.a", with_kin(train, test, groups) / len(test))

# %% [markdown]
# ## 3. A method that learns nothing (15 min)
#
# For each test picture take the *nearest* training picture, by the mean squared difference of all values, and answer
# with its mask. That is no segmentation: put before a new patient it can only say what another one had.


# %%
def nearest(training, tested):
    """For each tested picture the index of the nearest training picture.

    training: (N, ...), tested: (M, ...), floats. Returns M integers.
    """
    ### BEGIN SOLUTION
    found = []
    for picture in tested:
        difference = (training - picture) ** 2
        found.append(int(difference.reshape(len(training), -1).mean(axis=1).argmin()))
    return np.array(found)
    ### END SOLUTION


# %%
check("L2.3", nearest=nearest)

# %% [markdown]
# ## 4. Split by group (20 min)
#
# All frames of a video belong to one side. Shuffle the *groups*, and test whole groups, one after the other, until at
# least the wanted share of the *pictures* is tested; no group more than that takes.


# %%
def grouped_split(groups, share, rng):
    """Indices of training and test, whole groups each; rng draws their order."""
    ### BEGIN SOLUTION
    tested = np.zeros(len(groups), dtype=bool)
    for group in rng.permutation(np.unique(groups)):
        if tested.sum() < share * len(groups):
            tested |= groups == group
    return np.flatnonzero(~tested), np.flatnonzero(tested)
    ### END SOLUTION


# %%
check("L2.4", grouped_split=grouped_split)

# %% [markdown]
# By how many points of Dice is the method that learns nothing better with the random split? (1 point is 0.01.)

# %%
predict("L2.b", None)

# %%


def dice(a, b):
    return 2 * (a & b).sum() / max(a.sum() + b.sum(), 1)


def dice_of_nearest(train, test):
    """Mean Dice of the nearest training picture's mask."""
    small = images[
        :, ::4, ::4
    ]  # a sixteenth of the pixels is enough to recognise a video
    found = nearest(small[train], small[test])
    return np.mean(
        [dice(masks[train[at]], masks[i]) for at, i in zip(found, test, strict=True)]
    )


seeds = range(short(8, 2))
splits = {
    "random": [random_split(len(images), 0.25, np.random.default_rng(s)) for s in seeds],
    "by video": [grouped_split(groups, 0.25, np.random.default_rng(s)) for s in seeds],
}
copied = {
    name: [dice_of_nearest(*split) for split in several]
    for name, several in splits.items()
}
for name, values in copied.items():
    print(f"{name:9} Dice {100 * np.mean(values):.1f} % over {len(values)} splits")
met("L2.b", 100 * (np.mean(copied["random"]) - np.mean(copied["by video"])))

# %% [markdown]
# A network is not a memory, one hears. It is trained here twice a seed on equally many frames, and tested on the same
# ones: once without their videos in training, once with other frames of them (the package's protocols `without-kin` and
# `with-kin`). By how many points is Dice higher with kin?

# %%
predict("L2.c", None)

# %% tags=["long"]
from pathlib import Path

from PIL import Image

from tutseg.training.chapter import run_trials
from tutseg.training.trial import make_trial

folder = Path("video-frames")
folder.mkdir(exist_ok=True)
for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
    name = f"v{groups[i]:02}_{i % FRAMES:02}"
    Image.fromarray((255 * image).astype(np.uint8)).save(folder / f"{name}.png")
    Image.fromarray(255 * mask.astype(np.uint8)).save(folder / f"{name}_mask.png")
common = {"method": "supervised", "data": "folder", "net": "unet-s", "size": SIZE}
common |= {"labelled": 1.0, "steps": short(150, 4), "batch": 8}
common |= {"data_options": {"group": "(v[0-9]+)_"}}
protocols = ("without-kin", "with-kin")
trials = [
    make_trial(**common, protocol=protocol, seed=seed)
    for seed in range(short(3, 2))
    for protocol in protocols
]
runs = run_trials(trials, Path("runs"), root=str(folder))
trained = {name: [] for name in protocols}
for trial, run in zip(trials, runs, strict=True):
    score = run.result["scores"]["net"]["dice"]["per_image"]["mean"]
    trained[trial.protocol].append(score)
met("L2.c", 100 * (np.mean(trained["with-kin"]) - np.mean(trained["without-kin"])))

# %% tags=["figure"]
columns = {
    "nearest picture,\nsplit at random": copied["random"],
    "nearest picture,\nsplit by video": copied["by video"],
    "network,\nwith kin": trained["with-kin"],
    "network,\nwithout kin": trained["without-kin"],
}
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
for at, values in enumerate(columns.values()):
    axis.plot([at] * len(values), 100 * np.array(values), "o", alpha=0.6)
    axis.plot([at - 0.2, at + 0.2], [100 * np.mean(values)] * 2, color="black")
axis.set_xticks(range(len(columns)), columns, fontsize=8)
axis.set_ylabel("Dice %")
axis.set_title("The same frames, split in two ways; a dot is a split", fontsize=9)
plt.show()

# %% [markdown]
# ## 5. When nobody tells you the groups (10 min)
#
# Most data sets come without groups. A *perceptual hash* makes a few bits of a picture that survive small changes; two
# pictures whose hashes differ in few bits are suspects. Here it is 64 bits: brighter or darker than the median.


# %%
def near(bits, limit):
    """The pairs (i, j), i < j, whose hashes differ in at most `limit` bits, as a list.

    bits: boolean array (N, B).
    """
    ### BEGIN SOLUTION
    pairs = []
    for i in range(len(bits)):
        for j in range(i + 1, len(bits)):
            if (bits[i] != bits[j]).sum() <= limit:
                pairs.append((i, j))
    return pairs
    ### END SOLUTION


# %%
check("L2.5", near=near)

# %%
grey = images.mean(axis=-1).reshape(len(images), 8, SIZE // 8, 8, SIZE // 8)
grey = grey.mean(axis=(2, 4)).reshape(len(images), 64)
bits = grey > np.median(grey, axis=1, keepdims=True)
for limit in (2, 6, 12, 20):
    pairs = near(bits, limit)
    true = sum(groups[i] == groups[j] for i, j in pairs)
    print(f"at most {limit:2} bits: {len(pairs)} pairs, {true} of them of one video")

# %% [markdown]
# ## Free task (15 min)
#
# Choose one.
#
# 1. Which limit finds most pairs and raises few false alarms? Plot both against the limit. Which of the two errors is
#    worse for somebody who wants to publish a number, and which for somebody who has few pictures?
# 2. Make the drift of the window larger, `rng.normal(0, 2, 2)`, until the random split stops paying. How different must
#    frames be?
# 3. A paper writes "we split 80:20 at random and repeat it five times". What do the five repetitions tell you, and what
#    do they not? Answer with numbers of `copied`.

# %%
# your free task

# %% [markdown]
# ## Rubric
#
# | part | points |
# |---|---|
# | each of the five blanks, as checked | 5 × 2 |
# | predictions written before the runs, and one sentence on each that was wrong | 2 |
# | free task: it runs, and its question is answered with a number | 4 |
# | one sentence that you would write into the methods section of a paper about its split | 2 |
