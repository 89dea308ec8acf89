"""A scene: who stands where, what hides whom, the true annotations, and the picture of it.

The geometry of a scene and its colours come from two random streams, so annotations need no painting. Everything is
drawn on a canvas of twice the size and averaged down, which gives smooth edges.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from . import textures
from .body import BENDS, INDEX, SIDES, pose_body, sample_build, view_rotation
from .figure import Figure, Projection, make_figure
from .outfit import sample_outfit
from .paint import darken, paint_parts, paint_person, paint_thing
from .person import person_strokes, visible_joints
from .poses import ACTIVITIES, sample_pose
from .scenery import paint_background, sample_thing
from .seat import sample_seat
from .shapes import Layer, draw

OVERSAMPLING = 2
_THING = 255  # owner of pixels that show no person
_COUNT_WEIGHTS = np.array([0.06, 0.18, 0.19, 0.16, 0.13, 0.1, 0.07, 0.06, 0.05])
_MIN_AREA = 0.0012  # of the image, below which a visible silhouette is not annotated
_MIN_JOINTS = 4  # on the canvas, likewise
_COUNTED = [INDEX[name] for name in ("nose", *(f"{side}_{joint}" for joint in BENDS for side in SIDES))]
_MIN_SHARE = 0.12  # of the silhouette that must be visible, likewise


@dataclass(frozen=True)
class Placed:
    """A person or thing on the canvas; ``figure`` is None for things, ``distance`` grows away from the camera."""

    layer: Layer
    distance: float
    height: float
    figure: Figure | None


@dataclass(frozen=True)
class Person:
    """Truth about one person, in px of the image (pixel centres at integers; boxes by pixel edges as in COCO).

    Attributes:
        bbox: Corners of the visible silhouette.
        area: Of the visible silhouette, px^2.
    """

    bbox: Float[np.ndarray, "4"]
    area: float
    keypoints: Float[np.ndarray, "K 2"]
    visibility: UInt8[np.ndarray, " K"]


@dataclass(frozen=True)
class SceneStyle:
    """How hard the people of a scene are to find and to read; the defaults are the hardest there is.

    Attributes:
        max_people: At most 8.
        min_height: Of one stature, as a fraction of the image's height.
        max_things: Beside the people.
        colors: ``natural``: skin, hair and clothes; ``parts``: each part of the body has one colour, the same for all.
        activities: Of ``poses.ACTIVITIES``.
        max_yaw: How far people turn away from the camera, degrees.
    """

    max_people: int = 8
    min_height: float = 0.13
    max_things: int = 5
    colors: str = "natural"
    activities: tuple[str, ...] = tuple(ACTIVITIES)
    max_yaw: float = 180.0


@dataclass(frozen=True)
class Scene:
    """Everything placed, farthest first, and the truth about its people."""

    size: tuple[int, int]
    horizon: float
    placed: list[Placed]
    people: list[Person]


def sample_scene(
    rng: np.random.Generator, image_size: tuple[int, int], style: SceneStyle, joints: tuple[str, ...]
) -> Scene:
    """Draws a scene on (height, width) px."""
    size = (image_size[0] * OVERSAMPLING, image_size[1] * OVERSAMPLING)
    weights = _COUNT_WEIGHTS[: style.max_people + 1]
    count = int(rng.choice(len(weights), p=weights / weights.sum()))
    camera = _Camera.sample(rng, size)
    spots = _spots(rng, camera, count, style.min_height)
    placed = [one for spot in spots for one in _place_person(rng, camera, spot, style)]
    for foot, height in _spots(rng, camera, int(rng.integers(0, style.max_things + 1)), style.min_height):
        layer = sample_thing(rng, foot, height * rng.uniform(0.8, 1.5), size)
        if layer is not None:
            placed.append(Placed(layer, 1 / height, height, None))
    owner, present = _settle(sorted(placed, key=lambda one: -one.distance), size)
    people = [
        _annotate(one, number, owner, joints) for number, one in enumerate(present, start=1) if one.figure is not None
    ]
    return Scene(size, camera.horizon, present, people)


@dataclass(frozen=True)
class _Camera:
    """Where it stands and looks; px of the canvas."""

    size: tuple[int, int]
    horizon: float
    level: float  # height above the ground in statures
    pitch: float
    roll: float
    distance: float
    light: Float[np.ndarray, "2"]

    @classmethod
    def sample(cls, rng: np.random.Generator, size: tuple[int, int]) -> "_Camera":
        angle = rng.uniform(-0.9, 0.9)
        return cls(
            size=size,
            horizon=size[0] * rng.uniform(0.05, 0.55),
            level=rng.uniform(0.5, 1.5),
            pitch=rng.normal(6, 8),
            roll=rng.normal(0, 4),
            distance=float(np.exp(rng.uniform(np.log(2.5), np.log(12)))),
            light=rng.uniform(0.6, 1.0) * np.array([np.sin(angle), -np.cos(angle)]),
        )


def _spots(
    rng: np.random.Generator, camera: _Camera, count: int, min_height: float
) -> list[tuple[tuple[float, float], float]]:
    """Where feet stand (x, y) and how tall one stature is there, px; often close to one another."""
    height, width = camera.size
    largest = 1.35 if count <= 2 else 1.1 if count <= 4 else 0.8
    spots: list[tuple[tuple[float, float], float]] = []
    for _ in range(count):
        tall = height * min_height * float(np.exp(rng.random() ** 0.75 * np.log(largest / min_height)))
        x = rng.uniform(-0.02, 1.02) * width
        if spots and rng.random() < 0.45:
            (near_x, _), near_tall = spots[rng.integers(len(spots))]
            tall = near_tall * float(np.exp(rng.normal(0, 0.2)))
            x = near_x + rng.choice((-1, 1)) * rng.uniform(0.12, 0.6) * tall
        y = camera.horizon + camera.level * tall + rng.normal(0, 0.04) * height
        y = float(np.clip(y, 0.55 * tall, height + 0.5 * tall))  # some body stays in sight
        cut = 0.35 if rng.random() < 0.2 else 0.06  # share of the body that the upper border may cut off
        top = float(np.clip(y - tall, -cut * tall, height - 0.45 * tall))
        spots.append(((float(np.clip(x, -0.1 * tall, width + 0.1 * tall)), top + tall), tall))
    return spots


def _place_person(
    rng: np.random.Generator, camera: _Camera, spot: tuple[tuple[float, float], float], style: SceneStyle
) -> list[Placed]:
    """A person, and a seat where it needs one; nothing if hardly a joint would be on the canvas."""
    ground, height = spot
    yaw = rng.normal(0, 40) if rng.random() < 0.35 else rng.uniform(-180, 180)
    yaw *= style.max_yaw / 180
    build, pose = sample_build(rng), sample_pose(rng, style.activities)
    body = pose_body(build, pose, view_rotation(yaw, camera.pitch, camera.roll))
    figure = make_figure(body, sample_outfit(rng), Projection(ground, height, camera.distance), camera.light)
    layer = draw(person_strokes(figure), camera.size)
    joints = figure.points[_COUNTED]
    if layer is None or ((joints > 0) & (joints < camera.size[::-1])).all(1).sum() < _MIN_JOINTS:
        return []
    placed = [Placed(layer, 1 / height, height, figure)]
    if body.seated and rng.random() < 0.85:
        seat, before = sample_seat(rng, figure, camera.size)
        if seat is not None:
            placed.append(Placed(seat, (0.999 if before else 1.001) / height, height, None))
    return placed


def _settle(placed: list[Placed], size: tuple[int, int]) -> tuple[UInt8[np.ndarray, "H W"], list[Placed]]:
    """Which of the placed shows at every pixel (counted from 1), after taking out people who hardly show."""
    while True:
        owner = np.zeros(size, np.uint8)
        for number, one in enumerate(placed, start=1):
            np.copyto(owner[one.layer.window], np.uint8(number), where=one.layer.mask)
        keep = [
            one.figure is None or _shows(one.layer, owner[one.layer.window] == number, size)
            for number, one in enumerate(placed, start=1)
        ]
        if all(keep):
            return owner, placed
        placed = [one for one, kept in zip(placed, keep, strict=True) if kept]


def _shows(layer: Layer, mask: np.ndarray, size: tuple[int, int]) -> bool:
    visible = int(np.count_nonzero(mask))
    return visible > _MIN_AREA * size[0] * size[1] and visible > _MIN_SHARE * cv2.countNonZero(layer.labels)


def _annotate(one: Placed, number: int, owner: UInt8[np.ndarray, "H W"], joints: tuple[str, ...]) -> Person:
    assert one.figure is not None
    layer, (height, width) = one.layer, owner.shape
    mask = owner[layer.window] == number
    x, y, across, down = cv2.boundingRect(mask.view(np.uint8))
    corners = np.array([x, y, x + across, y + down], np.float64) + np.tile((layer.x, layer.y), 2)
    on_canvas = one.figure.points[[INDEX[name] for name in joints]]
    pixels = np.rint(on_canvas).astype(int)
    inside = ((pixels >= 0) & (pixels < (width, height))).all(1)
    seen = visible_joints(one.figure, joints, layer, mask, pixels.clip(0, (width - 1, height - 1)))
    keypoints = to_image(on_canvas)
    keypoints[~inside] = 0
    visibility = np.where(inside, np.where(seen, 2, 1), 0).astype(np.uint8)
    return Person(corners / OVERSAMPLING, np.count_nonzero(mask) / OVERSAMPLING**2, keypoints, visibility)


def to_image(points: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
    """From the canvas to the image; in both, pixels have their centres at integers."""
    return (points + 0.5) / OVERSAMPLING - 0.5


def to_picture(canvas: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The canvas averaged down to the image."""
    size = (canvas.shape[1] // OVERSAMPLING, canvas.shape[0] // OVERSAMPLING)
    return cv2.resize(canvas, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def paint_scene(scene: Scene, rng: np.random.Generator, colors: str) -> UInt8[np.ndarray, "h w 3"]:
    """The picture of a scene: background, everything placed, then the camera's lens, light and noise."""
    light = rng.normal(1.0, 0.06, 3).clip(0.8, 1.2) * rng.uniform(0.75, 1.15)
    shadow = rng.uniform(-0.2, 0.6)
    canvas = paint_background(scene.size, scene.horizon, rng, light)
    for one in scene.placed:
        if one.figure is None:
            paint_thing(canvas, one.layer, rng, light)
        else:
            figure = one.figure
            along = figure["neck"] - figure["pelvis"]
            angle = float(np.arctan2(along[0], -along[1]))
            if shadow > 0:
                darken(canvas, figure.projection.ground, 0.3 * one.height, shadow)
            if colors == "parts":
                paint_parts(canvas, one.layer, light=light, height=one.height)
            else:
                paint_person(canvas, one.layer, figure.outfit, rng, light=light, height=one.height, angle=-angle)
    return _photograph(to_picture(canvas), rng)


def _photograph(image: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Uneven light, blur and noise."""
    height, width = image.shape[:2]
    field = np.repeat(rng.integers(160, 236, (3, 3, 1), np.uint8), 3, axis=2)
    gain = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
    image = cv2.multiply(image, gain, scale=1 / 200)
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (5, 5), rng.uniform(0.3, 1.1))
    strength = rng.uniform(0.02, 0.2)
    noise = textures.sensor_noise((height, width), rng)
    return cv2.addWeighted(image, 1.0, noise, strength, -128 * strength).astype(np.uint8, copy=False)
