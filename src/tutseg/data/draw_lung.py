"""Axial CT slices of the chest from numbers: lungs with an exact mask, vessels, ground glass and consolidation.

Grey values are Hounsfield units shown through a lung window of varying centre and width.
"""

import math

import numpy as np

from tutseg.data.draw_canvas import Canvas, Drawing, camera, grid, level_depth, log_uniform, smoothstep, soften

FEATURES = {
    "texture": "quantum noise and the grain of lung tissue",
    "vessels": "vessels and airways in the lungs",
    "bones": "ribs, spine and breastbone",
    "heart": "heart and large vessels between the lungs",
    "ground-glass": "hazy areas that leave the vessels visible",
    "consolidation": "dense areas that hide the vessels",
    "crazy-paving": "a fine mesh over ground glass",
    "camera": "reconstruction kernel and JPEG",
}
ARTEFACTS = ("table", "streaks")
TARGETS = ("infection", "lungs")
AIR, LUNG, FAT, TISSUE, BONE = -1000.0, -850.0, -90.0, 45.0, 500.0  # Hounsfield units
MIXTURE = {"synth": {"table": 0.5, "streaks": 0.1}, "synth-wild": {"table": 0.5, "streaks": 0.2}}


def ellipse(x: np.ndarray, y: np.ndarray, cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
    """About the signed distance to an ellipse, > 0 inside, in picture widths."""
    return (1 - np.hypot((x - cx) / rx, (y - cy) / ry)) * min(rx, ry)


def rounded(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """The lesser of two depths, the corner between them rounded off."""
    return -radius * np.logaddexp(-a / radius, -b / radius)


def grow(branches: list, x: float, y: float, angle: float, width: float, rng: np.random.Generator) -> None:
    """Add a vessel that runs on from (x, y), thins and forks to `branches`, as polylines for `Canvas.strokes`."""
    length, *turns = rng.uniform(-1, 1, 5).tolist()
    step = width * (8 + 3 * length) / 4
    points = [(x, y)]
    for turn in turns:
        angle += 0.3 * turn
        x, y = x + step * math.cos(angle), y + step * math.sin(angle)
        points.append((x, y))
    branches.append((np.array(points), width))
    if width > 0.0045:
        for side in (-1, 1):
            fork, thin = rng.random(2).tolist()
            grow(branches, x, y, angle + side * (0.2 + 0.5 * fork), width * (0.55 + 0.25 * thin), rng)


def draw(
    canvas: Canvas,
    style: str,
    clinic: str | None,
    artefacts: tuple[str, ...] | None,
    without: tuple[str, ...],
    target: str = "infection",
) -> Drawing:
    """Draw one slice; layers hold ``lungs``, ``ground-glass`` and ``consolidation`` besides artefacts.

    Parameters are those of `tutseg.data.draw_dermoscopy.draw`; clinic "a" reconstructs sharp, "b" smooth and with the
    body small in the picture. `target` is what the mask shows.
    """

    def on(feature: str) -> bool:
        return feature not in without

    wide = 1.5 if style == "synth-wild" else 1.0
    rng = canvas.stream("body")
    zoom = rng.uniform(0.75, 0.9) if clinic == "b" else rng.uniform(0.9, 1.25)
    x, y = grid(canvas.size)
    x, y = (x - rng.normal(0, 0.015)) / zoom, (y - rng.normal(0, 0.015)) / zoom
    x = x + 0.012 * wide * canvas.noise(rng, 2, 10)
    y = y + 0.012 * wide * canvas.noise(rng, 2, 10)
    rx, ry = rng.uniform(0.43, 0.48), rng.uniform(0.3, 0.36)
    body = ellipse(x, y, 0, 0, rx, ry)
    wall = rng.uniform(0.02, 0.06)
    hu = np.where(body > wall, TISSUE, FAT).astype(np.float32)
    hu = np.where(body > 0, hu + 25 * canvas.noise(rng, 1, 48), AIR)

    # Each lung is an ellipse less the middle of the chest; the heart dents the left one (right in the picture).
    inner_x, inner_y = rx - wall - 0.03, ry - wall - 0.02
    gap = rng.uniform(0.02, 0.04)
    chest = ellipse(x, y, 0, 0, inner_x, inner_y) + 0.01 * canvas.noise(rng, 1.5, 16)
    middle = np.abs(x) - gap * (1 + 1.2 * smoothstep(0.5 + y * 3)) - 0.008 * canvas.noise(rng, 1.5, 16)
    lung = rounded(chest, middle, 0.03)
    heart_x, heart_y, heart_r = rng.uniform(0.01, 0.07), rng.uniform(-0.14, -0.04), rng.uniform(0.06, 0.14)
    if on("heart"):
        heart = ellipse(x, y, heart_x, heart_y, heart_r * 1.1, heart_r) + 0.006 * canvas.noise(rng, 1.5, 16)
        lung = rounded(lung, -heart, 0.02)
        hu = np.where((heart > 0) & (body > wall), TISSUE + 20, hu)
    lung = lung - rng.uniform(0, 0.05)  # slices near the diaphragm and the apex show smaller lungs
    lungs = lung > 0

    if on("bones"):
        rng = canvas.stream("bones")
        spine = ellipse(x, y, 0, inner_y + 0.02, 0.05, 0.045)
        hu = np.where((spine > 0) & ~lungs, BONE + 120 * canvas.noise(rng, 0.5, 64), hu)
        around = np.arctan2(y / inner_y, x / inner_x)
        rib = np.abs(chest + 0.018) - 0.011
        arcs = np.cos(int(rng.integers(7, 12)) * around + rng.uniform(0, 6)) > rng.uniform(-0.1, 0.5)
        hu = np.where((rib < 0) & arcs & (np.abs(x) > 0.06), BONE + 200 * (rib < -0.006), hu)
    rng = canvas.stream("lung")
    depth_of_field = y / inner_y  # blood sinks: the back of the lungs is denser
    tissue = LUNG + rng.normal(0, 25) + 35 * depth_of_field + 12 * canvas.noise(rng, 1.5, 24)
    vessel = np.zeros_like(tissue)
    if on("vessels"):
        rng = canvas.stream("vessels")
        branches = []
        for side in (-1, 1):
            for _ in range(rng.integers(4, 9)):
                hilum = side * rng.uniform(gap, gap + 0.06), rng.uniform(-0.06, 0.08)
                outward = rng.normal(0 if side > 0 else math.pi, 0.9)
                grow(branches, *hilum, outward, rng.uniform(0.006, 0.014), rng)
        vessel = canvas.strokes(branches)
        dots = smoothstep((canvas.noise(rng, 0.4, 96, 12) - rng.uniform(1.6, 2.4)) * 2)  # vessels seen end on
        vessel = np.maximum(vessel, dots * rng.uniform(0.4, 0.9))

    # Disease: smooth patches, more of it at the back and at the rim of the lungs.
    rng = canvas.stream("disease")
    rim = smoothstep(1 - lung / rng.uniform(0.06, 0.2))
    field = canvas.noise(rng, rng.uniform(1.4, 2.2), 24) + rng.uniform(0, 1) * rim + rng.uniform(0, 1) * depth_of_field
    share = log_uniform(rng, 0.01, 0.6)
    seats = field[lungs] if lungs.any() else field.ravel()
    depth = np.minimum(level_depth(field - np.quantile(seats, 1 - share)), lung)
    blur = log_uniform(rng, 0.004, 0.04)
    haze = rng.uniform(180, 420) / wide ** rng.uniform(-1, 1)
    glass, dense = np.zeros_like(lungs), np.zeros_like(lungs)
    if on("ground-glass") and on("lesion"):
        glass = lungs & (depth > 0)
        amount = smoothstep(depth / blur + 0.3) * lungs
        mesh = np.exp(-((canvas.noise(rng, 0.2, 96, 24) / 0.3) ** 2)) if on("crazy-paving") else 0
        grain = 0.15 * canvas.noise(rng, 0.8, 64) if on("texture") else 0
        tissue = tissue + amount * haze * (1 + grain + rng.choice([0.0, 0.5]) * mesh)
    tissue = tissue + vessel * 650 * np.clip((TISSUE - tissue) / (TISSUE - LUNG), 0, 1)
    if on("consolidation") and on("lesion"):
        rng = canvas.stream("consolidation")
        if rng.random() < 0.5:
            core = level_depth(canvas.noise(rng, 1.6, 24) - rng.uniform(-0.3, 1))
            core = np.minimum(core, depth - rng.uniform(0, 0.01))
            dense = lungs & (core > 0)
            tissue = tissue + smoothstep(core / 0.012 + 0.3) * lungs * (TISSUE - 40 - tissue)
    infection = glass | dense
    hu = np.where(lungs, np.minimum(tissue, TISSUE + 60), hu)

    layers = {"lungs": lungs, "ground-glass": glass & ~dense, "consolidation": dense}
    for name in ARTEFACTS:
        rng = canvas.stream(name)
        chosen = rng.random() < MIXTURE[style][name] if artefacts is None else name in artefacts
        if not chosen or not on(name):
            continue
        if name == "table":
            top = ry * zoom + rng.uniform(0.015, 0.04)
            gx, gy = grid(canvas.size)
            layers["table"] = np.abs(gy - top - 0.25 * gx**2 * rng.choice([-1, 1])) < rng.uniform(0.003, 0.008)
            hu = np.where(layers["table"] & (body <= 0), rng.uniform(-400, 0), hu)
        else:
            seat = rng.uniform(-0.3, 0.3, 2)
            gx, gy = grid(canvas.size)
            rays = np.cos(int(rng.integers(6, 14)) * np.arctan2(gy - seat[1], gx - seat[0]))
            reach = np.exp(-np.hypot(gx - seat[0], gy - seat[1]) / 0.25)
            layers["streaks"] = (rays > 0.9) & (reach > 0.3) & (body > 0)
            hu = hu + rng.uniform(150, 500) * reach * np.sign(rays) * np.abs(rays) ** 8 * (body > 0)
    rng = canvas.stream("camera")
    dose = rng.uniform(15, 60) * (1.5 if clinic == "a" else 1)
    if on("texture"):
        hu = hu + dose * canvas.noise(rng, 0.2, 128, 8)
    if on("camera"):
        hu = soften(hu, 0.006 if clinic == "b" else rng.uniform(0.0, 0.004))
    centre, width = rng.uniform(-620, -420), rng.uniform(1200, 1600)
    grey = np.clip((hu - centre) / width + 0.5, 0, 1).astype(np.float32)
    quality = int(rng.integers(60, 101)) if on("camera") else 100
    image = camera(np.broadcast_to(grey, (3, canvas.size, canvas.size)), 0, 0, quality, rng)
    if target == "lungs":
        depth, shown, sigma = lung, lungs, np.full_like(lung, 0.004)
    else:
        shown, sigma = infection, np.full_like(lung, 0.5 * blur * (1 + 100 / haze))
    depth = np.where(shown, np.maximum(depth, 1e-4), np.minimum(depth, -1e-4))
    label = "healthy" if not infection.any() else "consolidation" if dense.any() else "ground-glass"
    return Drawing(image, depth.astype(np.float32), sigma.astype(np.float32), label, layers)
