"""The pictures of a trial: its data sets at its size, and its split."""

import json
import os
from functools import lru_cache
from typing import Any

from tutseg.data import open_source
from tutseg.data.leaks import check_split
from tutseg.data.loader import Pictures, load_pictures
from tutseg.data.splits import Split, split_pictures
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
