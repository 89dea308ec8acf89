import json

import pytest

from rtmo.data.converters import CONVERTERS
from rtmo.data_commands.convert import convert
from rtmo.errors import InputError

JOINTS = [value for joint in range(14) for value in (10 + joint, 20 + joint, 1)]


@pytest.fixture
def raw(tmp_path):
    """An image of AI Challenger."""
    entry = {
        "image_id": "a",
        "human_annotations": {"human1": [0, 0, 50, 40]},
        "keypoint_annotations": {"human1": JOINTS},
    }
    file = tmp_path / "raw.json"
    file.write_text(json.dumps([entry]))
    return file


def test_the_file_is_whole_for_tools_of_coco(tmp_path, raw):
    output = tmp_path / "new" / "aic.json"
    content = convert("aic", raw, output)
    assert json.loads(output.read_text()) == content
    assert content["annotations"][0]["area"] == pytest.approx(0.53 * 50 * 40)
    assert content["annotations"][0]["num_keypoints"] == 14
    assert list(output.parent.iterdir()) == [output]


def test_a_part_of_a_set(tmp_path, monkeypatch, raw):
    def read(path, *, image_dir=None):
        person = {"category_id": 1, "bbox": [0, 0, 9, 9], "keypoints": [1, 2, 2]}
        return {
            "images": [{"id": n, "file_name": str(n), "splits": [f"{n}_train", "2_test"]} for n in (1, 2)],
            "annotations": [{**person, "id": n, "image_id": n} for n in (1, 2)],
            "categories": [{"id": 1, "name": "person", "keypoints": ["nose"]}],
        }

    monkeypatch.setitem(CONVERTERS, "aic", read)
    content = convert("aic", raw, tmp_path / "out.json", split="2_train")
    assert [image["id"] for image in content["images"]] == [2]
    assert [entry["image_id"] for entry in content["annotations"]] == [2]
    with pytest.raises(InputError, match=r"split=val: .* it may be 1_train, 2_test, 2_train"):
        convert("aic", raw, tmp_path / "out.json", split="val")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source_format": "aci"}, r"^from=aci: no such format; did you mean 'aic'\?"),
        ({"path": "nowhere.json"}, "^input=.*nowhere.json: no such file or folder"),
        ({"output": "out.txt"}, r"^output=.*out.txt: COCO files are JSON; call it out.json"),
        ({"output": "raw.json/out.json"}, "^output=.*out.json: cannot be written"),
        ({"image_dir": "nowhere"}, "^image_dir=.*nowhere: no such folder"),
        ({"split": "train"}, "^split=train: no image .* its images are in no splits; leave split out"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(tmp_path, raw, options, message):
    given = {"source_format": "aic", "path": "raw.json", "output": "out.json", **options}
    for name in given.keys() & {"path", "output", "image_dir"}:
        given[name] = tmp_path / given[name]
    with pytest.raises(InputError, match=message):
        convert(**given)
    assert not (tmp_path / "out.json").exists()


def test_an_annotation_that_cannot_be_loaded_is_not_written(tmp_path, raw):
    raw.write_text(raw.read_text().replace("[0, 0, 50, 40]", "[0, 0, -50, 40]"))
    with pytest.raises(InputError, match=r"raw\.json: annotation 1: bbox must be finite, with width and height >= 0"):
        convert("aic", raw, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()
