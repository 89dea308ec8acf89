import json

import pytest
from own_data import WRITERS

from rtmo.data.coco_pose import CocoPose
from rtmo.data.converters import CONVERTERS
from rtmo.data.folder import FolderPose, read_data
from rtmo.data_commands.convert import OWN, convert
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
    with pytest.raises(
        InputError,
        match=r"raw\.json: annotation 1: bbox must be finite .* width and height >= 0",
    ):
        convert("aic", raw, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("source_format", OWN)
def test_your_own_data_as_coco(tmp_path, source_format):
    root, output = tmp_path / "cows", tmp_path / "cows.json"
    pictures = WRITERS[source_format](root)
    convert(source_format, root, output)
    raw = read_data(root, source_format, val_fraction=0.1)
    skeleton = FolderPose.named_keypoint_set(root=root)
    source = CocoPose(name="cows", annotation_file=output, image_dir=raw.image_dir, skeleton=skeleton, drop_empty=False)
    people = sum(source.load(index).num_people for index in range(len(source)))
    assert people == sum(len(picture.animals) for picture in pictures)
    parts = [convert(source_format, root, output, split=split)["images"] for split in ("train", "val")]
    assert [len(images) for images in parts] == [
        sum(image["split"] == split for image in raw.content["images"]) for split in ("train", "val")
    ]


def test_images_of_your_own_data_need_not_be_named(tmp_path):
    WRITERS["cvat"](tmp_path / "cows")
    with pytest.raises(InputError, match=r"^image_dir=.*are found below input="):
        convert("cvat", tmp_path / "cows", tmp_path / "out.json", image_dir=tmp_path)
