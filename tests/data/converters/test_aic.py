"""The raw form is that of keypoint_train_annotations_20170909.json, https://github.com/AIChallenger/AI_Challenger_2017."""

import json

import numpy as np
import pytest
from drawn import check_poses, loaded, poses, write_image

from rtmo.data.converters.aic import read
from rtmo.errors import InputError

AIC_FLAG = {2: 1, 1: 2, 0: 3}


def entry(image_id, people):
    """An image with the boxes x1, y1, x2, y2 of its people and x, y, flag of their joints, by name of the person."""
    boxes, joints = {}, {}
    for number, pose in enumerate(people, start=1):
        low, high = pose.keypoints.min(0), pose.keypoints.max(0)
        boxes[f"human{number}"] = [*low.tolist(), *high.tolist()]
        joints[f"human{number}"] = [
            value
            for (x, y), flag in zip(pose.keypoints.tolist(), pose.visibility.tolist(), strict=True)
            for value in ((x, y, AIC_FLAG[flag]) if flag else (0, 0, 3))
        ]
    return {"url": "", "image_id": image_id, "human_annotations": boxes, "keypoint_annotations": joints}


@pytest.fixture
def people():
    return poses(12, 14)  # human10 comes after human9, not after human1


@pytest.fixture
def raw(tmp_path, people):
    write_image(tmp_path / "images" / "b.jpg")
    write_image(tmp_path / "images" / "a.jpg")
    file = tmp_path / "raw.json"
    file.write_text(json.dumps([entry("b", people), entry("a", people[:1])]))
    return file


def test_there_and_back(tmp_path, raw, people):
    first, second = loaded(tmp_path, "aic", "aic14", raw, tmp_path / "images")
    check_poses(first, people)
    check_poses(second, people[:1])
    corners = [[*pose.keypoints.min(0), *pose.keypoints.max(0)] for pose in people]
    np.testing.assert_allclose(first.bboxes, corners, atol=1e-3)


def test_without_images_sizes_are_left_out(raw):
    assert read(raw)["images"] == [{"id": 1, "file_name": "b.jpg"}, {"id": 2, "file_name": "a.jpg"}]


def test_an_image_that_is_missing_or_damaged_is_named(tmp_path, raw):
    (tmp_path / "images" / "a.jpg").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a\.jpg: cannot be read as an image"):
        read(raw, image_dir=tmp_path / "images")
    (tmp_path / "images" / "a.jpg").unlink()
    with pytest.raises(InputError, match=r"a\.jpg: missing; correct image_dir"):
        read(raw, image_dir=tmp_path / "images")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entry: entry.pop("human_annotations"), "not a list of images each with human_annotations"),
        (lambda entry: entry["human_annotations"].pop("human3"), "image b, human3: no box"),
        (lambda entry: entry["keypoint_annotations"]["human2"].pop(), "image b, human2: keypoint_annotations must be"),
        (lambda entry: entry["keypoint_annotations"]["human2"].__setitem__(2, 0), "human2: keypoint_annotations must"),
    ],
)
def test_what_cannot_be_used_is_named(raw, change, message):
    content = json.loads(raw.read_text())
    change(content[0])
    raw.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read(raw)


def test_a_coco_file_is_recognised(tmp_path):
    file = tmp_path / "aic_train.json"
    file.write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(InputError, match="is COCO's format already"):
        read(file)
