"""The pictures of a trial: its data sets at its size, and its split."""

import json
import os
import warnings
from functools import lru_cache
from typing import Any

from tutseg.data import DRAWN, open_source
from tutseg.data.leaks import as_words, check_split, near_pairs, perceptual_hash
from tutseg.data.loader import Pictures, load_pictures
from tutseg.data.splits import Split, split_pictures
from tutseg.errors import InputError, unknown
from tutseg.files import canonical_json, sha256
from tutseg.training.trial import FOLD, NO_TEST, Trial


@lru_cache(maxsize=8)
def _pictures(name: str, root: str | None, size: int, options: str, _files: str) -> Pictures:
    return load_pictures(open_source(name, root, **json.loads(options)), size)


def pictures_of(name: str, root: str | None, size: int, options: dict[str, Any]) -> Pictures:
    """A data set at one size, read once a process unless its files change."""
    return _pictures(name, root, size, canonical_json(options), _files_of(name, root, options))


def _files_of(name: str, root: str | None, options: dict[str, Any]) -> str:
    """Hash of the files behind a data set by path, size and time of change; empty for a source without files."""
    if name in DRAWN:
        return ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever reads the pictures says it
        source = open_source(name, root, **options)
    seen = []
    for item in getattr(source, "items", ()):
        about = [(path.stat(), os.path.abspath(path)) for path in (item.image, item.mask) if path]
        seen.append([item.id, item.group, item.label, *((p, s.st_size, s.st_mtime_ns, s.st_ino) for s, p in about)])
    return sha256(canonical_json(seen))[:16] if seen else ""


def files_behind(trial: Trial, root: str | None) -> str:
    """Hash of the files that a trial reads, by path, size and time of change; empty if it draws all that it reads.

    Equal ones are equal data without a picture being read; others may be, elsewhere.

    Raises
    ------
    InputError
        The data is not there.
    """
    found = _files_of(trial.data, root, trial.data_options)
    if elsewhere := test_source(trial, root):
        found += _files_of(*elsewhere, trial.test_options)
    return found


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


def shown_to(trial: Trial, root: str | None) -> tuple[Pictures, Pictures]:
    """What a generator's trial learns from, and what is held out of it: validation part and test fold.

    Raises
    ------
    InputError
        It is to learn from one class alone, and the data has no such class.
    """
    whole = pictures_of(trial.data, root, trial.size, trial.data_options)
    split = split_of(trial.model_copy(update={"labelled": 1.0}), whole)  # no mask is looked at
    parts = sorted((*split.labelled, *split.unlabelled)), sorted((*split.validation, *split.test))
    if not trial.only:
        return whole.take(parts[0]), whole.take(parts[1])
    if trial.only not in whole.need("labels").classes:
        raise unknown(f"class of data {trial.data}", trial.only, whole.classes)
    kind = whole.classes.index(trial.only)
    seen, unseen = (whole.take([i for i in part if whole.labels[i] == kind]) for part in parts)
    return seen, unseen


def check_unseen(generator: Trial, root: str | None, trial: Trial, test: Pictures) -> None:
    """Refuse to test a trial on pictures that were shown to a generator whose pictures it learns from.

    Raises
    ------
    InputError
        Saying how many.
    """
    same = lambda options: {name: value for name, value in options.items() if name not in ("n", "size", "part")}
    if trial.test_data or trial.data != generator.data or same(trial.data_options) != same(generator.data_options):
        return
    if both := {*shown_to(generator, root)[0].ids} & {*test.ids}:
        raise InputError(
            f"{len(both)} of the {len(test)} test pictures were shown to the generator {generator.id}",
            "train it with this trial's data, --data-options, --fold and --protocol",
        )


def test_source(trial: Trial, root: str | None) -> tuple[str, str | None] | None:
    """Name and root of the data set that a trial tests on, where that is not its own."""
    if trial.test_data:
        return trial.test_data, root
    return ("folder", trial.test) if trial.test not in (FOLD, NO_TEST) else None
