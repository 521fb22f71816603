"""Adapters: a few trained parameters inside a frozen transformer (Medical SAM Adapter, Wu et al. 2023).

Each block of the encoder gets two bottlenecks: one behind the attention, with a skip, and one beside the MLP, without.
They are kept apart from the net that they adapt, which stays as its file has it, and can be saved without it.

SAM-KD speaks of adapters for the *decoder*; in the published code of the work that it cites, and in KnowSAM's, they sit
in the image encoder alone, and so they do here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

RATIO = 0.25  # of a bottleneck's channels to a block's
BESIDE = 0.5  # what the adapter beside the MLP is multiplied by


def blocks_of(net: nn.Module) -> list[nn.Module]:
    """The blocks of a vision transformer, first to last: modules with an ``attn`` and an ``mlp``."""
    parts = ("attn", "mlp")
    return [m for m in net.modules() if all(isinstance(getattr(m, part, None), nn.Module) for part in parts)]


class Bottleneck(nn.Sequential):
    """Down to a quarter of the channels, GELU, and up again; 0 until it has learned, so that all begins as it was."""

    def __init__(self, channels: int) -> None:
        hidden = int(RATIO * channels)
        super().__init__(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))
        nn.init.zeros_(self[2].weight)
        nn.init.zeros_(self[2].bias)


class Adapters(nn.Module):
    """Two bottlenecks for each block of a net, whose weights are no part of this module.

    Parameters
    ----------
    net : nn.Module
        With blocks as `blocks_of` finds them; only their channels are read, so it may lie on the device "meta".
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        linear = [next(m for m in block.mlp.modules() if isinstance(m, nn.Linear)) for block in blocks_of(net)]
        self.behind = nn.ModuleList(Bottleneck(layer.in_features) for layer in linear)
        self.beside = nn.ModuleList(Bottleneck(layer.in_features) for layer in linear)

    @contextmanager
    def on(self, net: nn.Module) -> Iterator[None]:
        """Inside the block, `net` computes with these adapters."""

        def after(adapter: nn.Module):
            return lambda module, args, out: out + adapter(out)

        def along(adapter: nn.Module):
            return lambda module, args, out: out + BESIDE * adapter(args[0])

        hooks = []
        for block, behind, beside in zip(blocks_of(net), self.behind, self.beside, strict=True):
            hooks.append(block.attn.register_forward_hook(after(behind)))
            hooks.append(block.mlp.register_forward_hook(along(beside)))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
