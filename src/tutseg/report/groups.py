"""Finished trials that differ in their seed alone, as a matrix: what every table and figure of results starts from."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Literal

import numpy as np

from tutseg.errors import InputError, unknown
from tutseg.files import csv_rows, project_root
from tutseg.metrics import DISTANCES
from tutseg.papers.intervals import direction, holm, paired_interval, t_interval
from tutseg.training.evidence import RESULTS, Finished, read_run, read_spec_evidence
from tutseg.training.run import Run
from tutseg.training.spec import spec_of
from tutseg.training.tasks import task_of


@dataclass(frozen=True)
class Group:
    """Trials that differ in their seed alone, as a matrix of one score.

    Parameters
    ----------
    name : str
        What the row is called.
    values : numpy.ndarray
        ``(seeds, images)``: the score of each test image, in the same order for every seed.
    trials : list of Finished
        A row each.
    score : str
        As in ``tutseg.metrics``.
    """

    name: str
    values: np.ndarray
    trials: list[Finished] = field(default_factory=list)
    score: str = "dice"

    @property
    def mean(self) -> float:
        """Mean over images and seeds."""
        return float(self.values.mean())

    @property
    def seed_spread(self) -> float:
        """Standard deviation over seeds of the mean over images (n - 1)."""
        return float(self.values.mean(1).std(ddof=1)) if len(self.values) > 1 else float("nan")

    @property
    def image_spread(self) -> float:
        """Standard deviation over images, averaged over seeds."""
        return float(self.values.std(1).mean())

    @property
    def seeds(self) -> list[int]:
        """The seed of each row of `values`; its place where no trials are named."""
        return [item.trial.seed for item in self.trials] or list(range(len(self.values)))

    @property
    def n(self) -> str:
        """Seeds × images."""
        return " × ".join(map(str, self.values.shape))


def in_groups(
    items: Iterable[Finished],
    names: Callable[[Finished], str | None] | None = None,
    score: str | None = None,
    view: str | None = None,
    keep: Callable[[str], bool] = lambda image: True,
) -> list[Group]:
    """Finished trials as groups.

    Parameters
    ----------
    items : iterable of Finished
        In the order in which the groups are wanted.
    names : callable, optional
        From a trial to its group's name, None leaves it out; by default what its spec calls its row, or its method.
    score, view : str, optional
        By default the task's best score, and the default view.
    keep : callable
        Whether to keep an image, by its id. An image that not all seeds of a group have is left out.

    Raises
    ------
    InputError
        The score of single images is not among the evidence of a trial.
    """
    found: dict[str, list[Finished]] = {}
    for item in {item.id: item for item in items}.values():  # one trial may stand in the evidence of two specs
        name = names(item) if names else item.name or item.trial.method
        if name is not None:
            found.setdefault(name, []).append(item)
    groups = []
    for name, members in found.items():
        members = sorted(members, key=lambda item: item.trial.seed)
        what = score or task_of(members[0].trial.method).best
        each = [(item.views[view] if view else item.default).per_image(what) for item in members]
        if not all(each):
            raise InputError(f"{what} of single images of {name} is not among the evidence", "collect it again")
        images = [image for image in each[0] if keep(image) and all(image in values for values in each)]
        values = np.array([[values[image] for image in images] for values in each], dtype=float)
        groups.append(Group(name, values, members, what))
    return groups


def group_runs(runs: Sequence[Run], names: Callable[[Finished], str | None] | None = None, **rest: str) -> list[Group]:
    """Finished runs as groups; the other arguments are those of `in_groups`.

    Raises
    ------
    InputError
        Runs of one group were tested on different images.
    """
    items = [read_run(run.folder) for run in runs]
    groups = in_groups(items, names, **rest)
    for group in groups:
        if any(len(item.default.per_image(group.score)) != group.values.shape[1] for item in group.trials):
            raise InputError(f"runs of {group.name} were tested on different images", "group runs of one test fold")
    return groups


def group_results(folder: Path, names: Callable[[Finished], str | None] | None = None, **rest) -> list[Group]:
    """Committed evidence of a spec (``results/<paper>/<spec>``) as groups; arguments of `in_groups`."""
    return in_groups(read_spec_evidence(folder), names, **rest)


def of_spec(folder: Path) -> tuple[list[Finished], str]:
    """The committed evidence of a spec as it stands now, and `part_of_spec`."""
    items, spec = read_spec_evidence(folder), spec_of(folder)
    wanted = {trial.id for trial in spec.trials} if spec else {item.id for item in items}
    return [item for item in items if item.id in wanted], part_of_spec(folder)


def part_of_spec(folder: Path) -> str:
    """Of which spec the evidence in a folder is but a part, as a sentence; empty where it is whole, or not there."""
    spec = spec_of(folder)
    if spec is None or not (folder / "trials.csv").exists():
        return ""
    planned, done = {trial.id for trial in spec.trials}, {row["id"] for row in csv_rows(folder / "trials.csv")}
    path = f"experiments/{spec.paper}/{spec.name.removesuffix(f'-{spec.scale}')}.yaml"
    return f"{len(planned & done)} of {len(planned)} trials of {path} have been run." if planned - done else ""


def unfinished(trials: Iterable[Finished]) -> str:
    """`part_of_spec` of all committed evidence that some trials come from."""
    origins = dict.fromkeys(item.origin for item in trials if item.origin.startswith(RESULTS))
    return " ".join(filter(None, (part_of_spec((project_root() or Path()) / origin) for origin in origins)))


def together(runs: Sequence[Run], names: Callable[[Run], str] | None = None) -> dict[str, list[Run]]:
    """Runs by name (their method's, unless `names` says otherwise), in the order given."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(names(run) if names else run.trial.method, []).append(run)
    return found


def gain(a: Group, b: Group) -> np.ndarray:
    """a − b of each test image, ``(seeds, images)``, for the seeds that both have.

    Raises
    ------
    InputError
        They have no seed in common.
    """
    both = [seed for seed in a.seeds if seed in b.seeds]
    if not both:
        raise InputError(f"{a.name} and {b.name} have no seed in common", "run both with the same seeds")
    return np.stack([a.values[a.seeds.index(seed)] - b.values[b.seeds.index(seed)] for seed in both])


@dataclass(frozen=True)
class Difference:
    """One group minus another, over the same test images and seeds.

    Parameters
    ----------
    one, other : str
        Names of the groups.
    value, low, high : float
        The mean and its 95 % interval, as a fraction or in pixels.
    score : str
        As in ``tutseg.metrics``.
    setting : str
        What both have in common, such as "2 % labelled"; may be empty.
    """

    one: str
    other: str
    value: float
    low: float
    high: float
    score: str = "dice"
    setting: str = ""

    @property
    def verdict(self) -> Literal["higher", "lower", "undecided"]:
        """What the interval allows one to say of `one`."""
        return direction(self.low, self.high)

    @property
    def row(self) -> tuple[str, float, float, float]:
        """What it is, mean, low and high end in points or pixels, for a figure."""
        scale, what = scale_of(self.score), f"{self.one} − {self.other}"
        return ", ".join(filter(None, (what, self.setting))), *(scale * x for x in (self.value, self.low, self.high))


def paired(a: Group, b: Group, setting: str = "") -> Difference:
    """a − b over the seeds both have."""
    each = gain(a, b)
    return Difference(a.name, b.name, float(each.mean()), *paired_interval(each), a.score, setting)


def verdicts(gains: Sequence[np.ndarray]) -> list[str]:
    """Of each difference ``(seeds, images)`` what Holm's steps over all leave: "higher", "lower" or "undecided"."""
    decided = holm(gains, lambda low, high: direction(low, high) != "undecided")
    return [direction(*paired_interval(each)) if i in decided else "undecided" for i, each in enumerate(gains)]


def compare(groups: Sequence[Group], one: str, other: str) -> Difference:
    """`paired` of two groups by their names."""
    return paired(named(groups, one), named(groups, other))


def differences(groups: Sequence[Group], reference: str, setting: str = "") -> list[Difference]:
    """`reference` minus each other group."""
    return [paired(named(groups, reference), group, setting) for group in groups if group.name != reference]


def named(groups: Iterable[Group], name: str) -> Group:
    """The group of a name.

    Raises
    ------
    InputError
        There is none.
    """
    of = {group.name: group for group in groups}
    if name not in of:
        raise unknown("group", name, of)
    return of[name]


def scale_of(score: str) -> float:
    """From a score to what a table prints: per cent of a share, pixels of a distance."""
    return 1.0 if score in DISTANCES else 100.0


def heading(score: str) -> str:
    """A score and its unit: "Dice %", "hd95, pixels"."""
    return f"{score}, pixels" if scale_of(score) == 1 else f"{score.capitalize()} %"


def told(value: float, score: str = "dice", sign: str = "", decimals: int = 1) -> str:
    """A score for people: 0.8123 as "81.2" (per cent), a distance in pixels as it is."""
    return "–" if not np.isfinite(value) else f"{scale_of(score) * value:{sign}.{decimals}f}"


def told_interval(values: np.ndarray, score: str = "dice", sign: str = "") -> str:
    """The 95 % interval of a mean of scores ``(k, n)``: "66.8 to 72.7"; one seed's says that it is over images only."""
    if values.shape[1] < 2:
        return "–"
    low, high = paired_interval(values) if len(values) > 1 else t_interval(values[0])
    return f"{told(low, score, sign)} to {told(high, score, sign)}" + " (images only)" * (len(values) == 1)


def provenance(trials: Iterable[Finished], commands: bool = False) -> str:
    """One line: data, network, steps, seeds, device and stamps of trials; mixed ones are all named.

    With `commands` also the commands that made them, their common beginning written once.
    """
    found: dict[str, list[str]] = {}
    for item in trials:
        trial, origin = item.trial, item.provenance
        trains = task_of(trial.method).trains
        about = {"data": f"{trial.data} ({origin['data']})"}
        if trial.test_data:
            about["tested on"] = trial.test_data + (f" ({origin['tested']})" if origin.get("tested") else "")
        if trains:
            about["net"] = f"{trial.net} at {trial.size} px"
            about["training"] = f"{trial.steps} steps of {trial.batch}" if trial.steps else ""
            if "labelled" in item.n:  # a generator has no use for it
                about["labelled/unlabelled"] = f"{item.n['labelled']}/{item.n['unlabelled']}"
        else:
            about["size"] = f"{trial.size} px"
        about |= {
            "seeds": str(trial.seed),
            **{key: origin.get(key, "") for key in ("device", "torch", "commit", "code")},
        }
        about |= {"evidence": "runs of this page" if item.origin.startswith("runs") else item.origin}
        about |= {"command": origin["command"]} if commands else {}
        for key, value in about.items():
            if value and value not in found.setdefault(key, []):
                found[key].append(value)
    if len(found.get("command", ())) > 1:
        words = [command.split() for command in found["command"]]
        same = len(list(takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False))))
        rests = " | ".join(" ".join(each[same:]) for each in words)
        found["command"] = [f"{' '.join(words[0][:same])} [{rests}]"]
    return "; ".join(f"{key}: {', '.join(values)}" for key, values in found.items() if values) + "."
