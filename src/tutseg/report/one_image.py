"""Tables of the methods that segment one picture."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tutseg.errors import InputError
from tutseg.papers.intervals import paired_interval
from tutseg.report.groups import Group, in_groups, provenance, told, told_interval, unfinished
from tutseg.report.table import Table
from tutseg.report.tables import printed_cell
from tutseg.training.evidence import Finished
from tutseg.training.one_image import VIEWS, change_of

ORACLE = "oracle"


def _with_spread(group: Group) -> str:
    return f"{told(group.mean)} ± {told(group.seed_spread)}"


def methods_table(items: Sequence[Finished], paper_rows: Mapping[str, str], data: str = "ph2") -> Table:
    """S3-Net Table 1 beside ours under every way of scoring.

    Parameters
    ----------
    items : sequence of Finished
        One-image trials; a row a name.
    paper_rows : mapping
        Name of a row -> row of the paper's Table 1.
    data : {"ph2", "lung"}
        Which of the paper's columns stands beside them.
    """
    scored = {view: in_groups(items, view=view) for view in VIEWS}
    lines = []
    for i, oracle in enumerate(scored[ORACLE]):
        one_image = told(oracle.values.std(0, ddof=1).mean(), decimals=0) if len(oracle.values) > 1 else "–"
        lines.append(
            (
                oracle.name,
                printed_cell("s3-net", 1, paper_rows.get(oracle.name, ""), "dice", data=data),
                _with_spread(oracle),
                told_interval(oracle.values),
                *(_with_spread(scored[view][i]) for view in ("oracle+4", "oracle+6", "darkest")),
                oracle.n,
                told(oracle.image_spread, decimals=0),
                one_image,
            )
        )
    heads = (
        "method", f"paper, {data.upper()} (Table 1)", "oracle, no leak (± sd over seeds)", "95 % interval",
        "oracle, 4 px leak", "oracle, 6 px leak", "label-free (darkest)", "n = seeds × images", "sd over images",
        "sd over seeds, one image",
    )  # fmt: skip
    caption = "Dice % under every way of choosing the cluster and of scoring it"
    return Table(heads, tuple(lines), caption, unfinished(items), provenance(items, commands=True))


def with_most_pictures(items: Sequence[Finished]) -> list[Finished]:
    """Those trials that have as many pictures as any."""
    most = max(item.n["test"] for item in items)
    return [item for item in items if item.n["test"] == most]


def shared_pictures(items: Iterable[Finished]) -> set[str]:
    """The pictures that every trial has."""
    return set.intersection(*(set(item.default.per_image("dice")) for item in items))


def on_shared_pictures(items: Sequence[Finished]) -> list[Finished]:
    """The trials as if they had only the pictures that all of them have."""
    return [item.on(shared_pictures(items)) for item in items]


def areas_table(items: Sequence[Finished], paper_rows: Mapping[str, str], data: str = "ph2") -> Table:
    """The other two scores of S3-Net Table 1, HM and XOR, beside ours without leak; arguments of `methods_table`."""
    found = [in_groups(items, score=score) for score in ("hm", "xor")]
    lines = []
    for pair in zip(*found, strict=True):
        row = paper_rows.get(pair[0].name, "")
        cells = [
            cell
            for metric, group in zip(("hm", "xor"), pair, strict=True)
            for cell in (
                printed_cell("s3-net", 1, row, metric, data=data),
                f"{_with_spread(group)} ({told_interval(group.values)})",
            )
        ]
        lines.append((pair[0].name, *cells, pair[0].n))
    ours = "ours ± sd over seeds (95 % interval)"
    heads = ("method", f"HM: paper, {data.upper()}", f"HM: {ours}", "XOR: paper", f"XOR: {ours}", "n = seeds × images")
    return Table(heads, tuple(lines), "HM and XOR %, lower is better; oracle, no leak", origin=provenance(items))


def printed_table(items: Iterable[Finished], name: str, paper_row: str, data: str = "ph2") -> Table:
    """One method's three scores without and with the leak, and whether our intervals hold what the paper prints.

    Parameters
    ----------
    items, data
        As for `methods_table`.
    name : str
        The method's row, such as ``s3-net-code``.
    paper_row : str
        Its row of S3-Net Table 1.
    """
    own = [item for item in items if item.name == name]
    lines = []
    for score in ("dice", "hm", "xor"):
        printed = printed_cell("s3-net", 1, paper_row, score, data=data)
        for view in ("oracle", "oracle+4"):
            (group,) = in_groups(own, score=score, view=view)
            low, high = paired_interval(group.values)
            held = "–" if np.isnan(low) else "inside" if low <= float(printed) / 100 <= high else "outside"
            cells = (printed, _with_spread(group), told_interval(group.values), held, group.n)
            lines.append((score.upper() if score != "dice" else "Dice", f"{VIEWS[view][1]} px", *cells))
    heads = ("score", "leak", "paper", "ours ± sd over seeds", "95 % interval", "print is", "n = seeds × images")
    return Table(heads, tuple(lines), f"{name}, oracle: every score %", origin=provenance(own), keys=2)


def size_table(items: Sequence[Finished], other: Sequence[Finished]) -> Table:
    """What the size of the picture is worth: oracle Dice at two sizes, on the pictures that both have.

    Parameters
    ----------
    items, other : sequence of Finished
        Each of one size. A row that only one of them has is left out.

    Raises
    ------
    InputError
        No picture was segmented at both sizes.
    """
    names = {item.name for item in items} & {item.name for item in other}
    first, second = ([item for item in part if item.name in names] for part in (items, other))
    lines = []
    for name in dict.fromkeys(item.name for item in first):
        both = [[item for item in part if item.name == name] for part in (first, second)]
        shared = shared_pictures(item for part in both for item in part)
        if not shared:
            continue
        for view in ("oracle", "oracle+4"):
            (one,), (two,) = (in_groups([item.on(shared) for item in part], view=view) for part in both)
            change = one.values - two.values
            gain = f"{told(change.mean(), sign='+')} ({told_interval(change, sign='+')})"
            lines.append((name, f"{VIEWS[view][1]} px", _with_spread(one), _with_spread(two), gain, one.n))
    if not lines:
        raise InputError("no picture was segmented at both sizes", "give trials of the same rows, pictures and seeds")
    sizes = (f"Dice at {part[0].trial.size} px" for part in (first, second))
    heads = ("method", "leak", *sizes, "difference (95 %)", "n = seeds × images")
    caption = "Dice % at two sizes, the same pictures and seeds; oracle"
    return Table(heads, tuple(lines), caption, origin=provenance([*first, *second]), keys=2)


def seconds_table(items: Sequence[Finished]) -> Table:
    """How long one picture takes by each method."""
    lines = []
    for group in in_groups(items, score="seconds", view=ORACLE):
        low, middle, high = np.quantile(group.values, (0.05, 0.5, 0.95))
        lines.append((group.name, f"{middle:.2g}", f"{low:.2g} to {high:.2g}", str(group.values.size)))
    heads = ("method", "seconds a picture (median)", "5 % to 95 % of pictures", "n")
    return Table(heads, tuple(lines), f"Time at {items[0].trial.size} px", origin=provenance(items))


def ablation_table(items: Sequence[Finished], readings: Sequence[str] = ("paper", "code")) -> Table:
    """S3-Net Table 2 (which loss is worth what) beside ours in several readings.

    Each reading has a column of Dice and one of the difference to L_ce alone, paired by picture and seed.
    """
    found = {group.name: group for group in in_groups(items)}
    printed = {"ce": "L_ce", "ce-at": "L_ce+L_AT", "ce-s": "L_ce+L_S", "ce-at-s": "L_ce+L_AT+L_S"}
    lines = []
    for terms, row in printed.items():
        cells = [row.replace("+", " + "), printed_cell("s3-net", 2, row, "dice", data="ph2", ablation="losses")]
        for reading in readings:
            group, base = found[f"{reading}-{terms}"], found[f"{reading}-ce"]
            gain = group.values - base.values
            change = f"{told(gain.mean(), sign='+')} ({told_interval(gain, sign='+')})"
            cells += [_with_spread(group), "–" if group is base else change]
        lines.append(tuple(cells))
    heads = ["losses", "paper, PH2 (Table 2)"]
    for reading in readings:
        heads += [f"ours, `{reading}` (± sd over seeds)", f"`{reading}` − L_ce (95 % interval)"]
    caption = f"Dice % by loss terms; oracle, no leak; n = {base.n} (seeds × images)"
    return Table(tuple(heads), tuple(lines), caption, origin=provenance(items))


def robust(items: Sequence[Finished]) -> dict[tuple[str, str], dict[str, Group]]:
    """(Method, change such as "angle=30") -> flips and oracle Dice, of trials with a change."""
    found: dict[tuple[str, str], dict[str, Group]] = {}
    for score in ("flips", "dice"):
        for group in in_groups(items, lambda item: f"{item.name} {change_of(item.trial)}", score):
            method, change = group.name.rsplit(" ", 1)
            found.setdefault((method, change), {})[score] = group
    return found


def flips_of_methods(items: Sequence[Finished]) -> list[Group]:
    """The share of flipped pixels by method, of each picture the mean over all changes."""
    found: dict[str, list[Group]] = {}
    for (method, _), scores in robust(items).items():
        found.setdefault(method, []).append(scores["flips"])
    return [
        Group(method, np.mean([each.values for each in groups], 0), groups[0].trials, "flips")
        for method, groups in found.items()
    ]


def robustness_table(items: Sequence[Finished]) -> Table:
    """Who keeps his labels when the picture changes: share of flipped pixels and Dice, a column a change."""
    found = robust(items)
    methods, changes = (list(dict.fromkeys(names)) for names in zip(*found, strict=True))
    cell = lambda group: f"{told(group.mean)} ({told_interval(group.values)})"
    lines = [
        (
            method,
            *(f"{cell(at['flips'])} flipped; Dice {cell(at['dice'])}" for at in (found[method, c] for c in changes)),
        )
        for method in methods
    ]
    n = next(iter(found.values()))["flips"].n
    heads = ("method", *(change.removesuffix("=1") for change in changes))  # "hair", not "hair=1"
    caption = f"Labels lost to a change of the picture, % (95 % interval); n = {n} (seeds × images)"
    return Table(heads, tuple(lines), caption, origin=provenance(items))


def hardest(items: Iterable[Finished], name: str, n: int) -> list[str]:
    """The `n` pictures with the lowest Dice of a row (default view, mean over seeds), lowest first."""
    own = [item.default.per_image("dice") for item in items if item.name == name]
    mean = {image: np.mean([scores[image] for scores in own]) for image in own[0]}
    return sorted(mean, key=mean.__getitem__)[:n]
