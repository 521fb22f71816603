"""What a paper's prose, captions and counts say of its own tables, as checks a program decides.

The statements come from ``paper.yaml`` (numbers quoted in the text) and ``facts.yaml`` (counts, ranks, gains, growth
rates, times) beside the tables; both give the section of each statement, and the statement in our words.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from tutseg.audit.finding import Finding, Statement, judge
from tutseg.audit.interval import Interval, printed
from tutseg.audit.rows import Line, scale_of, select

POINTS = 100


def _statement(fact: Any) -> Statement:
    get = fact.get if isinstance(fact, Mapping) else lambda name: getattr(fact, name, None)
    return Statement(str(get("section") or ""), get("statement") or "")


def text_numbers(lines: list[Line], text: list[Any]) -> Iterator[Finding]:
    """A number quoted in the prose stands in the table; a gain is the difference of two cells."""
    for item in text:
        item = SimpleNamespace(**item) if isinstance(item, Mapping) else item
        if getattr(item, "row", None) is None:
            continue
        where = {"table": getattr(item, "table", None), "row": item.row, "setting": item.setting}
        found = [line for line in select(lines, where) if item.metric in line.cells]
        named = {key: value for key, value in item.setting.items() if key not in ("train", "data")}
        if not found:
            for line in select(lines, {**where, "setting": named}):
                off = [k for k, v in item.setting.items() if line.setting.get(k) != v]
                if item.metric in line.cells and any(item.setting[k] == line.setting.get(k) for k in ("train", "data")):
                    yield judge("named-data", False, [line.cells[item.metric], _statement(item)],
                                f"The text speaks of {', '.join(f'{k}={item.setting[k]}' for k in off)}; table "
                                f"{line.table} is of {', '.join(f'{k}={line.setting.get(k)}' for k in off)}.",
                                computed=", ".join(item.setting[k] for k in off),
                                expected=", ".join(str(line.setting.get(k)) for k in off))  # fmt: skip
                    found = [line]
        minus = getattr(item, "minus", None)
        if minus is not None:
            fact = {
                name: getattr(item, name, None) for name in ("value", "relation", "relative", "section", "statement")
            }
            for line in found:
                same = {key: line.setting[key] for key in ("train", "data", "class", "variant") if key in line.setting}
                base = {"table": line.table, "row": minus, "setting": {**same, **named}}
                for other in [o for o in select(lines, base) if item.metric in o.cells][:1]:
                    yield from _gain(line, other, item.metric, fact)
        elif len(found) == 1:
            yield from _quoted(found[0], item)
            if getattr(item, "relation", "equal") == "best":
                claim = {"rank": 1, "metric": item.metric, "section": item.section, "statement": item.statement}
                yield from _rank(found[0], claim, select(lines, {"table": found[0].table, "setting": found[0].setting}))


def _quoted(line: Line, item: Any) -> Iterator[Finding]:
    cell = line.cells[item.metric]
    told = Decimal(str(item.value))
    scale = 100 if cell.unit == "percent" or (cell.unit == "fraction" and told > 1) else 1
    shown = printed(told, scale, cut=line.cut)
    own = line.value(item.metric)
    holds = own.hi > shown.mid if getattr(item, "relation", "") == "more than" else shown.meets(own)
    yield judge("text-against-table", holds, [cell, _statement(item)],
                f"{line.label}: the text says {item.metric} {item.value}, table {line.table} says {cell.value}.",
                computed=str(item.value), expected=str(cell.value), where=(line.paper, line.table,
                f"{line.row},{item.metric},{','.join(line.setting.values())}"),
                text=told, cell=cell.value)  # fmt: skip


def _gain(better: Line, worse: Line, metric: str, fact: Mapping[str, Any]) -> Iterator[Finding]:
    a, b = better.value(metric), worse.value(metric)
    cell = better.cells[metric]
    sign = -1 if cell.direction == "lower" else 1
    scale = Decimal(POINTS if cell.unit in ("percent", "fraction") or fact.get("relative") else 1)
    gain = Interval(a.lo - b.hi, a.hi - b.lo) if sign > 0 else Interval(b.lo - a.hi, b.hi - a.lo)
    mid = sign * (a.mid - b.mid) * scale
    low, high = gain.lo * scale, gain.hi * scale
    if fact.get("relative"):
        low, high, mid = low / b.hi, high / b.lo, mid / b.mid
    relation = fact.get("relation") or "equal"
    ends = [Decimal(end) for end in str(fact["value"]).split("-")] if relation == "between" else []
    if relation == "between":
        holds = high >= printed(ends[0]).lo and low <= printed(ends[1], cut=better.cut).hi
    elif relation == "more than":
        holds = high > Decimal(str(fact["value"]))
    else:
        holds = Interval(low, high).meets(printed(Decimal(str(fact["value"])), cut=better.cut))
    unit = "%" if fact.get("relative") else "points" if scale == POINTS else ""
    yield judge("gain", holds, [cell, worse.cells[metric], _statement(fact)],
                f"{better.label} against {worse.label}: {metric} improves by {mid:+.2f} {unit}; the text says "
                f"{relation} {fact['value']}.", computed=f"{mid:+.2f} {unit}",
                expected=f"{relation} {fact['value']}", where=(better.paper, better.table,
                f"{better.row}-{worse.row},{metric},{','.join(better.setting.values())}"),
                gain=mid)  # fmt: skip


def _rank(line: Line, claim: Mapping[str, Any], among: list[Line]) -> Iterator[Finding]:
    metric = claim["metric"]
    cell, own = line.cells[metric], line.value(metric)
    rivals = [other for other in among if metric in other.cells and other is not line]
    lower = cell.direction == "lower"
    ahead = [o for o in rivals if (o.value(metric).hi < own.lo if lower else o.value(metric).lo > own.hi)]
    tied = [o for o in rivals if o.value(metric).meets(own)]
    holds = len(ahead) < claim["rank"] <= len(ahead) + len(tied) + 1
    names = ", ".join(f"{other.label} {other.cells[metric].value}" for other in ahead)
    yield judge("rank", holds, [cell, *(other.cells[metric] for other in ahead), _statement(claim)],
                f"{line.label}: {metric} {cell.value} is said to be number {claim['rank']} of {len(rivals) + 1}; "
                f"ahead of it: {names or 'none'}.", computed=f"number {len(ahead) + 1}",
                expected=f"number {claim['rank']}",
                where=(line.paper, line.table,
                       f"{line.row},{metric},{','.join(line.setting.values())},of{len(rivals) + 1}"),
                ahead=len(ahead))  # fmt: skip


def _counts(paper: str, facts: list[dict]) -> Iterator[Finding]:
    for fact in facts:
        total = sum(fact["parts"].values())
        parts = " + ".join(f"{value} {name}" for name, value in fact["parts"].items())
        needs = ", ".join(f"{name} {value + fact['whole'] - total}" for name, value in fact["parts"].items())
        yield judge("counts", total == fact["whole"], [_statement(fact)],
                    f"{fact['name']}: {parts} = {total}, not {fact['whole']} (one of: {needs} would).",
                    computed=str(total), expected=str(fact["whole"]), where=(paper, "", fact["name"]),
                    sum=total, difference=total - fact["whole"],
                    **{name: Decimal(value + fact["whole"] - total) for name, value in fact["parts"].items()},
                    )  # fmt: skip


def _same_runs(lines: list[Line], facts: list[dict]) -> Iterator[Finding]:
    for fact in facts:
        rows = [found for where in fact["cells"] for found in select(lines, where)]
        for metric in dict.fromkeys(name for line in rows for name in line.cells):
            shown = [line for line in rows if metric in line.cells]
            for other in shown[1:]:
                first = shown[0]
                a, b = first.cells[metric], other.cells[metric]
                alike = a.value.as_tuple().exponent == b.value.as_tuple().exponent and a.unit == b.unit
                holds = a.value == b.value if alike else first.value(metric).meets(other.value(metric))
                yield judge("same-run-differs", holds, [a, b],
                            f"{fact['name']}: {metric} is {a.value} in table {first.table} and {b.value} in table "
                            f"{other.table}.", computed=f"{a.value} and {b.value}", expected="one value",
                            where=(first.paper, first.table, f"{first.label}~{other.table},{metric}"),
                            difference=(b.value / scale_of(b) - a.value / scale_of(a))
                            * (POINTS if b.unit in ("percent", "fraction") else 1))  # fmt: skip


def _growth(lines: list[Line], facts: list[dict]) -> Iterator[Finding]:
    for fact in facts:
        prefix, of = fact["prefix"], fact["of"]
        rates = [line for line in select(lines, fact) if "growth" in line.cells]
        after = [line for line in rates if line.row.startswith(prefix)]
        computed = []
        for line in after:
            settings = [{**line.setting, **fact.get("over", {})}] if "over" not in fact else [
                {**line.setting, "data": name} for name in fact["over"]]  # fmt: skip
            pairs = [
                (select(lines, {"table": line.table, "row": line.row, "setting": s})[0].value(of),
                 select(lines, {"table": line.table, "row": line.row.removeprefix(prefix), "setting": s})[0].value(of))
                for s in settings
            ]  # fmt: skip
            new, old = (
                Interval(sum(p[i].lo for p in pairs) / len(pairs), sum(p[i].hi for p in pairs) / len(pairs))
                for i in (0, 1)
            )
            rate = Interval(new.lo / old.hi - 1, new.hi / old.lo - 1)
            mid = new.mid / old.mid - 1
            of_ratios = sum(a.mid / b.mid for a, b in pairs) / len(pairs) - 1
            computed.append(mid)
            cell = line.cells["growth"]
            yield judge("growth", rate.meets(line.value("growth")), [cell],
                        f"{line.label}: {of} grows by {mid * 100:.2f} %; printed is {cell.value} %.",
                        computed=f"{mid * 100:.2f} %", expected=f"{cell.value} %", growth=mid * 100,
                        mean_of_ratios=of_ratios * 100)  # fmt: skip
        for line in rates:
            if line in after:
                continue
            shown = [other.value("growth") for other in after]
            mean = Interval(sum(s.lo for s in shown) / len(shown), sum(s.hi for s in shown) / len(shown))
            cell = line.cells["growth"]
            yield judge("mean-growth", mean.meets(line.value("growth")), [cell],
                        f"{line.label}: the {len(shown)} printed rates have the mean {mean.mid * 100:.3f} %, from the "
                        f"cells it is {sum(computed) / len(computed) * 100:.2f} %; printed is {cell.value} %.",
                        computed=f"{mean.mid * 100:.3f} %", expected=f"{cell.value} %", mean=mean.mid * 100,
                        from_cells=sum(computed) / len(computed) * 100)  # fmt: skip


def _times(lines: list[Line], facts: list[dict]) -> Iterator[Finding]:
    for fact in facts:
        for line in select(lines, fact):
            each, count, total = (line.value(fact[name]) for name in ("each", "count", "total"))
            hours = Interval(each.lo * count.lo / 3600, each.hi * count.hi / 3600)
            cells = [line.cells[fact[name]] for name in ("each", "count", "total")]
            yield judge("time", hours.meets(total), cells,
                        f"{line.label}: {cells[0].value} s times {cells[1].value} is {hours.mid:.2f} h; printed is "
                        f"{cells[2].value} h, which would take {total.mid * 3600 / each.mid:.0f} iterations.",
                        computed=f"{hours.mid:.2f} h", expected=f"{cells[2].value} h",
                        hours=hours.mid)  # fmt: skip


def _epochs(lines: list[Line], facts: list[dict]) -> Iterator[Finding]:
    for fact in facts:
        rows = [line for line in select(lines, fact) if fact["count"] in line.cells]
        cells = [line.cells[fact["count"]] for line in rows]
        images, batch = fact["images"], fact["batch"]
        steps = {images // batch, -(-images // batch)}
        whole = all(any(cell.value % n == 0 for n in steps) for cell in cells)
        by_image = all(cell.value % images == 0 for cell in cells)
        yield judge("epochs", whole, [*cells, _statement(fact)],
                    f"{images} images in batches of {batch}: {' or '.join(map(str, sorted(steps)))} steps an epoch; "
                    f"{', '.join(str(cell.value) for cell in cells)} iterations are "
                    + (f"all multiples of {images}: {', '.join(str(cell.value // images) for cell in cells)} epochs of "
                       "one image an iteration." if by_image else "no whole epochs of either."),
                    computed=f"multiples of {images}" if by_image else "no whole epochs",
                    expected=f"multiples of {' or '.join(map(str, sorted(steps)))}",
                    where=(rows[0].paper, rows[0].table, fact["count"]))  # fmt: skip


def _announced(lines: list[Line], facts: list[dict]) -> Iterator[Finding]:
    for fact in facts:
        rows = [line for line in select(lines, fact) if line.row not in fact.get("rows_not", ())]
        shown = sorted(
            {line.row if fact["key"] == "row" else line.setting.get(fact["key"], "") for line in rows} - {""}
        )
        if "count" in fact:
            holds, told = len(shown) == fact["count"], str(fact["count"])
        else:
            holds, told = shown == sorted(map(str, fact["values"])), ", ".join(map(str, fact["values"]))
        yield judge("announced", holds, [_statement(fact)],
                    f"Announced for {fact['key']}: {told}; shown in table {fact['table']}: {', '.join(shown)}.",
                    computed=", ".join(shown), expected=told,
                    where=(rows[0].paper, str(fact["table"]), f"{fact['key']},{told}"))  # fmt: skip


def _macro(lines: list[Line], facts: list[dict]) -> Iterator[Finding]:
    for fact in facts:
        line = select(lines, fact)[0]
        parts = [other for other in select(lines, fact["of"]) if fact["part"] in other.cells]
        values = [other.value(fact["part"]) for other in parts]
        if len(values) != fact["parts"]:  # a class score that is not legible
            continue
        mean = Interval(sum(v.lo for v in values) / len(values), sum(v.hi for v in values) / len(values))
        cell = line.cells[fact["metric"]]
        yield judge("macro", mean.meets(line.value(fact["metric"])), [cell, *(p.cells[fact["part"]] for p in parts)],
                    f"{line.label}: the mean of the class scores is {mean.mid * 100:.1f}; printed is {cell.value}.",
                    computed=f"{mean.mid * 100:.1f}", expected=str(cell.value), mean=mean.mid * 100)  # fmt: skip


def promise_checks(lines: list[Line], facts: Mapping[str, Any], text: list[Any]) -> Iterator[Finding]:
    """Every check of a statement about the tables."""
    paper = lines[0].paper if lines else ""
    yield from text_numbers(lines, [*text, *facts.get("text_numbers", [])])
    yield from _counts(paper, facts.get("counts", []))
    yield from _same_runs(lines, facts.get("same_run", []))
    yield from _growth(lines, facts.get("growth", []))
    yield from _times(lines, facts.get("times", []))
    yield from _epochs(lines, facts.get("epochs", []))
    yield from _announced(lines, facts.get("announced", []))
    yield from _macro(lines, facts.get("macro", []))
    for fact in facts.get("gains", []):
        ends = [[line for line in select(lines, fact[end]) if fact["metric"] in line.cells] for end in ("to", "from")]
        for better, worse in zip(*ends, strict=True):
            yield from _gain(better, worse, fact["metric"], fact)
    for fact in facts.get("pairs", []):
        for better in select(lines, fact):
            if better.row.startswith(fact["prefix"]):
                where = {"table": better.table, "row": better.row.removeprefix(fact["prefix"])}
                for worse in select(lines, {**where, "setting": better.setting}):
                    for metric in fact["metrics"]:
                        if metric in better.cells and metric in worse.cells:
                            claim = {**fact, "relation": "more than", "value": 0}
                            yield from _gain(better, worse, metric, claim)
    for fact in facts.get("ranks", []):
        for line in select(lines, fact):
            for metric in fact["metrics"]:
                rivals = select(lines, {"table": line.table, "setting": fact["among"]})
                yield from _rank(line, {**fact, "metric": metric}, rivals)
