# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # DME-FD: every table of the paper
#
# [The chapter](01_dme_fd.ipynb) trains three methods while you read. The paper {cite}`nguyen2025dmefd` compares many more,
# and this page sets all of them beside our trials: Tables 1 and 3 to 5, Figures 3, 4 and 6, and the experiments that the
# paper should have had. Nothing is trained here; each table names the list of trials it comes from, and
# `tutseg grid experiments/dme-fd/table-1.yaml --scale lab`, followed by the same with `--collect results`, makes it again.
#
# The scale `lab` is small: drawn pictures of 64 px, a network of half a million parameters, 200 steps of 8 + 8 pictures.
# It can show which methods differ at all under such a budget. It cannot show that the paper's numbers are right or wrong.

# %% tags=["parameters"]
PROFILE = "lab"  # lab, gpu or paper

# %%
from tutseg.files import canonical_json, project_root
from tutseg.report.groups import group_results
from tutseg.report.tables import (
    at_share,
    difference_table,
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
TABLE_1 = {
    "supervised": "SupOnly",
    "pseudoseg": "PseudoSeg",
    "cct": "CCT",
    "cps": "CPS",
    "gta-seg": "GTA-Seg",
    "unimatch": "UniMatch",
    "dme-fd": "Ours",
}
SHARES = (0.01, 0.02, 0.04, 0.08, 1.0)
table_1, gains = share_table(
    results / f"table-1-{scale}", "dme-fd", 1, SHARES, TABLE_1, "dme-fd", data="isic2018"
)
table_1

# %% [markdown]
# DME-FD minus each of the others, on the same test pictures and with the same seeds:

# %% tags=["hide-input"]
from tutseg.report.statistical import intervals

intervals(
    [(name, *(100 * x for x in gain)) for name, *gain in gains],
    "Dice points, 95 % interval",
)
# %% [markdown]
# At scale `lab`, 1 % is two labelled pictures, and which two they are decides more than the method does: the seeds of most rivals
# scatter by twenty points and more. DME-FD is ahead of CCT and GTA-Seg; plain supervised training has the highest mean,
# which nobody prints for 1 %. With five labelled pictures (2 %), DME-FD is ahead of supervised training and of every rival but two that
# are too uncertain to tell. With eleven it is ahead of PseudoSeg alone, and with twenty-three it is behind supervised
# training for the same number of steps; all else is undecided there. So the paper's orders at 1 and 2 % hold in part, and those
# at 4 and 8 % could hardly be tested. 200 steps are few; that methods which wait for confident pseudo-labels (UniMatch,
# GTA-Seg) come last at 1 and 2 % may be due to that.
#
# ### What they predict: Figures 3 and 4
#
# The first five test pictures at 2 % labelled, one trial of each method. White: the truth. Numbers: Dice. Drawn by the same
# command with `--contours`.

# %% tags=["hide-input"]
from tutseg.report.photographs import Stored

at_2 = group_results(
    results / f"table-1-{scale}",
    lambda item: item.trial.method if item.trial.labelled == 0.02 else None,
)
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
# {cite}`wang2023ccvc`, of which the paper takes one loss in Table 5, is there as a whole. [Chapter 1](01_dme_fd.ipynb) has three of the
# methods with a network six times as large.

# %%
real, gains = share_table(
    results / "isic2018-96-rivals",
    "dme-fd",
    1,
    SHARES,
    TABLE_1 | {"ccvc": ""},
    "dme-fd",
    data="isic2018",
)
real

# %% tags=["hide-input"]
intervals(
    [(name, *(100 * x for x in gain)) for name, *gain in gains],
    "Dice points, 95 % interval",
)
# %% [markdown]
# The paper's order has supervised training last and DME-FD first. At this budget it is nearly the reverse: supervised
# training for as many steps is ahead at every share, and at 8 % DME-FD is behind most of its rivals as well. That is no
# verdict on the paper, whose network is eighty times as large and trains for a hundred times as long. But it is a second order
# from the same code: with the larger network and 16 pictures a step, [chapter 1](01_dme_fd.ipynb) found DME-FD ahead of cross
# supervision at 2 %. A table of methods is a table of methods *in one set-up*, and says little about another.
#
# The last column may say why nobody gains much: with *all* 1579 labels supervised training is no better than with 126. What is short
# after 300 steps is training, not labels, and where labels are not short, pictures without labels can add nothing. Why
# DME-FD *loses* is found further down, in "Tables 3 to 5 on real pictures".
#
# Look at the spreads over seeds, too: with 31 labels most rivals scatter by four to eight points, supervised training by
# two. One training of each would have supported almost any order.
#
# ## Table 3: how the two masks are joined

# %%
RULES = {
    "{}": "union",
    '{"combine":"intersect"}': "intersection",
    '{"combine":"self"}': "self-teaching",
    '{"combine":"cross"}': "cross-view",
}
table_3 = group_results(
    results / f"table-3-{scale}", lambda item: RULES[canonical_json(item.trial.options)]
)
in_table_3 = {
    "union": "Union",
    "intersection": "Intersect",
    "self-teaching": "Self-teaching",
    "cross-view": "Cross-view teaching",
}
method_table(table_3, "dme-fd", 3, in_table_3, data="isic2018", labelled=0.04)

# %%
difference_table(table_3, "union")

# %% [markdown]
# The paper's own spreads over folds (0.7 to 1.1) are as large as the differences it prints (0.6).
#
# ## Table 4: which component is worth what

# %%
PARTS = {
    '{"dme":false,"fdl":"none"}': "cross supervision",
    '{"fdl":"none"}': "+ joint mask",
    "{}": "+ joint mask + FDL",
}
table_4 = group_results(
    results / f"table-4-{scale}",
    lambda item: (
        PARTS.get(canonical_json(item.trial.options))
        if item.trial.method == "dme-fd"
        else item.trial.method
    ),
)
in_table_4 = {
    "supervised": "Sup",
    "cross supervision": "Sup+CPS",
    "+ joint mask": "Sup+CPS+DME",
    "+ joint mask + FDL": "Sup+CPS+DME+FDL",
}
table_4.sort(key=lambda group: list(in_table_4).index(group.name))
method_table(table_4, "dme-fd", 4, in_table_4, data="isic2018", labelled=0.04)

# %%
difference_table(table_4, "+ joint mask + FDL")

# %% [markdown]
# ## Table 5: CCVC's cosine loss in the place of FDL

# %%
FEATURE_LOSS = {"{}": "FDL", '{"fdl":"cosine"}': "CCVC"}
table_5 = results / f"table-5-{scale}"
at_4 = at_share(table_5, 0.04, FEATURE_LOSS)
method_table(
    at_4, "dme-fd", 5, {"FDL": "FDL", "CCVC": "CCVC"}, data="isic2018", labelled=0.04
)

# %%
difference_table(at_4, "FDL")

# %%
at_8 = at_share(table_5, 0.08, FEATURE_LOSS)
method_table(
    at_8, "dme-fd", 5, {"FDL": "FDL", "CCVC": "CCVC"}, data="isic2018", labelled=0.08
)

# %%
difference_table(at_8, "FDL")

# %% [markdown]
# At 4 % the difference cannot be told; at 8 % the paper's loss does worse than the one it replaces. Its floor of $C/2$ is
# a likely reason: until $\beta$ has fallen a hundredfold, the encoder is driven by a number that it can hardly lower.
#
# ## Tables 3 to 5 on real pictures
#
# The same on ISIC 2018, in the set-up of the real Table 1 above (`experiments/dme-fd/isic2018-96-parts.yaml`). How the masks are
# joined:

# %%
parts = results / "isic2018-96-parts"
real_rules = at_share(parts, 0.04, RULES)
method_table(real_rules, "dme-fd", 3, in_table_3, data="isic2018", labelled=0.04)

# %%
difference_table(real_rules, "union")

# %% [markdown]
# Which component is worth what:

# %%
alone = group_results(
    results / "isic2018-96-rivals",
    lambda item: (
        "supervised"
        if (item.trial.method, item.trial.labelled) == ("supervised", 0.04)
        else None
    ),
)
real_parts = sorted(
    alone + at_share(parts, 0.04, PARTS),
    key=lambda group: list(in_table_4).index(group.name),
)
method_table(real_parts, "dme-fd", 4, in_table_4, data="isic2018", labelled=0.04)

# %%
difference_table(real_parts, "+ joint mask + FDL")

# %%
difference_table(real_parts, "+ joint mask")

# %% [markdown]
# CCVC's loss in the place of FDL, with 4 % and with 8 % labelled:

# %%
real_at_4 = at_share(parts, 0.04, FEATURE_LOSS)
method_table(
    real_at_4, "dme-fd", 5, {"FDL": "FDL", "CCVC": "CCVC"}, data="isic2018", labelled=0.04
)

# %%
difference_table(real_at_4, "FDL")

# %%
real_at_8 = at_share(parts, 0.08, FEATURE_LOSS)
method_table(
    real_at_8, "dme-fd", 5, {"FDL": "FDL", "CCVC": "CCVC"}, data="isic2018", labelled=0.08
)

# %%
difference_table(real_at_8, "FDL")

# %% [markdown]
# Now the real Table 1 above can be explained. **The feature discrepancy as printed costs points here**: five against none (4 %
# labelled), five and six against CCVC's cosine (4 and 8 %). Without it DME-FD is level with plain supervised training, and so it
# is with the cosine. It is the same direction as on drawn pictures at 8 %, now with intervals far from zero, and the opposite of
# the paper's Tables 4 and 5. The floor of $C/2$ is what we suspect; the section on mean and sum below looks at it.
#
# The joint mask on top of cross supervision is not decided, and how the two masks are joined makes no difference: all four ways lie
# within a quarter of a point. The paper prints 0.6 points between them.
#
# ## Figure 6: another clinic
#
# The paper trains on one data set and tests on another. The drawn stand-in is two clinics with different instruments
# (`experiments/dme-fd/figure-6.yaml`); DME-FD, 4 % labelled.


# %%
def where(item):
    """From the data of a trial to the name of its row."""
    home, away = ("a", "b") if item.trial.data_options["clinic"] == "a" else ("b", "a")
    return f"trained in {home}, tested in {away if item.trial.test_data else home}"


score_table(group_results(results / "figure-6", where), "Across drawn clinics")

# %% [markdown]
# The change of clinic costs thirteen to eighteen points, more than any method of this page is worth.
#
# With real pictures the other clinic is PH2, in the place of HAM10000 (`experiments/dme-fd/figure-6-real.yaml`, scale `cpu`;
# 63 labelled pictures of ISIC 2018, or 43 of PH2, which is half of what it has for training). A network away from home is
# tested on every picture of the other set:


# %%
def where_real(item):
    """From the data of a trial to the name of its row."""
    home, away = item.trial.data, item.trial.test_data
    return f"trained on {home}, tested on {away or home}"


score_table(
    group_results(results / "figure-6-real-cpu", where_real), "Between ISIC 2018 and PH2"
)

# %% [markdown]
# Read it by where the test was, not by where the training was. Networks of ISIC 2018 score *higher* on PH2 than at
# home, which looks like robustness; but networks at home on PH2 score twelve points more there with fewer labels: its
# pictures are easier, for networks that saw [drawn ones](../book/drawn.md) alone as well. The way back costs some eight points. The
# paper's Figure 6 shows pictures of this experiment and says that performance "generally transfers well"; a "cross-domain"
# number says how far a method carries only beside the number of one that was at home there.
#
# ## What each choice is worth
#
# What the paper leaves open, or says otherwise than its code does, one at a time
# (`experiments/dme-fd/choices.yaml`, 4 % labelled). The default is the paper's words.


# %%
def choice(item):
    """From the options of a trial to the name of its row."""
    if item.trial.method == "supervised":
        return "supervised, strong views"
    name = ", ".join(f"{key} = {value}" for key, value in item.trial.options.items())
    strong = "strong views of labelled pictures" if item.trial.augment == "strong" else ""
    return ", ".join(filter(None, (name, strong))) or "as printed"


choices = group_results(results / f"choices-{scale}", choice)
score_table(choices, "DME-FD and what it leaves open")

# %%
difference_table(choices, "as printed")

# %% [markdown]
# Three of these rows are experiments of their own. `ramp = code` is the consistency weight as the published script computes
# it, which never leaves zero: the method as published loses several points to the method as written. With the *sum* in
# Eq. 6 the discrepancy all but vanishes, and Dice is higher than with the mean; that $L_{FDL}$ adds anything could not be
# shown at this budget. `tau` of 0.5, 0.7, 0.95 and 0.99 beside the default of 0.85 is the threshold that the paper fixes
# without a search: low ones cost nothing measurable; high ones do, and the more the higher, probably since unsure means
# background. And supervised training on strongly augmented views asks whether the gain of "semi-supervision" is the
# gain of augmentation:

# %%
with_strong = [g for g in choices if "strong" in g.name]
difference_table(with_strong, "strong views of labelled pictures")

# %% [markdown]
# Here it is: plain supervised training on strong views has the highest mean of the table above, and it beats DME-FD
# on the same views by nine points. A comparison that gives the strong views to the unlabelled pictures alone compares
# augmentations as much as methods.
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
# ### Equal steps or equal epochs
#
# The authors train supervised-only for 80 epochs over the *labelled* pictures, and the other methods for 80 epochs over the
# unlabelled ones. At 4 % labelled and the scale of this page that is 8 steps beside 200:

# %%
matched = group_results(
    results / f"epochs-matched-{scale}",
    lambda item: f"supervised, {item.trial.steps} steps",
)
matched += [group for group in table_4 if group.name == "supervised"]
score_table(
    matched, "Supervised-only, epoch-matched and step-matched (the row 'supervised')"
)

# %% [markdown]
# Eight steps leave the network where it started. Any method beats such a baseline.

# %% [markdown]
# ## What the paper claims, and what these trials say
#
# The verdicts come from the real pictures where there are any; [the ledger](../book/ledger.md) explains them.

# %%
from tutseg.report.ledger import claims_table

claims_table("dme-fd")
