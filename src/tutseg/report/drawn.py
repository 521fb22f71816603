"""What drawn pictures teach about real ones: tables of networks that trained on drawings."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tutseg.files import sha256
from tutseg.report.groups import Group, compare, gain, in_groups, named, of_spec, provenance, told
from tutseg.report.say import Said, names, say
from tutseg.report.table import Table
from tutseg.report.tables import difference_table, score_table
from tutseg.training.evidence import Finished


def untuned(image: str) -> bool:
    """Whether a real picture is of the half that the drawing was not tuned on: the SHA-256 of its id is odd."""
    return int(sha256(image), 16) % 2 == 1


HALVES: dict[str, Callable[[str], bool]] = {"untuned": untuned, "tuned": lambda image: not untuned(image)}
WHOLE = "nothing: Dice %"
PREDICTED = {"mirrored": "with mirror images", "one_region": "one region"}
DRAWN_ONLY = "drawn pictures only, no real label"


def transfer_table(folder: Path) -> Table:
    """Networks that trained on drawings alone, tested on real pictures: the half that counts, and the other beside it.

    Parameters
    ----------
    folder : Path
        Evidence, such as ``results/drawn/transfer``.
    """
    items, missing = of_spec(folder)
    half = {what: in_groups(items, _transfer, keep=keep) for what, keep in HALVES.items()}
    tuned = {group.name: f"{told(group.mean)} (n = {group.n})" for group in half["tuned"]}
    table = score_table(
        half["untuned"],
        "Real pictures that the drawing was not tuned on, and networks that saw drawn ones alone",
        {"on the half it was tuned on": tuned},
    )
    return replace(table, note=missing)


def transfer_reading(folder: Path) -> Said:
    """What `transfer_table` says of the recipe, ``results/drawn/transfer``: its level, and what its parts are worth."""
    items, _ = of_spec(folder)
    half = in_groups(items, _transfer, keep=untuned)
    recipe, small = "lite0-unet, pretrained, synth-wild", "mobilenet-unet, synth-wild"
    sentences = [
        say(
            "On {tested} the recipe's Dice is {level:share}; against the small network from scratch it is {gain}.",
            tested=title,
            level=named(half, f"{recipe}, tested on {tested}").mean,
            gain=compare(half, f"{recipe}, tested on {tested}", f"{small}, tested on {tested}"),
        ).text
        for tested, title in {"isic2018": "ISIC 2018", "ph2": "PH2"}.items()
    ]
    return Said(" ".join(sentences))


def pilot_table(folder: Path) -> Table:
    """The recipes among which the half that the drawing was tuned on chose, ``results/drawn/transfer-pilot``."""
    items, missing = of_spec(folder)
    trials = {item.trial.id: item.trial for item in items}

    def name(item: Finished) -> str:
        trial = trials.get(item.trial.inputs.get("start"), item.trial)
        rate = f"rate {trial.lr}"
        if slow := trial.groups.get("encoder"):
            rate += f", {slow['lr']} for the encoder"
        if trial.options.get("keep_statistics"):
            rate += ", its statistics kept"
        asked = [what for option, what in PREDICTED.items() if item.trial.options.get(option)]
        return ", ".join(
            [trial.data, f"{trial.augment} views", rate, f"{trial.steps} steps", f"{trial.size} px", *asked]
        )

    groups = sorted(in_groups(items, name, keep=HALVES["tuned"]), key=lambda group: -group.mean)
    table = score_table(groups, "Dice on the half of ISIC 2018 that the drawing was tuned on")
    return replace(table, note=missing)


def _transfer(item: Finished) -> str:
    start = ", pretrained" if item.trial.pretrained else ""
    return f"{item.trial.net}{start}, {item.trial.data}, tested on {item.trial.test_data}"


def start_tables(folder: Path) -> tuple[Table, Table]:
    """Few real labels with and without drawn pictures before them, and the best of these minus each of the others.

    Parameters
    ----------
    folder : Path
        Evidence, ``results/drawn/start``.
    """
    items, missing = of_spec(folder)
    tested = _tested(items)
    groups = sorted(in_groups(items, _start, keep=tested.__contains__), key=lambda group: group.mean)
    half = {group.name: group for group in _untuned_half(items)}
    n = next(iter(half.values())).values.shape[1]
    beside = {f"on the {n} test images the drawing was not tuned on": {k: told(g.mean) for k, g in half.items()}}
    caption = "Dice on real pictures of networks that saw few real labels, with and without drawn pictures before"
    return replace(score_table(groups, caption, beside), note=missing), difference_table(groups, groups[-1].name)


def start_reading(folder: Path) -> Said:
    """What the half that the drawing was not tuned on says of `start_tables`; the same folder."""
    items, _ = of_spec(folder)
    half = _untuned_half(items)
    few = min(item.n["labelled"] for item in items)
    row = lambda method, begun: f"{method}, {few} labels, {begun}"
    scratch, after = "from scratch", "after drawn pictures"
    return say(
        "On the half that the drawing was not tuned on, Dice of drawn pictures alone is {alone} against {few} labels "
        "from scratch, and that of the labels after drawn pictures is {both} against drawn pictures alone. FixMatch is "
        "{scratch} from scratch and {after} after drawn pictures, each against the same labels alone.",
        few=few,
        alone=compare(half, DRAWN_ONLY, row("supervised", scratch)),
        both=compare(half, row("supervised", after), DRAWN_ONLY),
        scratch=compare(half, row("fixmatch", scratch), row("supervised", scratch)),
        after=compare(half, row("fixmatch", after), row("supervised", after)),
    )


def _start(item: Finished) -> str:
    if item.trial.data == "synth":
        return DRAWN_ONLY
    begun = "after drawn pictures" if item.trial.inputs else "from scratch"
    return f"{item.trial.method}, {item.n['labelled']} labels, {begun}"


def _tested(items: list[Finished]) -> set[str]:
    """The pictures that all trials have: drawn-only networks were tested on all, the others on a fold."""
    return set.intersection(*(set(item.default.per_image("dice")) for item in items))


def _untuned_half(items: list[Finished]) -> list[Group]:
    tested = _tested(items)
    return in_groups(items, _start, keep=lambda image: image in tested and untuned(image))


def ablation_table(folder: Path) -> Table:
    """What each drawn feature is worth: Dice on real pictures with everything drawn, minus without the feature.

    Parameters
    ----------
    folder : Path
        Evidence, ``results/drawn/ablation``; the trials that leave nothing out are the reference.
    """
    items, missing = of_spec(folder)
    columns = {
        f"{data}, {what} half (n = {next(iter(groups.values())).values.shape[1]})": groups
        for data, halves in _ablation(items).items()
        for what, groups in zip(HALVES, halves, strict=True)
    }
    rows = [
        (row, *(_worth(groups, row) for groups in columns.values())) for row in dict.fromkeys(map(_left_out, items))
    ]
    return Table(
        ("left out", *columns),
        tuple(rows),
        "Dice points lost on real pictures when a drawn feature is left out: mean (each seed)",
        missing,
        provenance(items),
    )


def ablation_reading(folder: Path) -> Said:
    """Which features `ablation_table` shows to matter as far as its few seeds can: the same sign with every seed."""
    items, _ = of_spec(folder)
    told_of = []
    for data, halves in _ablation(items).items():
        lost = {
            row: np.concatenate([gain(groups[WHOLE], groups[row]).mean(1) for groups in halves])
            for row in halves[0]
            if row != WHOLE and all(row in groups and WHOLE in groups for groups in halves)
        }
        missed = names(row for row, each in lost.items() if (each > 0).all() and each.mean() > 0.01)
        better = names(row for row, each in lost.items() if (each < 0).all() and each.mean() < -0.01)
        told_of.append(f"on {data} {missed} (better without: {better})")
    return say(
        "Missed with each of {seeds} seeds on both halves, by over a point on average: {told_of}. So few decide "
        "no interval.",
        seeds=len({item.trial.seed for item in items}),
        told_of="; ".join(told_of),
    )


def _left_out(item: Finished) -> str:
    return " + ".join(item.trial.data_options.get("without", ())) or WHOLE


def _ablation(items: list[Finished]) -> dict[str, list[dict[str, Group]]]:
    """By data set and half, in the order of `HALVES`: what was left out, as groups."""
    return {
        data: [{group.name: group for group in in_groups(tested, _left_out, keep=keep)} for keep in HALVES.values()]
        for data in dict.fromkeys(item.trial.test_data for item in items)
        if (tested := [item for item in items if item.trial.test_data == data])
    }


def _worth(groups: dict[str, Group], row: str) -> str:
    """What a row's networks lack of those that saw everything, over the seeds that both have."""
    if row not in groups or WHOLE not in groups:
        return "–"
    if row == WHOLE:
        return told(groups[row].mean)
    lost = gain(groups[WHOLE], groups[row]).mean(1)
    return f"{told(np.mean(lost), sign='+')} ({', '.join(told(each, sign='+') for each in lost)})"
