"""The papers' tables, prose and facts under the audit, and what it makes of what readers had suspected.

What a finding means for the candidates X-01 ... X-69 is computed by `reconcile`: ``candidates.yaml`` says which rule
could decide each of them and where, never with what result.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import combinations
from typing import Any

from tutseg.audit.confusion import pooled_scores, prevalence_from_accuracy
from tutseg.audit.examine import SEVERITIES, examine, numbered
from tutseg.audit.finding import Finding
from tutseg.audit.interval import Interval
from tutseg.audit.repeats import repeats
from tutseg.audit.rows import Line, lines_of, select
from tutseg.audit.rules import RULES
from tutseg.errors import InputError
from tutseg.files import knowledge
from tutseg.papers.tables import load_cells, load_paper, papers, read_yaml


def examine_paper(paper: str) -> list[Finding]:
    """All outcomes over a paper's tables, prose and facts."""
    return examine(load_cells(paper), _facts(paper), list(load_paper(paper).text_numbers))


def examine_all() -> list[Finding]:
    """All outcomes over all papers, and those between papers (rows one paper shares with another)."""
    each = [outcome for paper in papers() for outcome in examine_paper(paper)]
    between = []
    for pair in combinations(sorted(papers(), key=_year), 2):
        lines = lines_of(cell for paper in pair for cell in load_cells(paper))
        between += [f for f in repeats(lines) if f.rule == "shared-rows" or len({c.paper for c in f.inputs}) > 1]
    return numbered([*each, *between])


def _year(paper: str) -> tuple[int, str]:
    return load_paper(paper).year, paper


def audit_paper(paper: str) -> list[Finding]:
    """What does not hold in one paper, each finding with the candidates X-nn it bears on."""
    return _with_candidates([outcome for outcome in examine_paper(paper) if not outcome.holds])


def audit_all() -> list[Finding]:
    """What does not hold in any paper or between two, each finding with the candidates X-nn it bears on."""
    return _with_candidates([outcome for outcome in examine_all() if not outcome.holds])


def totals(findings: Iterable[Finding]) -> dict[str, dict[str, int]]:
    """Findings by paper and severity."""
    table: dict[str, dict[str, int]] = {}
    for finding in findings:
        row = table.setdefault(finding.paper, dict.fromkeys(SEVERITIES, 0))
        row[finding.severity] += 1
    return table


def _facts(paper: str) -> dict[str, Any]:
    path = knowledge() / "papers" / paper / "facts.yaml"
    return (read_yaml(path) or {}) if path.exists() else {}


# ------------------------------------------------------------------------------------------------- the candidates


@dataclass(frozen=True)
class Candidate:
    """A suspected contradiction: what is suspected, and what could decide it.

    Parameters
    ----------
    id, paper, statement : str
        X-nn, the paper, the suspicion in our words.
    decide : list of dict
        Parts, each a rule and a place (``rule``, ``table``, ``row``, ``setting``) with the numbers suspected
        (``says``) and ``expect: holds`` where the suspicion is that all is well; or a difference of two cells
        (``to``, ``from``, ``metric``, ``says``).
    needs : str
        What a program would have to read to decide the rest, where tables and counts do not suffice.
    """

    id: str
    paper: str
    statement: str
    decide: tuple[dict[str, Any], ...] = ()
    needs: str = ""


def load_candidates() -> list[Candidate]:
    """The register of suspicions, ``data/papers/candidates.yaml``.

    Raises
    ------
    InputError
        An entry names an unknown field or rule.
    """
    path = knowledge() / "papers" / "candidates.yaml"
    found = []
    for entry in read_yaml(path):
        extra = set(entry) - {"id", "paper", "statement", "decide", "needs"}
        unknown = {part["rule"] for part in entry.get("decide", ()) if "rule" in part} - set(RULES)
        if extra or unknown:
            raise InputError(f"{path}: {entry.get('id')}: unknown {', '.join(extra | unknown)}", "correct the entry")
        found.append(Candidate(**{**entry, "decide": tuple(entry.get("decide", ()))}))
    return found


def _bears(outcome: Finding, part: Mapping[str, Any], paper: str) -> bool:
    """Whether an outcome is of the rule and place that a part of a candidate speaks of."""
    if outcome.rule != part.get("rule") or outcome.paper != paper:
        return False
    if "table" in part and str(part["table"]) != str(outcome.table):
        return False
    if "name" in part and part["name"] not in outcome.id:
        return False
    cells = [cell for cell in outcome.inputs if hasattr(cell, "row")]
    setting = {key: str(value) for key, value in part.get("setting", {}).items()}
    metrics = [part["metric"]] if "metric" in part else []
    places = [c for c in cells if "row" not in part or c.row == part["row"]]
    places = [c for c in places if setting.items() <= c.setting.items() and (not metrics or c.metric in metrics)]
    return bool(places) or not ({"row", "setting", "metric"} & part.keys())


def _with_candidates(findings: list[Finding]) -> list[Finding]:
    register = load_candidates()
    return [
        replace(
            finding,
            x=tuple(c.id for c in register if any(_bears(finding, part, c.paper) for part in c.decide)),
        )
        for finding in findings
    ]


def _agrees(computed: Decimal, said: str) -> bool:
    """Whether a computed number is the one said, to one unit of its last digit."""
    told = Decimal(str(said))
    return abs(computed - told) <= Decimal(1).scaleb(told.as_tuple().exponent)


def _decide(part: Mapping[str, Any], paper: str, outcomes: list[Finding]) -> tuple[str, str, list[Finding]]:
    """One part of a candidate: verdict, reason, the outcomes it rests on."""
    matching = [outcome for outcome in outcomes if _bears(outcome, part, paper)]
    place = ", ".join(f"{key} {part[key]}" for key in ("table", "row", "setting", "metric", "name") if key in part)
    if not matching:
        if part["rule"] == "repeated-row" or part["rule"] == "shared-rows":
            return "refuted", f"{part['rule']} ({place}): no two rows agree in every digit", []
        return "undecided", f"{part['rule']} ({place}): the numbers it needs are not printed", []
    broken = [outcome for outcome in matching if not outcome.holds]
    if part.get("expect") == "holds":
        verdict = "refuted" if broken else "confirmed"
        shown = broken or matching
    elif broken:
        verdict, shown = "confirmed", broken
    else:
        verdict, shown = "refuted" if RULES[part["rule"]].law else "undecided", matching
    why = " ".join(f"{part['rule']}{' holds' if f.holds else ''}: {f.message}" for f in shown[:3])
    why += f" (and {len(shown) - 3} more)" if len(shown) > 3 else ""
    if verdict == "undecided":
        why += " The pattern is not marked enough to set it apart from an honest table."
    for name, said in part.get("says", {}).items():
        numbers = [f.numbers[name] for f in shown if name in f.numbers]
        if numbers and not any(_agrees(number, said) for number in numbers):
            verdict = "refuted"
            why += f" Suspected was {name} = {said}; computed is {', '.join(f'{n:.4g}' for n in numbers[:3])}."
    return verdict, why, shown


def _recompute(part: Mapping[str, Any], lines: list[Line]) -> tuple[str, str]:
    """A number suspected against the one computed from the cells (percentages in points).

    ``to``, ``from``, ``metric``: a difference of two cells, in per cent of the second with ``relative``;
    ``pooled``, ``share``: Dice and Jaccard of one confusion matrix from a row's Sen and Spe; ``share_of``: the
    lesion's share of pixels in a row; ``absent``: that a row has no number; ``mean_gain``: the mean gain of the rows
    with a prefix over those without.
    """
    if "absent" in part:
        found = select(lines, part["absent"])
        return ("refuted" if found else "confirmed"), f"{len(found)} rows for {part['absent']}."
    if "pooled" in part:
        line, share = select(lines, part["pooled"])[0], Decimal(str(part["share"]))
        dice, jaccard, *_ = pooled_scores(Interval(share, share), line)
        pairs = [("dice", dice.mid * 100), ("jaccard", jaccard.mid * 100)]
    elif "share_of" in part:
        share = prevalence_from_accuracy(select(lines, part["share_of"])[0])
        pairs = [("share", share.mid * 100)]
    elif "mean_gain" in part:
        where = part["mean_gain"]
        after = [line for line in select(lines, where) if line.row.startswith(where["prefix"])]
        after = [line for line in after if where["metric"] in line.cells]
        before = [
            select(lines, {"table": a.table, "row": a.row.removeprefix(where["prefix"]), "setting": a.setting})[0]
            for a in after
        ]
        gains = [
            (a.value(where["metric"]).mid - b.value(where["metric"]).mid) * 100
            for a, b in zip(after, before, strict=True)
        ]
        pairs = [("gain", sum(gains) / len(gains))]
    else:
        to, since = (select(lines, part[end])[0] for end in ("to", "from"))
        a, b = to.value(part["metric"]), since.value(part.get("from_metric", part["metric"]))
        points = 100 if to.cells[part["metric"]].unit in ("percent", "fraction") or part.get("relative") else 1
        pairs = [("difference", (a.mid - b.mid) / (b.mid if part.get("relative") else 1) * points)]
    told = [(name, number, str(part["says"][name])) for name, number in pairs if name in part["says"]]
    place = part.get("to") or part.get("pooled") or part.get("share_of") or part.get("mean_gain")
    where = ", ".join(f"{value}" for value in place.values())
    why = "; ".join(f"{name} {number:.2f} (said {said})" for name, number, said in told)
    return ("confirmed" if all(_agrees(n, said) for _, n, said in told) else "refuted"), f"{where}: {why}."


def reconcile(findings: list[Finding] | None = None) -> list[dict[str, Any]]:
    """What a program makes of each candidate X-nn.

    Confirmed: every part that a program can decide is as suspected. Refuted: a part is not; `why` has the numbers.
    Undecided: no table, count or quoted number decides it (`why` says what would), or a statistical rule is silent.

    Parameters
    ----------
    findings : list of Finding, optional
        Outcomes of `examine_all`, those that hold among them; computed when not given.

    Returns
    -------
    list of dict
        ``x``, ``paper``, ``statement``, ``verdict``, ``why``, ``findings`` (ids) for each candidate, in order.
    """
    outcomes = examine_all() if findings is None else findings
    lines: dict[str, list[Line]] = {}
    report = []
    for candidate in load_candidates():
        verdicts, why, used = [], [], []
        for part in candidate.decide:
            if "rule" in part:
                verdict, reason, shown = _decide(part, candidate.paper, outcomes)
                used += [f.id for f in shown if not f.holds]
            else:
                known = lines.setdefault(candidate.paper, lines_of(load_cells(candidate.paper)))
                verdict, reason = _recompute(part, known)
            verdicts.append(verdict)
            why.append(reason)
        if "refuted" in verdicts:
            verdict = "refuted"
        elif candidate.needs or not verdicts or "undecided" in verdicts:
            verdict = "undecided"
        else:
            verdict = "confirmed"
        if candidate.needs:
            why.append(f"Not in tables, counts or quoted numbers: needs {candidate.needs}.")
        report.append(
            {"x": candidate.id, "paper": candidate.paper, "statement": candidate.statement, "verdict": verdict,
             "why": " ".join(dict.fromkeys(why)), "findings": list(dict.fromkeys(used))}
        )  # fmt: skip
    return report
