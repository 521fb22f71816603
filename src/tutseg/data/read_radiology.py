"""Readers of CT, X-ray and ultrasound data sets, in the folder layout of their official downloads."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from tutseg.data.decode import as_rgb, to_uint8
from tutseg.data.folders import Item, PictureSource, choose, list_images, official_parts, pair_items
from tutseg.data.masks import SizeMismatchError
from tutseg.errors import InputError

LUNG_WINDOW = (-1350.0, 150.0)
ABDOMEN_WINDOW = (0.0, 1.0)


def _case(id: str) -> str:
    """A slice's id without its number: the patient or scan."""
    return re.sub(r"[_-](?:slice|z)?[_-]?\d+$", "", id, flags=re.IGNORECASE)


def mosmeddata(root: Path, part: str = "all") -> PictureSource:
    """MosMedData+ as LViT distributes it: ``train`` (2183), ``validation`` (273), ``test`` (273), or ``all``."""
    items = []
    for p in official_parts(part, ("train", "validation", "test")):
        place = root / {"train": "Train_Folder", "validation": "Val_Folder", "test": "Test_Folder"}[p]
        items += pair_items(place / "img", place / "labelcol", p, group=_case)
    return PictureSource("mosmeddata", root, items)


def covid_semiseg(root: Path, part: str = "all") -> PictureSource:
    """COVID-SemiSeg: ``train`` (50), ``test`` (48), ``unlabelled`` (1600, no masks), or ``all`` (both with masks).

    Patients of the 98 labelled slices are not published, so groups are near-duplicates; the unlabelled go by scan.
    """
    if choose("part", part, ["train", "test", "unlabelled", "all"]) == "unlabelled":
        items = [Item(path.stem, path, None, _case(path.stem)) for path in list_images(root / "unlabelled" / "images")]
        return PictureSource("covid-semiseg", root, items)
    items = []
    for p in ("train", "test") if part == "all" else (part,):
        items += pair_items(root / p / "images", root / p / "masks", p)
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
    value = int(choose("Synapse organ", str(organ), [str(label) for label in range(9)]))
    items = []
    parts = official_parts(part, ("train", "test"))
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
        return as_rgb(to_uint8(image, ABDOMEN_WINDOW)), mask.astype(np.uint8)

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
        return PictureSource("cbis-ddsm", root, pair_items(root / "images", root / "masks", group=patient))
    items = []
    for label in ("benign", "malignant"):
        if (root / label).is_dir():
            items += pair_items(
                root / label / "images", root / label / "masks", group=patient, label=lambda _, label=label: label
            )
    return PictureSource("cbis-ddsm", root, items)


def kaggle_lung(root: Path, plane: str = "2d") -> PictureSource:
    """Kaggle's "Finding and measuring lungs in CT data": ``2d`` (267 TIFF slices) or ``3d`` (NIfTI volumes, by slice).

    Hounsfield units are shown in a lung window (-1350 to 150).
    """
    if choose("plane", plane, ["2d", "3d"]) == "2d":
        items = pair_items(root / "2d_images", root / "2d_masks", group=_case)
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
        return as_rgb(to_uint8(image, LUNG_WINDOW)), (mask > 0).astype(np.uint8)

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
        for p in official_parts(part, ("train", "val", "test"))
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
        for p in official_parts(part, ("train", "val", "test"))
        for row, label in enumerate(arrays[f"{p}_labels"].ravel())
    ]

    def read(item: Item) -> tuple[np.ndarray, None]:
        return as_rgb(arrays[f"{item.part}_images"][item.index]), None

    return PictureSource(name, root, items, read, by_hash=True)


def breastmnist(root: Path, part: str = "all", size: int = 28) -> PictureSource:
    """BreastMNIST ultrasound (546/78/156), classes only; `size` 28, 64, 128 or 224."""
    return _medmnist("breastmnist", root, part, size, ("malignant", "normal or benign"))


def pneumoniamnist(root: Path, part: str = "all", size: int = 28) -> PictureSource:
    """PneumoniaMNIST X-rays (4708/524/624), classes only; `size` 28, 64, 128 or 224."""
    return _medmnist("pneumoniamnist", root, part, size, ("normal", "pneumonia"))
