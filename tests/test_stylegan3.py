"""StyleGAN3-T, from its filters to EQ-T, and the discriminator, against closed forms and explicit loops."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import firwin, upfirdn

from tutseg.errors import InputError
from tutseg.methods.generative.equivariance import equivariance, warmed
from tutseg.nets import build
from tutseg.nets.gan_discriminator import Discriminator, variation
from tutseg.nets.stylegan3 import Band, Generator, Layer, along_both, bands, resampler
from tutseg.quality import translation_db

TINY = {"layers": 4, "base": 128, "width": 8, "latent": 8, "half_life": 50.0}


def count(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def tiny(size: int = 32, seed: int = 0, **options) -> Generator:
    torch.manual_seed(seed)
    return Generator(size, **TINY | options)


@pytest.mark.parametrize(
    ("size", "generator", "discriminator"),
    [(256, 28_472_133, 28_864_129), (128, 32_833_523, 28_389_121), (64, 37_768_199, 26_488_833)],
)
def test_the_published_configuration_has_the_published_counts(size, generator, discriminator):
    with torch.device("meta"):
        net = build("stylegan3-t", size)
        assert count(net) == generator and count(net.mapping) == 525_312
        assert count(Discriminator(size, net.base, net.latent)) == discriminator


def test_the_smallest_has_66_thousand_weights_and_a_discriminator_as_wide_as_its_latent_vector():
    with torch.device("meta"):
        net = build("stylegan3-s", 64)
        assert count(net) == 65_811 and count(Discriminator(64, net.base, net.latent)) == 296_401


def test_the_grids_grow_from_the_first_cut_off_to_the_picture():
    made = bands(64, 14, 2, 10, 32768, 512)
    assert [band.grid for band in made] == [36] * 4 + [52] * 4 + [84] * 5 + [64] * 2
    assert made[0].cutoff == 2 and made[0].half == pytest.approx(8 - 2)  # half its rate is above the stop band
    assert [band.cutoff for band in made[12:]] == [32] * 3 and made[12].half == pytest.approx(32 * (2**0.3 - 1))
    growth = [b.cutoff / a.cutoff for a, b in pairwise(made[:13])]
    assert growth == pytest.approx([16 ** (1 / 12)] * 12)
    assert all(band.cutoff + 1e-9 < band.rate / 2 for band in made[:12])


@pytest.mark.parametrize(("before", "after", "factor"), [(16, 64, 4), (64, 16, 4), (16, 32, 2), (128, 64, 2)])
def test_a_resampling_matrix_is_the_filter_that_scipy_applies(before, after, factor):
    line = np.random.default_rng(0).normal(size=24)
    new = 24 * factor if after > before else 24 // factor
    matrix = resampler(before, after, (24, new), 3.0, 2.0)
    taps = firwin(6 * factor, 3.0, width=4.0, fs=max(before, after))
    if after > before:
        whole = upfirdn(factor * taps, line, up=factor)
        start = (6 * factor - 1) / 2 - (factor - 1) / 2  # the delay of the filter, and of the first sample
        expected = whole[int(start) : int(start) + new]
    else:
        whole = np.convolve(line, taps)
        start = (6 * factor - 1) / 2 + (factor - 1) / 2
        expected = whole[int(start) :: factor][:new]
    assert np.allclose(matrix.numpy() @ line, expected, atol=1e-6)


def test_a_slow_wave_survives_the_way_up_and_down_and_a_fast_one_does_not():
    up = resampler(64, 128, (84, 84 * 2), 12.0, 12.0)
    down = resampler(128, 64, (84 * 2, 84), 12.0, 12.0)
    places = (torch.arange(84) - 41.5) / 64
    inner = lambda x: along_both(down, along_both(up, x))[12:-12, 12:-12]
    slow, fast = (torch.sin(2 * math.pi * f * (places[:, None] - places)) for f in (1, 28))
    assert torch.allclose(inner(slow + 0.5), (slow + 0.5)[12:-12, 12:-12], atol=0.02)
    assert inner(fast).abs().max() < 0.01


def test_a_layer_is_a_convolution_with_weights_of_each_picture_s_own():
    torch.manual_seed(0)
    before, after = Band(4, 4, 16, 24, 3), Band(4, 4, 16, 24, 5)
    layer = Layer(before, after, 6, False, True, 100.0).eval()
    layer.magnitude.fill_(2.5)
    with torch.no_grad():
        layer.bias.normal_()
    x, w = torch.randn(2, 3, 24, 24), torch.randn(2, 6)
    style = layer.style(w)
    expected = []
    for k in range(2):
        weight = layer.weight * style[k].view(1, 3, 1, 1)
        weight = weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        y = F.conv2d(x[k : k + 1] / math.sqrt(2.5), weight, layer.bias, padding=2)
        y = F.leaky_relu(layer.up @ y @ layer.up.T, 0.2) * math.sqrt(2)
        expected.append(layer.down @ y @ layer.down.T)
    assert torch.allclose(layer(x, w), torch.cat(expected), atol=1e-5)


def test_the_mean_magnitude_is_that_of_the_last_pictures_and_stays_outside_training():
    layer = tiny().layers[0]
    square = 1.0
    for value in (2.0, 3.0, 0.5):
        layer.train()(torch.full((4, 8, 36, 36), value), torch.randn(4, 8))
        square = value**2 + (square - value**2) * 0.5 ** (4 / 50)
    assert layer.magnitude.item() == pytest.approx(square, rel=1e-5)
    layer.eval()(torch.full((4, 8, 36, 36), 9.0), torch.randn(4, 8))
    assert layer.magnitude.item() == pytest.approx(square, rel=1e-5)


def test_the_input_moves_and_turns():
    net = tiny(learned=True).eval()
    w, waves, bias = torch.zeros(1, 8), net.waves, net.waves.move.bias
    still = waves(w, torch.zeros(2))
    with torch.no_grad():
        bias.copy_(torch.tensor([2.0, 0.0, 0.125, -0.25]))  # of any length: it is brought to one
        by_w = waves(w, torch.zeros(2))
        bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        assert torch.allclose(by_w, waves(w, torch.tensor([0.125 / 2, -0.25 / 2])), atol=1e-5)
        assert torch.allclose(waves(w, torch.tensor([1 / 16, 0.0]))[..., 1:], still[..., :-1], atol=1e-5)  # right
        assert torch.allclose(waves(w, torch.tensor([0.0, 1 / 16]))[..., 1:, :], still[..., :-1, :], atol=1e-5)  # down
        bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]))
        assert torch.allclose(waves(w, torch.zeros(2)), still.rot90(-1, (2, 3)), atol=1e-4)


def test_truncation_leads_to_the_typical_picture():
    net = tiny()
    for _ in range(3):
        net.train()(torch.randn(4, 8))
    net.eval()
    with torch.no_grad():
        a, b = net(torch.randn(2, 8), psi=0.0)
        assert torch.equal(a, b) and net.centre.abs().sum() > 0
        z = torch.randn(2, 8)
        assert torch.allclose(net(z), net.draw(net.map(z))) and not torch.allclose(net(z, 0.5), net(z))


def test_decibels_are_the_peak_over_the_error():
    wave = lambda dx, dy: torch.sin(torch.arange(64.0) - dx).expand(1, 1, 64, 64)
    assert translation_db(lambda at: wave(*at), [(5, 3), (-4, 2)]) == math.inf
    wrong = lambda at: wave(*at) + (0.01 if any(at) else 0.0)
    peak = 4 * wave(0, 0).double().std().item()
    assert translation_db(wrong, [(5, 3)]) == pytest.approx(10 * math.log10(peak**2 / 1e-4), abs=1e-3)


def test_a_small_generator_is_equivariant_and_a_naive_one_is_not():
    proper = equivariance(warmed(tiny(), batches=20))
    assert proper >= 65 and proper >= 20 + equivariance(warmed(tiny(filtered=False), batches=20))
    assert equivariance(warmed(tiny(margin=2), batches=20)) < proper - 20  # the margin keeps the edge out


@pytest.mark.slow
def test_the_smallest_generator_of_the_book_is_equivariant():
    def decibels(name: str, **options: object) -> float:
        torch.manual_seed(0)
        return equivariance(warmed(build(name, 64, **options)))

    proper = decibels("stylegan3-s")
    assert proper >= 65 and proper >= decibels("stylegan3-s", filtered=False) + 20
    assert decibels("stylegan3-m") >= 65


def test_the_variation_of_a_batch_by_hand():
    x = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = [x[k % 2 :: 2].numpy().std(0).mean() for k in range(8)]  # every second picture is one group of four
    assert np.allclose(variation(x)[:, 0, 0, 0], expected, atol=1e-5)
    assert variation(x[:1].repeat(4, 1, 1, 1)).max() < 1e-3 and variation(x[:3]).shape == (3, 1, 4, 4)


def test_the_discriminator_can_be_differentiated_twice():
    torch.manual_seed(0)
    net, images = Discriminator(16, 64, 8), torch.rand(4, 3, 16, 16, requires_grad=True)
    logits = net(images)
    assert logits.shape == (4,)
    (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    slope.square().sum().backward()
    # a last bias moves no slope
    idle = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert all(name.endswith("bias") for name in idle)


@pytest.mark.parametrize("size", [96, 48])
def test_a_size_that_is_no_power_of_two_is_refused(size):
    with pytest.raises(InputError, match=f"size {size} is no power of two"):
        Generator(size, **TINY)
    with pytest.raises(InputError, match=f"size {size} is no power of two"):
        Discriminator(size, 64, 8)
