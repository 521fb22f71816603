"""A small training alone and beside busy processes, as seconds and ratios within one run.

    python benchmarks/busy.py [--busy 2] [--cores 2] [--turns 3] [--json FILE]

The same training (DME-FD on drawn pictures) runs in a process of its own, first alone, then beside `--busy` processes
that only count. Two forms take turns: "before" computes with two threads that spin while they wait, as OpenMP does
unless told otherwise; "after" is tutseg's default, one thread a process. Spinning costs most where a core has other
work: the thread that is waited for cannot run, because the one that waits does. Everything is pinned to `--cores`
cores, so that a larger machine is as crowded as a small one. The goal: beside the busy processes the default takes at
most 3 times as long as alone. Seconds are the median over turns, reading and importing not counted.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tutseg.files import atomic_write
from tutseg.training.run import run_trial
from tutseg.training.trial import make_trial

GOAL = 3.0
SPINNING = {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "300000"}  # libgomp's own count where no policy is set
OURS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # what a form sets anew


def train(steps: int) -> float:
    """Seconds of the fixed training, in this process."""
    drawn = {"n": 60, "size": 64}
    trial = make_trial(method="dme-fd", net="unet-s", size=64, batch=8, steps=steps, labelled=0.1, data_options=drawn)
    with tempfile.TemporaryDirectory() as folder:
        return run_trial(trial, None, "cpu", Path(folder))["seconds"]["train"]


def train_apart(form: dict[str, str], steps: int) -> float:
    """Seconds of the fixed training in a process whose OpenMP is set as `form` says."""
    clean = {name: value for name, value in os.environ.items() if name not in OURS}
    call = [sys.executable, "-W", "ignore", __file__, "--steps", str(steps), "--here"]
    return float(subprocess.run(call, env=clean | form, stdout=subprocess.PIPE, text=True, check=True).stdout)


@contextlib.contextmanager
def spinners(count: int) -> Iterator[None]:
    """So many processes that keep a core busy for as long as the context lasts."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def measure(args: argparse.Namespace) -> dict:
    """The benchmark's numbers."""
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("busy.py: this system cannot pin processes to cores: run it on Linux")
    cores = sorted(os.sched_getaffinity(0))[: args.cores]
    os.sched_setaffinity(0, cores)  # children inherit it
    forms = {"before": SPINNING, "after": {}}
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(args.turns):
        for beside, count in (("alone", 0), ("busy", args.busy)):
            for name, form in forms.items():
                with spinners(count):
                    seconds.setdefault((name, beside), []).append(train_apart(form, args.steps))
    typical = {key: statistics.median(values) for key, values in seconds.items()}
    return {
        "name": "busy",
        "cores": len(cores),
        "busy": args.busy,
        "steps": args.steps,
        "turns": args.turns,
        **{f"{name}_{beside}_s": round(value, 2) for (name, beside), value in typical.items()},
        **{f"{name}_ratio": round(typical[name, "busy"] / typical[name, "alone"], 2) for name in forms},
        "goal": GOAL,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=2, help="processes that count beside the training (default 2)")
    parser.add_argument("--cores", type=int, default=2, help="cores that all share, if there are so many (default 2)")
    parser.add_argument("--turns", type=int, default=3, help="repetitions; the median counts (default 3)")
    parser.add_argument("--steps", type=int, default=4, help="of the training (default 4)")
    parser.add_argument("--here", action="store_true", help="only train in this process, and print the seconds")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    args = parser.parse_args()
    if args.here:
        print(train(args.steps))
        return 0
    result = measure(args)
    print(
        f"a small training on {result['cores']} cores, alone and beside {args.busy} busy processes: "
        f"before {result['before_alone_s']:g} and {result['before_busy_s']:g} s, ratio {result['before_ratio']:g}; "
        f"after {result['after_alone_s']:g} and {result['after_busy_s']:g} s, ratio {result['after_ratio']:g} "
        f"(goal at most {GOAL:g})"
    )
    if args.json:
        atomic_write(args.json, json.dumps(result, indent=2) + "\n")
    return 0 if result["after_ratio"] <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
