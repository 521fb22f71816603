"""Where things are, and how they are written so that a killed run never looks finished."""

import csv
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tutseg.errors import InputError

if TYPE_CHECKING:
    from filelock import BaseFileLock

_HERE = Path(__file__).resolve().parent


def project_root() -> Path | None:
    """The checkout this package runs from, or None for an installed wheel."""
    root = _HERE.parents[1]
    return root if (root / "_toc.yml").exists() or (root / "pyproject.toml").exists() else None


def knowledge() -> Path:
    """The folder ``data/``: dataset cards, the papers' tables and claims (no images)."""
    root = project_root()
    return root / "data" if root else _HERE / "_data"


def runs_folder() -> Path:
    """Where trials are kept: ``$TUTSEG_RUNS`` or ``runs/`` in the current folder."""
    return Path(os.environ.get("TUTSEG_RUNS", "runs"))


def weights_folder() -> Path:
    """Where the user keeps pretrained files: ``$TUTSEG_WEIGHTS`` or ``weights/`` in the current folder."""
    return Path(os.environ.get("TUTSEG_WEIGHTS", "weights")).expanduser()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, so that equal values have equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256(value: bytes | str) -> str:
    """Hexadecimal SHA-256 of bytes or of a text's UTF-8."""
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()


def file_hash(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, which is never in memory as a whole."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_of(path: Path) -> dict[str, Any] | None:
    """A JSON object from a file; None where there is none, or a damaged one."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def csv_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file of evidence.

    Raises
    ------
    InputError
        No such file, or one without rows.
    """
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        rows = []
    if not rows:
        raise InputError(f"{path} is missing or empty", "results/README.md names the command that makes it")
    return rows


def alone(folder: Path) -> "BaseFileLock":
    """A context that holds a folder, which it makes, against other processes; a killed process lets go by itself."""
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / ".lock")


def held(folder: Path) -> bool:
    """Whether someone works in a folder now, `alone`."""
    from filelock import Timeout

    if not folder.exists():
        return False
    try:
        with alone(folder).acquire(blocking=False):
            return False
    except Timeout:
        return True


def csv_text(rows: list[dict[str, Any]]) -> str:
    """Rows as CSV, a column for every key in the order of first sight; what a row lacks is empty."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def atomic_write(path: Path, write: bytes | str | Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all: temporary neighbour, flush to disk, rename.

    Parameters
    ----------
    path : Path
        Destination; its folder is made.
    write : bytes, str or callable
        The content, or a function that writes it to an open binary file.

    Raises
    ------
    InputError
        The disk is full or the folder cannot be written; the old file, if any, is untouched.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            if callable(write):
                write(file)
            else:
                file.write(write.encode() if isinstance(write, str) else write)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write {path} ({reason})", "free some space or choose another --out") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
