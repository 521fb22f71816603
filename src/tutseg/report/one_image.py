"""Tables and figures of the methods that segment one picture, from the rows of `tutseg.training.one_image`."""

from collections.abc import Mapping, Sequence
from itertools import product, takewhile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tutseg.errors import InputError
from tutseg.files import csv_rows
from tutseg.methods.one_image.one_image import Stack, Trace, affine_grid, choose, move
from tutseg.methods.one_image.s3_net import READINGS, S3Net, affine_loss, affine_loss_literal
from tutseg.metrics import area_scores, counts
from tutseg.papers.claims import paired_bootstrap
from tutseg.papers.tables import find_cells
from tutseg.report.figures import PALETTE, styled
from tutseg.report.interactive import GridExplorer, StepExplorer
from tutseg.report.tables import Group, Table, percent
from tutseg.training.one_image import SCORED, read_rows, score_maps
from tutseg.training.run import code_stamp

# Losses without gradient, and invariances without content.


def _one_network(method: S3Net, images: Tensor, seed: int) -> Stack:
    """A fresh network of `method` for one picture ``(1, 3, H, W)``."""
    return Stack(lambda: method.network(tuple(images.shape[2:])), [seed], images)


def gradient_table(image: Tensor, seed: int = 0, **options: Any) -> Table:
    """What each weighted term of Eq. 7 is, and how hard it pulls, before the first step: a row a reading.

    Parameters
    ----------
    image : Tensor
        ``(3, H, W)`` in [0, 1].
    seed : int
        Of the network and of the random moves.
    options : dict
        Of `S3Net`, such as fewer clusters.
    """
    terms = {"ce": "λ1 L_ce", "at": "λ2 L_AT", "s": "λ3 L_S"}
    rows = []
    for reading in READINGS:
        method = S3Net(reading, **options)
        stack = _one_network(method, image[None], seed)
        _, losses = method.losses(stack, image[None], [np.random.default_rng(seed)])
        cells = []
        for term in terms:
            norm = 0.0
            if losses[term].requires_grad:
                weights = list(stack.parameters.values())
                pull = torch.autograd.grad(losses[term].sum(), weights, retain_graph=True, materialize_grads=True)
                norm = float(torch.stack([part.norm() for part in pull]).norm())
            cells.append(f"{float(losses[term].detach()):.3f}, gradient {norm:.3g}")
        rows.append((reading, *cells))
    return Table(("reading", *terms.values()), tuple(rows), "Value and gradient norm of each weighted term, first step")


def turn_table(image: Tensor, seed: int = 0, **options: Any) -> Table:
    """L_AT under a quarter turn and under no turn at all, in each form; arguments as in `gradient_table`."""
    images = image[None]
    stack = _one_network(S3Net("meant", **options), images, seed)
    loss: dict[str, list[float]] = {"literal (code)": [], "outputs moved (Eq. 6)": [], "input moved (meant)": []}
    with torch.no_grad():
        logits, second = stack(images)
        labels = logits.argmax(1)
        for angle in (90.0, 0.0):
            zero = torch.zeros(1)
            grid = affine_grid(tuple(images.shape[2:]), torch.tensor([angle]), zero + 1, zero, torch.zeros(1, 2))
            turn = lambda maps, turns=round(angle / 90): maps.rot90(-turns, (2, 3))
            found = (
                affine_loss_literal(second, logits, turn),
                affine_loss(move(second, grid), labels, grid),
                affine_loss(stack(move(images, grid), second_only=True), labels, grid),
            )
            for values, value in zip(loss.values(), found, strict=True):
                values.append(float(value))
    rows = [(name, f"{a:.6f}", f"{b:.6f}", f"{a - b:+.1e}") for name, (a, b) in loss.items()]
    heads = ("form of L_AT", "turned by 90°", "not turned", "difference")
    return Table(heads, tuple(rows), "L_AT of one network on one picture")


# Scores.


def groups(rows: pd.DataFrame, rule: str = "oracle", leak: int = 0, score: str = "dice") -> list[Group]:
    """Rows of `evaluate_one_image` as one `Group` a variant, seeds by pictures, under one way of scoring.

    A picture that not all seeds of its variant have (of a run that goes on) is left out.
    """
    part = rows[(rows["rule"] == rule) & (rows["leak"] == leak)]
    found = []
    for variant in part["variant"].unique():
        own = part[part["variant"] == variant].pivot(index="seed", columns="id", values=score).dropna(axis=1)
        found.append(Group(variant.split("/")[-1], own.to_numpy(dtype=float), []))
    return found


def _note(rows: pd.DataFrame) -> str:
    """Where the numbers are from: data, size, seeds, options and code."""
    options = sorted({f"{method} {text}" for method, text in zip(rows["method"], rows["options"], strict=True)})
    data = ", ".join(f"{name} at {size} px" for name, size in sorted(set(zip(rows["data"], rows["size"], strict=True))))
    seeds = ", ".join(map(str, sorted(rows["seed"].unique())))
    return f"data: {data}; seeds: {seeds}; code: {code_stamp()}; options: {'; '.join(options)}."


def _printed(number: int, row: str | None, metric: str = "dice", **setting: str) -> str:
    cells = find_cells("s3-net", number, row, metric, {"data": "ph2", **setting}) if row else []
    return str(cells[0].value) if cells else "–"


def _with_spread(group: Group) -> str:
    return f"{percent(group.mean)} ± {percent(group.seed_spread)}"


def _interval(values: np.ndarray, sign: str = "") -> str:
    low, high = paired_bootstrap(values)
    return f"{100 * low:{sign}.1f} to {100 * high:{sign}.1f}"


def committed_scores(folder: Path) -> tuple[pd.DataFrame, str]:
    """Rows of ``benchmarks/one_image_scores.py``, but for experiments never finished, and where they came from."""
    rows = read_rows(folder / "scores.csv")
    origin = list(csv_rows(folder / "provenance.csv"))
    rows = rows[rows["variant"].isin([row["variant"] for row in origin])]
    found = {
        key: list(dict.fromkeys(row[key] for row in origin))
        for key in ("data", "fingerprint", "size", "device", "torch", "commit", "code", "command")
    }
    if len(commands := found["command"]) > 1:
        words = [command.split() for command in commands]
        same = len(list(takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False))))
        found["command"] = [f"{' '.join(words[0][:same])} [{' | '.join(' '.join(each[same:]) for each in words)}]"]
    return rows, "; ".join(f"{key}: {', '.join(values)}" for key, values in found.items()) + "."


def as_above(origin: str) -> str:
    """Where rows came from (`committed_scores`) without their commands, for a table after the one that has them."""
    return origin.partition("; command")[0] + "; commands as above."


def methods_table(rows: pd.DataFrame, paper_rows: Mapping[str, str], note: str = "", data: str = "ph2") -> Table:
    """S3-Net Table 1 beside ours under every way of scoring.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of `evaluate_one_image`.
    paper_rows : mapping
        Name of a variant, after its slash, -> row of the paper's Table 1.
    note : str
        Where the rows came from, if they were not made just now.
    data : {"ph2", "lung"}
        Which of the paper's columns stands beside them.
    """
    scored = {each: groups(rows, *each) for each in SCORED}
    lines = []
    for i, oracle in enumerate(scored["oracle", 0]):
        k, n = oracle.values.shape
        lines.append(
            (
                oracle.name,
                _printed(1, paper_rows.get(oracle.name), data=data),
                _with_spread(oracle),
                _interval(oracle.values),
                *(_with_spread(scored[each][i]) for each in (("oracle", 4), ("oracle", 6), ("darkest", 0))),
                f"{k} × {n}",
                percent(oracle.image_spread, 0),
                percent(oracle.values.std(0, ddof=1).mean(), 0) if k > 1 else "–",
            )
        )
    heads = (
        "method", f"paper, {data.upper()} (Table 1)", "oracle, no leak (± sd over seeds)", "95 % interval",
        "oracle, 4 px leak", "oracle, 6 px leak", "label-free (darkest)", "n = seeds × images", "sd over images",
        "sd over seeds, one image",
    )  # fmt: skip
    return Table(
        heads, tuple(lines), "Dice % under every way of choosing the cluster and of scoring it", note or _note(rows)
    )


def with_most_pictures(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of those variants that have as many pictures as any."""
    pictures = rows.groupby("variant")["id"].transform("nunique")
    return rows[pictures == pictures.max()]


def on_shared_pictures(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of those pictures that every variant and seed has."""
    had = rows.groupby("id")[["variant", "seed"]].apply(lambda own: len(own.drop_duplicates()))
    return rows[rows["id"].isin(had[had == len(rows[["variant", "seed"]].drop_duplicates())].index)]


def areas_table(rows: pd.DataFrame, paper_rows: Mapping[str, str], note: str = "", data: str = "ph2") -> Table:
    """The other two scores of S3-Net Table 1, HM and XOR, beside ours without leak; arguments of `methods_table`."""
    found = [groups(rows, score=score) for score in ("hm", "xor")]
    lines = []
    for pair in zip(*found, strict=True):
        printed = paper_rows.get(pair[0].name)
        cells = [
            cell
            for metric, group in zip(("hm", "xor"), pair, strict=True)
            for cell in (_printed(1, printed, metric, data=data), f"{_with_spread(group)} ({_interval(group.values)})")
        ]
        k, n = pair[0].values.shape
        lines.append((pair[0].name, *cells, f"{k} × {n}"))
    ours = "ours ± sd over seeds (95 % interval)"
    heads = ("method", f"HM: paper, {data.upper()}", f"HM: {ours}", "XOR: paper", f"XOR: {ours}", "n = seeds × images")
    return Table(heads, tuple(lines), "HM and XOR %, lower is better; oracle, no leak", note or _note(rows))


def printed_table(rows: pd.DataFrame, variant: str, paper_row: str, note: str = "", data: str = "ph2") -> Table:
    """One method's three scores without and with the leak, and whether our intervals hold what the paper prints.

    Parameters
    ----------
    rows, note, data
        As for `methods_table`.
    variant : str
        The method, such as ``table-1/s3-net-code``.
    paper_row : str
        Its row of S3-Net Table 1.
    """
    own = rows[rows["variant"] == variant]
    lines = []
    for score in ("dice", "hm", "xor"):
        printed = _printed(1, paper_row, score, data=data)
        for leak in (0, 4):
            (group,) = groups(own, leak=leak, score=score)
            low, high = paired_bootstrap(group.values)
            held = "inside" if low <= float(printed) / 100 <= high else "outside"
            k, n = group.values.shape
            cells = (printed, _with_spread(group), _interval(group.values), held, f"{k} × {n}")
            lines.append((score.upper() if score != "dice" else "Dice", f"{leak} px", *cells))
    heads = ("score", "leak", "paper", "ours ± sd over seeds", "95 % interval", "print is", "n = seeds × images")
    return Table(heads, tuple(lines), f"{variant.split('/')[-1]}, oracle: every score %", note or _note(rows))


def size_table(rows: pd.DataFrame, other: pd.DataFrame, note: str = "") -> Table:
    """What the size of the picture is worth: oracle Dice at two sizes, on the pictures that both have.

    Parameters
    ----------
    rows, other : pandas.DataFrame
        Of `evaluate_one_image`, each of one size. A variant that only one of them has is left out.
    note : str
        As for `methods_table`.

    Raises
    ------
    InputError
        No picture was segmented at both sizes.
    """
    key = ["variant", "id", "seed", "rule", "leak"]
    common = rows[key].merge(other[key])
    if common.empty:
        raise InputError("no picture was segmented at both sizes", "give rows of the same variants, pictures and seeds")
    first, second = (part.merge(common) for part in (rows, other))
    lines = []
    for leak in (0, 4):
        of = {group.name: group for group in groups(second, leak=leak)}
        for one in groups(first, leak=leak):
            two = of[one.name]
            change = one.values - two.values
            gain = f"{100 * change.mean():+.1f} ({_interval(change, '+')})"
            k, n = change.shape
            lines.append((one.name, f"{leak} px", _with_spread(one), _with_spread(two), gain, f"{k} × {n}"))
    sizes = (f"Dice at {part['size'].iloc[0]} px" for part in (first, second))
    heads = ("method", "leak", *sizes, "difference (95 %)", "n = seeds × images")
    return Table(heads, tuple(lines), "Dice % at two sizes, the same pictures and seeds; oracle", note or _note(rows))


def seconds_table(rows: pd.DataFrame, note: str) -> Table:
    """How long one picture takes by each method; arguments as for `methods_table`."""
    lines = []
    for group in groups(rows, score="seconds"):
        low, middle, high = np.quantile(group.values, (0.05, 0.5, 0.95))
        lines.append((group.name, f"{middle:.2g}", f"{low:.2g} to {high:.2g}", str(group.values.size)))
    heads = ("method", "seconds a picture (median)", "5 % to 95 % of pictures", "n")
    return Table(heads, tuple(lines), f"Time at {rows['size'].iloc[0]} px", note)


def ablation_table(rows: pd.DataFrame, note: str = "", readings: Sequence[str] = ("paper", "code")) -> Table:
    """S3-Net Table 2 (which loss is worth what) beside ours in several readings.

    Each reading has a column of Dice and one of the difference to L_ce alone, paired by picture and seed. `note` is
    that of `methods_table`.
    """
    found = {group.name: group for group in groups(rows)}
    printed = {"ce": "L_ce", "ce-at": "L_ce+L_AT", "ce-s": "L_ce+L_S", "ce-at-s": "L_ce+L_AT+L_S"}
    lines = []
    for terms, row in printed.items():
        cells = [row.replace("+", " + "), _printed(2, row, ablation="losses")]
        for reading in readings:
            group, base = found[f"{reading}-{terms}"], found[f"{reading}-ce"]
            gain = group.values - base.values
            cells += [
                _with_spread(group),
                "–" if group is base else f"{100 * gain.mean():+.1f} ({_interval(gain, '+')})",
            ]
        lines.append(tuple(cells))
    k, n = base.values.shape
    heads = ["losses", "paper, PH2 (Table 2)"]
    for reading in readings:
        heads += [f"ours, `{reading}` (± sd over seeds)", f"`{reading}` − L_ce (95 % interval)"]
    caption = f"Dice % by loss terms; oracle, no leak; n = {k} seeds × {n} images"
    return Table(tuple(heads), tuple(lines), caption, note or _note(rows))


def _robust(rows: pd.DataFrame) -> dict[tuple[str, str], dict[str, Group]]:
    """(Method, change) -> flips and oracle Dice of an experiment ``robust/METHOD CHANGE``."""
    found: dict[tuple[str, str], dict[str, Group]] = {}
    for score in ("flips", "dice"):
        for group in groups(rows, score=score):
            method, change = group.name.split(" ", 1)
            found.setdefault((method, change), {})[score] = group
    return found


def robustness_table(rows: pd.DataFrame) -> Table:
    """Who keeps his labels when the picture changes: share of flipped pixels and Dice, a column a change."""
    found = _robust(rows)
    methods, changes = (list(dict.fromkeys(names)) for names in zip(*found, strict=True))
    cell = lambda group: f"{percent(group.mean)} ({_interval(group.values)})"
    lines = [
        (
            method,
            *(f"{cell(at['flips'])} flipped; Dice {cell(at['dice'])}" for at in (found[method, c] for c in changes)),
        )
        for method in methods
    ]
    seeds, pictures = next(iter(found.values()))["flips"].values.shape
    heads = ("method", *(change.removesuffix("=1") for change in changes))  # "hair", not "hair=1"
    caption = f"Labels lost to a change of the picture, % (95 % interval); n = {seeds} seed(s) × {pictures} images"
    return Table(heads, tuple(lines), caption, _note(rows))


@styled
def robustness_figure(rows: pd.DataFrame) -> Figure:
    """Flipped labels and Dice against angle, scale and shear, and under hair, with 95 % intervals."""
    found = _robust(rows)
    fields = list(dict.fromkeys(change.split("=")[0] for _, change in found))
    figure, axes = plt.subplots(
        2, len(fields), figsize=(7, 4.2), sharey="row", sharex="col", squeeze=False,
        width_ratios=[1 if field == "hair" else 4 for field in fields],
    )  # fmt: skip
    methods = list(dict.fromkeys(method for method, _ in found))
    for row, (score, title) in zip(axes, {"flips": "labels flipped, %", "dice": "Dice, %"}.items(), strict=True):
        for axis, field in zip(row, fields, strict=True):
            at = sorted({float(change.split("=")[1]) for _, change in found if change.startswith(field)})
            width = (at[-1] - at[0] or 1) / 60
            for i, (method, colour) in enumerate(zip(methods, PALETTE, strict=False)):
                values = [100 * found[method, f"{field}={x:g}"][score].values for x in at]
                means = np.array([value.mean() for value in values])
                ends = np.array([paired_bootstrap(value) for value in values])
                place = np.array(at) + width * (i - (len(methods) - 1) / 2)
                axis.errorbar(place, means, abs(ends.T - means), marker="o", ms=3, lw=1, color=colour, label=method)
            axis.set(xticks=at, xticklabels=[""] if field == "hair" else [f"{x:g}" for x in at])
        row[0].set(ylabel=title)
    for axis, field in zip(axes[-1], fields, strict=True):
        axis.set(xlabel={"angle": "angle, degrees", "scale": "scale", "shear": "shear, degrees"}.get(field, field))
    seeds, pictures = next(iter(found.values()))["flips"].values.shape
    data, size = rows["data"].iloc[0], rows["size"].iloc[0]
    figure.suptitle(f"{pictures} pictures of {data} at {size} px, {seeds} seed(s)", fontsize=9)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(methods), fontsize=8)
    return figure


@styled
def evaluation_figure(rows: pd.DataFrame) -> Figure:
    """Dice that the evaluation adds, by method: the leak's gain, and what the oracle is worth over the darkest."""
    base = groups(rows)
    panels = {
        "gain by the leak": [("4 px", groups(rows, leak=4)), ("6 px", groups(rows, leak=6))],
        "gain by the oracle": [("over the darkest cluster", groups(rows, "darkest"))],
    }
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 0.3 * len(base) + 1.2), sharey=True)
    for axis, (title, series) in zip(axes, panels.items(), strict=True):
        for shift, (colour, (label, others)) in enumerate(zip(PALETTE, series, strict=False)):
            for y, (own, other) in enumerate(zip(base, others, strict=True)):
                gain = other.values - own.values if "leak" in title else own.values - other.values
                low, high = paired_bootstrap(gain)
                place = y + 0.25 * (shift - (len(series) - 1) / 2)
                axis.plot([100 * low, 100 * high], [place, place], color=colour, lw=2)
                axis.plot(100 * gain.mean(), place, "o", color=colour, ms=4, label=label if y == 0 else None)
        axis.axvline(0, color="#666", lw=0.8, ls="--")
        axis.set(title=title, xlabel="Dice points, 95 % interval")
        axis.legend(fontsize=7)
    axes[0].set(yticks=range(len(base)), yticklabels=[group.name for group in base])
    axes[0].invert_yaxis()
    return figure


def scored_masks(labels: Tensor, images: Tensor, truth: Tensor, keep: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """One prediction as several evaluations see it, for `tutseg.report.figures.contours`.

    Parameters
    ----------
    labels, images, truth : Tensor
        Cluster maps ``(B, H, W)``, pictures ``(B, 3, H, W)`` and masks ``(B, 1, H, W)``.
    keep : sequence of (str, int)
        Which of `tutseg.training.one_image.SCORED`.

    Returns
    -------
    dict of str to numpy.ndarray
        Name -> boolean ``(B, H, W)``.
    """
    scored = score_maps(labels, images, truth)
    found: dict[str, Any] = {}
    for rule, margin in keep:
        masks = [row["mask"][0] for own in scored for row in own if (row["rule"], row["leak"]) == (rule, margin)]
        found[f"{rule}, {margin} px leak" if margin else rule] = torch.stack(masks).bool().numpy()
    return found


def hardest(rows: pd.DataFrame, variant: str, n: int) -> list[str]:
    """The `n` pictures with the lowest Dice of a variant (oracle, no leak, mean over seeds), lowest first."""
    part = rows[(rows["rule"] == "oracle") & (rows["leak"] == 0) & (rows["variant"] == variant)]
    return list(part.groupby("id")["dice"].mean().nsmallest(n).index)


# The iterations of one picture.


def dice_of_steps(trace: Trace, image: Tensor, truth: Tensor, rule: str = "oracle") -> np.ndarray:
    """Dice ``(T + 1,)`` of the cluster that `rule` takes at every iteration, and of the result.

    Parameters
    ----------
    trace : Trace
        Of one picture.
    image, truth : Tensor
        ``(3, H, W)`` and ``(1, H, W)``.
    """
    labels = torch.from_numpy(np.concatenate([trace.labels, trace.result[None]])).long()
    truths = truth.expand(len(labels), -1, -1)[:, None]
    images = image.expand(len(labels), -1, -1, -1)
    chosen = choose(labels, images, rule, truths if rule == "oracle" else None)
    return area_scores(counts(chosen, truths))["dice"]


def stop_table(traces: Sequence[Trace], images: Tensor, truth: Tensor, ids: Sequence[str], earliest: int = 6) -> Table:
    """What the moment of stopping costs: Dice at the best iteration, at the earliest allowed, and at the end."""
    rows = []
    for trace, image, mask, name in zip(traces, images, truth, ids, strict=True):
        dice = dice_of_steps(trace, image, mask)
        best = int(dice.argmax())
        clusters = len(np.unique(trace.result))
        rows.append(
            (
                name, f"{percent(dice[best])} (after {best})", percent(dice[min(earliest, len(dice) - 1)]),
                f"{percent(dice[-1])} (after {len(dice) - 1})", f"{100 * (dice[-1] - dice[best]):+.1f}", str(clusters),
            )
        )  # fmt: skip
    heads = (
        "picture", "best (iterations)", f"after {earliest}", "at the stop (iterations)", "lost", "clusters left",
    )  # fmt: skip
    return Table(heads, tuple(rows), "Dice % of the oracle's cluster along the iterations of one seed")


def most_lost(traces: Sequence[Trace], images: Tensor, truth: Tensor) -> int:
    """Place of the picture whose result lies furthest below its best iteration."""
    dice = [dice_of_steps(*each) for each in zip(traces, images, truth, strict=True)]
    return int(np.argmax([own.max() - own[-1] for own in dice]))


def step_explorer(trace: Trace, image: Tensor, truth: Tensor, title: str) -> StepExplorer:
    """Cluster map, clusters, losses and Dice at every iteration of one picture."""
    steps = len(trace.clusters)
    numbers = {"clusters": list(trace.clusters)}
    numbers |= {f"loss term {name}": list(values) for name, values in trace.losses.items()}
    for rule in ("oracle", "darkest"):
        numbers[f"Dice, {rule}"] = list(dice_of_steps(trace, image, truth, rule)[:steps])
    return StepExplorer(list(trace.labels), numbers, title=title)


# The three weights of Eq. 7, from the files of ``benchmarks/lambdas.py``.

PRINTED_WEIGHTS = "1.2-0.3-0.3"


def _lambda_rows(path: Path) -> pd.DataFrame:
    return pd.DataFrame(csv_rows(path)).astype({"dice": float, "leak": int, "clusters": int})


def _weights(rows: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Dice, a row a combination of weights, a column a picture, under one rule and without leak."""
    part = rows[(rows["rule"] == rule) & (rows["leak"] == 0)]
    table = part.pivot(index="variant", columns="id", values="dice")
    return table.set_axis(table.index.str.removeprefix("lambda/"))


def lambda_table(path: Path) -> Table:
    """What a search over λ finds, and how much of it is left on pictures that the search did not see.

    Parameters
    ----------
    path : Path
        ``scores-<data>.csv``.

    Returns
    -------
    Table
        For each rule: the printed weights, the best and the worst of the grid, and the best on one half of the
        pictures scored on the other half, both ways.
    """
    rows = _lambda_rows(path)
    lines = []
    for rule in ("oracle", *(rule for rule, _ in SCORED[3:])):
        dice = _weights(rows, rule)
        values, at = dice.to_numpy(), list(dice.index)
        even = np.arange(values.shape[1]) % 2 == 0
        halves = [values[values[:, own].mean(1).argmax(), ~own] for own in (even, ~even)]
        unseen = np.concatenate(halves)
        mean = values.mean(1)
        for name, found, weights in (
            ("printed", values[at.index(PRINTED_WEIGHTS)], PRINTED_WEIGHTS),
            ("best", values[mean.argmax()], at[mean.argmax()]),
            ("best on one half, scored on the other", unseen, "–"),
            ("worst", values[mean.argmin()], at[mean.argmin()]),
        ):
            spread = f"{percent(found.mean())} ± {percent(found.std(ddof=1))}"
            lines.append((rule, name, weights.replace("-", ", "), spread, _interval(found[None]), str(len(found))))
    first = rows.iloc[0]
    kept = ("data_fingerprint", "size", "device", "threads", "torch", "commit", "code", "seed")
    note = "; ".join(f"{key}: {first[key]}" for key in kept)
    return Table(
        ("cluster chosen by", "weights", "λ1, λ2, λ3", "Dice % ± sd over pictures", "95 % interval", "pictures"),
        tuple(lines),
        f"{len(at)} combinations of weights on {first['data']}",
        f"From {path.parent.name}/{path.name}; {note}.",
    )


def lambda_explorer(folder: Path) -> GridExplorer:
    """The cluster maps of every combination of weights on the first drawn pictures."""
    rows = _lambda_rows(folder / "scores-synth.csv")
    dice = {rule: _weights(rows, rule) for rule in ("oracle", "darkest")}
    clusters = rows.drop_duplicates(["variant", "id"]).set_index(["variant", "id"])["clusters"]
    names = list(dict.fromkeys(rows["variant"].str.removeprefix("lambda/")))
    maps = {}
    for name in names:
        with np.load(folder / "maps" / f"{name}.npz") as file:
            maps[name] = file["arr_0"]
    pictures = list(dict.fromkeys(rows["id"]))[: len(maps[names[0]])]
    axes = {f"λ{k + 1}": sorted({name.split("-")[k] for name in names}, key=float) for k in range(3)}
    frames, numbers = [], {"clusters": [], "Dice, oracle": [], "Dice, darkest": []}
    for i, picture in enumerate(pictures):
        for name in ("-".join(values) for values in product(*axes.values())):
            frames.append(maps[name][i])
            numbers["clusters"].append(clusters[f"lambda/{name}", picture])
            for rule, table in dice.items():
                numbers[f"Dice, {rule}"].append(table.loc[name, picture])
    return GridExplorer(
        {"picture": pictures, **axes}, frames, numbers, "The clusters for every combination of weights."
    )
