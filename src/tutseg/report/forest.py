"""The forest plot of a paper's claims."""

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure as Canvas

from tutseg.errors import InputError
from tutseg.papers.ledger import Decided, points, scale_of
from tutseg.report.figure import INK, PALETTE, legend_below, line_figure, sheet

COLOURS = {"reproduced": PALETTE[2], "inconclusive": PALETTE[5], "not reproduced": PALETTE[1]}
MARKERS = {"reproduced": "o", "inconclusive": "s", "not reproduced": "X"}


@line_figure
def forest(decided: Sequence[Decided]) -> tuple[Callable[[float], Canvas], str]:
    """Effects with 95 % intervals beside the paper's own effect.

    Filled marks are ours, coloured and shaped by verdict; hollow diamonds are the paper's.

    Raises
    ------
    InputError
        No claim was attempted.
    """
    shown = [item for item in decided if item.verdict.effect is not None]
    if not shown:
        raise InputError("no claim was attempted", "run the trials that the ledger names")

    def draw(width: float) -> Canvas:
        figure, axes = sheet(min(width, 5.6), 1.1 + 0.24 * len(shown))
        axes.axvline(0, color=INK, lw=0.8, alpha=0.6)
        axes.grid(axis="y", visible=False)
        seen = set()
        for y, item in enumerate(shown):
            verdict, scale = item.verdict, scale_of(item.claim)
            ends = [[(verdict.effect - verdict.low) * scale], [(verdict.high - verdict.effect) * scale]]
            # an equivalence's interval covers all pairs and need not be centred on the largest of them
            ends = [[max(end[0], 0.0)] for end in ends]
            label = None if verdict.verdict in seen else f"ours: {verdict.verdict}"
            seen.add(verdict.verdict)
            axes.errorbar(
                [verdict.effect * scale], [y], xerr=ends, fmt=MARKERS[verdict.verdict], ms=5, lw=1.4,
                color=COLOURS[verdict.verdict], label=label,
            )  # fmt: skip
            told = None if y else "the paper's own"
            axes.plot(item.paper_effect * scale, y, "D", ms=5, mfc="none", mec=INK, mew=0.9, label=told)
            if item.claim.line:
                axes.plot([item.claim.line * scale] * 2, [y - 0.4, y + 0.4], color=INK, lw=0.8, ls=":")
        axes.set_yticks(range(len(shown)), [f"{item.claim.id} {item.claim.score}" for item in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlabel("claimed side better by (points of the score)")
        legend_below(figure, axes, min(width, 5.6))
        return figure

    told = "; ".join(
        f"{item.claim.id}: ours {points(item, item.verdict.effect)} ({points(item, item.verdict.low)} to "
        f"{points(item, item.verdict.high)}), paper {points(item, item.paper_effect)}, {item.verdict.verdict}"
        for item in shown
    )
    return draw, f"Effects of {len(shown)} claims with 95 % intervals beside the papers' own. {told}."
