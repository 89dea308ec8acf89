"""COCO's average precision and recall of keypoints: equal to pycocotools in every figure, and many times as fast."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from rtmo.evaluation.pairs import Annotation, Comparison, compare, match

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
    """COCO's ten figures in float64; -1 where there is nobody to find. See ``pairs.compare`` for the arguments."""
    compared = compare(people, found, oks_sigmas=oks_sigmas, max_detections=max_detections)
    by_score = np.argsort(-compared.predictions.scores, kind="stable")
    values = {}
    for area in AREAS:
        ignored, is_hit, is_left_out = _outcomes(compared, area)
        values[area] = _precision_and_recall(is_hit[by_score], is_left_out[by_score], int((~ignored).sum()))
    return {name: _mean(values[area][0 if ap else 1], threshold) for name, (ap, threshold, area) in FIGURES.items()}


def average_precisions(compared: Comparison, groups: Sequence[Collection[int]]) -> list[float]:
    """AP of groups of images, each given by positions among those compared; -1 where there is nobody to find."""
    ignored, is_hit, is_left_out = _outcomes(compared, "all")
    predictions, people = compared.predictions, compared.people
    by_score = np.argsort(-predictions.scores, kind="stable")
    image_of = np.repeat(np.arange(len(compared.image_ids)), np.diff(predictions.first))[by_score]
    values = []
    for group in groups:
        chosen = by_score[np.isin(image_of, list(group))]
        num_people = int((~ignored & np.isin(people.images, list(group))).sum())
        precision, _ = _precision_and_recall(is_hit[chosen], is_left_out[chosen], num_people)
        values.append(_mean(precision, None))
    return values


def _outcomes(
    compared: Comparison, area: str
) -> tuple[Bool[np.ndarray, " G"], Bool[np.ndarray, "N T"], Bool[np.ndarray, "N T"]]:
    """Who is ignored in a range of areas, whether predictions find somebody, and whether they are left out."""
    (smallest, largest), people, predictions = AREAS[area], compared.people, compared.predictions
    ignored = people.ignored | (people.areas < smallest) | (people.areas > largest)
    pair = match(compared, ignored, OKS_THRESHOLDS)
    is_hit = pair >= 0
    is_left_out = np.append(ignored[compared.pairs.people], False)[pair]  # -1, for nobody, is the last
    outside = (predictions.areas < smallest) | (predictions.areas > largest)
    return ignored, is_hit, is_left_out | (~is_hit & outside[:, None])


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
