"""Colours: palettes from surfaces to BGR, and the painting of labelled layers with them."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from . import textures
from .outfit import SURFACE, SURFACES, Outfit, indices
from .shapes import LEVELS, Layer

# BGR, from light skin to dark and through the natural colours of hair
_SKIN = np.array(
    [(188, 208, 240), (150, 180, 225), (110, 145, 200), (75, 105, 160), (48, 70, 112), (32, 45, 72)], np.float64
)
_HAIR = np.array(
    [(25, 22, 22), (30, 40, 60), (40, 65, 100), (90, 150, 190), (40, 80, 150), (150, 150, 155)], np.float64
)
_SMOOTHING = 0.008  # statures
_SHADE = np.array([0.66, 0.84, 1.0, 1.1])
_SHADES = np.tile(_SHADE, (256 // LEVELS, 1))
_SHADES[indices("face", "eye", "pupil", "brow", "mouth")] = (0.95, 1.02, 1.05, 1.1)

_SHIRT = indices("chest", "belly", "sleeve", "cuff")
_TROUSERS = indices("pelvis", "trouser", "hem")
_BODY = ("neck", "upper_arm", "forearm", "hand", "thigh", "shank", "foot", "pack", "hair", "long_hair")
_FEET, _EARS, _SKIRT = indices("foot"), indices("left_ear", "right_ear"), indices("skirt")


def _labels_of(surfaces: list[int]) -> UInt8[np.ndarray, " 256"]:
    """A table that is 255 at the labels of some surfaces."""
    table = np.zeros((256 // LEVELS, LEVELS), np.uint8)
    table[surfaces] = 255
    return table.reshape(256)


_IS_BODY = _labels_of(indices(*_BODY) + _SHIRT + _TROUSERS + _SKIRT)
_IS_SHIRT, _IS_TROUSERS = _labels_of(_SHIRT + _SKIRT), _labels_of(_TROUSERS)


def _part_colors() -> Float[np.ndarray, "N 3"]:
    """BGR of every surface, whatever is worn there: left limbs in warm colours, right ones in cold."""
    colors = np.empty((len(SURFACES), 3))
    colors[:] = (120, 120, 120)
    for names, color in {
        ("chest", "belly", "pack"): (40, 200, 230),
        ("pelvis", "skirt"): (160, 160, 160),
        ("skull", "hair", "long_hair", "brim"): (30, 30, 30),
        ("neck", "face", "mouth"): (190, 210, 240),
        ("nose",): (60, 60, 250),
        ("eye", "pupil", "brow"): (250, 250, 250),
        ("left_ear",): (0, 120, 255),
        ("right_ear",): (255, 120, 0),
        ("left_upper_arm", "left_sleeve"): (60, 60, 220),
        ("left_forearm", "left_cuff"): (140, 140, 255),
        ("left_hand",): (0, 0, 130),
        ("right_upper_arm", "right_sleeve"): (220, 60, 60),
        ("right_forearm", "right_cuff"): (255, 150, 140),
        ("right_hand",): (130, 0, 0),
        ("left_thigh", "left_trouser"): (200, 60, 200),
        ("left_shank", "left_hem"): (240, 150, 240),
        ("left_foot",): (110, 0, 110),
        ("right_thigh", "right_trouser"): (60, 180, 60),
        ("right_shank", "right_hem"): (140, 240, 140),
        ("right_foot",): (0, 100, 0),
    }.items():
        colors[[SURFACE[name] for name in names]] = color
    return colors


_PARTS = _part_colors()


def random_colors(rng: np.random.Generator, count: int, vivid: float) -> Float[np.ndarray, "N 3"]:
    """BGR; a share of ``vivid`` is saturated, the others are muted or grey as most things are."""
    hue, saturation, value = rng.random((3, count))
    saturation *= np.where(rng.random(count) < vivid, 0.9, 0.35)
    wheel = (2 - np.abs((6 * hue[:, None] - (1, 5, 3)) % 6 - 3)).clip(0, 1)
    return 255 * (0.12 + 0.85 * value)[:, None] * (1 - saturation[:, None] * wheel)


def _between(rng: np.random.Generator, tones: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "3"]:
    """A tone somewhere along a scale."""
    at = rng.uniform(0, len(tones) - 1.001)
    low = int(at)
    return tones[low] + (at - low) * (tones[low + 1] - tones[low])


def _palette(
    colors: Float[np.ndarray, "N 3"], light: Float[np.ndarray, "3"], contrast: float
) -> UInt8[np.ndarray, "256 1 3"]:
    """BGR of every label: the surface's colour times the shade of its level, under coloured light."""
    table = np.zeros((256 // LEVELS, LEVELS, 3))
    shades = 1 + contrast * (_SHADES[: len(colors)] - 1)
    np.multiply(shades[:, :, None], (colors * light)[:, None], out=table[: len(colors)])
    return table.clip(0, 255).astype(np.uint8).reshape(256, 1, 3)


def _dress(rng: np.random.Generator, outfit: Outfit) -> Float[np.ndarray, "2 N 3"]:
    """Colours of all surfaces of a person, then the same with the second colour of patterns in the clothes."""
    shirt, trousers, skirt, shoes, pack, cap, *seconds = random_colors(rng, 9, vivid=0.6)
    skin, hair = _between(rng, _SKIN), _between(rng, _HAIR)
    chance = rng.random(2)
    if chance[0] < 0.4:  # jeans and dark cloth are what people wear
        trousers = np.array([1.25, 0.95, 0.75]) * rng.uniform(30, 150)
    if chance[1] < 0.5:
        skirt = shirt  # a dress
    colors = np.empty((2, len(SURFACES), 3))
    first = colors[0]
    first[:] = skin
    first[_SHIRT], first[_TROUSERS], first[_SKIRT], first[_FEET], first[_EARS] = (
        shirt,
        trousers,
        skirt,
        shoes,
        0.9 * skin,
    )
    for name, color in {
        "hair": cap if outfit.cap else hair,
        "long_hair": hair,
        "brim": 0.8 * cap,
        "brow": 0.5 * hair,
        "pack": pack,
        "eye": (235, 238, 240),
        "pupil": (30, 28, 25),
        "nose": 0.93 * skin,
        "mouth": skin * (0.55, 0.55, 0.85),
    }.items():
        first[SURFACE[name]] = color
    colors[1] = first
    for surfaces, second in zip((_SHIRT, _TROUSERS, _SKIRT), seconds, strict=True):
        colors[1, surfaces] = 0.25 * first[surfaces] + 0.75 * second
    return colors


def paint_person(
    canvas: UInt8[np.ndarray, "H W 3"],
    layer: Layer,
    outfit: Outfit,
    rng: np.random.Generator,
    *,
    light: Float[np.ndarray, "3"],
    height: float,
    angle: float,
) -> None:
    """Paints a person onto the canvas in place.

    ``light`` is the gain of each channel, ``height`` one stature in px, the scale of patterns, and ``angle`` turns
    them with the trunk (radians).
    """
    first, second = _dress(rng, outfit)
    contrast = rng.uniform(0.5, 1.2)
    base = _shaded(layer.labels, _palette(first, light, contrast), height)
    patterned = rng.random(2) < (0.6, 0.2)
    if patterned.any():
        mask = _pattern(layer.labels, rng, patterned, height, angle)
        cv2.copyTo(_shaded(layer.labels, _palette(second, light, contrast), height), mask, base)
    cv2.copyTo(base, layer.labels, canvas[layer.window])


def paint_parts(
    canvas: UInt8[np.ndarray, "H W 3"], layer: Layer, *, light: Float[np.ndarray, "3"], height: float
) -> None:
    """Paints a person onto the canvas in place, every part of the body in the colour that it has on all people."""
    cv2.copyTo(_shaded(layer.labels, _palette(_PARTS, light, 1.0), height), layer.labels, canvas[layer.window])


def _shaded(
    labels: UInt8[np.ndarray, "h w"], palette: UInt8[np.ndarray, "256 1 3"], height: float
) -> UInt8[np.ndarray, "h w 3"]:
    """Coloured labels; below the neck the steps between levels are smoothed, the face stays sharp."""
    image = cv2.applyColorMap(labels, palette)
    reach = int(_SMOOTHING * height)
    if reach:
        size = (2 * reach + 1, 2 * reach + 1)
        cv2.copyTo(cv2.blur(image, size), cv2.LUT(labels, _IS_BODY), image)
    return image


def _pattern(
    labels: UInt8[np.ndarray, "h w"], rng: np.random.Generator, patterned: np.ndarray, height: float, angle: float
) -> UInt8[np.ndarray, "h w"]:
    """Where the clothes show their second colour."""
    mask = np.zeros_like(labels)
    for wanted, table in zip(patterned, (_IS_SHIRT, _IS_TROUSERS), strict=True):
        if wanted:
            tile = textures.patterns()[rng.integers(len(textures.patterns()))]
            period = max(height * np.exp(rng.uniform(np.log(0.1), np.log(0.9))), 12.0)
            laid = textures.lay(tile, labels.shape, period=period, angle=angle, rng=rng, smooth=False)
            mask |= cv2.bitwise_and(laid, cv2.LUT(labels, table))
    return mask


def paint_thing(
    canvas: UInt8[np.ndarray, "H W 3"], layer: Layer, rng: np.random.Generator, light: Float[np.ndarray, "3"]
) -> None:
    """Paints a thing onto the canvas in place: each of its surfaces has a colour, and one texture lies over all."""
    colors = random_colors(rng, 8, vivid=0.4)
    if rng.random() < 0.25:
        colors[1] = _between(rng, _SKIN)
    base = cv2.applyColorMap(layer.labels, _palette(colors, light, 0.75))
    tile = textures.surfaces()[rng.integers(len(textures.surfaces()))]
    period, angle = np.exp(rng.uniform(np.log(40), np.log(400))), rng.uniform(0, np.pi)
    laid = textures.lay(tile, layer.labels.shape, period=period, angle=angle, rng=rng, smooth=False)
    strength = rng.uniform(0.1, 0.5)
    grain = cv2.convertScaleAbs(laid, alpha=strength, beta=255 * (1 - 0.75 * strength))
    base = cv2.multiply(base, cv2.cvtColor(grain, cv2.COLOR_GRAY2BGR), scale=1 / 255)
    cv2.copyTo(base, layer.labels, canvas[layer.window])


def darken(canvas: UInt8[np.ndarray, "H W 3"], center: tuple[float, float], radius: float, strength: float) -> None:
    """Paints a soft shadow on the ground in place: an ellipse three times as wide as high."""
    half = (int(radius) + 1, int(radius / 3) + 1)
    left, top = int(center[0]) - half[0], int(center[1]) - half[1]
    right, bottom = left + 2 * half[0], top + 2 * half[1]
    window = canvas[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if not window.size:
        return
    gain = _shadow_spot(strength)
    gain = cv2.resize(gain, (2 * half[0], 2 * half[1]), interpolation=cv2.INTER_LINEAR)
    part = gain[max(-top, 0) :, max(-left, 0) :][: window.shape[0], : window.shape[1]]
    window[:] = cv2.multiply(window, part, scale=1 / 255)


def _shadow_spot(strength: float) -> UInt8[np.ndarray, "16 16 3"]:
    """Gain around a shadow, 255 outside."""
    row, column = (np.mgrid[:16, :16] - 7.5) / 7.5
    dark = (1 - row**2 - column**2).clip(0, 1)
    return np.repeat((255 * (1 - strength * dark)).astype(np.uint8)[..., None], 3, axis=2)


def ramp(ends: Float[np.ndarray, "2 3"], light: Float[np.ndarray, "3"]) -> UInt8[np.ndarray, "256 1 3"]:
    """A palette that runs from one colour to another."""
    along = np.arange(256)[:, None] / 255
    return ((ends[0] + along * (ends[1] - ends[0])) * light).clip(0, 255).astype(np.uint8).reshape(256, 1, 3)
