"""PNG files that the program writes for its user, each with a mark by which it is known again, so that nothing else
is ever written over.

The mark is a text chunk with a hash over who made the picture and of which pixels. A file without it, one that
somebody has changed since, and one that was made by something else (another network, another picture of the same
name) are the user's.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tutseg.data.decode import png_bytes
from tutseg.errors import InputError
from tutseg.files import atomic_write, sha256

MARK = "tutseg"


def save_made(picture: Image.Image, path: Path, maker: str) -> None:
    """Write a PNG whole or not at all, marked; `maker` says by what, and of what, it is made."""
    text = PngInfo()
    text.add_text(MARK, _mark(picture, maker))
    atomic_write(path, png_bytes(picture, text))


def _mark(picture: Image.Image, maker: str) -> str:
    return sha256(sha256(f"{maker} {picture.mode} {picture.size} ").encode() + picture.tobytes())[:32]


def is_made(path: Path, maker: str) -> bool:
    """Whether a file is as `save_made` left it, for the same maker."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with Image.open(path) as picture:
            picture.load()
            return getattr(picture, "text", {}).get(MARK) == _mark(picture, maker)
    except Exception:  # whatever Pillow makes of a file that is no picture
        return False


def check_free(targets: Mapping[Path, str], sources: Iterable[Path] = (), overwrite: bool = False) -> None:
    """Refuse to lose a file, before the first is written.

    Parameters
    ----------
    targets : mapping of Path to str
        What will be written, and its maker.
    sources : iterable of Path
        What is read meanwhile; it is not written over whatever `overwrite` says.
    overwrite : bool
        The user knows that there are files, and wants them gone.

    Raises
    ------
    InputError
        A target is a source, by whatever name or link, or is there and not its maker's own.
    """
    read = {_file_of(path) for path in sources if path.exists()}  # a link to nothing will fail when it is read
    taken = []
    for path, maker in targets.items():
        if path.exists() and _file_of(path) in read:
            raise InputError(f"{path} is one of the pictures, and would be written over", "choose another --out")
        if not overwrite and (path.exists() or path.is_symlink()) and not is_made(path, maker):
            taken.append(path)
    if taken:
        more = f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""
        raise InputError(
            f"{taken[0]}{more} is there already, and was not made by this command",
            "choose another --out, or give --overwrite to lose it",
        )


def _file_of(path: Path) -> tuple[int, int]:
    """What is the same under every name of a file."""
    status = path.stat()
    return status.st_dev, status.st_ino
