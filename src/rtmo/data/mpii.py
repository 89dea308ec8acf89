"""MPII Human Pose in the JSON files that most projects pass around."""

from pathlib import Path
from typing import Any

from rtmo.data.coco_json import RawAnnotations, parse_json
from rtmo.data.coco_pose import CocoPose
from rtmo.errors import InputError

_FIELDS = frozenset({"image", "center", "scale", "joints", "joints_vis"})
_PIXELS_PER_SCALE = 200  # MPII gives the height of a person in units of 200 px
_CENTRE_DOWN = 15  # what the centre of a person is moved down by, px per scale, so that the box holds the feet


def read_mpii(annotation_file: str | Path, image_dir: str | Path, first_pixel: int = 0) -> RawAnnotations:
    """A list of people with ``image``, ``center``, ``scale``, ``joints`` and ``joints_vis``.

    MPII has no boxes: the one of a person is the square around ``center`` of 200 * ``scale`` px, as RTMO was trained.

    Raises:
        MissingDataError: If the file does not exist.
        InputError: If it is no such list.
    """
    file = Path(annotation_file)
    people = parse_json(file)
    if not isinstance(people, list) or not all(person.keys() >= _FIELDS for person in people):
        raise InputError(
            f"{file}: not a list of people each with {', '.join(sorted(_FIELDS))}, as mpii_train.json is; "
            "for a COCO keypoint file use rtmo.data.coco_pose.CocoPose"
        )
    names = sorted({person["image"] for person in people})
    ids = {name: number for number, name in enumerate(names)}
    content = {
        "images": [{"id": number, "file_name": name} for name, number in ids.items()],
        "annotations": [
            {"id": number, "image_id": ids[person["image"]], "category_id": 1, **_pose(person, first_pixel)}
            for number, person in enumerate(people)
        ],
        "categories": [{"id": 1, "name": "person"}],
    }
    return RawAnnotations(file, Path(image_dir), content)


def _pose(person: dict[str, Any], first_pixel: int) -> dict[str, Any]:
    """Box and keypoints of a person, pixels counted from 0."""
    side = person["scale"] * _PIXELS_PER_SCALE
    x, y = (value - first_pixel for value in person["center"])
    y += person["scale"] * _CENTRE_DOWN
    keypoints = [
        value
        for (joint_x, joint_y), flag in zip(person["joints"], person["joints_vis"], strict=True)
        for value in (joint_x - first_pixel, joint_y - first_pixel, 2 * flag)
    ]
    return {"bbox": [x - side / 2, y - side / 2, side, side], "keypoints": keypoints}


class MpiiPose(CocoPose):
    """MPII's JSON in place of a COCO file; the arguments are those of ``CocoPose``."""

    read = staticmethod(read_mpii)
