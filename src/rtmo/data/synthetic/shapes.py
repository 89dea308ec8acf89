"""Flat shapes and the layers they are drawn on.

A layer is a small image of labels around one person or thing. A label says which surface shows at a pixel and how
brightly it is lit: ``label = surface * LEVELS + level``, surface 0 being nothing. Colours come later, from a palette.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

LEVELS = 4
_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws with
_ARC = np.linspace(0, 1, 7)  # corners of half a circle
_ANGLES = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
# of each level, from dark rim to highlight: radius and shift towards the light, in radii of the whole
_SHRINK = np.array([1.0, 0.82, 0.6, 0.3])
_TOWARDS_LIGHT = np.array([0.0, 0.16, 0.3, 0.45])


class Stroke(NamedTuple):
    """One polygon per level, in OpenCV's fixed point, drawn over everything of its layer that is farther away."""

    depth: float
    surface: int
    polygons: Int[np.ndarray, "levels M 2"]


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

    @property
    def mask(self) -> Bool[np.ndarray, "h w"]:
        return self.labels > 0


def shaded_capsules(
    start: Float[np.ndarray, "N 2"],
    end: Float[np.ndarray, "N 2"],
    radii: Float[np.ndarray, "N 2"],
    light: Float[np.ndarray, "2"],
) -> Int[np.ndarray, "N levels M 2"]:
    """Outlines, from dark rim to highlight, of tapered limbs: the convex hull of a circle at either end, in px."""
    along = end - start
    length = np.sqrt((along**2).sum(1))
    difference = radii[:, 0] - radii[:, 1]
    swallowed = length <= np.abs(difference) + 1e-6  # seen end on: the bigger circle is all there is
    if swallowed.any():
        first = (swallowed & (difference >= 0))[:, None]
        second = (swallowed & (difference < 0))[:, None]
        start, end = np.where(second, end, start), np.where(first, start, end)
        radii = np.where(swallowed[:, None], radii.max(1, keepdims=True), radii)
    tangent = np.arccos(np.where(swallowed, 0.0, difference / np.maximum(length, 1e-6)))
    angle = np.arctan2(along[:, 1], along[:, 0])
    angles = np.concatenate(
        [
            (angle + tangent)[:, None] + (2 * np.pi - 2 * tangent)[:, None] * _ARC,
            (angle - tangent)[:, None] + (2 * tangent)[:, None] * _ARC,
        ],
        axis=1,
    )
    unit = np.empty((*angles.shape, 2))
    np.cos(angles, out=unit[..., 0])
    np.sin(angles, out=unit[..., 1])
    half = len(_ARC)
    center, radius = np.repeat(np.stack([start, end], 1), half, axis=1), np.repeat(radii, half, axis=1)
    offsets = _SHRINK[:, None, None] * unit[:, None] + _TOWARDS_LIGHT[:, None, None] * light
    return fixed_point(center[:, None] + radius[:, None, :, None] * offsets)


def shaded_hull(
    centers: Float[np.ndarray, "N 2"], radii: Float[np.ndarray, " N"], light: Float[np.ndarray, "2"]
) -> Int[np.ndarray, "levels M 2"]:
    """Polygons, from dark rim to highlight, of the convex hull of some circles."""
    points = (centers[:, None] + radii[:, None, None] * _CIRCLE).reshape(-1, 2).astype(np.float32)
    outline = cv2.convexHull(points)[:, 0].astype(np.float64)
    middle = outline.mean(0)
    shift = _TOWARDS_LIGHT[:, None, None] * light * radii.mean()
    return fixed_point(middle + _SHRINK[:, None, None] * (outline - middle) + shift)


def fixed_point(points: Float[np.ndarray, "*N 2"]) -> Int[np.ndarray, "*N 2"]:
    """Pixels to what OpenCV draws with."""
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


def draw(strokes: Sequence[Stroke], canvas_size: tuple[int, int]) -> Layer | None:
    """Draws strokes from the farthest to the nearest; None if they all lie outside the canvas (height, width)."""
    corners = np.concatenate([stroke.polygons[0] for stroke in strokes])
    left, top = ((corners.min(0) >> _SHIFT) - 2).clip(0).tolist()
    right, bottom = ((corners.max(0) >> _SHIFT) + 3).tolist()
    right, bottom = min(right, canvas_size[1]), min(bottom, canvas_size[0])
    if right <= left or bottom <= top:
        return None
    labels = np.zeros((bottom - top, right - left), np.uint8)
    offset = (-left << _SHIFT, -top << _SHIFT)
    for stroke in sorted(strokes, key=lambda stroke: -stroke.depth):
        label = stroke.surface * LEVELS
        for polygon in stroke.polygons:
            cv2.fillPoly(labels, [polygon], label, cv2.LINE_8, _SHIFT, offset)
            label += 1
    return Layer(labels, left, top)
