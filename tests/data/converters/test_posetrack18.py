"""The raw form is that of posetrack_data/annotations, https://github.com/leonid-pishchulin/poseval."""

import json

import numpy as np
import pytest
from drawn import check_poses, loaded, poses, write_image

from rtmo.data.converters.posetrack18 import read
from rtmo.errors import InputError

JOINTS = [
    *("nose", "head_bottom", "head_top", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"),
    *("right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle"),
    "right_ankle",
]
REGION = ([10, 60, 60, 10], [20, 20, 50, 50])  # x and y of an outline


def video(number, people, labeled=True):
    """A video of two frames, people in the first, and an ignore region there."""
    frames = [
        {
            "id": 100 * number + frame,
            "file_name": f"images/val/{number}/{frame:06}.jpg",
            "vid_id": str(number),
            "is_labeled": labeled and frame == 0,
            "ignore_regions_x": [REGION[0], [3]] if frame == 0 else [],
            "ignore_regions_y": [REGION[1], [3]] if frame == 0 else [],
        }
        for frame in (0, 1)
    ]
    persons = [
        {
            "id": 1000 * number + track,
            "image_id": 100 * number,
            "track_id": track,
            "category_id": 1,
            "bbox": [5.0, 6.0, 70.0, 80.0],
            "bbox_head": [5, 6, 7, 8],
            "keypoints": np.column_stack([pose.keypoints, pose.visibility]).ravel().tolist(),
            "scores": [],
        }
        for track, pose in enumerate(people)
    ]
    return {
        "images": frames,
        "annotations": persons,
        "categories": [{"id": 1, "name": "person", "keypoints": list(JOINTS)}],
    }


@pytest.fixture
def people():
    return poses(3, 17, flags=(0, 1))


@pytest.fixture
def raw(tmp_path, people):
    folder = tmp_path / "annotations" / "val"
    folder.mkdir(parents=True)
    for number, persons in ((1, people), (2, people[:1])):
        (folder / f"{number}.json").write_text(json.dumps(video(number, persons)))
        write_image(tmp_path / f"images/val/{number}/000000.jpg")
    return folder


def test_there_and_back(tmp_path, raw, people):
    first, second = loaded(tmp_path, "posetrack18", "posetrack18", raw, tmp_path)
    for sample, expected in ((first, people), (second, people[:1])):
        assert not sample.visibility[-1].any()  # the ignore region
        check_poses(sample.select(sample.visibility.any(axis=1)), expected)
    assert (first.image_id, second.image_id) == (100, 200)


def test_an_ignore_region_is_a_crowd(raw):
    *people, first, second = read(raw)["annotations"]
    assert [entry["track_id"] for entry in people] == [0, 1, 2, 0]
    assert (first["image_id"], second["image_id"]) == (100, 200)
    assert first["segmentation"] == [[10, 20, 60, 20, 60, 50, 10, 50]]
    assert first["bbox"] == [10, 20, 50, 30]
    assert (first["iscrowd"], first["num_keypoints"]) == (1, 0)
    ids = [entry["id"] for entry in (*people, first, second)]
    assert len(set(ids)) == len(ids)


def test_frames_that_nobody_labeled_are_left_out(raw):
    (raw / "2.json").write_text(json.dumps(video(2, [], labeled=False)))
    assert [image["id"] for image in read(raw)["images"]] == [100]


def test_a_person_without_a_box_gets_that_of_its_joints(raw, people):
    content = video(1, people)
    del content["annotations"][0]["bbox"]
    del content["annotations"][1]["bbox"], content["annotations"][1]["keypoints"]
    (raw / "1.json").write_text(json.dumps(content))
    joints, head, own = read(raw / "1.json")["annotations"][:3]
    labeled = people[0].keypoints[people[0].visibility > 0]
    size = np.ptp(labeled, axis=0)
    np.testing.assert_allclose(joints["bbox"], [*(labeled.min(0) - 0.15 * size), *(1.3 * size)])
    assert head["bbox"] == [5, 6, 7, 8]
    assert own["bbox"] == [5, 6, 70, 80]


def test_the_published_form_on_samples(shared_dir):
    """Videos against mmpose's conversion of the same videos."""
    folder = shared_dir / "data" / "samples" / "posetrack18" / "annotations"
    converted = json.loads((folder / "test_posetrack18_val.json").read_text())
    ours = read(folder / "val", image_dir=folder.parent)
    names = {image["id"]: image["file_name"] for image in converted["images"]}
    assert {image["id"]: image["file_name"] for image in ours["images"]} == names
    people = {entry["id"]: entry for entry in ours["annotations"] if not entry["iscrowd"]}
    assert people.keys() == {entry["id"] for entry in converted["annotations"]}
    for entry in converted["annotations"]:
        for field in ("image_id", "keypoints", "bbox", "track_id", "num_keypoints", "bbox_head"):
            assert people[entry["id"]][field] == entry[field], field
    regions = sum(len(image["ignore_regions_x"]) for image in converted["images"])
    assert len(ours["annotations"]) - len(people) == regions > 10


def test_boxes_of_posetrack_are_what_we_say_they_are(shared_dir):
    """15 % wider than the labeled joints, on every side."""
    file = shared_dir / "data" / "samples" / "posetrack18" / "annotations" / "test_posetrack18_val.json"
    for entry in json.loads(file.read_text())["annotations"]:
        joints = np.reshape(entry["keypoints"], (17, 3))
        joints = joints[joints[:, 2] > 0, :2]
        size = np.ptp(joints, axis=0)
        np.testing.assert_allclose(entry["bbox"], [*(joints.min(0) - 0.15 * size), *(1.3 * size)], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("images"), r"1\.json: not the annotations of a video of PoseTrack18"),
        (lambda content: content["categories"][0]["keypoints"].pop(), r"1\.json: expected one category with PoseTrack"),
        (lambda content: content["annotations"][0]["keypoints"].pop(), "annotation 1000: keypoints holds 50 numbers"),
        (lambda content: content.update(video(2, [])), "has an image or annotation id of another file"),
    ],
)
def test_what_cannot_be_used_is_named(raw, people, change, message):
    content = video(1, people)
    change(content)
    (raw / "1.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read(raw)


def test_a_folder_without_videos_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no \.json file in that folder"):
        read(tmp_path)
