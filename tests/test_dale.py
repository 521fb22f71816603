"""DALE's parts against brute force, closed forms and double backward; its step on pictures whose noise is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn import GroupNormNet, drawn_batch, ellipses, register_tiny, stepper
from scipy.linalg import sqrtm
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.func import functional_call

from tutseg.errors import InputError
from tutseg.losses import bce, edge_of
from tutseg.methods import build_method
from tutseg.methods.base import Progress, Views
from tutseg.methods.noisy_labels import dale
from tutseg.methods.noisy_labels.dale import BELOW, alignment, wasserstein
from tutseg.methods.noisy_labels.regions import (
    average_entropy,
    edge_ratio,
    fuzziness,
    normalise,
    soft_masks,
)
from tutseg.methods.step import Stepper, influence
from tutseg.nets import CARDS

SIZE = 32
MIDDLE = Progress(50, 100, 10)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    register_tiny(monkeypatch)


def built(net="tiny", **options) -> dale.DALE:
    torch.manual_seed(0)
    return build_method("dale", net=net, size=SIZE, **({"patch": 8, "bins": 32} | options)).train()


# ---- which patches are fuzzy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [1, 2, 4, 16, 64, 256])
def test_entropy_of_even_grey_levels(levels):
    grey = (torch.arange(256) % levels).view(1, 1, 16, 16) * (256 // levels) / 255.0
    images = grey.expand(1, 3, 16, 16)
    assert average_entropy(images, 16).item() == pytest.approx(math.log(levels), abs=1e-5)
    assert average_entropy(images, 16, "literal").item() == pytest.approx(math.log(levels) / levels, abs=1e-5)


def test_entropy_is_that_of_each_patch_in_its_place():
    images = torch.zeros(1, 3, 16, 24)
    images[:, :, 8:, 8:16] = torch.linspace(0, 1, 64).view(8, 8)
    found = average_entropy(images, 8, bins=32)[0].reshape(2, 3)
    assert found[1, 1] > 3 and found.count_nonzero() == 1


def test_edges_against_brute_force():
    _, masks = ellipses(3, SIZE, 1)
    y = masks[:, 0].numpy()
    edge = np.zeros_like(y)
    for b, i, j in np.ndindex(*y.shape):
        near = y[b, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
        edge[b, i, j] = near.max() != near.min()
    assert np.array_equal(edge_of(masks)[:, 0].numpy(), edge)
    ratio = edge.reshape(3, 4, 8, 4, 8).mean((2, 4)).reshape(3, 16)
    np.testing.assert_allclose(edge_ratio(masks, 8), ratio, atol=1e-6)


def test_fuzziness_is_the_larger_of_both_and_constant_in_a_patch():
    images, masks = ellipses(2, SIZE, 0)
    both, ae, er = (fuzziness(images, masks, 8, criterion, bins=32) for criterion in ("both", "entropy", "edge"))
    assert torch.equal(both, torch.maximum(ae, er)) and both.shape == masks.shape
    for m in (both, ae, er):
        assert m.amin() == 0 and (m.amax((1, 2, 3)) == 1).all()
        patches = m.unfold(2, 8, 8).unfold(3, 8, 8).flatten(4)
        assert (patches == patches[..., :1]).all()
    first = normalise(edge_ratio(masks, 8)).reshape(2, 4, 4)
    assert torch.equal(er[:, 0, ::8, ::8], first)


def test_soft_masks_of_eq_6():
    m = torch.tensor([0.0, 0.5, 0.9, 0.95, 1.0])
    fuzzy, clear = soft_masks(m, 0.9)
    assert fuzzy.tolist() == pytest.approx([0, 0.5, 0.9, 1, 1]) and clear.tolist() == [1, 1, 0, 0, 0]
    literal = soft_masks(m, 0.9, "literal")[1]
    assert literal.tolist() == pytest.approx([1, 1, 0, -0.05, -0.1], abs=1e-6)
    assert ((literal < 0) == (m > 0.9)).all()


# ---- the gradient of omega -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", ["tiny", "groupnorm"])
def test_slopes_are_those_of_double_backward_and_the_net_stays(net):
    method = built(net)
    images, labels = ellipses(4, SIZE, 0)
    n, f, _ = method.split(images, labels)
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    weight = 0.5 + torch.rand(labels.shape)
    slope, moved = influence(method.net, 0.05, weight, f.pixel_losses, n.loss)
    assert all(torch.equal(tensor, before[name]) for name, tensor in method.state_dict().items())
    assert all(p.grad is None for p in method.parameters())

    weight.requires_grad_()
    step = Stepper({"all": torch.optim.SGD(method.parameters(), lr=0.05)})
    state = step.virtual(method.net, lambda net: (weight * f.pixel_losses(net)).mean())
    (expected,) = torch.autograd.grad(n.loss(lambda *x: functional_call(method.net, state, x)), weight)
    assert (slope - expected).norm() / expected.norm() < 1e-4
    for name, tensor in moved.items():
        assert torch.allclose(tensor, state[name], atol=1e-6) and not tensor.requires_grad


def test_slopes_of_whole_pictures_by_small_steps():
    net = GroupNormNet().double()
    images, labels = (each.double() for each in ellipses(5, SIZE, 0))
    each = lambda net: nn.functional.binary_cross_entropy_with_logits(
        net(images[:3]).logits, labels[:3], reduction="none"
    ).mean((1, 2, 3))
    outer = lambda net: nn.functional.binary_cross_entropy_with_logits(net(images[3:]).logits, labels[3:])
    weight = torch.rand(3, dtype=torch.float64)
    slope, _ = influence(net, 0.5, weight, each, outer)

    def after(w) -> float:
        return outer(lambda *x: functional_call(net, influence(net, 0.5, w, each, outer)[1], x)).item()

    for i in range(3):
        nudge = 1e-5 * nn.functional.one_hot(torch.tensor(i), 3)
        assert slope[i].item() == pytest.approx((after(weight + nudge) - after(weight - nudge)) / 2e-5, rel=1e-5)


def test_the_shadow_walks_on_and_frozen_parameters_stay():
    method = built()
    method.net.encoder.requires_grad_(False)
    images, labels = ellipses(4, SIZE, 0)
    n, f, _ = method.split(images, labels)
    one = torch.ones_like(labels)
    _, first = influence(method.net, 0.1, one, f.pixel_losses, n.loss)
    _, second = influence(method.net, 0.1, one, f.pixel_losses, n.loss, first)
    assert not [name for name in second if name.startswith("encoder")]
    own = dict(method.net.named_parameters())
    steps = [sum((a[name] - b[name]).square().sum() for name in a) for a, b in ((first, own), (second, own))]
    assert 1.5 < (steps[1] / steps[0]).sqrt() < 2.5


# ---- omega -----------------------------------------------------------------------------------------------------------


def test_omega_moves_by_its_rate_in_units_of_its_size():
    images, labels = ellipses(4, SIZE, 0)
    method = built(rate=0.2)
    n, f, fuzzy = method.split(images, labels)
    omega, slope = method.omega(n, f, fuzzy, 1e-3)
    size = slope[fuzzy].square().mean().sqrt()
    assert torch.allclose(omega, (1 - 0.2 * slope / size).clamp(min=0))
    assert ((omega - 1)[fuzzy].square().mean().sqrt() / 0.2).item() == pytest.approx(1, abs=0.05)
    assert method.omega(n, f, fuzzy, 1e-6)[0].sub(omega)[fuzzy].abs().median() < 0.02  # the rate cancels


def test_omega_of_adam_stays_at_one_where_gradients_are_near_its_epsilon():
    images, labels = ellipses(4, SIZE, 0)
    method = built(confidence="adam")
    n, f, fuzzy = method.split(images, labels)
    omega, slope = method.omega(n, f, fuzzy, 3e-4)
    expected = 1 - 0.1 * slope / (slope.abs() + 1e-8)
    assert torch.allclose(omega, expected, atol=1e-6)
    far = method.omega(n, f, fuzzy, 3e-9)[0]
    assert (far - 1).abs().max() < 1e-3 < (omega - 1)[fuzzy].abs().median()
    told = method.told(far, fuzzy)
    assert list(told) == [f"omega<{bound}" for bound in BELOW]
    assert told["omega<0.99"] == 0 and told["omega<1.01"] == 1


@pytest.mark.parametrize("seed", [0, 2])
def test_omega_rises_where_labels_are_right_and_the_codes_sign_takes_the_others(seed):
    options = {"net": "groupnorm", "size": SIZE, "patch": 8, "criterion": "edge"}
    torch.manual_seed(seed)
    method, other = build_method("dale", **options).train(), build_method("dale", sign="code", **options)
    step = stepper(method, 5e-3)
    for s in range(20):
        torch.manual_seed(s)
        views, wrong = half_wrong(method, s % 4)
        truth = torch.where(wrong, 1 - views.mask, views.mask)
        step({"bce": bce(method.net(views.image).logits, truth)})
    aucs = {0: [], 1: []}
    for s in range(6):
        views, wrong = half_wrong(method, 100 + s)
        n, f, fuzzy = method.split(views.image, torch.where(wrong, 1 - views.mask, views.mask))
        f = replace(f, label=views.mask)
        omega, slope = method.omega(n, f, fuzzy, 5e-3)
        assert omega[fuzzy & ~wrong].mean() > omega[fuzzy & wrong].mean()
        clean, dirty = method.clean(slope), other.clean(slope)
        assert torch.equal(clean | dirty, slope != 0) and not (clean & dirty).any()
        for label in (0, 1):
            here = fuzzy & (views.mask == label)
            aucs[label].append(roc_auc_score(~wrong[here], omega[here]))
    assert np.mean(aucs[0]) > 0.65 and np.mean(aucs[1]) > 0.65


def half_wrong(method: dale.DALE, seed: int) -> tuple[Views, torch.Tensor]:
    """Ellipses, half of whose pixels in fuzzy patches have the wrong label; which they are."""
    images, labels = ellipses(8, SIZE, seed)
    chance = torch.rand(labels.shape, generator=torch.Generator().manual_seed(seed))
    wrong = method.split(images, labels)[2] & (chance < 0.5)
    return Views(images, torch.where(wrong, 1 - labels, labels)), wrong


# ---- alignment -------------------------------------------------------------------------------------------------------


def test_wasserstein_against_closed_form_and_matrix_roots():
    one = lambda value: torch.tensor([value], dtype=torch.float64)
    found = wasserstein(one(1.0), one(4.0)[None], one(3.0), one(9.0)[None])
    assert found.item() == pytest.approx((1 - 3) ** 2 + (2 - 3) ** 2)
    rng = np.random.default_rng(0)
    a, b = (x @ x.T + 0.1 * np.eye(5) for x in rng.normal(size=(2, 5, 5)))
    mean = rng.normal(size=(2, 5))
    root = sqrtm(a)
    expected = ((mean[0] - mean[1]) ** 2).sum() + np.trace(a + b - 2 * sqrtm(root @ b @ root).real)
    t = torch.from_numpy
    assert wasserstein(t(mean[0]), t(a), t(mean[1]), t(b)).item() == pytest.approx(expected)
    assert wasserstein(t(mean[0]), t(a), t(mean[0]), t(a)).item() == pytest.approx(0, abs=1e-9)


def test_equal_eigenvalues_and_dead_features_give_finite_gradients():
    eye = torch.eye(6, dtype=torch.float64)
    cov = (2 * eye).requires_grad_()
    wasserstein(eye[0], eye, eye[1], cov).backward()
    # d tr(S - 2 (S)^.5) / dS = 1 - S^-.5
    assert torch.allclose(cov.grad, (1 - 2**-0.5) * eye)
    dead = torch.zeros(50, 4, requires_grad=True)
    labels = torch.arange(50) % 2
    loss, skipped = alignment(torch.randn(50, 4), labels, dead, labels)
    loss.backward()
    assert skipped == 0 and torch.isfinite(dead.grad).all()


def test_a_class_with_fewer_pixels_than_features_is_left_out():
    f, labels = torch.randn(60, 8), (torch.arange(60) < 5).long()
    assert alignment(f, labels, f, labels)[1] == 1
    loss, skipped = alignment(f[:3], labels[:3], f, labels)
    assert (loss.item(), skipped) == (0, 2)


def test_alignment_draws_one_cloud_to_the_other():
    torch.manual_seed(0)
    target, labels = 0.5 * torch.randn(400, 3) + torch.tensor([1.0, 0, -1]), torch.zeros(400)
    cloud = torch.randn(400, 3).requires_grad_()
    optimizer = torch.optim.Adam([cloud], lr=0.02)
    for _ in range(250):
        optimizer.zero_grad()
        alignment(target, labels, cloud, labels, spread=0)[0].backward()
        optimizer.step()
    assert torch.allclose(cloud.mean(0), target.mean(0), atol=0.02)
    assert torch.allclose(torch.cov(cloud.T), torch.cov(target.T), atol=0.02)


@pytest.mark.parametrize(("align", "moves"), [("gradient", True), ("detached", False)])
def test_only_an_alignment_with_gradient_trains(align, moves):
    method = built(align=align, alpha=100.0)
    without = built(alpha=0.0)
    for each in (method, without):
        torch.manual_seed(3)
        each.update(drawn_batch(4, 0, SIZE, 0), MIDDLE, stepper(each, 1e-2))
    pairs = zip(method.net.parameters(), without.net.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs) == moves


# ---- one step --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"masks": "literal"},
        {"labels": "masked"},
        {"masks": "literal", "labels": "masked", "entropy": "literal", "confidence": "adam", "align": "detached"},
        {"confidence": "none", "criterion": "edge"},
        {"k": 3, "sign": "code", "criterion": "entropy"},
    ],
)
def test_every_reading_takes_a_step(options):
    method = built(**options)
    terms = method.update(drawn_batch(3, 0, SIZE, 0), MIDDLE, stepper(method))
    assert all(torch.isfinite(value) for value in terms.values())
    assert {"sup_n", "sup_f", "align", "classes skipped", "omega<1.01"} <= terms.keys()


def test_statistics_of_whole_pictures_are_those_that_prediction_meets():
    """They change nothing in training; what is left is one blend with the statistics of the whole batch."""
    batch, nets = drawn_batch(3, 0, SIZE, 0), {}
    for statistics in ("masked", "whole"):
        method = built(statistics=statistics)
        start = {name: buffer.clone() for name, buffer in method.net.named_buffers() if "running" in name}
        torch.manual_seed(1)
        method.update(batch, MIDDLE, stepper(method))
        nets[statistics] = method.net
    for a, b in zip(nets["masked"].parameters(), nets["whole"].parameters(), strict=True):
        assert torch.equal(a, b)
    seen = {}
    for name, layer in nets["whole"].named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.momentum == 0.1
            layer.register_forward_pre_hook(lambda _, given, name=name: seen.update({name: given[0]}))
    with torch.no_grad():
        kept = {name: buffer.clone() for name, buffer in nets["whole"].named_buffers()}
        nets["whole"](batch["labelled"].image)
    for name, given in seen.items():
        expected = 0.9 * start[f"{name}.running_mean"] + 0.1 * given.mean((0, 2, 3))
        assert torch.allclose(kept[f"{name}.running_mean"], expected, atol=1e-6)
        expected = 0.9 * start[f"{name}.running_var"] + 0.1 * given.var((0, 2, 3))
        assert torch.allclose(kept[f"{name}.running_var"], expected, atol=1e-6)
    of_masked = dict(nets["masked"].named_buffers())
    assert seen and not all(torch.equal(of_masked[name], kept[name]) for name in start)


@pytest.mark.slow
@pytest.mark.parametrize(
    "net", [name for name, card in CARDS.items() if "decoded" in card.gives and f"{name}-s" not in CARDS]
)
def test_every_network_takes_a_step(net):
    torch.manual_seed(0)
    method = build_method("dale", net=net, size=64, patch=8, bins=32).train()
    terms = method.update(drawn_batch(3, 0, 64, 0), MIDDLE, stepper(method))
    assert all(torch.isfinite(value) for value in terms.values())
    assert 0 < terms["omega<1.01"] < 1  # omega rises for some and falls for others


def test_masked_labels_are_scaled_and_weighted_ones_are_not():
    images, labels = ellipses(2, SIZE, 0)
    n, f, fuzzy = built(labels="masked").split(images, labels)
    assert (f.weight == 1).all() and f.label.unique().numel() > 3
    scale = f.label[labels > 0] / f.image.mean(1, keepdim=True)[labels > 0] * images.mean(1, keepdim=True)[labels > 0]
    torch.testing.assert_close(scale, torch.ones_like(scale))  # Eq. 7: one mask for pictures and for labels
    assert (f.label[labels == 0] == 0).all()
    n2, f2, _ = built().split(images, labels)
    assert torch.equal(f2.label, labels) and torch.equal(n2.image, n.image) and (n2.weight[fuzzy] == 0).all()


@pytest.mark.parametrize("case", ["constant", "empty", "all lesion", "black"])
def test_pictures_and_labels_without_anything_to_tell(case):
    images, labels = ellipses(3, SIZE, 0)
    if case in ("constant", "black"):
        images = torch.full_like(images, 0.4 if case == "constant" else 0.0)
    if case != "constant":
        labels = torch.full_like(labels, float(case == "all lesion"))
    method = built()
    terms = method.update({"labelled": Views(images, labels)}, MIDDLE, stepper(method))
    assert all(torch.isfinite(value) for value in terms.values())
    assert (terms["classes skipped"] >= 1) == (case != "constant")  # a class without pixels has no features to align
    assert all(torch.isfinite(p).all() for p in method.parameters())


def test_a_patch_that_does_not_divide_the_size_is_named():
    for patch in (12, 32, 64):
        told = f"patch = {patch} does not divide pictures of 32 pixels into several: one of 2, 4, 8, 16$"
        with pytest.raises(InputError, match=told):
            built(patch=patch)
    with pytest.raises(InputError, match=r"method dale: tau = 2\.0"):
        built(tau=2.0)
