"""The ledger drawn: a paper's table with ours in each cell, verdicts, a forest plot; and the audit explained."""

from tutseg.papers.cells import coverage
from tutseg.papers.claims import MEANING, Claim, Pair, weakest
from tutseg.papers.tables import load_paper, papers, said
from tutseg.papers.verdicts import Decided, InSetup, counts, lettered, verdicts
from tutseg.report.forest import forest
from tutseg.report.markdown import plain, raw, table
from tutseg.report.paper_table import paper_table
from tutseg.report.power import power_part
from tutseg.report.table import Table
from tutseg.training.evidence import Finished, read_evidence


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
        if letters := lettered(found):
            setups = "\n".join(f"- {letter}: {plain(setup)}" for setup, letter in letters.items())
            parts.append(f"### {paper}\n\n{raw(forest(found).to_html())}\n{setups}\n")
    return "\n".join(parts) or "No claim has been attempted yet: the evidence for it is not there.\n"


def claims_part() -> str:
    """Verdicts counted, and every claim with its verdict, what it says and where, and what each set-up says."""
    each = {paper: verdicts_of(paper) for paper in papers()}
    heads = ["paper", "claims", "comparisons", *counts(())]
    rows = []
    for name, found in each.items():
        counted = counts(found).values()
        rows.append((name, len(found), sum(counted), *counted))
    parts = [table(heads, rows, range(1, len(heads)))]
    for name, found in each.items():
        body = "\n".join(map(_claim, found))
        if name == "s3-net":
            parts.append(_s3_net_level())
        parts.append(f":::{{dropdown}} {name}: {len(found)} claims\n\n{body}\n:::\n")
    return "\n".join(parts)


def _s3_net_level() -> str:
    """Whether S3-Net's printed scores are reached, which no claim asks; nothing where the evidence is not there."""
    from tutseg.report.s3_net_print import level

    trials = [item for item in _committed() if item.origin.endswith("s3-net/table-1-ph2-256")]
    return f"{level(trials)}\n" if trials else ""


def _claim(item: Decided) -> str:
    claim = item.claim
    place = f"{plain(claim.place)}, {plain(where(item))}"
    head = f"{claim.id}: **{item.verdict}**\n: {plain(claim.sentence)} ({place}). The paper's own difference is "
    head += f"{claim.points(item.paper_effect, 2)}. Verdict: {plain(item.why)}.\n"
    return head + "".join(f"\n  - {_in_setup(claim, each)}\n" for each in item.setups)


def _in_setup(claim: Claim, found: InSetup) -> str:
    """What one set-up says, with the interval of every comparison."""
    verdict = found.verdict
    pairs = "; ".join(f"{plain(pair.name)} {_ours(claim, pair)}" for pair in verdict.pairs)
    n = " or ".join(dict.fromkeys(f"{pair.seeds} × {pair.n_images}" for pair in verdict.pairs))
    return f"{plain(found.setup)}: {verdict.verdict}. {pairs}; n = {n}. {plain(verdict.why).capitalize()}."


def _ours(claim: Claim, pair: Pair) -> str:
    return f"{claim.points(pair.effect)} ({claim.points(pair.low)} to {claim.points(pair.high)})"


def where(item: Decided) -> str:
    return ", ".join([*said(item.claim.paper, item.claim.setting), item.claim.metric])


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


def power_of_all() -> str:
    """What so many seeds and pictures can see, from the spreads measured for all papers' claims."""
    return power_part([item for paper in papers() for item in verdicts_of(paper)])


def words_part() -> str:
    """What each verdict means."""
    return "\n".join(f"{word}\n: {meaning}\n" for word, meaning in MEANING.items())


PARTS = {
    "ledger-coverage": coverage_part,
    "ledger-forest": forest_part,
    "ledger-claims": claims_part,
    "ledger-power": power_of_all,
    "ledger-words": words_part,
    "ledger-tables": tables_part,
    "audit-rules": rules_part,
    "audit-candidates": candidates_part,
}


def part(name: str) -> str:
    """A generated part of a page, by name."""
    return PARTS[name]()


def claims_table(paper: str) -> Table:
    """The claims of a paper that trials could be set against, with the verdict in each set-up and over all."""
    found = verdicts_of(paper)
    rows = []
    for item in found:
        claim = item.claim
        for each in item.setups:
            pair = weakest(claim, each.verdict.pairs)
            of = len(each.verdict.pairs)
            name = f"{pair.name} (the weakest of {of})" if of > 1 else pair.name
            sentence = f"{claim.id}: {claim.sentence} ({claim.place})"
            rows.append(
                (sentence, each.setup, name, claim.points(pair.paper, 2), _ours(claim, pair),
                 f"{pair.seeds} × {pair.n_images}", each.verdict.verdict, item.verdict)
            )  # fmt: skip
    rest = sum(not item.setups for item in found)
    return Table(
        ("claim", "set-up", "comparison", "paper, points", "ours, points (95 % interval)", "n", "here", "verdict"),
        tuple(rows),
        "Claims set against trials; a positive number favours the claim",
        f"{rest} of {len(found)} claims have no trials yet; the ledger gives each one's reason and every comparison.",
    )  # fmt: skip
