"""Flat shapes and the layers they are drawn on.

A layer is a small image of labels around one person or thing. A label says which surface shows at a pixel and how
brightly it is lit: ``label = surface * LEVELS + level``, surface 0 being nothing. Colours come later, from a palette.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float64, Int, UInt8

LEVELS = 4
_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws with
_ARC = 7  # corners of half a circle
# shrinkage of the radius and shift towards the light, in radii, of each level from dark rim to highlight
_SHADING = ((1.0, 0.0), (0.82, 0.16), (0.6, 0.3), (0.3, 0.45))


@dataclass(frozen=True)
class Stroke:
    """One polygon per level, drawn over everything of its layer that is farther away."""

    depth: float
    surface: int
    polygons: list[Int[np.ndarray, "N 2"]]


@dataclass(frozen=True)
class Layer:
    """Labels of one person or thing.

    Attributes:
        labels: See the module; 0 where the layer is empty.
        x: Column of the canvas where ``labels`` begins.
        y: Row likewise.
    """

    labels: UInt8[np.ndarray, "h w"]
    x: int
    y: int

    @property
    def window(self) -> tuple[slice, slice]:
        """The part of the canvas that it covers."""
        height, width = self.labels.shape
        return slice(self.y, self.y + height), slice(self.x, self.x + width)


def capsules(
    start: Float[np.ndarray, "N 2"],
    end: Float[np.ndarray, "N 2"],
    start_radius: Float[np.ndarray, " N"],
    end_radius: Float[np.ndarray, " N"],
) -> Float64[np.ndarray, "N M 2"]:
    """Outlines of tapered limbs: the convex hull of a circle at either end, in px."""
    along = end - start
    length = np.hypot(along[:, 0], along[:, 1])
    difference = start_radius - end_radius
    swallowed = length <= np.abs(difference) + 1e-6  # seen end on: one circle hides the other
    keep_start = swallowed & (difference >= 0)
    end = np.where(keep_start[:, None], start, end)
    end_radius = np.where(keep_start, start_radius, end_radius)
    keep_end = swallowed & (difference < 0)
    start = np.where(keep_end[:, None], end, start)
    start_radius = np.where(keep_end, end_radius, start_radius)
    angle = np.arctan2(along[:, 1], along[:, 0])
    ratio = np.where(swallowed, 0.0, difference / np.maximum(length, 1e-6))
    tangent = np.arccos(ratio.clip(-1, 1))
    step = np.linspace(0, 1, _ARC)
    around_start = (angle + tangent)[:, None] + (2 * np.pi - 2 * tangent)[:, None] * step
    around_end = (angle - tangent)[:, None] + 2 * tangent[:, None] * step
    arc_start = start[:, None] + start_radius[:, None, None] * _unit(around_start)
    arc_end = end[:, None] + end_radius[:, None, None] * _unit(around_end)
    return np.concatenate([arc_start, arc_end], axis=1)


def shaded_capsules(
    start: Float[np.ndarray, "N 2"],
    end: Float[np.ndarray, "N 2"],
    start_radius: Float[np.ndarray, " N"],
    end_radius: Float[np.ndarray, " N"],
    light: Float[np.ndarray, "2"],
) -> list[list[Int[np.ndarray, "M 2"]]]:
    """For each limb, its polygons from dark rim to highlight."""
    outlines = []
    for shrink, shift in _SHADING:
        offset = shift * light
        outlines.append(
            capsules(
                start + offset * start_radius[:, None],
                end + offset * end_radius[:, None],
                shrink * start_radius,
                shrink * end_radius,
            )
        )
    fixed = fixed_point(np.stack(outlines, axis=1))
    return [list(limb) for limb in fixed]


def shaded_hull(
    centers: Float[np.ndarray, "N 2"], radii: Float[np.ndarray, " N"], light: Float[np.ndarray, "2"]
) -> list[Int[np.ndarray, "_ 2"]]:
    """Polygons, from dark rim to highlight, of the convex hull of some circles."""
    circle = _unit(np.linspace(0, 2 * np.pi, 12, endpoint=False))
    points = (centers[:, None] + radii[:, None, None] * circle).reshape(-1, 2).astype(np.float32)
    outline = cv2.convexHull(points)[:, 0].astype(np.float64)
    middle, depth = outline.mean(0), radii.mean()
    return [fixed_point(middle + (outline - middle) * shrink + shift * light * depth) for shrink, shift in _SHADING]


def fixed_point(points: Float[np.ndarray, "*N 2"]) -> Int[np.ndarray, "*N 2"]:
    """Pixels to what OpenCV draws with."""
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


def draw(strokes: list[Stroke], canvas_size: tuple[int, int]) -> Layer | None:
    """Draws strokes from the farthest to the nearest; None if they all lie outside the canvas (height, width)."""
    corners = np.concatenate([stroke.polygons[0] for stroke in strokes])
    low = np.maximum((corners.min(0) >> _SHIFT) - 2, 0)
    high = np.minimum((corners.max(0) >> _SHIFT) + 3, (canvas_size[1], canvas_size[0]))
    if (high <= low).any():
        return None
    labels = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    origin = (low << _SHIFT).astype(np.int32)
    for stroke in sorted(strokes, key=lambda stroke: -stroke.depth):
        for level, polygon in enumerate(stroke.polygons):
            cv2.fillPoly(labels, [polygon - origin], stroke.surface * LEVELS + level, cv2.LINE_8, _SHIFT)
    return Layer(labels, int(low[0]), int(low[1]))


def _unit(angles: Float[np.ndarray, "*N"]) -> Float[np.ndarray, "*N 2"]:
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)
