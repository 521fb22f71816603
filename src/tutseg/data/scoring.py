"""Which prediction belongs to which truth, for ``tutseg score``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tutseg.data.folders import list_images, mask_stem
from tutseg.errors import InputError

OVERLAY = "_overlay"  # what `tutseg predict --overlay` adds to the name of a picture with its mask's contour


@dataclass(frozen=True)
class Matched:
    """Predictions and truths by name.

    Parameters
    ----------
    pairs : list of (name, prediction, truth)
        Sorted by name.
    predictions, truths : list of Path
        Those that have no partner.
    overlays : list of Path
        Pictures beside the predictions that are none.
    """

    pairs: list[tuple[str, Path, Path]]
    predictions: list[Path]
    truths: list[Path]
    overlays: list[Path]


def match(predicted: Path, truth: Path) -> Matched:
    """Pair two folders by name; endings, and suffixes such as ``_segmentation``, do not count.

    Raises
    ------
    InputError
        A folder is missing or empty, two files of one have the same name, or no prediction has a truth.
    """
    files = _files(predicted, "predictions")
    truths = _by_name(_files(truth, "truths"), "truths")
    names = {path.stem for path in files}
    overlays = [path for path in files if _is_overlay(path, names) and mask_stem(path) not in truths]
    predictions = _by_name(sorted({*files}.difference(overlays)), "predictions")
    both = sorted(predictions.keys() & truths.keys())
    if not both:
        raise InputError(
            f"no prediction in {predicted} has the name of a truth in {truth} "
            f"({next(iter(predictions.values())).name}, {next(iter(truths.values())).name})",
            "give both the same name",
        )
    return Matched(
        [(name, predictions[name], truths[name]) for name in both],
        _others(predictions, truths),
        _others(truths, predictions),
        overlays,
    )


def _files(folder: Path, what: str) -> list[Path]:
    if not folder.is_dir():
        is_what = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"folder of {what} {folder} {is_what}", f"give the folder in which the {what} lie")
    return list_images(folder, what)


def _is_overlay(path: Path, names: set[str]) -> bool:
    return path.stem.endswith(OVERLAY) and path.stem.removesuffix(OVERLAY) in names


def _by_name(paths: list[Path], what: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        name = mask_stem(path)
        if name in found:
            raise InputError(f"{what} {found[name]} and {path} have the same name", "keep one of them")
        found[name] = path
    return found


def _others(files: Mapping[str, Path], partners: Mapping[str, Path]) -> list[Path]:
    return [path for name, path in sorted(files.items()) if name not in partners]
