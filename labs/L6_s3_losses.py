# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     name: python3
# ---

# %% [markdown]
# # Lab 6. Does a loss teach? Two tests, tried on S3-Net's losses
#
# **Goal.** You write the losses of S3-Net and two tests that every loss should pass: one asks whether it has a
# gradient, the other whether its invariance is one. Then you put the published code through both.
#
# **You need** Equations 4 to 7 of the paper. One small picture is segmented a few times; nothing takes longer than a
# minute.
#
# Fill in what is missing, run the check behind it, and go on when it is content. A check compares your function with
# slow loops over random numbers; it says what looks wrong, and not what is right. A prediction is kept and met again;
# a wrong one costs nothing.

# %% tags=["setup"]
import torch
import torch.nn.functional as F

from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.labs import check, met, predict, short
from tutseg.methods.one_image.s3_net import (
    S3Net,
    affine_loss_literal,
    quarter_turn,
    sobel,
    spatial_loss_literal,
)
from tutseg.methods.one_image.warps import affine_grid, inside, move
from tutseg.report.lab import chart

# %% [markdown]
# ## 1. To learn what one says already (12 min)
#
# A network gives each pixel the logits $S$ of $K$ clusters, and Equation 4 teaches it its own opinion:
#
# $$L_{ce}(S, Y) = -\frac{1}{HW}\sum_{i,j} Y_{ij}\log S_{ij}, \qquad Y = \arg\max S.$$
#
# $S$ stands for probabilities inside the logarithm. Several pictures are trained side by side, each by its own loss,
# so return one number for each.


# %%
def self_label_loss(logits):
    """S3-Net Eq. 4. logits: (B, K, H, W); returns (B,)."""
    ### BEGIN SOLUTION
    labels = logits.argmax(1, keepdim=True)
    of_label = logits.log_softmax(1).gather(1, labels)
    return -of_label.mean((1, 2, 3))
    ### END SOLUTION


# %%
check("L6.1", self_label_loss=self_label_loss)

# %% [markdown]
# ## 2. Smooth borders (12 min)
#
# Equation 5 takes Sobel edges of a map in three directions, $X$, $Y$ and $XY$, and adds up $|X - Y| + |X - XY| + |Y -
# XY|$. The paper sums over pixels; take the sum over channels and the *mean* over pixels, so that a large picture
# does not weigh more. `sobel(maps)` returns the three, each of the shape of the maps.


# %%
def spatial_loss(maps):
    """S3-Net Eq. 5. maps: (B, K, H, W); returns (B,)."""
    ### BEGIN SOLUTION
    x, y, xy = sobel(maps)
    gaps = (x - y).abs() + (x - xy).abs() + (y - xy).abs()
    return gaps.sum(1).mean((1, 2))
    ### END SOLUTION


# %%
check("L6.2", spatial_loss=spatial_loss)

# %% [markdown]
# ## 3. The gradient test (24 min)
#
# What a loss teaches is its gradient and nothing else. There are two ways to ask for it. One needs no calculus: go a
# small way $h$ along a direction $d$, forwards and backwards, and see how much the loss changes,
#
# $$\frac{\ell(x + h d) - \ell(x - h d)}{2 h}.$$


# %%
def slope(loss, x, direction, h=1e-3):
    """The slope of a loss at x along a direction; loss(x) is a number."""
    ### BEGIN SOLUTION
    ahead, behind = loss(x + h * direction), loss(x - h * direction)
    return float(ahead - behind) / (2 * h)
    ### END SOLUTION


# %%
check("L6.3", slope=slope)

# %% [markdown]
# The other way is to ask PyTorch. Return the length (the Euclidean norm) of the gradient with respect to $x$. Mind
# the case that PyTorch knows of no way from $x$ to the loss: `value.requires_grad` is false then, and
# `torch.autograd.grad` would stop with an error.


# %%
def gradient_size(loss, x):
    """The Euclidean norm of the gradient of loss(x); 0.0 if there is no way to it."""
    ### BEGIN SOLUTION
    x = x.clone().requires_grad_()
    value = loss(x)
    if not value.requires_grad:
        return 0.0
    (gradient,) = torch.autograd.grad(value, x)
    return gradient.norm().item()
    ### END SOLUTION


# %%
check("L6.4", gradient_size=gradient_size)

# %% [markdown]
# The published notebook has another form of $L_S$: it takes the cluster number of each pixel, paints each cluster in
# a random colour, makes the picture grey, and only then looks for edges. The value of that loss falls during
# training.
#
# **Predict.** How long is the gradient of the published $L_S$ with respect to the logits?

# %%
predict("L6.a", None)

# %%
torch.manual_seed(0)
logits = F.interpolate(torch.randn(1, 8, 4, 4), 16, mode="bilinear")
direction = torch.randn_like(logits)
colours = torch.randint(255, (1, 8, 3)).float()
LOSSES = {
    "Eq. 4": lambda x: self_label_loss(x)[0],
    "Eq. 5 on softmax": lambda x: spatial_loss(x.softmax(1))[0],
    "published": lambda x: spatial_loss_literal(x.argmax(1), colours)[0],
}
for name, loss in LOSSES.items():
    size, along = gradient_size(loss, logits), slope(loss, logits, direction)
    print(f"{name:<18} value {loss(logits):.3f}  gradient {size:.4f}  slope {along:+.4f}")

# %%
met("L6.a", gradient_size(LOSSES["published"], logits))

# %% [markdown]
# The figure walks along that direction. A loss can have a value everywhere, and go up and down in steps, and yet be
# level wherever one stands.

# %% tags=["long", "figure"]
way = torch.linspace(0, 2, short(201, 41))
walk = lambda loss: [float(loss(logits + t * direction)) for t in way]
start = {name: walk(loss) for name, loss in LOSSES.items()}
chart(
    {name: (way, [v / values[0] for v in values]) for name, values in start.items()},
    "way along one direction of the logits",
    "loss over its value at the start",
)

# %% [markdown]
# ## 4. The identity test (14 min)
#
# An invariance is a promise: the output shall be the same (or move along) when the input is moved. A loss that holds
# it must notice the move. So replace the move by none at all. If the loss is the same, it never asked for anything.
#
# `loss(move)` below is a number that depends on a transformation of maps. Return the largest change that any of some
# moves makes to it, against no move.


# %%
def identity_test(loss, moves):
    """The largest |loss(move) - loss(no move)|; a move takes maps and returns maps."""
    ### BEGIN SOLUTION
    still = float(loss(lambda maps: maps))
    return max(abs(float(loss(move)) - still) for move in moves)
    ### END SOLUTION


# %%
check("L6.5", identity_test=identity_test)

# %% [markdown]
# The published $L_{AT}$ turns the outputs of *both* heads by 90 degrees and takes their cross-entropy.
#
# **Predict.** By how much does it change if the turn is left out?

# %%
predict("L6.b", None)

# %%
second = logits + 0.5 * torch.randn_like(logits)
published = lambda turn: affine_loss_literal(second, logits, turn)[0]
change = identity_test(published, [quarter_turn, lambda maps: maps.flip(3)])
print(f"value {published(quarter_turn):.4f}, changed by {change:.1e} at most")

# %%
met("L6.b", round(change, 4))

# %% [markdown]
# ## 5. An invariance that is one (14 min)
#
# What would notice? Move the *input*, let the network look again, and compare with the moved labels. A moved picture
# has pixels that come from outside, of which nobody knows the label; they must not count. Return one number for each
# picture, and 0 for one without a valid pixel.


# %%
def moved_loss(second, target, valid):
    """S3-Net Eq. 6 over valid pixels.

    second: logits (B, K, H, W) of the moved pictures; target: their moved labels
    (B, H, W), whole numbers; valid: bool (B, H, W); returns (B,).
    """
    ### BEGIN SOLUTION
    each = F.cross_entropy(second, target, reduction="none")
    seen = valid.sum((1, 2)).clamp(min=1)
    return (each * valid).sum((1, 2)) / seen
    ### END SOLUTION


# %%
check("L6.6", moved_loss=moved_loss)

# %% [markdown]
# A small untrained network, and your test of your loss:

# %%
torch.manual_seed(1)
net = torch.nn.Conv2d(3, 8, 5, padding=2)
picture = F.interpolate(torch.rand(1, 3, 6, 6), 32, mode="bicubic")
labels = net(picture).argmax(1)


def by_input(turned):
    """L_AT of the moved input; `turned` moves maps."""
    everywhere = torch.ones(1, 32, 32, dtype=torch.bool)
    target = turned(labels[:, None].float())[:, 0].long()
    return moved_loss(net(turned(picture)), target, everywhere)[0]


print(f"changed by {identity_test(by_input, [quarter_turn]):.3f}")
still = torch.zeros(1)
grid = affine_grid((32, 32), still + 30, 1 + still, still, torch.zeros(1, 2))
target, valid = move(labels[:, None].float(), grid, "nearest")[:, 0].long(), inside(grid)
by_angle = moved_loss(net(move(picture, grid)), target, valid)[0]
print(
    f"turned by 30 degrees: {by_angle:.3f}, over {valid.float().mean():.0%} of the pixels"
)

# %% [markdown]
# ## 6. What a loss without a gradient does (8 min)
#
# Segment one picture with the published reading of S3-Net, then leave $L_S$ out altogether, and count the pixels that
# end in another cluster.
#
# **Predict.** How many of the 4096 pixels change their cluster in the published reading?

# %%
predict("L6.c", None)

# %% tags=["long"]
pictures = load_pictures(open_source("synth", n=1, size=64), 64)
images, _ = pictures.floats(torch.arange(1))
changed = {}
for reading, weights in (("code", (3.5, 0.2, 4.0)), ("paper", (1.2, 0.3, 0.3))):
    small = {"reading": reading, "clusters": 16, "steps": short(8, 2), "min_labels": 0}
    whole = S3Net(weights=weights, **small).segment(images)
    without = S3Net(weights=(*weights[:2], 0.0), **small).segment(images)
    changed[reading] = int((whole != without).sum())
print(changed)

# %% tags=["long"]
met("L6.c", changed["code"])

# %% [markdown]
# ## 7. Free task (6 min)
#
# Choose one. Write what you expect before you run it, and one sentence about what came out.
#
# 1. **The cheap diagonal.** Put your `spatial_loss` on a map that is 1 below the main diagonal and 0 above it, and on
#    its mirror image. Which border is cheaper? Find the pair of terms that makes the difference.
# 2. **A test for another loss.** Choose a loss of another chapter and write down its identity test: what is replaced
#    by nothing, and what must change?
# 3. **A gradient by force.** Change one thing in the published $L_S$ so that it has a gradient. Does the random
#    colouring still make sense?
#
# ## Rubric
#
# | points | for |
# |---|---|
# | 6 | one for each check that is content |
# | 2 | the predictions, made before the run, and a sentence on the one that surprised you most |
# | 2 | in your own words: why a falling loss is no evidence of learning |
# | 2 | the free task: expectation, run, conclusion |
