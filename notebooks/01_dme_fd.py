# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # DME-FD: two networks that must not agree too much
#
# *Dual mask ensemble with feature discrepancy co-training* {cite}`nguyen2025dmefd` asks a question that every clinic
# knows: a few dozen lesions have been outlined by hand, thousands have not. What can the thousands still teach?
#
# On this page you will see the paper's three losses, equation beside code; train supervised-only, cross pseudo
# supervision {cite}`chen2021cps` and DME-FD yourself, three times each; and set the result beside the paper's table,
# with an interval. Where three seeds cannot decide, the page says so.

# %% tags=["parameters"]
PROFILE = "lab"  # lab, gpu or paper

# %%
from tutseg.workflow.profiles import load_profile

profile = load_profile("01_dme_fd", PROFILE)
print(f"profile {PROFILE}: {profile.hardware}, about {profile.minutes:g} minutes")
print(f"expect: {profile.expect}")

# %% [markdown]
# ## The idea in one picture
#
# Two networks of one architecture start from different random weights. Both look at a flipped ("weak") view of an
# unlabelled picture. Wherever *either* of them is more than $\tau$ sure, the pixel counts as lesion. That joint mask
# teaches both of them on a noisier, recoloured ("strong") view of the same picture. A further loss keeps the two
# encoders from becoming the same, because two copies of one opinion are not two opinions.

# %% tags=["hide-input"]
from tutseg.report.diagrams import diagram

diagram(
    {
        "u": (0, 1, "unlabelled\npicture"),
        "w": (1, 0.4, "weak view\n$X_w$"),
        "s": (1, 1.6, "strong view\n$X_s$"),
        "f1": (2, 0, "branch 1\n$P_1^w$"),
        "f2": (2, 0.8, "branch 2\n$P_2^w$"),
        "g": (2, 1.6, "both branches\n$P_1^s, P_2^s$"),
        "m": (3, 0.4, "union of\n$P > \\tau$"),
        "l": (3, 1.6, "BCE + Dice\n$L_{DME}$"),
    },
    [
        ("u", "w", "flip"),
        ("u", "s", "recolour"),
        ("w", "f1", ""),
        ("w", "f2", ""),
        ("s", "g", ""),
        ("f1", "m", "Eq. 2"),
        ("f2", "m", "Eq. 3"),
        ("g", "l", ""),
        ("m", "l", "target, Eq. 4-5"),
    ],
)
# %% [markdown]
# ## Each equation beside the code that runs it
#
# **Equations 2 and 3** turn a branch's probability into a mask:
#
# $$\hat Y^w_i = \mathbb 1\!\left(\max p_i > \tau\right)\,\arg\max_c p_i(y = c \mid P_i^w).$$
#
# For two classes this is 1 exactly where the *foreground* probability exceeds $\tau$. A pixel where the branch is
# unsure becomes **background**, not "unknown": that is the method's bravest choice, and the slider further down
# shows what it costs.

# %%
from tutseg.methods.co_training.dme_fd import (
    DMEFD,
    combine_masks,
    confident_mask,
    discrepancy,
)
from tutseg.report.source import show

show(confident_mask)

# %% [markdown]
# **Equation 4** joins the two masks. The paper prints no formula, only "summation (OR)"; its Table 3 compares four ways.

# %%
show(combine_masks)

# %% [markdown]
# **Equations 6 to 8** are the feature discrepancy. With $F = \mathrm{softmax}(f)$ over channels and $D$ the Manhattan
# distance,
#
# $$L_{dis}(F_1, F_2) = \frac{1}{D(F_1, F_2) + \epsilon}, \qquad
#   L_{FDL} = \tfrac12\left(L_{dis}(F_1^{sup}, F_2^{sup}) + L_{dis}(F_1^{w}, F_2^{w})\right).$$
#
# Before you read on: two probability vectors differ by at most 2 in the Manhattan distance. If $D$ is the *mean* over
# $C$ channels, how small can $L_{dis}$ get?

# %%
show(discrepancy)

# %% [markdown]
# At best $1/(2/C) = C/2$. With the 768 channels of Swin-Unet {cite}`cao2022swinunet` that is 384, beside segmentation
# losses around 1. The floor is a property of the formula, not of the data, and a test of the package holds it.
#
# **Equation 9** adds everything up, $L = L_{sup} + \alpha (L_{cps} + L_{DME}) + \beta L_{FDL}$. The whole step:

# %%
show(DMEFD.losses)

# %% [markdown]
# Each branch sees labelled, weak and strong pictures in *one* concatenated forward pass. For a network without batch
# statistics this equals three separate passes (a test proves it); with batch normalisation the views share their
# statistics.
#
# ## Two schedules, as written and as published
#
# $\alpha$ warms up as Laine and Aila have it {cite}`laine2017temporal`: a ramp from near 0 to its maximum. The
# published script restarts the ramp's counter with every epoch, so it hardly moves. Below, both run over the 80 epochs
# that the paper trains at 2 % labelled.

# %%
import numpy as np

from tutseg.methods.base import Progress
from tutseg.report.lines import curves

steps_per_epoch = -(-2896 // 8)
at = [
    Progress(step, 80 * steps_per_epoch, steps_per_epoch)
    for step in range(0, 80 * steps_per_epoch, 25)
]
schedules = {}
for ramp, decay in (("paper", "paper"), ("code", "stairs")):
    dme_fd = DMEFD("unet-s", 64, ramp=ramp, decay=decay)
    weights = [dme_fd.weights(progress) for progress in at]
    log = {
        f"w_{name}": np.array([w[name] for w in weights]) for name in ("alpha", "beta")
    }
    schedules[ramp] = [{"step": np.array([progress.step for progress in at]), **log}]
    alpha, beta = weights[-1]["alpha"], weights[-1]["beta"]
    print(f"{ramp:<6} alpha ends at {alpha:.6f}, beta at {beta:.6f}")

# %% tags=["hide-input"]
curves(schedules, {"w_alpha": r"$\alpha$", "w_beta": r"$\beta$"})
# %% [markdown]
# With the script's $\alpha$ the two unsupervised losses weigh less than a thousandth of the supervised one. Either
# the printed numbers come from other code, or those losses hardly act. We cannot know which. The default here is the
# paper's words; `-o ramp=code` is the other.
#
# ## Run it
#
# Three methods, three seeds. A seed draws the labelled pictures, the initial weights and the batches; the test pictures
# are the same for all, so differences can be paired picture by picture. `fit` has no parameter through which a test
# picture could come.

# %%
from tutseg.files import project_root
from tutseg.training.chapter import run_trials
from tutseg.training.trial import make_trial

METHODS = ["supervised", "cps", "dme-fd"]
trials = [
    make_trial(method=method, seed=seed, **profile.settings["trial"])
    for method in METHODS
    for seed in profile.settings["seeds"]
]
folder = project_root() / "_build" / "trials"
runs = run_trials(trials, folder, keep_snapshots=True)
print(runs[0].result["n"])

# %% [markdown]
# The same trial from the command line:

# %%
print(trials[-1].command)

# %% [markdown]
# ## The paper's table beside ours
#
# The left number is on other data, another network and a hundred times the training; it stands here for the *order* of
# the methods, which is what a small experiment can hope to see.

# %%
from tutseg.report.groups import group_runs
from tutseg.report.tables import difference_table, method_table

groups = group_runs(runs)
paper_rows = {"supervised": "SupOnly", "cps": "CPS", "dme-fd": "Ours"}
method_table(groups, "dme-fd", 1, paper_rows, data="isic2018", labelled=0.02)

# %%
difference_table(groups, "dme-fd")

# %% tags=["hide-input"]
from tutseg.report.statistical import paired_differences, violins

paired_differences(groups, "dme-fd")

# %% tags=["remove-input"]
from tutseg.report.groups import differences
from tutseg.report.say import say

say("In these trials DME-FD is {gains}.", gains=differences(groups, "dme-fd"))

# %% [markdown]
# Every point is a test picture, the bar the interval of their mean. An interval that covers zero means: with this
# many seeds the experiment cannot tell. Three seeds are few; the interval is for other seeds as well as other pictures,
# so it is wide, and honestly so.
#
# A mean hides how differently the pictures fare. Here are the scores that the table's means are made of:

# %% tags=["hide-input"]
violins(groups)
# %% [markdown]
# ### On real pictures
#
# The same three methods on ISIC 2018 {cite}`codella2019isic2018`, at 96 px with a larger network (`mobilenet-unet`). They are
# not trained again when this book is built; the trials and the Dice of every test picture lie in
# `results/dme-fd/isic2018-96`, and `tutseg grid experiments/dme-fd/isic2018-96.yaml` makes them.

# %%
from tutseg.report.groups import group_results

isic = group_results(
    project_root() / "results" / "dme-fd" / "isic2018-96",
    lambda item: item.trial.method if item.trial.labelled == 0.02 else None,
)
isic.sort(key=lambda group: METHODS.index(group.name))
method_table(isic, "dme-fd", 1, paper_rows, data="isic2018", labelled=0.02)

# %%
difference_table(isic, "dme-fd")

# %% tags=["remove-input"]
say("On ISIC 2018 DME-FD is {gains}.", gains=differences(isic, "dme-fd"))

# %% [markdown]
# ## What happened during training
#
# Every term and weight of every step is logged. The supervised loss falls from the first step on. The discrepancy term
# (logarithmic axis) starts far above everything else and comes down with $\beta$: by itself it cannot fall below its floor.

# %% tags=["hide-input"]
logs = {
    method: [run.log() for run in runs if run.trial.method == method]
    for method in METHODS
}
for log in logs["supervised"]:
    log["sup1"] = log.pop("sup")  # it has one branch
curves(
    logs,
    {
        "sup1": "$L_{sup}$, branch 1",
        "cps1": "cross term, branch 1",
        "dme1": r"$\alpha L_{DME}$, branch 1",
        "fdl": r"$\beta L_{FDL}$",
        "w_alpha": r"$\alpha$",
        "w_beta": r"$\beta$",
    },
)

# %% tags=["remove-input"]
from tutseg.report.trained import contour_sheet, hard_cases, overtaken

say(
    "In DME-FD's {n} trainings of {steps} steps, the discrepancy term outweighs all "
    "others together until step {until}.",
    n=len(logs["dme-fd"]),
    steps=trials[0].steps,
    until=", ".join(str(overtaken(log, "fdl")) for log in logs["dme-fd"]),
)

# %% [markdown]
# ## What the predictions look like
#
# The first test pictures, chosen by their place in the list and not by their look. White: the truth. Numbers: Dice.

# %% tags=["hide-input"]
contour_sheet(runs)
# %% [markdown]
# ## Hard cases, one at a time: Figure 5
#
# The paper shows pictures with hair, ink and low contrast and says that the method copes. With drawn pictures that is a
# question with an answer: sixty lesions that no training saw, clean, and then the same sixty with one artefact each.

# %%
from tutseg.data.draw_dermoscopy import ARTEFACTS

hard_cases(runs, ARTEFACTS)

# %% [markdown]
# ## Do the branches differ? The paper's Tables 6 and 7
#
# "Table" 6 and 7 of the paper are figures: cosine similarities between the features of branch 1 (rows) and branch 2
# (columns), for eight weakly augmented and eight labelled pictures, and for an early, a middle and a late step of
# training with CCVC's cosine loss {cite}`wang2023ccvc` and with FDL. We compute them on the raw bottleneck features.

# %%
from tutseg.report.statistical import cosine_matrices
from tutseg.training.evaluate import branch_vectors
from tutseg.training.pictures import pictures_of, split_of

pictures = pictures_of(trials[0].data, None, trials[0].size, trials[0].data_options)
split = split_of(trials[0], pictures)
first = {
    run.trial.method: run.method()
    for run in runs
    if run.trial.seed == profile.settings["seeds"][0]
}
cosine_trial = make_trial(
    method="dme-fd", seed=0, **{**profile.settings["trial"], "options": {"fdl": "cosine"}}
)
(ccvc_run,) = run_trials([cosine_trial], folder, keep_snapshots=True)
fdl_run = next(run for run in runs if run.trial.method == "dme-fd")
eight = {
    "weak, unlabelled": pictures.take(split.unlabelled[:8]),
    "labelled": pictures.take(split.labelled[:8]),
}

# %% tags=["hide-input"]
cosine_matrices(
    {
        f"FDL, {name}": branch_vectors(fdl_run.method(), part)
        for name, part in eight.items()
    }
)
# %% tags=["hide-input"]
from tutseg.training.fit import snapshot_steps

when = dict(zip(("early", "middle", "late"), snapshot_steps(cosine_trial), strict=False))
cosine_matrices(
    {
        f"{name}, {word} (step {step})": branch_vectors(
            run.method(step), eight["weak, unlabelled"]
        )
        for name, run in (("CCVC", ccvc_run), ("FDL", fdl_run))
        for word, step in when.items()
    }
)
# %% [markdown]
# The paper reads a diagonal near zero as "diverse and complementary". A caution belongs here: Eq. 6 acts on
# channel-softmaxed features, which are never negative, so *their* cosine can never be negative either; the strongly
# negative matrices that the paper shows for CCVC cannot be of the features that its own loss sees. And two networks of
# different random initialisation have unrelated channels anyway: a low similarity between branch 1 and branch 2 is what
# one would get without any loss. {ref}`ex-dme-none` lets you check that.
#
# ## Where lesion and skin lie in feature space
#
# Every dot is one position of the bottleneck of a test picture, embedded by t-SNE; orange lies under lesion. t-SNE
# shows neighbourhoods, not distances: read *whether* colours separate, not by how much.

# %% tags=["hide-input"]
from tutseg.report.statistical import tsne
from tutseg.training.evaluate import bottleneck_positions

some = pictures.take(split.test[:16])
positions = {name: bottleneck_positions(method, some) for name, method in first.items()}
tsne(
    {name: f for name, (f, _) in positions.items()},
    {name: share for name, (_, share) in positions.items()},
)
# %% [markdown]
# ## Move it yourself
#
# Twelve unlabelled pictures as the two trained branches see them. Predict first: if you raise $\tau$ from $0.85$ to $0.99$,
# what happens to the share of lesion pixels that become background? And which rule suffers least?

# %%
from tutseg.report.explorers import ThresholdExplorer
from tutseg.training.evaluate import truth_of, weak_maps

dozen = pictures.take(split.unlabelled[:12])
branch_1, branch_2, _ = weak_maps(first["dme-fd"], dozen)
ThresholdExplorer(
    branch_1,
    branch_2,
    truth_of(dozen),
    dozen.images.permute(0, 2, 3, 1).numpy(),
    dozen.ids,
)

# %% [markdown]
# ## What the numbers are made of
#
# One and the same run, averaged in three ways. DME-FD's script pools the pixels of five pictures before it computes a
# Dice; large lesions then count more. Compare the means, and the spreads over seeds.

# %%
from tutseg.report.tables import averaging_table, selection_table

averaging_table(runs)

# %% [markdown]
# And one and the same training, with three ways of choosing which weights to report. The script keeps the best epoch
# *and* the better branch **on the fold that is then reported**. The last column is what that is worth.

# %%
selection_table(runs)

# %% [markdown]
# ## Design choices
#
# What each choice is worth in Dice is measured on [the page of this paper's tables](01b_dme_fd_tables.ipynb).
#
# | what the paper leaves open | what its code does | what we do | why, and where to change it |
# |---|---|---|---|
# | maximum of $\alpha$ | 0.1, and the ramp's counter restarts every epoch | Eq. 9 as written: ramp to 1 over all steps | `-o ramp=code`, `-o alpha_max=0.1` |
# | $\beta = 10^{-t/(0.25T)}$, smooth or in stairs | stairs of a quarter each | the formula as printed | `-o decay=stairs` |
# | "Manhattan distance" | mean absolute difference | the mean: with the sum, the term all but vanishes | `-o reduction=sum` |
# | softmax over which axis | channels | channels | – |
# | one forward for all views, or one each | one each | one for all; with batch norm they share their statistics | `-o forwards=separate` |
# | unsure pixels | background | background, as Eq. 2 says | `-o tau=0.5` makes every pixel sure |
# | which network is evaluated | the better one on the test fold | branch 1; the others are in every result | `tutseg predict --view` |
# | validation part | none | a tenth of the training part, split by near-duplicate group | `--protocol paper` |
# | nested labelled subsets | no | yes: 1 % within 2 % within 4 % | – |
# | BCE + Dice | averaged | averaged, Dice with squared denominator over the batch | `tutseg.losses.bce_dice` |
# | initial weights | random (the loader of pretrained weights is never called) | random | `--pretrained` |
#
# ## What contradicts
#
# The program `tutseg audit dme-fd` recomputes the paper's tables; [the audit](../book/audit.md) explains each check,
# and [the ledger](../book/ledger.md) lists this paper's claims with a verdict.

# %%
from tutseg.papers.contradictions import audit_paper

for finding in audit_paper("dme-fd"):
    print(f"[{finding.severity}] Table {finding.table}: {finding.message}")

# %% [markdown]
# ## Exercises
#
# Predict before you run. Each can be done with one `tutseg train` command of about half a minute, by adding
# `--data synth -d n=400 -d size=64 --labelled 0.03 --net unet-s --size 64 --steps 200 --batch 8 --lr 0.002`.
#
# ```{exercise-start} ★ Unsure means background
# :label: ex-dme-tau
# ```
# With $\tau = 0.5$ Eq. 2 calls every pixel either lesion or background with no third state. What is the union mask of
# two *identical* networks then, compared with the target of cross pseudo supervision?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dme-tau
# :class: dropdown
# ```
# The same mask: both are "probability above one half". The two losses then differ only in the view they teach on (strong
# against weak). `tests/test_dme_fd.py` holds this equality.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★ The floor
# :label: ex-dme-floor
# ```
# `unet-s` has 128 channels at its bottleneck. What is the least value of $L_{FDL}$? Find it in the logged curve above.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dme-floor
# :class: dropdown
# ```
# $C/2 = 64$, reached only if at every position the two softmaxed vectors put all their weight on different channels.
# Divide the plotted term by the plotted $\beta$: it stays above 64.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ Equal steps or equal epochs
# :label: ex-dme-steps
# ```
# The authors train supervised-only for 80 epochs over the *labelled* pictures: at 2 % that is 640 steps, beside about
# 29,000 for the others. Train `supervised` here for 200 steps and for 200 × labelled / unlabelled steps. How much of the
# "gain of semi-supervision" is the number of steps?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dme-steps
# :class: dropdown
# ```
# `tutseg train supervised ... --steps 6` beside `--steps 200`. In the first, the network has hardly left its initial
# weights. The comparison in this chapter is step-matched throughout.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ Are the branches different without the loss?
# :label: ex-dme-none
# ```
# Train with `-o fdl=none` and compute the cosine matrices again.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dme-none
# :class: dropdown
# ```
# Two networks with different random weights have unrelated channels; the off-diagonal and the diagonal are alike with and
# without the loss. A low cosine *between* branches says little; what would be informative is whether they make
# different *mistakes*.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ Intersection
# :label: ex-dme-and
# ```
# The paper's Table 3 has union above intersection by 0.65 Dice on ISIC, with a spread of 0.7 and 1.0 over folds. Before
# training: what does the slider say about the share of lesion lost by each rule at $\tau = 0.85$? Then train both with
# three seeds. Does your interval cover zero?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dme-and
# :class: dropdown
# ```
# Intersection loses every pixel that either branch is unsure of, so it loses at least as much as union: for each picture,
# union's share of lost lesion is the smaller. Whether the final Dice follows needs more than three seeds here.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★★ A fair test of the discrepancy loss
# :label: ex-dme-fair
# ```
# Design an experiment that could show FDL to be *harmful*. Which quantity, how many seeds, which interval?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dme-fair
# :class: dropdown
# ```
# The paired difference in Dice between `fdl=l1` and `fdl=none`, everything else equal, at the *same* number of steps; a $t$
# interval over seeds crossed with pictures, and at least five seeds: with three, the quantile is 4.3 where five have 2.8.
# Fix the analysis before the first run. At short budgets expect an encoder that hardly moves: the optimiser remembers FDL's first
# gradients for about a thousand steps ([the page of tables](01b_dme_fd_tables.ipynb) shows it).
# ```{solution-end}
# ```
