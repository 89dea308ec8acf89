"""labelme: a JSON file for each image."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rtmo.data.coco_json import read_json
from rtmo.data.converters.image_index import ImageIndex, visible_files
from rtmo.data.converters.people import Box, Person, Point, as_content, enclosing_box, gather
from rtmo.data.image_file import read_size
from rtmo.data.values import whole_number
from rtmo.errors import InputError

log = logging.getLogger(__name__)

HIDDEN = frozenset(("hidden", "occluded"))  # flags of a point that make it 1 instead of 2


def read_labelme(path: Path, *, image_dir: Path | None = None) -> dict[str, Any]:
    """All JSON files with ``shapes`` in a folder and below, or one of them.

    Points are joints, named by their label; rectangles are boxes, their label the class. Points belong to the box of
    their ``group_id``, else to the smallest box around them. A point with the flag ``hidden`` or ``occluded`` is
    hidden. Other shapes are left out.

    Args:
        image_dir: Where images are, and what file names are relative to; None: the folder given.

    Raises:
        InputError: If an image is missing or a point belongs to nobody, with the file.

    Reference: https://github.com/wkentaro/labelme, its label files of version 5.
    """
    files = [path] if path.is_file() else visible_files(path, "*.json")
    index = ImageIndex(image_dir or (path.parent if path.is_file() else path))
    people: list[tuple[dict[str, Any], list[Person]]] = []
    other = 0
    for file in files:
        content = read_json(file)
        if not is_labelme(content):
            log.warning("%s: not of labelme (no shapes), left out", file)
            continue
        image = _image(content, file, index, len(people) + 1)
        points, boxes = _shapes(content, file)
        other += len(content["shapes"]) - len(points) - len(boxes)
        people.append((image, gather(points, boxes, str(file))))
    if other:
        log.info("%s: %d shapes that are neither points nor rectangles, left out", path, other)
    _refuse_twice(people, path)
    return as_content(people, {}, str(path))


def is_labelme(content: Any) -> bool:
    """Whether the content of a JSON file is of labelme."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("shapes"), list)
        and isinstance(content.get("imagePath"), str)
    )


def _image(content: Mapping[str, Any], file: Path, index: ImageIndex, number: int) -> dict[str, Any]:
    beside = file.parent / content["imagePath"].replace("\\", "/")  # imagePath is relative to the JSON file
    if os.path.isfile(beside) and beside.resolve().is_relative_to(index.folder.resolve()):
        name = beside.resolve().relative_to(index.folder.resolve()).as_posix()
    else:
        name = index.find(content["imagePath"], str(file))
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if not (height and width):
        height, width = read_size(index.folder / name, displayed=True)
    elif not all(whole_number(side) is not None and side > 0 for side in (height, width)):
        raise InputError(
            f"{file}: imageHeight and imageWidth must be whole numbers of px, got {height!r:.40} and "
            f"{width!r:.40}; take both out to have them read from the image"
        )
    return {"id": number, "file_name": name, "height": height, "width": width}


def _shapes(content: Mapping[str, Any], file: Path) -> tuple[list[Point], list[Box]]:
    points, boxes = [], []
    for shape in content["shapes"]:
        try:
            label, group, kind = str(shape["label"]), shape.get("group_id"), shape.get("shape_type")
            if not isinstance(group, int | str | None):
                raise TypeError(f"group_id {group!r}")
            corners = [(float(x), float(y)) for x, y in shape["points"]]
            if kind == "point":
                (place,) = corners
                hidden = any(on for flag, on in (shape.get("flags") or {}).items() if flag.lower() in HIDDEN)
                points.append(Point(label, *place, 1 if hidden else 2, group))
            elif kind == "rectangle":
                boxes.append(enclosing_box(label, corners, group))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise InputError(
                f"{file}: a shape without label, or with points that are not x, y ({error}); correct it in labelme"
            ) from error
    return points, boxes


def _refuse_twice(people: list[tuple[dict[str, Any], list[Person]]], path: Path) -> None:
    seen: set[str] = set()
    for image, _ in people:
        if image["file_name"] in seen:
            raise InputError(f"{path}: two files are of the image {image['file_name']}; remove one")
        seen.add(image["file_name"])
