"""Something to sit on, built around a seated body so that it fits from every side."""

import numpy as np
from jaxtyping import Float

from .figure import Figure
from .shapes import Layer, Stroke, draw, shaded_capsules, shaded_hull

_UNDER_PELVIS = 0.058  # statures from the hips down to the seat
_SEAT, _LEGS, _BACK = 1, 2, 3  # surfaces


def sample_seat(rng: np.random.Generator, figure: Figure, canvas_size: tuple[int, int]) -> tuple[Layer | None, bool]:
    """A chair, stool or bench under a seated figure, and whether it stands before the person: its back hides theirs."""
    axes = figure.body.pelvis_axes
    up, front = axes[:, 1], axes[:, 2]
    knee_height = np.mean(
        [np.dot(figure.body["pelvis"] - figure.body[f"{side}_heel"], up) for side in ("left", "right")]
    )
    legroom = max(float(knee_height) - _UNDER_PELVIS, 0.03)
    half_width = rng.uniform(0.09, 0.14) if rng.random() < 0.8 else rng.uniform(0.2, 0.5)
    rear, edge = -rng.uniform(0.08, 0.12), rng.uniform(0.1, 0.2)
    solid = rng.random() < 0.3
    strokes = [_box(figure, half_width, (rear, edge), (legroom if solid else 0.025), _SEAT)]
    if not solid:
        strokes += _legs(figure, half_width - 0.01, (rear, edge), legroom)
    if has_back := rng.random() < 0.65:
        strokes.append(_back(figure, half_width, rear, rng.uniform(0.18, 0.34)))
    before = has_back and front[2] > 0.35  # seen from behind
    return draw(strokes, canvas_size), bool(before)


def _points(figure: Figure, *places: tuple[float, float, float]) -> tuple[Float[np.ndarray, "N 2"], np.ndarray, float]:
    """Places given as (left, up, front) of the seat, on the canvas; px per stature there; their mean depth."""
    seat = np.array([0.0, -_UNDER_PELVIS, 0.0])
    points = figure.body["pelvis"] + (np.array(places) + seat) @ figure.body.pelvis_axes.T
    return *figure.projection(points), float(points[:, 2].mean())


def _box(figure: Figure, half: float, along: tuple[float, float], thick: float, surface: int) -> Stroke:
    corners = [(x, y, z) for x in (-half, half) for y in (0.0, -thick) for z in along]
    centers, scale, depth = _points(figure, *corners)
    return Stroke(depth + 0.03, surface, shaded_hull(centers, 0.008 * scale, figure.light))


def _back(figure: Figure, half: float, rear: float, high: float) -> Stroke:
    corners = [(x, y, rear - 0.15 * y) for x in (-half, half) for y in (0.03, high)]
    centers, scale, depth = _points(figure, *corners)
    return Stroke(depth, _BACK, shaded_hull(centers, 0.01 * scale, figure.light))


def _legs(figure: Figure, half: float, along: tuple[float, float], high: float) -> list[Stroke]:
    tops = [(x, 0.0, z) for x in (-half, half) for z in along]
    feet = [(x, -high, z) for x, _, z in tops]
    centers, scale, _ = _points(figure, *tops, *feet)
    depths = [_points(figure, top)[2] for top in tops]
    radii = 0.009 * np.stack([scale[:4], scale[4:]], axis=1)
    polygons = shaded_capsules(centers[:4], centers[4:], radii, figure.light)
    return [Stroke(depth + 0.04, _LEGS, limb) for depth, limb in zip(depths, polygons, strict=True)]
