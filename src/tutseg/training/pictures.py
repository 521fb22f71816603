"""The pictures of a trial: its data sets at its size, and its split."""

import json
import os
from functools import lru_cache
from typing import Any

from tutseg.data import open_source
from tutseg.data.leaks import as_words, check_split, near_pairs, perceptual_hash
from tutseg.data.loader import Pictures, load_pictures
from tutseg.data.splits import Split, split_pictures
from tutseg.errors import InputError
from tutseg.files import canonical_json
from tutseg.training.trial import FOLD, NO_TEST, Trial


@lru_cache(maxsize=8)
def _pictures(name: str, root: str | None, size: int, options: str, _here: str) -> Pictures:
    return load_pictures(open_source(name, root, **json.loads(options)), size)


def pictures_of(name: str, root: str | None, size: int, options: dict[str, Any]) -> Pictures:
    """A data set at one size, read once a process."""
    return _pictures(name, root, size, canonical_json(options), os.getcwd())


@lru_cache(maxsize=8)
def fingerprint_of(pictures: Pictures) -> str:
    """16 hexadecimal digits over ids and pixels, computed once a process."""
    return pictures.fingerprint()[:16]


@lru_cache(maxsize=8)
def _hashes(pictures: Pictures) -> list[str]:
    """The perceptual hash of each picture at its training size, computed once a process."""
    return [perceptual_hash(image.permute(1, 2, 0).numpy()) for image in pictures.images.cpu()]


def check_apart(pictures: Pictures, split: Split, tested: Pictures) -> None:
    """Refuse to test, in another source, on pictures that training sees or chooses weights by, whatever their ids.

    Raises
    ------
    InputError
        Naming the first pair and how many tested pictures have a twin.
    """
    seen = [*split.labelled, *split.unlabelled, *split.validation]
    words, others = as_words(_hashes(pictures)), as_words(_hashes(tested))
    if pairs := near_pairs(words[seen], others):
        row, other, _ = pairs[0]
        raise InputError(
            f"{len({pair[1] for pair in pairs})} of the {len(tested)} test pictures of data {tested.name} are among "
            f"those that training sees, the first {tested.ids[other]} ({pictures.ids[seen[row]]} of {pictures.name})",
            "take them out of one of the two, or test on other pictures",
        )


def split_of(trial: Trial, pictures: Pictures) -> Split:
    """The trial's split; refuses one that separates a group (protocol "honest").

    Where the trial tests elsewhere or not at all, no picture is held out.
    """
    split = split_pictures(
        pictures, trial.labelled, trial.test == FOLD, fold=trial.fold, seed=trial.seed, protocol=trial.protocol
    )
    if trial.protocol == "honest":
        check_split(split, pictures)
    return split


def test_source(trial: Trial, root: str | None) -> tuple[str, str | None] | None:
    """Name and root of the data set that a trial tests on, where that is not its own."""
    if trial.test_data:
        return trial.test_data, root
    return ("folder", trial.test) if trial.test not in (FOLD, NO_TEST) else None
