"""Keypoint sets: the one description of a skeleton that every other part derives its numbers from.

The width of the head, horizontal flips, the OKS losses, the metric and the drawings all come from a ``KeypointSet``.
"""

from dataclasses import dataclass
from functools import cached_property

from rtmo.errors import InputError


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

KEYPOINT_SETS: dict[str, KeypointSet] = {skeleton.name: skeleton for skeleton in (COCO17, CROWDPOSE14)}


def keypoint_set(name: str) -> KeypointSet:
    """The built-in set of that name.

    Raises:
        InputError: If there is none.
    """
    if name not in KEYPOINT_SETS:
        raise InputError(f"skeleton={name!r} is not a built-in keypoint set; choose one of {sorted(KEYPOINT_SETS)}")
    return KEYPOINT_SETS[name]
