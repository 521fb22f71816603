"""Readers of dermoscopic data sets, in the folder layout of their official downloads."""

import re
from contextlib import closing
from pathlib import Path

from tutseg.data.folders import Item, PictureSource, choose, list_images, official_parts, pair_by_stem, pair_items
from tutseg.data.metadata import read_metadata
from tutseg.errors import InputError
from tutseg.files import text_of

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
            for row in read_metadata(path, ("image_id", "melanoma")):
                if row.yes("melanoma"):
                    label = "melanoma"
                elif "seborrheic_keratosis" not in row:
                    label = "not melanoma"
                else:
                    label = "seborrheic keratosis" if row.yes("seborrheic_keratosis") else "nevus"
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
    parts = {
        p: {"train": "Training", "validation": "Validation", "test": "Test"}[p]
        for p in official_parts(part, ISIC_PARTS)
    }
    if int(choose("ISIC 2018 task", str(task), ["1", "3"])) == 3:
        return PictureSource("isic2018", root, [i for p in parts for i in _isic2018_task3(root, p, parts[p])])
    labels = _isic2017_labels(root)
    items = [
        item
        for p, word in parts.items()
        for item in pair_items(
            root / f"ISIC2018_Task1-2_{word}_Input", root / f"ISIC2018_Task1_{word}_GroundTruth", p, label=labels.get
        )
    ]
    return PictureSource("isic2018", root, items, by_hash=True)


def _isic2018_task3(root: Path, part: str, word: str) -> list[Item]:
    stem = f"ISIC2018_Task3_{word}"
    table = root / f"{stem}_GroundTruth" / f"{stem}_GroundTruth.csv"
    if not table.is_file():
        raise InputError(f"{table} does not exist", "unpack the Task 3 ground truth beside the pictures")
    labels = {}
    for row in read_metadata(table, ("image", *ISIC2018_CLASSES)):
        classes = [name for code, name in ISIC2018_CLASSES.items() if row.yes(code)]
        if len(classes) != 1:
            raise InputError(f"{row.where}: {len(classes)} classes are marked", "mark one, as in the download")
        labels[row["image"]] = classes[0]
    groupings = next(iter(sorted(root.glob(f"**/{stem}_LesionGroupings.csv"))), None)
    rows = read_metadata(groupings, ("image", "lesion_id")) if groupings else []
    lesions = {row["image"]: row["lesion_id"] for row in rows}
    return [
        Item(path.stem, path, None, lesions.get(path.stem), labels.get(path.stem), part=part)
        for path in list_images(root / f"{stem}_Input")
    ]


def isic2017(root: Path, part: str = "train") -> PictureSource:
    """ISIC 2017 Part 1: ``train`` (2000), ``validation`` (150), ``test`` (600), or ``all``."""
    labels = _isic2017_labels(root)
    items = []
    for p in official_parts(part, ISIC_PARTS):
        stem = {"train": "ISIC-2017_Training", "validation": "ISIC-2017_Validation", "test": "ISIC-2017_Test_v2"}[p]
        items += pair_items(root / f"{stem}_Data", root / f"{stem}_Part1_GroundTruth", p, label=labels.get)
    return PictureSource("isic2017", root, items, by_hash=True)


def isic2016(root: Path, part: str = "train") -> PictureSource:
    """ISIC 2016 Part 1: ``train`` (900), ``test`` (379), or ``all``; benign/malignant where Part 3's tables are."""
    labels = {}
    for path in sorted(root.glob("ISBI2016_ISIC_Part3_*_GroundTruth.csv")):
        for row in read_metadata(path, ("image", "class"), headed=False):
            named = row["class"] in ("benign", "malignant")
            malignant = row["class"] == "malignant" if named else row.yes("class")
            labels[row["image"]] = "malignant" if malignant else "benign"
    items = []
    for p in official_parts(part, ("train", "test")):
        stem = f"ISBI2016_ISIC_Part1_{'Training' if p == 'train' else 'Test'}"
        items += pair_items(root / f"{stem}_Data", root / f"{stem}_GroundTruth", p, label=labels.get)
    return PictureSource("isic2016", root, items, by_hash=True)


def ham10000(root: Path) -> PictureSource:
    """HAM10000 with Tschandl's lesion masks; groups are lesions, of which many have several pictures."""
    table = root / "HAM10000_metadata.csv"
    table = table if table.is_file() else table.with_suffix("")
    rows = {row["image_id"]: row for row in read_metadata(table, ("image_id", "lesion_id", "dx"))}
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


_REPAIR = "take the table of the download, or repair that row"
PH2_DIAGNOSES = ("common nevus", "atypical nevus", "melanoma")


def _ph2_text(path: Path) -> dict[str, str]:
    """Diagnosis by picture from ``PH2_dataset.txt``: columns between ``||`` (or tabs, or semicolons), coded 0, 1, 2."""
    found: dict[str, str] = {}
    column = None
    for number, line in enumerate(text_of(path).splitlines(), 1):
        cells = [cell.strip() for cell in re.split(r"\|\||[\t;]", line.strip().strip("|;"))]
        if "Clinical Diagnosis" in cells:
            column = cells.index("Clinical Diagnosis")
        elif column is not None and cells[0].startswith("IMD"):
            code = cells[column] if column < len(cells) else ""
            if code not in ("0", "1", "2"):
                raise InputError(
                    f"{path}, line {number}: the clinical diagnosis of {cells[0]} is '{code}', not 0, 1 or 2", _REPAIR
                )
            found[cells[0]] = PH2_DIAGNOSES[int(code)]
    if column is None:
        raise InputError(f"{path}: no line names a column Clinical Diagnosis", _REPAIR)
    if not found:
        raise InputError(f"{path}: no line begins with a picture's name, such as IMD003", _REPAIR)
    return found


def _ph2_sheet(path: Path) -> dict[str, str]:
    """Diagnosis by picture from ``PH2_dataset.xlsx``: one column a diagnosis, marked with X."""
    import openpyxl

    try:
        with closing(openpyxl.load_workbook(path, read_only=True)) as book:
            rows = list(book.active.iter_rows(values_only=True))
    except Exception as error:  # zipfile, XML and openpyxl raise kinds of their own
        raise InputError(f"{path} is not an Excel workbook ({error})", "take the one of the download") from error
    found: dict[str, str] = {}
    columns: dict[str, int] = {}
    needed = ("image name", *PH2_DIAGNOSES)
    for number, row in enumerate(rows, 1):
        cells = [str(cell).strip() if cell is not None else "" for cell in row]
        if "image name" in (low := [cell.lower() for cell in cells]):
            if missing := [name for name in needed if name not in low]:
                raise InputError(f"{path}, row {number}: no column {' nor '.join(missing)}", _REPAIR)
            columns = {name: low.index(name) for name in needed}
        elif columns and len(cells) > columns["image name"] and cells[columns["image name"]].startswith("IMD"):
            marked = [name for name in PH2_DIAGNOSES if columns[name] < len(cells) and cells[columns[name]]]
            if len(marked) != 1:
                raise InputError(f"{path}, row {number}: {len(marked)} diagnoses are marked", _REPAIR)
            found[cells[columns["image name"]]] = marked[0]
    if not columns:
        raise InputError(f"{path}: no row names a column Image Name", _REPAIR)
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
