"""A folder for a room without a network: the package, the students' notebooks, what installs them, trained runs."""

import io
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from tutseg.errors import InputError
from tutseg.files import atomic_write, project_root
from tutseg.labs.build import build
from tutseg.labs.figures import executed
from tutseg.labs.predictions import FILE
from tutseg.labs.sources import labs

_GPU = re.compile(r"^(nvidia-|triton|cuda-)")
_KEPT_BACK = ("labs/*.py", "labs/teacher", "tests")  # students get no solutions
_COMMON = """set -e
cd "$(dirname "$0")"
get() {
  ./uv venv --quiet --clear --python "$(command -v python3)" "$1"
  ./uv pip install --quiet --cache-dir packages --link-mode copy $2 --torch-backend cpu --python "$1/bin/python" \\
    --requirements requirements.txt
  ./uv pip install --quiet --cache-dir packages --link-mode copy $2 --python "$1/bin/python" --no-deps --editable tutseg
}
"""
SCRIPTS = {
    "fetch.sh": "# Once, where there is a network: all packages, for this system and this Python, go to packages/.\n"
    + _COMMON
    + """python3 -m venv .fetch && .fetch/bin/pip install --quiet uv && cp .fetch/bin/uv uv
get .fetch ""
rm -r .fetch
""",
    "install.sh": "# In the room, without a network: the environment in .venv.\n" + _COMMON + 'get .venv "--offline"\n',
    "start.sh": """# JupyterLab with the labs.
cd "$(dirname "$0")/student" && exec ../.venv/bin/jupyter lab
""",
}


def bundle(out: Path, runs: bool = False, progress: Callable[[str], None] = print) -> Path:
    """Write the folder.

    Parameters
    ----------
    out : Path
        It must not exist yet.
    runs : bool
        Run every solution in full, and put its trainings beside the students' notebooks, which then find them.
    progress : callable
        Told what is done.

    Raises
    ------
    InputError
        The folder exists, or this is no checkout.
    """
    if out.exists():
        raise InputError(f"{out} exists", "name a folder that does not, or remove it")
    root = project_root()
    left_out = [f":(exclude){name}" for name in _KEPT_BACK]
    archive = subprocess.run(["git", "-C", str(root), "archive", "HEAD", "--", ".", *left_out], capture_output=True)
    if archive.returncode:
        raise InputError("the bundle is made from a checkout, and git knows none here", "clone the repository")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(out / "tutseg", filter="data")
    for path in build(None, out):
        if path.parent.name != "student":
            path.unlink()
    (out / "solution").rmdir()
    pins = [line for line in (root / "requirements.lock").read_text().splitlines() if not _GPU.match(line)]
    atomic_write(out / "requirements.txt", "\n".join(pins) + "\n")
    for name, text in SCRIPTS.items():
        atomic_write(out / name, text)
    progress(f"{out}: the package, the notebooks, requirements.txt and three scripts")
    for lab in labs() if runs else ():
        executed(lab, out / "student")
        (out / "student" / FILE).unlink(missing_ok=True)
        progress(f"{out}: the runs of {lab.name}")
    return out
