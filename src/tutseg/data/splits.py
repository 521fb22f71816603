"""Who learns from what: folds by group, nested labelled subsets, and the papers' named splits.

Every choice is an order by SHA-256 of ids, so a split depends on which pictures there are and on the seed, never on
the order of files on disk, on the platform or on a random generator's version.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutseg.errors import InputError, unknown
from tutseg.files import canonical_json, knowledge, sha256

if TYPE_CHECKING:
    from tutseg.data.sample import Source

PROTOCOLS = ("honest", "paper")
LEAKS = ("without-kin", "with-kin", "with-itself")
HELD = 0.25  # share of the pictures whose groups the protocols of `LEAKS` test, at most


@dataclass(frozen=True)
class Split:
    """Indices into a source's ids.

    Parameters
    ----------
    labelled, unlabelled : tuple of int
        The training part: those whose masks the method may see, and the rest.
    validation : tuple of int
        For choosing among checkpoints; empty in the papers' protocol.
    test : tuple of int
        Seen by nothing but the final evaluation (but for protocol ``with-itself``, which shows what that is worth).
    """

    labelled: tuple[int, ...]
    unlabelled: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def fingerprint(self, ids: Sequence[str]) -> str:
        """SHA-256 of the four parts' ids, for provenance; the order within a part does not matter."""
        parts = {name: sorted(ids[index] for index in indices) for name, indices in vars(self).items()}
        return sha256(canonical_json(parts))


def make_split(
    ids: Sequence[str],
    groups: Sequence[str],
    labelled: float,
    fold: int = 0,
    seed: int = 0,
    folds: int = 5,
    validation: float = 0.1,
    protocol: str = "honest",
) -> Split:
    """One fold of a cross-validation with few labels.

    The test folds and the validation part depend on the ids alone; the seed draws the labelled subset. So runs of
    several seeds are tested on the same pictures (a paired comparison), and the seed's spread is the draw's.
    Labelled subsets of one fold and seed are nested: 1 % within 2 % within 4 % within 8 % within all.

    Parameters
    ----------
    ids, groups : sequence of str
        As in a source; pictures of one group stay together in training, validation or test.
    labelled : float
        Share of the training part whose masks are used, in (0, 1]: ``int(labelled * n)`` pictures; from 2 on their
        number.
    fold, folds : int
        Which of how many folds is the test part.
    seed : int
        Of the labelled draw.
    validation : float
        Share of the pictures outside the test fold that is carved out for validation, in [0, 1).
    protocol : str
        ``honest``, or ``paper``: DME-FD's counts (ISIC 2018: 3694 pictures, 2955 train with 29/59/118/236 labelled,
        739 test): folds by picture instead of by group, and no validation part. The papers' own lists of ids are not
        used, and unlike theirs the subsets are nested. Three more measure a leak, see `leak_split`.

    Raises
    ------
    InputError
        A share or fold out of range, fewer groups than folds, or a share that gives no picture.
    """
    if protocol not in PROTOCOLS + LEAKS:
        raise unknown("protocol", protocol, PROTOCOLS + LEAKS)
    if not 0 < labelled <= 1 and (labelled < 2 or labelled % 1):
        raise InputError(
            f"labelled fraction {labelled} is out of range",
            "give a number above 0 and at most 1, or a whole number of pictures from 2 on",
        )
    if not 0 <= validation < 1:
        raise InputError(f"validation fraction {validation} is out of range", "give a number from 0 to below 1")
    if folds < 2 or not 0 <= fold < folds:
        raise InputError(f"fold {fold} of {folds} does not exist", "give folds >= 2 and a fold from 0 to folds - 1")
    if len(set(ids)) != len(ids):
        raise InputError("two pictures have the same id", "give every picture an id of its own")
    if protocol in LEAKS:
        return leak_split(ids, groups, labelled, seed, protocol)
    if protocol == "paper":
        groups, validation = ids, 0.0
    blocks = _blocks(ids, groups)
    if len(blocks) < folds:
        raise InputError(
            f"{len(blocks)} groups cannot be split into {folds} folds",
            "take data with more groups, or other data to test on",
        )
    fold_of = _deal(_shuffled(blocks, ids, "fold"), folds)
    test = [index for block, at in fold_of if at == fold for index in block]
    rest = [block for block, at in fold_of if at != fold]
    held, training = _carve(_shuffled(rest, ids, f"validation {fold}"), validation)
    order = _drawn(training, ids, seed)
    count = _count(labelled, len(order))
    return Split(*(tuple(sorted(part)) for part in (order[:count], order[count:], held, test)))


def split_pictures(source: "Source", labelled: float, test: bool = True, **options: Any) -> Split:
    """A split of a source, or of `Pictures`, of which only some may have masks (its ``masked``).

    Those with a mask are parted as `make_split` does it, by its `options`. The others are unlabelled, except those
    whose group is validated or tested: they are in no part.

    Parameters
    ----------
    labelled : float
        As for `make_split`; a share of the training pictures that have masks.
    test : bool
        Without, all pictures train: there is no validation part and no test part.
    """
    masked = getattr(source, "masked", None) or [True] * len(source.ids)
    known = [index for index, has_mask in enumerate(masked) if has_mask]
    ids, groups = ([names[index] for index in known] for names in (source.ids, source.groups))
    if test:
        split = make_split(ids, groups, labelled, **options)
    else:
        order = _drawn(range(len(ids)), ids, options.get("seed", 0))
        count = _count(labelled, len(order))
        split = Split(tuple(sorted(order[:count])), tuple(sorted(order[count:])), (), ())
    parts = {name: tuple(known[index] for index in part) for name, part in vars(split).items()}
    held = {source.groups[index] for index in parts["validation"] + parts["test"]}
    bare = [i for i, has_mask in enumerate(masked) if not has_mask and source.groups[i] not in held]
    return Split(**{**parts, "unlabelled": tuple(sorted([*parts["unlabelled"], *bare]))})


def leak_split(ids: Sequence[str], groups: Sequence[str], labelled: float, seed: int, protocol: str) -> Split:
    """What a leak is worth: the same test pictures and equally many training pictures, with their kin or without.

    Kin are pictures of one group: frames of a video, near-copies. Groups of two and more are drawn by the seed until
    they hold a quarter of all pictures (or there are no more); of each, every second picture is tested and the others
    are their kin. Everybody else is a stranger, and `labelled` says how many train.

    Parameters
    ----------
    ids, groups, labelled, seed
        As for `make_split`; `labelled` counts strangers, or is a share of them.
    protocol : {"without-kin", "with-kin", "with-itself"}
        Strangers alone are trained on, or in the place of as many of them the kin, or the test pictures themselves.

    Raises
    ------
    InputError
        No group has two pictures, or there are fewer training pictures than kin.
    """
    families = _shuffled([block for block in _blocks(ids, groups) if len(block) > 1], ids, f"kin {seed}")
    pictures = accumulate(len(block) for block in families)
    held = [sorted(b, key=lambda i: ids[i]) for b, n in zip(families, pictures, strict=True) if n <= HELD * len(ids)]
    if not held:
        raise InputError("no group of this data has kin to test", "choose data with videos or near-copies")
    test, kin = ([index for block in held for index in block[start::2]] for start in (0, 1))
    strangers = _drawn(set(range(len(ids))).difference(test, kin), ids, seed)
    leaked = {"without-kin": [], "with-kin": kin, "with-itself": test}[protocol]
    count = _count(labelled, len(strangers))
    if count < len(test):
        raise InputError(f"{count} training pictures have no room for {len(test)} leaked ones", "label more")
    training = leaked + strangers[: count - len(leaked)]
    return Split(*(tuple(sorted(part)) for part in (training, strangers[count:], (), test)))


def _drawn(training: Collection[int], ids: Sequence[str], seed: int) -> list[int]:
    """Training pictures in the order in which the seed labels them."""
    return sorted(training, key=lambda index: sha256(f"labelled {seed} {ids[index]}"))


def _count(labelled: float, n: int) -> int:
    """How many of `n` training pictures are labelled."""
    count = int(labelled) if labelled > 1 else int(labelled * n + 1e-9)
    if count > n:
        raise InputError(f"{count} labelled pictures of {n} training pictures", f"give at most {n}, or 1.0 for all")
    if count == 0:
        raise InputError(
            f"labelled fraction {labelled} of {n} training pictures gives no image", f"give at least {1 / n:.4f}"
        )
    return count


def _blocks(ids: Sequence[str], groups: Sequence[str]) -> list[list[int]]:
    """Indices of each group."""
    found: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        found.setdefault(group, []).append(index)
    return list(found.values())


def _shuffled(blocks: list[list[int]], ids: Sequence[str], salt: str) -> list[list[int]]:
    """Blocks in the order of a hash of their first id: random, yet the same everywhere."""
    return sorted(blocks, key=lambda block: sha256(f"{salt} {min(ids[index] for index in block)}"))


def _deal(blocks: list[list[int]], folds: int) -> list[tuple[list[int], int]]:
    """Give each block to the fold that has the fewest pictures, large blocks first so that folds come out even."""
    counts = [0] * folds
    dealt = []
    for block in sorted(blocks, key=len, reverse=True):
        at = counts.index(min(counts))
        counts[at] += len(block)
        dealt.append((block, at))
    return dealt


def _carve(blocks: list[list[int]], share: float) -> tuple[list[int], list[int]]:
    """Take whole blocks until `share` of the pictures is reached, leaving at least one block."""
    target = round(share * sum(len(block) for block in blocks))
    held: list[int] = []
    training: list[int] = []
    for at, block in enumerate(blocks):
        fits = len(held) + len(block) <= target or (not held and target > 0)
        (held if fits and at < len(blocks) - 1 else training).extend(block)
    return held, training


# ---- named splits of the papers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Some pictures of a source.

    Parameters
    ----------
    source : Source
    indices : tuple of int
        Into ``source.ids``.
    """

    source: "Source"
    indices: tuple[int, ...]

    @property
    def ids(self) -> list[str]:
        """Ids of the pictures."""
        return [self.source.ids[index] for index in self.indices]

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class NamedSplit:
    """A published split over several data sets.

    Parameters
    ----------
    train, validation, test : dict of str to Part
        By data set.
    missing : dict of str to str
        Published parts that are not here, and why; scores of a split with missing parts are not the published ones.
    """

    name: str
    train: dict[str, Part]
    validation: dict[str, Part]
    test: dict[str, Part]
    missing: dict[str, str]


PRANET_TEST = {"kvasir-seg": 100, "cvc-clinicdb": 62, "cvc-colondb": 380, "etis": 196, "endoscene": 60}
PRANET_TRAIN = {"kvasir-seg": 900, "cvc-clinicdb": 550}


def named_split(name: str, root: str | Path | None = None) -> NamedSplit:
    """A published split, by name.

    Parameters
    ----------
    name : str
        ``pranet``: the polyp protocol of PraNet, which DALE follows: 900 pictures of Kvasir-SEG and 550 of
        CVC-ClinicDB for training, 100 + 62 of the same and all of CVC-ColonDB (380), ETIS (196) and EndoScene (60) for
        testing. It separates frames of one video; `tutseg.data.leaks.leaks_of` counts how many.
        ``isic2016-ph2``: DALE's, ISIC 2016 train (900) -> PH2 (200), with ISIC 2016 test (379) for validation.
    root : path, optional
        The folder that holds the data sets; without it ``$TUTSEG_DATA``.

    Raises
    ------
    InputError
        Unknown name, or a data set to train on is missing.
    """
    makers = {"pranet": _pranet, "isic2016-ph2": _isic2016_ph2}
    if name not in makers:
        raise unknown("named split", name, makers)
    return makers[name](root)


def _all(source: "Source") -> Part:
    return Part(source, tuple(range(len(source))))


def _pranet(root: str | Path | None) -> NamedSplit:
    from tutseg.data import open_source

    listed = json.loads((knowledge() / "splits" / "pranet.json").read_text())
    train, test, missing = {}, {}, {}
    for name, count in PRANET_TRAIN.items():
        source = open_source(name, root)
        held_out = set(listed[name])
        train[name] = Part(source, tuple(i for i, id in enumerate(source.ids) if id not in held_out))
        test[name] = Part(source, tuple(i for i, id in enumerate(source.ids) if id in held_out))
        if len(train[name]) != count:
            missing[f"{name} train"] = f"{len(train[name])} of {count} pictures are here"
    for name, count in PRANET_TEST.items():
        if name not in test:
            try:
                test[name] = _all(open_source(name, root))
            except InputError as error:
                missing[f"{name} test"] = str(error)
                continue
        if len(test[name]) != count:
            missing[f"{name} test"] = f"{len(test[name])} of {count} pictures are here"
    return NamedSplit("pranet", train, {}, test, missing)


def _isic2016_ph2(root: str | Path | None) -> NamedSplit:
    from tutseg.data import open_source

    parts = {
        "train": (_all(open_source("isic2016", root, part="train")), 900),
        "validation": (_all(open_source("isic2016", root, part="test")), 379),
        "test": (_all(open_source("ph2", root)), 200),
    }
    missing = {
        f"{part.source.name} {role}": f"{len(part)} of {count} pictures are here"
        for role, (part, count) in parts.items()
        if len(part) != count
    }
    by_role = {role: {part.source.name: part} for role, (part, _) in parts.items()}
    return NamedSplit("isic2016-ph2", **by_role, missing=missing)
