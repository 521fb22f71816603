"""What is particular to the networks of DALE's tables that have attention and no U-Net's shape."""

import math

import torch
from torch import nn

from tutseg.nets import build, convformer


def count(*parts: nn.Module) -> int:
    return sum(p.numel() for part in parts for p in part.parameters())


def on_paper(name: str, size: int) -> nn.Module:
    """A net without memory behind its parameters, to be counted."""
    with torch.device("meta"):
        return build(name, size)


class TestConvFormer:
    def test_published_parts(self):
        """The published network has one more channel in its head: two classes."""
        net = on_paper("convformer", 256)
        stem, blocks = net.encoder[:-12], net.encoder[-12:]
        assert (count(stem), count(blocks)) == (1_551_936, 113_320_032)
        assert count(net.decoder, net.head) + 128 + 1 == 738_050
        assert count(net) + 128 + 1 == 115_610_018

    def test_gaussian_against_loops(self):
        h, w, sigma = 3, 4, torch.tensor([0.05, 0.4])
        got = convformer.gaussian(h, w, sigma)
        for head, s in enumerate(sigma.tolist()):
            for i in range(h * w):
                weights = [
                    math.exp(-((i // w / h - j // w / h) ** 2 + (i % w / w - j % w / w) ** 2) / (2 * s * s))
                    for j in range(h * w)
                ]
                expected = torch.tensor(weights) / sum(weights)
                torch.testing.assert_close(got[head, i], expected)

    def test_attention_against_loops(self):
        """The cosine of each pair, within its head, times the Gaussian; and what is heard is the sum of values."""
        torch.manual_seed(0)
        layer, x = convformer.ConvAttention(8, 2).eval(), torch.randn(1, 8, 2, 3)
        layer.out = nn.Identity()
        attention, out = layer.attention(x), layer(x)
        sigma = 0.003 + 0.397 / (1 + torch.exp(-layer.width))
        near = convformer.gaussian(2, 3, sigma)
        q, k, v = (part(x)[0].flatten(1) for part in (layer.query, layer.key, layer.value))
        for head in range(2):
            own = slice(4 * head, 4 * head + 4)
            for i in range(6):
                heard = torch.zeros(4)
                for j in range(6):
                    cosine = q[own, i] @ k[own, j] / (q[own, i].norm() * k[own, j].norm())
                    torch.testing.assert_close(attention[0, head, i, j], cosine * near[head, i, j])
                    heard += cosine * near[head, i, j] * v[own, j]
                torch.testing.assert_close(out[0, own].flatten(1)[:, i], heard)
