"""Which prediction found which person: the greedy matching by OKS that COCO's evaluation does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from rtmo.ops.keypoints import oks

# Lower than any threshold of AP, so that a pose with many wrong joints is a person found badly, which can be looked
# into, and not one missed and one made up (Ronchi and Perona, ICCV 2017, and their tool).
FOUND_OKS = 0.1


@dataclass(frozen=True, slots=True)
class ImageMatch:
    """The predictions of an image, best first, and whom each found.

    Attributes:
        image_id: Of the ground truth.
        people: Its annotations, as ``CocoKeypointAP`` keeps them.
        counted: Whom there is to find; not counted are crowds and people without labeled joints.
        rows: Predictions (score, x0, y0, s0, x1, ...), px.
        person: Index of the person each found, -1 for none.
        oks: With that person, 0..1; 0 for none.
    """

    image_id: int
    people: Sequence[Mapping[str, Any]]
    counted: Bool[np.ndarray, " G"]
    rows: Float[np.ndarray, "N D"]
    person: Int[np.ndarray, " N"]
    oks: Float[np.ndarray, " N"]

    @property
    def hits(self) -> Bool[np.ndarray, " N"]:
        """Predictions that found somebody who counts."""
        hits = self.person >= 0
        hits[hits] = self.counted[self.person[hits]]
        return hits

    @property
    def score(self) -> "ImageScore":
        """The numbers of the image."""
        hits = self.hits
        people, found = int(self.counted.sum()), int(hits.sum())
        return ImageScore(
            image_id=self.image_id,
            people=people,
            found=found,
            oks=float(self.oks[hits].sum()) / people if people else None,
            missed=people - found,
            false_positives=int((self.person < 0).sum()),
        )


@dataclass(frozen=True, slots=True)
class ImageScore:
    """How well the people of an image were found.

    Attributes:
        image_id: Of the ground truth.
        people: Labeled ones that are no crowd.
        found: Of these.
        oks: Mean over the people, 0 for a missed one; None without people.
        missed: People not found.
        false_positives: Predictions that found nobody, and no crowd or unlabeled person either.
    """

    image_id: int
    people: int
    found: int
    oks: float | None
    missed: int
    false_positives: int


def worst_first(matches: Sequence[ImageMatch]) -> list[ImageScore]:
    """Scores in the order of their OKS, ties by errors; an image without people stands where a perfect one does."""
    scores = [match.score for match in matches]
    return sorted(
        scores, key=lambda s: (1.0 if s.oks is None else s.oks, -(s.missed + s.false_positives), str(s.image_id))
    )


def match_image(
    image_id: int,
    people: Sequence[Mapping[str, Any]],
    rows: Float[np.ndarray, "N D"],
    *,
    oks_sigmas: Sequence[float],
    max_detections: int,
    min_oks: float = FOUND_OKS,
) -> ImageMatch:
    """Gives predictions, best first, the free person of the highest OKS.

    As in COCO's evaluation people come before crowds and the unlabeled, and a crowd may be found any number of times.

    Args:
        image_id: Of the ground truth.
        people: ``keypoints`` (x, y, visibility, ...), ``bbox`` (x, y, width, height), ``area``, ``iscrowd``,
            ``num_keypoints``.
        rows: Predictions (score, x0, y0, s0, x1, ...), px.
        oks_sigmas: One per keypoint.
        max_detections: Only so many predictions count, the best.
        min_oks: Of a match.
    """
    rows = rows[np.argsort(-rows[:, 0], kind="stable")][:max_detections]
    counted = np.array([not one["iscrowd"] and one["num_keypoints"] > 0 for one in people], dtype=bool)
    similarity = _pairwise_oks(rows, people, oks_sigmas)
    free = set(range(len(people)))
    person = np.full(len(rows), -1)
    for number, of_row in enumerate(similarity.tolist()):
        near = [one for one in free if of_row[one] >= min_oks]
        if near:
            best = max(near, key=lambda one: (counted[one], of_row[one], one))
            person[number] = best
            if not people[best]["iscrowd"]:
                free.remove(best)
    of_match = similarity[np.arange(len(rows)), person] if people else np.zeros(len(rows))
    return ImageMatch(image_id, people, counted, rows, person, np.where(person >= 0, of_match, 0.0))


def keypoints_of(people: Sequence[Mapping[str, Any]], num_keypoints: int) -> Float[np.ndarray, "G K 3"]:
    """(x, y, visibility) of every joint, px."""
    return np.array([one["keypoints"] for one in people], dtype=np.float64).reshape(-1, num_keypoints, 3)


def _pairwise_oks(
    rows: Float[np.ndarray, "N D"], people: Sequence[Mapping[str, Any]], oks_sigmas: Sequence[float]
) -> Float[np.ndarray, "N G"]:
    """OKS of every prediction with everybody.

    Somebody without labeled joints is compared by the box, widened by its size to each side as in COCO: a joint in it
    is right.
    """
    count = (len(rows), len(people))
    joints = torch.from_numpy(keypoints_of(people, len(oks_sigmas)))
    boxes = torch.tensor([one["bbox"] for one in people], dtype=torch.float64).reshape(-1, 1, 4)
    area = torch.tensor([one["area"] for one in people], dtype=torch.float64)
    found = torch.from_numpy(rows[:, 1:].reshape(len(rows), 1, len(oks_sigmas), 3)[..., :2]).double()
    labeled = joints[..., 2] > 0
    unlabeled = ~labeled.any(dim=1)
    corner, size = boxes[..., :2], boxes[..., 2:]
    inside = found.clamp(min=corner - size, max=corner + 2 * size)
    target = torch.where(unlabeled[:, None, None], inside, joints[..., :2])
    return oks(
        found.expand_as(target),
        target,
        (labeled | unlabeled[:, None]).expand(*count, -1),
        area.expand(count),
        torch.tensor(oks_sigmas, dtype=torch.float64),
    ).numpy()
