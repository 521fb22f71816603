"""SSGNet's rounds and controls from committed trials, and what choosing a round on test pictures is worth."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tutseg.papers.intervals import t_interval
from tutseg.report.groups import (
    Group,
    compare,
    in_groups,
    named,
    part_of_spec,
    provenance,
    told,
    told_interval,
)
from tutseg.report.say import against, difference
from tutseg.report.table import Table
from tutseg.report.tables import committed, spec_table
from tutseg.training.evidence import Finished

NAME = re.compile(r"(.*), round (\d+)")
WITHOUT, SSGNET = "no generated pictures", "SSGNet"
QUESTIONS = {
    WITHOUT: "Do generated pictures help?",
    "labels exchanged between pictures": "Do their labels matter?",
    "real unlabelled pictures": "Is a generator needed?",
    "the same with exact masks": "Would exact masks be better?",
    "stronger augmentation, no pictures": "Would augmentation do?",
}


def passes(item: Finished) -> float:
    """How often a training met each real labelled picture: steps and batch are the same in all rounds, this is not."""
    pool = item.n.get("trained_on") or item.n["labelled"]
    real = item.n["labelled"] / pool
    if item.trial.options.get("balanced"):
        real = 0.5
    return item.trial.steps * item.trial.batch * real / item.n["labelled"]


def chains(items: Sequence[Finished]) -> dict[str, list[Group]]:
    """Chains of two rounds or more by the name before ``, round N``, each a group a round in ascending order."""
    found: dict[str, list[Group]] = {}
    for group in in_groups([item for item in items if NAME.fullmatch(item.name)]):
        found.setdefault(NAME.fullmatch(group.name)[1], []).append(group)
    return {name: sorted(groups, key=number) for name, groups in found.items() if len(groups) > 1}


def number(group: Group) -> int:
    """Which round a group of a chain is."""
    return int(NAME.fullmatch(group.name)[2])


def validated(group: Group) -> np.ndarray:
    """Dice on the validation part of each seed, which chooses a round honestly."""
    return np.array([float(item.extra["last_on_validation"]) for item in group.trials])


def pooled(group: Group, score: str) -> float:
    """A score over all pixels of the test part together, the mean over seeds."""
    return float(np.mean([item.default.means[score]["pooled"] for item in group.trials]))


def rounds_table(folder: Path) -> Table:
    """Each round of each chain of a spec: Dice, both mIoU of the same predictions, passes over real pictures.

    Parameters
    ----------
    folder : Path
        ``results/ssgnet/<spec>``, which need not be there.
    """
    caption = "Round by round"
    items, rows = committed(folder), []
    if not items:
        return spec_table(folder, caption)
    for name, groups in chains(items).items():
        for group in groups:
            gain = "" if group is groups[0] else difference(compare(groups, group.name, groups[0].name))
            first = group.trials[0]
            rows.append(
                (name, str(number(group)), f"{told(group.mean)} ± {told(group.seed_spread)}",
                 told_interval(group.values), gain, told(float(validated(group).mean())),
                 told(pooled(group, "jaccard")), told(pooled(group, "miou")), str(first.trial.steps),
                 f"{passes(first):.1f}", group.n)
            )  # fmt: skip
    heads = ("chain", "round", "Dice % ± sd over seeds", "95 % interval", "against round 0", "Dice %, validation",
             "lesion's IoU %, pooled", "mean IoU of two classes %, pooled", "steps", "passes over real pictures",
             "n = seeds × images")  # fmt: skip
    note = f"Both IoU are of the same predictions. {part_of_spec(folder)}".strip()
    return Table(heads, tuple(rows), caption, note, provenance(items), keys=2)


def choice(groups: Sequence[Group]) -> dict[str, np.ndarray]:
    """Test Dice of a chain's seeds by how the round is chosen: ``last``, ``validation``, and ``test``, the leak."""
    seeds = [seed for seed in groups[0].seeds if all(seed in group.seeds for group in groups)]
    at = [[group.seeds.index(seed) for seed in seeds] for group in groups]
    on_test, on_validation = (
        np.stack([values(group)[rows] for group, rows in zip(groups, at, strict=True)])
        for values in (lambda group: group.values.mean(1), validated)
    )
    chosen = on_validation.argmax(0)
    return {
        "last": on_test[-1],
        "validation": on_test[chosen, np.arange(len(seeds))],
        "test": on_test.max(0),
    }


def choice_table(folder: Path) -> Table:
    """What it is worth to choose the round on the test pictures, as the paper's Table 2 does."""
    caption = "Which round is reported"
    items, rows = committed(folder), []
    if not items:
        return spec_table(folder, caption)
    for name, groups in chains(items).items():
        ways = choice(groups)
        leak = ways["test"] - ways["validation"]
        ends = t_interval(leak) if len(leak) > 1 else (float("nan"),) * 2
        rows.append(
            (name, *(told(float(ways[way].mean())) for way in ("last", "validation", "test")),
             told(float(leak.mean()), sign="+"), f"{told(ends[0], sign='+')} to {told(ends[1], sign='+')}",
             str(len(leak)))
        )  # fmt: skip
    heads = ("chain", "last round, Dice %", "chosen on validation %", "chosen on test % (a leak)",
             "worth of the leak, points", "95 % interval", "seeds")  # fmt: skip
    note = "Round 0, without generated pictures, is among the rounds. The leak can only raise a score."
    return Table(heads, tuple(rows), caption, note, provenance(items))


def told_rounds(folder: Path) -> str:
    """What the last round is against round 0 in each chain, as sentences."""
    if not committed(folder):
        return "The rounds have not been run at this scale yet."
    told_each = [
        f"Of {name}, round {number(groups[-1])} is, against round {number(groups[0])}, "
        f"{difference(compare(groups, groups[-1].name, groups[0].name))}."
        for name, groups in chains(committed(folder)).items()
    ]
    return " ".join(told_each)


def controls_table(folder: Path) -> Table:
    """SSGNet less each control, and the question that the control answers.

    Parameters
    ----------
    folder : Path
        ``results/ssgnet/controls-lab``.
    """
    caption = "SSGNet against what stands in the place of its pictures"
    groups = _controls(folder)
    if not groups:
        return spec_table(folder, caption)
    rows = tuple(
        (group.name, QUESTIONS.get(group.name, ""), f"{told(group.mean)} ± {told(group.seed_spread)}",
         "" if group.name == SSGNET else difference(compare(groups, SSGNET, group.name)),
         f"{passes(group.trials[0]):.1f}", group.n)
        for group in groups
    )  # fmt: skip
    heads = ("arm", "question", "Dice % ± sd over seeds", "SSGNet, against it", "passes over real pictures",
             "n = seeds × images")  # fmt: skip
    items = [item for group in groups for item in group.trials]
    return Table(heads, rows, caption, part_of_spec(folder), provenance(items))


def told_controls(folder: Path) -> str:
    """What SSGNet is against its controls, as a sentence."""
    groups = _controls(folder)
    if not groups:
        return "The controls have not been run at this scale yet."
    gains = [compare(groups, SSGNET, group.name) for group in groups if group.name in QUESTIONS]
    one = difference(compare(groups, SSGNET, named(groups, WITHOUT).name))
    return f"Against training without generated pictures SSGNet is {one}; among the controls it is {against(gains)}."


def _controls(folder: Path) -> list[Group]:
    """The arms that have been run; none without SSGNet and training without it."""
    groups = in_groups(committed(folder))
    return groups if {WITHOUT, SSGNET} <= {group.name for group in groups} else []
