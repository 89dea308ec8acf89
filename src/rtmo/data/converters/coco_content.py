"""The parts of COCO content that all readers make alike."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtmo.data.coco_json import AREA_OF_BOX, check_content, pack_people
from rtmo.data.image_file import read_size
from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet


def person_category(skeleton: KeypointSet) -> dict[str, Any]:
    """The one category of a file of people; ``skeleton`` counts joints from 1, as COCO's does."""
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(skeleton.joints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.limb_indices],
    }


def image_entry(image_id: int, file_name: str, image_dir: Path | None, **fields: Any) -> dict[str, Any]:
    """An image, with its size if the folder is given.

    Raises:
        InputError: If it is not in that folder, or is no image.
    """
    return {"id": image_id, "file_name": file_name, **_size(image_dir, file_name), **fields}


def _size(image_dir: Path | None, file_name: str) -> dict[str, int]:
    if image_dir is None:
        return {}
    file = image_dir / file_name
    if not os.path.isfile(file):
        raise InputError(f"{file}: missing; correct image_dir, or leave it out")
    try:
        height, width = read_size(file)
    except InputError as error:
        raise InputError(f"{file}: cannot be read as an image ({error.__cause__}); download it again") from error
    return {"width": width, "height": height}


def person_entry(
    number: int, image_id: int, bbox: Sequence[float], joints: Iterable[Sequence[float]], **fields: Any
) -> dict[str, Any]:
    """A person.

    Args:
        number: The annotation's id.
        bbox: x, y, width, height, px.
        joints: x, y and COCO's flag of every joint; one without a label is 0, 0, 0 whatever its place.
    """
    keypoints = [_plain(value) for x, y, flag in joints for value in ((x, y, flag) if flag else (0, 0, 0))]
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": [_plain(value) for value in bbox],
        "keypoints": keypoints,
        "num_keypoints": sum(flag > 0 for flag in keypoints[2::3]),
        "iscrowd": 0,
        **fields,
    }


def _plain(value: Any) -> float:
    """A number as JSON has it: whole ones without a fraction, none of NumPy's."""
    number = float(value)
    return int(number) if number.is_integer() else number


def box_around(points: Sequence[Sequence[float]], margin: float, of_longer_side: bool = False) -> list[float]:
    """COCO's box around points, wider on either side by a share of that side's length, or of the longer one's."""
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    pad = margin * (np.full(2, np.max(high - low)) if of_longer_side else high - low)
    return [*(low - pad).tolist(), *(high - low + 2 * pad).tolist()]


def check_usable(path: Path, content: Mapping[str, Any]) -> None:
    """Refuses what ``CocoPose`` would refuse of a file with this content.

    Raises:
        InputError: If an id, a box or a keypoint cannot be used; it names ``path``.
    """
    check_content(path, content)
    joints = {category["id"]: tuple(category["keypoints"]) for category in content["categories"]}
    names = tuple(dict.fromkeys(name for names in joints.values() for name in names))
    every_joint = KeypointSet(name="all", joints=names, flip_pairs=(), limbs=(), oks_sigmas=(1.0,) * len(names))
    pack_people(path, content["annotations"], joints, every_joint)


def in_split(content: Mapping[str, Any], split: str, path: Path) -> dict[str, Any]:
    """The images of a part, and who is in them.

    Raises:
        InputError: If no image is of that part.
    """
    parts_of = [image.get("splits", [image["split"]] if "split" in image else []) for image in content["images"]]
    images = [image for image, parts in zip(content["images"], parts_of, strict=True) if split in parts]
    if not images:
        known = sorted({part for parts in parts_of for part in parts})
        parts = f"it may be {', '.join(known)}" if known else "its images are in no splits; leave split out"
        raise InputError(f"split={split}: no image of {path} is in that part; {parts}")
    ids = {image["id"] for image in images}
    annotations = [entry for entry in content["annotations"] if entry["image_id"] in ids]
    return {**content, "images": images, "annotations": annotations}


def complete(content: Mapping[str, Any]) -> dict[str, Any]:
    """Content with the fields that COCO's own tools ask for.

    ``area`` is the share of the box within the image that ``CocoPose`` assumes.
    """
    sizes = {image["id"]: (image.get("width"), image.get("height")) for image in content["images"]}
    annotations = [
        {"iscrowd": 0, "area": _area(entry["bbox"], *sizes[entry["image_id"]]), **entry}
        for entry in content["annotations"]
    ]
    return {**content, "annotations": annotations}


def _area(bbox: Sequence[float], image_width: int | None, image_height: int | None) -> float:
    x, y, width, height = bbox
    left, top, right, bottom = x, y, x + width, y + height
    if image_width is not None and image_height is not None:
        left, right = np.clip((left, right), 0, image_width - 1)
        top, bottom = np.clip((top, bottom), 0, image_height - 1)
    return float(AREA_OF_BOX * (right - left) * (bottom - top))
