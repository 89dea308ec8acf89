"""Predictions and people of the same image: how similar they are and who takes whom, as in COCO's evaluation.

All images at once: what pycocotools does person by person is done here for all pairs of a prediction and a person of
the same image, and for the predictions of the same rank of all images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

Annotation = dict[str, Any]

_EPS = np.spacing(1)  # px^2


@dataclass(frozen=True)
class People:
    """All people of the ground truth, image by image.

    Attributes:
        first: Of every image, the position of its first; one more entry for the end.
        points: x, y in px, and the visibility flag.
        boxes: x, y, width, height.
        areas: px^2.
        crowds: Who may be found more than once.
        ignored: Whom it is no fault to miss, and whose finding is none either: crowds, and people without keypoints.
    """

    first: Int64[np.ndarray, " _"]
    points: Float[np.ndarray, "G K 3"]
    boxes: Float[np.ndarray, "G 4"]
    areas: Float[np.ndarray, " G"]
    crowds: Bool[np.ndarray, " G"]
    ignored: Bool[np.ndarray, " G"]

    @cached_property
    def images(self) -> Int64[np.ndarray, " G"]:
        """Position of each one's image among all."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))

    @classmethod
    def of(cls, by_image: Sequence[Sequence[Annotation]], num_keypoints: int) -> "People":
        people = [person for of_image in by_image for person in of_image]
        crowds = np.array([bool(person["iscrowd"]) for person in people], dtype=bool)
        unlabeled = np.array([person["num_keypoints"] == 0 for person in people], dtype=bool)
        return cls(
            first=np.cumsum([0, *map(len, by_image)]),
            points=np.array([person["keypoints"] for person in people], np.float64).reshape(-1, num_keypoints, 3),
            boxes=np.array([person["bbox"] for person in people], np.float64).reshape(-1, 4),
            areas=np.array([person["area"] for person in people], np.float64),
            crowds=crowds,
            ignored=crowds | unlabeled,
        )


@dataclass(frozen=True)
class Predictions:
    """The predictions that count, image by image, the best of each first.

    Attributes:
        first: Of every image, the position of its best; one more entry for the end.
        ranks: Place within the image, from 0.
        rows: (score, x0, y0, s0, x1, ..., area), px and px^2.
    """

    first: Int64[np.ndarray, " _"]
    ranks: Int64[np.ndarray, " N"]
    rows: Float[np.ndarray, "N D"]

    @property
    def scores(self) -> Float[np.ndarray, " N"]:
        """Of the person."""
        return self.rows[:, 0]

    @property
    def points(self) -> Float[np.ndarray, "N K 2"]:
        """x, y in px."""
        return self.rows[:, 1:-1].reshape(len(self.rows), self.rows.shape[1] // 3, 3)[..., :2]

    @property
    def areas(self) -> Float[np.ndarray, " N"]:
        """px^2."""
        return self.rows[:, -1]

    @classmethod
    def of(cls, by_image: Sequence[Float[np.ndarray, "_ D"]], num_keypoints: int, max_detections: int) -> "Predictions":
        counts = np.array([len(rows) for rows in by_image], dtype=np.int64)
        rows = np.concatenate([np.empty((0, 2 + 3 * num_keypoints)), *by_image])
        order = np.lexsort((-rows[:, 0], np.repeat(np.arange(len(counts)), counts)))
        ranks = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return cls(
            first=np.cumsum([0, *np.minimum(counts, max_detections)]),
            ranks=ranks[ranks < max_detections],
            rows=rows[order[ranks < max_detections]],
        )


@dataclass(frozen=True)
class Pairs:
    """Every prediction with everybody of its image."""

    predictions: Int64[np.ndarray, " P"]
    people: Int64[np.ndarray, " P"]
    oks: Float[np.ndarray, " P"]


@dataclass(frozen=True)
class Comparison:
    """What was found and what there is to find.

    Attributes:
        image_ids: In the order of people and predictions.
    """

    image_ids: list[int]
    people: People
    predictions: Predictions
    pairs: Pairs


def compare(
    people: Mapping[int, Sequence[Annotation]],
    found: Mapping[int, Float[np.ndarray, "_ D"]],
    *,
    oks_sigmas: Sequence[float],
    max_detections: int,
) -> Comparison:
    """Predictions beside people.

    Args:
        people: Ground truth by image id: ``keypoints`` (x, y, visibility, ...), ``bbox`` (x, y, width, height),
            ``area``, ``iscrowd``, ``num_keypoints``.
        found: Predictions of the same images as rows (score, x, y, score, ..., area).
        oks_sigmas: One per keypoint.
        max_detections: Only so many predictions per image count, the best.
    """
    image_ids = sorted(people)
    truth = People.of([people[image_id] for image_id in image_ids], len(oks_sigmas))
    predictions = Predictions.of([found[image_id] for image_id in image_ids], len(oks_sigmas), max_detections)
    return Comparison(image_ids, truth, predictions, _pairs(predictions, truth, oks_sigmas))


def members(
    first: Int64[np.ndarray, " _"], images: Int64[np.ndarray, " N"]
) -> tuple[Int64[np.ndarray, " P"], Int64[np.ndarray, " P"]]:
    """Everything of each of some images: positions in ``images``, and in what begins at ``first`` of each image."""
    counts = first[images + 1] - first[images]
    before = np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(np.arange(len(images)), counts), np.arange(len(before)) - before + np.repeat(first[images], counts)


def keypoint_similarity(
    offsets: Float[np.ndarray, "*S 2"], areas: Float[np.ndarray, "*#S"], oks_sigmas: Float[np.ndarray, "*#S"]
) -> Float[np.ndarray, "*S"]:
    """Similarity of joints to those they lie so far off from, px, 0..1, as pycocotools has it to the last bit."""
    squared = offsets[..., 0] ** 2 + offsets[..., 1] ** 2
    return np.exp(-(squared / (2 * oks_sigmas) ** 2 / (areas + _EPS) / 2))


def _pairs(predictions: Predictions, truth: People, oks_sigmas: Sequence[float]) -> Pairs:
    num_labeled = np.count_nonzero(truth.points[..., 2] > 0, axis=1)
    points, pairs = predictions.points, []
    for count in np.unique(num_labeled):  # so that the sums below add up as many terms, in pycocotools' order
        people = np.flatnonzero(num_labeled == count)
        row, prediction = members(predictions.first, truth.images[people])
        person = people[row]
        if count:
            offsets = points[prediction] - truth.points[person, :, :2]
        else:
            offsets = _distance_to_boxes(points[prediction], truth.boxes[person])
        similarity = keypoint_similarity(offsets, truth.areas[person, None], np.asarray(oks_sigmas, np.float64))
        if count:
            similarity = similarity[truth.points[person, :, 2] > 0].reshape(-1, count)
        pairs.append((prediction, person, similarity.sum(axis=1) / similarity.shape[1]))
    if not pairs:
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    return Pairs(*map(np.concatenate, zip(*pairs, strict=True)))


def _distance_to_boxes(
    points: Float[np.ndarray, "P K 2"], boxes: Float[np.ndarray, "P 4"]
) -> Float[np.ndarray, "P K 2"]:
    """How far keypoints lie, in x and y, outside of boxes grown by their size on each side: OKS without keypoints."""
    corners, sizes = boxes[:, None, :2], boxes[:, None, 2:]
    return np.maximum(0, corners - sizes - points) + np.maximum(0, points - (corners + sizes * 2))


def match(
    compared: Comparison, ignored: Bool[np.ndarray, " G"], min_oks: Float[np.ndarray, " T"]
) -> Int64[np.ndarray, "N T"]:
    """The pair that each prediction makes at each least OKS, -1 for none.

    The best prediction of an image chooses first. Its choices are the people who are not ignored, the most similar
    first, then the ignored ones likewise; of equally similar people the last of the file. It takes the first of them
    who is similar enough and not taken yet.
    """
    pairs, crowds, rank_of = compared.pairs, compared.people.crowds, compared.predictions.ranks
    similar = np.flatnonzero(pairs.oks >= min_oks.min())
    predictions, people = pairs.predictions[similar], pairs.people[similar]
    order = similar[np.lexsort((-people, -pairs.oks[similar], ignored[people], predictions))]
    _, starts, counts = np.unique(pairs.predictions[order], return_index=True, return_counts=True)
    ranks, choices = rank_of[pairs.predictions[order]], np.arange(len(order)) - np.repeat(starts, counts)
    taken = np.full((len(rank_of), len(min_oks)), -1)
    is_taken = np.zeros((len(crowds), len(min_oks)), dtype=bool)
    # Those of one rank are of different images, so that none takes anybody from another: they choose at once.
    for rank, choice in sorted(set(zip(ranks.tolist(), choices.tolist(), strict=True))):
        now = order[(ranks == rank) & (choices == choice)]
        prediction, person = pairs.predictions[now], pairs.people[now]
        is_free = ~is_taken[person] | crowds[person, None]
        takes = (pairs.oks[now, None] >= min_oks) & is_free & (taken[prediction] < 0)
        taken[prediction] = np.where(takes, now[:, None], taken[prediction])
        is_taken[person] |= takes
    return taken
