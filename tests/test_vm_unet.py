"""VM-UNet: both published sizes, its skips, and stochastic depth over its blocks."""

import pytest
import torch
from timm.layers import DropPath

from tutseg.nets import build


def test_the_depths_of_the_class_s_default():
    with torch.device("meta"):
        net = build("vm-unet", 256, depths=(2, 2, 9, 2), decoder_depths=(2, 9, 2, 2))
    assert sum(p.numel() for p in net.parameters()) == 44_273_833


def test_skips_are_what_a_stage_begins_with():
    torch.manual_seed(0)
    net, x = build("vm-unet-s", 64).eval(), torch.rand(1, 3, 64, 64)
    encoder, *maps = net.encoder, *(m.permute(0, 2, 3, 1) for m in net.encode(x))
    tokens = encoder.norm(encoder.embed(net.normalise(x)).permute(0, 2, 3, 1))
    for k, skip in enumerate(maps[:3]):
        torch.testing.assert_close(skip, encoder.down[k](encoder.stages[k](tokens)))
        tokens = skip
    torch.testing.assert_close(maps[3], encoder.stages[3](tokens))


def test_what_comes_up_is_added_to_the_skip():
    """So only the sum of the two halves of what the last block sees counts."""
    net = build("vm-unet-s", 64).eval()
    joined = net.join(net.encode(torch.rand(2, 3, 64, 64)))
    skip, below = joined.chunk(2, dim=1)
    moved = torch.cat([skip - 0.5, below + 0.5], dim=1)
    torch.testing.assert_close(net.finish(moved).logits, net.finish(joined).logits, rtol=1e-3, atol=1e-4)


def test_drop_path_rises_and_falls():
    net = build("vm-unet-s", 64)
    up, down = ([m.drop_prob for m in part.modules() if isinstance(m, DropPath)] for part in (net.encoder, net.decoder))
    assert up == pytest.approx([0.2 * i / 7 for i in range(8)])
    assert down == pytest.approx([0.2 * i / 6 for i in range(6, -1, -1)])
