"""The selective scan against a plain loop, and its four ways over maps that are not square."""

import copy

import pytest
import torch
from torch import Tensor

from tutseg.nets import scan
from tutseg.nets.scan import SS2D, VSSBlock, four_ways, gathered, selective_scan


def loop(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The recurrence, word for word."""
    state, y = torch.zeros(*u.shape[1:], a.shape[-1], dtype=u.dtype), []
    for t in range(len(u)):
        state = torch.exp(delta[t, ..., None] * a) * state + (delta[t] * u[t])[..., None] * b[t, ..., None, :]
        y.append((state * c[t, ..., None, :]).sum(-1))
    return torch.stack(y)


def inputs(length: int, kind: torch.dtype = torch.float64, shape: tuple[int, ...] = (2, 2, 3, 4)) -> list[Tensor]:
    """u, delta, A, B, C for a time of `length`; the rest is pictures, directions, channels, states."""
    draw = torch.Generator().manual_seed(length)
    pictures, ways, channels, states = shape
    randn = lambda *size: torch.randn(*size, generator=draw, dtype=kind)
    u, delta = randn(length, pictures, ways, channels), randn(length, pictures, ways, channels).exp()
    a, b, c = (randn(*size, states) for size in ((ways, channels), *((length, pictures, ways),) * 2))
    return [x.requires_grad_() for x in (u, delta, -a.exp(), b, c)]


@pytest.mark.parametrize("length", [1, scan.CHUNK - 1, scan.CHUNK, scan.CHUNK + 1, 2 * scan.CHUNK + 5])
def test_scan_is_the_loop(length):
    """Values, gradients and forward derivatives, also where time ends within a chunk."""
    given = inputs(length)
    y, expected = selective_scan(*given), loop(*given)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-13)
    weight = torch.randn_like(y)
    gradients = (torch.autograd.grad((out * weight).sum(), given) for out in (y, expected))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)
    fixed, along = tuple(x.detach() for x in given), tuple(torch.randn_like(x) for x in given)
    for k in (slice(None), slice(2, 3)):  # along all inputs, and along A alone
        rest = lambda f, k=k: lambda *moved: f(*fixed[: k.start or 0], *moved, *fixed[k.stop or 5 :])
        ours, theirs = (torch.func.jvp(rest(f), fixed[k], along[k])[1] for f in (selective_scan, loop))
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)


def test_gradcheck(monkeypatch):
    monkeypatch.setattr(scan, "CHUNK", 2)
    given = inputs(5, shape=(1, 1, 2, 2))
    assert torch.autograd.gradcheck(selective_scan, given, check_forward_ad=True)


def test_a_constant_input_in_closed_form():
    """``y_t = Δ b c u (1 - q^t) / (1 - q)`` with ``q = exp(Δ A)``, at t = 1, 2, ..."""
    length, q = 100, torch.exp(torch.tensor(-0.05, dtype=torch.float64))
    ones = torch.ones(length, 1, 1, 1, dtype=torch.float64)
    y = selective_scan(3 * ones, 0.1 * ones, torch.full((1, 1, 1), -0.5, dtype=torch.float64), 2 * ones, 5 * ones)
    t = torch.arange(1, length + 1)
    torch.testing.assert_close(y.flatten(), 0.1 * 2 * 5 * 3 * (1 - q**t) / (1 - q))


def test_float32_whatever_comes_in():
    given = inputs(2 * scan.CHUNK, torch.float32)
    exact = loop(*(x.double() for x in given))
    torch.testing.assert_close(selective_scan(*given).double(), exact, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert (
            torch.equal(selective_scan(*given), selective_scan(*given))
            and selective_scan(*given).dtype == torch.float32
        )
        torch.testing.assert_close(selective_scan(*given).double(), exact, rtol=1e-4, atol=1e-5)
    half = selective_scan(*(x.half() for x in given))
    assert half.dtype == torch.float32 and half.isfinite().all()


def test_four_ways_by_places():
    """What a running sum sees along each way, counted place by place on a map of 2 by 3."""
    x = 2.0 ** torch.arange(6).view(1, 2, 3, 1)
    seen = four_ways(x).cumsum(0)
    assert seen.shape == (6, 1, 4, 1)
    places = [(row, column) for row in range(2) for column in range(3)]
    across = lambda place: place
    down = lambda place: place[::-1]
    for row, column in places:
        total = 0.0
        for order in (across, down):
            here = order((row, column))
            total += sum(x[0, r, c, 0] for r, c in places if order((r, c)) <= here)
            total += sum(x[0, r, c, 0] for r, c in places if order((r, c)) >= here)
        assert gathered(seen, 2, 3)[0, row, column, 0] == total
    assert torch.equal(gathered(four_ways(x), 2, 3), 4 * x)


@pytest.mark.parametrize(
    ("turn", "ways"),
    [
        (lambda x: x.flip(1, 2), [2, 3, 0, 1]),  # from the end
        (lambda x: x.transpose(1, 2), [1, 0, 3, 2]),  # columns for rows
        (lambda x: x.flip(1, 2).transpose(1, 2), [3, 2, 1, 0]),
    ],
)
def test_a_turned_map_with_exchanged_ways_gives_the_turned_answer(turn, ways):
    torch.manual_seed(0)
    layer, x = SS2D(6, states=3).double(), torch.randn(2, 5, 7, 12, dtype=torch.float64)
    exchanged = copy.deepcopy(layer)
    for name in ("select", "step", "step_bias", "a_log", "d"):
        own, other = getattr(layer, name).data, getattr(exchanged, name).data
        other.copy_(own.copy_(torch.randn_like(own))[ways])
    torch.testing.assert_close(exchanged.scan(turn(x)), turn(layer.scan(x)))
    assert not torch.allclose(layer.scan(turn(x)), turn(layer.scan(x)))


def test_every_place_hears_every_other():
    """A change anywhere reaches everywhere; a scan forward alone would leave the places before it as they were."""
    torch.manual_seed(0)
    block, x = VSSBlock(8, states=2).double(), torch.randn(1, 4, 6, 8, dtype=torch.float64)
    for place in ((0, 0), (3, 5), (2, 1)):
        moved = x.clone()
        moved[0, *place] += torch.randn(8, dtype=torch.float64)
        assert (block(moved) != block(x)).any(-1).all()


def test_steps_begin_between_a_thousandth_and_a_tenth():
    step = torch.nn.functional.softplus(SS2D(32).step_bias)
    assert step.min() >= 1e-3 * (1 - 1e-4) and step.max() <= 1e-1 * (1 + 1e-4)
    assert step.log10().mean().item() == pytest.approx(-2, abs=0.1)
