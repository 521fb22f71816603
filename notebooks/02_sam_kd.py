# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # SAM-KD: a small network learns from Segment Anything
#
# Segment Anything {cite}`kirillov2023sam` outlines whatever it is told to, by a click, a box or a rough mask. It knows nothing of
# skin, and it is far too large for a telephone. *SAM-KD* {cite}`huynh2025samkd` wants the one without the other: a light network
# learns from a few outlined lesions, tells SAM what it believes about the many others, and learns from what SAM answers.
# In the end the light network works alone.
#
# The paper has no public code and prints neither a total loss nor a single weight of it. So this page is a reconstruction:
# what the paper says is built as it says, and wherever it is silent there is an option. You will see each equation beside
# code, move a prompt over a picture, train three methods three times each, and then ask the question on which the whole
# idea rests: is SAM here a teacher, or an echo?

# %% tags=["parameters"]
PROFILE = "lab"  # lab, gpu or paper

# %%
from tutseg.workflow.profiles import load_profile

profile = load_profile("02_sam_kd", PROFILE)
print(f"profile {PROFILE}: {profile.hardware}, about {profile.minutes:g} minutes")
print(f"expect: {profile.expect}")

# %% [markdown]
# ## The idea in one picture
#
# The main network says two things of a picture: which pixels are lesion, and how far each of them is from the border (a *signed
# distance*). Both become one mask prompt. SAM gets it together with a few learned tokens and answers with a mask of its own. On
# labelled pictures the answer is compared with the truth, which trains the small parts that were added to SAM. On unlabelled
# pictures it is the main network that has to come closer to the answer. A second teacher, two heads on SAM's encoder, says mask
# and distance as well.

# %% tags=["hide-input"]
from tutseg.report.diagrams import diagram

diagram(
    {
        "x": (0, 0.8, "picture\n$x$"),
        "m": (1, 0, "main network\nmask, SDF"),
        "e": (1, 1.6, "SAM encoder\nadapters: $Z$"),
        "f": (2, 0, "one prompt\n$\\hat Y_f$"),
        "p": (2, 0.8, "decoder $\\psi$\ntokens $P_b$"),
        "t": (2, 1.6, "teacher's\nmask, SDF"),
        "s": (3, 0.4, "SAM decoder\n$\\hat Y_s$"),
        "k": (4.3, 0, "unlabelled:\n$L_{kd}$"),
        "l": (4.3, 0.8, "labelled:\n$L_{sam}$"),
    },
    [
        ("x", "m", ""),
        ("x", "e", ""),
        ("m", "f", "fuse"),
        ("e", "p", ""),
        ("e", "t", ""),
        ("f", "s", ""),
        ("p", "s", ""),
        ("s", "k", "Eq. 2-3"),
        ("s", "l", "Eq. 1"),
    ],
)
# %% [markdown]
# ## Each equation beside the code that runs it
#
# **Section 2.1** defines the second head's target. With $\partial V$ the border of the lesion,
#
# $$\phi(x) = \begin{cases} -\min_{y \in \partial V} \lVert x - y \rVert & x \text{ inside,} \\ 0 & x \in \partial V, \\
#   +\min_{y \in \partial V} \lVert x - y \rVert & x \text{ outside.} \end{cases}$$
#
# The paper leaves $\phi$ in pixels. Then a head would have to say a hundred here and thirty there, for the same kind of
# border. We divide each side by its largest value, as the work does from which dual-task consistency comes {cite}`luo2021dtc`.
#
# Before you read on: what should $\phi$ be where there is no lesion at all?

# %%
from tutseg.losses import signed_distance
from tutseg.methods.distillation.sam_kd import SAMKD, Psi, distillation, fuse
from tutseg.report.source import show

show(signed_distance)

# %% [markdown]
# A distance implies a mask, $\sigma(-k\,\phi)$, and $k$ says how sharp it is. Two drawn lesions, their distance (dark: deep inside),
# and the mask that it stands for at three values of $k$:

# %% tags=["hide-input"]
import torch

from tutseg.data import open_source
from tutseg.report.photographs import pictures as shown_pictures

two = [open_source("synth", n=12, size=96)[i] for i in (0, 5)]
masks = torch.stack([torch.tensor(sample.mask > 0).float()[None] for sample in two])
phi = signed_distance(masks)[:, 0].numpy()
shown_pictures(
    [
        each
        for i, sample in enumerate(two)
        for each in (
            sample.image,
            (phi[i] + 1) / 2,
            *(torch.sigmoid(torch.tensor(-k * phi[i])).numpy() for k in (3, 10, 100)),
        )
    ],
    ["picture", "distance", "k = 3", "k = 10", "k = 100"] * 2,
    columns=5,
    cmap="gray",
)

# %% [markdown]
# **The fused prompt** of section 2.1 joins the two heads; the paper does not say how. What it must become is fixed by SAM:
# its mask prompts are *logits*, at a quarter of the picture's size. $-k\,\phi$ is one, if $\sigma(-k\,\phi)$ is the mask
# that a distance stands for, and so the mean of the two is one. No gradient goes through it.

# %%
show(fuse)

# %% [markdown]
# **The learned prompt** of section 2.2 is $P_b = \psi(Z)$, from SAM's feature map to $N_b$ tokens. The paper calls them dense;
# their shape, $B \times N_b \times L$, is that of what SAM calls sparse prompts, and so they enter.

# %%
show(Psi)

# %% [markdown]
# **The answer** is $\hat Y_s = \mathcal F_s(P_b, \hat Y_f)$, and **Equation 1** compares it with the truth where there is
# one, $L_{sam} = L_{SEG}(\hat Y_s, Y^l)$. The paper fine-tunes "the decoder" with the adapter of {cite}`wu2023adapter`. In that
# work's code, and in that of KnowSAM {cite}`huang2025knowsam` which the section follows, adapters sit in the *encoder* and
# nowhere else; ours do too.

# %%
show(SAMKD.ask)

# %% [markdown]
# **Equations 2 and 3** distil {cite}`hinton2015distilling`. With the logits $\hat q_c$ of the classes and a temperature $T$,
#
# $$\hat Y_T^c = \frac{\exp(\hat q_c / T)}{\sum_c \exp(\hat q_c / T)}, \qquad
#   L_{kd} = KL\!\left(\hat Y_T, \hat Y_T^{main}\right).$$
#
# A pixel has two classes with the logits $(0, z)$, so its softmax at $T$ is $\sigma(z / T)$. SAM's side gets no gradient.

# %%
show(distillation)

# %% [markdown]
# The factor $T^2$ is not in Eq. 3. For large $T$ the divergence is close to $(z_s - z_m)^2 / 8T^2$, so without the factor a
# temperature of ten is also a weight of a hundredth. Hinton and his co-authors multiply by it for that reason, and KnowSAM does, with
# $T = 10$. What is minimised is then an eighth of a squared difference of logits, and SAM's logits are large: such a loss can outweigh
# all that labels say. The paper prints no $T$. Ours is 1, where the factor is 1 too, chosen on the validation part of real pictures.
#
# The paper prints no total loss. The whole step, with one that names every part:

# %%
show(SAMKD.losses)

# %% [markdown]
# ## Does SAM do what it is told?
#
# Everything rests on it, and it is not to be taken for granted. A network that has only seen pictures of *one* thing learns
# to outline that thing, whatever the prompt says; its "answer" is then no more than a second opinion. The checkpoints of Segment
# Anything are hundreds of megabytes and cannot come with a book, so ours is a small one, `sam-s`, of the same modules. It
# has learned from drawn scenes of two and three lesions, told by boxes, clicks and rough masks which of them was meant. On scenes
# that it never saw:

# %%
from tutseg.files import project_root
from tutseg.report.promptable import promptability

results = project_root() / "results" / "sam-kd"
promptability(results / "teacher")

# %% [markdown]
# Told of one lesion, it outlines that one and leaves the other alone, and a rough mask comes back better than it went in. How it
# fares on real pictures is on [the page of tables](02b_sam_kd_tables.ipynb). Keep in mind what this means for the rest of this
# page: the teacher has learned from drawn masks, thousands of them, and the pictures to come are drawn too. It is a generous
# stand-in for a network that has seen a billion masks, and none of skin.
#
# ## Run it
#
# Supervised training with few labels; SemiSAM {cite}`zhang2024semisam`, a mean teacher that also listens to a frozen SAM, early on;
# and SAM-KD. All three on one network with the paper's two heads. A seed draws the labelled pictures, the initial weights and the
# batches; the test pictures are the same for all.

# %%
from tutseg.training.chapter import run_trials
from tutseg.training.trial import make_trial

METHODS = {"supervised": {}, "semisam": profile.settings["sam"]}
METHODS["sam-kd"] = profile.settings["sam"]
trials = [
    make_trial(method=method, seed=seed, **taught, **profile.settings["trial"])
    for method, taught in METHODS.items()
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
# The left number is on other data, with other networks and a Segment Anything a hundred and fifty times as large. SemiSAM stands
# in the paper's Table 3 alone.

# %%
from tutseg.report import sam_kd
from tutseg.report.groups import differences, group_runs
from tutseg.report.tables import difference_table, method_table

groups = group_runs(runs)
method_table(groups, "sam-kd", 1, sam_kd.TABLE_1, data="isic2018", labelled=0.04)

# %%
difference_table(groups, "sam-kd")

# %% tags=["hide-input"]
from tutseg.report.statistical import paired_differences

paired_differences(groups, "sam-kd")

# %% tags=["remove-input"]
from tutseg.report.say import say

say("In these trials SAM-KD is {gains}.", gains=differences(groups, "sam-kd"))

# %% [markdown]
# ### On real pictures
#
# ISIC 2018 {cite}`codella2019isic2018`, an encoder with ImageNet weights, and as many labels as the paper has at 2 % labelled. These
# trials are not run when the book is made: `tutseg grid experiments/sam-kd/isic2018-64-long.yaml` makes them, and what has been
# committed so far is shown. The row with all labels says whether labels are short there at all.

# %%
from tutseg.training.chapter import experiment

isic = experiment("sam-kd", "isic2018-64-long")
sam_kd.real_table(isic, labelled=59, pretrained=True)

# %% tags=["remove-input"]
say("{found}", found=sam_kd.told_real(isic, labelled=59, pretrained=True))

# %% [markdown]
# ## What happened during training
#
# All terms of SAM-KD, as they are weighted. $L_{sam}$ is lowered by SAM's adapters and by $\psi$, which see no truth but that of the
# labelled pictures. $L_{kd}$ measures how far student and SAM are apart on unlabelled pictures, and it can fall in
# two ways, because the student learns or because SAM repeats it.

# %% tags=["hide-input"]
from tutseg.report.lines import curves

logs = {
    method: [run.log() for run in runs if run.trial.method == method]
    for method in ("supervised", "sam-kd")
}
curves(
    logs,
    {
        "sup": "$L_{sup}$, mask",
        "sam": "$L_{sam}$ (Eq. 1)",
        "kd": "$L_{kd}$ (Eq. 3)",
        "dtc": "two heads agree",
        "taught": "teacher's mask",
        "teacher": "teacher, labelled",
    },
    smooth=5,
)

# %% [markdown]
# ## A teacher or an echo?
#
# SAM is asked with what the student believes. If it answers the same, the student is taught what it knows already. So compare
# them: a dot is a test picture, across the Dice of the prompt that the student made, upwards the Dice of SAM's answer. An echo's dots
# lie on the diagonal. A teacher's lie above it, most of all on the left, where the student is wrong.

# %% tags=["hide-input"]
from tutseg.report import echo
from tutseg.training.echo import echoes

taught = [run for run in runs if run.trial.method == "sam-kd"]
found = [each for run in taught for each in echoes(run)]
echo.echo_figure(found)

# %%
echo.echo_table(found)

# %% tags=["remove-input"]
from tutseg.report.groups import named

_, first, *_, last = echo.of_training(found)  # not the untrained student
say(
    "At the end of training SAM's answers are {adapted} against their prompts, and "
    "those of SAM as its file has it {plain}. The slope is {first:.2f} {when} and "
    "{last:.2f} at the end; an echo's is one. The prompts have a Dice of {prompt:share}, "
    "the student's own mask has {own:share}.",
    adapted=last.gain(),
    plain=last.gain(echo.PLAIN),
    first=first.line()[0],
    when=first.name,
    last=last.line()[0],
    prompt=last.prompt.mean(),
    own=named(groups, "sam-kd").mean,
)

# %% [markdown]
# Two things to read from it. Compare the adapted SAM with SAM as its file has it: if the second does as well, what teaches is what SAM
# knew before, here from drawn masks, and not what it learned from the few labels. And compare the prompt with the student's own mask:
# where the prompt is the worse of the two, the distance has spoiled it, and the mask alone would have been a better thing to say.
#
# The lower rows of the table ask the finished SAM with the truth itself, moved aside by a share of the picture's side. They
# say how wrong a prompt may be before the answer is worse than it. No student can know the truth, so the first of them is a
# bound on what SAM could ever teach here.

# %% tags=["hide-input"]
echo.moved_figure(found)

# %% [markdown]
# And on real pictures, where training lasted longer: the same question to the trials on ISIC 2018 further up
# (`results/sam-kd/echo/isic2018-64-long.csv` has every picture).

# %% tags=["hide-input"]
from tutseg.training.echo import read_echoes

on_isic = read_echoes(results / "echo" / "isic2018-64-long.csv")
echo.echo_figure(on_isic)

# %% tags=["remove-input"]
_, first, *_, last = echo.of_training(on_isic)
say(
    "On ISIC 2018 SAM's answers are {early:signed} above their prompts {when}, and "
    "{late:signed} at the end; the slope is {first:.2f} and then {last:.2f}.",
    early=first.gain(),
    when=first.name,
    late=last.gain(),
    first=first.line()[0],
    last=last.line()[0],
)

# %% [markdown]
# Where the first gain is large and the last is not, the story has two halves: as long as the student is bad, SAM repairs what it says,
# and the student learns; once the student is as good as the answers, they repeat it, and the loss has nothing more to say.
#
# ## What the predictions look like
#
# The first test pictures, chosen by their place in the list and not by their look. White: the truth. Numbers: Dice.

# %% tags=["hide-input"]
from tutseg.report.trained import contour_sheet

contour_sheet(runs)
# %% [markdown]
# ## Do they see alike?
#
# Does the student come to *see* as SAM does, or only to say what SAM says? Their features have different channels, so no cosine can
# be taken of them directly. It can be taken of their geometry: of the two matrices of all inner products between places in the
# test pictures, centred {cite}`kornblith2019similarity`. One means that the two find the same places alike and unlike. The
# control is the supervised network, which never heard of SAM.

# %% tags=["hide-input"]
from tutseg.training.agreement import (
    at_step,
    feature_cosine,
    outputs_of,
    seen_positions,
)
from tutseg.training.pictures import pictures_of, split_of

trial = trials[0]
pictures = pictures_of(trial.data, None, trial.size, trial.data_options)
test = pictures.take(split_of(trial, pictures).test)
sam_kd_now = at_step(taught[0], trial.steps)
z = sam_kd_now.sam.embed(test.floats(torch.arange(len(test)))[0])
plain = {"plain": lambda method, images: z}  # as its file has it, the same at every step
adapted = {"adapted": lambda method, images: method.see(images)}
cosines = {
    "sam-kd": [feature_cosine(run, test, plain | adapted) for run in taught],
    "supervised": [
        feature_cosine(run, test, plain)
        for run in runs
        if run.trial.method == "supervised"
    ],
}
curves(
    cosines,
    {"plain": "with SAM as its file has it", "adapted": "with SAM as adapted"},
    smooth=1,
)

# %% tags=["remove-input"]
import numpy as np

mean = lambda method, name, at: np.mean([log[name][at] for log in cosines[method]])
say(
    "The cosine with SAM's own features begins at {start:.2f} and ends, as a mean over "
    "seeds, at {sam_kd:.2f} for SAM-KD and at {supervised:.2f} for the supervised "
    "network; with SAM as it was adapted, at {adapted:.2f}.",
    start=mean("sam-kd", "plain", 0),
    sam_kd=mean("sam-kd", "plain", -1),
    supervised=mean("supervised", "plain", -1),
    adapted=mean("sam-kd", "adapted", -1),
)

# %% [markdown]
# Two networks that both learn to find lesions come to agree on lesions without ever meeting. Only what SAM-KD has beyond the
# control can be SAM's doing.
#
# ### Where lesion and skin lie in feature space
#
# Every dot is a place in a test picture, orange under lesion, embedded by t-SNE: first SAM's embedding as its file has it and
# as SAM-KD adapted it, then the bottleneck of the students. Read *whether* colours separate, not by how much.

# %% tags=["hide-input"]
from tutseg.report.statistical import tsne
from tutseg.training.evaluate import bottleneck_positions

few = test.take(range(8))
places = {
    "SAM": seen_positions(
        lambda method, images: method.sam.embed(images), sam_kd_now, few
    ),
    "SAM, adapted": seen_positions(
        lambda method, images: method.see(images), sam_kd_now, few
    ),
}
tsne(
    {name: features for name, (features, _) in places.items()},
    {name: share for name, (_, share) in places.items()},
)

# %% tags=["hide-input"]
places = {
    method: bottleneck_positions(at_step(run, trial.steps), test)
    for method, run in {run.trial.method: run for run in reversed(runs)}.items()
    if method != "semisam"
}
tsne(
    {name: features for name, (features, _) in places.items()},
    {name: share for name, (_, share) in places.items()},
)

# %% [markdown]
# ## Move it yourself
#
# A drawn picture of two lesions, and `sam-s`. Move a click, the box of lesion A or its mask with the sliders, or point at the picture.
# Predict first: what does SAM answer to lesion A's mask laid over lesion B? And to a click on bare skin?

# %% tags=["hide-input"]
from tutseg.nets import build
from tutseg.report.prompts import PromptExplorer, SoftExplorer

scene = open_source(
    "synth-wild", kind="scenes", n=24, size=96, seed=1, without=("alone",)
)
both = [scene[14], scene[15]]
sam_s = build("sam-s", 96, pretrained=True).eval()
prompts = PromptExplorer(sam_s, both[0].image, [sample.mask > 0 for sample in both])
prompts

# %% tags=["remove-input"]
say(
    "Of all the clicks on bare skin {answered:share} are answered with some mask. The "
    "IoU that SAM expects of its answers is {skin:.2f} there, as a mean, and "
    "{lesion:.2f} where the click is on a lesion.",
    **prompts.clicks(),
)

# %% [markdown]
# Nobody has taught it to say that there is nothing. What it expects of its answer is the only hint, and SAM-KD does not use it.
#
# The second figure is a test picture of the SAM-KD run above. $T$ blurs what SAM and student say, $k$ sharpens what the distance
# stands for. Predict first: at which $k$ do the two heads differ least, and what is left of the loss without $T^2$ at $T = 20$?

# %% tags=["hide-input"]
said = outputs_of(sam_kd_now, few)
SoftExplorer(*(said[name][0] for name in ("sam", "main", "sdf")))

# %% [markdown]
# ## Design choices
#
# What the paper leaves open, what we do, and what each alternative is worth in Dice, from small trials on drawn pictures
# (`experiments/sam-kd/ablation.yaml`). Nearly all of the method is in this table.

# %%
sam_kd.choices_table(experiment("sam-kd", "ablation", "lab"))

# %% [markdown]
# | also open | what we do |
# |---|---|
# | which MobileNet, which decoder | MobileNetV2 and a light decoder: with two heads it has the parameters that Table 3 gives |
# | optimiser, rate, steps, batch | those of the trial, the same for every method; every method has the same number of steps |
# | frozen or tuned (§2.2 tunes adapters, §2.3 freezes SAM) | adapters and $\psi$ learn from labelled pictures alone; no gradient of $L_{kd}$ reaches SAM's side |
# | two teachers for one pixel | the teacher's mask is a hard label, SAM's answer a soft one; both act |
# | which head is evaluated | the mask's |
#
# ## What the paper claims, and what these trials say
#
# The verdicts come from real pictures where there are any; [the ledger](../book/ledger.md) explains them.

# %% tags=["hide-input"]
from tutseg.report.ledger import claims_table

claims_table("sam-kd")

# %% [markdown]
# ## What contradicts
#
# The program `tutseg audit sam-kd` recomputes the paper's tables; [the audit](../book/audit.md) explains each check.

# %%
from tutseg.papers.contradictions import audit_all, audit_paper

between = [
    finding
    for finding in audit_all()
    if (finding.paper, finding.rule) == ("sam-kd", "shared-rows") and finding.x
]
for finding in [*audit_paper("sam-kd"), *between]:
    print(f"[{finding.severity}] Table {finding.table}: {finding.message}")

# %% [markdown]
# Three of these change how the paper reads. **The row with all labels is a copy.** Table 3's U-Net "with all labels" has the mean and the
# spread, digit for digit, of Table 1's supervised row at 4 % labelled; that row is copied from DME-FD, whose network is no U-Net.
# Beside the row that Table 1 has for all labels, SAM-KD at 4 % labelled is no longer ahead. **Every row of the paper's own has a Jaccard
# that is too small for its Dice**, which no average over pictures can give; of the many rows that it copied one does, and that one had
# it where it comes from. And **all rivals are DME-FD's numbers**, a Swin-Unet's, beside a MobileNet: what Table 1 compares is backbones as much as methods.
#
# ## Exercises
#
# Predict before you run. Each training takes a minute or two with `tutseg train METHOD -d n=200 -d size=64 --labelled 0.04
# --net lite0-unet-sdf --pretrained --size 64 --steps 80 --batch 4 --lr 0.002`, and those that need SAM with `--input sam=` and the hash
# that the command above shows.
#
# ```{exercise-start} ★ Too small for its Dice
# :label: ex-sam-bound
# ```
# Table 1 prints for SAM-KD at 4 % a Dice of 85.33 and an IoU of 73.61. For one picture $J = D / (2 - D)$, a convex function. What is
# the least mean $J$ that goes with a mean Dice of 85.33? What could be innocent about the printed pair?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-sam-bound
# :class: dropdown
# ```
# The mean of a convex function is at least the function of the mean: put the mean Dice into $D / (2 - D)$. The audit above prints the
# result beside the IoU, which is below it. Different thresholds or checkpoints for the two columns, or a mean over lesion and
# background in one of them, would explain it. No average of both over the same masks can.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★ A distance by hand
# :label: ex-sam-sdf
# ```
# A mask of 3 × 3 pixels in a large picture. How many pixels have $\phi = 0$, and what is $\phi$ in the middle, in pixels and as we
# divide it? And in a mask of one pixel?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-sam-sdf
# :class: dropdown
# ```
# Eight: all but the middle have a neighbour outside. The middle is one pixel from the border, so $-1$ both ways. A single
# pixel is border and nothing else: $\phi = 0$ there, and the inside has no negative value at all. $\sigma(-k\,\phi)$ is then one half on the
# lesion: very small lesions are the ones of which a normalised distance says least.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★ T without its square
# :label: ex-sam-temperature
# ```
# SAM says $z_s = 4$, the student $z_m = 0$. Compute Eq. 3 for $T = 1$ and for $T = 10$, and the gradient with respect to $z_m$. Which of the
# two temperatures teaches more, with $T^2$ and without?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-sam-temperature
# :class: dropdown
# ```
# The gradient is $(\sigma(z_m/T) - \sigma(z_s/T))/T$: $-0.482$ at $T = 1$ and $-0.0099$ at $T = 10$, fifty times smaller. With $T^2$ it is $-0.99$,
# twice that of $T = 1$. `distillation(torch.tensor([[[[4.0]]]]), torch.zeros(1, 1, 1, 1), 10.0)` gives the losses. Adam forgives a small loss that stands alone,
# but here it is added to others, and is then simply lost.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ The perfect echo
# :label: ex-sam-echo
# ```
# Suppose SAM returned exactly the logits of its prompt, and the SDF head agreed with the mask. What is the gradient of $L_{kd}$? And if it
# returned them doubled?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-sam-echo
# :class: dropdown
# ```
# None: both sides of the divergence are equal, and it is at its minimum. Doubled logits are the same mask, surer: the student is then taught
# to be surer of whatever it believes. That is entropy minimisation, and it needs no SAM. A gain of SAM-KD is SAM's only as far
# as its answers are *better*, so the echo figure belongs beside every table of such a method.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ Sharpness without a gradient
# :label: ex-sam-sharp
# ```
# Dual-task consistency was published with $k = 1500$. Find with the second figure above which share of the pixels then has a gradient. Over what
# distance from the border do they lie, if the deepest point of a lesion is 20 pixels deep?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-sam-sharp
# :class: dropdown
# ```
# $\sigma(1-\sigma) > 0.01$ for $|k\,\phi| < 4.6$, so $|\phi| < 0.003$: a sixteenth of a pixel. What has a gradient are pixels that the head happens to
# call exactly the border, and nothing else. With $k = 10$ it is all that lies within nine pixels of the border.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ What SemiSAM's leak is worth
# :label: ex-sam-leak
# ```
# The published script of SemiSAM places its clicks by comparing the student with the *true* masks of the whole batch, the unlabelled pictures
# included. Train `semisam` with `-o prompts_from_truth=true` and without, three seeds each. What would a reader of a table not notice?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-sam-leak
# :class: dropdown
# ```
# That the method has seen ten labelled pixels of every "unlabelled" picture. A test of the package replaces the masks of unlabelled pictures by
# noise: every method must train to the same weights, and with this option `semisam` does not.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ A SAM that does not listen
# :label: ex-sam-deaf
# ```
# Train a `sam-s` on pictures of one lesion each: `tutseg train prompted --net sam-s -d n=400 -d size=96 --labelled 1 --size 96 --steps 400
# --batch 8 --schedule one-cycle`. Ask it about scenes of two (`--test-data synth-wild` and the options in `experiments/sam-kd/teacher.yaml`). What does
# the column "Dice with the other one" say? What would SAM-KD learn from it?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-sam-deaf
# :class: dropdown
# ```
# It outlines both lesions, whichever is meant: the prompt carries no information that its training needed. SAM-KD with such a teacher is ordinary
# teacher and student, and the fused prompt, $\psi$ and the SDF in it make no difference. A paper can test this with one scene.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★★ How many labels has the teacher seen?
# :label: ex-sam-fair
# ```
# "4 % labelled" counts the lesions outlined for the student. Segment Anything has seen a billion masks; `sam-s` has seen thousands, of drawn lesions. Design
# an experiment that says whether SAM-KD is a good way to *use* such knowledge. What is the rival?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-sam-fair
# :class: dropdown
# ```
# A student that gets the same knowledge more simply: pretrained on the very scenes that SAM learned from (the drawn ones:
# `experiments/drawn/start.yaml` does so), then trained with the few labels. Equal steps for all, at least five seeds, paired by picture,
# the analysis written down first. If that rival is level, what SAM-KD shows is that masks help, not that prompting SAM does.
# ```{solution-end}
# ```
