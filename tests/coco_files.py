"""Small data sets in COCO's format, written to disk."""

import json
from pathlib import Path

import cv2
import numpy as np

from rtmo.skeletons import COCO17, KeypointSet


def write_coco(annotation_file: Path, image_dir: Path, num_images: int, skeleton: KeypointSet = COCO17) -> None:
    """Blurred noise of several sizes with up to 3 people each, none in every fourth image, a function of the name."""
    rng = np.random.default_rng(len(annotation_file.name))
    image_dir.mkdir(parents=True)
    annotation_file.parent.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for index in range(num_images):
        height, width = 48 + 8 * (index % 3), 64 + 8 * (index % 2)
        name = f"{index:03d}.{'png' if index % 2 else 'jpg'}"
        pixels = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), (5, 5), 0)
        cv2.imwrite(str(image_dir / name), pixels)
        images.append({"id": 100 + index, "file_name": name, "height": height, "width": width})
        for _ in range(index % 4):
            x, y = rng.uniform(0, 20, 2)
            points = np.column_stack(
                [rng.uniform(0, 40, (skeleton.num_keypoints, 2)), np.full(skeleton.num_keypoints, 2)]
            )
            annotation = {
                "id": len(annotations),
                "image_id": 100 + index,
                "category_id": 1,
                "iscrowd": 0,
                "area": 800.0,
            }
            pose = {"num_keypoints": skeleton.num_keypoints, "keypoints": points.ravel().tolist()}
            annotations.append({**annotation, "bbox": [x, y, 40.0, 40.0], **pose})
    categories = [{"id": 1, "name": "person", "keypoints": list(skeleton.joints)}]
    annotation_file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
