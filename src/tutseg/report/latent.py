"""A generator looked at: its picture gliding as its input does, walks between latent vectors, truncation, doubles."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tutseg.data.decode import png_bytes
from tutseg.data.loader import Pictures
from tutseg.methods.generative.equivariance import equivariance
from tutseg.nets.stylegan3 import Generator
from tutseg.report.explorers import StepExplorer
from tutseg.report.interactive import Control, InteractiveFigure, data_uri
from tutseg.report.photographs import Tile, Tiles, photograph
from tutseg.report.shown import Shown
from tutseg.training.generate import coarse_distances

LATTICE = 9  # places of a walk along each side
ENLARGED = 8  # times, what a difference of two pictures is shown as
SECONDS = 4  # of one round of an animation


def pixels(images: Tensor) -> list[np.ndarray]:
    """Images ``(B, 3, H, W)`` about [0, 1] as uint8 ``(H, W, 3)``."""
    return list((images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())


@torch.inference_mode()
def latent(net: Generator, seeds: Sequence[int], psi: float = 1.0) -> Tensor:
    """The w ``(len(seeds), latent)`` of the pictures that `StyleGAN3.sample` draws for these seeds."""
    z = [torch.randn(1, net.latent, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return net.centre.lerp(net.map(torch.cat(z)), psi)


def sheet(pictures: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures of one size ``(H, W, 3)`` in rows of `columns`."""
    rows = [np.concatenate(pictures[i : i + columns], axis=1) for i in range(0, len(pictures), columns)]
    return np.concatenate(rows, axis=0)


# Eq. 1


@torch.inference_mode()
def glide_tiles(net: Generator, seed: int, shifts: Sequence[int] = (0, 3, 6, 9)) -> Tiles:
    """SSGNet Eq. 1 as rows: the input moved right by so many pixels, the picture moved instead, their difference.

    Parameters
    ----------
    net : Generator
        In evaluation mode.
    seed : int
        Of the picture.
    shifts : sequence of int
        Pixels.
    """
    w, size = latent(net, [seed]), net.size
    still = pixels(net.draw(w))[0]
    first, second, third, told = [], [], [], []
    for by in shifts:
        drawn = pixels(net.draw(w, (by / size, 0.0)))[0]
        moved = np.zeros_like(still)
        moved[:, by:] = still[:, : size - by]
        gap = np.abs(drawn.astype(int) - moved)
        gap[:, :by] = 0
        most = f"differ by {gap.max()} of 255 at most"
        first.append(Tile(drawn, f"input moved by {by}", f"drawn with the input moved by {by} pixels"))
        second.append(Tile(moved, f"picture moved by {by}", f"the first picture moved by {by} pixels"))
        third.append(Tile((ENLARGED * gap).clip(0, 255).astype(np.uint8), most, f"the two {most}"))
        told.append(f"by {by} pixels the two {most}")
    alt = f"A drawn lesion, its input moved, above the picture moved; below, {ENLARGED} times their difference: "
    return Tiles((tuple(first), tuple(second), tuple(third)), len(shifts), f"{alt}{'; '.join(told)}.")


class Gliding(Shown):
    """Pictures one after the other, by the page's style sheet alone; a box stops them.

    They stand still where the reader's system asks for less motion, on paper, and where there is no style sheet.

    Parameters
    ----------
    frames : sequence of numpy.ndarray
        uint8 ``(H, W, 3)``, one round.
    what : str
        What they show.
    """

    def __init__(self, frames: Sequence[np.ndarray], what: str) -> None:
        self.frames, self.what = list(frames), what
        self.alt = f"An animation of {len(self.frames)} pictures: {what}."

    def to_html(self) -> str:
        """A strip of all frames, of which a window shows one."""
        n, strip = len(self.frames), np.concatenate(self.frames, axis=0)
        height, width = self.frames[0].shape[:2]
        still = "@media print,(prefers-reduced-motion:reduce){.tutseg-glide img{animation:none!important}}"
        style = (
            f"<style>@keyframes tutseg-glide{{to{{transform:translateY(-100%)}}}}"
            ".tutseg-glide input:not(:checked)~div img{animation-play-state:paused!important}"
            f"{still}</style>"
        )
        moving = f"display:block;height:auto;margin:0;animation:tutseg-glide {SECONDS}s steps({n}) infinite"
        window = f"overflow:hidden;width:12rem;max-width:100%;aspect-ratio:{width}/{height};margin-top:.3rem"
        picture = photograph(png_bytes(Image.fromarray(strip)), self.alt, moving)
        return (
            f'{style}<div class="tutseg-glide" role="group" aria-label="{html.escape(self.what)}">'
            f'<label><input type="checkbox" checked> moving</label><div style="{window}">{picture}</div></div>'
        )

    def savefig(self, *args: Any, **options: Any) -> None:
        """A few of the frames beside each other, as matplotlib's ``savefig`` writes them."""
        some = self.frames[:: max(1, len(self.frames) // 6)]
        Tiles((tuple(Tile(frame, "", self.alt) for frame in some),), len(some), self.alt).savefig(*args, **options)


@torch.inference_mode()
def gliding(net: Generator, seed: int, frames: int = 24, reach: float = 8.0) -> Gliding:
    """A picture whose input is led around a circle, by parts of a pixel.

    Parameters
    ----------
    net : Generator
        In evaluation mode.
    seed : int
        Of the picture.
    frames : int
        Pictures of one round.
    reach : float
        Radius in pixels.
    """
    w, drawn = latent(net, [seed]), []
    for angle in 2 * np.pi * np.arange(frames) / frames:
        shift = (reach * np.cos(angle) / net.size, reach * np.sin(angle) / net.size)
        drawn += pixels(net.draw(w, shift))
    what = f"a drawn lesion glides as its input is led around a circle of {reach:g} pixels"
    return Gliding(drawn, f"{what}; whole pixels of way give {equivariance(net):.0f} dB of EQ-T")


# Latent space


class WalkExplorer(InteractiveFigure):
    """Between four drawn pictures: every point of a square is a mixture of the w in its corners.

    With a kernel any point is drawn; a page has those of a lattice.

    Parameters
    ----------
    net : Generator
        In evaluation mode.
    seeds : sequence of int
        Of the pictures at the upper left, upper right, lower left and lower right.
    """

    kind = "walk"
    live_steps = {"across": 1, "down": 1}  # noqa: RUF012

    def __init__(
        self, net: Generator, seeds: Sequence[int], title: str = "A walk between four pictures of the generator."
    ) -> None:
        self.net, self.title, self.decimals = net, title, {"mean difference from the nearest corner": 1}
        self.corners = latent(net, seeds)
        self.step = 100 / (LATTICE - 1)
        places = [i * self.step for i in range(LATTICE)]
        with torch.inference_mode():
            ends = pixels(net.draw(self.corners))
            self.ends = [end.astype(float) for end in ends]
            w = torch.cat([self.mixed(across, down) for down in places for across in places])
            self.known = dict(
                zip(
                    [(a, d) for d in places for a in places],
                    pixels(torch.cat([*map(net.draw, w.split(9))])),
                    strict=True,
                )
            )
        slider = {"low": 0, "high": 100, "step": self.step, "decimals": 1}
        self.controls = (
            Control("across", "to the right, %", 0, **slider),
            Control("down", "down, %", 0, **slider),
        )

    def mixed(self, across: float, down: float) -> Tensor:
        """w ``(1, latent)`` at a place, in per cent of the way."""
        a, d = across / 100, down / 100
        weights = torch.tensor([(1 - a) * (1 - d), a * (1 - d), (1 - a) * d, a * d])
        return (weights @ self.corners)[None]

    def picture(self, across: float, down: float) -> np.ndarray:
        """What is drawn at a place, uint8 ``(S, S, 3)``."""
        if (across, down) not in self.known:
            with torch.inference_mode():
                (self.known[across, down],) = pixels(self.net.draw(self.mixed(across, down)))
        return self.known[across, down]

    def numbers(self, across: float, down: float) -> dict[str, float | None]:
        """How far w is from the typical one, and how far the picture is from the corner that is most like it."""
        drawn = self.picture(across, down).astype(float)
        return {
            "distance of w from the typical one": float((self.mixed(across, down) - self.net.centre).norm()),
            "mean difference from the nearest corner": min(float(np.abs(drawn - end).mean()) for end in self.ends),
        }

    def panels(self, across: float, down: float) -> dict[str, np.ndarray]:
        """The picture at the place."""
        return {"drawn at this place": self.picture(across, down)}

    def stills(self) -> list[dict[str, Any]]:
        """Six places along the diagonal."""
        return [{"across": i * self.step, "down": i * self.step} for i in (0, 2, 3, 5, 6, 8)]

    def data(self) -> dict[str, Any]:
        """All pictures of the lattice as one PNG, and their numbers."""
        places = list(self.known)[: LATTICE**2]
        columns = [self.numbers(*place) for place in places]
        return {
            "sheet": data_uri(sheet([self.known[place] for place in places], LATTICE)),
            "step": self.step,
            "lattice": LATTICE,
            "values": {words: [each[words] for each in columns] for words in columns[0]},
            "pointed": ["across", "down"],
        }


@torch.inference_mode()
def psi_explorer(net: Generator, psis: Sequence[int] = (0, 20, 40, 60, 80, 100, 130)) -> StepExplorer:
    """Twelve pictures under truncation psi, and how different they are from each other.

    Parameters
    ----------
    net : Generator
        In evaluation mode.
    psis : sequence of int
        What the slider goes through, in per cent.
    """
    drawn = [net.draw(latent(net, range(12), psi / 100)).clamp(0, 1) for psi in psis]
    spread = [(images - images.mean(0)).square().mean().sqrt().item() for images in drawn]
    return StepExplorer(
        [sheet(pixels(images), 4) for images in drawn],
        {"spread of the pictures, in [0, 1]": spread},
        psis,
        title="Twelve pictures, their w drawn towards the typical one.",
        shown="twelve drawn pictures",
        counted="ψ, %",
    )


# Doubles


def neighbour_tiles(drawn: Pictures, seen: Pictures, n: int = 6) -> Tiles:
    """The `n` drawn pictures that are nearest to one that the generator was shown, each above that one.

    Parameters
    ----------
    drawn, seen : Pictures
        What it drew, and what it learned from.
    """
    distance, at = coarse_distances(drawn.images, seen.images).min(1)
    closest = distance.argsort()[:n].tolist()
    shown = lambda part, i: part.images[i].permute(1, 2, 0).numpy()
    above, below = [], []
    for i in closest:
        away, j = f"{distance[i]:.3f} apart", int(at[i])
        above.append(Tile(shown(drawn, i), away, f"a drawn picture, {away} from the one below"))
        below.append(Tile(shown(seen, j), seen.ids[j], f"{seen.ids[j]}, which the generator was shown"))
    told = ", ".join(f"{distance[i]:.3f}" for i in closest)
    alt = f"The {len(closest)} of {len(drawn)} drawn pictures nearest to one of the training pictures: {told} apart."
    return Tiles((tuple(above), tuple(below)), n, alt)
