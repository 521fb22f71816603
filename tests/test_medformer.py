"""MedFormer: its published count, how features and semantic map ask each other, and how the maps travel."""

import math

import pytest
import torch

from tutseg.errors import InputError
from tutseg.nets import build
from tutseg.nets.medformer import SIDE, BothWays


def test_the_published_count():
    """Of two classes, and with what is computed and never read: the last map, and two levels' without blocks."""
    with torch.device("meta"):
        net = build("medformer", 256)
    count = sum(p.numel() for p in net.parameters())
    assert count + (32 + 1) + 128 * 128 + (128 * 64 + 64 * 32) == 19_187_554


def test_both_ways_against_loops():
    """One matrix of affinities: each place hears shares of the tokens, each token shares of the places."""
    torch.manual_seed(0)
    block, x, tokens = BothWays(64, 2).double().eval(), torch.randn(1, 64, 4, 4).double(), torch.randn(1, 64, 3, 3)
    tokens = tokens.double()
    block.feed = block.to_features = block.to_map = torch.nn.Identity()
    for norm in block.norms:
        norm.running_mean.normal_()
    out, told = block(x, tokens)
    q, v = block.of_features(block.norms[0](x))[0].flatten(1).chunk(2)
    k, m = block.of_map(block.norms[1](tokens))[0].flatten(1).chunk(2)
    for head in range(2):
        own = slice(32 * head, 32 * head + 32)
        affinity = torch.stack([torch.stack([q[own, i] @ k[own, j] for j in range(9)]) for i in range(16)])
        affinity = affinity / math.sqrt(32)
        for i in (0, 7):
            heard = sum(affinity[i].softmax(0)[j] * m[own, j] for j in range(9))
            torch.testing.assert_close(out[0, own].flatten(1)[:, i], x[0, own].flatten(1)[:, i] + heard)
        for j in (0, 8):
            said = sum(affinity[:, j].softmax(0)[i] * v[own, i] for i in range(16))
            torch.testing.assert_close(told[0, own].flatten(1)[:, j], tokens[0, own].flatten(1)[:, j] + said)


@pytest.mark.parametrize("size", [48, 64, 112])
def test_tokens_that_travel_arrive_as_they_were(size):
    """On grids of 3, 4 and 7 places; and the decoder hears each of them."""
    torch.manual_seed(0)
    net = build("medformer-s", size).eval()
    met, sent, arrived = net.encoder.leave, [], []
    for layer in met:
        layer.register_forward_hook(lambda _, __, out: sent.append(out))
    for level in net.with_maps:
        level.register_forward_pre_hook(lambda _, given: arrived.append(given))
    x = torch.rand(1, 3, size, size)
    logits = net(x).logits
    small, middle, large = sent
    assert small.shape[2:] == (SIDE, SIDE)
    assert torch.equal(arrived[0][2], large) and torch.equal(arrived[0][3], middle)
    assert torch.equal(arrived[1][3], small)
    for layer in met:
        with torch.no_grad():
            layer.weight *= 2
        moved = net(x).logits
        assert not torch.equal(moved, logits)
        logits = moved


def test_too_small_for_its_map():
    with pytest.raises(InputError, match="size 32 is too small for MedFormer: use 48 or more"):
        build("medformer", 32)
