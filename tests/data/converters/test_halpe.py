"""The raw form is that of halpe_train_v1.json, https://github.com/Fang-Haoshu/Halpe-FullBody."""

import json

import numpy as np
import pytest
from drawn import HEIGHT, WIDTH, check_poses, loaded, poses, write_image

from rtmo.data.converters.halpe import read
from rtmo.errors import InputError


def person(number, pose):
    flat = np.column_stack([pose.keypoints, pose.visibility]).ravel().tolist()
    low, size = pose.keypoints.min(0), np.ptp(pose.keypoints, axis=0)
    box = [*low.tolist(), *size.tolist()]
    return {"id": number, "image_id": 7, "category_id": 1, "bbox": box, "keypoints": flat, "area": 500.5, "iscrowd": 0}


@pytest.fixture
def people():
    return poses(3, 136)


@pytest.fixture
def raw(tmp_path, people):
    write_image(tmp_path / "images" / "a.jpg")
    bicycle = {"id": 99, "image_id": 7, "category_id": 2, "bbox": [0, 0, 9, 9]}
    content = {
        "images": [{"id": 7, "file_name": "a.jpg", "height": HEIGHT, "width": WIDTH}],
        "annotations": [*(person(number, pose) for number, pose in enumerate(people)), bicycle],
        "categories": [{"id": 1, "name": "person", "keypoints": [], "skeleton": []}],
    }
    file = tmp_path / "halpe_train_v1.json"
    file.write_text(json.dumps(content))
    return file


def test_there_and_back(tmp_path, raw, people):
    (sample,) = loaded(tmp_path, "halpe", "halpe136", raw, tmp_path / "images")
    check_poses(sample, people)
    np.testing.assert_allclose(sample.area, [500.5] * 3)


def test_people_alone_are_kept_and_sizes_are_read_where_they_lack(tmp_path, raw):
    content = json.loads(raw.read_text())
    del content["images"][0]["width"]
    raw.write_text(json.dumps(content))
    converted = read(raw, image_dir=tmp_path / "images")
    assert converted["images"][0]["width"] == WIDTH
    assert [entry["id"] for entry in converted["annotations"]] == [0, 1, 2]


def test_the_published_form_on_a_sample(shared_dir):
    file = shared_dir / "data" / "samples" / "halpe" / "test_halpe.json"
    given = json.loads(file.read_text())["annotations"]
    for ours, entry in zip(read(file)["annotations"], given, strict=True):
        labeled = np.reshape(entry["keypoints"], (136, 3))
        labeled[labeled[:, 2] == 0] = 0
        np.testing.assert_array_equal(np.reshape(ours["keypoints"], (136, 3)), labeled)
        assert ours["bbox"] == entry["bbox"]


def test_another_number_of_joints_is_named(raw):
    content = json.loads(raw.read_text())
    content["annotations"][1]["keypoints"] = [0] * 51
    raw.write_text(json.dumps(content))
    with pytest.raises(InputError, match="annotation 1: keypoints holds 51 numbers"):
        read(raw)
