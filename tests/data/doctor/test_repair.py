"""What the repaired copy has in place of what was wrong."""

import copy
import json
import math
import random
from typing import Any

import pytest
from small_coco import HEIGHT, WIDTH, content, standing, write

from rtmo.data.coco_json import RawAnnotations
from rtmo.data.coco_pose import CocoPose
from rtmo.data.doctor.examine import DataSet, examine
from rtmo.data.doctor.images import open_images, wanted_images
from rtmo.data.doctor.repair import repaired, write_copy
from rtmo.errors import InputError
from rtmo.skeletons import COCO17


def data_set(folder, described: dict[str, Any]) -> DataSet:
    raw = RawAnnotations(folder / "people.json", folder / "images", described)
    return DataSet(raw, COCO17, None, open_images(raw, wanted_images(described), "header", lambda: None))


@pytest.fixture
def fix(tmp_path):
    """Repairs annotations of four images; gives the copy and what was done."""
    write(tmp_path, content())

    def repair(described: dict[str, Any]):
        before = copy.deepcopy(described)
        fixed, done = repaired(data_set(tmp_path, described))
        assert json.dumps(described) == json.dumps(before)
        return fixed, dict(done)

    return repair


def test_good_annotations_are_copied_as_they_are(fix):
    assert fix(content()) == (content(), {})


def test_text_for_ids_and_numbers_is_read(fix):
    described = content()
    for image in described["images"]:
        image["id"] = f"image {image['id']}"
    for annotation in described["annotations"]:
        annotation |= {field: str(annotation[field]) for field in ("id", "category_id")}
        annotation["image_id"] = f"image {annotation['image_id']}"
    described["categories"][0]["id"] = "1"
    described["images"][0]["height"] = str(HEIGHT)
    person = described["annotations"][2]
    person |= {"bbox": [str(value) for value in person["bbox"]], "area": str(person["area"])}
    person["keypoints"] = [str(value) for value in person["keypoints"]]
    fixed, done = fix(described)
    assert [image["id"] for image in fixed["images"]] == [1, 2, 3, 4]
    assert [entry["image_id"] for entry in fixed["annotations"]] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert fixed["annotations"][2] == {**content()["annotations"][2], "image_id": 2}
    assert fixed["images"][0] == {**content()["images"][0], "id": 1}
    assert done["images given a new id"] == 4
    assert "annotations dropped" not in done


def test_a_box_that_is_none_is_made_of_the_joints(fix):
    described = content()
    described["annotations"][0]["bbox"] = [5, 5, 0, -1]
    fixed, done = fix(described)
    x, y, width, height = fixed["annotations"][0]["bbox"]
    points = standing(4, 10)["keypoints"]
    for joint_x, joint_y in zip(points[::3], points[1::3], strict=True):
        assert x < joint_x < x + width
        assert y < joint_y < y + height
    assert (width, height) < tuple(1.3 * side for side in standing(4, 10)["bbox"][2:])
    assert done == {"boxes made of joints": 1}


def test_without_box_and_joints_nothing_is_left_of_a_person(fix):
    described = content()
    described["annotations"][0] |= {"bbox": None, "keypoints": []}
    fixed, done = fix(described)
    assert [entry["id"] for entry in fixed["annotations"]] == [2, 3, 4, 5, 6, 7, 8]
    assert done == {"annotations dropped": 1}


def test_boxes_are_clipped_and_joints_outside_lose_their_label(fix):
    described = content()
    described["annotations"][0]["bbox"] = [-4, 10, 28, 400]
    described["annotations"][0]["keypoints"][:3] = [WIDTH + 5, 20, 2]
    described["annotations"][0]["keypoints"][3:6] = [WIDTH + 0.5, 20, 2]  # as good as inside
    described["annotations"][0]["num_keypoints"] = 17
    fixed, done = fix(described)
    person = fixed["annotations"][0]
    assert person["bbox"] == [0, 10, 24, HEIGHT - 10]
    assert person["keypoints"][:6] == [0, 0, 0, WIDTH + 0.5, 20, 2]
    assert person["num_keypoints"] == 16
    assert done == {"joints unlabeled": 1, "boxes clipped": 1, "num_keypoints counted anew": 1}


def test_people_without_usable_keypoints_become_ignored_regions(fix):
    described = content()
    described["annotations"][0]["keypoints"] = [1, 2, 2]
    fixed, done = fix(described)
    assert not any(fixed["annotations"][0]["keypoints"])
    assert fixed["annotations"][0]["num_keypoints"] == 0
    assert done == {"people made ignored regions": 1, "num_keypoints counted anew": 1}


def test_doubled_entries_of_a_file_are_merged_with_their_people(fix):
    described = content()
    described["images"][3]["file_name"] = "001.jpg"
    fixed, done = fix(described)
    assert [image["id"] for image in fixed["images"]] == [0, 1, 2]
    assert [entry["image_id"] for entry in fixed["annotations"]] == [0, 0, 1, 1, 2, 2, 1, 1]
    assert done == {"image entries merged": 1}


def test_an_id_of_two_files_says_nothing(fix):
    described = content()
    described["images"][3]["id"] = 1
    fixed, done = fix(described)
    assert [image["file_name"] for image in fixed["images"]] == ["000.jpg", "002.jpg"]
    assert {entry["image_id"] for entry in fixed["annotations"]} == {0, 2}
    assert done == {"images dropped": 2, "annotations dropped": 4}


def test_categories_that_are_not_read_keep_their_annotations(fix):
    described = content()
    described["categories"].append({"id": 2, "name": "dog"})
    described["annotations"][0] = {"id": 1, "image_id": 0, "category_id": 2, "bbox": [1, 2, 3, 4], "area": 9}
    assert fix(described) == (described, {})


def test_a_copy_replaces_nothing_unless_told_and_is_not_empty(tmp_path):
    file = tmp_path / "new" / "a.json"
    write_copy(content(1), file, overwrite=False)
    with pytest.raises(InputError, match="exists already; overwrite=true replaces it"):
        write_copy(content(2), file, overwrite=False)
    assert json.loads(file.read_text()) == content(1)
    write_copy(content(2), file, overwrite=True)
    assert json.loads(file.read_text()) == content(2)
    with pytest.raises(InputError, match="no image is left"):
        write_copy({**content(1), "images": []}, tmp_path / "b.json", overwrite=False)
    with pytest.raises(InputError, match=r"output_dir: .*c\.json: cannot be written .*choose another place"):
        write_copy(content(1), file / "c.json", overwrite=False)  # a file is no folder
    assert not (tmp_path / "b.json").exists()


JUNK: list[Any] = [
    *(None, True, -1, 0, 2.5, 1e30, math.nan, math.inf, "", "7", "abc", "0.5"),
    *([], [1, 2], [None], ["x"] * 4, [1, 2, 3, 4], {}, {"size": [1, 1]}),
]


def spoil(described: dict[str, Any], rng: random.Random) -> None:
    """Puts something else in the place of a value, a field or an entry, or has an entry twice."""
    entries = described[rng.choice(["images", "categories", *["annotations"] * 3])]
    place, what = rng.randrange(len(entries)), rng.random()
    entry, junk = entries[place], copy.deepcopy(rng.choice(JUNK))
    if what < 0.1:
        entries[place] = junk
    elif what < 0.2 or not isinstance(entry, dict):
        entries.append(copy.deepcopy(entry))
    else:
        field = rng.choice([*entry, "segmentation", "iscrowd"])
        if what < 0.6 and isinstance(entry.get(field), list) and entry[field]:
            entry[field][rng.randrange(len(entry[field]))] = junk
        else:
            entry[field] = junk


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_wrong_is_found_and_repaired(tmp_path, seed):
    write(tmp_path, content())
    rng, repairable = random.Random(seed), 0
    for _ in range(20):
        described = content()
        for _ in range(rng.randint(1, 4)):
            spoil(described, rng)
        data = data_set(tmp_path, described)
        found = [finding.kind for finding in examine(data)]
        fixed, _ = repaired(data)
        if {"joints_unnamed", "joints_foreign"} & set(found) or not fixed["images"]:
            continue  # only the user can tell
        repairable += 1
        write_copy(fixed, tmp_path / "fixed.json", overwrite=True)
        again = examine(data_set(tmp_path, json.loads((tmp_path / "fixed.json").read_text())))
        assert not [finding for finding in again if finding.rule.severity == "error"]
        source = CocoPose(
            name="fixed",
            annotation_file=tmp_path / "fixed.json",
            image_dir=tmp_path / "images",
            skeleton=COCO17,
            drop_empty=False,
        )
        for index in range(len(source)):
            source.load(index, with_ignore_mask=True)
    assert repairable > 5
