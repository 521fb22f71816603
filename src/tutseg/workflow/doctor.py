"""What ``tutseg doctor`` finds: versions, device, data, room on the disk, the notebooks' pairs."""

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tutseg.data.cards import list_data
from tutseg.errors import InputError
from tutseg.files import project_root, runs_folder

OPTIONAL = ("papermill", "jupyter-book", "snakemake")
PARTS = ("torch", "torchvision", "timm", "kornia", "lightning", "scikit-learn", *OPTIONAL)


def _row(state: str, name: str, found: str, remedy: str = "") -> dict[str, Any]:
    return {"name": name, "state": state, "found": found, "remedy": remedy}


def _package(name: str) -> dict[str, Any]:
    try:
        return _row("ok", name, version(name))
    except PackageNotFoundError:
        return _row("note" if name in OPTIONAL else "fault", name, "not installed", "make setup")


def _device() -> dict[str, Any]:
    try:
        import torch
        import torchvision  # noqa: F401  (a build for another torch fails here)
    except (ImportError, RuntimeError, OSError) as error:
        return _row("fault", "device", str(error).splitlines()[0], "make setup: torch and torchvision must be one pair")
    if torch.cuda.is_available():
        return _row("ok", "device", torch.cuda.get_device_name())
    return _row("ok", "device", f"cpu ({os.cpu_count()} cores; threads a process: {torch.get_num_threads()})")


def _data() -> list[dict[str, Any]]:
    root = os.environ.get("TUTSEG_DATA")
    if not root:
        return [
            _row("note", "TUTSEG_DATA", "not set", "set it to the folder of the real data sets; the book needs none")
        ]
    here = [row["name"] for row in list_data(root) if row["state"] == "here"]
    broken = [_row("fault", row["name"], row["get"], "") for row in list_data(root) if row["state"] == "broken"]
    return [_row("ok", "TUTSEG_DATA", f"{root}: {', '.join(here) or 'nothing known'}"), *broken]


def _pairs() -> dict[str, Any]:
    from tutseg.workflow.notebooks import check_pairs

    try:
        faults = check_pairs()
    except InputError as error:
        return _row("note", "notebooks", error.what, error.remedy)
    if faults:
        return _row("fault", "notebooks", faults[0], "python -m tutseg.workflow.notebooks")
    return _row("ok", "notebooks", "every .py and .ipynb agree")


def examine() -> list[dict[str, Any]]:
    """One row a finding: ``name``, ``state`` (ok, note or fault), ``found``, ``remedy``."""
    python = ".".join(map(str, sys.version_info[:3]))
    free = shutil.disk_usage(project_root() or ".").free / 2**30
    return [
        _row("ok" if sys.version_info >= (3, 11) else "fault", "python", python, ""),
        *map(_package, PARTS),
        _device(),
        *_data(),
        _row("ok" if free > 5 else "note", "disk", f"{free:.0f} GiB free; runs go to {runs_folder()}"),
        _pairs(),
    ]
