"""Heads: skull, hair, and a face that shows which way it looks."""

import numpy as np

from .body import INDEX, SIDES
from .figure import Capsules, Figure
from .outfit import SURFACE
from .shapes import Stroke, fixed_point, shaded_hull

_TURN = np.linspace(0, 2 * np.pi, 18, endpoint=False)
_AZIMUTH, _ELEVATION = np.deg2rad(64 * np.cos(_TURN)), np.deg2rad(-14 + 52 * np.sin(_TURN))
# outline of the face on a ball, as directions in the head's own frame
_FACE_OUTLINE = np.stack(
    [np.sin(_AZIMUTH) * np.cos(_ELEVATION), np.sin(_ELEVATION), np.cos(_AZIMUTH) * np.cos(_ELEVATION)], axis=1
)
EAR_TURN = 0.3  # how far behind the middle of the head an ear still shows, in radii of the skull
_STEP = 1e-6  # statures
_MIN_DETAIL = 4  # px of the skull's radius below which a face has no features


def add_head(capsules: Capsules, figure: Figure) -> list[Stroke]:
    """Skull, hair and features to the capsules; returns the strokes that are none: the face and hanging hair.

    All of the head lies at one depth, so the layers of it are told apart by tiny steps.
    """
    r, outfit = figure.body.build.skull, figure.outfit
    depth = figure.depth("head") - 0.01
    front = -float(figure.body.head_axes[2, 2])  # 1 looks into the camera, -1 away
    _add_ears(capsules, figure, depth)
    capsules.add("skull", ("head", "jaw"), (0.97 * r, 0.68 * r), depth=depth - _STEP)
    if outfit.hair == "bun":
        capsules.add("hair", ("top_head", "top_head"), (0.5 * r, 0.5 * r), depth=depth - _STEP)
    if outfit.hair != "bald" or outfit.cap:
        capsules.add("hair", ("head", "head"), (1.1 * r, 1.1 * r), depth=depth - 2 * _STEP)
    others = [_face(figure, r, depth - 3 * _STEP)] if front > -0.6 else []
    if outfit.hair == "long":
        others.append(_long_hair(figure))
    if r * figure.scale[INDEX["head"]] > _MIN_DETAIL:
        _add_features(capsules, figure, depth - 5 * _STEP, front)
    if outfit.cap and front > -0.3:
        capsules.add("brim", ("left_brow", "right_brow"), (0.35 * r, 0.35 * r), levels=3, depth=depth - 9 * _STEP)
    return others


def _add_ears(capsules: Capsules, figure: Figure, depth: float) -> None:
    """Over the hair where they are on our side of the head, unless long hair covers them; else behind the head."""
    r = figure.body.build.skull
    covered = figure.outfit.hair == "long" and figure.body.head_axes[2, 2] > -0.9
    for side in SIDES:
        ear = f"{side}_ear"
        over = not covered and figure.depth(ear) < figure.depth("head") + EAR_TURN * r
        capsules.add(ear, (ear, ear), (0.2 * r, 0.2 * r), levels=2, depth=depth - 4 * _STEP * over)


def _face(figure: Figure, r: float, depth: float) -> Stroke:
    """The patch of skin between hairline and chin; what lies beyond the outline of the head is pulled onto it."""
    directions = _FACE_OUTLINE @ figure.body.head_axes.T
    flat = directions[:, :2]
    length = np.sqrt((flat**2).sum(1, keepdims=True))
    flat = np.where(directions[:, 2:] > 0, flat / np.maximum(length, 1e-6), flat)
    radius = figure.scale[INDEX["head"]] * r
    outline = figure["head"] + radius * flat
    middle = outline.mean(0)
    lit = middle + 0.8 * (outline - middle) + 0.1 * radius * figure.light
    return Stroke(depth, SURFACE["face"], fixed_point(np.stack([outline, lit])))


def _add_features(features: Capsules, figure: Figure, depth: float, front: float) -> None:
    body, r = figure.body, figure.body.build.skull

    def dot(surface: str, point: str, radius: float, levels: int = 1, step: int = 0) -> None:
        at = depth - step * _STEP
        features.add(surface, (point, point), (radius * r, radius * r), levels=levels, depth=at)

    for side in SIDES:
        if body[f"{side}_eye"][2] < body["head"][2] - 0.15 * r:
            dot("eye", f"{side}_eye", 0.14)
            dot("pupil", f"{side}_eye", 0.085, step=1)
            dot("brow", f"{side}_brow", 0.1)
    if front > -0.1:
        dot("nose", "nose", 0.16, levels=3)
    if front > 0.15:
        dot("mouth", "mouth", 0.13)


def _long_hair(figure: Figure) -> Stroke:
    """Hangs behind the shoulders; whether that is nearer or farther than the trunk depends on the view."""
    radius = figure.body.build.skull * figure.scale[INDEX["head"]]
    centers = np.stack([figure["head"], figure["nape"], 0.6 * figure["back"] + 0.4 * figure["nape"]])
    behind = 0.06 if figure.body.chest_axes[2, 2] < 0 else -0.06
    polygons = shaded_hull(centers, np.array([1.02, 0.9, 0.85]) * radius, figure.light)
    return Stroke(figure.depth("head", "nape") + behind, SURFACE["long_hair"], polygons)
