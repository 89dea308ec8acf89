"""Everything that is not a person: backgrounds, furniture, and things that resemble people from afar."""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from . import textures
from .paint import ramp, random_colors
from .shapes import Layer, Stroke, draw, fixed_point, shaded_capsules, shaded_hull

_UP = np.array([0.0, -1.0])


def paint_background(
    size: tuple[int, int], horizon: float, rng: np.random.Generator, light: Float[np.ndarray, "3"]
) -> UInt8[np.ndarray, "H W 3"]:
    """Sky or wall above the horizon (a row of the canvas) and a ground below; sometimes one surface all over.

    Painted at half the resolution of the canvas, as what is far is out of focus.
    """
    height, width = size[0] // 2, size[1] // 2
    image: UInt8[np.ndarray, "h w 3"] = np.empty((height, width, 3), np.uint8)
    theme = _THEMES[int(np.searchsorted(_THEME_SHARES, rng.random()))]
    split = height if rng.random() < 0.12 else int(np.clip(horizon / 2, 0, height))
    for rows, tones in ((slice(0, split), theme[0]), (slice(split, height), theme[1])):
        tall = rows.stop - rows.start
        if tall:
            image[rows] = _textured((tall, width), rng, tones, light)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (5, 5), rng.uniform(0.5, 2.0)).astype(np.uint8, copy=False)
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


# BGR between which a surface is coloured; None is any colour
_Tones = tuple[tuple[int, int, int], tuple[int, int, int]] | None
_SKY: _Tones = ((250, 235, 215), (225, 165, 95))
_OVERCAST: _Tones = ((235, 230, 225), (170, 165, 160))
_GRASS: _Tones = ((50, 90, 70), (80, 170, 130))
_EARTH: _Tones = ((70, 90, 115), (150, 180, 205))
_ASPHALT: _Tones = ((80, 80, 80), (165, 165, 160))
_WALL: _Tones = ((150, 165, 175), (225, 235, 240))
_WOOD: _Tones = ((40, 75, 120), (110, 155, 195))
_DARK: _Tones = ((35, 30, 28), (90, 85, 80))
_THEMES: tuple[tuple[_Tones, _Tones], ...] = (
    *((_SKY, _GRASS), (_SKY, _EARTH), (_OVERCAST, _ASPHALT), (_WALL, _WOOD), (_WALL, _ASPHALT)),
    *((None, _WOOD), (_GRASS, _GRASS), (None, _ASPHALT), (_DARK, None), (None, None)),
)
_THEME_SHARES = np.cumsum([0.08, 0.07, 0.08, 0.09, 0.07, 0.09, 0.08, 0.1, 0.06])


def _textured(
    size: tuple[int, int], rng: np.random.Generator, tones: _Tones, light: Float[np.ndarray, "3"]
) -> UInt8[np.ndarray, "h w 3"]:
    tiles = textures.surfaces()
    tile = tiles[rng.integers(len(tiles))]
    period = np.exp(rng.uniform(np.log(80), np.log(600)))
    angle = (0.0, 0.0, rng.uniform(-0.2, 0.2), rng.uniform(0, np.pi))[rng.integers(4)]
    laid = textures.lay(tile, size, period=period, angle=angle, rng=rng)
    # one colour from a family with its own shade, or any two
    if tones is None:
        first, second = random_colors(rng, 2, vivid=0.3)
        if rng.random() < 0.6:
            second = (first * rng.uniform(0.55, 0.9) + rng.normal(0, 10, 3)).clip(0, 255)
    else:
        ends = np.array(tones, np.float64)
        first, second = (ends[0] + share * (ends[1] - ends[0]) for share in rng.uniform(-0.1, 1.1, 2))
        first, second = first + rng.normal(0, 10, 3), second + rng.normal(0, 10, 3)
    image = cv2.applyColorMap(laid, ramp(np.stack([first, second]), light))
    slope = np.repeat(rng.integers(150, 220, (2, 1, 1), np.uint8), 3, axis=2)  # brightness from top to bottom
    return cv2.multiply(image, cv2.resize(slope, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), scale=1 / 200)


def sample_thing(
    rng: np.random.Generator, foot: tuple[float, float], height: float, canvas_size: tuple[int, int]
) -> Layer | None:
    """Draws a random thing as tall as a person of that height (px) standing at ``foot``; None if out of sight."""
    kind = _THINGS[int(np.searchsorted(_THING_SHARES, rng.random()))]
    light = np.array([rng.uniform(-0.8, 0.8), -0.6])
    return draw(kind(rng, np.array(foot), height, light), canvas_size)


def _bars(light: np.ndarray, *bars: tuple[int, tuple[float, float], tuple[float, float], float, float]) -> list[Stroke]:
    """Capsules as (surface, start, end, start radius, end radius), the later over the earlier."""
    surfaces, starts, ends, first, last = zip(*bars, strict=True)
    polygons = shaded_capsules(np.array(starts), np.array(ends), np.stack([first, last], axis=1), light)
    return [Stroke(-float(k), surface, limb) for k, (surface, limb) in enumerate(zip(surfaces, polygons, strict=True))]


def _pole(rng: np.random.Generator, foot: np.ndarray, height: float, light: np.ndarray) -> list[Stroke]:
    """A lamp post or a pole as thick as a limb."""
    top = foot + height * rng.uniform(0.7, 1.8) * _UP + (rng.normal(0, 0.08) * height, 0)
    radius = height * rng.uniform(0.015, 0.045)
    bars = [(1, tuple(foot), tuple(top), radius, radius * rng.uniform(0.6, 1.0))]
    if rng.random() < 0.6:
        arm = top + height * rng.uniform(-0.25, 0.25, 2) * (1, 0.3)
        bars.append((1, tuple(top), tuple(arm), radius * 0.8, radius * 0.6))
        bars.append((2, tuple(arm), tuple(arm), *(height * rng.uniform(0.03, 0.08),) * 2))
    return _bars(light, *bars)


def _tree(rng: np.random.Generator, foot: np.ndarray, height: float, light: np.ndarray) -> list[Stroke]:
    crown = foot + height * rng.uniform(0.7, 1.3) * _UP
    radius = height * rng.uniform(0.03, 0.08)
    bars = [(1, tuple(foot), tuple(crown), radius, radius * 0.5)]
    for _ in range(rng.integers(3, 7)):
        tip = crown + height * rng.normal(0, 0.16, 2)
        bars.append((1, tuple(0.6 * crown + 0.4 * foot), tuple(tip), radius * 0.4, radius * 0.2))
        bars.append((2, tuple(tip), tuple(tip), *(height * rng.uniform(0.08, 0.2),) * 2))
    return _bars(light, *bars)


def _mannequin(rng: np.random.Generator, foot: np.ndarray, height: float, light: np.ndarray) -> list[Stroke]:
    """A trunk on a stand, perhaps with a blank head, without limbs."""
    waist, chest = foot + 0.5 * height * _UP, foot + 0.78 * height * _UP
    strokes = _bars(light, (2, tuple(foot), tuple(waist), 0.015 * height, 0.015 * height))
    wide = height * rng.uniform(0.08, 0.12)
    across = np.array([wide, 0.0])
    centers = np.stack([waist + 0.5 * across, waist - 0.5 * across, chest + across, chest - across])
    strokes.append(Stroke(-2.0, 1, shaded_hull(centers, np.array([0.06, 0.06, 0.045, 0.045]) * height, light)))
    if rng.random() < 0.6:
        neck, head = chest + 0.03 * height * _UP, chest + 0.13 * height * _UP
        ends = (3, tuple(neck), tuple(head), 0.03 * height, 0.05 * height)
        strokes += [Stroke(-3.0, stroke.surface, stroke.polygons) for stroke in _bars(light, ends)]
    return strokes


def _coat_rack(rng: np.random.Generator, foot: np.ndarray, height: float, light: np.ndarray) -> list[Stroke]:
    top = foot + height * rng.uniform(0.85, 1.1) * _UP
    strokes = _bars(light, (2, tuple(foot), tuple(top), 0.015 * height, 0.015 * height))
    for side in (-1, 1):
        hook = top + height * np.array([side * rng.uniform(0.04, 0.12), rng.uniform(0.02, 0.1)])
        end = hook + height * np.array([rng.normal(0, 0.03), rng.uniform(0.25, 0.5)])
        bar = (1 if side > 0 else 3, tuple(hook), tuple(end), 0.035 * height, rng.uniform(0.05, 0.1) * height)
        strokes += [Stroke(-2.0 - side, stroke.surface, stroke.polygons) for stroke in _bars(light, bar)]
    return strokes


def _limbs(rng: np.random.Generator, foot: np.ndarray, height: float, light: np.ndarray) -> list[Stroke]:
    """Chains of limb-like bars and balls that belong to nobody."""
    at = foot + height * rng.uniform(0.1, 0.9) * _UP
    bars = []
    for _ in range(rng.integers(2, 6)):
        to = at + height * rng.normal(0, 0.16, 2)
        first, last = height * rng.uniform(0.02, 0.055, 2)
        bars.append((int(rng.integers(1, 4)), tuple(at), tuple(to), first, last))
        at = to if rng.random() < 0.7 else at + height * rng.normal(0, 0.1, 2)
    return _bars(light, *bars)


def _box(rng: np.random.Generator, foot: np.ndarray, height: float, light: np.ndarray) -> list[Stroke]:
    """A cupboard, crate or counter: front, side and top."""
    width, tall = height * rng.uniform(0.15, 0.9), height * rng.uniform(0.2, 1.0)
    deep = height * rng.uniform(-0.15, 0.15)
    rise = abs(deep) * rng.uniform(0.2, 0.8)
    left, right = foot[0] - width / 2, foot[0] + width / 2
    top = foot[1] - tall
    front = np.array([(left, top), (right, top), (right, foot[1]), (left, foot[1])])
    edge = right if deep > 0 else left
    side = np.array([(edge, top), (edge + deep, top - rise), (edge + deep, foot[1] - rise), (edge, foot[1])])
    lid = np.array([(left, top), (right, top), (right + deep, top - rise), (left + deep, top - rise)])
    del light
    faces = [(1, side), (2, front), (3, lid)]
    if rng.random() < 0.5:
        inner = front.mean(0) + (front - front.mean(0)) * 0.85
        faces.append((4, inner))
    return [Stroke(-float(k), surface, fixed_point(face[None])) for k, (surface, face) in enumerate(faces)]


def _table(rng: np.random.Generator, foot: np.ndarray, height: float, light: np.ndarray) -> list[Stroke]:
    width, tall, thick = height * rng.uniform(0.3, 0.9), height * rng.uniform(0.25, 0.55), height * 0.015
    across = np.array([width / 2, 0.0])
    left, right = foot - across, foot + across
    top_left, top_right = left + tall * _UP, right + tall * _UP
    bars = [
        (1, tuple(left), tuple(top_left), thick, thick),
        (1, tuple(right), tuple(top_right), thick, thick),
        (2, tuple(top_left), tuple(top_right), 1.6 * thick, 1.6 * thick),
    ]
    if rng.random() < 0.5:  # a chair: something to lean on
        back = top_left + tall * rng.uniform(0.6, 1.2) * _UP
        bars.append((3, tuple(top_left), tuple(back), 2 * thick, 2 * thick))
    return _bars(light, *bars)


_THINGS: tuple[Callable[[np.random.Generator, np.ndarray, float, np.ndarray], list[Stroke]], ...] = (
    _pole,
    _tree,
    _mannequin,
    _coat_rack,
    _limbs,
    _box,
    _table,
)
_THING_SHARES = np.cumsum([0.18, 0.14, 0.12, 0.1, 0.14, 0.2])
