"""Chapters as pairs of files: the ``.py`` that people edit, the ``.ipynb`` made from it, and papermill to run them."""

import ast
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import nbformat
import yaml

from tutseg.errors import InputError, unknown
from tutseg.files import atomic_write, canonical_json, project_root, sha256
from tutseg.workflow.freshness import inputs, stamp

KERNEL = "tutseg"
CODE_WIDTH = 90  # characters of a code cell that stand beside the page's contents (notebooks/ruff.toml)


class BookFailed(Exception):
    """The book could not be made: a cell raised, the renderer warned, or a page loads something from outside."""


def folder() -> Path:
    """The checkout's ``notebooks/``."""
    root = project_root()
    if root is None or not (root / "_toc.yml").exists():
        raise InputError("the book's sources are not here", "clone the repository and install it with `make setup`")
    return root / "notebooks"


def chapters() -> list[Path]:
    """The notebooks of ``_toc.yml``, in reading order."""
    toc = yaml.safe_load((folder().parent / "_toc.yml").read_text())
    entries = [entry for part in toc["parts"] for entry in part["chapters"]]
    names = [entry["file"] for entry in entries for entry in (entry, *entry.get("sections", ()))]
    return [folder().parent / f"{name}.ipynb" for name in names if name.startswith("notebooks/")]


def choose(names: Sequence[str]) -> list[Path]:
    """The chapters meant by names, their numbers (``01``), unique beginnings or paths; all of them for no names.

    Raises
    ------
    InputError
        A name fits no chapter or several.
    """
    known = {path.stem: path for path in chapters()}
    chosen = []
    for name in names:
        stem = Path(name).stem
        exact = [each for each in known if stem in (each, each.partition("_")[0])]
        fits = exact or [each for each in known if each.startswith(stem)]
        if len(fits) != 1:
            raise unknown("chapter", name, known)
        chosen.append(known[fits[0]])
    return [path for path in known.values() if path in chosen or not names]


# Pairs ------------------------------------------------------------------------------------------------------------


def _cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(cell.cell_type, cell.source.strip(), tuple(cell.metadata.get("tags", []))) for cell in notebook.cells]


def check_pairs(where: Path | None = None) -> list[str]:
    """What separates the two files of each pair: one line a fault, none when every pair holds.

    Compared are the cells' types, stripped sources and tags; beyond that an ``.ipynb`` must carry no outputs, and no
    code is wider than a page shows.
    """
    import jupytext

    where = where or folder()
    faults = []
    scripts, notebooks = ({path.stem for path in where.glob(f"*.{ending}")} for ending in ("py", "ipynb"))
    faults += [f"{name}.py has no .ipynb: tutseg.workflow.notebooks.sync() makes it" for name in scripts - notebooks]
    faults += [f"{name}.ipynb has no .py" for name in notebooks - scripts]
    for name in sorted(scripts & notebooks):
        page = nbformat.read(where / f"{name}.ipynb", as_version=4)
        left, right = _cells(jupytext.read(where / f"{name}.py", fmt="py:percent")), _cells(page)
        if left != right:
            at = next(i for i, (a, b) in enumerate(zip_longest(left, right), 1) if a != b)
            faults.append(f"{name}: cell {at} differs between .py and .ipynb")
        if any(cell.get("outputs") or cell.get("execution_count") for cell in page.cells):
            faults.append(f"{name}.ipynb carries outputs")
        for at, (kind, source, _) in enumerate(left, 1):
            widest = max(map(len, source.split("\n")))
            if kind == "code" and widest > CODE_WIDTH:
                faults.append(f"{name}: cell {at} is {widest} characters wide, a page shows {CODE_WIDTH}")
    return faults


def bare(script: Path) -> nbformat.NotebookNode:
    """The notebook of a ``.py``: no outputs, least metadata, a cell's id follows from its source."""
    import jupytext

    notebook = jupytext.read(script, fmt="py:percent")
    ids: dict[str, int] = {}
    for cell in notebook.cells:
        name = sha256(cell.cell_type + cell.source)[:8]
        ids[name] = ids.get(name, 0) + 1
        cell.id = name if ids[name] == 1 else f"{name}-{ids[name]}"
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
    notebook.metadata = {
        "jupytext": {"formats": "ipynb,py:percent"},
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return nbformat.from_dict(notebook)


def sync(where: Path | None = None) -> list[Path]:
    """Write each ``.ipynb`` from its ``.py``, `bare`.

    Returns
    -------
    list of Path
        The notebooks whose text changed.
    """
    written = []
    for script in sorted((where or folder()).glob("*.py")):
        text = nbformat.writes(bare(script)) + "\n"
        target = script.with_suffix(".ipynb")
        if not target.exists() or target.read_text() != text:
            atomic_write(target, text)
            written.append(target)
    return written


# Execution --------------------------------------------------------------------------------------------------------


def _parameter_names(notebook: nbformat.NotebookNode) -> list[str]:
    """Names assigned in the cell tagged ``parameters``."""
    cell = next((cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])), None)
    body = ast.parse(cell.source).body if cell else []
    return [target.id for node in body if isinstance(node, ast.Assign) for target in node.targets]


@contextmanager
def kernel(root: Path):
    """A kernel of this very Python, known to Jupyter for as long as the context lasts; yields its list of reads."""
    with tempfile.TemporaryDirectory() as scratch:
        argv = [
            sys.executable,
            "-W",
            "ignore::FutureWarning",
            "-m",
            "tutseg.workflow.kernel",
            "-f",
            "{connection_file}",
            "--log-level=ERROR",
        ]
        spec = {"argv": argv, "display_name": KERNEL, "language": "python"}
        atomic_write(Path(scratch) / "kernels" / KERNEL / "kernel.json", canonical_json(spec))
        log = Path(scratch) / "read"
        log.touch()
        setting = {
            "JUPYTER_PATH": os.pathsep.join(filter(None, [scratch, os.environ.get("JUPYTER_PATH")])),
            "TUTSEG_ROOT": str(root),
            "TUTSEG_READ_LOG": str(log),
            "TUTSEG_RUNS": os.environ.get("TUTSEG_RUNS", str(root / "runs")),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        before = {name: os.environ.get(name) for name in setting}
        os.environ.update(setting)
        try:
            yield log
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def machine() -> str:
    """The computer in a few words: cores, GPU if there is one, Python."""
    gpu = ""
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        answer = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
        gpu = f", {len(answer)} x {answer[0]}" if answer else ""
    return f"{os.cpu_count()} CPU cores{gpu}, Python {platform.python_version()}"


def execute(notebook: Path, profile: str, parameters: dict[str, Any], target: Path) -> None:
    """Run one chapter with papermill; `target` appears only if every cell ran, stamped with what it was made from.

    The kernel's folder is ``notebooks/``, as in Jupyter. ``PROFILE`` is passed as a parameter where it is not the
    notebook's own value.

    Raises
    ------
    InputError
        A parameter that the notebook's ``parameters`` cell does not name.
    BookFailed
        A cell raised; the notebook as far as it came stands beside `target`, named ``<name>.failed.ipynb``.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    page = nbformat.read(notebook, as_version=4)
    names = _parameter_names(page)
    for name in parameters:
        if name not in names:
            raise unknown(f"parameter of {notebook.stem}", name, names)
    before = inputs(notebook, profile, parameters)
    given = {**({} if profile == "lab" else {"PROFILE": profile}), **parameters}
    partial = target.with_suffix(".failed.ipynb")
    partial.parent.mkdir(parents=True, exist_ok=True)
    with kernel(notebook.resolve().parents[1]) as log:
        try:
            executed = papermill.execute_notebook(
                notebook, partial, given, kernel_name=KERNEL, progress_bar=False, cwd=notebook.parent
            )
        except PapermillExecutionError as error:
            raise BookFailed(f"{notebook.name}: {error.ename}: {error.evalue.strip()}\n{partial}") from error
        read = sorted(set(log.read_text().split("\n")) - {""})
    files = inputs(notebook, profile, parameters, read)
    # A source edited while the page ran must leave it stale: what was known before the run counts.
    files |= {name: before[name] for name in before}
    executed.metadata["tutseg"] = {
        "profile": profile,
        "parameters": parameters,
        "read": read,
        "inputs": files,
        "stamp": stamp(files),
        "machine": machine(),
        "seconds": round(executed.metadata.papermill.duration, 1),
    }
    atomic_write(target, nbformat.writes(executed))
    partial.unlink()


def run(names: Sequence[str], profile: str = "lab", parameters: dict[str, Any] | None = None, out: Path | None = None):
    """Execute chapters, papermill only; the book is not touched.

    Parameters
    ----------
    names : sequence of str
        Chapters, as `choose` takes them.
    profile : str
        ``lab``, ``gpu`` or ``paper``.
    parameters : dict, optional
        Values for names of the ``parameters`` cell.
    out : Path, optional
        Folder for the executed notebooks; ``_build/runs/<profile>`` if not given.

    Returns
    -------
    list of Path
        The executed notebooks.
    """
    out = out or folder().parent / "_build" / "runs" / profile
    if out.resolve() == folder().resolve():
        raise InputError(f"{out} holds the notebooks themselves", "choose another --out")
    done = []
    for notebook in choose(names):
        execute(notebook, profile, parameters or {}, out / notebook.name)
        done.append(out / notebook.name)
    return done
