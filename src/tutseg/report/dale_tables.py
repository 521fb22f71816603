"""DALE on many backbones, and its costs: what an iteration takes, and convergence against time."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas

from tutseg.files import csv_rows
from tutseg.papers.tables import find_cells
from tutseg.report.figure import DASHES, MARKERS, PALETTE, columns, legend_below, line_figure, sheet
from tutseg.report.groups import Group, gain, heading, in_groups, told, told_interval, verdicts
from tutseg.report.table import Table
from tutseg.report.tables import committed, provenance
from tutseg.training.evaluate import dice_of
from tutseg.training.fit import make_fabric, snapshot_steps
from tutseg.training.pictures import pictures_of, split_of
from tutseg.training.run import Run

# Rows of the paper's tables by our small network of the same architecture.
PRINTED = {
    "unet-s": "Unet", "unetpp-s": "Unet++", "ege-unet": "EGEUNET", "emcad-s": "EMCAD", "convformer-s": "Convformer",
    "transfuse-s": "TransFuse", "xboundformer-s": "Xboundformer", "swin-umamba-s": "SwinUmamba",
}  # fmt: skip
TIMED = {net: PRINTED[net] for net in ("xboundformer-s", "ege-unet", "swin-umamba-s")}  # whose times Table 5 prints
WAYS = {"plain": "{}", "twice the steps": "{}, twice the steps", "five times the steps": "{}, five times the steps"}
WHOLE = "DALE, whole statistics"
ARMS = ("DALE", WHOLE)


def backbones(folder: Path, score: str = "dice") -> dict[str, dict[str, Group]]:
    """Committed trials of a spec with rows "net", "net, DALE" and so on: groups by net, then by way of training."""
    groups = {group.name: group for group in in_groups(committed(folder), score=score)}
    ways = WAYS | {arm: f"{{}}, {arm}" for arm in ARMS}
    found = {
        net: {way: groups[form.format(net)] for way, form in ways.items() if form.format(net) in groups}
        for net in PRINTED
    }
    return {net: each for net, each in found.items() if each}


def backbone_table(found: Mapping[str, Mapping[str, Group]], caption: str) -> Table | None:
    """A score of every backbone, trained in every way, as `backbones` finds them; nothing where there are no trials."""
    if not found:
        return None

    def cell(group: Group | None) -> str:
        if group is None:
            return "not yet"
        return f"{told(group.mean, group.score)} ± {told(group.seed_spread, group.score)} ({len(group.seeds)})"

    ways = [way for way in (*WAYS, *ARMS) if any(way in each for each in found.values())]
    first = next(iter(next(iter(found.values())).values()))
    return Table(
        ("backbone, small", *ways),
        tuple((net, *(cell(each.get(way)) for way in ways)) for net, each in found.items()),
        caption,
        f"{heading(first.score)}: mean over {first.values.shape[1]} pictures and seeds, ± sd over seeds (how many).",
        provenance(item for each in found.values() for group in each.values() for item in group.trials),
    )


def gains(found: Mapping[str, Mapping[str, Group]], arm: str = "DALE") -> dict[str, dict[str, tuple[np.ndarray, str]]]:
    """`arm` less each plain way of training, by way and backbone: ``(seeds, pictures)``, and what Holm's steps say.

    The steps are over the backbones that share at least two seeds; "higher" is a greater score, also of a distance.
    """
    made: dict[str, dict[str, tuple[np.ndarray, str]]] = {}
    for way in WAYS:
        each = {net: gain(of[arm], of[way]) for net, of in found.items() if {arm, way} <= of.keys()}
        each = {net: values for net, values in each.items() if len(values) > 1}
        if each:
            words = verdicts(list(each.values()))
            made[way] = {net: (values, word) for (net, values), word in zip(each.items(), words, strict=True)}
    return made


def gain_table(found: Mapping[str, Mapping[str, Group]], data: str, caption: str, table: int = 2) -> Table | None:
    """`gains` of DALE, with either statistics, beside what a table prints on `data`; nothing where there are none."""
    made = {arm: each for arm in ARMS if (each := gains(found, arm))}
    if not made:
        return None
    score = next(iter(next(iter(found.values())).values())).score
    plain = [way for way in WAYS if any(way in each for each in made.values())]
    rows = []
    for net in found:
        pair = [find_cells("dale", table, row, score, {"data": data}) for row in (PRINTED[net], f"*{PRINTED[net]}")]
        printed = told(float(pair[1][0].value) - float(pair[0][0].value), score, "+") if all(pair) else "–"
        for arm, ways in made.items():
            cells = [
                f"{told(ways[way][net][0].mean(), score, '+')} ({told_interval(ways[way][net][0], score, '+')}), "
                f"{ways[way][net][1]}" if net in ways.get(way, {}) else "not yet"
                for way in plain
            ]  # fmt: skip
            rows.append((net, arm, printed, *cells))
    return Table(
        ("backbone, small", "trained by", f"Table {table}, {data}: DALE − plain", *(f"less {way}" for way in plain)),
        tuple(rows),
        caption,
        f"{heading(score)} paired by seed and picture, with the 95 % interval of this one comparison; the word is what "
        "is left of it by Holm's steps over the backbones.",
        keys=2,
    )  # fmt: skip


def gains_told(found: Mapping[str, Mapping[str, Group]]) -> str:
    """`gains` counted, in sentences."""
    said = []
    for arm in ARMS:
        for way, each in gains(found, arm).items():
            words = [word for _, word in each.values()]
            count = ", ".join(f"{word} on {words.count(word)}" for word in ("higher", "lower", "undecided"))
            beside = f"plain training{f' with {way}' * (way != 'plain')}"
            said.append(f"- {arm}, beside {beside}: {count} of {len(words)} backbones")
    if not said:
        return "Too few seeds so far to say what DALE is worth."
    return "By Dice:\n\n" + "\n".join(said)


def statistics_told(found: Mapping[str, Mapping[str, Group]]) -> str:
    """What the statistics of whole pictures are worth to DALE, from the least of the backbones to the most."""
    each = [gain(of[WHOLE], of["DALE"]) for of in found.values() if of.keys() >= {*ARMS}]
    worth = [values.mean() for values in each if len(values) > 1]
    if not worth:
        return "What the statistics of whole pictures are worth is not known yet."
    low, high = (told(bound(worth), "dice", "+") for bound in (min, max))
    return f"Statistics of whole pictures are worth {low} to {high} points of Dice to DALE, on {len(worth)} backbones."


def lengths_told(found: Mapping[str, Mapping[str, Group]]) -> str:
    """What more steps alone are worth to plain training, from the least of the backbones to the most, in a sentence."""
    said = []
    for way in list(WAYS)[1:]:
        each = [gain(of[way], of["plain"]) for of in found.values() if {way, "plain"} <= of.keys()]
        worth = [values.mean() for values in each if len(values) > 1]
        if worth:
            said.append(f"{way} {told(min(worth), 'dice', '+')} to {told(max(worth), 'dice', '+')}")
    if not said:
        return "How far these trainings are from their end is not known yet."
    head = "More steps alone are worth to plain training, in points of Dice: "
    return f"{head}{'; '.join(said)}. Had it ended, that would be nothing."


def printed_ratio(row: str) -> float:
    """How many times as long an iteration of DALE takes as a plain one, by Table 5."""
    plain, dale = (float(find_cells("dale", 5, name, "iter_s", {})[0].value) for name in (row, f"*{row}"))
    return dale / plain


def step_table(path: Path) -> Table:
    """What an iteration of DALE costs over a plain one, ours beside Table 5; from benchmarks/dale_step.py."""
    rows = [
        (row["net"], row["plain"], row["dale"], row["none"], row["no alignment"], f"{row['whole']} ({row['range']})",
         f"{printed_ratio(TIMED[row['net']]):.2f}" if row["net"] in TIMED else "–")
        for row in csv_rows(path)
    ]  # fmt: skip
    first = csv_rows(path)[0]
    heads = (
        "backbone, small", "plain, s", "DALE, s", "times a plain one: two steps", "and omega", "and L_W (range)",
        "Table 5 prints",
    )  # fmt: skip
    return Table(
        heads,
        tuple(rows),
        f"An iteration of {first['batch']} pictures of {first['size']} px on {first['threads']} thread",
        f"Medians of {first['repeats']} rounds, all ways in turn in one run.",
        f"From results/dale/{path.name}; torch {first['torch']}; commit {first['commit']}; {first['command']}.",
    )


def cost_of(net: str, folder: Path) -> float:
    """What an iteration of DALE takes in plain ones on a backbone, by ``step.csv`` in `folder`."""
    return next(float(row["whole"]) for row in csv_rows(folder / "step.csv") if row["net"] == net)


def dice_at_steps(run: Run) -> dict[int, float]:
    """Mean Dice of the test pictures after each kept step of a run."""
    trial = run.trial
    pictures = pictures_of(trial.data, None, trial.size, trial.data_options)
    test, fabric = pictures.take(split_of(trial, pictures).test), make_fabric("cpu", "32-true")
    return {step: float(dice_of(run.method(step), test, fabric).mean()) for step in snapshot_steps(trial)}


@line_figure
def convergence(
    found: Mapping[str, Sequence[Mapping[int, float]]], cost: Mapping[str, float]
) -> tuple[Callable[[float], Canvas], str]:
    """Dice over iterations, and over time in units of plain iterations.

    Parameters
    ----------
    found : mapping
        arm -> `dice_at_steps` of each of its seeds.
    cost : mapping
        arm -> what one of its iterations takes, in plain iterations.
    """
    lines = {
        arm: (np.array(list(each[0])), 100 * np.mean([list(seed.values()) for seed in each], 0))
        for arm, each in found.items()
    }
    panels = {"iteration": dict.fromkeys(lines, 1.0), "time, in plain iterations": cost}

    def draw(width: float) -> Canvas:
        side_by_side = columns(width, 2, 2.4)
        figure, axes = sheet(width, 2.4 * (2 // side_by_side) + 0.6, 2 // side_by_side, side_by_side, squeeze=False)
        for axis, (words, factor) in zip(axes.flat, panels.items(), strict=True):
            for i, (arm, (steps, dice)) in enumerate(lines.items()):
                style = {"color": PALETTE[i], "ls": DASHES[i], "marker": MARKERS[i]}
                axis.plot(steps * factor[arm], dice, ms=4, label=arm, **style)
            axis.set(xlabel=words, ylabel="Dice %")
        legend_below(figure, axes, width)
        return figure

    told = "; ".join(
        f"{arm}: " + ", ".join(f"{d:.1f} after {s} ({s * cost[arm]:.0f})" for s, d in zip(*of, strict=True))
        for arm, of in lines.items()
    )
    return draw, f"Dice % over iterations, and in brackets over time in plain iterations. {told}."
