"""The pictures of a trial: its data sets at its size, and its split."""

import json
from functools import lru_cache
from typing import Any

from tutseg.data import open_source
from tutseg.data.leaks import check_split
from tutseg.data.loader import Pictures, load_pictures
from tutseg.data.splits import Split, make_split
from tutseg.files import canonical_json
from tutseg.training.trial import Trial


@lru_cache(maxsize=8)
def _pictures(name: str, root: str | None, size: int, options: str) -> Pictures:
    return load_pictures(open_source(name, root, **json.loads(options)), size)


def pictures_of(name: str, root: str | None, size: int, options: dict[str, Any]) -> Pictures:
    """A data set at one size, read once a process."""
    return _pictures(name, root, size, canonical_json(options))


@lru_cache(maxsize=8)
def fingerprint_of(pictures: Pictures) -> str:
    """16 hexadecimal digits over ids and pixels, computed once a process."""
    return pictures.fingerprint()[:16]


def split_of(trial: Trial, pictures: Pictures) -> Split:
    """The trial's split; refuses one that separates a group (protocol "honest")."""
    split = make_split(
        pictures.ids, pictures.groups, trial.labelled, fold=trial.fold, seed=trial.seed, protocol=trial.protocol
    )
    if trial.protocol == "honest":
        check_split(split, pictures)
    return split
