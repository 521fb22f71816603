"""Any results table as cells: wide (one column a metric) or tidy (one line a number: row, metric, value).

What is not understood is never passed over in silence: `UserTable` lists the columns that were not read, and a number
whose unit cannot be told from its column is set aside with a finding instead of being compared.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tutseg.audit.cell import Cell
from tutseg.audit.finding import Finding, judge
from tutseg.audit.headings import DISTANCES, SYNONYMS, plain, read_heading
from tutseg.audit.numbers import EMPTY, Number, decimal_mark, read_number, without_latex
from tutseg.errors import InputError
from tutseg.files import delimited

_LABELLED = re.compile(
    r"#?(no|number|num)?(of)?label(l?ed|s)?(%|data|images|pictures|samples|ratio|share)?%?|l%?|ratio%?"
)
_DATA = {"data", "dataset", "datasets", "testset", "testdata"}
_ROW = ("row", "method", "methods", "methode", "model", "network", "approach", "name")
_VALUE, _SPREAD = ("value", "mean", "result", "score"), ("spread", "std", "sd", "standarddeviation")
# Beyond this nothing is a share in per cent, nor a distance in pixels.
HUGE = Decimal(10) ** 6


@dataclass(frozen=True)
class Column:
    """A column of the user's table: its heading, and what it was read as ("" if it was not read)."""

    heading: str
    read_as: str


@dataclass(frozen=True)
class UserTable:
    """A results table as the audit sees it.

    Parameters
    ----------
    cells : list of Cell
        The numbers that the rules compare.
    columns : list of Column
        Every column, and what became of it.
    aside : list of Finding
        Numbers that are not among the cells, and why.
    """

    cells: list[Cell]
    columns: list[Column]
    aside: list[Finding]

    @property
    def metrics(self) -> list[str]:
        """The headings that were read as metrics, as "JSC as jaccard" where they use another word."""
        read = [column for column in self.columns if column.read_as.split(" ")[0] in SYNONYMS]
        return [column.heading + f" as {column.read_as}" * (plain(column.heading) != column.read_as) for column in read]

    @property
    def unread(self) -> list[str]:
        """The headings of the columns that were not read."""
        return [column.heading for column in self.columns if not column.read_as]


@dataclass(frozen=True)
class _Raw:
    """One number of the file, its unit not yet known."""

    row: str
    setting: dict[str, str]
    metric: str
    number: Number
    percent: bool  # the heading says so
    place: str
    table: str


def read_table(path: Path) -> UserTable:
    """Read a results table for the audit.

    Wide: a column of names, a column a metric (DSC, JSC, mIoU, "95% HD [mm]", "Dice Similarity Coefficient (%)", ...),
    cells like ``82.06 ± 0.69`` or ``$\\textbf{82,06}$``; text columns and the labelled share (2, 2 %, 1/50, all) tell
    rows apart. Tidy: columns ``row``, ``metric``, ``value`` and, if there, ``spread``, ``table`` and ``setting``
    (``data=isic2018;labelled=0.02``). Comma, semicolon, tab or bar separate; UTF-8, UTF-16 or Windows' own encoding.
    Percentages are told from fractions by "%" or by size.

    Raises
    ------
    InputError
        Unreadable file, no metric in the heading, or a cell that is no number; names line and column.
    """
    heading, rows = _grid(Path(path))
    names = [plain(name) for name in heading]
    known = {"metric": ("metric", "metrics"), "value": _VALUE, "spread": _SPREAD}
    tidy = {role: next((i for i, name in enumerate(names) if name in words), None) for role, words in known.items()}
    read = _tidy if tidy["metric"] is not None and tidy["value"] is not None else _wide
    raw, columns = read(path, heading, rows, tidy)
    if not raw:
        raise InputError(f"{path} holds no number", "fill in the metric columns")
    return UserTable(*_with_units(Path(path).stem, raw, columns))


# ---- the file --------------------------------------------------------------------------------------------------------


def _grid(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The heading, and the other rows with their line numbers; every row has one cell for each heading."""
    rows = delimited(path)
    if len(rows) < 2:
        raise InputError(f"{path} has no rows", "give a heading line and at least one line of results")
    heading = [" ".join(without_latex(name).split()) for name in rows[0][1]]
    grid = []
    for number, cells in rows[1:]:
        if len(cells) != len(heading):
            raise InputError(
                f"{path}, line {number}: {len(cells)} cells under {len(heading)} headings",
                "give every line one cell for each heading (quote a cell that contains the separator, also 80,5)",
            )
        grid.append((number, cells))
    return heading, grid


def _number(text: str, mark: str, where: str) -> Number | None:
    try:
        return read_number(text, mark)
    except ValueError as error:
        raise InputError(f"{where}: {error}", "write 82.06, 82.06 ± 0.69 or leave the cell empty") from error


def _is_number(text: str) -> bool:
    try:
        return read_number(text) is not None
    except ValueError:
        return False


# ---- what tells rows apart -------------------------------------------------------------------------------------------


class _Settings:
    """The columns besides the metrics: the row's name, the data, the labelled share, and other text.

    Parameters
    ----------
    others : list of int
        The columns that hold no metric; those that hold nothing but numbers, and no labelled share, are not read.
    """

    def __init__(self, path: Path, heading: list[str], rows: list[tuple[int, list[str]]], others: list[int]) -> None:
        self.path, self.heading = path, heading
        self.key: dict[int, str] = {}
        for i in others:
            name, filled = plain(heading[i]), [cells[i] for _, cells in rows if cells[i].casefold() not in EMPTY]
            if name in ("setting", "table"):
                self.key[i] = name
            elif _LABELLED.fullmatch(name):
                self.key[i] = "labelled"
            elif name in _DATA:
                self.key[i] = "data"
            elif any(not _is_number(text) for text in filled):
                self.key[i] = name or f"column {i + 1}"
        texts = [i for i, key in self.key.items() if key not in ("setting", "table", "labelled", "data")]
        named = [i for i in texts if self.key[i] in _ROW]
        numbered = [i for i in others if plain(heading[i]) in _ROW]  # methods that are called 1, 2, 3
        self.row = next(iter([*named, *numbered, *texts, *self.key]), None)
        if self.row is not None:
            self.key[self.row] = "row"
        self.shares = {
            i: _shares([cells[i] for _, cells in rows], heading[i]) for i, key in self.key.items() if key == "labelled"
        }
        self.carried: dict[int, str] = {}

    def of(self, at: int, number: int, cells: list[str]) -> tuple[str, dict[str, str], str]:
        """Name, setting and table of the `at`-th row; a name, data or share left blank is that of the row above."""
        row, setting, table = f"line {number}", {}, self.path.name
        for i, key in self.key.items():
            text = without_latex(self.shares[i][at] if key == "labelled" else cells[i])
            if key in ("row", "data", "labelled"):
                self.carried[i] = text = text or self.carried.get(i, "")
            if key == "row":
                row = text or row
            elif key == "table":
                table = text or table
            elif key == "setting":
                setting |= self._pairs(text, number)
            elif text and text.casefold() not in EMPTY:
                setting["labels" if key == "labelled" and not _is_share(text) else key] = text
        return row, setting, table

    def _pairs(self, text: str, number: int) -> dict[str, str]:
        found = {}
        for part in filter(None, text.split(";")):
            key, equals, entry = part.partition("=")
            if not equals:
                raise InputError(
                    f"{self.path}, line {number}, column 'setting': '{part}' has no '='", "write key=value;key=value"
                )
            found[key.strip()] = entry.strip()
        if "labelled" in found:
            (share,) = _shares([found.pop("labelled")], "")
            found["labelled" if _is_share(share) else "labels"] = share
        return found

    def columns(self, metrics: dict[int, str]) -> list[Column]:
        """Every column and what it was read as."""
        words = {"row": "the row's name", "labelled": "the labelled share", "data": "the data set"}
        read = {i: words.get(key, "tells rows apart") for i, key in self.key.items()} | metrics
        shown = [name or f"column {i + 1}" for i, name in enumerate(self.heading)]
        return [Column(name, read.get(i, "")) for i, name in enumerate(shown)]


def _is_share(text: str) -> bool:
    return bool(re.fullmatch(r"1|0(\.\d+)?", text))


def _shares(texts: list[str], heading: str) -> list[str]:
    """Labelled shares as fractions: "2 %", "0.02", "1/50" and "all" are shares; "30 pictures" stays as it is.

    A bare number is in per cent if its heading says so or one of the column is above 1, and a count if that is above
    100.
    """
    bare = [without_latex(text) for text in texts]
    plainly = [Decimal(text.replace(",", ".")) if re.fullmatch(r"\d+(?:[.,]\d+)?", text) else None for text in bare]
    top = max((value for value in plainly if value is not None), default=Decimal(0))
    counts = top > 100 or bool(re.search(r"#|number|images|pictures|samples|scans", heading.casefold()))
    scale = 100 if "%" in heading or top > 1 else 1
    found = []
    for text, value in zip(bare, plainly, strict=True):
        percent = re.search(r"(\d+(?:[.,]\d+)?)\s*%", text)
        ratio = re.match(r"(\d+)\s*/\s*(\d*[1-9]\d*)", text)
        share = None
        if re.match(r"(?i)(all|full|fully)\b", text):
            share = Decimal(1)
        elif percent:
            share = Decimal(percent[1].replace(",", ".")) / 100
        elif ratio:
            share = Decimal(ratio[1]) / Decimal(ratio[2])
        elif value is not None and not counts:
            share = value / scale
        found.append(text if share is None or share > 1 else f"{round(share, 6).normalize():f}")
    return found


# ---- the numbers -----------------------------------------------------------------------------------------------------


def _wide(
    path: Path, heading: list[str], rows: list[tuple[int, list[str]]], _: dict[str, int | None]
) -> tuple[list[_Raw], list[Column]]:
    metrics = {i: found for i, name in enumerate(heading) if (found := read_heading(name))}
    if not metrics:
        raise InputError(
            f"{path}, line 1: no heading names a metric ({', '.join(heading)})",
            f"call the columns {', '.join(SYNONYMS)}, or give columns row, setting, metric, value, spread",
        )
    for i, found in metrics.items():
        first = next(k for k, other in metrics.items() if (other.metric, other.of) == (found.metric, found.of))
        if first != i:
            raise InputError(
                f"{path}, line 1: columns '{heading[first]}' and '{heading[i]}' are both {found.metric}",
                "give one table a data set, or the tidy form with a setting column",
            )
    settings = _Settings(path, heading, rows, [i for i in range(len(heading)) if i not in metrics])
    mark = decimal_mark(cells[i] for _, cells in rows for i in metrics)
    raw: list[_Raw] = []
    seen: set[tuple] = set()
    for at, (number, cells) in enumerate(rows):
        row, setting, table = settings.of(at, number, cells)
        key = (table, row, *sorted(setting.items()))
        if key in seen:
            setting = {**setting, "line": str(number)}
        seen.add(key)
        for i, found in metrics.items():
            value = _number(cells[i], mark, f"{path}, line {number}, column '{heading[i]}'")
            if value is not None:
                of = {"variant": found.of} if found.of else {}
                place = f"line {number}, column {i + 1}"
                raw.append(_Raw(row, setting | of, found.metric, value, found.percent, place, table))
    read_as = {i: f"{found.metric} of {found.of}" if found.of else found.metric for i, found in metrics.items()}
    return raw, settings.columns(read_as)


def _tidy(
    path: Path, heading: list[str], rows: list[tuple[int, list[str]]], at: dict[str, int | None]
) -> tuple[list[_Raw], list[Column]]:
    metric, value, spread = at["metric"], at["value"], at["spread"]
    settings = _Settings(path, heading, rows, [i for i in range(len(heading)) if i not in at.values()])
    mark = decimal_mark(cells[i] for _, cells in rows for i in (value, spread) if i is not None)
    raw: list[_Raw] = []
    unread: dict[str, None] = {}
    seen: dict[tuple, int] = {}
    for line, (number, cells) in enumerate(rows):
        row, setting, table = settings.of(line, number, cells)
        found = _number(cells[value], mark, f"{path}, line {number}, column '{heading[value]}'")
        known = read_heading(cells[metric])
        if known is None:
            unread[cells[metric] or "(no metric)"] = None
        if found is None or known is None:
            continue
        if spread is not None:
            own = _number(cells[spread], mark, f"{path}, line {number}, column '{heading[spread]}'")
            found = Number(found.value, own.value if own else found.spread, found.percent)
        of = {"variant": known.of} if known.of else {}
        first = seen.setdefault((table, row, *setting.items(), known.metric, known.of), number)
        if first != number:
            raise InputError(
                f"{path}, lines {first} and {number} both give {known.metric} of {row}",
                "delete one of them, or add a column that says in what they differ",
            )
        raw.append(_Raw(row, setting | of, known.metric, found, known.percent, f"line {number}", table))
    if not raw and unread:
        raise InputError(
            f"{path}: column '{heading[metric]}' names no metric ({', '.join(unread)})",
            f"call the metrics {', '.join(SYNONYMS)}",
        )
    columns = settings.columns({i: role for role, i in at.items() if i is not None})
    columns += [Column(name, name) for name in dict.fromkeys(each.metric for each in raw)]
    return raw, columns + [Column(name, "") for name in unread]


def _with_units(paper: str, raw: list[_Raw], columns: list[Column]) -> tuple[list[Cell], list[Column], list[Finding]]:
    """Cells in per cent or fractions, column by column; numbers that fit neither their column nor any are set aside.

    A column is in per cent if its heading or a sign in it says so, or if one of its numbers is above 1.5 (1 is a
    perfect fraction). A bare number of at most 1 in it may be a fraction or less than one per cent.
    """
    groups: dict[tuple[str, str, str], list[_Raw]] = {}
    for each in raw:
        groups.setdefault((each.table, each.metric, each.setting.get("variant", "")), []).append(each)
    placed: dict[int, Cell] = {}
    aside: list[Finding] = []
    for (table, metric, _), group in groups.items():
        distance = metric in DISTANCES
        direction = "lower" if distance or metric in ("hm", "xor") else "higher"
        huge = [each for each in group if not all(-HUGE < n < HUGE for n in each.number.printed)]
        fit = [each for each in group if each not in huge]
        small = [each for each in fit if 0 < each.number.value <= 1 and not each.number.percent]
        percent = not distance and any(e.percent or e.number.percent or e.number.value > Decimal("1.5") for e in fit)
        fractions = percent and len(small) == len([each for each in fit if each.number.value])
        unit = "as printed" if distance else "percent" if percent and not fractions else "fraction"

        def cell(each: _Raw, unit: str = unit, direction: str = direction) -> Cell:
            number = each.number
            return Cell(paper, each.table, each.row, each.setting, each.metric, number.value, number.spread, each.place,
                        "", unit, direction)  # fmt: skip

        for each in huge:
            limit = "a number below a million" if distance else "[0, 100] %"
            shown = " ± ".join(map(str, each.number.printed))
            aside.append(judge("out-of-range", False, [cell(each)],
                               f"{each.row}: {metric} is printed as {shown}; it must be {limit}.",
                               computed=shown, expected=limit))  # fmt: skip
        if percent and small:
            numbers = ", ".join(f"{each.row} {each.number.value}" for each in small)
            told = (f"the heading or a sign says per cent, and every number is a fraction: {numbers}; they are taken "
                    "as fractions" if fractions else
                    f"fractions among per cent: {numbers}; they are compared with nothing")  # fmt: skip
            aside.append(judge("mixed-units", False, [cell(each) for each in small], f"Column {metric}: {told}.",
                               computed=f"{len(small)} of {len(fit)} numbers in (0, 1]", expected="one unit",
                               where=(paper, table, metric)))  # fmt: skip
        left_out = huge + (small if percent and not fractions else [])
        placed |= {id(each): cell(each) for each in group if each not in left_out}
    return [placed[id(each)] for each in raw if id(each) in placed], columns, aside
