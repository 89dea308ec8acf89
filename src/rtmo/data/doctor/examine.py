"""Everything the doctor looks at in one data set, and in several together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtmo.data.coco_json import RawAnnotations
from rtmo.data.doctor.entries import Entry, joints_of_categories, place, usable_annotations, usable_images
from rtmo.data.doctor.findings import Finding, Findings
from rtmo.data.doctor.images import ImageFile, has_name, has_size_of, report_images, said_size
from rtmo.data.doctor.people import People, read_people, report_people
from rtmo.data.doctor.sides import mixed, pair_sides, reversed_share
from rtmo.data.values import whole_number
from rtmo.skeletons import KeypointSet


@dataclass(frozen=True)
class DataSet:
    """A data set to examine.

    Attributes:
        raw: As its files have it.
        skeleton: The joints that are wanted of it.
        joints: Names in the order of the annotations, where they override those of the file.
        opened: What its image files told, by position in the list of images; empty if none was opened.
    """

    raw: RawAnnotations
    skeleton: KeypointSet
    joints: Sequence[str] | None = None
    opened: Mapping[int, ImageFile] = field(default_factory=dict)


def examine(data: DataSet, held_out: Mapping[str, str] | None = None) -> list[Finding]:
    """Looks for every kind of fault.

    Args:
        held_out: For training sets: file names of its images that validation has as well, and the path there.
    """
    found, content = Findings(), data.raw.content
    images = usable_images(content, found)
    annotations = usable_annotations(content, images, found)
    joints = joints_of_categories(data.raw, data.joints, data.skeleton, found)
    report_images(data.raw, data.opened, found)
    for name, path in (held_out or {}).items():
        found.add("image_in_val", f"{name} = {path}")
    sizes = image_sizes(data)
    peopled: set[int] = set()
    for category, names in joints.items():
        entries = [entry for entry in annotations if entry["category_id"] == category]
        people = read_people(entries, len(names), images, sizes, found)
        report_people(people, names, images, found)
        _report_sides(people, names, images, found)
        peopled.update(entry["image_id"] for entry in entries)
    without = [entry["file_name"] for number, entry in images.items() if number not in peopled]
    found.add_all("images_without_people", without, len(without))
    return found.in_order()


def image_sizes(data: DataSet) -> dict[int, tuple[int, int]]:
    """(height, width) by image id, of the entry or else of the file; left out where neither tells or both disagree."""
    sizes: dict[int, tuple[int, int]] = {}
    for position, entry in enumerate(data.raw.content["images"]):
        if isinstance(entry, dict) and (number := whole_number(entry.get("id"))) is not None:
            file = data.opened.get(position)
            size = said_size(entry) or (file.size if file else None)
            if size is not None and (file is None or has_size_of(entry, file)):
                sizes.setdefault(number, size)
    return sizes


def held_out_images(train: DataSet, val: Sequence[DataSet]) -> dict[str, str]:
    """Images of a training set that validation has as well, by file name: the path of the same file, or of its equal.

    Contents are compared where both sets were opened with ``decode``.
    """
    by_path = {path.resolve(): str(path) for data in val for path in _paths(data).values()}
    by_digest = {file.digest: str(file.path) for data in val for file in data.opened.values() if file.digest}
    shared = {}
    for position, path in _paths(train).items():
        file = train.opened.get(position)
        same = by_path.get(path.resolve()) or (by_digest.get(file.digest) if file and file.digest else None)
        if same is not None:
            shared[train.raw.content["images"][position]["file_name"]] = same
    return shared


def _paths(data: DataSet) -> dict[int, Path]:
    entries = enumerate(data.raw.content["images"])
    return {position: data.raw.image_dir / entry["file_name"] for position, entry in entries if has_name(entry)}


def _report_sides(people: People, joints: Sequence[str], images: Mapping[int, Entry], found: Findings) -> None:
    sides = pair_sides(people, joints)
    rows = np.flatnonzero(mixed(sides)).tolist()
    found.add_all("sides_mixed", (place(people.entries[row], images) for row in rows), len(rows))
    if (suspect := reversed_share(sides)) is not None:
        part, share, count = suspect
        found.add("sides_reversed", f"{part}: left is where right should be for {1 - share:.0%} of {count} people")
