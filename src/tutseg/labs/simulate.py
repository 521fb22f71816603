"""A class made by program: thirty submissions a lab with the marks they must get, from right to hostile."""

import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat

from tutseg.errors import InputError
from tutseg.files import atomic_write
from tutseg.labs.checking import mistakes_of
from tutseg.labs.grade import CELL_SECONDS, SECONDS, Marks, grade
from tutseg.labs.sandbox import walled
from tutseg.labs.sources import STUB, Lab, labs

CLASS = 30
CANARY = "outside.txt"  # a file beside the submissions that nothing may touch


@dataclass(frozen=True)
class Handed:
    """One submission, and what grading it must find.

    Parameters
    ----------
    kind : str
        What it is, in a word or two.
    text : str
        The file.
    passes : frozenset of str
        The checks that must pass.
    told : str
        A part of the hint or the note that must be there; empty where there must be none.
    file : str
        Its name; the lab's own if not given.
    """

    kind: str
    text: str
    passes: frozenset[str]
    told: str = ""
    file: str = ""


def hostile(canary: Path) -> dict[str, tuple[str, str]]:
    """What stands in place of the last blank, by kind, and what the grader must say of it."""
    loop = "while True:\n    try:\n        while True:\n            pass\n    except {}:\n        pass"
    kill = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos.killpg(0, signal.SIGKILL)"
    found = {
        "endless loop": ("while True:\n    pass", "does a loop end"),
        "imports what is not there": ("import not_there\nreturn not_there.answer", "ModuleNotFoundError"),
        "endless loop that catches errors": (loop.format("Exception"), "does a loop end"),
        "endless loop that catches all": (loop.format("BaseException"), "stopped after"),
        "exits": ("raise SystemExit", "ends the program"),
        "ends its process": ("import os\nos._exit(0)", "ended its own process"),
        "kills its parents": (kill, "refuses os.kill"),
        "takes all memory": ("return b'1' * 64_000_000_000", "MemoryError"),
        "calls home": ("import socket\nreturn socket.create_connection(('192.0.2.1', 80), 5)", "PermissionError"),
        "starts programs": ("import subprocess\nreturn subprocess.run(['touch', 'x'])", "refuses subprocess"),
        "writes elsewhere": (f"return open({str(canary)!r}, 'w').write('x')", "PermissionError"),
        "recurses": ("def deep(n):\n    return deep(n + 1)\nreturn deep(0)", "RecursionError"),
    }
    if walled():  # Python alone would not hold it
        code = f"import ctypes\nctypes.CDLL(None).unlink({os.fsencode(canary)!r})"
        found["writes elsewhere by the system"] = code, "imports ctypes"
    return found


def class_of(lab: Lab, canary: Path) -> list[Handed]:
    """Thirty submissions for a lab."""
    names = [blank.check for blank in lab.blanks]
    every, last, empty = frozenset(names), names[-1], "\n".join(STUB)

    def page(answers: dict[str, str], more: str = "") -> str:
        book = lab.filled(answers)
        if more:
            book.cells.append(nbformat.v4.new_code_cell(textwrap.dedent(more), id="more"))
        return nbformat.writes(book)

    blank = page(dict.fromkeys(names, empty))
    half = nbformat.reads(page(dict.fromkeys(names[len(names) // 2 :], empty)), as_version=4)
    half.cells = half.cells[: lab.blanks[-1].cell + 1]
    helped = lab.filled({})
    for cell in helped.cells:
        cell.id = nbformat.v4.new_code_cell("").id  # as another program would number them
    helped.cells.insert(1, nbformat.v4.new_code_cell("%matplotlib inline\n!pip install nothing\nmine = 1"))
    del helped.metadata["tutseg"]
    broken = page({last: "return (1"})
    found = [
        Handed("blank", blank, frozenset(), "still empty"),
        Handed("right", page({}), every),
        Handed("half-run", nbformat.writes(half), frozenset(names[: len(names) // 2]), "still empty"),
        Handed("renamed", page({}), every, file="Copy of lab (1) FINAL.ipynb"),
        Handed("renumbered, with cells of its own", nbformat.writes(helped), every, file="mine.ipynb"),
        Handed("deletes its folder", page({}, "import os, shutil\nshutil.rmtree(os.getcwd())"), every, "*"),
        Handed("prints a megabyte", page({}, "for _ in range(20):\n    print('x' * 100_000)"), every),
        Handed("broken cell", broken, every - {last}, "SyntaxError"),
        Handed("no notebook", "{" + blank[:300], frozenset(), "not a notebook"),
        Handed("empty file", "", frozenset(), "not a notebook"),
        Handed("another notebook", nbformat.writes(nbformat.v4.new_notebook()), frozenset(), "none of the labs",
               "other.ipynb"),
        Handed("checks itself", page(dict.fromkeys(names, empty), "import tutseg.labs.checking as c\nc.fault_of = "
               "lambda *_: ''\nc.checks_of = lambda *_: {}"), frozenset(), "still empty"),
    ]  # fmt: skip
    for mistake in mistakes_of(lab.name):
        passes = every - {mistake.check, *mistake.also}
        text = page({mistake.check: mistake.code})
        found.append(Handed(f"{mistake.check}: {mistake.what}", text, passes, mistake.hint))
    kinds = list(hostile(canary).items())
    always, others = kinds[:2], kinds[2:]
    first = int(lab.name[1:]) % len(others)  # another selection for each lab
    for kind, (code, told) in (always + others[first:] + others[:first])[: CLASS - len(found)]:
        found.append(Handed(kind, page({last: code}), every - {last}, told))
    return found


def simulate(
    names: list[str] | None,
    out: Path,
    seconds: float = SECONDS,
    cell_seconds: float = CELL_SECONDS,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[dict]:
    """Write a class for each lab into a folder, grade it in one run, and compare.

    Returns
    -------
    list of dict
        By submission: ``lab``, ``kind``, ``passed`` and ``expected`` checks, ``told``, ``right``.

    Raises
    ------
    InputError
        The folder has something in it, or something outside of the submissions was touched.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty", "name a folder for the class that does not exist yet")
    canary, where = (out / CANARY).resolve(), out / "handed-in"
    atomic_write(canary, "as it was")
    handed: dict[str, tuple[Lab, Handed]] = {}
    for lab in labs(names):
        for at, each in enumerate(class_of(lab, canary), 1):
            student = f"{lab.name}-{at:02}"
            handed[student] = lab, each
            atomic_write(where / student / (each.file or f"{lab.path.stem}.ipynb"), each.text)
    before = _state(out)
    marks = grade(where, seconds, cell_seconds, progress=progress)
    if _state(out) != before:
        raise InputError("something outside of the sandbox was touched", f"compare {out}")
    return [_compared(*handed[each.student], each) for each in marks]


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


def _compared(lab: Lab, handed: Handed, marks: Marks) -> dict:
    passed = {name for name, fault in marks.faults.items() if not fault}
    said = " ".join([*marks.faults.values(), marks.note])
    fits = handed.told in ("*", "") or handed.told in f"{said} {marks.look}"
    silent = handed.told or not said.strip()
    right = passed == handed.passes and fits and bool(silent)
    return {
        "lab": lab.name,
        "kind": handed.kind,
        "passed": len(passed),
        "expected": len(handed.passes),
        "said": said.strip()[:300],
        "look": marks.look,
        "seconds": round(marks.seconds, 1),
        "right": right,
    }
