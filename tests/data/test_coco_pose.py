import copy
import json
import logging
import pickle

import cv2
import numpy as np
import pytest
from sources import SPOT

from rtmo.data.coco_pose import CocoPose
from rtmo.errors import InputError
from rtmo.skeletons import COCO17, KeypointSet

CONTENT = {
    "info": {"description": "for tests"},
    "images": [
        {"id": 11, "file_name": "a.png", "height": 40, "width": 60},
        {"id": 5, "file_name": "sub/b.png", "height": 40, "width": 60},
        {"id": 8, "file_name": "c.png", "height": 40, "width": 60},
    ],
    "annotations": [
        {"id": 1, "image_id": 11, "category_id": 1, "bbox": [10, 5, 70, 20], "area": 900.5, "iscrowd": 0,
         "num_keypoints": 2, "keypoints": [12, 6, 2, 30, 20, 1], "segmentation": [[10, 5, 20, 5, 20, 15]]},
        {"id": 2, "image_id": 5, "category_id": 1, "bbox": [0, 0, 10, 10], "keypoints": [1, 2, 2, 0, 0, 0]},
        {"id": 3, "image_id": 11, "category_id": 1, "bbox": [40, 20, 10, 10], "area": 50, "iscrowd": 0,
         "num_keypoints": 0, "keypoints": [0] * 6, "segmentation": [[40, 20, 50, 20, 50, 30, 40, 30]]},
    ],
    "categories": [{"id": 1, "name": "person", "keypoints": ["left_spot", "right_spot"]}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images" / "sub").mkdir(parents=True)
    for image in CONTENT["images"]:
        cv2.imwrite(str(tmp_path / "images" / image["file_name"]), np.zeros((40, 60, 3), dtype=np.uint8))
    return tmp_path


@pytest.fixture
def content():
    return copy.deepcopy(CONTENT)


def source(folder, content, **options):
    file = folder / "people.json"
    file.write_text(json.dumps(content))
    given = {"name": "test", "annotation_file": file, "image_dir": folder / "images", "skeleton": SPOT}
    return CocoPose(**{**given, **options})


def test_people_of_an_image(folder, content):
    sample = source(folder, content).load(0)
    assert sample.image_id == 11
    assert sample.image.shape == (40, 60, 3)
    np.testing.assert_array_equal(sample.bboxes, [[10, 5, 59, 25], [40, 20, 50, 30]])  # the first is clipped
    np.testing.assert_array_equal(sample.keypoints[0], [[12, 6], [30, 20]])
    np.testing.assert_array_equal(sample.visibility, [[2, 1], [0, 0]])  # flags as annotated, not 0 and 1
    np.testing.assert_array_equal(sample.area, [900.5, 50])
    assert sample.annotated.all()
    assert sample.ignore_mask is None


def test_a_missing_area_comes_from_the_box(folder, content):
    np.testing.assert_allclose(source(folder, content).load(1).area, [53])


def test_images_without_people_are_dropped_on_demand(folder, content):
    def ids(**options):
        chosen = source(folder, content, **options)
        return [chosen.load(index).image_id for index in range(len(chosen))]

    assert ids() == [11, 5]
    assert ids(drop_empty=False) == [11, 5, 8]
    assert ids(drop_empty=False, image_ids=[8, 11]) == [11, 8]
    assert ids(max_images=1) == [11]
    assert ids(min_area=100.0) == [11]  # the unlabeled person of 50 px^2 does not count
    assert ids(min_area=50.0) == [11, 5]


@pytest.mark.parametrize("options", [{"min_area": 1e6}, {"image_ids": [8]}])
def test_nothing_left_is_an_error(folder, content, options):
    with pytest.raises(InputError, match="no image remains"):
        source(folder, content, **options)


def test_unlabeled_people_and_crowds_are_ignored_regions(folder, content):
    mask = source(folder, content).load(0, with_ignore_mask=True).ignore_mask
    expected = np.zeros((40, 60), dtype=bool)
    expected[20:30, 40:50] = True
    np.testing.assert_array_equal(mask, expected)  # the labeled person is not in it
    crowd = {"id": 9, "image_id": 11, "category_id": 1, "bbox": [0, 0, 1, 40], "iscrowd": 1, "keypoints": [5, 5, 2] * 2,
             "segmentation": {"size": [40, 60], "counts": [0, 40, 2360]}}  # fmt: skip
    expected[:, 0] = True
    crowded = source(folder, {**content, "annotations": [*content["annotations"], crowd]}).load(0, True)
    np.testing.assert_array_equal(crowded.ignore_mask, expected)
    assert not crowded.visibility[2].any()  # nobody to learn from, whatever the annotation says


def test_the_box_stands_in_for_a_missing_outline(folder, content):
    del content["annotations"][2]["segmentation"]
    assert source(folder, content).load(0, with_ignore_mask=True).ignore_mask[20:30, 40:50].all()


def test_joints_are_mapped_by_name(folder, content):
    wanted = KeypointSet(
        name="wanted",
        joints=("tail", "right_spot", "left_spot"),
        flip_pairs=(("left_spot", "right_spot"),),
        limbs=(),
        oks_sigmas=(0.1, 0.1, 0.1),
    )
    mapped = source(folder, content, skeleton=wanted)
    sample = mapped.load(0)
    np.testing.assert_array_equal(sample.keypoints[0, 1:], [[30, 20], [12, 6]])
    np.testing.assert_array_equal(sample.visibility[0], [0, 1, 2])
    np.testing.assert_array_equal(sample.annotated, [[False, True, True]] * 2)
    truth = mapped.ground_truth()
    assert truth["annotations"][0]["keypoints"] == [0, 0, 0, 30, 20, 1, 12, 6, 2]
    assert truth["categories"][0]["keypoints"] == list(wanted.joints)


def test_joint_names_can_be_given(folder, content):
    del content["categories"][0]["keypoints"]
    with pytest.raises(InputError, match="joints="):
        source(folder, content)
    sample = source(folder, content, joints=["right_spot", "left_spot"]).load(0)
    np.testing.assert_array_equal(sample.keypoints[0], [[30, 20], [12, 6]])


def test_ground_truth_is_the_original(folder, content):
    truth = source(folder, content, max_images=1).ground_truth()
    assert truth["images"] == content["images"][:1]
    assert truth["annotations"] == [content["annotations"][0], content["annotations"][2]]
    assert truth["categories"] == content["categories"]
    assert truth["info"] == content["info"]


def test_ground_truth_fills_what_the_evaluation_needs(folder, content):
    entry = next(each for each in source(folder, content).ground_truth()["annotations"] if each["id"] == 2)
    assert (entry["iscrowd"], entry["num_keypoints"], entry["area"]) == (0, 1, pytest.approx(53))


def broken(**changes):
    return lambda content: content["annotations"][1].update(changes)


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (broken(keypoints=[1, 2, 2]), r"annotation 2: 'keypoints' holds 3 numbers .*2 joints; give 6 numbers"),
        (broken(keypoints=[1, 2, 3, 0, 0, 0]), "annotation 2: keypoints must be .*0, 1 or 2"),
        (broken(keypoints=[1, float("nan"), 2, 0, 0, 0]), "annotation 2: keypoints must be finite"),
        (broken(bbox=[0, 0, float("nan"), 4]), "annotation 2: bbox must be finite"),
        (broken(bbox=[0, 0, -3, 4]), "annotation 2: bbox must be .*>= 0"),
        (broken(bbox=[0, 0, 3]), "annotation 2: bbox must be .x, y, width, height"),
        (broken(area=-1), "annotation 2: area must be"),
        (broken(id=1), "two annotation entries have id 1"),
        (broken(image_id=99), "annotation 2: image_id 99"),
        (lambda content: content["annotations"][1].pop("bbox"), "annotation number 1 has no field 'bbox'"),
        (lambda content: content["images"][1].update(id=11), "two image entries have id 11"),
        (lambda content: content["images"][1].update(id="five"), "image number 1: id 'five' must be an integer"),
        (lambda content: content.pop("categories"), "no list 'categories'"),
        (lambda content: content["categories"][0].update(keypoints=["toe", "nail"]), "none of its joints"),
        (lambda content: content["categories"][0].update(keypoints=[["toe"]]), "category .*keypoints must be a list"),
        (lambda content: content["categories"][0].pop("id"), "category number 0 has no field 'id'"),
        (lambda content: content["categories"].append([]), "category number 1 must be an object with fields"),
        (lambda content: content["images"][1].update(id=True), "image number 1: id True must be an integer"),
        (lambda content: content["images"][1].update(id=2**63), "image number 1: id 9223372036854775808 must be"),
        (lambda content: content["images"][1].update(file_name="\ud800"), "file_name must be text, the name of a file"),
        (lambda content: content["images"][1].update(file_name="a\0b"), "file_name must be text, the name of a file"),
        (
            lambda content: content["images"][1].update(file_name="a" * 300),
            "file_name must be text, the name of a file",
        ),
        (lambda content: content["images"][1].update(width=10**9), r"x 1000000000 px .*limit of 178,956,970 pixels"),
        (lambda content: content["images"][1].update(width=10**9, height=0), "above the limit"),
        (lambda content: content["images"][1].update(width="640"), "width must be a whole number"),
        (broken(bbox=[0, 0, 1e300, 1e300], area=None), "annotation 2: bbox must be finite and within 100,000 px"),
        (broken(bbox=[0, 0, 1e9, 4]), "annotation 2: bbox must be finite and within 100,000 px"),
        (broken(keypoints=[1e308, 1, 2, 0, 0, 0]), "annotation 2: keypoints must be finite and within 100,000 px"),
        (broken(keypoints=[[1], 1, 2, 0, 0, 0]), "annotation 2: keypoints must be numbers"),
        (broken(keypoints=["1", 1, 2, 0, 0, 0]), "annotation 2: keypoints must be numbers"),
        (broken(area=10**400), "annotation 2: area must be numbers"),
        (broken(area=1e300), r"annotation 2: area must be finite, >= 0 and at most 10,000,000,000 px\^2"),
        (lambda content: [each.pop("keypoints") for each in content["annotations"]], "person_keypoints"),
    ],
)
def test_what_cannot_be_used_is_named(folder, content, breaks, message):
    breaks(content)
    with pytest.raises(InputError, match=message) as raised:
        source(folder, content)
    assert "people.json" in str(raised.value)


def test_sixteen_keypoints_instead_of_seventeen(folder, content):
    content["categories"][0]["keypoints"] = list(COCO17.joints)
    for annotation in content["annotations"]:
        annotation["keypoints"] = [1, 1, 2] * 17
    content["annotations"][2]["keypoints"] = [1, 1, 2] * 16
    with pytest.raises(InputError, match=r"annotation 3: 'keypoints' holds 48 numbers \(16 keypoints.*lists 17 joints"):
        source(folder, content, skeleton=COCO17)


def test_missing_data_says_how_to_get_it(folder, content):
    with pytest.raises(FileNotFoundError, match=r"annotation_file.*nowhere\.json.*rtmo\.data get coco.*data=synthetic"):
        source(folder, content, annotation_file=folder / "nowhere.json")
    with pytest.raises(FileNotFoundError, match=r"image_dir.*rtmo\.data get coco.*paths\.data_dir.*data=synthetic"):
        source(folder, content, image_dir=folder / "nowhere")
    (folder / "images" / "sub" / "b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.png: missing"):
        source(folder, content)
    assert len(source(folder, content, image_ids=[11])) == 1  # only what is asked for has to be there


def test_a_truncated_annotation_file(folder, content):
    file = folder / "cut.json"
    file.write_text(json.dumps(content)[:-50])
    with pytest.raises(InputError, match=r"cut\.json: not valid JSON"):
        source(folder, content, annotation_file=file)


def test_a_truncated_image_is_found_before_training(folder, content):
    content["images"][0]["file_name"] = "a.jpg"
    file = folder / "images" / "a.jpg"
    cv2.imwrite(str(file), np.zeros((40, 60, 3), dtype=np.uint8))
    whole = source(folder, content)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"a\.jpg: .*cut short"):
        source(folder, content)
    with pytest.raises(InputError, match=r"a\.jpg: .*cut short"):
        whole.load(0)


def test_annotations_of_no_category_are_counted(folder, content, caplog):
    content["annotations"][2]["category_id"] = 7
    with caplog.at_level(logging.WARNING):
        assert source(folder, content).load(0).num_people == 1
    assert "people.json: 1 annotations of categories that it does not list, left out" in caplog.text


def test_a_folder_is_no_image(folder, content):
    content["images"][1]["file_name"] = "sub"
    with pytest.raises(InputError, match="sub: a folder, where an image is expected"):
        source(folder, content)


def test_an_image_of_another_size_than_annotated(folder, content):
    content["images"][0].update(height=60, width=40)
    with pytest.raises(InputError, match=r"a\.png: 40 x 60 px.*60 x 40"):
        source(folder, content).load(0)
    del content["images"][0]["height"]
    source(folder, content).load(0)


def test_a_source_travels_to_spawned_workers(folder, content):
    original = source(folder, content)
    copied = pickle.loads(pickle.dumps(original))
    np.testing.assert_array_equal(copied.load(0).bboxes, original.load(0).bboxes)


@pytest.mark.parametrize(("split", "images", "labeled"), [("train", 66, 174), ("val", 60, 103)])
def test_real_photographs(shared_dir, split, images, labeled):
    coco = shared_dir / "data" / "coco"
    file = coco / "annotations" / f"person_keypoints_{split}2017.json"
    real = CocoPose(
        name="coco",
        annotation_file=file,
        image_dir=coco / f"{split}2017",
        skeleton=COCO17,
        drop_empty=split == "train",
    )
    assert len(real) == images
    truth, original = real.ground_truth(), json.loads(file.read_text())
    assert truth["annotations"] == original["annotations"]
    assert sum(entry["num_keypoints"] > 0 for entry in truth["annotations"]) == labeled
    crowded = {entry["image_id"] for entry in original["annotations"] if entry["iscrowd"]}
    seen = {sample.image_id: sample for sample in (real.load(index, True) for index in range(len(real)))}
    assert crowded
    assert all(seen[image_id].ignore_mask.any() for image_id in crowded)
