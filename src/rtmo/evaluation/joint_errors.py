"""What is wrong with the joints of people who were found.

Reference: Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation", ICCV 2017
(arXiv:1707.05388), as their tool coco-analyze decides it but for one thing: a good joint stays good where somebody
else's is even closer, as happens in crowds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from rtmo.evaluation.matching import ImageMatch
from rtmo.evaluation.pairs import Comparison, People, keypoint_similarity, members
from rtmo.skeletons import KeypointSet

KINDS = ("good", "jitter", "inversion", "swap", "miss")
_NEAR, _GOOD = 0.5, 0.85  # keypoint similarity; annotators differ by as much as .85


@dataclass(frozen=True, slots=True)
class FoundJoints:
    """The joints of all people found, one row a person.

    Attributes:
        scores: Of the joints, as predicted.
        labeled: Where the person has a joint to compare with; the rest is meaningless elsewhere.
        similarity: With that joint, 0..1.
        distance: To it, as a share of the longer side of the person's box.
        kind: Index into ``KINDS``.
    """

    scores: Float[np.ndarray, "F K"]
    labeled: Bool[np.ndarray, "F K"]
    similarity: Float[np.ndarray, "F K"]
    distance: Float[np.ndarray, "F K"]
    kind: Int[np.ndarray, "F K"]


def found_joints(compared: Comparison, matches: Sequence[ImageMatch], skeleton: KeypointSet) -> FoundJoints:
    """The joints of those who are labeled, no crowd, and found.

    A prediction is good if its similarity to its own joint is .85 or more. Else it belongs to the joint of the highest
    similarity: its own (jitter), the other side's of the same person (inversion), or either of somebody else (swap);
    to none if that is below .5 (miss).
    """
    people, rows = compared.people, compared.predictions.rows
    person = np.concatenate([np.empty(0, int), *(match.person for match in matches)])
    person += np.repeat(people.first[:-1], np.diff(compared.predictions.first))
    is_hit = np.concatenate([np.empty(0, bool), *(match.hits for match in matches)])
    person, predicted = person[is_hit], rows[is_hit, 1:-1].reshape(-1, skeleton.num_keypoints, 3)

    target, size = people.points[person], people.boxes[person, 2:].max(axis=1)
    offsets, labeled = predicted[..., :2] - target[..., :2], target[..., 2] > 0
    similarity = keypoint_similarity(offsets, people.areas[person, None], np.asarray(skeleton.oks_sigmas))
    kind = np.full(similarity.shape, KINDS.index("good"))
    wrong, joint = np.nonzero(labeled & (similarity < _GOOD))
    kind[wrong, joint] = _kind_of_wrong(predicted[wrong, joint, :2], joint, person[wrong], people, skeleton)
    distance = np.linalg.norm(offsets, axis=-1) / np.maximum(size, 1.0)[:, None]
    return FoundJoints(predicted[..., 2], labeled, similarity, distance, kind)


def _kind_of_wrong(
    points: Float[np.ndarray, "W 2"],
    joint: Int[np.ndarray, " W"],
    person: Int[np.ndarray, " W"],
    people: People,
    skeleton: KeypointSet,
) -> Int[np.ndarray, " W"]:
    """What predictions of joints are that are not good, by comparison with the joints of everybody of the image."""
    one, other = members(people.first, people.images[person])
    both_sides = np.stack([joint, np.asarray(skeleton.flip_indices)[joint]])[:, one]
    target = people.points[other, both_sides]  # (2, pairs of a joint and somebody, 3)
    sigmas = np.asarray(skeleton.oks_sigmas)[joint][one]
    similarity = keypoint_similarity(points[one] - target[..., :2], people.areas[other], sigmas)
    similarity = np.where(target[..., 2] > 0, similarity, 0.0)
    own, other_side = similarity[:, other == person[one]]
    best = np.zeros(len(points))
    np.maximum.at(best, one, similarity.max(axis=0))
    return np.select(
        [best < _NEAR, own == best, other_side == best],
        [KINDS.index(name) for name in ("miss", "jitter", "inversion")],
        KINDS.index("swap"),
    )
