"""Whether an exported file finds the poses that torch finds."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rtmo.errors import InputError
from rtmo.types import Poses

SAME_PERSON = 0.5  # IoU of boxes from which two runtimes mean the same person


@dataclass(frozen=True)
class Limits:
    """By how much an exported file may differ from torch.

    Attributes:
        unmatched: Share of the people that one of the two does not find.
        keypoints: px of the network input, between joints of the same person.
        scores: Between scores of the same person.
    """

    unmatched: float
    keypoints: float
    scores: float


@dataclass(frozen=True)
class Comparison:
    """How the poses of an exported file differ from those of torch.

    Attributes:
        images: How many were compared.
        people: Found by torch.
        matched: Found by both.
        unmatched: Found by one of the two only.
        keypoints: Largest distance between joints of the same person, px of the network input.
        scores: Largest difference between scores of the same person.
    """

    images: int
    people: int
    matched: int
    unmatched: int
    keypoints: float
    scores: float

    def check(self, limits: Limits) -> None:
        """Refuses a difference beyond the limits.

        Raises:
            InputError: With every number, also if torch finds nobody, which proves nothing.
        """
        if not self.people:
            raise InputError(
                f"images: torch finds nobody in {self.images} of them, so they prove nothing; give images of people "
                "that the network finds, or a lower score_thr"
            )
        share = self.unmatched / self.people
        exceeded = [
            f"{name} {value:.4g} (at most {limit:g})"
            for name, value, limit in (
                ("share of people found by one alone", share, limits.unmatched),
                ("keypoints, px", self.keypoints, limits.keypoints),
                ("scores", self.scores, limits.scores),
            )
            if not value <= limit
        ]
        if exceeded:
            raise InputError(
                f"the exported model differs from torch: {', '.join(exceeded)}; {self}; nothing is written. Other "
                "limits: limits.keypoints=..., limits.scores=..., limits.unmatched=..."
            )

    def __str__(self) -> str:
        return (
            f"{self.matched} of {self.people} people in {self.images} images matched, {self.unmatched} found by one "
            f"alone; keypoints differ by {self.keypoints:.2g} px at most, scores by {self.scores:.2g}"
        )


def compare(expected: Sequence[Poses], found: Sequence[Poses]) -> Comparison:
    """Matches people of each image by their boxes, the best-scored first, and measures how far they are apart."""
    pairs = [pair for poses in zip(expected, found, strict=True) for pair in matched_people(*poses)]
    people, others = sum(map(len, expected)), sum(map(len, found))
    keypoints = [float((a.keypoints[i] - b.keypoints[j]).norm(dim=-1).max()) for a, i, b, j in pairs]
    scores = [float((a.scores[i] - b.scores[j]).abs()) for a, i, b, j in pairs]
    return Comparison(
        images=len(expected),
        people=people,
        matched=len(pairs),
        unmatched=people + others - 2 * len(pairs),
        keypoints=max(keypoints, default=0.0),
        scores=max(scores, default=0.0),
    )


def matched_people(expected: Poses, found: Poses) -> list[tuple[Poses, int, Poses, int]]:
    """Pairs of the same person: boxes overlap, and keypoints are nearer than those of anybody else left."""
    overlap = pairwise_iou(expected.bboxes, found.bboxes)
    distance = (expected.keypoints[:, None] - found.keypoints[None]).norm(dim=-1).mean(dim=-1)
    distance = torch.where(overlap >= SAME_PERSON, distance, torch.inf)
    pairs = []
    for person in range(len(expected) if len(found) else 0):
        nearest = int(distance[person].argmin())
        if distance[person, nearest] < torch.inf:
            pairs.append((expected, person, found, nearest))
            distance[:, nearest] = torch.inf
    return pairs
