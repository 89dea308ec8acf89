"""What is wrong with the joints of people who were found.

Reference: Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation", ICCV 2017
(arXiv:1707.05388), section 3.1, as their tool coco-analyze decides it.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from rtmo.evaluation.matching import ImageMatch, keypoints_of
from rtmo.ops.keypoints import keypoint_similarity
from rtmo.skeletons import KeypointSet

KINDS = ("good", "jitter", "inversion", "swap", "miss")
_NEAR, _GOOD = 0.5, 0.85  # keypoint similarity: beyond .85 annotators differ as much


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
    of_images = [astuple(_of_image(match, skeleton)) for match in (nobody, *matches)]
    return FoundJoints(*(np.concatenate(arrays) for arrays in zip(*of_images, strict=True)))


def _of_image(match: ImageMatch, skeleton: KeypointSet) -> FoundJoints:
    """The joints of those found in an image.

    A prediction is near a joint if their similarity is .5 or more. Near its own joint it is good or a jitter, near the
    other side's of the same person an inversion, near either of somebody else a swap, near none a miss. Near several,
    it belongs to the most similar.
    """
    count = skeleton.num_keypoints
    person = match.person[match.hits]
    predicted = match.rows[match.hits, 1:].reshape(-1, count, 3)
    people = keypoints_of(match.people, count)
    both_sides = np.stack([people, people[:, skeleton.flip_indices]], axis=1)  # (G, 2, K, 3)
    area = np.array([one["area"] for one in match.people], dtype=np.float64)

    shape = (len(person), *both_sides.shape[:3])
    similarity = keypoint_similarity(
        torch.from_numpy(np.broadcast_to(predicted[:, None, None, :, :2], (*shape, 2)).copy()),
        torch.from_numpy(both_sides[..., :2]).expand(*shape, 2),
        torch.from_numpy(area)[:, None].expand(shape[:3]),
        torch.tensor(skeleton.oks_sigmas, dtype=torch.float64),
    ).numpy()
    similarity = np.where(both_sides[..., 2] > 0, similarity, 0.0)
    best = similarity.max(axis=(1, 2), initial=0.0)
    own, other_side = similarity[np.arange(len(person)), person].swapaxes(0, 1)
    kind = np.select(
        [best < _NEAR, (own == best) & (own >= _GOOD), own == best, other_side == best],
        [KINDS.index(name) for name in ("miss", "good", "jitter", "inversion")],
        KINDS.index("swap"),
    )

    size = np.array([max(one["bbox"][2:]) for one in match.people])[person]
    distance = np.linalg.norm(predicted[..., :2] - people[person, :, :2], axis=-1) / np.maximum(size, 1.0)[:, None]
    return FoundJoints(predicted[..., 2], people[person, :, 2] > 0, own, distance, kind)
