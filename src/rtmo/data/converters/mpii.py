"""MPII Human Pose, as published for MATLAB and in the JSON files that most projects pass around."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rtmo.data.coco_json import read_json
from rtmo.data.converters.coco_content import image_entry, person_category, person_entry
from rtmo.data.converters.matlab import read_variable, structs
from rtmo.errors import InputError
from rtmo.skeletons import MPII16

_FIELDS = frozenset({"image", "center", "scale", "joints", "joints_vis"})
_FIRST_PIXEL = 1  # both count pixels from 1
_PIXELS_PER_SCALE = 200  # MPII gives the height of a person in units of 200 px
_CENTRE_DOWN = 15  # what the centre of a person is moved down by, px per scale, so that the box holds the feet
_UNLABELED = (0.0, 0.0, 0)


class _Person(NamedTuple):
    """A person as MPII has it: pixels from 1, joints (x, y, COCO's flag) in the order of MPII."""

    image: str
    centre: Sequence[float]
    scale: float
    joints: Sequence[tuple[float, float, int]]


def read(path: Path, *, image_dir: Path | None = None) -> dict[str, Any]:
    """``mpii_human_pose_v1_u12_1.mat``, or a JSON list of people: mpii_train.json, mpii_val.json, mpii_trainval.json.

    MPII has no boxes: the one of a person is the square around its centre of 200 * ``scale`` px, as RTMO was trained.
    Of the .mat the training images are read, as the poses of the others are not published; whom it gives a place but
    no pose is a person without keypoints. A hidden joint is flagged 1 there; one without a flag, as of the head,
    is taken for visible. JSON files do not tell the two apart. Images are numbered in the order of their names.

    Raises:
        InputError: If the file has another form.

    Reference: http://human-pose.mpi-inf.mpg.de (README of mpii_human_pose_v1_u12_2.zip); the JSON is that of
    https://github.com/leoxiaobin/deep-high-resolution-net.pytorch.
    """
    people = list(_from_matlab(path) if path.suffix == ".mat" else _from_json(path))
    ids = {name: number for number, name in enumerate(sorted({person.image for person in people}))}
    return {
        "images": [image_entry(number, name, image_dir) for name, number in ids.items()],
        "annotations": [
            person_entry(number, ids[person.image], _square(person), _from_zero(person.joints))
            for number, person in enumerate(people)
        ],
        "categories": [person_category(MPII16)],
    }


def _square(person: _Person) -> tuple[float, float, float, float]:
    side = person.scale * _PIXELS_PER_SCALE
    x, y = (value - _FIRST_PIXEL for value in person.centre)
    y += person.scale * _CENTRE_DOWN
    return x - side / 2, y - side / 2, side, side


def _from_zero(joints: Sequence[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    return [(x - _FIRST_PIXEL, y - _FIRST_PIXEL, flag) for x, y, flag in joints]


def _from_json(path: Path) -> Iterator[_Person]:
    people = read_json(path)
    if not isinstance(people, list) or not all(person.keys() >= _FIELDS for person in people):
        raise InputError(
            f"{path}: not a list of people each with {', '.join(sorted(_FIELDS))}, as mpii_train.json is; "
            "a COCO keypoint file needs no conversion"
        )
    for person in people:
        joints = [(x, y, 2 * flag) for (x, y), flag in zip(person["joints"], person["joints_vis"], strict=True)]
        yield _Person(person["image"], person["center"], person["scale"], joints)


def _from_matlab(path: Path) -> Iterator[_Person]:
    """People with a place, of the training images."""
    release = read_variable(path, "RELEASE", "mpii_human_pose_v1_u12_1.mat")
    images, is_training = np.atleast_1d(release.annolist), np.atleast_1d(release.img_train)
    for image in images[is_training == 1]:
        for person in structs(image, "annorect"):
            if structs(person, "objpos"):
                centre = (float(person.objpos.x), float(person.objpos.y))
                yield _Person(image.image.name, centre, float(person.scale), _labeled(person))


def _labeled(person: Any) -> list[tuple[float, float, int]]:
    joints = [_UNLABELED] * MPII16.num_keypoints
    for poses in structs(person, "annopoints"):
        for point in structs(poses, "point"):
            hidden = str(getattr(point, "is_visible", "")) == "0"
            joints[int(point.id)] = (float(point.x), float(point.y), 1 if hidden else 2)
    return joints
