"""Any results table as cells: tidy (row, setting, metric, value, spread) or wide (one column a metric)."""

import csv
import io
import re
from decimal import Decimal
from pathlib import Path

from tutseg.audit.cell import Cell
from tutseg.errors import InputError

# What headings say, without case, units, arrows and punctuation -> the metric's name here
SYNONYMS = {
    "dice": "dice dsc dicescore dicecoefficient dicesimilaritycoefficient dc meandice avgdice",
    "mdice": "mdice mdsc",
    "f1": "f1 f1score fscore f1dice dicef1",
    "jaccard": "jaccard jc jac ja ji jaccardindex jaccardcoefficient",
    "iou": "iou foregroundiou",
    "miou": "miou meaniou mjaccard",
    "precision": "precision pre prec ppv",
    "recall": "recall rec",
    "sensitivity": "sensitivity sen sens se tpr",
    "specificity": "specificity spe spec sp tnr",
    "accuracy": "accuracy acc pixelaccuracy oa",
    "hd95": "hd95 95hd 95hausdorff hausdorff95 hausdorffdistance95 hd95%",
    "asd": "asd averagesurfacedistance",
    "assd": "assd averagesymmetricsurfacedistance",
    "hm": "hm hammoude hammoud hammoudedistance",
    "xor": "xor",
}
_METRIC = {name: metric for metric, names in SYNONYMS.items() for name in names.split()}
_DISTANCE = {"hd95", "asd", "assd"}
_LABELLED = {"labelled", "labeled", "label", "labels", "l", "labelledratio", "labeledratio", "ratio"}
_DATA = {"data", "dataset", "testset", "testdata"}
_EMPTY = {"", "-", "–", "—", "n/a", "na", "nan", "none"}
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?"
_CELL = re.compile(rf"({_NUMBER})\s*%?\s*(?:(?:±|\+/-|\+-|\\pm|\$\\pm\$|\()\s*({_NUMBER})\s*%?\s*\)?)?", re.IGNORECASE)
TIDY = ("row", "metric", "value")


def _plain(heading: str) -> str:
    heading = re.sub(r"\([^)]*\)|\[[^\]]*\]", "", heading.casefold())
    return re.sub(r"[^a-z0-9%]", "", heading).removesuffix("%")


def _number(text: str, where: str) -> tuple[Decimal, Decimal | None, bool] | None:
    """Value, spread and whether a per-cent sign was printed; None for an empty cell."""
    bare = text.replace("*", "").replace("_", "").strip()
    if bare.casefold() in _EMPTY:
        return None
    match = _CELL.fullmatch(bare)
    if match is None:
        raise InputError(f"{where}: '{text}' is not a number", "write 82.06, 82.06 ± 0.69 or leave the cell empty")
    spread = None if match[2] is None else Decimal(match[2])
    return Decimal(match[1]), spread, "%" in bare


def read_table(path: Path) -> list[Cell]:
    """Read a results table for the audit.

    Tidy: columns ``row``, ``metric``, ``value`` and, if there, ``setting`` (``data=isic2018;labelled=0.02``),
    ``spread``, ``table``. Wide: a first column of names, a column a metric (DSC, JC, mIoU, PRE, SEN, 95HD, ... with or
    without "(%)"), cells like ``82.06 ± 0.69``; columns without a metric in their heading tell rows apart (data set,
    labelled share). Comma, semicolon or tab separate. Percentages are told from fractions by "%" or by size.

    Raises
    ------
    InputError
        Unreadable file, no metric in the heading, or a cell that is no number; names line and column.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text", "save the table as CSV in UTF-8") from error
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror})", "give the path of a CSV file") from error
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True))
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV table ({error})", "quote cells that contain the separator") from error
    rows = [(number, cells) for number, cells in enumerate(lines, start=1) if any(cell.strip() for cell in cells)]
    if len(rows) < 2:
        raise InputError(f"{path} has no rows", "give a heading line and at least one line of results")
    heading = [name.strip() for name in rows[0][1]]
    for number, cells in rows[1:]:
        if len(cells) != len(heading):
            raise InputError(
                f"{path}, line {number}: {len(cells)} cells under {len(heading)} headings",
                "give every line one cell for each heading (quote a cell that contains the separator)",
            )
    names = [name.casefold() for name in heading]
    if set(TIDY) <= set(names):
        raw = _tidy(path, names, rows[1:])
    else:
        raw = _wide(path, heading, rows[1:])
    if not raw:
        raise InputError(f"{path} holds no number", "fill in the metric columns")
    return _with_units(path, raw)


# one number of the file: row, setting, metric, value, spread, place, is it in per cent (None: not said), table
_Raw = tuple[str, dict[str, str], str, Decimal, Decimal | None, str, bool | None, str]


def _tidy(path: Path, names: list[str], rows: list[tuple[int, list[str]]]) -> list[_Raw]:
    found: list[_Raw] = []
    for number, cells in rows:
        line = dict(zip(names, (cell.strip() for cell in cells), strict=True))
        where = f"{path}, line {number}, column 'value'"
        value = _number(line["value"], where)
        if value is None:
            continue
        spread = _number(line.get("spread", ""), f"{path}, line {number}, column 'spread'")
        setting = {}
        for part in filter(None, line.get("setting", "").split(";")):
            key, equals, entry = part.partition("=")
            if not equals:
                raise InputError(
                    f"{path}, line {number}, column 'setting': '{part}' has no '='", "write key=value;key=value"
                )
            setting[key.strip()] = entry.strip()
        if "labelled" in setting:
            setting["labelled"] = _share(setting["labelled"], f"{path}, line {number}, column 'setting'")
        metric = _METRIC.get(_plain(line["metric"]), line["metric"].casefold())
        percent = True if value[2] or "%" in line["metric"] else None
        found.append(
            (line["row"], setting, metric, value[0], spread[0] if spread else value[1], f"line {number}", percent,
             line.get("table") or path.name)
        )  # fmt: skip
    return found


def _share(text: str, where: str) -> str:
    """A labelled share as a fraction: "2 %", "2%" and "0.02" are the same; a bare number above 1 is per cent."""
    value = _number(text, where)
    if value is None:
        return ""
    share = value[0] / 100 if value[2] or value[0] > 1 else value[0]
    return f"{share.normalize():f}"


def _wide(path: Path, heading: list[str], rows: list[tuple[int, list[str]]]) -> list[_Raw]:
    metric = {i: _METRIC[_plain(name)] for i, name in enumerate(heading) if i and _plain(name) in _METRIC}
    if not metric:
        raise InputError(
            f"{path}, line 1: no heading names a metric ({', '.join(heading)})",
            f"call the columns {', '.join(SYNONYMS)}, or give columns row, setting, metric, value, spread",
        )
    for i, name in metric.items():
        first = next(k for k, other in metric.items() if other == name)
        if first != i:
            raise InputError(
                f"{path}, line 1: columns '{heading[first]}' and '{heading[i]}' are both {name}",
                "give one table a data set, or the tidy form with a setting column",
            )
    found: list[_Raw] = []
    seen: set[tuple] = set()
    row = ""
    carried: dict[int, str] = {}
    for number, cells in rows:
        cells = [cell.strip() for cell in cells]
        row = cells[0] or row
        setting = {}
        for i, name in enumerate(heading):
            if i == 0 or i in metric or not name:
                continue
            carried[i] = cells[i] or carried.get(i, "")
            if _plain(name) in _LABELLED and carried[i]:
                setting["labelled"] = _share(carried[i], f"{path}, line {number}, column '{name}'")
            elif _plain(name) in _DATA and carried[i]:
                setting["data"] = carried[i]
            elif cells[i] and not _CELL.fullmatch(cells[i]):
                setting[_plain(name)] = cells[i]
        key = (row, *sorted(setting.items()))
        if key in seen:
            setting["line"] = str(number)
        seen.add(key)
        for i, name in metric.items():
            value = _number(cells[i], f"{path}, line {number}, column '{heading[i]}'")
            if value is not None:
                percent = True if value[2] or "%" in heading[i] else None
                place = f"line {number}, column {i + 1}"
                found.append((row, setting, name, value[0], value[1], place, percent, path.name))
    return found


def _with_units(path: Path, raw: list[_Raw]) -> list[Cell]:
    """Per cent where a sign says so, or where a share of the column is above 1.5 (1 is a perfect fraction)."""
    percent: dict[tuple[str, str], bool] = {}
    for _, _, metric, value, _, _, said, table in raw:
        column = (table, metric)
        percent[column] = percent.get(column, False) or bool(said) or value > Decimal("1.5")
    shares = [column for column in percent if column[1] in SYNONYMS and column[1] not in _DISTANCE]
    # a column of tiny percentages among others in per cent is in per cent too
    tables = {table: any(percent[c] for c in shares if c[0] == table) for table, _ in percent}
    cells = []
    for row, setting, metric, value, spread, place, _, table in raw:
        share = (table, metric) in shares
        unit = ("percent" if tables[table] and percent[table, metric] else "fraction") if share else "as printed"
        direction = "lower" if metric in _DISTANCE | {"hm", "xor"} else "higher" if share else "none"
        cells.append(Cell(path.stem, table, row, setting, metric, value, spread, place, "", unit, direction))
    return cells
