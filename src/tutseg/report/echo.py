"""Teacher or echo: what Segment Anything adds to the prompts that SAM-KD gives it (`tutseg.training.echo`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure as Canvas

from tutseg.papers.intervals import paired_interval, t_interval
from tutseg.report.figure import DASHES, INK, MARKERS, PALETTE, columns, legend_below, line_figure, sheet
from tutseg.report.groups import Difference, told
from tutseg.report.table import Table
from tutseg.training.echo import Echo

ALIKE = 1e-3  # the spread of Dice below which a line over it means nothing
PROMPT, ANSWER, PLAIN = "prompt", "answer", "plain"
NAMES = {PROMPT: "the prompt", ANSWER: "SAM as adapted", PLAIN: "SAM as its file has it"}


@dataclass(frozen=True)
class Moment:
    """Runs that differ in their seed, at one moment; or with the truth, moved by one share, as their prompt.

    Parameters
    ----------
    name : str
        "after 100 steps", or "truth, moved by 4 %".
    step : int
        Steps done.
    moved : float or None
        See `Echo`.
    prompt, answer, plain : numpy.ndarray
        Dice ``(seeds, pictures)``.
    """

    name: str
    step: int
    moved: float | None
    prompt: np.ndarray
    answer: np.ndarray
    plain: np.ndarray

    def gain(self, said: str = ANSWER) -> Difference:
        """The answers' mean Dice minus that of the prompts, paired by picture and seed."""
        each = getattr(self, said) - self.prompt
        return Difference(NAMES[said], NAMES[PROMPT], float(each.mean()), *_interval(each))

    def line(self, said: str = ANSWER) -> tuple[float, float]:
        """Slope and intercept of an answer's Dice over its prompt's, over pictures and seeds; an echo's are 1 and 0.

        The slope alone is not enough: one of 0 at a low level is no teacher either.
        """
        return _line(self.prompt.ravel(), getattr(self, said).ravel())

    def slopes(self, said: str = ANSWER) -> np.ndarray:
        """The slope of each seed's pictures, ``(seeds,)``."""
        return np.array([_line(*pair)[0] for pair in zip(self.prompt, getattr(self, said), strict=True)])


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the least squares; NaN where all x are alike."""
    if x.std() < ALIKE:
        return float("nan"), float("nan")
    slope, intercept = np.polyfit(x, y, 1)
    return float(slope), float(intercept)


def _interval(values: np.ndarray) -> tuple[float, float]:
    return paired_interval(values) if len(values) > 1 else t_interval(values[0])


def moments(found: Sequence[Echo]) -> list[Moment]:
    """Echoes of one set of pictures, seeds together: the moments of training, then the truth, moved ever further."""
    together: dict[tuple, list[Echo]] = {}
    for each in found:
        together.setdefault((each.moved is not None, each.moved or 0.0, each.step), []).append(each)
    made = []
    for (truth, share, step), members in sorted(together.items()):
        name = f"truth, moved by {100 * share:g} %" if truth else f"after {step} steps"
        said = [np.stack([getattr(each, what) for each in members]) for what in NAMES]
        made.append(Moment(name, step, share if truth else None, *said))
    return made


def of_training(found: Sequence[Echo]) -> list[Moment]:
    """The moments at which the main network asked."""
    return [moment for moment in moments(found) if moment.moved is None]


def of_truth(found: Sequence[Echo]) -> list[Moment]:
    """The finished SAM, asked with the truth."""
    return [moment for moment in moments(found) if moment.moved is not None]


def echo_table(found: Sequence[Echo]) -> Table:
    """A row a moment: Dice of prompt and answers, what the adapted SAM adds, and its line over the prompts.

    Parameters
    ----------
    found : sequence of Echo
        Of one set of test pictures, any number of seeds.
    """
    rows = []
    for moment in moments(found):
        gain = moment.gain()
        rows.append(
            (
                moment.name,
                *(told(getattr(moment, said).mean()) for said in NAMES),
                f"{told(gain.value, sign='+')} ({told(gain.low, sign='+')} to {told(gain.high, sign='+')})",
                _told_slope(moment),
                told(moment.line()[1]),
                " × ".join(map(str, moment.prompt.shape)),
            )
        )
    heads = ("asked", "Dice %: prompt", "adapted SAM", "SAM as its file has it", "adapted minus prompt (95 % interval)",
             "slope (95 % interval)", "intercept, Dice %", "n = seeds × pictures")  # fmt: skip
    trained, tested = found[0].data, found[0].tested
    where = f"trained on {trained}, asked about {tested}" if tested != trained else f"on test pictures of {trained}"
    note = (
        "Slope and intercept are of a picture's answer over its prompt; an echo has slope 1, intercept 0 and adds "
        "nothing. The slope's interval is over seeds, for these pictures."
    )
    return Table(heads, tuple(rows), f"What Segment Anything adds to its prompt, {where}", note, origin_of(found))


def _told_slope(moment: Moment) -> str:
    slopes = moment.slopes()
    slopes = slopes[np.isfinite(slopes)]
    if len(slopes) < 2:
        return f"{slopes[0]:.2f}" if len(slopes) else "–"
    low, high = t_interval(slopes)
    return f"{slopes.mean():.2f} ({low:.2f} to {high:.2f})"


def origin_of(found: Sequence[Echo]) -> str:
    """Where echoes came from, in one line."""
    of: dict[str, list[str]] = {}
    for each in found:
        for name, value in each.origin.items():
            if value and value not in of.setdefault(name, []):
                of[name].append(value)
    return "; ".join(f"{name}: {' | '.join(values)}" for name, values in of.items() if values) + "."


@line_figure
def echo_figure(found: Sequence[Echo], panels: int = 3) -> tuple[Callable[[float], Canvas], str]:
    """Dice of the adapted SAM's answer over that of its prompt, a dot a picture, at some moments of training.

    Parameters
    ----------
    found : sequence of Echo
        Of one set of test pictures; a seed has a marker.
    panels : int
        How many moments are shown, evenly spread, the first and the last among them.
    """
    known = of_training(found)
    at = sorted({round(k) for k in np.linspace(0, len(known) - 1, min(panels, len(known)))})
    shown = [known[k] for k in at]

    def draw(width: float) -> Canvas:
        side_by_side = columns(width, len(shown))
        rows = -(-len(shown) // side_by_side)
        height = (width / side_by_side + 0.25) * rows + 0.4
        figure, axes = sheet(width, height, rows, side_by_side, squeeze=False)
        for axis, moment in zip(axes.flat, shown, strict=False):
            axis.plot((0, 1), (0, 1), color=INK, alpha=0.6, lw=1, label="an echo: as good as its prompt")
            for seed, (prompt, answer) in enumerate(zip(moment.prompt, moment.answer, strict=True)):
                label = "one picture" if len(moment.prompt) == 1 else f"one picture, seed {seed}"
                axis.plot(
                    prompt, answer, MARKERS[seed % 8], color=PALETTE[seed % 8], ms=3, alpha=0.5, mew=0, label=label
                )
            slope, intercept = moment.line()
            ends = np.array([moment.prompt.min(), moment.prompt.max()])
            axis.plot(ends, intercept + slope * ends, color=PALETTE[3], ls=DASHES[1], label="straight line through all")
            axis.set(title=f"{moment.name}: slope {slope:.2f}", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        for axis in axes.flat[len(shown) :]:
            axis.axis("off")
        for axis in axes[:, 0]:
            axis.set_ylabel("Dice of SAM's answer")
        for axis in axes.flat[max(0, len(shown) - side_by_side) : len(shown)]:
            axis.set_xlabel("Dice of its prompt")
        legend_below(figure, axes, width)
        return figure

    told_each = []
    for moment in shown:
        (slope, intercept), gain = moment.line(), moment.gain()
        told_each.append(
            f"{moment.name}: mean Dice of the prompts {told(moment.prompt.mean())} %, of the answers "
            f"{told(moment.answer.mean())} %, the answers {told(gain.value, sign='+')} points, slope {slope:.2f}, "
            f"intercept {intercept:.2f}"
        )
    seeds, pictures = shown[0].prompt.shape
    return draw, (
        f"Dice of SAM's answer over Dice of the mask prompt that it got, a dot a picture, {pictures} pictures and "
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}, in {len(shown)} panels. {'; '.join(told_each)}."
    )


@line_figure
def moved_figure(*found: Sequence[Echo]) -> tuple[Callable[[float], Canvas], str]:
    """How wrong a prompt may be: mean Dice of prompt and answers when the truth, moved aside, is the prompt.

    Parameters
    ----------
    *found : sequence of Echo
        A panel each: echoes of one set of test pictures.
    """
    known = [of_truth(each) for each in found]
    titles = [
        f"{each[0].data} → {each[0].tested}" if each[0].data != each[0].tested else each[0].data for each in found
    ]

    def draw(width: float) -> Canvas:
        side_by_side = columns(width, len(known), 2.3)
        rows = -(-len(known) // side_by_side)
        figure, axes = sheet(width if len(known) > 1 else min(width, 4.6), 2.4 * rows + 0.5, rows, side_by_side,
                             squeeze=False, sharey=True)  # fmt: skip
        for axis, truths, title in zip(axes.flat, known, titles, strict=False):
            for i, (said, name) in enumerate(NAMES.items()):
                values = [100 * getattr(moment, said).mean() for moment in truths]
                axis.plot([100 * moment.moved for moment in truths], values, marker=MARKERS[i], color=PALETTE[i],
                          ls=DASHES[i], label=name)  # fmt: skip
            axis.set(title=title, xlabel="the truth moved by, % of the side")
        for axis in axes.flat[len(known) :]:
            axis.axis("off")
        for axis in axes[:, 0]:
            axis.set_ylabel("mean Dice %")
        legend_below(figure, axes, width)
        return figure

    told_each = [
        f"{title}: " + "; ".join(
            f"moved by {100 * moment.moved:g} %: "
            + ", ".join(f"{name} {told(getattr(moment, said).mean())}" for said, name in NAMES.items())
            for moment in truths
        )
        for title, truths in zip(titles, known, strict=True)
    ]  # fmt: skip
    return draw, (
        "Mean Dice per cent of the prompt and of SAM's answers when the truth, moved aside, is the prompt, "
        f"{len(known)} {'panel' if len(known) == 1 else 'panels'}. {'. '.join(told_each)}."
    )
