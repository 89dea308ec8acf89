"""Loose points and boxes of an image, as annotation tools keep them, put together to people in COCO's form."""

import logging
import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rtmo.errors import InputError

log = logging.getLogger(__name__)

# Where nobody drew a box: room around the keypoints on every side, as a share of their larger extent. In COCO it is
# 0.07 to 0.14 (median of people with 8 keypoints or more). And at least so many px, for a single keypoint has none.
BOX_MARGIN, BOX_MARGIN_PX = 0.1, 4.0
UNNAMED_CLASS = "object"


@dataclass(frozen=True)
class Point:
    """A labeled point: px, COCO's flag, and what it belongs to, if the tool says so."""

    joint: str
    x: float
    y: float
    visibility: int = 2
    group: Hashable = None


@dataclass(frozen=True)
class Box:
    """A rectangle with the name of its class, px."""

    label: str
    x: float
    y: float
    width: float
    height: float
    group: Hashable = None

    def distance(self, point: Point) -> float:
        """How far a point is outside, px; 0 inside."""
        x, y = (
            max(low - value, value - low - size, 0.0)
            for value, low, size in ((point.x, self.x, self.width), (point.y, self.y, self.height))
        )
        return math.hypot(x, y)


@dataclass(frozen=True)
class Person:
    """Points of one object, by joint; ``label`` is its class.

    Attributes:
        in_doubt: How many of the points lie in boxes of others as well.
    """

    label: str
    points: Mapping[str, Point]
    box: Box | None = None
    in_doubt: int = 0


def gather(points: Sequence[Point], boxes: Sequence[Box], where: str) -> list[Person]:
    """Decides which points of an image belong to one person.

    Those of one group do. A point without a group belongs to the nearest of the boxes that have not got this joint yet,
    of several around it to the smallest; those beside all boxes come last. In an image without boxes, points without a
    group are one person.

    Args:
        where: File and image, for messages.

    Raises:
        InputError: If a person would have a joint or a box twice.
    """
    # every box is the start of a person, and so is every group without a box
    owners: dict[Hashable, Box | None] = {}
    for number, box in enumerate(boxes):
        key: Hashable = ("box", number) if box.group is None else ("group", box.group)
        if key in owners:
            raise InputError(f"{where}: two boxes in one group ({box.group}); give every person a group of its own")
        owners[key] = box
    members: dict[Hashable, list[Point]] = defaultdict(list)
    for point in sorted(points, key=lambda point: min((box.distance(point) for box in boxes), default=0)):
        if point.group is not None or not boxes:
            key = ("group", point.group)
            owners.setdefault(key, None)
        else:
            free = [
                (box.distance(point), box.width * box.height, number, key)
                for number, (key, box) in enumerate(owners.items())
                if box is not None and point.joint not in {other.joint for other in members[key]}
            ]
            if not free:
                raise InputError(_whose(where, point.joint, len(boxes) + 1))
            key = min(free)[-1]
        members[key].append(point)
    return [_person(members[key], box, boxes, where) for key, box in owners.items()]


def _person(points: Sequence[Point], box: Box | None, boxes: Sequence[Box], where: str) -> Person:
    by_joint = {point.joint: point for point in points}
    if len(by_joint) < len(points):
        joint, count = Counter(point.joint for point in points).most_common(1)[0]
        raise InputError(_whose(where, joint, count))
    loose = [point for point in points if point.group is None]
    in_doubt = sum(sum(other.distance(point) == 0 for other in boxes) > 1 for point in loose)
    return Person(UNNAMED_CLASS if box is None else box.label, by_joint, box, in_doubt)


def _whose(where: str, joint: str, count: int) -> str:
    return (
        f"{where}: {joint!r} occurs {count} times and nothing says whose it is; give every person a box around its "
        "points, or group its points"
    )


def enclosing_box(label: str, corners: Sequence[tuple[float, float]], group: Hashable = None) -> Box:
    """The upright box around some corners, such as those of a turned one."""
    across, down = zip(*corners, strict=True)
    left, top = min(across), min(down)
    return Box(label, left, top, max(across) - left, max(down) - top, group)


def turned(
    corners: Sequence[tuple[float, float]], pivot: tuple[float, float], degrees: float
) -> list[tuple[float, float]]:
    """Corners turned clockwise, as seen, around a point."""
    turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    moved = [complex(*pivot) + turn * (complex(*corner) - complex(*pivot)) for corner in corners]
    return [(point.real, point.imag) for point in moved]


def box_with_margin(points: Sequence[Point], width: int, height: int) -> list[float]:
    """A box for labeled points, with a margin, within the image; COCO's (x, y, width, height)."""
    tight = enclosing_box("", [(point.x, point.y) for point in points])
    margin = max(BOX_MARGIN * max(tight.width, tight.height), BOX_MARGIN_PX)
    left, top = max(tight.x - margin, 0.0), max(tight.y - margin, 0.0)
    right, bottom = min(tight.x + tight.width + margin, width), min(tight.y + tight.height + margin, height)
    return [left, top, max(right - left, 0.0), max(bottom - top, 0.0)]


def as_content(
    people: Sequence[tuple[dict[str, Any], Sequence[Person]]], declared: Mapping[str, dict[str, Any]], where: str
) -> dict[str, Any]:
    """COCO's three lists.

    Each class with keypoints is a category. Others are left out: the network knows one class of object. People without
    a box, and so without a class, are of the only class there is, or else of one of their own.

    Args:
        people: Entries of images, with ids, and who is in them.
        declared: By class, fields of its category that the file gives (``keypoints``, ``skeleton``). Joints are else
            those that occur, in alphabetical order with numbers by value.

    Raises:
        InputError: If no class has keypoints, or a joint occurs that its class does not declare.
    """
    classes = {person.label for _, group in people for person in group if person.points} - {UNNAMED_CLASS}
    if len(classes) == 1:
        (label,) = classes
        people = [(image, [_of_class(person, label) for person in group]) for image, group in people]
    occurring: dict[str, set[str]] = defaultdict(set)
    for person in (person for _, group in people for person in group):
        occurring[person.label].update(person.points)
    names = {label: fields["keypoints"] for label, fields in declared.items() if fields.get("keypoints")}
    for label, joints in occurring.items():
        names.setdefault(label, sorted(joints, key=_natural))
        if unknown := joints - set(names[label]):
            raise InputError(f"{where}: class {label!r} has no joint {sorted(unknown)[0]!r}, only {names[label]}")
    if not any(names.values()):
        raise InputError(f"{where}: no object has keypoints (classes: {sorted(occurring)}); label some points")
    if without := sorted(label for label, joints in names.items() if not joints):
        log.info("%s: classes without keypoints, left out: %s", where, ", ".join(without))
    if in_doubt := sum(person.in_doubt for _, group in people for person in group):
        log.warning(
            "%s: %d points lie in several boxes, and were given to the smallest; groups would tell", where, in_doubt
        )
    used = sorted(label for label, joints in names.items() if joints)
    ids = {label: number for number, label in enumerate(used, start=1)}
    kept = [(image, person) for image, group in people for person in group if person.label in ids]
    return {
        "images": [image for image, _ in people],
        "annotations": [
            {"id": number, "category_id": ids[person.label], **_annotation(image, person, names[person.label])}
            for number, (image, person) in enumerate(kept, start=1)
        ],
        "categories": [
            {**declared.get(label, {}), "id": ids[label], "name": label, "keypoints": list(names[label])}
            for label in used
        ],
    }


def _of_class(person: Person, label: str) -> Person:
    return replace(person, label=label) if person.label == UNNAMED_CLASS else person


def _annotation(image: Mapping[str, Any], person: Person, joints: Sequence[str]) -> dict[str, Any]:
    box, labeled = person.box, [point for point in person.points.values() if point.visibility > 0]
    if box is not None:
        bbox = [box.x, box.y, box.width, box.height]
    else:
        bbox = box_with_margin(labeled, image["width"], image["height"]) if labeled else [0.0, 0.0, 0.0, 0.0]
    missing = Point("", 0.0, 0.0, 0)
    points = [person.points.get(joint, missing) for joint in joints]
    points = [point if point.visibility else missing for point in points]
    return {
        "image_id": image["id"],
        "bbox": bbox,
        "keypoints": [value for point in points for value in (point.x, point.y, point.visibility)],
        "num_keypoints": len(labeled),
        "iscrowd": 0,
        **({"annotator": image["annotator"]} if "annotator" in image else {}),
    }


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Sorts ``point_2`` before ``point_10``."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part]
