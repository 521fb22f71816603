"""The forest plot of a paper's claims."""

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure as Canvas

from tutseg.errors import InputError
from tutseg.papers.claims import weakest
from tutseg.papers.verdicts import Decided, lettered
from tutseg.report.figure import INK, PALETTE, legend_below, line_figure, sheet

# What a set-up can say -> colour and mark; the paper's diamond is left out.
STYLES = {
    "reproduced": (PALETTE[2], "o"), "sign only": (PALETTE[7], "^"), "not reproduced": (PALETTE[1], "X"),
    "inconclusive": (PALETTE[5], "s"), "cannot be tested here": (PALETTE[4], "v"),
}  # fmt: skip


@line_figure
def forest(decided: Sequence[Decided]) -> tuple[Callable[[float], Canvas], str]:
    """Effects with 95 % intervals beside the paper's own: a line a claim and set-up, with its weakest comparison.

    Filled marks are ours, coloured and shaped by what the set-up says; hollow diamonds are the paper's.

    Raises
    ------
    InputError
        No claim was attempted.
    """
    letters = lettered(decided)
    shown = [(item, each, weakest(item.claim, each.verdict.pairs)) for item in decided for each in item.setups]
    if not shown:
        raise InputError("no claim was attempted", "run the trials that the ledger names")

    def draw(width: float) -> Canvas:
        figure, axes = sheet(min(width, 5.6), 1.1 + 0.24 * len(shown))
        axes.axvline(0, color=INK, lw=0.8, alpha=0.6)
        axes.grid(axis="y", visible=False)
        seen = set()
        for y, (item, each, pair) in enumerate(shown):
            scale, word = item.claim.scale, each.verdict.verdict
            colour, marker = STYLES[word]
            label = None if word in seen else f"ours: {word}"
            seen.add(word)
            axes.plot(pair.effect * scale, y, marker, ms=5, color=colour, label=label)
            if pair.low is not None:
                axes.plot([pair.low * scale, pair.high * scale], [y, y], lw=1.4, color=colour)
            told = None if y else "the paper's own"
            axes.plot(pair.paper * scale, y, "D", ms=5, mfc="none", mec=INK, mew=0.9, label=told)
            if item.claim.line:
                axes.plot([item.claim.line * scale] * 2, [y - 0.4, y + 0.4], color=INK, lw=0.8, ls=":")
        axes.set_yticks(
            range(len(shown)), [f"{item.claim.id} {item.claim.score} {letters[each.setup]}" for item, each, _ in shown]
        )
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlabel("claimed side better by (points of the score)")
        legend_below(figure, axes, min(width, 5.6))
        return figure

    told = "; ".join(
        "{} {}: {}, ours {} ({} to {}), paper {}, {}".format(
            item.claim.id, letters[each.setup], pair.name, *map(item.claim.points, (pair.effect, pair.low, pair.high)),
            item.claim.points(pair.paper), each.verdict.verdict,
        )
        for item, each, pair in shown
    )  # fmt: skip
    count = len({item.claim.id for item, _, _ in shown})
    return draw, f"Effects of {count} claims with 95 % intervals beside the papers' own. {told}."
