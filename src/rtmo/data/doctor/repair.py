"""Repaired copies of annotations. What cannot be corrected is dropped; ``findings.RULES`` says what for each fault."""

import json
import math
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from rtmo.data.coco_json import AREA_OF_BOX
from rtmo.data.doctor.entries import Entry
from rtmo.data.doctor.examine import DataSet, image_sizes
from rtmo.data.doctor.images import has_name, has_size_of
from rtmo.data.doctor.people import OUTSIDE, usable_outline
from rtmo.data.doctor.values import are_numbers, read_number, read_numbers, whole_number
from rtmo.errors import InputError

_MARGIN = 0.1  # of its side, by which the box of the joints of a person is grown on each side


def repaired(data: DataSet, held_out: Collection[str] = ()) -> tuple[dict[str, Any], Counter[str]]:
    """A copy of the annotations without errors.

    Args:
        held_out: Paths of image files that are left out, for validation has them.

    Returns:
        The content in COCO's format, and how often what was done.
    """
    done: Counter[str] = Counter()
    content = data.raw.content
    images, moved = _repair_images(data, set(held_out), done)
    categories = [
        {**entry, "keypoints": list(data.joints)} if data.joints else entry
        for entry in content["categories"]
        if isinstance(entry, dict) and whole_number(entry.get("id")) is not None
    ]
    num_joints = {entry["id"]: len(entry.get("keypoints") or ()) for entry in categories}
    sizes, taken = image_sizes(data), set()
    highest = max((number for entry in content["annotations"] if (number := _id(entry)) is not None), default=0)
    annotations = []
    for entry in content["annotations"]:
        number, image = _id(entry), moved.get(_id(entry, "image_id"))
        category = _id(entry, "category_id")
        if number is None or image is None or category not in num_joints:
            done["annotations dropped"] += 1
            continue
        if number in taken:
            done["annotations given a new id"] += 1
            number = highest = highest + 1
        taken.add(number)
        changed = {**entry, "id": number, "image_id": image}
        person = _repair_person(changed, num_joints[category], sizes.get(image), done)
        if person is None:
            done["annotations dropped"] += 1
        else:
            annotations.append(person)
    return {**content, "images": images, "annotations": annotations, "categories": categories}, done


def write_copy(content: dict[str, Any], file: Path, overwrite: bool) -> None:
    """Writes a repaired copy.

    Raises:
        InputError: If it would replace a file, or nothing is left to write.
    """
    if file.exists() and not overwrite:
        raise InputError(f"{file}: exists already; overwrite=true replaces it, output_dir=... writes elsewhere")
    if not content["images"]:
        raise InputError(f"{file}: not written, for no image is left; correct the data set by hand")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")


def _id(entry: Any, field: str = "id") -> int | None:
    return whole_number(entry.get(field)) if isinstance(entry, dict) else None


def _repair_images(
    data: DataSet, held_out: Collection[str], done: Counter[str]
) -> tuple[list[Entry], dict[int | None, int]]:
    """The images that stay, and under which id those of an old id are found."""
    entries, ids_of = data.raw.content["images"], {}
    for entry in entries:
        if _id(entry) is not None and has_name(entry):
            ids_of.setdefault(entry["id"], set()).add(entry["file_name"])
    kept: dict[str, Entry] = {}
    moved: dict[int | None, int] = {}
    for position, entry in enumerate(entries):
        number, file = _id(entry), data.opened.get(position)
        ambiguous = number is None or not has_name(entry) or len(ids_of[number]) > 1
        damaged = file is not None and (file.fault is not None or not has_size_of(entry, file))
        if ambiguous or damaged or str(data.raw.image_dir / entry["file_name"]) in held_out:
            done["images dropped"] += 1
            continue
        if (first := kept.get(entry["file_name"])) is not None:
            done["image entries merged"] += 1
            moved[number] = first["id"]
            continue
        size = {} if file is None or file.size is None else {"height": file.size[0], "width": file.size[1]}
        kept[entry["file_name"]] = {**entry, **size}
        moved[number] = entry["id"]
    return list(kept.values()), moved


def _repair_person(entry: Entry, num_joints: int, size: tuple[int, int] | None, done: Counter[str]) -> Entry | None:
    """An annotation that training can use, or None if it has neither a box nor joints to make one of.

    Args:
        num_joints: 0 for a category that is not read: only its box is looked at.
        size: (height, width) of its image, px, if known.
    """
    keypoints = _repair_keypoints(entry.get("keypoints"), num_joints, size, done)
    if (bbox := _repair_box(entry.get("bbox"), keypoints, size, done)) is None:
        return None
    changed = {**entry, "bbox": bbox}
    if "iscrowd" in entry and entry["iscrowd"] not in (0, 1):
        changed["iscrowd"] = int(read_number(entry["iscrowd"]) == 1)
    if not usable_outline(entry.get("segmentation"), size):
        del changed["segmentation"]
        done["outlines removed"] += 1
    area = read_number(entry.get("area"))
    if not (math.isfinite(area) and area > 0):
        area = AREA_OF_BOX * bbox[2] * bbox[3]
        done["areas filled in"] += 1
    changed["area"] = area
    if num_joints:
        labeled = sum(flag > 0 for flag in keypoints[2::3])
        done["num_keypoints counted anew"] += entry.get("num_keypoints") not in (None, labeled)
        changed |= {"keypoints": keypoints, "num_keypoints": labeled}
    return changed


def _repair_keypoints(
    given: Any, num_joints: int, size: tuple[int, int] | None, done: Counter[str]
) -> list[float | int]:
    """x, y, flag of every joint; 0, 0, 0 for those that cannot be used."""
    empty: list[float | int] = [0] * (3 * num_joints)
    if not given or not num_joints:
        return empty
    values = read_numbers(given)
    if len(values) != len(empty):
        done["people made ignored regions"] += 1
        return empty
    points = np.array(values).reshape(num_joints, 3)
    limit = np.array([math.inf, math.inf]) if size is None else np.array(size[::-1])
    usable = np.isfinite(points).all(1) & np.isin(points[:, 2], (0, 1, 2))
    inside = ((points[:, :2] >= -OUTSIDE) & (points[:, :2] <= limit + OUTSIDE)).all(1)
    lost = ~usable | (~inside & (points[:, 2] > 0))
    done["joints unlabeled"] += int(lost.sum())
    points[lost] = 0
    return [int(value) if float(value).is_integer() else float(value) for value in points.ravel()]


def _repair_box(
    given: Any, keypoints: list[float | int], size: tuple[int, int] | None, done: Counter[str]
) -> list[float] | None:
    """The box clipped to the image, or that of the joints where there is none."""
    values = read_numbers(given)
    if len(values) == 4 and all(map(math.isfinite, values)):
        box = _clipped(values, size)
        if min(box[2:]) > 0 and min(values[2:]) > 0:
            done["boxes clipped"] += box != values
            done["boxes read from quotes"] += not are_numbers(given)
            return given if box == given else box
    labeled = np.reshape(keypoints, (-1, 3))
    points = labeled[labeled[:, 2] > 0, :2]
    if len(points) < 2 or min(side := np.ptp(points, axis=0)) <= 0:
        return None
    low = points.min(0) - _MARGIN * side
    done["boxes made of joints"] += 1
    return _clipped([*low.tolist(), *(side * (1 + 2 * _MARGIN)).tolist()], size)


def _clipped(box: list[float], size: tuple[int, int] | None) -> list[float]:
    """The part of a COCO box that lies in an image of (height, width); itself if all of it does."""
    if size is None:
        return box
    x, y, width, height = box
    right, bottom = min(x + width, size[1]), min(y + height, size[0])
    if x >= 0 and y >= 0 and x + width <= size[1] and y + height <= size[0]:
        return box
    left, top = max(x, 0), max(y, 0)
    return [left, top, right - left, bottom - top]
