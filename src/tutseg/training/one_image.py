"""Running and scoring the one-image methods: one row a picture, seed, choice of cluster and leak.

Nothing is trained here that outlives a picture, so there is no split: every picture is its own training set and its
own test. What is measured is always the same grouping of pixels, scored six times: by the oracle as the papers do,
with the published leak of 4 and of 6 pixels, and by the three rules that do not see the truth.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from tutseg.data.draw_canvas import Canvas
from tutseg.data.draw_dermoscopy import hairs
from tutseg.data.loader import load_pictures
from tutseg.data.sample import Sample, Source
from tutseg.errors import InputError, unknown
from tutseg.files import atomic_write, canonical_json, sha256
from tutseg.methods import build_method
from tutseg.methods.one_image.clusters import RULES, choose, leak, number_of_clusters
from tutseg.methods.one_image.warps import affine_grid, inside
from tutseg.metrics import area_scores, counts

SCORED = (("oracle", 0), ("oracle", 4), ("oracle", 6), *((rule, 0) for rule in RULES if rule != "oracle"))
KEY = ["variant", "method", "options", "data", "size", "change", "id", "seed"]
COLUMNS = [*KEY, "reading", "rule", "leak", "dice", "hm", "xor", "flips", "clusters", "seconds"]


@dataclass(frozen=True)
class Change:
    """What is done to every picture, and to its mask, before it is segmented.

    Parameters
    ----------
    angle, scale, shear : float
        Degrees, factor and degrees, about the centre; what comes into view is the picture's mirror image.
    hair : bool
        Draw hairs over the picture; the mask stays.
    """

    angle: float = 0.0
    scale: float = 1.0
    shear: float = 0.0
    hair: bool = False

    @property
    def moves(self) -> bool:
        """Whether pixels change their place."""
        return (self.angle, self.scale, self.shear) != (0.0, 1.0, 0.0)

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


NO_CHANGE = Change()


@dataclass(frozen=True)
class Experiment:
    """A line of a table: what to run, and on how many pictures.

    Parameters
    ----------
    method : str
        A one-image method that ``tutseg methods`` lists.
    options : dict
        Passed to it.
    change : Change
        Of the pictures.
    pictures : int or None
        Only so many, evenly spread over the source; None for all.
    about : str
        What it answers.
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    change: Change = NO_CHANGE
    pictures: int | None = None
    about: str = ""


def _experiments() -> dict[str, Experiment]:
    """Every named experiment of the S3-Net chapter."""
    table: dict[str, Experiment] = {}

    def add(group: str, name: str, method: str, about: str = "", **rest: Any) -> None:
        extra = {key: rest.pop(key) for key in ("change", "pictures") if key in rest}
        table[f"{group}/{name}"] = Experiment(method, rest, about=about, **extra)

    readings = ("paper", "code", "meant")
    # Table 1, and the baselines that it lacks.
    for k in (2, 3):
        add("table-1", f"k-means-{k}", "k-means", "colours alone; no paper states its k", k=k)
    for name in ("otsu", "slic", "deep-cluster", "iic", "kanezaki", "sgscn", "ms-former"):
        add("table-1", name, name)
    for reading in readings:
        add("table-1", f"s3-net-{reading}", "s3-net", reading=reading)
    # Table 2: which loss is worth what. A weight of 0 leaves the term out.
    for reading, (ce, at, s) in {"paper": (1.2, 0.3, 0.3), "code": (3.5, 0.2, 4.0), "meant": (1.2, 0.3, 0.3)}.items():
        terms = {"ce": (ce, 0, 0), "ce-at": (ce, at, 0), "ce-s": (ce, 0, s), "ce-at-s": (ce, at, s)}
        for name, weights in terms.items():
            add("table-2", f"{reading}-{name}", "s3-net", reading=reading, weights=list(weights))
        # §4.3: inception and deformable convolution, each in turn replaced by a plain one.
        add("modules", f"{reading}-no-inception", "s3-net", reading=reading, inception=False)
        add("modules", f"{reading}-no-deformable", "s3-net", reading=reading, deformable=False)
    for option, values in {
        "spatial": ("pairwise", "edges"),
        "affine": ("outputs", "input"),
        "offsets": ("predicted", "static"),
        "order": ("paper", "code"),
    }.items():
        for value in values:
            add(
                "switches",
                f"paper-{option}-{value}",
                "s3-net",
                "one switch at a time",
                reading="paper",
                **{option: value},
            )
    add("switches", "lung-weights", "s3-net", "§4.3, tuned for lungs", reading="paper", weights=[1.0, 0.5, 0.6])
    # The stop: when, and what if never.
    for reading in ("paper", "code"):
        for labels in (0, 2, 5):
            about = "50 iterations, no early stop" if labels == 0 else f"stop at {labels} labels"
            add("stop", f"{reading}-{labels}", "s3-net", about, reading=reading, min_labels=labels)
        add("stop", f"{reading}-at-once", "s3-net", "stop before the sixth iteration too", reading=reading, min_steps=1)
    # λ search on 10 pictures, in the paper's range of 0 to 3.
    for one in (0.6, 1.2, 2.4):
        for two in (0.0, 0.3, 1.0, 3.0):
            for three in (0.0, 0.3, 1.0, 3.0):
                weights = [one, two, three]
                name = "-".join(f"{weight:g}" for weight in weights)
                add("lambda", name, "s3-net", "grid on 10 pictures", reading="paper", weights=weights, pictures=10)
    # Robustness: who keeps his labels when the picture moves?
    moved = [Change(angle=angle) for angle in (10, 30, 60, 90)]
    moved += [Change(scale=scale) for scale in (0.8, 0.9, 1.1, 1.25)]
    moved += [Change(shear=shear) for shear in (5, 10, 20)]
    runners = {
        "k-means": ("k-means", {"k": 2}),
        "paper": ("s3-net", {"reading": "paper"}),
        "code": ("s3-net", {"reading": "code"}),
        "meant": ("s3-net", {"reading": "meant"}),
        "meant-without-at": ("s3-net", {"reading": "meant", "weights": [1.2, 0.0, 0.3]}),
    }
    for name, (method, options) in runners.items():
        for change in [*moved, Change(hair=True)]:
            add("robust", f"{name} {change}", method, "against the unchanged picture", change=change, **options)
    return table


EXPERIMENTS = _experiments()


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


def score_maps(labels: Tensor, images: Tensor, truth: Tensor) -> list[list[dict[str, Any]]]:
    """Scores of cluster maps ``(B, H, W)``: for each picture one row for every (rule, leak) of `SCORED`.

    Every row also holds its prediction, under ``"mask"``.
    """
    rows: list[list[dict[str, Any]]] = [[] for _ in labels]
    clusters = number_of_clusters(labels).tolist()
    for rule, margin in SCORED:
        chosen = choose(labels, images, rule, truth if rule == "oracle" else None)
        shown = leak(chosen, truth, margin) if margin else chosen
        scores = area_scores(counts(shown, truth))
        for i, own in enumerate(rows):
            own.append(
                {
                    "rule": rule,
                    "leak": margin,
                    **{name: float(scores[name][i]) for name in ("dice", "hm", "xor")},
                    "clusters": clusters[i],
                    "mask": shown[i],
                }
            )
    return rows


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


def read_rows(out: Path) -> pd.DataFrame:
    """The rows that a CSV of `evaluate_one_image` holds; none if there is no file.

    Raises
    ------
    InputError
        The file has other columns.
    """
    if not out.exists():
        return pd.DataFrame(columns=COLUMNS)
    rows = pd.read_csv(out, keep_default_na=False, na_values={"flips": [""]}, dtype={"id": str})
    if list(rows.columns) != COLUMNS:
        raise InputError(f"{out} is not a table of one-image scores", "choose another file")
    return rows


def evaluate_one_image(
    method_name: str,
    source: Source,
    seeds: Sequence[int],
    size: int,
    options: dict[str, Any],
    device: str,
    out: Path,
    variant: str = "",
    change: Change = NO_CHANGE,
    pictures: int | None = None,
    batch: int = 8,
    on_picture: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Segment every picture of a source under every seed, and add the scores to a CSV.

    What the CSV already holds is not done again; the file is written whole after each batch.

    Parameters
    ----------
    method_name : str
        A one-image method.
    source : Source
        Pictures with masks.
    seeds : sequence of int
        Each gives every picture a network of its own (`picture_seed`).
    size : int
        Pictures are squashed to this height and width.
    options : dict
        Of the method, but for its seed.
    device : str
        As torch names it.
    out : Path
        The CSV; its columns are `COLUMNS`.
    variant : str
        What the line is called in a table; the method's name where it is empty.
    change : Change
        Done to every picture. Rows then hold under ``flips`` how many labels it cost.
    pictures : int, optional
        Only so many, evenly spread.
    batch : int
        Pictures side by side.
    on_picture : callable, optional
        Called with (pictures done, pictures in all); without it a progress bar is shown.

    Returns
    -------
    pandas.DataFrame
        All rows of the CSV.
    """
    method = build_method(method_name, **options)
    at = range(len(source)) if pictures is None else np.linspace(0, len(source) - 1, pictures).round().astype(int)
    identity = [variant or method_name, method_name, canonical_json(options), source.name, size, str(change)]
    rows = read_rows(out)
    done = set(rows[KEY].itertuples(index=False, name=None))
    todo = [(i, seed) for seed in seeds for i in at if (*identity, source.ids[i], seed) not in done]
    if not todo:
        return rows
    needed = sorted({int(i) for i, _ in todo})
    loaded = load_pictures(_Part(source, needed), size).need("masks")
    place_of = {i: n for n, i in enumerate(needed)}
    with _progress(variant or method_name, on_picture) as advance:
        for start in range(0, len(todo), batch):
            part = todo[start : start + batch]
            images, truth = loaded.floats(torch.tensor([place_of[int(i)] for i, _ in part]))
            ids, own = [source.ids[i] for i, _ in part], [seed for _, seed in part]
            fresh = _run(method, images.to(device), truth.to(device), ids, own, change)
            for row in fresh:
                row.update(zip(KEY, identity, strict=False), reading=options.get("reading", ""))
            new = pd.DataFrame(fresh, columns=COLUMNS)
            rows = new if rows.empty else pd.concat([rows, new], ignore_index=True)
            atomic_write(out, rows.to_csv(index=False))
            advance(start + len(part), len(todo))
    return rows


def evaluate_experiment(
    name: str, source: Source, seeds: Sequence[int], size: int, device: str, out: Path, **rest: Any
) -> pd.DataFrame:
    """`evaluate_one_image` of one of `EXPERIMENTS`; `rest` are its further arguments."""
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    spec = EXPERIMENTS[name]
    rest = {"variant": name, "change": spec.change, "pictures": spec.pictures, **rest}
    return evaluate_one_image(spec.method, source, seeds, size, spec.options, device, out, **rest)


def _run(
    method: Any, images: Tensor, truth: Tensor, ids: Sequence[str], seeds: Sequence[int], change: Change
) -> list[dict[str, Any]]:
    """Rows of one batch."""
    own = [picture_seed(seed, picture) for seed, picture in zip(seeds, ids, strict=True)]
    before = None
    if str(change):
        before = score_maps(method.segment(images, own), images, truth)
        images, truth = change.place(images, "bilinear"), change.place(truth, "nearest")
        if change.hair:
            images = with_hair(images, own)
    _wait(images)
    start = time.perf_counter()
    labels = method.segment(images, own)
    _wait(images)
    seconds = (time.perf_counter() - start) / len(images)
    rows = []
    for i, scored in enumerate(score_maps(labels, images, truth)):
        for n, row in enumerate(scored):
            mask = row.pop("mask")
            lost = float("nan") if before is None else flips(before[i][n]["mask"], mask, change)
            rows.append({**row, "id": ids[i], "seed": seeds[i], "flips": lost, "seconds": seconds})
    return rows


def _wait(like: Tensor) -> None:
    """Let the device finish, so that a clock reads the work and not its order."""
    if like.device.type == "cuda":
        torch.cuda.synchronize(like.device)


class _Part:
    """Some pictures of a source."""

    def __init__(self, source: Source, at: Sequence[int]) -> None:
        self.source, self.at, self.name = source, at, source.name
        self.ids, self.groups = [source.ids[i] for i in at], [source.groups[i] for i in at]

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, index: int) -> Sample:
        return self.source[self.at[index]]


@contextmanager
def _progress(title: str, on_picture: Callable[[int, int], None] | None) -> Iterator[Callable[[int, int], None]]:
    """What to call after each batch: the caller's own function, or a progress bar's."""
    if on_picture:
        yield on_picture
        return
    from rich.progress import Progress

    with Progress() as bar:
        task = bar.add_task(title)
        yield lambda done, total: bar.update(task, completed=done, total=total)
