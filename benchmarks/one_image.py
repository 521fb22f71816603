"""Seconds a picture of every one-image method, and what S3-Net's speed-up comes from.

    python benchmarks/one_image.py [--size 256] [--pictures 2] [--threads 2] [--methods s3-net k-means ...]
        [--out results/s3-net-speed.csv]

The yardstick is `plain_s3_net`: one picture at a time, ordinary modules, torchvision's deformable convolution, as in
the authors' notebook. All ratios are measured in one run, in turn, and the results are compared before the times.
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
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from tutseg.code import reach, stamp
from tutseg.data.synth import Synth
from tutseg.files import atomic_write
from tutseg.methods import CARDS, build_method
from tutseg.methods.one_image.s3_net import S3Net, affine_loss_literal
from tutseg.nets.s3_encoder import S3Encoder
from tutseg.training.run import environment


class TorchvisionDeform(nn.Module):
    """The published layer: torchvision's operator on the static offsets of `layer`."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.weight, self.offsets, self.modulation = layer.weight, layer.offsets, layer.modulation

    def forward(self, x: Tensor) -> Tensor:
        return deform_conv2d(x, self.offsets, self.weight, mask=self.modulation, padding=1)


def plain_s3_net(images: Tensor, seed: int = 0, steps: int = 50, min_labels: int = 3, min_steps: int = 6) -> Tensor:
    """The `code` reading as a plain loop over pictures; cluster maps ``(B, H, W)``.

    Its L_S, which has no gradient, is left out: the notebook computes it with NumPy at every step.
    """
    maps = []
    for image in images.split(1):
        torch.manual_seed(seed)
        net = S3Encoder(order="code", static=tuple(image.shape[2:])).to(image)
        net.deform[0] = TorchvisionDeform(net.deform[0])
        optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
        for step in range(steps):
            optimizer.zero_grad()
            logits, second = net(image)
            labels = logits.argmax(1)
            loss = 3.5 * F.cross_entropy(logits, labels) + 0.2 * affine_loss_literal(second, logits).mean()
            loss.backward()
            optimizer.step()
            if len(labels.unique()) <= min_labels and step + 1 >= min_steps:
                break
        with torch.no_grad():
            maps.append(net(image)[0].argmax(1))
    return torch.cat(maps)


def seconds(run: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Wall time of one run, and what it returned."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--pictures", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--repeats", type=int, default=3, help="of the comparison; the table has the median and the range"
    )
    parser.add_argument("--methods", nargs="*", default=[name for name, c in CARDS.items() if c.kind == "one-image"])
    parser.add_argument("--out", type=Path, help="write the comparison to this CSV")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    drawn = Synth(given.pictures, size=given.size)
    images = torch.stack([torch.tensor(sample.image).permute(2, 0, 1) for sample in drawn]).float() / 255

    ours = S3Net("code")
    seconds(lambda: ours.segment(images[:1, :, :64, :64]))  # the first call loads kernels
    ways = {
        "plain loop": lambda: plain_s3_net(images),
        "ours, one by one": lambda: ours.segment(images),
        "ours, side by side": lambda: ours.cluster(images, [0] * len(images)),
    }
    spent = {name: [] for name in ways}
    maps = {}
    for _ in range(given.repeats):
        for name, run in ways.items():
            took, maps[name] = seconds(run)
            spent[name].append(took / len(images))
    origin = {"pictures": given.pictures, "size": given.size, "threads": given.threads}
    origin |= {key: environment()[key] for key in ("torch", "commit")}
    origin |= {"code": stamp(reach(["tutseg.methods.one_image.s3_net"]))}
    origin["command"] = "python " + shlex.join(sys.argv)
    lines = []
    for name, took in spent.items():
        ratio = np.array(spent["plain loop"]) / took
        differ = float((maps[name] != maps["plain loop"]).float().mean())
        lines.append(
            {
                "way": name,
                "seconds": f"{np.median(took):.2f}",
                "ratio": f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})",
                "differing": f"{differ:.1e}",
                "repeats": given.repeats,
                **origin,
            }
        )
        print(*(f"{key} {lines[-1][key]}" for key in ("way", "seconds", "ratio", "differing")), sep="; ", flush=True)
    if given.out:
        atomic_write(given.out, pd.DataFrame(lines).to_csv(index=False))
    for name in given.methods:
        took, _ = seconds(lambda name=name: build_method(name).segment(images))
        print(f"{name:24s} {took / len(images):8.2f} s a picture")


if __name__ == "__main__":
    main()
