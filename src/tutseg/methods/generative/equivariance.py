"""EQ-T: whether a generator's picture moves as its input does (StyleGAN3, Eq. 5)."""

import torch

from tutseg.nets.stylegan3 import Generator
from tutseg.quality import translation_db

FARTHEST = 8  # of a picture's width over it: how far its input is moved at most


def warmed(net: Generator, pictures: int = 4, batches: int = 60, seed: int = 0) -> Generator:
    """An untrained generator that knows how large its maps are, as one that has begun to train does."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _ in range(batches):
            net.train()(torch.randn(pictures, net.latent, generator=draw))
    return net.eval()


@torch.no_grad()
def equivariance(net: Generator, pictures: int = 4, shifts: int = 4, seed: int = 0) -> float:
    """EQ-T in decibels: random pictures, their input moved by random whole pixels.

    Parameters
    ----------
    net : Generator
        In evaluation mode; untrained, `warmed` first.
    pictures, shifts : int
        How many of each.
    seed : int
        Of both.
    """
    draw = torch.Generator().manual_seed(seed)
    device = net.centre.device
    w = net.map(torch.randn(pictures, net.latent, generator=draw).to(device))
    most = net.size // FARTHEST
    at = torch.randint(-most, most + 1, (shifts, 2), generator=draw).tolist()
    return translation_db(lambda shift: net.draw(w, tuple(d / net.size for d in shift)), map(tuple, at))
