"""Tables of the methods that segment one picture, from the rows of `tutseg.training.one_image`."""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tutseg.errors import InputError
from tutseg.files import csv_rows
from tutseg.papers.claims import paired_bootstrap
from tutseg.papers.tables import find_cells
from tutseg.report.table import Table
from tutseg.report.tables import Group, percent
from tutseg.training.one_image import SCORED, read_rows, score_maps
from tutseg.training.run import code_stamp


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


def interval(values: np.ndarray, sign: str = "") -> str:
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
                interval(oracle.values),
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
            for cell in (_printed(1, printed, metric, data=data), f"{_with_spread(group)} ({interval(group.values)})")
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
            cells = (printed, _with_spread(group), interval(group.values), held, f"{k} × {n}")
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
            gain = f"{100 * change.mean():+.1f} ({interval(change, '+')})"
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
                "–" if group is base else f"{100 * gain.mean():+.1f} ({interval(gain, '+')})",
            ]
        lines.append(tuple(cells))
    k, n = base.values.shape
    heads = ["losses", "paper, PH2 (Table 2)"]
    for reading in readings:
        heads += [f"ours, `{reading}` (± sd over seeds)", f"`{reading}` − L_ce (95 % interval)"]
    caption = f"Dice % by loss terms; oracle, no leak; n = {k} seeds × {n} images"
    return Table(tuple(heads), tuple(lines), caption, note or _note(rows))


def robust(rows: pd.DataFrame) -> dict[tuple[str, str], dict[str, Group]]:
    """(Method, change) -> flips and oracle Dice of an experiment ``robust/METHOD CHANGE``."""
    found: dict[tuple[str, str], dict[str, Group]] = {}
    for score in ("flips", "dice"):
        for group in groups(rows, score=score):
            method, change = group.name.split(" ", 1)
            found.setdefault((method, change), {})[score] = group
    return found


def robustness_table(rows: pd.DataFrame) -> Table:
    """Who keeps his labels when the picture changes: share of flipped pixels and Dice, a column a change."""
    found = robust(rows)
    methods, changes = (list(dict.fromkeys(names)) for names in zip(*found, strict=True))
    cell = lambda group: f"{percent(group.mean)} ({interval(group.values)})"
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


def scored_masks(labels: Tensor, images: Tensor, truth: Tensor, keep: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """One prediction as several evaluations see it, for `tutseg.report.photographs.contours`.

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
