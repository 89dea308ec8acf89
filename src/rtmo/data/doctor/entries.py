"""Entries of a COCO file as entries: ids, references between them, categories."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rtmo.data.coco_json import RawAnnotations
from rtmo.data.doctor.findings import Findings
from rtmo.data.doctor.images import has_name
from rtmo.data.values import whole_number
from rtmo.skeletons import KeypointSet

Entry = dict[str, Any]


def usable_images(content: Mapping[str, Any], found: Findings) -> dict[int, Entry]:
    """Image entries by id, the first of each; the others are noted."""
    usable: dict[int, Entry] = {}
    names: Counter[str] = Counter()
    for position, entry in enumerate(content["images"]):
        number = _number(entry)
        if number is None or not has_name(entry):
            found.add("image_fields", f"image number {position}: {_short(entry)}")
            continue
        name = entry["file_name"]
        if number in usable:
            found.add("image_id_doubled", f"id {number}: {usable[number]['file_name']} and {name}")
        elif names[name]:
            found.add("file_name_doubled", f"{name}: again with id {number}")
        usable.setdefault(number, entry)
        names[name] += 1
    return usable


def usable_annotations(content: Mapping[str, Any], images: Mapping[int, Entry], found: Findings) -> list[Entry]:
    """Annotations with ids that belong to an image and a category; the others are noted."""
    categories = {_number(entry) for entry in content["categories"]}
    usable: list[Entry] = []
    seen: set[int | None] = set()
    for position, entry in enumerate(content["annotations"]):
        number, image, category = (_number(entry, field) for field in ("id", "image_id", "category_id"))
        if None in (number, image, category):
            found.add("annotation_fields", f"annotation number {position}: {_short(entry)}")
            continue
        if number in seen:
            found.add("annotation_id_doubled", f"{place(entry, images)}: not the first of that id")
        seen.add(number)
        if image not in images:
            found.add("orphan_image", f"annotation {number}: image_id {image}")
        elif category not in categories:
            found.add("orphan_category", f"{place(entry, images)}: category_id {category}")
        else:
            usable.append(entry)
    return usable


def joints_of_categories(
    raw: RawAnnotations, joints: Sequence[str] | None, skeleton: KeypointSet, found: Findings
) -> dict[int, tuple[str, ...]]:
    """The joint names of every category that has any; what is odd about categories is noted."""
    categories = []
    for position, entry in enumerate(raw.content["categories"]):
        if _number(entry) is not None and (joints or names_joints(entry)):
            categories.append(entry)
        else:
            found.add("category_fields", f"category number {position}: {_short(entry)}")
    named = {entry["id"]: tuple(joints or entry.get("keypoints") or ()) for entry in categories}
    counts = Counter(_number(entry, "category_id") for entry in raw.content["annotations"])
    with_joints = {category: names for category, names in named.items() if names}
    if not with_joints:
        found.add("joints_unnamed", f"{raw.file}: categories {[entry.get('name') for entry in categories]}")
    for entry in categories:
        label = f"category {entry['id']} {entry.get('name', '')!r}"
        if not counts[entry["id"]]:
            found.add("category_empty", label)
        names = named[entry["id"]]
        if with_joints and not names and counts[entry["id"]]:
            found.add("category_without_joints", f"{label}: {counts[entry['id']]} annotations are not read")
        if names and not set(names) & set(skeleton.joints):
            found.add("joints_foreign", f"{label}: {_short(list(names))}, not in {skeleton.name}")
    return with_joints


def names_joints(category: Entry) -> bool:
    """Whether the joints of a category are names, or there are none."""
    joints = category.get("keypoints") or []
    return isinstance(joints, list) and all(isinstance(joint, str) for joint in joints)


def place(annotation: Entry, images: Mapping[int, Entry]) -> str:
    """File and annotation, as examples name them."""
    image = images.get(annotation["image_id"])
    return f"{image['file_name'] if image else '?'}: annotation {annotation['id']}"


def _number(entry: Any, field: str = "id") -> int | None:
    return whole_number(entry.get(field)) if isinstance(entry, dict) else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
