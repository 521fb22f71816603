"""Drawn pictures as a source: no download, and the truth about every pixel is known."""

from collections.abc import Iterator
from importlib import import_module

import numpy as np

from tutseg.data.draw_canvas import Canvas, Drawing
from tutseg.data.noise import LabelNoise, redraw
from tutseg.data.sample import Sample
from tutseg.errors import InputError, unknown

STYLES = ("synth", "synth-wild")
CLINICS = ("a", "b")
LARGEST, MOST, MOST_ANNOTATORS = 4096, 1_000_000, 100  # pixels a side, pictures
KINDS = {
    "dermoscopy": "tutseg.data.draw_dermoscopy",
    "lung-ct": "tutseg.data.draw_lung",
    "endoscopy": "tutseg.data.draw_endoscopy",
    "scenes": "tutseg.data.draw_scenes",
}


def fuzziness(drawing: Drawing) -> np.ndarray:
    """How uncertain the label of each pixel is, float32 ``(H, W)`` in [0, 1].

    With depth d and positional uncertainty s of the border (both in picture widths) it is
    ``s / (s + 0.02) * exp(-d² / 2s²)``: near 0 at a sharp border and away from any border, near 1 in a wide fringe.
    """
    s = np.maximum(drawing.sigma, 1e-4)
    return (s / (s + 0.02) * np.exp(-0.5 * (drawing.depth / s) ** 2)).astype(np.float32)


def panel(m: int, seed: int) -> tuple[LabelNoise, ...]:
    """m annotators, each with a habit of its own: a bias, a hand more or less steady, an eye for satellites.

    `warp` counts in units of the border's own uncertainty, so that they disagree where the border is fuzzy.
    """
    habits = []
    for k in range(m):
        rng = np.random.default_rng([seed % 2**32, k])
        habits.append(
            LabelNoise(
                grow=rng.normal(0, 0.008),
                warp=rng.uniform(0.5, 1.2),
                smooth=rng.uniform(0, 0.012),
                miss=rng.uniform(0, 0.6),
            )
        )
    return tuple(habits)


class Synth:
    """Drawn pictures with exact masks.

    Picture i depends on (seed, i) and the options alone, not on `n` nor on the order of reading; another `size` gives
    the same picture at another resolution.

    Parameters
    ----------
    n : int
        Number of pictures.
    size : int
        Height and width in pixels, at least 32.
    seed : int
        Another seed gives other pictures.
    style : {"synth", "synth-wild"}
        "synth" looks natural; "synth-wild" draws from wider ranges than nature, to transfer better.
    clinic : {None, "a", "b"}
        One of two instruments, for domain shift; None mixes.
    artefacts : tuple of str or None
        Exactly these artefacts in every picture; None for the style's own mixture.
    annotators : int or tuple of LabelNoise
        How many simulated annotators draw each picture (see `panel`), or the habits of each; their masks are in
        ``extra["annotators"]``, uint8 ``(m, H, W)``.
    kind : {"dermoscopy", "lung-ct", "endoscopy", "scenes"}
        What is drawn; of scenes two pictures, one group, show the same lesions and have the mask of another.
    without : tuple of str
        Drawn features to leave out (an ablation); all else stays as it was.
    target : {None, "infection", "lungs"}
        What the mask of a CT slice shows; None is the infection.

    Raises
    ------
    InputError
        An option has an unknown or impossible value.
    """

    def __init__(
        self,
        n: int,
        size: int = 128,
        seed: int = 0,
        style: str = "synth",
        clinic: str | None = None,
        artefacts: tuple[str, ...] | None = None,
        annotators: int | tuple[LabelNoise, ...] = 0,
        kind: str = "dermoscopy",
        without: tuple[str, ...] = (),
        target: str | None = None,
    ) -> None:
        if size < 32:
            raise InputError(f"size {size} is too small to draw", "use 32 or more")
        if size > LARGEST:
            raise InputError(f"size {size} is too large to draw", f"use {LARGEST} or less")
        if n < 1:
            raise InputError(f"n {n} draws nothing", "use 1 or more")
        if n > MOST:
            raise InputError(f"n {n} is more than can be numbered", f"use {MOST} or less")
        if isinstance(annotators, int) and not 0 <= annotators <= MOST_ANNOTATORS:
            raise InputError(f"annotators {annotators} cannot be", f"use 0 to {MOST_ANNOTATORS}")
        if style not in STYLES:
            raise unknown("style", style, STYLES)
        if clinic is not None and clinic not in CLINICS:
            raise unknown("clinic", clinic, CLINICS)
        if kind not in KINDS:
            raise unknown("kind", kind, KINDS)
        self._drawer = import_module(KINDS[kind])
        for name in artefacts or ():
            if name not in self._drawer.ARTEFACTS:
                raise unknown("artefact", name, self._drawer.ARTEFACTS)
        for name in without:
            known = {*self._drawer.FEATURES, *self._drawer.ARTEFACTS, "lesion"}
            if name not in known:
                raise unknown("feature", name, known)
        targets = getattr(self._drawer, "TARGETS", ())
        if target is not None and target not in targets:
            raise unknown("target", target, targets)
        self._options = {"target": target} if target else {}
        self.annotators = panel(annotators, seed) if isinstance(annotators, int) else tuple(annotators)
        self.size, self.seed, self.style, self.clinic, self.kind = size, seed, style, clinic, kind
        self.artefacts, self.without = artefacts, tuple(without)
        self.name = style
        self.ids = [f"{style}-{i:06d}" for i in range(n)]
        together = getattr(self._drawer, "TOGETHER", 1)
        self.groups = [self.ids[i - i % together] for i in range(n)]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        canvas = Canvas(self.size, self.seed, index)
        drawing = self._drawer.draw(canvas, self.style, self.clinic, self.artefacts, self.without, **self._options)
        extra = {"fuzziness": fuzziness(drawing), **drawing.layers}
        if self.annotators:
            mask, rng = drawing.mask, canvas.stream("annotators")
            extra["annotators"] = np.stack([redraw(mask, habit, rng, drawing.sigma) for habit in self.annotators])
        name = self.ids[index]
        return Sample(drawing.image, drawing.mask, name, self.groups[index], drawing.label, extra)

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))
