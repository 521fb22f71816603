"""A DME-FD step as `fit` does it against the plain form, on the same net and batch, as a ratio within one run.

    python benchmarks/step.py [--net mobilenet-unet] [--size 96] [--batch 16] [--device cpu] [--json FILE]

Plain is how the published script trains: a DataLoader whose workers read JPEGs and masks with Pillow and augment each
picture on the CPU with torchvision's transforms, three forwards a network (labelled, weak, strong), tensors in torch's
default layout. Ours draws from memory, augments the batch on the device, and needs one forward a network. Both minimise
the same loss with the same optimiser on the same device and threads. The two take turns; the ratio is the median over
turns, so a neighbour on the machine slows both alike.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2 as transforms
from torchvision.transforms.functional import to_tensor

from tutseg.data import open_source
from tutseg.data.loader import Pictures, load_pictures
from tutseg.files import atomic_write
from tutseg.losses import bce_dice
from tutseg.methods.base import Batch, Progress, Views
from tutseg.methods.co_training.common import hard_label
from tutseg.methods.co_training.dme_fd import DMEFD, combine_masks, confident_mask, discrepancy
from tutseg.methods.step import Stepper
from tutseg.training.fit import TrainingSet, make_batch, make_fabric, make_optimizers, settings_of
from tutseg.training.start import build_for
from tutseg.training.trial import Trial, make_trial

GOALS = {"cpu": 1.5, "cuda": 3.0}
STORED = 256  # px of the JPEGs, as the ISIC 2018 pictures of many codes' preprocessed sets


class JpegFolder(Dataset):
    """The plain data set: reads, shrinks and augments one picture at a time."""

    def __init__(self, folder: Path, size: int) -> None:
        self.images = sorted((folder / "images").glob("*.jpg"))
        self.masks = [folder / "masks" / f"{path.stem}.png" for path in self.images]
        self.size = size
        self.colour = transforms.Compose(
            [
                transforms.GaussianNoise(sigma=30**0.5 / 255),
                transforms.ColorJitter(brightness=0.2, contrast=0.2),
                transforms.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.2),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Weak view, mask, strong view."""
        image = Image.open(self.images[index]).convert("RGB").resize((self.size, self.size), Image.Resampling.BICUBIC)
        mask = Image.open(self.masks[index]).resize((self.size, self.size), Image.Resampling.NEAREST)
        weak, truth = to_tensor(image), to_tensor(mask)
        for axis in (-1, -2):
            if torch.rand(()) < 0.5:
                weak, truth = weak.flip(axis), truth.flip(axis)
        return weak, truth, self.colour(weak).clamp(0, 1)


def endless(folder: Path, trial: Trial, workers: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches for ever, new permutation each pass."""
    loader = DataLoader(
        JpegFolder(folder, trial.size),
        trial.batch,
        shuffle=True,
        num_workers=workers,
        prefetch_factor=1,
        drop_last=True,
        persistent_workers=True,
    )
    while True:
        yield from loader


def plain_losses(method: DMEFD, batch: Batch, progress: Progress) -> dict[str, Tensor]:
    """DME-FD Eq. 9 with three forwards a network; the same terms as `DMEFD.losses`."""
    alpha, beta = method.alpha(progress), method.beta(progress)
    nets = (method.branch1, method.branch2)
    y, unlabelled = batch["labelled"].mask, batch["unlabelled"]
    (l1, l2), (w1, w2), (s1, s2) = (
        [net(view, features=True) for net in nets]
        for view in (batch["labelled"].image, unlabelled.image, unlabelled.strong[0])
    )
    masks = [confident_mask(w.logits.sigmoid(), method.tau) for w in (w1, w2)]
    target1, target2 = combine_masks(*masks, method.combine)
    pairs = ((l1.bottleneck, l2.bottleneck), (w1.bottleneck, w2.bottleneck))
    return {
        "sup1": bce_dice(l1.logits, y),
        "sup2": bce_dice(l2.logits, y),
        "cps1": alpha * bce_dice(w1.logits, hard_label(w2.logits)),
        "cps2": alpha * bce_dice(w2.logits, hard_label(w1.logits)),
        "dme1": alpha * bce_dice(s1.logits, target1),
        "dme2": alpha * bce_dice(s2.logits, target2),
        "fdl": beta * sum(discrepancy(f1, f2, method.reduction) for f1, f2 in pairs) / 2,
    }


def save_jpegs(pictures: Pictures, folder: Path) -> None:
    """Write pictures as a folder of JPEGs and PNG masks."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for image, mask, name in zip(pictures.images, pictures.masks, pictures.ids, strict=True):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / "images" / f"{name}.jpg", quality=90)
        Image.fromarray(mask[0].numpy() * 255).save(folder / "masks" / f"{name}.png")


def turns(args: argparse.Namespace, forms: dict[str, Callable[[int], object]], device: torch.device) -> dict:
    """Seconds a step of each form, form after form, `repeats` times.

    The first steps of a turn are not counted: in plain's they use up what its workers prepared while ours ran, in
    ours they let those workers finish. So each form pays for its own data, and for no other's.
    """
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    at, steps = 0, args.steps
    for _ in range(args.repeats):
        for name, form in forms.items():
            for step in range(args.workers):
                form(at + step)
            wait()
            start = time.perf_counter()
            for step in range(at, at + steps):
                form(step)
            wait()
            seconds[name].append((time.perf_counter() - start) / steps)
        at += steps
    return seconds


def measure(args: argparse.Namespace, folder: Path) -> dict:
    """The benchmark's numbers."""
    trial = make_trial(method="dme-fd", net=args.net, size=args.size, batch=args.batch, precision=args.precision)
    fabric = make_fabric(args.device, trial.precision)
    drawn = load_pictures(open_source("synth", n=args.pictures, size=STORED), STORED)
    half = args.pictures // 2
    parts = {"labelled": drawn.take(range(half)), "unlabelled": drawn.take(range(half, args.pictures))}
    for name, part in parts.items():
        save_jpegs(part, folder / name)
    stored = {name: open_source("folder", folder / name) for name in parts}
    train = TrainingSet(**{n: load_pictures(source, args.size).to(fabric.device) for n, source in stored.items()})
    methods = {name: fabric.to_device(build_for(trial)).train() for name in ("ours", "plain")}
    methods["ours"].to(memory_format=torch.channels_last)
    optimizers = {name: make_optimizers(method, settings_of(method, trial)) for name, method in methods.items()}
    step_of_ours, plain_optimizer = Stepper(optimizers["ours"], fabric.backward), optimizers["plain"]["all"]
    progress = Progress(100, 300, 10)
    loaders = {name: endless(folder / name, trial, args.workers) for name in parts}

    def ours(step: int) -> None:
        torch.use_deterministic_algorithms(fabric.device.type == "cpu")  # as run_trial asks for
        torch.utils.deterministic.fill_uninitialized_memory = False
        fabric.seed_everything(step, verbose=False)
        with fabric.autocast():
            batch = make_batch(train, trial, methods["ours"], step)
            methods["ours"].update(batch, progress, step_of_ours)

    def plain(step: int) -> None:
        torch.use_deterministic_algorithms(False)
        (image, mask, _), (weak, _, strong) = (next(loaders[name]) for name in ("labelled", "unlabelled"))
        image, mask, weak, strong = (t.to(fabric.device) for t in (image, mask, weak, strong))
        batch = {"labelled": Views(image, mask), "unlabelled": Views(weak, strong=[strong])}
        with fabric.autocast():
            terms = plain_losses(methods["plain"], batch, progress)
        plain_optimizer.zero_grad(set_to_none=True)
        sum(terms.values()).backward()
        plain_optimizer.step()

    seconds = turns(args, {"ours": ours, "plain": plain}, fabric.device)
    ratios = [p / o for o, p in zip(seconds["ours"], seconds["plain"], strict=True)]
    return {
        "name": "step",
        "net": args.net,
        "size": args.size,
        "batch": args.batch,
        "device": fabric.device.type,
        "threads": torch.get_num_threads(),
        "workers": args.workers,
        "turns": args.repeats,
        "ours_ms": round(1000 * statistics.median(seconds["ours"]), 1),
        "plain_ms": round(1000 * statistics.median(seconds["plain"]), 1),
        "ratio": round(statistics.median(ratios), 2),
        "lowest_ratio": round(min(ratios), 2),
        "highest_ratio": round(max(ratios), 2),
        "goal": GOALS[fabric.device.type],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", default="mobilenet-unet")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--workers", type=int, default=1, help="of each of the plain form's two loaders")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="in a turn")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(args, Path(folder))
    print(
        f"DME-FD step, {args.net} at {args.size} px, batch {args.batch}, {result['device']}: ours {result['ours_ms']} "
        f"ms, plain {result['plain_ms']} ms, ratio {result['ratio']} (goal {result['goal']:g})"
    )
    if args.json:
        atomic_write(args.json, json.dumps(result, indent=2) + "\n")
    return 0 if result["ratio"] >= result["goal"] else 1


if __name__ == "__main__":
    sys.exit(main())
