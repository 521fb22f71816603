"""Files of pictures and masks: listing and pairing them, and a source over them.

The readers of the official downloads (`read_dermoscopy`, `read_endoscopy`, `read_radiology`) and of any folder
(`read_folder`) build on this. A reader finds files and names groups; no picture is decoded before `source[i]` asks for
it.
"""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tutseg.data.decode import read_image
from tutseg.data.masks import MaskReader
from tutseg.data.sample import Sample
from tutseg.errors import InputError, unknown

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MASK_SUFFIX = re.compile(
    r"[_. -]((segmentation|lesion|label|ground_?truth|annotation|gt)|(masks?|seg)([_ -]?\d+)?)$", re.IGNORECASE
)
TEXTS = (".txt", ".md", ".csv", ".json", ".yaml", ".yml", ".xml", ".html", ".pdf", ".xlsx", ".log")
SYSTEM = ("Thumbs.db", "desktop.ini", "__MACOSX", "LICENSE", "README")

# ---- names of files --------------------------------------------------------------------------------------------------


def list_images(folder: Path, what: str = "pictures") -> list[Path]:
    """Pictures directly in a folder, sorted by name; hidden files and ISIC's superpixel maps are left out.

    All else that is left out is counted in a notice, but for texts and tables, which nobody takes for pictures.

    Parameters
    ----------
    what : str
        What messages call them.

    Raises
    ------
    InputError
        The folder is missing or holds no picture.
    """
    if not folder.is_dir():
        raise InputError(f"folder {folder} does not exist", "unpack the download there, or correct --root")
    seen = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    pictures = [path for path in seen if path.suffix.lower() in PICTURES and not path.is_dir()]
    rest = _counted({*seen}.difference(pictures))
    found = [path for path in pictures if not path.stem.endswith("_superpixels")]
    if not found:
        but = f" but {rest}" if rest else ""
        raise InputError(f"folder {folder} holds no {what}{but}", f"put files there that end in {' '.join(PICTURES)}")
    if rest:
        warnings.warn(f"folder {folder}: left out {rest} (pictures end in {' '.join(PICTURES)})", stacklevel=2)
    return found


def _counted(paths: Iterable[Path]) -> str:
    """What else lies in a folder: "2 files ending in .gif, 1 sub-folder"; texts and tables are not counted."""
    counts = Counter("/" if path.is_dir() else path.suffix.lower() for path in paths if path.name not in SYSTEM)
    folders = counts.pop("/", 0)
    told = [
        f"{count} {'file' if count == 1 else 'files'} {f'ending in {ending}' if ending else 'without ending'}"
        for ending, count in sorted(counts.items())
        if ending not in TEXTS
    ]
    return ", ".join(told + [f"{folders} sub-folder{'s' * (folders > 1)}"] * bool(folders))


def mask_stem(path: Path) -> str:
    """The stem by which a mask is paired: ``ISIC_1_segmentation.png`` -> ``ISIC_1``."""
    return MASK_SUFFIX.sub("", path.stem)


def pair_by_stem(images: Iterable[Path], masks: Iterable[Path]) -> list[tuple[str, Path, Path]]:
    """(stem, image, mask) for every image; a mask's suffix ``_segmentation``, ``_lesion`` or ``_mask`` is ignored.

    Raises
    ------
    InputError
        An image has no mask, or two files have the same stem.
    """
    by_stem = _by_stem(masks)
    pairs = []
    for stem, image in _by_stem(images).items():
        if stem not in by_stem:
            raise InputError(f"image {image} has no mask", f"add a mask named {stem}.png or remove the image")
        pairs.append((stem, image, by_stem[stem]))
    return pairs


def _by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        stem = mask_stem(path)
        if stem in found:
            raise InputError(f"{path} and {found[stem]} have the same stem", "keep one of them")
        found[stem] = path
    return found


# ---- sources ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """One picture of a source: where its image and mask lie, and where it belongs.

    Parameters
    ----------
    index : int or None
        Slice of a volume, or row of an array, where the file holds many pictures.
    part : str or None
        The official part (train, test) it is published in, where there are several.
    """

    id: str
    image: Path
    mask: Path | None = None
    group: str | None = None
    label: str | None = None
    index: int | None = None
    part: str | None = None


Read = Callable[[Item], tuple[np.ndarray, np.ndarray | None]]


class PictureSource:
    """A `tutseg.data.sample.Source` over files.

    Parameters
    ----------
    name, root
        The data set's name and folder.
    items : sequence of Item
        Sorted by id here, so that order on disk never matters.
    read : callable, optional
        ``read(item) -> (image, mask)`` for files that are not pictures; uint8 ``(H, W, 3)`` and ``(H, W)`` in {0, 1}.
    window : (low, high), optional
        As in `read_image`.
    by_hash : bool
        Near-duplicates (see `tutseg.data.leaks`) are of one group, with all of their groups; found when first asked
        for.
    mask_labels : collection of int
        Which labels are foreground, where masks are label maps; none: all but 0.

    Raises
    ------
    InputError
        No item, or two with one id.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        items: Sequence[Item],
        read: Read | None = None,
        window: tuple[float, float] | None = None,
        by_hash: bool = False,
        mask_labels: Collection[int] = (),
    ) -> None:
        if not items:
            raise InputError(f"data {name}: {root} holds no pictures", "see `tutseg data list` for the expected tree")
        repeated = [id for id, count in Counter(item.id for item in items).items() if count > 1]
        if repeated:
            raise InputError(f"data {name}: id {repeated[0]} occurs twice below {root}", "remove one of the files")
        self.name, self.root = name, root
        self.items = sorted(items, key=lambda item: item.id)
        self.ids = [item.id for item in self.items]
        self.labels = [item.label for item in self.items]
        self._read = read or self._read_pair
        self._window, self._by_hash = window, by_hash
        self.masks = MaskReader(mask_labels)

    @cached_property
    def groups(self) -> list[str]:
        """One group a picture; pictures of one group must stay on one side of a split."""
        if self._by_hash:
            from tutseg.data.leaks import near_duplicate_groups

            return near_duplicate_groups(self, [item.group for item in self.items])
        return [item.group or item.id for item in self.items]

    @property
    def masked(self) -> list[bool] | None:
        """Which pictures have a mask, where some have none; None where all are alike."""
        found = [item.mask is not None for item in self.items]
        return found if any(found) and not all(found) else None

    @property
    def files(self) -> list[Path]:
        """All that it reads."""
        return [path for item in self.items for path in (item.image, item.mask) if path]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        image, mask = self.read(index)
        return Sample(image, mask, self.ids[index], self.groups[index], self.labels[index])

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Image and mask alone; groups, which may take a while to find, are not asked for."""
        return self._read(self.items[index])

    def image(self, index: int) -> np.ndarray:
        """The picture alone, uint8 ``(H, W, 3)``; the mask is not read."""
        item = self.items[index]
        return read_image(item.image, self._window) if self._read == self._read_pair else self._read(item)[0]

    def _read_pair(self, item: Item) -> tuple[np.ndarray, np.ndarray | None]:
        image = read_image(item.image, self._window)
        if item.mask is None:
            return image, None
        return image, self.masks.read(item.mask, image.shape[:2], item.image)


def pair_items(images: Path, masks: Path, part: str | None = None, **fields: Callable[[str], str | None]) -> list[Item]:
    """Items of two folders; `fields` compute ``group`` and ``label`` from the id."""
    return [
        Item(stem, image, mask, part=part, **{name: value(stem) for name, value in fields.items()})
        for stem, image, mask in pair_by_stem(list_images(images), list_images(masks))
    ]


def choose(name: str, value: str, known: Iterable[str]) -> str:
    """`value`, or an `InputError` that names the `known` ones."""
    if value not in (known := list(known)):
        raise unknown(name, str(value), known)
    return value


def official_parts(part: str, known: Sequence[str]) -> Sequence[str]:
    """The parts that `part` names: one of `known`, or all of them."""
    return known if choose("part", part, [*known, "all"]) == "all" else (part,)
