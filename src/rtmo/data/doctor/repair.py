"""Repaired copies of annotations. What cannot be corrected is dropped; ``findings.RULES`` says what for each fault."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtmo.data.coco_json import AREA_OF_BOX, write_json
from rtmo.data.doctor.entries import Entry, names_joints
from rtmo.data.doctor.examine import DataSet
from rtmo.data.doctor.images import has_name, said_size
from rtmo.data.doctor.people import OUTSIDE, usable_outline
from rtmo.data.values import are_numbers, read_number, read_numbers, whole_number
from rtmo.errors import InputError

_MARGIN = 0.1  # of its side, by which the box of the joints of a person is grown on each side


def repaired(data: DataSet, held_out: Collection[str] = ()) -> tuple[dict[str, Any], Counter[str]]:
    """A copy of the annotations without errors.

    Args:
        held_out: File names of images that are left out, for validation has them.

    Returns:
        The content in COCO's format, and how often what was done.
    """
    done: Counter[str] = Counter()
    content = data.raw.content
    images, moved = _repair_images(data, set(held_out), done)
    sizes = {image["id"]: size for image in images if (size := said_size(image)) is not None}
    categories, joints_of, category_of = [], {}, _numbered(content["categories"])
    for entry in content["categories"]:
        number = category_of.get(_key(entry))
        if number is None or not (data.joints or names_joints(entry)):
            done["categories dropped"] += 1
            continue
        done["categories given a new id"] += number != entry["id"]
        categories.append({**entry, "id": number, **({"keypoints": list(data.joints)} if data.joints else {})})
        joints_of[number] = len(categories[-1].get("keypoints") or ())
    annotations, taken, numbers = [], set(), _numbered(content["annotations"])
    highest = max(numbers.values(), default=0)
    for entry in content["annotations"]:
        image, category = moved.get(_key(entry, "image_id")), category_of.get(_key(entry, "category_id"))
        person = None
        if image is not None and category in joints_of:
            person = _repair_person(entry, joints_of[category], sizes.get(image), done)
        if person is None:
            done["annotations dropped"] += 1
            continue
        number = numbers.get(_key(entry))
        if number is None or number in taken:
            number = highest = highest + 1
        done["annotations given a new id"] += number != entry.get("id")
        taken.add(number)
        annotations.append({**person, "id": number, "image_id": image, "category_id": category})
    return {**content, "images": images, "annotations": annotations, "categories": categories}, +done


def write_copy(content: dict[str, Any], file: Path, overwrite: bool) -> None:
    """Writes a repaired copy.

    Raises:
        InputError: If it would replace a file, nothing is left to write, or it cannot be written.
    """
    if file.exists() and not overwrite:
        raise InputError(f"{file}: exists already; overwrite=true replaces it, output_dir=... writes elsewhere")
    if not content["images"]:
        raise InputError(f"{file}: not written, for no image is left; correct the data set by hand")
    write_json(file, content, label=f"output_dir: {file}")


def _key(entry: Any, field: str = "id") -> int | str | None:
    """What an id refers by: "7" and 7.0 are meant as 7; None if it refers to nothing."""
    value = entry.get(field) if isinstance(entry, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    number = value if isinstance(value, int) else read_number(value)
    whole = whole_number(int(number)) if math.isfinite(number) and number == int(number) else None
    return value if whole is None and isinstance(value, str) else whole


def _numbered(entries: Sequence[Any]) -> dict[int | str | None, int]:
    """The number of every id: itself, or for text the next that is free."""
    keys = [key for entry in entries if (key := _key(entry)) is not None]
    highest = max((key for key in keys if isinstance(key, int)), default=0)
    texts = dict.fromkeys(key for key in keys if isinstance(key, str))
    return {key: key for key in keys if isinstance(key, int)} | {
        text: highest + place for place, text in enumerate(texts, start=1)
    }


def _repair_images(
    data: DataSet, held_out: Collection[str], done: Counter[str]
) -> tuple[list[Entry], dict[int | str | None, int]]:
    """The images that stay, and under which number those of an old id are found."""
    entries = data.raw.content["images"]
    numbers = _numbered(entries)
    names_of: dict[Any, set[str]] = {}
    for entry in filter(has_name, entries):
        names_of.setdefault(_key(entry), set()).add(entry["file_name"])
    kept: dict[str, Entry] = {}
    moved: dict[int | str | None, int] = {}
    for position, entry in enumerate(entries):
        key, file = _key(entry), data.opened.get(position)
        ambiguous = key is None or not has_name(entry) or len(names_of[key]) > 1
        damaged = file is not None and (file.fault is not None or said_size(entry) not in (None, file.size))
        if ambiguous or damaged or entry["file_name"] in held_out:
            done["images dropped"] += 1
            continue
        if (first := kept.get(entry["file_name"])) is not None:
            done["image entries merged"] += 1
            moved[key] = first["id"]
            continue
        size = {} if file is None or file.size is None else {"height": file.size[0], "width": file.size[1]}
        kept[entry["file_name"]] = {**entry, **size, "id": numbers[key]}
        done["images given a new id"] += numbers[key] != entry["id"]
        moved[key] = numbers[key]
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
