"""Known poses to write in a raw format, and what a converter has to make of them."""

import json
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from rtmo.data.coco_pose import CocoPose
from rtmo.data.converters import CONVERTERS
from rtmo.data.converters.coco_content import complete
from rtmo.data.raw_pose import RawPose
from rtmo.skeletons import KEYPOINT_SETS
from rtmo.types import Sample

HEIGHT, WIDTH = 240, 320


class Pose(NamedTuple):
    """Joints of a person of an image of HEIGHT x WIDTH, pixels from 0, with COCO's flags; places are quarter pixels."""

    keypoints: np.ndarray
    visibility: np.ndarray


def poses(count: int, joints: int, flags: tuple[int, ...] = (0, 1, 2), seed: int = 0) -> list[Pose]:
    """People with joints anywhere, of whom none is without one, and every flag occurs."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(count):
        visibility = rng.choice(flags, joints)
        visibility[: len(flags)] = flags
        places = np.round(4 * rng.uniform((20, 20), (WIDTH - 20, HEIGHT - 20), (joints, 2))) / 4
        drawn.append(Pose(places, visibility.astype(np.uint8)))
    return drawn


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))


def loaded(tmp_path: Path, name: str, skeleton: str, raw: Path, image_dir: Path) -> list[Sample]:
    """What CocoPose loads of the COCO file that is written of the raw one; the same as of the raw file itself."""
    content = complete(CONVERTERS[name](raw, image_dir=image_dir))
    assert all((image["width"], image["height"]) == (WIDTH, HEIGHT) for image in content["images"])
    assert all(entry["area"] > 0 for entry in content["annotations"])
    file = tmp_path / "converted.json"
    file.write_text(json.dumps(content))
    given = {"name": name, "image_dir": image_dir, "skeleton": KEYPOINT_SETS[skeleton], "drop_empty": False}
    source = CocoPose(annotation_file=file, **given)
    direct = RawPose(annotation_file=raw, annotation_format=name, **given)
    samples = [source.load(index) for index in range(len(source))]
    for index, sample in enumerate(samples):
        other = direct.load(index)
        for field in ("bboxes", "keypoints", "visibility", "area"):
            np.testing.assert_allclose(getattr(sample, field), getattr(other, field), rtol=1e-5, err_msg=field)
    return samples


def check_poses(sample: Sample, expected: list[Pose]) -> None:
    """Labeled joints are where they were drawn, and every flag is the one that was meant."""
    assert len(sample.keypoints) == len(expected)
    for keypoints, visibility, pose in zip(sample.keypoints, sample.visibility, expected, strict=True):
        np.testing.assert_array_equal(visibility, pose.visibility)
        labeled = pose.visibility > 0
        np.testing.assert_allclose(keypoints[labeled], pose.keypoints[labeled], atol=1e-3)
