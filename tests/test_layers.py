"""Imports go in one direction and never in a circle, and the lists need no torch."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "tutseg"
# From the foundation up; a room imports from its own step and from those before it.
STEPS = [
    {"errors", "files", "code", "reads"},
    {"audit", "data", "weights"},
    {"metrics", "quality", "losses", "nets"},
    {"methods"},
    {"training"},
    {"papers"},
    {"report"},
    {"workflow"},
    {"labs"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(STEPS) for room in rooms}


def imported_names(source: str) -> set[str]:
    """Dotted names of tutseg that a source imports.

    Imports inside functions count, and so do those for type checkers alone: whoever reads or changes the one module
    needs the other, whenever Python loads it. What a registry names as text ("tutseg.nets.unet") does not count: the
    registry works without knowing what is behind the name.
    """
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "tutseg"}


def imported_rooms(source: str) -> set[str]:
    """Rooms of tutseg that a source imports, at the top or inside a function."""
    parts = [name.split(".") for name in imported_names(source)]
    return {part[1] for part in parts if len(part) > 1 and part[1] != "__version__"}


def needs(sources: dict[str, str]) -> dict[str, set[str]]:
    """Which module takes something from which, for sources by module name.

    A name that is no module belongs to the package above it: ``from tutseg.data import open_source`` needs
    ``tutseg/data/__init__.py``. That Python runs this file before any module beside it is no import of theirs.
    """
    graph = {}
    for module, source in sources.items():
        names = imported_names(source)
        graph[module] = {name if name in sources else name.rpartition(".")[0] for name in names} - {module}
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle of a graph, its first node repeated at the end; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


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


def test_no_module_and_no_room_imports_itself_through_others():
    graph = needs({module_of(file): file.read_text() for file in PACKAGE.rglob("*.py")})
    assert len(graph) > 80 and "tutseg.audit.cell" in graph["tutseg.papers.tables"]
    assert not circle(graph)
    rooms = {}
    for module, others in graph.items():
        room = ".".join(module.split(".")[:2])
        rooms.setdefault(room, set()).update({".".join(other.split(".")[:2]) for other in others} - {room})
    assert not circle(rooms)


def test_a_planted_circle_is_seen():
    sources = {
        "tutseg.data": "from tutseg.data.a import x",
        "tutseg.data.a": "def f():\n    from tutseg.data import b",
        "tutseg.data.b": "if TYPE_CHECKING:\n    from tutseg.data.c import C",
        "tutseg.data.c": "import numpy\nimport_module('tutseg.data.a')",
    }
    assert circle(needs(sources)) == []
    sources["tutseg.data.c"] += "\nfrom tutseg.data.a import y"
    assert set(circle(needs(sources))) == {"tutseg.data.a", "tutseg.data.b", "tutseg.data.c"}
    sources["tutseg.data.c"] = "from tutseg.data import x"
    assert set(circle(needs(sources))) == set(sources)


def test_the_check_sees_imports_inside_functions():
    assert imported_rooms("def f():\n    from tutseg.workflow.book import build\n    import tutseg.cli") == {
        "workflow",
        "cli",
    }


@pytest.mark.parametrize(
    "module",
    [
        "errors",
        "weights",
        "files",
        "nets",
        "methods",
        "data.cards",
        "papers.tables",
        "papers.contradictions",
        "audit.examine",
        "report.pages",
        "labs.l1",
    ],
)
def test_lists_need_no_torch(module):
    code = f"import sys, tutseg.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_audit_of_a_table_needs_no_other_room():
    rooms = {room for file in FILES if room_of(file) == "audit" for room in imported_rooms(file.read_text())}
    assert rooms <= {"audit", "errors", "files"}
