"""The rows of SAM-KD's tables, and what its design choices are worth: a plan's trials, those not yet run among them."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

from tutseg.files import canonical_json, csv_rows
from tutseg.methods.distillation.sam_kd import SAMKD
from tutseg.nets import CARDS
from tutseg.papers.tables import find_cells, load_paper
from tutseg.report.echo import echo_table
from tutseg.report.groups import (
    Difference,
    Group,
    in_groups,
    of_spec,
    paired,
    part_of_spec,
    provenance,
    told,
    told_interval,
)
from tutseg.report.say import against, difference
from tutseg.report.table import Table
from tutseg.report.tables import labels, printed_cell
from tutseg.training.echo import read_echoes
from tutseg.training.spec import Spec, results_of
from tutseg.training.trial import Trial

NOT_YET = "not yet"
TABLE_1 = {
    "supervised": "SupOnly",
    "pseudoseg": "PseudoSeg",
    "cct": "CCT",
    "cps": "CPS",
    "gta-seg": "GTA-Seg",
    "unimatch": "Unimatch",
    "dme-fd": "DME-FD",
    "sam-kd": "Ours",
}
TABLE_3 = {"U-Net": "Unet (SupOnly)", "Swin-Unet": "DME-FD", "U-Net and SAM": "SemiSAM", "SAM-KD": "Ours"}
SPEED_ROWS = {"mobilenet-unet-sdf": "Ours", "unet": "Unet (SupOnly)", "swin-unet": "DME-FD"}
PICTURE = "a picture"
AS_IT_IS = "sam-kd"
# What the paper leaves open: the question, what is done, and the trials (by `choice`) that say what it is worth.
# In braces: defaults of `SAMKD`.
CHOICES = (
    ("the two heads", "mask and SDF, with dual-task consistency", ("sdf = false", "consistency = 0")),
    ("how mask and SDF become one prompt (§2.1)", "the mean of two logits, the mask's and −kφ",
     ("prompt = mask", "prompt = sdf", "prompt = union", "prompt = intersection", "prompt = none")),
    ("sharpness of the SDF", "k = {k:g}", ("k = 1", "k = 50")),
    ("prompts beside the mask (§2.2)", "ψ's learned tokens", ("tokens = none", "tokens = click", "tokens = box")),
    ("where adapters sit", "in the image encoder, as in the code that the paper cites", ("adapters = false",)),
    ("the teacher with a ViT (§2)", "two heads on SAM's adapted encoder; a ramp to {weight:g}", ("teacher = false",)),
    ("weight of Eq. 3", "{kd:g}", ("kd = 0",)),
    ("T of Eq. 2", "{temperature:g}; 10 is that of the work which the section follows",
     ("temperature = 4", "temperature = 10")),
    ("a factor T² on Eq. 3", "yes, which matters for T other than 1", ("temperature = 10, times_t2 = false",)),
    ("weights of the main network's encoder", "random", ("pretrained",)),
)  # fmt: skip


def choice(trial: Trial) -> str:
    """What a trial of the ablation has otherwise than SAM-KD as it is, or which rival it is."""
    told_options = [f"{key} = {canonical_json(value).strip(chr(34))}" for key, value in trial.options.items()]
    parts = [trial.method] if trial.method != "sam-kd" else []
    parts += ["pretrained"] * trial.pretrained + [each.replace(".0", "") for each in told_options]
    return ", ".join(parts) or AS_IT_IS


def by_method(labelled: float) -> Callable[[Trial], str]:
    """Names of trials: their method, with the labels where they are not `labelled`."""

    def name(trial: Trial) -> str:
        every = "all labels" if trial.labelled == 1 else labels(trial.labelled)
        return trial.method if trial.labelled == labelled else f"{trial.method}, {every}"

    return name


def planned(spec: Spec, name: Callable[[Trial], str | None]) -> dict[str, Group | None]:
    """The committed trials of a spec in groups, in the spec's order; None for one that has no trial yet."""
    items = of_spec(results_of(spec))[0] if (results_of(spec) / "trials.csv").exists() else []
    groups = {group.name: group for group in in_groups(items, lambda item: name(item.trial), score="dice")}
    names = dict.fromkeys(filter(None, map(name, spec.trials)))
    return {each: groups.get(each) for each in names}


def gain_of(plan: Mapping[str, Group | None], one: str, other: str) -> Difference | None:
    """`paired` of two groups of a plan; None where one is not there yet, or they have no seed in common."""
    a, b = plan.get(one), plan.get(other)
    return paired(a, b) if a and b and {*a.seeds} & {*b.seeds} else None


def plan_table(
    spec: Spec,
    name: Callable[[Trial], str | None],
    reference: str,
    caption: str,
    printed: Mapping[str, str] | None = None,
    head: str = "",
) -> Table:
    """Every system of a spec: Dice, and what the reference is against it.

    Parameters
    ----------
    spec, name
        See `planned`.
    reference : str
        Whose differences are shown.
    caption : str
        What it shows.
    printed : mapping, optional
        Name of a system -> what the paper prints.
    head : str
        Title of that column.
    """
    plan, rows = planned(spec, name), []
    for system, group in plan.items():
        row = (
            [system, (printed or {}).get(system, "–"), NOT_YET, "", "", ""]
            if printed
            else [system, NOT_YET, "", "", ""]
        )
        if group:
            row[-4:-1] = f"{told(group.mean)} ± {told(group.seed_spread)}", told_interval(group.values), group.n
        if system != reference and (gain := gain_of(plan, reference, system)):
            row[-1] = told_gain(gain)
        rows.append(tuple(row))
    heads = ("system", *([head] if printed else []), "ours, Dice % ± sd over seeds", "95 % interval",
             "n = seeds × images", f"{reference} minus it, points (95 % interval)")  # fmt: skip
    note = " ".join(
        filter(None, (part_of_spec(results_of(spec)), "Higher or lower is said where the interval excludes 0."))
    )
    return Table(heads, tuple(rows), caption, note, _origin(plan))


def _origin(plan: Mapping[str, Group | None]) -> str:
    trials = [item for group in plan.values() if group for item in group.trials]
    return provenance(trials) if trials else ""


def told_gain(gain: Difference) -> str:
    """ "+5.1 (+3.0 to +7.2), higher"; one seed's has no interval."""
    value, low, high = (told(each, sign="+") for each in (gain.value, gain.low, gain.high))
    return f"{value} ({low} to {high}), {gain.verdict}" if low != "–" else f"{value} (one seed)"


def printed_of(
    spec: Spec, name: Callable[[Trial], str | None], number: int, rows: Mapping[str, str], data: str
) -> dict:
    """What the paper prints for each system of a spec: name -> "83.44 ± 1.91"."""
    card, found = load_paper("sam-kd"), {}
    shares = {card.labels(data, share): share for share in (0.02, 0.04, 0.08)}
    for trial in spec.trials:
        share = trial.labelled if trial.labelled <= 1 else shares.get(int(trial.labelled))
        row = rows.get(spec.rows.get(trial.id) or trial.method, "")
        if row and share is not None and (system := name(trial)):
            found[system] = printed_cell("sam-kd", number, row, "dice", data=data, labelled=share)
    return found


def choices_table(spec: Spec) -> Table:
    """What the paper leaves open, what is done here, and what each alternative is worth in Dice."""
    plan, rows = planned(spec, choice), []
    defaults = {name: option.default for name, option in inspect.signature(SAMKD).parameters.items()}
    for question, done, others in CHOICES:
        worth = []
        for other in others:
            gain = gain_of(plan, AS_IT_IS, other)
            unknown = NOT_YET if other in plan else "not in the plan"
            worth.append(f"{other}: {told_gain(gain) if gain else unknown}")
        rows.append((question, done.format_map(defaults), "; ".join(worth)))
    heads = ("what the paper leaves open", "what we do", "Dice as it is minus the alternative, points (95 % interval)")
    note = f"An alternative is an option: -o kd=0. {part_of_spec(results_of(spec))}".strip()
    return Table(heads, tuple(rows), "Design choices of SAM-KD and their worth", note, _origin(plan))


def on_isic(labelled: float, pretrained: bool) -> Callable[[Trial], str | None]:
    """Names of the trials on real pictures with so many labels or all, and with or without ImageNet weights."""
    name = by_method(labelled)
    return lambda trial: name(trial) if trial.pretrained == pretrained and trial.labelled in (labelled, 1) else None


def real_table(spec: Spec, labelled: float, pretrained: bool) -> Table:
    """The paper's Table 1 beside ours on ISIC 2018, of one set-up of the spec."""
    name = on_isic(labelled, pretrained)
    caption = f"ISIC 2018, {labels(labelled)}, {'ImageNet weights' if pretrained else 'from scratch'}: Dice"
    printed = printed_of(spec, name, 1, TABLE_1, "isic2018")
    return plan_table(spec, name, AS_IT_IS, caption, printed, "paper, Dice % (Table 1)")


def told_real(spec: Spec, labelled: float, pretrained: bool) -> str:
    """What SAM-KD is against the others of `real_table`, and what all labels are worth there."""
    plan = planned(spec, on_isic(labelled, pretrained))
    every = "supervised, all labels"
    gains = [gain for other in plan if other not in (AS_IT_IS, every) and (gain := gain_of(plan, AS_IT_IS, other))]
    room = gain_of(plan, every, "supervised")
    ours = f"SAM-KD is {against(gains)}" if gains else "SAM-KD is not yet compared"
    worth = "What all labels are worth is not yet known."
    if room:
        worth = f"Supervised training with all labels is, beside the same with these, {difference(room)}."
    return f"With {labelled:g} labels {ours}. {worth}"


# Tables 1 to 3, and the ablation --------------------------------------------------------------------------------------


def system_table(spec: Spec, number: int, data: str) -> Table:
    """The systems of Table 1 or 2 beside the trials of a spec on drawn pictures."""
    name = by_method(0.04)
    caption = f"The paper's Table {number} ({data}) and ours (drawn pictures), 4 % labelled: Dice"
    return plan_table(spec, name, AS_IT_IS, caption, printed_of(spec, name, number, TABLE_1, data), "paper, Dice %")


def told_systems(spec: Spec) -> str:
    """What SAM-KD is against the others with as many labels."""
    plan = planned(spec, by_method(0.04))
    gains = [gain for other in plan if "," not in other and (gain := gain_of(plan, AS_IT_IS, other))]
    return f"On drawn pictures SAM-KD is {against(gains)}." if gains else "SAM-KD is not yet compared there."


def network_table(spec: Spec) -> Table:
    """The four systems of Table 3."""
    name = lambda trial: spec.rows[trial.id]
    caption = "The paper's Table 3 (ISIC 2018, fractions) and ours (drawn pictures): Dice"
    return plan_table(spec, name, "SAM-KD", caption, printed_of(spec, name, 3, TABLE_3, "isic2018"), "paper, Dice")


def ablation_table(spec: Spec) -> Table:
    """Every trial of the ablation."""
    return plan_table(spec, choice, AS_IT_IS, "SAM-KD as it is, with one thing changed, and its rivals: Dice")


def told_ablation(spec: Spec) -> str:
    """What SAM-KD is without each part, what SemiSAM's leak is worth, and what ImageNet weights are."""
    plan = planned(spec, choice)
    own = [other for other in plan if " = " in other and not other.startswith(("semisam", "pretrained"))]
    parts = [gain for other in own if (gain := gain_of(plan, AS_IT_IS, other))]
    found, unknown = [f"SAM-KD as it is, is {against(parts)}."] if parts else [], []
    unknown += [] if parts else ["what a part of SAM-KD is worth"]
    for words, what, one, other in (
        ("SemiSAM with its leak is, against itself without,", "what SemiSAM's leak is worth",
         "semisam, prompts_from_truth = true", "semisam"),
        ("SAM-KD with ImageNet weights is, against itself without,", "what ImageNet weights are worth to SAM-KD",
         "pretrained", AS_IT_IS),
        ("SAM-KD with them is, against supervised training with them,", "what SAM-KD is worth beside them",
         "pretrained", "supervised, pretrained"),
    ):  # fmt: skip
        if gain := gain_of(plan, one, other):
            found.append(f"{words} {difference(gain)}.")
        else:
            unknown.append(what)
    return " ".join([*found, *([f"Not yet known: {', '.join(unknown)}."] if unknown else [])])


def missing_table(caption: str, path: Path) -> Table:
    """In the place of a table whose evidence is not there."""
    return Table(("state",), ((NOT_YET,),), caption, f"{path.name} is not among the committed evidence.")


def echo_of(path: Path) -> Table:
    """`echo_table` of committed echoes, or that there are none yet."""
    return echo_table(read_echoes(path)) if path.exists() else missing_table("What SAM adds to its prompt", path)


# Size and speed -------------------------------------------------------------------------------------------------------


def sizes_table() -> Table:
    """The networks of Table 3: parameters as built here, and the millions that the paper prints."""
    rows = []
    for name, row in SPEED_ROWS.items():
        printed = find_cells("sam-kd", 3, row, "params_m", {})[0].value
        rows.append((name, row, f"{CARDS[name].parameters:,}", f"{printed}"))
    heads = ("network", "row of Table 3", "parameters, counted", "millions, printed")
    return Table(heads, tuple(rows), "Sizes of the networks of Table 3")


def speed_table(path: Path, what: str = PICTURE) -> Table:
    """Time of one picture, or of one training step, of each network or method, and how many times the first it is."""
    caption = f"Time of {what}, measured"
    if not path.exists():
        return missing_table(caption, path)
    lines = [row for row in csv_rows(path) if row["what"] == what]
    rows = []
    for row in lines:
        ratio = f"{row['ratio']} ({row['ratio_low']} to {row['ratio_high']})"
        printed = [row["printed_s"] or "–", row["printed_ratio"] or "–"] if what == PICTURE else []
        rows.append((row["name"], row["parameters_m"], row["ms"], ratio, *printed))
    heads = ["network" if what == PICTURE else "method", "million parameters", "ms, median", "times the first (range)"]
    heads += ["printed, s", "printed, times the first"] if what == PICTURE else []
    first = lines[0]
    note = f"{first['size']} px, batch {first['batch']}, {first['turns']} turns, {first['threads']} thread."
    origin = "; ".join(f"{key}: {first[key]}" for key in ("command", "commit", "torch", "code"))
    return Table(tuple(heads), tuple(rows), caption, note, origin)


def told_speed(path: Path) -> str:
    """The measured ratios beside the printed ones."""
    if not path.exists():
        return "The speeds have not been measured yet."
    rows = {row["name"]: row for row in csv_rows(path) if row["what"] == PICTURE}
    ratios = [
        f"{row} takes {float(rows[name]['ratio']):.1f} times as long here and "
        f"{float(rows[name]['printed_ratio']):g} times in print"
        for name, row in list(SPEED_ROWS.items())[1:]
    ]
    return f"Beside the main network, {' and '.join(f'the network of {each}' for each in ratios)}."
