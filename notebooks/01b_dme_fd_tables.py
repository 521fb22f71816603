# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # DME-FD: the tables of the paper
#
# [The chapter](01_dme_fd.ipynb) trains three methods while you read. The paper {cite}`nguyen2025dmefd` compares many more,
# and this page sets them beside our trials: Tables 1 and 3 to 5, Figures 3, 4 and 6, and the experiments that the
# paper should have had. Table 2 is missing: it is Table 1 once more, on HAM10000, whose masks are not to be had here. Whoever
# has them finds its trials in `experiments/dme-fd/table-2.yaml`.
#
# Nothing is trained on this page but what one small figure needs; each table names the list of trials it comes from, and
# `tutseg grid experiments/dme-fd/table-1.yaml --scale lab`, followed by the same with `--collect results`, makes it again.
# Sentences with a rule at their side are made by a cell from the numbers that their table shows.
#
# The scale `lab` is small: drawn pictures of 64 px, a network of half a million parameters, 200 steps of 8 + 8 pictures.
# It can show which methods differ at all under such a budget. It cannot show that the paper's numbers are right or wrong.

# %% tags=["parameters"]
PROFILE = "lab"  # lab, gpu or paper

# %%
from tutseg.files import project_root
from tutseg.report import dme_fd
from tutseg.report.groups import compare, differences, group_results, named, paired
from tutseg.report.say import names, say
from tutseg.report.statistical import intervals
from tutseg.report.tables import (
    at_share,
    by_share,
    difference_table,
    differences_by_share,
    labels,
    method_table,
    score_table,
    share_table,
)
from tutseg.workflow.profiles import load_profile

profile = load_profile("01b_dme_fd_tables", PROFILE)
results, scale = project_root() / "results" / "dme-fd", profile.settings["scale"]
print(f"profile {PROFILE}: {profile.hardware}; expect {profile.expect}")

# %% [markdown]
# ## Table 1: all systems, by the share of labels
#
# Each cell: the paper's Dice on ISIC 2018 | ours on drawn pictures.

# %%
table_1 = by_share(results / f"table-1-{scale}", dme_fd.TABLE_1)
share_table(table_1, "dme-fd", 1, dme_fd.TABLE_1, data="isic2018")

# %% [markdown]
# DME-FD minus each of the others, on the same test pictures and with the same seeds:

# %% tags=["hide-input"]
gains = differences_by_share(table_1, "dme-fd")
intervals([gain.row for gain in gains], "Dice points, 95 % interval")

# %% tags=["remove-input"]
say("On drawn pictures DME-FD is {gains}.", gains=gains)

# %% [markdown]
# Before you read a method's name into this, look at the spread over seeds. With so few labels it matters much *which* pictures
# are labelled, and one training of each method would be an order by luck:

# %% tags=["remove-input"]
fewest, most = (table_1[labels(share)] for share in (0.01, 0.08))
say(
    "With {few} labelled pictures, the fewest, the methods' standard deviations over "
    "seeds go from {few_sd:span} points; with {many}, the most, from {many_sd:span}. "
    "The highest mean is, from the fewest labels to the most, that of {best:names}.",
    few=fewest[0].trials[0].n["labelled"],
    few_sd=[group.seed_spread for group in fewest],
    many=most[0].trials[0].n["labelled"],
    many_sd=[group.seed_spread for group in most],
    best=[
        max(groups, key=lambda group: group.mean).name
        for groups in table_1.values()
        if len(groups) > 1
    ],
)

# %% [markdown]
# Nor are 200 steps many. Methods that wait for confident pseudo-labels (UniMatch, GTA-Seg) wait longest where labels are
# fewest.
#
# ### What they predict: Figures 3 and 4
#
# The first five test pictures at 2 % labelled, one trial of each method. White: the truth. Numbers: Dice. Drawn by the same
# command with `--contours`.

# %% tags=["hide-input"]
from tutseg.report.photographs import Stored

at_2 = table_1[labels(0.02)]
means = ", ".join(f"{group.name} {group.mean:.2f}" for group in at_2)
Stored(
    results / f"table-1-{scale}" / "contours.png",
    f"Contours of the truth and of {len(at_2)} methods on five drawn lesions, with the "
    f"Dice of each. Mean Dice over all test pictures and seeds: {means}.",
)

# %% [markdown]
# ## Table 1 on real pictures
#
# ISIC 2018 {cite}`codella2019isic2018` at 96 px, sized for a CPU: the half-million-parameter network, 300 steps of 8 + 8
# pictures as the paper has them, three seeds, 75 trials (`experiments/dme-fd/isic2018-96-rivals.yaml`). CCVC
# {cite}`wang2023ccvc`, of which the paper takes one loss in Table 5, is there as a whole.

# %%
rows = dme_fd.TABLE_1 | {"ccvc": ""}
real = by_share(results / "isic2018-96-rivals", rows)
share_table(real, "dme-fd", 1, rows, data="isic2018")

# %% tags=["hide-input"]
gains = differences_by_share(real, "dme-fd")
intervals([gain.row for gain in gains], "Dice points, 95 % interval")

# %% tags=["remove-input"]
say("On ISIC 2018, in this set-up, DME-FD is {gains}.", gains=gains)

# %% [markdown]
# The paper's order has supervised training last and DME-FD first. Ours is no verdict on the paper, whose network is eighty
# times as large and trains for a hundred times as long. But there is a second order from the same code. With a network six
# times as large as here and 16 pictures a step ([chapter 1](01_dme_fd.ipynb) has the table), one finds:

# %% tags=["remove-input"]
larger = by_share(results / "isic2018-96", dme_fd.TABLE_1)
say("There DME-FD is {gains}.", gains=differences_by_share(larger, "dme-fd"))

# %% [markdown]
# A table of methods is a table of methods *in one set-up*, and says little about another.
#
# The last column asks whether labels are what is short at all:

# %% tags=["remove-input"]
by_labels = group_results(
    results / "isic2018-96-rivals",
    lambda item: f"{item.n['labelled']}" if item.trial.method == "supervised" else None,
)
all_labels = max(by_labels, key=lambda group: int(group.name))
say(
    "Supervised training with all {n} labels is, against fewer, {gains}.",
    n=all_labels.name,
    gains=differences(by_labels, all_labels.name),
)

# %% [markdown]
# Where more labels do not help, pictures without labels can hardly do better, and what is short after 300 steps is training. Why
# DME-FD stands where it does is found further down, in "Tables 3 to 5 on real pictures"; a set-up in which labels do matter follows
# in "Ground on which labels matter". And the seeds again:

# %% tags=["remove-input"]
fewest = real[labels(0.02)]
say(
    "With {n} labels the standard deviations over seeds go from {spread:span} points; "
    "that of supervised training is {own:points}.",
    n=fewest[0].trials[0].n["labelled"],
    spread=[group.seed_spread for group in fewest],
    own=named(fewest, "supervised").seed_spread,
)

# %% [markdown]
# ## Table 3: how the two masks are joined

# %%
table_3 = at_share(results / f"table-3-{scale}", 0.04, dme_fd.RULES)
method_table(table_3, "dme-fd", 3, dme_fd.TABLE_3, data="isic2018", labelled=0.04)

# %%
difference_table(table_3, "union")

# %% tags=["remove-input"]
means, spreads = zip(
    *(dme_fd.printed(3, row) for row in dme_fd.TABLE_3.values()), strict=True
)
say(
    "The four means that the paper prints lie within {width:points}; its standard "
    "deviations over folds go from {sd:span} points.",
    width=max(means) - min(means),
    sd=list(spreads),
)

# %% [markdown]
# ## Table 4: which component is worth what

# %%
table_4 = dme_fd.by_part(results / f"table-4-{scale}")
method_table(table_4, "dme-fd", 4, dme_fd.TABLE_4, data="isic2018", labelled=0.04)

# %%
difference_table(table_4, "joint mask and FDL")

# %% [markdown]
# ## Table 5: CCVC's cosine loss in the place of FDL

# %%
table_5 = results / f"table-5-{scale}"
at_4, at_8 = (at_share(table_5, share, dme_fd.FEATURE_LOSS) for share in (0.04, 0.08))
method_table(at_4, "dme-fd", 5, dme_fd.TABLE_5, data="isic2018", labelled=0.04)

# %%
method_table(at_8, "dme-fd", 5, dme_fd.TABLE_5, data="isic2018", labelled=0.08)

# %% tags=["remove-input"]
say(
    "Dice with FDL is {at_4} against CCVC's loss at 4 % labelled, and {at_8} at 8 % "
    "labelled.",
    at_4=compare(at_4, "FDL", "CCVC"),
    at_8=compare(at_8, "FDL", "CCVC"),
)

# %% [markdown]
# ## Tables 3 to 5 on real pictures
#
# The same on ISIC 2018, in the set-up of the real Table 1 above (`experiments/dme-fd/isic2018-96-parts.yaml`). How the masks are
# joined:

# %%
parts = results / "isic2018-96-parts"
real_rules = at_share(parts, 0.04, dme_fd.RULES)
method_table(real_rules, "dme-fd", 3, dme_fd.TABLE_3, data="isic2018", labelled=0.04)

# %%
difference_table(real_rules, "union")

# %% [markdown]
# Which component is worth what:

# %%
real_parts = dme_fd.by_part(results / "isic2018-96-rivals", parts)
method_table(real_parts, "dme-fd", 4, dme_fd.TABLE_4, data="isic2018", labelled=0.04)

# %%
difference_table(real_parts, "joint mask and FDL")

# %%
difference_table(real_parts, "joint mask")

# %% [markdown]
# CCVC's loss in the place of FDL, with 4 % labelled and with 8 % labelled:

# %%
real_at_4, real_at_8 = (
    at_share(parts, share, dme_fd.FEATURE_LOSS) for share in (0.04, 0.08)
)
method_table(real_at_4, "dme-fd", 5, dme_fd.TABLE_5, data="isic2018", labelled=0.04)

# %%
method_table(real_at_8, "dme-fd", 5, dme_fd.TABLE_5, data="isic2018", labelled=0.08)

# %% [markdown]
# Now look for what stands behind the real Table 1 above. First the discrepancy loss, as it is printed:

# %% tags=["remove-input"]
printed = [
    dme_fd.printed(4, "Sup+CPS+DME+FDL")[0] - dme_fd.printed(4, "Sup+CPS+DME")[0],
    dme_fd.printed(5, "FDL")[0] - dme_fd.printed(5, "CCVC")[0],
    dme_fd.printed(5, "FDL", 0.08)[0] - dme_fd.printed(5, "CCVC", 0.08)[0],
]
say(
    "**With FDL** Dice is {none} against no discrepancy loss at 4 % labelled, "
    "{cosine_4} against CCVC's cosine at 4 % labelled, and {cosine_8} at 8 % labelled. "
    "For the same three the paper prints gains of {printed:span} points.",
    none=compare(real_parts, "joint mask and FDL", "joint mask"),
    cosine_4=compare(real_at_4, "FDL", "CCVC"),
    cosine_8=compare(real_at_8, "FDL", "CCVC"),
    printed=printed,
)

# %% tags=["remove-input"]
means = [group.mean for group in real_rules]
printed = [dme_fd.printed(3, row)[0] for row in dme_fd.TABLE_3.values()]
say(
    "**Without FDL** DME-FD is {without} against plain supervised training; with the "
    "cosine in its place, {cosine}. **The joint mask** is {joint} on top of cross "
    "supervision. **The rule** that joins the masks: ours lie within {rules:points} of "
    "one another, those that the paper prints within {printed:points}.",
    without=compare(real_parts, "joint mask", "supervised"),
    cosine=paired(named(real_at_4, "CCVC"), named(real_parts, "supervised")),
    joint=compare(real_parts, "joint mask", "cross supervision"),
    rules=max(means) - min(means),
    printed=max(printed) - min(printed),
)

# %% [markdown]
# Where FDL costs points, look at what it does to the optimiser: "What the optimiser remembers", further down.
#
# ## Ground on which labels matter
#
# Where labels are worth little, no method can show that it saves any, and most comparisons above stand on such ground. So one more
# experiment was written down before it was run; `experiments/dme-fd/fair.yaml` has the whole plan. One set-up serves every arm: an
# encoder with ImageNet weights, one size, rate and number of steps, chosen with supervised training alone and on the validation
# part alone. Each arm learns from 29, 59 and 118 labels, as many as the paper has, five times, and its last weights are scored.
# What decides was named beforehand too: DME-FD as printed minus itself without FDL, and minus each rival.
#
# First the choice. The largest headroom of all belongs to networks that are bad even with all labels, so the rule asks for both:
# near the best with all labels, and of those the one in which labels are worth most.

# %% tags=["hide-input"]
from tutseg.report import fair as fairly
from tutseg.training.chapter import experiment

pilot = experiment("dme-fd", "fair-pilot")
fairly.pilot_table(pilot)

# %% tags=["remove-input"]
tried = fairly.pilots(pilot)
eligible = [each for each in tried if each.eligible]
say(
    "Of {n} set-ups {near} are near the best. The plan took this one: {chosen}; there "
    "labels are worth {room:points} on the validation part.",
    n=len(tried),
    near=len(eligible),
    chosen=eligible[0],
    room=eligible[0].headroom,
)

# %% [markdown]
# Then the headroom on the test pictures, for each number of labels:

# %% tags=["hide-input"]
fair = fairly.read_fair(experiment("dme-fd", "fair"))
fairly.headroom_table(fair)

# %% tags=["remove-input"]
say("Supervised training with all labels is, {rooms}.", rooms=fairly.told_headrooms(fair))

# %% [markdown]
# ### Every arm of the plan
#
# "FDL as printed" is the paper's method; arms named after FDL or CCVC change one thing in it. "CPS ramped" is the first step of the
# paper's Table 4, with a weight of the pseudo-labels that grows as in DME-FD; "CPS raw" has the full weight from the start, as CPS was published.

# %% tags=["hide-input"]
fairly.arms_table(fair)

# %% tags=["hide-input"]
fairly.primary_table(fair)

# %% tags=["remove-input"]
say(
    "FDL as printed is\n\n{found}",
    found="\n".join(
        f"- with {n:g} labels {fairly.told_primary(fairly.primary(fair, n))}"
        for n in fair.labels
    ),
)

# %% [markdown]
# A difference that the words call undecided may still be large: look at what could be seen. It follows from the spread between
# seeds, and where an arm learns well from one draw of labels and badly from the next, five seeds see only large differences.
#
# Trained for longer, does the encoder that FDL holds back catch up? (`experiments/dme-fd/fair-long.yaml`)

# %% tags=["remove-input"]
longer = experiment("dme-fd", "fair-long")
say(
    "FDL as printed with {few:g} labels, after {steps} steps beside the plan's: {found}.",
    few=longer.trials[0].labelled,
    steps=longer.trials[0].steps,
    found=fairly.told_longer(fair, longer),
)

# %% [markdown]
# ### Too much or too little
#
# Dice does not say in which direction an arm is wrong. Sensitivity is the share of the lesion that is found, precision the share of
# what is marked that is lesion:

# %% tags=["hide-input"]
fairly.area_table(fair)

# %% tags=["remove-input"]
say(
    "An arm that is higher in sensitivity than supervised training and lower in "
    "precision marks too much. Those are{found}",
    found="".join(
        f"\n- with {n:g} labels: {names(fairly.draws_too_much(fair, n))}"
        for n in fair.labels
        if fair.found[fairly.FEW, n]
    ),
)

# %% [markdown]
# ## Figure 6: another clinic
#
# The paper trains on one data set and tests on another. The drawn stand-in is two clinics with different instruments
# (`experiments/dme-fd/figure-6.yaml`); DME-FD, 4 % labelled.

# %%
drawn_clinics = group_results(results / "figure-6", dme_fd.clinics)
score_table(drawn_clinics, "Across drawn clinics")

# %% [markdown]
# With real pictures the other clinic is PH2, in the place of HAM10000 (`experiments/dme-fd/figure-6-real.yaml`, scale `cpu`;
# 63 labelled pictures of ISIC 2018, or 43 of PH2, which is half of what it has for training). A network away from home is
# tested on every picture of the other set:

# %%
real_clinics = group_results(results / "figure-6-real-cpu", dme_fd.clinics)
score_table(real_clinics, "Between ISIC 2018 and PH2")

# %% tags=["remove-input"]
say(
    "Dice of a network from clinic a: {a}; from clinic b: {b}; from ISIC 2018: {isic}; "
    "from PH2: {ph2}.",
    **dme_fd.journeys([*drawn_clinics, *real_clinics]),
)

# %% [markdown]
# Read it by where the test was, not by where the training was. A score that is higher away than at home looks like
# robustness; but it may be that the other pictures are easier, and those of PH2 are, for networks that saw
# [drawn ones](../book/drawn.md) alone as well. Put each number beside that of a network which was at home where the test was: only then
# does a "cross-domain" number say how far a method carries. The paper's Figure 6 shows pictures of this experiment, without
# either number.
#
# ## What each choice is worth
#
# What the paper leaves open, or says otherwise than its code does, one at a time
# (`experiments/dme-fd/choices.yaml`, 4 % labelled). The default is the paper's words.

# %%
choices = group_results(results / f"choices-{scale}", dme_fd.choice)
score_table(choices, "DME-FD and what it leaves open")

# %%
difference_table(choices, "as printed")

# %% [markdown]
# Some of these rows are experiments of their own. `ramp = code` is the consistency weight as the published script computes
# it, which never leaves zero. With the *sum* in Eq. 6 the discrepancy all but vanishes, and `fdl = none` leaves it out. `tau` is the
# threshold that the paper fixes without a search; a high one makes more pixels unsure, and unsure means background.

# %% tags=["remove-input"]
worth = {gain.other: gain for gain in differences(choices, "as printed")}
say(
    "The method as written is {ramp} against the ramp as published, {total} against "
    "the sum, and {none} against no discrepancy at all. At its own threshold it is "
    "{taus}.",
    ramp=worth["ramp = code"],
    total=worth["reduction = sum"],
    none=worth["fdl = none"],
    taus=[gain for name, gain in worth.items() if name.startswith("tau")],
)

# %% [markdown]
# And supervised training on strongly augmented views asks whether the gain of "semi-supervision" is the gain of
# augmentation:

# %%
with_strong = [group for group in choices if "strong" in group.name]
difference_table(with_strong, "strong views of labelled pictures")

# %% tags=["remove-input"]
strong, plain = "strong views of labelled pictures", "supervised, strong views"
say(
    "DME-FD on strong views is {gain} against supervised training on the same views. "
    "The highest mean of the table above is that of `{best}`.",
    gain=compare(with_strong, strong, plain),
    best=max(choices, key=lambda group: group.mean).name,
)

# %% [markdown]
# A comparison that gives the strong views to the unlabelled pictures alone compares augmentations as much as methods.
#
# ### Mean or sum, and the floor of the discrepancy
#
# With the mean over $C$ channels, two one-hot vectors on different channels are $2/C$ apart, so $L_{dis}$ cannot fall below
# $C/2$. With the sum over channels and all $hw$ positions it can fall to $1/(2hw)$ and hardly acts. Random features on 8 by 8
# positions, and the farthest pair there is:

# %%
import torch

from tutseg.methods.co_training.dme_fd import discrepancy

for channels in (16, 128, 320, 768):
    generator = torch.Generator().manual_seed(0)
    f1, f2 = torch.randn(2, 1, channels, 8, 8, generator=generator)
    far = torch.full((2, 1, channels, 8, 8), -100.0)
    far[0, :, 0], far[1, :, 1] = 100.0, 100.0
    found = [
        f"{discrepancy(a, b, reduction=r):8.3g}"
        for r in ("mean", "sum")
        for a, b in ((f1, f2), tuple(far))
    ]
    print(
        "C = {:3d}   mean: random {} farthest {}   sum: random {} farthest {}".format(
            channels, *found
        )
    )

# %% [markdown]
# ### What the optimiser remembers
#
# A floor is a constant, and a constant has no gradient: it drives nothing. Earlier editions of this book suspected the floor where
# FDL costs points; we take that back. What acts is the gradient of $1/D$ while the branches are still alike, and how long AdamW
# remembers it. AdamW divides its step by $\sqrt{\hat v}$, where $\hat v$ averages the squared gradients of about the last
# $1/(1-\beta_2) = 1000$ steps. A gradient that is far larger than all later ones therefore makes every later step small, for as
# long as it is remembered; that $\beta$ has long become small does not help.
#
# Two small trainings on drawn pictures, with the same weights and the same batches, show it. At each step the gradient of every
# weight is divided by its own $\sqrt{\hat v}$; drawn is the median over weights of branch 1. Near one is an ordinary step, near
# zero none at all. Only the encoder is reached by FDL's gradient.

# %%
from tutseg.report.lines import curves
from tutseg.training.memory import memory_of
from tutseg.training.trial import make_trial

small = {
    "data": "synth",
    "data_options": {"n": 120, "size": 32},
    "labelled": 0.1,
    "net": "unet-s",
    **{"size": 32, "steps": 120, "batch": 4, "lr": 0.002},
}
memories = {
    name: memory_of(make_trial(method="dme-fd", options={"fdl": fdl}, **small))
    for name, fdl in (("with FDL", "l1"), ("without FDL", "none"))
}

# %% tags=["hide-input"]
curves(
    {name: [memory] for name, memory in memories.items()},
    {part: f"|g| / √v̂ in the {part}" for part in ("encoder", "decoder")},
)

# %% tags=["remove-input"]
import numpy as np

last = 20
medians = {
    f"{part} {name}": float(np.median(memory[part][-last:]))
    for name, memory in memories.items()
    for part in ("encoder", "decoder")
}
first = [memory["|g| of encoder"][0] for memory in memories.values()]
say(
    "At the first step FDL makes the encoder's gradient {times:.0f} times as long. Over "
    "the last {last} steps the ratio of the encoder is {encoder with FDL:.2g} with FDL "
    "and {encoder without FDL:.2g} without; that of the decoder {decoder with FDL:.2g} "
    "and {decoder without FDL:.2g}.",
    times=first[0] / first[1],
    last=last,
    **medians,
)

# %% [markdown]
# So the two schedules of the paper cannot be read apart from its optimiser. Of the arms of the fair experiment above, one has a
# shorter memory and one the paper's schedule of the learning rate.
#
# ### Equal steps or equal epochs
#
# The authors train supervised-only for 80 epochs over the *labelled* pictures, and the other methods for 80 epochs over the
# unlabelled ones. At 4 % labelled and the scale of this page that is 8 steps beside 200:

# %%
matched = group_results(
    results / f"epochs-matched-{scale}",
    lambda item: f"supervised, {item.trial.steps} steps",
)
matched.append(named(table_4, "supervised"))
score_table(
    matched, "Supervised-only, epoch-matched and step-matched (the row 'supervised')"
)

# %% [markdown]
# After so few steps a network has hardly left its initial weights. Any method beats such a baseline.
#
# ## What the paper claims, and what these trials say
#
# The verdicts come from the real pictures where there are any; [the ledger](../book/ledger.md) explains them.

# %%
from tutseg.report.ledger import claims_table

claims_table("dme-fd")
