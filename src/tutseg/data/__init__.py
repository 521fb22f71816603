"""Images and masks in: `open_source` finds a data set by name; nothing is imported before it is needed."""

import inspect
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutseg.data.readers import READERS
from tutseg.errors import InputError, unknown

if TYPE_CHECKING:
    from tutseg.data.sample import Source

DRAWN = ("synth", "synth-wild")
DRAWN_COUNT = 400


def source_names() -> list[str]:
    """Every name that `open_source` knows."""
    return [*READERS, *DRAWN, "folder"]


def open_source(name: str, root: str | Path | None = None, /, **options: Any) -> "Source":
    """Find a data set by name.

    Parameters
    ----------
    name : str
        A name that ``tutseg data list`` prints, ``folder`` for any folder of pictures and masks, or a drawn style.
    root : path, optional
        The data set's folder, or the folder that holds it; without it ``$TUTSEG_DATA``. Drawn data need none.
    **options
        The reader's own, such as ``part="train"``, ``task=3``, ``plane="3d"``; for drawn data those of
        `tutseg.data.synth.Synth` (`n` defaults to 400).

    Raises
    ------
    InputError
        Unknown name or option, no such folder, or one whose pictures and masks cannot be paired.
    """
    if name in DRAWN:
        drawn = import_module("tutseg.data.synth").Synth
        return drawn(**{"n": DRAWN_COUNT, "style": name, **checked_options(name, options)})
    options = checked_options(name, options)
    return reader(name)(find_root(name, root), **options)


def reader(name: str) -> Callable[..., "Source"]:
    """The function that reads a real data set or a folder, ``reader(name)(root, **options)``."""
    if name not in source_names():
        raise unknown("data", name, source_names())
    module, function = (READERS[name].target if name in READERS else "tutseg.data.read_folder:folder").split(":")
    return getattr(import_module(module), function)


def find_root(name: str, root: str | Path | None = None, told: bool = True) -> Path:
    """The folder of a data set: `root` or ``$TUTSEG_DATA``, itself or the official folder inside it.

    Parameters
    ----------
    told : bool
        Whether someone said that `root` is this data set, and is believed if its layout is. Else, and for
        ``$TUTSEG_DATA``, a folder under another name than the official one must have what that set alone has.

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
        root, told = base, False
    root = Path(root)
    if not root.is_dir():
        fault = "is a file" if root.exists() else "does not exist"
        raise InputError(f"root {root} {fault}", f"give --root a folder that holds data {name}")
    if name == "folder":
        return root
    card = READERS[name]
    for candidate in (root / card.folder, root):
        believed = told or candidate.absolute().name == card.folder
        if any(any(candidate.glob(path)) for path in card.signs + (card.layout if believed else ())):
            return candidate
    raise InputError(
        f"{root} does not hold data {name} (looked for {card.folder}/{' or '.join(card.layout or card.signs)})",
        f"see `tutseg data list` for where to get it, or correct --root or TUTSEG_DATA (root {root}); pictures of "
        "your own are `--data folder`",
    )


def checked_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """A data set's options as its reader takes them; nothing is read.

    Raises
    ------
    InputError
        Unknown data, an unknown option, or a value of another type.
    """
    if name in DRAWN:
        return check_options(name, import_module("tutseg.data.synth").Synth, options, skip=("style",))
    return check_options(name, reader(name), options, skip=("root",))


def check_options(name: str, target: Callable, options: dict[str, Any], skip: tuple[str, ...]) -> dict[str, Any]:
    """Options of a data set as the function `target`, which opens it, takes them, without others and of its types."""
    from pydantic import TypeAdapter, ValidationError

    known = {key: each for key, each in inspect.signature(target).parameters.items() if key not in skip}
    found = {}
    for option, value in options.items():
        if option not in known:
            raise unknown(f"option of data {name}", option, known or ["(none)"])
        try:
            found[option] = TypeAdapter(known[option].annotation).validate_python(value)
        except ValidationError as error:
            raise InputError(f"data {name}: {option} = {value!r}", error.errors()[0]["msg"]) from error
    return found
