"""Whether a data set is whole and sound: what ``tutseg data verify`` prints."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tutseg.data import DRAWN, checked_options, find_root, open_source, source_names
from tutseg.data.cards import card
from tutseg.data.folders import MASK_SUFFIX, PICTURES, PictureSource, mask_stem
from tutseg.data.leaks import as_words, leaks_of, near_limit, near_pairs, perceptual_hash
from tutseg.data.masks import GreyMaskWarning, LabelMaskWarning, MaskNotice, SizeMismatchError
from tutseg.data.readers import READERS
from tutseg.data.splits import PROTOCOLS, split_pictures
from tutseg.errors import InputError, unknown

FULL = 0.99
NEARLY_ALL = 0.9


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    severity : str
        ``ok``, ``note`` (known, or of no harm), ``warning`` (training works, results may suffer) or ``error``.
    check : str
        ``count``, ``pair``, ``readable``, ``size``, ``grey mask``, ``label mask``, ``empty mask``, ``full mask``,
        ``inverted mask``, ``duplicates`` or ``split``.
    message : str
        What was found.
    ids : tuple of str
        The pictures concerned.
    """

    severity: str
    check: str
    message: str
    ids: tuple[str, ...] = ()


def verify(
    name: str, root: str | Path | None = None, progress: Callable[[int, int], None] | None = None, **options: object
) -> list[Finding]:
    """Read every picture of a data set once and report what a user should know before training on it.

    Parameters
    ----------
    name, root, options
        As for `open_source`.
    progress : callable, optional
        Told (done, of) while pictures are read.

    Returns
    -------
    list of Finding
        Always one for each check that applies, ``ok`` where nothing was found; a data set that cannot be opened gives
        the one error that says why.

    Raises
    ------
    InputError
        Unknown name or option, or no such folder: nothing was verified.
    """
    if name in DRAWN:
        raise InputError(f"data {name} is drawn by the program", "verify is for data sets on disk")
    if name not in source_names():
        raise unknown("data", name, source_names())
    where, options = find_root(name, root), checked_options(name, options)
    try:
        source = open_source(name, where, **options)
    except InputError as error:
        return [Finding("error", "pair", str(error))]
    return examine(name, source, progress)


def examine(name: str, source: PictureSource, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
    """What `verify` finds in a source that is open."""
    findings = [_count(name, source), *_unused_masks(source)]
    faults, hashes, values = _read_all(source, progress)
    findings += _readable(faults)
    if values:
        findings += _masks(source, values)
    findings += _duplicates(source, hashes)
    return findings


def _count(name: str, source: PictureSource) -> Finding:
    if name not in READERS:
        return Finding("ok", "count", f"{len(source)} pictures")
    counts = card(name).counts
    expected = {*counts.values(), sum(counts.values()), sum(n for part, n in counts.items() if part != "unlabelled")}
    stated = ", ".join(f"{part} {n}" for part, n in counts.items())
    if len(source) in expected:
        return Finding("ok", "count", f"{len(source)} pictures, as published ({stated})")
    return Finding("warning", "count", f"{len(source)} pictures; published are {stated}")


def _unused_masks(source: PictureSource) -> list[Finding]:
    """Masks beside the used ones that belong to no picture: often a misspelt or lost image."""
    used = {item.mask for item in source.items if item.mask}
    if not used:
        return []
    bare = tuple(id for id, masked in zip(source.ids, source.masked or (), strict=False) if not masked)
    found = [Finding("note", "pair", f"{len(bare)} of {len(source)} pictures have no mask", bare)] if bare else []
    shared = {item.image.parent for item in source.items}  # where pictures and masks lie side by side
    unused = [
        path
        for folder in sorted({path.parent for path in used})
        for path in sorted(folder.iterdir())
        if path not in used
        and path.suffix.lower() in PICTURES
        and not path.name.startswith(".")
        and (folder not in shared or MASK_SUFFIX.search(path.stem))
    ]
    if unused:
        message = f"{len(unused)} masks have no picture, the first {unused[0]}"
        found.append(Finding("warning", "pair", message, tuple(mask_stem(path) for path in unused)))
    return found or [Finding("ok", "pair", "every picture has its mask and every mask its picture")]


@dataclass(frozen=True)
class _Value:
    """Of one mask: share of foreground in all of it and along its border, and how it had to be read."""

    cover: float
    border: float
    notice: MaskNotice | None


def _border(mask: np.ndarray) -> float:
    return float(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean())


def _read_all(
    source: PictureSource, progress: Callable[[int, int], None] | None
) -> tuple[dict[str, InputError], dict[int, str], dict[int, _Value]]:
    """Errors by id, perceptual hashes and mask values by index, from one reading of every picture."""
    faults: dict[str, InputError] = {}
    hashes: dict[int, str] = {}
    values: dict[int, _Value] = {}
    for index, id in enumerate(source.ids):
        try:
            image, mask = source.read(index)
        except InputError as error:
            faults[id] = error
        else:
            hashes[index] = perceptual_hash(image)
            if mask is not None:
                notice = source.masks.notices.get(source.items[index].mask)
                values[index] = _Value(float(mask.mean()), _border(mask), notice)
        if progress:
            progress(index + 1, len(source))
    return faults, hashes, values


def _readable(faults: dict[str, InputError]) -> list[Finding]:
    found = []
    for check, is_size in (("readable", False), ("size", True)):
        matching = {id: error for id, error in faults.items() if isinstance(error, SizeMismatchError) == is_size}
        if matching:
            found += [Finding("error", check, str(error), (id,)) for id, error in matching.items()]
        else:
            words = "every mask has its picture's size" if is_size else "every picture and mask can be read"
            found.append(Finding("ok", check, words))
    return found


def _masks(source: PictureSource, values: dict[int, _Value]) -> list[Finding]:
    def those(test: Callable[[_Value], bool]) -> tuple[str, ...]:
        return tuple(source.ids[index] for index, value in values.items() if test(value))

    found = []
    grey, labels = (those(lambda v, k=kind: isinstance(v.notice, k)) for kind in (GreyMaskWarning, LabelMaskWarning))
    for check, severity, ids, what in (
        ("grey mask", "warning", grey, "have grey values (thresholded at their middle)"),
        ("label mask", "warning", labels, "hold labels (all but 0 are foreground, unless some are named)"),
        ("empty mask", "note", those(lambda v: v.cover == 0), "are empty"),
        ("full mask", "warning", those(lambda v: v.cover > FULL), f"cover more than {FULL:.0%} of the picture"),
    ):
        message = f"{len(ids)} of {len(values)} masks {what}"
        severity = "warning" if len(ids) == len(values) else severity
        found.append(Finding(severity if ids else "ok", check, message, ids))
    inverted = those(lambda v: v.border > 0.5)
    try:
        source.masks.check_labels(str(source.root))
    except InputError as error:
        found.append(Finding("error", "label mask", str(error)))
    message = f"{len(inverted)} of {len(values)} masks have foreground along most of their border"
    bad = len(inverted) >= NEARLY_ALL * len(values)
    if bad:
        message += ": foreground and background may be the wrong way round"
    found.append(Finding("warning" if bad else "ok", "inverted mask", message, inverted if bad else ()))
    return found


def _duplicates(source: PictureSource, hashes: dict[int, str]) -> list[Finding]:
    """Near-duplicates from hashes computed now, and how many of them each protocol's first fold separates."""
    at = list(hashes)
    limit = near_limit(source.name)
    pairs = [(at[a], at[b], bits) for a, b, bits in near_pairs(as_words([hashes[i] for i in at]), limit=limit)]
    ids = tuple(dict.fromkeys(source.ids[end] for a, b, _ in pairs for end in (a, b)))
    message = f"{len(pairs)} pairs of near-duplicates (at most {limit} of 256 bits of the perceptual hash differ)"
    found = [Finding("note" if pairs else "ok", "duplicates", message, ids)]
    if len({item.part for item in source.items}) > 1:
        torn = [(a, b) for a, b, _ in pairs if source.items[a].part != source.items[b].part]
        ids = tuple(dict.fromkeys(source.ids[end] for pair in torn for end in pair))
        message = f"the official parts separate {len(torn)} near-duplicate pairs and {_torn_groups(source)} groups"
        found.append(Finding("warning" if torn or _torn_groups(source) else "ok", "split", message, ids))
    for protocol in PROTOCOLS:
        try:
            split = split_pictures(source, 1.0, protocol=protocol)
        except InputError as error:
            found.append(Finding("note", "split", f"protocol {protocol}: {error}"))
            continue
        side = {i: part for part, indices in vars(split).items() for i in indices}
        torn = [(a, b) for a, b, _ in pairs if a in side and b in side and side[a] != side[b]]
        groups = leaks_of(split, source)
        bad = bool(torn or groups)
        message = f"protocol {protocol}, fold 0 separates {len(torn)} near-duplicate pairs and {len(groups)} groups"
        severity = "ok" if not bad else "note" if protocol == "paper" else "error"
        found.append(Finding(severity, "split", message, tuple(source.ids[end] for pair in torn for end in pair)))
    return found


def _torn_groups(source: PictureSource) -> int:
    """Groups with pictures in several official parts."""
    parts = defaultdict(set)
    for item, group in zip(source.items, source.groups, strict=True):
        parts[group].add(item.part)
    return sum(len(found) > 1 for found in parts.values())


def summary(findings: list[Finding]) -> dict[str, int]:
    """How many findings there are of each severity; a set with an ``error`` failed."""
    return dict(Counter(finding.severity for finding in findings))
