"""DME-FD against its equations, written out pixel by pixel, and against what its schedules must reach."""

import math

import pytest
import torch
import torch.nn.functional as F
from drawn import drawn_batch, register_tiny, stepper

from tutseg.errors import InputError
from tutseg.methods import build_method
from tutseg.methods.base import Progress, Views
from tutseg.methods.co_training.ccvc import cosine_discrepancy
from tutseg.methods.co_training.common import forward_views, hard_label
from tutseg.methods.co_training.dme_fd import combine_masks, confident_mask, discrepancy

MIDDLE = Progress(50, 100, 10)
PUBLISHED_EPOCH = 357  # steps; 355 to 362 on ISIC with 8 + 8 pictures a step, by labelled share
PUBLISHED = 80 * PUBLISHED_EPOCH


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    register_tiny(monkeypatch)


def dme_fd(net: str = "groupnorm", size: int = 16, **options):
    torch.manual_seed(0)
    return build_method("dme-fd", net=net, size=size, **options).train()


def gradients(loss, parameters) -> list[torch.Tensor]:
    found = torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True)
    return [g for g in found if g is not None]


# Eq. 2-4


def eq_2(p: float, tau: float) -> int:
    """Eq. 2 for one pixel, with two softmax classes as it is printed."""
    classes = [1 - p, p]
    return int(max(classes) > tau) * classes.index(max(classes))


@pytest.mark.parametrize("tau", [0.5, 0.85, 0.99])
def test_masks_and_their_union_pixel_by_pixel(tau):
    p1, p2 = torch.rand(2, 2, 1, 7, 5, generator=torch.Generator().manual_seed(1))
    mask1, mask2 = confident_mask(p1, tau), confident_mask(p2, tau)
    targets = {how: combine_masks(mask1, mask2, how) for how in ("union", "intersect", "self", "cross")}
    for i in range(p1.numel()):
        a, b = eq_2(p1.flatten()[i].item(), tau), eq_2(p2.flatten()[i].item(), tau)
        assert mask1.flatten()[i] == a and mask2.flatten()[i] == b
        expected = {"union": (a | b, a | b), "intersect": (a & b, a & b), "self": (a, b), "cross": (b, a)}
        for how, pair in expected.items():
            assert tuple(int(t.flatten()[i]) for t in targets[how]) == pair, how


def test_an_unsure_pixel_is_background_and_not_ignored():
    method = dme_fd(cps=False, fdl="none", tau=0.999)
    batch = drawn_batch(2, 2, 16, 1)
    terms = method.losses(batch, MIDDLE)
    p = torch.sigmoid(method.branch1(batch["unlabelled"].strong[0]).logits)
    assert (
        torch.sigmoid(method.branch1(batch["unlabelled"].image).logits) < 0.999
    ).all()  # nothing is sure at random weights
    empty = 0.5 * (-torch.log(1 - p).mean() + 1 - 1e-5 / ((p**2).sum() + 1e-5))
    assert terms["dme1"].item() == pytest.approx(method.alpha(MIDDLE) * empty.item(), rel=1e-5)


def test_union_contains_both_masks_and_intersection_neither_more():
    p1, p2 = torch.rand(2, 1, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    m1, m2 = confident_mask(p1, 0.85), confident_mask(p2, 0.85)
    union, both = combine_masks(m1, m2, "union")[0], combine_masks(m1, m2, "intersect")[0]
    assert (union >= m1).all() and (union >= m2).all() and (both <= m1).all() and (both <= m2).all()
    assert union.sum() + both.sum() == m1.sum() + m2.sum()


def test_at_tau_one_half_identical_nets_are_taught_the_cps_target():
    logits = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    mask = confident_mask(logits.sigmoid(), 0.5)
    assert torch.equal(combine_masks(mask, mask, "union")[0], hard_label(logits))


# Where gradient flows


def test_cross_term_of_one_branch_does_not_move_the_other():
    method = dme_fd()
    terms = method.losses(drawn_batch(2, 3, 16, 1), MIDDLE)
    for mine, other, name in ((method.branch1, method.branch2, "1"), (method.branch2, method.branch1, "2")):
        for term in ("cps", "dme", "sup"):
            assert not gradients(terms[term + name], other.parameters()), term
            assert all(g.abs().max() > 0 for g in gradients(terms[term + name], mine.parameters()))


def test_dme_term_has_no_gradient_through_the_weak_view():
    method = dme_fd(tau=0.5)
    batch = drawn_batch(2, 3, 16, 1)
    x_w, x_s = batch["unlabelled"].image, batch["unlabelled"].strong[0].detach().clone()
    batch["unlabelled"] = Views(x_w.requires_grad_(), strong=[x_s.requires_grad_()])
    terms = method.losses(batch, MIDDLE)
    for term in ("dme1", "dme2"):
        (weak,) = torch.autograd.grad(terms[term], x_w, retain_graph=True)
        assert weak.abs().max() == 0  # the three views share one forward, so zero rather than absent
        (strong,) = torch.autograd.grad(terms[term], x_s, retain_graph=True)
        assert strong.abs().max() > 0
    (weak,) = torch.autograd.grad(terms["cps1"], x_w, retain_graph=True)
    assert weak.abs().max() > 0


@pytest.mark.parametrize("fdl", ["l1", "cosine"])
def test_discrepancy_moves_both_encoders_and_nothing_else(fdl):
    method = dme_fd(fdl=fdl)
    term = method.losses(drawn_batch(2, 3, 16, 1), MIDDLE)["fdl"]
    for net in (method.branch1, method.branch2):
        assert len(gradients(term, net.encoder.parameters())) == len(list(net.encoder.parameters()))
        assert all(g.abs().max() == 0 for g in gradients(term, [*net.decoder.parameters(), *net.head.parameters()]))


# Eq. 6-8


def test_discrepancy_of_identical_nets_is_one_over_epsilon():
    f = torch.randn(2, 8, 3, 3)
    assert discrepancy(f, f) == pytest.approx(1e6)
    method = dme_fd()
    method.branch2.load_state_dict(method.branch1.state_dict())
    fdl = method.losses(drawn_batch(2, 2, 16, 1), Progress(0, 100, 10))["fdl"]
    assert fdl.item() == pytest.approx(1e6)


@pytest.mark.parametrize("channels", [8, 320, 768])
def test_discrepancy_never_falls_below_half_the_channels(channels):
    opposite = torch.zeros(2, 1, channels, 4, 4)
    opposite[0, :, 0], opposite[1, :, 1] = 1e4, 1e4  # two different one-hot distributions: as far apart as can be
    floor = 1 / (2 / channels + 1e-6)
    assert discrepancy(*opposite) == pytest.approx(floor, rel=1e-6)
    assert floor == pytest.approx(channels / 2, rel=1e-3)
    draw = torch.Generator().manual_seed(4)
    for scale in (0.1, 1.0, 10.0, 100.0):
        f1, f2 = scale * torch.randn(2, 2, channels, 4, 4, generator=draw)
        assert discrepancy(f1, f2) >= floor * (1 - 1e-6)


def test_discrepancy_of_unrelated_features_at_768_channels():
    f1, f2 = torch.randn(2, 8, 768, 7, 7, generator=torch.Generator().manual_seed(5))
    value = discrepancy(f1, f2).item()
    assert 600 < value < 900
    by_hand = []  # one token after the other
    for a, b in zip(f1.permute(0, 2, 3, 1).reshape(-1, 768), f2.permute(0, 2, 3, 1).reshape(-1, 768), strict=True):
        p, q = a.exp() / a.exp().sum(), b.exp() / b.exp().sum()
        by_hand.append((p - q).abs().sum().item())
    assert value == pytest.approx(1 / (sum(by_hand) / len(by_hand) / 768 + 1e-6), rel=1e-4)
    assert discrepancy(f1, f2, "sum") == pytest.approx(1 / (sum(by_hand) / 8 + 1e-6), rel=1e-4)


def test_cosine_discrepancy_of_known_angles():
    f = torch.randn(2, 6, 3, 3)
    assert cosine_discrepancy(f, 3 * f) == pytest.approx(2, abs=1e-6)
    assert cosine_discrepancy(f, -f) == pytest.approx(0, abs=1e-6)
    orthogonal = torch.cat([-f[:, 3:], f[:, :3]], dim=1)
    assert cosine_discrepancy(f, orthogonal) == pytest.approx(1, abs=1e-6)


# Eq. 9


def test_alpha_ends_at_its_maximum_as_written():
    last = Progress(PUBLISHED - 1, PUBLISHED, PUBLISHED_EPOCH)
    assert dme_fd(ramp="paper").alpha(last) == 1
    assert dme_fd(ramp="paper", alpha_max=0.3).alpha(last) == 0.3
    assert dme_fd(ramp="paper").alpha(Progress(0, PUBLISHED, PUBLISHED_EPOCH)) == pytest.approx(math.exp(-5), rel=1e-3)


def test_alpha_as_published_in_code_hardly_leaves_its_start():
    method = dme_fd(ramp="code")
    values = [method.alpha(Progress(s, PUBLISHED, PUBLISHED_EPOCH)) for s in range(0, PUBLISHED, 7)]
    by_hand = {0.1 * math.exp(-5 * (1 - k / 200) ** 2) for k in range(3)}
    assert {round(v, 12) for v in values} == {round(v, 12) for v in by_hand}
    assert min(values) > 6.7e-4 and max(values) < 7.45e-4


@pytest.mark.parametrize(
    ("decay", "expected"),
    [("paper", {0: 1, 0.25: 0.1, 0.375: 10**-1.5, 0.5: 0.01}), ("stairs", {0: 1, 0.25: 0.1, 0.375: 0.1, 0.5: 0.01})],
)
def test_beta_at_the_quarters(decay, expected):
    method = dme_fd(decay=decay)
    for fraction, value in expected.items():
        assert method.beta(Progress(int(fraction * 800), 800, 10)) == pytest.approx(value)
    last = method.beta(Progress(799, 800, 10))
    assert last == pytest.approx(1e-4, rel=0.02) if decay == "paper" else last == pytest.approx(1e-3)


def test_sum_of_terms_is_equation_9():
    method = dme_fd(tau=0.5)
    batch = drawn_batch(2, 3, 16, 1)
    x, y, w, s = (
        batch["labelled"].image,
        batch["labelled"].mask,
        batch["unlabelled"].image,
        batch["unlabelled"].strong[0],
    )

    def bce_dice(logits, target):
        p = torch.sigmoid(logits)
        dice = 1 - (2 * (p * target).sum() + 1e-5) / ((p**2).sum() + (target**2).sum() + 1e-5)
        return (F.binary_cross_entropy(p, target) + dice) / 2

    out1, out2 = (
        {k: net(v, features=True) for k, v in zip("xws", (x, w, s), strict=True)} for net in method.children()
    )
    y1, y2 = ((out["w"].logits > 0).float() for out in (out1, out2))
    union = ((y1 + y2) > 0).float()
    sup = bce_dice(out1["x"].logits, y) + bce_dice(out2["x"].logits, y)
    cps = bce_dice(out1["w"].logits, y2) + bce_dice(out2["w"].logits, y1)
    dme = bce_dice(out1["s"].logits, union) + bce_dice(out2["s"].logits, union)
    fdl = sum(0.5 / ((out1[k].bottleneck.softmax(1) - out2[k].bottleneck.softmax(1)).abs().mean() + 1e-6) for k in "xw")
    alpha, beta = math.exp(-5 * (1 - 51 / 100) ** 2), 10 ** (-0.5 / 0.25)
    assert method.weights(MIDDLE) == pytest.approx({"alpha": alpha, "beta": beta})
    expected = sup + alpha * (cps + dme) + beta * fdl
    assert sum(method.losses(batch, MIDDLE).values()).item() == pytest.approx(expected.item(), rel=1e-5)


def test_components_of_table_4_are_the_terms_of_the_loss():
    def terms(**options):
        return {name.rstrip("12") for name in dme_fd(**options).losses(drawn_batch(1, 2, 16, 1), MIDDLE)}

    assert terms() == {"sup", "cps", "dme", "fdl"}
    assert terms(fdl="none") == {"sup", "cps", "dme"}
    assert terms(fdl="none", dme=False) == {"sup", "cps"}
    assert terms(fdl="none", dme=False, cps=False) == {"sup"}


# Eq. 1


def test_one_forward_over_three_views_equals_three():
    net = dme_fd().branch1
    views = [
        v
        for v in (*drawn_batch(2, 3, 16, 1)["unlabelled"].strong, *drawn_batch(1, 1, 16, 0)["labelled"].image.split(1))
    ]
    together = forward_views(net, views, features=True)
    joint = gradients(sum((o.logits**2).mean() for o in together), net.parameters())
    alone = [net(view, features=True) for view in views]
    separate = gradients(sum((o.logits**2).mean() for o in alone), net.parameters())
    for a, b in zip(together, alone, strict=True):
        for field in ("logits", "bottleneck", "decoded"):
            assert torch.allclose(getattr(a, field), getattr(b, field), atol=1e-6), field
    assert len(joint) == len(list(net.parameters()))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(joint, separate, strict=True))


def test_separate_forwards_equal_joint_ones_without_batch_statistics_and_only_there():
    batches = {net: drawn_batch(2, 3, 16, 1) for net in ("groupnorm", "tiny")}
    for net, batch in batches.items():
        joint, separate = (dme_fd(net, tau=0.5, forwards=how).losses(batch, MIDDLE) for how in ("joint", "separate"))
        assert joint.keys() == separate.keys()
        assert all(torch.allclose(joint[k], separate[k], rtol=1e-4) for k in joint) == (net == "groupnorm")


def test_each_view_is_normalised_by_itself_when_forwards_are_separate():
    method, batch = dme_fd("tiny", forwards="separate"), drawn_batch(2, 3, 16, 1)
    seen = []
    method.branch1.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    method.losses(batch, MIDDLE)
    views = [batch["labelled"].image, batch["unlabelled"].image, batch["unlabelled"].strong[0]]
    assert len(seen) == 3 and all(torch.equal(a, b) for a, b in zip(seen, views, strict=True))


@pytest.mark.parametrize("forwards", ["joint", "separate"])
def test_an_unused_strong_view_reaches_no_batch_statistics(forwards):
    """Without L_dme the strong view may hold anything: losses, gradients and running statistics stay as they are."""
    states = []
    for value in (0.5, float("nan")):
        method, batch = dme_fd("tiny", dme=False, forwards=forwards), drawn_batch(2, 3, 16, 1)
        batch["unlabelled"].strong[0] = torch.full_like(batch["unlabelled"].image, value)
        method.update(batch, MIDDLE, stepper(method))
        states.append(method.state_dict())
    for name, a in states[0].items():
        assert torch.equal(a, states[1][name]), name
    assert dme_fd(dme=False).streams == {"labelled": 0, "unlabelled": 0}
    assert dme_fd().streams == {"labelled": 0, "unlabelled": 1}


# Options


@pytest.mark.parametrize(
    "options",
    [
        {"tau": 1.0},
        {"tau": 0.3},
        {"combine": "xor"},
        {"ramp": "linear"},
        {"decay": "none"},
        {"fdl": "l2"},
        {"reduction": "max"},
        {"forwards": "both"},
    ],
)
def test_an_impossible_option_is_named(options):
    (option,) = options
    with pytest.raises(InputError, match=f"dme-fd: {option}"):
        dme_fd(**options)


def test_predicted_mean_is_the_mean_of_the_branches():
    method, images = dme_fd().eval(), drawn_batch(2, 0, 16, 0)["labelled"].image
    first, second, mean = (method.predict(images, view) for view in ("branch1", "branch2", "mean"))
    assert torch.allclose(mean, (first + second) / 2) and not torch.allclose(first, second)
    assert torch.equal(first, torch.sigmoid(method.branch1(images).logits))
