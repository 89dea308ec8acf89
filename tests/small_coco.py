"""A small COCO data set without faults, for tests to plant some in."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtmo.skeletons import COCO17

WIDTH, HEIGHT = 96, 64
NUM_JOINTS = COCO17.num_keypoints

# A person who faces us, from the crown at (0, 0) down to (1, 2): the left side is at the right of the picture.
_LEFT = {
    **{"eye": (0.56, 0.1), "ear": (0.62, 0.12), "shoulder": (0.75, 0.4), "elbow": (0.85, 0.7)},
    **{"wrist": (0.9, 0.95), "hip": (0.65, 1.0), "knee": (0.65, 1.45), "ankle": (0.65, 1.9)},
}


def standing(x: float, y: float, height: float = 40.0) -> dict[str, Any]:
    """Box and keypoints of a person whose upper left corner is there."""
    unit, points = height / 2, []
    for joint in COCO17.joints:
        side, _, part = joint.partition("_")
        across, down = _LEFT.get(part, (0.5, 0.15))
        across = across if side != "right" else 1 - across
        points += [x + unit * across, y + unit * down, 2]
    return {
        "bbox": [x, y, unit, height],
        "area": 0.5 * unit * height,
        "keypoints": points,
        "num_keypoints": NUM_JOINTS,
        "iscrowd": 0,
    }


def content(num_images: int = 4, first: int = 0) -> dict[str, Any]:
    """Images of two people each; ids and file names count on from ``first``."""
    numbers = range(first, first + num_images)
    people = [(number, place) for number in numbers for place in (4, 60)]
    return {
        "images": [
            {"id": number, "file_name": f"{number:03}.jpg", "height": HEIGHT, "width": WIDTH} for number in numbers
        ],
        "annotations": [
            {"id": row + 1, "image_id": number, "category_id": 1, **standing(place, 10)}
            for row, (number, place) in enumerate(people)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }


def write(folder: Path, described: dict[str, Any], name: str = "people.json") -> Path:
    """Writes the annotations and, where there is none yet, an image of noise for every entry, each of its own."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for image in filter(lambda entry: "file_name" in entry, described["images"]):
        path = folder / "images" / image["file_name"]
        if not path.exists():
            noise = np.random.default_rng(int(path.stem)).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            cv2.imwrite(str(path), noise)
    (folder / name).write_text(json.dumps(described))
    return folder / name
