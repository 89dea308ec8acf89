"""Average precision of a backend: of the very network, in the very runtime, whose latency is told beside it."""

from collections.abc import Iterable

import numpy as np

from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.inference.backend import Backend
from rtmo.ops.affine import unwarp_poses
from rtmo.types import Batch


def score_backend(backend: Backend, loader: Iterable[Batch], metric: CocoKeypointAP) -> dict[str, float]:
    """The figures of the poses that a backend finds.

    Args:
        loader: Letterboxed batches of the backend's image size, as ``PoseDataModule`` validates on.
        metric: Of their ground truth; emptied before, and full of the poses afterwards.
    """
    metric.reset()
    for batch in loader:
        images = np.ascontiguousarray(batch.images.permute(0, 2, 3, 1).numpy())
        found = backend.decode(backend.network(images))
        poses = [unwarp_poses(of_image, warp) for of_image, warp in zip(found, batch.warps, strict=True)]
        metric.update(batch.image_ids, poses)
    return {name: float(value) for name, value in metric.compute().items()}
