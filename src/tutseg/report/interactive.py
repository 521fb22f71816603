"""Figures that a reader moves, in three tiers from one description.

1. In a live notebook: ipywidgets (`InteractiveFigure.live`).
2. In a page: native inputs over a canvas, computed in the browser from stored maps; no server, kernel or network.
3. On paper, or without JavaScript: small multiples.

The figures themselves are in `tutseg.report.explorers`. A figure says which controls it has, which panels it draws
and which numbers it shows (`controls`, `panels`, `numbers`); tiers 1 and 3 call these, and ``interactive.js`` does the
same in the browser from `data`. A test drives the page in a browser and holds the three equal.
"""

import base64
import html
import json
import os
from dataclasses import asdict, dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from tutseg.data.decode import png_bytes
from tutseg.files import sha256
from tutseg.report.shown import Shown


@dataclass(frozen=True)
class Control:
    """One thing to move.

    Parameters
    ----------
    name, label : str
        Key of the state; words beside the control.
    start : float or str
        Value at first.
    choices : tuple of str
        The values of a menu; empty for a slider.
    low, high, step : float
        Range of a slider.
    decimals : int
        Decimals shown of a slider's value.
    """

    name: str
    label: str
    start: float | str
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 1
    step: float = 1
    decimals: int = 0


def shown(value: float | None, decimals: int = 3) -> str:
    """A number as all tiers print it: halves go up, as in a browser's ``toFixed``; None is a dash."""
    return "–" if value is None else str(Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))


def data_uri(pixels: np.ndarray) -> str:
    """A uint8 array ``(H, W)`` or ``(H, W, 3)`` as a PNG address that can stand in a page."""
    return f"data:image/png;base64,{base64.b64encode(png_bytes(Image.fromarray(pixels))).decode()}"


def _image(pixels: np.ndarray, alt: str) -> str:
    return f'<img class="dark-light" src="{data_uri(pixels)}" alt="{html.escape(alt)}">'


class InteractiveFigure(Shown):
    """What the figures share: the three tiers. A subclass sets the attributes and writes the four methods.

    Class attributes
    ----------------
    kind : str
        The name of its drawing in ``interactive.js``.
    title : str
        Caption.
    key : dict
        Meaning of each colour, ``{words: (r, g, b)}``.
    controls : tuple of Control
        What can be moved.
    decimals : dict
        Decimals of the numbers that are not shown with three.
    live_steps : dict
        Steps of those sliders that are finer where a kernel computes.
    """

    kind: ClassVar[str]
    title: str
    key: ClassVar[dict[str, tuple[int, int, int]]] = {}
    controls: tuple[Control, ...]
    decimals: dict[str, int]
    live_steps: ClassVar[dict[str, float]] = {}

    def numbers(self, **state: Any) -> dict[str, float | None]:
        """The numbers shown at a state, by the words beside them."""
        raise NotImplementedError

    def panels(self, **state: Any) -> dict[str, np.ndarray]:
        """The pictures drawn at a state: title to uint8 RGB ``(H, W, 3)``."""
        raise NotImplementedError

    def stills(self) -> list[dict[str, Any]]:
        """The states that small multiples show."""
        raise NotImplementedError

    def data(self) -> dict[str, Any]:
        """What the browser needs to compute the same: JSON, maps as data URIs."""
        raise NotImplementedError

    def start(self) -> dict[str, Any]:
        """The state at first."""
        return {control.name: control.start for control in self.controls}

    @property
    def alt(self) -> str:
        """The title, what can be moved, and the numbers at first."""
        start = self.start()
        numbers = ", ".join(f"{words} {self._shown(words, value)}" for words, value in self.numbers(**start).items())
        return (
            f"{self.title} To be moved: {', '.join(c.label for c in self.controls)}. At {self.told(start)}: {numbers}."
        )

    def told(self, state: dict[str, Any]) -> str:
        """A state in words."""
        value = lambda control: state[control.name] if control.choices else shown(state[control.name], control.decimals)
        return ", ".join(f"{control.label} {value(control)}" for control in self.controls)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Widgets where there is a kernel to answer them; the page's tier always, for everything else."""
        bundle = super()._repr_mimebundle_()
        if "TUTSEG_READ_LOG" not in os.environ:  # not being executed for the book
            bundle = self.live()._repr_mimebundle_() | bundle
        return bundle

    # Tier 1

    def live(self):
        """The figure as ipywidgets, redrawn by the kernel."""
        import ipywidgets as widgets

        picture, readout = widgets.HTML(), widgets.HTML()
        inputs = {}
        for control in self.controls:
            if control.choices:
                make = widgets.Dropdown(options=control.choices, value=control.start)
            else:
                make = widgets.FloatSlider(
                    min=control.low,
                    max=control.high,
                    step=self.live_steps.get(control.name, control.step),
                    value=control.start,
                    readout_format=f".{control.decimals}f",
                )
            make.description = control.label
            make.style.description_width = "initial"
            inputs[control.name] = make

        def redraw(_: object = None) -> None:
            state = {name: each.value for name, each in inputs.items()}
            panels = self.panels(**state)
            strip = np.concatenate(list(panels.values()), axis=1).repeat(2, axis=0).repeat(2, axis=1)
            picture.value = _image(strip, f"{', '.join(panels)}; {self.told(state)}")
            readout.value = self._readout(state)

        for each in inputs.values():
            each.observe(redraw, names="value")
        redraw()
        return widgets.VBox([*inputs.values(), picture, readout])

    # Tiers 2 and 3

    def _shown(self, words: str, value: float | None) -> str:
        return shown(value, self.decimals.get(words, 3))

    def _readout(self, state: dict[str, Any]) -> str:
        return "".join(
            f"<div>{html.escape(words)} <output>{self._shown(words, value)}</output></div>"
            for words, value in self.numbers(**state).items()
        )

    def _stills_html(self) -> str:
        cells = []
        for state in self.stills():
            words = self.told(state)
            drawn = "".join(_image(pixels, f"{title}; {words}") for title, pixels in self.panels(**state).items())
            cells.append(
                f'<figure><div class="tutseg-strip">{drawn}</div>'
                f"<figcaption>{html.escape(words)}{self._readout(state)}</figcaption></figure>"
            )
        return "".join(cells)

    def to_html(self) -> str:
        """Tiers 2 and 3 as one self-contained piece of HTML; the script shows the one and hides the other."""
        controls = [asdict(control) for control in self.controls]
        spec = {"kind": self.kind, "controls": controls, "decimals": self.decimals, **self.data()}
        text = json.dumps(spec, separators=(",", ":")).replace("</", "<\\/")
        name = f"tutseg-{sha256(text)[:10]}"
        swatches = "".join(
            f'<span><i style="background:rgb{colour}"></i>{html.escape(words)}</span>'
            for words, colour in self.key.items()
        )
        here = Path(__file__).with_suffix("")
        return (
            f"<style>{here.with_suffix('.css').read_text()}</style>"
            f'<div class="tutseg-figure" id="{name}" role="group" aria-label="{html.escape(self.title)}">'
            f'<div class="tutseg-live" hidden></div><div class="tutseg-stills">{self._stills_html()}</div>'
            f'<p class="tutseg-key">{swatches}</p><p class="tutseg-title">{html.escape(self.title)}</p></div>'
            f"<script>{here.with_suffix('.js').read_text()}\n"
            f"tutsegFigure(document.getElementById('{name}'), {text});</script>"
        )
