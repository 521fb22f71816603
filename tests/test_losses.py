"""Losses against closed forms and an independent double-precision computation."""

import numpy as np
import pytest
import torch

from tutseg.losses import bce, bce_dice, signed_distance, soft_dice


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


def test_weight_of_a_pixel_is_how_often_it_counts(case):
    logits, target = case
    weight = torch.randint(0, 3, target.shape, generator=torch.Generator().manual_seed(1)).float()
    times = weight.flatten().long()
    p, y = (each.flatten().repeat_interleave(times) for each in (logits.sigmoid(), target))
    assert torch.allclose(soft_dice(logits.sigmoid(), target, weight=weight), soft_dice(p, y))
    both = bce(logits, target, weight) + soft_dice(logits.sigmoid(), target, weight=weight)
    assert torch.allclose(bce_dice(logits, target, weight), both / 2)
    assert torch.equal(bce_dice(logits, target, torch.ones_like(target)), bce_dice(logits, target))


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


def brute_signed_distance(mask):
    """The formula of SAM-KD section 2.1 pixel by pixel, over lists of border pixels; then each side by its largest."""
    h, w = mask.shape
    inside = {(i, j) for i in range(h) for j in range(w) if mask[i, j]}
    border = [(i, j) for i, j in inside if not {(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)} <= inside]
    phi = np.zeros((h, w))
    for i in range(h):
        for j in range(w):
            nearest = min(np.hypot(i - k, j - m) for k, m in border)
            phi[i, j] = -nearest if (i, j) in inside else nearest
    for side in (phi < 0, phi > 0):
        if side.any():
            phi[side] /= np.abs(phi[side]).max()
    return phi


def test_signed_distance_against_every_pair_of_pixels():
    rng = np.random.default_rng(0)
    masks = np.zeros((6, 13, 17), bool)
    masks[0, 3:10, 4:13] = True
    masks[1] = rng.random((13, 17)) > 0.3  # ragged, many holes, at the edges too
    masks[2, :5, :6] = masks[2, 8:, 9:] = True  # two lesions, cut off by the edge
    masks[3, 6, 8] = True  # one pixel: all border
    masks[4] = True  # no outside: the border is the picture's edge
    masks[5] = rng.random((13, 17)) > 0.9
    got = signed_distance(torch.from_numpy(masks[:, None]).float())
    assert got.shape == (6, 1, 13, 17) and got.dtype == torch.float32
    for mask, phi in zip(masks, got[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(phi, brute_signed_distance(mask), atol=1e-6)


def test_signed_distance_of_a_disc_and_of_nothing():
    y, x = torch.meshgrid(torch.arange(33) - 16, torch.arange(33) - 16, indexing="ij")
    disc = (x.square() + y.square() <= 100).float()
    phi, nothing = signed_distance(torch.stack([disc, torch.zeros(33, 33)])[:, None])[:, 0]
    assert not nothing.any()
    assert phi.abs().max() == 1 and phi[16, 16] == -1 and phi.min() == -1
    for turned in (phi.flip(0), phi.flip(1), phi.T):
        torch.testing.assert_close(turned, phi)
    ring = (disc > 0) & (torch.nn.functional.avg_pool2d(disc[None, None], 3, 1, 1)[0, 0] < 1)
    assert (phi[ring] <= 0).all() and phi[16, 6] == 0 and phi[16, 5] > 0
    assert (phi[disc > 0] <= 0).all() and (phi[disc == 0] > 0).all()
    assert (phi[16, :17].diff() < 0).all()  # falls all the way from the edge to the centre
