"""Fetch the open files of a data set, resuming what was cut off and checking what arrived.

pooch does the hashing and the moving into place; the transfer itself is here, because pooch's own starts a cut-off
download from nothing.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tutseg.data.cards import Download, card
from tutseg.errors import InputError
from tutseg.files import atomic_write

if TYPE_CHECKING:
    import pooch

CHUNK = 1 << 16
RECORD = "fetched.json"
ATTEMPTS = 3
Progress = Callable[[int, int], None]


class ResumingDownloader:
    """A pooch downloader that keeps what has arrived in ``<name>.part`` and asks for the rest (HTTP Range).

    Parameters
    ----------
    part : Path
        Where the unfinished file lies between attempts.
    progress : callable, optional
        Told (bytes so far, bytes in all; 0 if the server does not say).
    timeout : float
        Seconds without a byte after which an attempt has failed.
    """

    def __init__(self, part: Path, progress: Progress | None = None, timeout: float = 30.0) -> None:
        self.part, self.progress, self.timeout = part, progress, timeout

    def __call__(self, url: str, output_file: str, pooch: "pooch.Pooch") -> None:
        """Fetch `url` into `output_file`.

        Raises
        ------
        InputError
            The server refuses, or the transfer was cut off in every attempt; what has arrived is kept.
        """
        import requests
        import urllib3

        self.part.parent.mkdir(parents=True, exist_ok=True)
        reason = ""
        for _ in range(ATTEMPTS):
            try:
                if self._attempt(url):
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

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _attempt(self, url: str) -> bool:
        """One request for what is missing; whether the file is whole afterwards."""
        import requests

        have = self._have()
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as reply:
            if reply.status_code == 416 and reply.headers.get("Content-Range") == f"bytes */{have}":
                return True  # nothing is missing
            if reply.status_code == 416:
                self.part.unlink()  # what lies here is longer than the file: not a part of it
                return False
            reply.raise_for_status()
            if reply.status_code != 206:
                have = 0  # the server knows no ranges and sends the whole
            length = int(reply.headers.get("Content-Length", 0))
            total = have + length if length else 0
            with self.part.open("ab" if have else "wb") as file:
                while chunk := reply.raw.read1(CHUNK):  # iter_content would lose a chunk that is cut off
                    file.write(chunk)
                    have += len(chunk)
                    if self.progress:
                        self.progress(have, total)
        return not total or have == total


def fetch_file(
    url: str, folder: Path, name: str, known_hash: str | None = None, progress: Progress | None = None
) -> Path:
    """Fetch one file, or return it if it lies there with the right hash.

    A hash that the publisher states is required; where none is stated, the hash of the first arrival is recorded in
    ``fetched.json`` beside the file and required from then on.

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
        The file cannot be fetched whole, or has another hash (then it is not kept).
    """
    import pooch

    record = _record(folder)
    expected = known_hash or record.get(name, {}).get("hash")
    part = folder / f"{name}.part"
    try:
        path = Path(
            pooch.retrieve(
                url, known_hash=expected, fname=name, path=folder, downloader=ResumingDownloader(part, progress)
            )
        )
    except ValueError as error:  # pooch's word for a wrong hash
        part.unlink(missing_ok=True)
        raise InputError(
            f"{name} from {url} does not have the hash {expected}",
            "fetch it again; if that fails alike, the file was changed by its publisher or on the way: do not use it",
        ) from error
    except OSError as error:
        raise InputError(f"cannot write {folder / name} ({error.strerror})", "free some space") from error
    part.unlink(missing_ok=True)
    found = f"sha256:{pooch.file_hash(str(path), alg='sha256')}"
    if record.get(name, {}).get("hash") != found:
        record[name] = {"url": url, "hash": found, "stated_by_publisher": known_hash}
        atomic_write(folder / RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return path


def _record(folder: Path) -> dict[str, dict]:
    path = folder / RECORD
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error})", "remove it; hashes are then recorded anew") from error


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
