"""Wrong labels, found or not: what trials doubt, and the training pictures whose outlines are worth a second look."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tutseg.errors import InputError, unknown
from tutseg.files import csv_rows
from tutseg.papers.intervals import t_interval
from tutseg.report.groups import of_spec, provenance
from tutseg.report.table import Table
from tutseg.training.doubts import DOUBT_MAPS, LABELS, REGIONS, read_maps, read_noise
from tutseg.training.evidence import DOUBT_SCORES


@dataclass(frozen=True)
class Suspect:
    """A training picture whose outline is little believed.

    Parameters
    ----------
    id : str
        The picture.
    doubt : float
        The sum of its map over the pixels of its outline: about how many pixels the outline is off.
    wrong : int
        Pixels whose label is known to be wrong.
    """

    id: str
    doubt: float
    wrong: int


def suspects(run: Path, doubt: str = "loss") -> list[Suspect]:
    """Training pictures of a run with label noise, the least believed outline first.

    Parameters
    ----------
    run : Path
        Its folder.
    doubt : str
        Which of its maps: "loss", or what its method says of its own (`Method.doubts`).

    Raises
    ------
    InputError
        The run had no label noise, is not finished, or has no such map.
    """
    noise = read_noise(run)
    if not (run / DOUBT_MAPS).exists():
        raise InputError(f"{run} has no {DOUBT_MAPS}", "finish the run: the same `tutseg train` goes on")
    maps = read_maps(run / DOUBT_MAPS)
    if doubt not in maps or doubt == "ids":
        raise unknown("doubt", doubt, [name for name in maps if name != "ids"])
    length = np.maximum(1, [border(mask) for mask in noise["masks"]])
    doubts = maps[doubt].sum((1, 2)) / length
    wrong = noise["changed"].sum((1, 2))
    return [Suspect(str(noise["ids"][i]), float(doubts[i]), int(wrong[i])) for i in np.argsort(-doubts, kind="stable")]


def border(mask: np.ndarray) -> int:
    """Number of places ``(H, W)`` at which two neighbours of a mask, side by side or one below the other, differ."""
    mask = mask.astype(bool)
    return int((mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum())


def recall_of_errors(run: Path, doubt: str = "loss", n: int = 20) -> tuple[int, int]:
    """How many of the pictures with an injected error are among the `n` least believed, and how many there are.

    At most `n` can be found, and by chance ``n`` times their share would be.
    """
    ranked = suspects(run, doubt)
    return sum(each.wrong > 0 for each in ranked[:n]), sum(each.wrong > 0 for each in ranked)


def suspect_table(run: Path, doubt: str = "loss", n: int = 20) -> Table:
    """The `n` training pictures whose outlines are believed least, and which of them have an injected error."""
    found, errors = recall_of_errors(run, doubt, n)
    rows = [
        (each.id, f"{each.doubt:.3g}", str(each.wrong) if each.wrong else "none") for each in suspects(run, doubt)[:n]
    ]
    return Table(
        ("training picture", f"{doubt} a pixel of outline", "wrong labels, pixels"),
        tuple(rows),
        f"The {len(rows)} outlines that the network believes least",
        f"{found} of them are among the {errors} of {len(suspects(run, doubt))} pictures with an injected error.",
    )


def auc_table(folder: Path, step: int | None = None, region: str = "outline") -> Table:
    """How well doubts tell wrong labels from right ones, by arm and noise, within each label.

    Parameters
    ----------
    folder : Path
        Evidence of a spec, ``results/dale/noise-cpu``.
    step : int, optional
        After which kept step; the last without it.
    region : {"picture", "outline"}
        Over which pixels; see `tutseg.training.doubts.REGIONS`.
    """
    if region not in REGIONS:
        raise unknown("region", region, REGIONS)
    items, missing = of_spec(folder)
    trials = {item.id: item for item in items}
    found: dict[tuple[str, str, str, str], dict[str, list[float]]] = {}
    rows = [row for row in csv_rows(folder / DOUBT_SCORES) if row["trial"] in trials and row["region"] == region]
    last: dict[str, int] = {}
    for row in rows:
        last[row["trial"]] = max(int(row["step"]), last.get(row["trial"], 0))
    for row in rows:
        item = trials[row["trial"]]
        if int(row["step"]) == (step or last[item.id]) and row["auc"]:
            key = (item.name, item.trial.noise["kind"], f"{item.trial.noise['rate']:g}", row["doubt"])
            found.setdefault(key, {}).setdefault(row["label"], []).append(float(row["auc"]))
    lines = []
    for key, values in found.items():
        cells = [_with_interval(values.get(label, [])) for label in LABELS]
        reverse = [_with_interval([1 - auc for auc in values.get(label, [])]) for label in LABELS]
        seeds = "/".join(dict.fromkeys(str(len(values.get(label, []))) for label in LABELS))
        lines.append((*key, *cells, *(reverse if key[-1] == "omega" else ("", "")), seeds))
    return Table(
        (
            "trained by",
            "noise",
            "rate",
            "doubt",
            *LABELS,
            *(f"{label}, the script's sign" for label in LABELS),
            "seeds",
        ),
        tuple(lines),
        f"Area under the ROC curve of doubted for wrong labels, {REGIONS[region]}, within each label",
        " ".join(filter(None, ("1 finds all, .5 is chance; mean and 95 % t interval over seeds.", missing))),
        provenance(items),
        keys=4,
    )


def _with_interval(values: list[float]) -> str:
    """Mean, and its interval where there are several seeds."""
    if not values:
        return "-"
    middle = f"{np.mean(values):.2f}"
    if len(values) < 2:
        return middle
    low, high = t_interval(np.array(values))
    return f"{middle} [{low:.2f}, {high:.2f}]"
