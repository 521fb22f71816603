"""The task "one-image": segment every picture of a data set by itself, and score each in several ways.

Nothing is trained here that outlives a picture, so there is no split: every picture is its own training set and its
own test. What is measured is always the same grouping of pixels, scored six times (`VIEWS`): by the oracle as the
papers do, with the published leak of 4 and of 6 pixels, and by the three rules that do not see the truth.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor

from tutseg.data.decode import png_bytes
from tutseg.data.draw_canvas import Canvas
from tutseg.data.draw_dermoscopy import hairs
from tutseg.errors import InputError, unknown
from tutseg.files import atomic_write, json_of, sha256
from tutseg.methods import build_method
from tutseg.methods.one_image.clusters import RULES, choose, leak, number_of_clusters
from tutseg.methods.one_image.warps import affine_grid, inside
from tutseg.metrics import area_scores, counts
from tutseg.training.pictures import fingerprint_of, pictures_of
from tutseg.training.tasks import Job, Outcome
from tutseg.training.trial import Trial

# View -> (rule that chooses the cluster, pixels of leak).
VIEWS = {"oracle": ("oracle", 0), "oracle+4": ("oracle", 4), "oracle+6": ("oracle", 6)}
VIEWS |= {rule: (rule, 0) for rule in RULES if rule != "oracle"}
SCORES = ("dice", "hm", "xor")
SIDE_BY_SIDE = 8  # pictures at once on a GPU


@dataclass(frozen=True)
class Change:
    """What is done to every picture, and to its mask, before it is segmented.

    Parameters
    ----------
    angle, scale, shear : float
        Degrees, factor (> 0) and degrees in (-90, 90), about the centre; what comes into view is the picture's mirror
        image.
    hair : bool
        Draw hairs over the picture; the mask stays.
    """

    angle: Annotated[float, Field(strict=True, allow_inf_nan=False)] = 0.0
    scale: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] = 1.0
    shear: Annotated[float, Field(strict=True, gt=-90, lt=90)] = 0.0
    hair: Annotated[bool, Field(strict=True)] = False

    @property
    def moves(self) -> bool:
        """Whether pixels change their place."""
        return (self.angle, self.scale, self.shear) != (0.0, 1.0, 0.0)

    def __bool__(self) -> bool:
        return self != Change()

    def __str__(self) -> str:
        """Empty for no change, else the fields that differ from it, as in ``angle=30``."""
        words = [f"{name}={value:g}" for name, value in vars(self).items() if value != getattr(Change, name)]
        return " ".join(words)

    def grid(self, like: Tensor) -> Tensor:
        """The `affine_grid` of this move for maps ``(B, C, H, W)``."""
        each = lambda value: torch.full((len(like),), float(value), device=like.device)
        return affine_grid(
            tuple(like.shape[2:]), each(self.angle), each(self.scale), each(self.shear), each(0)[:, None].expand(-1, 2)
        )

    def place(self, maps: Tensor, mode: str) -> Tensor:
        """Maps ``(B, C, H, W)`` moved, mirrored at the edge."""
        if not self.moves:
            return maps
        return F.grid_sample(maps, self.grid(maps), mode=mode, padding_mode="reflection", align_corners=False)


def change_of(trial: Trial) -> Change:
    """The trial's change; `InputError` for a field that there is not or a value that it cannot have."""
    for name in trial.change:
        if name not in asdict(Change()):
            raise unknown("field of change", name, asdict(Change()))
    try:
        return TypeAdapter(Change).validate_python(trial.change)
    except ValidationError as error:
        fault = error.errors()[0]
        raise InputError(f"change {fault['loc'][0]} = {fault['input']!r}", fault["msg"]) from error


def picture_seed(seed: int, picture: str) -> int:
    """A picture's own seed, so that no single lucky network serves all pictures of a run."""
    return int(sha256(f"{seed}:{picture}")[:8], 16)


def with_hair(images: Tensor, seeds: Sequence[int]) -> Tensor:
    """Images ``(B, 3, S, S)`` under drawn hairs, from a few to a coat."""
    size = images.shape[-1]
    hairy = []
    for image, seed in zip(images.cpu(), seeds, strict=True):
        canvas = Canvas(size, seed, 0)
        hairy.append(hairs(canvas, image.numpy(), {}, canvas.stream("hair")))
    return torch.from_numpy(np.stack(hairy)).float().clamp(0, 1).to(images.device)


def masks_of(labels: Tensor, images: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """What each of `VIEWS` takes for the lesion: float in {0, 1}, ``(B, 1, H, W)``, from cluster maps ``(B, H, W)``."""
    found = {}
    for view, (rule, margin) in VIEWS.items():
        chosen = choose(labels, images, rule, truth if rule == "oracle" else None)
        found[view] = leak(chosen, truth, margin) if margin else chosen
    return found


def flips(before: Tensor, after: Tensor, change: Change) -> float:
    """Share of the pixels in view whose foreground label differs from that of the unchanged picture.

    Parameters
    ----------
    before, after : Tensor
        Predictions ``(1, H, W)`` in {0, 1}, of the picture as it was and of the changed one.
    """
    expected = change.place(before[None], "nearest")[0]
    valid = inside(change.grid(before[None])) if change.moves else torch.ones_like(before, dtype=torch.bool)
    return float((expected != after)[valid].float().mean())


def run(job: Job) -> Outcome:
    """Segment and score every picture; what an interrupted run has done is in ``pictures.json``.

    ``maps/<id>.png`` keeps each picture's clusters, numbered from 0.
    """
    trial, device = job.trial, job.fabric.device
    method, change = build_method(trial.method, **trial.options), change_of(trial)
    whole = pictures_of(trial.data, job.root, trial.size, trial.data_options).outlined().need("truth")
    if trial.pictures and trial.pictures > len(whole):
        raise InputError(f"{trial.pictures} pictures of {trial.data}, which has {len(whole)}", "give fewer --pictures")
    at = np.linspace(0, len(whole) - 1, trial.pictures or len(whole)).round().astype(int)
    chosen = whole.take(at.tolist())
    job.begin({"data": fingerprint_of(whole)})
    state = job.folder / "pictures.json"
    done = json_of(state) or {}
    left = [i for i, name in enumerate(chosen.ids) if name not in done]
    for start in range(0, len(left), batch := SIDE_BY_SIDE if device.type != "cpu" else 1):
        job.report("score", len(done), len(chosen))
        part = left[start : start + batch]
        images, truth = chosen.floats(torch.tensor(part))
        ids = [chosen.ids[i] for i in part]
        labels, found = _segment(method, images.to(device), truth.to(device), ids, trial.seed, change)
        for name, clusters, rows in zip(ids, labels, found, strict=True):
            small = np.unique(clusters.cpu().numpy(), return_inverse=True)[1].reshape(clusters.shape)
            atomic_write(job.folder / "maps" / f"{name}.png", png_bytes(Image.fromarray(small.astype(np.uint8))))
            done[name] = rows
        atomic_write(state, json.dumps(done))
    rows = [{"id": name, **row} for name in chosen.ids for row in done[name]]
    seconds = sum(done[name][0]["seconds"] for name in chosen.ids)
    state.unlink(missing_ok=True)
    return Outcome(
        {"test": len(chosen)}, {view: _table(rows, view) for view in VIEWS}, rows, {"score": seconds},
        {"data": fingerprint_of(whole)},
    )  # fmt: skip


def _table(rows: list[dict[str, Any]], view: str) -> dict[str, dict[str, dict[str, float]]]:
    own = [row for row in rows if row["view"] == view]
    each = {score: np.array([row[score] for row in own]) for score in (*SCORES, "flips") if score in own[0]}
    return {
        score: {"per_image": {"mean": float(values.mean()), "std": float(values.std()), "n": len(values)}}
        for score, values in each.items()
    }


def _segment(
    method: Any, images: Tensor, truth: Tensor, ids: Sequence[str], seed: int, change: Change
) -> tuple[Tensor, list[list[dict[str, Any]]]]:
    """Cluster maps of one batch, and of each picture a row a view."""
    own = [picture_seed(seed, picture) for picture in ids]
    before = None
    if change:
        before = masks_of(method.segment(images, own), images, truth)
        images, truth = change.place(images, "bilinear"), change.place(truth, "nearest")
        if change.hair:
            images = with_hair(images, own)
    _wait(images)
    start = time.perf_counter()
    labels = method.segment(images, own)
    _wait(images)
    seconds = (time.perf_counter() - start) / len(images)
    clusters = number_of_clusters(labels).tolist()
    rows: list[list[dict[str, Any]]] = [[] for _ in ids]
    for view, masks in masks_of(labels, images, truth).items():
        scores = area_scores(counts(masks, truth))
        for i, mine in enumerate(rows):
            row = {"view": view, **{name: float(scores[name][i]) for name in SCORES}}
            if before is not None:
                row["flips"] = flips(before[view][i], masks[i], change)
            mine.append({**row, "clusters": clusters[i], "seconds": round(seconds, 6)})
    return labels, rows


def _wait(like: Tensor) -> None:
    """Let the device finish, so that a clock reads the work and not its order."""
    if like.device.type == "cuda":
        torch.cuda.synchronize(like.device)
