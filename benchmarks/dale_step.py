"""What an iteration of DALE costs over a plain one, on each backbone.

    python benchmarks/dale_step.py [--size 64] [--batch 8] [--threads 1] [--repeats 5] [--nets unet-s ...]
        [--out results/dale/step.csv]

A plain iteration is one optimiser step; one of DALE two, and a virtual step with the derivative of omega. They are
timed in turn in one run, so that a busy machine slows both, and the ratio of each pair is what counts.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tutseg.code import reach, stamp
from tutseg.files import atomic_write
from tutseg.methods import build_method
from tutseg.methods.base import Method, Progress, Views
from tutseg.methods.step import Stepper
from tutseg.training.pictures import pictures_of
from tutseg.training.run import environment

NETS = ("unet-s", "unetpp-s", "ege-unet", "emcad-s", "convformer-s", "transfuse-s", "xboundformer-s", "swin-umamba-s")
STOPS = ("none", "no alignment", "whole")  # of DALE: neither omega nor L_W, omega alone, both
OPTIONS = {"none": {"confidence": "none", "alpha": 0.0}, "no alignment": {"alpha": 0.0}, "whole": {}}


def step_of(method: Method, batch: dict[str, Views]) -> Callable[[], float]:
    """One iteration of a method on a batch; returns its seconds."""
    method.train()
    step = Stepper({"all": torch.optim.AdamW(method.parameters(), lr=1e-3)})

    def run() -> float:
        start = time.perf_counter()
        method.update(batch, Progress(1, 100, 10), step)
        return time.perf_counter() - start

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5, help="the table has medians, and the range of the ratio")
    parser.add_argument("--nets", nargs="*", default=NETS)
    parser.add_argument("--out", type=Path, help="write the table to this CSV")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    pictures = pictures_of("synth", None, given.size, {"n": given.batch, "size": given.size})
    images, masks = pictures.floats(torch.arange(given.batch))
    batch = {"labelled": Views(images, masks)}

    lines = []
    for net in given.nets:
        torch.manual_seed(0)
        cut = {"net": net, "size": given.size, "patch": 8, "bins": 32}
        ways = {"plain": step_of(build_method("supervised", net=net, size=given.size), batch)}
        ways |= {name: step_of(build_method("dale", **cut, **OPTIONS[name]), batch) for name in STOPS}
        spent = {name: [] for name in ways}
        for _ in range(given.repeats + 1):
            for name, run in ways.items():
                spent[name].append(run())
        spent = {name: np.array(each[1:]) for name, each in spent.items()}  # the first call loads kernels
        ratios = {name: spent[name] / spent["plain"] for name in STOPS}
        whole = ratios["whole"]
        line = {"net": net, "plain": f"{np.median(spent['plain']):.3f}", "dale": f"{np.median(spent['whole']):.3f}"}
        line |= {name: f"{np.median(ratios[name]):.2f}" for name in STOPS}
        line |= {"range": f"{whole.min():.2f} to {whole.max():.2f}", "repeats": given.repeats}
        line |= {"batch": given.batch, "size": given.size, "threads": given.threads}
        line |= {key: environment()[key] for key in ("torch", "commit")}
        line |= {
            "code": stamp(reach(["tutseg.methods.noisy_labels.dale"])),
            "command": "python " + shlex.join(sys.argv),
        }
        lines.append(line)
        print(*(f"{key} {line[key]}" for key in ("net", "plain", "dale", *STOPS, "range")), sep="; ", flush=True)
        if given.out:
            atomic_write(given.out, pd.DataFrame(lines).to_csv(index=False))


if __name__ == "__main__":
    main()
