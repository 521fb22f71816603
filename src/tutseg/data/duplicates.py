"""What near-duplicates mean for the real data sets: two tables of ``results/``."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tutseg import __version__
from tutseg.data import open_source
from tutseg.data.folders import PictureSource
from tutseg.data.leaks import as_words, connected, near_duplicate_groups, near_limit, near_pairs, source_hashes
from tutseg.data.sample import Source
from tutseg.data.splits import split_pictures
from tutseg.files import atomic_write, canonical_json, sha256

REPORTED = ("isic2018", "ph2", "kvasir-seg", "cvc-clinicdb", "covid-semiseg", "breastmnist", "pneumoniamnist")


def separated(source: Source, protocol: str, folds: int = 5) -> int:
    """Test pictures, over all folds, that have a near-duplicate or a group's sibling on the training side."""
    near = near_duplicate_groups(source)
    roots = connected(len(source), _same(near) + _same(source.groups))
    groups = [source.ids[root] for root in roots]
    count = 0
    for fold in range(folds):
        split = split_pictures(source, 1.0, fold=fold, folds=folds, protocol=protocol)
        training = {groups[index] for index in split.labelled + split.unlabelled}
        count += sum(groups[index] in training for index in split.test)
    return count


def _same(groups: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs that tie every picture to the first of its group."""
    first: dict[str, int] = {}
    return [(first.setdefault(group, index), index) for index, group in enumerate(groups)]


def duplicate_pairs(source: PictureSource) -> list[dict]:
    """Each near-duplicate pair: ``data, id, other, bits``, whether group and official part are the same."""
    pairs = near_pairs(as_words(source_hashes(source)), limit=near_limit(source.name))
    return [
        {
            "data": source.name,
            "id": source.ids[a],
            "other": source.ids[b],
            "bits": bits,
            "same_group": source.groups[a] == source.groups[b],
            "same_part": source.items[a].part == source.items[b].part,
        }
        for a, b, bits in sorted(pairs, key=lambda pair: pair[2])
    ]


def duplicate_report(source: PictureSource) -> dict:
    """What near-duplicates and groups mean for a source, in one row.

    Returns
    -------
    dict
        ``data, pictures, limit_bits, pairs, pairs_across_parts`` (official ones), ``pictures_with_twin, groups,
        largest_group``; how many test pictures of five folds have kin in training when split by picture
        (``leaked_paper``) and by group (``leaked_honest``); ``ids_sha256`` (which pictures these were), ``made_by``.
    """
    pairs = duplicate_pairs(source)
    sizes = Counter(source.groups)
    return {
        "data": source.name,
        "pictures": len(source),
        "limit_bits": near_limit(source.name),
        "pairs": len(pairs),
        "pairs_across_parts": sum(not pair["same_part"] for pair in pairs),
        "pictures_with_twin": len({pair[end] for pair in pairs for end in ("id", "other")}),
        "groups": len(sizes),
        "largest_group": max(sizes.values()),
        "leaked_paper": separated(source, "paper"),
        "leaked_honest": separated(source, "honest"),
        "ids_sha256": sha256(canonical_json(sorted(source.ids))),
        "made_by": f"tutseg {__version__} duplicates.write_duplicate_report",
    }


def write_duplicate_report(out: Path, root: str | Path | None = None) -> list[dict]:
    """Write ``duplicates.csv`` and ``duplicate_pairs.csv`` for the real sets below `root`; returns the first's rows.

    Raises
    ------
    InputError
        One of `REPORTED` is not below `root`.
    """
    rows, pairs = [], []
    for name in REPORTED:
        source = open_source(name, root)
        rows.append(duplicate_report(source))
        pairs += duplicate_pairs(source)
    for path, table in ((out / "duplicates.csv", rows), (out / "duplicate_pairs.csv", pairs)):
        text = io.StringIO()
        writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
        atomic_write(path, text.getvalue())
    return rows
