"""Numbers of annotated people: boxes, keypoints, areas, outlines."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from rtmo.data.doctor.entries import Entry, place
from rtmo.data.doctor.findings import Findings
from rtmo.data.values import are_numbers, read_number

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
        counts: ``num_keypoints``, NaN where the entry has none, or its keypoints cannot be read.
        crowd: ``iscrowd``.
        sizes: (width, height) of the image, px; infinite where nothing tells.
    """

    entries: Sequence[Entry]
    bboxes: Float[np.ndarray, "A 4"]
    has_box: Bool[np.ndarray, " A"]
    keypoints: Float[np.ndarray, "A K 3"]
    area: Float[np.ndarray, " A"]
    counts: Float[np.ndarray, " A"]
    crowd: Bool[np.ndarray, " A"]
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
    keypoints, area, counts = np.zeros((count, num_joints, 3)), np.full(count, np.nan), np.full(count, np.nan)
    crowd, limits = np.zeros(count, dtype=bool), np.full((count, 2), np.inf)
    box: Any
    given: Any
    for row, entry in enumerate(entries):
        where = place(entry, images)
        box, flat, given = entry.get("bbox"), entry.get("keypoints") or [0] * (3 * num_joints), entry.get("area")
        if are_numbers(box) and len(box) == 4:
            bboxes[row], has_box[row] = box, True
        else:
            found.add("malformed", f"{where}: bbox {box!r}")
        if not are_numbers(flat):
            found.add("malformed", f"{where}: keypoints {_first_odd(flat)!r}")
        elif len(flat) != 3 * num_joints:
            found.add("keypoint_count", f"{where}: {len(flat)} numbers for {num_joints} joints")
        else:
            keypoints[row] = np.reshape(flat, (num_joints, 3))
            counts[row] = read_number(entry.get("num_keypoints"))
        if are_numbers([given]):
            area[row] = given
            if not math.isfinite(given):
                found.add("not_finite", f"{where}: area {given}")
        elif given is not None:
            found.add("malformed", f"{where}: area {given!r}")
        if entry.get("iscrowd") not in (0, 1, None):
            found.add("malformed", f"{where}: iscrowd {entry['iscrowd']!r}")
        crowd[row] = bool(entry.get("iscrowd"))
        if entry["image_id"] in sizes:
            limits[row] = sizes[entry["image_id"]][::-1]
    return People(entries, bboxes, has_box, keypoints, area, counts, crowd, limits)


def report_people(people: People, joints: Sequence[str], images: Mapping[int, Entry], found: Findings) -> None:
    """Notes numbers that training cannot use, or that cannot be meant."""

    def note(kind: str, bad: Any, say: Callable[[int], str]) -> None:
        rows = np.flatnonzero(bad).tolist()
        found.add_all(kind, (f"{place(people.entries[row], images)}: {say(row)}" for row in rows), len(rows))

    def joint(row: int, chosen: Bool[np.ndarray, "A K"]) -> str:
        which, more = int(chosen[row].argmax()), int(chosen[row].sum()) - 1
        return f"{joints[which]} at {_plain(points[row, which])}" + (f" and {more} more" if more > 0 else "")

    def box(row: int) -> str:
        return f"bbox {_plain(people.bboxes[row])}, image {_plain(people.sizes[row])} (width, height)"

    _report_boxes(people, note, box)
    points, flags, labeled = people.keypoints[..., :2], people.keypoints[..., 2], people.labeled
    infinite = ~np.isfinite(people.keypoints).all(-1)
    note("not_finite", infinite.any(1), lambda row: joint(row, infinite))
    odd = ~np.isin(flags, (0, 1, 2)) & np.isfinite(flags)
    note("visibility_flag", odd.any(1), lambda row: f"visibility {_plain(flags[row][odd[row]])[0]}")
    note("area_negative", people.area < 0, lambda row: f"area {people.area[row]:g}")
    lacks_area = (np.isnan(people.area) | (people.area == 0)) & labeled.any(1)
    kind = "area_missing" if (people.area > 0).any() else "areas_absent"
    note(kind, lacks_area, lambda row: f"area {people.entries[row].get('area')}")
    outside = labeled & ((points < -OUTSIDE) | (points > people.sizes[:, None] + OUTSIDE)).any(-1)
    note("joints_outside", outside.any(1), lambda row: f"{joint(row, outside)}, {box(row)}")
    astray = labeled & ~outside & _outside_box(people)
    note("joints_outside_box", astray.any(1), lambda row: f"{joint(row, astray)}, {box(row)}")
    counted = (flags > 0).sum(1)
    wrong = ~np.isnan(people.counts) & (people.counts != counted) & ~people.crowd
    note("num_keypoints", wrong, lambda row: f"says {people.counts[row]:g}, {counted[row]} are labeled")
    _report_outlines(people, labeled.any(1) & ~people.crowd, images, found)


def _report_boxes(people: People, note: Callable[..., None], box: Callable[[int], str]) -> None:
    bboxes, (width, height) = people.bboxes, people.sizes.T
    finite = np.isfinite(bboxes).all(1)
    note("not_finite", people.has_box & ~finite, box)
    negative = finite & (bboxes[:, 2:] < 0).any(1)
    note("box_negative", negative, box)
    empty = finite & ~negative & (bboxes[:, 2:] == 0).any(1) & ~people.crowd
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
    for row in np.flatnonzero(~posed).tolist():
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
        size = outline.get("size") or []
        return "counts" in outline and isinstance(size, list) and image_size in (None, tuple(size))
    return isinstance(outline, list) and all(
        are_numbers(polygon) and len(polygon) % 2 == 0 and all(map(math.isfinite, polygon)) for polygon in outline
    )


def _first_odd(values: Any) -> Any:
    """What is no number of a list, or the whole if it is no list."""
    return next((value for value in values if not are_numbers([value])), values) if isinstance(values, list) else values


def _plain(values: np.ndarray) -> list[float]:
    """Numbers as one reads them."""
    return [int(value) if float(value).is_integer() else float(f"{value:.6g}") for value in values]
