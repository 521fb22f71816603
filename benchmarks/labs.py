"""Seconds that a computer takes for each part of a lab, where students take minutes.

    python benchmarks/labs.py [L3 L9] [--out results/labs/seconds.csv]

The solution of each lab runs in a fresh kernel, cell by cell, as a student would run it, and in full (no
``TUTSEG_LAB_FAST``); a cell's time counts for the heading above it, and the kernel's start and imports for the first.
Wall time: nothing else should run meanwhile. With some labs named, only their rows are replaced.
"""

import argparse
import os
import re
import shlex
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from nbclient import NotebookClient
from tqdm import tqdm

from tutseg.code import reach, stamp
from tutseg.files import atomic_write
from tutseg.labs.checking import FAST
from tutseg.labs.sources import Lab, labs
from tutseg.training.run import environment

_HEADING = re.compile(r"^## (.+?)(?: \(\d+ min\))?$", re.MULTILINE)


def measure(lab: Lab, folder: str) -> list[dict]:
    """A row a part of the lab: its heading, and what the computer took."""
    page, rows = lab.notebook, [{"lab": lab.name, "part": "start and imports", "seconds": 0.0}]
    client = NotebookClient(page, timeout=3600, resources={"metadata": {"path": folder}})
    began = time.perf_counter()
    with client.setup_kernel():
        for at, cell in enumerate(page.cells):
            if cell.cell_type == "code":
                client.execute_cell(cell, at)
                now = time.perf_counter()
                rows[-1]["seconds"] += now - began
                began = now
            elif found := _HEADING.search(cell.source):
                rows.append({"lab": lab.name, "part": found[1], "seconds": 0.0})
    return [row | {"seconds": f"{row['seconds']:.1f}"} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="labs, such as L3; all of them if not given")
    parser.add_argument("--out", type=Path, help="write the numbers to this CSV")
    given = parser.parse_args()
    os.environ.pop(FAST, None)
    origin = {key: environment()[key] for key in ("torch", "commit")}
    origin |= {"cores": os.cpu_count(), "command": "python " + shlex.join(["benchmarks/labs.py", *sys.argv[1:]])}
    rows = []
    chosen = labs(given.names or None)
    for lab in tqdm(chosen, unit="lab", disable=None):
        code = stamp(reach([f"tutseg.labs.{lab.name.lower()}"]), [lab.path.read_text(encoding="utf-8")])
        with tempfile.TemporaryDirectory() as folder:
            rows += [row | {"code": code} | origin for row in measure(lab, folder)]
    spent = {lab.name: sum(float(row["seconds"]) for row in rows if row["lab"] == lab.name) for lab in chosen}
    print("seconds of a solution: " + ", ".join(f"{name} {seconds:.0f}" for name, seconds in spent.items()))
    if given.out:
        kept = pd.read_csv(given.out, dtype=str).to_dict("records") if given.out.exists() else []
        names = [lab.name for lab in labs()]
        rows += [row for row in kept if row["lab"] not in {lab.name for lab in chosen}]
        rows.sort(key=lambda row: names.index(row["lab"]))
        atomic_write(given.out, pd.DataFrame(rows).to_csv(index=False))


if __name__ == "__main__":
    main()
