"""The papers: their tables beside ours, their claims, their arithmetic."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tutseg.cli.common import Json, app, example, show
from tutseg.errors import unknown


@app.command(
    "table",
    epilog=example("tutseg table dme-fd 1", "tutseg table s3-net 2 --json"),
    help="A paper's printed table with ours in each cell: a number, not yet, or cannot and why.",
)
def table_(
    paper: Annotated[str, typer.Argument(help="dme-fd, sam-kd, dale, ssgnet or s3-net.")],
    number: Annotated[int, typer.Argument(help="The table's number in the paper.")],
    as_json: Json = False,
) -> None:
    from tutseg.report.paper_table import paper_table

    shown = paper_table(paper, number)
    if as_json:
        show(shown.as_rows(), True, shown.title)
        return
    print(shown.title)
    for block in shown.blocks:
        rows = [
            {"row": label}
            | {
                metric: "\n".join(shown.lines(entry)) if entry else ""
                for metric, entry in zip(block.metrics, line, strict=True)
            }
            for label, line in block.lines
        ]
        show(rows, False, block.heading, {"row": "paper / ours", **{metric: metric for metric in block.metrics}})
    print(*shown.notes(), sep="\n")


@app.command(
    epilog=example("tutseg claims", "tutseg claims dme-fd --json"),
    help="The papers' claims put to the test, each with its verdict and why; --json has every comparison.",
)
def claims(
    paper: Annotated[str | None, typer.Argument(help="One paper; all without it.")] = None, as_json: Json = False
) -> None:
    from tutseg.papers.verdicts import counts, lettered, verdicts

    decided = verdicts(paper)
    if as_json:
        show([item.as_dict() for item in decided], True, "claims")
        return
    letters = lettered(decided)
    rows = [
        {"name": item.claim.id, "sentence": f"{item.claim.sentence} ({item.claim.place})", **_effects(item, letters)}
        for item in decided
    ]
    columns = {
        "name": "claim",
        "sentence": "what is claimed",
        "paper": "paper",
        "ours": "ours: weakest comparison",
        "verdict": "verdict",
    }
    show(rows, False, "effects in points of the score (distances: pixels)", columns)
    for setup, letter in letters.items():
        print(f"{letter}: {setup}")
    counted = counts(decided)
    total = sum(counted.values())
    print(f"{len(decided)} claims in {total} comparisons: Dice, Jaccard and HM of the same rows are one")
    print(", ".join(f"{n} {word}" for word, n in counted.items()))


def _effects(item: Any, letters: dict[str, str]) -> dict[str, str]:
    """A claim's effects and verdict in words; of each set-up the weakest comparison."""
    from tutseg.papers.claims import weakest

    points, lines = item.claim.points, []
    for each in item.setups:
        pair = weakest(item.claim, each.verdict.pairs)
        interval = f"{points(pair.effect)} ({points(pair.low)} to {points(pair.high)})"
        here = f", {each.verdict.verdict}" if len(item.setups) > 1 else ""
        lines.append(f"{letters[each.setup]}: {pair.name} {interval}, n = {pair.seeds} × {pair.n_images}{here}")
    told = f"{item.verdict}: {item.why}"
    return {"paper": points(item.paper_effect, 2), "ours": "\n".join(lines), "verdict": told}


@app.command(
    epilog=example("tutseg audit", "tutseg audit ssgnet", "tutseg audit my_results.csv --check", "tutseg audit --x"),
    help="Numbers that cannot, or can hardly, stand together: in the papers, or in any results table you bring.",
)
def audit(
    what: Annotated[str | None, typer.Argument(metavar="[PAPER | FILE.csv]", help="All papers without it.")] = None,
    x: Annotated[bool, typer.Option("--x", help="What becomes of the suspicions X-01, X-02, ...")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if something is impossible.")] = False,
    as_json: Json = False,
) -> None:
    from tutseg.audit.examine import SEVERITIES, audit_table
    from tutseg.audit.usertable import read_table

    if x:
        from tutseg.papers.contradictions import reconcile

        rows = [{"name": row["x"], **row} for row in reconcile() if what in (None, row["paper"])]
        columns = {"name": "", "paper": "paper", "statement": "suspicion", "verdict": "verdict", "why": "why"}
        show(rows, as_json, "suspicions", columns)
        return
    table = what is not None and bool(Path(what).suffix)  # no paper has a name with a suffix
    if not table:
        from tutseg.papers.contradictions import audit_all, audit_paper
        from tutseg.papers.tables import papers

        table = what is not None and what not in papers() and Path(what).exists()
        if not table and what not in (None, *papers()):
            raise unknown("paper or file", what, papers())
    own = read_table(Path(what)) if table else None
    findings = audit_table(own) if own else audit_all() if what is None else audit_paper(what)
    if as_json:
        columns = {"name": f"{what}: columns", "severity": "note", "read": own.metrics, "not_read": own.unread,
                   "columns": [asdict(column) for column in own.columns]} if own else None  # fmt: skip
        show(
            [*([columns] if columns else []), *({"name": finding.id, **finding.as_dict()} for finding in findings)],
            True,
            "audit",
        )
    else:
        if own:
            print(f"read: {', '.join(own.metrics)}")
            print(f"not read: {', '.join(own.unread) or 'none'}")
        for finding in findings:
            place = what if table else f"{finding.paper}, table {finding.table}"
            print(f"{finding.severity}: {place}: {finding.message}")
            print(f"    {finding.rule}. Assumes that {finding.assumption}.")
            print("    Could be innocent: " + "; or ".join(finding.innocent) + ".")
        number = {word: sum(finding.severity == word for finding in findings) for word in SEVERITIES}
        among = f" among {', '.join(own.metrics)}" if own else ""
        beside = f"; nothing is said of {', '.join(own.unread)}" if own and own.unread else ""
        print(", ".join(f"{n} {word}" for word, n in number.items()) + among + beside)
    if check and any(finding.severity == "impossible" for finding in findings):
        raise typer.Exit(1)
