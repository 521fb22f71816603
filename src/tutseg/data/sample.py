"""What every data set gives: samples, and a way to open it by name."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class Sample:
    """One picture and what is known about it, at the picture's own size.

    Parameters
    ----------
    image : numpy.ndarray
        uint8 RGB, ``(H, W, 3)``.
    mask : numpy.ndarray or None
        uint8 in {0, 1}, ``(H, W)``; None where the data set has no mask.
    id : str
        Unique within its source.
    group : str
        Pictures that must not be separated by a split (same lesion, same video block, near-duplicates).
    label : str or None
        Class name, where the data set has one.
    extra : dict
        Other arrays of the picture's size (drawn data: ``fuzziness``, ``annotators``, artefact masks).
    """

    image: np.ndarray
    mask: np.ndarray | None
    id: str
    group: str
    label: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """A readable data set: its ids and groups are known without reading a picture."""

    name: str
    ids: list[str]
    groups: list[str]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def __iter__(self) -> Iterator[Sample]: ...
