"""Pictures for tests of methods: dark ellipses on a light ground, and a net small enough to train in a second."""

from dataclasses import replace

import torch

from tutseg import nets
from tutseg.methods.base import Batch


def register_tiny(monkeypatch) -> None:
    """Make "tiny", a U-Net of width 4, known for one test."""
    monkeypatch.setitem(nets.CARDS, "tiny", replace(nets.CARDS["unet-s"], name="tiny", options={"width": 4}))


def ellipses(count: int, size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images ``(count, 3, size, size)`` in [0, 1] and masks ``(count, 1, size, size)`` in {0, 1}."""
    draw = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    centre = torch.rand(count, 2, 1, 1, generator=draw) * 0.6 - 0.3
    radius = torch.rand(count, 2, 1, 1, generator=draw) * 0.3 + 0.3
    distance = ((x - centre[:, 0]) / radius[:, 0]) ** 2 + ((y - centre[:, 1]) / radius[:, 1]) ** 2
    mask = (distance <= 1).float().unsqueeze(1)
    image = 0.8 - 0.5 * mask + 0.05 * torch.randn(count, 3, size, size, generator=draw)
    return image.clamp(0, 1), mask


def drawn_batch(labelled: int, unlabelled: int, size: int, views: int, seed: int = 0) -> Batch:
    """A batch whose strong views are the weak ones, darkened differently."""
    image, mask = ellipses(labelled, size, seed)
    weak, _ = ellipses(unlabelled, size, seed + 1000)
    return Batch(image, mask, weak, [(weak * (0.8 - 0.2 * k)).clamp(0, 1) for k in range(views)])
