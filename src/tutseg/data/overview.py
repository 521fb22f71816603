"""What ``tutseg data init`` says of a folder of one's own pictures, before anything is trained."""

import os
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tutseg.data import check_options, find_root
from tutseg.data.folders import PictureSource
from tutseg.data.read_folder import folder, understand
from tutseg.data.verify import Finding, examine

SHOWN = 24  # pictures in the mosaic, of them at most a third without a mask
FOLDS = 5  # of a trial's split
NAMED = 3  # files, sizes or pictures that a line of the table names


def look(
    root: Path, progress: Callable[[int, int], None] | None = None, **options: Any
) -> tuple[dict[str, Any], PictureSource | None]:
    """Read every picture of a folder, and say what it is understood as.

    Parameters
    ----------
    root : Path
        As for data ``folder``; `options` are its reader's.
    progress : callable, optional
        Told (done, of) while pictures are read.

    Returns
    -------
    seen : dict
        ``layout, pictures, with_mask, without_mask, sizes, grouping, groups, testable, left_out, notes, findings``;
        ``testable`` are the groups with a mask.
    source : PictureSource or None
        The pictures that can be read, if any can.

    Raises
    ------
    InputError
        As `tutseg.data.read_folder.understand`, or for an option that there is not.
    """
    root = find_root("folder", root)
    check_options("folder", folder, options, skip=("root",))
    labels = options.pop("labels", None)
    found = understand(root, **options)
    source: PictureSource | None = found.source(root, labels)
    findings = examine("folder", source, progress)
    broken = {id for each in findings if each.severity == "error" and each.check != "split" for id in each.ids}
    if broken:
        sound = tuple(item for item in found.items if item.id not in broken)
        source = replace(found, items=sound).source(root, labels) if sound else None
    masked = sum(item.mask is not None for item in found.items)
    notes = list(found.notes)
    testable = len({source.groups[i] for i, item in enumerate(source.items) if item.mask}) if source else 0
    if source and testable < FOLDS:
        notes.append(
            f"{testable} groups have masks, too few to split off a test part: train with --test FOLDER or none"
        )
    sizes = Counter(_size(item.image) for item in found.items if item.id not in broken)
    seen = {
        "layout": found.layout,
        "pictures": len(found.items),
        "with_mask": masked,
        "without_mask": len(found.items) - masked,
        "sizes": dict(sizes.most_common()),
        "grouping": found.grouping,
        "groups": len(set(source.groups)) if source else 0,
        "testable": testable,
        "left_out": {why: list(paths) for why, paths in found.left_out.items()},
        "notes": notes,
        "findings": [asdict(finding) for finding in findings if _matters(finding)],
    }
    return seen, source


def _matters(finding: Finding) -> bool:
    """Whether a finding is told; masks without a picture are among what is left out."""
    return finding.severity == "error" or (finding.severity == "warning" and finding.check != "pair")


def _size(path: Path) -> str:
    try:
        with Image.open(path) as picture:
            return f"{picture.width}x{picture.height}"
    except Exception:  # what only another decoder reads
        return "other"


def evenly(places: Sequence[int], n: int) -> list[int]:
    """The first to last of some places in `n` even steps, or all."""
    return [places[i] for i in np.linspace(0, len(places) - 1, min(n, len(places))).round().astype(int)]


def to_show(source: PictureSource) -> list[int]:
    """Pictures for the mosaic, with masks and without."""
    masked = [i for i, item in enumerate(source.items) if item.mask]
    bare = [i for i, item in enumerate(source.items) if not item.mask]
    few = evenly(bare, SHOWN // 3)
    return sorted(evenly(masked, SHOWN - len(few)) + few)


def rows(seen: dict[str, Any]) -> list[dict[str, str]]:
    """What `look` has seen as lines of a table: ``name`` and ``value``."""
    lines = [
        ("layout", seen["layout"]),
        ("pictures", f"{seen['pictures']}: {seen['with_mask']} with a mask, {seen['without_mask']} without"),
        ("sizes", _first([f"{size} ({count})" for size, count in seen["sizes"].items()])),
        ("groups", f"{seen['groups']}: near-copies, and {seen['grouping']}"),
        *(("left out", f"{len(paths)} {why}: {_first(paths)}") for why, paths in seen["left_out"].items()),
        *(("note", note) for note in seen["notes"]),
        *((finding["severity"], finding["message"]) for finding in seen["findings"]),
        ("mosaic", seen.get("mosaic", "none: no picture can be read")),
    ]
    return [{"name": name, "value": value} for name, value in lines]


def _first(words: Sequence[str]) -> str:
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return ", ".join(words[:NAMED]) + more


def beside(root: Path, what: str) -> str:
    """A path ``MY-what`` beside the folder, as seen from here; also for the folder ``.``."""
    where = root.resolve()
    return os.path.relpath(where.parent / f"{where.name}-{what}")


def commands(root: Path, options: Sequence[str], seen: Mapping[str, Any]) -> list[str]:
    """The command lines that come next for what `look` has seen: all masked, there is nothing that dme-fd could use."""
    given = [word for option in options for word in ("-d", option)]
    rest = seen["without_mask"] > 0
    test = [] if seen["testable"] >= FOLDS else ["--test", "none"]
    method, pictures = ("dme-fd", [str(root), "--rest"]) if rest else ("supervised", ["PICTURES"])
    return [
        shlex.join(["tutseg", "train", method, "--data", "folder", "--root", str(root), *given, *test]),
        shlex.join(["tutseg", "predict", "runs/ID", *pictures, "--out", beside(root, "predicted")]),
    ]
