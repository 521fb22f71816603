"""Where things are, and how they are written so that a killed run never looks finished."""

import csv
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache
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


def yaml_of(what: str, text: str) -> Any:
    """A value written in YAML, of the kinds that JSON has; 1e-3 is a number, as everywhere but in YAML 1.1.

    Parameters
    ----------
    what : str
        What it is the value of, for the error.

    Raises
    ------
    InputError
        Broken YAML, a key that stands twice or is no text, a date, bytes, a set, a number of more than 64 bits, or
        endless nesting.
    """
    import yaml

    try:
        return _plain(what, yaml.load(text, _loader()))
    except yaml.YAMLError as error:
        fault = getattr(error, "problem", "") or getattr(error, "reason", "") or str(error).splitlines()[0]
        mark = getattr(error, "problem_mark", None)
        at = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{what} is not YAML ({fault}{at})", "correct it, or put the text in quotes") from error
    except RecursionError as error:
        raise InputError(f"{what} is nested without end", "write it flatter") from error
    except (ValueError, OverflowError) as error:  # such as the 13th month
        raise InputError(f"{what} is not YAML ({error})", "put the text in quotes") from error


@cache
def _loader() -> type:
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
            seen = set()  # PyYAML would let the last of two equal keys win, without a word
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(problem=f"the key {key.value} stands twice", problem_mark=key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    number = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789"))
    return Loader


def _plain(what: str, value: Any) -> Any:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InputError(f"{what} has the key {key!r}, which is no text", "put it in quotes")
            _plain(f"{what}.{key}", item)
    elif isinstance(value, list):
        for item in value:
            _plain(what, item)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InputError(f"{what} is a number of more than 64 bits", "give a smaller one")
    elif value is not None and not isinstance(value, str | int | float):
        raise InputError(f"{what} is a {type(value).__name__} ({value})", "put it in quotes, as text")
    return value


def sha256(value: bytes | str) -> str:
    """Hexadecimal SHA-256 of bytes or of a text's UTF-8; names of files that are not UTF-8 stand for their bytes."""
    return hashlib.sha256(_bytes(value)).hexdigest()


def _bytes(value: bytes | str) -> bytes:
    return value.encode(errors="surrogateescape") if isinstance(value, str) else value


def file_hash(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, which is never in memory as a whole."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_of(path: Path) -> dict[str, Any] | None:
    """A JSON object from a file; None where there is none, or a damaged one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
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
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        rows = []
    if not rows:
        raise InputError(f"{path} is missing or empty", "results/README.md names the command that makes it")
    return rows


def delimited(path: Path) -> list[tuple[int, list[str]]]:
    """The lines of a table as people save them, with their numbers; blank lines are left out.

    Comma, semicolon, tab or bar separate, whichever parts most lines like the first; UTF-8, UTF-16 or Windows' own
    encoding. Empty cells beyond the first line's are dropped; whoever calls checks that the others are as many.

    Raises
    ------
    InputError
        The file cannot be read, is no text, or leaves a quotation open.
    """
    text = text_of(path)
    first, _, rest = text.partition("\n")
    skipped = 0
    if re.fullmatch(r'"?sep=.\s*"?\s*', first):  # what Excel writes above a table for itself
        text, skipped = rest, 1
    tried, fault = [], None
    for mark in ",;\t|":
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True, skipinitialspace=True)
        try:
            read = [(reader.line_num + skipped, [cell.strip() for cell in cells]) for cells in reader]
        except csv.Error as error:
            fault = fault or f"{error}, line {reader.line_num + skipped}"
            continue
        lines = [(number, cells) for number, cells in read if any(cells)]
        width = len(lines[0][1]) if lines else 0
        alike = sum(len(cells) == width for _, cells in lines)
        tried.append(((width > 1) * alike, width, lines))
    if not tried:
        raise InputError(f"{path} is not a CSV table ({fault})", "quote cells that contain the separator")
    _, width, lines = max(tried, key=lambda each: each[:2])
    return [(number, cells[:width] if not any(cells[width:]) else cells) for number, cells in lines]


def text_of(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16 or Windows' own encoding.

    Raises
    ------
    InputError
        The file cannot be read, or is no text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror})", "give the path of a text file") from error
    encodings = ["utf-8-sig", "cp1252"]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]
    elif b"\0" in data[:4]:
        encodings = ["utf-16-le" if data[1:2] == b"\0" else "utf-16-be"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and (not encoding.startswith("utf-16") or "\n" in text or "\r" in text):
            return text
    raise InputError(f"{path} is not UTF-8 text, nor UTF-16", "save the table as CSV in UTF-8")


def alone(folder: Path) -> "BaseFileLock":
    """A context that holds a folder, which it makes, against other processes; a killed process lets go by itself.

    Who holds it may enter again, in the same thread.
    """
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(_lock_of(folder), is_singleton=True)


def _lock_of(folder: Path) -> str:
    return os.path.join(os.path.abspath(folder), ".lock")


def held(folder: Path) -> bool:
    """Whether someone works in a folder now, `alone`."""
    from filelock import FileLock, Timeout

    if not os.path.exists(_lock_of(folder)):
        return False
    try:
        with FileLock(_lock_of(folder)).acquire(blocking=False):
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
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:40]}.", delete=False) as file:
            temporary = Path(file.name)
            if callable(write):
                write(file)
            else:
                file.write(_bytes(write))
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
