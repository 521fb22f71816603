"""Write environment.yml from requirements.lock: the same pins, for people who use conda."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

HEAD = """\
# Made by tools/environment.py from requirements.lock; `make lock` makes both. Do not edit.
#   conda env create -f environment.yml && conda activate tutseg
name: tutseg
channels: [conda-forge]
dependencies:
  - python >=3.11,<3.14
  - pip
  - pip:
"""


def environment(lock: str) -> str:
    """The text of environment.yml for a lock file's text."""
    pins = [line for line in lock.splitlines() if line and not line.startswith("#")]
    return HEAD + "".join(f'    - "{pin}"\n' for pin in pins) + "    - --editable .\n"


if __name__ == "__main__":
    (ROOT / "environment.yml").write_text(environment((ROOT / "requirements.lock").read_text()))
