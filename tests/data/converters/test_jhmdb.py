"""The raw form is that of joint_positions.zip and splits.zip, http://jhmdb.is.tue.mpg.de/dataset."""

import json

import numpy as np
import pytest
from drawn import check_poses, loaded, poses, write_image
from scipy.io import savemat

from rtmo.data.converters.jhmdb import read
from rtmo.errors import InputError

CLIPS = {"catch/ball_1": 2, "catch/ball_2": 1, "walk/park": 1}  # and their frames


def write_clip(folder, clip, frames):
    file = folder / "joint_positions" / clip / "joint_positions.mat"
    file.parent.mkdir(parents=True)
    places = np.stack([pose.keypoints.T + 1 for pose in frames], axis=-1)
    savemat(file, {"pos_img": places, "pos_world": 0 * places, "scale": np.ones((1, len(frames))), "viewpoint": "SE"})


@pytest.fixture
def people():
    return poses(4, 15, flags=(2,))


@pytest.fixture
def raw(tmp_path, people):
    folder, rest = tmp_path / "jhmdb", list(people)
    for clip, count in CLIPS.items():
        write_clip(folder, clip, [rest.pop(0) for _ in range(count)])
        for frame in range(1, count + 1):
            write_image(folder / "Rename_Images" / clip / f"{frame:05}.png")
    return folder


def test_there_and_back(tmp_path, raw, people):
    samples = loaded(tmp_path, "jhmdb", "jhmdb15", raw, raw)
    assert len(samples) == 4
    for sample, pose in zip(samples, people, strict=True):
        check_poses(sample, [pose])


def test_a_box_holds_the_joints_with_a_margin(raw, people):
    for entry, pose in zip(read(raw)["annotations"], people, strict=True):
        low, high = pose.keypoints.min(0), pose.keypoints.max(0)
        x, y, width, height = entry["bbox"]
        margin = max(high - low) / 10
        np.testing.assert_allclose([x, y], low - margin)
        np.testing.assert_allclose([x + width, y + height], high + margin)


def test_boxes_are_near_those_of_the_outlines(shared_dir, tmp_path):
    """Those of mmpose's conversion, which come from the outlines of the bodies, on its joints."""
    content = json.loads((shared_dir / "data" / "samples" / "jhmdb" / "test_jhmdb_sub1.json").read_text())
    for number, entry in enumerate(content["annotations"]):
        file = tmp_path / "joint_positions" / "a" / str(number) / "joint_positions.mat"
        file.parent.mkdir(parents=True)
        savemat(file, {"pos_img": np.reshape(entry["keypoints"], (15, 3))[:, :2].T})
    ours = np.array([entry["bbox"] for entry in read(tmp_path)["annotations"]])
    outlines = np.array([entry["bbox"] for entry in content["annotations"]]) - [1, 1, 0, 0]
    ours[:, 2:] += ours[:, :2]
    outlines[:, 2:] += outlines[:, :2]
    np.testing.assert_allclose(ours, outlines, atol=7)


def test_images_know_the_splits_they_are_in(raw):
    assert all("splits" not in image for image in read(raw)["images"])
    for file, lines in {
        "splits/catch_test_split1.txt": "ball_1.avi 1\nball_2.avi 2\n",
        "splits/catch_test_split2.txt": "ball_1.avi 2\nball_2.avi 1\n",
        "sub_splits/catch_test_split1.txt": "ball_1.avi 0\nball_2.avi 2\n",
    }.items():
        (raw / file).parent.mkdir(exist_ok=True)
        (raw / file).write_text(lines)
    assert [image["splits"] for image in read(raw)["images"]] == [
        ["1_train", "2_test"],
        ["1_train", "2_test"],
        ["1_test", "2_train", "sub1_test"],
        [],
    ]


def test_what_cannot_be_used_is_named(tmp_path, raw):
    with pytest.raises(InputError, match="nowhere: holds no joint_positions"):
        read(tmp_path / "nowhere")
    file = raw / "joint_positions/walk/park/joint_positions.mat"
    savemat(file, {"pos_img": np.zeros((2, 14, 3))})
    with pytest.raises(InputError, match=r"park/joint_positions\.mat: pos_img must be 2 x 15 x frames, got \(2, 14"):
        read(raw)
    content = bytearray(file.read_bytes())
    content[192] = 0  # the kind of its numbers, which scipy takes for an address
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"park/joint_positions\.mat: not a .* or damaged so that it cannot be read"):
        read(raw)
    file.write_bytes(content[:150])
    with pytest.raises(InputError, match=r"park/joint_positions\.mat: not a joint_positions\.mat of JHMDB"):
        read(raw)
