"""Dermoscopic pictures of two and three lesions, of which the mask shows one: a task that only a prompt makes clear.

A network that is taught to segment what it is pointed at needs pictures in which that is not the only thing there is:
with one lesion in each it learns to find the lesion, and the prompt is ignored. So pictures come in pairs, 2s and
2s + 1, that are the same picture with another lesion as the target. Half of all pairs are two ordinary pictures of one
lesion each instead (feature "alone").
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from tutseg.data import draw_dermoscopy
from tutseg.data.draw_canvas import Canvas, Drawing
from tutseg.data.draw_dermoscopy import CLASSES, LOOKS, at_clinic, finish, outline, pigment, skin

ARTEFACTS = draw_dermoscopy.ARTEFACTS
TOGETHER = 2  # pictures that belong together
FEATURES = {**draw_dermoscopy.FEATURES, "alone": "pairs of pictures of one lesion each; without it all are of several"}
RADIUS = 0.06, 0.2  # of a lesion, in picture widths
APART = 1.25  # least distance of two centres over the sum of the radii
TRIES = 60


@dataclass
class Part(Canvas):
    """The canvas as one lesion sees it: the same picture, chance of its own."""

    name: str

    def stream(self, feature: str) -> np.random.Generator:
        """As `Canvas.stream`, another one for every name."""
        return super().stream(f"{self.name} {feature}")


def places(rng: np.random.Generator, count: int) -> list[tuple[list[float], float]]:
    """Centres and areas, in picture widths, of lesions that hardly touch; at least two, perhaps fewer than `count`."""
    found: list[tuple[np.ndarray, float]] = []
    for _ in range(TRIES):
        radius, room = rng.uniform(*RADIUS), rng.uniform(-1, 1, 2)
        centre = room * (0.48 - radius)
        if all(np.hypot(*(centre - other)) > APART * (radius + reach) for other, reach in found):
            found.append((centre, radius))
        if len(found) == count:
            break
    if len(found) < 2:  # a large one in the middle leaves no room
        found = [(np.array([-0.25, 0.2]), RADIUS[0]), (np.array([0.2, -0.25]), RADIUS[1])]
    return [(centre.tolist(), math.pi * radius**2) for centre, radius in found]


def draw(
    canvas: Canvas, style: str, clinic: str | None, artefacts: tuple[str, ...] | None, without: tuple[str, ...]
) -> Drawing:
    """Draw one picture and the mask of its target; parameters as for `draw_dermoscopy.draw`."""
    scene, target = replace(canvas, index=canvas.index // TOGETHER), canvas.index % TOGETHER
    if "alone" not in without and scene.stream("alone").random() < 0.5:
        return draw_dermoscopy.draw(canvas, style, clinic, artefacts, without)

    def on(feature: str) -> bool:
        return feature not in (*without, "satellites")  # which would look like lesions of their own

    look = at_clinic(LOOKS[style], clinic)
    rgb, lab = skin(scene, look, on)
    rng = scene.stream("places")
    depths, sigmas, labels = [], [], []
    for number, place in enumerate(places(rng, int(rng.integers(2, 4)))):
        part = Part(scene.size, scene.seed, scene.index, f"lesion {number}")
        label = str(part.stream("label").choice(CLASSES))
        depth, angle, radius = outline(part, label, on, place)
        sigma = np.zeros_like(depth)
        if on("lesion"):
            rgb, sigma = pigment(part, look, label, on, rgb, lab, depth, angle, radius)
        else:
            depth = np.full_like(depth, -1)
        depths = [*(np.minimum(below, -depth) for below in depths), depth]  # the later one lies above
        sigmas.append(sigma)
        labels.append(label)
    return finish(scene, look, artefacts, on, rgb, depths[target], sigmas[target], labels[target])
