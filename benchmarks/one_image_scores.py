"""Scores of the one-image methods on every picture of a data set, for `results/`: one row a picture, seed and rule.

    TUTSEG_DATA=... python benchmarks/one_image_scores.py [--data ph2] [--size 256] [--seeds 0 1 2]
        [--experiments table-1/ ...] [--out results/s3-net-ph2]

Goes on where it stopped: what scores.csv holds is not done again. provenance.csv says of each experiment where its rows
came from.
"""

import argparse
import csv
import os
import shlex
import sys
from pathlib import Path

import torch

from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.training.one_image import EXPERIMENTS, evaluate_experiment, read_rows
from tutseg.training.run import environment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ph2")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--pictures", type=int, help="only so many, evenly spread")
    parser.add_argument("--experiments", nargs="+", default=["table-1/"], help="beginnings of their names")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("results/s3-net-ph2"))
    args = parser.parse_args()

    source = open_source(args.data, os.environ.get("TUTSEG_DATA"))
    args.out.mkdir(parents=True, exist_ok=True)
    origin = {"data": args.data, "fingerprint": load_pictures(source, args.size).fingerprint()[:16], "size": args.size}
    origin |= {"device": f"{args.device} ({torch.get_num_threads()} threads)"}
    origin |= {key: environment()[key] for key in ("torch", "commit", "code")}
    origin["command"] = "python " + shlex.join(sys.argv)
    for name in EXPERIMENTS:
        if not name.startswith(tuple(args.experiments)):
            continue
        rest = {"batch": args.batch} | ({"pictures": args.pictures} if args.pictures else {})
        known = read_rows(args.out / "scores.csv")
        rows = evaluate_experiment(name, source, args.seeds, args.size, args.device, args.out / "scores.csv", **rest)
        own = rows[(rows["variant"] == name) & (rows["rule"] == "oracle") & (rows["leak"] == 0)]
        print(f"{name}: oracle Dice {own['dice'].mean():.3f}, {own['seconds'].mean():.2f} s a picture", flush=True)
        if len(rows) == len(known):
            continue  # its rows, and their origin, were there before
        path = args.out / "provenance.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, {"variant": name, "n": 0, **origin}, lineterminator="\n")
            if fresh:
                writer.writeheader()
            writer.writerow({"variant": name, "n": len(own), **origin})


if __name__ == "__main__":
    main()
