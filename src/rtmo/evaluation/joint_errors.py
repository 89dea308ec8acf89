"""What is wrong with the joints of people who were found.

Reference: Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation", ICCV 2017
(arXiv:1707.05388), as their tool coco-analyze decides it but for one thing: a good joint stays good where somebody
else's is even closer, as happens in crowds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from rtmo.evaluation.matching import ImageMatch, keypoints_of
from rtmo.ops.keypoints import keypoint_similarity
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


def found_joints(matches: Sequence[ImageMatch], skeleton: KeypointSet) -> FoundJoints:
    """The joints of those who are labeled, no crowd, and found."""
    nobody = ImageMatch(0, [], np.zeros(0, bool), np.zeros((0, 1)), np.zeros(0, int), np.zeros(0))
    of_images = [_of_image(match, skeleton) for match in (nobody, *matches)]
    names = [field.name for field in fields(FoundJoints)]
    return FoundJoints(**{name: np.concatenate([getattr(image, name) for image in of_images]) for name in names})


def _of_image(match: ImageMatch, skeleton: KeypointSet) -> FoundJoints:
    """The joints of those found in an image.

    A prediction is good if its similarity to its own joint is .85 or more. Else it belongs to the joint of the highest
    similarity: its own (jitter), the other side's of the same person (inversion), or either of somebody else (swap);
    to none if that is below .5 (miss).
    """
    count = skeleton.num_keypoints
    person = match.person[match.hits]
    predicted = match.rows[match.hits, 1:].reshape(-1, count, 3)
    people = keypoints_of(match.people, count)
    both_sides = np.stack([people, people[:, skeleton.flip_indices]], axis=1)  # (G, 2, K, 3)
    area = np.array([one["area"] for one in match.people], dtype=np.float64)

    shape = (len(person), *both_sides.shape[:3])
    similarity = keypoint_similarity(
        torch.from_numpy(predicted[:, None, None, :, :2]).expand(*shape, 2),
        torch.from_numpy(both_sides[..., :2]).expand(*shape, 2),
        torch.from_numpy(area)[:, None].expand(shape[:3]),
        torch.tensor(skeleton.oks_sigmas, dtype=torch.float64),
    ).numpy()
    similarity = np.where(both_sides[..., 2] > 0, similarity, 0.0)
    best = similarity.max(axis=(1, 2), initial=0.0)
    own, other_side = similarity[np.arange(len(person)), person].swapaxes(0, 1)
    kind = np.select(
        [own >= _GOOD, best < _NEAR, own == best, other_side == best],
        [KINDS.index(name) for name in ("good", "miss", "jitter", "inversion")],
        KINDS.index("swap"),
    )

    size = np.array([max(one["bbox"][2:]) for one in match.people])[person]
    distance = np.linalg.norm(predicted[..., :2] - people[person, :, :2], axis=-1) / np.maximum(size, 1.0)[:, None]
    return FoundJoints(predicted[..., 2], people[person, :, 2] > 0, own, distance, kind)
