"""Average precision of keypoints as COCO computes it, as a torchmetrics Metric.

Agrees with ``COCOeval(ground_truth, ground_truth.loadRes(results), "keypoints")`` of pycocotools in every figure. What
differs is what pycocotools leaves to its callers: any keypoint set, predictions that are not finite (it scores NaN as
perfect), no predictions at all (it crashes), annotations with id 0 (it never counts them as found), evaluating some of
the images.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from rtmo.errors import InputError
from rtmo.evaluation import average_precision, pycocotools_ap
from rtmo.evaluation.matching import ImageMatch, match_images
from rtmo.evaluation.pairs import Annotation, Comparison, compare
from rtmo.skeletons import KeypointSet
from rtmo.types import Poses

log = logging.getLogger(__name__)

# Two ways to the same figures: our own, and pycocotools, the judge of the other and many times slower.
BACKENDS = {
    "numpy": average_precision.evaluate_keypoints,
    "pycocotools": pycocotools_ap.evaluate_keypoints,
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
        backend: Computes the figures: ``numpy``, or ``pycocotools``, which takes many times as long.

    Raises:
        InputError: If ``backend`` is unknown, ``max_detections`` below 1, a ``crowdIndex`` no number from 0 on, an
            annotation lacks a field or has another number of keypoints, or ``update`` meets an image that the ground
            truth does not list or poses of another number of keypoints.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    area_of_box: float | None = None  # a person's area as a share of the box; None: as annotated

    image_ids: list[Tensor]
    num_poses: list[Tensor]
    poses: list[Tensor]

    def __init__(
        self,
        *,
        ground_truth: Mapping[str, Any],
        skeleton: KeypointSet,
        max_detections: int = 20,
        backend: str = "numpy",
    ) -> None:
        super().__init__()
        if backend not in BACKENDS:
            raise InputError(f"backend={backend}: no such evaluator; choose one of {', '.join(BACKENDS)}")
        if not isinstance(max_detections, int) or max_detections < 1:
            raise InputError(f"metric.max_detections: expected a whole number from 1 on, got {max_detections!r}")
        self.evaluate_keypoints = BACKENDS[backend]
        self.skeleton = skeleton
        self.max_detections = max_detections
        self.num_dropped = 0
        self.category_id: int = ground_truth["categories"][0]["id"]
        self.crowd_index = _crowd_index(ground_truth["images"])
        self._people = _people_by_image(ground_truth, skeleton, self.area_of_box)
        # Lists of flat tensors, so that ranks may hold different numbers of images and people: ids of the images,
        # how many poses each has, and all poses in that order as rows (score, x0, y0, s0, x1, ..., area).
        for state in ("image_ids", "num_poses", "poses"):
            self.add_state(state, default=[], dist_reduce_fx="cat")
        self._compared: Comparison | None = None
        self._start_states()

    def reset(self) -> None:
        super().reset()
        self.num_dropped = 0
        self._compared = None
        self._start_states()

    def _start_states(self) -> None:
        """Starts every list with an empty tensor: torchmetrics cannot gather from a rank whose lists are empty."""
        self.image_ids.append(torch.empty(0, dtype=torch.int64, device=self.device))
        self.num_poses.append(torch.empty(0, dtype=torch.int64, device=self.device))
        self.poses.append(torch.empty(0, 2 + 3 * self.skeleton.num_keypoints, device=self.device))

    def update(
        self, image_ids: Sequence[int], poses: Sequence[Poses], areas: Sequence[Float[Tensor, " _"]] | None = None
    ) -> None:
        """Adds the predictions of some images, in px of the original images; an image without people counts too.

        Args:
            image_ids: Of the ground truth.
            poses: Of each image. Figures are float64 if these are, else float32.
            areas: Of the people of each image, px^2; None: those of the boxes around all their keypoints.
        """
        if len(image_ids) != len(poses):
            raise ValueError(f"CocoKeypointAP.update got {len(image_ids)} image ids for {len(poses)} predictions")
        self._compared = None
        unknown = [torch.full_like(found.scores, torch.nan) for found in poses]
        for image_id, found, of_found in zip(image_ids, poses, areas or unknown, strict=True):
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
            self.poses.append(_rows(found, of_found).to(self.device))
        self.image_ids.append(torch.tensor(list(image_ids), dtype=torch.int64, device=self.device))
        self.num_poses.append(torch.tensor([len(found) for found in poses], dtype=torch.int64, device=self.device))

    def compute(self) -> dict[str, Tensor]:
        """The figures by name, in the order of reports."""
        predictions, dropped = self._rows_by_image()
        self.num_dropped = sum(dropped.values())
        if dropped:
            log.warning(
                "dropped %d predictions with values that are not finite, in images %s", self.num_dropped, list(dropped)
            )
        people = {image_id: self._people[image_id] for image_id in predictions}
        dtype = dim_zero_cat(self.poses).dtype
        figures = self._figures(people, predictions)
        return {name: torch.tensor(figure, dtype=dtype, device=self.device) for name, figure in figures.items()}

    def _figures(
        self, people: Mapping[int, Sequence[Annotation]], found: Mapping[int, Float[np.ndarray, "_ D"]]
    ) -> dict[str, float]:
        """The figures of some images by name, in the order of reports."""
        return self.evaluate_keypoints(
            people, found, oks_sigmas=self.skeleton.oks_sigmas, max_detections=self.max_detections
        )

    def results(self) -> list[dict[str, Any]]:
        """All predictions in COCO's result format, ready for JSON; call it on every rank.

        There is no ``bbox``, for pycocotools would take a prediction's area from it instead of from its keypoints, and
        would get other APM and APL than ``compute``, COCO's server and the reference.
        """
        return [
            {
                "image_id": image_id,
                "category_id": self.category_id,
                "keypoints": row[1:-1].tolist(),
                "score": row[0].item(),
            }
            for image_id, rows in self._gathered().items()
            for row in rows
        ]

    def compare(self) -> Comparison:
        """The predictions of every image beside its people, kept until there are others; call it on every rank."""
        if self._compared is None:
            found = self._gathered()
            self._compared = compare(
                {image_id: self._people[image_id] for image_id in found},
                found,
                oks_sigmas=self.skeleton.oks_sigmas,
                max_detections=self.max_detections,
            )
        return self._compared

    def matches(self) -> list[ImageMatch]:
        """Whom the predictions of every image found; call it on every rank."""
        return match_images(self.compare())

    def _gathered(self) -> dict[int, Float[np.ndarray, "_ D"]]:
        with self.sync_context(dist_sync_fn=self.dist_sync_fn):
            return self._rows_by_image()[0]

    def _rows_by_image(self) -> tuple[dict[int, Float[np.ndarray, "_ D"]], dict[int, int]]:
        """Finite rows (score, x0, y0, s0, x1, ..., area) by image id, and how many others where there were any."""
        image_ids, counts = dim_zero_cat(self.image_ids).tolist(), dim_zero_cat(self.num_poses).cpu().numpy()
        rows = dim_zero_cat(self.poses).cpu().double().numpy()
        finite = np.isfinite(rows[:, :-1]).all(axis=1)
        num_finite = np.bincount(np.repeat(np.arange(len(counts)), counts)[finite], minlength=len(counts))
        by_image = np.split(_with_areas(rows[finite]), np.cumsum(num_finite))[:-1]
        predictions: dict[int, np.ndarray] = {}
        dropped = {}
        for image_id, of_image, lost in zip(image_ids, by_image, (counts - num_finite).tolist(), strict=True):
            if image_id in predictions:
                continue
            predictions[image_id] = of_image
            if lost:
                dropped[image_id] = lost
        return predictions, dropped


def _rows(poses: Poses, areas: Float[Tensor, " N"]) -> Float[Tensor, "N D"]:
    """(score, x0, y0, s0, x1, ..., area) of every person, D = 2 + 3 K, in single precision at least."""
    keypoints = torch.cat([poses.keypoints, poses.keypoint_scores[..., None]], dim=-1)
    rows = torch.cat([poses.scores[:, None], keypoints.flatten(1), areas[:, None]], dim=-1).detach()
    return rows.to(torch.promote_types(rows.dtype, torch.float32))


def _with_areas(rows: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    """Puts the extent of all keypoints where no area was given, as pycocotools' ``loadRes`` does."""
    extents = np.ptp(rows[:, 1:-1:3], axis=1) * np.ptp(rows[:, 2:-1:3], axis=1)
    areas = np.where(np.isnan(rows[:, -1]), extents, rows[:, -1])
    return np.column_stack([rows[:, :-1], areas])


def _crowd_index(images: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """How crowded images are, by id, those that tell."""
    index = {image["id"]: image["crowdIndex"] for image in images if image.get("crowdIndex") is not None}
    for image_id, value in index.items():
        if not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise InputError(
                f"ground truth image {image_id}: crowdIndex must be a number from 0 on, got {value!r}; correct it"
            )
    return index


def _people_by_image(
    ground_truth: Mapping[str, Any], skeleton: KeypointSet, area_of_box: float | None
) -> dict[int, list[Annotation]]:
    """What pycocotools needs of every annotation, checked; images without people have an empty list."""
    people: dict[int, list[Annotation]] = {image["id"]: [] for image in ground_truth["images"]}
    for annotation in ground_truth["annotations"]:
        where = f"ground truth annotation {annotation.get('id')} (image {annotation['image_id']})"
        for field in ("bbox", "area") if area_of_box is None else ("bbox",):
            if annotation.get(field) is None:
                raise InputError(f"{where} has no {field!r}; COCO's keypoint evaluation needs it of every person")
        values = annotation.get("keypoints") or [0] * 3 * skeleton.num_keypoints
        if len(values) != 3 * skeleton.num_keypoints:
            raise InputError(
                f"{where}: 'keypoints' has {len(values)} values, but skeleton {skeleton.name!r} has "
                f"{skeleton.num_keypoints} joints and needs {3 * skeleton.num_keypoints} (x, y, visibility each)"
            )
        keypoints = np.asarray(values, dtype=np.float64)
        num_labeled = annotation.get("num_keypoints")
        _, _, width, height = annotation["bbox"]
        people.setdefault(annotation["image_id"], []).append(
            {
                "keypoints": keypoints,
                "bbox": annotation["bbox"],
                "area": annotation["area"] if area_of_box is None else width * height * area_of_box,
                "iscrowd": annotation.get("iscrowd") or 0,
                "num_keypoints": int((keypoints[2::3] > 0).sum()) if num_labeled is None else num_labeled,
            }
        )
    return people
