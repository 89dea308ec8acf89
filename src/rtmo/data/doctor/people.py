"""Numbers of annotated people: boxes, keypoints, areas, outlines."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from rtmo.data.doctor.entries import Entry, place
from rtmo.data.doctor.findings import Findings
from rtmo.data.doctor.values import are_numbers

# Annotators click beside edges, and files count pixels from 0 or 1: what is off by less is no fault.
OUTSIDE = 1.0  # px, joints beyond the image
BEYOND_IMAGE = 0.05  # of its own side, and at least 2 px: boxes beyond the image
BEYOND_BOX = 0.25  # of the longer side of the box: joints beyond their own box


@dataclass(frozen=True)
class People:
    """The annotations of one category, as arrays to check.

    Attributes:
        entries: As in the file.
        bboxes: COCO's (x, y, width, height), px; NaN where ``has_box`` is not.
        has_box: Whether the entry has four numbers there.
        keypoints: (x, y, flag); zeros where the entry has none that can be read.
        area: NaN where the entry has none.
        sizes: (width, height) of the image, px; infinite where nothing tells.
    """

    entries: Sequence[Entry]
    bboxes: Float[np.ndarray, "A 4"]
    has_box: Bool[np.ndarray, " A"]
    keypoints: Float[np.ndarray, "A K 3"]
    area: Float[np.ndarray, " A"]
    sizes: Float[np.ndarray, "A 2"]

    @property
    def labeled(self) -> Bool[np.ndarray, "A K"]:
        """Whether a joint has a flag above 0 and finite coordinates."""
        return (self.keypoints[..., 2] > 0) & np.isfinite(self.keypoints).all(-1)


def read_people(
    entries: Sequence[Entry],
    num_joints: int,
    images: Mapping[int, Entry],
    sizes: Mapping[int, tuple[int, int]],
    found: Findings,
) -> People:
    """Reads the annotations of a category; what is no number, or not as many as there should be, is noted.

    Args:
        sizes: (height, width) by image id.
    """
    count = len(entries)
    bboxes, has_box = np.full((count, 4), np.nan), np.zeros(count, dtype=bool)
    keypoints, area, limits = np.zeros((count, num_joints, 3)), np.full(count, np.nan), np.full((count, 2), np.inf)
    for row, entry in enumerate(entries):
        if are_numbers(box := entry.get("bbox")) and len(box) == 4:
            bboxes[row], has_box[row] = box, True
        else:
            found.add("malformed", f"{place(entry, images)}: bbox {box!r}")
        if not are_numbers(flat := entry.get("keypoints") or []):
            found.add("malformed", f"{place(entry, images)}: keypoints {_first_odd(flat)!r}")
        elif len(flat) == 3 * num_joints:
            keypoints[row] = np.reshape(flat, (num_joints, 3))
        elif flat:
            found.add("keypoint_count", f"{place(entry, images)}: {len(flat)} numbers for {num_joints} joints")
        if (given := entry.get("area")) is not None:
            if are_numbers([given]):
                area[row] = given
            else:
                found.add("malformed", f"{place(entry, images)}: area {given!r}")
        if entry.get("iscrowd", 0) not in (0, 1, None):
            found.add("malformed", f"{place(entry, images)}: iscrowd {entry['iscrowd']!r}")
        if entry["image_id"] in sizes:
            limits[row] = sizes[entry["image_id"]][::-1]
    return People(entries, bboxes, has_box, keypoints, area, limits)


def report_people(people: People, images: Mapping[int, Entry], found: Findings) -> None:
    """Notes numbers that training cannot use, or that cannot be meant."""

    def note(kind: str, bad: np.ndarray, say: Callable[[int], str]) -> None:
        rows = np.flatnonzero(bad)
        found.add_all(kind, (f"{place(people.entries[row], images)}: {say(row)}" for row in rows), len(rows))

    def box(row: int) -> str:
        return f"bbox {_plain(people.bboxes[row])}, image {_plain(people.sizes[row])} (width, height)"

    crowd = np.array([bool(entry.get("iscrowd")) for entry in people.entries], dtype=bool)
    _report_boxes(people, crowd, note, box)
    points, flags = people.keypoints[..., :2], people.keypoints[..., 2]
    has_area = np.array([entry.get("area") is not None for entry in people.entries], dtype=bool)
    infinite = ~np.isfinite(people.keypoints).all((1, 2))
    note("not_finite", infinite, lambda row: f"keypoints {_first(points[row], ~np.isfinite(points[row]).all(-1))}")
    note("not_finite", has_area & np.isinf(people.area), lambda row: f"area {people.area[row]}")
    odd = ~np.isin(flags, (0, 1, 2)) & np.isfinite(flags)
    note("visibility_flag", odd.any(1), lambda row: f"visibility {_plain(flags[row][odd[row]][:1])[0]}")
    note("area_negative", people.area < 0, lambda row: f"area {people.area[row]:g}")
    labeled = people.labeled
    lacks_area = ~(people.area > 0) & ~(people.area < 0) & labeled.any(1)
    note("area_missing", lacks_area, lambda row: f"area {people.entries[row].get('area')}")
    outside = labeled & ((points < -OUTSIDE) | (points > people.sizes[:, None] + OUTSIDE)).any(-1)
    note("joints_outside", outside.any(1), lambda row: f"{_first(points[row], outside[row])}, {box(row)}")
    astray = labeled & ~outside & _outside_box(people)
    note("joints_outside_box", astray.any(1), lambda row: f"{_first(points[row], astray[row])}, {box(row)}")
    counted = (flags > 0).sum(1)
    said = [entry.get("num_keypoints") for entry in people.entries]
    wrong = np.array([value is not None and value != number for value, number in zip(said, counted, strict=True)])
    note("num_keypoints", wrong.astype(bool) & ~crowd, lambda row: f"says {said[row]}, {counted[row]} are labeled")
    _report_outlines(people, labeled.any(1) & ~crowd, images, found)


def _report_boxes(people: People, crowd: np.ndarray, note: Callable[..., None], box: Callable[[int], str]) -> None:
    bboxes, (width, height) = people.bboxes, people.sizes.T
    finite = np.isfinite(bboxes).all(1)
    note("not_finite", people.has_box & ~finite, box)
    negative = finite & (bboxes[:, 2:] < 0).any(1)
    note("box_negative", negative, box)
    empty = finite & ~negative & (bboxes[:, 2:] == 0).any(1) & ~crowd
    note("box_empty", empty, box)
    proper = finite & ~negative & ~empty
    left, top, right, bottom = bboxes[:, 0], bboxes[:, 1], bboxes[:, 0] + bboxes[:, 2], bboxes[:, 1] + bboxes[:, 3]
    outside = proper & ((right <= 0) | (bottom <= 0) | (left >= width) | (top >= height))
    note("box_outside", outside, box)
    tolerance = np.maximum(2.0, BEYOND_IMAGE * bboxes[:, 2:])
    over_x = np.maximum(-left, right - width) > tolerance[:, 0]
    over_y = np.maximum(-top, bottom - height) > tolerance[:, 1]
    note("box_beyond", proper & ~outside & (over_x | over_y), box)


def _outside_box(people: People) -> Bool[np.ndarray, "A K"]:
    """Which joints are far outside the box of their person, if that is one."""
    low, side = people.bboxes[:, None, :2], people.bboxes[:, None, 2:]
    tolerance = BEYOND_BOX * side.max(-1, keepdims=True)
    points = people.keypoints[..., :2]
    beyond = (points < low - tolerance) | (points > low + side + tolerance)
    return np.asarray(beyond.any(-1) & (side > 0).all(-1))


def _report_outlines(people: People, posed: np.ndarray, images: Mapping[int, Entry], found: Findings) -> None:
    """Outlines of those that are ignored regions: nobody reads the others."""
    for row in np.flatnonzero(~posed):
        entry, (width, height) = people.entries[row], people.sizes[row]
        known = math.isfinite(width)
        if not usable_outline(entry.get("segmentation"), (int(height), int(width)) if known else None):
            size = entry["segmentation"].get("size") if isinstance(entry["segmentation"], dict) else "polygons"
            found.add("segmentation", f"{place(entry, images)}: {size}, image {_plain(people.sizes[row])[::-1]}")


def usable_outline(outline: Any, image_size: tuple[int, int] | None) -> bool:
    """Whether a segmentation is absent, a list of polygons, or an RLE of the image's (height, width)."""
    if not outline:
        return True
    if isinstance(outline, dict):
        return "counts" in outline and are_numbers(size := outline.get("size")) and image_size in (None, tuple(size))
    return isinstance(outline, list) and all(are_numbers(polygon) and len(polygon) % 2 == 0 for polygon in outline)


def _first_odd(values: Any) -> Any:
    """What is no number of a list, or the whole if it is no list."""
    return next((value for value in values if not are_numbers([value])), values) if isinstance(values, list) else values


def _first(points: Float[np.ndarray, "K 2"], chosen: Bool[np.ndarray, " K"]) -> str:
    """The first of the chosen joints and how many more there are."""
    joint, more = int(chosen.argmax()), int(chosen.sum()) - 1
    return f"joint {joint} at {_plain(points[joint])}" + (f" and {more} more" if more > 0 else "")


def _plain(values: np.ndarray) -> list[float]:
    """Numbers as one reads them."""
    return [float(f"{value:.6g}") if not float(value).is_integer() else int(value) for value in values]
