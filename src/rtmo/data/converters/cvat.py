"""CVAT's own XML, version 1.1, "CVAT for images"."""

import logging
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rtmo.data.converters.image_index import ImageIndex, visible_files
from rtmo.data.converters.people import UNNAMED_CLASS, Box, Person, Point, as_content, enclosing_box, gather, turned
from rtmo.errors import InputError

log = logging.getLogger(__name__)

_SPLITS = {
    **{"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"},
    **{"test": "test", "testing": "test"},
}


def read_cvat(path: Path, *, image_dir: Path | None = None) -> dict[str, Any]:
    """One XML file, or all below a folder.

    A ``<skeleton>`` is a person: its class and joints are its labels, a point that is ``outside`` has no label, one
    that is ``occluded`` is hidden. ``<points>`` with one point are joints of the box with the same ``group_id``, else
    of the smallest box around them; with several points, they are a person of that class with keypoints in order.
    Subsets called train and val (or validation) say which split an image is of.

    Args:
        image_dir: Where images are, and what file names are relative to; None: the folder given.

    Raises:
        InputError: If an image is missing or files do not fit together.

    Reference: https://docs.cvat.ai/docs/dataset_management/formats/xml_format; the image of a skeleton in its label,
    which holds the limbs, as CVAT's own COCO export reads it.
    """
    files = [path] if path.is_file() else [file for file in visible_files(path, "*.xml") if is_cvat(file)]
    index = ImageIndex(image_dir or (path.parent if path.is_file() else path))
    declared: dict[str, dict[str, Any]] = {}
    counts: dict[str, tuple[str, int]] = {}
    people: dict[str, tuple[dict[str, Any], list[Person]]] = {}
    for file in files:
        root = _parse(file)
        _declare(declared, _skeletons(root), file)
        for element in root.iter("image"):
            image = _image(element, file, index, len(people) + 1)
            if image["file_name"] in people:
                raise InputError(f"{file}: image {image['file_name']} is annotated twice; remove one")
            where = f"{file}, image {element.get('name')}"
            _check_counts(element, counts, where)
            people[image["file_name"]] = (image, _people(element, where))
    if not people:
        raise InputError(f"{path}: no <image>; export the task as 'CVAT for images 1.1'")
    return as_content(list(people.values()), declared, str(path))


def is_cvat(file: Path) -> bool:
    """Whether an XML file is of CVAT, by its first element."""
    try:
        return next(iter(ET.iterparse(file, events=("start",))))[1].tag == "annotations"
    except (ET.ParseError, StopIteration):
        return False


def _parse(file: Path) -> ET.Element:
    try:
        root = ET.parse(file).getroot()
    except ET.ParseError as error:
        raise InputError(f"{file}: not valid XML ({error}); it may be cut short: export it again") from error
    if root.find("track") is not None:
        raise InputError(f"{file}: 'CVAT for video'; export the task as 'CVAT for images 1.1' instead")
    return root


def _skeletons(root: ET.Element) -> dict[str, dict[str, Any]]:
    """Joints and limbs of the classes that are skeletons, as the fields of a category of COCO."""
    labels = [label for label in root.iter("label") if label.find("name") is not None]
    children: dict[str, list[str]] = {}
    for label in labels:
        if parent := label.findtext("parent"):
            children.setdefault(parent, []).append(str(label.findtext("name")))
    skeletons = {}
    for label in labels:
        name = str(label.findtext("name"))
        if label.findtext("type") == "skeleton":
            skeletons[name] = {"keypoints": children.get(name, []), "skeleton": _limbs(label, children.get(name, []))}
    return skeletons


def _limbs(label: ET.Element, joints: list[str]) -> list[list[int]]:
    """Pairs of joints counted from 1, as COCO has them, out of the drawing of a skeleton."""
    svg = label.find("svg")
    if svg is None:
        return []
    if svg.text and "<" in svg.text:  # the drawing as text
        try:
            svg = ET.fromstring(svg.text if svg.text.lstrip().startswith("<svg") else f"<svg>{svg.text}</svg>")
        except ET.ParseError:
            log.warning("label %s: its drawing cannot be read, so there are no limbs", label.findtext("name"))
            return []
    elements = [(element.tag.rpartition("}")[2], element) for element in svg.iter()]
    nodes = {node.get("data-node-id"): node.get("data-label-name") for tag, node in elements if tag == "circle"}
    edges = [(line.get("data-node-from"), line.get("data-node-to")) for tag, line in elements if tag == "line"]
    named = [(nodes.get(a), nodes.get(b)) for a, b in edges]
    return [[joints.index(a) + 1, joints.index(b) + 1] for a, b in named if a in joints and b in joints]


def _declare(known: dict[str, dict[str, Any]], more: dict[str, dict[str, Any]], file: Path) -> None:
    for label, fields in more.items():
        before = known.setdefault(label, fields)
        if before["keypoints"] != fields["keypoints"]:
            raise InputError(
                f"{file}: class {label!r} has {len(fields['keypoints'])} keypoints {fields['keypoints']}, in another "
                f"file {len(before['keypoints'])}: {before['keypoints']}; export files of one project"
            )


def _image(element: ET.Element, file: Path, index: ImageIndex, number: int) -> dict[str, Any]:
    where, name = f"{file}, image {element.get('name')}", element.get("name")
    if not name:
        raise InputError(f"{file}, image {element.get('id')}: has no name; export it again")
    return {
        "id": number,
        "file_name": index.find(name, where),
        "height": _whole(element, "height", where),
        "width": _whole(element, "width", where),
        "split": _SPLITS.get(element.get("subset", "").lower()),
    }


def _people(image: ET.Element, where: str) -> list[Person]:
    boxes = [_box(element, where) for element in image.iter("box")]
    points: list[Point] = []
    whole: list[Person] = []
    for element in image.findall("points"):
        found = list(_points(element, where))
        label = element.get("label", UNNAMED_CLASS)
        if len(found) == 1:
            points.append(Point(label, *found[0], _flag(element), element.get("group_id")))
        else:
            names = [f"keypoint_{place}" for place in range(len(found))]
            joints = [Point(name, x, y, _flag(element)) for name, (x, y) in zip(names, found, strict=True)]
            whole.append(_with_box(label, joints, element, boxes))
    for element in image.findall("skeleton"):
        joints = [
            Point(part.get("label", ""), x, y, _flag(part))
            for part in element.findall("points")
            for x, y in _points(part, where)
        ]
        whole.append(_with_box(element.get("label", UNNAMED_CLASS), joints, element, boxes))
    taken = {id(person.box) for person in whole}
    return whole + gather(points, [box for box in boxes if id(box) not in taken], where)


def _check_counts(image: ET.Element, counts: dict[str, tuple[str, int]], where: str) -> None:
    """Refuses <points> that are now of this and now of that number: their order would mean nothing.

    Args:
        counts: By class, where it was met first and its number of points; more are noted in it.
    """
    for element in image.findall("points"):
        count, label = element.get("points", "").count(";") + 1, element.get("label", UNNAMED_CLASS)
        first, expected = counts.setdefault(label, (where, count))
        if count != expected:
            raise InputError(
                f"{where}: {label!r} has {count} points, but {expected} in {first}; give all as many, or use a "
                "skeleton, whose points can be outside"
            )


def _with_box(label: str, joints: Iterable[Point], element: ET.Element, boxes: Iterable[Box]) -> Person:
    """A person with the box of its group, if there is one."""
    group = element.get("group_id")
    box = next((box for box in boxes if group is not None and box.group == group), None)
    return Person(label, {point.joint: point for point in joints}, box)


def _flag(element: ET.Element) -> int:
    if element.get("outside") == "1":
        return 0
    return 1 if element.get("occluded") == "1" else 2


def _points(element: ET.Element, where: str) -> Iterable[tuple[float, float]]:
    try:
        for pair in element.attrib["points"].split(";"):
            x, y = pair.split(",")
            yield float(x), float(y)
    except (KeyError, ValueError) as error:
        raise InputError(f"{where}: points {element.get('points')!r} of {element.get('label')!r}: not x,y") from error


def _box(element: ET.Element, where: str) -> Box:
    left, top, right, bottom = (_number(element, side, where) for side in ("xtl", "ytl", "xbr", "ybr"))
    label, group = element.get("label", UNNAMED_CLASS), element.get("group_id")
    if not (turn := _number(element, "rotation", where) if "rotation" in element.attrib else 0.0):
        return Box(label, left, top, right - left, bottom - top, group)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return enclosing_box(label, turned(corners, ((left + right) / 2, (top + bottom) / 2), turn), group)


def _whole(element: ET.Element, field: str, where: str) -> int:
    return int(_number(element, field, where))


def _number(element: ET.Element, field: str, where: str) -> float:
    try:
        return float(element.attrib[field])
    except (KeyError, ValueError) as error:
        raise InputError(f"{where}: {field} of <{element.tag}> must be a number, got {element.get(field)}") from error
