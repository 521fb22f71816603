"""Swin-UMamba: its published size, MONAI's blocks as truth for its own, and what it refuses."""

import pytest
import torch
from monai.networks.blocks import UnetrBasicBlock, UnetrUpBlock

from tutseg.errors import InputError
from tutseg.nets import build
from tutseg.nets.swin_umamba import ResidualBlock


def same(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    """Give `ours` the weights of `theirs`, in their order."""
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        p.data.copy_(q.data)


def test_published_parameters():
    """59,885,620 as one class; as two, each of its four heads says one more."""
    with torch.device("meta"):
        net = build("swin-umamba", 256)
    one = sum(p.numel() for p in net.parameters())
    more = sum(head.in_channels + 1 for head in (net.head, *net.auxiliary))
    assert (one, one + more) == (59_885_620, 59_886_344)


@pytest.mark.parametrize(("c_in", "c_out"), [(3, 8), (8, 8)])
def test_residual_block_is_monai_s(c_in, c_out):
    ours, theirs, x = (
        ResidualBlock(c_in, c_out),
        UnetrBasicBlock(2, c_in, c_out, 3, 1, "instance", res_block=True),
        None,
    )
    same(ours, theirs)
    x = torch.randn(2, c_in, 6, 10)
    torch.testing.assert_close(ours(x), theirs(x))


def test_a_step_up_is_monai_s():
    net, theirs = build("swin-umamba-s", 64), UnetrUpBlock(2, 16, 8, 3, 2, "instance", res_block=True)
    up, block = net.up[-1], net.decoder[-1][0]
    same(torch.nn.ModuleList([up, block]), theirs)
    x, skip = torch.randn(2, 16, 4, 6), torch.randn(2, 8, 8, 12)
    torch.testing.assert_close(block(torch.cat([up(x), skip], dim=1)), theirs(x, skip))


def test_a_coarsest_map_of_one_place_is_refused():
    with pytest.raises(InputError, match="size 32 is too small for net swin-umamba: use 64 or more"):
        build("swin-umamba-s", 32)
