"""What a page was computed from, as hashes, so that a stale page is known and a fresh one is left alone.

The inputs of a page are its code cells, its profile and parameters, the lock file, the package sources it imports
(followed through the import statements), the modules of each net and method that any of these names, and whatever
else of ``src/``, ``data/`` and ``results/`` its kernel was seen to read (`tutseg.workflow.kernel`). Prose is not an
input: the rendered page takes it from the notebook as it stands.
"""

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import nbformat

from tutseg.files import canonical_json, sha256
from tutseg.workflow.profiles import load_profile


@cache
def _parsed(path: Path, _mtime_ns: int) -> tuple[frozenset[str], frozenset[str]]:
    return _names(path.read_text())


def _names(source: str) -> tuple[frozenset[str], frozenset[str]]:
    """Dotted names that may be tutseg modules, and the string literals, of a Python source."""
    dotted, literals = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            dotted.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            dotted.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            literals.add(node.value)
    return frozenset(name for name in dotted if name.split(".")[0] == "tutseg"), frozenset(literals)


def _module_files(dotted: str, package: Path) -> list[Path]:
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


def _registered() -> dict[str, str]:
    """Module of each registered net and method, by the name users write."""
    from tutseg.methods import CARDS as METHODS
    from tutseg.nets import CARDS as NETS

    modules = {name: card.module for name, card in NETS.items()}
    return modules | {name: card.target.split(":")[0] for name, card in METHODS.items()}


def sources(code: str, words: Iterable[str], package: Path) -> list[Path]:
    """The package's files that a piece of code uses, through all imports.

    Parameters
    ----------
    code : str
        Python source, such as a notebook's code cells joined.
    words : iterable of str
        Other text that may name a net or a method (the values of a profile).
    package : Path
        Folder of the package ``tutseg``.

    Returns
    -------
    list of Path
        Sorted. A net or method counts as used when its registered name is a string literal on the way.
    """
    registered = _registered()
    registries = {package / "nets" / "cards.py", package / "methods" / "cards.py"}
    # There they are the papers of trials, no methods.
    paper_names = {package / "training" / "trial.py": {"dme-fd"}, package / "papers" / "ledger.py": {"s3-net"}}
    dotted, literals = _names(code)
    pending, found = set(dotted), set()
    pending |= {registered[name] for name in (literals | set(words)) & registered.keys()}
    while pending:
        for file in _module_files(pending.pop(), package):
            if file in found:
                continue
            found.add(file)
            imports, names = _parsed(file, file.stat().st_mtime_ns)
            pending |= imports
            if file not in registries:
                names = names - paper_names.get(file, set())
                pending |= {registered[name] for name in names & registered.keys()}
    return sorted(found)


def code_of(notebook: nbformat.NotebookNode) -> list[str]:
    """Sources of the code cells that the author wrote, in order."""
    return [
        cell.source.strip()
        for cell in notebook.cells
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
    ]


def _digest(path: Path) -> str:
    if path.is_dir():
        return sha256(canonical_json(sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))))
    return sha256(path.read_bytes()) if path.exists() else "absent"


def _python(cells: list[str]) -> str:
    """Cells as one Python source; magics and shell lines are dropped."""
    return re.sub(r"^\s*[%!].*$", "pass", "\n".join(cells), flags=re.MULTILINE)


def inputs(
    notebook: Path, profile: str, parameters: dict[str, Any] | None = None, read: Iterable[str] = ()
) -> dict[str, str]:
    """Everything a page depends on, by name, as SHA-256.

    Parameters
    ----------
    notebook : Path
        The committed ``.ipynb``, in the project's ``notebooks/``.
    profile : str
        ``lab``, ``gpu`` or ``paper``.
    parameters : dict, optional
        Parameters given over the profile's.
    read : iterable of str
        Files and folders (ending with a slash), relative to the project, that an earlier execution read.
    """
    root = notebook.resolve().parents[1]
    cells = code_of(nbformat.read(notebook, as_version=4))
    chosen = load_profile(notebook.stem, profile, notebook.parent / "profiles").model_dump()
    words = re.findall(r"[\w.+-]+", canonical_json([chosen["settings"], parameters or {}]))
    files = {str(file.relative_to(root)) for file in sources(_python(cells), words, root / "src" / "tutseg")}
    return {
        "code": sha256(canonical_json(cells)),
        "profile": sha256(canonical_json([profile, chosen, parameters or {}])),
        **{name: _digest(root / name) for name in sorted({"requirements.lock", *files, *read})},
    }


def stamp(page_inputs: dict[str, str]) -> str:
    """One short name for all inputs together: 12 hexadecimal digits."""
    return sha256(canonical_json(page_inputs))[:12]


def changed(notebook: Path, executed: Path) -> list[str]:
    """Why an executed page is stale: the names of the inputs that differ; empty when it is fresh.

    Parameters
    ----------
    notebook : Path
        The committed ``.ipynb``.
    executed : Path
        Its executed copy, with the inputs it was computed from in its metadata.
    """
    if not executed.exists():
        return ["never executed"]
    record = nbformat.read(executed, as_version=4).metadata.get("tutseg")
    if record is None:
        return ["no stamp"]
    now = inputs(notebook, record["profile"], record["parameters"], record["read"])
    then = record["inputs"]
    return sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
