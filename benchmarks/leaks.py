"""How much Dice a leak is worth: the same test pictures, the same number of training pictures, with kin and without.

    TUTSEG_DATA=... python benchmarks/leaks.py [--data cvc-clinicdb isic2018] [--seeds 0 1 2] [--out results/leaks.csv]

Each data set is trained on twice a seed. The test pictures' kin (frames of the same video, near-copies by perceptual
hash, or the test pictures themselves) are either left out or take the place of as many strangers. Trainings are kept in
_build/leaks and go on where they were stopped.
"""

import argparse
import csv
import json
import os
import shlex
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

LEAKS = {
    "video": "another frame of its video block",
    "near-copy": "a near-copy of it",
    "same": "the picture itself",
}
HIDDEN = {"cvc-clinicdb": 0.25, "isic2018": 0.0}  # share of the groups that are tested, where all have kin
STRANGERS = 150  # pictures without kin that are tested with themselves in training
MOST = 800  # training pictures


def roles(name: str, ids, groups, seed: int) -> tuple[list[int], list[int], list[int]]:
    """Indices of test pictures, of their kin, and of everybody else.

    Of each chosen group every second picture is tested and the others are its kin. Kin are also tested on themselves.
    """
    rng = np.random.default_rng(seed)
    members = defaultdict(list)
    for index in sorted(range(len(ids)), key=lambda i: ids[i]):
        members[groups[index]].append(index)
    families = [m for _, m in sorted(members.items()) if len(m) > 1]
    if HIDDEN[name]:
        families = [families[i] for i in rng.permutation(len(families))[: round(HIDDEN[name] * len(families))]]
    test = [i for family in families for i in family[::2]]
    kin = [i for family in families for i in family[1::2]]
    taken = {i for family in families for i in family}
    others = rng.permutation([i for i in range(len(ids)) if i not in taken]).tolist()
    return test, kin, others


def dice_after(train_on, test, trial, folder: Path) -> np.ndarray:
    """Per-image Dice of `test` after training on `train_on` as `trial` says."""
    from tutseg.files import atomic_write
    from tutseg.training.evaluate import dice_of
    from tutseg.training.fit import TrainingSet, fit, make_fabric
    from tutseg.training.start import build_for

    done = folder / "dice.json"
    if done.exists():
        return np.array(json.loads(done.read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    fabric = make_fabric("auto", trial.precision)
    method = build_for(trial)
    data = train_on.to(fabric.device)
    fit(method, TrainingSet(data, data), trial, folder, fabric)
    dice = dice_of(method, test.to(fabric.device), fabric)
    atomic_write(done, json.dumps([float(d) for d in dice]))
    return dice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(HIDDEN), choices=list(HIDDEN))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--out", type=Path, default=Path("results/leaks.csv"))
    args = parser.parse_args()

    from tutseg.data import open_source
    from tutseg.data.leaks import near_duplicate_groups
    from tutseg.papers.claims import paired_bootstrap
    from tutseg.training.fit import make_fabric
    from tutseg.training.pictures import pictures_of
    from tutseg.training.run import device_name, environment
    from tutseg.training.stamp import stamp_of
    from tutseg.training.trial import make_trial

    for name in args.data:
        pictures = pictures_of(name, os.environ.get("TUTSEG_DATA"), args.size, {})
        video = bool(HIDDEN[name])
        groups = pictures.groups if video else near_duplicate_groups(open_source(name))
        found = defaultdict(list)
        for seed in args.seeds:
            test, kin, others = roles(name, pictures.ids, groups, seed)
            strangers, others = ([], others) if video else (others[:STRANGERS], others[STRANGERS:])
            scored = {"video" if video else "near-copy": test, "same": kin + strangers}
            asked = pictures.take([i for part in scored.values() for i in part])
            others = others[:MOST]
            trial = make_trial(
                method="supervised", data=name, size=args.size, steps=args.steps, seed=seed, labelled=1.0
            )
            arms = {}
            for arm, extra in (("without", []), ("with", kin + strangers)):
                chosen = extra + others[: len(others) - len(extra)]
                folder = Path("_build/leaks") / stamp_of(trial) / f"{name}-{args.size}-{args.steps}-{seed}-{arm}"
                arms[arm] = dice_after(pictures.take(chosen), asked, trial, folder)
                print(f"{name} seed {seed} {arm} kin: Dice {arms[arm].mean():.3f} of {len(asked)}", flush=True)
            start = 0
            for leak, part in scored.items():
                row = np.full((2, len(pictures)), np.nan)
                row[:, part] = [arms[arm][start : start + len(part)] for arm in ("without", "with")]
                found[leak].append(row)
                start += len(part)
        rows = []
        for leak, seeds in found.items():
            without, with_kin = np.stack(seeds, axis=1)  # (seed, picture); NaN where a seed did not test it
            means = np.nanmean(with_kin - without, axis=1)
            low, high = paired_bootstrap(with_kin - without)
            rows.append(
                {
                    "data": name,
                    "leak": leak,
                    "what": LEAKS[leak],
                    "n_test": "/".join(str(n) for n in np.isfinite(without).sum(axis=1)),
                    "n_train": len(others),
                    "seeds": len(seeds),
                    "without": round(float(np.nanmean(without, axis=1).mean()), 4),
                    "with": round(float(np.nanmean(with_kin, axis=1).mean()), 4),
                    "difference": round(float(means.mean()), 4),
                    "low": round(low, 4),
                    "high": round(high, 4),
                    "sd_over_seeds": round(float(means.std(ddof=1)), 4) if len(means) > 1 else "",
                    "net": trial.net,
                    "size": args.size,
                    "steps": args.steps,
                    "device": device_name(make_fabric("auto", trial.precision).device),
                    "data_fingerprint": pictures.fingerprint()[:16],
                    **{k: environment()[k] for k in ("torch", "commit")},
                    "code": stamp_of(trial),
                    "command": "python " + shlex.join(sys.argv),
                }
            )
        fresh = not args.out.exists()
        with args.out.open("a", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            if fresh:
                writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
