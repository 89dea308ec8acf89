"""What stands behind an AP: which joints, which errors, which images, and whether scores can be trusted.

docs/diagnosis.md says what every number means.
"""

from bisect import bisect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtmo.evaluation.calibration import calibrate
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.evaluation.joint_errors import KINDS, FoundJoints, found_joints
from rtmo.evaluation.matching import ImageMatch, keypoints_of
from rtmo.skeletons import KeypointSet

PCK_DISTANCE = 0.2  # of the longer side of the person's box
_PEOPLE = {1: "1", 2: "2", 3: "3-4", 5: "5-9", 10: "10+"}  # by the fewest


def analyse(metric: CocoKeypointAP) -> dict[str, Any]:
    """The diagnosis of what a metric has seen, ready for JSON; call it on every rank.

    A share or mean over nothing is None. The area of a person is the metric's.
    """
    matches = metric.matches()
    joints = found_joints(matches, metric.skeleton)
    return {
        "keypoints": _by_joint(joints, metric.skeleton),
        "errors": {"keypoints": _counts(joints.kind[joints.labeled]), "people": _people(matches)},
        "by_people": _by_group(matches, metric, "people", _people_group),
        "by_crowding": _by_group(matches, metric, "crowding", lambda match: _crowding_group(match, metric)),
        "calibration": _calibration(matches, joints),
    }


def crowding(match: ImageMatch, num_keypoints: int) -> float:
    """How crowded an image is, from 0 on: joints of others in a person's box per joint of the person, over the people.

    The crowd index of CrowdPose (Li et al., CVPR 2019, arXiv:1812.00324). Of its 2,000 validation images three in four
    get the ``crowdIndex`` they are published with to .01; what was counted in the others is not known.
    """
    people = keypoints_of(match.people, num_keypoints)
    labeled = people[..., 2] > 0
    corner, size = np.split(np.array([one["bbox"] for one in match.people]).reshape(-1, 1, 1, 4), 2, axis=-1)
    inside = ((people[..., :2] >= corner) & (people[..., :2] <= corner + size)).all(axis=-1) & labeled  # (G, G, K)
    of_others = inside.sum(axis=-1)
    np.fill_diagonal(of_others, 0)
    own = labeled.sum(axis=1)
    judged = match.counted & (own > 0)  # num_keypoints may say otherwise
    return float((of_others.sum(axis=1)[judged] / own[judged]).mean()) if judged.any() else 0.0


def _by_joint(joints: FoundJoints, skeleton: KeypointSet) -> dict[str, dict[str, Any]]:
    """Every joint of the skeleton over the people found who have it labeled."""
    table = {}
    for number, name in enumerate(skeleton.joints):
        labeled = joints.labeled[:, number]
        table[name] = {
            "labeled": int(labeled.sum()),
            "oks": _mean(joints.similarity[labeled, number]),
            "pck": _mean(joints.distance[labeled, number] <= PCK_DISTANCE),
            "errors": _counts(joints.kind[labeled, number]),
        }
    return table


def _counts(kind: np.ndarray) -> dict[str, int]:
    return dict(zip(KINDS, np.bincount(kind, minlength=len(KINDS)).tolist(), strict=True))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _people(matches: Sequence[ImageMatch]) -> dict[str, int]:
    scores = [match.score for match in matches]
    return {name: sum(getattr(score, name) for score in scores) for name in ("found", "missed", "false_positives")}


def _by_group(
    matches: Sequence[ImageMatch], metric: CocoKeypointAP, name: str, group_of: Callable[[ImageMatch], tuple[int, str]]
) -> list[dict[str, Any]]:
    """AP of images in groups, in the order of the groups; images without people to find are in none."""
    groups: dict[tuple[int, str], list[ImageMatch]] = {}
    for match in matches:
        if match.counted.any():
            groups.setdefault(group_of(match), []).append(match)
    return [
        {name: label, "images": len(group), "AP": metric.average_precision(match.image_id for match in group)}
        for (_, label), group in sorted(groups.items())
    ]


def _people_group(match: ImageMatch) -> tuple[int, str]:
    number = bisect(list(_PEOPLE), int(match.counted.sum()))
    return number, list(_PEOPLE.values())[number - 1]


def _crowding_group(match: ImageMatch, metric: CocoKeypointAP) -> tuple[int, str]:
    index = metric.crowd_index.get(match.image_id)
    number = int(10 * (crowding(match, metric.skeleton.num_keypoints) if index is None else index))
    return (number, f"{number / 10:.1f}-{(number + 1) / 10:.1f}") if number < 10 else (10, "1.0+")


def _calibration(matches: Sequence[ImageMatch], joints: FoundJoints) -> dict[str, Any]:
    """Scores of predictions against OKS, 0 for a false positive; scores of joints against whether they are labeled.

    That is what the network learns to predict: its score of a person from the OKS, that of a joint from the labels.
    Joints that nobody has labeled are not annotated at all, and say nothing.
    """
    scores, oks = [np.zeros(0)], [np.zeros(0)]
    for match in matches:
        judged = match.hits | (match.person < 0)
        scores.append(match.rows[judged, 0])
        oks.append(match.oks[judged])
    annotated = joints.labeled.any(axis=0)
    of_joints = joints.scores[:, annotated].ravel(), joints.labeled[:, annotated].ravel().astype(float)
    instance, instance_error = calibrate(np.concatenate(scores), np.concatenate(oks), "oks")
    keypoint, keypoint_error = calibrate(*of_joints, "labeled")
    return {
        "instance": instance,
        "keypoint": keypoint,
        "instance_error": instance_error,
        "keypoint_error": keypoint_error,
    }
