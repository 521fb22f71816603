"""The task "generate": train on the training part of a data set, and draw pictures that others can train on.

What is drawn lies in the run folder as ``images/00000.png``, ...; a trial reads it by ``inputs: {generated: ID}``
(`generated_pictures`). A picture is written whole or not at all, and none is drawn twice.
"""

import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from tutseg.data.decode import png_bytes, read_array
from tutseg.data.loader import Pictures
from tutseg.errors import InputError
from tutseg.files import atomic_write
from tutseg.training.checkpoint import load_weights, save_weights
from tutseg.training.fit import TrainingSet, fit, snapshot_path
from tutseg.training.pictures import fingerprint_of, pictures_of, split_of
from tutseg.training.start import build_for
from tutseg.training.tasks import Job, Outcome

DRAWN = 100  # pictures, unless the trial says how many
COARSE = 16  # pixels, at which two pictures are compared


def run(job: Job) -> Outcome:
    """Train the generator on the pictures outside test fold and validation part; draw; look for what it remembered.

    The score "nearest" of a drawn picture is its distance to the nearest training picture: the root mean square
    difference at 16 x 16 pixels, in [0, 1]. Zero is a copy. The view "training" is the same among training pictures,
    the floor to read it by.
    """
    trial, fabric = job.trial, job.fabric
    job.report("read", 0, 1)
    whole = pictures_of(trial.data, job.root, trial.size, trial.data_options)
    split = split_of(trial, whole)
    seen = whole.take(sorted((*split.labelled, *split.unlabelled)))
    job.report("read", 1, 1)
    method = build_for(trial, job.inputs)
    job.begin({"data": fingerprint_of(whole)})
    on_device = seen.to(fabric.device)
    train = TrainingSet(on_device, on_device)
    seconds = fit(method, train, trial, job.folder, fabric, lambda done, total: job.report("train", done, total))

    started = time.perf_counter()
    load_weights(snapshot_path(job.folder, trial.steps), method)
    method.eval()
    count = trial.pictures or DRAWN
    for k in range(count):
        job.report("draw", k, count)
        path = job.folder / "images" / f"{k:05d}.png"
        if not path.exists():
            with torch.inference_mode():
                image = method.sample(k + trial.seed * 1_000_003)
            pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            atomic_write(path, png_bytes(Image.fromarray(pixels)))
    save_weights(job.folder / "weights.safetensors", method, {"trial": trial.id, "net": trial.net})
    drawn = generated_pictures(job.folder)
    rows, scores = [], {}
    for view, pictures, self_too in (("net", drawn, False), ("training", seen, True)):
        distance = nearest(pictures.images, seen.images, self_too)
        rows += [
            {"id": name, "view": view, "nearest": float(d)} for name, d in zip(pictures.ids, distance, strict=True)
        ]
        cell = {"mean": float(distance.mean()), "std": float(distance.std()), "n": len(distance)}
        scores[view] = {"nearest": {"per_image": cell}}
    return Outcome(
        {"training": len(seen), "test": count},
        scores,
        rows,
        {"train": seconds, "score": time.perf_counter() - started},
        {"data": fingerprint_of(whole), "drawn": drawn.fingerprint()[:16]},
    )


def generated_pictures(folder: Path) -> Pictures:
    """What a run of this task has drawn, without masks.

    Raises
    ------
    InputError
        The run has drawn nothing, or a picture is damaged.
    """
    paths = sorted((folder / "images").glob("*.png"))
    if not paths:
        raise InputError(f"{folder} has drawn no pictures", "pin a trial of a method that draws")
    images = torch.from_numpy(np.stack([read_array(path) for path in paths])).permute(0, 3, 1, 2).contiguous()
    ids = tuple(f"{folder.name}-{path.stem}" for path in paths)
    return Pictures(images, ids, ids, f"drawn by {folder.name}")


def nearest(images: torch.Tensor, others: torch.Tensor, self_too: bool) -> np.ndarray:
    """Distance of each uint8 picture ``(N, 3, S, S)`` to the nearest of others; with `self_too` the second nearest."""
    small = [
        interpolate(each.cpu().float() / 255, (COARSE, COARSE), mode="area").flatten(1) for each in (images, others)
    ]
    distance = torch.cdist(*small) / small[0].shape[1] ** 0.5
    return distance.sort(dim=1).values[:, int(self_too and len(others) > 1)].numpy()
