"""Evidence: what finished trials measured, as small files for git, and read back.

``results/<paper>/<spec>/trials.csv`` has one row a trial and view: mean and standard deviation of every score under
every averaging. A trial's first row, that of its default view, also says what was run (the fields that are not at their
default), n, what each way of choosing weights gives, and where it came from.
``per_image.csv`` beside it holds the scores of single pictures, one row a trial, view and score, one column a picture,
so that no name is written twice. Jaccard and HM of a picture follow from its Dice and are not kept. ``doubts.csv`` is
there if trials had label noise: how well each found it (`tutseg.training.doubts`), by the id of the trial.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import numpy as np
from PIL import Image

from tutseg.data import DRAWN
from tutseg.errors import InputError
from tutseg.files import atomic_write, canonical_json, csv_rows, csv_text, project_root, runs_folder
from tutseg.training.tasks import task_of
from tutseg.training.trial import Trial, make_trial, result_in

RESULTS = "results"
RECALL = "recall of "  # and the class
DOUBT_SCORES = "doubts.csv"  # in a run folder and in one of evidence
PROVENANCE = ("command", "split", "tested", "device", "date", "torch", "commit", "code")
SERIES = ("trial", "view", "score")  # the first columns of per_image.csv; the others are pictures
_SCORE = re.compile(r"(?!last_|validation_|test_)(.+)_(per_image|batch|pooled|macro)")
_DERIVED = {"jaccard": lambda d: d / (2 - d), "hm": lambda d: 1 - d / (2 - d)}

Scores = dict[str, dict[str, float]]  # score -> averaging or picture -> value


@dataclass(frozen=True)
class View:
    """A trial's scores by one view.

    Parameters
    ----------
    means : dict
        score -> averaging -> mean over the test pictures, as fractions or pixels.
    deviations : dict
        score -> standard deviation over the test pictures.
    images : dict
        score -> picture -> value, for the scores of which it is kept.
    """

    means: Scores
    deviations: dict[str, float]
    images: Scores = field(default_factory=dict)

    def per_image(self, score: str) -> dict[str, float]:
        """A score of every picture, empty if it is not kept; J = D / (2 - D) and HM = 1 - J of one picture are.

        Where the true and the told class of each picture are, so is what it says of every score of a classifier
        (`tutseg.metrics.by_picture`).
        """
        if score not in self.images and score in _DERIVED and "dice" in self.images:
            return {image: _DERIVED[score](dice) for image, dice in self.images["dice"].items()}
        if score not in self.images and score in self.means and {"label", "predicted"} <= self.images.keys():
            from tutseg.metrics import by_picture  # loads scipy, for which lists do not wait

            truth, found = (np.array(list(self.images[name].values())) for name in ("label", "predicted"))
            said = by_picture(truth, found, self.classes, score)
            return dict(zip(self.images["label"], said.tolist(), strict=True))
        return self.images.get(score, {})

    @property
    def classes(self) -> list[str]:
        """Of a classifier, the names of what it tells apart."""
        return [name.removeprefix(RECALL) for name in self.means if name.startswith(RECALL)]


@dataclass(frozen=True)
class Finished:
    """A finished trial.

    Parameters
    ----------
    trial : Trial
        What was run.
    name : str
        What its spec calls its row; empty if it does not.
    views : dict
        view -> `View`, the default view first.
    n : dict
        Part -> number of pictures.
    provenance : dict
        As in ``result.json``.
    origin : str
        Where it was read.
    extra : dict
        What else a row of ``trials.csv`` says (selection, seconds).
    """

    trial: Trial
    name: str
    views: dict[str, View]
    n: dict[str, int]
    provenance: dict[str, str]
    origin: str
    extra: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """The trial's."""
        return self.trial.id

    @property
    def default(self) -> View:
        """The view that stands for the trial."""
        return next(iter(self.views.values()))

    def on(self, images: set[str]) -> "Finished":
        """The trial as if it had only these pictures: means and deviations of what is kept of single pictures."""
        views = {}
        for name, view in self.views.items():
            kept = {
                score: {image: value for image, value in values.items() if image in images}
                for score, values in view.images.items()
            }
            means = {score: {"per_image": fmean(values.values())} for score, values in kept.items() if values}
            views[name] = View(means, {score: pstdev(kept[score].values()) for score in means}, kept)
        return replace(self, views=views, n={**self.n, "test": len(images)})

    @cached_property
    def fields(self) -> dict[str, Any]:
        """All of the trial's fields."""
        return self.trial.model_dump()


# Reading ------------------------------------------------------------------------------------------------------------


def read_evidence(results: Path | None = None, runs: bool = True) -> tuple[Finished, ...]:
    """Every finished trial that is known here, each once.

    Parameters
    ----------
    results : Path, optional
        Folder with ``<paper>/<spec>/trials.csv``; by default the project's ``results``.
    runs : bool
        Also read finished runs (`runs_folder`), which hold every score of every picture.

    Raises
    ------
    InputError
        A file of evidence is damaged.
    """
    results = results or (project_root() or Path()) / RESULTS
    found: dict[str, Finished] = {}
    for path in sorted(results.glob("*/*/trials.csv")):
        for item in read_spec_evidence(path.parent):
            found.setdefault(item.id, item)
    for path in sorted(runs_folder().glob("*/result.json")) if runs else ():
        item = read_run(path.parent)
        if item.id not in found or found[item.id].provenance["data"] == item.provenance["data"]:
            found[item.id] = item
    return tuple(found.values())


def read_spec_evidence(folder: Path) -> list[Finished]:
    """The trials of one spec's folder of evidence, in the order of the file.

    Raises
    ------
    InputError
        A file is missing or damaged, or a row's fields are not the trial that its id says.
    """
    path = folder / "trials.csv"
    series = _series(folder / "per_image.csv")
    rows: dict[str, list[dict[str, str]]] = {}
    for row in csv_rows(path):
        rows.setdefault(row.get("id", ""), []).append(row)
    return [_finished(path, name, members, series) for name, members in rows.items()]


def _finished(path: Path, name: str, rows: Sequence[dict[str, str]], series: Mapping[tuple, dict]) -> Finished:
    first = rows[0]
    try:
        given = {field: _parsed(first[field]) for field in Trial.model_fields if first.get(field)}
        trial = make_trial(**given)
        if trial.id != name:
            raise ValueError(f"its fields are those of trial {trial.id}")
        views = {}
        for row in rows:
            means: Scores = {}
            for column, value in row.items():
                if value and (part := _SCORE.fullmatch(column)):
                    means.setdefault(part[1], {})[part[2]] = float(value)
            deviations = {score: float(row[f"{score}_sd"]) for score in means if row.get(f"{score}_sd")}
            images = {key[2]: values for key, values in series.items() if key[:2] == (name, row["view"])}
            views[row["view"]] = View(means, deviations, images)
        return Finished(
            trial,
            first["name"],
            views,
            {column[2:]: int(value) for column, value in first.items() if column.startswith("n_") and value},
            {"data": first["fingerprint"]} | {key: first.get(key, "") for key in PROVENANCE},
            f"{RESULTS}/{path.parent.parent.name}/{path.parent.name}",
            first,
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: trial {name}: {error}", "collect it again") from error


def _series(path: Path) -> dict[tuple[str, str, str], dict[str, float]]:
    if not path.exists():
        return {}
    found = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = tuple(row.pop(column) for column in SERIES)
            found[key] = {image: float(value) for image, value in row.items() if value}
    return found


def _parsed(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text


def _sound(folder: Path) -> dict[str, Any]:
    if not (result := result_in(folder)):
        raise InputError(f"{folder / 'result.json'} is damaged", "delete the folder and run the trial again")
    return result


def read_run(folder: Path, name: str = "") -> Finished:
    """A finished run folder as evidence, with every score of every picture; `name` is what a table calls its row."""
    path, result = folder / "result.json", _sound(folder)
    try:
        images: dict[str, Scores] = {view: {} for view in result["scores"]}
        with (folder / "per_image.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            for row in csv.DictReader(file):
                for score in row.keys() - {"id", "view"}:
                    if row[score]:
                        images[row["view"]].setdefault(score, {})[row["id"]] = float(row[score])
        return Finished(
            make_trial(**result["trial"]),
            name,
            {
                view: View(
                    {name: {way: cell["mean"] for way, cell in ways.items()} for name, ways in scores.items()},
                    {name: ways["per_image"]["std"] for name, ways in scores.items() if "per_image" in ways},
                    images[view],
                )
                for view, scores in result["scores"].items()
            },
            result["n"],
            result["provenance"],
            f"runs/{folder.name}",
        )
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error})", "delete the folder and run the trial again") from error


# Writing ------------------------------------------------------------------------------------------------------------


def write_evidence(
    named: Iterable[tuple[str, Trial]], folder: Path, keep: Mapping[str, Sequence[str]] = {}, maps: int = 0
) -> Path:
    """Write what finished trials measured into `folder` as ``trials.csv`` and ``per_image.csv``.

    Parameters
    ----------
    named : iterable of (str, Trial)
        Row name and trial. Of those that are not finished in `runs_folder`, what `folder` already has is kept, since
        another machine may have run them.
    folder : Path
        ``results/<paper>/<spec>``.
    keep : mapping
        View -> scores kept of every picture; "" stands for the default view. By default the task's best score of the
        default view.
    maps : int
        One-image methods on drawn data: cluster maps of so many pictures go into ``maps.npz``, by trial.

    Raises
    ------
    InputError
        No trial is finished, maps of real pictures are asked for, or finished trials saw different versions of one data
        set.
    """
    rows, series, doubts, fingerprints, shown, new = [], [], [], {}, {}, 0
    before = {file: _by_trial(folder / file) for file in ("trials.csv", "per_image.csv", DOUBT_SCORES)}
    for name, trial in named:
        run = runs_folder() / trial.id
        if (run / "result.json").exists():
            result = _sound(run)
            saw, new = result["provenance"], new + 1
            rows += list(_trial_rows(name, trial, result))
            series += list(_series_rows(trial, read_run(run), keep))
            if (run / DOUBT_SCORES).exists():
                doubts += [{"trial": trial.id, **row} for row in csv_rows(run / DOUBT_SCORES)]
            if maps:
                shown[trial.id] = _maps(trial, run, maps)
        elif kept := before["trials.csv"].get(trial.id):
            saw = {"data": kept[0]["fingerprint"], "tested": kept[0].get("tested")}
            rows += kept
            series += before["per_image.csv"].get(trial.id, [])
            doubts += before[DOUBT_SCORES].get(trial.id, [])
            if maps and (folder / "maps.npz").exists():
                with np.load(folder / "maps.npz") as file:
                    shown |= {trial.id: file[trial.id]} if trial.id in file else {}
        else:
            continue
        for use, data, options in (
            ("data", trial.data, trial.data_options),
            ("tested", trial.test_data, trial.test_options),
        ):
            if saw.get(use):
                seen = (data, trial.size, canonical_json(options))
                fingerprints.setdefault(seen, set()).add(saw[use])
    if not new:
        raise InputError(f"no trial of {folder.name} is finished", "run the grid first")
    for (data, size, _), found in fingerprints.items():
        if len(found) > 1:
            raise InputError(f"trials of {folder.name} saw different versions of {data} at {size} px", "run them again")
    atomic_write(folder / "trials.csv", csv_text(in_order(rows)))
    images = sorted({image for row in series for image in row} - set(SERIES))
    atomic_write(
        folder / "per_image.csv", csv_text([{name: row.get(name, "") for name in (*SERIES, *images)} for row in series])
    )
    if doubts:
        atomic_write(folder / DOUBT_SCORES, csv_text(doubts))
    if shown:
        atomic_write(folder / "maps.npz", lambda file: np.savez_compressed(file, **shown))
    return folder


def _by_trial(path: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of a file of evidence by their first column, the trial; none where there is no file."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in csv_rows(path) if path.exists() else ():
        found.setdefault(next(iter(row.values())), []).append(row)
    return found


def _maps(trial: Trial, run: Path, count: int) -> np.ndarray:
    """Cluster maps ``(count, H, W)`` of a run's first pictures."""
    if trial.data not in DRAWN:
        raise InputError(f"maps of {trial.data} show real pictures", "keep maps of drawn data only")
    paths = [run / "maps" / f"{image}.png" for image in list(read_run(run).default.per_image("dice"))[:count]]
    return np.stack([np.asarray(Image.open(path)) for path in paths])


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of ``trials.csv`` with all columns in their order: id, view, name, fields, the others."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    first = ["id", "view", "name", *(name for name in Trial.model_fields if name in names)]
    order = [*first, *(name for name in names if name not in first)]
    return [{name: row.get(name, "") for name in order} for row in rows]


def _trial_rows(name: str, trial: Trial, result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    about = {"name": name} | {k: canonical_json(v) if isinstance(v, dict) else v for k, v in trial.given.items()}
    about |= {f"n_{part}": n for part, n in result["n"].items()}
    for way, chosen in result["selection"].items():
        about |= {f"{way}_{key}": value for key, value in chosen.items()}
    about |= {f"seconds_{k}": v for k, v in result["seconds"].items()}
    # the fingerprint of the data must not take the place of the data's name
    about |= {"fingerprint" if k == "data" else k: v for k, v in result["provenance"].items() if k != "seed"}
    about["command"] = trial.command  # without where the data was: that is nobody else's
    for view, scores in result["scores"].items():
        row = {"id": trial.id, "view": view}
        for score, ways in scores.items():
            for way, cell in ways.items():
                row[f"{score}_{way}"] = round(cell["mean"], 6)
                if way == "per_image":
                    row[f"{score}_sd"] = round(cell["std"], 6)
        yield about | row
        about = {}


def _series_rows(trial: Trial, run: Finished, keep: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    default = next(iter(run.views))
    for view, scores in (keep or {"": [task_of(trial.method).best]}).items():
        view = view or default
        for score in scores if view in run.views else ():
            if values := run.views[view].images.get(score):
                row = {"trial": trial.id, "view": view, "score": score}
                yield row | {image: f"{value:.4f}" for image, value in values.items()}
