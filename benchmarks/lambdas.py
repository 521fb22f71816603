"""S3-Net's three loss weights on a grid: scores of ten pictures, and the cluster maps of the first few.

    python benchmarks/lambdas.py [--data synth] [--size 96] [--maps 3] [--out results/s3-net-lambda]

The grid is that of the experiments ``lambda/...`` (`tutseg.training.one_image.EXPERIMENTS`), in the reading "paper".
Writes scores-DATA.csv (one row a picture, combination and rule) and, for drawn data, maps/*.npz; goes on where it
stopped.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.files import atomic_write
from tutseg.methods import build_method
from tutseg.training.one_image import EXPERIMENTS, picture_seed, score_maps
from tutseg.training.run import environment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="synth")
    parser.add_argument("--pictures", type=int, default=10)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--maps", type=int, default=3, help="pictures whose cluster maps are kept (drawn data only)")
    parser.add_argument("--out", type=Path, default=Path("results/s3-net-lambda"))
    args = parser.parse_args()
    torch.use_deterministic_algorithms(True)

    options = {"n": 60, "size": args.size, "artefacts": ()} if args.data == "synth" else {}
    source = open_source(args.data, **options)
    whole = load_pictures(source, args.size)
    chosen = whole.take(np.linspace(0, len(whole) - 1, args.pictures).round().astype(int))
    images, truth = chosen.floats(torch.arange(len(chosen)))
    seeds = [picture_seed(0, name) for name in chosen.ids]
    table = args.out / f"scores-{args.data}.csv"
    rows = pd.read_csv(table).to_dict("records") if table.exists() else []
    origin = {"size": args.size, "device": "cpu", "threads": torch.get_num_threads()}
    origin |= {"data_fingerprint": whole.fingerprint()[:16]}
    origin |= {key: environment()[key] for key in ("torch", "commit", "code")}
    for name, experiment in EXPERIMENTS.items():
        kept = args.out / "maps" / f"{name.removeprefix('lambda/')}.npz"
        if not name.startswith("lambda/") or any(row["variant"] == name for row in rows):
            continue
        labels = build_method(experiment.method, **experiment.options).segment(images, seeds)
        for i, scored in enumerate(score_maps(labels, images, truth)):
            for row in scored:
                row.pop("mask")
                rows.append({"variant": name, "data": args.data, "id": chosen.ids[i], "seed": 0, **row, **origin})
        if args.data == "synth" and args.maps:
            kept.parent.mkdir(parents=True, exist_ok=True)
            small = np.stack(
                [np.unique(one, return_inverse=True)[1].reshape(one.shape) for one in labels[: args.maps].numpy()]
            )
            np.savez_compressed(kept, small.astype(np.uint8))
        atomic_write(table, pd.DataFrame(rows).to_csv(index=False))
        best = np.mean(
            [row["dice"] for row in rows if row["variant"] == name and (row["rule"], row["leak"]) == ("oracle", 0)]
        )
        print(f"{name}: oracle Dice {best:.3f} over {len(chosen)} pictures", flush=True)


if __name__ == "__main__":
    main()
