"""Reads COCO keypoint annotations into arrays, and says exactly what is wrong with those it cannot use."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8

from rtmo.data.values import FARTHEST, MAX_PIXELS, is_file_name, is_list_of, whole_number
from rtmo.documents import parse_json
from rtmo.errors import InputError
from rtmo.ops.boxes import pairwise_iou
from rtmo.skeletons import KeypointSet

log = logging.getLogger(__name__)

# Where a source does not give the area of a person: this share of the box, as the CrowdPose evaluation assumes.
AREA_OF_BOX = 0.53

_PLACES = f"finite and within {FARTHEST:,} px"
_HOW_TO_GET = (
    "python -m rtmo.data get coco downloads COCO 2017 to coco/ below paths.data_dir, and other sets by their names; "
    "or point paths.data_dir to the folder that holds coco/. Nothing to download: data=synthetic"
)


@dataclass(frozen=True)
class People:
    """The annotated people of a file, in its order.

    Attributes:
        image_ids: The image each person is in.
        bboxes: COCO's (x, y, width, height), px.
        keypoints: px, joints in the order of the target skeleton.
        visibility: COCO flag 0, 1 or 2; all 0 for a crowd.
        annotated: Whether the person's category has the joint, and any person of the file a label for it.
        area: px^2; where ``has_area`` is False, a share of the box.
        has_area: Whether the file gives an area.
    """

    image_ids: Int64[np.ndarray, " A"]
    bboxes: Float32[np.ndarray, "A 4"]
    keypoints: Float32[np.ndarray, "A K 2"]
    visibility: UInt8[np.ndarray, "A K"]
    annotated: Bool[np.ndarray, "A K"]
    area: Float32[np.ndarray, " A"]
    has_area: Bool[np.ndarray, " A"]

    @cached_property  # asked for person by person
    def is_labeled(self) -> Bool[np.ndarray, " A"]:
        """Whether a person has any labeled keypoint."""
        return np.asarray((self.visibility > 0).any(axis=1))


@dataclass(frozen=True)
class RawAnnotations:
    """A data set as its files have it, before any check.

    Attributes:
        file: What messages name.
        image_dir: Folder that the ``file_name`` of each image is relative to.
        content: Lists ``images``, ``annotations`` and ``categories`` in COCO's format, pixels counted from 0.
        displayed: Whether pixels are those of images as viewers show them, turned as their EXIF header says, rather
            than as they are stored.
    """

    file: Path
    image_dir: Path
    content: dict[str, Any]
    displayed: bool = False


def box_overlaps(bboxes: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N N"]:
    """IoU of every COCO box (x, y, width, height) with every other and itself."""
    corners = torch.from_numpy(np.concatenate([bboxes[:, :2], bboxes[:, :2] + bboxes[:, 2:]], axis=1))
    return np.asarray(pairwise_iou(corners, corners))


class MissingDataError(InputError, FileNotFoundError):
    """A file or folder of a data set does not exist."""


def missing(field: str, path: Path, kind: str) -> MissingDataError:
    """The error for a path that does not exist, with the way to get COCO."""
    return MissingDataError(f"{field}: there is no {kind} {path}. {_HOW_TO_GET}")


def read_json(file: Path) -> Any:
    """The content of a JSON file.

    Raises:
        MissingDataError: If it does not exist.
        InputError: If it is cut short or cannot be read.
    """
    if not file.is_file():
        raise missing("annotation_file", file, "file")
    return parse_json(file.read_bytes(), str(file))


def write_json(file: Path, content: Any, label: str, indent: int | None = None) -> None:
    """Writes a file that appears only when it is whole, making its folder.

    Args:
        label: What messages call the file: the option that names it.

    Raises:
        InputError: If it cannot be written.
    """
    part = file.with_name(f"{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(content, indent=indent) + ("" if indent is None else "\n"), encoding="utf-8")
        os.replace(part, file)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise InputError(f"{label}: cannot be written ({error}); choose another place") from error


def read_coco(
    annotation_file: str | Path, image_dir: str | Path, first_pixel: int = 0, images_only: bool = False
) -> RawAnnotations:
    """A COCO file as it is.

    Args:
        first_pixel: 1 for files that count pixels from 1, as MATLAB does.
        images_only: Whether the file may be without annotations, as those of COCO's test sets are (``image_info_*``).

    Raises:
        MissingDataError: If it does not exist.
        InputError: If it has not COCO's three lists.
    """
    file = Path(annotation_file)
    content = read_json(file)
    if images_only and isinstance(content, dict):
        content.setdefault("annotations", [])
    for field in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(field), list):
            raise InputError(f"{file}: no list {field!r}; a COCO keypoint file has images, annotations and categories")
    for annotation in content["annotations"] if first_pixel else ():
        for field, period in (("bbox", 4), ("keypoints", 3)):  # x and y come first in either
            if isinstance(annotation, dict) and isinstance(values := annotation.get(field), list):
                annotation[field] = [
                    value - first_pixel if place % period < 2 and isinstance(value, int | float) else value
                    for place, value in enumerate(values)
                ]
    return RawAnnotations(file, Path(image_dir), content)


def check_content(file: Path, content: Mapping[str, Any]) -> None:
    """Refuses entries without needed fields, ids that are doubled or no integers, annotations of no image, images of
    more pixels than are read.

    Raises:
        InputError: At the first one.
    """
    for field, kind, needed in (
        ("images", "image", ("id", "file_name")),
        ("annotations", "annotation", ("id", "image_id", "category_id", "bbox")),
        ("categories", "category", ("id",)),
    ):
        _check_entries(file, content[field], kind, needed)
    known = {image["id"] for image in content["images"]}
    for annotation in content["annotations"]:
        if annotation["image_id"] not in known:
            raise InputError(
                f"{file}: annotation {annotation['id']}: image_id {annotation['image_id']} is not among the images; "
                "add the image or remove the annotation"
            )


def _check_entries(file: Path, entries: Sequence[Any], kind: str, needed: Sequence[str]) -> None:
    seen = set()
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise InputError(f"{file}: {kind} number {position} must be an object with fields, got {entry!r:.200}")
        for field in needed:
            if field not in entry:
                raise InputError(f"{file}: {kind} number {position} has no field {field!r}; add it")
            if field.endswith("id") and whole_number(entry[field]) is None:
                raise InputError(f"{file}: {kind} number {position}: {field} {entry[field]!r} must be an integer")
        if kind == "image":
            _check_image(file, entry)
        if kind == "category" and not is_list_of(str, entry.get("keypoints") or []):
            raise InputError(f"{file}: category {entry['id']}: keypoints must be a list of names; correct it")
        if kind != "category" and entry["id"] in seen:  # whose last counts
            raise InputError(f"{file}: two {kind} entries have id {entry['id']}; ids must differ")
        seen.add(entry["id"])


def _check_image(file: Path, entry: Mapping[str, Any]) -> None:
    where = f"{file}: image {entry['id']}"
    name = entry["file_name"]
    if not (isinstance(name, str) and name and is_file_name(name)):
        raise InputError(f"{where}: file_name must be text, the name of a file, got {name!r}")
    for side in ("height", "width"):
        if not (entry.get(side) is None or (isinstance(entry[side], int) and entry[side] >= 0)):
            raise InputError(f"{where}: {side} must be a whole number of px, got {entry[side]!r}")
    height, width = entry.get("height") or 0, entry.get("width") or 0
    if max(height, width, height * width) > MAX_PIXELS:
        raise InputError(f"{where}: {height} x {width} px (height x width), above the limit of {MAX_PIXELS:,} pixels")


def joints_by_category(
    file: Path, categories: Sequence[Mapping[str, Any]], joints: Sequence[str] | None, skeleton: KeypointSet
) -> dict[int, tuple[str, ...]]:
    """The joint names of every category that is a person.

    Args:
        joints: Overrides the names of the file, which some tools leave out.

    Raises:
        InputError: If no category has joints, or one shares no joint with the skeleton.
    """
    named = {
        category["id"]: tuple(joints or category.get("keypoints") or ())
        for category in categories
        if joints or category.get("keypoints")
    }
    if not named:
        raise InputError(
            f"{file}: no category lists its joints under 'keypoints'. Take a keypoint file "
            "(person_keypoints_*.json of COCO), or give joints=[...], the joint names in the order of the annotations"
        )
    for category, names in named.items():
        unknown = [name for name in names if name not in skeleton.joints]
        if len(unknown) == len(names):
            raise InputError(
                f"{file}: category {category}: none of its joints {list(names)} is in the skeleton {skeleton.name!r} "
                f"{list(skeleton.joints)}; rename them, or choose the skeleton of this data set"
            )
        absent = [joint for joint in skeleton.joints if joint not in names]
        if unknown or absent:
            left_out = unknown if len(unknown) < len(names) / 2 else f"{len(unknown)} of {len(names)}"
            log.warning("%s: joints left out: %s; joints it lacks, without loss: %s", file, left_out, absent)
    return named


def pack_people(
    file: Path, annotations: Sequence[Mapping[str, Any]], joints: Mapping[int, tuple[str, ...]], skeleton: KeypointSet
) -> People:
    """Annotations as arrays, joints brought into the order of the skeleton by name.

    Raises:
        InputError: If a box, a keypoint list, a visibility flag or an area cannot be used.
    """
    _check_people(file, annotations, joints)
    count, keypoints = len(annotations), np.zeros((len(annotations), skeleton.num_keypoints, 3))
    annotated = np.zeros((count, skeleton.num_keypoints), dtype=bool)
    for category, names in joints.items():
        rows = [row for row, annotation in enumerate(annotations) if annotation["category_id"] == category]
        empty = [0] * (3 * len(names))
        flat = _numbers(
            file, "keypoints", {row: annotations[row].get("keypoints") or empty for row in rows}, annotations
        )
        shared = [joint for joint in names if joint in skeleton.joints]
        columns = [skeleton.joints.index(joint) for joint in shared]
        source = flat.reshape(len(rows), len(names), 3)[:, [names.index(joint) for joint in shared]]
        keypoints[np.ix_(rows, columns)] = source
        # what nobody has labeled, such as PoseTrack's ears, is listed but not annotated
        annotated[np.ix_(rows, columns)] = (source[..., 2] > 0).any(axis=0)
    boxes = {row: annotation["bbox"] for row, annotation in enumerate(annotations)}
    bboxes = _numbers(file, "bbox", boxes, annotations).reshape(count, 4)
    given = [annotation.get("area") for annotation in annotations]
    with np.errstate(all="ignore"):  # boxes are checked below
        guess = AREA_OF_BOX * bboxes[:, 2] * bboxes[:, 3]
    areas = {row: guess[row] if value is None else value for row, value in enumerate(given)}
    area = _numbers(file, "area", areas, annotations)
    _check_values(file, annotations, bboxes, keypoints, area)
    is_crowd = np.array([bool(annotation.get("iscrowd", 0)) for annotation in annotations], dtype=bool)
    keypoints[is_crowd, :, 2] = 0  # a crowd has no pose, whatever its annotation says
    return People(
        image_ids=np.array([annotation["image_id"] for annotation in annotations], dtype=np.int64),
        bboxes=bboxes.astype(np.float32),
        keypoints=keypoints[..., :2].astype(np.float32),
        visibility=keypoints[..., 2].astype(np.uint8),
        annotated=annotated,
        area=area.astype(np.float32),
        has_area=np.array([value is not None for value in given], dtype=bool),
    )


def _numbers(file: Path, field: str, values: Mapping[int, Any], annotations: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """A field of some annotations, given by row, as an array."""
    try:
        return _as_numbers(list(values.values()))
    except (OverflowError, TypeError, ValueError) as error:
        row, value = next((row, value) for row, value in values.items() if not _is_numeric(value, field == "area"))
        raise InputError(
            f"{file}: annotation {annotations[row]['id']}: {field} must be numbers, got {value!r}; "
            "correct it or remove the annotation"
        ) from error


def _is_numeric(value: Any, is_single: bool) -> bool:
    """Whether a value is a number, or a list of numbers."""
    try:
        return _as_numbers(value).ndim == (0 if is_single else 1)
    except (OverflowError, TypeError, ValueError):
        return False


def _as_numbers(value: Any) -> np.ndarray:
    array = np.array(value)
    if array.dtype.kind == "U":  # NumPy would read numbers out of quotes, and others who read the file would not
        raise ValueError("words")
    return array.astype(np.float64)


def _check_people(file: Path, annotations: Sequence[Mapping[str, Any]], joints: Mapping[int, tuple[str, ...]]) -> None:
    if annotations and not any("keypoints" in annotation for annotation in annotations):
        raise InputError(f"{file}: no annotation has 'keypoints'; COCO keeps them in person_keypoints_*.json")
    for annotation in annotations:
        where = f"{file}: annotation {annotation['id']}"
        if not isinstance(annotation["bbox"], list) or len(annotation["bbox"]) != 4:
            raise InputError(f"{where}: bbox must be [x, y, width, height], got {annotation['bbox']}")
        if annotation.get("iscrowd") not in (0, 1, None):  # "0" would pass for true
            raise InputError(f"{where}: iscrowd must be 0 or 1, got {annotation['iscrowd']!r}; correct it")
        given = annotation.get("keypoints") or []
        if not isinstance(given, list):
            raise InputError(f"{where}: 'keypoints' must be a list of numbers, got {given!r}; correct it")
        expected, got = len(joints[annotation["category_id"]]), len(given)
        if got and got != 3 * expected:
            raise InputError(
                f"{where}: 'keypoints' holds {got} numbers ({got / 3:g} keypoints of x, y, visibility), but its "
                f"category lists {expected} joints; give {3 * expected} numbers, 0, 0, 0 for a joint without a label"
            )


def _are_places(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(values) <= FARTHEST)


def _check_values(
    file: Path,
    annotations: Sequence[Mapping[str, Any]],
    bboxes: np.ndarray,
    keypoints: np.ndarray,
    area: np.ndarray,
) -> None:
    """Reports the first value that would poison a loss."""
    for field, bad, rule in (
        ("bbox", ~_are_places(bboxes).all(1) | (bboxes[:, 2:] < 0).any(1), f"{_PLACES}, with width and height >= 0"),
        ("keypoints", ~_are_places(keypoints).all((1, 2)), _PLACES),
        ("keypoints", ~np.isin(keypoints[..., 2], (0, 1, 2)).all(1), "x, y, visibility with visibility 0, 1 or 2"),
        ("area", ~(area <= FARTHEST**2) | (area < 0), f"finite, >= 0 and at most {FARTHEST**2:,} px^2"),
    ):
        if bad.any():
            annotation = annotations[int(bad.argmax())]
            raise InputError(
                f"{file}: annotation {annotation['id']}: {field} must be {rule}, got {annotation.get(field)}; "
                "correct it or remove the annotation"
            )
