"""Colonoscopy frames from numbers: a lit height field of folds and polyps, seen through a round or cut-off frame."""

import numpy as np

from tutseg.data.draw_canvas import (
    Canvas,
    Drawing,
    blend,
    camera,
    grid,
    lab_to_rgb,
    plain,
    smoothstep,
    soften,
    unit,
)

FEATURES = {
    "texture": "grain and relief of the mucosa",
    "veins": "vessels in the mucosa",
    "folds": "folds around the lumen",
    "ledges": "folds that hide what lies behind them: shadow from their edge on",
    "lumen": "the dark tunnel",
    "lighting": "light that falls off with distance",
    "colour": "polyps whose colour differs from the mucosa",
    "bump": "polyps that rise from the wall",
    "stain": "yellow fluid and blood",
    "irregular": "polyps that are not ellipses",
    "large": "polyps that fill the frame",
    "several": "more than one polyp",
    "camera": "white balance, defocus, noise, JPEG",
}
ARTEFACTS = ("corner", "glare", "panel", "instrument")
MIXTURE = {"corner": 0.85, "glare": 0.85, "panel": 0.4, "instrument": 0.08}
# Polyp area as a share of the frame at these ranks, from measured frames.
AREA_RANKS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
AREAS = (0.006, 0.025, 0.05, 0.1, 0.2, 0.38, 0.65)


def polyp(canvas: Canvas, rng: np.random.Generator, on, area: float, centre: np.ndarray) -> tuple[np.ndarray, float]:
    """Depth ``(H, W)`` inside one polyp's outline, and its radius, both in picture widths."""
    x, y = grid(canvas.size)
    radius, ratio, turn = float(np.sqrt(area / np.pi)), rng.uniform(0.55, 1.0), rng.uniform(0, np.pi)
    x, y = x - float(centre[0]), y - float(centre[1])
    if on("irregular"):
        wander = 0.35 * radius * rng.uniform(0.1, 1)
        x = x + wander * canvas.noise(rng, 2.0, 12)
        y = y + wander * canvas.noise(rng, 2.0, 12)
    c, s = float(np.cos(turn)), float(np.sin(turn))
    u, v = x * c + y * s, (y * c - x * s) / ratio
    depth = radius / ratio**0.5 - np.hypot(u, v)
    if on("irregular") and rng.random() < 0.25:  # a second lobe
        away = radius * rng.uniform(0.6, 1.1)
        toward = rng.uniform(0, 2 * np.pi)
        lobe = radius * rng.uniform(0.5, 0.9) - np.hypot(x - away * np.cos(toward), y - away * np.sin(toward))
        soft = 0.15 * radius
        depth = soft * np.logaddexp(depth / soft, lobe / soft)
    return (depth * ratio**0.5).astype(np.float32), radius


def draw(
    canvas: Canvas, style: str, clinic: str | None, artefacts: tuple[str, ...] | None, without: tuple[str, ...]
) -> Drawing:
    """Draw one frame.

    Parameters are those of `tutseg.data.draw_dermoscopy.draw`; clinic "a" has a round frame and pink light, "b" a frame
    with cut corners, a panel and yellow light.
    """

    def on(feature: str) -> bool:
        return feature not in without

    wild = style == "synth-wild"
    x, y = grid(canvas.size)
    rng = canvas.stream("mucosa")
    lab = np.array([rng.normal(58, 9), rng.normal(30, 8 if wild else 6), rng.normal(26, 10 if wild else 7)])
    if clinic == "a":
        lab += (0, 3, -10)
    elif clinic == "b":
        lab += (0, -4, 10)
    rgb = plain(canvas, lab_to_rgb(lab))
    hue = lab_to_rgb(lab + (0, rng.normal(0, 6), rng.normal(0, 6))) - lab_to_rgb(lab)
    rgb = rgb + np.float32(hue)[:, None, None] * canvas.noise(rng, 1.8, 16)
    if on("veins"):
        rng = canvas.stream("veins")
        ridge = np.exp(-((canvas.noise(rng, 1.0, 48, rng.uniform(3, 8)) / rng.uniform(0.04, 0.1)) ** 2))
        cover = ridge * smoothstep(canvas.noise(rng, 1.5, 12) + 0.3) * rng.uniform(0, 0.35)
        rgb = blend(rgb, lab_to_rgb(lab + (-18, 12, -4)), cover)

    # The wall is a height field; the light sits at the camera, so slopes darken and the tunnel is dark.
    rng = canvas.stream("lumen")
    seat = rng.normal(0, 0.25, 2).tolist()
    reach = np.hypot(x - seat[0], (y - seat[1]) * rng.uniform(0.8, 1.3)) + 0.04 * canvas.noise(rng, 2, 8)
    height = 0.1 * canvas.noise(rng, 2.2, 10)
    light = np.ones_like(reach)
    if on("lumen") and rng.random() < 0.6:
        light = 0.12 + 0.88 * smoothstep(reach / rng.uniform(0.12, 0.5) - rng.uniform(0, 0.3))
    if on("folds"):
        rng = canvas.stream("folds")
        waves, sharp = rng.uniform(12, 40), rng.uniform(1, 5)
        phase = waves * reach + 1.2 * canvas.noise(rng, 1.8, 10)
        fold = np.exp(sharp * (np.sin(phase) - 1)) * smoothstep(canvas.noise(rng, 1.8, 8) + rng.uniform(-0.5, 1))
        height = height + rng.uniform(0.01, 0.06) * fold
        light = light * (1 - rng.uniform(0, 0.35) * np.exp(sharp * (np.sin(phase - 1.2) - 1)))
    if on("ledges"):
        rng = canvas.stream("ledges")
        for _ in range(rng.integers(0, 3)):
            rise = canvas.noise(rng, rng.uniform(2.2, 2.8), 8) + rng.normal(0, 0.8)
            behind = smoothstep(rise / rng.uniform(0.04, 0.3) + 0.5)
            light = light * (1 - rng.uniform(0.1, 0.7) * behind * np.exp(-np.maximum(rise, 0) / rng.uniform(0.3, 2)))
    if on("texture"):
        rng = canvas.stream("texture")
        height = height + rng.uniform(0.0005, 0.003) * canvas.noise(rng, 0.6, 96, 6)

    depth, shine = np.full_like(reach, -1), np.zeros_like(reach)
    sigma = np.full_like(reach, 0.01)
    label = "normal"
    if on("lesion"):
        rng = canvas.stream("polyp")
        label = str(rng.choice(["adenoma", "hyperplastic"], p=(0.7, 0.3)))
        count = 1 + int(on("several")) * int(rng.choice([0, 1, 2], p=(0.88, 0.09, 0.03)))
        for k in range(count):
            area = float(np.interp(rng.random(), AREA_RANKS, AREAS)) / (k + 1)
            if not on("large"):
                area = min(area, 0.15)
            one, radius = polyp(canvas, rng, on, area, rng.normal(0, 0.15 if k == 0 else 0.25, 2))
            inside = np.maximum(one, 0) / radius
            edge = rng.uniform(0.01, 0.25) * radius
            cover = smoothstep(one / edge + 0.4)
            if on("colour"):
                pale = label == "hyperplastic"
                shift = (rng.normal(4 if pale else -2, 6), rng.normal(-6 if pale else 5, 6), rng.normal(-3, 6))
                tone = blend(
                    plain(canvas, lab_to_rgb(lab + shift)),
                    lab_to_rgb(lab + np.array(shift) * 1.5 - (8, -8, 0)),
                    np.clip(0.4 * canvas.noise(rng, 1.2, 48), 0, 1),
                )
                rgb = blend(rgb, tone, cover * rng.uniform(0.3, 1.0))
            if on("texture"):
                rgb = rgb * (1 + rng.uniform(0.01, 0.08) * cover * canvas.noise(rng, 0.6, 64, 8))
            if on("bump"):
                dome = np.sqrt(np.clip(inside * (2 - inside), 0, 1))
                height = height * (1 - 0.7 * cover) + rng.uniform(0.2, 1.0) * radius * dome
                toward = rng.uniform(0, 2 * np.pi)
                shift = 0.25 * radius * np.array([np.cos(toward), np.sin(toward)])
                pixels = np.round(shift * canvas.size).astype(int)
                shadow = np.roll(smoothstep(one / (0.3 * radius) + 0.7), tuple(pixels[::-1]), (0, 1)) * (1 - cover)
                light = light * (1 - rng.uniform(0, 0.6) * shadow)
                light = light * (1 - cover) + cover * rng.uniform(0.8, 1.3) * (0.75 + 0.35 * dome)
                shine = np.maximum(shine, dome * cover)
            depth = np.maximum(depth, one)
            sigma = np.where(one >= depth, 0.25 * edge + 0.002, sigma)

    down, across = np.gradient(soften(height, 0.004))
    slope_x, slope_y = across * canvas.size, down * canvas.size
    rng = canvas.stream("light")
    lamp = rng.normal(0, 0.25, 2).tolist()
    to_x, to_y = lamp[0] - x, lamp[1] - y
    facing = (1 - 0.8 * (slope_x * to_x + slope_y * to_y)) / np.sqrt(1 + slope_x**2 + slope_y**2)
    light = light * np.clip(facing, 0.15, 1.6)
    if on("lighting"):
        light = light * (1.25 - rng.uniform(0.2, 1.0) * np.hypot(to_x, to_y))
    light = light * np.exp(rng.normal(0.1, 0.2))
    rgb = rgb * np.clip(light, 0.03, 2.0)
    if on("stain"):
        rng = canvas.stream("stain")
        if rng.random() < 0.25:
            cover = smoothstep(canvas.noise(rng, 1.6, 24) - rng.uniform(0.5, 1.8)) * rng.uniform(0.3, 0.9)
            fluid = (
                (rng.uniform(45, 75), rng.uniform(-5, 15), rng.uniform(40, 65)) if rng.random() < 0.7 else (25, 45, 30)
            )
            rgb = blend(rgb, lab_to_rgb(fluid), cover)

    layers: dict[str, np.ndarray] = {}

    def chosen(name: str) -> bool:
        rng = canvas.stream(f"{name}?")
        share = {"a": {"panel": 0.0}, "b": {"panel": 0.9}}.get(clinic, {}).get(name, MIXTURE[name])
        return on(name) and (rng.random() < share if artefacts is None else name in artefacts)

    if chosen("glare"):
        rng = canvas.stream("glare")
        wet = unit(canvas.noise(rng, 0.6, 96, 10) + 1.5 * unit(facing) * rng.uniform(0, 1))
        wet = wet + rng.uniform(0, 1.5) * shine  # what rises towards the lamp glitters
        cover = smoothstep((wet - rng.uniform(1.6, 2.6)) * 2.5) * smoothstep(canvas.noise(rng, 1.5, 10) + 0.5)
        layers["glare"] = cover > 0.3
        rgb = blend(rgb, (1, 1, 1), np.clip(1.3 * cover, 0, 1))
    if chosen("instrument"):
        rng = canvas.stream("instrument")
        end = rng.normal(0, 0.15, 2)
        side = rng.uniform(0, 2 * np.pi)
        line = np.stack([end, 0.9 * np.array([np.cos(side), np.sin(side)])])
        cover = canvas.strokes([(line, rng.uniform(0.04, 0.1))])
        layers["instrument"] = cover > 0.5
        metal = lab_to_rgb((rng.uniform(40, 80), rng.uniform(-10, 10), rng.uniform(-30, 50)))
        rgb = blend(rgb, metal, cover)
        depth = np.where(layers["instrument"], np.minimum(depth, -1e-3), depth)
    hidden = np.zeros(reach.shape, dtype=bool)
    if chosen("corner"):
        rng = canvas.stream("corner")
        if clinic == "a" or (clinic is None and rng.random() < 0.3):
            outside = np.hypot(x, y) - rng.uniform(0.47, 0.6)
        else:
            outside = np.maximum(np.maximum(np.abs(x), np.abs(y)) - rng.uniform(0.46, 0.5), 0)
            outside = outside + np.maximum(np.abs(x) + np.abs(y) - rng.uniform(0.68, 0.9), 0) - 1e-4
        layers["corner"] = outside > 0
        hidden |= layers["corner"]
    if chosen("panel"):
        rng = canvas.stream("panel")
        layers["panel"] = (x < rng.uniform(-0.25, -0.1)) & (y > rng.uniform(0.12, 0.25))
        hidden |= layers["panel"]
    rgb = np.where(hidden, np.float32(0.01), rgb)
    depth = np.where(hidden, np.minimum(depth, -1e-3), depth)
    rng = canvas.stream("camera")
    if on("camera"):
        rgb = rgb * np.exp(rng.normal(0, 0.08 if wild else 0.04, (3, 1, 1))).astype(np.float32)
        image = camera(rgb, rng.uniform(0, 0.008), rng.uniform(0, 0.02), int(rng.integers(40, 101)), rng)
    else:
        image = camera(rgb, 0, 0, 100, rng)
    return Drawing(image, depth.astype(np.float32), sigma.astype(np.float32), label, layers)
