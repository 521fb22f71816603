"""Values that nobody can want, streams that nobody can write to, no memory: one line, and no traceback."""

import json
import os
import random
import subprocess
import sys

import pytest
import torch
import typer

from tutseg.cli import app
from tutseg.errors import InputError, as_input_error, printable
from tutseg.files import yaml_of
from tutseg.training.spec import read_spec

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
        ("{a: 1, b: 2, a: 3}", "the key a stands twice in line 1, column 14"),
        ("{a: {b: 1, b: 1}}", "the key b stands twice"),
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
    said = shell("methods", stdout=subprocess.PIPE, env=environment)
    assert said.returncode == 0 and said.stderr == b"" and said.stdout.isascii() and b"dme-fd" in said.stdout
    said = shell("audit", os.fsencode(tmp_path) + b"/\xff\n\xe9.csv", env=environment)
    assert said.returncode == 2 and said.stderr.isascii() and said.stderr.count(b"\n") == 1


def no_memory() -> None:
    bytearray(2**62)


def no_memory_of_torch() -> None:
    torch.empty(2**55)


@pytest.mark.parametrize("spend", [no_memory, no_memory_of_torch])
def test_no_memory_is_one_line(tutseg, monkeypatch, spend):
    monkeypatch.setattr("tutseg.methods.method_table", spend)
    said = tutseg("methods")
    assert said.code == 2 and said.err.count("\n") == 1 and "not enough memory" in said.err


def test_a_fault_of_the_program_is_not_taken_for_the_users():
    assert as_input_error(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert as_input_error(KeyError("net")) is None
    assert as_input_error(error := InputError("a", "b")) is error


def test_what_is_printed_is_one_line_whatever_it_names():
    assert printable("a\nb\r\x1b[1m\udcff é '") == "a\\nb\\r\\x1b[1m\\udcff é '"
    assert str(InputError("x\ny", "z")) == "x\\ny: z"


# ------------------------------------------------------------------------------------------------ specs that cannot run

TINY = {"data": "synth", "net": "unet-s", "size": 32, "steps": 1, "batch": 2, "data_options": {"n": 20, "size": 32}}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"defaults": {"data": "isic2018x"}}, "did you mean isic2018"),
        ({"defaults": {"test_data": "isic2018x"}}, "did you mean isic2018"),
        ({"defaults": {"size": 40}}, "size 40 does not fit net unet-s"),
        ({"grid": {"method": ["cps"], "options": [{"tao": 1}]}}, "unknown option of method cps 'tao'"),
        ({"grid": {"method": ["dme-fd"], "options": [{"tau": "abc"}]}}, "tau = 'abc'"),
        ({"defaults": {"data_options": {"n": "many"}}}, "data synth: n = 'many'"),
        ({"defaults": {"data_options": {"clinic": "z"}}}, "unknown clinic 'z'"),
        ({"defaults": {"data": "isic2018", "data_options": {"part": 3}}}, "data isic2018: part = 3"),
        ({"grid": {"method": ["supervised", "s3-net"]}}, "s3-net"),
        ({"defaults": {"steps": 1, "labelled": 0.1}, "grid": {"method": ["k-means"]}}, "k-means"),
        ({"grid": {"method": ["sam-kd"]}}, "sam-kd"),
    ],
)
def test_a_dry_run_refuses_what_cannot_run(tutseg, tmp_path, spec, says):
    whole = {"grid": {"method": ["supervised"]}, **spec, "defaults": TINY | spec.get("defaults", {})}
    (tmp_path / "s.yaml").write_text(json.dumps(whole))
    said = tutseg("grid", "s.yaml", "--dry-run")
    assert said.code == 2 and said.err.count("\n") == 1 and says in said.err and not said.out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: 2024-01-01", "name is a date"),
        ("name: 3", "name is 3"),
        ("name: ../x", "names a folder"),
        ("paper: 1.5", "paper is 1.5"),
        ("about: [a]", "about is"),
        ("also: {grid: {}}", "also is"),
        ("also: [3]", "'3' is no block"),
        ("also: [{name: 3}]", "name is 3"),
        ("defaults: 3", "defaults is 3"),
        ("defaults: {options: 3}", "3 is no mapping"),
        ("defaults: {inputs: 3}", "3 is no mapping"),
        ("defaults: {data_options: 3}", "data_options"),
        ("defaults: {1: 2}", "key 1"),
        ("grid: {method: [[a]]}", "trial field method"),
        ("grid: {method: [{a: 1}]}", "trial field method"),
        ("grid: {method: [cps], seed: [{a: 1}]}", "trial field seed"),
        ("grid: {method: [cps], 2026-01-01: [1]}", "no text"),
        ("scales: {a: 3}", "3 is no mapping"),
        ("scales: {a: {only: 3}}", "only is 3"),
        ("scales: {a: {options_of: 3}}", "options_of is 3"),
        ("scales: {a: {rows: [3]}}", "rows is [3]"),
        ("scales: {a: {grid: 3}}", "grid is 3"),
        ("keep: {a: dice}", "keep has 'a'"),
        ("maps: -1", "maps is -1"),
        ("maps: true", "maps is True"),
        ("x: &a [*a]", "nested without end"),
        ("\t", "not YAML"),
        ("a: b: c", "not YAML"),
    ],
)
def test_a_spec_of_other_types_is_one_line(tutseg, tmp_path, text, says):
    whole = text if "grid:" in text else f"{text}\ngrid: {{method: [cps]}}"
    (tmp_path / "s.yaml").write_text(whole)
    said = tutseg("grid", "s.yaml", "--dry-run", *(["--scale", "a"] if "scales" in text else []))
    assert said.code == 2 and said.err.count("\n") == 1 and says in said.err, said


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_spec_in_another_encoding_is_one_line(tutseg, tmp_path, encoding):
    (tmp_path / "s.yaml").write_bytes("about: Läsion\ngrid: {method: [cps]}".encode(encoding))
    said = tutseg("grid", "s.yaml", "--dry-run")
    assert said.code == 2 and said.err.count("\n") == 1 and "UTF-8" in said.err


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b'{"error": 3}', b"\xff", b"{}", b'{"id": "ID"}', b"[" * 9999]
)
@pytest.mark.parametrize("name", ["result.json", "failed.json"])
def test_a_damaged_record_of_a_run_is_no_traceback(tutseg, tmp_path, name, content):
    (tmp_path / "s.yaml").write_text(json.dumps({"defaults": TINY, "grid": {"method": ["supervised"]}}))
    (trial,) = read_spec(tmp_path / "s.yaml").trials
    folder = tmp_path / "runs" / trial.id
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content.replace(b"ID", trial.id.encode()))
    said = tutseg("grid", "s.yaml", "--status", "--json")
    assert said.code == 0 and json.loads(said.out)[0]["done"] == 0
    said = tutseg("grid", "s.yaml", "--collect", "out")
    assert said.code == 2 and said.err.count("\n") == 1


def test_a_batch_of_one_at_the_smallest_size_is_one_line(tutseg):
    small = ["--net", "mobilenet-unet", "--size", 32, "--batch", 1, "--steps", 1, "--labelled", 0.2]
    said = tutseg("train", "supervised", *small, "-d", "n=20", "-d", "size=32")
    assert said.code == 2 and said.err.count("\n") == 1 and "--batch 2" in said.err


# ------------------------------------------------------------------------------------------------------ any junk at all

JUNK = (
    "", " ", "-", "--", "-1", "0", "nan", "-inf", "1e400", "²", "9" * 30, "[", "{", "'", "=", "=1", "a=[", "a=b",
    "tau=abc", "size=abc", "n=-5", "seed=-1", "seed=1e400", "lr=.nan", "n=2026-13-01", "a=!!binary x", "a=&a [*a]",
    "\n", "\udcff", "\x1b[31m", "é", "../..", "/dev/null", "/dev/full/x", ".", "x" * 300, "{}", "0/0", "1/0", "k/n",
    "null", "true", "2026-01-01", "{0}", "%s", "*", "~", "$HOME", "a,b", "synth", "cuda:9", "😀",
)  # fmt: skip
WORDS = {  # a command that ends soon whatever is changed about it
    "train": ["otsu", "-d", "n=2", "-d", "size=32", "--size", "32"],
    "predict": ["nowhere", "here", "--out", "out"],
    "segment": ["otsu", "here", "--out", "out", "--size", "32"],
    "score": ["here", "here"],
    "grid": ["s.yaml", "--dry-run"],
    "book": ["--only", "no-chapter"],
    "run": ["no-chapter"],
    "data verify": ["synth"],
    "data show": ["synth", "--n", "1", "--out", "out.png"],
    "data fetch": ["no-data", "--out", "out"],
    "data synth": ["--n", "1", "--size", "32", "--out", "out"],
    "data init": ["here"],
    "table": ["dme-fd", "1"],
    "labs build": ["no-lab"],
    "labs grade": ["nowhere"],
    "labs simulate": ["no-lab"],
}
SLOW_TO_ANSWER = {"claims", "doctor", "data verify", "labs bundle", "labs check"}


def commands(group, *names: str):
    """Every command of the program, by its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)
        else:
            yield " ".join((*names, name)), command


def junk_line(draw: int) -> list[str]:
    """A command with one to three of its options or arguments set to junk."""
    chance = random.Random(draw)
    every = [each for each in commands(typer.main.get_command(app)) if each[0] not in SLOW_TO_ANSWER]
    name, command = every[draw % len(every)]
    words = list(WORDS.get(name, []))
    options = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
    for _ in range(chance.randint(1, 3)):
        junk = (
            chance.choice(JUNK) if chance.random() < 0.8 else "".join(chr(chance.randint(1, 0x2FF)) for _ in range(5))
        )
        option = chance.choice([*options, None])
        if option is None:
            words.insert(chance.randint(0, len(words)), junk)
        elif option.is_flag:
            words.append(option.opts[0])
        else:
            words += [option.opts[0], junk]
    return [*name.split(), *words]


def meet_junk(tutseg, folder, draws) -> None:
    (folder / "s.yaml").write_text(json.dumps({"defaults": TINY, "grid": {"method": ["otsu", "k-means"]}}))
    for draw in draws:
        words = junk_line(draw)
        said = tutseg(*words)  # a traceback would be an exception here
        assert said.code in (0, 1, 2), (draw, words)
        assert "Traceback" not in said.err, (draw, words)
        assert said.code == 0 or said.err or said.out, (draw, words)


def test_junk_in_any_option_is_no_traceback(tutseg, tmp_path, write_pictures):
    write_pictures(tmp_path / "here/images", count=2)
    meet_junk(tutseg, tmp_path, range(40))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_much_junk_in_any_option_is_no_traceback(tutseg, tmp_path, write_pictures, part):
    write_pictures(tmp_path / "here/images", count=2)
    meet_junk(tutseg, tmp_path, range(100 + 50 * part, 150 + 50 * part))
