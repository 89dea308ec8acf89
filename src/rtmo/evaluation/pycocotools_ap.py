"""The figures of ``average_precision`` as pycocotools computes them: slow, and what every paper reports."""

import contextlib
import io
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rtmo.evaluation.average_precision import FIGURES
from rtmo.evaluation.pairs import Annotation


def evaluate_keypoints(
    people: Mapping[int, Sequence[Annotation]],
    found: Mapping[int, Float[np.ndarray, "_ D"]],
    *,
    oks_sigmas: Sequence[float],
    max_detections: int,
) -> dict[str, float]:
    """See ``average_precision.evaluate_keypoints``."""
    predictions = {image_id: _annotations(rows) for image_id, rows in found.items()}
    # pycocotools reports on stdout and has no switch for it
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = COCOeval(_coco(people), _coco(predictions), "keypoints")
        evaluator.params.imgIds = sorted(people)
        evaluator.params.kpt_oks_sigmas = np.asarray(oks_sigmas, dtype=np.float64)
        evaluator.params.maxDets = [max_detections]
        evaluator.evaluate()
        evaluator.accumulate()
    return {name: _mean_of(evaluator, *figure) for name, figure in FIGURES.items()}


def _mean_of(evaluator: COCOeval, is_precision: bool, threshold: float | None, area: str) -> float:
    """What COCOeval.summarize prints; that one knows no other limit than 20 detections."""
    params = evaluator.params
    # dimensions: OKS thresholds, [recall thresholds,] categories, area ranges, limits of detections
    values = evaluator.eval["precision" if is_precision else "recall"][..., params.areaRngLbl.index(area), 0]
    if threshold is not None:
        values = values[params.iouThrs == threshold]
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0


def _annotations(rows: Float[np.ndarray, "N D"]) -> list[Annotation]:
    return [{"keypoints": row[1:-1], "score": row[0], "area": row[-1]} for row in rows]


def _coco(annotations: Mapping[int, Sequence[Annotation]]) -> COCO:
    """An index of copies: pycocotools writes into them, and needs ids that are not 0 to tell found from missed."""
    coco = COCO()
    in_order = [(image_id, annotation) for image_id, of_image in annotations.items() for annotation in of_image]
    coco.dataset = {
        "images": [{"id": image_id} for image_id in annotations],
        "categories": [{"id": 1}],
        "annotations": [
            annotation | {"id": number, "image_id": image_id, "category_id": 1}
            for number, (image_id, annotation) in enumerate(in_order, start=1)
        ],
    }
    coco.createIndex()
    return coco
