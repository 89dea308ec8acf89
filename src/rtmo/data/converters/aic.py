"""AI Challenger 2017, human skeletal keypoints."""

from pathlib import Path
from typing import Any

from rtmo.data.coco_json import read_json
from rtmo.data.converters.coco_content import image_entry, person_category, person_entry
from rtmo.errors import InputError
from rtmo.skeletons import AIC14

_FIELDS = frozenset({"image_id", "human_annotations", "keypoint_annotations"})
_COCO_FLAG = {1: 2, 2: 1, 3: 0}  # visible, hidden, not in the image


def read(path: Path, *, image_dir: Path | None = None) -> dict[str, Any]:
    """AI Challenger's JSON: a list of images with boxes and keypoints by the name of the person.

    A box is given by its corners, pixels count from 0. Images are numbered in the order of the file; ``image_id`` is
    the name of the file, a JPEG.

    Raises:
        InputError: If the file has another form, or a person no box.

    Reference: https://github.com/AIChallenger/AI_Challenger_2017, and Wu et al., arXiv:1711.06475.
    """
    entries = read_json(path)
    if not isinstance(entries, list) or not all(entry.keys() >= _FIELDS for entry in entries):
        raise InputError(
            f"{path}: not a list of images each with {', '.join(sorted(_FIELDS))}, as "
            "keypoint_train_annotations_20170909.json is; aic_train.json of mmpose is COCO's format already"
        )
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for number, entry in enumerate(entries, start=1):
        images.append(image_entry(number, f"{entry['image_id']}.jpg", image_dir))
        for name, flat in entry["keypoint_annotations"].items():
            where = f"{path}: image {entry['image_id']}, {name}"
            left, top, right, bottom = _box(entry["human_annotations"], name, where)
            bbox = (left, top, right - left, bottom - top)
            people.append(person_entry(len(people) + 1, number, bbox, _joints(flat, where)))
    return {"images": images, "annotations": people, "categories": [person_category(AIC14)]}


def _box(boxes: dict[str, list[float]], name: str, where: str) -> list[float]:
    if len(boxes.get(name, ())) != 4:
        raise InputError(f"{where}: no box of four numbers in human_annotations; add it, or remove the person")
    return boxes[name]


def _joints(flat: list[float], where: str) -> list[tuple[float, float, int]]:
    if len(flat) != 3 * AIC14.num_keypoints or not set(flat[2::3]) <= _COCO_FLAG.keys():
        raise InputError(
            f"{where}: keypoint_annotations must be x, y and 1, 2 or 3 for each of {AIC14.num_keypoints} joints, "
            f"got {flat}"
        )
    return [(x, y, _COCO_FLAG[int(flag)]) for x, y, flag in zip(flat[0::3], flat[1::3], flat[2::3], strict=True)]
