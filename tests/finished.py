"""Finished trials made up for a test, as `run_trial` leaves them and `write_evidence` collects them."""

import csv
import json
import zlib
from pathlib import Path

import numpy as np

from tutseg.training.trial import Trial, make_trial

BASE = {"data": "isic2018", "net": "mobilenet-unet", "size": 96, "steps": 300, "labelled": 0.04}
IMAGES = 40
HARD = np.random.default_rng(1).uniform(0.5, 0.95, IMAGES)


def scores(level, seed, who="supervised"):
    """Dice of each test image: some images are hard for everyone, and every seed has a noise of its own."""
    noise = np.random.default_rng(zlib.crc32(f"{level:.3f} {seed} {who}".encode())).normal(0, 0.02, IMAGES)
    return (HARD + level + noise).clip(0, 1).round(4)


def write_run(runs: Path, level: float = 0.0, data_stamp: str = "d0", **fields) -> Trial:
    """A finished run under `runs` whose Dice is by `level` above that of supervised training."""
    trial = make_trial(**BASE | {"method": "supervised"} | fields)
    dice = scores(level, trial.seed, trial.method)
    means = {"dice": dice, "jaccard": dice / (2 - dice), "precision": dice**0.5, "accuracy": 1 - (1 - dice) / 4}
    folder = runs / trial.id
    folder.mkdir(parents=True)
    cells = {
        name: {way: {"mean": float(v.mean()), "std": float(v.std()), "n": IMAGES} for way in ("per_image", "batch")}
        for name, v in means.items()
    }
    labelled = trial.labelled if trial.labelled > 1 else 1579 * trial.labelled
    result = {
        "id": trial.id, "trial": trial.model_dump(), "scores": {"net": cells},
        "provenance": {"command": trial.command, "data": data_stamp, "code": "c0", "device": "cpu", "torch": "2",
                       "date": "2026-01-01", "split": f"s{trial.seed}"},
        "n": {"labelled": int(labelled), "unlabelled": 9, "validation": 9, "test": IMAGES},
        "selection": {"last": {"step": 1, "view": "net", "dice_per_image": 0.1, "dice_batch": 0.1}},
        "seconds": {"train": 1.0, "score": 1.0},
    }  # fmt: skip
    with open(folder / "per_image.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "view", *means])
        writer.writerows([f"im{i:02d}", "net", *(v[i] for v in means.values())] for i in range(IMAGES))
    (folder / "result.json").write_text(json.dumps(result))
    return trial


def seeds(run, n=3, **fields) -> list[Trial]:
    """Runs that differ in their seed alone."""
    return [run(seed=seed, **fields) for seed in range(n)]


def duel(run, gain, n=5, headroom=0.1, **fields) -> list[Trial]:
    """Trials of every row that dme-fd's claims of one block compare, Ours better by `gain`; and all labels' worth."""
    rivals = ("pseudoseg", "cct", "cps", "gta-seg", "unimatch", "supervised")
    common = {"labelled": 0.02} | fields
    found = [trial for method in rivals for trial in seeds(run, n, method=method, **common)]
    found += seeds(run, n, method="dme-fd", level=gain, **common)
    return found + (seeds(run, n, **common | {"labelled": 1.0}, level=headroom) if headroom is not None else [])
