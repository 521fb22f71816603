"""Laws of classification tables with two classes."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tutseg.audit.finding import Finding, Statement, judge
from tutseg.audit.interval import Interval, pct, span
from tutseg.audit.rows import Line


def class_tables(lines: list[Line], facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Classification tables: accuracy and both recalls fix the class shares, these fix the precisions."""
    groups: dict[tuple, dict[str, Line]] = {}
    for line in lines:
        setting = {k: v for k, v in line.setting.items() if k != "class"}
        key = (line.paper, line.table, line.row, tuple(sorted(setting.items())))
        groups.setdefault(key, {})[line.setting.get("class", "")] = line
    shares: dict[tuple, list[tuple[Line, str, Interval, tuple]]] = {}
    for rows in groups.values():
        whole, classes = rows.get(""), [name for name in rows if name]
        accuracy = whole.value("accuracy") if whole else None
        if accuracy is None or len(classes) != 2:
            continue
        one, two = (rows[name] for name in classes)
        r1, r2 = one.value("recall"), two.value("recall")
        if r1 is None or r2 is None or r1.meets(r2):
            continue
        share = span(lambda a, r, q: (a - q) / (r - q), accuracy, r1, r2)
        share = Interval(max(share.lo, Decimal(0)), min(share.hi, Decimal(1)))
        inputs = (whole.cell("accuracy"), one.cell("recall"), two.cell("recall"))
        yield judge("class-share", share.lo <= share.hi, inputs,
                    f"{one.label}: no class share gives accuracy {whole.cell('accuracy').value} from recalls "
                    f"{one.cell('recall').value} and {two.cell('recall').value}.")  # fmt: skip
        if share.lo > share.hi:
            continue
        test = (whole.paper, whole.table, tuple((k, v) for k, v in whole.setting.items() if k in ("data", "variant")))
        shares.setdefault(test, []).append((one, classes[0], share, inputs))
        for line, part, hit, other in (
            (one, share, r1, r2),
            (two, Interval(1 - share.hi, 1 - share.lo), r2, r1),
        ):
            p = line.value("precision")
            if p is None or part.lo <= 0:
                continue
            found = span(lambda w, r, q: w * r / (w * r + (1 - w) * (1 - q)), part, hit, other)
            yield judge("class-precision", p.meets(found), [line.cell("precision"), *inputs],
                        f"{line.label}: accuracy and recalls give a precision in {pct(found, 1)}; printed is "
                        f"{pct(p.mid, 1)}.", computed=pct(found, 1), expected=pct(p.mid, 1))  # fmt: skip
    for test, rows in shares.items():
        if len(rows) > 1:
            lo, hi = max(r[2].lo for r in rows), min(r[2].hi for r in rows)
            yield judge("class-shares-agree", lo <= hi, [cell for row in rows for cell in row[3]],
                        f"Class {rows[0][1]}: the rows give it shares of "
                        f"{', '.join(pct(r[2], 0) for r in rows)} % of one test set.",
                        computed="shares that do not meet", expected="one share",
                        where=(test[0], test[1], ",".join(v for _, v in test[2])))  # fmt: skip
    for known in facts.get("class_shares", []):
        for test, rows in shares.items():
            if ("data", known["data"]) not in test[2]:
                continue
            for _line, name, share, inputs in rows:
                share = share if name == known["class"] else Interval(1 - share.hi, 1 - share.lo)
                told, slack = Decimal(str(known["share"])), Decimal(str(known["slack"]))
                holds = share.away(Interval(told, told)) <= slack
                yield judge("class-share", holds, [*inputs, Statement(known["section"], known["statement"])],
                            f"{inputs[0].row} ({known['data']}): accuracy and recalls give class {known['class']} "
                            f"{pct(share, 0)} % of the test set; it is known to have {pct(told, 0)} %"
                            + (", the share of the other class." if share.away(Interval(1 - told, 1 - told)) <= slack
                               else "."),
                            computed=f"{pct(share, 0)} %", expected=f"{pct(told, 0)} %", share=share.mid)  # fmt: skip
