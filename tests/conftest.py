"""What several test files share: the command line in this process, a folder of drawn pictures, finished trials."""

import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tutseg as _first  # noqa: F401  isort: skip (before NumPy and torch read their number of threads)
import numpy as np
import pytest
from finished import write_run
from PIL import Image

# Whatever a shell starts in the background ignores Ctrl-C, and so do its children; the tests of Ctrl-C need it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def tutseg(tmp_path, monkeypatch, capsys) -> Callable[..., Said]:
    """``tutseg("train", "cps", ...)``: the command line, run in this process and in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUTSEG_DATA", raising=False)
    monkeypatch.delenv("TUTSEG_RUNS", raising=False)

    def call(*words: object) -> Said:
        from tutseg.cli import main

        capsys.readouterr()
        with monkeypatch.context() as patch, warnings.catch_warnings(), pytest.raises(SystemExit) as exit:
            warnings.simplefilter("default")
            patch.setattr(sys, "argv", ["tutseg", *(str(word) for word in words)])
            main()
        said = capsys.readouterr()
        return Said(exit.value.code or 0, said.out, said.err)

    return call


@pytest.fixture
def write_pictures() -> Callable[..., Path]:
    """``write_pictures(folder, count=12, size=(48, 40))`` makes a folder data set and returns the folder."""
    return _write_pictures


def _write_pictures(folder: Path, count: int = 12, size: tuple[int, int] = (48, 40), seed: int = 0) -> Path:
    """A folder data set: ``images/*.jpg`` (W x H = `size`) of dark ellipses on noise, and ``masks/*.png``."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    y, x = np.mgrid[: size[1], : size[0]]
    for i in range(count):
        cy, cx = rng.uniform(0.35, 0.65, 2) * size[::-1]
        mask = ((x - cx) / (0.3 * size[0])) ** 2 + ((y - cy) / (0.25 * size[1])) ** 2 < 1
        coarse = rng.integers(120, 255, (5, 5, 3), np.uint8)
        image = np.asarray(Image.fromarray(coarse).resize(size)) // (1 + mask[..., None])
        Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"p{i:02d}.jpg", quality=95)
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / f"p{i:02d}.png")
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch) -> Callable[..., object]:
    """`finished.write_run` into a folder of the test."""
    monkeypatch.setenv("TUTSEG_RUNS", str(tmp_path / "runs"))
    return lambda level=0.0, **fields: write_run(tmp_path / "runs", level, **fields)


@pytest.fixture
def collected(run, tmp_path) -> Callable[..., tuple]:
    """The evidence of the trials given, through `write_evidence`, without the runs."""
    from tutseg.training.evidence import read_evidence, write_evidence

    def collect(*trials, name="spec"):
        write_evidence([("", trial) for trial in trials], tmp_path / "results" / "paper" / name)
        return read_evidence(tmp_path / "results", runs=False)

    return collect
