"""What a page was computed from, as hashes, so that a stale page is known and a fresh one is left alone.

The inputs of a page are its code cells, its profile and parameters, the lock file, the package sources it imports
(followed through the import statements), the module and the registry entry of each net, method and data set that it
names, and whatever else of ``src/``, ``data/``, ``experiments/`` and ``results/`` its kernel was seen to read
(`tutseg.reads`). Registries as such are no input: a new method makes no page stale that does not use it.
Prose is not an input either: the rendered page takes it from the notebook as it stands.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat

from tutseg.code import REGISTRIES, names, reach
from tutseg.files import canonical_json, sha256
from tutseg.workflow.profiles import load_profile


def _entries() -> dict[str, tuple[object, str]]:
    """Each registered method, net and data set by the name users write: its registry entry, and its module.

    The entry of a net has that of its pretrained file beside it.
    """
    from tutseg.data import READERS
    from tutseg.methods import CARDS as METHODS
    from tutseg.nets import CARDS as NETS
    from tutseg.weights.cards import CARDS as WEIGHTS

    found = {name: ((card, WEIGHTS.get(card.weights)), card.module) for name, card in NETS.items()}
    for cards in (METHODS, READERS):
        found |= {name: (card, card.target.replace(":", ".")) for name, card in cards.items()}
    return found


def sources(code: str, words: Iterable[str], package: Path) -> list[Path]:
    """The package's files that a piece of code uses, through all imports.

    Parameters
    ----------
    code : str
        Python source, such as a notebook's code cells joined.
    words : iterable of str
        Other text that may name a net, a method or a data set (the values of a profile, a spec).
    package : Path
        Folder of the package ``tutseg``.

    Returns
    -------
    list of Path
        Sorted. A registered thing counts as used when its name is a string literal of the code, or among the words.
    """
    dotted, literals = names(code)
    registered = _entries()
    return reach({*dotted, *(registered[name][1] for name in (literals | set(words)) & registered.keys())}, package)


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
    package = root / "src" / "tutseg"
    registries = {f"src/tutseg/{name}" for name in REGISTRIES}
    read = [name for name in read if name not in registries]
    cells = code_of(nbformat.read(notebook, as_version=4))
    chosen = load_profile(notebook.stem, profile, notebook.parent / "profiles").model_dump()
    told = [canonical_json([chosen["settings"], parameters or {}])]
    told += [(root / name).read_text() for name in read if name.startswith("experiments/") and (root / name).is_file()]
    words = set(re.findall(r"[\w.+-]+", "\n".join(told)))
    code = _python(cells)
    files = {str(file.relative_to(root)) for file in sources(code, words, package)}
    entries = {name: entry for name, (entry, _) in _entries().items() if name in words | names(code)[1]}
    return {
        "code": sha256(canonical_json(cells)),
        "profile": sha256(canonical_json([profile, chosen, parameters or {}])),
        **{f"entry {name}": sha256(repr(entry)) for name, entry in entries.items()},
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
