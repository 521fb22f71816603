"""Run every benchmark of this folder and print one line each.

    python benchmarks/run.py [--only step reading] [--json]

A benchmark is a script of its own; its first line of output is what is shown here, and an exit code other than 0 means
that its goal was missed. With --json the lines and the numbers that the scripts themselves can write go to
results/benchmarks.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from tutseg.files import atomic_write

HERE = Path(__file__).resolve().parent
ALL = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "run")


def run(name: str) -> dict:
    """One benchmark's line, its numbers where the script writes them, and whether it met its goal."""
    script = HERE / f"{name}.py"
    with tempfile.TemporaryDirectory() as folder:
        numbers = Path(folder) / "numbers.json"
        words = ["--json", str(numbers)] if '"--json"' in script.read_text() else []
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(script), *words], stdout=subprocess.PIPE, text=True, check=False
        )
        return {
            "name": name,
            "lines": done.stdout.splitlines(),
            "met": done.returncode == 0,
            "seconds": round(time.perf_counter() - start, 1),
            "numbers": json.loads(numbers.read_text()) if numbers.exists() else None,
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL)
    parser.add_argument("--json", action="store_true", help="write results/benchmarks.json")
    args = parser.parse_args()
    found = []
    for name in args.only:
        found.append(run(name))
        first = found[-1]["lines"][0] if found[-1]["lines"] else "said nothing"
        print(f"{'ok  ' if found[-1]['met'] else 'MISS'} {name}: {first}", flush=True)
    if args.json:
        machine = {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "torch": torch.__version__,
            "python": platform.python_version(),
        }
        about = {"command": "python benchmarks/run.py --json", "machine": machine, "benchmarks": found}
        atomic_write(HERE.parent / "results" / "benchmarks.json", json.dumps(about, indent=1) + "\n")
    return 0 if all(result["met"] for result in found) else 1


if __name__ == "__main__":
    sys.exit(main())
