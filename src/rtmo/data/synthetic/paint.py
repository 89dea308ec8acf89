"""Colours: palettes from surfaces to BGR, and the painting of labelled layers with them."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from . import textures
from .figure import SURFACE, SURFACES, Outfit
from .shapes import LEVELS, Layer

# light skin to dark and hair black to white, BGR
_SKIN = np.array([(188, 208, 240), (150, 180, 225), (110, 145, 200), (75, 105, 160), (48, 70, 112), (32, 45, 72)], float)
_HAIR = np.array([(25, 22, 22), (30, 40, 60), (40, 65, 100), (90, 150, 190), (40, 80, 150), (150, 150, 155)], float)
_SHADE = np.array([0.66, 0.84, 1.0, 1.1])
_FLAT_SHADE = np.array([0.95, 1.02, 1.05, 1.1])
_FLAT = ("face", "eye", "pupil", "brow", "mouth")
_SKIN_SURFACES = ("neck", "skull", "face", "nose", "upper_arm", "forearm", "hand", "thigh", "shank", "ear")
_SHIRT_SURFACES = ("chest", "belly", "sleeve", "cuff")
_TROUSER_SURFACES = ("pelvis", "trouser", "hem")


def random_color(rng: np.random.Generator) -> Float[np.ndarray, "3"]:
    """A colour as clothes and walls have them: often muted, sometimes vivid, sometimes grey."""
    saturation = rng.uniform(0, 0.25) if rng.random() < 0.35 else rng.uniform(0.2, 0.9)
    value = rng.uniform(0.1, 0.98)
    hue = 6 * rng.random()
    channels = [1 - saturation * np.clip(2 - abs((hue - shift) % 6 - 3), 0, 1) for shift in (1, 5, 3)]
    return 255 * value * np.array(channels)


def _between(rng: np.random.Generator, tones: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "3"]:
    """A tone somewhere along a scale."""
    at = rng.uniform(0, len(tones) - 1.001)
    low = int(at)
    return tones[low] + (at - low) * (tones[low + 1] - tones[low])


def palette(
    colors: dict[str, Float[np.ndarray, "3"]], light: Float[np.ndarray, "3"], contrast: float
) -> UInt8[np.ndarray, "256 1 3"]:
    """BGR of every label: the surface's colour times the shade of the level, under coloured light."""
    table = np.zeros((256 // LEVELS, LEVELS, 3))
    for name, color in colors.items():
        shade = _FLAT_SHADE if name in _FLAT else _SHADE
        table[SURFACE[name]] = (1 + contrast * (shade - 1))[:, None] * color
    return (table * light).clip(0, 255).astype(np.uint8).reshape(256, 1, 3)


def _dress(
    rng: np.random.Generator, outfit: Outfit
) -> tuple[dict[str, Float[np.ndarray, "3"]], dict[str, Float[np.ndarray, "3"]]]:
    """Colours of all surfaces of a person, and those of the pattern on its clothes."""
    skin, hair = _between(rng, _SKIN), _between(rng, _HAIR) * rng.uniform(0.8, 1.2)
    shirt, trousers, skirt, shoes, pack, cap = (random_color(rng) for _ in range(6))
    if rng.random() < 0.4:  # jeans and dark cloth are what people wear
        trousers = np.array([1.25, 0.95, 0.75]) * rng.uniform(30, 150)
    if rng.random() < 0.5:
        skirt = shirt  # a dress
    colors = dict.fromkeys(SURFACES, skin)
    for names, color in ((_SHIRT_SURFACES, shirt), (_TROUSER_SURFACES, trousers), (("foot",), shoes)):
        for name in names:
            for full in (name, f"left_{name}", f"right_{name}"):
                if full in SURFACE:
                    colors[full] = color
    if outfit.brim:
        hair = cap
    colors |= {"hair": hair, "long_hair": hair, "brim": 0.8 * cap, "brow": 0.5 * hair, "skirt": skirt, "pack": pack}
    colors |= {"eye": np.array([235.0, 238, 240]), "pupil": np.array([30.0, 28, 25]), "nose": 0.93 * skin}
    colors |= {"mouth": skin * (0.55, 0.55, 0.85), "left_ear": 0.9 * skin, "right_ear": 0.9 * skin}
    second = dict(colors)
    for names, color in ((_SHIRT_SURFACES, random_color(rng)), (_TROUSER_SURFACES, random_color(rng))):
        for name in SURFACES:
            if name.removeprefix("left_").removeprefix("right_") in names:
                second[name] = 0.25 * colors[name] + 0.75 * color
    second["skirt"] = 0.3 * skirt + 0.7 * random_color(rng)
    return colors, second


_IS_SHIRT = np.zeros(256, np.uint8)
_IS_TROUSERS = np.zeros(256, np.uint8)
for _name, _index in SURFACE.items():
    _bare = _name.removeprefix("left_").removeprefix("right_")
    _IS_SHIRT[_index * LEVELS : (_index + 1) * LEVELS] = 255 * (_bare in (*_SHIRT_SURFACES, "skirt"))
    _IS_TROUSERS[_index * LEVELS : (_index + 1) * LEVELS] = 255 * (_bare in _TROUSER_SURFACES)


def paint_person(
    canvas: UInt8[np.ndarray, "H W 3"],
    layer: Layer,
    outfit: Outfit,
    rng: np.random.Generator,
    light: Float[np.ndarray, "3"],
    height: float,
    angle: float,
) -> None:
    """Paints a person onto the canvas in place.

    Args:
        light: Gain of each channel.
        height: px of one stature, the scale of patterns.
        angle: Direction of the trunk in the image, radians.
    """
    first, second = _dress(rng, outfit)
    contrast = rng.uniform(0.5, 1.2)
    base = cv2.applyColorMap(layer.labels, palette(first, light, contrast))
    shirt_tile, trouser_tile = (textures.patterns()[k] for k in rng.integers(len(textures.patterns()), size=2))
    periods = height * np.exp(rng.uniform(np.log(0.1), np.log(0.9), 2))
    offsets = rng.uniform(0, textures.SIZE, (2, 2))
    patterned = rng.random(2) < (0.6, 0.2)
    if patterned.any():
        mask = np.zeros_like(layer.labels)
        for wanted, tile, table, period, offset in zip(
            patterned, (shirt_tile, trouser_tile), (_IS_SHIRT, _IS_TROUSERS), periods, offsets, strict=True
        ):
            if wanted:
                laid = textures.lay(tile, layer.labels.shape, max(period, 12.0), angle, tuple(offset), smooth=False)
                mask |= cv2.bitwise_and(laid, cv2.LUT(layer.labels, table))
        cv2.copyTo(cv2.applyColorMap(layer.labels, palette(second, light, contrast)), mask, base)
    cv2.copyTo(base, layer.labels, canvas[layer.window])


def paint_thing(
    canvas: UInt8[np.ndarray, "H W 3"], layer: Layer, rng: np.random.Generator, light: Float[np.ndarray, "3"]
) -> None:
    """Paints a thing onto the canvas in place: its surfaces 1 and 2 get two colours, mixed by a texture."""
    mixed = np.zeros((256, 1, 3), np.uint8)
    skin_like = rng.random() < 0.25
    for surface in range(1, 6):
        color = _between(rng, _SKIN) if skin_like and surface == 1 else random_color(rng)
        shades = (0.75 * _SHADE[:, None] + 0.25) * color * light
        mixed[surface * LEVELS : (surface + 1) * LEVELS, 0] = shades.clip(0, 255)
    base = cv2.applyColorMap(layer.labels, mixed)
    tile = textures.surfaces()[rng.integers(len(textures.surfaces()))]
    period, angle = np.exp(rng.uniform(np.log(40), np.log(400))), rng.uniform(0, np.pi)
    laid = textures.lay(tile, layer.labels.shape, period, angle, tuple(rng.uniform(0, textures.SIZE, 2)))
    strength = rng.uniform(0.1, 0.6)
    grain = cv2.cvtColor(cv2.convertScaleAbs(laid, alpha=strength, beta=255 * (1 - 0.75 * strength)), cv2.COLOR_GRAY2BGR)
    cv2.copyTo(cv2.multiply(base, grain, scale=1 / 255), layer.labels, canvas[layer.window])
