"""Imports go in one direction, and the lists need no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "tutseg"
# From the foundation up; a room imports from its own step and from those before it.
STEPS = [
    {"errors", "files"},
    {"data"},
    {"metrics", "losses", "nets"},
    {"methods"},
    {"training"},
    {"papers"},
    {"report"},
    {"workflow"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(STEPS) for room in rooms}


def imported_rooms(source: str) -> set[str]:
    """Rooms of tutseg that a source imports, at the top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names if name.split(".")[0] == "tutseg"]
    return {part[1] for part in parts if len(part) > 1 and part[1] != "__version__"}


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [file for file in sorted(PACKAGE.rglob("*.py")) if room_of(file) != "__init__"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down(file):
    above = {room for room in imported_rooms(file.read_text()) if LEVEL[room] > LEVEL[room_of(file)]}
    assert not above, f"{file.name} imports from above: {above}"


def test_neighbours_on_a_step_do_not_need_each_other():
    for file in FILES:
        beside = {room for room in imported_rooms(file.read_text()) if LEVEL[room] == LEVEL[room_of(file)]}
        allowed = {room_of(file), "errors", "files"}
        assert beside <= allowed, f"{file.name} imports {beside - allowed}"


def test_the_check_sees_imports_inside_functions():
    assert imported_rooms("def f():\n    from tutseg.workflow.book import build\n    import tutseg.cli") == {
        "workflow",
        "cli",
    }


@pytest.mark.parametrize(
    "module", ["errors", "files", "nets", "methods", "data.cards", "papers.tables", "papers.audit", "report.pages"]
)
def test_lists_need_no_torch(module):
    code = f"import sys, tutseg.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
