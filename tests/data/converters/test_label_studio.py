import json

import pytest
from own_data import draw

from rtmo.data.converters.label_studio import read_label_studio
from rtmo.errors import InputError

SIZE = {"original_width": 128, "original_height": 96}


def point(name, x, y, **fields):
    value = {"x": 100 * x / 128, "y": 100 * y / 96, "keypointlabels": [name]}
    return {"id": f"{name}{x}", "type": "keypointlabels", "value": value, **SIZE, **fields}


def box(identity, x, y, width, height, rotation=0):
    shares = {"x": x / 128, "y": y / 96, "width": width / 128, "height": height / 96}
    value = {
        **{field: 100 * share for field, share in shares.items()},
        "rotation": rotation,
        "rectanglelabels": ["cow"],
    }
    return {"id": identity, "type": "rectanglelabels", "value": value, **SIZE}


def read(folder, *annotations, image="/data/local-files/?d=photos%2Fpicture_00.png", **fields):
    draw(folder, count=2)
    task = {"id": 7, "data": {"image": image}, "annotations": list(annotations), **fields}
    (folder / "tasks.json").write_text(json.dumps([task]))
    return read_label_studio(folder)


def test_children_and_related_points_belong_to_their_box(tmp_path):
    regions = [
        *(box("a", 0, 0, 20, 20), box("b", 40, 40, 20, 20)),
        *(point("nose", 50, 50, parentID="a"), point("tail", 51, 51), point("nose", 52, 52)),
        {"type": "relation", "from_id": "a", "to_id": "tail51"},
    ]
    content = read(tmp_path, {"result": regions})
    assert content["images"][0]["file_name"] == "picture_00.png"
    assert [entry["keypoints"] for entry in content["annotations"]] == [
        pytest.approx([50, 50, 2, 51, 51, 2]),
        pytest.approx([52, 52, 2, 0, 0, 0]),
    ]


def test_the_annotation_that_counts(tmp_path):
    def annotation(x, **fields):
        return {"result": [point("nose", x, 9)], **fields}

    def chosen(*annotations):
        content = read(tmp_path, *annotations)
        return content["annotations"][0]["keypoints"][0], len(content["repeats"])

    assert chosen(annotation(1), annotation(2)) == (pytest.approx(1), 2)
    assert chosen(annotation(1), annotation(2, ground_truth=True)) == (pytest.approx(2), 2)
    assert chosen(annotation(1, was_cancelled=True), annotation(2)) == (pytest.approx(2), 0)


def test_a_turned_box(tmp_path):
    content = read(tmp_path, {"result": [box("a", 30, 10, 20, 10, rotation=90), point("nose", 25, 20)]})
    assert content["annotations"][0]["bbox"] == pytest.approx([20, 10, 10, 20])


@pytest.mark.parametrize(
    ("region", "fields", "message"),
    [
        (point("nose", 1, 1, image_rotation=90), {}, r"tasks\.json, task 7: the image was turned"),
        (
            {**point("nose", 1, 1), "value": {"x": 1, "keypointlabels": ["nose"]}},
            {},
            "region nose1: y must be a number",
        ),
        ({**point("nose", 1, 1), "value": {"x": 1, "y": 1, "keypointlabels": ["a", "b"]}}, {}, "give it one"),
        (point("nose", 1, 1), {"data": {"text": "hello"}}, "names no image; export tasks of images"),
    ],
)
def test_what_is_wrong_is_named_with_its_task(tmp_path, region, fields, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, {"result": [region]}, **fields)
