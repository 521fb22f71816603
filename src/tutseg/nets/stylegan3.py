r"""StyleGAN3's generator, configuration T (Karras et al., NeurIPS 2021), written from the paper.

Every layer's map stands for a continuous picture, band-limited below its cut-off. Moving the Fourier input by any
amount must move the drawn picture by as much, which holds only as far as no step aliases. Three devices see to that:

- The input is a sum of waves, defined everywhere, and all maps carry a margin beyond the picture's edge.
- A non-linearity creates frequencies without bound. So a map is up-sampled first, at least twice, and what the
  non-linearity created is filtered away before it is down-sampled (`Layer`).
- The cut-offs grow from layer to layer, and the filters leave room up to a stop band that grows with them, so that the
  pass from one to the other is gentle where detail is not needed yet (`bands`).

Up- and down-sampling by a filter are linear along each axis, so here they are two small constant matrices a layer,
``x -> U x U^T``: exact, differentiable any number of times, and as fast on a CPU as transposed convolutions.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import firwin
from torch import Tensor, nn

from tutseg.errors import InputError
from tutseg.nets.equalised import Dense, leaky

FIRST_CUTOFF, FIRST_STOP = 2.0, 2**2.1  # cycles per picture
LAST_STOP = 2**0.3  # times the last cut-off
TAPS = 6  # of a filter, for each unit of up- or down-sampling
LIMIT = 256.0  # magnitude that no activation exceeds


@dataclass(frozen=True)
class Band:
    """What a layer's map can hold.

    Parameters
    ----------
    cutoff : float
        Highest frequency, in cycles per picture.
    half : float
        Half the width of the pass from what is kept to what is stopped.
    rate : int
        Samples per picture.
    grid : int
        Samples along an axis, margins included.
    channels : int
        Feature maps.
    """

    cutoff: float
    half: float
    rate: int
    grid: int
    channels: int


def bands(size: int, layers: int, critical: int, margin: int, base: int, width: int) -> list[Band]:
    """The bands of `layers` layers and of the last, which makes colours (StyleGAN3 section 3.2).

    Parameters
    ----------
    size : int
        Height and width of the picture.
    layers : int
        Filtered layers; the last `critical` of them, and the one that makes colours, are sampled critically.
    critical : int
        See there.
    margin : int
        Samples beyond the picture's edge, on each side.
    base, width : int
        There are ``base / (2 cutoff)`` channels, at most `width`.
    """
    made = []
    for i in range(layers + 1):
        share = min(i / (layers - critical), 1)
        cutoff = FIRST_CUTOFF * (size / 2 / FIRST_CUTOFF) ** share
        stop = FIRST_STOP * (size / 2 * LAST_STOP / FIRST_STOP) ** share
        rate = 2 ** math.ceil(math.log2(min(2 * stop, size)))
        grid = size if i >= layers - 1 else rate + 2 * margin
        channels = round(min(base / 2 / cutoff, width))
        made.append(Band(cutoff, max(stop, rate / 2) - cutoff, rate, grid, channels))
    return made


def resampler(before: int, after: int, grids: tuple[int, int], cutoff: float, half: float) -> Tensor:
    """The matrix ``(after grid, before grid)`` that resamples a line by a whole factor, under a Kaiser-windowed filter.

    Both grids are centred on the picture. The filter works at the higher of the two rates.

    Parameters
    ----------
    before, after : int
        Samples per picture.
    grids : tuple of int
        Numbers of samples before and after.
    cutoff, half : float
        Of the filter, in cycles per picture.
    """
    rate, factor = max(before, after), max(before, after) // min(before, after)
    taps = firwin(TAPS * factor, cutoff, width=2 * half, fs=rate)
    old, new = ((np.arange(n) + 0.5 - n / 2) * rate / r for n, r in zip(grids, (before, after), strict=True))
    at = np.rint(new[:, None] - old[None] + (len(taps) - 1) / 2).astype(int)  # distances fall between two taps
    inside = (at >= 0) & (at < len(taps))
    gain = factor if after > before else 1  # the mean of a line stays
    return torch.tensor(np.where(inside, gain * taps[at.clip(0, len(taps) - 1)], 0), dtype=torch.float32)


def along_both(matrix: Tensor, x: Tensor) -> Tensor:
    """``M x M^T`` of every map, ``(B, C, n, n)`` to ``(B, C, m, m)``."""
    return matrix @ (x @ matrix.T)


class Waves(nn.Module):
    """The input: waves of fixed random frequency and phase, moved and turned as w says, then mixed.

    Parameters
    ----------
    band : Band
        Of the first layer.
    latent : int
        Length of w.
    learned : bool
        Whether w turns and moves the waves; without it they are where they are.
    """

    def __init__(self, band: Band, latent: int, learned: bool) -> None:
        super().__init__()
        n = band.channels
        radius, angle = band.cutoff * torch.rand(n).sqrt(), 2 * math.pi * torch.rand(n)  # even over the disc
        self.register_buffer("frequencies", torch.stack([radius * angle.cos(), radius * angle.sin()], 1))
        self.register_buffer("phases", torch.rand(n))
        self.register_buffer("places", (torch.arange(band.grid) + 0.5 - band.grid / 2) / band.rate, persistent=False)
        self.mixing = nn.Parameter(torch.randn(n, n))
        self.move = Dense(latent, 4) if learned else None
        if learned:
            with torch.no_grad():
                self.move.weight.zero_()
                self.move.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        self.band = band

    def forward(self, w: Tensor, shift: Tensor) -> Tensor:
        """w ``(B, latent)`` and a shift ``(2,)``, right and down in pictures, to ``(B, channels, grid, grid)``."""
        frequencies, phases = self.frequencies.expand(len(w), -1, 2), self.phases
        if self.move is not None:
            moved = self.move(w)
            moved = moved / moved[:, :2].norm(dim=1, keepdim=True)
            c, s = moved[:, :2].unbind(1)
            phases = phases - (frequencies @ moved[:, 2:, None])[..., 0]
            frequencies = frequencies @ torch.stack([c, s, -s, c], 1).view(-1, 2, 2)
        phases = phases - frequencies @ shift
        # a wave that was pushed beyond the band fades, up to the highest that the grid can hold
        beyond = (frequencies.norm(dim=2) - self.band.cutoff) / (self.band.rate / 2 - self.band.cutoff)
        x = frequencies[..., :1, None] * self.places + phases[..., None, None]
        x = x + frequencies[..., 1:, None] * self.places[:, None]
        waves = torch.sin(2 * math.pi * x) * (1 - beyond.clamp(0, 1))[..., None, None]
        return torch.einsum("oc,bchw->bohw", self.mixing / math.sqrt(self.band.channels), waves)


class Layer(nn.Module):
    """Modulated convolution, then the filtered non-linearity; or, for colours, the first alone.

    Parameters
    ----------
    before, after : Band
        What comes in, and what goes out.
    latent : int
        Length of w.
    colours : bool
        The last layer: one pixel wide, not demodulated, linear, three channels.
    filtered : bool
        False: the non-linearity works on the samples as they are, and what grows is interpolated: it aliases.
    half_life : float
        Pictures after which half of the input's mean magnitude is forgotten.
    """

    def __init__(self, before: Band, after: Band, latent: int, colours: bool, filtered: bool, half_life: float) -> None:
        super().__init__()
        kernel, c_out = (1, 3) if colours else (3, after.channels)
        self.style = Dense(latent, before.channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(c_out, before.channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(c_out))
        self.register_buffer("magnitude", torch.ones(()))
        self.colours, self.filtered, self.half_life = colours, filtered, half_life
        self.factor, self.grid = after.rate // before.rate, after.grid
        if filtered and not colours:
            fine = 2 * max(before.rate, after.rate)
            factor = fine // after.rate
            grid = (after.grid - 1) * factor + TAPS * factor  # all that the filter of the way down can see
            up = resampler(before.rate, fine, (before.grid + 2, grid), before.cutoff, before.half)
            down = resampler(fine, after.rate, (grid, after.grid), after.cutoff, after.half)
            self.register_buffer("up", up, persistent=False)
            self.register_buffer("down", down, persistent=False)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """A map ``(B, C, n, n)`` and w ``(B, latent)`` to the next map."""
        if self.training:
            with torch.no_grad():
                self.magnitude.lerp_(x.float().square().mean(), 1 - 0.5 ** (len(x) / self.half_life))
        style = self.style(w)
        if self.colours:
            style = style / math.sqrt(x.shape[1])
        else:  # demodulation: each map out has unit variance, if the maps in have
            size = style.square() @ self.weight.square().sum((2, 3)).T
            scale = (size + 1e-8).rsqrt()[..., None, None]
        # scaling what comes in is scaling the weights of the convolution by w, one picture at a time
        x = x * (style * self.magnitude.rsqrt())[..., None, None]
        x = F.conv2d(x, self.weight, padding=self.weight.shape[2] - 1)
        if self.colours:
            return x + self.bias[:, None, None]
        x = x * scale + self.bias[:, None, None]
        if not self.filtered:
            x = F.interpolate(leaky(x), scale_factor=self.factor, mode="bilinear").clamp(-LIMIT, LIMIT)
            edge = (x.shape[-1] - self.grid) // 2
            return x[..., edge : edge + self.grid, edge : edge + self.grid]
        return along_both(self.down, leaky(along_both(self.up, x)).clamp(-LIMIT, LIMIT))


class Generator(nn.Module):
    """Latent vectors to pictures.

    Parameters
    ----------
    size : int
        Height and width of the pictures, a power of two.
    layers : int
        Filtered layers.
    base, width : int
        Channels; see `bands`.
    latent : int
        Length of z and of w.
    critical : int
        Layers sampled critically; see `bands`.
    margin : int
        Samples that every map carries beyond the picture's edge.
    learned : bool
        Whether w turns and moves the input.
    filtered : bool
        False: without filtered non-linearities, for comparison.
    half_life : float
        See `Layer`.
    """

    def __init__(
        self,
        size: int,
        layers: int = 14,
        base: int = 32768,
        width: int = 512,
        latent: int = 512,
        critical: int = 2,
        margin: int = 10,
        learned: bool = True,
        filtered: bool = True,
        half_life: float = 20_000.0,
    ) -> None:
        super().__init__()
        if size < 16 or size & (size - 1):
            raise InputError(f"size {size} is no power of two from 16 on", "use --size 32, 64, 128 or 256")
        self.size, self.latent, self.base = size, latent, base
        chain = bands(size, layers, critical, margin, base, width)
        # so slow a mapping keeps w steady while the layers that it steers learn
        self.mapping = nn.ModuleList(Dense(latent, latent, pace=0.01) for _ in range(2))
        self.register_buffer("centre", torch.zeros(latent))
        self.waves = Waves(chain[0], latent, learned)
        pairs = zip([chain[0], *chain], chain, strict=False)
        self.layers = nn.ModuleList(
            Layer(before, after, latent, i == layers, filtered, half_life) for i, (before, after) in enumerate(pairs)
        )

    def map(self, z: Tensor) -> Tensor:
        """z ``(B, latent)``, standard normal, to w of the same shape; training keeps the mean of w as `centre`."""
        w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            w = leaky(layer(w))
        if self.training:
            with torch.no_grad():
                self.centre.lerp_(w.float().mean(0), 0.002)
        return w

    def draw(self, w: Tensor, shift: tuple[float, float] = (0.0, 0.0)) -> Tensor:
        """w ``(B, latent)`` to images ``(B, 3, S, S)`` about [0, 1], moved right and down by `shift` of their width."""
        x = self.waves(w, torch.tensor(shift, dtype=w.dtype, device=w.device))
        for layer in self.layers:
            x = layer(x, w)
        return 0.5 + 0.125 * x  # of the paper's picture in [-1, 1], a quarter of the last map

    def forward(self, z: Tensor, psi: float = 1.0) -> Tensor:
        """z ``(B, latent)`` to images ``(B, 3, S, S)``; with ``psi < 1`` nearer to the typical one (truncation)."""
        w = self.map(z)
        return self.draw(w if psi == 1 else self.centre.lerp(w, psi))


def build(in_size: int, **options: object) -> Generator:
    """A generator of pictures of `in_size` pixels, a power of two."""
    return Generator(in_size, **options)
