"""Halpe Full-Body, 136 keypoints."""

from pathlib import Path
from typing import Any

from rtmo.data.coco_json import check_content, read_coco
from rtmo.data.converters.coco_content import image_entry, person_category, person_entry
from rtmo.errors import InputError
from rtmo.skeletons import HALPE136

_COPIED = ("area", "iscrowd")


def read(path: Path, *, image_dir: Path | None = None) -> dict[str, Any]:
    """Halpe's JSON, which is COCO's format with neither names nor limbs of its joints.

    Points that are not labeled keep no place here. What stands beside people, such as the objects of HICO-DET that they
    use, is left out.

    Raises:
        InputError: If the file has another form.

    Reference: https://github.com/Fang-Haoshu/Halpe-FullBody.
    """
    content = read_coco(path, path.parent).content
    check_content(path, content)
    people = [entry for entry in content["annotations"] if entry["category_id"] == 1]
    return {
        "images": [
            image | image_entry(image["id"], image["file_name"], None if "width" in image else image_dir)
            for image in content["images"]
        ],
        "annotations": [
            person_entry(
                entry["id"],
                entry["image_id"],
                entry["bbox"],
                _joints(entry, path),
                **{field: entry[field] for field in _COPIED if field in entry},
            )
            for entry in people
        ],
        "categories": [person_category(HALPE136)],
    }


def _joints(entry: dict[str, Any], path: Path) -> list[tuple[float, float, float]]:
    flat = entry.get("keypoints") or [0] * (3 * HALPE136.num_keypoints)
    if len(flat) != 3 * HALPE136.num_keypoints:
        raise InputError(
            f"{path}: annotation {entry['id']}: keypoints holds {len(flat)} numbers, not x, y and a flag for each of "
            f"Halpe's {HALPE136.num_keypoints} joints"
        )
    return list(zip(flat[0::3], flat[1::3], flat[2::3], strict=True))
