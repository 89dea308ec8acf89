"""Keypoint sets: the one description of a skeleton that every other part derives its numbers from.

The width of the head, horizontal flips, the OKS losses, the metric and the drawings all come from a ``KeypointSet``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

from rtmo.documents import parse_yaml
from rtmo.errors import InputError
from rtmo.joint_names import known_joint, mirror_pairs


@dataclass(frozen=True)
class KeypointSet:
    """Names, symmetry, limbs and OKS constants of the joints of a data set.

    Attributes:
        name: How configs and checkpoints refer to it.
        joints: Names in annotation order.
        flip_pairs: Joints that trade places in a mirror, each pair once.
        limbs: Pairs of joints joined by a line in drawings.
        oks_sigmas: One per joint; the OKS falloff is ``k = 2 * sigma``.

    Raises:
        ValueError: If a name is doubled or unknown, a joint has two partners, or a sigma is missing or not positive.
    """

    name: str
    joints: tuple[str, ...]
    flip_pairs: tuple[tuple[str, str], ...]
    limbs: tuple[tuple[str, str], ...]
    oks_sigmas: tuple[float, ...]

    def __post_init__(self) -> None:
        where = f"keypoint set {self.name!r}"
        if len(set(self.joints)) != len(self.joints):
            raise ValueError(f"{where}: joint names must differ, got {self.joints}")
        if len(self.oks_sigmas) != len(self.joints):
            raise ValueError(f"{where}: {len(self.joints)} joints but {len(self.oks_sigmas)} oks_sigmas; give one each")
        if min(self.oks_sigmas) <= 0:
            raise ValueError(f"{where}: oks_sigmas must be positive, got {self.oks_sigmas}")
        for field, pairs in (("flip_pairs", self.flip_pairs), ("limbs", self.limbs)):
            for joint in (joint for pair in pairs for joint in pair):
                if joint not in self.joints:
                    raise ValueError(f"{where}: {field} names {joint!r}, which is not among its joints")
        partnered = [joint for pair in self.flip_pairs for joint in pair]
        if len(set(partnered)) != len(partnered):
            raise ValueError(f"{where}: a joint stands in two flip_pairs: {self.flip_pairs}")

    @property
    def num_keypoints(self) -> int:
        return len(self.joints)

    @cached_property
    def flip_indices(self) -> tuple[int, ...]:
        """For each joint, the index of the joint that stands in its place in a mirror."""
        partner = dict(self.flip_pairs) | {b: a for a, b in self.flip_pairs}
        return tuple(self.joints.index(partner.get(joint, joint)) for joint in self.joints)

    @cached_property
    def limb_indices(self) -> tuple[tuple[int, int], ...]:
        return tuple((self.joints.index(a), self.joints.index(b)) for a, b in self.limbs)

    def to_plain(self) -> dict[str, Any]:
        """Plain containers, as checkpoints carry them."""
        return asdict(self)

    @classmethod
    def from_plain(cls, fields: Mapping[str, Any]) -> "KeypointSet":
        """The set that ``to_plain`` described, also after JSON or YAML has made lists of its tuples."""
        return cls(
            name=fields["name"],
            joints=tuple(fields["joints"]),
            flip_pairs=tuple((a, b) for a, b in fields["flip_pairs"]),
            limbs=tuple((a, b) for a, b in fields["limbs"]),
            oks_sigmas=tuple(fields["oks_sigmas"]),
        )

    def equals_but_for_name(self, other: "KeypointSet") -> bool:
        """Whether weights for one set mean the same joints in the other."""
        return replace(other, name=self.name) == self

    def indices_in(self, source: "KeypointSet") -> tuple[int | None, ...]:
        """For each joint, where the source keeps the joint of that name; None where it has none."""
        return tuple(source.joints.index(joint) if joint in source.joints else None for joint in self.joints)


def _both(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"left_{name}", f"right_{name}") for name in names)


def _sides(*pairs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in pairs)


_PAIRED_BODY = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_LIMBS_BODY = (
    *_sides(("shoulder", "elbow"), ("elbow", "wrist"), ("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle")),
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "right_hip"),
)

COCO17 = KeypointSet(
    name="coco17",
    joints=("nose", *(f"{side}_{part}" for part in ("eye", "ear", *_PAIRED_BODY) for side in ("left", "right"))),
    flip_pairs=_both("eye", "ear", *_PAIRED_BODY),
    limbs=(
        *_LIMBS_BODY,
        ("nose", "left_eye"),
        ("nose", "right_eye"),
        ("left_eye", "left_ear"),
        ("right_eye", "right_ear"),
    ),
    oks_sigmas=(
        *(0.026, 0.025, 0.025, 0.035, 0.035),
        *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
)

CROWDPOSE14 = KeypointSet(
    name="crowdpose14",
    joints=(*(f"{side}_{part}" for part in _PAIRED_BODY for side in ("left", "right")), "top_head", "neck"),
    flip_pairs=_both(*_PAIRED_BODY),
    limbs=(*_LIMBS_BODY, ("top_head", "neck"), ("neck", "left_shoulder"), ("neck", "right_shoulder")),
    oks_sigmas=(0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079, 0.079),
)


# OKS sigmas by joint, for sets whose own evaluation has none.
_SIGMAS = dict(zip(CROWDPOSE14.joints + COCO17.joints, CROWDPOSE14.oks_sigmas + COCO17.oks_sigmas, strict=True))


def usual_name(joint: str) -> str | None:
    """The name that COCO or CrowdPose has for a joint, in whatever spelling; None if they have no such joint."""
    return known_joint(joint, _SIGMAS)


def usual_sigma(joint: str) -> float | None:
    """The OKS sigma of COCO's or CrowdPose's joint of that name, in whatever spelling."""
    name = usual_name(joint)
    return None if name is None else _SIGMAS[name]


def _borrowed(joints: tuple[str, ...], **others: float) -> tuple[float, ...]:
    """OKS sigmas of COCO's or CrowdPose's joint of the same name, or given."""
    return tuple((_SIGMAS | others)[joint] for joint in joints)


def _in_turn(*parts: str) -> tuple[str, ...]:
    return tuple(f"{side}_{part}" for part in parts for side in ("right", "left"))


# Sets that RTMO is trained on beside COCO and CrowdPose. Names decide what is learned from which: where the published
# recipes take another joint of a set for CrowdPose's top_head or neck, it has that name here.

AIC14 = KeypointSet(
    name="aic14",
    joints=(
        *("right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
        *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "top_head", "neck"),
    ),
    flip_pairs=_both(*_PAIRED_BODY),
    limbs=CROWDPOSE14.limbs,
    oks_sigmas=(  # of AI Challenger's evaluation
        *(0.01388152, 0.01515228, 0.01057665, 0.01417709, 0.01497891, 0.01402144, 0.03909642),
        *(0.03686941, 0.01981803, 0.03843971, 0.03412318, 0.02415081, 0.01291456, 0.01236173),
    ),
)

_MPII_JOINTS = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("pelvis", "neck", "upper_neck", "top_head"),  # MPII says thorax and upper neck; the former is CrowdPose's neck
    *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
)
MPII16 = KeypointSet(
    name="mpii16",
    joints=_MPII_JOINTS,
    flip_pairs=_both(*_PAIRED_BODY),
    limbs=(*CROWDPOSE14.limbs, ("neck", "pelvis")),
    oks_sigmas=_borrowed(_MPII_JOINTS, pelvis=0.107, upper_neck=0.079),  # as hips, as neck
)

_JHMDB_JOINTS = ("neck", "belly", "top_head", *_in_turn("shoulder", "hip", "elbow", "knee", "wrist", "ankle"))
JHMDB15 = KeypointSet(
    name="jhmdb15",
    joints=_JHMDB_JOINTS,  # JHMDB says face where CrowdPose has the top of the head
    flip_pairs=_both(*_PAIRED_BODY),
    limbs=(*CROWDPOSE14.limbs, ("neck", "belly")),
    oks_sigmas=_borrowed(_JHMDB_JOINTS, belly=0.107),  # as hips
)

_POSETRACK_JOINTS = ("nose", "neck", "top_head", *COCO17.joints[3:])  # PoseTrack says head_bottom and head_top
POSETRACK18 = KeypointSet(
    name="posetrack18",
    joints=_POSETRACK_JOINTS,
    flip_pairs=_both("ear", *_PAIRED_BODY),
    limbs=(*_LIMBS_BODY, ("nose", "top_head"), ("nose", "neck"), ("neck", "left_shoulder"), ("neck", "right_shoulder")),
    oks_sigmas=_borrowed(_POSETRACK_JOINTS),
)

# Halpe's face is that of iBUG: point i has its partner at sum - i, for i from first up to stop.
_FACE_MIRRORS = (  # first, stop, sum: jaw, brows, nose, eyes above and below, lips outside and inside
    *((0, 8, 16), (17, 22, 43), (31, 33, 66), (36, 40, 81), (40, 42, 87)),
    *((48, 51, 102), (55, 57, 114), (60, 62, 124), (65, 66, 132)),
)
_HAND = tuple(f"hand_{point}" for point in range(21))
HALPE136 = KeypointSet(
    name="halpe136",
    joints=(
        *COCO17.joints,
        *("head", "mid_neck", "mid_hip"),  # not CrowdPose's names: its recipes take only Halpe's limbs
        *(f"{side}_{part}" for part in ("big_toe", "small_toe", "heel") for side in ("left", "right")),
        *(f"face_{point}" for point in range(68)),
        *(f"{side}_{point}" for side in ("left", "right") for point in _HAND),
    ),
    flip_pairs=(
        *COCO17.flip_pairs,
        *_both("big_toe", "small_toe", "heel", *_HAND),
        *((f"face_{i}", f"face_{total - i}") for first, stop, total in _FACE_MIRRORS for i in range(first, stop)),
    ),
    limbs=(
        *COCO17.limbs,
        ("head", "mid_neck"),
        ("mid_neck", "mid_hip"),
        *_sides(("ankle", "heel"), ("heel", "big_toe")),
    ),
    oks_sigmas=(*COCO17.oks_sigmas, *3 * (0.08,), *6 * (0.089,), *110 * (0.015,)),  # of Halpe's evaluation
)

KEYPOINT_SETS: dict[str, KeypointSet] = {
    skeleton.name: skeleton for skeleton in (COCO17, CROWDPOSE14, AIC14, MPII16, JHMDB15, POSETRACK18, HALPE136)
}


def keypoint_set(described: str | Mapping[str, Any]) -> KeypointSet:
    """The built-in set of that name, or the one that a YAML file or a mapping describes.

    Raises:
        InputError: If there is none, or the description cannot be used.
    """
    if isinstance(described, Mapping):
        return _from_fields(described, "skeleton", described.get("name", "own"))
    if described.endswith((".yaml", ".yml")):
        return read_keypoint_set(Path(described))
    if described not in KEYPOINT_SETS:
        raise InputError(
            f"skeleton={described!r} is not a built-in keypoint set; choose one of {sorted(KEYPOINT_SETS)} or give "
            "a .yaml file with joints, flip_pairs, limbs and oks_sigmas"
        )
    return KEYPOINT_SETS[described]


def resolve_joints(joints: Sequence[str] | str | None) -> Sequence[str] | None:
    """Names of joints that a config gives: a list as it is, those of the keypoint set of that name, or none."""
    return keypoint_set(joints).joints if isinstance(joints, str) else joints


def read_keypoint_set(path: Path) -> KeypointSet:
    """A keypoint set from a YAML file, named after the file.

    Only ``joints`` is needed. Without ``flip_pairs``, joints called ``left_x`` and ``right_x`` are pairs, in any usual
    spelling; without ``oks_sigmas``, joints have those of COCO's and CrowdPose's joint of that name.

    Raises:
        InputError: If the file cannot be used.
    """
    if not path.is_file():
        raise InputError(f"skeleton={path}: no such file")
    fields = parse_yaml(path.read_bytes(), str(path))
    if isinstance(fields, dict) and "name" in fields:
        raise InputError(f"{path}: name: the set is called like its file; remove it")
    return _from_fields(fields, str(path), path.stem)


def _from_fields(fields: Any, where: str, name: str) -> KeypointSet:
    if not isinstance(fields, Mapping) or "joints" not in fields:
        raise InputError(f"{where}: joints is missing; list the names of the keypoints in order")
    if name in KEYPOINT_SETS and fields != KEYPOINT_SETS[name].to_plain():
        raise InputError(f"{where}: {name} is the name of a built-in set; call it otherwise")
    for field, value in fields.items():
        if field == "name":
            continue
        if field not in _FIELDS:
            raise InputError(f"{where}: {field}: no such field; {', '.join(_FIELDS)} may be given")
        form, fits = _FIELDS[field]
        if not isinstance(value, list) or not all(map(fits, value)) or not (value or field in ("flip_pairs", "limbs")):
            raise InputError(f"{where}: {field}: expected {form}, got {value!r}")
    joints = fields["joints"]
    if "oks_sigmas" not in fields and (unknown := [joint for joint in joints if usual_sigma(joint) is None]):
        raise InputError(f"{where}: oks_sigmas is missing, and COCO and CrowdPose have no {unknown}; give one a joint")
    derived = {
        "flip_pairs": mirror_pairs(joints),
        "limbs": [],
        "oks_sigmas": [usual_sigma(joint) for joint in joints],
    }
    try:
        return KeypointSet.from_plain({**derived, **fields, "name": name})
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(joint, str) for joint in value)


# fields of a YAML file: form, and whether one entry of the list has it
_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "joints": ("a list of names", lambda value: isinstance(value, str)),
    "flip_pairs": ("a list of pairs of joints, [[left_x, right_x], ...]", _is_pair),
    "limbs": ("a list of pairs of joints, [[a, b], ...]", _is_pair),
    "oks_sigmas": ("a list of numbers above 0", lambda value: isinstance(value, int | float) and 0 < value < inf),
}
