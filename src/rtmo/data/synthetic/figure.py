"""A dressed person as strokes, sorted by depth so that its limbs hide each other as they would."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .body import INDEX, SIDES, Body
from .outfit import SURFACE, Outfit
from .shapes import LEVELS, Stroke, shaded_capsules, shaded_hull


@dataclass(frozen=True)
class Projection:
    """Weak perspective of one person: parts nearer to the camera are drawn bigger.

    Attributes:
        ground: Where the lowest point stands, px of the canvas.
        height: px of one stature.
        distance: From the camera in statures.
    """

    ground: tuple[float, float]
    height: float
    distance: float

    def __call__(self, points: Float[np.ndarray, "N 3"]) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, " N"]]:
        """Points in statures to the canvas, and px per stature at each."""
        scale = self.height * self.distance / (self.distance + points[:, 2])
        hips = np.array([0.0, -0.45])  # what perspective leaves in place
        return np.array(self.ground) + scale[:, None] * (points[:, :2] - hips) + self.height * hips, scale


@dataclass(frozen=True)
class Figure:
    """A body in its clothes on the canvas.

    Attributes:
        points: px, one row per name of ``body.POINTS``.
        scale: px per stature at each point.
        light: Direction towards the light in the image, length at most 1.
    """

    body: Body
    outfit: Outfit
    projection: Projection
    points: Float[np.ndarray, "P 2"]
    scale: Float[np.ndarray, " P"]
    light: Float[np.ndarray, "2"]

    def __getitem__(self, name: str) -> Float[np.ndarray, "2"]:
        return self.points[INDEX[name]]

    def depth(self, *names: str) -> float:
        """Mean distance behind the origin of the body, statures."""
        return sum(float(self.body.points[INDEX[name], 2]) for name in names) / len(names)


def make_figure(body: Body, outfit: Outfit, projection: Projection, light: Float[np.ndarray, "2"]) -> Figure:
    """Projects a body onto the canvas."""
    return Figure(body, outfit, projection, *projection(body.points), light)


class Capsules:
    """Collects limbs between points of a figure, then makes strokes of them all at once."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        self._rows: list[tuple[float, ...]] = []

    def add(
        self,
        surface: str,
        ends: tuple[str, str],
        radii: tuple[float, float],
        *,
        nearer: float = 0.0,
        length: float = 1.0,
        levels: int = LEVELS,
        depth: float | None = None,
    ) -> None:
        """Adds a limb; ``radii`` in statures, ``length`` a share of the way between its ends.

        It lies as deep as the middle of its ends unless ``depth`` says otherwise, moved ``nearer`` by so many statures.
        """
        if depth is None:
            depth = self._figure.depth(*ends)
        row = (SURFACE[surface], INDEX[ends[0]], INDEX[ends[1]], *radii, depth - nearer, length, levels)
        self._rows.append(row)

    def strokes(self) -> list[Stroke]:
        figure, rows = self._figure, np.array(self._rows)
        first, second = rows[:, 1].astype(int), rows[:, 2].astype(int)
        start, length = figure.points[first], rows[:, 6:7]
        end = start + length * (figure.points[second] - start)
        radii = rows[:, 3:5] * np.stack([figure.scale[first], figure.scale[second]], axis=1)
        radii[:, 1] += (1 - length[:, 0]) * (radii[:, 0] - radii[:, 1])
        polygons = shaded_capsules(start, end, radii, figure.light)
        most = 2 if figure.projection.height < 80 else LEVELS  # shading too fine to see is not drawn
        return [
            Stroke(row[5], int(row[0]), limb[: min(int(row[7]), most)])
            for row, limb in zip(self._rows, polygons, strict=True)
        ]


def add_arm(capsules: Capsules, figure: Figure, side: str) -> None:
    """Skin from shoulder to hand, and the sleeve over it."""
    girth, loose, sleeve = figure.body.build.girth, figure.outfit.loose, figure.outfit.sleeve
    shoulder, elbow, wrist = 0.034 * girth, 0.0255 * girth, 0.0185 * girth
    upper, lower = (f"{side}_shoulder", f"{side}_elbow"), (f"{side}_elbow", f"{side}_wrist")
    if sleeve < 1:
        capsules.add(f"{side}_upper_arm", upper, (shoulder, elbow), nearer=0.02)
    if sleeve < 2:
        capsules.add(f"{side}_forearm", lower, (elbow, wrist), nearer=0.021)
    capsules.add(f"{side}_hand", (f"{side}_wrist", f"{side}_hand"), (0.017, 0.021), nearer=0.0212)
    if sleeve > 0:
        radii = (shoulder * 1.05, elbow * loose)
        capsules.add(f"{side}_sleeve", upper, radii, nearer=0.0205, length=min(sleeve, 1.0))
    if sleeve > 1:
        radii = (elbow * loose, wrist * loose)
        capsules.add(f"{side}_cuff", lower, radii, nearer=0.0215, length=min(sleeve - 1.0, 0.97))


def add_leg(capsules: Capsules, figure: Figure, side: str) -> None:
    """Skin from hip to foot, and the trouser leg over it."""
    girth, loose, trouser = figure.body.build.girth, figure.outfit.loose, figure.outfit.trouser
    hip, knee, ankle = 0.054 * girth, 0.035 * girth, 0.0235 * girth
    upper, lower = (f"{side}_hip", f"{side}_knee"), (f"{side}_knee", f"{side}_ankle")
    if trouser < 1:
        capsules.add(f"{side}_thigh", upper, (hip, knee))
    if trouser < 2:
        capsules.add(f"{side}_shank", lower, (knee, ankle), nearer=0.001)
    capsules.add(f"{side}_foot", (f"{side}_heel", f"{side}_toe"), (0.026, 0.02), nearer=0.0015)
    radii = (hip * 1.03, knee * loose)
    capsules.add(f"{side}_trouser", upper, radii, nearer=0.0005, length=min(trouser, 1.0))
    if trouser > 1:
        radii = (knee * loose, ankle * loose)
        capsules.add(f"{side}_hem", lower, radii, nearer=0.0018, length=min(trouser - 1.0, 0.95))


def trunk_strokes(figure: Figure) -> list[Stroke]:
    """Pelvis, belly and chest, a skirt and a backpack where worn."""
    girth, outfit = figure.body.build.girth, figure.outfit
    waists = [(figure[f"{side}_waist"], 0.05 * girth) for side in SIDES]
    hips = [(figure[f"{side}_hip"], 0.056 * girth) for side in SIDES]
    shoulders = [(figure[f"{side}_shoulder"], 0.036 * girth) for side in SIDES]
    end = 0.35 if outfit.tucked else 0.85
    shirt = [((1 - end) * waist[0] + end * hip[0], 0.057 * girth) for waist, hip in zip(waists, hips, strict=True)]
    chest_depth, hip_depth = figure.depth("chest") + 0.025, figure.depth("pelvis") + 0.015
    middle = [(figure["chest"], 0.075 * girth), (figure["neck"], 0.03)]
    strokes = [
        _hull(figure, "pelvis", hip_depth, [*waists, *hips]),
        _hull(figure, "belly", (chest_depth + hip_depth) / 2 - 0.002, [*waists, *shirt]),
        _hull(figure, "chest", chest_depth, [*shoulders, *waists, *middle]),
    ]
    if outfit.skirt:
        strokes.append(_skirt(figure))
    if outfit.pack:
        pack = [(figure["back"], 0.085), (0.75 * figure["belly"] + 0.25 * figure["back"], 0.09)]
        behind = float(figure.body.chest_axes[2, 2])  # 1 when the back is towards the camera
        strokes.append(_hull(figure, "pack", figure.depth("back") - 0.2 * behind, pack))
    return strokes


def _skirt(figure: Figure) -> Stroke:
    circles = []
    length = figure.outfit.skirt
    for side in SIDES:
        hip, knee, ankle = (figure[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        circles.append((0.5 * (figure[f"{side}_waist"] + hip), 0.05))
        circles.append((hip + min(length, 1.0) * (knee - hip), 0.062 + 0.015 * length))
        if length > 1:
            circles.append((knee + (length - 1) * (ankle - knee), 0.065 + 0.015 * length))
    nearest = min(figure.depth(f"{side}_hip", f"{side}_knee") for side in SIDES)
    return _hull(figure, "skirt", nearest - 0.004, circles)


def _hull(
    figure: Figure, surface: str, depth: float, circles: Sequence[tuple[Float[np.ndarray, "2"], float]]
) -> Stroke:
    """The hull of circles given as (centre in px, radius in statures)."""
    centers = np.array([center for center, _ in circles])
    radii = np.array([radius for _, radius in circles]) * figure.scale[INDEX["belly"]]
    return Stroke(depth, SURFACE[surface], shaded_hull(centers, radii, figure.light))
