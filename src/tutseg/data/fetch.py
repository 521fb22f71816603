"""Fetch the open files of a data set, resuming what was cut off and checking what arrived.

pooch does the hashing and the moving into place; the transfer itself is here, because pooch's own starts a cut-off
download from nothing.
"""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutseg.data.cards import Download, card
from tutseg.errors import InputError
from tutseg.files import atomic_write, json_of

if TYPE_CHECKING:
    import pooch
    import requests

CHUNK = 1 << 16
RECORD = "fetched.json"
ATTEMPTS = 3
_VALIDATORS = ("etag", "last-modified")
Progress = Callable[[int, int], None]


class ResumingDownloader:
    """A pooch downloader that keeps what has arrived in ``<name>.part`` and asks for the rest (HTTP Range).

    Of which file a part is stands beside it, in ``<name>.part.json``: the server's ETag or date, and the length. Where
    these are another's now, or the server gives none and no hash is known either, the part is fetched anew.

    Parameters
    ----------
    part : Path
        Where the unfinished file lies between attempts.
    progress : callable, optional
        Told (bytes so far, bytes in all; 0 if the server does not say).
    timeout : float
        Seconds without a byte after which an attempt has failed.
    hashed : bool
        Whether a hash will be required of the whole, so that parts of two files joined cannot go unnoticed.
    """

    def __init__(
        self, part: Path, progress: Progress | None = None, timeout: float = 30.0, hashed: bool = False
    ) -> None:
        self.part, self.progress, self.timeout, self.hashed = part, progress, timeout, hashed
        self.origin = part.with_name(f"{part.name}.json")

    def __call__(self, url: str, output_file: str, pooch: "pooch.Pooch") -> None:
        """Fetch `url` into `output_file`.

        Raises
        ------
        InputError
            The server refuses, the transfer was cut off in every attempt (what has arrived is kept), or what arrived
            is not the file (it is not kept).
        """
        import requests
        import urllib3

        self.part.parent.mkdir(parents=True, exist_ok=True)
        if not self.hashed and not any(self._told().get(name) for name in _VALIDATORS):
            self.drop()
        reason = ""
        for _ in range(ATTEMPTS):
            try:
                if self._attempt(url):
                    self._check(url)
                    shutil.copyfile(self.part, output_file)
                    return
                reason = "the transfer was cut off"
            except requests.HTTPError as error:
                raise InputError(
                    f"{url} cannot be fetched ({error})", "see the card for where to ask for it"
                ) from error
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                reason = str(error).splitlines()[0][:200]
            except OSError as error:
                raise InputError(f"cannot write {self.part} ({error.strerror})", "free some space") from error
        raise InputError(
            f"{url} could not be fetched whole in {ATTEMPTS} attempts ({reason})",
            f"run the same command again: it continues from the {self._have()} bytes in {self.part}",
        )

    def drop(self) -> None:
        """Remove what has arrived."""
        self.part.unlink(missing_ok=True)
        self.origin.unlink(missing_ok=True)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _told(self) -> dict[str, Any]:
        """What the server said of the file of which the part is."""
        return json_of(self.origin) or {}

    def _attempt(self, url: str) -> bool:
        """One request for what is missing; whether the file is whole afterwards."""
        import requests

        have, told = self._have(), self._told()
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        strong = [told[name] for name in _VALIDATORS if told.get(name) and not told[name].startswith("W/")]
        if have and strong:
            headers["If-Range"] = strong[0]
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as reply:
            of, length = self._says(reply)
            if reply.status_code in (206, 416) and any(told.get(name, value) != value for name, value in of.items()):
                self.drop()  # a part of what the server had then
                return False
            if have and reply.status_code == 416 and length == have:
                return True  # nothing is missing
            if have and reply.status_code == 416:
                self.drop()  # what lies here is longer than the file: not a part of it
                return False
            reply.raise_for_status()
            if "text/html" in reply.headers.get("Content-Type", "") and not _may_be_page(self._name):
                raise _page(url)
            if reply.status_code == 206 and not reply.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                self.drop()  # what comes does not join on
                return False
            if reply.status_code != 206:
                have = 0  # the server knows no ranges, or has another file now, and sends the whole
            if not have:
                atomic_write(self.origin, json.dumps({"url": url, **of}))
            with self.part.open("ab" if have else "wb") as file:
                while chunk := reply.raw.read1(CHUNK):  # iter_content would lose a chunk that is cut off
                    file.write(chunk)
                    have += len(chunk)
                    if self.progress:
                        self.progress(have, length)
            # without a length the end is only known where chunks are numbered, the hash, or the format has an end
            ended = "chunked" in reply.headers.get("Transfer-Encoding", "") or self.hashed or _has_end(self._name)
        if not length and not ended and have:
            self.drop()
            raise InputError(
                f"{url} comes without a length, so that a cut-off transfer could not be told from a whole one",
                "fetch it with a browser, and compare its size with what the page says",
            )
        return not length or have == length

    def _says(self, reply: "requests.Response") -> tuple[dict[str, Any], int]:
        """What tells the file from another, and its whole length (0: the server does not say)."""
        head = reply.headers
        whole = head.get("Content-Range", "").rpartition("/")[2]
        if reply.status_code == 200:
            whole = head.get("Content-Length", "")
        length = int(whole) if whole.isdigit() else 0
        if reply.status_code == 206 and not whole.isdigit():
            length = self._have() + int(head.get("Content-Length", 0))
        of = {name: head[name] for name in _VALIDATORS if name in head}
        return of | ({"length": length} if length else {}), length

    @property
    def _name(self) -> str:
        return self.part.name.removesuffix(".part")

    def _check(self, url: str) -> None:
        try:
            check_content(self.part, self._name, url)
        except InputError:
            self.drop()
            raise


def _page(where: object) -> InputError:
    return InputError(
        f"{where} is a web page (HTML), not the file", "open the address in a browser: it may ask for a login or moved"
    )


def _may_be_page(name: str) -> bool:
    return name.lower().endswith((".html", ".htm"))


def _has_end(name: str) -> bool:
    """Whether a file's format tells a whole file from a cut one."""
    return name.lower().endswith((".zip", ".npz"))


def check_content(path: Path, name: str, where: object) -> None:
    """Refuse what cannot be the file `name`, whatever a server says.

    Raises
    ------
    InputError
        It is empty, a web page, or an archive without its end.
    """
    if not path.stat().st_size:
        raise InputError(f"{where} is empty (0 bytes)", "try again later, or see the card for where to ask for it")
    with path.open("rb") as file:
        head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html")) and not _may_be_page(name):
        raise _page(where)
    if _has_end(name) and not zipfile.is_zipfile(path):
        raise InputError(f"{where} is no whole archive: its end is missing", "fetch it again")


def fetch_file(
    url: str, folder: Path, name: str, known_hash: str | None = None, progress: Progress | None = None
) -> Path:
    """Fetch one file, or return it if it lies there with the right hash.

    A hash that the publisher states is required; where none is stated, the hash of the first arrival is recorded in
    ``fetched.json`` beside the file and required from then on. An empty file, a web page and a cut archive are refused.

    Parameters
    ----------
    known_hash : str, optional
        ``md5:...`` or ``sha256:...``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        The file cannot be fetched whole, has another hash or is not the file (then it is not kept); or a file lies
        there of which nothing says that it is whole.
    """
    import pooch

    record = _record(folder)
    expected = known_hash or record.get(name, {}).get("hash")
    download = ResumingDownloader(folder / f"{name}.part", progress, hashed=bool(expected))
    if not expected and (folder / name).exists():
        _check_found(folder / name, url, download.timeout)
    try:
        path = Path(pooch.retrieve(url, known_hash=expected, fname=name, path=folder, downloader=download))
    except ValueError as error:  # pooch's word for a wrong hash
        download.drop()
        raise InputError(
            f"{name} from {url} does not have the hash {expected}",
            "fetch it again; if that fails alike, the file was changed by its publisher or on the way: do not use it",
        ) from error
    except OSError as error:
        raise InputError(f"cannot write {folder / name} ({error.strerror})", "free some space") from error
    download.drop()
    found = f"sha256:{pooch.file_hash(str(path), alg='sha256')}"
    if record.get(name, {}).get("hash") != found:
        record[name] = {"url": url, "hash": found, "stated_by_publisher": known_hash}
        atomic_write(folder / RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return path


def _check_found(path: Path, url: str, timeout: float) -> None:
    """Refuse a file that someone put there, if it cannot be the whole one or differs in length from the server's."""
    import requests

    check_content(path, path.name, path)
    have = path.stat().st_size
    try:
        with requests.get(url, headers={"Accept-Encoding": "identity"}, stream=True, timeout=timeout) as reply:
            length = reply.headers.get("Content-Length") if reply.ok else None
    except requests.RequestException:
        length = None
    if length != str(have):
        raise InputError(
            f"{path} lies there with {have} bytes, and the server's has {length or 'a length that it does not say'}",
            "move it away and run the same command again",
        )


def _record(folder: Path) -> dict[str, dict]:
    path = folder / RECORD
    if not path.is_file():
        return {}
    record = json_of(path)
    if record is None or not all(isinstance(entry, dict) for entry in record.values()):
        raise InputError(f"{path} is damaged", "remove it; hashes are then recorded anew")
    return record


def fetch(name: str, folder: Path, progress: Callable[[Download, int, int], None] | None = None) -> list[Path]:
    """Fetch all open files of a data set into `folder`; archives are left for the user to unpack.

    Parameters
    ----------
    progress : callable, optional
        Told (which file, bytes so far, bytes in all).

    Raises
    ------
    InputError
        Unknown name, a data set whose files are not open, or as `fetch_file`.
    """
    chosen = card(name)
    if not chosen.downloads:
        raise InputError(f"data {name} has no open files", f"ask for it at {chosen.ask} ({chosen.licence})")
    return [
        fetch_file(
            file.url,
            folder,
            file.name,
            file.hash,
            (lambda done, of, file=file: progress(file, done, of)) if progress else None,
        )
        for file in chosen.downloads
    ]
