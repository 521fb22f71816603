# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # Pictures, masks, and what a score is
#
# Before any method: what goes in, and what comes out as a number. Both decide more than is comfortable. "The Dice"
# can be three different numbers for one and the same prediction, and a split can let a network recognise its own
# training pictures. This page shows the data the book runs on, how it is divided, and every score the five papers use.

# %% tags=["parameters"]
PROFILE = "lab"  # lab, gpu or paper

# %%
from tutseg.workflow.profiles import load_profile

profile = load_profile("00_data_and_metrics", PROFILE)
size, n = profile.settings["size"], profile.settings["pictures"]
print(f"profile {PROFILE}: {profile.hardware}, about {profile.minutes:g} minutes")
print(f"expect: {profile.expect}")

# %% [markdown]
# ## Drawn lesions
#
# The licences of the real data sets forbid handing them on, so this book draws its own: skin, a lesion with a smooth
# random outline, and what gets in the way. Every picture follows from its index alone, at any size.

# %%
from tutseg.data import open_source
from tutseg.report.photographs import outlined

drawn = open_source("synth", n=n, size=size)
outlined(drawn, 18)

# %% [markdown]
# Each artefact has a switch and a mask of its own, so "hard cases" (DME-FD's Figure 5) can be made one at a time:

# %% tags=["hide-input"]
from tutseg.data.draw_dermoscopy import ARTEFACTS
from tutseg.report.photographs import pictures

alone = {
    name: open_source("synth", n=3, size=size, artefacts=(name,))[2]
    for name in ("", *ARTEFACTS)
    if name
}
pictures(
    [sample.image for sample in alone.values()]
    + [sample.extra[name] * 1.0 for name, sample in alone.items()],
    list(alone)
    + [f"its mask ({sample.extra[name].mean():.1%})" for name, sample in alone.items()],
    columns=len(alone),
)
# %% [markdown]
# A drawn picture knows what no photograph tells: the exact outline, how fuzzy it is at each pixel, and what several
# annotators with different habits would have drawn.

# %% tags=["hide-input"]
from tutseg.data.noise import agreement

judged = [open_source("synth", n=6, size=size, annotators=5)[i] for i in range(4)]
maps = [agreement(sample.extra["annotators"])[0] for sample in judged]
pictures(
    [s.image for s in judged] + [s.extra["fuzziness"] for s in judged] + maps,
    [s.id for s in judged] + ["fuzziness"] * 4 + ["annotators agree"] * 4,
    columns=4,
)
# %% [markdown]
# Do simulated annotators disagree where the border is fuzzy, as real ones do? Pixels by fuzziness, and how often two
# annotators give them the same label:

# %% tags=["hide-input"]
from tutseg.report.lines import agreement_curve

agreement_curve(
    open_source("synth", n=profile.settings["judged"], size=size, annotators=5)
)
# %% [markdown]
# Two drawn "clinics" differ in light, colour and instrument; training in one and testing in the other is the book's
# stand-in for DME-FD's Figure 6.

# %% tags=["hide-input"]
clinics = [
    open_source("synth", n=6, size=size, clinic=clinic)[i]
    for clinic in ("a", "b")
    for i in range(6)
]
pictures([s.image for s in clinics], [f"clinic {c}" for c in "a" * 6 + "b" * 6])
# %% [markdown]
# ### What each drawn feature is worth
#
# The test of the drawing is a network that has seen nothing else and is shown real pictures
# ([the whole story](../book/drawn.md)). Here features were left out one group at a time, in short trainings at 64 px; a
# positive number means that the network misses them. Predict first: which artefact matters most on PH2, whose every
# picture was taken through a round tube?

# %%
from tutseg.files import project_root
from tutseg.report.drawn import ablation_reading, ablation_table

ablation = project_root() / "results" / "drawn" / "ablation"
ablation_table(ablation)

# %% tags=["remove-input"]
ablation_reading(ablation)

# %% [markdown]
# ## A split that does not leak
#
# Five folds; a tenth of what is left for validation; of the rest, a few pictures keep their masks and the others lose
# them. Smaller labelled sets lie inside larger ones, so a curve over the labelled share is a curve and not noise.

# %%
from tutseg.data.splits import make_split

nested = {}
for share in (0.02, 0.04, 0.08, 0.16):
    split = make_split(drawn.ids, drawn.groups, share, fold=0, seed=0)
    nested[share] = set(split.labelled)
    counts = {
        part: len(getattr(split, part))
        for part in ("labelled", "unlabelled", "validation", "test")
    }
    print(f"{share:.0%} labelled: {counts}")
print("nested:", nested[0.02] < nested[0.04] < nested[0.08] < nested[0.16])

# %% [markdown]
# "Group" matters on real data: two photographs of one lesion, or neighbouring frames of one video, must not be divided
# between training and test. The program looks for near-copies with a perceptual hash. On the real sets it found:

# %%
from tutseg.report.csv_tables import csv_table

csv_table(
    project_root() / "results" / "duplicates.csv",
    {
        "data": "data set",
        "pictures": "pictures",
        "pairs": "near-duplicate pairs",
        "groups": "groups",
        "leaked_paper": "test pictures with kin in training, split by picture",
        "leaked_honest": "the same, split by group",
    },
    "Near-copies in real data sets, and what a split by picture does with them",
)

# %% [markdown]
# All 550 frames of CVC-ClinicDB have a near neighbour in training when frames are split at random: a network can score
# well there by remembering. How well? The same test pictures, and equally many training pictures, among them the test
# pictures' kin or not:

# %%
from tutseg.report.leaks import leak_gain, leak_table

leaks = project_root() / "results" / "data" / "leaks"
leak_table(leaks)

# %% tags=["remove-input"]
from tutseg.report.say import say

say(
    "With another frame of the same video in training, Dice on CVC-ClinicDB is {video}; "
    "with near-copies, Dice on ISIC 2018 is {copies}.",
    video=leak_gain(leaks, "cvc-clinicdb", "with-kin"),
    copies=leak_gain(leaks, "isic2018", "with-kin"),
)

# %% [markdown]
# Read a gain by its upper end too: a table of polyp Dice that splits frames at random can be that much too high. The pictures of
# ISIC 2018 are seen four times each here, which is too seldom to learn one by heart. The longer the training, the more a
# leak is worth, so these are lower bounds.
#
# "The picture itself" is what happens when a test set was part of the training set under another name: the pictures of
# ISIC 2017 are all in ISIC 2018, under the same ids (`tutseg.data.leaks.shared_ids` finds them).
#
# ## The scores
#
# Everything starts with four counts of pixels: $TP$, $FP$, $FN$ and $TN$ (lesion is positive). Then
#
# $$\begin{gathered}
# D = \frac{2TP}{2TP+FP+FN},\quad J = \frac{TP}{TP+FP+FN} = \frac{D}{2-D}, \\
# \mathrm{PRE} = \frac{TP}{TP+FP},\quad \mathrm{SEN} = \frac{TP}{TP+FN},\quad \mathrm{SPE} = \frac{TN}{TN+FP},
# \end{gathered}$$
#
# Hammoude's $HM = 1 - J$ and $XOR = (FP+FN)/(TP+FN)$, and two distances between outlines, HD95 and ASD.

# %%
from tutseg.metrics import area_scores
from tutseg.report.source import show

show(area_scores)

# %% [markdown]
# ### One prediction, three numbers
#
# Let one simulated annotator play the network. The same masks, averaged per picture, over batches of five whose pixels
# are pooled (DME-FD's script), and over all pixels (the VM-UNet family):

# %%
import numpy as np

from tutseg.metrics import score
from tutseg.report.tables import scores_table

panel = open_source("synth", n=profile.settings["judged"], size=size, annotators=3)
samples = list(panel)
truth = np.stack([sample.mask for sample in samples]) > 0
prediction = np.stack([sample.extra["annotators"][0] for sample in samples]) > 0
scores_table(
    score(prediction, truth),
    f"Annotator 1 against the truth, {len(samples)} drawn pictures of {size} px",
)

# %% [markdown]
# Nothing is wrong with any of the three columns; they answer different questions. What is wrong is to put two of them
# into one column of one table. A program can often tell, because $f(D) = D/(2-D)$ is convex: if $D$ and $J$ are averaged
# over the *same* units, then
#
# $$\overline{J} \;\ge\; f(\overline{D}),$$
#
# with equality only when all units have the same Dice. The gap measures the spread between units.

# %% tags=["hide-input"]
from tutseg.report.lines import gap_figure

gap_figure(prediction, truth)
# %% [markdown]
# That inequality is the audit's sharpest tool: a printed row below the curve is impossible under *any* averaging. Among
# the five papers' tables it finds such rows; see [the audit](../book/audit.md).
#
# ### Empty masks
#
# What is the Dice of an empty prediction on an empty truth? Official codes say 0, 1, or raise an error; one gives an
# empty prediction the *best* Hausdorff distance. Here: both empty, everything is perfect; one empty, Dice is 0 and the
# distance is the picture's diagonal. No picture is ever dropped.

# %%
empty, dot = np.zeros((1, 32, 32), bool), np.zeros((1, 32, 32), bool)
dot[0, 16, 16] = True
for name, (p, t) in {
    "both empty": (empty, empty),
    "missed": (empty, dot),
    "false alarm": (dot, empty),
}.items():
    cells = score(p, t)
    dice, hd95 = (cells[each]["per_image"]["mean"] for each in ("dice", "hd95"))
    print(f"{name:<12} Dice {dice:.0f}, HD95 {hd95:.1f} px")

# %% [markdown]
# ## Exercises
#
# ```{exercise-start} ★ From Dice to Jaccard
# :label: ex-data-jaccard
# ```
# A table prints a mean Dice of 83.44 and a mean Jaccard of 68.97, both averaged over the same pictures. Is that possible?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-data-jaccard
# :class: dropdown
# ```
# No. $f(0.8344) = 0.8344/(2-0.8344) = 0.7159$, and the mean Jaccard cannot be smaller than that.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ Which average is the largest?
# :label: ex-data-average
# ```
# Small lesions are harder. Predict the order of the three averagings of Dice, then read it off the table above. When
# would the order turn round?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-data-average
# :class: dropdown
# ```
# Pooling weighs a picture by its lesion pixels, so when small lesions have lower Dice, pooled > batches > per picture. It
# turns round when the *large* lesions are the badly segmented ones.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ A leak, counted
# :label: ex-data-leak
# ```
# A data set has 612 frames of 29 videos. You split frames at random, 80 to 20. About how many test frames have the frame
# before or after them in training?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-data-leak
# :class: dropdown
# ```
# Each neighbour is in training with probability 0.8, so at least one of the two is with $1 - 0.2^2 = 0.96$: nearly all.
# ```{solution-end}
# ```
