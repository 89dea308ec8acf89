import json

import matplotlib.image
import numpy as np
import pytest
from small_coco import HEIGHT, WIDTH, content, write

from rtmo.data.coco_json import People, read_coco
from rtmo.data.statistics import Statistics, measure, read_statistics
from rtmo.data.statistics_figure import write_figure
from rtmo.errors import InputError
from rtmo.skeletons import COCO17, CROWDPOSE14


def some_people() -> People:
    """Image 7 has two people, one inside the box of the other, and an ignored one; image 3 has one; image 5 nobody."""
    flags = np.array([[2, 1], [2, 0], [0, 0], [1, 1]], dtype=np.uint8)
    return People(
        image_ids=np.array([7, 7, 7, 3]),
        bboxes=np.array([[0, 0, 100, 100], [0, 0, 50, 100], [0, 0, 100, 100], [0, 0, 10, 10]], dtype=np.float32),
        keypoints=np.zeros((4, 2, 2), dtype=np.float32),
        visibility=flags,
        annotated=np.array([[True, True], [True, True], [True, True], [True, False]]),
        area=np.array([96.0**2, 32.0**2, 5, 1023], dtype=np.float32),
        has_area=np.ones(4, dtype=bool),
    )


def some_statistics() -> Statistics:
    sizes = np.array([[np.nan, np.nan], [100, 400], [50, 50]], dtype=np.float64)
    return measure(some_people(), ("a", "b"), np.array([3, 7, 5]), sizes)


def test_people_are_counted_by_image_and_the_ignored_apart():
    one = some_statistics()
    assert one.people_per_image.tolist() == [1, 2, 0]
    assert one.num_ignored == 1


def test_joints_are_counted_by_state():
    assert some_statistics().joint_states.tolist() == [[2, 1, 0, 0], [0, 2, 1, 0]]
    people = some_people()
    hidden = People(**{**vars(people), "visibility": people.visibility * np.array([[1, 0]], dtype=np.uint8)})
    one = measure(hidden, ("a", "b"), np.array([3, 7]), np.ones((2, 2)))
    assert one.joint_states.tolist() == [[2, 1, 0, 0], [0, 0, 2, 1]]


def test_scale_is_relative_to_the_image_and_unknown_with_it():
    np.testing.assert_allclose(some_statistics().scale, [96 / 200, 32 / 200, np.nan])


def test_overlap_is_with_other_people_of_the_image():
    np.testing.assert_allclose(some_statistics().overlap, [0.5, 0.5, 0])


def test_the_summary_is_plain_and_counts_sizes_as_coco_does():
    found = json.loads(json.dumps(some_statistics().summary(), allow_nan=False))
    assert found["people_by_size"] == {"small": 1, "medium": 1, "large": 1}
    assert (found["images"], found["images_without_people"], found["people"], found["ignored_people"]) == (3, 1, 3, 1)
    assert found["people_per_image"] == [1, 1, 1]
    assert found["joints"]["b"] == {"visible": 0, "hidden": 2, "not labeled": 1, "not annotated": 0}
    assert found["people_by_overlap"] == {"0.1": 2, "0.3": 2, "0.5": 2}
    assert found["image_width"] == {"min": 50, "25%": 137.5, "50%": 225, "75%": 312.5, "max": 400}
    assert found["aspect_ratio"]["max"] == 4


def test_nobody_is_no_problem(tmp_path):
    described = {**content(1), "annotations": []}
    one = read_statistics(read_coco(write(tmp_path, described), tmp_path / "images"), COCO17, None)
    found = one.summary()
    assert (found["people"], found["scale"], found["images_without_people"]) == (0, None, 1)
    write_figure(tmp_path / "a.png", {"nobody": one})
    assert matplotlib.image.imread(tmp_path / "a.png").ndim == 3


def test_a_file_is_counted_in_joints_of_the_skeleton(tmp_path):
    described = content(2)
    described["annotations"][0]["keypoints"][5 * 3 + 2] = 1  # a hidden shoulder
    del described["images"][1]["width"]  # its file tells
    raw = read_coco(write(tmp_path, described), tmp_path / "images")
    one = read_statistics(raw, CROWDPOSE14, None)
    assert one.joints == CROWDPOSE14.joints
    assert one.joint_states[0].tolist() == [3, 1, 0, 0]
    assert one.joint_states[-1].tolist() == [0, 0, 0, 4]  # COCO has no neck
    assert one.image_sizes.tolist() == [[HEIGHT, WIDTH]] * 2
    np.testing.assert_allclose(one.scale, np.sqrt(400 / (HEIGHT * WIDTH)), rtol=1e-6)


def test_faults_are_refused_as_training_would(tmp_path):
    described = content(1)
    described["annotations"][0]["bbox"] = [1, 2, 3]
    with pytest.raises(InputError, match="annotation 1: bbox must be"):
        read_statistics(read_coco(write(tmp_path, described), tmp_path), COCO17, None)


def test_a_figure_has_a_row_for_each_set(tmp_path):
    one = some_statistics()
    for count in (1, 3):
        write_figure(tmp_path / "new" / f"{count}.png", {f"set {number}": one for number in range(count)})
    single, triple = (matplotlib.image.imread(tmp_path / "new" / f"{count}.png") for count in (1, 3))
    assert single.shape[1] == triple.shape[1]
    assert triple.shape[0] > 2 * single.shape[0]
    assert single.std() > 0.05  # not blank
