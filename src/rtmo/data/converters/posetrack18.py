"""PoseTrack 2018, a JSON file for each video."""

from pathlib import Path
from typing import Any

from rtmo.data.coco_json import read_json
from rtmo.data.converters.coco_content import box_around, image_entry, person_category, person_entry
from rtmo.errors import InputError
from rtmo.skeletons import POSETRACK18

_JOINTS = ("nose", "head_bottom", "head_top", *POSETRACK18.joints[3:])  # ours in the words of PoseTrack
_MARGIN = 0.15  # of PoseTrack's own boxes around the labeled joints
_COPIED_OF_IMAGES = ("width", "height", "vid_id", "frame_id", "nframes")
_COPIED_OF_PEOPLE = ("track_id", "bbox_head", "area", "iscrowd")


def read(path: Path, *, image_dir: Path | None = None) -> dict[str, Any]:
    """One video's JSON, or a folder of them (annotations/train or annotations/val): ids, tracks and places are kept.

    Frames that nobody has labeled are left out, as their people would pass for background. An ignore region becomes
    a crowd annotation with its outline. ``head_bottom`` and ``head_top`` are called neck and top_head, as CrowdPose
    does. The format flags a labeled joint 1 and does not say whether it is hidden; that is kept. A person without
    a box gets the one that PoseTrack gives the others, that of its joints, 15 % wider on every side; without joints
    that of its head.

    Raises:
        InputError: If there is no such file, one has another form, or two videos have an id in common.

    Reference: https://posetrack.net, https://github.com/leonid-pishchulin/poseval (README, annotation format).
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: no .json file in that folder; give the one that holds a JSON file for each video")
    images: dict[int, dict[str, Any]] = {}
    people: dict[int, dict[str, Any]] = {}
    regions = []
    for file in files:
        content = _content(file)
        labeled = {image["id"]: image for image in content["images"] if image.get("is_labeled", True)}
        persons = {entry["id"]: entry for entry in content["annotations"] if entry["image_id"] in labeled}
        if labeled.keys() & images.keys() or persons.keys() & people.keys():
            raise InputError(f"{file}: has an image or annotation id of another file in {path}; each video comes once")
        for number, image in labeled.items():
            fields = {field: image[field] for field in _COPIED_OF_IMAGES if field in image}
            images[number] = image_entry(number, image["file_name"], None if "width" in image else image_dir, **fields)
            regions += [(number, outline) for outline in _ignored(image)]
        people |= {number: _person(entry, file) for number, entry in persons.items()}
    first = max(people, default=0) + 1
    crowds = [_crowd(first + place, number, outline) for place, (number, outline) in enumerate(regions)]
    return {
        "images": list(images.values()),
        "annotations": [*people.values(), *crowds],
        "categories": [person_category(POSETRACK18)],
    }


def _content(file: Path) -> dict[str, Any]:
    content = read_json(file)
    fields = content if isinstance(content, dict) else {}
    if not {"images", "annotations", "categories"} <= fields.keys():
        raise InputError(f"{file}: not the annotations of a video of PoseTrack18: images, annotations, categories")
    names = [tuple(category.get("keypoints", ())) for category in fields["categories"]]
    if names != [_JOINTS]:
        raise InputError(f"{file}: expected one category with PoseTrack18's joints {list(_JOINTS)}, got {names}")
    return fields


def _ignored(image: dict[str, Any]) -> list[list[float]]:
    """Outlines as COCO writes them, x, y, x, y ...; PoseTrack has a list of x and one of y for each."""
    outlines = zip(image.get("ignore_regions_x", []), image.get("ignore_regions_y", []), strict=True)
    return [[value for point in zip(xs, ys, strict=True) for value in point] for xs, ys in outlines if len(xs) > 2]


def _person(entry: dict[str, Any], file: Path) -> dict[str, Any]:
    flat = entry.get("keypoints") or [0] * (3 * len(_JOINTS))
    if len(flat) != 3 * len(_JOINTS):
        raise InputError(f"{file}: annotation {entry['id']}: keypoints holds {len(flat)} numbers, not 3 for each joint")
    joints = list(zip(flat[0::3], flat[1::3], flat[2::3], strict=True))
    labeled = [(x, y) for x, y, flag in joints if flag]
    bbox = entry.get("bbox") or (box_around(labeled, _MARGIN) if labeled else entry.get("bbox_head"))
    if not bbox:
        raise InputError(f"{file}: annotation {entry['id']}: neither a box nor a labeled joint; remove it")
    fields = {field: entry[field] for field in _COPIED_OF_PEOPLE if field in entry}
    return person_entry(entry["id"], entry["image_id"], bbox, joints, **fields)


def _crowd(number: int, image_id: int, outline: list[float]) -> dict[str, Any]:
    bbox = box_around(list(zip(outline[0::2], outline[1::2], strict=True)), 0)
    nobody = [(0, 0, 0)] * len(_JOINTS)
    return person_entry(number, image_id, bbox, nobody, iscrowd=1, segmentation=[outline])
