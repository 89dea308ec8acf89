"""A dressed person as strokes, and which joints of it can be seen.

Strokes are sorted by depth within the person, so limbs hide each other as they would; the surface that shows at a
joint tells whether the joint is visible.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .body import INDEX, Body
from .shapes import LEVELS, Layer, Stroke, fixed_point, shaded_capsules, shaded_hull

_SIDES = ("left", "right")
_LIMB_SURFACES = ("upper_arm", "forearm", "hand", "sleeve", "cuff", "thigh", "shank", "foot", "trouser", "hem", "ear")
SURFACES = (
    "nothing",
    *("chest", "belly", "pelvis", "skirt", "neck", "skull", "hair", "long_hair", "face", "eye", "pupil", "brow"),
    *("mouth", "nose", "brim", "pack", "collar"),
    *(f"{side}_{name}" for side in _SIDES for name in _LIMB_SURFACES),
)
SURFACE = {name: index for index, name in enumerate(SURFACES)}

_FACE = ("skull", "face", "eye", "pupil", "brow", "mouth", "nose")
_TRUNK = ("chest", "belly", "pelvis", "skirt")
# surfaces through which a joint counts as seen
_SHOWS_AT = {
    "shoulder": ("upper_arm", "sleeve"),
    "elbow": ("upper_arm", "forearm", "sleeve", "cuff"),
    "wrist": ("forearm", "cuff", "hand"),
    "hip": ("thigh", "trouser"),
    "knee": ("thigh", "shank", "trouser", "hem"),
    "ankle": ("shank", "hem", "foot"),
}
# outline of the face as (azimuth, elevation) in degrees on the head
_FACE_OUTLINE = np.deg2rad(
    [(64 * np.cos(t), -14 + 52 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 18, endpoint=False)]
)
_FACE_DIRECTIONS = np.stack(
    [
        np.sin(_FACE_OUTLINE[:, 0]) * np.cos(_FACE_OUTLINE[:, 1]),
        np.sin(_FACE_OUTLINE[:, 1]),
        np.cos(_FACE_OUTLINE[:, 0]) * np.cos(_FACE_OUTLINE[:, 1]),
    ],
    axis=1,
)


@dataclass(frozen=True)
class Outfit:
    """What changes the shape of a dressed person; lengths in limb segments, 0 none, 1 to the middle joint, 2 all.

    Attributes:
        sleeve: Length of the sleeves.
        trouser: Length of the trousers.
        skirt: Length of the skirt.
        loose: Factor on the radius of clothed limbs.
        hair: bald, short, bun or long.
        brim: Whether a cap with a brim is worn.
        pack: Whether a backpack is worn.
        tucked: Whether the shirt ends in the trousers.
    """

    sleeve: float
    trouser: float
    skirt: float
    loose: float
    hair: str
    brim: bool
    pack: bool
    tucked: bool


def sample_outfit(rng: np.random.Generator) -> Outfit:
    """Draws clothes and hair."""
    skirt = rng.uniform(0.55, 1.7) if rng.random() < 0.17 else 0.0
    return Outfit(
        sleeve=float(rng.choice([0.0, rng.uniform(0.3, 0.8), rng.uniform(1.3, 1.8), 2.0], p=[0.12, 0.4, 0.1, 0.38])),
        trouser=0.3 if skirt else float(rng.choice([rng.uniform(0.35, 0.95), 2.0], p=[0.3, 0.7])),
        skirt=skirt,
        loose=float(rng.uniform(1.06, 1.35)),
        hair=str(rng.choice(["bald", "short", "bun", "long"], p=[0.08, 0.54, 0.1, 0.28])),
        brim=bool(rng.random() < 0.12),
        pack=bool(rng.random() < 0.08),
        tucked=bool(rng.random() < 0.4),
    )


@dataclass(frozen=True)
class Figure:
    """A body and its clothes, projected onto the canvas.

    Attributes:
        points: px, one row per name of ``body.POINTS``.
        scale: px per stature at each point.
        light: Direction towards the light in the image, length at most 1.
    """

    body: Body
    outfit: Outfit
    points: Float[np.ndarray, "P 2"]
    scale: Float[np.ndarray, " P"]
    light: Float[np.ndarray, "2"]

    def __getitem__(self, name: str) -> Float[np.ndarray, "2"]:
        return self.points[INDEX[name]]

    def depth(self, *names: str) -> float:
        """Mean distance behind the origin of the body, statures."""
        return float(np.mean([self.body.points[INDEX[name], 2] for name in names]))


def project(
    body: Body,
    outfit: Outfit,
    ground: tuple[float, float],
    height: float,
    distance: float,
    light: Float[np.ndarray, "2"],
) -> Figure:
    """Weak perspective: near parts are drawn bigger.

    Args:
        ground: Where the lowest point under the pelvis stands, px.
        height: px of one stature.
        distance: From the camera, in statures.
    """
    scale = height * distance / (distance + body.points[:, 2])
    middle = np.array([0.0, -0.45])  # perspective converges at the height of the hips
    points = np.array(ground) + scale[:, None] * (body.points[:, :2] - middle) + height * middle
    return Figure(body, outfit, points, scale, light)


class _Strokes:
    """Collects capsules, then turns them into strokes all at once."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.rows: list[tuple[int, np.ndarray, np.ndarray, float, float, float, int]] = []

    def add(
        self,
        surface: str,
        ends: tuple[str, str],
        radii: tuple[float, float],
        nearer: float = 0.0,
        part: tuple[float, float] = (0.0, 1.0),
        levels: int = LEVELS,
        depth: float | None = None,
    ) -> None:
        """A capsule between two points, or over a part of the way; radii in statures, ``nearer`` moves it forward."""
        figure = self.figure
        start, end = figure[ends[0]], figure[ends[1]]
        scales = [figure.scale[INDEX[name]] for name in ends]
        first, last = (radii[0] * scales[0], radii[1] * scales[1])
        along, thicker = end - start, last - first
        self.rows.append(
            (
                SURFACE[surface],
                start + part[0] * along,
                start + part[1] * along,
                first + part[0] * thicker,
                first + part[1] * thicker,
                (figure.depth(*ends) if depth is None else depth) - nearer,
                levels,
            )
        )

    def strokes(self) -> list[Stroke]:
        surfaces, starts, ends, first, last, depths, levels = zip(*self.rows, strict=True)
        polygons = shaded_capsules(np.array(starts), np.array(ends), np.array(first), np.array(last), self.figure.light)
        return [
            Stroke(depth, surface, limb[:count])
            for depth, surface, limb, count in zip(depths, surfaces, polygons, levels, strict=True)
        ]


def person_strokes(figure: Figure) -> list[Stroke]:
    """Everything that is drawn of a person."""
    collected = _Strokes(figure)
    for side in _SIDES:
        _add_arm(collected, side)
        _add_leg(collected, side)
    trunk = _trunk(figure)
    return [*trunk, *collected.strokes(), *_head(figure)]


def _add_arm(strokes: _Strokes, side: str) -> None:
    outfit, girth = strokes.figure.outfit, strokes.figure.body.build.girth
    shoulder, elbow, wrist = 0.034 * girth, 0.0255 * girth, 0.0185 * girth
    ends = ((f"{side}_shoulder", f"{side}_elbow"), (f"{side}_elbow", f"{side}_wrist"))
    strokes.add(f"{side}_upper_arm", ends[0], (shoulder, elbow), 0.02)
    strokes.add(f"{side}_forearm", ends[1], (elbow, wrist), 0.021)
    strokes.add(f"{side}_hand", (f"{side}_wrist", f"{side}_hand"), (0.017, 0.021), 0.022)
    loose, sleeve = outfit.loose, outfit.sleeve
    if sleeve > 0:
        radii = (shoulder * 1.05, elbow * loose)
        strokes.add(f"{side}_sleeve", ends[0], radii, 0.0205, (0.0, min(sleeve, 1.0)))
    if sleeve > 1:
        radii = (elbow * loose, wrist * loose)
        strokes.add(f"{side}_cuff", ends[1], radii, 0.0215, (0.0, min(sleeve - 1.0, 0.97)))


def _add_leg(strokes: _Strokes, side: str) -> None:
    outfit, girth = strokes.figure.outfit, strokes.figure.body.build.girth
    hip, knee, ankle = 0.054 * girth, 0.035 * girth, 0.0235 * girth
    ends = ((f"{side}_hip", f"{side}_knee"), (f"{side}_knee", f"{side}_ankle"))
    strokes.add(f"{side}_thigh", ends[0], (hip, knee))
    strokes.add(f"{side}_shank", ends[1], (knee, ankle), 0.001)
    strokes.add(f"{side}_foot", (f"{side}_heel", f"{side}_toe"), (0.026, 0.02), 0.0015)
    loose, trouser = outfit.loose, outfit.trouser
    strokes.add(f"{side}_trouser", ends[0], (hip * 1.03, knee * loose), 0.0005, (0.0, min(trouser, 1.0)))
    if trouser > 1:
        strokes.add(f"{side}_hem", ends[1], (knee * loose, ankle * loose), 0.0018, (0.0, min(trouser - 1.0, 0.95)))


def _trunk(figure: Figure) -> list[Stroke]:
    girth, outfit = figure.body.build.girth, figure.outfit

    def hull(surface: str, depth: float, *circles: tuple[np.ndarray, float]) -> Stroke:
        centers = np.stack([center for center, _ in circles])
        radii = np.array([radius for _, radius in circles]) * float(figure.scale[INDEX["belly"]])
        return Stroke(depth, SURFACE[surface], shaded_hull(centers, radii, figure.light))

    shoulders = [(figure[f"{side}_shoulder"], 0.036 * girth) for side in _SIDES]
    waists = [(figure[f"{side}_waist"], 0.05 * girth) for side in _SIDES]
    hips = [(figure[f"{side}_hip"], 0.056 * girth) for side in _SIDES]
    end = 0.35 if outfit.tucked else 0.85
    shirt_ends = [((1 - end) * waist[0] + end * hip[0], 0.057 * girth) for waist, hip in zip(waists, hips, strict=True)]
    chest_depth, hip_depth = figure.depth("chest") + 0.025, figure.depth("pelvis") + 0.015
    strokes = [
        hull("pelvis", hip_depth, *waists, *hips),
        hull("belly", (chest_depth + hip_depth) / 2 - 0.002, *waists, *shirt_ends),
        hull("chest", chest_depth, *shoulders, *waists, (figure["chest"], 0.075 * girth), (figure["neck"], 0.03)),
    ]
    neck = shaded_capsules(
        figure["neck"][None],
        (0.5 * figure["throat"] + 0.5 * figure["head"])[None],
        np.array([0.032 * girth * figure.scale[0]]),
        np.array([0.029 * girth * figure.scale[0]]),
        figure.light,
    )[0]
    strokes.append(Stroke(figure.depth("neck") + 0.005, SURFACE["neck"], neck))
    if outfit.skirt:
        strokes.append(_skirt(figure, hull))
    if outfit.pack:
        back = [(figure["back"], 0.085), (0.75 * figure["belly"] + 0.25 * figure["back"], 0.09)]
        strokes.append(hull("pack", figure.depth("back") - 0.2 * float(figure.body.chest_axes[2, 2]), *back))
    return strokes


def _skirt(figure: Figure, hull) -> Stroke:  # type: ignore[no-untyped-def]
    circles = []
    length = figure.outfit.skirt
    for side in _SIDES:
        hip, knee, ankle = (figure[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        circles.append((0.5 * (figure[f"{side}_waist"] + hip), 0.05))
        circles.append((hip + min(length, 1.0) * (knee - hip), 0.062 + 0.015 * length))
        if length > 1:
            circles.append((knee + (length - 1) * (ankle - knee), 0.065 + 0.015 * length))
    nearest = min(figure.depth(f"{side}_hip", f"{side}_knee") for side in _SIDES)
    return hull("skirt", nearest - 0.004, *circles)


def _head(figure: Figure) -> list[Stroke]:
    """Skull, hair, face and its features; all at one depth, in the order of drawing."""
    axes, r = figure.body.head_axes, figure.body.build.skull
    depth = figure.depth("head") - 0.01
    front = -axes[2, 2]  # 1 looks into the camera, -1 away
    strokes = _Strokes(figure)
    hair = figure.outfit.hair
    ears = sorted(_SIDES, key=lambda side: -figure.depth(f"{side}_ear"))
    strokes.add(f"{ears[0]}_ear", (f"{ears[0]}_ear",) * 2, (0.2 * r,) * 2, levels=2, depth=depth)
    strokes.add("skull", ("head", "jaw"), (0.97 * r, 0.68 * r), depth=depth)
    if hair == "bun":
        strokes.add("hair", ("top_head", "top_head"), (0.5 * r, 0.5 * r), depth=depth)
    if hair != "bald":
        strokes.add("hair", ("head", "head"), (1.1 * r, 1.1 * r), depth=depth)
    flat = [*strokes.strokes()]
    outline = figure["head"] + figure.scale[INDEX["head"]] * r * _on_front(_FACE_DIRECTIONS @ axes.T)
    if front > -0.6:
        lit = outline.mean(0) + (outline - outline.mean(0)) * 0.8 + 0.1 * r * figure.scale[0] * figure.light
        flat.append(Stroke(depth, SURFACE["face"], [fixed_point(outline), fixed_point(lit)]))
    features = _Strokes(figure)
    near_ear = ears[1]
    if not (hair == "long" and front < 0.9):
        features.add(f"{near_ear}_ear", (f"{near_ear}_ear",) * 2, (0.2 * r,) * 2, levels=2, depth=depth)
    if r * figure.scale[0] > 4:
        _add_features(features, depth, r, front)
    if figure.outfit.brim:
        features.add("brim", ("left_brow", "right_brow"), (0.35 * r, 0.35 * r), depth=depth, levels=3)
    strands = [_long_hair(figure)] if hair == "long" else []
    return [*flat, *(features.strokes() if features.rows else []), *strands]


def _on_front(directions: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 2"]:
    """Directions on a ball as seen; those on its far side move to its outline."""
    flat = directions[:, :2]
    length = np.hypot(flat[:, 0], flat[:, 1])
    behind = directions[:, 2] > 0
    return np.where(behind[:, None], flat / np.maximum(length, 1e-6)[:, None], flat)


def _add_features(features: _Strokes, depth: float, r: float, front: float) -> None:
    points = features.figure.body
    for side in _SIDES:
        if points[f"{side}_eye"][2] < points["head"][2] - 0.15 * r:
            features.add("eye", (f"{side}_eye",) * 2, (0.17 * r,) * 2, levels=1, depth=depth)
            features.add("pupil", (f"{side}_eye",) * 2, (0.1 * r,) * 2, levels=1, depth=depth)
            features.add("brow", (f"{side}_brow",) * 2, (0.1 * r,) * 2, levels=1, depth=depth)
    if front > -0.1:
        features.add("nose", ("nose", "nose"), (0.16 * r,) * 2, levels=3, depth=depth)
    if front > 0.15:
        features.add("mouth", ("mouth", "mouth"), (0.13 * r,) * 2, levels=1, depth=depth)


def _long_hair(figure: Figure) -> Stroke:
    r = figure.body.build.skull * figure.scale[INDEX["head"]]
    centers = np.stack([figure["head"], figure["nape"], 0.6 * figure["back"] + 0.4 * figure["nape"]])
    return Stroke(
        figure.depth("head", "nape") + 0.02 + 0.08 * float(figure.body.chest_axes[2, 2] < 0) - 0.06,
        SURFACE["long_hair"],
        shaded_hull(centers, np.array([1.02, 0.9, 0.85]) * r, figure.light),
    )


def visible_joint(figure: Figure, name: str, layer: Layer, column: int, row: int) -> bool:
    """Whether a joint shows on the person's own layer, that is unless another part of the body covers it.

    Args:
        column: Pixel of the joint on the canvas.
        row: Likewise.
    """
    side, _, joint = name.rpartition("_")
    shows = _surfaces_at(side, joint)
    if not _faces_camera(figure, side, joint):
        return False
    reach = 1
    top, left = row - layer.y, column - layer.x
    window = layer.labels[max(top - reach, 0) : top + reach + 1, max(left - reach, 0) : left + reach + 1]
    return bool(np.isin(window // LEVELS, shows).any())


def _surfaces_at(side: str, joint: str) -> list[int]:
    names: tuple[str, ...]
    if joint in _SHOWS_AT:
        names = tuple(f"{side}_{surface}" for surface in _SHOWS_AT[joint])
        if joint in ("shoulder", "hip"):
            names += _TRUNK
        if joint == "knee":
            names += ("skirt",)
    elif joint == "ear":
        names = (*_FACE, f"{side}_ear")
    elif joint == "neck":
        names = ("neck", "chest", "collar", "skull", "long_hair")
    elif joint == "head":
        names = (*_FACE, "hair")
    else:
        names = _FACE
    return [SURFACE[surface] for surface in names]


def _faces_camera(figure: Figure, side: str, joint: str) -> bool:
    """False where the trunk or the head itself lies between the joint and the camera."""
    body = figure.body
    if joint in ("shoulder", "hip"):
        middle = body["neck"] if joint == "shoulder" else body["pelvis"]
        return bool(body[f"{side}_{joint}"][2] < middle[2] + 0.55 * getattr(body.build, joint))
    if joint in ("nose", "eye", "ear"):
        point = body[f"{side}_{joint}" if side else joint]
        return bool(point[2] < body["head"][2] + (0.1 if joint == "ear" else -0.05) * body.build.skull)
    return True
