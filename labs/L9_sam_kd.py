# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # Lab 9. Ask a large network, teach a small one
#
# **Goal.** You prompt a Segment Anything in miniature, write SAM-KD's prompt and its distillation loss, teach small
# networks with the answers, and set accuracy against milliseconds.
#
# **You need** Section 2 of the paper. `sam-s` comes with the package: Segment Anything's modules, small, trained on
# drawn scenes. Two or three small trainings run near the end.

# %% tags=["setup"]
import time

import numpy as np
import torch

from tutseg.labs import check, met, predict, short

# %% [markdown]
# ## 1. A box (10 min)
#
# A box says which thing is meant: left, top, right and bottom *edge*, as shares of the picture's width and height. A
# mask that fills the whole picture has the box (0, 0, 1, 1).


# %%
def box_of(mask):
    """The smallest box (left, top, right, bottom) around a boolean mask, in [0, 1]."""
    ### BEGIN SOLUTION
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, right = columns[0] / width, (columns[-1] + 1) / width
    return left, rows[0] / height, right, (rows[-1] + 1) / height
    ### END SOLUTION


# %%
check("L9.1", box_of=box_of)

# %% [markdown]
# ## 2. What the small network has to say (12 min)
#
# SAM-KD's small network has two heads: logits $z$ of the mask, and a signed distance $\phi$, below 0 inside. Both
# shall become one prompt. Segment Anything takes masks as *logits*; $-k\,\phi$ is one, if $\sigma(-k\,\phi)$ is the
# mask that a distance stands for. The paper is silent on how the two are joined; take the mean of the two logits. No
# gradient may pass, as a prompt is a question and not an answer.


# %%
def fused(z, phi, k=10.0):
    """The prompt of section 2.1, in logits. z, phi: (B, 1, H, W)."""
    ### BEGIN SOLUTION
    of_distance = -k * phi.detach()
    return (z.detach() + of_distance) / 2
    ### END SOLUTION


# %%
check("L9.2", fused=fused)

# %% [markdown]
# ## 3. Distillation (20 min)
#
# Equations 2 and 3 soften both networks by a temperature $T$ and take the divergence of the small one from SAM,
#
# $$\hat Y_T^c = \frac{\exp(\hat q_c / T)}{\sum_c \exp(\hat q_c / T)}, \qquad L_{kd} = \sum_c \hat Y_T^c\,\log\frac{\hat Y_T^c}{\hat Y_T^{main,c}}.$$
#
# A pixel has two classes, with the logits $0$ and $z$, so the softmax of lesion is $\sigma(z / T)$. Take the mean
# over pixels, and no gradient on SAM's side. `torch.nn.functional.logsigmoid` is safer than the logarithm of a
# sigmoid.


# %%
def distillation(sam, main, temperature):
    """SAM-KD Eq. 2-3. Logits (B, 1, H, W) of SAM and of the small network; a scalar."""
    ### BEGIN SOLUTION
    log = torch.nn.functional.logsigmoid
    s, m = sam.detach() / temperature, main / temperature
    lesion = s.sigmoid() * (log(s) - log(m))
    skin = (-s).sigmoid() * (log(-s) - log(-m))
    return (lesion + skin).mean()
    ### END SOLUTION


# %%
check("L9.3", distillation=distillation)

# %% [markdown]
# **Predict.** SAM says $z = 4$ of a pixel, the small network 0. The gradient of $L_{kd}$ at $T = 10$ is how many
# times that at $T = 1$?

# %%
predict("L9.a", None)

# %%
sizes = []
for temperature in (1.0, 10.0):
    z = torch.zeros(1, 1, 1, 1, requires_grad=True)
    distillation(torch.full((1, 1, 1, 1), 4.0), z, temperature).backward()
    sizes.append(abs(z.grad.item()))
met("L9.a", sizes[1] / sizes[0])

# %% [markdown]
# Therefore Hinton and his co-authors multiply by $T^2$. Equation 3 does not.
#
# ## 4. Milliseconds (10 min)
#
# A first call warms caches up and is no measurement. After it, take several, and of these the *median*: a mean is
# spoiled by a single pause of the machine. `time.perf_counter()` gives seconds.


# %%
def milliseconds(call, repeats=5):
    """The median time of a call in milliseconds, after one call that is not measured."""
    ### BEGIN SOLUTION
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * np.median(times)
    ### END SOLUTION


# %%
check("L9.4", milliseconds=milliseconds)

# %% [markdown]
# ## 5. Teach (20 min)
#
# Drawn pictures of one lesion. For sixty of them nobody has drawn an outline, but somebody has drawn a *box*, which
# takes seconds. Segment Anything makes of each box a soft mask, and small networks learn from those. Six pictures
# have outlines; the same networks learn from these alone, as a control.
#
# **Predict.** What mean Dice does Segment Anything reach with the true box?

# %%
predict("L9.b", None)

# %% tags=["long"]
from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.labs.loop import dice_of, learn
from tutseg.losses import bce_dice
from tutseg.nets import Output, build

SIZE = 64
drawn = load_pictures(open_source("synth", n=106, size=SIZE), SIZE)
boxed, outlined, test = (
    drawn.floats(torch.arange(start, start + n))
    for start, n in ((0, short(60, 8)), (60, 6), (66, short(40, 6)))
)
sam = build("sam-s", SIZE, pretrained=True).eval()


class Told(torch.nn.Module):
    """Segment Anything, told by the boxes of some masks."""

    def __init__(self, masks):
        super().__init__()
        self.boxes = torch.tensor([box_of(mask[0].numpy() > 0) for mask in masks]).float()

    def forward(self, images):
        at = slice(self.given, self.given + len(images))
        self.given = at.stop
        return Output(sam.decode(sam.embed(images), boxes=self.boxes[at]).logits)

    def eval(self):
        self.given = 0
        return super().eval()


dice = {"SAM, told": dice_of(Told(test[1]), *test)}
met("L9.b", dice["SAM, told"])

# %% tags=["long"]
with torch.no_grad():
    answers = Told(boxed[1]).eval()(boxed[0]).logits
print(f"SAM's answers on the boxed pictures: Dice {dice_of(Told(boxed[1]), *boxed):.3f}")

# %% [markdown]
# A mask prompt can help as well as mislead. Here is what Segment Anything makes of the outline that is moved aside,
# in place of a box:

# %% tags=["long"]
with torch.no_grad():
    seen = sam.embed(test[0])
    for aside in (0, 4, 8):
        rough = torch.roll(test[1], aside, 3)
        prompt = fused(8 * (2 * rough - 1), 1 - 2 * rough, k=8.0)
        said = (sam.decode(seen, mask_logits=prompt).logits >= 0).float()
        score = lambda mask: 2 * (mask * test[1]).sum() / (mask.sum() + test[1].sum())
        print(f"moved by {aside} px: prompt {score(rough):.3f}, answer {score(said):.3f}")

# %% [markdown]
# **Predict.** Which is better for `unet-s`: six outlines ("outlines"), or sixty boxes by way of Segment Anything
# ("boxes")?

# %%
predict("L9.c", None)

# %% tags=["long"]
for name in ("unet-s", "malunet", "ege-unet"):
    for source in ("outlines", "boxes"):
        torch.manual_seed(0)
        net = build(name, SIZE)
        taught = {
            "outlines": (*outlined, bce_dice),
            "boxes": (boxed[0], answers, lambda main, sam: distillation(sam, main, 1.0)),
        }[source]
        learn(net, *taught, steps=short(80, 2))
        dice[f"{name}, {source}"] = dice_of(net, *test)
        print(f"{name:<9} {source:<9} {dice[f'{name}, {source}']:.3f}")

# %% tags=["long"]
better = "boxes" if dice["unet-s, boxes"] > dice["unet-s, outlines"] else "outlines"
met("L9.c", better)

# %% [markdown]
# ## 6. Accuracy against time (12 min)
#
# A network is worth having if no other is at least as accurate *and* at least as fast, and better in one of the two.
# Those that are make the Pareto front.


# %%
def front(points):
    """The names on the Pareto front, the fastest first. points: name -> (Dice, ms)."""
    ### BEGIN SOLUTION
    names = []
    for name, (dice, ms) in points.items():
        others = [other for other in points.values() if other != (dice, ms)]
        if not any(d >= dice and t <= ms for d, t in others):
            names.append(name)
    return sorted(names, key=lambda name: points[name][1])
    ### END SOLUTION


# %%
check("L9.5", front=front)

# %% [markdown]
# **Predict.** How many times faster is the fastest of the small networks than `sam-s`, one picture at a time?

# %%
predict("L9.d", None)

# %% tags=["long"]
one = test[0][:1]
nets = {name: build(name, SIZE).eval() for name in ("unet-s", "malunet", "ege-unet")}
box = torch.tensor([[0.2, 0.2, 0.8, 0.8]])
with torch.no_grad():
    ms = {name: milliseconds(lambda net=net: net(one), 15) for name, net in nets.items()}
    ms["sam-s"] = milliseconds(lambda: sam.decode(sam.embed(one), boxes=box), 15)
weights = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
points = {"sam-s": (dice["SAM, told"], ms["sam-s"])}
points |= {name: (dice[f"{name}, boxes"], ms[name]) for name in nets}
for name, (score, took) in points.items():
    size = weights.get(name, sum(p.numel() for p in sam.parameters()))
    print(f"{name:<9} Dice {score:.3f}   {took:6.1f} ms   {size / 1e6:.2f} M weights")
print("on the front:", ", ".join(front(points)))

# %% tags=["long"]
met("L9.d", ms["sam-s"] / min(ms[name] for name in nets))

# %% tags=["figure"]
from tutseg.report.lab import chart

chart(
    {name: ([took], [score]) for name, (score, took) in points.items()},
    "milliseconds for one picture",
    "mean Dice",
    logarithmic="x",
    joined=False,
)

# %% [markdown]
# Two things are not in this figure: `sam-s` had a box for every *test* picture, which the small networks did not; and
# few weights are not the same as few milliseconds.
#
# ## 7. Free task (6 min)
#
# Choose one. Write what you expect before you run it, and one sentence about what came out.
#
# 1. **Careless boxes.** Move every box by a tenth of its size before Segment Anything answers. How much of it reaches
#    the small network?
# 2. **Temperature.** Teach `unet-s` at $T = 10$, with and without a factor $T^2$.
# 3. **How many boxes?** Ten, thirty, sixty. Where does one outline more help more than ten boxes?
#
# ## Rubric
#
# | points | for |
# |---|---|
# | 5 | one for each check that is content |
# | 2 | the predictions, made before the run, and a sentence on the one that surprised you most |
# | 3 | for whom which network on the front is the right one, and what the comparison with `sam-s` leaves out |
# | 2 | the free task: expectation, run, conclusion |
