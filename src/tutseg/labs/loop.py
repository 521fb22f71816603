"""The training loop of the labs: one network, one loss, and nothing hidden."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def learn(
    net: nn.Module,
    images: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    steps: int,
    batch: int = 8,
    rate: float = 2e-3,
    seed: int = 0,
) -> nn.Module:
    """Train a network in place, by Adam on batches drawn with replacement and flipped by chance.

    Parameters
    ----------
    net : nn.Module
        Of `tutseg.nets`.
    images, targets : Tensor
        ``(N, 3, H, W)`` in [0, 1] and ``(N, 1, H, W)``.
    loss : callable
        Logits and targets ``(B, 1, H, W)`` to a scalar.
    steps, batch, rate, seed
        Of the optimiser; the rate falls to 0 along a cosine.
    """
    chance = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(net.train().parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        at = torch.randint(len(images), (batch,), generator=chance)
        turned = [axis for axis in (2, 3) if torch.rand((), generator=chance) < 0.5]
        value = loss(net(images[at].flip(turned)).logits, targets[at].flip(turned))
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def dice_of(net: nn.Module, images: Tensor, truth: Tensor) -> float:
    """The mean over pictures of Dice of a trained network's masks."""
    mask = torch.cat([net.eval()(part).logits >= 0 for part in images.split(32)]).float()
    both, sizes = ((mask * truth).sum((1, 2, 3)), (mask + truth).sum((1, 2, 3)))
    return float(torch.where(sizes > 0, 2 * both / sizes.clamp(min=1), 1.0).mean())
