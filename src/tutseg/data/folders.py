"""Data sets in the folder layout of their official downloads, and any folder of image/mask pairs.

Each reader finds files and names groups; no picture is decoded before `source[i]` asks for it. Layouts are those the
cards in ``data/cards`` print as trees.
"""

import csv
import io
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from tutseg.data.sample import Sample
from tutseg.errors import InputError, unknown

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MASK_SUFFIX = re.compile(r"_(segmentation|lesion|mask)$", re.IGNORECASE)
LUNG_WINDOW = (-1350.0, 150.0)
ABDOMEN_WINDOW = (0.0, 1.0)
FRAMES_PER_BLOCK = 25
# No format packs more than a thousand bytes into one, so that a file of this size fits in memory whatever it claims.
HARMLESS_BYTES = 2**17

# First frame of each of the 29 video sequences of CVC-ClinicDB (612 frames, numbered from 1).
CLINIC_STARTS = (
    *(1, 26, 51, 68, 79, 104, 127, 152, 178, 200, 206, 228, 253, 278, 298),
    *(318, 343, 364, 384, 409, 429, 448, 467, 479, 504, 529, 547, 572, 592),
)


class GreyMaskWarning(UserWarning):
    """A mask has values besides its background and foreground, and was thresholded at 127."""


class SizeMismatchError(InputError):
    """A mask has another size than its picture."""


# ---- single files ----------------------------------------------------------------------------------------------------


def list_images(folder: Path) -> list[Path]:
    """Pictures directly in a folder, sorted by name; hidden files and ISIC's superpixel maps are left out.

    Raises
    ------
    InputError
        The folder is missing or holds no picture.
    """
    if not folder.is_dir():
        raise InputError(f"folder {folder} does not exist", "unpack the download there, or correct --root")
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in PICTURES and not path.name.startswith(".") and not path.stem.endswith("_superpixels")
    ]
    if not found:
        raise InputError(f"folder {folder} holds no pictures", f"put files there that end in {' '.join(PICTURES)}")
    return found


def read_array(path: Path) -> np.ndarray:
    """A picture's array as stored: TIFF through tifffile, JPEG and PNG through imagecodecs, all else through Pillow.

    Raises
    ------
    InputError
        The file is missing, empty, truncated or no picture.
    """
    data = _bytes_of(path)
    if not data:
        raise InputError(f"{path} is empty (0 bytes)", "fetch it again, or remove it together with its pair")
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            import tifffile

            return np.squeeze(tifffile.imread(io.BytesIO(data)))
        if len(data) > HARMLESS_BYTES:
            Image.open(io.BytesIO(data))  # refuses decompression bombs
        if (array := _decoded(data)) is not None:
            return array
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode not in ("1", "L", "I", "I;16", "F", "RGB"):
                picture = picture.convert("RGB")
            return np.asarray(picture)
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large ({error})", "crop or shrink it") from error
    except Exception as error:  # each decoder has exceptions of its own; all mean the same to the user
        raise InputError(
            f"{path} is truncated or not a picture ({error})", "fetch it again, or remove it together with its pair"
        ) from error


def _bytes_of(path: Path) -> bytes:
    """The file's content, in few system calls: each one hands Python's lock to another thread that reads."""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            return os.read(file, os.fstat(file).st_size)
        finally:
            os.close(file)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", "correct the path") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})", "correct the path or its permissions") from error


def _decoded(data: bytes) -> np.ndarray | None:
    """An 8-bit grey or RGB picture by imagecodecs: Pillow's pixels to the bit, and faster. None: leave it to Pillow."""
    import imagecodecs

    # libjpeg fills up a truncated picture with grey and only warns; Pillow refuses it.
    whole_jpeg = data.startswith(b"\xff\xd8\xff") and data.endswith(b"\xff\xd9")
    if not whole_jpeg and not data.startswith(b"\x89PNG"):
        return None
    try:
        array = imagecodecs.jpeg8_decode(data) if whole_jpeg else imagecodecs.png_decode(data)
    except RuntimeError:
        return None  # Pillow says better what is wrong
    grey_or_rgb = array.ndim == 2 or array.shape[2] == 3
    return array if grey_or_rgb and array.dtype == np.uint8 else None


def to_uint8(array: np.ndarray, window: tuple[float, float] | None = None) -> np.ndarray:
    """Map values to 0..255: `window` (low, high) clips to it; without, only what is not uint8 is stretched."""
    if array.dtype == np.uint8 and window is None:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    values = array.astype(np.float32)
    low, high = window if window else (float(values.min()), float(values.max()))
    return np.round(255 * np.clip((values - low) / max(high - low, 1e-12), 0, 1)).astype(np.uint8)


def _as_rgb(array: np.ndarray) -> np.ndarray:
    return np.repeat(array[..., None], 3, axis=2) if array.ndim == 2 else np.ascontiguousarray(array[..., :3])


def read_image(path: Path, window: tuple[float, float] | None = None) -> np.ndarray:
    """An RGB picture, uint8 ``(H, W, 3)``; grey ones are repeated over the channels.

    Parameters
    ----------
    path : Path
        PNG, JPEG, BMP, TIFF or WebP.
    window : (low, high), optional
        Values mapped to 0 and 255, for CT slices in Hounsfield units.

    Raises
    ------
    InputError
        As `read_array`.
    """
    return _as_rgb(to_uint8(read_array(path), window))


def read_mask(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """A mask, uint8 in {0, 1}, ``(H, W)``.

    A mask of two values is binary whatever the larger one is (0/1, 0/255). One with more is thresholded at 127; that
    is normal for JPEG masks (Kvasir-SEG) and worth a `GreyMaskWarning` for all others.

    Parameters
    ----------
    size : (H, W), optional
        The size it must have.

    Raises
    ------
    InputError
        As `read_array`; `SizeMismatchError` if the size is another.
    """
    mask, grey = _binary(path, size)
    if grey:
        warnings.warn(f"mask {path} has grey values: thresholded at 127", GreyMaskWarning, stacklevel=2)
    return mask


def _binary(path: Path, size: tuple[int, int] | None) -> tuple[np.ndarray, bool]:
    """A mask, and whether it has grey values that are worth a notice."""
    array = read_array(path)
    if array.ndim == 3:
        array = array[..., :3].max(axis=2)
    if size is not None and array.shape != tuple(size):
        raise SizeMismatchError(
            f"mask {path} is {array.shape[1]}x{array.shape[0]}, its picture {size[1]}x{size[0]}",
            "give both the same width and height",
        )
    mask = (array > 0).view(np.uint8)
    if np.array_equal(mask * array.max(), array):
        return mask, False
    return (array > 127).astype(np.uint8), path.suffix.lower() not in (".jpg", ".jpeg")


def png_bytes(picture: Image.Image) -> bytes:
    """A picture as PNG, for `tutseg.files.atomic_write`."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


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
        Groups are near-duplicates (see `tutseg.data.leaks`), found when first asked for.

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
        self.grey: set[str] = set()  # ids of the masks read so far that had grey values

    @cached_property
    def groups(self) -> list[str]:
        """One group a picture; pictures of one group must stay on one side of a split."""
        if self._by_hash:
            from tutseg.data.leaks import near_duplicate_groups

            return near_duplicate_groups(self)
        return [item.group or item.id for item in self.items]

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
        mask, grey = _binary(item.mask, image.shape[:2])
        if grey:
            if not self.grey:
                warnings.warn(
                    f"data {self.name}: mask {item.mask} has grey values: thresholded at 127; others of this data set "
                    "are treated alike without notice",
                    GreyMaskWarning,
                    stacklevel=3,
                )
            self.grey.add(item.id)
        return image, mask


def _pairs(images: Path, masks: Path, part: str | None = None, **fields: Callable[[str], str | None]) -> list[Item]:
    """Items of two folders; `fields` compute ``group`` and ``label`` from the id."""
    return [
        Item(stem, image, mask, part=part, **{name: value(stem) for name, value in fields.items()})
        for stem, image, mask in pair_by_stem(list_images(images), list_images(masks))
    ]


def _choose(name: str, value: str, known: Iterable[str]) -> str:
    if value not in (known := list(known)):
        raise unknown(name, str(value), known)
    return value


def _parts(part: str, known: Sequence[str]) -> Sequence[str]:
    """The parts that `part` names: one of `known`, or all of them."""
    return known if _choose("part", part, [*known, "all"]) == "all" else (part,)


def _read_table(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def _number(id: str) -> int:
    """The last number in an id, for data sets whose frames are numbered."""
    digits = re.findall(r"\d+", id)
    return int(digits[-1]) if digits else 0


def _block(id: str) -> str:
    """Fixed blocks of frames, for videos whose cuts are not published."""
    return f"block-{(_number(id) - 1) // FRAMES_PER_BLOCK:03d}"


def folder(root: Path) -> PictureSource:
    """Any folder of pairs: ``images/`` and ``masks/``, or side by side with a mask suffix.

    Groups are near-duplicates.
    """
    if (root / "images").is_dir():
        if not (root / "masks").is_dir():
            raise InputError(f"folder {root} has images/ but no masks/", f"put the masks into {root / 'masks'}")
        return PictureSource("folder", root, _pairs(root / "images", root / "masks"), by_hash=True)
    files = list_images(root)
    masks = [path for path in files if MASK_SUFFIX.search(path.stem)]
    images = [path for path in files if not MASK_SUFFIX.search(path.stem)]
    if not images:
        raise InputError(f"folder {root} holds masks only", "put the pictures beside them, named without the suffix")
    return PictureSource("folder", root, [Item(*pair) for pair in pair_by_stem(images, masks)], by_hash=True)


# ---- dermoscopy ------------------------------------------------------------------------------------------------------

ISIC_PARTS = ("train", "validation", "test")
ISIC2018_CLASSES = {
    "MEL": "melanoma",
    "NV": "melanocytic nevus",
    "BCC": "basal cell carcinoma",
    "AKIEC": "actinic keratosis",
    "BKL": "benign keratosis",
    "DF": "dermatofibroma",
    "VASC": "vascular lesion",
}


def _isic2017_labels(root: Path) -> dict[str, str]:
    """Class by id from the tables of ISIC 2017 (Part 3), where they lie in `root`; older releases call them Classes."""
    labels = {}
    for pattern in ("ISIC-2017_*_Part3_GroundTruth.csv", "ISIC-2017_*_Classes.csv"):
        for path in sorted(root.glob(pattern)):
            for row in _read_table(path):
                if float(row["melanoma"]):
                    label = "melanoma"
                elif "seborrheic_keratosis" not in row:
                    label = "not melanoma"
                else:
                    label = "seborrheic keratosis" if float(row["seborrheic_keratosis"]) else "nevus"
                labels[row["image_id"]] = label
    return labels


def isic2018(root: Path, part: str = "train", task: int = 1) -> PictureSource:
    """ISIC 2018: Task 1 (boundaries; class where ISIC 2017's tables lie beside it) or Task 3 (seven classes, no masks).

    Parameters
    ----------
    part : str
        ``train`` (2594 in Task 1), ``validation`` (100), ``test`` (1000), or ``all`` (3694, as DME-FD pools them).
    task : int
        1 or 3.
    """
    parts = {p: {"train": "Training", "validation": "Validation", "test": "Test"}[p] for p in _parts(part, ISIC_PARTS)}
    if int(_choose("ISIC 2018 task", str(task), ["1", "3"])) == 3:
        return PictureSource("isic2018", root, [i for p in parts for i in _isic2018_task3(root, p, parts[p])])
    labels = _isic2017_labels(root)
    items = [
        item
        for p, word in parts.items()
        for item in _pairs(
            root / f"ISIC2018_Task1-2_{word}_Input", root / f"ISIC2018_Task1_{word}_GroundTruth", p, label=labels.get
        )
    ]
    return PictureSource("isic2018", root, items, by_hash=True)


def _isic2018_task3(root: Path, part: str, word: str) -> list[Item]:
    stem = f"ISIC2018_Task3_{word}"
    table = root / f"{stem}_GroundTruth" / f"{stem}_GroundTruth.csv"
    if not table.is_file():
        raise InputError(f"{table} does not exist", "unpack the Task 3 ground truth beside the pictures")
    labels = {
        row["image"]: next(name for code, name in ISIC2018_CLASSES.items() if float(row[code]))
        for row in _read_table(table)
    }
    groupings = next(iter(sorted(root.glob(f"**/{stem}_LesionGroupings.csv"))), None)
    lesions = {row["image"]: row["lesion_id"] for row in _read_table(groupings)} if groupings else {}
    return [
        Item(path.stem, path, None, lesions.get(path.stem), labels.get(path.stem), part=part)
        for path in list_images(root / f"{stem}_Input")
    ]


def isic2017(root: Path, part: str = "train") -> PictureSource:
    """ISIC 2017 Part 1: ``train`` (2000), ``validation`` (150), ``test`` (600), or ``all``."""
    labels = _isic2017_labels(root)
    items = []
    for p in _parts(part, ISIC_PARTS):
        stem = {"train": "ISIC-2017_Training", "validation": "ISIC-2017_Validation", "test": "ISIC-2017_Test_v2"}[p]
        items += _pairs(root / f"{stem}_Data", root / f"{stem}_Part1_GroundTruth", p, label=labels.get)
    return PictureSource("isic2017", root, items, by_hash=True)


def isic2016(root: Path, part: str = "train") -> PictureSource:
    """ISIC 2016 Part 1: ``train`` (900), ``test`` (379), or ``all``; benign/malignant where Part 3's tables are."""
    labels = {}
    for path in sorted(root.glob("ISBI2016_ISIC_Part3_*_GroundTruth.csv")):
        with path.open(newline="") as file:
            for id, value in csv.reader(file):
                labels[id] = "malignant" if value in ("malignant", "1.0", "1") else "benign"
    items = []
    for p in _parts(part, ("train", "test")):
        stem = f"ISBI2016_ISIC_Part1_{'Training' if p == 'train' else 'Test'}"
        items += _pairs(root / f"{stem}_Data", root / f"{stem}_GroundTruth", p, label=labels.get)
    return PictureSource("isic2016", root, items, by_hash=True)


def ham10000(root: Path) -> PictureSource:
    """HAM10000 with Tschandl's lesion masks; groups are lesions, of which many have several pictures."""
    table = next(path for path in (root / "HAM10000_metadata.csv", root / "HAM10000_metadata") if path.is_file())
    rows = {row["image_id"]: row for row in _read_table(table)}
    folders = sorted(path for path in root.glob("HAM10000_images*") if path.is_dir())
    if not folders:
        raise InputError(f"{root} has no folder HAM10000_images_part_1", "unpack the pictures there")
    images = [path for each in folders for path in list_images(each)]
    items = []
    for id, image, mask in pair_by_stem(images, list_images(root / "HAM10000_segmentations_lesion_tschandl")):
        if id not in rows:
            raise InputError(f"{table} has no row for {id}", "fetch the table again: the split needs its lesion_id")
        items.append(Item(id, image, mask, rows[id]["lesion_id"], rows[id]["dx"]))
    return PictureSource("ham10000", root, items)


PH2_DIAGNOSES = ("common nevus", "atypical nevus", "melanoma")


def _ph2_text(path: Path) -> dict[str, str]:
    """Diagnosis by picture from ``PH2_dataset.txt``: columns between ``||`` (or tabs), coded 0, 1, 2."""
    found: dict[str, str] = {}
    column = None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        cells = [cell.strip() for cell in re.split(r"\|\||\t", line.strip().strip("|"))]
        if "Clinical Diagnosis" in cells:
            column = cells.index("Clinical Diagnosis")
        elif column is not None and cells[0].startswith("IMD"):
            found[cells[0]] = PH2_DIAGNOSES[int(cells[column])]
    return found


def _ph2_sheet(path: Path) -> dict[str, str]:
    """Diagnosis by picture from ``PH2_dataset.xlsx``: one column a diagnosis, marked with X."""
    import openpyxl

    found: dict[str, str] = {}
    columns: dict[str, int] = {}
    for row in openpyxl.load_workbook(path, read_only=True).active.iter_rows(values_only=True):
        cells = [str(cell).strip() if cell is not None else "" for cell in row]
        if "Image Name" in cells:
            columns = {cell.lower(): at for at, cell in enumerate(cells)}
        elif columns and cells[columns["image name"]].startswith("IMD"):
            marked = (name for name in PH2_DIAGNOSES if cells[columns[name]])
            found[cells[columns["image name"]]] = next(marked)
    return found


def ph2(root: Path) -> PictureSource:
    """PH2: 200 dermoscopic pictures with lesion masks and, from either table of the download, the diagnosis."""
    text, sheet = root / "PH2_dataset.txt", root / "PH2_dataset.xlsx"
    diagnoses = _ph2_text(text) if text.is_file() else _ph2_sheet(sheet) if sheet.is_file() else {}
    items = []
    for case in sorted((root / "PH2 Dataset images").glob("IMD*")):
        image = list_images(case / f"{case.name}_Dermoscopic_Image")[0]
        lesion = case / f"{case.name}_lesion"
        if not lesion.is_dir():
            raise InputError(f"image {image} has no mask", f"add {lesion / f'{case.name}_lesion.bmp'}")
        items.append(Item(case.name, image, list_images(lesion)[0], label=diagnoses.get(case.name)))
    return PictureSource("ph2", root, items, by_hash=True)


# ---- endoscopy -------------------------------------------------------------------------------------------------------


def kvasir_seg(root: Path) -> PictureSource:
    """Kvasir-SEG: 1000 colonoscopy pictures; masks are JPEG, thresholded at 127."""
    return PictureSource("kvasir-seg", root, _pairs(root / "images", root / "masks"), by_hash=True)


def clinic_sequence(id: str) -> str:
    """Video sequence of a CVC-ClinicDB frame, ``sequence-01`` to ``sequence-29``."""
    return f"sequence-{int(np.searchsorted(CLINIC_STARTS, _number(id), side='right')):02d}"


def cvc_clinicdb(root: Path) -> PictureSource:
    """CVC-ClinicDB: 612 frames of 29 video sequences (the groups), TIFF as downloaded or PNG."""
    items = _pairs(root / "Original", root / "Ground Truth", group=clinic_sequence)
    return PictureSource("cvc-clinicdb", root, items)


def cvc_colondb(root: Path) -> PictureSource:
    """CVC-ColonDB: 380 frames in the layout of the PraNet release; groups are blocks of 25 frames."""
    return PictureSource("cvc-colondb", root, _pairs(root / "images", root / "masks", group=_block))


def etis(root: Path) -> PictureSource:
    """ETIS-Larib: 196 frames, as downloaded (masks ``p1.tif``) or as in the PraNet release; blocks of 25 frames."""
    if (root / "images").is_dir():
        return PictureSource("etis", root, _pairs(root / "images", root / "masks", group=_block))
    masks = {path.stem.removeprefix("p"): path for path in list_images(root / "Ground Truth")}
    items = []
    for image in list_images(root / "ETIS-LaribPolypDB"):
        if image.stem not in masks:
            raise InputError(f"image {image} has no mask", f"add {root / 'Ground Truth' / f'p{image.name}'}")
        items.append(Item(image.stem, image, masks[image.stem], _block(image.stem)))
    return PictureSource("etis", root, items)


def endoscene(root: Path) -> PictureSource:
    """EndoScene's CVC-300 (60 test frames in the PraNet release; ``bbdd`` and ``gtpolyp`` in the original)."""
    images, masks = ("images", "masks") if (root / "images").is_dir() else ("bbdd", "gtpolyp")
    return PictureSource("endoscene", root, _pairs(root / images, root / masks, group=_block))


# ---- CT, X-ray, ultrasound -------------------------------------------------------------------------------------------


def _case(id: str) -> str:
    """A slice's id without its number: the patient or scan."""
    return re.sub(r"[_-](?:slice|z)?[_-]?\d+$", "", id, flags=re.IGNORECASE)


def mosmeddata(root: Path, part: str = "all") -> PictureSource:
    """MosMedData+ as LViT distributes it: ``train`` (2183), ``validation`` (273), ``test`` (273), or ``all``."""
    items = []
    for p in _parts(part, ISIC_PARTS):
        place = root / {"train": "Train_Folder", "validation": "Val_Folder", "test": "Test_Folder"}[p]
        items += _pairs(place / "img", place / "labelcol", p, group=_case)
    return PictureSource("mosmeddata", root, items)


def covid_semiseg(root: Path, part: str = "all") -> PictureSource:
    """COVID-SemiSeg: ``train`` (50), ``test`` (48), ``unlabelled`` (1600, no masks), or ``all`` (both with masks).

    Patients of the 98 labelled slices are not published, so groups are near-duplicates; the unlabelled go by scan.
    """
    if _choose("part", part, ["train", "test", "unlabelled", "all"]) == "unlabelled":
        items = [Item(path.stem, path, None, _case(path.stem)) for path in list_images(root / "unlabelled" / "images")]
        return PictureSource("covid-semiseg", root, items)
    items = []
    for p in ("train", "test") if part == "all" else (part,):
        items += _pairs(root / p / "images", root / p / "masks", p)
    return PictureSource("covid-semiseg", root, items, by_hash=True)


def synapse(root: Path, part: str = "train", organ: int = 0) -> PictureSource:
    """Synapse multi-organ CT as TransUNet distributes it: 18 scans as slices in .npz, 12 scans as volumes in .npy.h5.

    Parameters
    ----------
    part : str
        ``train``, ``test`` or ``all``.
    organ : int
        The label (1 to 8) that is foreground, or 0 for any of them; users disagree which organ is which.
    """
    value = int(_choose("Synapse organ", str(organ), [str(label) for label in range(9)]))
    items = []
    parts = _parts(part, ("train", "test"))
    if "train" in parts:
        items += [
            Item(p.stem, p, None, _case(p.stem), part="train") for p in sorted((root / "train_npz").glob("*.npz"))
        ]
    if "test" in parts:
        import h5py

        for path in sorted((root / "test_vol_h5").glob("*.npy.h5")):
            case = path.name.removesuffix(".npy.h5")
            with h5py.File(path) as file:
                slices = file["image"].shape[0]
            items += [Item(f"{case}_slice{z:03d}", path, None, case, index=z, part="test") for z in range(slices)]

    def read(item: Item) -> tuple[np.ndarray, np.ndarray]:
        if item.index is None:
            with _whole(item.image, np.load) as file:
                image, label = file["image"], file["label"]
        else:
            import h5py

            with _whole(item.image, h5py.File) as file:
                image, label = file["image"][item.index], file["label"][item.index]
        mask = label == value if value else label > 0
        return _as_rgb(to_uint8(image, ABDOMEN_WINDOW)), mask.astype(np.uint8)

    return PictureSource("synapse", root, items, read)


def _whole(path: Path, opener: Callable):
    """Open an array file, or say in one line that it is broken."""
    try:
        return opener(path)
    except Exception as error:  # zipfile, NumPy, HDF5 and NIfTI raise kinds of their own
        raise InputError(f"{path} cannot be read ({error})", "fetch it again") from error


def cbis_ddsm(root: Path) -> PictureSource:
    """CBIS-DDSM lesion crops as PNG, ``benign/`` and ``malignant/`` with ``images/`` and ``masks/`` each, or without.

    Groups are patients (``P_00001`` in the name), since a lesion is seen in two views.
    """

    def patient(id: str) -> str:
        found = re.search(r"P_\d+", id)
        return found.group() if found else id

    if (root / "images").is_dir():
        return PictureSource("cbis-ddsm", root, _pairs(root / "images", root / "masks", group=patient))
    items = []
    for label in ("benign", "malignant"):
        if (root / label).is_dir():
            items += _pairs(
                root / label / "images", root / label / "masks", group=patient, label=lambda _, label=label: label
            )
    return PictureSource("cbis-ddsm", root, items)


def kaggle_lung(root: Path, plane: str = "2d") -> PictureSource:
    """Kaggle's "Finding and measuring lungs in CT data": ``2d`` (267 TIFF slices) or ``3d`` (NIfTI volumes, by slice).

    Hounsfield units are shown in a lung window (-1350 to 150).
    """
    if _choose("plane", plane, ["2d", "3d"]) == "2d":
        items = _pairs(root / "2d_images", root / "2d_masks", group=_case)
        return PictureSource("kaggle-lung", root, items, window=LUNG_WINDOW)
    items = []
    for path in sorted((root / "3d_images").glob("IMG_*.nii*")):
        mask = path.with_name(path.name.replace("IMG_", "MASK_"))
        if not mask.is_file():
            raise InputError(f"image {path} has no mask", f"add {mask}")
        case = path.name.split(".")[0]
        slices = _volume(path).shape[_slice_axis(path)]
        items += [Item(f"{case}_Z_{z:04d}", path, mask, case, index=z) for z in range(slices)]

    def read(item: Item) -> tuple[np.ndarray, np.ndarray]:
        axis = _slice_axis(item.image)
        image, mask = (np.take(_voxels(path), item.index, axis) for path in (item.image, item.mask))
        if image.shape != mask.shape:
            raise SizeMismatchError(f"mask {item.mask} has another size than {item.image}", "fetch both again")
        return _as_rgb(to_uint8(image, LUNG_WINDOW)), (mask > 0).astype(np.uint8)

    return PictureSource("kaggle-lung", root, items, read)


def _volume(path: Path):
    import nibabel

    return _whole(path, nibabel.load)


@lru_cache(maxsize=2)  # an image and its mask: neighbouring slices are read together
def _voxels(path: Path) -> np.ndarray:
    return _whole(path, lambda path: np.asarray(_volume(path).dataobj))


def _slice_axis(path: Path) -> int:
    """The axis along which a volume is cut: the one that differs from two equal ones, else the last."""
    x, y, z = _volume(path).shape
    return 0 if y == z != x else 1 if x == z != y else 2


def chest_xray(root: Path, part: str = "all") -> PictureSource:
    """Kermany's chest X-rays: ``train`` (5216), ``val`` (16), ``test`` (624) or ``all``; classes, no masks.

    Groups are patients, read from the file name (``person1_virus_6``, ``IM-0115-0001``).
    """

    def patient(stem: str) -> str:
        found = re.match(r"(person\d+|(?:NORMAL2-)?IM-\d+)", stem)
        return found.group() if found else stem

    items = [
        Item(f"{p}-{path.stem}", path, None, patient(path.stem), label.lower(), part=p)
        for p in _parts(part, ("train", "val", "test"))
        for label in ("NORMAL", "PNEUMONIA")
        for path in list_images(root / p / label)
    ]
    return PictureSource("chest-xray", root, items)


def _medmnist(name: str, root: Path, part: str, size: int, labels: Sequence[str]) -> PictureSource:
    path = root / (f"{name}.npz" if size == 28 else f"{name}_{size}.npz")
    if not path.is_file():
        raise InputError(f"{path} does not exist", "fetch it from the MedMNIST page, or choose another size")
    with _whole(path, np.load) as file:
        arrays = {key: file[key] for key in file.files}
    items = [
        Item(f"{p}-{row:05d}", path, None, label=labels[int(label)], index=row, part=p)
        for p in _parts(part, ("train", "val", "test"))
        for row, label in enumerate(arrays[f"{p}_labels"].ravel())
    ]

    def read(item: Item) -> tuple[np.ndarray, None]:
        return _as_rgb(arrays[f"{item.part}_images"][item.index]), None

    return PictureSource(name, root, items, read, by_hash=True)


def breastmnist(root: Path, part: str = "all", size: int = 28) -> PictureSource:
    """BreastMNIST ultrasound (546/78/156), classes only; `size` 28, 64, 128 or 224."""
    return _medmnist("breastmnist", root, part, size, ("malignant", "normal or benign"))


def pneumoniamnist(root: Path, part: str = "all", size: int = 28) -> PictureSource:
    """PneumoniaMNIST X-rays (4708/524/624), classes only; `size` 28, 64, 128 or 224."""
    return _medmnist("pneumoniamnist", root, part, size, ("normal", "pneumonia"))
