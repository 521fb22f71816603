"""The figures that a reader moves: thresholds, the steps of a run, the combinations of some settings."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tutseg.errors import InputError
from tutseg.report.interactive import Control, InteractiveFigure, data_uri

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = {
    "lesion, labelled": (0, 158, 115),
    "skin, labelled lesion": (230, 159, 0),
    "lesion, labelled background": (204, 121, 167),
    "skin, labelled background": (48, 52, 59),
}
RULES = ("union", "intersection", "net 1", "net 2", "cross")


def _combine(first: np.ndarray, second: np.ndarray, rule: str) -> list[np.ndarray]:
    """The pseudo-labels that a rule makes of two nets' masks; two of them for ``cross``, net 1's target first."""
    return {
        "union": [first | second],
        "intersection": [first & second],
        "net 1": [first],
        "net 2": [second],
        "cross": [second, first],
    }[rule]


def outlined(image: np.ndarray, truth: np.ndarray, colour: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """A picture, uint8 ``(H, W, 3)``, with the outline of a boolean mask ``(H, W)`` in a colour, by default white."""
    padded = np.pad(truth, 1, mode="edge")
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    picture = np.array(image, dtype=np.uint8)
    picture[truth & ~inside] = colour
    return picture


def judged(label: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Boolean masks ``(H, W)`` in `COLOURS`: what is right of a label, and what is wrong."""
    colours = np.array(list(COLOURS.values()), dtype=np.uint8)
    return colours[np.select([truth & label, ~truth & label, truth & ~label], [0, 1, 2], 3)]


class ThresholdExplorer(InteractiveFigure):
    """What a threshold on two networks' confidence makes of their pseudo-labels (DME-FD Eqs. 2 to 5).

    Parameters
    ----------
    maps_1, maps_2 : sequence of numpy.ndarray
        Each net's foreground probability on each picture, ``(H, W)`` in [0, 1]; kept as uint8.
    truths : sequence of numpy.ndarray
        The hidden masks, ``(H, W)`` in {0, 1}.
    images : sequence of numpy.ndarray
        uint8 RGB, ``(H, W, 3)``.
    ids : sequence of str
        Names of the pictures.
    tau : float
        Threshold at first; 0.85 in DME-FD.

    Raises
    ------
    InputError
        The sequences differ in length or the arrays in size.
    """

    kind = "threshold"
    key = COLOURS

    def __init__(
        self,
        maps_1: Sequence[np.ndarray],
        maps_2: Sequence[np.ndarray],
        truths: Sequence[np.ndarray],
        images: Sequence[np.ndarray],
        ids: Sequence[str],
        tau: float = 0.85,
        title: str = "The pseudo-label that two networks make, and what it gets wrong, as the threshold moves.",
    ) -> None:
        if not len(maps_1) == len(maps_2) == len(truths) == len(images) == len(ids) > 0:
            raise InputError(
                "the explorer's maps, truths, images and ids differ in number", "give one of each a picture"
            )
        for at, group in enumerate(zip(maps_1, maps_2, truths, images, strict=True)):
            if len({array.shape[:2] for array in group}) != 1:
                raise InputError(f"picture {ids[at]}: map, truth and image differ in size", "resize them to one size")
        self.quantised = [tuple(map(_levels, pair)) for pair in zip(maps_1, maps_2, strict=True)]
        self.truths = [np.asarray(truth) > 0 for truth in truths]
        self.images, self.ids, self.title = list(images), list(map(str, ids)), title
        self.decimals = {}
        self.controls = (
            Control("tau", "threshold τ", tau, low=0, high=1, step=0.01, decimals=2),
            Control("rule", "label made by", "union", choices=RULES),
            Control("picture", "picture", self.ids[0], choices=tuple(self.ids)),
        )

    def labels(self, at: int, tau: float, rule: str) -> list[np.ndarray]:
        """Pseudo-labels of picture `at`, boolean ``(H, W)``: a pixel counts as lesion when p > τ (τ in hundredths)."""
        masks = [levels.astype(np.int32) * 100 > round(tau * 100) * 255 for levels in self.quantised[at]]
        return _combine(*masks, rule)

    def _scores(self, at: int, tau: float, rule: str) -> tuple[float, float | None]:
        """Dice with the truth, and the share of the truth's pixels called background; means of both for ``cross``."""
        truth = self.truths[at]
        dice, missed = [], []
        for label in self.labels(at, tau, rule):
            both, sizes = int((label & truth).sum()), int(label.sum()) + int(truth.sum())
            dice.append(2 * both / sizes if sizes else 1.0)
            missed.append(1 - both / int(truth.sum()) if truth.any() else None)
        return sum(dice) / len(dice), None if None in missed else sum(missed) / len(missed)

    def numbers(self, tau: float, rule: str, picture: str) -> dict[str, float | None]:
        """Dice and wrongly-background share of this picture, and their means over all pictures."""
        every = [self._scores(at, tau, rule) for at in range(len(self.ids))]
        dice, missed = every[self.ids.index(picture)]
        known = [share for _, share in every if share is not None]
        return {
            "Dice of this label": dice,
            "lesion called background": missed,
            "mean Dice, all pictures": sum(score for score, _ in every) / len(every),
            "mean lesion called background": sum(known) / len(known) if known else None,
        }

    def panels(self, tau: float, rule: str, picture: str) -> dict[str, np.ndarray]:
        """The picture with the truth outlined, and the label (two for ``cross``) coloured by right and wrong."""
        at = self.ids.index(picture)
        drawn = {"picture, hidden truth outlined": outlined(self.images[at], self.truths[at])}
        labels = self.labels(at, tau, rule)
        titles = ["pseudo-label"] if len(labels) == 1 else ["net 1 learns from net 2", "net 2 learns from net 1"]
        return drawn | {title: judged(label, self.truths[at]) for title, label in zip(titles, labels, strict=True)}

    def stills(self) -> list[dict[str, Any]]:
        """Six thresholds on the first picture, by the union."""
        return [{**self.start(), "tau": tau} for tau in (0.1, 0.3, 0.5, 0.7, 0.85, 0.95)]

    def data(self) -> dict[str, Any]:
        """Per picture one PNG of net 1, net 2 and truth (red, green, blue), and one of the outlined picture."""
        stack = [
            np.stack([*pair, truth * np.uint8(255)], axis=-1)
            for pair, truth in zip(self.quantised, self.truths, strict=True)
        ]
        return {
            "maps": [data_uri(maps) for maps in stack],
            "pictures": [data_uri(outlined(*each)) for each in zip(self.images, self.truths, strict=True)],
            "ids": self.ids,
            "colours": list(COLOURS.values()),
        }


class FuzzyExplorer(InteractiveFigure):
    """What a threshold makes of patches' fuzziness, beside the fuzziness that the drawing knows (DALE Eqs. 3 to 6).

    Parameters
    ----------
    criteria : dict of str to sequence of numpy.ndarray
        By name, each picture's normalised AE and ER, the two criteria, ``(H, W)`` in [0, 1]; kept as uint8.
    truths : sequence of numpy.ndarray
        How uncertain the label of each pixel is, ``(H, W)`` in [0, 1]; above one half it counts as fuzzy.
    images : sequence of numpy.ndarray
        uint8 RGB, ``(H, W, 3)``.
    ids : sequence of str
        Names of the pictures.
    tau : float
        Threshold at first; 0.9 in DALE.

    Raises
    ------
    InputError
        There are not two criteria, or the sequences differ in length.
    """

    kind = "fuzzy"

    def __init__(
        self,
        criteria: dict[str, Sequence[np.ndarray]],
        truths: Sequence[np.ndarray],
        images: Sequence[np.ndarray],
        ids: Sequence[str],
        tau: float = 0.9,
        title: str = "The fuzzy mask as the threshold moves, beside how uncertain the labels truly are.",
    ) -> None:
        if len(criteria) != 2 or {*map(len, criteria.values())} != {len(truths)} or len(truths) != len(images):
            raise InputError(
                "the explorer's criteria, truths and images differ in number", "give one of each a picture"
            )
        self.levels = [tuple(map(_levels, each)) for each in zip(*criteria.values(), truths, strict=True)]
        self.images, self.ids, self.title = list(images), list(map(str, ids)), title
        self.choices, self.decimals = ("both", *criteria), {}
        self.controls = (
            Control("tau", "threshold τ", tau, low=0, high=1, step=0.01, decimals=2),
            Control("criterion", "fuzzy by", "both", choices=self.choices),
            Control("picture", "picture", self.ids[0], choices=tuple(self.ids)),
        )

    def fuzzy(self, at: int, tau: float, criterion: str) -> tuple[np.ndarray, np.ndarray]:
        """Of picture `at` the mask `M^f` (levels of 255, ``(H, W)``) and where m > τ, bool."""
        first, second, _ = self.levels[at]
        m = [np.maximum(first, second), first, second][self.choices.index(criterion)]
        above = m.astype(np.int32) * 100 > round(tau * 100) * 255
        return np.where(above, np.uint8(255), m), above

    def numbers(self, tau: float, criterion: str, picture: str) -> dict[str, float | None]:
        """How much is called fuzzy, and how well that fits the truth, here and over all pictures."""
        found = []
        for at, (_, _, truth) in enumerate(self.levels):
            above, fuzzy = self.fuzzy(at, tau, criterion)[1], truth > 127
            sizes = int(above.sum()) + int(fuzzy.sum())
            found.append((above.mean(), fuzzy.mean(), 2 * int((above & fuzzy).sum()) / sizes if sizes else 1.0))
        called, true, dice = found[self.ids.index(picture)]
        return {
            "share called fuzzy": float(called),
            "share truly fuzzy": float(true),
            "Dice of the two": dice,
            "mean Dice, all pictures": sum(each[2] for each in found) / len(found),
        }

    def panels(self, tau: float, criterion: str, picture: str) -> dict[str, np.ndarray]:
        """The picture, `M^f` and the true fuzziness, both from black to white."""
        at = self.ids.index(picture)
        maps = {"fuzzy mask": self.fuzzy(at, tau, criterion)[0], "true fuzziness": self.levels[at][2]}
        return {"picture": self.images[at]} | {words: np.stack([each] * 3, -1) for words, each in maps.items()}

    def stills(self) -> list[dict[str, Any]]:
        """Six thresholds on the first picture, by both criteria."""
        return [{**self.start(), "tau": tau} for tau in (0.2, 0.4, 0.6, 0.8, 0.9, 0.95)]

    def data(self) -> dict[str, Any]:
        """Per picture one PNG of the two criteria and the truth (red, green, blue), and the picture."""
        return {
            "maps": [data_uri(np.stack(each, axis=-1)) for each in self.levels],
            "pictures": list(map(data_uri, self.images)),
            "ids": self.ids,
            "choices": self.choices,
        }


class StepExplorer(InteractiveFigure):
    """Step through what a method sees: a picture and some numbers per iteration.

    Parameters
    ----------
    frames : sequence of numpy.ndarray
        One picture a step, uint8 RGB ``(H, W, 3)``, or integer cluster labels ``(H, W)``, coloured for the eye.
    numbers : dict of str to sequence of float or None
        One value a step, by the words beside it.
    steps : sequence of int, optional
        The iteration of each frame; 0, 1, 2, ... if not given.
    beside : dict of str to sequence of numpy.ndarray, optional
        Further panels by their titles: a frame a step, or a single one that stays.
    key : dict, optional
        Meaning of the colours of these panels.
    shown, counted : str
        What the frames show; what the steps are.

    Raises
    ------
    InputError
        Frames, steps and numbers differ in length.
    """

    kind = "steps"

    def __init__(
        self,
        frames: Sequence[np.ndarray],
        numbers: dict[str, Sequence[float]],
        steps: Sequence[int] | None = None,
        title: str = "The clusters, iteration by iteration.",
        beside: dict[str, Sequence[np.ndarray]] | None = None,
        key: dict[str, tuple[int, int, int]] | None = None,
        shown: str = "clusters",
        counted: str = "iteration",
    ) -> None:
        steps = list(range(len(frames))) if steps is None else [int(step) for step in steps]
        moving = [panel for panel in (beside or {}).values() if len(panel) != 1]
        if len({len(frames), len(steps), *map(len, moving), *map(len, numbers.values())}) != 1:
            raise InputError("the explorer's frames, steps and numbers differ in length", "give one of each a step")
        panels = {shown: frames, **(beside or {})}
        self.frames = {words: [_coloured(frame) for frame in panel] for words, panel in panels.items()}
        self.steps, self.title, self.key, self.counted = steps, title, key or {}, counted
        self.values, whole = _columns(numbers)
        self.decimals = {counted: 0, **whole}
        self.controls = (Control("frame", "frame", 0, low=0, high=len(frames) - 1),)

    def numbers(self, frame: float) -> dict[str, float | None]:
        """The iteration, and each number at it."""
        at = int(frame)
        return {self.counted: self.steps[at], **{words: column[at] for words, column in self.values.items()}}

    def panels(self, frame: float) -> dict[str, np.ndarray]:
        """What the frames show, and what stands beside them."""
        return {words: panel[int(frame) % len(panel)] for words, panel in self.frames.items()}

    def stills(self) -> list[dict[str, Any]]:
        """At most six frames, evenly spread, first and last among them."""
        last = len(self.steps) - 1
        return [{"frame": at} for at in sorted({round(last * i / 5) for i in range(6)})]

    def data(self) -> dict[str, Any]:
        """The frames as PNG and the numbers as they are."""
        panels = [(words, [data_uri(frame) for frame in panel]) for words, panel in self.frames.items()]
        return {"panels": panels, "steps": self.steps, "counted": self.counted, "values": self.values}


class GridExplorer(InteractiveFigure):
    """A picture and some numbers for every combination of a few settings, computed beforehand.

    Parameters
    ----------
    axes : dict of str to sequence of str
        The settings by the words beside them, and the values of each.
    frames : sequence of numpy.ndarray
        As for `StepExplorer`, one for each combination, the last axis running fastest.
    numbers : dict of str to sequence of float
        One value for each combination.
    shown : str
        What the frames show.

    Raises
    ------
    InputError
        Frames or numbers are not as many as the combinations.
    """

    kind = "grid"

    def __init__(
        self,
        axes: dict[str, Sequence[str]],
        frames: Sequence[np.ndarray],
        numbers: dict[str, Sequence[float]],
        title: str = "The clusters, for every combination of the settings.",
        shown: str = "clusters",
    ) -> None:
        self.axes = {words: list(map(str, values)) for words, values in axes.items()}
        total = math.prod(map(len, self.axes.values()))
        if {len(frames), *map(len, numbers.values())} != {total}:
            raise InputError(
                f"the explorer has {len(frames)} frames for {total} combinations", "give a frame and numbers for each"
            )
        self.frames, self.title, self.shown = [_coloured(frame) for frame in frames], title, shown
        self.values, self.decimals = _columns(numbers)
        self.controls = tuple(Control(words, words, values[0], tuple(values)) for words, values in self.axes.items())

    def place(self, **state: str) -> int:
        """Where the combination lies in `frames`."""
        at = 0
        for words, values in self.axes.items():
            at = at * len(values) + values.index(state[words])
        return at

    def numbers(self, **state: str) -> dict[str, float | None]:
        """Each number at the combination."""
        at = self.place(**state)
        return {words: column[at] for words, column in self.values.items()}

    def panels(self, **state: str) -> dict[str, np.ndarray]:
        """The frame of the combination."""
        return {self.shown: self.frames[self.place(**state)]}

    def stills(self) -> list[dict[str, Any]]:
        """The first state, and each setting alone at its last value."""
        return [self.start(), *({**self.start(), words: values[-1]} for words, values in self.axes.items())]

    def data(self) -> dict[str, Any]:
        """The frames as PNG, the axes and the numbers as they are."""
        return {
            "frames": [data_uri(frame) for frame in self.frames],
            "axes": list(self.axes.items()),
            "shown": self.shown,
            "values": self.values,
        }


def _levels(values: np.ndarray) -> np.ndarray:
    """A map in [0, 1] in steps of 1/255, uint8."""
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _columns(numbers: dict[str, Sequence[float | None]]) -> tuple[dict[str, list[float | None]], dict[str, int]]:
    """The numbers as floats, None where there is none, and those columns that are shown without decimals."""
    values = {words: [None if v is None else float(v) for v in column] for words, column in numbers.items()}
    whole = [words for words, column in values.items() if all(v is None or v.is_integer() for v in column)]
    return values, dict.fromkeys(whole, 0)


def _coloured(frame: np.ndarray) -> np.ndarray:
    """RGB as it is; labels through matplotlib's ``tab20``, which tells twenty clusters apart."""
    if frame.ndim == 3:
        return np.asarray(frame, dtype=np.uint8)
    from matplotlib import colormaps

    return (np.array(colormaps["tab20"].colors)[np.asarray(frame) % 20] * 255).round().astype(np.uint8)
