# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # S3-Net: one picture, no labels at all
#
# The other papers of this book ask what many pictures without an outline can add to a few that have one. *S3-Net*
# {cite}`karimijafarbigloo2023s3net` has neither: a fresh network is trained for every picture, on that picture alone, and
# its only teacher is its own opinion. There is no training set that could be biased, and no test set either.
#
# On this page you will see the seven equations beside code, and step through the iterations of one picture;
# [another page](05b_s3_net_tables.ipynb) has the paper's tables beside ours. You will also meet the three mistakes that this book can best learn from, because each can be *shown* with a few lines: a loss
# that teaches nothing, an invariance that holds for everything, and an evaluation that looks at the answer.

# %% tags=["parameters"]
PROFILE = "lab"  # lab, gpu or paper

# %%
from tutseg.workflow.profiles import load_profile

profile = load_profile("05_s3_net", PROFILE)
print(f"profile {PROFILE}: {profile.hardware}, about {profile.minutes:g} minutes")
print(f"expect: {profile.expect}")

# %% [markdown]
# ## The idea in one picture
#
# The network gives each pixel one of $K = 64$ numbers. Every pixel's largest channel becomes its label, and the network
# is asked to be surer of it (cross-entropy). Since its few weights serve all pixels at once it cannot keep 64 clusters
# apart; similar pixels fall together, until three or fewer clusters are left. Then one of them is called the lesion.
#
# That core is older than the paper: it is Kanezaki's {cite}`kanezaki2018unsupervised`. S3-Net adds two losses, one for
# smooth borders ($L_S$) and one for stable labels under affine motion ($L_{AT}$), and a network with large-kernel
# attention and deformable convolution.

# %% tags=["hide-input"]
from tutseg.report.diagrams import diagram

diagram(
    {
        "x": (0, 1, "one picture\n$X$"),
        "e": (1, 1, "I-LKA\nblocks"),
        "d": (2, 0.4, "deformable\nconvolution"),
        "s": (3, 0.4, "soft map\n$S$"),
        "p": (2, 1.7, "second\nhead $Y'$"),
        "y": (4, 0.4, "labels\n$Y = \\arg\\max S$"),
        "a": (4, 1.7, "moved labels\n$Y^a = A\\cdot Y + t$"),
    },
    [
        ("x", "e", ""),
        ("e", "d", ""),
        ("e", "p", ""),
        ("d", "s", ""),
        ("s", "y", "Eq. 4, 5"),
        ("y", "a", ""),
        ("a", "p", "Eq. 6"),
    ],
)
# %% [markdown]
# ## Each equation beside the code that runs it
#
# **Equations 1 to 3** are inception large-kernel attention. With $F(x)$ a convolution of the features,
#
# $$\begin{aligned}
# \mathrm{Inc}(x) &= \{(\mathrm{DW\text{-}Conv}(F(x)))_r \mid r \in \mathbb N\}, \\
# \mathrm{Attention} &= \mathrm{Conv}_{1\times1}(\mathrm{DW\text{-}D\text{-}Conv}(\mathrm{Inc}(x))), \\
# \mathrm{Output} &= \mathrm{Attention} \otimes F(x).
# \end{aligned}$$
#
# Small filters of several sizes first, then a dilated one; the published code has it the other way round.

# %%
from tutseg.methods.one_image.clusters import leak
from tutseg.methods.one_image.s3_net import (
    READINGS,
    S3Net,
    affine_loss,
    affine_loss_literal,
    spatial_loss_edges,
    spatial_loss_literal,
    spatial_loss_pairwise,
)
from tutseg.methods.one_image.self_training import self_label_loss
from tutseg.nets.s3_encoder import InceptionLKA
from tutseg.report.source import show

show(InceptionLKA)

# %% [markdown]
# **Equation 4**, $L_{ce}(S, Y) = -\frac1{HW}\sum_i\sum_j Y_{ij}\log S_{ij}$ with $Y = \arg\max S$: a network that learns
# what it says already.
#
# Before you read on: nothing in this loss asks for few clusters. Why do they vanish?

# %%
show(self_label_loss)

# %% [markdown]
# **Equation 5** takes Sobel edges in three directions and sums $|X - Y| + |X - XY| + |Y - XY|$. Of *which* map, the paper
# does not say. Of the soft map it can teach; here it is:

# %%
show(spatial_loss_pairwise)

# %% [markdown]
# It is zero on flat regions, as it should be. But along one diagonal the edges X and Y are equal, and their difference
# is nothing: borders in that direction are cheaper than in the other. A loss "for" smoothness would sum the edges
# themselves, and that is the form we call `edges`:

# %%
show(spatial_loss_edges)

# %% [markdown]
# **Equation 6**, $L_{AT}(Y', Y^a) = -\frac1{HW}\sum_i\sum_j Y^a_{ij}\log Y'_{ij}$ with $Y^a = A \cdot Y + t$: the second
# head, on moved features, shall say what the main path's labels say after the same move.

# %%
show(affine_loss)

# %% [markdown]
# **Equation 7** adds up: $L = \lambda_1 L_{ce} + \lambda_2 L_{AT} + \lambda_3 L_S$.

# %%
show(S3Net.losses)

# %% [markdown]
# ## Three readings
#
# Paper and published notebook disagree on nearly everything that can be switched, and neither does quite what the text
# says it is for. So the method has three named readings: `paper` (the words, where they can work), `code` (the notebook,
# to the letter) and `meant` (what the words seem to be for). Every switch is an option of its own too.

# %%
for reading, switches in READINGS.items():
    print(f"{reading:<6} {switches}")

# %% [markdown]
# Six pictures to work with. All of this chapter is drawn by the package unless you choose another profile.

# %%
import torch

from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.report import iterations, s3_net, s3_net_print
from tutseg.report.say import say

settings, options = profile.settings, profile.settings["options"]
source = open_source(settings["data"], **settings["data_options"])
pictures = load_pictures(source, settings["size"])
images, truth = pictures.floats(torch.arange(6))

# %% [markdown]
# ## Lesson one: a loss without gradient
#
# The notebook computes $L_S$ like this: arg-max, a random colour for each cluster, a grey picture, Sobel.

# %%
show(spatial_loss_literal)

# %% [markdown]
# Its value falls during training, because clusters vanish, and that looks like learning in a log. Now the gradient of
# each weighted term at the first step:

# %%
s3_net.gradient_table(images[0], **options)

# %% [markdown]
# In the row `code` the last term has a value and no gradient: an arg-max has no derivative, so nothing that follows from it can
# teach. *A falling loss is no evidence of learning; ask for its gradient.*

# %% tags=["remove-input"]
say(
    "The paper's ablation credits $L_S$ with {gain:points} of Dice, on top of "
    "$L_{{AT}}$. This code cannot have earned them.",
    gain=s3_net_print.printed(2, "L_ce+L_AT+L_S") - s3_net_print.printed(2, "L_ce+L_AT"),
)

# %% [markdown]
# ## Lesson two: an invariance that holds for everything
#
# The notebook's $L_{AT}$ turns both sides by 90 degrees:

# %%
show(affine_loss_literal)

# %% [markdown]
# A mean over pixels does not care in which order they come. So let us leave the turn out:

# %%
s3_net.turn_table(images[0], **options)

# %% [markdown]
# With the turn or without it, the literal loss is the same number up to rounding: it only asks two heads to agree. Equation 6
# as printed moves the *features*, and what follows them is a 1×1 convolution that does not know where it is, so a
# quarter turn changes nothing there either. Only when the **input** is moved (`meant`) does the network see something
# new. *To test an invariance, replace the transformation by the identity; if nothing changes, there was none.*
#
# ## Lesson three: an evaluation that sees the answer
#
# The method ends with clusters, not with a lesion. Two things then happen in the published evaluation. The cluster with
# the largest overlap *with the truth* is chosen (the "oracle"); the paper says so. And a helper deletes of it whatever
# lies further than 4 pixels from the true lesion (6 in MS-Former's copy); the paper does not say so. We cannot know
# whether the printed numbers were made with it.

# %%
show(leak)

# %% [markdown]
# Below, every row is **one** prediction of the reading `code`. Only its evaluation differs. The last column is the same clusters
# with the darkest chosen, which needs no truth. White: the truth. Numbers: Dice.

# %% tags=["hide-input"]
by_code = iterations.follow(
    S3Net("code", **options), images, truth, source.ids[:6], settings["device"]
)
iterations.evaluated(by_code, ["oracle", "oracle+4", "oracle+6", "darkest"])

# %% tags=["remove-input"]
dice = {view: each.mean() for view, each in iterations.evaluations(by_code).items()}
say(
    "Nothing is found between the second column and the third, and yet mean Dice is "
    "{oracle:share} in the one and {four:share} in the other. With 6 pixels it is "
    "{six:share}, and without any help from the truth {darkest:share}.",
    oracle=dice["oracle"],
    four=dice["oracle+4"],
    six=dice["oracle+6"],
    darkest=dice["darkest"],
)

# %% [markdown]
# Where the clusters spill over the picture, the mask cuts them back to the lesion's neighbourhood. The oracle is not infallible
# either: it takes the largest *overlap*, so a cluster that covers half the picture beats a small one that fits. *Whoever evaluates
# must not hold the answer in his hand.* If a table does not say how the cluster was chosen and what was masked, it cannot be
# compared with another.
#
# ## Run it
#
# Every system of the paper's Table 1: the pixel form of DeepCluster {cite}`caron2018deepcluster`, IIC {cite}`ji2019iic`, SGSCN
# {cite}`ahn2021sgscn` and MS-Former {cite}`karimijafarbigloo2023msformer`; their common ancestor that the table lacks (Kanezaki); and two
# things a reader would try first: Otsu's threshold, and superpixels merged by colour. Three seeds for each; a seed gives every
# picture a network of its own. In the profile `lab` the networks are smaller and stop sooner than published ($K = 24$ instead
# of 64 or 100), the same for all: good for seeing how they behave, too small for judging them. What they do on real
# pictures with the published sizes is on [the page of the paper's tables](05b_s3_net_tables.ipynb).

# %%
from tutseg.files import project_root
from tutseg.training.chapter import experiment, run_specs

folder = project_root() / "_build" / "trials"
specs = [
    experiment("s3-net", name, settings["scale"]) for name in ("table-1", "switches")
]
table, switches = run_specs(specs, folder, settings["device"])

# %%
from tutseg.report.one_image import methods_table

methods_table(table, s3_net.PAPER_ROWS)

# %% [markdown]
# Three things to read from it. First, look for the rows that nothing trained (k-means, Otsu, merged superpixels) before
# you look at the others; no paper of this family prints the last two. Second, the column "label-free": it is what a
# clinic would get, and it is the one that the papers do not have. Third, compare the spread over *images* with the spread over
# seeds: so few pictures cannot rank twelve methods.

# %% tags=["remove-input"]
from tutseg.report.groups import differences, in_groups

say(
    "S3-Net as the paper has it is {gains}.",
    gains=differences(in_groups(table), "s3-net-paper"),
)

# %% [markdown]
# What each kind of help is worth, method by method:

# %% tags=["hide-input"]
from tutseg.report.one_image_figures import evaluation_figure

evaluation_figure(table)

# %% [markdown]
# The leak is not the same gift to all: it is worth most to clusters that spill over, and little to those that stay together. It can
# therefore turn the order of a table round. The smaller margin deletes more. It counts in pixels: 4 of 64 are a sixteenth of the
# width, but at the paper's 256 a sixty-fourth.
#
# From the command line, on pictures of your own (no truth, so no oracle):
#
# ```bash
# tutseg segment s3-net pictures/ --out masks -o reading=code --rule darkest
# ```
#
# ### Failures
#
# The pictures on which the `paper` reading did worst, beside k-means and the other readings; all with the oracle's help,
# so what is missing here is missing from the clusters themselves.

# %% tags=["hide-input"]
from tutseg.report.one_image_pictures import failures

rows = ("s3-net-paper", "s3-net-code", "s3-net-meant", "k-means-2")
failures(table, pictures, rows, device=settings["device"])

# %% [markdown]
# ## Move it yourself
#
# One picture, from the first iteration to the result: the one of the six that loses most on the way. Predict first: at
# which number of clusters will Dice be best, at 20, at 5 or at 2?

# %% tags=["hide-input"]
by_paper = iterations.follow(
    S3Net("paper", **options), images, truth, source.ids[:6], settings["device"]
)
at = by_paper.most_lost
iterations.step_explorer(by_paper, at, "S3-Net (paper)")

# %% tags=["remove-input"]
own = by_paper.dice(at)
say(
    "The oracle's cluster has a Dice of {best:share} after {when} iterations, and of "
    "{end:share} in the end.",
    best=own.max(),
    when=int(own.argmax()),
    end=own[-1],
)

# %% [markdown]
# The lesion is found, and then lost again: the loss only ever rewards fewer and surer clusters, and it goes on
# rewarding them when the lesion is what has to go next. What saves the method is the stop: three clusters or fewer, but
# not before the sixth iteration. Here is what that moment costs for each of the six pictures.

# %%
iterations.stop_table(by_paper)

# %% [markdown]
# The column "best" knows the truth; it is a ceiling and no method. Note how different the best moments are: no fixed
# number of iterations would serve all pictures.
#
# ## Design choices
#
# | what the paper leaves open | what its code does | what `meant` does | option, and what it is worth |
# |---|---|---|---|
# | the map under Sobel (Eq. 5) | grey arg-max in random colours, no gradient | soft map, $\lvert X\rvert + \lvert Y\rvert + \lvert XY\rvert$ | `-o spatial=edges`, below |
# | what is moved (Eq. 6) | both outputs, by 90° | the input, by a random affine map, valid pixels only | `-o affine=input`, below |
# | the deformable offsets | free numbers, the same whatever the picture shows | a convolution predicts them | `-o offsets=static`, below |
# | I-LKA, which filters first | one 5×5, then three dilated in parallel | Eq. 1–2: three sizes, then dilated | `-o order=code`, below |
# | inception, deformable convolution (§4.3) | as above | as above | `-o inception=false`, `-o deformable=false`, below |
# | $\lambda_1, \lambda_2, \lambda_3$ and the learning rate | 3.5, 0.2, 4 and 0.2 | 1.2, 0.3, 0.3 and 0.36 | `-o weights=[1.2,0.3,0.3]`, `-o lr=0.36` |
# | clusters $K$ | 64 | 64 | `-o clusters=24` (used by `lab`) |
# | the stop | 3 labels, from the sixth iteration on; at most 50 | the same | `-o min_labels=0` never stops early; table above |
# | which cluster is the lesion | largest overlap with the truth | the same, and three rules without truth | `--rule`; main table |
# | what is masked before scoring | 4 px around the truth, in a helper | nothing | main table |
#
# What a switch is worth in Dice, beginning with the `paper` reading and changing one thing at a time:

# %%
from tutseg.report.tables import difference_table

difference_table(in_groups(switches), "paper")

# %% [markdown]
# ## What contradicts
#
# `tutseg audit s3-net` recomputes the paper's tables; [the audit](../book/audit.md) explains each check, and
# [the ledger](../book/ledger.md) lists the paper's claims with a verdict.

# %%
from tutseg.papers.contradictions import audit_paper

for finding in audit_paper("s3-net"):
    print(f"[{finding.severity}] Table {finding.table}: {finding.message}")

# %% [markdown]
# Since HM is $1 - J$ it cannot exceed one, and it cannot exceed XOR, which has the same numerator and a smaller
# denominator. Four copied rows break both rules and exchanging their two columns repairs all of them.
#
# ## Exercises
#
# Predict before you run. `tutseg segment` needs a folder of pictures: `tutseg data synth --n 8 --size 64 --out drawn`
# draws one, with its masks, and `tutseg score masks drawn/masks` compares.
#
# ```{exercise-start} ★ Where does the gradient stop?
# :label: ex-s3-gradient
# ```
# Name the first operation in `spatial_loss_literal` and what comes before it that has no derivative. What is the least
# change that gives the loss a gradient?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-s3-gradient
# :class: dropdown
# ```
# The arg-max: whole numbers do not move when a weight moves a little. Apply Sobel to $\mathrm{softmax}(S)$ instead, which
# is `spatial=pairwise`. Random colours would still be wrong: they make the loss depend on which number a cluster has.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★ HM from Dice
# :label: ex-s3-hm
# ```
# A picture has a Dice of 0.88. What is its HM? Table 1 prints a *mean* Dice of 88.0 and a mean HM of 20.4. Is that
# possible?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-s3-hm
# :class: dropdown
# ```
# $J = D/(2-D) = 0.786$, HM = 0.214. Jaccard is a convex function of Dice, so the mean of $J$ is at least the $J$ of the mean: the
# mean HM is *at most* 21.4, and 20.4 is possible. For SGSCN the same bound is 28.5, and 32.3 is printed.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★ The cheap diagonal
# :label: ex-s3-diagonal
# ```
# On a map that is 1 below the main diagonal and 0 above it, which of $|X-Y|$, $|X-XY|$, $|Y-XY|$ vanishes? And on its
# mirror image?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-s3-diagonal
# :class: dropdown
# ```
# X and Y are derivatives across columns and rows. Along an edge at 45° they have the same size; on one diagonal the same
# sign too, and then $|X-Y| = 0$, on the other opposite signs, and then $|X-Y| = 2|X|$. A lesion's border is thus cheaper
# in two of its four diagonal quarters. `tests/test_s3_net.py` holds it.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ An identity for every loss
# :label: ex-s3-identity
# ```
# Design the "identity test" of lesson two for one loss of another chapter, for example the strong view in DME-FD. What do
# you replace, and what must change?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-s3-identity
# :class: dropdown
# ```
# Replace the strong augmentation by the weak one. $L_{DME}$ must fall (the target is then the network's own confident output
# on the same view), and training with it should gain nothing over cross pseudo supervision. If a trained result does not change,
# the augmentation was not what helped.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ Never stop
# :label: ex-s3-stop
# ```
# Segment the drawn pictures with `-o min_labels=0 -o clusters=24` and `-o steps=10`, `25` and `50`. How does Dice of the
# darkest cluster behave?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-s3-stop
# :class: dropdown
# ```
# Clusters go on merging. With the darkest rule Dice first rises (the lesion's parts come together) and then falls
# where the lesion is joined with its surroundings; which of the two comes first depends on the picture. A number that
# looks like a limit on costs (50 iterations) is in truth a regulariser.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ The darkest cluster
# :label: ex-s3-rule
# ```
# Pictures of skin often have black corners. What does the rule `darkest` choose then, and which of `central` and `contrast`
# helps? When does each of them fail?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-s3-rule
# :class: dropdown
# ```
# The corners. `central` takes the cluster whose pixels lie closest to the middle, which fails for lesions at the edge;
# `contrast` asks for a cluster that hardly touches the frame and differs most in colour from the rest, which fails for pale
# lesions beside a gel bubble. Try them: `tutseg segment k-means drawn/images --out masks -o k=3 --rule contrast`.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★★ A fair comparison
# :label: ex-s3-fair
# ```
# You have a new one-image method. Write down, before any run, what you would compare with what: which baselines, which
# choice of the cluster, which seeds, and on which pictures the hyper-parameters may be chosen.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-s3-fair
# :class: dropdown
# ```
# Otsu and k-means with k = 2 and 3 beside every published rival; a cluster chosen without truth as the main score, the
# oracle as a second one for all methods alike; no masking; at least five seeds a picture, differences paired by
# picture; hyper-parameters from pictures of another data set *without* their outlines. S3-Net tuned its weights on
# ten labelled ISIC pictures, and a method "without labels" should say so in its abstract.
# ```{solution-end}
# ```
