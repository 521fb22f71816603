# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # SSGNet: drawing more pictures, and labelling them in rounds
#
# The chapters before this one took pictures without masks as given. Often there are none: a rare disease has few pictures of any
# kind. *SSGNet* {cite}`ma2025ssgnet` draws the missing ones. A StyleGAN3 {cite}`karras2021stylegan3` learns to draw lesions from the
# training pictures, ten thousand times; a segmentation network that has learned from the real ones outlines the drawn ones;
# a fresh network learns from both, outlines the drawn ones anew, and so on.
#
# Where could a gain come from? A generator knows nothing but the pictures that it was shown, and the labels are a network's own
# opinions. So for every gain ask: would *real* pictures without masks have done it as well, or the same network without any?
# On this page you will build the generator, see that its pictures move as its input does, compare them with real ones, follow the
# labels from round to round, and find out why half of the paper's main table cannot be compared with the other half.
# [Another page](04b_ssgnet_tables.ipynb) has the tables beside ours.
#
# No weights trained on real pictures and no such picture is in this book. The generator here has learned from the package's own
# drawings, so "real" means: drawn by a program, with a mask that is true to the pixel. "Generated" is what a network drew.

# %% tags=["parameters"]
PROFILE = "lab"  # lab, gpu or paper

# %%
from tutseg.workflow.profiles import load_profile

profile = load_profile("04_ssgnet", PROFILE)
settings = profile.settings
print(f"profile {PROFILE}: {profile.hardware}, about {profile.minutes:g} minutes")
print(f"expect: {profile.expect}")

# %% [markdown]
# ## The idea in one picture
#
# The generator $g_\phi$ learns from pictures alone. The network $f_\theta$ learns from the labelled ones, labels what the generator
# draws, and is trained again on both. Only the last arrow closes the circle: the new network labels the same pictures once more.

# %% tags=["hide-input"]
from tutseg.report.diagrams import diagram

diagram(
    {
        "x": (0, 0.8, "real pictures\n$D_{train}$"),
        "g": (1, 0, "generator\n$g_\\phi$"),
        "f": (1, 1.6, "network\n$f_\\theta$"),
        "d": (2, 0, "generated\n$D_{gen}$"),
        "p": (3, 0.8, "pseudo-labels\n$\\hat y^{(t)}$"),
        "a": (4, 1.6, "both\n$D_{aug}$"),
    },
    [
        ("x", "g", ""),
        ("x", "f", "Eq. 2-4"),
        ("g", "d", "$z$"),
        ("d", "p", ""),
        ("f", "p", "Eq. 5-6"),
        ("p", "a", ""),
        ("a", "f", "again"),
    ],
)
# %% [markdown]
# ## The generator beside Equation 1
#
# **Equation 1** is what StyleGAN3 is made for: $g(t[z_0]; w) = t[g(z_0; w)]$. If its input is moved, the picture moves along, and
# nothing sticks to the pixels. The text above the equation calls $z_0$ a learned constant of 4 × 4 places. That is StyleGAN2;
# a constant on a grid cannot be moved by half a place. In StyleGAN3 the input is a sum of *waves*, which are defined everywhere:

# %%
from tutseg.methods.generative.stylegan3 import StyleGAN3
from tutseg.nets.stylegan3 import Layer, Waves, bands, resampler
from tutseg.report.source import show

show(Waves.forward)

# %% [markdown]
# Every map of the network stands for a continuous picture without frequencies above a limit, and the limits grow from layer to
# layer. Where do they come from? One geometric series, from two waves a picture up to half the number of its pixels:

# %%
show(bands)

# %% [markdown]
# A convolution keeps such a limit. A non-linearity does not: the corner of a ReLU contains every frequency, and those that the grid
# cannot hold come back as lower ones, tied to the grid. So a map is made finer, bent, filtered, and made coarse again:

# %%
show(Layer.forward)

# %% [markdown]
# Both filters are linear along an axis, so each is one small matrix, $x \to U x U^\top$. This is how it is made:

# %%
show(resampler)

# %% [markdown]
# ### Does it hold?
#
# *EQ-T* says how well: move the input by whole pixels, compare with the moved picture where both can be seen, and express the mean
# squared error in decibels; ten decibels are a tenth of the error. Untrained networks suffice, since nothing in it is learned. What matters is the
# margin that every map has beyond the picture's edge: a convolution at the edge reads what lies outside.

# %% tags=["hide-input"]
from tutseg.report import latent, stylegan

measured = stylegan.against_margin(margins=(0, 3, 6, 10), batches=10)
stylegan.margin_figure(measured)

# %% tags=["remove-input"]
from tutseg.report.say import say

filtered, naive = measured.values()
say(
    "With the paper's margin of ten samples it is {best:.0f} decibels, and {naive:.0f} "
    "with the non-linearity on the samples as they are. Without a margin it is "
    "{bare:.0f}, filtered or not: no filter helps a picture that is cut.",
    best=filtered[10],
    naive=naive[10],
    bare=filtered[0],
)

# %% [markdown]
# Now a trained one. Its weights come with the book, since they have only seen drawn pictures; the command that made them is
# `tutseg grid experiments/ssgnet/generators.yaml --scale long`. Top: the input is moved. Middle: the first picture
# is moved instead. Bottom: their difference, eight times as strong.

# %%
from tutseg.files import project_root
from tutseg.training.chapter import run_trials
from tutseg.training.trial import make_trial

folder = project_root() / "_build" / "trials"
draws = make_trial(**settings["generator"])
(drawn_run,) = run_trials([draws], folder)
generator = drawn_run.method().average

# %% tags=["hide-input"]
latent.glide_tiles(generator, seed=11)

# %% [markdown]
# And led around a circle, by parts of a pixel. Watch the edges: does anything stay where it was?

# %% tags=["hide-input"]
latent.gliding(generator, seed=11)

# %% [markdown]
# ## What it draws
#
# The first of its pictures, chosen by their number and not by their look:

# %% tags=["hide-input"]
from tutseg.report.photographs import pictures as shown_pictures
from tutseg.training.drawn import generated_pictures
from tutseg.training.pictures import pictures_of, split_of

generated = generated_pictures(drawn_run.folder)
first = generated.images[:18].permute(0, 2, 3, 1).numpy()
shown_pictures(list(first), [str(k) for k in range(len(first))])

# %% [markdown]
# Are they good? The paper answers with the Fréchet distance on features of Inception (FID, its Table 1). Three things make such a number
# say little here. It depends on the features, so ours must not stand in one column with the paper's. With a few hundred pictures it
# is mostly bias, so it needs its floor: the distance of real pictures from other real pictures. And blurring is a defect that it
# punishes mildly. So there are both ends beside each of our numbers, and *KID*, which has no such bias:

# %%
results = project_root() / "results" / "ssgnet"
pilot = results / "generators-long"
stylegan.generators_table(pilot)

# %% tags=["hide-input"]
kid = stylegan.kid_of(pilot)
stylegan.kimg_figure(kid)

# %% tags=["remove-input"]
shortest, longest = min(kid), max(kid)
say(
    "KID times a thousand is {early:.0f} after {few:.3g} thousand pictures and "
    "{late:.0f} after {many:.3g} thousand. Real pictures have {floor:.0f}, and real ones "
    "that were blurred {blurred:.0f}.",
    few=shortest,
    many=longest,
    early=1000 * kid[shortest]["net"],
    late=1000 * kid[longest]["net"],
    floor=1000 * kid[longest]["training"],
    blurred=1000 * kid[longest]["blurred"],
)

# %% [markdown]
# Hold the line against your eye. The pictures above are from the longest training, in which lesions have come to have a shape and a rim; a
# shorter one draws coloured clouds (you will see some further down). Does KID agree that this is progress? Where it does not, one
# of the two is looking at something that does not matter for the task, and no distance says which. For a network that is to learn
# *outlines* the test is the Dice that it gets in the end.
#
# And look at the axis before you judge: the published generators saw 25,000 thousand pictures.
#
# ### Are they copies?
#
# The best possible KID has a generator that gives back its training pictures, and it would be of no use. Here are those of its
# pictures that are nearest to one that it was shown, each above that one:

# %% tags=["hide-input"]
whole = pictures_of(draws.data, None, draws.size, draws.data_options)
parts = split_of(draws.model_copy(update={"labelled": 1.0}), whole)
seen = whole.take(sorted(parts.labelled))
unseen = whole.take(sorted((*parts.validation, *parts.test)))
latent.neighbour_tiles(generated, seen)

# %% [markdown]
# The table above counts them: "copies" are nearer to a training picture than one in twenty pictures is that the generator never saw.
# "Repeats" are the opposite disease, pictures that are all alike.
#
# ### Where do they lie?
#
# Features of pictures, embedded together: real ones that the generator was shown, real ones that it was not, what it draws, and two
# strangers. A map invites wishful reading, so beside it stands a number: whether the picture nearest to a picture is of the same set.

# %%
from tutseg.nets.lite0_features import features_of

few = 120
stranger = lambda data, **options: (
    pictures_of(data, None, draws.size, {"n": few, "size": draws.size, **options}).images
)
features = {
    name: features_of(images[:few])
    for name, images in {
        "real, held out": unseen.images,
        "real, shown to it": seen.images,
        "generated": generated.images,
        "drawn with defects": stranger("synth-wild"),
        "drawn polyps": stranger("synth", kind="endoscopy"),
    }.items()
}
stylegan.apart_table(features, "real, held out")

# %% tags=["hide-input"]
stylegan.feature_map(features)

# %% tags=["remove-input"]
from tutseg.quality import told_apart

held = features["real, held out"]
say(
    "The nearest picture is of the same set {own:share} of the time for generated "
    "pictures, and {floor:share} for real ones that the generator was shown.",
    own=told_apart(features["generated"], held),
    floor=told_apart(features["real, shown to it"], held),
)

# %% [markdown]
# ## Train one while you read
#
# Two networks that learn from each other have no loss that falls. One step of the pair:

# %%
show(StyleGAN3.update)

# %% [markdown]
# The discriminator learns to tell real from drawn, by pictures that are *augmented* with probability $p$ so that few real ones do not
# get learned by heart {cite}`karras2020ada`; now and then it pays for being steep (R1). What draws in the
# end is a moving average of the generator.

# %%
live = make_trial(**settings["live"])
(live_run,) = run_trials([live], folder, keep_snapshots=True)
print(live.command)

# %% tags=["hide-input"]
from tutseg.report.lines import curves

curves(
    {"StyleGAN3-T": [live_run.log()]},
    {
        "discriminator": "loss of the discriminator",
        "generator": "loss of the generator",
        "score of real": "score of real pictures",
        "score of drawn": "score of drawn ones",
        "r1": "slope (R1)",
        "p": "augmentation's p",
    },
    smooth=5,
)

# %% [markdown]
# Same latent vectors, after each third of this short training. Colours come first, then a blob in the middle, then its edge:

# %% tags=["hide-input"]
import numpy as np
from PIL import Image

from tutseg.report.photographs import Tile, Tiles

sheets = sorted((live_run.folder / "sheets").iterdir())
tiles = [
    Tile(np.asarray(Image.open(path)), f"step {int(path.stem)}", f"{path.stem} steps")
    for path in sheets
]
Tiles((tuple(tiles),), 3, f"36 drawn pictures after {len(tiles)} lengths of training.")

# %% [markdown]
# ## Round by round
#
# **Equations 2 to 4** train $f_\theta$ on real pictures, by cross-entropy and Dice:

# %%
from tutseg.losses import bce_plus_dice, t_vmf_dice

show(bce_plus_dice)

# %% [markdown]
# The paper's second loss has no equation. *Adaptive t-vMF Dice* takes the angle between a map of probabilities and its labels, and judges it the
# more sharply, the better the class is found already: $\kappa = 32\,$Dice of the epoch before ({ref}`ex-ssgnet-tvmf`). Dice on which
# pictures? The published code takes the validation part, which is where it also chooses its weights.

# %%
show(t_vmf_dice)

# %% [markdown]
# **Equation 5** labels what was drawn, $\hat y_j^{(0)} = f_\theta(\hat x_j)$, and **Equation 6** does so again with the network of round
# $t$. The labels are hard, no picture is left out for being unsure, and real and drawn pictures are thrown together as they are.

# %%
from tutseg.methods.generative.ssgnet import SSGNet

show(SSGNet.prepare)

# %%
plain = {"method": "supervised", "options": {"loss": "bce-dice"}}
chain = [make_trial(**plain, **settings["chain"])]
for t in range(1, settings["rounds"] + 1):
    inputs = {"generated": draws.id, "labeller": chain[-1].id}
    chain.append(
        make_trial(
            method="ssgnet", options={"round": t}, inputs=inputs, **settings["chain"]
        )
    )
_, *round_runs = run_trials([draws, *chain], folder)

# %% [markdown]
# Every round has the same number of steps from the same start. That is not a detail: with thousands of drawn pictures beside a
# few real ones, a network that counts *epochs* trains many times as long, and one that counts *steps* hardly meets the real ones.
# The authors' two scripts do one each. Labels of generated pictures cannot be checked, as they have no truth. But these real
# pictures, which no round has learned from, have one:

# %%
from tutseg.report import rounds

pictures = pictures_of(chain[0].data, None, chain[0].size, chain[0].data_options)
known = pictures.take(split_of(chain[0], pictures).unlabelled[:120])
found = rounds.rounds_of(round_runs, generated, known)
rounds.rounds_table(found)

# %% tags=["remove-input"]
dice = [each.test for each in found]
say(
    "On test pictures Dice is {first:share} before any drawn picture, and {last:share} "
    "in the last round; from round to round {moved} % of the pixels of generated "
    "pictures change their label. One seed.",
    first=dice[0],
    last=dice[-1],
    moved=", then ".join(f"{100 * part:.1f}" for part in rounds.changed(found)[1:]),
)

# %% [markdown]
# Think of what a label can teach that its maker does not know. A network that learns its own hard labels learns to be surer, and to say the
# same of pictures that look a little different. That is a real thing to learn, and it is the same as in the chapters on
# [DME-FD](01_dme_fd.ipynb) and [SAM-KD](02_sam_kd.ipynb); that the pictures were *drawn* adds only as far as they differ from the
# real ones in the right way. One seed of a minute cannot tell. The controls on [the page of tables](04b_ssgnet_tables.ipynb) can:
# real pictures without masks in the place of generated ones, labels exchanged between pictures, exact masks, none at all.

# %% tags=["remove-input"]
from tutseg.report import ssgnet

say("{told}", told=ssgnet.told_controls(results / "controls-lab"))

# %% [markdown]
# ### Move it yourself: the rounds
#
# Predict first: will the labels of generated pictures change more from round 0 to 1, or from 1 to 2? And which of the four
# numbers will?

# %% tags=["hide-input"]
rounds.round_explorer(found, generated, known)

# %% [markdown]
# ## Move it yourself: latent space
#
# Four pictures in the corners; in between, mixtures of their $w$. Move along an edge and predict the middle: a lesion
# that is half one and half the other, or two lesions laid over each other?

# %% tags=["hide-input"]
latent.WalkExplorer(generator, seeds=(0, 1, 2, 3))

# %% [markdown]
# ### Truncation
#
# Every $w$ can be drawn towards the typical one, $\bar w + \psi\,(w - \bar w)$. Small $\psi$ gives tidy pictures that are all alike. The paper
# does not say which $\psi$ its ten thousand pictures had. Predict: what would a training set with $\psi = 0.4$ teach about rare lesions?

# %% tags=["hide-input"]
latent.psi_explorer(generator)

# %% [markdown]
# ## Half of Table 2 has another score
#
# Table 2 sets networks trained with *adaptive t-vMF Dice* {cite}`kato2023tvmf` below VM-UNet {cite}`ruan2024vmunet`, and
# they look better by several points. Both columns say "Dice". One evaluation pools the lesion's pixels of all pictures; the other
# takes the mean of lesion *and background*, and where most pixels are skin, background is nearly always right. How do we know? A row's
# accuracy, sensitivity and specificity fix its confusion matrix, and from it both scores follow:

# %%
from tutseg.report import definitions

definitions.definitions_table()

# %% tags=["remove-input"]
say("{told}", told=definitions.told_leads())

# %% [markdown]
# The rounds of SSGNet are not touched by this, since a row is compared with its own baseline; every sentence about the better network is.
#
# ### Move it yourself: the lesion's share
#
# One and the same quality of outline, a Dice that stays. Predict first: where are the two scores farther apart, with small lesions or
# with large ones?

# %% tags=["hide-input"]
definitions.prevalence_explorer()

# %% [markdown]
# ## Classification, in short
#
# For Tables 3 and 4 each class has a generator, so the class of a drawn picture is known and nothing has to be labelled: drawn pictures
# balance the classes, or go beyond that by a fifth or a half of the balanced number. Three things to look at before any number:
#
# - **Which setting is shown?** Table 3 shows the best of Table 4, another one for each data set, chosen on the test pictures.
# - **How many pictures are tested?** BreastMNIST {cite}`yang2023medmnist` has 156, and no interval is printed.
# - **Which class is which?** Accuracy and the two recalls fix how frequent the classes are:

# %%
from tutseg.papers.contradictions import audit_paper

audited = audit_paper("ssgnet")
for finding in audited:
    if finding.table == 4:
        print(f"[{finding.severity}] {finding.message}")

# %% [markdown]
# In BreastMNIST benign tumours are the frequent class. By the printed recalls they are the rare one, so the names of the two were
# exchanged, and "recall of benign tumours rises" is a sentence about malignant ones. The tables, and trials on small real pictures as far
# as they have been run, are on [the page of tables](04b_ssgnet_tables.ipynb).
#
# ## Design choices
#
# | what the paper leaves open | what its code does | what we do | why, and where to change it |
# |---|---|---|---|
# | $z_0$ (Eq. 1) | StyleGAN3-T: waves | waves | a constant cannot be moved by half a pixel |
# | how long a generator trains | up to 25,000 thousand pictures, 60 hours | 20 thousand on drawn lesions | a CPU; `--steps`, and KID against it above |
# | truncation $\psi$ of what is added | not said | 1, all that it draws | `tutseg generate --psi`; above |
# | what the generator sees | all pictures of a class in its folder | the training part only | else the test pictures leak into training |
# | unsure pseudo-labels | all kept, hard | all kept, hard | `-o confidence=0.9` |
# | real beside drawn | joined as they are | joined as they are | `-o balanced=true` |
# | a round starts from | the same pretrained weights | the same seed's weights | so that rounds differ in their labels alone |
# | length of a round | epochs (VM-UNet), steps (t-vMF) | steps, the same in all | passes over real pictures stand in the table |
# | which round counts | the best one in the test table | all are shown; validation chooses | [tables](04b_ssgnet_tables.ipynb) |
# | $\varepsilon$ (Eq. 3) | 1, a picture at a time | 1, a picture at a time | – |
# | $\kappa$ of t-vMF | 32 times the validation Dice of an epoch | the same | `-o kappa=` |
# | optimiser | AdamW, where the paper says Adam | AdamW | the same for all methods here |
# | "two-class output layer" (3.3) | one sigmoid | two logits, Eq. 2 in either case | – |
#
# What a choice is worth, as far as it has been measured, is on [the page of tables](04b_ssgnet_tables.ipynb).
#
# ## What contradicts
#
# `tutseg audit ssgnet` recomputes the paper's tables; [the audit](../book/audit.md) explains each check. One of each kind:

# %%
of_a_kind = {}
for finding in audited:
    kind = (finding.severity, finding.rule, finding.table)
    of_a_kind.setdefault(kind, []).append(finding)
for (severity, _, table), same in of_a_kind.items():
    more = f" ({len(same) - 1} more of this kind)" if len(same) > 1 else ""
    print(f"[{severity}] Table {table}: {same[0].message}{more}")

# %% [markdown]
# Four are worth a second look. **Table 6 has its headings exchanged**: a mean IoU above the Dice of the same masks cannot be, in all
# rows, and exchanged they are Table 2's numbers; the supplement's text reads them the wrong way round too. **A row is wrong either
# way**: Kvasir-SEG after the second round. **The best round is shown**: after two rounds, t-vMF on Kvasir-SEG and ISIC 2017 is worse than after
# one, and Table 2 has the first. **The lesion's share differs within a test set**: each row fixes how many pixels are lesion, and the rows that the
# authors made themselves for VM-UNet disagree with those that they copied, and with each other.
#
# ## Claims

# %% tags=["remove-input"]
from tutseg.papers.verdicts import counts
from tutseg.report.ledger import verdicts_of

decided = verdicts_of("ssgnet")
say(
    "The paper makes {n} claims. With scores that follow from one another "
    "counted once: {words}.",
    n=len(decided),
    words=", ".join(
        f"{count} {word}" for word, count in counts(decided).items() if count
    ),
)

# %% [markdown]
# [The page of tables](04b_ssgnet_tables.ipynb) lists them all, and [the ledger](../book/ledger.md) explains the words.
#
# ## Exercises
#
# Predict before you run. A generator of a thousand pictures takes about two minutes:
# `tutseg train stylegan3-t --net stylegan3-s -d n=300 -d size=64 --size 64 --steps 63`, and `tutseg generate RUN --n 100 --out drawn` draws from it.
#
# ```{exercise-start} ★ From one definition to the other
# :label: ex-ssgnet-prevalence
# ```
# A test set has 20 % lesion pixels. A network finds 85 % of them and calls 3 % of the skin lesion. What is the lesion's pooled Dice, and what is
# the mean of lesion's and background's? What becomes of their distance if only 5 % of the pixels are lesion?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ssgnet-prevalence
# :class: dropdown
# ```
# Of 100 pixels: 17 hit, 3 missed, 2.4 false, 77.6 right background. Lesion: $2 \cdot 17 / (34 + 3 + 2.4) = 0.863$. Background:
# $2 \cdot 77.6 / (155.2 + 5.4) = 0.966$; mean 0.915, so five points more. With 5 %: 4.25, 0.75, 2.85, 92.15, lesion 0.702, background 0.981, mean
# 0.842: fourteen points more. The rarer the lesion, the more the mean hides.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★ A picture that cannot move
# :label: ex-ssgnet-constant
# ```
# Replace the waves by a constant map of 4 × 4 places, as the paper's text has it. Which moves $t$ does Eq. 1 allow then? And with
# waves on a map without margin?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ssgnet-constant
# :class: dropdown
# ```
# Moves by whole places of the coarsest map alone, that is by a quarter of the picture, and then something must come in at the edge that the constant
# does not have. Without a margin, convolutions at the edge read zeros in the place of what lies outside: they tell the network where the edge is,
# and the figure above says what that costs.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★ How sharp is t-vMF?
# :label: ex-ssgnet-tvmf
# ```
# $\phi_\kappa = \frac{1 + \cos\theta}{1 + \kappa (1 - \cos\theta)} - 1$, and the loss is $(1 - \phi_\kappa)^2$. Compute $\phi$ at $\cos\theta = 0.9$ for
# $\kappa = 0, 2, 8, 32$. With $\kappa = 32\,$Dice: is the loss of a good network strict or mild?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ssgnet-tvmf
# :class: dropdown
# ```
# 0.90, 0.583, 0.056 and −0.548. The better the network, the more a small angle costs: strict where it is good already. A class that is not
# found yet is judged by the plain cosine.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★ The same number of steps
# :label: ex-ssgnet-passes
# ```
# 1500 real pictures, 10,000 drawn ones, batches of 24, 4000 steps. How often is each real picture seen without the drawn ones, and with
# them? Somebody reports that "more data helped although training was no longer". Or that it hurt. What would you ask?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ssgnet-passes
# :class: dropdown
# ```
# $96{,}000 / 1500 = 64$ times without; $96{,}000 / 11{,}500 = 8.3$ times with. A gain may come from less overfitting, for which stronger
# augmentation or fewer steps would do; a loss from real masks that are hardly seen. Ask for the baseline's curve over steps, and for the control
# in which drawn pictures are replaced by real ones without masks.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ What a hard label of one's own teaches
# :label: ex-ssgnet-own
# ```
# A network says $p = 0.7$ of a pixel of a drawn picture. Its hard label is 1. What is the gradient of the cross-entropy with respect to its
# logit, and what would it be with the soft label 0.7? When does learning one's own hard labels change *decisions*?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ssgnet-own
# :class: dropdown
# ```
# $p - y$: $-0.3$, and 0. A hard label pushes every pixel away from one half, on the side where it is. Decisions change where pushes on some pixels move
# others across one half: where a fresh network, other augmentation or neighbouring pictures say something else. That is consistency, not knowledge.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ Labels of the wrong picture
# :label: ex-ssgnet-shuffled
# ```
# Train a round with `-o shuffled=true`: every drawn picture gets another one's label. Lesions lie in the middle of most pictures. Predict:
# does Dice on test pictures fall to zero, a little, or not at all? What does the answer say of a gain of two points with right labels?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ssgnet-shuffled
# :class: dropdown
# ```
# A label of another picture still says "in the middle, about so large", which is worth much as a prior and wrong at every edge. What right labels are worth is
# their distance to *this* control, not to zero. The page of tables has the row.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ The best of three rounds
# :label: ex-ssgnet-best
# ```
# Suppose rounds 0, 1 and 2 are equally good, and the test score of each scatters by one point. What is the expected "gain" of the best of rounds 1 and 2
# over round 0? And if the better of four data sets' rounds is chosen for each?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ssgnet-best
# :class: dropdown
# ```
# The larger of two independent normal numbers is $1/\sqrt\pi \approx 0.56$ standard deviations above their mean on average: half a point for nothing, on every data set anew.
# One of Table 2's eight gains in Dice is smaller than that. Choose on validation, and show all rounds.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★★ What are drawn pictures worth?
# :label: ex-ssgnet-worth
# ```
# Design an experiment that says what a *generator* adds to pseudo-labels. Which arms, which is the one to compare with, what is
# held equal, and what would convince you that it adds nothing?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-ssgnet-worth
# :class: dropdown
# ```
# Same start, same steps, same number of added pictures: none; the training pictures themselves once more, strongly augmented; real pictures without masks; generated
# ones, with right and with exchanged labels; drawn ones with exact masks, as the ceiling. The arm to beat is the second, as a generator can know nothing
# that is not in its training pictures. If the interval of their paired difference lies within a margin set beforehand, it adds nothing that matters.
# ```{solution-end}
# ```
