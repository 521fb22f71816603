"""What a piece of code reaches: the package's files behind an import, and one short hash of them.

A trial and a page are stale when code that they reach has changed, and only then. Registries (`REGISTRIES`) list far
more than any one of them uses; they are left out here, and whoever hashes adds the entries that are used.
"""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tutseg.files import canonical_json, sha256

PACKAGE = Path(__file__).resolve().parent
REGISTRIES = ("methods/cards.py", "nets/cards.py", "weights/cards.py", "data/readers.py")


@cache
def _parsed(path: Path, _mtime_ns: int) -> tuple[frozenset[str], frozenset[str]]:
    return names(path.read_text())


def names(source: str) -> tuple[frozenset[str], frozenset[str]]:
    """Dotted names that may be modules of tutseg, and the string literals, of a Python source."""
    dotted, literals = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            dotted.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            dotted.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            literals.add(node.value)
    return frozenset(name for name in dotted if name.split(".")[0] == "tutseg"), frozenset(literals)


def module_files(dotted: str, package: Path = PACKAGE) -> list[Path]:
    """The files that importing ``tutseg.a.b`` runs: ``a/b.py`` and the ``__init__.py`` of every package above it."""
    files, here = [package / "__init__.py"], package
    for part in dotted.split(".")[1:]:
        if (here / f"{part}.py").exists():
            files.append(here / f"{part}.py")
            break
        here = here / part
        if not here.is_dir():
            break
        files.append(here / "__init__.py")
    return [file for file in files if file.exists()]


def reach(modules: Iterable[str], package: Path = PACKAGE) -> list[Path]:
    """The package's files that importing some modules can run, through all their imports, registries left out.

    Parameters
    ----------
    modules : iterable of str
        Dotted names such as ``tutseg.training.run`` (a name inside a module is fine).
    package : Path
        Folder of the package ``tutseg``.

    Returns
    -------
    list of Path
        Sorted.
    """
    registries = {package / name for name in REGISTRIES}
    pending, found = set(modules), set()
    while pending:
        for file in module_files(pending.pop(), package):
            if file not in found and file not in registries:
                found.add(file)
                pending |= _parsed(file, file.stat().st_mtime_ns)[0]
    return sorted(found)


def stamp(files: Iterable[Path], entries: Iterable[object] = ()) -> str:
    """16 hexadecimal digits over the content of files and the registry entries that are used."""
    digests = sorted(sha256(path.read_bytes()) for path in files)
    return sha256(canonical_json([digests, sorted(repr(entry) for entry in entries)]))[:16]
