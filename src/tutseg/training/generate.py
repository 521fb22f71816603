"""The task "generate": train on the training part of a data set, and draw pictures that others can train on.

What is drawn lies in the run folder as ``images/00000.png``, ...; a trial reads it by ``inputs: {generated: ID}``
(`tutseg.training.drawn`). A picture is written whole or not at all, and none is drawn twice. ``sheets/`` shows the same
latent vectors after every evaluation step.
"""

import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from tutseg import quality
from tutseg.data.decode import png_bytes
from tutseg.data.loader import Pictures
from tutseg.errors import InputError
from tutseg.files import atomic_write
from tutseg.nets.lite0_features import features_of
from tutseg.training.checkpoint import load_weights, save_weights
from tutseg.training.drawn import drawn_picture, generated_pictures, sheet
from tutseg.training.fit import TrainingSet, fit, snapshot_path, snapshot_steps
from tutseg.training.pictures import fingerprint_of, pictures_of, shown_to
from tutseg.training.run import load_run
from tutseg.training.start import build_for
from tutseg.training.tasks import Job, Outcome

DRAWN = 100  # pictures, unless the trial says how many
COARSE = 16  # pixels, at which two pictures are compared
BLUR = 4  # what a picture loses that stands for a bad one: every so many pixels become one


def run(job: Job) -> Outcome:
    """Train the generator on the pictures outside test fold and validation part; draw; measure what it drew.

    The view "net" is what was drawn; "training", as many real pictures that it was shown, and "blurred", those without
    detail, are the floor and the ceiling to read it by. Scores of a view, of one picture or of all:

    - nearest: its distance to the nearest training picture (itself left out): the root mean square difference at
      16 x 16 pixels, in [0, 1]. Zero is a copy.
    - kid, frechet: of all, from the real pictures that were held out (`tutseg.quality`), on the features of
      `tutseg.nets.lite0_features`.
    - precision, recall: pictures that lie where the held-out ones do, and held-out ones that lie where they do.
    - copies: pictures nearer to a training picture than one in twenty held-out ones is.
    - repeats: pictures nearer to another of their view than one in twenty training pictures is to another.
    """
    trial, fabric = job.trial, job.fabric
    job.report("read", 0, 1)
    whole = pictures_of(trial.data, job.root, trial.size, trial.data_options)
    seen, unseen = shown_to(trial, job.root)
    if len(seen) < trial.batch:
        of_class = f" of class {trial.only}" if trial.only else ""
        raise InputError(
            f"data {trial.data}: {len(seen)} pictures{of_class} to learn from, fewer than a batch of {trial.batch}",
            "give it more pictures, or a smaller --batch",
        )
    job.report("read", 1, 1)
    method = build_for(trial, job.inputs)
    job.begin({"data": fingerprint_of(whole)})
    on_device = seen.to(fabric.device)
    train = TrainingSet(on_device, on_device)

    def on_step(done: int, total: int) -> None:
        job.report("train", done, total)
        if done in snapshot_steps(trial):
            atomic_write(job.folder / "sheets" / f"{done:06d}.png", png_bytes(sheet(method)))

    seconds = fit(method, train, trial, job.folder, fabric, on_step)

    started = time.perf_counter()
    load_weights(snapshot_path(job.folder, trial.steps), method)
    method.eval()
    count = trial.pictures or DRAWN
    for k in range(count):
        job.report("draw", k, count)
        path = job.folder / "images" / f"{k:05d}.png"
        if not path.exists():
            atomic_write(path, png_bytes(drawn_picture(method, k, trial.seed)))
    save_weights(job.folder / "weights.safetensors", method, {"trial": trial.id, "net": trial.net})
    drawn = generated_pictures(job.folder)
    job.report("score", 0, 1)
    scores, rows = measure(drawn, seen, unseen)
    return Outcome(
        {"training": len(seen), "test": count, "held_out": len(unseen)},
        scores,
        rows,
        {"train": seconds, "score": time.perf_counter() - started},
        {"data": fingerprint_of(whole), "drawn": drawn.fingerprint()[:16]},
    )


def measure(drawn: Pictures, seen: Pictures, unseen: Pictures) -> tuple[dict[str, dict], list[dict]]:
    """Scores and rows of an `Outcome`: see `run`.

    Parameters
    ----------
    drawn, seen, unseen : Pictures
        What the generator drew, what it was shown, and what was held out (perhaps too few to compare with).
    """
    at = np.linspace(0, len(seen) - 1, min(len(drawn), len(seen))).round().astype(int)
    few = seen.take(at.tolist())
    coarse = interpolate(few.images.float() / BLUR**2, scale_factor=1 / BLUR, mode="area") * BLUR**2
    blurred = interpolate(coarse, few.images.shape[2:], mode="bilinear").round().byte()
    views = {"net": drawn.images.cpu(), "training": few.images.cpu(), "blurred": blurred.cpu()}
    distances = {view: nearest(images, seen.images, view == "training") for view, images in views.items()}
    scores = {view: {"nearest": {"per_image": told(distance)}} for view, distance in distances.items()}
    ids = {"net": drawn.ids, "training": few.ids, "blurred": few.ids}
    rows = [
        {"id": name, "view": view, "nearest": float(d)}
        for view in views
        for name, d in zip(ids[view], distances[view], strict=True)
    ]
    if min(len(unseen), len(drawn)) > 3:
        shown, held = (features_of(part.images) for part in (seen, unseen))
        features = {view: shown[at] if view == "training" else features_of(images) for view, images in views.items()}
        usual = quality.nearest(held, shown), quality.nearest(shown, shown)
        for view, own in features.items():
            whole = {"kid": quality.kernel_distance(own, held), "frechet": quality.frechet(own, held)}
            scores[view] |= {name: {"pooled": {"mean": value, "std": 0.0, "n": 1}} for name, value in whole.items()}
            to_shown = usual[1][at] if view == "training" else quality.nearest(own, shown)
            each = {
                "precision": quality.within(own, held),
                "recall": quality.within(held, own),
                "copies": quality.closer(to_shown, usual[0]),
                "repeats": quality.closer(quality.nearest(own, own), usual[1]),
            }
            scores[view] |= {name: {"per_image": told(hits.double().numpy())} for name, hits in each.items()}
    return scores, rows


def told(values: np.ndarray) -> dict[str, float]:
    """Mean, standard deviation and number."""
    return {"mean": float(values.mean()), "std": float(values.std()), "n": len(values)}


def nearest(images: torch.Tensor, others: torch.Tensor, self_too: bool) -> np.ndarray:
    """Distance of each uint8 picture ``(N, 3, S, S)`` to the nearest of others; with `self_too` the second nearest."""
    distance = coarse_distances(images, others)
    return distance.sort(dim=1).values[:, int(self_too and len(others) > 1)].numpy()


def coarse_distances(images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Root mean square differences ``(N, M)`` of uint8 pictures ``(N, 3, S, S)`` to others, at `COARSE` pixels."""
    small = [
        interpolate(each.cpu().float() / 255, (COARSE, COARSE), mode="area").flatten(1) for each in (images, others)
    ]
    return torch.cdist(*small) / small[0].shape[1] ** 0.5


def save_generator(run: Path, path: Path) -> None:
    """Write the network of a finished run that draws, alone: a trial's input "start", and small enough to pass on."""
    method, trial = load_run(run)
    save_weights(path, nn.ModuleDict({"net": method.average}), {"trial": trial.id, "net": trial.net})
