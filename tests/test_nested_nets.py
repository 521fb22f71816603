"""U-Net++ and other nets whose decoder is no plain U."""

import pytest
import torch
from drawn import drawn_batch, options_for, stepper

from tutseg.methods import build_method
from tutseg.methods.base import Progress
from tutseg.nets import att_unet, build, ege_unet, emcad, malunet


def images(n: int, size: int) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_unet_plus_plus_without_deep_supervision():
    """The number that comparisons print; and the other heads change nothing before them."""
    with torch.device("meta"):
        net = build("unetpp", 256, supervised=False)
    assert sum(p.numel() for p in net.parameters()) == 9_045_825
    alone, deep, x = build("unetpp-s", 32, supervised=False).eval(), build("unetpp-s", 32).eval(), images(2, 32)
    assert deep.load_state_dict(alone.state_dict(), strict=False).unexpected_keys == []
    assert alone(x).heads == {} and torch.equal(alone(x).logits, deep(x).logits)


def test_unet_plus_plus_against_its_recursion():
    net = build("unetpp-s", 32).eval()
    maps, known = net.encode(images(2, 32)), {}
    block, up = (dict(zip(net.nodes, part, strict=True)) for part in (net.decoder, net.up))

    def node(i: int, j: int) -> torch.Tensor:
        if (i, j) not in known:
            left = [node(i, k) for k in range(j)]
            known[i, j] = block[i, j](torch.cat([*left, up[i, j](node(i + 1, j - 1))], 1)) if j else maps[i]
        return known[i, j]

    out = net.decode(maps)
    torch.testing.assert_close(out.logits, net.head(node(0, 4)))
    assert len(net.nodes) == 10 and out.deep == {"aux1": 1, "aux2": 1, "aux3": 1}
    for k, (name, said) in enumerate(out.heads.items()):
        torch.testing.assert_close(said, net.auxiliary[k](node(0, 3 - k)), msg=name)


def test_vm_unet_plus_plus_against_its_recursion():
    """Nodes as in U-Net++, each heard at the end of its blocks; the first column is VM-UNet's encoder."""
    torch.manual_seed(0)
    net, x = build("vm-unetpp-s", 64).eval(), images(1, 64)
    maps, known = [m.permute(0, 2, 3, 1) for m in net.encode(x)], {}
    plain = build("vm-unet-s", 64).eval()
    plain.encoder.load_state_dict(net.encoder.state_dict())
    torch.testing.assert_close(plain.encode(x)[3].permute(0, 2, 3, 1), maps[3])
    block, expand = (dict(zip(net.nodes, part, strict=True)) for part in (net.decoder, net.expand))

    def node(i: int, j: int) -> torch.Tensor:
        if (i, j) not in known:
            left = [node(i, k) for k in range(j)]
            heard = torch.cat([*left, expand[i, j](node(i + 1, j - 1))], -1) if j else maps[i]
            known[i, j] = block[i, j](heard) if j else heard
        return known[i, j]

    assert len(net.nodes) == 6
    torch.testing.assert_close(net(x).logits, net.head(net.final_expand(node(0, 3)).permute(0, 3, 1, 2)))


@pytest.mark.parametrize("name", ["supervised", "dale", "gce", "mw-net", "beco", "small-loss", "cirl"])
def test_methods_teach_the_further_heads(name):
    torch.manual_seed(0)
    method = build_method(name, net="unetpp-s", size=32, **options_for(name)).train()
    heads = [p for n, p in method.named_parameters() if "auxiliary" in n]
    before = [p.detach().clone() for p in heads]
    method.update(drawn_batch(2, 0, 32, 0), Progress(50, 100, 10), stepper(method))
    assert heads and not any(map(torch.equal, heads, before))


def test_hadamard_attention_multiplies_along_two_axes():
    """What a quarter is multiplied by, found by division: of the plane, of channel and row, of channel and column."""
    torch.manual_seed(0)
    layer, x = ege_unet.HadamardAttention(16, 8), torch.rand(2, 16, 5, 7)
    for points in (layer.plane, layer.rows, layer.columns):
        torch.nn.init.uniform_(points)
    layer.norm = layer.mix = torch.nn.Identity()
    a, b, c, d = (layer(x) / x).chunk(4, dim=1)
    torch.testing.assert_close(a, a[:1].expand_as(a))
    torch.testing.assert_close(b, b[:1, :, :, :1].expand_as(b))
    torch.testing.assert_close(c, c[:1, :, :1].expand_as(c))
    assert a[0].std((1, 2)).min() > 0 and b[0].std(1).min() > 0 and c[0].std(2).min() > 0
    torch.testing.assert_close(d * x[:, 12:], layer.local(x[:, 12:]))


def test_bridges_reach_as_far_as_their_dilation():
    """A change of one pixel of a skip moves each group of channels at its own distance."""
    bridge, low = ege_unet.Bridge(16, 8), torch.rand(1, 8, 17, 17)
    high, mask, moved = torch.rand(1, 16, 17, 17), torch.rand(1, 1, 17, 17), low.clone()
    moved[:, :, 8, 8] += torch.arange(8.0)
    bridge.tail = torch.nn.Identity()
    changed = (bridge(high, moved, mask) != bridge(high, low, mask)).chunk(4, dim=1)
    for group, dilation in zip(changed, (1, 2, 5, 7), strict=True):
        rows = group[0].any(0).any(1).nonzero()[:, 0].tolist()
        assert rows == [8 - dilation, 8, 8 + dilation]


def test_ege_unet_projects_and_resizes_in_either_order():
    high, bridge = torch.rand(2, 16, 4, 4), ege_unet.Bridge(16, 8)
    first, last = bridge.project(ege_unet.resized(high, (8, 8))), ege_unet.resized(bridge.project(high), (8, 8))
    torch.testing.assert_close(first, last)


def test_ege_unet_masks_are_those_of_its_levels():
    net, x = build("ege-unet", 64).eval(), images(1, 64)
    out = net(x)
    for k in range(1, 6):  # aux5 is the coarsest: its stage comes first
        with torch.no_grad():
            net.decoder[5 - k].mask.bias += 1
        assert not torch.equal(net(x).heads[f"aux{k}"], out.heads[f"aux{k}"])
        assert all(torch.equal(net(x).heads[f"aux{i}"], out.heads[f"aux{i}"]) for i in range(k + 1, 6))


@pytest.mark.parametrize(("encoder", "published"), [("pvt_v2_b2", 26_764_411), ("pvt_v2_b0", 3_916_795)])
def test_emcad_has_the_published_parameters(encoder, published):
    """But for the 12 of a pointwise convolution from one channel to three, with its batch norm."""
    with torch.device("meta"):
        net = build("emcad", 224, encoder=encoder)
    assert sum(p.numel() for p in net.parameters()) == published - 12


def test_emcad_needs_no_shuffle_of_channels():
    """A pointwise convolution of shuffled channels is one of the channels as they were, with its weights shuffled."""
    net, x = emcad.MultiScaleBlock(6).narrow[0], torch.rand(2, 12, 5, 5)
    order = torch.arange(12).view(6, 2).T.flatten()
    same = torch.nn.functional.conv2d(x, torch.empty_like(net.weight).index_copy_(1, order, net.weight.detach()))
    torch.testing.assert_close(net(x[:, order]), same)


def test_emcad_looks_at_three_scales():
    """The spread of one changed pixel through each kernel, and through their sum."""
    block, x = emcad.MultiScaleBlock(4).eval(), torch.rand(1, 4, 11, 11)
    moved = x.clone()
    moved[:, :, 5, 5] += 1
    wide, wider = block.widen(x), block.widen(moved)
    for scale, k in zip(block.scales, (1, 3, 5), strict=True):
        rows = (scale[0](wider) != scale[0](wide))[0].any(0).any(1).nonzero()[:, 0]
        assert rows.tolist() == list(range(5 - k // 2, 6 + k // 2))
    by_hand = x + block.narrow(block.scales[0](wide) + block.scales[1](wide) + block.scales[2](wide))
    torch.testing.assert_close(block(x), by_hand)


@pytest.mark.parametrize("gate", [emcad.Gate(8), att_unet.AttentionGate(8, 4)])
def test_gates_of_a_skip(gate):
    """One number a place, in (0, 1), in which both the skip and what came up have a say."""
    gate, below, skip = gate.eval(), torch.randn(2, 8, 6, 6), torch.randn(2, 8, 6, 6)
    said = gate(skip, below) / skip
    torch.testing.assert_close(said, said[:, :1].expand_as(said))
    assert said.min() > 0 and said.max() < 1
    assert not torch.allclose(gate(skip, below + 1) / skip, said)
    assert not torch.allclose(gate(skip + 1, below) / (skip + 1), said)


def test_att_unet_with_open_gates_is_a_unet():
    """Gates that say 1 everywhere leave U-Net's own logits."""
    torch.manual_seed(0)
    net, plain, x = build("att-unet-s", 32).eval(), build("unet-s", 32).eval(), images(2, 32)
    assert plain.load_state_dict(net.state_dict(), strict=False).missing_keys == []
    assert not torch.allclose(net(x).logits, plain(x).logits)
    for gate in net.gates:
        torch.nn.init.constant_(gate.psi[1].weight, 0)
        torch.nn.init.constant_(gate.psi[1].bias, 100)
    torch.testing.assert_close(net(x).logits, plain(x).logits)


def test_external_attention_against_its_sums():
    """One place at a time: a softmax of each entry over places, then shares of the entries."""
    torch.manual_seed(0)
    layer, x = malunet.ExternalAttention(8).double(), torch.randn(2, 8, 3, 5, dtype=torch.float64)
    assert torch.equal(layer.keys.weight, layer.values.weight.T)
    layer.leave, q = torch.nn.Identity(), layer.enter(x)
    score = torch.einsum("kc,bchw->bkhw", layer.keys.weight, q).exp()
    score = score / score.sum((2, 3), keepdim=True)
    for row, column in ((0, 0), (2, 4)):
        share = score[:, :, row, column] / score[:, :, row, column].sum(1, keepdim=True)
        expected = torch.nn.functional.gelu(x[:, :, row, column] + share @ layer.values.weight.T)
        torch.testing.assert_close(layer(x)[:, :, row, column], expected, rtol=1e-6, atol=1e-8)


def test_bridge_of_all_skips():
    """Gates that say one half: each skip is one and a half of itself, twice; and one skip moves the gates of others."""
    skips = [torch.rand(2, c, size, size) for c, size in ((8, 8), (16, 4), (24, 2))]
    bridge = malunet.SkipBridge((8, 16, 24))
    moved = [skips[0], skips[1], skips[2] + 1]
    assert not torch.allclose(bridge(skips)[0], bridge(moved)[0])
    for p in bridge.parameters():
        torch.nn.init.zeros_(p)
    for bridged, skip in zip(bridge(skips), skips, strict=True):
        torch.testing.assert_close(bridged, 2.25 * skip)


def test_dilated_gate_looks_as_far_as_its_dilations():
    """Of one changed pixel, the first quarter sees 7 places away; with the gate's and the last kernel, 10."""
    gate, x = malunet.DilatedGate(16, 8).eval(), torch.rand(1, 16, 31, 31)
    moved = x.clone()
    moved[:, :, 15, 15] += torch.arange(16.0)
    for norm in (gate.mix[0], gate.gate[0][1], gate.view[0][1], gate.leave[0][1]):
        norm.forward = lambda x: x  # which would tell every place of the change
    rows = (gate(x) != gate(moved))[0].any(0).any(1).nonzero()[:, 0]
    assert (rows.min().item(), rows.max().item()) == (15 - 10, 15 + 10)
