"""DALE's costs: what an iteration takes, and convergence against time."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas

from tutseg.files import csv_rows
from tutseg.papers.tables import find_cells
from tutseg.report.figure import DASHES, MARKERS, PALETTE, columns, legend_below, line_figure, sheet
from tutseg.report.table import Table
from tutseg.training.evaluate import dice_of
from tutseg.training.fit import make_fabric, snapshot_steps
from tutseg.training.pictures import pictures_of, split_of
from tutseg.training.run import Run

# Whose times Table 5 prints, by our small network of the same architecture.
TIMED = {"xboundformer-s": "Xboundformer", "ege-unet": "EGEUNET", "swin-umamba-s": "SwinUmamba"}


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
