"""Pictures held in memory as uint8 tensors at the training size, and batches drawn from them.

A data set of a few thousand pictures at 96-256 px fits in memory (ISIC 2018 at 224 px: 0.5 GB), so it is read once and
then lives on the training device; there is no worker, no queue and no decoding in the training loop.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tutseg.data.sample import Sample, Source
from tutseg.errors import InputError
from tutseg.files import sha256


@dataclass(frozen=True, eq=False)
class Pictures:
    """A data set, or a part of one, at one size.

    Parameters
    ----------
    images : Tensor
        uint8 ``(N, 3, S, S)``.
    masks : Tensor
        uint8 in {0, 1}, ``(N, 1, S, S)``.
    ids, groups : tuple of str
        As in the source.
    name : str
        The source's name.
    """

    images: Tensor
    masks: Tensor
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    name: str

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Sequence[int]) -> "Pictures":
        """The part at `indices`."""
        at = torch.as_tensor(list(indices), dtype=torch.long, device=self.images.device)
        ids, groups = (tuple(names[i] for i in indices) for names in (self.ids, self.groups))
        return Pictures(self.images[at], self.masks[at], ids, groups, self.name)

    def to(self, device: torch.device | str) -> "Pictures":
        """The same pictures on another device."""
        return Pictures(self.images.to(device), self.masks.to(device), self.ids, self.groups, self.name)

    def floats(self, at: Tensor) -> tuple[Tensor, Tensor]:
        """Images in [0, 1] and masks in {0, 1}, both float32, at index tensor `at`."""
        at = at.to(self.images.device)
        return self.images[at].float() / 255, self.masks[at].float()

    def fingerprint(self) -> str:
        """SHA-256 over ids and pixels, in the order of ids."""
        order = sorted(range(len(self)), key=lambda i: self.ids[i])
        digest = sha256("\n".join(self.ids[i] for i in order))
        for part in (self.images, self.masks):
            digest = sha256(digest.encode() + part[order].cpu().numpy().tobytes())
        return digest


def shrink(image: np.ndarray, size: int) -> Tensor:
    """A uint8 picture ``(H, W, 3)`` squashed to uint8 ``(3, size, size)`` by antialiased bicubic interpolation.

    PyTorch's operator gives Pillow's result to two grey levels, with less arithmetic.
    """
    pixels = torch.from_numpy(np.require(image, requirements="W").transpose(2, 0, 1)[None])
    return F.interpolate(pixels, (size, size), mode="bicubic", antialias=True, align_corners=False)[0]


def fit_to(sample: Sample, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A sample squashed to ``size``: image ``(3, S, S)`` by `shrink`, mask ``(1, S, S)`` by nearest."""
    if sample.mask is None:
        raise InputError(f"{sample.id} has no mask", "train and score on a part of the data set that has masks")
    mask = Image.fromarray(sample.mask).resize((size, size), Image.Resampling.NEAREST)
    return shrink(sample.image, size).numpy(), np.asarray(mask)[None]


def load_pictures(
    source: Source, size: int, workers: int = 2, on_picture: Callable[[int, int], None] | None = None
) -> Pictures:
    """Read a whole source into memory.

    Parameters
    ----------
    source : Source
        Any data set of `tutseg.data`.
    size : int
        Height and width in pixels; memory is ``4 N S^2`` bytes.
    workers : int
        Threads; decoding and resizing release Python's lock.
    on_picture : callable
        Called with (pictures done, pictures in all).

    Raises
    ------
    InputError
        A picture that cannot be read, naming the file.
    """
    n = len(source)
    images = np.empty((n, 3, size, size), np.uint8)
    masks = np.empty((n, 1, size, size), np.uint8)

    def read(part: range) -> range:
        for index in part:
            images[index], masks[index] = fit_to(source[index], size)
        return part

    with ThreadPoolExecutor(workers) as pool:
        for part in pool.map(read, (range(n)[start : start + 16] for start in range(0, n, 16))):
            for index in part if on_picture else ():
                on_picture(index + 1, n)
    return Pictures(
        torch.from_numpy(images), torch.from_numpy(masks), tuple(source.ids), tuple(source.groups), source.name
    )


@lru_cache(maxsize=64)
def _permutation(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63))


def step_indices(n: int, batch: int, step: int, seed: int) -> Tensor:
    """Which of `n` pictures step number `step` sees: pass after pass, each in its own random order.

    A function of its arguments alone, so a resumed run draws what the interrupted one would have drawn.
    """
    places = range(step * batch, (step + 1) * batch)
    return torch.stack([_permutation(n, seed, place // n)[place % n] for place in places])
