"""DALE's rivals: losses against closed forms and integrals, weights against double backward, labels without effect."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import drawn_batch, ellipses, register_tiny, stepper
from scipy import integrate
from scipy.stats import norm
from torch.func import functional_call

from tutseg.errors import InputError
from tutseg.losses import bce_dice
from tutseg.methods import build_method
from tutseg.methods.base import Progress, Views
from tutseg.methods.noisy_labels import beco
from tutseg.methods.noisy_labels.cirl import ambiguous_bce
from tutseg.methods.noisy_labels.gce import generalised
from tutseg.methods.noisy_labels.mw_net import fuzziness
from tutseg.methods.noisy_labels.small_loss import small
from tutseg.methods.step import Stepper

SIZE = 32
EARLY, LATE = Progress(0, 100, 10), Progress(80, 100, 10)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    register_tiny(monkeypatch)


def built(name, **options):
    torch.manual_seed(0)
    return build_method(name, net="tiny", size=SIZE, **options).train()


def gradients(method, views: Views, progress: Progress) -> list[torch.Tensor]:
    torch.manual_seed(1)
    loss = sum(method.losses({"labelled": views}, progress).values())
    return torch.autograd.grad(loss, list(method.parameters()), materialize_grads=True)


def same(first, second) -> bool:
    return all(torch.allclose(a, b, atol=1e-7) for a, b in zip(first, second, strict=True))


def test_generalised_cross_entropy_between_its_limits():
    z, y = torch.randn(2, 1, 5, 5), (torch.rand(2, 1, 5, 5) < 0.5).float()
    p = torch.where(y > 0, z.sigmoid(), 1 - z.sigmoid())
    assert torch.allclose(generalised(z, y, 1.0), 1 - p, atol=1e-6)
    assert torch.allclose(generalised(z, y, 1e-3), -p.log(), rtol=5e-3)
    z.requires_grad_()
    (slope,) = torch.autograd.grad(generalised(z, y, 0.7).sum(), z)
    (plain,) = torch.autograd.grad(F.binary_cross_entropy_with_logits(z, y, reduction="sum"), z)
    assert torch.allclose(slope, p**0.7 * plain, atol=1e-6)


def test_truncation_leaves_out_unlikely_labels_late():
    views = drawn_batch(3, 0, SIZE, 0)["labelled"]
    plain, cut = built("gce"), built("gce", truncate=True)
    logits = cut.net(views.image).logits
    likely = (logits > 0) == (views.mask > 0)
    assert 0 < likely.float().mean() < 1
    early, late = (cut.losses({"labelled": views}, when)["sup"].item() for when in (EARLY, LATE))
    assert early == pytest.approx(plain.losses({"labelled": views}, LATE)["sup"].item())
    assert late == pytest.approx((generalised(logits, views.mask, 0.7) * likely).mean().item(), rel=1e-5)


def test_the_largest_losses_of_each_label_are_left_out():
    z, y = torch.randn(2, 1, 10, 10), (torch.rand(2, 1, 10, 10) < 0.2).float()
    kept, loss = small(z, y, 0.3), F.binary_cross_entropy_with_logits(z, y, reduction="none")
    for label in (0, 1):
        own = y == label
        assert (kept[own] == 0).sum() == int(0.3 * own.sum())
        assert loss[own & (kept == 1)].max() <= loss[own & (kept == 0)].min()
    assert small(z, torch.zeros_like(y), 0.1).sum() == 180 and small(z, y, 0).all()
    method = built("small-loss", forget=0.2, rise=0.5)
    assert [round(method.weights(Progress(s, 100, 9))["forget"], 3) for s in (0, 25, 50, 99)] == [0, 0.1, 0.2, 0.2]


@pytest.mark.parametrize("level", ["pixel", "picture"])
def test_v_learns_what_double_backward_says(level):
    method = built("mw-net", level=level, patch=8)
    images, masks = ellipses(4, SIZE, 0)
    rate = 0.05
    parameters = list(method.weigher.parameters())
    optimizers = {
        "net": torch.optim.SGD(method.net.parameters(), lr=rate),
        "weigher": torch.optim.SGD(parameters, lr=1.0),
    }
    step = Stepper(optimizers)

    def losses(net):
        each = F.binary_cross_entropy_with_logits(net(images).logits, masks, reduction="none")
        return each if level == "pixel" else each.mean((1, 2, 3), keepdim=True)

    weight = method.weigher(losses(method.net).detach().unsqueeze(-1)).squeeze(-1)
    clear = (fuzziness(images, masks, 8) <= 0.9).float()
    state = step.virtual(method.net, lambda net: (weight * losses(net)).mean(), "net")
    after = bce_dice(functional_call(method.net, state, (images,)).logits, masks, clear)
    expected = torch.autograd.grad(after, parameters)
    before = [p.detach().clone() for p in parameters]
    method.update({"labelled": Views(images, masks)}, EARLY, step)
    moved = torch.cat([(a - b).flatten() for a, b in zip(before, parameters, strict=True)])
    wanted = torch.cat([g.flatten() for g in expected])
    assert F.cosine_similarity(moved, wanted, dim=0) > 0.999
    assert moved.norm().item() == pytest.approx(wanted.norm().item(), rel=0.02)  # float32 takes small steps coarsely


def test_ambiguous_cross_entropy_against_an_integral():
    zero = torch.zeros(1, 1, 1, 1)
    assert ambiguous_bce(zero + 0.7, zero, zero + 1, 3).item() == pytest.approx(np.log1p(np.exp(-0.7)))
    expected = integrate.quad(lambda z: norm.pdf(z, -1, 2) / (1 + np.exp(-z)), -20, 20)[0]
    torch.manual_seed(0)
    assert ambiguous_bce(zero - 1, zero + 2, zero + 1, 40_000).item() == pytest.approx(-np.log(expected), abs=0.02)


def test_cirl_unlearns_the_labels_of_its_band_in_its_second_stage_alone():
    method = built("cirl", band=0.2)
    views = drawn_batch(3, 0, SIZE, 0)["labelled"]
    out = method.net(views.image, features=True)
    deviation = method.deviation(out)
    band = method.ambiguous(deviation)
    assert torch.equal(band.sum((1, 2, 3)), torch.full((3,), float(int(0.2 * SIZE**2))))
    assert all(s[b > 0].min() >= s[b == 0].max() for s, b in zip(deviation, band, strict=True))
    other = Views(views.image, torch.where(band > 0, 1 - views.mask, views.mask))
    assert same(gradients(method, views, LATE), gradients(method, other, LATE))
    assert not same(gradients(method, views, EARLY), gradients(method, other, EARLY))


def test_beco_learns_nothing_from_unreliable_labels(monkeypatch):
    views = drawn_batch(4, 0, SIZE, 0)["labelled"]
    fuzzy = torch.zeros_like(views.mask)
    fuzzy[:, :, 8:24, 8:16] = 1
    monkeypatch.setattr(beco, "fuzziness", lambda *_, **__: fuzzy)
    method = built("beco", patch=8)
    other = Views(views.image, torch.where(fuzzy > 0, 1 - views.mask, views.mask))
    assert same(gradients(method, views, EARLY), gradients(method, other, EARLY))
    clear = Views(views.image, torch.where(fuzzy > 0, views.mask, 1 - views.mask))
    assert not same(gradients(method, views, EARLY), gradients(method, clear, EARLY))


def test_beco_pastes_its_neighbours_sure_lesion_after_the_first_epoch():
    method = built("beco", patch=8, mix=1.0, confidence=0.5)
    images, masks = ellipses(4, SIZE, 0)
    with torch.no_grad():
        method.eval()
        sure = method.predict(images, "mean") > 0.5
        method.train()
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    assert torch.equal(method.pasted(images) > 0, sure.roll(1, 0)) and 0 < sure.float().mean() < 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in method.state_dict().items())
    without = built("beco", patch=8, mix=0.0)
    views = Views(images, masks)
    assert same(gradients(method, views, EARLY), gradients(without, views, EARLY))
    assert not same(gradients(method, views, LATE), gradients(without, views, LATE))


@pytest.mark.parametrize("case", ["constant", "empty", "all lesion"])
@pytest.mark.parametrize("name", ["gce", "mw-net", "cirl", "beco", "small-loss"])
def test_pictures_and_labels_without_anything_to_tell(name, case):
    images, masks = ellipses(2, SIZE, 0)
    if case == "constant":
        images = torch.full_like(images, 0.5)
    else:
        masks = torch.full_like(masks, float(case == "all lesion"))
    method = built(name)
    terms = method.update({"labelled": Views(images, masks)}, LATE, stepper(method))
    assert all(torch.isfinite(value) for value in terms.values())
    assert all(torch.isfinite(p).all() for p in method.parameters())


@pytest.mark.parametrize("name", ["mw-net", "beco"])
def test_a_patch_that_does_not_divide_the_size_is_named(name):
    with pytest.raises(InputError, match="patch = 12 does not divide pictures of 32 pixels"):
        built(name, patch=12)
