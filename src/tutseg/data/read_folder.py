"""A folder of one's own pictures: which file is a picture, which is its mask, what was left out.

One rule reads the layouts that people have. A picture's *key* is its path without ending and without folders that only
say what lies in them (``images/``, ``labelled/``, ``unlabelled/``); a mask's key is that of a picture, without its
suffix and without ``masks/``. Equal keys belong together:

- ``images/p1/a.jpg`` and ``masks/p1/a.png``, or ``p1/images/a.jpg`` and ``p1/masks/a.png``;
- ``a.jpg`` and ``a_mask.png`` side by side, in sub-folders or not;
- ``labelled/`` in any of these layouts, and ``unlabelled/`` with pictures alone;
- a table (CSV) in the folder that names each picture, its mask and perhaps its group, which then alone counts.

Where one of the two trees is flat, the name alone must tell, and it must fit one picture. What fits two is an error,
what fits none is left out and counted.
"""

import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from tutseg.data.folders import MASK_SUFFIX, PICTURES, Item, PictureSource, mask_stem
from tutseg.data.masks import parse_labels
from tutseg.errors import InputError
from tutseg.files import delimited, text_of

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "pictures", "photos", "input", "inputs")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "segmentations", "segmentation", "annotations", "groundtruth", "gt")
LABELLED, UNLABELLED = ("labelled", "labeled"), ("unlabelled", "unlabeled")
TRAINING, TESTING = ("train", "training"), ("test", "testing", "val", "valid", "validation")
COLUMNS = {
    "picture": ("image", "picture", "img", "photo", "imagepath", "imagefile", "filename", "file", "path"),
    "mask": ("mask", "maskpath", "maskfile", "segmentation", "annotation", "groundtruth", "gt"),
    "group": ("group", "patient", "patientid", "case", "caseid", "subject", "subjectid", "lesion", "lesionid", "video"),
}
NO_MASK = ("", "-", "na", "nan", "none", "null")
SEVERAL = 5  # sub-folders from which on they are taken for patients or videos, not for classes: as many as folds
OUTSIDE = "pictures outside "
QUIET = ("", ".txt", ".md", ".csv", ".json", ".yaml", ".yml", ".xml", ".html", ".pdf", ".xlsx", ".py", ".ipynb", ".log")

Key = tuple[str, ...]


@dataclass(frozen=True)
class Understood:
    """What a folder holds, as the reader takes it.

    Parameters
    ----------
    layout, grouping : str
        In words: how pictures and masks were told apart, and what a split keeps together.
    items : tuple of Item
        One a picture; its mask is None where there is none.
    left_out : dict
        Reason -> paths below the folder.
    notes : tuple of str
        What worked, but may not be what was meant.
    """

    layout: str
    grouping: str
    items: tuple[Item, ...]
    left_out: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]

    @property
    def loud(self) -> dict[str, tuple[str, ...]]:
        """What was left out, without text files and what lies outside the layout's folders."""
        quiet = lambda why, path: why.startswith(OUTSIDE) or Path(path).suffix.lower() in QUIET
        return {why: paths for why, paths in self.left_out.items() if not quiet(why, paths[0])}

    def source(self, root: Path, labels: object = None) -> PictureSource:
        """The pictures and masks."""
        return PictureSource("folder", root, self.items, by_hash=True, mask_labels=parse_labels(labels))


def folder(root: Path, group: str = "auto", labels: object = None) -> PictureSource:
    """Any folder of pictures with masks for all or some of them; what was left out is one notice.

    Near-duplicates are of one group, whatever `group` says.

    Parameters
    ----------
    group : str
        What else a split keeps together. ``auto``: the table's column, or the outermost sub-folders of which there are
        at least five; ``folder``: the pictures of one sub-folder; ``picture``: nothing else. Anything else is a regular
        expression for the ids, whose first bracket is the group, such as ``(P[0-9]+)_``.
    labels : int, str or list of int, optional
        Which labels are foreground, where the masks are label maps: ``2``, ``"1,2"``.
    """
    found = understand(root, group)
    if found.loud:
        told = "; ".join(f"{len(paths)} {why} ({paths[0]})" for why, paths in found.loud.items())
        warnings.warn(f"data folder {root}: left out: {told}", stacklevel=2)
    return found.source(root, labels)


def understand(root: Path, group: str = "auto") -> Understood:
    """Look at a folder; no picture is opened.

    Raises
    ------
    InputError
        No picture, or no mask; two masks that fit one picture, or two pictures that fit one mask or have one name; a
        table that names a missing file; a folder that is already parted into training and test.
    """
    tables = [each for each in map(_read_table, _files(root, ".csv")) if each]
    if len(tables) > 1:
        raise InputError(f"{tables[0].path} and {tables[1].path} both pair pictures and masks", "keep one of them")
    return _of_table(root, tables[0], group) if tables else _of_tree(root, group)


def without_masks(root: Path) -> dict[Path, str]:
    """The pictures of a folder that have no mask, each with its id, or its stem where it lies outside the folder.

    Raises
    ------
    InputError
        As `understand`, or every picture has one.
    """
    if not root.is_dir():
        raise InputError(f"{root} is no folder", "give a folder that `tutseg data init` understands")
    own = lambda item: item.image.stem if ".." in item.id.split("/") or item.id.startswith("/") else item.id
    bare = {item.image: own(item) for item in understand(root).items if item.mask is None}
    if not bare:
        raise InputError(f"every picture in {root} has a mask", "leave out --rest to predict all")
    return bare


# ---- folders ---------------------------------------------------------------------------------------------------------


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.lower())


def _entries(where: Path) -> Iterator[Path]:
    """What lies in a folder, by name, without what the system keeps there."""
    try:
        paths = sorted(where.iterdir())
    except OSError as error:
        raise InputError(f"folder {where} cannot be read ({error.strerror})", "correct its permissions") from error
    for path in paths:
        if not path.name.startswith(".") and path.name not in ("__MACOSX", "Thumbs.db", "desktop.ini"):
            yield path


def _files(where: Path, *endings: str) -> list[Path]:
    return [path for path in _entries(where) if path.suffix.lower() in endings and path.is_file()]


def _below(where: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Every file in a folder and its sub-folders; a link back to where one came from goes nowhere."""
    above = (*above, where.resolve())
    for path in _entries(where):
        if not path.is_dir():
            yield path
        elif path.resolve() not in above:
            yield from _below(path, above)


@dataclass
class _Tree:
    """Pictures and masks as a walk through a folder finds them."""

    root: Path
    pictures: dict[Key, Path] = field(default_factory=dict)
    masks: list[tuple[Key, Path]] = field(default_factory=list)  # with the key of the folder
    left: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    folders: dict[str, None] = field(default_factory=dict)  # names of images/ and masks/ that were met, in order

    def leave(self, path: Path, why: str) -> None:
        """Count a file, or every file of a folder, as left out."""
        for each in _below(path) if path.is_dir() else [path]:
            ending = each.suffix.lower()
            self.left[why if ending in PICTURES else f"files that end in {ending or 'nothing'}"].append(each)

    def walk(self, where: Path, key: Key = (), holds: str = "any", above: tuple[Path, ...] = ()) -> None:
        """Sort what is in a folder that `holds` pictures, masks or any; the folders `above` are not entered again."""
        above = (*above, where.resolve())
        entries = [path for path in _entries(where) if not (path.is_dir() and path.resolve() in above)]
        kinds = {path: self._kind(path, holds) for path in entries}
        parted = holds == "any" and "pictures" in kinds.values()
        stems = {path.stem for path, kind in kinds.items() if kind == "file"}
        masked = {mask_stem(Path(f"{stem}.png")) for stem in stems if _suffixed(stem)}
        for path, kind in kinds.items():
            if kind in ("pictures", "masks"):
                self.folders[path.name] = None
                self.walk(path, key, kind, above)
            elif kind == "other" or (parted and holds == "any"):
                names = " and ".join(f"{each.name}/" for each, kind in kinds.items() if kind in ("pictures", "masks"))
                self.leave(path, f"{OUTSIDE}{names}")
            elif kind == "folder":
                self.walk(path, (*key, path.name), holds, above)
            elif path.stem.endswith("_superpixels"):
                self.leave(path, "superpixel maps of ISIC")
            elif holds == "masks" or self._is_mask(path.stem, stems, masked, holds):
                self.masks.append((key, path))
            else:
                self._add((*key, path.stem), path)

    def _kind(self, path: Path, holds: str) -> str:
        if path.is_dir():
            name = _plain(path.name)
            if holds != "masks" and name in MASK_FOLDERS:
                return "masks"
            return "pictures" if holds == "any" and name in IMAGE_FOLDERS else "folder"
        return "file" if path.suffix.lower() in PICTURES else "other"

    @staticmethod
    def _is_mask(stem: str, stems: set[str], masked: set[str], holds: str) -> bool:
        """Whether a file beside others is a mask: by its suffix, unless it has a mask itself (``skin_lesion.jpg``)."""
        if not _suffixed(stem):
            return False
        return mask_stem(Path(f"{stem}.png")) in stems or (holds == "any" and stem not in masked)

    def _add(self, key: Key, path: Path) -> None:
        if key in self.pictures:
            raise InputError(
                f"{path} and {self.pictures[key]} have the same stem",
                f"keep one of them; a mask beside its picture is named {path.stem}_mask.png",
            )
        self.pictures[key] = path

    def pairs(self) -> tuple[dict[Key, Path], int]:
        """Each picture's mask, and how many were found by name alone."""
        named: dict[str, list[Key]] = defaultdict(list)
        for key in self.pictures:
            named[key[-1]].append(key)
        found: dict[Key, Path] = {}
        by_name = 0
        for parent, path in self.masks:
            stems = dict.fromkeys((path.stem, mask_stem(path)))
            fits = [(*parent, stem) for stem in stems if (*parent, stem) in self.pictures][:1]
            if not fits:
                fits = [key for stem in stems for key in named[stem] if not parent or len(key) == 1]
                by_name += bool(fits)
            if len(fits) > 1:
                raise InputError(
                    f"mask {path} fits {self.pictures[fits[0]]} and {self.pictures[fits[1]]}",
                    "put it into a sub-folder named as its picture's",
                )
            if not fits:
                self.leave(path, "masks without a picture")
            elif fits[0] in found:
                raise InputError(
                    f"{self.pictures[fits[0]]} has two masks, {found[fits[0]]} and {path}",
                    "keep one, or join them into one",
                )
            else:
                found[fits[0]] = path
        return found, by_name


def _suffixed(stem: str) -> bool:
    return MASK_SUFFIX.search(stem) is not None


def _of_tree(root: Path, group: str) -> Understood:
    """A folder without a table."""
    inside = {_plain(path.name): path for path in _entries(root) if path.is_dir()}
    one_of = lambda names: next((inside[name] for name in names if name in inside), None)
    training, testing = one_of(TRAINING), one_of(TESTING)
    labelled, unlabelled = one_of(LABELLED), one_of(UNLABELLED)
    if training and testing:
        raise InputError(
            f"{root} is parted into {training.name}/ and {testing.name}/", f"give --root {training} --test {testing}"
        )
    tree = _Tree(root)
    if labelled:
        tree.walk(labelled)
        for path in _entries(root):
            if path not in (labelled, unlabelled):
                tree.leave(path, f"{OUTSIDE}{labelled.name}/")
    else:
        tree.walk(root, above=(unlabelled.resolve(),) if unlabelled else ())
    masks, by_name = tree.pairs()
    _need_pictures(root, tree, masks, labelled, unlabelled)
    notes = [f"{by_name} masks lie in another sub-folder than their picture: paired by name"] if by_name else []
    if unlabelled:
        _add_unlabelled(tree, unlabelled)
    names = Counter(key[-1] for key in tree.pictures)
    if several := sum(count > 1 for count in names.values()):
        notes.append(f"{several} names occur in several sub-folders: told apart by the sub-folder")
    groups, grouping = _groups(group, list(tree.pictures))
    items = [
        Item(_id("/".join(key)), path, masks.get(key), group)
        for (key, path), group in zip(tree.pictures.items(), groups, strict=True)
    ]
    how = " and ".join(f"{name}/" for name in tree.folders) or "masks beside pictures, told by their suffix"
    parts = " and ".join(f"{path.name}/" for path in (labelled, unlabelled) if path)
    how = f"{parts}: {how}" if parts else how
    if any(len(key) > 1 for key in tree.pictures):
        how += ", in sub-folders"
    return Understood(how, grouping, tuple(items), _told(root, tree.left), tuple(notes))


def _need_pictures(
    root: Path, tree: _Tree, masks: dict[Key, Path], labelled: Path | None, unlabelled: Path | None
) -> None:
    """Errors of a folder that cannot be meant so."""
    where = labelled or root
    if not tree.pictures:
        if tree.masks:
            raise InputError(f"folder {where} holds masks only", "put the pictures beside them, or into images/")
        images = [path for path in _entries(where) if path.is_dir() and _plain(path.name) in IMAGE_FOLDERS]
        besides = "; ".join(f"{len(paths)} {why}" for why, paths in tree.left.items())
        raise InputError(
            f"folder {images[0] if images else where} holds no pictures" + (f" ({besides})" if besides else ""),
            f"put files there that end in {' '.join(PICTURES)}",
        )
    if not masks:
        images = next((name for name in tree.folders if _plain(name) in IMAGE_FOLDERS), None)
        if images and not tree.masks:
            raise InputError(f"folder {where} has {images}/ but no masks/", f"put the masks into {where / 'masks'}")
        first = next(iter(tree.pictures.values()))
        raise InputError(
            f"none of {len(tree.pictures)} pictures in {where} has a mask, the first {first}",
            f"put the masks into {where / 'masks'}, or beside the pictures as {first.stem}_mask.png",
        )
    if labelled and (bare := [key for key in tree.pictures if key not in masks]):
        other = unlabelled.name if unlabelled else UNLABELLED[0]
        raise InputError(
            f"{tree.pictures[bare[0]]} and {len(bare) - 1} others in {labelled.name}/ have no mask",
            f"add the masks, or move the pictures to {other}/",
        )


def _add_unlabelled(tree: _Tree, where: Path) -> None:
    rest = _Tree(where)
    rest.walk(where)
    for _, path in rest.masks:
        tree.leave(path, f"masks in {where.name}/")
    for why, paths in rest.left.items():
        tree.left[why] += paths
    for key, path in rest.pictures.items():
        if key in tree.pictures:
            raise InputError(f"{path} and {tree.pictures[key]} have the same name", "keep one of them, or rename one")
        tree.pictures[key] = path


# ---- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """A CSV file that pairs pictures and masks: its rows by line, each with what `COLUMNS` calls its cells."""

    path: Path
    grouped: bool
    rows: dict[int, dict[str, str]]


def _may_pair(path: Path) -> bool:
    """Whether the words for pictures and masks stand in a file's first lines; others need not even be tables."""
    try:
        words = set(map(_plain, re.split(r"[,;\t|\r\n\"]+", text_of(path)[:10_000])))
    except InputError:
        return False
    return all(words.intersection(COLUMNS[what]) for what in ("picture", "mask"))


def _read_table(path: Path) -> _Table | None:
    """The table in a file; None where no two columns of it name pictures and masks."""
    if not _may_pair(path):
        return None
    lines = delimited(path)
    if not lines:
        return None
    (_, head), *rest = lines
    at = {_plain(name): place for place, name in reversed(list(enumerate(head)))}
    chosen = {what: next((at[name] for name in known if name in at), None) for what, known in COLUMNS.items()}
    if chosen["picture"] is None or chosen["mask"] is None:
        return None
    rows = {}
    for line, cells in rest:
        if len(cells) > len(head):
            raise InputError(f"{path}, line {line} has more cells than the first", "quote cells with separators")
        cells += [""] * (len(head) - len(cells))
        rows[line] = {what: "" if place is None else cells[place] for what, place in chosen.items()}
    return _Table(path, chosen["group"] is not None, rows)


def _of_table(root: Path, table: _Table, group: str) -> Understood:
    """A folder whose table says everything."""
    items, lines, uses = [], {}, Counter()
    for line, cells in table.rows.items():
        place = f"{table.path}, line {line}"
        if not cells["picture"]:
            raise InputError(f"{place} names no picture", "name one, or delete the line")
        picture = _named(table.path, place, cells["picture"])
        mask = None if cells["mask"].lower() in NO_MASK else _named(table.path, place, cells["mask"])
        name = _id(PurePath(os.path.relpath(picture, root)).with_suffix("").as_posix())
        if name in lines:
            raise InputError(f"{place} names {cells['picture']} again, after line {lines[name]}", "keep one of them")
        lines[name] = line
        uses[mask] += mask is not None
        items.append(Item(name, picture, mask, cells["group"] or None))
    if not any(item.mask for item in items):
        raise InputError(f"{table.path} names no mask", "give some pictures one, or delete the table")
    grouping = "the table's groups"
    if group != "auto" or not table.grouped:
        groups, grouping = _groups(group, [tuple(item.id.split("/")) for item in items])
        items = [Item(item.id, item.image, item.mask, own) for item, own in zip(items, groups, strict=True)]
    known = {path.resolve() for item in items for path in (item.image, item.mask) if path}
    tree = _Tree(root)
    for path in _below(root):
        if path != table.path and path.resolve() not in known:
            tree.leave(path, f"pictures that {table.path.name} does not name")
    shared = sum(count > 1 for count in uses.values())
    notes = (f"{shared} masks stand in several lines of {table.path.name}",) if shared else ()
    return Understood(f"the table {table.path.name}", grouping, tuple(items), _told(root, tree.left), notes)


def _named(table: Path, place: str, cell: str) -> Path:
    path = table.parent / cell.replace("\\", "/")
    if not path.is_file():
        raise InputError(f"{place}: {cell} does not exist", "correct the name, or delete the line")
    if path.suffix.lower() not in PICTURES:
        raise InputError(f"{place}: {cell} is no picture that is read here", f"use one of {' '.join(PICTURES)}")
    return path


# ---- groups, names ---------------------------------------------------------------------------------------------------


def _groups(group: str, keys: list[Key]) -> tuple[list[str | None], str]:
    """The group of each picture, None for itself alone, and the rule in words."""
    alone = "each picture by itself"
    at = lambda depth: [key[:-1][:depth] for key in keys]
    shown: Callable[[Iterable[Key]], list[str | None]] = lambda parents: [_id("/".join(p)) or None for p in parents]
    if group == "picture":
        return [None] * len(keys), alone
    if group == "folder":
        return shown(at(None)), "the pictures of one sub-folder"
    if group == "auto":
        deepest = max(map(len, keys)) - 1
        for depth in range(1, deepest + 1):
            if len(set(at(depth)) - {()}) >= SEVERAL:
                return shown(at(depth)), f"the pictures of one of {len(set(at(depth)) - {()})} sub-folders"
        few = f"; fewer than {SEVERAL} sub-folders are no groups, unless -d group=folder says so" if deepest else ""
        return [None] * len(keys), alone + few
    try:
        pattern = re.compile(group)
    except (re.error, TypeError) as error:
        raise InputError(
            f"option group of data folder: {group!r} is no regular expression ({error})",
            "give auto, folder, picture, or a pattern such as (P[0-9]+)_",
        ) from error
    found: list[str | None] = []
    for key in keys:
        name = _id("/".join(key))
        if not (match := pattern.search(name)):
            raise InputError(f"option group of data folder: '{group}' does not fit {name}", "correct the pattern")
        found.append(match[1] if pattern.groups else match[0])
    return found, f"what {group} finds in their names"


def _id(path: str) -> str:
    """A name that can be written as UTF-8, whatever bytes the file system has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _told(root: Path, left: dict[str, list[Path]]) -> dict[str, tuple[str, ...]]:
    return {why: tuple(_id(os.path.relpath(path, root)) for path in sorted(paths)) for why, paths in left.items()}
