"""Who learns from what: folds by group, nested labelled subsets, and the papers' named splits.

Every choice is an order by SHA-256 of ids, so a split depends on which pictures there are and on the seed, never on
the order of files on disk, on the platform or on a random generator's version.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tutseg.errors import InputError, unknown
from tutseg.files import canonical_json, sha256

PROTOCOLS = ("honest", "paper")


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
        Seen by nothing but the final evaluation.
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
        Share of the training part whose masks are used, in (0, 1]; ``int(labelled * n)`` pictures.
    fold, folds : int
        Which of how many folds is the test part.
    seed : int
        Of the labelled draw.
    validation : float
        Share of the pictures outside the test fold that is carved out for validation, in [0, 1).
    protocol : str
        ``honest``, or ``paper``: DME-FD's counts (ISIC 2018: 3694 pictures, 2955 train with 29/59/118/236 labelled,
        739 test): folds by picture instead of by group, and no validation part. The papers' own lists of ids are not
        used, and unlike theirs the subsets are nested.

    Raises
    ------
    InputError
        A share or fold out of range, fewer groups than folds, or a share that gives no picture.
    """
    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS)
    if not 0 < labelled <= 1:
        raise InputError(f"labelled fraction {labelled} is out of range", "give a number above 0 and at most 1")
    if not 0 <= validation < 1:
        raise InputError(f"validation fraction {validation} is out of range", "give a number from 0 to below 1")
    if folds < 2 or not 0 <= fold < folds:
        raise InputError(f"fold {fold} of {folds} does not exist", "give folds >= 2 and a fold from 0 to folds - 1")
    if len(set(ids)) != len(ids):
        raise InputError("two pictures have the same id", "give every picture an id of its own")
    if protocol == "paper":
        groups, validation = ids, 0.0
    blocks = _blocks(ids, groups)
    if len(blocks) < folds:
        raise InputError(
            f"{len(blocks)} groups cannot be split into {folds} folds", "use fewer folds, or data with more groups"
        )
    fold_of = _deal(_shuffled(blocks, ids, "fold"), folds)
    test = [index for block, at in fold_of if at == fold for index in block]
    rest = [block for block, at in fold_of if at != fold]
    held, training = _carve(_shuffled(rest, ids, f"validation {fold}"), validation)
    order = sorted(training, key=lambda index: sha256(f"labelled {seed} {ids[index]}"))
    count = int(labelled * len(order) + 1e-9)
    if count == 0:
        raise InputError(
            f"labelled fraction {labelled} of {len(order)} training pictures gives no image",
            f"give at least {1 / len(order):.4f}",
        )
    return Split(*(tuple(sorted(part)) for part in (order[:count], order[count:], held, test)))


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
