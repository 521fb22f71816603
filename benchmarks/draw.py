"""How fast pictures are drawn, on one core, beside a yardstick measured in the same run.

    python benchmarks/draw.py [--size 128] [--n 200]

Prints pictures per second of processor time, and the ratio to the time that two blurs, one JPEG round trip and one
white-noise field of the same size take (the least that any drawn picture with optics costs).
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import io
import time
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from tutseg.data.synth import KINDS, STYLES, Synth


def seconds(work: Callable[[int], object], n: int) -> float:
    """Processor time of one call, the best of three rounds."""
    for i in range(5):
        work(i)
    rounds = []
    for _ in range(3):
        start = time.process_time()
        for i in range(n):
            work(i)
        rounds.append((time.process_time() - start) / n)
    return min(rounds)


def least(size: int) -> Callable[[int], object]:
    """The yardstick: noise, two blurs and a JPEG round trip."""
    rng = np.random.default_rng(0)

    def work(_: int) -> np.ndarray:
        noise = rng.standard_normal((size, size, 3), dtype=np.float32)
        picture = Image.fromarray(np.clip(128 + 30 * noise, 0, 255).astype(np.uint8))
        picture = picture.filter(ImageFilter.GaussianBlur(1)).filter(ImageFilter.GaussianBlur(3))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=80)
        return np.asarray(Image.open(file))

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--n", type=int, default=200)
    args = parser.parse_args()
    yardstick = seconds(least(args.size), args.n)
    for kind in KINDS:
        for style in STYLES:
            source = Synth(args.n, size=args.size, kind=kind, style=style)
            each = seconds(source.__getitem__, args.n)
            print(f"{kind:11s} {style:11s} {1 / each:6.0f} pictures/s  {each / yardstick:5.1f} x the yardstick")


if __name__ == "__main__":
    main()
