# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # DALE: learning from outlines that may be wrong
#
# Every chapter so far took its outlines for true. Whoever has drawn one knows better: where a lesion fades into skin, two
# experts draw two lines, and on a Friday evening one expert does. *DALE* {cite}`fang2025dale` first learns where pictures are
# clear, then asks of every pixel elsewhere whether learning its label would help with the clear ones, and trusts it
# accordingly.
#
# No real data can tell whether that finds wrong labels, because nobody knows which ones are wrong. Here somebody does: the
# lesions are drawn by the package, their true outline is known to the pixel, and so are the errors that we put in. On this
# page you will see the fifteen equations beside code, watch $\omega$ search for errors, and find out which of two
# contradicting signs is right; [another page](03b_dale_tables.ipynb) has the paper's tables beside ours.

# %% tags=["parameters"]
PROFILE = "lab"  # lab, gpu or paper

# %%
from tutseg.workflow.profiles import load_profile

profile = load_profile("03_dale", PROFILE)
print(f"profile {PROFILE}: {profile.hardware}, about {profile.minutes:g} minutes")
print(f"expect: {profile.expect}")

# %% [markdown]
# ## The idea in one picture
#
# Each batch is used twice. A picture is cut into patches. *Clear* patches teach first (top). Then a shadow of the network takes
# a step on the *fuzzy* patches, comes back, and is tested on the clear ones: did that step help (bottom)? Every fuzzy
# pixel's label gets a weight $\omega$ from the answer, and only then does the network learn from it. A third term asks that the
# features of fuzzy pixels be distributed like those of clear ones.

# %% tags=["hide-input"]
from tutseg.report.diagrams import diagram

diagram(
    {
        "x": (0, 1, "picture\nand outline"),
        "n": (1, 0.2, "clear patches\n$X^n, Y^n$"),
        "f": (1, 1.8, "fuzzy patches\n$X^f, Y^f$"),
        "tn": (2, 0.2, "a real step\n$\\theta_n$"),
        "s": (2, 1.8, "a virtual step\n$\\theta_p$"),
        "w": (3, 1, "confidence\n$\\omega$"),
        "l": (3, 2.4, "alignment\n$L_W$"),
        "tf": (4, 1.8, "a real step\n$\\theta_f$"),
    },
    [
        ("x", "n", "Eq. 3-7"),
        ("x", "f", ""),
        ("n", "tn", "Eq. 1"),
        ("f", "s", "Eq. 8"),
        ("tn", "w", "Eq. 9"),
        ("s", "w", ""),
        ("s", "l", "Eq. 12-14"),
        ("w", "tf", "Eq. 15"),
        ("l", "tf", ""),
    ],
)
# %% [markdown]
# ## Each equation beside the code that runs it
#
# **Equations 1 and 2** alternate: with $D_n$ the clear and $D_f$ the fuzzy part of the data,
#
# $$\theta_n^t = \arg\min_\theta \sum_{D_n}\mathcal L(\mathcal A(X\,|\,\theta_f^{t-1}), Y), \qquad
# \theta_f^t = \arg\min_\theta \sum_{D_f}\mathcal L_f(\mathcal A(X\,|\,\theta_n^t), Y).$$
#
# An "arg min" is one step of the optimiser on one batch, so an iteration of DALE has **two** real steps. Remember that when
# it is compared with something that has one.

# %%
from tutseg.methods.noisy_labels.dale import DALE, alignment, wasserstein
from tutseg.methods.noisy_labels.regions import (
    average_entropy,
    edge_ratio,
    normalise,
    soft_masks,
)
from tutseg.methods.step import influence
from tutseg.report.source import show

show(DALE.update)

# %% [markdown]
# **Equation 3**, the average entropy (AE) of a patch, $r = -\frac1{hw}\sum_k p_k\log p_k$, where $p_k$ is how often the grey value
# of pixel $k$ occurs. The text says that $r$ grows the more evenly grey values are spread. Read the formula again: the sum runs
# over *pixels*, so each grey value counts once more for each of its pixels. That makes $-\sum_b p_b^2\log p_b$ over grey
# values $b$. Does it grow with evenness? ({ref}`ex-dale-entropy`)

# %%
show(average_entropy)

# %% [markdown]
# **Equation 4**, the edge ratio (ER): how much of a patch of the *label* is outline.

# %%
show(edge_ratio)

# %% [markdown]
# **Equation 5** stretches both to $[0, 1]$ within a picture, and $m = \max(r^{std}, e^{std})$.

# %%
show(normalise)

# %% [markdown]
# **Equation 6** makes two masks: $M^f = 1$ where $m > \tau$, else $m$; and $M^n = 1$ where $m < \tau$, else $\tau - m$. Before you
# read the code: which sign has $\tau - m$ there?

# %%
show(soft_masks)

# %% [markdown]
# **Equation 7** multiplies the masks into picture *and* label: $X^f = M^f \odot X$, $Y^f = M^f \odot Y$. A label times $m$ is no
# label any more: inside a lesion it asks the network to say $m$. So masks weigh the loss here, and `labels="masked"` has the
# equation as printed.

# %%
show(DALE.split)

# %% [markdown]
# **Equation 8** is the virtual step, $\theta_p = \theta_n - \eta\,\nabla\sum_k \omega_k \ell_k$ over fuzzy pixels $k$, and
# **Equation 9** chooses $\omega$ so that the loss on the clear part is low *after* it. **Equations 10 and 11** are one step of
# that, from $\omega = 1$. By the chain rule
#
# $$\frac{\partial \mathcal L_n(\theta_p)}{\partial \omega_k}
#   = -\eta\,\big\langle \nabla \mathcal L_n(\theta_p),\ \nabla \ell_k(\theta_n)\big\rangle,$$
#
# so $\omega_k$ rises if pixel $k$ pulls the network where the clear part wants it, and falls if it pulls the other way. One number
# for each pixel, but no gradient has to be taken for each: all products with one fixed direction are *one* forward-mode
# derivative. That is exact, and it needs no graph of second order.

# %%
show(influence)

# %%
show(DALE.omega)

# %% [markdown]
# **Equation 12** keeps the features of those pixels that look clean: $F_{f'} = F_f\cdot\mathbb I[\nabla\omega > 0]$. Is
# $\nabla\omega$ the gradient or the step? By Equation 11 a clean label's $\omega$ rises, so its *gradient* is negative. The published
# script keeps positive gradients, which is the opposite. Both are here as `sign`.

# %%
show(DALE.clean)

# %% [markdown]
# **Equations 13 and 14** fit a Gaussian to each class on either side, add $\varepsilon$ to the clear side's covariance, and
# measure, with the root $R_c = (\Sigma_{n'}^c)^{1/2}$,
#
# $$\mathcal L_W = \sum_c \|\mu_n^c - \mu_{f'}^c\|^2
#   + \mathrm{tr}\,\Sigma_{n'}^c + \mathrm{tr}\,\Sigma_{f'}^c - 2\,\mathrm{tr}\big(R_c\,\Sigma_{f'}^c R_c\big)^{1/2}.$$

# %%
show(wasserstein)

# %%
show(alignment)

# %% [markdown]
# **Equation 15** adds up: $\mathcal L_f = \omega\,(\mathcal L + \alpha\,\mathcal L_W)$. You saw it in `update` above.
#
# ## Does the mask know what is fuzzy?
#
# "Fuzzy" is the paper's word for a patch with a high $m$. A drawn lesion has a border of known width, so each pixel has a true
# uncertainty. Sixty drawings, and the rules of Equations 3 to 6:

# %%
from tutseg.data import open_source
from tutseg.report import fuzzy_regions
from tutseg.report.say import say

drawings = fuzzy_regions.drawn(open_source("synth", n=60, size=64), 60)
fuzzy_regions.fuzzy_table(drawings)

# %% tags=["hide-input"]
fuzzy_regions.dice_over_tau(drawings)

# %% tags=["remove-input"]
scores = fuzzy_regions.fuzzy_scores(drawings)
area = {name: each["auc"] for name, each in scores.items()}
say(
    "The area is {both:.2f} by both criteria, {edges:.2f} by edges alone, "
    "{entropy:.2f} by entropy alone, and {printed:.2f} by entropy as it is printed. "
    "Best of the five is {best:names}. Beside an outline, where the question is how "
    "*wide* the border is, entropy has {width:.2f}.",
    both=area["AE and ER"],
    edges=area["ER"],
    entropy=area["AE"],
    printed=area["AE as printed"],
    best=[max(area, key=area.get)],
    width=scores["AE"]["beside"],
)

# %% [markdown]
# How to read it: the edge ratio asks the *label*, and marks where its outline is. Entropy asks the picture, in which skin, hair and
# rulers have texture too. Hold each number against chance, a half. On which side of it is the printed formula, and what did the
# text promise?
#
# ### Move it yourself: the threshold
#
# Predict first: the paper has $\tau = 0.9$. At which threshold is the mask most like the true fuzziness? And what happens
# when only edges may speak?

# %% tags=["hide-input"]
fuzzy_regions.fuzzy_explorer(drawings)

# %% [markdown]
# ## Run it: the noise experiment, small
#
# Outlines of the training pictures are warped, as by an unsteady hand; the test pictures keep the true ones. Plain training,
# the oldest rule against wrong labels (leave out the pixels with the largest loss), and DALE, with noise and without.

# %%
from tutseg.files import project_root
from tutseg.training.chapter import run_trials
from tutseg.training.trial import make_trial

settings = profile.settings
ARMS = {"supervised": {}, "small-loss": {}, "dale": {"options": settings["dale"]}}
NAMES = {"supervised": "supervised", "small-loss": "small loss", "dale": "DALE"}
trials = [
    make_trial(method=method, seed=seed, noise=noise, **options, **settings["trial"])
    for noise in ({}, settings["noise"])
    for method, options in ARMS.items()
    for seed in settings["seeds"]
]
careless = make_trial(
    method="dale",
    noise=settings["careless"],
    **ARMS["dale"],
    **{**settings["trial"], "evaluations": 1},
)
folder = project_root() / "_build" / "trials"
*runs, careless_run = run_trials([*trials, careless], folder, keep_snapshots=True)

# %% [markdown]
# The same from the command line, for any method and any data; what is wrong is kept in the run's folder:

# %%
print(trials[-1].command)
print(f"tutseg score --noise runs/{trials[-1].id}")

# %% [markdown]
# ### Who finds the wrong labels?
#
# A *doubt* is a map that should be high where a label is wrong. DALE's is the gradient of $\omega$: high where $\omega$ would
# fall. The plain loss of the same network is another, and it costs nothing. The area under the ROC curve is taken **within
# each label** and near outlines: noise that only adds lesion would else be "found" by any map that is high on lesion.

# %%
from tutseg.report import noise_experiment, omega
from tutseg.training.evidence import read_run

found = noise_experiment.doubted_by(runs, lambda run: NAMES[run.trial.method])
noise_experiment.find_table(found)

# %% tags=["hide-input"]
noise_experiment.finding_curves(found)

# %% [markdown]
# Two seeds of a minute each decide nothing. The plan with more of everything was written down before it was run
# (`experiments/dale/noise.yaml`); what of it has been run lies in `results/dale/noise-core`:

# %% tags=["hide-input"]
evidence = project_root() / "results" / "dale" / "noise-core"
planned = noise_experiment.doubted_in(evidence) or found
noise_experiment.finding_curves(planned)

# %% tags=["remove-input"]
say("{told}", told=noise_experiment.finding_told(planned))

# %% [markdown]
# ### $\omega$ beside the errors
#
# The first six training pictures. From left to right: the outline that training got; the labels that are wrong (orange: called
# lesion, purple: called background); $\omega$ (orange falls, blue rises); the plain loss (white is high).

# %% tags=["hide-input"]
dale_run = next(run for run in runs if run.trial.method == "dale" and run.trial.noise)
watched = omega.Watched(dale_run)
omega.omega_tiles(watched)

# %% [markdown]
# $\omega$ is a product of *two* gradients, so its map carries the sign of the clear part's wish for each pixel. Where the network
# says too little lesion just then, every lesion pixel helps, right or wrong. That is why the area has to be taken within
# each label.
#
# ### Move it yourself: the step
#
# The picture with the most wrong labels. Predict first: will $\omega$ know more at the beginning of training, when
# the network has seen little of the errors, or at the end?

# %% tags=["hide-input"]
omega.omega_explorer(watched, watched.most_wrong)

# %% [markdown]
# ## What noise costs, and who saves it
#
# Dice on clean test pictures, against how wrong the training outlines were:

# %%
arms, missing = noise_experiment.arms_in(evidence)
if not arms:
    own = [read_run(run.folder, NAMES[run.trial.method]) for run in runs]
    arms = noise_experiment.by_noise(own)
noise_experiment.dice_table(arms, missing)

# %% tags=["hide-input"]
noise_experiment.dice_over_noise(arms)

# %% tags=["remove-input"]
say("{told}", told=noise_experiment.help_told(arms))

# %% [markdown]
# ### Move it yourself: the noise
#
# Choose a noise and a method. The outline is what training sees of the first picture; the numbers are Dice on clean pictures,
# with the interval over seeds and pictures.

# %% tags=["hide-input"]
from tutseg.training.pictures import pictures_of

drawn = pictures_of("synth", None, 64, {"n": 8, "size": 64})
noise_experiment.noise_explorer(arms, drawn)

# %% [markdown]
# ## $\omega$ as published is 1 nearly everywhere
#
# The authors step $\omega$ by Adam. Adam divides a gradient by its own size *plus* $10^{-8}$. The gradient of a single pixel's
# weight shrinks with the number of pixels in a batch, and the paper's batch has over a million. Here is the first step, untrained
# network, the paper's batch and rates, by the size of the pictures:

# %%
published = omega.published_omega("unet-s", {64: 8, 128: 16, 224: 16}, batch=24)
omega.published_table(published)

# %% tags=["remove-input"]
say(
    "At 224 pixels {alike:share} of the fuzzy pixels keep an $\\omega$ within a "
    "hundredth of 1: what the network learns from is then the plain label, whatever "
    "$\\omega$ found out.",
    alike=published[224]["alike"],
)

# %% [markdown]
# So here the gradient is divided by its root mean square over fuzzy pixels (`confidence="rms"`), and the size of pictures does
# not matter. The histogram of $\omega$ over a whole training:

# %% tags=["hide-input"]
logs = {"rms, these trainings": [r.log() for r in runs if r.trial.method == "dale"]}
omega.omega_histogram(logs)

# %% [markdown]
# ## Do features of fuzzy regions come apart?
#
# Figures 1 and 5 of the paper show t-SNE maps in which lesion and skin mix in fuzzy regions, and separate with DALE. A picture
# of neighbourhoods invites wishful reading, so beside it stand two numbers from the features themselves. Test pictures, as many
# pixels of each class; the network that was trained plainly, and DALE's:

# %%
from tutseg.training.pictures import split_of

trial = settings["trial"]
pictures = pictures_of(trial["data"], None, trial["size"], trial["data_options"])
test = pictures.take(split_of(trials[0], pictures).test[:24])
cut = dale_run.method()
nets = {
    NAMES[run.trial.method]: run.method().net
    for run in runs
    if run.trial.noise and run.trial.seed == settings["seeds"][0]
}
regions = {
    f"{name}, {region}": features
    for name, net in nets.items()
    if name != "small loss"
    for region, features in omega.region_features(net, cut, test).items()
}
apart = {name: omega.separation(*each) for name, each in regions.items()}
omega.separation_table(apart)

# %% tags=["hide-input"]
from tutseg.report.statistical import tsne

tsne(
    {name: features for name, (features, _) in regions.items()},
    {name: lesion for name, (_, lesion) in regions.items()},
    what="decoded features of pixels",
)

# %% tags=["remove-input"]
alike = {name: each["neighbours"] for name, each in apart.items()}
say(
    "Plainly trained, a pixel's neighbours are of its own class {clear:.2f} of the time "
    "where patches are clear and {fuzzy:.2f} where they are fuzzy; trained by DALE "
    "{dale_clear:.2f} and {dale_fuzzy:.2f}. One seed each.",
    clear=alike["supervised, non-fuzzy"],
    fuzzy=alike["supervised, fuzzy"],
    dale_clear=alike["DALE, non-fuzzy"],
    dale_fuzzy=alike["DALE, fuzzy"],
)

# %% [markdown]
# The paper's Figure 1 says that the numbers of fuzzy regions are the lower ones, its Figure 5 that DALE raises them. Each is a
# comparison of two rows, which a map alone could not have given you.
#
# ## In real life: which outlines should be looked at again?
#
# Somebody gives you a training set and you suspect that some outlines are careless. Train, and rank the pictures by how little
# the network believes their outline: the sum of the doubt over its pixels, for each pixel of outline. Here a few of the
# outlines were warped and the others left alone. By DALE's $\omega$ the twenty least believed are:

# %% tags=["hide-input"]
watched_careless = omega.Watched(careless_run)
omega.suspect_tiles(watched_careless, "omega")

# %% tags=["hide-input"]
from tutseg.report.noisy_labels import recall_of_errors, suspect_table

suspect_table(careless_run.folder, "omega")

# %% tags=["remove-input"]
recall = {
    doubt: recall_of_errors(careless_run.folder, doubt) for doubt in ("omega", "loss")
}
say(
    "Of {errors} wrong outlines {omega} are among the twenty that $\\omega$ believes "
    "least, and {loss} among the twenty with the largest loss. By lot it would be "
    "{lot:.1f}.",
    errors=recall["omega"][1],
    omega=recall["omega"][0],
    loss=recall["loss"][0],
    lot=omega.by_chance(watched_careless),
)

# %% [markdown]
# Finding a wrong *pixel* in a picture and finding a wrong *picture* in a set are two questions, and the better doubt for one need
# not be the better for the other: the plain loss is high wherever a lesion is hard, wrong outline or not. For your own
# pictures: `tutseg train dale --data folder ...` keeps the maps if the training had `--noise`, and
# [the page on your own pictures](06_own_pictures.ipynb) tells how a folder is read.
#
# ## Design choices
#
# | what the paper leaves open | what its code does | what we do | why, and where to change it |
# |---|---|---|---|
# | sign of $\nabla\omega$ (Eq. 12) | clean where the gradient is positive | clean where $\omega$ rises, as Eq. 11 says | `-o sign=code`; above |
# | does $\mathcal L_W$ train? | no: both sides are detached | yes, through the fuzzy side | `-o align=detached` |
# | step of $\omega$ | Adam at 0.1, eps 1e-8 | gradient over its root mean square, times 0.1 | `-o confidence=adam`; above |
# | entropy (Eq. 3) | not published | Shannon's, which does what the text says | `-o entropy=literal`; above |
# | $\tau - m$ is negative (Eq. 6) | not published | 0 | `-o masks=literal` |
# | masks times labels (Eq. 7) | as printed | masks weigh the loss | `-o labels=masked` |
# | $\varepsilon$ (Eq. 13) | not published | uniform from 0 to 0.01: below 0 the root can fail | – |
# | batch statistics of prediction | those of masked pictures, which training sees | the same | `-o statistics=whole` takes those of whole ones; [what that is worth](03b_dale_tables.ipynb) |
# | which loss is $\mathcal L$ | weighted BCE and IoU | 0.5 (BCE + Dice), for all methods alike | – |
# | "$\omega = 0.1$" | learning rate of $\omega$ | the same | `-o rate=0.1` |
# | virtual steps $K$ | 1 | 1; further virtual steps walk on | `-o k=2` |
# | patch | 16 of 224 pixels | 8 of 64 and 32 grey levels, since 64 pixels cannot fill 256 | `-o patch=8 -o bins=32` |
# | steps compared | iterations of different cost | the same number of iterations; plain training with twice as many beside it | [tables](03b_dale_tables.ipynb) |
#
# What a choice is worth, as far as it has been measured, is on [the page of tables](03b_dale_tables.ipynb).
#
# ## What contradicts
#
# `tutseg audit dale` recomputes the paper's tables; [the audit](../book/audit.md) explains each check.

# %%
from tutseg.papers.contradictions import audit_paper

for finding in audit_paper("dale"):
    print(f"[{finding.severity}] Table {finding.table}: {finding.message}")

# %% [markdown]
# Three are worth a second look. A mean distance above the 95th percentile of the same distances is impossible for most shapes of
# error: in one row two columns were exchanged. XboundFormer with DALE on PH2 stands in three tables, and its distances in one
# of them are not those of the other two. And all iteration counts of Table 5 are whole multiples of the number of training
# *pictures*, as if a batch held one; with the stated batch the longest would be thousands of epochs.
#
# ## Claims

# %% tags=["remove-input"]
from tutseg.papers.verdicts import counts
from tutseg.report.ledger import verdicts_of

decided = verdicts_of("dale")
say(
    "The paper makes {n} claims. With scores that follow from one another "
    "counted once: {words}.",
    n=len(decided),
    words=", ".join(
        f"{count} {word}" for word, count in counts(decided).items() if count
    ),
)

# %% [markdown]
# [The page of tables](03b_dale_tables.ipynb) lists them all, and [the ledger](../book/ledger.md) explains the words.
#
# ## Exercises
#
# Predict before you run. A training takes about half a minute:
# `tutseg train dale -o patch=8 -o bins=32 --data synth -d n=120 -d size=64 --labelled 1 --net unet-s --size 64 --batch 8 --steps 90`.
#
# ```{exercise-start} ★ The printed entropy
# :label: ex-dale-entropy
# ```
# A patch has $k$ grey values, equally often. What is the average entropy as printed, and what is Shannon's, for
# $k = 1, 2, 4, 16, 256$? At which $k$ is the printed one largest?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dale-entropy
# :class: dropdown
# ```
# Every pixel has $p = 1/k$, so the printed mean over pixels is $\frac{1}{k}\log k$: 0, 0.347, 0.347, 0.173, 0.022. It is
# largest for two or four values (at $k = e$, if it could be) and falls from there. Shannon's is $\log k$ and only grows. The
# flattest sky and the busiest texture look alike to the printed formula.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★ A mask below zero
# :label: ex-dale-negative
# ```
# With $\tau = 0.9$ and $m = 1$ the clear mask is $-0.1$, and by Equation 7 so is the label inside a lesion. What does
# binary cross-entropy ask of a probability when the label is $-0.1$?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dale-negative
# :class: dropdown
# ```
# $-y\log p - (1-y)\log(1-p)$ with $y = -0.1$ is $0.1\log p - 1.1\log(1-p)$, which falls without bound as $p \to 0$: it has no
# minimum. The "fuzzy" pixels then push hardest of all, and towards background. Try `-o masks=literal -o labels=masked`.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★ Which way does ω go?
# :label: ex-dale-sign
# ```
# Two pixels of one network with a single weight $\theta$: the clear part wants $\theta$ larger. Pixel a's label wants it
# larger, pixel b's smaller. Write down the signs of $\partial \mathcal L_n/\partial\omega$ for both. Which of them does the
# script call clean?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dale-sign
# :class: dropdown
# ```
# $\nabla\mathcal L_n < 0$; $\nabla\ell_a < 0$, $\nabla\ell_b > 0$. The derivative is $-\eta$ times the product: negative for a,
# positive for b. Descent therefore *raises* $\omega_a$. The script keeps positive gradients, that is b.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ A constant that looks like a loss
# :label: ex-dale-detached
# ```
# In the published step both feature tensors are detached before the alignment loss. Its value is still logged, and it still
# falls. Why? Train with `-o align=detached` and with `-o alpha=0` and the same seed. Do the weights differ?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dale-detached
# :class: dropdown
# ```
# It falls because features of both sides drift as the network learns from the *other* terms. Its gradient is zero, so
# the trained weights are the same but for the random numbers that the loss draws. The paper's Table 4 credits this term with
# the largest gain of all; compare the same two rows in our Table 4.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ Noise that goes one way
# :label: ex-dale-grow
# ```
# Train with `--noise grow=0.06` and call `tutseg score --noise` on the run. All wrong labels are lesion. Compute the area over
# both labels together (`noise.npz` and `doubts.npz` have all you need) and within "lesion". Why do they differ so much?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dale-grow
# :class: dropdown
# ```
# Over both labels any map that is high on lesion and low on skin looks like a detector, and one that is low on lesion looks
# like the opposite of one: the area measures where the *class* is, not where the error is. Within the label only the error
# is left.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★ Remember what you doubted
# :label: ex-dale-memory
# ```
# $\omega$ is made anew for every batch and starts at 1. What would change if each training picture kept its own $\omega$ from epoch
# to epoch? Write down what you would measure before you try it.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dale-memory
# :class: dropdown
# ```
# With $K = 1$ and a step of 0.1, one batch can only whisper: $\omega$ stays between about 0.7 and 1.3. Kept over epochs the steps add
# up, errors are excluded altogether, and so are hard but right pixels: the risk of self-confirmation. Measure the area
# for wrong labels over epochs *and* Dice on hard clean pictures; the second must not fall.
# ```{solution-end}
# ```
#
# ```{exercise-start} ★★★ A fair race
# :label: ex-dale-fair
# ```
# An iteration of DALE costs several plain ones and holds two optimiser steps. The paper shows Dice over iterations. Design a
# comparison that cannot be won by cost alone.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-dale-fair
# :class: dropdown
# ```
# Two comparisons, both shown: equal optimiser steps (plain training with twice the iterations), and equal seconds (with as many as
# DALE's cost buys, measured in one run on the same machine). The same schedule stretched over each budget, since a cosine that is
# cut off has not been trained. Learning rates tuned for both on a validation part, and at least five seeds.
# ```{solution-end}
# ```
