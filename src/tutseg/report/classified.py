"""SSGNet's classification: its Tables 3 and 4 beside ours, what each setting adds, and what two leaks add."""

from pathlib import Path

import numpy as np

from tutseg.errors import InputError
from tutseg.papers.intervals import t_interval
from tutseg.papers.tables import load_paper
from tutseg.report.groups import (
    Difference,
    Group,
    in_groups,
    named,
    of_spec,
    paired,
    provenance,
    told,
    told_interval,
)
from tutseg.report.ssgnet import choice, validated
from tutseg.report.table import Table
from tutseg.report.tables import printed_cell
from tutseg.training.evidence import Finished

PAPER, TABLE = "ssgnet", 4
ORIGINAL = "Original"
PRINTED = {"breastmnist": {"data": "breastmnist"}, "pneumoniamnist": {"data": "chest-xray", "variant": "original"}}


def settings_of(folder: Path, data: str, score: str = "accuracy") -> list[Group]:
    """The classifiers of one data set, a group a setting; none where there is no evidence.

    Parameters
    ----------
    folder : Path
        Evidence of a spec whose rows are called "DATA, SETTING".
    data : str
        As in the trials.
    score : str
        One of `tutseg.metrics.class_scores`.
    """
    if not (folder / "trials.csv").exists():
        return []

    def setting(item: Finished) -> str | None:
        mine = item.trial.method == "classifier" and item.trial.data == data and not item.trial.options.get("leaky")
        return item.name.removeprefix(f"{data}, ") if mine else None

    return in_groups(of_spec(folder)[0], setting, score)


def _printed(group: Group, data: str, metric: str, **more: str) -> str:
    return printed_cell(PAPER, TABLE, group.name, metric, **PRINTED.get(data, {"data": data}), **more)


def _cell(group: Group) -> str:
    return f"{told(group.mean)} [{told_interval(group.values)}]"


def _not_yet(folder: Path, caption: str) -> Table:
    command = f"tutseg grid experiments/{folder.parent.name}/{folder.name}.yaml"
    return Table(("ours", "what makes it"), (("not yet", command),), caption)


def setting_table(folder: Path, data: str) -> Table:
    """Accuracy and macro-F1 of each setting, the paper's | ours with its interval, and accuracy in validation."""
    caption = f"{data}: the paper's Table 4 | ours [95 % interval]"
    if not (groups := settings_of(folder, data)):
        return _not_yet(folder, caption)
    macro = {group.name: group for group in settings_of(folder, data, "f1")}
    rows = [
        (
            group.name,
            f"{_printed(group, data, 'accuracy')} | {_cell(group)}",
            _cell(macro[group.name]),
            told(float(validated(group).mean())),
            group.n,
        )
        for group in groups
    ]
    trials = [item for group in groups for item in group.trials]
    heads = ("setting", "accuracy %", "macro-F1 %, ours", "accuracy % in validation", "n = seeds × pictures")
    return Table(heads, tuple(rows), caption, of_spec(folder)[1], provenance(trials))


def class_table(folder: Path, data: str) -> Table:
    """Precision, recall and F1 of each class in each setting, the paper's | ours with its interval."""
    caption = f"{data}, class by class: the paper's Table 4 | ours [95 % interval]"
    if not (groups := settings_of(folder, data)):
        return _not_yet(folder, caption)
    classes = groups[0].trials[0].default.classes
    printed = load_paper(PAPER).classes.get(PRINTED.get(data, {}).get("data", ""), {})
    theirs = {ours: name for name, ours in printed.items()}
    kinds = ("precision", "recall", "f1")
    of = {
        (kind, name): {group.name: group for group in settings_of(folder, data, f"{kind} of {name}")}
        for kind in kinds
        for name in classes
    }
    rows = []
    for group in groups:
        for name in classes:
            known = {"class": theirs[name]} if name in theirs else {}
            cells = [
                (f"{_printed(group, data, kind, **known)} | " if known else "") + _cell(of[kind, name][group.name])
                for kind in kinds
            ]
            called = f"{name} (printed as {theirs[name]})" if theirs.get(name, name) != name else name
            rows.append((group.name, called, *cells))
    heads = ("setting", "class", *(f"{kind.capitalize()} %" for kind in kinds))
    return Table(heads, tuple(rows), caption, of_spec(folder)[1], keys=2)


def gains(folder: Path, data: str, score: str = "accuracy") -> list[Difference]:
    """What each setting adds to a score of the real pictures alone, paired over seeds and test pictures."""
    groups = settings_of(folder, data, score)
    return [paired(group, named(groups, ORIGINAL), data) for group in groups if group.name != ORIGINAL]


def setting_leak(folder: Path, data: str) -> Difference:
    """What choosing the setting by the test part adds, over choosing it by the validation part: seed by seed.

    It cannot be below zero: the better of several numbers is no estimate of anything.

    Raises
    ------
    InputError
        No seed has been run in two settings.
    """
    groups = settings_of(folder, data)
    ways = choice(groups) if len(groups) > 1 else {}
    if not len(ways.get("test", ())):
        raise InputError(f"{folder} has no seed of {data} in several settings", "run its spec and collect it")
    return over_seeds("chosen by the test part", ways["test"] - ways["validation"], data)


def over_seeds(what: str, each: np.ndarray, data: str) -> Difference:
    """The mean of a difference from validation's choice over seeds ``(k,)``, with its interval from two on."""
    ends = t_interval(each) if len(each) > 1 else (float("nan"), float("nan"))
    return Difference(what, "chosen by validation", float(each.mean()), *ends, "accuracy", data)


def stopping_leak(folder: Path, data: str) -> Difference:
    """What stopping where the test part is best adds, over stopping by validation: of every trial, over seeds."""
    groups = settings_of(folder, data)
    by_seed: dict[int, list[float]] = {}
    for item in (item for group in groups for item in group.trials):
        test, validation = (float(item.extra[f"{way}_accuracy_per_image"]) for way in ("test", "validation"))
        by_seed.setdefault(item.trial.seed, []).append(test - validation)
    return over_seeds("stopped by the test part", np.array([np.mean(values) for values in by_seed.values()]), data)


def generator_leak(folder: Path) -> list[Difference]:
    """What generators that were shown the test part too add: rows "SETTING, leaky" less "SETTING"."""
    if not (folder / "trials.csv").exists():
        return []
    groups = in_groups((item for item in of_spec(folder)[0] if item.trial.method == "classifier"), score="accuracy")
    names = {group.name for group in groups}
    both = [name for name in names if f"{name}, leaky" in names]
    return [paired(named(groups, f"{name}, leaky"), named(groups, name)) for name in sorted(both)]
