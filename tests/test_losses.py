"""Losses against closed forms and an independent double-precision computation."""

import numpy as np
import pytest
import torch

from tutseg.losses import bce, bce_dice, soft_dice


@pytest.fixture
def case():
    g = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(4, 1, 9, 7, generator=g)
    target = (torch.rand(4, 1, 9, 7, generator=g) > 0.6).float()
    return logits, target


def numpy_losses(logits, target):
    z, y = logits.double().numpy(), target.double().numpy()
    p = 1 / (1 + np.exp(-z))
    cross_entropy = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    dice = 1 - (2 * (p * y).sum() + 1e-5) / ((p * p).sum() + (y * y).sum() + 1e-5)
    return cross_entropy, dice


@pytest.mark.parametrize("soft", [False, True])
def test_against_double_precision(case, soft):
    logits, target = case
    target = 0.7 * target + 0.1 if soft else target
    cross_entropy, dice = numpy_losses(logits, target)
    assert bce(logits, target).item() == pytest.approx(cross_entropy.mean(), rel=1e-6)
    assert soft_dice(torch.sigmoid(logits), target).item() == pytest.approx(dice, rel=1e-5)
    assert bce_dice(logits, target).item() == pytest.approx(0.5 * (cross_entropy.mean() + dice), rel=1e-5)


def test_weight_divides_by_all_pixels(case):
    logits, target = case
    weight = torch.zeros_like(target)
    weight[:, :, ::3] = 2.0
    expected = (numpy_losses(logits, target)[0] * weight.numpy()).sum() / weight.numel()
    assert bce(logits, target, weight).item() == pytest.approx(expected, rel=1e-6)


def test_dice_is_global_not_per_image():
    """A large perfect lesion and a small missed one: 1 - 2·64/(64+64+1) over the batch, 0.5 if averaged."""
    y = torch.zeros(2, 1, 8, 8)
    y[0], y[1, 0, 0, 0] = 1, 1
    p = y.clone()
    p[1] = 0
    assert soft_dice(p, y).item() == pytest.approx(1 - 128 / 129, abs=1e-6)


def test_squared_denominator():
    """p = 1/2 everywhere, y = 1: 1 - 2·(1/2)/(1/4 + 1) = 0.2; the unsquared form gives 1/3."""
    y = torch.ones(1, 1, 16, 16)
    assert soft_dice(0.5 * y, y).item() == pytest.approx(0.2, abs=1e-6)


def test_empty_masks():
    empty = torch.zeros(2, 1, 4, 4)
    assert soft_dice(empty, empty).item() == 0
    assert soft_dice(torch.ones_like(empty), empty).item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("value", [-100.0, 100.0])
def test_bf16_extremes_are_finite_with_finite_gradient(value):
    logits = torch.full((2, 1, 8, 8), value, dtype=torch.bfloat16, requires_grad=True)
    target = torch.zeros(2, 1, 8, 8)
    target[:, :, :4] = 1
    loss = bce_dice(logits, target)
    loss.backward()
    assert loss.dtype == torch.float32 and torch.isfinite(loss) and torch.isfinite(logits.grad).all()


def test_bf16_sums_are_exact():
    """65536 halves summed in bf16 would stall at 128; the loss must not notice the precision of its input."""
    p, y = torch.full((1, 1, 256, 256), 0.5, dtype=torch.bfloat16), torch.ones(1, 1, 256, 256, dtype=torch.bfloat16)
    assert soft_dice(p, y).item() == pytest.approx(0.2, abs=1e-5)


def test_gradient_against_finite_differences():
    g = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 1, 3, 3, generator=g)
    target = (torch.rand(2, 1, 3, 3, generator=g) > 0.5).float()
    leaf = logits.clone().requires_grad_()
    bce_dice(leaf, target).backward()
    for index in [(0, 0, 0, 0), (1, 0, 2, 1)]:
        step = torch.zeros_like(logits)
        step[index] = 1e-2
        up, down = (numpy_losses(logits + s, target) for s in (step, -step))
        slope = 0.5 * ((up[0].mean() + up[1]) - (down[0].mean() + down[1])) / 2e-2
        assert leaf.grad[index].item() == pytest.approx(slope, rel=1e-3, abs=1e-6)
