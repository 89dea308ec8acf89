"""Average precision as CrowdPose reports it (Li et al., CVPR 2019, arXiv:1812.00324).

Agrees with the official tool in every figure, but for groups without anybody to find: -1 here, as in COCO's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from rtmo.errors import InputError
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.evaluation.pairs import Annotation
from rtmo.skeletons import KeypointSet

_FIGURES = ("AP", "AP50", "AP75", "AR", "AR50", "AR75")
# Images by how crowded they are, from 0 to 1: name, from (inclusive), to (exclusive).
_GROUPS = (("easy", 0.0, 0.2), ("medium", 0.2, 0.8), ("hard", 0.8, float("inf")))


class CrowdPoseAP(CocoKeypointAP):
    """AP AP50 AP75 AR AR50 AR75 of all images, and AP_easy AP_medium AP_hard of those as crowded.

    Differs from COCO's in the area of a person, 0.53 of the box whatever the annotation says, and in the groups.

    Args:
        ground_truth: As for ``CocoKeypointAP``, each image with its ``crowdIndex``.
        skeleton: Gives the number of keypoints and the OKS sigmas.
        max_detections: Only so many predictions per image count, the best.
        backend: As for ``CocoKeypointAP``.

    Raises:
        InputError: If an image has no ``crowdIndex``; and as ``CocoKeypointAP``.
    """

    area_of_box = 0.53

    def __init__(
        self,
        *,
        ground_truth: Mapping[str, Any],
        skeleton: KeypointSet,
        max_detections: int = 20,
        backend: str = "numpy",
    ) -> None:
        super().__init__(ground_truth=ground_truth, skeleton=skeleton, max_detections=max_detections, backend=backend)
        for image in ground_truth["images"]:
            if image["id"] not in self.crowd_index:
                raise InputError(
                    f"ground truth image {image['id']} has no 'crowdIndex', by which CrowdPose's figures are grouped; "
                    "evaluate on CrowdPose's own annotations, or take metric=coco"
                )

    def _figures(
        self, people: Mapping[int, Sequence[Annotation]], found: Mapping[int, Float[np.ndarray, "_ D"]]
    ) -> dict[str, float]:
        of_all = super()._figures(people, found)
        figures = {name: of_all[name] for name in _FIGURES}
        for group, lowest, end in _GROUPS:
            images = [image_id for image_id in people if lowest <= self.crowd_index[image_id] < end]
            part = super()._figures({i: people[i] for i in images}, {i: found[i] for i in images})
            figures[f"AP_{group}"] = part["AP"]
        return figures
