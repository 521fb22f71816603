"""HD95 and ASSD of 200 masks at 256 px: `tutseg.metrics` against MONAI, as a ratio within one run.

    python benchmarks/distances.py [--repeats 5] [--json results/benchmarks/distances.json]

Both get the same masks in memory. MONAI is asked for the two distances, ours gives its four in the same pass. MONAI
keeps distances in float32, so the two agree to float32's rounding (relative 1e-7), not to more.
"""

import argparse
import json
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy.ndimage import gaussian_filter

from tutseg.files import atomic_write
from tutseg.metrics import per_image

GOAL, TOLERANCE = 3.0, 1e-6


def lesions(n: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and truths ``(n, size, size)``: discs of 12 to 40 % radius with wavy borders, two for each."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - size / 2
    pairs = []
    for _ in range(n):
        dy, dx = rng.normal(0, 0.04 * size, 2)
        level = 1 - np.hypot(y - dy, x - dx) / (size * rng.uniform(0.12, 0.4))
        for _ in range(2):
            noise = gaussian_filter(rng.standard_normal((size, size)), size / 20)
            pairs.append(level + 0.15 * noise / noise.std() > 0)
    masks = np.array(pairs).reshape(n, 2, size, size)
    return masks[:, 0], masks[:, 1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    n, size = 200, 256
    p, t = lesions(n, size)
    tensors = [torch.from_numpy(m)[:, None] for m in (p, t)]

    def ours() -> np.ndarray:
        columns = per_image(p, t)
        return np.stack([columns["hd95"], columns["assd"]])

    def monai() -> np.ndarray:
        hd95 = compute_hausdorff_distance(*tensors, include_background=True, percentile=95)
        assd = compute_average_surface_distance(*tensors, include_background=True, symmetric=True)
        return torch.cat([hd95, assd], dim=1).T.numpy()

    a, b = ours(), monai()  # the first pass warms both up
    difference = float((np.abs(a - b) / np.maximum(b, 1)).max())
    seconds = {ours: [], monai: []}
    for _ in range(args.repeats):
        for run, times in seconds.items():
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    ratio = statistics.median(m / o for o, m in zip(seconds[ours], seconds[monai], strict=True))
    result = {
        "name": "distances",
        "masks": n,
        "size": size,
        "ours_ms_per_mask": round(1000 * min(seconds[ours]) / n, 3),
        "monai_ms_per_mask": round(1000 * min(seconds[monai]) / n, 3),
        "ratio": round(ratio, 2),
        "goal": GOAL,
        "largest_relative_difference": difference,
        "tolerance": TOLERANCE,
    }
    print(
        f"HD95 + ASSD of {n} masks at {size} px: ours {result['ours_ms_per_mask']} ms a mask, "
        f"MONAI {result['monai_ms_per_mask']} ms, ratio {ratio:.1f} (goal {GOAL:g}), "
        f"largest relative difference {difference:.1e}"
    )
    if args.json:
        atomic_write(args.json, json.dumps(result, indent=2) + "\n")
    return 0 if ratio >= GOAL and difference <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
