"""JHMDB, joints of one person in clips of HMDB, a MATLAB file for each clip."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from rtmo.data.converters.coco_content import box_around, image_entry, person_category, person_entry
from rtmo.data.converters.matlab import read_variable
from rtmo.errors import InputError
from rtmo.skeletons import JHMDB15

_FIRST_PIXEL = 1  # made with MATLAB
_MARGIN = 0.1  # of the longer side of the joints' box: within 7 px of the boxes of the bodies' outlines
_PARTS = {"1": "train", "2": "test"}  # lists flag a clip 0 that they leave out
_LISTS = {"splits": "", "sub_splits": "sub"}  # folders of lists: all clips, and those that show the whole body


def read(path: Path, *, image_dir: Path | None = None) -> dict[str, Any]:
    """The folder that holds ``joint_positions/<action>/<clip>/joint_positions.mat``, and beside it the lists of splits.

    Images are called ``Rename_Images/<action>/<clip>/00001.png`` and so on. Where there are ``splits/`` or
    ``sub_splits/``, their ``splits`` tells the parts they are in: 1_train to 3_test, sub1_train to sub3_test. The
    format does not say whether a joint is seen: all are flagged 2. It has no boxes either: ours are those of the
    joints, wider by a tenth of the longer side; the conversions of mmpose took them from the outlines (puppet masks).

    Raises:
        InputError: If there is no such file, or one has another form.

    Reference: http://jhmdb.is.tue.mpg.de (README_joint_positions.txt).
    """
    files = sorted(path.glob("joint_positions/*/*/joint_positions.mat"))
    if not files:
        raise InputError(f"{path}: holds no joint_positions/<action>/<clip>/joint_positions.mat; unpack it there")
    parts = _parts_by_clip(path)
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for file in files:
        action, clip = file.parts[-3:-1]
        for frame, joints in enumerate(_joints(file), start=1):
            number = len(images) + 1
            name = f"Rename_Images/{action}/{clip}/{frame:05}.png"
            images.append(image_entry(number, name, image_dir, **({"splits": parts[clip]} if parts else {})))
            bbox = box_around(joints.tolist(), _MARGIN, of_longer_side=True)
            people.append(person_entry(number, number, bbox, [(x, y, 2) for x, y in joints], track_id=0))
    return {"images": images, "annotations": people, "categories": [person_category(JHMDB15)]}


def _joints(file: Path) -> Float64[np.ndarray, "F K 2"]:
    """Joints of every frame, pixels from 0."""
    places = np.asarray(read_variable(file, "pos_img", "a joint_positions.mat of JHMDB"), dtype=np.float64)
    places = places[..., None] if places.ndim == 2 else places  # one frame
    if places.ndim != 3 or places.shape[:2] != (2, JHMDB15.num_keypoints):
        raise InputError(f"{file}: pos_img must be 2 x {JHMDB15.num_keypoints} x frames, got {places.shape}")
    return places.transpose(2, 1, 0) - _FIRST_PIXEL


def _parts_by_clip(path: Path) -> dict[str, list[str]]:
    """Of each clip, the parts that the lists put it into. A line of a list is ``<clip>.avi 1``."""
    parts: dict[str, list[str]] = defaultdict(list)
    for folder, prefix in _LISTS.items():
        for file in sorted((path / folder).glob("*_test_split[123].txt")):
            for line in file.read_text(encoding="utf-8").splitlines():
                clip, _, flag = line.strip().rpartition(" ")
                if flag in _PARTS:
                    parts[clip.removesuffix(".avi")].append(f"{prefix}{file.stem[-1]}_{_PARTS[flag]}")
    return parts
