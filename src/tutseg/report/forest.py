"""The forest plot of a paper's claims."""

import html
import io
import re
from collections.abc import Sequence

from tutseg.papers.ledger import Decided, points, scale_of

# mid-tones that keep their contrast on white and on near-black; told apart by shape as well
COLOURS = {"reproduced": "#1b9e77", "inconclusive": "#8c8c8c", "not reproduced": "#d95f02"}
MARKERS = {"reproduced": "o", "inconclusive": "s", "not reproduced": "X"}
_INK = "#010203"  # stands for the page's own text colour until the drawing is finished


def forest(decided: Sequence[Decided]) -> str:
    """An SVG of effects with 95 % intervals beside the paper's own effect; empty if no claim was attempted.

    Filled marks are ours, coloured and shaped by verdict; hollow diamonds are the paper's. It takes the colours of the
    page it stands in.
    """
    shown = [item for item in decided if item.verdict.effect is not None]
    if not shown:
        return ""
    import matplotlib
    from matplotlib.figure import Figure

    style = {
        "svg.fonttype": "none", "svg.hashsalt": "tutseg", "font.family": "sans-serif", "font.size": 9,
        "text.color": _INK, "axes.edgecolor": _INK, "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK,
    }  # fmt: skip
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(5.2, 1.1 + 0.24 * len(shown)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(0, color=_INK, lw=0.8, alpha=0.6)
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
            axes.plot(item.paper_effect * scale, y, "D", ms=5, mfc="none", mec=_INK, mew=0.9, label=told)
            if item.claim.line:
                axes.plot([item.claim.line * scale] * 2, [y - 0.4, y + 0.4], color=_INK, lw=0.8, ls=":")
        axes.set_yticks(range(len(shown)), [f"{item.claim.id} {item.claim.score}" for item in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("claimed side better by (points of the score)")
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    told = "; ".join(
        f"{item.claim.id}: ours {points(item, item.verdict.effect)} ({points(item, item.verdict.low)} to "
        f"{points(item, item.verdict.high)}), paper {points(item, item.paper_effect)}, {item.verdict.verdict}"
        for item in shown
    )
    about = f"Effects of {len(shown)} claims with 95 % intervals beside the papers' own. {told}."
    return re.sub(
        r"<svg[^>]*?viewBox=\"([^\"]+)\"[^>]*>",
        lambda found: (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{found[1]}" role="img" aria-label="{html.escape(about)}" style="width:100%;max-width:44rem">'
        ),
        svg,
        count=1,
        flags=re.DOTALL,
    )
