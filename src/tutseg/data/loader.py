"""Pictures held in memory as uint8 tensors at the training size, and batches drawn from them.

A data set of a few thousand pictures at 96-256 px fits in memory (ISIC 2018 at 224 px: 0.5 GB), so it is read once and
then lives on the training device; there is no worker, no queue and no decoding in the training loop.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tutseg.data.sample import Sample, Source
from tutseg.errors import InputError, unknown
from tutseg.files import sha256

COLUMNS = ("masks", "truth", "labels")


@dataclass(frozen=True, eq=False)
class Pictures:
    """A data set, or a part of one, at one size: pictures, and what is known about them where it is known.

    Parameters
    ----------
    images : Tensor
        uint8 ``(N, 3, S, S)``.
    ids, groups : tuple of str
        As in the source.
    name : str
        The source's name.
    masks : Tensor or None
        What training may see: uint8 in {0, 1}, ``(N, 1, S, S)``.
    truth : Tensor or None
        What scoring sees, of the same shape; read from a source, the masks themselves.
    labels : Tensor or None
        int64 ``(N,)``, places in `classes`; -1 for a picture whose class is not known.
    classes : tuple of str
        The names of the labels, sorted.
    masked : tuple of bool
        Which pictures have a mask, where some have none; empty where all are alike.
    """

    images: Tensor
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    name: str
    masks: Tensor | None = None
    truth: Tensor | None = None
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    masked: tuple[bool, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def _each(self, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Every tensor changed; masks that are the truth itself stay one tensor."""
        changed = {}
        for name in ("images", *COLUMNS):
            if (tensor := getattr(self, name)) is not None:
                same = name == "truth" and self.truth is self.masks
                changed[name] = changed["masks"] if same else change(tensor)
        return changed

    def take(self, indices: Sequence[int]) -> "Pictures":
        """The part at `indices`."""
        at = torch.as_tensor(list(indices), dtype=torch.long, device=self.images.device)
        ids, groups = (tuple(names[i] for i in indices) for names in (self.ids, self.groups))
        masked = tuple(self.masked[i] for i in indices) if self.masked else ()
        return replace(self, ids=ids, groups=groups, masked=masked, **self._each(lambda tensor: tensor[at]))

    def outlined(self) -> "Pictures":
        """The part that has masks, or all where all are alike."""
        return self.take([i for i, known in enumerate(self.masked) if known]) if self.masked else self

    def counts(self) -> list[int]:
        """How many pictures each class has."""
        return torch.bincount(self.labels, minlength=len(self.classes)).tolist()

    def to(self, device: torch.device | str) -> "Pictures":
        """The same pictures on another device."""
        return replace(self, **self._each(lambda tensor: tensor.to(device)))

    def without(self, *columns: str) -> "Pictures":
        """A copy in which these of `COLUMNS` are gone: who is handed it cannot look them up."""
        for column in columns:
            if column not in COLUMNS:
                raise unknown("column of pictures", column, COLUMNS)
        return replace(self, **dict.fromkeys(columns))

    def need(self, *columns: str) -> "Pictures":
        """The same pictures; an InputError if one of these columns is not there, or not for each picture."""
        for column in columns:
            if getattr(self, column) is None:
                raise InputError(f"data {self.name} has no {column}", f"choose data, or a part, that has {column}")
            if column in ("masks", "truth") and not all(self.masked):
                bare = self.ids[self.masked.index(False)]
                raise InputError(f"data {self.name}: {bare} has no mask", "choose a part where all have one")
        return self

    def joined(self, others: "Pictures") -> "Pictures":
        """These and then others, with what training may see of both; the truth is left out."""
        each = {name: [getattr(part, name) for part in (self, others)] for name in ("images", "masks", "labels")}
        columns = {name: torch.cat(both) for name, both in each.items() if not any(part is None for part in both)}
        ids, groups = self.ids + others.ids, self.groups + others.groups
        classes = self.classes if "labels" in columns else ()
        return Pictures(ids=ids, groups=groups, name=f"{self.name} and {others.name}", classes=classes, **columns)

    def floats(self, at: Tensor) -> tuple[Tensor, Tensor | None]:
        """Images in [0, 1] and masks in {0, 1} (or None), both float32, at index tensor `at`."""
        at = at.to(self.images.device)
        return self.images[at].float() / 255, None if self.masks is None else self.masks[at].float()

    def fingerprint(self) -> str:
        """SHA-256 over ids, pixels and truth (labels where there is none), in the order of ids."""
        order = sorted(range(len(self)), key=lambda i: self.ids[i])
        digest = sha256("\n".join(self.ids[i] for i in order))
        for part in (self.images, self.labels if self.truth is None else self.truth):
            if part is not None:
                digest = sha256(digest.encode() + part[order].cpu().numpy().tobytes())
        if self.masked:
            digest = sha256(digest.encode() + bytes(self.masked[i] for i in order))
        return digest


def shrink(image: np.ndarray, size: int) -> Tensor:
    """A uint8 picture ``(H, W, 3)`` squashed to uint8 ``(3, size, size)`` by antialiased bicubic interpolation.

    PyTorch's operator gives Pillow's result to two grey levels, with less arithmetic.
    """
    pixels = torch.from_numpy(np.require(image, requirements="W").transpose(2, 0, 1)[None])
    return F.interpolate(pixels, (size, size), mode="bicubic", antialias=True, align_corners=False)[0]


def fit_to(sample: Sample, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """A sample squashed to ``size``: image ``(3, S, S)`` by `shrink`, mask ``(1, S, S)`` (or None) by nearest."""
    image = shrink(sample.image, size).numpy()
    if sample.mask is None:
        return image, None
    return image, np.asarray(Image.fromarray(sample.mask).resize((size, size), Image.Resampling.NEAREST))[None]


def load_pictures(
    source: Source, size: int, workers: int = 2, on_picture: Callable[[int, int], None] | None = None
) -> Pictures:
    """Read a whole source into memory: its masks as masks and truth, its classes as labels, where it has them.

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
    masks = np.zeros((n, 1, size, size), np.uint8)
    masked = np.zeros(n, bool)
    names: list[str | None] = [None] * n

    def read(part: range) -> range:
        for index in part:
            sample = source[index]
            images[index], mask = fit_to(sample, size)
            names[index], masked[index] = sample.label, mask is not None
            if mask is not None:
                masks[index] = mask
        return part

    with ThreadPoolExecutor(workers) as pool:
        for part in pool.map(read, (range(n)[start : start + 16] for start in range(0, n, 16))):
            for index in part if on_picture else ():
                on_picture(index + 1, n)
    known = torch.from_numpy(masks) if masked.any() else None
    classes = tuple(sorted({name for name in names if name is not None}))
    labels = torch.tensor([-1 if name is None else classes.index(name) for name in names]) if classes else None
    pictures = Pictures(torch.from_numpy(images), tuple(source.ids), tuple(source.groups), source.name)
    some = tuple(masked.tolist()) if masked.any() and not masked.all() else ()
    return replace(pictures, masks=known, truth=known, labels=labels, classes=classes, masked=some)


@lru_cache(maxsize=64)
def _permutation(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63))


def step_indices(n: int, batch: int, step: int, seed: int) -> Tensor:
    """Which of `n` pictures step number `step` sees: pass after pass, each in its own random order.

    A function of its arguments alone, so a resumed run draws what the interrupted one would have drawn.
    """
    places = range(step * batch, (step + 1) * batch)
    return torch.stack([_permutation(n, seed, place // n)[place % n] for place in places])
