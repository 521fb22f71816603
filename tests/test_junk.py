"""Values that nobody can want, streams that nobody can write to, no memory: one line, and no traceback."""

import os
import subprocess
import sys

import pytest
import torch

from tutseg.errors import InputError, as_input_error, printable
from tutseg.files import yaml_of

MAIN = "from tutseg.cli import main; main()"


def shell(*words: str, **options) -> subprocess.CompletedProcess:
    """The command line in a process of its own."""
    return subprocess.run([sys.executable, "-c", MAIN, *words], stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("[", "not YAML"),
        ("{a", "not YAML"),
        ("'", "not YAML"),
        ("a: b: c", "not YAML"),
        ("\x07", "not YAML"),
        ("&a [*a]", "nested without end"),
        ("[" * 500, "nested without end"),
        ("2026-13-01", "month must be in 1..12"),
        ("2026-12-01", "is a date"),
        ("!!binary aGk=", "is a bytes"),
        ("!!set {a}", "is a set"),
        ("!!python/object:os.system {}", "not YAML"),
        ("{1: 2}", "key 1"),
        ("{a: {b: 2026-12-01}}", "x.a.b is a date"),
        (str(2**63), "64 bits"),
        (hex(10**5000), "64 bits"),
    ],
)
def test_a_value_that_is_no_value_is_one_line(tutseg, value, says):
    said = tutseg("train", "k-means", "-o", f"x={value}")
    assert said.code == 2 and said.err.count("\n") == 1 and said.out == ""
    assert says in said.err and "option x" in said.err


def test_a_number_is_a_number_however_it_is_written():
    values = {"1e-3": 1e-3, "2E5": 2e5, "-1e3": -1e3, "1.5e-3": 1.5e-3, "3": 3, "1e": "1e", "e3": "e3", "v1e3": "v1e3"}
    for text, value in values.items():
        assert yaml_of("x", text) == value and type(yaml_of("x", text)) is type(value)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_an_output_that_takes_nothing_is_one_line():
    with open("/dev/full", "w") as full:
        said = shell("methods", stdout=full)
    assert said.returncode == 2 and said.stderr.count(b"\n") == 1 and b"No space left on device" in said.stderr
    with open("/dev/full", "w") as full:
        assert subprocess.run([sys.executable, "-c", MAIN, "nothing"], stderr=full).returncode == 2


def test_a_terminal_that_has_no_letters_gets_ascii(tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    said = shell("methods", "dme-fd", stdout=subprocess.PIPE, env=environment)
    assert said.returncode == 0 and said.stderr == b"" and said.stdout.isascii() and b"-o tau=" in said.stdout
    said = shell("audit", os.fsencode(tmp_path) + b"/\xff\n\xe9.csv", env=environment)
    assert said.returncode == 2 and said.stderr.isascii() and said.stderr.count(b"\n") == 1


def no_memory() -> None:
    bytearray(2**62)


def no_memory_of_torch() -> None:
    torch.empty(2**55)


@pytest.mark.parametrize("spend", [no_memory, no_memory_of_torch])
def test_no_memory_is_one_line(tutseg, monkeypatch, spend):
    monkeypatch.setattr("tutseg.training.run.run_trial", lambda *_: spend())
    said = tutseg("train", "k-means")
    assert said.code == 2 and said.err.count("\n") == 1 and "not enough memory" in said.err


def test_a_fault_of_the_program_is_not_taken_for_the_users():
    assert as_input_error(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert as_input_error(KeyError("net")) is None
    assert as_input_error(error := InputError("a", "b")) is error


def test_what_is_printed_is_one_line_whatever_it_names():
    assert printable("a\nb\r\x1b[1m\udcff é '") == "a\\nb\\r\\x1b[1m\\udcff é '"
    assert str(InputError("x\ny", "z")) == "x\\ny: z"
