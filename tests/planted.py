"""People drawn by hand and predictions of them with errors that are known, for tests of the diagnosis."""

import numpy as np
import torch

from rtmo.skeletons import KeypointSet
from rtmo.types import Poses

FIVE = KeypointSet(
    name="five",
    joints=("head", "left_hand", "right_hand", "left_foot", "right_foot"),
    flip_pairs=(("left_hand", "right_hand"), ("left_foot", "right_foot")),
    limbs=(("head", "left_hand"), ("head", "right_hand")),
    oks_sigmas=(0.05, 0.05, 0.05, 0.05, 0.05),
)
SIZE = 100.0  # of the box, px
FIGURE = np.array([[50.0, 5], [95, 40], [5, 40], [80, 95], [20, 95]])  # in a box from (0, 0) to (100, 100)


def person(image_id: int, at: tuple[float, float], visibility: int | np.ndarray = 2, **changes) -> dict:
    """An annotation of a figure whose box begins at a point."""
    flags = np.broadcast_to(visibility, len(FIGURE))
    return {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": np.column_stack([FIGURE + at, flags]).ravel().tolist(),
        "num_keypoints": int((flags > 0).sum()),
        "bbox": [*at, SIZE, SIZE],
        "area": SIZE**2,
        "iscrowd": 0,
    } | changes


def ground_truth(annotations: list[dict], image_ids: list[int], **of_images: list) -> dict:
    return {
        "images": [
            {"id": image_id} | {field: values[number] for field, values in of_images.items()}
            for number, image_id in enumerate(image_ids)
        ],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"id": number} | annotation for number, annotation in enumerate(annotations, start=1)],
    }


def poses(figures: list[np.ndarray], scores: list[float] | None = None, keypoint_scores: float = 0.5) -> Poses:
    """Predictions from joints (K, 2)."""
    keypoints = torch.tensor(np.array(figures).reshape(-1, len(FIGURE), 2), dtype=torch.float32)
    return Poses(
        bboxes=torch.zeros(len(figures), 4),
        scores=torch.tensor([0.9] * len(figures) if scores is None else scores),
        keypoints=keypoints,
        keypoint_scores=torch.full(keypoints.shape[:2], keypoint_scores),
    )


def figure(x: float = 0.0, y: float = 0.0) -> np.ndarray:
    """The joints in a box from (x, y)."""
    return FIGURE + np.array([x, y])


def displacement(similarity: float, sigma: float = 0.05, area: float = SIZE**2) -> float:
    """How far from a joint, px, a prediction is of that similarity to it."""
    return float(np.sqrt(-2 * area * (2 * sigma) ** 2 * np.log(similarity)))
