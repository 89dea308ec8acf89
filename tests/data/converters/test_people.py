import pytest

from rtmo.data.converters.people import Box, Person, Point, as_content, box_with_margin, enclosing_box, gather, turned
from rtmo.errors import InputError

IMAGE = {"id": 1, "file_name": "a.png", "height": 100, "width": 100}
LARGE, SMALL = Box("cow", 0, 0, 100, 100), Box("cow", 10, 10, 20, 20)


def joints(people):
    return [sorted(person.points) for person in people]


def test_doubts_are_told(caplog):
    people = gather([Point("nose", 15, 15), Point("tail", 90, 90)], [LARGE, SMALL], "x")
    as_content([(IMAGE, people)], {}, "x")
    assert "1 points lie in several boxes" in caplog.text


def test_a_group_outweighs_where_points_lie():
    boxes = [Box("cow", 0, 0, 20, 20, group=1), Box("cow", 50, 50, 20, 20, group=2)]
    people = gather([Point("nose", 5, 5, group=2), Point("nose", 55, 55, group=1)], boxes, "x")
    assert [person.points["nose"].x for person in people] == [55, 5]


def test_the_smallest_box_with_margin_a_point_that_lacks_the_joint():
    people = gather([Point("nose", 15, 15), Point("nose", 16, 16), Point("tail", 90, 90)], [LARGE, SMALL], "x")
    assert joints(people) == [["nose", "tail"], ["nose"]]
    assert people[1].points["nose"].x == 15


def test_a_point_beside_all_boxes_belongs_to_the_nearest():
    boxes = [Box("cow", 0, 0, 20, 20), Box("cow", 60, 0, 20, 20)]
    people = gather([Point("tail", 24, 10), Point("tail", 85, 25)], boxes, "x")
    assert [person.points["tail"].x for person in people] == [24, 85]


def test_points_alone_in_an_image_are_one_person():
    points = [Point("nose", 5, 5), Point("tail", 50, 50)]
    assert joints(gather(points, [], "x")) == [["nose", "tail"]]
    assert joints(gather([*points, Point("nose", 9, 9, group="a")], [], "x")) == [["nose", "tail"], ["nose"]]


@pytest.mark.parametrize(
    ("points", "boxes", "message"),
    [
        ([Point("nose", 5, 5), Point("nose", 6, 6)], [], "a.json: 'nose' occurs 2 times and nothing says whose"),
        ([Point("nose", 5, 5, group=1), Point("nose", 6, 6, group=1)], [], "'nose' occurs 2 times"),
        ([Point("nose", 5, 5), Point("nose", 6, 6)], [LARGE], "'nose' occurs 2 times"),
        ([], [Box("cow", 0, 0, 1, 1, group=3), Box("cow", 2, 2, 1, 1, group=3)], r"two boxes in one group \(3\)"),
    ],
)
def test_what_belongs_to_nobody_is_refused(points, boxes, message):
    with pytest.raises(InputError, match=message):
        gather(points, boxes, "a.json")


def test_people_without_a_box_get_one_with_a_margin():
    points = [Point("nose", 30, 40), Point("tail", 50, 80)]
    assert box_with_margin(points, 100, 100) == [26, 36, 28, 48]  # a tenth of 40 px on every side
    assert box_with_margin(points[:1], 100, 100) == [26, 36, 8, 8]
    assert box_with_margin(points, 52, 82) == [26, 36, 26, 46]  # within the image


def test_a_turned_box_is_enclosed():
    corners = [(10.0, 10.0), (30.0, 10.0), (30.0, 20.0), (10.0, 20.0)]
    box = enclosing_box("cow", turned(corners, corners[0], 90), None)  # clockwise: down and to the left
    assert (box.x, box.y, box.width, box.height) == pytest.approx((0, 10, 10, 20))


def test_classes_with_keypoints_are_categories():
    def person(label, *names):
        return Person(label, {name: Point(name, 20, 20) for name in names}, None)

    content = as_content([(IMAGE, [person("cow", "point_10", "point_2"), person("tree")])], {}, "x")
    assert [(each["name"], each["keypoints"]) for each in content["categories"]] == [("cow", ["point_2", "point_10"])]
    assert len(content["annotations"]) == 1
    content = as_content([(IMAGE, [person("cow", "nose"), person("object", "tail")])], {}, "x")
    assert [each["keypoints"] for each in content["categories"]] == [["nose", "tail"]]
    with pytest.raises(InputError, match="no object has keypoints"):
        as_content([(IMAGE, [person("tree")])], {}, "x")
    with pytest.raises(InputError, match="class 'cow' has no joint 'wing'"):
        as_content([(IMAGE, [person("cow", "wing")])], {"cow": {"keypoints": ["nose"]}}, "x")
