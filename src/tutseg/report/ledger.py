"""The ledger drawn: a paper's table with ours in each cell, verdicts, a forest plot; and the audit explained."""

from tutseg.papers.ledger import (
    Decided,
    Finished,
    counts,
    coverage,
    describe_setup,
    points,
    read_evidence,
    verdicts,
)
from tutseg.papers.tables import load_paper, papers
from tutseg.report.forest import forest
from tutseg.report.markdown import plain, raw, table
from tutseg.report.paper_table import paper_table, said
from tutseg.report.table import Table


def _committed() -> tuple[Finished, ...]:
    """Pages rest on what is committed, so that they are the same in every checkout."""
    return read_evidence(runs=False)


def coverage_part() -> str:
    """How many cells of each paper have a number of ours."""
    rows = coverage(_committed())
    total = {key: sum(row[key] for row in rows) for key in ("ours", "nameable", "cells", "illegible")} | {"name": "all"}
    heads = ["paper", "with ours", "could have one", "cells", "illegible", "claims"]
    claims = {row["name"]: len(verdicts_of(row["name"])) for row in rows}
    claims["all"] = sum(claims.values())
    return table(
        heads,
        [(*(row[key] for key in ("name", "ours", "nameable", "cells", "illegible")), claims[row["name"]])
         for row in [*rows, total]],
        range(1, 6),
    )  # fmt: skip


def verdicts_of(paper: str) -> list[Decided]:
    """A paper's claims, decided by the committed evidence."""
    return verdicts(paper, _committed())


def forest_part() -> str:
    """One forest plot a paper, where claims have been attempted."""
    parts = []
    for paper in papers():
        found = verdicts_of(paper)
        if any(item.verdict.effect is not None for item in found):
            parts.append(f"### {paper}\n\n{raw(forest(found).to_html())}")
    return "\n".join(parts) or "No claim has been attempted yet: the evidence for it is not there.\n"


def claims_part() -> str:
    """Verdicts counted, and every claim with its verdict, what it says and where."""
    each = {paper: verdicts_of(paper) for paper in papers()}
    words = list(counts(()))
    parts = [
        table(["paper", *words], [(name, *counts(found).values()) for name, found in each.items()], range(1, 5)),
    ]
    for name, found in each.items():
        lines = []
        for item in found:
            verdict, claim = item.verdict, item.claim
            ours = ""
            if verdict.effect is not None:
                ours = (
                    f", ours {points(item, verdict.effect)} ({points(item, verdict.low)} to "
                    f"{points(item, verdict.high)}; n = {verdict.seeds} × {verdict.n_images}; "
                    f"{describe_setup(item.trials)})"
                )
            place = f"{plain(claim.place)}, {plain(where(item))}"
            lines.append(
                f"{claim.id}: **{verdict.verdict}**\n"
                f": {plain(claim.sentence)} ({place}). Points: the paper {points(item, item.paper_effect)}{ours}. "
                f"Verdict: {plain(verdict.why)}.\n"
            )
        body = "\n".join(lines)
        parts.append(f":::{{dropdown}} {name}: {len(found)} claims\n\n{body}\n:::\n")
    return "\n".join(parts)


def where(item: Decided) -> str:
    return ", ".join([*(said(k, v) for k, v in item.claim.setting.items()), item.claim.metric])


def tables_part() -> str:
    """Every table of the papers with ours in each cell."""
    evidence, parts = _committed(), []
    for paper in papers():
        parts.append(f"### {paper}\n")
        for card in load_paper(paper).tables:
            shown = paper_table(paper, card.number, evidence)
            states = [entry.state for entry in shown.entries]
            head = f"Table {card.number}: ours in {states.count('ours')} of {len(states)} cells"
            parts.append(f":::{{dropdown}} {head}\n\n{raw(shown._repr_html_())}:::\n")
    return "\n".join(parts)


def rules_part() -> str:
    """Every rule of the audit: what it says, what it assumes, what could explain a breach, and how many there are."""
    from tutseg.audit.examine import SEVERITIES
    from tutseg.audit.rules import RULES
    from tutseg.papers.contradictions import audit_all

    found = [finding.rule for finding in audit_all()]
    parts = []
    for severity in SEVERITIES:
        rules = [rule for rule in RULES.values() if rule.severity == severity]
        total = sum(found.count(rule.name) for rule in rules)
        lines = []
        for rule in rules:
            innocent = "; or ".join(rule.innocent)
            times = found.count(rule.name)
            lines.append(
                f"`{rule.name}` ({times} in the five papers)\n"
                f": {plain(rule.says)} Assumes that {plain(rule.assumption)}."
                + (f" Could be innocent: {plain(innocent)}." if innocent else "")
                + ("" if rule.law else " A pattern, not a law: its absence clears nothing.")
                + "\n"
            )
        body = "\n".join(lines)
        parts.append(f":::{{dropdown}} {severity.capitalize()}: {len(rules)} rules, {total} findings\n\n{body}\n:::\n")
    return "\n".join(parts)


def candidates_part() -> str:
    """What a program makes of each suspicion that a reader had noted, and what it found beyond them."""
    from tutseg.papers.contradictions import audit_all, reconcile

    report, findings = reconcile(), audit_all()
    words = ("confirmed", "refuted", "undecided")
    each = {paper: [row["verdict"] for row in report if row["paper"] == paper] for paper in papers()}
    beyond = [finding for finding in findings if not finding.x]
    new = {paper: sum(finding.paper == paper for finding in beyond) for paper in papers()}
    rows = [(paper, len(got), *map(got.count, words), new[paper]) for paper, got in each.items()]
    total = ("all", *(sum(row[i] for row in rows) for i in range(1, 6)))
    parts = [table(["paper", "suspicions", *words, "findings beyond them"], [*rows, total], range(1, 6))]
    for word in words:
        told = [row for row in report if row["verdict"] == word]
        lines = [f"{row['x']} ({row['paper']}): {plain(row['statement'])}\n: {plain(row['why'])}\n" for row in told]
        if told:
            body = "\n".join(lines)
            parts.append(f":::{{dropdown}} {word.capitalize()}: {len(told)}\n\n{body}\n:::\n")
    lines = [f"- {finding.paper}, Table {finding.table}: {plain(finding.message)}" for finding in beyond]
    if lines:
        body = "\n".join(lines)
        parts.append(f":::{{dropdown}} Found by the program alone: {len(lines)}\n\n{body}\n:::\n")
    return "\n".join(parts)


PARTS = {
    "ledger-coverage": coverage_part,
    "ledger-forest": forest_part,
    "ledger-claims": claims_part,
    "ledger-tables": tables_part,
    "audit-rules": rules_part,
    "audit-candidates": candidates_part,
}


def part(name: str) -> str:
    """A generated part of a page, by name."""
    return PARTS[name]()


def claims_table(paper: str) -> Table:
    """The claims of a paper that trials could be set against, each with its verdict."""
    found = verdicts_of(paper)
    rows = []
    for item in found:
        verdict = item.verdict
        if verdict.effect is None:
            continue
        ours = f"{points(item, verdict.effect)} [{points(item, verdict.low)}, {points(item, verdict.high)}]"
        n = f"{verdict.seeds} × {verdict.n_images}"
        sentence = f"{item.claim.sentence} ({item.claim.place})"
        rows.append((item.claim.id, sentence, points(item, item.paper_effect), ours, n, verdict.verdict))
    rest = len(found) - len(rows)
    return Table(
        ("claim", "what is claimed", "paper, points", "ours, points [95 % interval]", "n", "verdict"),
        tuple(rows),
        "Claims set against trials; a positive number favours the claim",
        f"{rest} of {len(found)} claims have no trials yet; the ledger gives each one's reason and set-up.",
    )
