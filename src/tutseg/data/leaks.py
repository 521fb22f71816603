"""Leak checks: pictures that a split must not separate, found by a program.

Near-duplicates are found by a perceptual hash of 256 bits (imagehash's ``phash`` with ``hash_size=16``; the usual 64
bits cannot tell one small mole on plain skin from another). How many bits may differ was chosen by looking at pairs:
of ISIC 2018, all up to 44 are one picture in other colours, and true ones occur up to 60. Endoscopes draw a black frame
that makes strangers alike: frames of two videos of CVC-ClinicDB come as near as 26 bits, those of Kvasir-SEG 42, while
its three true pairs differ in 2. Slices of one CT scan in COVID-SemiSeg are found up to 38.
"""

import json
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tutseg.errors import InputError
from tutseg.files import atomic_write, knowledge

if TYPE_CHECKING:
    from tutseg.data.sample import Source
    from tutseg.data.splits import Split

HASH_SIZE = 16
NEAR = 24
NEAR_DERMOSCOPY = 60  # a false alarm costs nothing (two pictures stay together), a miss is a leak
NEAR_CT = 40
IDS_ARE_PUBLISHED = ("ph2", "kvasir-seg", "cvc-clinicdb", "covid-semiseg")
SILENT = 200  # pictures hashed without a notice
WORDS = HASH_SIZE * HASH_SIZE // 64


def near_limit(name: str) -> int:
    """Bits that may differ between near-duplicates of a data set."""
    if name.startswith("isic") or name in ("ph2", "ham10000"):
        return NEAR_DERMOSCOPY
    return NEAR_CT if name == "covid-semiseg" else NEAR


def perceptual_hash(image: np.ndarray) -> str:
    """The 256-bit perceptual hash of a uint8 picture, as 64 hexadecimal digits."""
    import imagehash

    return str(imagehash.phash(Image.fromarray(image), hash_size=HASH_SIZE))


def as_words(hashes: Sequence[str]) -> np.ndarray:
    """Hashes as uint64 words, ``(N, 4)``."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=">u8").astype(np.uint64).reshape(len(hashes), WORDS)


def distances(words: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Bits that differ between every row of `words` ``(N, 4)`` and of `others` ``(M, 4)``: uint16 ``(N, M)``."""
    found = np.zeros((len(words), len(others)), np.uint16)
    for word in range(words.shape[1]):
        found += np.bitwise_count(words[:, None, word] ^ others[None, :, word])
    return found


def near_pairs(words: np.ndarray, others: np.ndarray | None = None, limit: int = NEAR) -> list[tuple[int, int, int]]:
    """(row, other row, distance) of all pairs at most `limit` bits apart.

    Without `others`, pairs within `words`, each once (row < other row). Worked in blocks, so memory stays below 50 MB.
    """
    against = words if others is None else others
    pairs = []
    for start in range(0, len(words), 256):
        found = distances(words[start : start + 256], against)
        for row, other in zip(*np.nonzero(found <= limit), strict=True):
            if others is not None or start + row < other:
                pairs.append((int(start + row), int(other), int(found[row, other])))
    return pairs


def connected(n: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """For each of `n` items the smallest index it is connected with, through any number of pairs."""
    from scipy.cluster.hierarchy import DisjointSet

    sets = DisjointSet(range(n))
    for a, b in pairs:
        sets.merge(a, b)
    smallest: dict[int, int] = {}
    return [smallest.setdefault(sets[item], item) for item in range(n)]


# ---- hashes of a source, kept between runs ---------------------------------------------------------------------------


def _hash_files(name: str) -> list[Path]:
    """Where hashes are kept: those of the project (numbers of real pictures by their id), then the user's own."""
    family = "isic" if name.startswith("isic") else name
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tutseg"
    return [knowledge() / "cards" / "hashes" / f"{family}.json", cache / f"hashes_{family}.json"]


def source_hashes(
    source: "Source", progress: Callable[[int, int], None] | None = None, recompute: bool = False
) -> list[str]:
    """The perceptual hash of each picture of a source, from file where its id is known there.

    Hashes by id hold for data sets whose ids are published, whatever the resolution: shrinking a picture moves its hash
    by a few bits only. All other pictures (any folder; MedMNIST, whose ids are rows) are read each time.

    Parameters
    ----------
    progress : callable, optional
        Told (done, of) while pictures are read.
    recompute : bool
        Read every picture and trust no file.
    """
    by_id = source.name.startswith("isic") or source.name in IDS_ARE_PUBLISHED
    known: dict[str, str] = {}
    if by_id and not recompute:
        for path in _hash_files(source.name):
            if path.is_file():
                known |= json.loads(path.read_text())
    missing = [index for index, id in enumerate(source.ids) if id not in known]
    if by_id and len(missing) > SILENT:
        warnings.warn(
            f"data {source.name}: hashing {len(missing)} pictures, once, to find near-duplicates", stacklevel=2
        )
    for done, index in enumerate(missing, 1):
        picture = source.image(index) if hasattr(source, "image") else source[index].image
        known[source.ids[index]] = perceptual_hash(picture)
        if progress:
            progress(done, len(missing))
    if by_id and missing and not recompute:
        _remember(source.name, {source.ids[index]: known[source.ids[index]] for index in missing})
    return [known[id] for id in source.ids]


def _remember(name: str, hashes: dict[str, str]) -> None:
    path = _hash_files(name)[-1]
    old = json.loads(path.read_text()) if path.is_file() else {}
    try:
        atomic_write(path, json.dumps(old | hashes, indent=0, sort_keys=True))
    except InputError:
        return  # a cache that cannot be written costs time at the next run, nothing else


def near_duplicate_groups(source: "Source", known: Sequence[str | None] = ()) -> list[str]:
    """Group of each picture: the smallest id among its near-duplicates and those of its `known` group, and theirs."""
    pairs = [(a, b) for a, b, _ in near_pairs(as_words(source_hashes(source)), limit=near_limit(source.name))]
    first: dict[str, int] = {}
    pairs += [(first.setdefault(name, at), at) for at, name in enumerate(known) if name is not None]
    roots = connected(len(source), pairs)
    return [source.ids[root] for root in roots]


# ---- what leaks ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leak:
    """A group that a split separates.

    Parameters
    ----------
    group : str
        The lesion, video block or near-duplicate group.
    train : tuple of str
        Its ids on the side of training (labelled or unlabelled).
    held_out : tuple of str
        Its ids in validation or test.
    """

    group: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]


def leaks_of(split: "Split", source: "Source", groups: Sequence[str] | None = None) -> list[Leak]:
    """Groups with pictures both in training and in validation or test, or in both of the latter.

    Parameters
    ----------
    groups : sequence of str, optional
        Groups to hold the split against, if not the source's own.
    """
    groups = source.groups if groups is None else groups
    sides: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for side, indices in (
        ("train", split.labelled + split.unlabelled),
        ("validation", split.validation),
        ("test", split.test),
    ):
        for index in indices:
            sides[groups[index]][side].append(source.ids[index])
    leaks = []
    for group, found in sorted(sides.items()):
        if len(found) > 1:
            held_out = [*found["validation"], *found["test"]] if found["train"] else found["test"]
            leaks.append(Leak(group, tuple(found["train"] or found["validation"]), tuple(held_out)))
    return leaks


def check_split(split: "Split", source: "Source") -> None:
    """Refuse a split that separates a group of its source (or of anything else with ``ids`` and ``groups``).

    Raises
    ------
    InputError
        Naming the first such group and how many there are.
    """
    if leaks := leaks_of(split, source):
        first = leaks[0]
        raise InputError(
            f"the split separates {len(leaks)} groups, the first {first.group} "
            f"({first.train[0]} against {first.held_out[0]})",
            "split by group (protocol honest)",
        )


def shared_ids(a: "Source", b: "Source") -> list[str]:
    """Ids that two sources have in common (ISIC 2017 within ISIC 2018), sorted."""
    return sorted(set(a.ids) & set(b.ids))


def shared_pictures(a: "Source", b: "Source") -> list[tuple[str, str, int]]:
    """(id in `a`, id in `b`, distance) of near-duplicates between two sources, whatever they are called."""
    limit = min(near_limit(a.name), near_limit(b.name))
    pairs = near_pairs(as_words(source_hashes(a)), as_words(source_hashes(b)), limit)
    return [(a.ids[row], b.ids[other], distance) for row, other, distance in pairs]
