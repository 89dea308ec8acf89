"""Every kind of fault is planted, found, named with its place, and gone from the repaired copy."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from small_coco import HEIGHT, NUM_JOINTS, WIDTH, content, standing, write

from rtmo.data.coco_json import RawAnnotations, read_coco
from rtmo.data.coco_pose import CocoPose
from rtmo.data.doctor.examine import DataSet, examine, held_out_images
from rtmo.data.doctor.findings import RULES, Finding
from rtmo.data.doctor.images import Depth, open_images, turned_image, wanted_images
from rtmo.data.doctor.people import usable_outline
from rtmo.data.doctor.repair import repaired, write_copy
from rtmo.skeletons import COCO17, CROWDPOSE14, KeypointSet

Plant = Callable[[dict[str, Any], Path], object]


def opened(
    folder: Path, described: dict[str, Any], depth: Depth = "decode", joints=None, name="people.json"
) -> DataSet:
    raw = read_coco(write(folder, described, name), folder / "images")
    return DataSet(raw, COCO17, joints, open_images(raw, wanted_images(raw.content), depth, lambda: None))


def kinds(found: list[Finding], severity: str | None = None) -> dict[str, int]:
    return {finding.kind: finding.count for finding in found if severity in (None, finding.rule.severity)}


def of(kind: str, found: list[Finding]) -> Finding:
    return next(finding for finding in found if finding.kind == kind)


def person(described: dict[str, Any], row: int = 2) -> dict[str, Any]:
    """An annotation of 001.jpg."""
    return described["annotations"][row]


def with_joint(described: dict[str, Any], joint: int, *values: Any) -> None:
    person(described)["keypoints"][3 * joint : 3 * joint + len(values)] = values


def cut_short(folder: Path) -> None:
    path = folder / "images" / "001.jpg"
    path.write_bytes(path.read_bytes()[:-40])


def small_box(described: dict[str, Any]) -> None:
    x, y, width, _ = person(described)["bbox"]
    person(described)["bbox"] = [x, y, width, 8.0]


# kind -> what plants it, and what the example says
PLANTED: dict[str, tuple[Plant, str]] = {
    "joints_unnamed": (lambda c, _: c["categories"][0].pop("keypoints"), "people.json: categories ['person']"),
    "joints_foreign": (
        lambda c, _: c["categories"][0].update(keypoints=[f"joint {i}" for i in range(NUM_JOINTS)]),
        "not in coco17",
    ),
    "category_without_joints": (
        lambda c, _: (c["categories"].append({"id": 2, "name": "dog"}), person(c).update(category_id=2)),
        "category 2 'dog': 1 annotations are not read",
    ),
    "category_empty": (
        lambda c, _: c["categories"].append({"id": 2, "name": "rider", "keypoints": ["nose"]}),
        "category 2 'rider'",
    ),
    "category_fields": (
        lambda c, _: c["categories"].append({"id": "2", "keypoints": ["nose"]}),
        "category number 1: {'id': '2'",
    ),
    "image_fields": (lambda c, _: c["images"].append({"id": 9}), "image number 4: {'id': 9}"),
    "image_id_doubled": (lambda c, _: c["images"][2].update(id=1), "id 1: 001.jpg and 002.jpg"),
    "file_name_doubled": (lambda c, _: c["images"][2].update(file_name="001.jpg"), "001.jpg: again with id 2"),
    "annotation_fields": (lambda c, _: person(c).update(image_id=None), "annotation number 2: {'id': 3"),
    "annotation_id_doubled": (lambda c, _: person(c).update(id=1), "001.jpg: annotation 1"),
    "orphan_image": (lambda c, _: person(c).update(image_id=77), "annotation 3: image_id 77"),
    "orphan_category": (lambda c, _: person(c).update(category_id=5), "001.jpg: annotation 3: category_id 5"),
    "image_missing": (lambda _, folder: (folder / "images/001.jpg").unlink(), "001.jpg"),
    "image_unreadable": (lambda _, folder: (folder / "images/001.jpg").write_bytes(b"no image"), "001.jpg"),
    "image_truncated": (lambda _, folder: cut_short(folder), "001.jpg"),
    "image_size": (
        lambda c, _: c["images"][1].update(width=HEIGHT, height=WIDTH),
        f"001.jpg: {HEIGHT} x {WIDTH} px, entry says {WIDTH} x {HEIGHT} (height x width, turned by EXIF?)",
    ),
    "content_doubled": (
        lambda _, folder: (folder / "images/002.jpg").write_bytes((folder / "images/001.jpg").read_bytes()),
        "001.jpg = 002.jpg",
    ),
    "malformed": (lambda c, _: person(c).update(bbox=[1, 2, 3]), "001.jpg: annotation 3: bbox [1, 2, 3]"),
    "keypoint_count": (
        lambda c, _: person(c).update(keypoints=[1, 2, 2] * 5),
        "001.jpg: annotation 3: 15 numbers for 17 joints",
    ),
    "not_finite": (lambda c, _: with_joint(c, 0, math.nan), "001.jpg: annotation 3: nose at [nan, 13]"),
    "visibility_flag": (lambda c, _: with_joint(c, 5, 20, 20, 3), "001.jpg: annotation 3: visibility 3"),
    "box_negative": (lambda c, _: person(c).update(bbox=[20, 20, -5, 9]), "bbox [20, 20, -5, 9]"),
    "box_outside": (lambda c, _: person(c).update(bbox=[500, 20, 5, 9]), "image [96, 64] (width, height)"),
    "segmentation": (
        lambda c, _: person(c).update(iscrowd=1, segmentation={"size": [5, 5], "counts": [25]}),
        "001.jpg: annotation 3: [5, 5], image [64, 96]",
    ),
    "area_negative": (lambda c, _: person(c).update(area=-1.0), "001.jpg: annotation 3: area -1"),
    "box_empty": (lambda c, _: person(c).update(bbox=[20, 20, 0, 9]), "bbox [20, 20, 0, 9]"),
    "box_beyond": (lambda c, _: person(c).update(bbox=[-20, 10, 44, 40]), "bbox [-20, 10, 44, 40]"),
    "joints_outside": (lambda c, _: with_joint(c, 9, 300, 20, 2), "left_wrist at [300, 20], bbox"),
    "joints_outside_box": (lambda c, _: small_box(c), "left_elbow at [21, 24] and 9 more, bbox [4, 10, 20, 8]"),
    "area_missing": (lambda c, _: person(c).pop("area"), "001.jpg: annotation 3: area None"),
    "num_keypoints": (lambda c, _: person(c).update(num_keypoints=3), "says 3, 17 are labeled"),
    "images_without_people": (lambda c, _: c["annotations"].__delitem__(slice(0, 2)), "000.jpg"),
}  # fmt: skip
# Found in other tests: what cannot be read, what lies in val as well, left and right, what nobody has.
ELSEWHERE = {"areas_absent", "annotation_file", "image_in_val", "sides_reversed", "sides_mixed"}


def test_all_kinds_are_planted():
    assert PLANTED.keys() | ELSEWHERE == RULES.keys()


def test_a_set_without_any_area_is_of_a_format_that_has_none(tmp_path):
    described = content()
    for entry in described["annotations"]:
        del entry["area"]
    (finding,) = examine(opened(tmp_path, described))
    assert (finding.kind, finding.rule.severity, finding.count) == ("areas_absent", "info", 8)


def test_nothing_is_found_where_nothing_is_wrong(tmp_path):
    for depth in ("decode", "header", "none"):
        assert examine(opened(tmp_path, content(), depth)) == []


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_fault_is_a_finding_that_names_its_place(tmp_path, kind):
    plant, example = PLANTED[kind]
    described = content()
    write(tmp_path, described)
    plant(described, tmp_path)
    data = opened(tmp_path, described)
    if kind == "image_missing":  # which writing the images again has mended
        (tmp_path / "images" / "001.jpg").unlink()
        data = DataSet(data.raw, COCO17, None, open_images(data.raw, range(4), "decode", lambda: None))
    finding = of(kind, examine(data))
    assert example in finding.examples[0]
    assert finding.count == 1
    assert finding.rule.advice


REPAIRABLE = [kind for kind in PLANTED if RULES[kind].repair is not None]


@pytest.mark.parametrize("kind", REPAIRABLE)
def test_a_repaired_copy_has_no_error_and_not_the_fault(tmp_path, kind):
    described = content()
    write(tmp_path, described)
    PLANTED[kind][0](described, tmp_path)
    data = opened(tmp_path, described)
    if kind == "image_missing":
        (tmp_path / "images" / "001.jpg").unlink()
        data = DataSet(data.raw, COCO17, None, open_images(data.raw, range(4), "decode", lambda: None))
    before = (tmp_path / "people.json").read_bytes()
    fixed, done = repaired(data)
    assert sum(done.values()) > 0
    write_copy(fixed, tmp_path / "fixed.json", overwrite=False)
    raw = read_coco(tmp_path / "fixed.json", tmp_path / "images")
    again = examine(DataSet(raw, COCO17, None, open_images(raw, wanted_images(fixed), "decode", lambda: None)))
    assert kind not in kinds(again)
    assert not kinds(again, "error")
    assert (tmp_path / "people.json").read_bytes() == before
    source = CocoPose(
        name="fixed", annotation_file=tmp_path / "fixed.json", image_dir=tmp_path / "images", skeleton=COCO17
    )
    assert len(source) >= 2
    assert all(source.load(index, with_ignore_mask=True).num_people > 0 for index in range(len(source)))


def test_faults_without_repair_say_so():
    assert {kind for kind, rule in RULES.items() if rule.severity == "error" and rule.repair is None} == {
        "annotation_file",
        "joints_unnamed",
        "joints_foreign",
    }


def test_examples_are_few_and_counts_are_not(tmp_path):
    described = content()
    for annotation in described["annotations"]:
        annotation["area"] = -1
    finding = of("area_negative", examine(opened(tmp_path, described)))
    assert (finding.count, len(finding.examples)) == (8, 3)


def test_images_of_val_are_found_by_file_and_by_content(tmp_path):
    train = opened(tmp_path, content(4))
    val = content(3, first=10)
    write(tmp_path, val, "val.json")
    (tmp_path / "images/011.jpg").write_bytes((tmp_path / "images/002.jpg").read_bytes())
    val["images"][2]["file_name"] = "sub/../003.jpg"
    raw = read_coco(write(tmp_path / "val", val), tmp_path / "images")
    held_out = opened(tmp_path, val, name="val.json")
    images = tmp_path / "images"
    shared = held_out_images(train, [held_out])
    assert shared == {"002.jpg": str(images / "011.jpg"), "003.jpg": str(images / "sub/../003.jpg")}
    found = of("image_in_val", examine(train, shared))
    assert found.count == 2
    assert found.examples[0] == f"002.jpg = {images / '011.jpg'}"
    unopened = DataSet(raw, COCO17)
    assert held_out_images(DataSet(train.raw, COCO17), [unopened]).keys() == {"003.jpg"}
    fixed, done = repaired(train, shared)
    assert [image["file_name"] for image in fixed["images"]] == ["000.jpg", "001.jpg"]
    assert done == {"images dropped": 2, "annotations dropped": 4}


def test_files_that_training_does_not_open_are_not_missed(tmp_path):
    described = content()
    described["annotations"] = described["annotations"][2:]  # 000.jpg is empty
    assert wanted_images(described) == [0, 1, 2, 3]
    assert wanted_images(described, drop_empty=True) == [1, 2, 3]
    assert wanted_images(described, drop_empty=True, max_images=2) == [1, 2]
    assert wanted_images(described, image_ids=[3, 0]) == [0, 3]


def test_sizes_come_from_files_where_entries_have_none(tmp_path):
    described = content()
    del described["images"][1]["width"]
    with_joint(described, 9, 300, 20, 2)
    assert kinds(examine(opened(tmp_path, described))) == {"joints_outside": 1}
    assert kinds(examine(opened(tmp_path, described, "header"))) == {"joints_outside": 1}
    assert "joints_outside" not in kinds(examine(opened(tmp_path, described, "none")))


@pytest.mark.parametrize("depth", ["decode", "header"])
def test_sizes_are_those_of_images_as_they_are_annotated(tmp_path, depth):
    described = content(1)
    write(tmp_path, described)
    path = tmp_path / "images" / "000.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.new("RGB", (HEIGHT, WIDTH)).save(path, exif=exif)
    for displayed in (True, False):
        raw = RawAnnotations(tmp_path / "people.json", tmp_path / "images", described, displayed)
        data = DataSet(raw, COCO17, None, open_images(raw, [0], depth, lambda: None))
        assert kinds(examine(data)) == ({} if displayed else {"image_size": 1})
        assert turned_image(raw) == (path if displayed else None)


def test_crowds_need_no_pose_and_no_count(tmp_path):
    described = content()
    person(described).update(iscrowd=1, num_keypoints=99, segmentation={"size": [HEIGHT, WIDTH], "counts": "x"})
    assert examine(opened(tmp_path, described)) == []


def test_files_that_count_pixels_from_1_may_be_broken_too(tmp_path):
    described = content()
    described["annotations"][0]["bbox"][0] = "4"
    described["annotations"][1]["keypoints"] = None
    described["annotations"].append(7)
    raw = read_coco(write(tmp_path, described), tmp_path / "images", first_pixel=1)
    assert raw.content["annotations"][2]["bbox"] == [3, 9, 20, 40]
    assert kinds(examine(DataSet(raw, COCO17)), "error") == {"annotation_fields": 1, "malformed": 1}


def test_joints_given_beside_the_file_count(tmp_path):
    described = content()
    del described["categories"][0]["keypoints"]
    assert examine(opened(tmp_path, described, joints=COCO17.joints)) == []
    assert repaired(opened(tmp_path, described, joints=COCO17.joints))[0]["categories"][0]["keypoints"] == list(
        COCO17.joints
    )
    assert kinds(examine(opened(tmp_path, described, joints=CROWDPOSE14.joints))) == {"keypoint_count": 8}


def test_people_of_another_skeleton(tmp_path):
    data = opened(tmp_path, content())
    other = KeypointSet("other", ("nose", "tail"), (), (), (0.1, 0.1))
    assert examine(DataSet(data.raw, other, None, data.opened)) == []
    assert examine(DataSet(RawAnnotations(data.raw.file, data.raw.image_dir, content(1)), COCO17)) == []


def test_png_files_can_be_damaged_too(tmp_path):
    described = content()
    write(tmp_path, described)
    described["images"][1]["file_name"] = "001.png"
    described["images"][2]["file_name"] = "002.png"
    for number in (1, 2):
        path = tmp_path / "images" / f"{number:03}.png"
        cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (tmp_path / "images" / "001.png").write_bytes(b"")
    assert kinds(examine(opened(tmp_path, described)), "error") == {"image_truncated": 1}
    assert kinds(examine(opened(tmp_path, described, "header")), "error") == {"image_truncated": 1}


def test_ten_thousand_annotations(tmp_path):
    """More than one look at each would be felt: what is checked is checked for all at once."""
    described = content(1)
    described["annotations"] = [
        {"id": number, "image_id": 0, "category_id": 1, **standing(4, 10)} for number in range(10_000)
    ]
    with_joint(described, 0, math.nan)
    assert kinds(examine(opened(tmp_path, described))) == {"not_finite": 1}


@pytest.mark.parametrize("size", [5.0, "ab", {"height": 5}])
def test_an_outline_whose_size_is_no_list_is_none(size: Any) -> None:
    assert not usable_outline({"size": size, "counts": [25]}, (5, 5))
    assert not usable_outline({"size": size, "counts": [25]}, None)
    assert usable_outline({"size": [5, 5], "counts": [25]}, (5, 5))
