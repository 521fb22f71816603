"""Downloads against a server on loopback that cuts off, refuses ranges or sends something else."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from tutseg.data.cards import Card, Download
from tutseg.data.fetch import ATTEMPTS, fetch, fetch_file
from tutseg.errors import InputError

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Server:
    """What the server does: `cuts` transfers end after `keep` bytes; it may know no ranges; it logs Range headers."""

    def __init__(self):
        self.cuts, self.keep, self.ranges, self.content, self.log = 0, 100_000, True, CONTENT, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                wanted = self.headers.get("Range")
                outer.log.append(wanted)
                if self.path == "/gone":
                    self.send_error(404)
                    return
                start = int(wanted[6:-1]) if wanted and outer.ranges else 0
                if start >= len(outer.content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(outer.content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                body = outer.content[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if outer.cuts:
                    outer.cuts -= 1
                    body = body[: outer.keep]
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/file.bin"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


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
