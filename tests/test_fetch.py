"""Downloads against a server on loopback that cuts off, refuses ranges or sends something else."""

import hashlib
import io
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from tutseg.data.cards import Card, Download
from tutseg.data.fetch import ATTEMPTS, fetch, fetch_file
from tutseg.errors import InputError

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Server:
    """What the server does: `cuts` transfers end after `keep` bytes; it may know no ranges; it logs Range headers.

    `how` is "length", "chunked", or "close" for one that says neither; `head` are further headers of each reply. It
    obeys If-Range only if `polite`.
    """

    def __init__(self):
        self.cuts, self.keep, self.ranges, self.content, self.log = 0, 100_000, True, CONTENT, []
        self.how, self.head, self.polite = "length", {}, True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                wanted = self.headers.get("Range")
                outer.log.append(wanted)
                if self.path == "/gone":
                    self.send_error(404)
                    return
                start = int(wanted[6:-1]) if wanted and outer.ranges else 0
                if outer.polite and self.headers.get("If-Range", outer.head.get("ETag")) != outer.head.get("ETag"):
                    start = 0
                if start and start >= len(outer.content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(outer.content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                body = outer.content[start:]
                self.send_response(206 if start else 200)
                for name, value in outer.head.items():
                    self.send_header(name, value)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(outer.content) - 1}/{len(outer.content)}")
                if outer.how == "length":
                    self.send_header("Content-Length", str(len(body)))
                elif outer.how == "chunked":
                    self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                whole = not outer.cuts
                if outer.cuts:
                    outer.cuts -= 1
                    body = body[: outer.keep]
                if outer.how == "chunked":
                    for at in range(0, len(body), 50_000):
                        piece = body[at : at + 50_000]
                        self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    self.wfile.write(b"0\r\n\r\n" if whole else b"")
                else:
                    self.wfile.write(body)
                self.close_connection = True

            protocol_version = "HTTP/1.1"  # chunks are not in 1.0

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/file.bin"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_fetches_with_progress_and_records_the_hash(server, tmp_path):
    steps = []
    path = fetch_file(server.url, tmp_path, "file.bin", progress=lambda done, of: steps.append((done, of)))
    assert path.read_bytes() == CONTENT and steps[-1] == (len(CONTENT), len(CONTENT))
    record = json.loads((tmp_path / "fetched.json").read_text())["file.bin"]
    assert record == {"url": server.url, "hash": SHA, "stated_by_publisher": None}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fetched.json", "file.bin"]


def test_a_fetched_file_is_not_fetched_again(server, tmp_path):
    fetch_file(server.url, tmp_path, "file.bin", SHA)
    fetch_file(server.url, tmp_path, "file.bin", SHA)
    assert len(server.log) == 1


def test_a_cut_off_transfer_is_continued(server, tmp_path):
    server.cuts = 2
    assert fetch_file(server.url, tmp_path, "file.bin", SHA).read_bytes() == CONTENT
    assert server.log == [None, "bytes=100000-", "bytes=200000-"]


def test_what_arrived_survives_to_the_next_command(server, tmp_path):
    server.cuts, server.keep = ATTEMPTS, 50_000
    with pytest.raises(InputError, match="could not be fetched whole") as error:
        fetch_file(server.url, tmp_path, "file.bin", SHA)
    assert "continues from the 150000 bytes" in error.value.remedy
    assert not (tmp_path / "file.bin").exists() and (tmp_path / "file.bin.part").stat().st_size == 150_000
    server.log.clear()
    assert fetch_file(server.url, tmp_path, "file.bin", SHA).read_bytes() == CONTENT
    assert server.log == ["bytes=150000-"]


def test_a_server_without_ranges_sends_the_whole_again(server, tmp_path):
    server.cuts, server.ranges = 1, False
    assert fetch_file(server.url, tmp_path, "file.bin", SHA).read_bytes() == CONTENT


def test_a_whole_part_is_taken_as_it_is(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert fetch_file(server.url, tmp_path, "file.bin", SHA).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    assert fetch_file(server.url, tmp_path, "file.bin", SHA).read_bytes() == CONTENT


def test_a_wrong_hash_leaves_nothing(server, tmp_path):
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(InputError, match="does not have the hash"):
        fetch_file(server.url, tmp_path, "file.bin", SHA)
    assert not list(tmp_path.glob("*"))


def test_a_recorded_hash_is_required_afterwards(server, tmp_path):
    fetch_file(server.url, tmp_path, "file.bin")
    (tmp_path / "file.bin").write_bytes(b"spoilt on disk")
    assert fetch_file(server.url, tmp_path, "file.bin").read_bytes() == CONTENT
    (tmp_path / "file.bin").unlink()
    server.content = CONTENT[::-1]
    with pytest.raises(InputError, match=f"does not have the hash {SHA}"):
        fetch_file(server.url, tmp_path, "file.bin")


def test_md5_of_the_publisher(server, tmp_path):
    md5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    fetch_file(server.url, tmp_path, "file.bin", md5)
    record = json.loads((tmp_path / "fetched.json").read_text())["file.bin"]
    assert record["hash"] == SHA and record["stated_by_publisher"] == md5


def test_refusals_name_the_remedy(server, tmp_path):
    with pytest.raises(InputError, match="404"):
        fetch_file(server.url.replace("file.bin", "gone"), tmp_path, "x")
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(InputError, match="could not be fetched"):
        fetch_file(server.url, tmp_path, "x")
    assert not (tmp_path / "x").exists()


def test_fetch_by_name(server, tmp_path, monkeypatch):
    fields = {"title": "t", "kind": "CT", "citation": [], "licence": "l", "ask": "the page", "tree": "", "counts": {}}
    files = [Download(name="a.bin", url=server.url, hash=SHA), Download(name="b.bin", url=server.url)]
    open_one = Card(name="x", masks=True, groups="", downloads=files, **fields)
    closed = Card(name="y", masks=True, groups="", **fields)
    monkeypatch.setattr("tutseg.data.fetch.card", lambda name: {"x": open_one, "y": closed}[name])
    seen = []
    paths = fetch("x", tmp_path, lambda file, done, of: seen.append((file.name, done == of)))
    assert [path.name for path in paths] == ["a.bin", "b.bin"] and {name for name, _ in seen} == {"a.bin", "b.bin"}
    with pytest.raises(InputError, match="ask for it at the page"):
        fetch("y", tmp_path)


# ---- what must never be recorded as the truth ------------------------------------------------------------------------


def zipped(size: int = 50_000) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", CONTENT[:size])
    return buffer.getvalue()


def nothing_kept(folder):
    return not list(folder.glob("*"))


PAGE = b"\n<!DOCTYPE html>\n<html><body>Please log in</body></html>"


@pytest.mark.parametrize("known", [None, SHA])
@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_is_no_file(server, tmp_path, kind, known):
    server.content, server.head = PAGE, {"Content-Type": kind}
    with pytest.raises(InputError, match="is a web page"):
        fetch_file(server.url, tmp_path, "file.bin", known)
    assert nothing_kept(tmp_path)


def test_a_page_in_between_costs_nothing_of_what_arrived(server, tmp_path):
    server.head, server.cuts = {"ETag": '"1"'}, ATTEMPTS
    server.keep = 50_000
    with pytest.raises(InputError, match="could not be fetched whole"):
        fetch_file(server.url, tmp_path, "file.bin")
    server.content, server.head = PAGE, {"Content-Type": "text/html"}
    with pytest.raises(InputError, match="is a web page"):
        fetch_file(server.url, tmp_path, "file.bin")
    server.content, server.head, server.log = CONTENT, {"ETag": '"1"'}, []
    assert fetch_file(server.url, tmp_path, "file.bin").read_bytes() == CONTENT
    assert server.log == ["bytes=150000-"]


@pytest.mark.parametrize("how", ["length", "chunked", "close"])
def test_an_empty_file_is_refused(server, tmp_path, how):
    server.content, server.how = b"", how
    with pytest.raises(InputError, match="is empty"):
        fetch_file(server.url, tmp_path, "file.bin")
    assert nothing_kept(tmp_path)


def test_a_cut_archive_is_refused_even_where_the_server_calls_it_whole(server, tmp_path):
    server.content = zipped()[:-100]
    with pytest.raises(InputError, match="no whole archive"):
        fetch_file(server.url, tmp_path, "file.zip")
    assert nothing_kept(tmp_path)


def test_without_a_length_a_cut_cannot_go_unnoticed(server, tmp_path):
    server.how = "close"
    with pytest.raises(InputError, match="comes without a length"):
        fetch_file(server.url, tmp_path, "file.bin")
    assert nothing_kept(tmp_path)
    assert fetch_file(server.url, tmp_path, "file.bin", SHA).read_bytes() == CONTENT  # a hash tells
    server.content, server.cuts, server.keep = zipped(), 1, 20_000
    with pytest.raises(InputError, match="no whole archive"):
        fetch_file(server.url, tmp_path, "file.zip")
    assert fetch_file(server.url, tmp_path, "file.zip").read_bytes() == zipped()  # and so does an archive's end


def test_a_cut_in_numbered_chunks_is_seen(server, tmp_path):
    server.how, server.cuts, server.ranges = "chunked", 2, False
    assert fetch_file(server.url, tmp_path, "file.bin").read_bytes() == CONTENT
    assert len(server.log) == 3


@pytest.mark.parametrize("polite", [True, False])
@pytest.mark.parametrize("same_length", [True, False])
def test_a_stale_part_is_not_joined_to_another_file(server, tmp_path, polite, same_length):
    server.head, server.cuts, server.keep, server.polite = {"ETag": '"old"'}, ATTEMPTS, 50_000, polite
    with pytest.raises(InputError, match="could not be fetched whole"):
        fetch_file(server.url, tmp_path, "file.bin")
    server.content = CONTENT[::-1] if same_length else CONTENT[::-1] + b"longer"
    server.head = {"ETag": '"new"'}
    assert fetch_file(server.url, tmp_path, "file.bin").read_bytes() == server.content


def test_a_part_of_another_length_is_not_joined(server, tmp_path):
    """A server without ETag: the length tells; with the hash of the whole required besides."""
    server.cuts, server.keep = ATTEMPTS, 50_000
    with pytest.raises(InputError, match="could not be fetched whole"):
        fetch_file(server.url, tmp_path, "file.bin", SHA)
    server.content = CONTENT + CONTENT[:7]
    server.content = server.content[::-1]
    new = f"sha256:{hashlib.sha256(server.content).hexdigest()}"
    assert fetch_file(server.url, tmp_path, "file.bin", new).read_bytes() == server.content


def test_a_part_of_which_nothing_is_known_is_fetched_anew(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"what was this?")
    assert fetch_file(server.url, tmp_path, "file.bin").read_bytes() == CONTENT
    assert server.log == [None]


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "is empty"), (PAGE, "is a web page"), (CONTENT[:999], "999 bytes")]
)
def test_a_file_that_lies_there_is_not_believed_either(server, tmp_path, content, words):
    (tmp_path / "file.bin").write_bytes(content)
    with pytest.raises(InputError, match=words):
        fetch_file(server.url, tmp_path, "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == content and not (tmp_path / "fetched.json").exists()


def test_a_whole_file_that_lies_there_is_taken(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(CONTENT)
    fetch_file(server.url, tmp_path, "file.bin")
    assert json.loads((tmp_path / "fetched.json").read_text())["file.bin"]["hash"] == SHA


@pytest.mark.parametrize("text", ["", "[]", '{"file.bin": 3}', "{"])
def test_a_damaged_record_is_named(server, tmp_path, text):
    (tmp_path / "fetched.json").write_text(text)
    with pytest.raises(InputError, match=r"fetched\.json is damaged"):
        fetch_file(server.url, tmp_path, "file.bin")
