"""Average precision of keypoints as COCO computes it, as a torchmetrics Metric over pycocotools.

Agrees with ``COCOeval(ground_truth, ground_truth.loadRes(results), "keypoints")`` in every figure. What differs is what
pycocotools leaves to its callers: any keypoint set, predictions that are not finite (it scores NaN as perfect), no
predictions at all (it crashes), annotations with id 0 (it never counts them as found), evaluating some of the images.
"""

import contextlib
import io
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from rtmo.errors import InputError
from rtmo.evaluation.matching import ImageMatch, ImageScore, match_image, worst_first
from rtmo.skeletons import KeypointSet
from rtmo.types import Poses

log = logging.getLogger(__name__)

Annotation = dict[str, Any]

# name -> (is a precision, OKS threshold or None for the mean over .50:.05:.95, area range), in COCO's order
_FIGURES: dict[str, tuple[bool, float | None, str]] = {
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


class CocoKeypointAP(Metric):
    """COCO's ten keypoint figures: AP AP50 AP75 APM APL AR AR50 AR75 ARM ARL, each 0..1.

    A figure without any person to find (say, ``APM`` where nobody is of medium size) is -1, as pycocotools reports it:
    NaN would break monitors and 0 would look like a failure. With people but no predictions it is 0.

    Only images passed to ``update`` count, each once: what a padded distributed sampler repeats is ignored.
    Predictions rank by the score of the person alone, as in the reference's evaluation of RTMO. Those with a value that
    is not finite are dropped; ``num_dropped`` says how many the last ``compute`` met, and a warning names their images.

    Args:
        ground_truth: A COCO dict (``images``, ``annotations``, ``categories``), such as ``PoseSource.ground_truth()``
            returns. Not modified. Every annotation is somebody to find: RTMO does not tell categories apart. It needs
            ``bbox`` and ``area``; without ``keypoints`` it is unlabeled, without ``iscrowd`` no crowd.
        skeleton: Gives the number of keypoints and the OKS sigmas.
        max_detections: Only so many predictions per image count, the best.

    Raises:
        InputError: If an annotation lacks a field or has another number of keypoints, or ``update`` meets an image
            that the ground truth does not list or poses of another number of keypoints.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    area_of_box: float | None = None  # a person's area as a share of the box; None: as annotated

    image_ids: list[Tensor]
    num_poses: list[Tensor]
    poses: list[Tensor]

    def __init__(self, *, ground_truth: Mapping[str, Any], skeleton: KeypointSet, max_detections: int = 20) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.max_detections = max_detections
        self.num_dropped = 0
        self.category_id: int = ground_truth["categories"][0]["id"]
        self._people = _people_by_image(ground_truth, skeleton, self.area_of_box)
        # Lists of flat tensors, so that ranks may hold different numbers of images and people: ids of the images,
        # how many poses each has, and all poses in that order as rows (score, x0, y0, s0, x1, ...).
        for state in ("image_ids", "num_poses", "poses"):
            self.add_state(state, default=[], dist_reduce_fx="cat")
        self._start_states()

    def reset(self) -> None:
        super().reset()
        self.num_dropped = 0
        self._start_states()

    def _start_states(self) -> None:
        """Starts every list with an empty tensor: torchmetrics cannot gather from a rank whose lists are empty."""
        self.image_ids.append(torch.empty(0, dtype=torch.int64, device=self.device))
        self.num_poses.append(torch.empty(0, dtype=torch.int64, device=self.device))
        self.poses.append(torch.empty(0, 1 + 3 * self.skeleton.num_keypoints, device=self.device))

    def update(self, image_ids: Sequence[int], poses: Sequence[Poses]) -> None:
        """Adds the predictions of some images, in px of the original images; an image without people counts too."""
        if len(image_ids) != len(poses):
            raise ValueError(f"CocoKeypointAP.update got {len(image_ids)} image ids for {len(poses)} predictions")
        for image_id, found in zip(image_ids, poses, strict=True):
            if image_id not in self._people:
                raise InputError(
                    f"image id {image_id} is not among the {len(self._people)} images of the ground truth; "
                    "evaluate with the ground truth of the data set that the images come from"
                )
            if found.keypoints.shape[1] != self.skeleton.num_keypoints:
                raise InputError(
                    f"predictions for image {image_id} have {found.keypoints.shape[1]} keypoints, "
                    f"but skeleton {self.skeleton.name!r} has {self.skeleton.num_keypoints}"
                )
            self.poses.append(_rows(found).to(self.device))
        self.image_ids.append(torch.tensor(list(image_ids), dtype=torch.int64, device=self.device))
        self.num_poses.append(torch.tensor([len(found) for found in poses], dtype=torch.int64, device=self.device))

    def compute(self) -> dict[str, Tensor]:
        """The figures by name, in the order of reports."""
        predictions, dropped = self._predictions()
        self.num_dropped = sum(dropped.values())
        if dropped:
            log.warning(
                "dropped %d predictions with values that are not finite, in images %s", self.num_dropped, list(dropped)
            )
        people = {image_id: self._people[image_id] for image_id in predictions}
        found = {image_id: _detections(rows) for image_id, rows in predictions.items()}
        figures = self._figures(people, found)
        return {name: torch.tensor(figure, device=self.device) for name, figure in figures.items()}

    def _figures(
        self, people: Mapping[int, Sequence[Annotation]], found: Mapping[int, Sequence[Annotation]]
    ) -> dict[str, float]:
        """The figures of some images by name, in the order of reports."""
        return evaluate_keypoints(
            people, found, oks_sigmas=self.skeleton.oks_sigmas, max_detections=self.max_detections
        )

    def results(self) -> list[dict[str, Any]]:
        """All predictions in COCO's result format, ready for JSON; call it on every rank.

        There is no ``bbox``, for pycocotools would take a prediction's area from it instead of from its keypoints, and
        would get other APM and APL than ``compute``, COCO's server and the reference.
        """
        with self.sync_context():
            predictions, _ = self._predictions()
        return [
            {
                "image_id": image_id,
                "category_id": self.category_id,
                "keypoints": row[1:].tolist(),
                "score": row[0].item(),
            }
            for image_id, rows in predictions.items()
            for row in rows
        ]

    def matches(self) -> list[ImageMatch]:
        """Whom the predictions of every image found; call it on every rank."""
        with self.sync_context():
            predictions, _ = self._predictions()
        match = partial(match_image, oks_sigmas=self.skeleton.oks_sigmas, max_detections=self.max_detections)
        return [match(image_id, self._people[image_id], rows) for image_id, rows in predictions.items()]

    def image_scores(self) -> list[ImageScore]:
        """How well the people of each image were found, worst first; call it on every rank."""
        return worst_first(self.matches())

    def _predictions(self) -> tuple[dict[int, Float[np.ndarray, "_ D"]], dict[int, int]]:
        """Finite rows by image id, and how many were not finite in the images that had any."""
        image_ids = dim_zero_cat(self.image_ids).tolist()
        ends = np.cumsum(dim_zero_cat(self.num_poses).cpu().numpy())
        rows = dim_zero_cat(self.poses).cpu().double().numpy()
        predictions: dict[int, np.ndarray] = {}
        dropped = {}
        for image_id, of_image in zip(image_ids, np.split(rows, ends)[:-1], strict=True):
            if image_id in predictions:
                continue
            finite = np.isfinite(of_image).all(axis=1)
            predictions[image_id] = of_image[finite]
            if not finite.all():
                dropped[image_id] = int((~finite).sum())
        return predictions, dropped


def evaluate_keypoints(
    people: Mapping[int, Sequence[Annotation]],
    found: Mapping[int, Sequence[Annotation]],
    *,
    oks_sigmas: Sequence[float],
    max_detections: int,
) -> dict[str, float]:
    """COCO's ten figures in float64.

    Args:
        people: Ground truth by image id: ``keypoints`` (x, y, visibility, ...), ``bbox`` (x, y, width, height),
            ``area``, ``iscrowd``, ``num_keypoints``.
        found: Predictions of the same images: ``keypoints`` (x, y, score, ...), ``score``, ``area``.
        oks_sigmas: One per keypoint.
        max_detections: Only so many predictions per image count, the best.
    """
    # pycocotools reports on stdout and has no switch for it
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = COCOeval(_coco(people), _coco(found), "keypoints")
        evaluator.params.imgIds = sorted(people)
        evaluator.params.kpt_oks_sigmas = np.asarray(oks_sigmas, dtype=np.float64)
        evaluator.params.maxDets = [max_detections]
        evaluator.evaluate()
        evaluator.accumulate()
    return {name: _mean_of(evaluator, *figure) for name, figure in _FIGURES.items()}


def _mean_of(evaluator: COCOeval, is_precision: bool, threshold: float | None, area: str) -> float:
    """What COCOeval.summarize prints; that one knows no other limit than 20 detections."""
    params = evaluator.params
    # dimensions: OKS thresholds, [recall thresholds,] categories, area ranges, limits of detections
    values = evaluator.eval["precision" if is_precision else "recall"][..., params.areaRngLbl.index(area), 0]
    if threshold is not None:
        values = values[params.iouThrs == threshold]
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0


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


def _rows(poses: Poses) -> Float[Tensor, "N D"]:
    """(score, x0, y0, s0, x1, ...) of every person, D = 1 + 3 K."""
    keypoints = torch.cat([poses.keypoints, poses.keypoint_scores[..., None]], dim=-1)
    return torch.cat([poses.scores[:, None], keypoints.flatten(1)], dim=-1).detach().float()


def _detections(rows: Float[np.ndarray, "N D"]) -> list[Annotation]:
    """Predictions for pycocotools; their area is that of the box around all keypoints, as in its ``loadRes``."""
    x, y = rows[:, 1::3], rows[:, 2::3]
    areas = np.ptp(x, axis=1) * np.ptp(y, axis=1)
    return [
        {"keypoints": row[1:], "score": row[0], "area": area} for row, area in zip(rows, areas.tolist(), strict=True)
    ]


def _people_by_image(
    ground_truth: Mapping[str, Any], skeleton: KeypointSet, area_of_box: float | None
) -> dict[int, list[Annotation]]:
    """What pycocotools needs of every annotation, checked; images without people have an empty list."""
    people: dict[int, list[Annotation]] = {image["id"]: [] for image in ground_truth["images"]}
    for annotation in ground_truth["annotations"]:
        where = f"ground truth annotation {annotation.get('id')} (image {annotation['image_id']})"
        for field in ("bbox", "area") if area_of_box is None else ("bbox",):
            if field not in annotation:
                raise InputError(f"{where} has no {field!r}; COCO's keypoint evaluation needs it of every person")
        values = annotation.get("keypoints") or [0] * 3 * skeleton.num_keypoints
        if len(values) != 3 * skeleton.num_keypoints:
            raise InputError(
                f"{where}: 'keypoints' has {len(values)} values, but skeleton {skeleton.name!r} has "
                f"{skeleton.num_keypoints} joints and needs {3 * skeleton.num_keypoints} (x, y, visibility each)"
            )
        keypoints = np.asarray(values, dtype=np.float64)
        _, _, width, height = annotation["bbox"]
        people.setdefault(annotation["image_id"], []).append(
            {
                "keypoints": keypoints,
                "bbox": annotation["bbox"],
                "area": annotation["area"] if area_of_box is None else area_of_box * width * height,
                "iscrowd": annotation.get("iscrowd", 0),
                "num_keypoints": annotation.get("num_keypoints", int((keypoints[2::3] > 0).sum())),
            }
        )
    return people
