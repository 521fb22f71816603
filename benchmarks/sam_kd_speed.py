"""SAM-KD's Table 3, column "Speed": milliseconds a picture of its three networks, and what a training step costs.

    python benchmarks/sam_kd_speed.py [--size 224] [--turns 15] [--steps 2] [--out results/sam-kd/speed.csv]

One picture at a time, one thread, fresh weights (a net of these kinds takes equally long whatever they are). Time is
the processor's, which stands still while another program has the core. All take turns, and each is divided by the first
of its part in the same turn. The size is the published Swin-Unet's; the paper names neither size nor hardware. Segment
Anything only takes part in training, hence the last two rows of the first part: its encoder alone on one picture.
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
from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.files import atomic_write
from tutseg.methods import method_class
from tutseg.methods.base import Progress
from tutseg.methods.step import Stepper
from tutseg.nets import build
from tutseg.papers.tables import find_cells
from tutseg.training.fit import TrainingSet, make_batch, make_fabric, make_optimizers, settings_of
from tutseg.training.run import environment
from tutseg.training.start import build_for
from tutseg.training.trial import make_trial
from tutseg.weights.cards import CARDS

NETS = {  # our name -> the row of Table 3 whose network it is
    "mobilenet-unet-sdf": "Ours",
    "unet": "Unet (SupOnly)",
    "swin-unet": "DME-FD",
}
ENCODERS = ("sam-s", "sam-b")
METHODS = ("supervised", "mean-teacher", "semisam", "sam-kd", "dme-fd")


def printed(row: str) -> float:
    """Seconds that Table 3 prints."""
    return float(find_cells("sam-kd", 3, row, "time_s", {})[0].value)


def predictions(size: int) -> dict[str, tuple[Callable[[], object], int]]:
    """Each network on one picture, and its number of parameters."""
    image, forms = torch.rand(1, 3, size, size), {}
    for name in (*NETS, *ENCODERS):
        net = build(name, size).eval()
        part = net if name in NETS else net.image_encoder
        count = sum(weight.numel() for weight in part.parameters())
        forms[name] = (lambda net=net, part=part: part(image) if part is net else net.embed(image)), count
    return forms


def steps(size: int, batch: int) -> dict[str, tuple[Callable[[], object], int]]:
    """One training step of each method on SAM-KD's main network, and how many parameters it trains."""
    drawn = load_pictures(open_source("synth", n=4 * batch, size=size), size)
    train = TrainingSet(drawn.take(range(batch)), drawn.take(range(batch, 4 * batch)))
    forms = {}
    for name in METHODS:
        inputs = {role: CARDS["sam-s"].sha256 for role in method_class(name).roles}
        trial = make_trial(method=name, net="mobilenet-unet-sdf", size=size, batch=batch, inputs=inputs)
        fabric = make_fabric("cpu", trial.precision)
        method = fabric.to_device(build_for(trial)).to(memory_format=torch.channels_last).train()
        optimizers = make_optimizers(method, settings_of(method, trial))
        take = Stepper(optimizers, fabric.backward)

        def form(trial=trial, method=method, take=take) -> None:
            method.update(make_batch(train, trial, method, 0), Progress(100, 300, 10), take)

        count = sum(weight.numel() for part in method.groups().values() for weight in part)
        forms[name] = form, count
    return forms


def seconds(forms: dict[str, tuple[Callable[[], object], int]], turns: int) -> dict[str, np.ndarray]:
    """Processor time of each form, ``(turns,)``; a first turn, which loads kernels, is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in forms}
    for turn in range(turns + 1):
        for name, (form, _) in forms.items():
            start = time.process_time()
            form()
            if turn:
                spent[name].append(time.process_time() - start)
    return {name: np.array(each) for name, each in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224, help="of the pictures to predict (default 224)")
    parser.add_argument("--train-size", type=int, default=96, help="of those to train on (default 96)")
    parser.add_argument("--batch", type=int, default=8, help="of a training step, from each stream (default 8)")
    parser.add_argument("--turns", type=int, default=15, help="in which all predict (default 15)")
    parser.add_argument("--steps", type=int, default=5, help="turns in which all train (default 5)")
    parser.add_argument("--out", type=Path, help="write the numbers to this CSV")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        nets = predictions(given.size)
        spent = {"a picture": (nets, seconds(nets, given.turns), given.size, 1)}
    methods = steps(given.train_size, given.batch)
    spent["a training step"] = methods, seconds(methods, given.steps), given.train_size, given.batch

    origin = {key: environment()[key] for key in ("torch", "commit")}
    origin |= {"code": stamp(reach(["tutseg.nets", "tutseg.methods.distillation.sam_kd", "tutseg.training.fit"]))}
    origin |= {"threads": 1, "command": "python " + shlex.join(sys.argv)}
    lines = []
    for what, (forms, took, size, batch) in spent.items():
        first = next(iter(took.values()))
        for name, each in took.items():
            ratio = each / first
            print_s = printed(NETS[name]) if name in NETS else None
            lines.append(
                {
                    "what": what,
                    "name": name,
                    "parameters_m": f"{forms[name][1] / 1e6:.2f}",
                    "ms": f"{1000 * np.median(each):.1f}",
                    "ratio": f"{np.median(ratio):.2f}",
                    "ratio_low": f"{ratio.min():.2f}",
                    "ratio_high": f"{ratio.max():.2f}",
                    "printed_s": "" if print_s is None else f"{print_s:g}",
                    "printed_ratio": "" if print_s is None else f"{print_s / printed('Ours'):g}",
                    "size": size,
                    "batch": batch,
                    "turns": len(each),
                    **origin,
                }
            )
            print(*(f"{key} {lines[-1][key]}" for key in ("what", "name", "ms", "ratio")), sep="; ", flush=True)
    if given.out:
        atomic_write(given.out, pd.DataFrame(lines).to_csv(index=False))


if __name__ == "__main__":
    main()
