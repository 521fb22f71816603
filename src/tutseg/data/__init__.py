"""Images and masks in: `open_source` finds a data set by name; nothing is imported before it is needed."""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutseg.errors import InputError, unknown

if TYPE_CHECKING:
    from tutseg.data.sample import Source


@dataclass(frozen=True)
class Reader:
    """Where a data set lies and what reads it.

    Parameters
    ----------
    target : str
        Function in `tutseg.data.folders`: ``target(root, **options) -> Source``.
    folder : str
        The folder in which the official download lies.
    markers : tuple of str
        Paths below it (any one is enough) by which it is recognised.
    """

    target: str
    folder: str
    markers: tuple[str, ...]


READERS: dict[str, Reader] = {
    "isic2018": Reader("isic2018", "ISIC2018", ("ISIC2018_Task1-2_Training_Input", "ISIC2018_Task3_Training_Input")),
    "isic2017": Reader("isic2017", "ISIC2017", ("ISIC-2017_Training_Data", "ISIC-2017_Test_v2_Data")),
    "isic2016": Reader("isic2016", "ISIC2016", ("ISBI2016_ISIC_Part1_Training_Data", "ISBI2016_ISIC_Part1_Test_Data")),
    "ham10000": Reader("ham10000", "HAM10000", ("HAM10000_metadata.csv", "HAM10000_metadata")),
    "ph2": Reader("ph2", "PH2Dataset", ("PH2 Dataset images",)),
    "kvasir-seg": Reader("kvasir_seg", "Kvasir-SEG", ("images",)),
    "cvc-clinicdb": Reader("cvc_clinicdb", "CVC-ClinicDB", ("Original",)),
    "cvc-colondb": Reader("cvc_colondb", "CVC-ColonDB", ("images",)),
    "etis": Reader("etis", "ETIS-LaribPolypDB", ("images", "ETIS-LaribPolypDB")),
    "endoscene": Reader("endoscene", "CVC-300", ("images",)),
    "mosmeddata": Reader("mosmeddata", "MosMedDataPlus", ("Train_Folder", "Test_Folder")),
    "covid-semiseg": Reader("covid_semiseg", "COVID-SemiSeg", ("train", "test")),
    "synapse": Reader("synapse", "Synapse", ("train_npz", "test_vol_h5")),
    "cbis-ddsm": Reader("cbis_ddsm", "CBIS-DDSM", ("images", "benign", "malignant")),
    "kaggle-lung": Reader("kaggle_lung", "finding-lungs-in-ct-data", ("2d_images", "3d_images")),
    "chest-xray": Reader("chest_xray", "chest_xray", ("train", "test")),
    "breastmnist": Reader("breastmnist", "medmnist", ("breastmnist*.npz",)),
    "pneumoniamnist": Reader("pneumoniamnist", "medmnist", ("pneumoniamnist*.npz",)),
}

DRAWN = ("synth", "synth-wild")
DRAWN_COUNT = 400


def source_names() -> list[str]:
    """Every name that `open_source` knows."""
    return [*READERS, *DRAWN, "folder"]


def open_source(name: str, root: str | Path | None = None, **options: Any) -> "Source":
    """Find a data set by name.

    Parameters
    ----------
    name : str
        A name that ``tutseg data list`` prints, ``folder`` for any folder of image/mask pairs, or a drawn style.
    root : path, optional
        The data set's folder, or the folder that holds it; without it ``$TUTSEG_DATA``. Drawn data need none.
    **options
        The reader's own, such as ``part="train"``, ``task=3``, ``plane="3d"``; for drawn data those of
        `tutseg.data.synth.Synth` (`n` defaults to 400).

    Raises
    ------
    InputError
        Unknown name or option, no such folder, a picture without its mask.
    """
    if name in DRAWN:
        drawn = import_module("tutseg.data.synth").Synth
        _check_options(name, drawn, options, skip=("style",))
        return drawn(**{"n": DRAWN_COUNT, "style": name, **options})
    if name not in source_names():
        raise unknown("data", name, source_names())
    target = getattr(import_module("tutseg.data.folders"), "folder" if name == "folder" else READERS[name].target)
    _check_options(name, target, options, skip=("root",))
    return target(find_root(name, root), **options)


def find_root(name: str, root: str | Path | None = None) -> Path:
    """The folder of a data set: `root` or ``$TUTSEG_DATA``, itself or the official folder inside it.

    Raises
    ------
    InputError
        Neither is given, the folder is missing, or it does not hold the data set.
    """
    if root is None:
        base = os.environ.get("TUTSEG_DATA")
        where = "the folder of pictures" if name == "folder" else f"the folder that holds {READERS[name].folder}/"
        if not base or name == "folder":
            hint = "give --root" if name == "folder" else "give --root or set TUTSEG_DATA to"
            raise InputError(f"no root for data {name}", f"{hint} {where}")
        root = base
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"root {root} does not exist", f"give --root a folder that holds data {name}")
    if name == "folder":
        return root
    reader = READERS[name]
    for candidate in (root / reader.folder, root):
        if any(any(candidate.glob(marker)) for marker in reader.markers):
            return candidate
    raise InputError(
        f"{root} does not hold data {name} (looked for {reader.folder}/{' or '.join(reader.markers)})",
        f"see `tutseg data list` for where to get it, or correct --root or TUTSEG_DATA (root {root})",
    )


def _check_options(name: str, target: Callable, options: dict, skip: tuple[str, ...]) -> None:
    known = [option for option in inspect.signature(target).parameters if option not in skip]
    for option in options:
        if option not in known:
            raise unknown(f"option of data {name}", option, known or ["(none)"])
