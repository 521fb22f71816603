"""A solution executed, and the picture that its page shows."""

import base64
import tempfile
from pathlib import Path

import nbformat

from tutseg.errors import InputError
from tutseg.files import atomic_write
from tutseg.labs.sources import Lab
from tutseg.workflow.notebooks import KERNEL, BookFailed, kernel


def draw(lab: Lab) -> Path:
    """Run a solution in full and keep the picture of the cell tagged ``figure``: ``labs/figures/L1.png``."""
    (cell,) = [cell for cell in executed(lab).cells if "figure" in cell.metadata.get("tags", [])]
    pictures = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    if not pictures:
        raise InputError(f"{lab.path}: the cell tagged figure shows no picture", "end it with plt.show()")
    path = lab.path.parent / "figures" / f"{lab.name}.png"
    atomic_write(path, base64.b64decode(pictures[-1]))
    return path


def executed(lab: Lab, where: Path | None = None) -> nbformat.NotebookNode:
    """The solution with its outputs; it runs in a folder of its own, which is thrown away, or in the one given.

    Raises
    ------
    BookFailed
        A cell raised.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    page = nbformat.from_dict(lab.notebook)
    with tempfile.TemporaryDirectory() as scratch, kernel(lab.path.parents[1]):
        place = {"metadata": {"path": str(where or scratch)}}
        try:
            NotebookClient(page, kernel_name=KERNEL, timeout=None, resources=place).execute()
        except CellExecutionError as error:
            raise BookFailed(f"{lab.path.name}: {error.ename}: {error.evalue}") from error
    return page
