"""Reading a data set into memory: `load_pictures` against a DataLoader, as a ratio within one run.

    python benchmarks/reading.py [--size 96] [--repeats 5] [--json FILE]

Pictures are ISIC 2018's where TUTSEG_DATA names them, else 400 drawn ones of 256 px, as JPEG with PNG masks. Plain is
a DataLoader with two workers that open, shrink and convert with Pillow as many scripts do: same files, same filter,
same size, same numbers to two grey levels (compared before the clock starts). Each repetition runs one after the
other, ours first.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from tutseg.data import open_source
from tutseg.data.folders import PictureSource
from tutseg.data.loader import load_pictures
from tutseg.files import atomic_write

GOAL, WORKERS = 1.5, 2


class Plain(Dataset):
    """One picture and its mask, shrunk, as uint8 tensors."""

    def __init__(self, source: PictureSource, size: int) -> None:
        self.files = [(item.image, item.mask) for item in source.items]
        self.size = (size, size)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = self.files[index]
        image = Image.open(image).convert("RGB").resize(self.size, Image.Resampling.BICUBIC)
        mask = Image.open(mask).convert("L").resize(self.size, Image.Resampling.NEAREST)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1), torch.from_numpy(np.array(mask) > 0)[None]


def read_plain(source: PictureSource, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and masks of the whole source through a DataLoader."""
    batches = list(DataLoader(Plain(source, size), batch_size=16, num_workers=WORKERS))
    return torch.cat([images for images, _ in batches]), torch.cat([masks for _, masks in batches])


def find_source(folder: Path) -> PictureSource:
    """ISIC 2018 under $TUTSEG_DATA, or 400 drawn pictures written to `folder`."""
    if os.environ.get("TUTSEG_DATA"):
        return open_source("isic2018")
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for sample in open_source("synth", n=400, size=256):
        Image.fromarray(sample.image).save(folder / "images" / f"{sample.id}.jpg", quality=90)
        Image.fromarray(sample.mask * 255).save(folder / "masks" / f"{sample.id}.png")
    return open_source("folder", folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = find_source(Path(folder))
        n = len(source)
        source.groups  # noqa: B018 - found once a data set, by either way
        ours, plain = load_pictures(source, args.size), read_plain(source, args.size)
        assert (ours.images.short() - plain[0].short()).abs().max() <= 2 and torch.equal(ours.masks.bool(), plain[1])
        seconds: dict[str, list[float]] = {"ours": [], "plain": []}
        for _ in range(args.repeats):
            for name, read in (("ours", load_pictures), ("plain", read_plain)):
                start = time.perf_counter()
                read(source, args.size)
                seconds[name].append(time.perf_counter() - start)
    ratio = statistics.median(p / o for o, p in zip(seconds["ours"], seconds["plain"], strict=True))
    result = {
        "name": "reading",
        "data": source.name,
        "pictures": n,
        "size": args.size,
        "ours_ms_per_picture": round(1000 * statistics.median(seconds["ours"]) / n, 3),
        "plain_ms_per_picture": round(1000 * statistics.median(seconds["plain"]) / n, 3),
        "ratio": round(ratio, 2),
        "goal": GOAL,
        "memory_mb": round((ours.images.nbytes + ours.masks.nbytes) / 1e6, 1),
    }
    print(
        f"reading {n} pictures of {source.name} at {args.size} px: ours {result['ours_ms_per_picture']} ms a picture, "
        f"a DataLoader of {WORKERS} workers {result['plain_ms_per_picture']} ms, ratio {ratio:.2f} (goal {GOAL:g}); "
        f"{result['memory_mb']} MB in memory"
    )
    if args.json:
        atomic_write(args.json, json.dumps(result, indent=2) + "\n")
    return 0 if ratio >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
