"""What a class handed in, graded: each notebook in a process of its own, by our checks, whatever it is called.

A submission is read as data, never opened as a notebook. Of its code cells those run that a blank may need, so neither
trainings nor figures, nor its own calls of ``check``.
"""

import ast
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tutseg.errors import InputError, printable
from tutseg.labs.checking import checks_of
from tutseg.labs.sandbox import Heard, hear
from tutseg.labs.sources import STUB, Lab, labs, replaced, skipped
from tutseg.report.classroom import folder

SECONDS, CELL_SECONDS, MEMORY = 120.0, 20.0, 2 << 30
LARGEST = 20 << 20  # bytes of a notebook, and of what lies beside it
_ODD_MODULES = {"ctypes", "gc", "inspect", "importlib", "linecache", "signal", "tutseg.labs"}
_ODD_NAMES = {"__globals__", "__subclasses__", "_exit", "addaudithook", "_getframe", "CHECKS", "fault_of"}


@dataclass(frozen=True)
class Submission:
    """A file that was handed in; its student is the first folder, or the file's name where there is none."""

    student: str
    path: Path | None


@dataclass
class Marks:
    """One submission, graded.

    Parameters
    ----------
    faults : dict
        What is wrong, by check; empty where it passed.
    note : str
        What stopped, in words; empty where nothing did.
    look : str
        What a teacher should look at, because it may have been written against the grader.
    """

    student: str
    file: str
    lab: str = ""
    faults: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    note: str = ""
    look: str = ""

    def row(self) -> dict[str, Any]:
        """As a row of the CSV: a column a check, 1 for passed."""
        row = {"student": self.student, "file": self.file, "lab": self.lab}
        row |= {"passed": sum(not fault for fault in self.faults.values()), "of": len(self.faults)}
        row |= {name.partition(".")[2]: int(not fault) for name, fault in self.faults.items()}
        row |= {"seconds": f"{self.seconds:.1f}", "note": self.note, "look": self.look}
        return {name: _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    """Text that a spreadsheet takes for text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def submissions(where: Path) -> list[Submission]:
    """The notebooks below a folder, and the students who handed in none.

    Raises
    ------
    InputError
        There is no such folder, or nothing in it.
    """
    if not where.is_dir():
        raise InputError(f"{where} is no folder", "give the folder with the notebooks, or with a folder a student")
    found = []
    for entry in sorted(where.iterdir()):
        if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            files = sorted(path for path in entry.rglob("*.ipynb*") if _file(path) and not _hidden(path, entry))
            found += [Submission(printable(entry.name), path) for path in files or [None]]
        elif ".ipynb" in entry.name and _file(entry):
            found.append(Submission(printable(entry.name.partition(".ipynb")[0]), entry))
    if not found:
        raise InputError(f"{where} has no notebook", "students hand in .ipynb files")
    return found


def _file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _hidden(path: Path, above: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(above).parts)


def code_of(path: Path) -> tuple[list[tuple[int, str, str]], str]:
    """The code cells of a notebook, (number, id, source), and the lab that its metadata name.

    Raises
    ------
    InputError
        It is no notebook.
    """
    if path.stat().st_size > LARGEST:
        raise InputError("the file is too large", "hand it in without outputs")
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
        cells = [(at, str(cell.get("id", "")), "".join(cell["source"]))
                 for at, cell in enumerate(page["cells"], 1) if cell["cell_type"] == "code"]  # fmt: skip
        named = page.get("metadata", {}).get("tutseg", {}).get("lab", "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError("not a notebook", type(error).__name__) from error
    return cells, str(named)


def lab_of(cells: Sequence[tuple[int, str, str]], named: str, known: Sequence[Lab]) -> Lab | None:
    """The lab that a notebook names, else the one with which it shares most cells, a third at least."""
    for lab in known:
        if lab.name == named:
            return lab
    mine = {source.strip() for _, _, source in cells}
    shares = {lab.name: _share(mine, lab) for lab in known}
    best = max(known, key=lambda lab: shares[lab.name])
    return best if shares[best.name] > 1 / 3 else None


def _share(mine: set[str], lab: Lab) -> float:
    theirs = {cell.source.strip() for cell in lab.notebook.cells if cell.cell_type == "code"}
    return len(mine & theirs) / len(theirs)


def own_cells(cells: Sequence[tuple[int, str, str]], lab: Lab) -> list[tuple[int, str]]:
    """The code cells of a notebook that are run: all but the lab's own that no blank needs."""
    left_out = [cell for cell in lab.notebook.cells if cell.cell_type == "code" and skipped(cell)]
    ids, sources = {cell.id for cell in left_out}, {cell.source.strip() for cell in left_out}
    return [(at, source) for at, id, source in cells if id not in ids and source.strip() not in sources]


def given_cells(lab: Lab) -> set[str]:
    """The code cells of a student's notebook as it was handed out."""
    stub = "\n".join(STUB)
    return {replaced(cell.source, stub).strip() for cell in lab.notebook.cells if cell.cell_type == "code"}


def odd(source: str) -> str:
    """What in a cell may be written against the grader; empty for nothing."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return ""
    modules = {(alias.asname or alias.name).partition(".")[0] for node in nodes if isinstance(node, ast.Import)
               for alias in node.names}  # fmt: skip
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for name in names:
                if name.startswith("tutseg.labs.") or name in _ODD_MODULES - {"tutseg.labs"}:
                    return f"imports {name}"
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) \
                and node.value.id in modules | {"np", "torch", "plt"}:  # fmt: skip
            return f"changes {node.value.id}.{node.attr}"
        if isinstance(node, ast.Attribute) and node.attr in _ODD_NAMES:
            return f"uses {node.attr}"
    return ""


def grade_one(each: Submission, where: Path, known: Sequence[Lab], seconds: float, cell_seconds: float) -> Marks:
    """Grade a submission; whatever it is, marks come back."""
    if each.path is None:
        return Marks(each.student, "", note="no notebook")
    marks = Marks(each.student, printable(str(each.path.relative_to(where))))
    try:
        cells, named = code_of(each.path)
    except InputError as error:
        marks.note = str(error)
        return marks
    lab = lab_of(cells, named, known)
    if lab is None:
        marks.note = "none of the labs"
        return marks
    marks.lab, given = lab.name, given_cells(lab)
    marks.faults = dict.fromkeys(checks_of(lab.name), "what it looks at is not there")
    imports = ["scipy.ndimage", "scipy.stats", "matplotlib.pyplot", *(["torch"] if lab.needs == "torch" else [])]
    job = {"lab": lab.name, "cells": own_cells(cells, lab), "cell_seconds": cell_seconds, "memory": MEMORY,
           "imports": imports}  # fmt: skip
    heard = hear(job, _beside(each.path, where), [where.resolve(), folder().resolve()], seconds)
    marks.seconds = heard.seconds
    own = {at for at, _, source in cells if source.strip() not in given}
    marks.note = "; ".join([*_read(heard, marks.faults, own), *_ending(heard, seconds)])
    marks.look = "; ".join(f"cell {at} {what}" for at, _, source in cells if at in own and (what := odd(source)))
    return marks


def _beside(path: Path, where: Path) -> list[Path]:
    """What a student handed in with a notebook, where it is not too much."""
    if path.parent.resolve() == where.resolve():
        return []
    files = [file for file in sorted(path.parent.iterdir()) if _file(file) and ".ipynb" not in file.name]
    return files if sum(file.stat().st_size for file in files) <= LARGEST else []


def _read(heard: Heard, faults: dict[str, str], own: set[int]) -> list[str]:
    """Enter what was told of the checks; what stopped in the student's own cells."""
    stopped, passed = [], set()
    for what in heard.said:
        name = what.get("check")
        if name in faults and name not in passed:
            faults[name] = str(what["fault"])
            passed.update(() if what["fault"] else (name,))
        elif what.get("cell") in own:
            stopped.append(f"cell {what['cell']}: {what['error']}")
    return stopped[:3]


def _ending(heard: Heard, seconds: float) -> list[str]:
    if heard.late:
        return [f"stopped after {seconds:g} seconds"]
    if not any("begun" in what for what in heard.said):
        return [f"did not begin: {printable(heard.output.strip().rpartition(chr(10))[2])[:200]}"]
    return [] if any("ended" in what for what in heard.said) else ["it ended its own process"]


def grade(
    where: Path,
    seconds: float = SECONDS,
    cell_seconds: float = CELL_SECONDS,
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Marks]:
    """Grade a folder of submissions.

    Parameters
    ----------
    where : Path
        Notebooks, or a folder a student with notebooks.
    seconds, cell_seconds : float
        What a notebook, and one cell or check of it, may take.
    jobs : int, optional
        How many side by side; as many as there are cores if not given.
    progress : callable
        Told (done, of).
    """
    known, todo = labs(), submissions(where)
    for lab in known:
        lab.notebook  # noqa: B018  (read once, before threads do)
    found: list[Marks] = []
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        for marks in pool.map(lambda each: grade_one(each, where, known, seconds, cell_seconds), todo):
            found.append(marks)
            progress(len(found), len(todo))
    return found
