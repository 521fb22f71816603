"""DME-FD on ground on which labels matter: what came of the plan in ``experiments/dme-fd/fair.yaml``, so far."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tutseg.papers.claims import MIN_SEEDS
from tutseg.papers.headroom import SAFETY, allows
from tutseg.papers.intervals import direction, holm, paired_interval, smallest_difference, spread_of, t_interval
from tutseg.papers.tables import find_cells, load_paper
from tutseg.report.groups import Difference, Group, gain, in_groups, of_spec, paired, provenance, told, told_interval
from tutseg.report.say import difference, names
from tutseg.report.table import Table
from tutseg.training.evidence import read_spec_evidence
from tutseg.training.spec import Spec, results_of

ALL, FEW, PRINTED, WITHOUT = "supervised, all labels", "supervised", "FDL as printed", "without FDL"
RIVALS = ("supervised", "supervised, strong views", "CPS raw", "CPS ramped", "FixMatch", "UniMatch")
# Where the paper prints what stands beside DME-FD: our arm -> its table and rows (DME-FD's, the other's).
BESIDE = {
    FEW: (1, "Ours", "SupOnly"),
    "CPS raw": (1, "Ours", "CPS"),
    "UniMatch": (1, "Ours", "UniMatch"),
    WITHOUT: (4, "Sup+CPS+DME+FDL", "Sup+CPS+DME"),
    "CPS ramped": (4, "Sup+CPS+DME+FDL", "Sup+CPS"),
}
WITHIN = 0.015  # of the pilot's best with all labels, as fair-pilot.yaml says
AREA = ("sensitivity", "precision")
SET_UP = ("pretrained", "size", "lr", "steps")


@dataclass(frozen=True)
class Fair:
    """The experiment as far as it has been run.

    Parameters
    ----------
    found : dict
        Arm and number of labels (1.0: all) -> its finished seeds; None for none yet. In the plan's order.
    seeds : int
        How many each arm shall have.
    state : str
        How much of the plan has been run; empty when it is complete.
    """

    found: dict[tuple[str, float], Group | None]
    seeds: int
    state: str

    @property
    def arms(self) -> list[str]:
        """Their names, in the plan's order."""
        return list(dict.fromkeys(arm for arm, _ in self.found))

    @property
    def labels(self) -> list[float]:
        """The numbers of few labels, ascending."""
        return sorted({labelled for _, labelled in self.found if labelled > 1})


def read_fair(spec: Spec) -> Fair:
    """What the committed evidence has of the plan."""
    items, state = of_spec(results_of(spec))
    planned: dict[tuple[str, float], list[str]] = {}
    for trial in spec.trials:
        planned.setdefault((spec.rows[trial.id], trial.labelled), []).append(trial.id)
    found = {}
    for (arm, labelled), ids in planned.items():
        groups = in_groups([item for item in items if item.id in ids], lambda item, arm=arm: arm)
        found[arm, labelled] = groups[0] if groups else None
    return Fair(found, max(map(len, planned.values())), state)


def head(labelled: float) -> str:
    """A number of labels as a column has it, with the paper's share: "29 labels = 1 %"."""
    card = load_paper("dme-fd")
    shares = {card.labels("isic2018", share): share for share in (0.01, 0.02, 0.04, 0.08)}
    if labelled == 1:
        return "all labels"
    return f"{labelled:g} labels" + (f" = {100 * shares[labelled]:g} %" if labelled in shares else "")


# The pilot ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pilot:
    """A set-up that was tried: its Dice on the validation part, supervised with all labels and with few."""

    set_up: tuple
    many: float
    few: float
    eligible: bool

    @property
    def headroom(self) -> float:
        """What the labels are worth there."""
        return self.many - self.few

    def __str__(self) -> str:
        pretrained, size, lr, steps = self.set_up
        return f"{'ImageNet weights' if pretrained else 'from scratch'}, {size} px, rate {lr:g}, {steps} steps"


def pilots(spec: Spec) -> list[Pilot]:
    """Every set-up of the pilot, the largest headroom first; the plan's choice is the first eligible one."""
    scores: dict[tuple, dict[bool, list[float]]] = {}
    for item in read_spec_evidence(results_of(spec)):
        own = scores.setdefault(tuple(item.fields[name] for name in SET_UP), {})
        own.setdefault(item.trial.labelled == 1, []).append(item.default.means["dice"]["per_image"])
    means = {set_up: {many: float(np.mean(each)) for many, each in own.items()} for set_up, own in scores.items()}
    best = max(own[True] for own in means.values())
    found = [Pilot(set_up, own[True], own[False], own[True] >= best - WITHIN) for set_up, own in means.items()]
    return sorted(found, key=lambda each: -each.headroom)


def pilot_table(spec: Spec) -> Table:
    """What the pilot found."""
    found = pilots(spec)
    rows = [(str(each), told(each.many), told(each.few), told(each.headroom), "yes" if each.eligible else "no")
            for each in found]  # fmt: skip
    few = min(trial.labelled for trial in spec.trials if trial.labelled > 1)
    heads = ("set-up", "Dice %, all labels", f"Dice %, {few:g} labels", "headroom, points", "near the best")
    seeds = len({trial.seed for trial in spec.trials})
    note = (
        f"Near the best: at most {told(WITHIN)} points below it with all labels. Means of {seeds} seeds on the "
        "validation part."
    )
    origin = provenance(read_spec_evidence(results_of(spec)))
    return Table(heads, tuple(rows), "The pilot: supervised training alone", note, origin)


# Tables ---------------------------------------------------------------------------------------------------------------


def headrooms(fair: Fair) -> dict[float, Difference | None]:
    """By number of labels: supervised training with all labels minus the same with the few; None: not yet."""
    every, found = fair.found[ALL, 1.0], {}
    for labelled in fair.labels:
        few = fair.found[FEW, labelled]
        found[labelled] = paired(every, few) if every and few else None
    return found


def told_headrooms(fair: Fair) -> str:
    """ "beside 29 labels, higher by 7.7 points (...); beside 59 labels, not yet known"."""
    each = {labelled: difference(room) if room else "not yet known" for labelled, room in headrooms(fair).items()}
    return "; ".join(f"beside {labelled:g} labels, {text}" for labelled, text in each.items())


def told_longer(fair: Fair, longer: Spec) -> str:
    """FDL as printed with more steps minus the same in the plan, or that it is not yet known."""
    folder = results_of(longer)
    items = read_spec_evidence(folder) if (folder / "trials.csv").exists() else []
    groups, short = in_groups(items, lambda item: "longer"), fair.found[PRINTED, longer.trials[0].labelled]
    both = groups and short and {*groups[0].seeds} & {*short.seeds}
    return difference(paired(groups[0], short)) if both else "not yet known"


def headroom_table(fair: Fair) -> Table:
    """What all labels are worth beside each number of few."""
    rows = []
    for labelled, room in headrooms(fair).items():
        row = [head(labelled), "not yet", "", "", ""]
        if room:
            matrix = gain(fair.found[ALL, 1.0], fair.found[FEW, labelled])
            ends = f"{told(room.low)} to {told(room.high)}"
            row[1:] = told(room.value), ends, told(_smallest(matrix)), " × ".join(map(str, matrix.shape))
        rows.append(tuple(row))
    heads = ("labels", "headroom, Dice points", "95 % interval", "these seeds and pictures see", "n = seeds × images")
    return Table(heads, tuple(rows), "What all labels are worth: supervised with all minus supervised with few")


def _smallest(matrix: np.ndarray) -> float:
    return smallest_difference(spread_of(matrix), *matrix.shape) if min(matrix.shape) > 1 else float("nan")


def arms_table(fair: Fair) -> Table:
    """Every arm of the plan at every number of labels, and what was computed on."""
    rows = []
    for arm in fair.arms:
        cells, devices = [], []
        for labelled in (*fair.labels, 1.0):
            group = fair.found.get((arm, labelled))
            cells.append(_cell(group, fair.seeds) if (arm, labelled) in fair.found else "–")
            devices += [item.provenance["device"] for item in group.trials] if group else []
        rows.append((arm, *cells, ", ".join(dict.fromkeys(devices)) or "–"))
    groups = [group for group in fair.found.values() if group]
    images = sorted({group.values.shape[1] for group in groups})
    return Table(
        ("arm", *map(head, (*fair.labels, 1.0)), "computed on"),
        tuple(rows),
        f"Dice %: mean ± sd over seeds [95 % interval], seeds × {'/'.join(map(str, images))} test images",
        f"{fair.state} A dash is not in the plan.".strip(),
        provenance(item for group in groups for item in group.trials),
    )


def _cell(group: Group | None, seeds: int) -> str:
    if group is None:
        return "not yet"
    begun = f", {seeds - len(group.values)} not yet" if len(group.values) < seeds else ""
    return f"{told(group.mean)} ± {told(group.seed_spread)} [{told_interval(group.values)}] n = {group.n}{begun}"


# What decides ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Primary:
    """One of the comparisons that the plan names: DME-FD with FDL as printed minus another arm.

    Parameters
    ----------
    difference : Difference or None
        Over the seeds that both have; None for none yet.
    seeds : int
        How many those are.
    smallest : float
        The smallest difference that they and the pictures see.
    printed : float or None
        The same difference in the paper, where it prints one.
    word : str
        "higher", "lower" or "undecided" by Holm's steps over all the plan's comparisons of this number of labels; "not
        yet" before all planned seeds are there.
    """

    other: str
    difference: Difference | None
    seeds: int
    smallest: float
    printed: float | None
    word: str


def primary(fair: Fair, labelled: float) -> list[Primary]:
    """The comparisons that decide at a number of labels."""
    ours, others = fair.found[PRINTED, labelled], (WITHOUT, *RIVALS)
    matrices = {}
    for other in others:
        group = fair.found[other, labelled]
        if ours and group and {*ours.seeds} & {*group.seeds}:
            matrices[other] = gain(ours, group)
    ready = [other for other, matrix in matrices.items() if len(matrix) >= fair.seeds]
    clear = lambda low, high: direction(low, high) != "undecided"
    decided = [ready[i] for i in holm([matrices[other] for other in ready], clear, len(others))]
    found = []
    for other in others:
        each, matrix = None, matrices.get(other)
        if matrix is not None:
            each = Difference(PRINTED, other, float(matrix.mean()), *paired_interval(matrix))
        word = each.verdict if other in decided else "undecided" if other in ready else "not yet"
        seeds = 0 if matrix is None else len(matrix)
        smallest = float("nan") if matrix is None else _smallest(matrix)
        found.append(Primary(other, each, seeds, smallest, _printed(other, labelled), word))
    return found


def _printed(other: str, labelled: float) -> float | None:
    table, ours, theirs = BESIDE.get(other, (0, "", ""))
    shares = {load_paper("dme-fd").labels("isic2018", share): f"{share:g}" for share in (0.01, 0.02, 0.04)}
    setting = {"data": "isic2018", "labelled": shares.get(int(labelled), "")}
    cells = [find_cells("dme-fd", table, row, "dice", setting) for row in (ours, theirs)] if table else []
    return float(cells[0][0].value - cells[1][0].value) / 100 if cells and all(cells) else None


def primary_table(fair: Fair) -> Table:
    """The comparisons that decide, what the paper prints for them, and whether labels matter enough for a verdict."""
    rooms, rows = headrooms(fair), []
    begun = [labelled for labelled in fair.labels if fair.found[PRINTED, labelled]]
    for labelled, each in ((n, each) for n in begun for each in primary(fair, n)):
        printed = "–" if each.printed is None else told(each.printed, sign="+", decimals=2)
        row = [head(labelled), each.other, "not yet", "", "0", "", printed, each.word, ""]
        if each.difference:
            ends = "–" if np.isnan(each.difference.low) else (
                f"{told(each.difference.low, sign='+')} to {told(each.difference.high, sign='+')}"
            )  # fmt: skip
            row[2:6] = told(each.difference.value, sign="+"), ends, str(each.seeds), told(each.smallest)
            row[8] = "yes" if may_judge(rooms[labelled], each) else "no"
        rows.append(tuple(row))
    heads = ("labels", f"{PRINTED} minus", "Dice points", "95 % interval", "seeds", "could be seen", "paper prints",
             "by Holm's steps", "headroom allows a verdict")  # fmt: skip
    note = (
        f"The word, but not the interval, is corrected for all {1 + len(RIVALS)} comparisons of its number of labels, "
        f"and waits for {fair.seeds} seeds. Headroom allows a verdict where its interval lies above zero and it is as "
        f"large as what the paper prints and as {SAFETY:g} times what could be seen."
    )
    if late := [head(labelled) for labelled in fair.labels if labelled not in begun]:
        note += f" Not yet: {', '.join(late)}."
    return Table(heads, tuple(rows), "The plan's primary comparisons, paired by test image and seed", note, keys=2)


def may_judge(room: Difference | None, each: Primary) -> bool:
    """Whether labels matter enough there (`tutseg.papers.headroom`), and there are seeds enough."""
    enough = room is not None and each.seeds >= MIN_SEEDS
    return enough and allows(room.value, room.low, abs(each.printed or 0.0), each.smallest)


def told_primary(found: Sequence[Primary]) -> str:
    """ "higher than `a`, lower than `b`, undecided against `c`, and not yet compared with `d`"."""
    words = {"higher": "higher than", "lower": "lower than", "undecided": "undecided against",
             "not yet": "not yet to be judged against"}  # fmt: skip
    each = {word: [one.other for one in found if one.word == word] for word in words}
    return ", ".join(f"{words[word]} {names(others)}" for word, others in each.items() if others)


# Too much or too little -----------------------------------------------------------------------------------------------


def _by_seed(group: Group, score: str) -> dict[int, float]:
    return {item.trial.seed: item.default.means[score]["per_image"] for item in group.trials}


def beside_supervised(fair: Fair, labelled: float, score: str) -> dict[str, Difference]:
    """By arm a score minus that of supervised training, with the t interval over seeds (for these test pictures)."""
    few, found = fair.found[FEW, labelled], {}
    for arm in fair.arms:
        group = fair.found.get((arm, labelled))
        if group and few and arm != FEW:
            ours, theirs = _by_seed(group, score), _by_seed(few, score)
            each = np.array([ours[seed] - theirs[seed] for seed in ours if seed in theirs])
            if len(each) > 1:
                found[arm] = Difference(arm, FEW, float(each.mean()), *t_interval(each), score)
    return found


def area_table(fair: Fair) -> Table:
    """How much of the lesion each arm finds, and how much of what it marks is lesion, beside supervised training."""
    rows = []
    for labelled in fair.labels:
        beside = [beside_supervised(fair, labelled, score) for score in AREA]
        for arm in beside[0]:
            means = [_by_seed(fair.found[arm, labelled], score).values() for score in AREA]
            gains = [f"{told(d.value, sign='+')} ({told(d.low, sign='+')} to {told(d.high, sign='+')})"
                     for d in (each[arm] for each in beside)]  # fmt: skip
            rows.append((head(labelled), arm, *(told(np.mean([*each])) for each in means), *gains, str(len(means[0]))))
    heads = ("labels", "arm", *(f"{score} %" for score in AREA), *(f"{score} − {FEW}" for score in AREA), "seeds")
    note = "Differences in points with their 95 % intervals over seeds, for these test pictures."
    return Table(heads, tuple(rows), "Sensitivity and precision, means over test images and seeds", note, keys=2)


def draws_too_much(fair: Fair, labelled: float) -> list[str]:
    """The arms that find more of the lesion than supervised training, and whose marks are less often right."""
    sensitivity, precision = (beside_supervised(fair, labelled, score) for score in AREA)
    return [arm for arm in sensitivity if (sensitivity[arm].verdict, precision[arm].verdict) == ("higher", "lower")]
