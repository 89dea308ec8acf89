"""The keypoint set that a data set names: joints, pairs and limbs from its files, sigmas from the best source."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from rtmo.data.annotator_spread import annotator_spread
from rtmo.errors import InputError
from rtmo.joint_names import mirror_pairs
from rtmo.skeletons import COCO17, KEYPOINT_SETS, KeypointSet, resolve_joints, usual_name, usual_sigma

log = logging.getLogger(__name__)

# Of a joint that neither COCO nor CrowdPose has and nobody labeled twice: the mean of COCO's 17, .067.
DEFAULT_SIGMA = round(sum(COCO17.oks_sigmas) / len(COCO17.oks_sigmas), 3)


def use_usual_names(content: Mapping[str, Any]) -> None:
    """Gives joints that COCO or CrowdPose have the spelling they have there: ``LShoulder`` is ``left_shoulder``.

    Names decide which sigmas and which trained weights a joint has.
    """
    for category in content["categories"]:
        names = [str(name) for name in category.get("keypoints") or ()]
        usual = [usual_name(name) or name for name in names]
        if len(set(usual)) < len(usual):
            continue  # two spellings of one joint are two joints
        category["keypoints"] = usual
        if category.get("flip_pairs"):
            renamed = dict(zip(names, usual, strict=True))
            category["flip_pairs"] = [(renamed[a], renamed[b]) for a, b in category["flip_pairs"]]


def with_joints(content: Mapping[str, Any], joints: Sequence[str] | str | None) -> Mapping[str, Any]:
    """Content whose categories have other names of joints, if there are any; pairs and limbs go by position."""
    names = resolve_joints(joints)
    if names is None:
        return content
    categories = [_renamed(each, list(names)) for each in content["categories"] if each.get("keypoints")]
    return {**content, "categories": categories}


def _renamed(category: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    before = category["keypoints"]
    if len(before) != len(names):  # whoever reads the annotations says so
        return {"id": category["id"], "keypoints": names}
    given = category.get("flip_pairs")
    pairs = {} if given is None else {"flip_pairs": [tuple(names[before.index(one)] for one in pair) for pair in given]}
    return {"id": category["id"], "skeleton": category.get("skeleton"), "keypoints": names, **pairs}


def named_keypoint_set(content: Mapping[str, Any], name: str, where: str) -> tuple[KeypointSet, str]:
    """The keypoint set of COCO content, and a summary in words.

    Joints of several categories are put together. If they are those of a built-in set, in any order, it is that set.
    Pairs are the ``flip_pairs`` of the categories (not COCO's; from YOLO's flip_idx), else those whose names differ by
    side only. A sigma is COCO's or CrowdPose's of that name, else estimated from ``repeats``, else the default.

    Args:
        name: Of the set.
        where: What messages start with.

    Raises:
        InputError: If no category names its joints, or they contradict each other.
    """
    categories = [
        category for category in content["categories"] if isinstance(category, dict) and category.get("keypoints")
    ]
    joints = tuple(dict.fromkeys(joint for category in categories for joint in category["keypoints"]))
    if not joints:
        raise InputError(
            f"{where}: no category lists its joints under 'keypoints'; say skeleton=..., the joints to learn, and "
            "data.joints=[...], the names of those in the file, in order"
        )
    for category in categories:
        if len(set(category["keypoints"])) < len(category["keypoints"]):
            raise InputError(f"{where}: names of joints must differ, got {category['keypoints']}")
    for known in KEYPOINT_SETS.values():
        if set(joints) == set(known.joints):
            return known, _summary(known, f"of {known.name}")
    given = [category["flip_pairs"] for category in categories if "flip_pairs" in category]
    pairs = dict.fromkeys((a, b) for some in given for a, b in some) if given else mirror_pairs(joints)
    limbs = dict.fromkeys(limb for category in categories for limb in _limbs(category, where))
    sigmas, origins = _sigmas(joints, content.get("repeats", ()), categories)
    try:
        skeleton = KeypointSet(
            name=f"own_{name}" if name in KEYPOINT_SETS else name,
            joints=joints,
            flip_pairs=tuple(pairs),
            limbs=tuple(limbs),
            oks_sigmas=sigmas,
        )
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    return skeleton, _summary(skeleton, origins)


def _sigmas(
    joints: Sequence[str], repeats: Sequence[Mapping[str, Any]], categories: Sequence[Mapping[str, Any]]
) -> tuple[tuple[float, ...], str]:
    """Of every joint the best sigma there is, and in words where they are from."""
    joints_of = {category["id"]: category["keypoints"] for category in categories}
    spread, least = annotator_spread(repeats, joints_of)
    by_name = {joint: sigma for joint in joints if (sigma := usual_sigma(joint)) is not None}
    best = {**dict.fromkeys(joints, DEFAULT_SIGMA), **spread, **by_name}
    counts = {
        "of COCO and CrowdPose by name": len(by_name),
        f"from {least} or more repeated annotations": len(spread.keys() - by_name.keys()),
        f"the default {DEFAULT_SIGMA}": len(set(joints) - spread.keys() - by_name.keys()),
    }
    words = ", ".join(f"{count} {origin}" for origin, count in counts.items() if count)
    return tuple(round(best[joint], 4) for joint in joints), words


def _limbs(category: Mapping[str, Any], where: str) -> Sequence[tuple[str, str]]:
    """COCO's ``skeleton``: pairs of positions from 1 on."""
    names, pairs = category["keypoints"], category.get("skeleton") or ()
    places = range(1, len(names) + 1)
    if not isinstance(pairs, Sequence) or not all(
        isinstance(pair, Sequence) and len(pair) == 2 and all(place in places for place in pair) for pair in pairs
    ):
        log.warning(
            "%s: category %s: skeleton must be pairs of joints, counted from 1; no limbs are drawn",
            where,
            category["id"],
        )
        return ()
    return [(names[a - 1], names[b - 1]) for a, b in pairs]


def _summary(skeleton: KeypointSet, sigmas: str) -> str:
    pairs = ", ".join(f"{a} - {b}" for a, b in skeleton.flip_pairs)
    mirror = f"in a mirror: {pairs}" if pairs else "no pairs of left and right: flips swap nothing"
    return f"{skeleton.num_keypoints} keypoints: {', '.join(skeleton.joints)}; {mirror}; sigmas: {sigmas}"
