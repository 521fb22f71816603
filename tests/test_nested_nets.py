"""U-Net++ and other nets whose decoder is no plain U."""

import pytest
import torch
from drawn import drawn_batch, options_for, stepper

from tutseg.methods import build_method
from tutseg.methods.base import Progress
from tutseg.nets import build


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


@pytest.mark.parametrize("name", ["supervised", "dale", "gce", "mw-net", "beco", "small-loss"])
def test_methods_teach_the_further_heads(name):
    torch.manual_seed(0)
    method = build_method(name, net="unetpp-s", size=32, **options_for(name)).train()
    heads = [p for n, p in method.named_parameters() if "auxiliary" in n]
    before = [p.detach().clone() for p in heads]
    method.update(drawn_batch(2, 0, 32, 0), Progress(50, 100, 10), stepper(method))
    assert heads and not any(map(torch.equal, heads, before))
