"""Dermoscopic pictures from numbers: skin, a lesion with a known border, and everything that lies over them.

The ranges below were set beside statistics of real pictures (lesion area, colour difference, texture, border profile,
frequency of hair, rulers and dark corners); no pixel of a real picture is used.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from tutseg.data.draw_canvas import (
    Canvas,
    Drawing,
    blend,
    camera,
    grid,
    lab_to_rgb,
    log_uniform,
    plain,
    smoothstep,
    soften,
    unit,
)

FEATURES = {
    "texture": "relief, lines and grain of the skin",
    "freckles": "small brown spots beside the lesion, not part of it",
    "redness": "patches of inflamed skin, not part of the lesion",
    "veins": "thin vessels in the skin",
    "lighting": "gradients of brightness",
    "irregular": "outlines other than ellipses",
    "large": "lesions that fill or leave the picture",
    "tones": "several tones in a lesion",
    "network": "pigment network",
    "globules": "dots and globules",
    "streaks": "radial streaks at the border",
    "veil": "blue-white veil",
    "regression": "skin-coloured or white areas in the lesion",
    "satellites": "small lesions beside the main one, part of the mask",
    "fringe": "borders that fade out",
    "pale": "lesions hardly darker than the skin, or pink",
    "camera": "white balance, defocus, noise, JPEG",
}
ARTEFACTS = ("hair", "ruler", "bubbles", "corner", "chart", "ink", "glare")
CLASSES = ("nevus", "melanoma", "keratosis")


@dataclass(frozen=True)
class Look:
    """The distributions a style or a clinic draws from; pairs are ranges or (mean, deviation) in Lab units."""

    skin_L: tuple[float, float] = (70, 10)
    skin_a: tuple[float, float] = (10, 6)
    skin_b: tuple[float, float] = (12, 7)
    darker: tuple[float, float] = (25, 0.5)  # median and log-deviation of the drop in L
    redder: tuple[float, float] = (11, 6)
    yellower: tuple[float, float] = (15, 7)
    hue_noise: float = 4.0  # how far each tone's colour leaves the line from skin to lesion
    mottle: float = 3.0  # deviation of the skin's tone in patches, in Lab units
    faintest: tuple[float, float] = (9, 22)  # least contrast of a lesion: a + b * radius
    fringe: tuple[float, float] = (0.12, 0.9)  # width over the lesion's radius
    rim: tuple[float, float] = (0.4, 0.62)  # where in the fringe an annotator sees the border: 0 outer, 1 inner end
    relief: tuple[float, float] = (0.006, 0.03)
    balance: float = 0.03  # log-gain per channel
    blur: tuple[float, float] = (0.0, 0.008)
    grain: tuple[float, float] = (0.0, 0.02)
    hair: float = 0.3
    ruler: float = 0.35
    bubbles: float = 0.15
    corner: float = 0.25
    chart: float = 0.18
    ink: float = 0.2
    glare: float = 0.2


LOOKS = {
    "synth": Look(),
    "synth-wild": Look(
        skin_L=(69, 13),
        skin_a=(11, 9),
        skin_b=(13, 10),
        darker=(24, 0.6),
        redder=(10, 9),
        yellower=(13, 11),
        hue_noise=10.0,
        fringe=(0.05, 1.2),
        rim=(0.35, 0.65),
        relief=(0.004, 0.06),
        balance=0.08,
        blur=(0.0, 0.02),
        grain=(0.0, 0.04),
        hair=0.45,
        mottle=5.0,
        chart=0.25,
        ink=0.25,
    ),
}


def at_clinic(look: Look, clinic: str | None) -> Look:
    """The same style seen through one clinic's instrument: "a" cool and polarised with rulers, "b" warm with gel."""
    if clinic == "a":
        return replace(
            look, skin_L=(74, 7), skin_a=(5, 3), skin_b=(4, 4), ruler=0.7, bubbles=0.0, corner=0.0, chart=0.1, ink=0.2
        )
    if clinic == "b":
        return replace(
            look, skin_L=(64, 8), skin_a=(18, 4), skin_b=(22, 5), ruler=0.0, bubbles=0.5, corner=0.8, chart=0.0, ink=0.0
        )
    return look


# Lesion area as a share of the picture at these ranks, measured on real dermoscopy and widened a little.
AREA_RANKS = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0)
AREAS = (0.008, 0.018, 0.04, 0.08, 0.2, 0.43, 0.7, 0.92, 0.97)


def skin(canvas: Canvas, look: Look, on) -> tuple[np.ndarray, np.ndarray]:
    """Skin ``(3, H, W)`` and its mean Lab colour ``(3,)``."""
    rng = canvas.stream("skin")
    lab = np.array([rng.normal(*look.skin_L), rng.normal(*look.skin_a), rng.normal(*look.skin_b)])
    lab[1] -= 0.2 * (lab[0] - 70)  # darker and flushed skin are redder
    lab = np.clip(lab, (35, -3, -5), (95, 38, 42))
    rgb = plain(canvas, lab_to_rgb(lab))
    if on("redness"):
        rng = canvas.stream("redness")
        hue = lab_to_rgb(lab + rng.normal(0, look.mottle) * np.array([1, 0.7, 0.5])) - lab_to_rgb(lab)
        rgb = rgb + np.float32(hue)[:, None, None] * canvas.noise(rng, rng.uniform(1.4, 2.4), 16)
        cover = np.clip(0.5 * canvas.noise(rng, 2.0, 12) + rng.uniform(-0.7, 0.4), 0, 1) * rng.uniform(0, 0.6)
        rgb = blend(rgb, lab_to_rgb(lab + (rng.normal(-4, 4), rng.uniform(4, 16), rng.normal(0, 4))), cover)
    if on("freckles"):
        rng = canvas.stream("freckles")
        spots = canvas.noise(rng, 1.0, 48, log_uniform(rng, 3, 24))
        cover = smoothstep((spots - rng.uniform(1, 3.2)) * rng.uniform(0.6, 2)) * rng.uniform(0.05, 0.6)
        rgb = blend(rgb, lab_to_rgb(lab + (rng.uniform(-22, -6), rng.uniform(2, 10), rng.uniform(2, 12))), cover)
    if on("veins"):
        rng = canvas.stream("veins")
        if rng.random() < 0.3:
            ridge = np.exp(-((canvas.noise(rng, 1.2, 24, 2) / rng.uniform(0.05, 0.15)) ** 2))
            cover = ridge * np.clip(canvas.noise(rng, 2, 8), 0, 1) * rng.uniform(0.1, 0.45)
            rgb = blend(rgb, lab_to_rgb(lab + (-15, rng.uniform(5, 20), rng.uniform(-15, 0))), cover)
    if on("texture"):
        rng = canvas.stream("texture")
        relief = canvas.noise(rng, rng.uniform(0.2, 1.4), 128, rng.choice([0.5, 4, 12]))
        x, y = grid(canvas.size)
        if rng.random() < 0.3:
            angle, waves = rng.uniform(0, np.pi), rng.uniform(60, 220)
            wave = waves * (x * np.cos(angle) + y * np.sin(angle)) + 1.5 * canvas.noise(rng, 1.5, 24)
            relief = unit(relief + rng.uniform(0.3, 1) * np.sin(wave))
        amount = log_uniform(rng, *look.relief)
        rgb = rgb * (1 + amount * relief)
    return rgb.astype(np.float32), lab


def outline(
    canvas: Canvas, label: str, on, place: tuple[list[float], float] | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """The lesion's depth field, its outline angle and its mean radius; `place` is its centre and area if not drawn.

    Returns
    -------
    depth : numpy.ndarray
        ``(H, W)``, > 0 inside, about the distance to the border in picture widths.
    angle : numpy.ndarray
        ``(H, W)`` direction from the centre, in radians.
    radius : float
        Mean radius in picture widths.
    """
    rng = canvas.stream("outline")
    area = float(np.interp(rng.random(), AREA_RANKS, AREAS))
    if not on("large"):
        area = min(area, 0.3)
    if label == "melanoma":
        area = area**0.8
    wander = 0.05 + 0.08 * area
    centre = rng.normal(0, wander, 2).tolist()
    if place:
        centre, area = place
    ratio = min(max(rng.normal(0.8, 0.15), 0.4), 1.0)
    turn = rng.uniform(0, np.pi)
    x, y = grid(canvas.size)
    x, y = x - centre[0], y - centre[1]
    scale = max(math.sqrt(area / math.pi), 0.05)
    wild = rng.uniform(0.2, 1.0) * (1.4 if label == "melanoma" else 0.8)
    if on("irregular"):
        warp = scale * wild
        x = x + 0.25 * warp * canvas.noise(rng, 1.6, 16)
        y = y + 0.25 * warp * canvas.noise(rng, 1.6, 16)
    u = x * math.cos(turn) + y * math.sin(turn)
    v = (y * math.cos(turn) - x * math.sin(turn)) / ratio
    angle = np.arctan2(v, u)
    power = rng.uniform(1.7, 3.0) if on("irregular") else 2.0
    rho = (np.abs(u) ** power + np.abs(v) ** power) ** (1 / power)
    if on("irregular"):
        for k in range(2, 8):
            rho = rho * (1 + 0.25 * wild * rng.normal() / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi)))
        if rng.random() < 0.2:  # two lobes
            shift, size = rng.uniform(0.6, 1.1) * scale, rng.uniform(0.6, 1.1)
            toward = rng.uniform(0, 2 * np.pi)
            other = np.hypot(x - shift * np.cos(toward), y - shift * np.sin(toward)) / size
            rho = -np.logaddexp(-rho / (0.15 * scale), -other / (0.15 * scale)) * 0.15 * scale
    edge = np.partition(rho.ravel(), int(area * rho.size))[int(area * rho.size)]  # exactly the area that was drawn
    depth = (edge - rho) * math.sqrt(ratio)
    if on("irregular"):
        jag = log_uniform(rng, 0.001, 0.02) * min(1, scale / 0.15)
        depth = depth + jag * canvas.noise(rng, 1.0, 48, 5)
    if on("satellites") and rng.random() < (0.25 if label == "melanoma" else 0.05):
        for _ in range(rng.integers(1, 5)):
            toward, away, size = rng.uniform(0, 2 * np.pi), edge + rng.uniform(0.03, 0.1), rng.uniform(0.012, 0.035)
            place = centre + away * np.array([np.cos(toward), np.sin(toward)])
            gx, gy = grid(canvas.size)
            depth = np.maximum(depth, size - np.hypot(gx - place[0], gy - place[1]))
    return depth.astype(np.float32), angle, float(scale)


def pigment(canvas: Canvas, look: Look, label: str, on, rgb, lab, depth, angle, radius):
    """Lay the lesion over the skin.

    Returns
    -------
    rgb : numpy.ndarray
        The picture ``(3, H, W)``.
    sigma : numpy.ndarray
        How uncertain the border is, in picture widths: fringe width over visible contrast.
    """
    rng = canvas.stream("pigment")
    drop = look.darker[0] * np.exp(rng.normal(0, look.darker[1])) * (1.3 if label == "melanoma" else 1.0)
    shift = np.array([-drop, rng.normal(*look.redder), rng.normal(*look.yellower)])
    shift[2] -= 0.3 * max(drop - 25, 0)  # the darkest pigment is grey
    if on("pale") and rng.random() < 0.08:
        shift = np.array([-rng.uniform(0, 8), rng.uniform(4, 18), rng.normal(2, 5)])
    if not on("pale"):
        shift[0] = min(shift[0], -15)
    faintest = look.faintest[0] + look.faintest[1] * radius  # a large faint patch is skin
    shift *= max(1, faintest / np.linalg.norm(shift))
    shift[0] = max(shift[0], 8 - lab[0])
    contrast = float(np.linalg.norm(shift))

    # Opacity rises from 0 to 1 over a fringe whose width varies along the border; annotators see the border near its
    # middle. Without the fringe, pigment and mask are the same set of pixels.
    width, rim = np.float32(1e-6), 0.5
    if on("fringe"):
        rim = rng.uniform(*look.rim)
        width = radius * log_uniform(rng, *look.fringe) * np.exp(0.4 * canvas.noise(rng, 2.0, 8))
        width = np.maximum(width, 0.012)
    opacity = smoothstep(depth / width + rim)
    if on("fringe"):
        ragged = rng.uniform(0, 0.7) * np.clip(canvas.noise(rng, 0.8, 64, 6) + rng.uniform(-1, 1), 0, 1)
        opacity = opacity * (1 - ragged * (1 - smoothstep(depth / (2 * width))))
    sigma = 0.25 * width * (1 + 8 / contrast) * np.ones_like(depth)

    # Tones: a field in [-1, 1] picks between a lighter, the middle and a darker colour.
    def colour(L: float, a: float, b: float) -> np.ndarray:
        tone = lab + shift + (L, a, b) + look.hue_noise * rng.normal(0, 1, 3) * (0.5, 1, 1)
        reddest = 5 + 0.5 * max(tone[0], 4)  # near black no pigment is vivid
        return lab_to_rgb(np.clip(tone, (4, -10, -0.5 * reddest), (97, reddest, 55)))

    middle, dark, light = colour(0, 0, 0), colour(-0.6 * drop - 8, -2, -6), colour(min(0.3 * drop, 9), 0, 2)
    lesion = plain(canvas, middle)
    if on("tones"):
        rng = canvas.stream("tones")
        spread = rng.uniform(0.15, 1.0) * (1.3 if label == "melanoma" else 0.8)
        tone = spread * canvas.noise(rng, rng.uniform(0.8, 2.2), 48)
        if rng.random() < 0.4:  # tones with borders of their own
            tone = spread * np.tanh(canvas.noise(rng, 1.6, 24) * 4 + rng.normal()) + 0.3 * tone
        tone = tone + rng.normal(0.2, 0.4) * (smoothstep(depth / (0.8 * radius)) - 0.5) * 2
        lesion = blend(blend(lesion, dark, np.clip(tone, 0, 1)), light, np.clip(-tone, 0, 1))
    if on("network"):
        rng = canvas.stream("network")
        if rng.random() < (0.2 if label == "keratosis" else 0.5):
            mesh = np.abs(canvas.noise(rng, 0.3, 64, rng.uniform(10, 36)))
            lines = np.exp(-((mesh / rng.uniform(0.2, 0.5)) ** 2)) * smoothstep(canvas.noise(rng, 1.5, 8) + 0.8)
            lesion = blend(lesion, dark, lines * rng.uniform(0.1, 0.6))
    if on("globules"):
        rng = canvas.stream("globules")
        if rng.random() < 0.35:
            dots = canvas.noise(rng, 0.5, 64, rng.uniform(14, 36))
            cover = smoothstep((dots - rng.uniform(0.6, 1.8)) * 3) * smoothstep(canvas.noise(rng, 1.5, 8) + 0.6)
            lesion = blend(lesion, dark if rng.random() < 0.75 else light, cover * rng.uniform(0.3, 0.9))
    if on("streaks"):
        rng = canvas.stream("streaks")
        if rng.random() < (0.3 if label == "melanoma" else 0.08):
            rays = np.cos(int(rng.integers(14, 40)) * angle + 2 * canvas.noise(rng, 1.5, 12))
            cover = smoothstep(rays) * smoothstep(1 - depth / (0.5 * radius)) * rng.uniform(0.3, 0.9)
            lesion = blend(lesion, dark, cover)
    if on("veil"):
        rng = canvas.stream("veil")
        if rng.random() < (0.45 if label == "melanoma" else 0.06):
            patch = smoothstep(canvas.noise(rng, 2, 12) + rng.uniform(-0.6, 0.4)) * rng.uniform(0.3, 0.8)
            lesion = blend(lesion, lab_to_rgb((rng.uniform(35, 68), rng.uniform(-3, 10), rng.uniform(-20, 0))), patch)
    if on("regression"):
        rng = canvas.stream("regression")
        if rng.random() < (0.3 if label == "melanoma" else 0.08):
            patch = smoothstep((canvas.noise(rng, 1.8, 16) + rng.uniform(-1.2, -0.2)) * 2) * rng.uniform(0.4, 0.95)
            pale = lab + (rng.uniform(-2, 14), rng.normal(0, 5), rng.normal(-3, 5))
            lesion = blend(lesion, lab_to_rgb(np.clip(pale, (0, -30, -30), (98, 60, 60))), patch)
    if label == "keratosis":
        rng = canvas.stream("crust")
        crust = smoothstep((canvas.noise(rng, 1.0, 64, 4) - rng.uniform(0.5, 2)) * 2) * rng.uniform(0.1, 0.7)
        lesion = blend(lesion, lab_to_rgb((rng.uniform(60, 90), rng.uniform(0, 8), rng.uniform(5, 25))), crust)
    if on("texture"):
        rng = canvas.stream("grainy")
        grainy = canvas.noise(rng, rng.uniform(0.2, 1.2), 96, 4)
        lesion = lesion * (1 + log_uniform(rng, 0.01, 0.1) * grainy)
    return rgb + opacity * (lesion - rgb), sigma


def hairs(canvas: Canvas, rgb, layers, rng):
    """Curved hairs, from one to a coat."""
    fur = rng.random() < 0.25
    count = int(log_uniform(rng, 15, 60)) if fur else rng.integers(1, 12)
    comb, spread = rng.uniform(0, np.pi), rng.uniform(0.1, 1.2)
    width = rng.uniform(0.004, 0.014)
    t = np.linspace(-0.5, 0.5, 12)[:, None]
    lines = []
    for _ in range(count):
        angle = rng.normal(comb, spread)
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        length, bend, wave = rng.uniform(0.2, 1.3), rng.normal(0, 0.5), rng.normal(0, 0.15)
        points = rng.uniform(-0.55, 0.55, 2) + length * (t * along + (bend * t**2 + wave * np.sin(5 * t)) * across)
        lines.append((points, width * rng.uniform(0.6, 1.4)))
    cover = canvas.strokes(lines)
    layers["hair"] = cover > 0.3
    shade = rng.choice([12, 25, 45, 85], p=[0.4, 0.3, 0.2, 0.1])
    colour = lab_to_rgb((shade + rng.uniform(-8, 8), rng.uniform(0, 12), rng.uniform(0, 18)))
    return blend(rgb, colour, cover * rng.uniform(0.5, 1.0))


def ruler(canvas: Canvas, rgb, layers, rng):
    """A scale bar with ticks near a side, sometimes a ruler's edge."""
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.15)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    if rng.random() < 0.5:
        across = -across
    start = across * rng.uniform(0.25, 0.46) + along * rng.uniform(-0.4, -0.05)
    length, ticks = rng.uniform(0.35, 0.95), rng.integers(8, 24)
    width = rng.uniform(0.004, 0.01)
    lines = [(np.stack([start, start + length * along]), width)]
    tick = across * rng.uniform(0.015, 0.05) * (1 if rng.random() < 0.7 else -1)
    for k in range(ticks + 1):
        foot = start + along * length * k / ticks
        lines.append((np.stack([foot, foot + tick * (1.6 if k % 5 == 0 else 1)]), width * 0.8))
    cover = canvas.strokes(lines)
    layers["ruler"] = cover > 0.3
    return blend(rgb, lab_to_rgb((rng.uniform(5, 45), rng.normal(0, 4), rng.normal(0, 6))), cover * rng.uniform(0.6, 1))


def bubbles(canvas: Canvas, rgb, layers, rng):
    """Air bubbles in the gel: bright rims, a highlight each."""
    x, y = grid(canvas.size)
    drop, place = rng.uniform(0.15, 0.6), rng.normal(0, 0.3, 2).tolist()  # the edge of the drop of gel
    edge = np.hypot(x - place[0], y - place[1]) - drop + 0.03 * canvas.noise(rng, 2, 8)
    rim_of_gel = np.exp(-((edge / rng.uniform(0.006, 0.03)) ** 2))
    rgb = rgb * (1 + rng.uniform(-0.25, 0.35) * rim_of_gel)
    count = rng.integers(3, 40)
    seat = rng.uniform(-0.5, 0.5, 2)
    centres = seat + rng.normal(0, rng.uniform(0.08, 0.35), (count, 2))
    radii = np.array([log_uniform(rng, 0.006, 0.04) for _ in range(count)])
    disc = canvas.discs(centres, radii)
    rim = np.clip(disc - canvas.discs(centres, radii * 0.75), 0, 1)
    spark = canvas.discs(centres + 0.35 * radii[:, None], radii * 0.25)
    layers["bubbles"] = (disc > 0.3) | (rim_of_gel > 0.3)
    rgb = blend(rgb, (0.95, 0.95, 0.92), np.clip(rim * rng.uniform(0.2, 0.6), 0, 1))
    return blend(rgb, (1, 1, 1), spark * rng.uniform(0.4, 0.9))


def corner(canvas: Canvas, rgb, layers, rng):
    """The round aperture of a dermatoscope: black outside, darkening towards it."""
    x, y = grid(canvas.size)
    aspect, centre = rng.uniform(0.65, 1.0), rng.normal(0, 0.02, 2)
    reach = np.hypot(x - centre[0], (y - centre[1]) * aspect)
    radius = rng.uniform(0.42, 0.7)
    soft = log_uniform(rng, 0.01, 0.15)
    shade = smoothstep((reach - radius) / soft + 0.5)
    layers["corner"] = shade > 0.5
    rgb = rgb * (1 - rng.uniform(0, 0.5) * np.clip(reach / radius, 0, 1) ** 3)
    return blend(rgb, np.full(3, rng.uniform(0, 0.15)) + rng.uniform(0, 0.05, 3), shade * rng.uniform(0.7, 1.0))


def chart(canvas: Canvas, rgb, layers, rng):
    """A round coloured sticker, or a corner of a colour chart, that reaches in from a side."""
    x, y = grid(canvas.size)
    angle, away, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.42, 0.65), rng.uniform(0.12, 0.4)
    x, y = x - away * math.cos(angle), y - away * math.sin(angle)
    reach = np.hypot(x, y) if rng.random() < 0.8 else np.maximum(np.abs(x), np.abs(y))
    layers["chart"] = reach < size
    for ring in (1.0, 0.5) if rng.random() < 0.5 else (1.0,):
        warm = rng.random() < 0.5  # orange to yellow, the colours that are easily taken for pigment
        hue = np.radians(rng.uniform(35, 95) if warm else rng.choice([140, 200, 260, 300]))
        L, chroma = rng.uniform(45 if warm else 20, 90), rng.uniform(35 if warm else 20, 75)
        colour = lab_to_rgb((L, chroma * np.cos(hue), chroma * np.sin(hue)))
        paper = 1 + rng.uniform(0, 0.06) * canvas.noise(rng, rng.uniform(0.5, 2), 64)
        rgb = blend(rgb, plain(canvas, colour) * paper, smoothstep((ring * size - reach) / 0.012 + 0.5))
    return rgb


def ink(canvas: Canvas, rgb, layers, rng):
    """A surgical marker's stars, arcs and strokes around the lesion: violet to blue, broken by the skin's relief."""
    lines = []
    kind, turn, count = rng.choice(["stars", "arc", "strokes"]), rng.uniform(0, 2 * np.pi), rng.integers(1, 6)
    for k in range(count):
        angle, reach = turn + 2 * np.pi * k / count + rng.normal(0, 0.3), rng.uniform(0.22, 0.5)
        place = reach * np.array([np.cos(angle), np.sin(angle)])
        if kind == "stars":
            width, tip = rng.uniform(0.012, 0.04), rng.uniform(0.02, 0.08)
            for ray in rng.uniform(0, 2 * np.pi, 5):
                lines.append((np.stack([place, place + tip * np.array([np.cos(ray), np.sin(ray)])]), width))
        elif kind == "arc":
            sweep = np.linspace(angle, angle + rng.uniform(0.4, 2.5), 16)
            wobble = reach + 0.02 * np.cumsum(rng.normal(0, 1, 16)) / 4
            lines.append((wobble[:, None] * np.stack([np.cos(sweep), np.sin(sweep)], 1), rng.uniform(0.02, 0.09)))
        else:
            lines.append((place + np.cumsum(rng.normal(0, 0.05, (6, 2)), 0), rng.uniform(0.015, 0.05)))
    cover = canvas.strokes(lines) * smoothstep(0.8 * canvas.noise(rng, 0.5, 96, 6) + rng.uniform(0.4, 2.2))
    cover = soften(cover, 0.004)
    layers["ink"] = cover > 0.3
    colour = lab_to_rgb((rng.uniform(12, 55), rng.uniform(5, 35), rng.uniform(-45, -8)))
    return blend(rgb, colour, cover * rng.uniform(0.4, 0.95))


def glare(canvas: Canvas, rgb, layers, rng):
    """Specular reflections on scales and wet skin."""
    cover = smoothstep((canvas.noise(rng, 0.4, 96, 10) - rng.uniform(1.8, 2.8)) * 2)
    cover = cover * smoothstep(canvas.noise(rng, 1.5, 8))
    layers["glare"] = cover > 0.3
    return blend(rgb, (1, 1, 1), cover * rng.uniform(0.4, 1.0))


DRAW_ARTEFACT = {
    "glare": glare,
    "bubbles": bubbles,
    "ink": ink,
    "chart": chart,
    "ruler": ruler,
    "hair": hairs,
    "corner": corner,
}


def finish(canvas: Canvas, look: Look, artefacts: tuple[str, ...] | None, on, rgb, depth, sigma, label: str) -> Drawing:
    """What comes over skin and lesions: light, artefacts, the camera."""
    if on("lighting"):
        rng = canvas.stream("lighting")
        x, y = grid(canvas.size)
        slope = rng.normal(0, 0.09, 2)
        rgb = rgb * (1 + slope[0] * x + slope[1] * y + rng.uniform(0, 0.06) * canvas.noise(rng, 2.5, 6))
    layers: dict[str, np.ndarray] = {}
    for name, add in DRAW_ARTEFACT.items():
        rng = canvas.stream(name)
        chosen = rng.random() < getattr(look, name) if artefacts is None else name in artefacts
        if chosen and on(name):
            rgb = add(canvas, rgb, layers, rng)
    if "corner" in layers:
        depth = np.where(layers["corner"], np.minimum(depth, -1e-3), depth)
    rng = canvas.stream("camera")
    if on("camera"):
        rgb = rgb * np.exp(rng.normal(0, look.balance, (3, 1, 1))).astype(np.float32)
        rgb = np.clip(rgb, 0, 1) ** np.exp(rng.normal(0, 0.12))
        image = camera(rgb, rng.uniform(*look.blur), rng.uniform(*look.grain), int(rng.integers(40, 101)), rng)
    else:
        image = camera(rgb, 0, 0, 100, rng)
    return Drawing(image, depth, sigma, label, layers)


def draw(
    canvas: Canvas, style: str, clinic: str | None, artefacts: tuple[str, ...] | None, without: tuple[str, ...]
) -> Drawing:
    """Draw one dermoscopic picture.

    Parameters
    ----------
    canvas : Canvas
        Size and chance.
    style : str
        "synth" or "synth-wild".
    clinic : {None, "a", "b"}
        Whose instrument.
    artefacts : tuple of str or None
        Exactly these artefacts; None for the style's own mixture.
    without : tuple of str
        Names of `FEATURES` or `ARTEFACTS` to leave out, or "lesion".
    """

    def on(feature: str) -> bool:
        return feature not in without

    look = at_clinic(LOOKS[style], clinic)
    label = str(canvas.stream("label").choice(CLASSES, p=(0.6, 0.25, 0.15)))
    rgb, lab = skin(canvas, look, on)
    depth, angle, radius = outline(canvas, label, on)
    sigma = np.zeros_like(depth)
    if on("lesion"):
        rgb, sigma = pigment(canvas, look, label, on, rgb, lab, depth, angle, radius)
    else:
        depth = np.full_like(depth, -1)
    return finish(canvas, look, artefacts, on, rgb, depth, sigma, label)
