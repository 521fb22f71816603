"""The first minutes on a GPU: an ordered list that ends by itself; the same command goes on where it stopped.

    python tools/gpu_first.py MINUTES [--spec SPEC] [--out results] [--device auto]

First the two trainings that open the spec (supervised, DME-FD), then a step of the second as `fit` does it against the
plain form, then the spec's other seeds. What is finished is collected below --out, whatever ended the list.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from tutseg.training.spec import Spec, read_spec
from tutseg.workflow.grid import states

ROOT = Path(__file__).resolve().parents[1]
TUTSEG = (sys.executable, "-c", "from tutseg.cli import main; main()")


def in_order(spec: Spec, path: Path, out: Path, device: str) -> list[tuple[str, ...]]:
    """The commands that compute, the most telling first."""
    grid = (*TUTSEG, "grid", str(path), "--device", device)
    trial, numbers = spec.trials[1], out / spec.evidence / "step.json"
    set_up = ("--net", trial.net, "--size", str(trial.size), "--batch", str(trial.batch))
    step = (sys.executable, str(ROOT / "benchmarks" / "step.py"), *set_up, "--precision", trial.precision,
            "--device", device, "--json", str(numbers))  # fmt: skip
    first = [(*grid, "--only", each.id) for each in spec.trials[:2]]
    return [*first, *([] if numbers.exists() else [step]), grid]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--spec", type=Path, default=ROOT / "experiments" / "dme-fd" / "gpu-first.yaml")
    parser.add_argument("--out", type=Path, default=ROOT / "results")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    end = time.monotonic() + 60 * args.minutes
    spec, code = read_spec(args.spec), 0
    for command in in_order(spec, args.spec, args.out, args.device):
        left = (end - time.monotonic()) / 60
        if left < 0.05:
            break
        if "grid" in command:
            code |= subprocess.run([*command, "--minutes", f"{left:.3f}"], check=False).returncode
        else:
            try:
                code |= subprocess.run(command, timeout=60 * left, check=False).returncode
            except subprocess.TimeoutExpired:
                break
    if any(state == "done" for _, state, _ in states(spec)):
        code |= subprocess.run([*TUTSEG, "grid", str(args.spec), "--collect", str(args.out)], check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
