"""Raw forms: the struct RELEASE of mpii_human_pose_v1_u12_1.mat as its README describes it, and mpii_train.json."""

import json

import numpy as np
import pytest
from drawn import check_poses, loaded, poses, write_image
from scipy.io import savemat

from rtmo.data.converters.mpii import read
from rtmo.errors import InputError

SCALE = 0.8
CENTRE = (150.0, 110.0)  # MPII's, pixels from 1


def structs(*items):
    """An array of MATLAB's structs, 1 x N; of none, an empty one as MATLAB writes []."""
    if not items:
        return np.empty((0, 0))
    array = np.empty((1, len(items)), dtype=[(field, object) for field in items[0]])
    for place, item in enumerate(items):
        for field, value in item.items():
            array[0, place][field] = value
    return array


def point(joint, x, y, flag):
    """A joint of the MATLAB file: flags are text, numbers, or missing, as for the head."""
    visible = {0: "", 1: "0", 2: np.empty((0, 0)) if joint in (8, 9) else 1.0 if joint % 2 else "1"}[flag]
    return {"x": x + 1, "y": y + 1, "id": float(joint), "is_visible": visible}


def rectangle(pose):
    joints = [
        point(joint, x, y, flag)
        for joint, ((x, y), flag) in enumerate(zip(pose.keypoints, pose.visibility, strict=True))
        if flag
    ]
    return {
        "x1": 5.0,
        "scale": SCALE,
        "objpos": structs({"x": CENTRE[0], "y": CENTRE[1]}),
        "annopoints": structs({"point": structs(*joints[::-1])}),  # in any order
    }


def image(name, *rectangles):
    return {"image": structs({"name": name}), "annorect": structs(*rectangles), "vididx": 1.0}


def write_matlab(file, images, is_training):
    released = structs({"annolist": structs(*images), "img_train": np.array([is_training], dtype=float)})
    savemat(file, {"RELEASE": released})


@pytest.fixture
def people():
    return poses(3, 16)


@pytest.fixture
def raw(tmp_path, people):
    for name in "abcd":
        write_image(tmp_path / "images" / f"{name}.jpg")
    unposed = {**rectangle(people[0]), "annopoints": np.empty((0, 0))}
    unplaced = {**rectangle(people[0]), "objpos": np.empty((0, 0)), "scale": np.empty((0, 0))}
    file = tmp_path / "mpii.mat"
    write_matlab(
        file,
        [
            image("c.jpg", rectangle(people[0]), rectangle(people[1]), unposed),
            image("b.jpg", rectangle(people[2])),
            image("a.jpg"),
            image("d.jpg", unplaced),
            image("d.jpg", unposed),
        ],
        [1, 1, 1, 1, 0],
    )
    return file


def test_there_and_back_from_matlab(tmp_path, raw, people):
    first, second = loaded(tmp_path, "mpii", "mpii16", raw, tmp_path / "images")
    check_poses(first, people[2:])
    check_poses(second.select(second.visibility.any(axis=1)), people[:2])
    assert second.num_people == 3  # one without joints


def test_a_box_is_the_square_around_the_centre(raw):
    side = 200 * SCALE
    expected = [CENTRE[0] - 1 - side / 2, CENTRE[1] - 1 + 15 * SCALE - side / 2, side, side]
    np.testing.assert_allclose([entry["bbox"] for entry in read(raw)["annotations"]], [expected] * 4)


def test_images_for_testing_and_people_without_a_place_are_left_out(raw):
    content = read(raw)
    assert [image["file_name"] for image in content["images"]] == ["b.jpg", "c.jpg"]
    assert content["categories"][0]["keypoints"][7:10] == ["neck", "upper_neck", "top_head"]


def test_there_and_back_from_json(tmp_path):
    people = poses(3, 16, flags=(0, 2))
    write_image(tmp_path / "images" / "a.jpg")
    entries = [
        {
            "image": "a.jpg",
            "center": list(CENTRE),
            "scale": SCALE,
            "joints": [[x + 1, y + 1] for x, y in pose.keypoints.tolist()],
            "joints_vis": [int(flag > 0) for flag in pose.visibility],
        }
        for pose in people
    ]
    file = tmp_path / "mpii_train.json"
    file.write_text(json.dumps(entries))
    (sample,) = loaded(tmp_path, "mpii", "mpii16", file, tmp_path / "images")
    check_poses(sample, people)


def test_what_cannot_be_used_is_named(tmp_path, raw):
    with pytest.raises(InputError, match=r"there is no file .*nowhere\.mat"):
        read(tmp_path / "nowhere.mat")
    raw.write_bytes(raw.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"mpii\.mat: not mpii_human_pose_v1_u12_1\.mat, or cut short"):
        read(raw)
    savemat(raw, {"other": 1})
    with pytest.raises(InputError, match=r"mpii\.mat: not mpii_human_pose_v1_u12_1\.mat"):
        read(raw)
