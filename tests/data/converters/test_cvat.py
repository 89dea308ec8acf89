import numpy as np
import pytest
from own_data import draw, write_cvat

from rtmo.data.converters.cvat import read_cvat
from rtmo.errors import InputError


def write(root, *images, name="annotations.xml"):
    draw(root / "images", count=3)
    elements = "".join(
        f'<image id="{number}" name="picture_{number:02}.png" width="128" height="96" {subset}>{shapes}</image>'
        for number, (subset, shapes) in enumerate(images)
    )
    (root / name).write_text(f"<annotations>{elements}</annotations>")
    return root


def test_points_with_labels_belong_to_the_box_of_their_group(tmp_path):
    shapes = (
        '<box label="cow" xtl="0" ytl="0" xbr="20" ybr="20" group_id="1"/>'
        '<box label="cow" xtl="50" ytl="50" xbr="80" ybr="90"/>'
        '<points label="nose" points="60,60" group_id="1" occluded="1"/>'
        '<points label="nose" points="70,70" occluded="0"/>'
    )
    content = read_cvat(write(tmp_path, ("", shapes)))
    assert [entry["keypoints"] for entry in content["annotations"]] == [[60, 60, 1], [70, 70, 2]]
    assert content["annotations"][1]["bbox"] == [50, 50, 30, 40]


def test_several_points_are_a_person_in_order(tmp_path):
    content = read_cvat(write(tmp_path, ("", '<points label="cow" points="10,10;30,30;20,50"/>')))
    assert content["categories"][0]["keypoints"] == ["keypoint_0", "keypoint_1", "keypoint_2"]
    assert content["annotations"][0]["keypoints"] == [10, 10, 2, 30, 30, 2, 20, 50, 2]
    np.testing.assert_allclose(content["annotations"][0]["bbox"], [6, 6, 28, 48])


def test_subsets_say_which_split_an_image_is_of(tmp_path):
    point = '<points label="nose" points="9,9"/>'
    images = [(f'subset="{subset}"', point) for subset in ("Train", "Validation", "test")]
    content = read_cvat(write(tmp_path, *images))
    assert [image["split"] for image in content["images"]] == ["train", "val", "test"]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            '<points label="cow" points="1,1;2,2"/>',
            r"image picture_01\.png: 'cow' has 2 points, but 3 in \S+, image picture_00\.png",
        ),
        ('<points label="nose" points="1;2"/>', r"image picture_01\.png: points '1;2' of 'nose': not x,y"),
        ('<box label="cow" xtl="a" ytl="1" xbr="2" ybr="2"/>', "xtl of <box> must be a number, got a"),
        ("<points", "not valid XML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, shapes, message):
    write(tmp_path, ("", '<points label="cow" points="1,1;2,2;3,3"/>'), ("", shapes))
    with pytest.raises(InputError, match=message):
        read_cvat(tmp_path / "annotations.xml")


def test_files_of_other_kinds_and_other_skeletons(tmp_path):
    (tmp_path / "video.xml").write_text('<annotations><track id="0"/></annotations>')
    draw(tmp_path, count=2)
    with pytest.raises(InputError, match="'CVAT for video'; export the task as 'CVAT for images"):
        read_cvat(tmp_path / "video.xml")
    root = tmp_path / "two"
    write_cvat(root)
    text = (root / "annotations.xml").read_text()
    (root / "more.xml").write_text(
        text.replace("<label><name>horn</name><type>points</type><parent>cow</parent></label>", "")
    )
    with pytest.raises(InputError, match=r"more\.xml: class 'cow' has 4 keypoints .*, in another file 5"):
        read_cvat(root)


def test_entities_that_multiply_are_refused(tmp_path):
    lines = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    text = f'<!DOCTYPE x [<!ENTITY a0 "haha">{lines}]><annotations><version>&a9;</version></annotations>'
    (tmp_path / "annotations.xml").write_text(text)
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=r"annotations\.xml: not valid XML"):
        read_cvat(tmp_path / "annotations.xml", image_dir=tmp_path)
