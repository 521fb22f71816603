"""DALE's central experiment: which doubts find wrong labels over training, and what label noise costs each method."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from tutseg.data.loader import Pictures
from tutseg.data.noise import with_noise
from tutseg.files import csv_rows
from tutseg.papers.intervals import direction, paired_interval, t_interval
from tutseg.report.explorers import GridExplorer, outlined
from tutseg.report.figure import DASHES, INK, MARKERS, PALETTE, columns, legend_below, line_figure, sheet
from tutseg.report.groups import Group, gain, in_groups, of_spec, provenance, told, told_interval, verdicts
from tutseg.report.table import Table
from tutseg.training.doubts import scores_of_run
from tutseg.training.evidence import DOUBT_SCORES, Finished
from tutseg.training.run import Run

REGION = "outline"  # squares with an outline in them, as the plan says
NONE = "no noise"
MIN_SEEDS = 3  # of an interval of a level: that of two reaches beyond what a Dice can be


def noise_of(noise: Mapping[str, Any]) -> str:
    """ "warp 0.05", or "no noise"."""
    return f"{noise['kind']} {noise['rate']:g}" if noise else NONE


@dataclass(frozen=True)
class Doubted:
    """How well one doubt of one arm finds wrong labels, over training.

    Parameters
    ----------
    arm, noise, doubt : str
        Who was trained, on what, and which of its maps.
    steps : tuple of int
        When it was asked.
    auc : numpy.ndarray
        ``(seeds, steps)``: area under the ROC curve within each label, averaged over the labels that have both wrong
        and right pixels. For omega: of "it falls" for wrong labels, which is the paper's sign.
    seeds : tuple of int
        The seed of each row.
    """

    arm: str
    noise: str
    doubt: str
    steps: tuple[int, ...]
    auc: np.ndarray
    seeds: tuple[int, ...]

    def interval(self, at: int = -1) -> tuple[float, float]:
        """95 % t interval over seeds at a step; NaN with one seed."""
        return t_interval(self.auc[:, at]) if len(self.seeds) > 1 else (np.nan, np.nan)

    def told(self, at: int = -1) -> str:
        """ "0.59 [0.55, 0.63]"."""
        low, high = self.interval(at)
        middle = f"{self.auc[:, at].mean():.2f}"
        return middle if np.isnan(low) else f"{middle} [{low:.2f}, {high:.2f}]"


def doubted_in(folder: Path) -> list[Doubted]:
    """What committed evidence says, ``results/dale/noise-core``; nothing where there is none."""
    if not (folder / DOUBT_SCORES).exists():
        return []
    items, _ = of_spec(folder)
    trials = {item.id: item for item in items}
    rows = [row for row in csv_rows(folder / DOUBT_SCORES) if row["trial"] in trials]
    return _doubted((trials[row["trial"]].name, trials[row["trial"]].trial, row) for row in rows)


def doubted_by(runs: Iterable[Run], names: Callable[[Run], str]) -> list[Doubted]:
    """What finished runs with label noise recorded."""
    return _doubted(
        (names(run), run.trial, row) for run in runs if run.trial.noise for row in scores_of_run(run.folder)
    )


def _doubted(rows: Iterable[tuple[str, Any, Mapping[str, Any]]]) -> list[Doubted]:
    found: dict[tuple[str, str, str], dict[int, dict[int, list[float]]]] = {}
    for arm, trial, row in rows:
        if row["region"] == REGION and row["auc"] not in ("", None):
            of = found.setdefault((arm, noise_of(trial.noise), row["doubt"]), {}).setdefault(trial.seed, {})
            of.setdefault(int(row["step"]), []).append(float(row["auc"]))
    made = []
    for key, by_seed in found.items():
        steps = tuple(sorted(set.intersection(*({*each} for each in by_seed.values()))))
        seeds = tuple(sorted(by_seed))
        auc = np.array([[np.mean(by_seed[seed][step]) for step in steps] for seed in seeds])
        made.append(Doubted(*key, steps, auc, seeds))
    return made


def sign_verdicts(found: Sequence[Doubted], arm: str = "DALE") -> dict[str, str]:
    """By noise, after the last step: "the paper's", "the script's" or "undecided", by the interval over seeds."""
    words = {"higher": "the paper's", "lower": "the script's", "undecided": "undecided"}
    verdicts = {}
    for each in found:
        if (each.arm, each.doubt) == (arm, "omega"):
            low, high = each.interval()
            verdicts[each.noise] = words[direction(low - 0.5, high - 0.5)]
    return verdicts


def finding_told(found: Sequence[Doubted], arm: str = "DALE") -> str:
    """`sign_verdicts` with their areas, and `loss_finds_more`, as sentences."""
    verdicts = sign_verdicts(found, arm)
    if not verdicts:
        return "Which sign is right has not been decided yet."
    area = {each.noise: each.told() for each in found if (each.arm, each.doubt) == (arm, "omega")}
    signs = "; ".join(f"with {noise} {verdict} ({area[noise]})" for noise, verdict in verdicts.items())
    more, asked = loss_finds_more(found, arm)
    return (
        f"Which sign is right, after the last step and by the interval over seeds: {signs}. The plain loss of the same "
        f"network finds more than omega in {more} of {asked} settings."
    )


def loss_finds_more(found: Sequence[Doubted], arm: str = "DALE") -> tuple[int, int]:
    """In how many noises, of how many, the plain loss of `arm`'s network has the larger area after the last step."""
    last = {(each.noise, each.doubt): each.auc[:, -1].mean() for each in found if each.arm == arm}
    noises = [noise for noise, doubt in last if doubt == "omega"]
    return sum(last[noise, "loss"] > last[noise, "omega"] for noise in noises), len(noises)


def find_table(found: Sequence[Doubted]) -> Table:
    """The first and the last step of every doubt, and omega less the loss of the same network, pair by pair."""
    own = {(each.arm, each.noise): each for each in found if each.doubt == "loss"}
    rows = []
    for each in found:
        loss = own.get((each.arm, each.noise))
        less = "–"
        if each.doubt == "omega" and loss and loss.seeds == each.seeds:
            gap = each.auc[:, -1] - loss.auc[:, -1]
            less = f"{gap.mean():+.2f}"
            if len(gap) > 1:
                less += " [{:+.2f}, {:+.2f}]".format(*t_interval(gap))
        reverse = f"{1 - each.auc[:, -1].mean():.2f}" if each.doubt == "omega" else "–"
        rows.append((each.arm, each.noise, each.doubt, each.told(0), each.told(), reverse, less, str(len(each.seeds))))
    steps = " and ".join(sorted({f"{each.steps[0]}, {each.steps[-1]}" for each in found}))
    heads = (
        "trained by", "noise", "doubt", "AUC, first step asked", "AUC, last", "the script's sign, last",
        "omega − loss, last", "seeds",
    )  # fmt: skip
    return Table(
        heads,
        tuple(rows),
        f"Who finds wrong labels: area under the ROC curve in squares with an outline (steps {steps})",
        "Within each label, averaged over both; 1 finds all, .5 is chance; mean and 95 % t interval over seeds.",
        keys=3,
    )


@line_figure
def finding_curves(found: Sequence[Doubted]) -> tuple[Callable[[float], Canvas], str]:
    """AUC over training, a panel a noise: omega by both signs, and the plain loss of DALE's and of a plain network."""
    noises = list(dict.fromkeys(each.noise for each in found))
    wanted = {
        ("DALE", "omega"): "omega falls (the paper's sign)",
        ("DALE", "loss"): "loss of DALE's network",
        ("supervised", "loss"): "loss of plain training",
    }
    lines: dict[str, dict[str, tuple[tuple[int, ...], np.ndarray]]] = {noise: {} for noise in noises}
    for each in found:
        if words := wanted.get((each.arm, each.doubt)):
            lines[each.noise][words] = (each.steps, each.auc)
            if each.doubt == "omega":
                lines[each.noise]["omega rises (the script's sign)"] = (each.steps, 1 - each.auc)
    order = list(dict.fromkeys(words for of in lines.values() for words in of))

    def draw(width: float) -> Canvas:
        side_by_side = min(columns(width, len(noises), 1.6), 4)
        rows = -(-len(noises) // side_by_side)
        figure, axes = sheet(width, 2.1 * rows + 0.8, rows, side_by_side, squeeze=False, sharey=True)
        for axis, noise in zip(axes.flat, noises, strict=False):
            axis.axhline(0.5, color=INK, lw=0.8, ls="--", alpha=0.6)
            for words, (steps, auc) in lines[noise].items():
                i = order.index(words)
                axis.plot(steps, auc.mean(0), color=PALETTE[i], ls=DASHES[i], marker=MARKERS[i], ms=3.5, label=words)
                axis.fill_between(steps, auc.min(0), auc.max(0), color=PALETTE[i], alpha=0.15, lw=0)
            axis.set(title=noise, xlabel="step", ylim=(0, 1))
        for axis in axes.flat[len(noises) :]:
            axis.axis("off")
        axes[0, 0].set_ylabel("AUC within a label")
        legend_below(figure, axes, width)
        return figure

    told_ = "; ".join(
        f"{noise}: "
        + ", ".join(f"{w} {a[:, 0].mean():.2f} to {a[:, -1].mean():.2f}" for w, (_, a) in lines[noise].items())
        for noise in noises
    )
    return draw, f"AUC for wrong labels over training, mean of the seeds at the first and last step. {told_}."


def arms_in(folder: Path) -> tuple[dict[str, list[Group]], str]:
    """Dice of clean test pictures: noise -> a group an arm; and how much of the plan is missing."""
    items, missing = of_spec(folder) if (folder / "trials.csv").exists() else ([], "not yet")
    return by_noise(items), missing


def by_noise(items: Iterable[Finished]) -> dict[str, list[Group]]:
    """Finished trials as groups, an arm each, by their label noise, the weakest of each kind first."""
    found: dict[str, list[Finished]] = {}
    for item in sorted(items, key=lambda item: (item.trial.noise.get("kind", ""), item.trial.noise.get("rate", 0))):
        found.setdefault(noise_of(item.trial.noise), []).append(item)
    return {noise: in_groups(members) for noise, members in found.items()}


def dice_table(found: Mapping[str, Sequence[Group]], missing: str = "") -> Table:
    """Mean Dice ± sd over seeds by arm and noise, with the number of seeds; a dash where none is planned."""
    arms = list(dict.fromkeys(group.name for groups in found.values() for group in groups))
    cells = {(noise, group.name): group for noise, groups in found.items() for group in groups}

    def cell(noise: str, arm: str) -> str:
        if group := cells.get((noise, arm)):
            return f"{told(group.mean)} ± {told(group.seed_spread)} (n={len(group.values)})"
        return "not yet" if missing else "–"

    items = [item for groups in found.values() for group in groups for item in group.trials]
    return Table(
        ("trained by", *found),
        tuple((arm, *(cell(noise, arm) for noise in found)) for arm in arms),
        "Dice % on clean test pictures, mean ± sd over n seeds, by label noise in training",
        missing,
        provenance(items),
    )


@dataclass(frozen=True)
class Help:
    """What one arm is worth beside another under one noise, paired by seed and picture.

    Parameters
    ----------
    noise, other : str
        Where, and against whom.
    gain : numpy.ndarray
        ``(seeds, images)``, Dice of the one less the other's.
    verdict : str
        "higher", "lower" or "undecided", by Holm's steps over all others of the noise.
    """

    noise: str
    other: str
    gain: np.ndarray
    verdict: str


def helps(found: Mapping[str, Sequence[Group]], arm: str = "DALE") -> list[Help]:
    """`arm` less every other arm that shares at least two seeds, by noise."""
    made = []
    for noise, groups in found.items():
        of = {group.name: group for group in groups}
        if arm not in of:
            continue
        others = [group for group in groups if group.name != arm and len({*group.seeds} & {*of[arm].seeds}) > 1]
        gains = [gain(of[arm], group) for group in others]
        made += [
            Help(noise, group.name, each, verdict)
            for group, each, verdict in zip(others, gains, verdicts(gains), strict=True)
        ]
    return made


def help_table(found: Mapping[str, Sequence[Group]], arm: str = "DALE") -> Table:
    """`helps` as a table."""
    rows = [
        (each.noise, each.other, f"{100 * each.gain.mean():+.1f}", told_interval(each.gain, sign="+"), each.verdict,
         str(len(each.gain)))
        for each in helps(found, arm)
    ]  # fmt: skip
    return Table(
        ("noise", f"{arm} less", "Dice points", "95 % interval", f"{arm} is", "seeds"),
        tuple(rows),
        f"What {arm} is worth, paired by seed and picture",
        "The verdict is Holm's over all arms of one noise; the interval is of one comparison alone.",
        keys=2,
    )


def help_told(found: Mapping[str, Sequence[Group]], arm: str = "DALE") -> str:
    """`helps` counted, as a sentence."""
    made = helps(found, arm)
    if not made:
        return f"Too few seeds so far to say what {arm} is worth."
    count = {verdict: sum(each.verdict == verdict for each in made) for verdict in ("higher", "lower", "undecided")}
    said = f"Of {len(made)} comparisons of {arm} with another arm under the same noise "
    return f"{said}{count['higher']} end higher, {count['lower']} lower, and {count['undecided']} undecided."


@line_figure
def dice_over_noise(found: Mapping[str, Sequence[Group]]) -> tuple[Callable[[float], Canvas], str]:
    """Dice on clean pictures over the rate of label noise, a line an arm; intervals from three seeds on.

    Seeds differ by more than noise does, so a point with fewer seeds than others is left out, and so is an arm that was
    not trained without noise.
    """
    most = max((len(group.values) for groups in found.values() for group in groups), default=0)
    kinds = list(dict.fromkeys(noise.split()[0] for noise in found if noise != NONE))
    lines: dict[str, dict[str, list[tuple[float, Group]]]] = {kind: {} for kind in kinds}
    for noise, groups in found.items():
        kind, rate = (None, 0.0) if noise == NONE else (noise.split()[0], float(noise.split()[1]))
        for group in (group for group in groups if len(group.values) == most):
            for each in kinds if kind is None else [kind]:
                lines[each].setdefault(group.name, []).append((rate, group))
    clean = {group.name for group in found.get(NONE, ())}
    lines = {kind: {arm: points for arm, points in of.items() if arm in clean} for kind, of in lines.items()}
    arms = list(dict.fromkeys(arm for of in lines.values() for arm in of))

    def draw(width: float) -> Canvas:
        side_by_side = columns(width, len(kinds), 2.4)
        rows = -(-len(kinds) // side_by_side)
        figure, axes = sheet(width, 2.5 * rows + 0.9, rows, side_by_side, squeeze=False, sharey=True)
        for axis, kind in zip(axes.flat, kinds, strict=False):
            most_noise = max((rate for points in lines[kind].values() for rate, _ in points), default=0.0)
            for arm, points in lines[kind].items():
                i = arms.index(arm)
                points = sorted(points, key=lambda point: point[0])
                x = np.array([rate for rate, _ in points]) + 0.01 * most_noise * (i - len(arms) / 2)
                y = [100 * group.mean for _, group in points]
                # a ninth arm has the first one's colour and other marks
                colour, turn = PALETTE[i % len(PALETTE)], i + i // len(PALETTE)
                style = {"ls": DASHES[turn % len(DASHES)], "marker": MARKERS[turn % len(MARKERS)]}
                axis.plot(x, y, color=colour, ms=4, label=arm, **style)
                for at, (_, group) in zip(x, points, strict=True):
                    if len(group.values) >= MIN_SEEDS:
                        axis.plot([at, at], 100 * np.array(paired_interval(group.values)), color=colour, lw=0.8)
            what = "share of labels near the outline" if kind == "flip" else "rate, in picture widths"
            axis.set(title=kind, xlabel=what)
        for axis in axes.flat[len(kinds) :]:
            axis.axis("off")
        axes[0, 0].set_ylabel("Dice %, clean pictures")
        legend_below(figure, axes, width)
        return figure

    told_ = "; ".join(
        f"{kind}, {arm}: " + ", ".join(f"{told(group.mean)} at {rate:g}" for rate, group in sorted(
            points, key=lambda point: point[0]))
        for kind, of in lines.items()
        for arm, points in of.items()
    )  # fmt: skip
    return draw, f"Dice % on clean pictures over the rate of label noise, by kind and arm. {told_}."


def noise_explorer(found: Mapping[str, Sequence[Group]], pictures: Pictures, at: int = 0) -> GridExplorer:
    """Label noise and method to choose: one picture's outline as training sees it, and Dice on clean pictures."""
    arms = list(dict.fromkeys(group.name for groups in found.values() for group in groups))
    cells = {(noise, group.name): group for noise, groups in found.items() for group in groups}
    one = pictures.take([at])
    image, frames = one.images[0].permute(1, 2, 0).numpy(), []
    numbers: dict[str, list[float | None]] = {
        words: [] for words in ("Dice, %", "lower end", "upper end", "seeds", "without noise, %")
    }
    for noise, groups in found.items():
        given = one
        if noise != NONE:
            given, _ = with_noise(one, groups[0].trials[0].trial.noise)
        frame = outlined(image, given.masks[0, 0].numpy() > 0)
        for arm in arms:
            group, clean = cells.get((noise, arm)), cells.get((NONE, arm))
            enough = group and len(group.values) >= MIN_SEEDS
            ends = paired_interval(group.values) if enough else (np.nan, np.nan)
            frames.append(frame)
            values = (100 * group.mean if group else None, *(None if np.isnan(end) else 100 * end for end in ends))
            values += (len(group.values) if group else 0, 100 * clean.mean if clean else None)
            for words, value in zip(numbers, values, strict=True):
                numbers[words].append(value)
    return GridExplorer(
        {"label noise": list(found), "trained by": arms},
        frames,
        numbers,
        title="An outline as training sees it, and what a network trained on such outlines scores on clean ones.",
        shown="picture, given outline",
    )
