"""Train on drawn pictures alone, test on real ones: the measure of the drawn data, and its ablation.

    python benchmarks/transfer.py --style synth synth-wild --seeds 0 1 2 --out results/transfer.csv
    python benchmarks/transfer.py --style synth-wild --ablate --out results/transfer.csv
    python benchmarks/transfer.py --kind endoscopy --calibrate --seeds 0 1 2 --out results/transfer-endoscopy.csv
    python benchmarks/transfer.py --pack real.npz                   (this kind's real pictures in one file)

The net is the 2.9 M MobileNetV2 U-Net from scratch; AdamW, one cycle to 3e-3, BCE + Dice, batch 16, flips and turns.
The drawings were tuned on the real pictures whose SHA-256 of the id is even ("tune"); the others are reported
("report"). Rows are appended to the CSV as they come.
"""

import argparse
import csv
import hashlib
import json
import os
import shlex
import sys
import time
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
REAL = {"dermoscopy": ("isic2018", "ph2"), "endoscopy": ("kvasir",), "lung-ct": ("covid-semiseg",)}


def real_files(root: Path, name: str) -> list[tuple[str, Path, Path]]:
    """(id, image, mask) of a real data set in its official layout."""
    if name == "isic2018":
        masks = root / "ISIC2018/ISIC2018_Task1_Training_GroundTruth"
        images = sorted((root / "ISIC2018/ISIC2018_Task1-2_Training_Input").glob("*.jpg"))
        return [(p.stem, p, masks / f"{p.stem}_segmentation.png") for p in images]
    if name == "ph2":
        folders = sorted((root / "PH2Dataset/PH2 Dataset images").glob("IMD*"))
        return [
            (p.name, p / f"{p.name}_Dermoscopic_Image/{p.name}.bmp", p / f"{p.name}_lesion/{p.name}_lesion.bmp")
            for p in folders
        ]
    if name == "covid-semiseg":
        images = sorted((root / "COVID-SemiSeg").glob("t*/images/*.jpg"))
        return [(f"{p.parts[-3]}-{p.stem}", p, next((p.parents[1] / "masks").glob(f"{p.stem}.*"))) for p in images]
    if name == "kvasir":
        return [(p.stem, p, root / "Kvasir-SEG/masks" / p.name) for p in sorted((root / "Kvasir-SEG/images").glob("*"))]
    raise SystemExit(f"no reader for {name}")


def read_real(root: Path, name: str, size: int) -> dict[str, np.ndarray]:
    """ids, uint8 images ``(n, size, size, 3)`` and masks ``(n, size, size)`` in {0, 1}, squashed to a square."""
    from PIL import Image

    ids, images, masks = [], [], []
    for key, image, mask in real_files(root, name):
        ids.append(key)
        images.append(np.asarray(Image.open(image).convert("RGB").resize((size, size), Image.Resampling.BILINEAR)))
        mask = Image.open(mask).convert("L").resize((size, size), Image.Resampling.BILINEAR)
        masks.append((np.asarray(mask) > 127).astype(np.uint8))
    return {"ids": np.array(ids), "images": np.stack(images), "masks": np.stack(masks)}


def load_real(names: tuple[str, ...], size: int, packed: Path | None) -> dict[str, dict[str, np.ndarray]]:
    """The real sets, from a file that ``--pack`` wrote or from ``$TUTSEG_DATA``."""
    if packed is not None:
        with np.load(packed) as file:
            return {n: {k: file[f"{n}/{k}"] for k in ("ids", "images", "masks")} for n in names if f"{n}/ids" in file}
    root = Path(os.environ["TUTSEG_DATA"])
    return {name: read_real(root, name, size) for name in names}


def draw_range(task: tuple[int, int, dict]) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and masks of one stretch of indices."""
    from tutseg.data import draw_dermoscopy
    from tutseg.data.synth import Synth

    first, last, options = task
    options = dict(options)
    if look := options.pop("look"):
        style = options["style"]
        ranges = {k: tuple(v) if isinstance(v, list) else v for k, v in look.items()}
        draw_dermoscopy.LOOKS[style] = replace(draw_dermoscopy.LOOKS[style], **ranges)
    source = Synth(last, **options)
    samples = [source[i] for i in range(first, last)]
    return np.stack([s.image for s in samples]), np.stack([s.mask for s in samples])


def draw(n: int, workers: int, options: dict) -> tuple[np.ndarray, np.ndarray]:
    """n drawn pictures and masks, by several processes (one BLAS thread each)."""
    tasks = [(i, min(i + 64, n), options) for i in range(0, n, 64)]
    if workers == 1:
        parts = [draw_range(task) for task in tasks]
    else:
        with get_context("spawn").Pool(workers) as pool:
            parts = pool.map(draw_range, tasks)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def augment(images, masks, generator):
    """Flips and quarter turns of pictures and masks, mild gains of colour of the pictures; on their device."""
    import torch

    for axis in (-1, -2):
        flip = torch.rand(len(images), generator=generator, device=images.device) < 0.5
        images = torch.where(flip[:, None, None, None], images.flip(axis), images)
        masks = torch.where(flip[:, None, None, None], masks.flip(axis), masks)
    turn = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    images = torch.where(turn[:, None, None, None], images.transpose(-1, -2), images)
    masks = torch.where(turn[:, None, None, None], masks.transpose(-1, -2), masks)
    gain = 1 + 0.1 * (2 * torch.rand(len(images), 3, 1, 1, generator=generator, device=images.device) - 1)
    return (images * gain).clamp(0, 1), masks


def train(images: np.ndarray, masks: np.ndarray, size: int, steps: int, seed: int, device: str):
    """The net after `steps` of batch 16."""
    import torch
    import torch.nn.functional as F

    from tutseg.nets import build

    torch.manual_seed(seed)
    net = build("mobilenet-unet", size).to(device).to(memory_format=torch.channels_last).train()
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device)
    y = torch.from_numpy(masks)[:, None].to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.15)
    generator = torch.Generator(device).manual_seed(seed)
    order = torch.empty(0, dtype=torch.long, device=device)
    for _ in range(steps):
        if len(order) < 16:
            order = torch.randperm(len(x), generator=generator, device=device)
        batch, order = order[:16], order[16:]
        image, target = augment(x[batch].float() / 255, y[batch].float(), generator)
        logits = net(image).logits
        p = logits.sigmoid()
        dice = 1 - (2 * (p * target).sum((1, 2, 3)) + 1) / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)
        loss = F.binary_cross_entropy_with_logits(logits, target) + dice.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net


def probabilities(net, images: np.ndarray, device: str, flips: bool = False) -> np.ndarray:
    """Foreground probabilities ``(n, size, size)``, with `flips` the mean over the picture's four mirror images."""
    import torch

    net.eval()
    found = []
    mirrors = ((), (-1,), (-2,), (-1, -2)) if flips else ((),)
    with torch.no_grad():
        for i in range(0, len(images), 64):
            x = torch.from_numpy(images[i : i + 64]).permute(0, 3, 1, 2).to(device).float() / 255
            found.append(sum(net(x.flip(axes)).logits.sigmoid().flip(axes) for axes in mirrors) / len(mirrors))
    return torch.cat(found)[:, 0].cpu().numpy()


def per_image_dice(p: np.ndarray, masks: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Dice of every picture; 1 where both are empty."""
    p = p > threshold
    both, total = (p & (masks > 0)).sum((1, 2)), p.sum((1, 2)) + masks.sum((1, 2), dtype=int)
    return np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0)


def halves(ids: np.ndarray) -> dict[str, np.ndarray]:
    """The half that drawings were tuned on and the half that is reported, by SHA-256 of the id."""
    even = np.array([int(hashlib.sha256(str(i).encode()).hexdigest(), 16) % 2 == 0 for i in ids])
    return {"tune": even, "report": ~even}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", default="dermoscopy", choices=list(REAL))
    parser.add_argument("--style", nargs="+", default=["synth"])
    parser.add_argument("--without", nargs="*", default=[], metavar="FEATURE", help="leave these out, all at once")
    parser.add_argument(
        "--ablate", nargs="*", metavar="FEATURE", help="also leave each of these out in turn; none named: every feature"
    )
    parser.add_argument(
        "--look", nargs="+", type=json.loads, default=[{}], help="JSON: fields of Look to vary (tuning)"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--n", type=int, default=None, help="drawn pictures; default: none is seen twice")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="also score the report half with the mean over four flips and the tune half's best threshold",
    )
    parser.add_argument("--real", type=Path, help="a file that --pack wrote; default: $TUTSEG_DATA")
    parser.add_argument("--pack", type=Path, help="write the real sets of this kind to this file and stop")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    if args.pack:
        root = Path(os.environ["TUTSEG_DATA"])
        sets = {name: read_real(root, name, args.size) for name in REAL[args.kind]}
        np.savez_compressed(args.pack, **{f"{n}/{k}": v for n, s in sets.items() for k, v in s.items()})
        return

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for the drawing processes
    from importlib import import_module

    from tutseg.code import reach, stamp
    from tutseg.data.synth import KINDS
    from tutseg.training.run import environment

    drawer = import_module(KINDS[args.kind])
    real = load_real(REAL[args.kind], args.size, args.real)
    left_out = [args.without]
    if args.ablate is not None:
        left_out += [[*args.without, f] for f in args.ablate or (*drawer.FEATURES, *drawer.ARTEFACTS)]
    n = args.n or 16 * args.steps
    for style, look in product(args.style, args.look):
        for without in left_out:
            for seed in args.seeds:
                start = time.perf_counter()
                options = {"size": args.size, "seed": seed, "style": style, "kind": args.kind, "without": without}
                options["look"] = look
                images, masks = draw(n, args.workers, options)
                drawn = time.perf_counter()
                net = train(images, masks, args.size, args.steps, seed, args.device)
                row = {"kind": args.kind, "style": style, "without": "+".join(without)}
                row |= {"look": json.dumps(look) if look else "", "seed": seed, "n": n}
                row |= {"steps": args.steps, "size": args.size}
                for name, data in real.items():
                    half = halves(data["ids"])
                    dice = per_image_dice(probabilities(net, data["images"], args.device), data["masks"])
                    for part, chosen in half.items():
                        row[f"{name}_{part}"] = round(float(dice[chosen].mean()), 4)
                        row[f"{name}_{part}_n"] = int(chosen.sum())
                    if args.calibrate:
                        p = probabilities(net, data["images"], args.device, flips=True)
                        found = {t: per_image_dice(p, data["masks"], t) for t in THRESHOLDS}
                        best = max(THRESHOLDS, key=lambda t: found[t][half["tune"]].mean())
                        row[f"{name}_threshold"] = best
                        row[f"{name}_calibrated"] = round(float(found[best][half["report"]].mean()), 4)
                row |= {"device": args.device, "torch": environment()["torch"], "command": shlex.join(sys.argv)}
                row |= {
                    "commit": environment()["commit"],
                    "code": stamp(reach(["tutseg.data.synth", "tutseg.nets.mobilenet_unet"])),
                }
                seconds = f"drawn in {drawn - start:.0f} s, trained and tested in {time.perf_counter() - drawn:.0f} s"
                scores = {k: v for k, v in row.items() if k.endswith(("_tune", "_report"))}
                print(style, "+".join(without), f"seed {seed}", scores, f"({seconds})", flush=True)
                if args.out:
                    fresh = not args.out.exists()
                    with args.out.open("a", newline="") as file:
                        writer = csv.DictWriter(file, row)
                        if fresh:
                            writer.writeheader()
                        writer.writerow(row)


if __name__ == "__main__":
    main()
