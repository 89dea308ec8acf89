"""What stands behind an AP: which joints, which errors, which images, and whether scores can be trusted.

docs/diagnosis.md says what every number means.
"""

from bisect import bisect
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from rtmo.evaluation.average_precision import average_precisions
from rtmo.evaluation.calibration import calibrate
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.evaluation.joint_errors import KINDS, FoundJoints, found_joints
from rtmo.evaluation.matching import ImageMatch, match_images
from rtmo.evaluation.pairs import Comparison, People, members
from rtmo.skeletons import KeypointSet

PCK_DISTANCE = 0.2  # of the longer side of the person's box
_PEOPLE = {1: "1", 2: "2", 3: "3-4", 5: "5-9", 10: "10+"}  # by the fewest


def analyse(metric: CocoKeypointAP) -> dict[str, Any]:
    """The diagnosis of what a metric has seen, ready for JSON; call it on every rank.

    A share or mean over nothing is None. The area of a person is the metric's.
    """
    compared = metric.compare()
    matches = match_images(compared)
    joints = found_joints(compared, matches, metric.skeleton)
    crowded = [
        metric.crowd_index.get(image_id, counted)
        for image_id, counted in zip(compared.image_ids, crowding(compared.people).tolist(), strict=True)
    ]
    return {
        "keypoints": _by_joint(joints, metric.skeleton),
        "errors": {"keypoints": _counts(joints.kind[joints.labeled]), "people": _people(matches)},
        "by_people": _by_group(compared, "people", [_people_group(int(match.counted.sum())) for match in matches]),
        "by_crowding": _by_group(compared, "crowding", list(map(_crowding_group, crowded))),
        "calibration": _calibration(matches, joints),
    }


def crowding(people: People) -> Float[np.ndarray, " _"]:
    """How crowded images are, from 0 on: joints of others in a person's box per joint of the person, over the people.

    The crowd index of CrowdPose (Li et al., CVPR 2019, arXiv:1812.00324). Of its 2,000 validation images three in four
    get the ``crowdIndex`` they are published with to .01; what was counted in the others is not known.
    """
    labeled = people.points[..., 2] > 0
    one, other = members(people.first, people.images)
    corner, size = people.boxes[one, None, :2], people.boxes[one, None, 2:]
    points = people.points[other, :, :2]
    inside = ((points >= corner) & (points <= corner + size)).all(axis=-1) & labeled[other]
    of_others = np.bincount(one, weights=inside.sum(axis=1) * (one != other), minlength=len(labeled))
    own = labeled.sum(axis=1)
    judged = ~people.ignored & (own > 0)  # num_keypoints may say otherwise
    images, num_images = people.images[judged], len(people.first) - 1
    total = np.bincount(images, weights=of_others[judged] / own[judged], minlength=num_images)
    return total / np.maximum(np.bincount(images, minlength=num_images), 1)


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


def _by_group(compared: Comparison, name: str, group_of: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    """AP of images in groups, in the order of the groups; images without people to find are in none."""
    groups: dict[tuple[int, str], list[int]] = {}
    for image in np.unique(compared.people.images[~compared.people.ignored]).tolist():
        groups.setdefault(group_of[image], []).append(image)
    order = sorted(groups)
    values = average_precisions(compared, [groups[group] for group in order])
    return [
        {name: group[1], "images": len(groups[group]), "AP": value} for group, value in zip(order, values, strict=True)
    ]


def _people_group(count: int) -> tuple[int, str]:
    number = bisect(list(_PEOPLE), count)
    return number, list(_PEOPLE.values())[number - 1]


def _crowding_group(crowded: float) -> tuple[int, str]:
    number = int(10 * crowded)
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
