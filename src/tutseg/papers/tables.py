"""The five papers as data: their tables cell by cell, their settings, and the numbers their prose quotes.

A cell is a row of ``data/papers/<paper>/table_N.csv``; units, directions and what the numbers mean stand in
``paper.yaml`` beside it. Numbers are decimals, so that "0.70" keeps its two printed digits and its rounding interval
is known. Nothing here is computed except the map from a cell to the trial that would reproduce it.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tutseg.audit.cell import Cell
from tutseg.errors import InputError, unknown
from tutseg.files import knowledge

if TYPE_CHECKING:
    import pandas

# The end of the name of a net's small variant.
SMALL = "-s"
COLUMNS = ["row", "setting", "metric", "value", "spread", "position", "quote"]


def parse_setting(text: str | Mapping[str, str]) -> dict[str, str]:
    """Split ``"data=isic2018;labelled=0.02"`` into a dict of strings; a mapping passes through.

    Raises
    ------
    ValueError
        A part without ``=``.
    """
    if isinstance(text, Mapping):
        return {key: str(value) for key, value in text.items()}
    parts = [part.partition("=") for part in text.split(";") if part]
    if any(not (key and equals and value) for key, equals, value in parts):
        raise ValueError(f"setting '{text}' is not a list of key=value joined by semicolons")
    return {key: value for key, _, value in parts}


Setting = Annotated[dict[str, str], BeforeValidator(parse_setting)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Illegible(_Strict):
    """Cells that the paper prints and its text layer has lost."""

    positions: list[str]
    reason: str


class Table(_Strict):
    """What a table's header and caption say.

    Parameters
    ----------
    caption : str
        What the table shows, in our words.
    span : (str, str)
        Texts between which the table stands in the paper's text layer.
    cells : int
        Numbers the paper prints in it (transcribed and illegible together).
    empty : list of str
        Positions that the paper leaves blank.
    ours : list of str
        Rows of the paper's own method.
    test_images : dict
        Number of test images by data set, where the paper prints it.
    unit, direction : dict
        By metric; direction is "higher", "lower" or "none" (a count or a cost nobody ranks by).
    """

    number: int
    caption: str
    span: tuple[str, str]
    cells: int
    empty: list[str] = []
    illegible: list[Illegible] = []
    ours: list[str]
    data: list[str]
    test_images: dict[str, int] = {}
    unit: dict[str, Literal["percent", "fraction", "pixels", "millions", "seconds", "hours", "count", "distance"]]
    direction: dict[str, Literal["higher", "lower", "none"]]


class SettingNumber(_Strict):
    """A choice of the experiment: optimiser, size, count.

    Parameters
    ----------
    printed : str
        How the text layer has the value, where it is a formula or misread there.
    """

    name: str
    value: str
    section: str
    printed: str = ""


class TextNumber(_Strict):
    """A number in the prose, and which cells it speaks of.

    Parameters
    ----------
    row, setting, table : str, dict, int
        The cell it should agree with; no row where the number is a count.
    minus : str
        The row that is subtracted from `row`: the number is a gain, in points, or with `relative` a percentage of
        the subtracted value; its sign is that of an improvement.
    relation : {"equal", "more than", "up to", "between", "best"}
        What the sentence says of the number; "between" gives the ends over all matching cells as ``"0.4-1.6"``, "best"
        says that no other row of the table does better.
    section, statement : str
        Where the number stands, and what is said there, in our words.
    """

    value: str
    metric: str
    setting: Setting = {}
    row: str | None = None
    minus: str | None = None
    relative: bool = False
    relation: Literal["equal", "more than", "up to", "between", "best"] = "equal"
    table: int | None = None
    section: str
    statement: str


class Paper(_Strict):
    """A paper's ``paper.yaml``.

    Parameters
    ----------
    methods, data : dict
        From a printed row and from ``setting["data"]`` to fields of a `Trial`, or to ``{"cannot": reason}``;
        ``stand_in`` says in what the trial differs from the paper's own.
    other : dict
        The same for further keys of a setting: key, value, fields.
    classes : dict
        Data set, a class as the paper calls it, and as our reader does: that whose scores stand beside the cell.
        Of other data there are no classes to tell apart.
    readings : dict
        Where the paper, its published code and common sense disagree: reading, row, options. Each is judged by itself;
        rows that it does not name are the same in all.
    training : dict
        Number of training pictures by data set, of which `setting["labelled"]` is a share.
    lacking : dict
        What those fields name and the package has not so far, with the reason: ``"net emcad"``,
        ``"option supervised.loss"``. The cells that need it are not yet ours.
    """

    title: str
    authors: list[str]
    venue: str
    year: int
    bibkey: str
    tables: list[Table]
    methods: dict[str, dict[str, Any]]
    data: dict[str, dict[str, Any]]
    other: dict[str, dict[str, dict[str, Any]]] = {}
    classes: dict[str, dict[str, str]] = {}
    readings: dict[str, dict[str, dict[str, Any]]] = {"": {}}
    training: dict[str, int] = {}
    lacking: dict[str, str] = {}
    settings: list[SettingNumber] = Field(min_length=1)
    text_numbers: list[TextNumber]

    def labels(self, data: str, share: float) -> int | None:
        """How many labelled pictures a share is in the paper; None for all, and where it does not say."""
        count = self.training.get(data)
        return int(share * count + 1e-9) if count and share < 1 else None

    def counted(self, share: str, data: str = "") -> str:
        """A labelled share in words, with its number where the paper says of how many: "59 labels = 2 %"."""
        per_cent, every = f"{100 * float(share):g} %", self.training.get(data)
        count = every if float(share) == 1 else self.labels(data, float(share))
        return f"{count} labels = {per_cent}" if count else f"{per_cent} labelled"

    def table(self, number: int) -> Table:
        """The table of that number; `InputError` names the ones there are."""
        for table in self.tables:
            if table.number == number:
                return table
        raise InputError(
            f"no table {number} in the paper '{self.title[:40]}...'",
            f"choose one of {', '.join(str(table.number) for table in self.tables)}",
        )


def papers() -> list[str]:
    """Names of the papers that are transcribed."""
    return sorted(path.parent.name for path in (knowledge() / "papers").glob("*/paper.yaml"))


def paper_folder(paper: str) -> Path:
    """``data/papers/<paper>``; `InputError` for an unknown paper."""
    folder = knowledge() / "papers" / paper
    if not (folder / "paper.yaml").exists():  # a list of all papers is read only where it is needed
        raise unknown("paper", paper, papers())
    return folder


def read_yaml(path: Path) -> Any:
    """YAML by the C parser where there is one: ten times faster, and the command line waits for it."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


@cache
def load_paper(paper: str) -> Paper:
    """A paper's settings, text numbers and what its tables mean.

    Raises
    ------
    InputError
        Unknown paper, or a ``paper.yaml`` that breaks the schema.
    """
    path = paper_folder(paper) / "paper.yaml"
    try:
        return Paper(**read_yaml(path))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise InputError(f"{path}: {where}: {fault['msg']}", "correct the file") from error


def load_cells(paper: str, number: int | None = None) -> list[Cell]:
    """The cells of a table, or of all tables of a paper, in the order of the text layer.

    Raises
    ------
    InputError
        Unknown paper or table.
    """
    card = load_paper(paper)
    tables = card.tables if number is None else [card.table(number)]
    return [cell for table in tables for cell in _read_table(paper, table.number)]


@cache
def _read_table(paper: str, number: int) -> tuple[Cell, ...]:
    table = load_paper(paper).table(number)
    path = paper_folder(paper) / f"table_{table.number}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise InputError(f"{path}: columns are {reader.fieldnames}", f"they must be {', '.join(COLUMNS)}")
        return tuple(
            Cell(
                paper=paper,
                table=table.number,
                row=line["row"],
                setting=parse_setting(line["setting"]),
                metric=line["metric"],
                value=Decimal(line["value"]),
                spread=Decimal(line["spread"]) if line["spread"] else None,
                position=line["position"],
                quote=line["quote"],
                unit=table.unit[line["metric"]],
                direction=table.direction[line["metric"]],
            )
            for line in reader
        )


def load_table(paper: str, number: int) -> "pandas.DataFrame":
    """A table as a tidy frame: the columns of the CSV, `value` and `spread` as floats, and digits, unit, direction."""
    import pandas

    records = [
        {
            **{name: getattr(cell, name) for name in ("row", "setting", "metric")},
            "value": float(cell.value),
            "spread": float("nan") if cell.spread is None else float(cell.spread),
            **{name: getattr(cell, name) for name in ("position", "quote", "digits", "unit", "direction")},
        }
        for cell in load_cells(paper, number)
    ]
    return pandas.DataFrame.from_records(records)


def find_cells(paper: str, number: int, row: str, metric: str, setting: Mapping[str, str]) -> list[Cell]:
    """The cells of a row and metric whose setting has at least the given entries."""
    return [
        cell
        for cell in load_cells(paper, number)
        if cell.row == row and cell.metric == metric and setting.items() <= cell.setting.items()
    ]


def said(paper: str, entries: Mapping[str, str], setting: Mapping[str, str] = {}) -> list[str]:
    """Entries of a cell's setting in words; the whole `setting` may name the data set that a share is of."""
    data = {**setting, **entries}.get("data", "")
    return [load_paper(paper).counted(v, data) if k == "labelled" else f"{k} {v}" for k, v in entries.items()]


def trial_of(paper: str, row: str, setting: Mapping[str, str], reading: str = "") -> dict[str, Any]:
    """The fields of the `Trial` that would reproduce a cell, or ``{"cannot": reason}``.

    An option that another row of the paper sets is listed as None where this row leaves it alone, so that a trial of
    the variant is never taken for the method itself (see `matches`). A labelled share is given as ``labelled``,
    and as the paper's number of labelled pictures, ``labels``, where that is known; a trial with either will do.

    Raises
    ------
    InputError
        The paper's ``paper.yaml`` does not say what the row or the data set is.
    """
    card = load_paper(paper)
    parts = [_entry(card.methods, "methods", row, paper), {"options": card.readings.get(reading, {}).get(row, {})}]
    for key, value in setting.items():
        if key == "data":
            parts.append(_entry(card.data, "data", value, paper))
        elif key in card.other:
            parts.append(_entry(card.other[key], key, value, paper))
    for part in parts:
        if "cannot" in part:
            return {"cannot": part["cannot"]}
    if parts[0].get("method") == "classifier" and setting["data"] not in card.classes:
        return {"cannot": "the paper's classes of this data are not among the data at hand"}
    every = [
        *card.methods.values(),
        *card.data.values(),
        *(part for key in card.other.values() for part in key.values()),
    ]
    fields: dict[str, Any] = {"options": {name: None for part in every for name in part.get("options", {})}}
    if "labelled" in setting:
        fields["labelled"] = float(setting["labelled"])
        if count := card.labels(setting.get("data", ""), fields["labelled"]):
            fields["labels"] = float(count)
    for part in parts:
        fields |= {key: value for key, value in part.items() if key != "options"}
        fields["options"] = fields["options"] | part.get("options", {})
    return fields


def _entry(known: Mapping[str, dict[str, Any]], section: str, name: str, paper: str) -> dict[str, Any]:
    if name not in known:
        raise unknown(f"entry of '{section}' in {paper}/paper.yaml", name, known)
    return known[name]


def matches(trial: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether a finished trial's record is one of those that `trial_of` asks for.

    Fields the paper leaves open (steps, size, seed, fold) are not compared; a record tested on another data set
    (``test_data``) matches only where the paper did so too. A net's small variant, ``NAME-s``, may stand in for it.
    """
    options = record.get("options") or {}
    if not all(_same(options.get(name), value) for name, value in trial["options"].items()):
        return False
    if (record.get("test_data") or "") != trial.get("test_data", ""):
        return False
    labelled = [trial[key] for key in ("labelled", "labels") if key in trial]
    if labelled and not any(_same(record.get("labelled"), number) for number in labelled):
        return False
    if "net" in trial and record.get("net") not in (trial["net"], f"{trial['net']}{SMALL}"):
        return False
    apart = ("options", "test_data", "stand_in", "labelled", "labels", "net")
    wanted = {key: value for key, value in trial.items() if key not in apart}
    return all(key in record and _same(record[key], value) for key, value in wanted.items())


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, float):
        return found is not None and abs(float(found) - wanted) < 1e-9
    return (list(found) if isinstance(found, tuple) else found) == wanted


@dataclass(frozen=True)
class CellTrial:
    """A cell and the trial that would stand beside it; `cannot` is the reason why there never will be one."""

    cell: Cell
    trial: dict[str, Any] | None
    cannot: str | None


def cell_trials(paper: str, number: int | None = None) -> list[CellTrial]:
    """Every cell of a table (or paper) with its trial: what the ledger counts coverage over."""
    found = [(cell, trial_of(paper, cell.row, cell.setting)) for cell in load_cells(paper, number)]
    return [CellTrial(cell, None if "cannot" in fields else fields, fields.get("cannot")) for cell, fields in found]
