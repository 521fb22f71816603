# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # Lab 3. The losses of DME-FD, and a floor under one of them
#
# **Goal.** You turn Equations 2 to 8 of DME-FD into code, find the value below which its discrepancy loss cannot
# fall, and see what that floor does to a training.
#
# **You need** the paper, sections 2.1 and 2.2, and the chapter's first picture. A minute of training runs in between.
#
# Fill in what is missing, run the check behind it, and go on when it is content. A check compares your function with
# slow loops over random numbers; it says what looks wrong, and not what is right. Before some runs you are asked for
# a prediction. It is kept and met again; a wrong one costs nothing.

# %% tags=["setup"]
import torch

from tutseg.labs import check, met, predict, short
from tutseg.losses import bce_dice

# %% [markdown]
# ## 1. A mask that is sure (12 min)
#
# A branch sees a weakly augmented picture and says for each pixel the probability of lesion. Equations 2 and 3 make
# of it a mask,
#
# $$\hat Y^w_i = \mathbb 1\!\left(\max_c p_i(c) > \tau\right)\,\arg\max_c p_i(c), \qquad c \in \{0, 1\}.$$
#
# Write it as it stands: both classes' probabilities, the larger of them, the class that has it. The mask is a target,
# so no gradient may pass through it.
#
# **Predict.** A pixel has a lesion probability of 0.1, and $\tau = 0.85$. Which label does Equation 2 give it: 0, 1
# or none?

# %%
predict("L3.a", None)


# %%
def confident_mask(p, tau):
    """DME-FD Eq. 2-3.

    p: lesion probability, any shape; returns 0 and 1 as floats of it, without gradient.
    """
    ### BEGIN SOLUTION
    both = torch.stack([1 - p, p]).detach()
    sure, label = both.max(0)
    return ((sure > tau) * label).to(p.dtype)
    ### END SOLUTION


# %%
check("L3.1", confident_mask=confident_mask)

# %%
met("L3.a", confident_mask(torch.tensor([0.1]), 0.85).item())

# %% [markdown]
# Ask the same of a lesion probability of 0.6. Two pixels, one of them almost surely skin and one that the branch
# takes for lesion, get the same label. Keep that in mind for the free task.
#
# ## 2. Two masks, one target (12 min)
#
# Equation 4 joins the masks of the two branches by "OR": lesion where either says so. Equation 5 teaches *both*
# branches on the strong view with it, $L_{DME} = L_{bce,dice}(P_1^s, \hat Y^w) + L_{bce,dice}(P_2^s, \hat Y^w)$.
# `bce_dice(logits, target)` is there.


# %%
def dme_loss(logits1, logits2, mask1, mask2):
    """DME-FD Eq. 4-5, a scalar.

    Logits of both branches on the strong view, and their masks of the weak view; each
    (B, 1, H, W).
    """
    ### BEGIN SOLUTION
    joint = torch.maximum(mask1, mask2)
    return bce_dice(logits1, joint) + bce_dice(logits2, joint)
    ### END SOLUTION


# %%
check("L3.2", dme_loss=dme_loss)

# %% [markdown]
# ## 3. Features apart (18 min)
#
# Equation 7 makes of the encoder's features distributions over the *channels* of each place, $F =
# \mathrm{softmax}(f)$, and Equation 6 punishes closeness:
#
# $$L_{dis}(F_1, F_2) = \frac{1}{D(F_1, F_2) + \epsilon}.$$
#
# The paper calls $D$ the Manhattan distance. Its code takes the *mean* of $|F_1 - F_2|$ over pictures, channels and
# places, and so shall you.
#
# **Predict.** What is $L_{dis}$ of two equal features, with $\epsilon = 10^{-6}$?

# %%
predict("L3.b", None)


# %%
def discrepancy(f1, f2, eps=1e-6):
    """DME-FD Eq. 6-7, a scalar.

    f1, f2: features (B, C, h, w) of the two branches, before the softmax.
    """
    ### BEGIN SOLUTION
    F1, F2 = f1.softmax(1), f2.softmax(1)
    distance = (F1 - F2).abs().mean()
    return 1 / (distance + eps)
    ### END SOLUTION


# %%
check("L3.3", discrepancy=discrepancy)

# %%
same = torch.randn(2, 8, 4, 4)
met("L3.b", discrepancy(same, same).item())

# %% [markdown]
# Equation 8 asks for distance between the branches twice, on labelled pictures and on weakly augmented unlabelled
# ones, and takes the mean of the two *losses*.


# %%
def feature_loss(loss, sup1, sup2, weak1, weak2):
    """DME-FD Eq. 8, a scalar.

    loss: Eq. 6-7 of two features, as your `discrepancy`; then the features of branch 1
    and 2 on labelled (sup) and unlabelled (weak) pictures, each (B, C, h, w).
    """
    ### BEGIN SOLUTION
    labelled = loss(sup1, sup2)
    unlabelled = loss(weak1, weak2)
    return (labelled + unlabelled) / 2
    ### END SOLUTION


# %%
check("L3.4", feature_loss=feature_loss)

# %% [markdown]
# ## 4. The floor (20 min)
#
# How small can $L_{dis}$ get if the features are free to be anything? Two probability vectors cannot be arbitrarily
# far apart.
#
# **Predict.** The bottleneck of the network below has 128 channels. What is the least value that $L_{dis}$ can have
# there?

# %%
predict("L3.c", None)


# %%
def floor(channels):
    """The largest number that L_dis never falls below, by the number of channels."""
    ### BEGIN SOLUTION
    farthest = 2  # the Manhattan distance of two distributions that share no channel
    return channels / farthest
    ### END SOLUTION


# %%
check("L3.5", floor=floor)

# %% [markdown]
# A floor is only one if something stands on it. Give two features of one place, before the softmax, that are within a
# hundredth of it.


# %%
def farthest(channels):
    """Two features (1, C, 1, 1) whose discrepancy is within 1 % of the floor."""
    ### BEGIN SOLUTION
    f1, f2 = torch.zeros(1, channels, 1, 1), torch.zeros(1, channels, 1, 1)
    f1[:, 0], f2[:, 1] = 50, 50
    return f1, f2
    ### END SOLUTION


# %%
check("L3.6", farthest=farthest)

# %% [markdown]
# Now let gradient descent find it. Nothing but $L_{dis}$ is minimised here, over two random features of 4, 32 and 128
# channels. There is no picture, no label and no network in this figure.

# %% tags=["long", "figure"]
from tutseg.report.lab import chart

descent = {}
for channels in (4, 32, 128):
    torch.manual_seed(0)
    features = [torch.randn(2, channels, 4, 4, requires_grad=True) for _ in range(2)]
    optimiser = torch.optim.Adam(features, lr=0.2)
    steps, values = range(short(60, 30)), []
    for _ in steps:
        loss = discrepancy(*features)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    descent[f"{channels} channels"] = (list(steps), values)
chart(
    descent,
    "step",
    "$L_{dis}$",
    across={f"floor of {channels}": floor(channels) for channels in (4, 32, 128)},
    logarithmic="y",
)

# %%
met("L3.c", floor(128))

# %% [markdown]
# ## 5. In a training (15 min)
#
# Beside segmentation losses of about 1, the floor of 128 channels is large; Equation 9 multiplies it by a $\beta$
# that starts at 1 and falls. First: do your functions agree with the package's method on pictures?

# %% tags=["long"]
from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.nets import build

pictures = load_pictures(open_source("synth", n=8, size=64), 64)
images, masks = pictures.floats(torch.arange(8))
torch.manual_seed(0)
branches = [build("unet-s", 64), build("unet-s", 64)]
outs = [branch(images, features=True) for branch in branches]
p1, p2 = (out.logits.sigmoid() for out in outs)
print(f"bottleneck: {tuple(outs[0].bottleneck.shape)}")
fresh = discrepancy(*(out.bottleneck for out in outs))
print(f"L_dis of two fresh networks: {fresh.item():.1f}")
masks_of = [confident_mask(p, 0.5) for p in (p1, p2)]
own = dme_loss(outs[0].logits, outs[1].logits, *masks_of)
print(f"L_DME at tau = 0.5:          {own.item():.2f}")

# %% [markdown]
# **Predict.** In a hundred steps of DME-FD, in how many does $\beta L_{FDL}$ outweigh all other terms together?

# %%
predict("L3.d", None)

# %% tags=["long"]
from pathlib import Path

from tutseg.training.chapter import run_trials
from tutseg.training.trial import make_trial

trial = make_trial(
    method="dme-fd",
    data="synth",
    data_options={"n": 200, "size": 64},
    labelled=0.05,
    net="unet-s",
    size=64,
    steps=short(100, 6),
    batch=8,
    lr=0.002,
)
(run,) = run_trials([trial], Path("trials"))
log = run.log()

# %% tags=["long"]
from tutseg.report.lines import curves

names = {
    "sup1": "$L_{sup}$, branch 1",
    "dme1": r"$\alpha L_{DME}$, branch 1",
    "fdl": r"$\beta L_{FDL}$",
    "w_beta": r"$\beta$",
}
curves({"dme-fd": [log]}, names, smooth=5)

# %% tags=["long"]
others = sum(log[name] for name in ("sup1", "sup2", "cps1", "cps2", "dme1", "dme2"))
met("L3.d", f"{(log['fdl'] > others).sum()} of {len(others)}")
lowest = (log["fdl"] / log["w_beta"]).min()
print(f"least L_FDL of the training: {lowest:.1f}, the floor: {floor(128):.0f}")

# %% [markdown]
# ## 6. Free task (13 min)
#
# Choose one. Write what you expect before you run it, and one sentence about what came out.
#
# 1. **Another distance.** Take the *sum* over channels and the mean over the rest. What is the floor now, and what
#    would $\beta$ do then?
# 2. **Unknown instead of background.** Change `confident_mask` so that a pixel of which the branch is unsure is left
#    out of the loss (`bce_dice` takes a `weight`). For which pixels of a picture does the target change at $\tau =
#    0.85$?
# 3. **Without the loss.** Train with `options={"fdl": "none"}` and compare the Dice. What would you need to call a
#    difference one?
#
# ## Rubric
#
# | points | for |
# |---|---|
# | 6 | one for each check that is content |
# | 2 | the four predictions, made before the run, and a sentence on the one that surprised you most |
# | 2 | the floor in words: why it exists, and why more training cannot change it |
# | 2 | the free task: expectation, run, and what the run can and cannot show |
