"""Bodies in three dimensions: proportions, joint positions from a pose, and how a camera sees them.

Lengths are statures, that is fractions of the standing height. A body's own frame has x to its left, y up and z to its
front. The camera's frame, which everything drawn uses, has x to the right, y down and z away from the camera. So left
and right, front and back are facts of the body and not of the drawing.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .poses import Pose

# body frame -> camera frame of somebody who looks into the camera
_FACING = np.diag([1.0, -1.0, -1.0])
_MIRROR = np.diag([-1.0, 1.0, 1.0])

SIDES = ("left", "right")
BENDS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")  # joints that bend, one on each side
_PAIRED = (*BENDS, "hand", "waist", "heel", "toe", "eye", "ear", "brow")
POINTS = (
    *("pelvis", "belly", "chest", "neck", "throat", "head", "jaw", "top_head", "nose", "mouth", "nape", "back"),
    *(f"{side}_{name}" for side in SIDES for name in _PAIRED),
)
INDEX = {name: index for index, name in enumerate(POINTS)}


@dataclass(frozen=True)
class Build:
    """Proportions of one body in statures; ``girth`` scales every radius."""

    girth: float
    shoulder: float
    hip: float
    torso: float
    upper_arm: float
    forearm: float
    thigh: float
    shank: float
    skull: float


@dataclass(frozen=True)
class Body:
    """A posed body in the camera's frame, in statures, the lowest point at y = 0.

    Attributes:
        points: One row per name of ``POINTS``.
        head_axes: Columns are the head's left, up and front.
        chest_axes: Likewise of the chest.
        pelvis_axes: Likewise of the pelvis.
        build: The proportions it was made with.
        seated: Whether it sits.
    """

    points: Float[np.ndarray, "P 3"]
    head_axes: Float[np.ndarray, "3 3"]
    chest_axes: Float[np.ndarray, "3 3"]
    pelvis_axes: Float[np.ndarray, "3 3"]
    build: Build
    seated: bool

    def __getitem__(self, name: str) -> Float[np.ndarray, "3"]:
        return self.points[INDEX[name]]


def sample_build(rng: np.random.Generator) -> Build:
    """Draws proportions; one body in five is a child: bigger head, shorter limbs."""
    child = rng.uniform(0.4, 1.0) if rng.random() < 0.2 else 0.0
    vary = rng.normal(1.0, 0.05, 8).clip(0.87, 1.13)
    limbs = 1.0 - 0.16 * child
    return Build(
        girth=float(np.clip(rng.normal(1.0 + 0.12 * child, 0.14), 0.75, 1.45)),
        shoulder=0.112 * vary[0],
        hip=0.062 * vary[1],
        torso=0.295 * vary[2],
        upper_arm=0.168 * vary[3] * limbs,
        forearm=0.148 * vary[4] * limbs,
        thigh=0.238 * vary[5] * limbs,
        shank=0.232 * vary[6] * limbs,
        skull=0.054 * vary[7] * (1.0 + 0.5 * child),
    )


def _rotation(axis: int, degrees: float) -> Float[np.ndarray, "3 3"]:
    """Right-handed rotation about x (0), y (1) or z (2)."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    if axis == 0:
        rows = ((1.0, 0.0, 0.0), (0.0, cos, -sin), (0.0, sin, cos))
    elif axis == 1:
        rows = ((cos, 0.0, sin), (0.0, 1.0, 0.0), (-sin, 0.0, cos))
    else:
        rows = ((cos, -sin, 0.0), (sin, cos, 0.0), (0.0, 0.0, 1.0))
    return np.array(rows)


def _limb(angles: Float[np.ndarray, "4"], bend: float) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3 3"]]:
    """Axes of the upper and lower part of a left limb; ``bend`` is -1 where it folds forward, +1 backward."""
    flexion, abduction, twist, fold = angles
    upper = _rotation(0, -flexion) @ _rotation(2, abduction) @ _rotation(1, twist)
    return upper, upper @ _rotation(0, bend * fold)


def view_rotation(yaw: float, pitch: float, roll: float) -> Float[np.ndarray, "3 3"]:
    """From a body's frame to the camera's: turned by yaw, seen from ``pitch`` degrees above, the camera tilted by roll.

    Yaw 0 faces the camera, 90 faces the right of the image, 180 shows the back.
    """
    return _rotation(2, roll) @ _FACING @ _rotation(0, pitch) @ _rotation(1, yaw)


def pose_body(build: Build, pose: Pose, view: Float[np.ndarray, "3 3"]) -> Body:
    """Forward kinematics from the pelvis outward, then into the camera's frame."""
    pelvis_axes = _rotation(0, pose.pelvis[0]) @ _rotation(2, pose.pelvis[1])
    chest_axes = pelvis_axes @ _rotation(0, pose.spine[0]) @ _rotation(2, pose.spine[1]) @ _rotation(1, pose.spine[2])
    head_axes = chest_axes @ _rotation(0, pose.head[0]) @ _rotation(2, pose.head[1]) @ _rotation(1, pose.head[2])
    at: dict[str, np.ndarray] = {"pelvis": np.zeros(3)}
    at["belly"] = pelvis_axes @ (0, 0.36 * build.torso, 0)
    at["neck"] = at["belly"] + chest_axes @ (0, 0.64 * build.torso, 0)
    at["chest"] = at["neck"] + chest_axes @ (0, -0.28 * build.torso, 0.025)
    at["back"] = at["neck"] + chest_axes @ (0, -0.25 * build.torso, -0.02)
    _place_head(at, build, chest_axes, head_axes)
    for side in range(2):
        _place_limbs(at, side, build, pose, _Trunk(pelvis_axes, chest_axes))
    points = np.stack([at[name] for name in POINTS]) @ view.T
    points[:, 1] -= points[:, 1].max() + pose.lift
    return Body(points, view @ head_axes, view @ chest_axes, view @ pelvis_axes, build, pose.seated)


class _Trunk(NamedTuple):
    """Axes of pelvis and chest in the body's frame."""

    pelvis: Float[np.ndarray, "3 3"]
    chest: Float[np.ndarray, "3 3"]


def _place_head(
    at: dict[str, np.ndarray], build: Build, chest_axes: Float[np.ndarray, "3 3"], axes: Float[np.ndarray, "3 3"]
) -> None:
    r = build.skull
    at["throat"] = at["neck"] + chest_axes @ (0, 0.035, 0.005)
    at["head"] = at["throat"] + axes @ (0, 1.45 * r, 0.3 * r)
    on_head = {
        "jaw": (0, -0.95, 0.28),
        "top_head": (0, 1.0, 0),
        "nape": (0, -0.7, -0.75),
        "nose": (0, -0.28, 1.1),
        "mouth": (0, -0.85, 0.93),
        "left_eye": (0.37, 0.08, 0.91),
        "left_brow": (0.38, 0.36, 0.86),
        "left_ear": (0.98, -0.08, -0.06),
    }
    for name, place in on_head.items():
        at[name] = at["head"] + axes @ (np.array(place) * r)
        if name.startswith("left"):
            at[name.replace("left", "right")] = at["head"] + axes @ (_MIRROR @ place * r)


def _place_limbs(at: dict[str, np.ndarray], side: int, build: Build, pose: Pose, trunk: _Trunk) -> None:
    name = SIDES[side]
    mirror = _MIRROR if side else np.eye(3)
    upper, lower = _limb(pose.arms[side], bend=-1.0)
    raised = max(pose.arms[side, 0], pose.arms[side, 1]) > 100  # the shoulder blade lifts with the arm
    axes = trunk.chest @ mirror
    at[f"{name}_shoulder"] = at["neck"] + axes @ (build.shoulder * (0.92 if raised else 1.0), 0.01 * raised - 0.02, 0)
    at[f"{name}_elbow"] = at[f"{name}_shoulder"] - build.upper_arm * (axes @ upper)[:, 1]
    at[f"{name}_wrist"] = at[f"{name}_elbow"] - build.forearm * (axes @ lower)[:, 1]
    at[f"{name}_hand"] = at[f"{name}_wrist"] + axes @ lower @ (0, -0.055, 0.008)
    at[f"{name}_waist"] = at["belly"] + axes @ (0.72 * build.shoulder - 0.02, 0.0, 0)
    upper, lower = _limb(pose.legs[side], bend=1.0)
    axes = trunk.pelvis @ mirror
    at[f"{name}_hip"] = axes @ (build.hip, -0.012, 0)
    at[f"{name}_knee"] = at[f"{name}_hip"] - build.thigh * (axes @ upper)[:, 1]
    at[f"{name}_ankle"] = at[f"{name}_knee"] - build.shank * (axes @ lower)[:, 1]
    at[f"{name}_heel"] = at[f"{name}_ankle"] + axes @ lower @ (0, -0.028, -0.012)
    at[f"{name}_toe"] = at[f"{name}_ankle"] + axes @ lower @ (0, -0.036, 0.088)
