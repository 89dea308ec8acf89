"""OKS sigmas out of people whom several annotators have labeled."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rtmo.data.coco_json import AREA_OF_BOX, box_overlaps

# One estimate needs so many repeats; with 20, two thirds of estimates are within 11 % of the truth.
MIN_REPEATS = 20
# Whoever copies annotations has no spread. COCO's smallest is this, of eyes.
MIN_SIGMA = 0.025
_SAME_PERSON = 0.5  # IoU of the boxes that two annotators gave


def annotator_spread(
    repeats: Sequence[Mapping[str, Any]], joints_of: Mapping[int, Sequence[str]]
) -> tuple[dict[str, float], int]:
    """Sigmas by joint, of those with enough repeats, and the least number of repeats behind one of them.

    As COCO's: sigma^2 = E[d^2 / s^2], d the distance of an annotation from the mean of all of this joint of this
    person, s^2 the area. A person with n annotations gives the sum of their d^2 / s^2 and n - 1 repeats, for the mean
    is theirs (Bessel); sigma^2 is the sum over all people divided by that of repeats.

    Args:
        repeats: Entries in COCO's form of images with several annotators, with ``annotator``.
        joints_of: Names by category.

    Reference: https://cocodataset.org/#keypoints-eval, 1.3.
    """
    squares: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for people in _same_people(repeats):
        scale = AREA_OF_BOX * float(np.mean([entry["bbox"][2] * entry["bbox"][3] for entry in people]))
        points = np.array([entry["keypoints"] for entry in people], dtype=float).reshape(len(people), -1, 3)
        for place, joint in enumerate(joints_of[people[0]["category_id"]]):
            labeled = points[points[:, place, 2] > 0, place, :2]
            if len(labeled) > 1 and scale > 0:
                squares[joint] += float(((labeled - labeled.mean(axis=0)) ** 2).sum()) / scale
                counts[joint] += len(labeled) - 1
    enough = [joint for joint, count in counts.items() if count >= MIN_REPEATS]
    sigmas = {joint: max((squares[joint] / counts[joint]) ** 0.5, MIN_SIGMA) for joint in enough}
    return sigmas, min((counts[joint] for joint in enough), default=0)


def _same_people(repeats: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Entries of one person by several annotators: each is matched with the most similar box of the first."""
    by_image: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in repeats:
        by_image[entry["image_id"]].append(entry)
    groups = []
    for entries in by_image.values():
        overlaps = box_overlaps(np.array([entry["bbox"] for entry in entries], dtype=float)).tolist()
        starts = [place for place, entry in enumerate(entries) if entry["annotator"] == 0]
        first = [[entries[place]] for place in starts]
        for annotator in sorted({entry["annotator"] for entry in entries} - {0}):
            pairs = [
                (overlaps[start][place], number, place)
                for number, start in enumerate(starts)
                for place, entry in enumerate(entries)
                if entry["annotator"] == annotator and entry["category_id"] == entries[start]["category_id"]
            ]
            used: set[tuple[str, int]] = set()
            for iou, number, place in sorted(pairs, reverse=True):
                if iou >= _SAME_PERSON and not used & {("person", number), ("entry", place)}:
                    first[number].append(entries[place])
                    used |= {("person", number), ("entry", place)}
        groups += first
    return groups
