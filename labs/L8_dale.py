# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # Lab 8. DALE among careless annotators: which sign?
#
# **Goal.** You write the confidence of DALE for a network so small that every gradient fits in a line, let it search
# for labels that you have spoiled yourself, and settle with numbers a question on which paper and code disagree.
#
# **You need** Equations 8 to 12 of the paper. One training of a minute or two runs in the last part.
#
# Outlines of drawn lesions are redrawn as by an unsteady hand. So somebody knows which labels are wrong: you. A
# *doubt* is a number for each pixel, the higher, the less its label is believed.

# %% tags=["setup"]
import numpy as np

from tutseg.labs import check, met, predict, short

sigmoid = lambda z: 1 / (1 + np.exp(-z))

# %% [markdown]
# ## 1. How good is a doubt? (12 min)
#
# The area under the ROC curve is a probability: draw one wrong label and one right label by chance; how often has the
# wrong one the higher doubt? A tie counts one half. Write it as that, by comparing every pair.


# %%
def area(doubt, wrong):
    """The area under the ROC curve. doubt: (n,); wrong: boolean (n,)."""
    ### BEGIN SOLUTION
    high, low = doubt[wrong][:, None], doubt[~wrong]
    return np.mean((high > low) + 0.5 * (high == low))
    ### END SOLUTION


# %%
check("L8.1", area=area)

# %% [markdown]
# A careless annotator who always draws too large makes only wrong labels of one kind: skin that is called lesion.
# Take a doubt that knows nothing but the label itself: it is 1 where the label says lesion.
#
# **Predict.** What is its area over all pixels?

# %%
predict("L8.a", None)

# %%
across, down = np.meshgrid(np.arange(64), np.arange(64))
radius = np.hypot(across - 32, down - 32).ravel()
true, drawn = radius < 14, radius < 17
met("L8.a", area(drawn.astype(float), drawn != true))

# %% [markdown]
# It finds where lesions are, and not where errors are. So the area has to be taken among the pixels that are *called*
# lesion, and among those called background, each for itself.


# %%
def area_within(area, doubt, label, wrong):
    """The area within each label, {"lesion": ..., "background": ...}; label: boolean."""
    ### BEGIN SOLUTION
    lesion = area(doubt[label], wrong[label])
    background = area(doubt[~label], wrong[~label])
    return {"lesion": lesion, "background": background}
    ### END SOLUTION


# %%
check("L8.2", area_within=area_within)

# %% [markdown]
# ## 2. A virtual step, by hand (22 min)
#
# Our network is a logistic regression: it says $p = \sigma(x \cdot \theta)$ of a pixel with the features $x$. The
# gradient of its cross-entropy for one pixel is $(p - y)\,x$; remember it, it is all the calculus of this lab.
#
# Equation 8 takes a virtual step on the $n$ fuzzy pixels, each with a weight, $\theta_p = \theta -
# \eta\,\frac1n\sum_k \omega_k \nabla\ell_k$. Equation 9 asks how the mean loss on the clear pixels is *after* it. By
# the chain rule,
#
# $$\frac{\partial L_n(\theta_p)}{\partial \omega_k} = -\frac{\eta}{n}\,\big\langle \nabla L_n(\theta_p),\ \nabla\ell_k(\theta)\big\rangle.$$
#
# Write it for $\omega = 1$.


# %%
def omega_slope(theta, fuzzy_x, fuzzy_y, clear_x, clear_y, rate):
    """dL_n(theta_p) / domega_k at omega = 1, (n,). x: (n, d); y: (n,); theta: (d,)."""
    ### BEGIN SOLUTION
    each = (sigmoid(fuzzy_x @ theta) - fuzzy_y)[:, None] * fuzzy_x
    moved = theta - rate * each.mean(0)
    wish = (sigmoid(clear_x @ moved) - clear_y) @ clear_x / len(clear_x)
    return -rate / len(each) * each @ wish
    ### END SOLUTION


# %%
check("L8.3", omega_slope=omega_slope)

# %% [markdown]
# ## 3. One step of the confidence (10 min)
#
# Equations 10 and 11 let $\omega$ go one step *down* this gradient. The gradient of a single pixel's weight is tiny,
# and the more pixels, the tinier; so divide it by its own size, its root mean square over the pixels. A confidence
# below 0 makes no sense.


# %%
def omega_after(slope, rate=0.1):
    """omega after one step from 1, (n,), at least 0."""
    ### BEGIN SOLUTION
    size = np.sqrt(np.mean(slope**2))
    return np.maximum(1 - rate * slope / size, 0)
    ### END SOLUTION


# %%
check("L8.4", omega_after=omega_after)

# %% [markdown]
# ## 4. Which sign? (20 min)
#
# Equation 12 keeps the features of pixels with $\nabla\omega > 0$ as clean. Is $\nabla\omega$ the gradient, or the
# step that $\omega$ takes? By Equation 11 the two have opposite signs. The paper's words ("clean" is what helps) mean
# the step: kept is where $\omega$ *rises*. The published script keeps where the gradient itself is above 0, so where
# $\omega$ *falls*. Write both, and what share of the kept labels is right.


# %%
def right_among_kept(slope, wrong, sign):
    """The share of right labels among those kept, by sign "paper" or "code"."""
    ### BEGIN SOLUTION
    kept = slope < 0 if sign == "paper" else slope > 0
    return np.mean(~wrong[kept])
    ### END SOLUTION


# %%
check("L8.5", right_among_kept=right_among_kept)

# %% [markdown]
# Now with pictures. A logistic regression on the three colours of a pixel; *clear* pixels lie far from the outline,
# *fuzzy* ones near it; the outlines are warped.
#
# **Predict.** Which sign keeps the larger share of right labels, "paper" or "code"?

# %%
predict("L8.b", None)

# %% tags=["long"]
import torch

from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.data.noise import depth_of, with_noise

truth = load_pictures(open_source("synth", n=short(24, 6), size=64), 64)
noisy, changed = with_noise(truth, {"kind": "warp", "rate": 0.05, "seed": 1})
images, masks = noisy.floats(torch.arange(len(noisy)))
x = images.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
x = np.column_stack([(x - x.mean(0)) / x.std(0), np.ones(len(x))])
y = masks.numpy().ravel()
wrong = changed.ravel()
near = np.concatenate(
    [np.abs(depth_of(mask[0] > 0)).ravel() < 5 for mask in masks.numpy()]
)
print(f"fuzzy: {near.mean():.0%} of the pixels; of these wrong: {wrong[near].mean():.0%}")

# %% tags=["long"]
theta, rows = np.zeros(4), []
chance = np.random.default_rng(0)
for step in range(61):
    some_near, some_clear = (
        chance.choice(np.flatnonzero(part), 3000) for part in (near, ~near)
    )
    at = x[some_near], y[some_near], x[some_clear], y[some_clear]
    slope = omega_slope(theta, *at, rate=0.5)
    p, called, spoilt = sigmoid(at[0] @ theta), at[1] > 0, wrong[some_near]
    loss = -np.log(np.where(called, p, 1 - p))
    if step % 5 == 0 and step:
        kept = [right_among_kept(slope, spoilt, sign) for sign in ("paper", "code")]
        by_omega, by_loss = (
            area_within(area, doubt, called, spoilt) for doubt in (slope, loss)
        )
        rows.append([step, *kept, *by_omega.values(), *by_loss.values()])
    gradient = (sigmoid(x[some_clear] @ theta) - y[some_clear]) @ x[some_clear]
    theta = theta - 0.5 * gradient / len(some_clear)
rows = np.array(rows).T
print("right among kept, at the end: paper {:.3f}, code {:.3f}".format(*rows[1:3, -1]))

# %% tags=["long"]
met("L8.b", "paper" if rows[1].mean() > rows[2].mean() else "code")

# %% tags=["figure"]
from tutseg.report.lab import chart

names = (
    "omega, in lesion",
    "omega, in background",
    "loss, in lesion",
    "loss, in background",
)
chart(
    {name: (rows[0], row) for name, row in zip(names, rows[3:], strict=True)},
    "step",
    "area for wrong labels",
    across={"chance": 0.5},
)

# %% [markdown]
# An area of 0.5 is chance. With the other sign each line of $\omega$ is mirrored at it. Where $\omega$ and the plain
# loss lie together, ask what $\omega$ knows that the loss does not.
#
# ## 5. The same in a network (16 min)
#
# DALE itself, on warped outlines. Its doubts are measured half-way and at the end of a short training, near outlines
# and within each label.
#
# **Predict.** At the end, which doubt has the larger area within "lesion": "omega" or "loss"?

# %%
predict("L8.c", None)

# %% tags=["long"]
from pathlib import Path

from tutseg.training.chapter import run_trials
from tutseg.training.doubts import scores_of_run
from tutseg.training.trial import make_trial

trial = make_trial(
    method="dale",
    data="synth",
    data_options={"n": short(60, 16), "size": 64},
    labelled=1.0,
    net="unet-s",
    size=64,
    steps=short(40, 2),
    batch=8,
    evaluations=2,
    noise={"warp": 0.05},
    options={"patch": 8, "bins": 32},
)
(run,) = run_trials([trial], Path("trials"))
scores = [row for row in scores_of_run(run.folder) if row["region"] == "outline"]
for row in scores:
    print(f"step {row['step']:>3}  {row['doubt']:<6} {row['label']:<11} {row['auc']:.3f}")

# %% tags=["long"]
last = {row["doubt"]: row["auc"] for row in scores if row["label"] == "lesion"}
met("L8.c", max(last, key=last.get))

# %% [markdown]
# One seed of a minute decides nothing; it shows what to look at. The committed experiment with more seeds is in the
# chapter.
#
# ## 6. Free task (10 min)
#
# Choose one. Write what you expect before you run it, and one sentence about what came out.
#
# 1. **One-sided noise.** Use `{"kind": "grow", "rate": 0.05}`. Which of the two areas cannot be computed, and why is
#    the other one honest?
# 2. **Who is clear?** Let half of the clear labels be wrong as well (flip them by chance). What becomes of the areas
#    of $\omega$?
# 3. **Keep $\omega$.** Multiply the weights of several steps. What would you measure to see whether hard but right
#    pixels are lost?
#
# ## Rubric
#
# | points | for |
# |---|---|
# | 5 | one for each check that is content |
# | 2 | the predictions, made before the run, and a sentence on the one that surprised you most |
# | 3 | which sign is right, with the numbers that say so, and why the area is taken within each label |
# | 2 | the free task: expectation, run, conclusion |
