"""What trained runs predict: contours side by side, and drawn hard cases one at a time."""

from collections.abc import Mapping, Sequence

import numpy as np

from tutseg.data import open_source
from tutseg.data.loader import load_pictures
from tutseg.report.groups import provenance, together, told, told_interval
from tutseg.report.photographs import Tiles, contours
from tutseg.report.table import Table
from tutseg.training.evaluate import dice_of, foreground, truth_of
from tutseg.training.evidence import read_run
from tutseg.training.fit import make_fabric
from tutseg.training.pictures import pictures_of, split_of
from tutseg.training.run import Run

HARD_CASES_SEED = 9_000


def contour_sheet(runs: Sequence[Run], n: int = 5, root: str | None = None) -> Tiles:
    """DME-FD Figures 3-4: `contours` of the first `n` test pictures, by one run of each method.

    Shown are the runs of that labelled share and seed which has most methods; `root` is where their data set is (None:
    ``$TUTSEG_DATA``).
    """
    alike: dict[tuple, list[Run]] = {}
    for run in runs:
        alike.setdefault((run.trial.data, run.trial.labelled, run.trial.seed), []).append(run)
    runs = max(alike.values(), key=lambda members: len(together(members)))
    trial = runs[0].trial
    pictures = pictures_of(trial.data, root, trial.size, trial.data_options)
    shown = pictures.take(split_of(trial, pictures).test[:n])
    fabric = make_fabric("cpu", "32-true")
    predictions = {}
    for name, (run, *_) in together(runs).items():
        method = run.method()
        predictions[name] = foreground(method, shown, method.views[0], fabric)
    return contours(shown.images.permute(0, 2, 3, 1).numpy(), truth_of(shown), predictions)


def overtaken(log: Mapping[str, np.ndarray], term: str) -> int:
    """The first step at which the other loss terms of a `Run.log` are together larger than one of them.

    The number of steps if they never are.
    """
    terms = [name for name in log if name != "step" and not name.startswith("w_")]
    others = sum(log[name] for name in terms if name != term)
    larger = np.flatnonzero(others > log[term])
    return int(log["step"][larger[0]]) if len(larger) else len(log[term])


def hard_cases(runs: Sequence[Run], artefacts: Sequence[str], n: int = 60) -> Table:
    """DME-FD Figure 5 as numbers: one and the same drawn lesions, clean and with each artefact alone.

    Parameters
    ----------
    runs : sequence of Run
        Trained on drawn pictures; grouped by method.
    artefacts : sequence of str
        Names of drawn artefacts.
    n : int
        Lesions, drawn with a seed that no training uses.

    Returns
    -------
    Table
        A row an artefact: Dice ± sd over seeds, and the loss against the clean row with its 95 % interval.
    """
    size = runs[0].trial.size
    fabric = make_fabric("cpu", "32-true")
    trained = {name: [run.method() for run in members] for name, members in together(runs).items()}
    lines, clean = [], {}
    for artefact in ("", *artefacts):
        drawn = open_source("synth", n=n, size=size, seed=HARD_CASES_SEED, artefacts=(artefact,) if artefact else ())
        test = load_pictures(drawn, size)
        cells = []
        for name, methods in trained.items():
            dice = np.stack([dice_of(method, test, fabric) for method in methods])
            spread = dice.mean(1).std(ddof=1) if len(dice) > 1 else float("nan")
            text = f"{told(dice.mean())} ± {told(spread)}"
            if artefact:
                loss = dice - clean[name]
                text += f" ({told(loss.mean(), sign='+')} [{told_interval(loss, sign='+')}])"
            else:
                clean[name] = dice
            cells.append(text)
        lines.append((artefact or "none", *cells))
    seeds = min(map(len, trained.values()))
    return Table(
        ("artefact", *trained),
        tuple(lines),
        f"Dice % ± sd over {seeds} seeds on {n} lesions drawn with seed {HARD_CASES_SEED} (against the clean pictures: "
        "difference, 95 % interval)",
        origin=provenance(read_run(run.folder) for run in runs),
    )
