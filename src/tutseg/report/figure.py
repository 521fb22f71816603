"""What every figure of the book is: a drawing with an alternative text, in one style.

Line figures are SVG inside the page. They take the page's own text colour, so that they follow light and dark, and
come in two widths, so that their words can be read on a telephone. A function that draws one computes first and is
then asked for a drawing of each width::

    @line_figure
    def intervals(rows):
        def draw(width):  # inches
            figure, axes = sheet(width, 2.5)
            ...
            return figure

        return draw, "Intervals of 3 differences: ..."  # the alternative text, with the numbers
"""

import functools
import html
import io
import re
import textwrap
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from tutseg.files import sha256
from tutseg.report.shown import Shown

# Each keeps a contrast of 3 to 1 on white and on the dark theme's ground; markers and dashes tell them apart as well.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#A64CD0", "#6E6A14", "#8C8C8C", "#D0708F", "#2F97C7")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)), (0, (8, 2)), (0, (3, 1)), (0, (2, 2)), ":")
# These two stand for the page's colours of text and ground until the drawing is finished.
INK, GROUND = "#010203", "#fdfcfb"
WIDE, NARROW = 7.0, 3.6  # inches; a CSS inch has 96 pixels
STYLE = {
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "tutseg",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
}


class Figure(Shown):
    """A finished line figure; a notebook shows it as HTML, and as its alternative text where there is none.

    Parameters
    ----------
    wide, narrow : matplotlib.figure.Figure
        The same drawn for a page and for a telephone.
    alt : str
        What it shows, numbers included.
    """

    def __init__(self, wide: Canvas, narrow: Canvas, alt: str) -> None:
        self.wide, self.narrow, self.alt = wide, narrow, alt

    def savefig(self, *args: Any, **options: Any) -> None:
        """As matplotlib's, of the wide drawing on white."""
        with matplotlib.rc_context(STYLE):
            self.wide.savefig(*args, **{"facecolor": "white"} | options)

    def to_html(self) -> str:
        """What a page shows."""
        drawings = "".join(_svg(getattr(self, width), self.alt, width) for width in ("wide", "narrow"))
        return (
            "<style>.tutseg-drawing{container-type:inline-size;margin:0}.tutseg-narrow{display:none}"
            "@container(max-width:38rem){.tutseg-wide{display:none}.tutseg-narrow{display:block}}</style>"
            f'<figure class="tutseg-drawing">{drawings}</figure>'
        )


def line_figure(compute: Callable[..., tuple[Callable[[float], Canvas], str]]) -> Callable[..., Figure]:
    """Makes of a function that returns (draw, alternative text) one that returns a `Figure`, in the book's style."""

    @functools.wraps(compute)
    def made(*args: Any, **options: Any) -> Figure:
        draw, alt = compute(*args, **options)
        before = np.random.get_state()
        np.random.seed(0)  # seaborn scatters points by numpy's global generator
        try:
            with matplotlib.rc_context(STYLE):
                return Figure(_fitted(draw(WIDE)), _fitted(draw(NARROW)), alt)
        finally:
            np.random.set_state(before)

    return made


def _fitted(canvas: Canvas) -> Canvas:
    """The drawing with those titles and labels broken that are longer than what they belong to."""
    for text in canvas.findobj(Text):
        text.set_text(text.get_text().replace("'", "′"))  # mathtext takes a plain one from a font of its own
    canvas.draw_without_rendering()
    texts = [(text, axis.bbox.width) for axis in canvas.axes for text in (axis.title, axis.xaxis.label)]
    texts += [(axis.yaxis.label, axis.bbox.height) for axis in canvas.axes]
    texts += [(canvas._suptitle, canvas.bbox.width)] if canvas._suptitle else []
    for text, room in texts:
        extent, lines = text.get_window_extent(), text.get_text().split("\n")
        length, longest = max(extent.width, extent.height), max(map(len, lines))
        if length > 1.1 * room and "$" not in text.get_text():
            text.set_text("\n".join(textwrap.fill(line, max(8, int(longest * room / length))) for line in lines))
    return canvas


def sheet(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Canvas, Any]:
    """An empty drawing of a size in inches and its axes, as ``matplotlib.pyplot.subplots`` makes them, but unnamed."""
    figure = Canvas(figsize=(width, height))
    return figure, figure.subplots(rows, columns, **options)


def columns(width: float, panels: int, least: float = 1.7) -> int:
    """How many of some panels, each at least `least` inches wide, stand side by side."""
    return max(1, min(panels, int(width / least)))


def legend_below(figure: Canvas, axes: Any, width: float, **options: Any) -> None:
    """One legend for all axes under the drawing, each label once, in as many columns as there is room for."""
    handles: dict[str, object] = {}
    for axis in np.ravel(axes):
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    if handles:
        longest = max(map(len, handles))
        side_by_side = columns(width, len(handles), 0.075 * longest + 0.45)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=side_by_side, **options)


def spoken(text: str) -> str:
    """A label without its line breaks and without what marks mathematics."""
    return re.sub(r"[$\\{}]", "", text.replace("\n", " "))


def _rounded(number: re.Match) -> str:
    return f"{float(number[0]):.3f}".rstrip("0").rstrip(".")


def _svg(canvas: Canvas, alt: str, width: str) -> str:
    """The drawing as SVG: the page's colours, the alternative text as its name, ids that no other drawing has."""
    file = io.StringIO()
    with matplotlib.rc_context(STYLE):
        canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = re.sub(r"<(defs|metadata)>\s*</\1>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = svg.replace(INK, "currentColor").replace(GROUND, "var(--pst-color-background, Canvas)")
    svg = re.sub(r"font-family: '([^']+)'(?!,)", r"font-family: '\1', sans-serif", svg)  # of mathematics
    svg = re.sub(r'="[^"]*"', lambda found: re.sub(r"\d+\.\d{4,}", _rounded, found[0]), svg)
    used = set(re.findall(r"#([\w-]+)", svg))
    prefix = f"t{sha256(svg)[:8]}-"
    svg = re.sub(r' id="([^"]+)"', lambda found: f' id="{prefix}{found[1]}"' if found[1] in used else "", svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{prefix}", svg)
    return re.sub(
        r'<svg[^>]*?viewBox="([^"]+)"[^>]*>',
        lambda found: (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{found[1]}" '
            f'class="tutseg-{width}" role="img" aria-label="{html.escape(alt)}" '
            f'style="width:100%;height:auto;max-width:{canvas.get_figwidth():g}in">'
        ),
        re.sub(r"\n\s*", " ", svg).strip(),
        count=1,
    )
