"""COCO's average precision and recall of keypoints, for all images at once.

Equal to pycocotools in every figure, and many times as fast: what it does person by person is done here for all pairs
of a prediction and a person of the same image, and for the predictions of the same rank of all images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

Annotation = dict[str, Any]

OKS_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = {"all": (0.0, 1e10), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # px^2, both ends belong to it
# name -> (is a precision, OKS threshold or None for the mean over all of them, area range), in COCO's order
FIGURES: dict[str, tuple[bool, float | None, str]] = {
    f"{kind}{suffix}": (kind == "AP", threshold, area)
    for kind in ("AP", "AR")
    for suffix, threshold, area in (
        ("", None, "all"),
        ("50", 0.5, "all"),
        ("75", 0.75, "all"),
        ("M", None, "medium"),
        ("L", None, "large"),
    )
}
_EPS = np.spacing(1)


def evaluate_keypoints(
    people: Mapping[int, Sequence[Annotation]],
    found: Mapping[int, Float[np.ndarray, "_ D"]],
    *,
    oks_sigmas: Sequence[float],
    max_detections: int,
) -> dict[str, float]:
    """COCO's ten figures in float64; -1 where there is nobody to find.

    Args:
        people: Ground truth by image id: ``keypoints`` (x, y, visibility, ...), ``bbox`` (x, y, width, height),
            ``area``, ``iscrowd``, ``num_keypoints``.
        found: Predictions of the same images as rows (score, x, y, score, ..., area).
        oks_sigmas: One per keypoint.
        max_detections: Only so many predictions per image count, the best.
    """
    images = sorted(people)
    truth = _People.of([people[image] for image in images], len(oks_sigmas))
    predictions = _Predictions.of([found[image] for image in images], len(oks_sigmas), max_detections)
    pairs = _pairs(predictions, truth, np.asarray(oks_sigmas, dtype=np.float64))
    by_score = np.argsort(-predictions.scores, kind="stable")
    values = {}
    for area, (smallest, largest) in AREAS.items():
        ignored = truth.ignored | (truth.areas < smallest) | (truth.areas > largest)
        is_hit, is_left_out = _match(pairs, len(predictions.scores), truth.crowds, ignored)
        outside = (predictions.areas < smallest) | (predictions.areas > largest)
        is_left_out |= ~is_hit & outside[:, None]
        values[area] = _precision_and_recall(is_hit[by_score], is_left_out[by_score], int((~ignored).sum()))
    return {name: _mean(values[area][0 if ap else 1], threshold) for name, (ap, threshold, area) in FIGURES.items()}


@dataclass(frozen=True)
class _People:
    """All people of the ground truth, image by image.

    Attributes:
        images: Position of each one's image among all.
        points: x, y in px, and the visibility flag.
        boxes: x, y, width, height.
        areas: px^2.
        crowds: Who may be found more than once.
        ignored: Whom it is no fault to miss, and whose finding is none either: crowds, and people without keypoints.
    """

    images: Int64[np.ndarray, " G"]
    points: Float[np.ndarray, "G K 3"]
    boxes: Float[np.ndarray, "G 4"]
    areas: Float[np.ndarray, " G"]
    crowds: Bool[np.ndarray, " G"]
    ignored: Bool[np.ndarray, " G"]

    @classmethod
    def of(cls, by_image: Sequence[Sequence[Annotation]], num_keypoints: int) -> "_People":
        people = [person for of_image in by_image for person in of_image]
        crowds = np.array([bool(person["iscrowd"]) for person in people], dtype=bool)
        unlabeled = np.array([person["num_keypoints"] == 0 for person in people], dtype=bool)
        return cls(
            images=np.repeat(np.arange(len(by_image)), [len(of_image) for of_image in by_image]),
            points=np.array([person["keypoints"] for person in people], np.float64).reshape(-1, num_keypoints, 3),
            boxes=np.array([person["bbox"] for person in people], np.float64).reshape(-1, 4),
            areas=np.array([person["area"] for person in people], np.float64),
            crowds=crowds,
            ignored=crowds | unlabeled,
        )


@dataclass(frozen=True)
class _Predictions:
    """The predictions that count, image by image, the best of each first.

    Attributes:
        first: Of every image, the position of its best; one more entry for the end.
        ranks: Place within the image, from 0.
        scores: Of the person.
        points: x, y in px.
        areas: px^2.
    """

    first: Int64[np.ndarray, " _"]
    ranks: Int64[np.ndarray, " N"]
    scores: Float[np.ndarray, " N"]
    points: Float[np.ndarray, "N K 2"]
    areas: Float[np.ndarray, " N"]

    @classmethod
    def of(
        cls, by_image: Sequence[Float[np.ndarray, "_ D"]], num_keypoints: int, max_detections: int
    ) -> "_Predictions":
        counts = np.array([len(rows) for rows in by_image], dtype=np.int64)
        rows = np.concatenate([np.empty((0, 2 + 3 * num_keypoints)), *by_image])
        order = np.lexsort((-rows[:, 0], np.repeat(np.arange(len(counts)), counts)))
        ranks = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows, ranks = rows[order[ranks < max_detections]], ranks[ranks < max_detections]
        return cls(
            first=np.concatenate([[0], np.cumsum(np.minimum(counts, max_detections))]),
            ranks=ranks,
            scores=rows[:, 0],
            points=rows[:, 1:-1].reshape(-1, num_keypoints, 3)[..., :2],
            areas=rows[:, -1],
        )


@dataclass(frozen=True)
class _Pairs:
    """Predictions and people of the same image that are similar enough for the lowest threshold."""

    predictions: Int64[np.ndarray, " P"]
    ranks: Int64[np.ndarray, " P"]
    people: Int64[np.ndarray, " P"]
    oks: Float[np.ndarray, " P"]


def _pairs(predictions: _Predictions, truth: _People, oks_sigmas: Float[np.ndarray, " K"]) -> _Pairs:
    num_labeled = np.count_nonzero(truth.points[..., 2] > 0, axis=1)
    pairs = [np.empty((3, 0))]
    for count in np.unique(num_labeled):  # so that the sums below add up as many terms, in pycocotools' order
        people = np.flatnonzero(num_labeled == count)
        starts, ends = predictions.first[truth.images[people]], predictions.first[truth.images[people] + 1]
        person = np.repeat(people, ends - starts)
        prediction = np.concatenate([np.empty(0, np.int64), *map(np.arange, starts, ends)])
        if count:
            offsets = predictions.points[prediction] - truth.points[person, :, :2]
        else:
            offsets = _distance_to_boxes(predictions.points[prediction], truth.boxes[person])
        squared = offsets[..., 0] ** 2 + offsets[..., 1] ** 2
        errors = squared / (2 * oks_sigmas) ** 2 / (truth.areas[person] + _EPS)[:, None] / 2
        if count:
            errors = errors[truth.points[person, :, 2] > 0].reshape(-1, count)
        oks = np.exp(-errors).sum(axis=1) / errors.shape[1]
        similar = oks >= OKS_THRESHOLDS[0]
        pairs.append(np.stack([prediction[similar], person[similar], oks[similar]]))
    prediction, person, oks = np.concatenate(pairs, axis=1)
    prediction = prediction.astype(np.int64)
    return _Pairs(prediction, predictions.ranks[prediction], person.astype(np.int64), oks)


def _distance_to_boxes(
    points: Float[np.ndarray, "P K 2"], boxes: Float[np.ndarray, "P 4"]
) -> Float[np.ndarray, "P K 2"]:
    """How far keypoints lie, in x and y, outside of boxes grown by their size on each side: OKS without keypoints."""
    corners, sizes = boxes[:, None, :2], boxes[:, None, 2:]
    return np.maximum(0, corners - sizes - points) + np.maximum(0, points - (corners + sizes * 2))


def _match(
    pairs: _Pairs, num_predictions: int, crowds: Bool[np.ndarray, " G"], ignored: Bool[np.ndarray, " G"]
) -> tuple[Bool[np.ndarray, "N T"], Bool[np.ndarray, "N T"]]:
    """Whether each prediction finds somebody at each threshold, and whether that is somebody ignored.

    The best prediction of an image chooses first. Its choices are the people who are not ignored, the most similar
    first, then the ignored ones likewise; of equally similar people the last of the file. It takes the first of them
    who is similar enough and not taken yet.
    """
    order = np.lexsort((-pairs.people, -pairs.oks, ignored[pairs.people], pairs.predictions))
    predictions, people, oks = pairs.predictions[order], pairs.people[order], pairs.oks[order]
    _, starts, counts = np.unique(predictions, return_index=True, return_counts=True)
    ranks, choices = pairs.ranks[order], np.arange(len(order)) - np.repeat(starts, counts)
    is_hit = np.zeros((num_predictions, len(OKS_THRESHOLDS)), dtype=bool)
    is_of_ignored = np.zeros_like(is_hit)
    is_taken = np.zeros((len(crowds), len(OKS_THRESHOLDS)), dtype=bool)
    # Those of one rank are of different images, so that none takes anybody from another: they choose at once.
    for rank, choice in sorted(set(zip(ranks.tolist(), choices.tolist(), strict=True))):
        now = (ranks == rank) & (choices == choice)
        prediction, person = predictions[now], people[now]
        is_free = ~is_taken[person] | crowds[person, None]
        takes = (oks[now, None] >= OKS_THRESHOLDS) & is_free & ~is_hit[prediction]
        is_hit[prediction] |= takes
        is_taken[person] |= takes
        is_of_ignored[prediction] |= takes & ignored[person, None]
    return is_hit, is_of_ignored


def _precision_and_recall(
    is_hit: Bool[np.ndarray, "N T"], is_left_out: Bool[np.ndarray, "N T"], num_people: int
) -> tuple[Float[np.ndarray, "T R"], Float[np.ndarray, " T"]]:
    """At each threshold, precision at every level of recall, and the recall of all predictions; -1 without people.

    Args:
        is_hit: Whether a prediction finds somebody, the best prediction first.
        is_left_out: Predictions that are neither right nor wrong.
        num_people: How many there are to find.
    """
    if num_people == 0:
        return np.full((len(OKS_THRESHOLDS), len(RECALLS)), -1.0), np.full(len(OKS_THRESHOLDS), -1.0)
    right = np.cumsum(is_hit & ~is_left_out, axis=0).T.astype(np.float64)
    wrong = np.cumsum(~is_hit & ~is_left_out, axis=0).T.astype(np.float64)
    recall = right / num_people
    precision = right / (wrong + right + _EPS)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]  # the best at this recall or a higher one
    precision = np.pad(precision, ((0, 0), (0, 1)))  # 0 at levels that no prediction reaches
    reached = np.stack([np.searchsorted(of_threshold, RECALLS) for of_threshold in recall])
    return np.take_along_axis(precision, reached, axis=1), recall[:, -1] if recall.size else np.zeros(len(recall))


def _mean(values: Float[np.ndarray, "T *R"], threshold: float | None) -> float:
    return float((values if threshold is None else values[threshold == OKS_THRESHOLDS]).mean())
