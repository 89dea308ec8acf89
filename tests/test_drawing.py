import cv2
import numpy as np
import pytest
import torch

from rtmo.drawing import (
    SIDE_COLOURS,
    contact_sheet,
    draw_poses,
    draw_predictions,
    draw_regions,
    joint_sides,
    prediction_panel,
    titled,
    write_image,
)
from rtmo.skeletons import COCO17, KeypointSet
from rtmo.types import Poses, Sample

GREY = 128
LEFT, RIGHT, CENTRE = (np.array(SIDE_COLOURS[side]) for side in ("left", "right", "centre"))
OUTLINE = np.array([25, 25, 25])

CROSS = KeypointSet(  # left to the right of the picture, as of somebody who looks at us
    name="cross",
    joints=("right_hand", "left_hand", "head", "left_foot", "right_foot"),
    flip_pairs=(("right_hand", "left_hand"), ("left_foot", "right_foot")),
    limbs=(("head", "right_hand"), ("head", "left_hand"), ("left_foot", "right_foot")),
    oks_sigmas=(0.1,) * 5,
)
POSITIONS = np.array([[[40.0, 100], [360, 100], [200, 100], [280, 300], [120, 300]]])


def blank(height: int = 400, width: int = 400) -> np.ndarray:
    return np.full((height, width, 3), GREY, dtype=np.uint8)


def at(image: np.ndarray, x: float, y: float) -> np.ndarray:
    return image[round(y), round(x)]


def changed(image: np.ndarray) -> np.ndarray:
    return (image != GREY).any(axis=2)


def predicted(keypoints: np.ndarray, scores: list[float], keypoint_score: float = 0.9) -> Poses:
    positions = torch.tensor(keypoints, dtype=torch.float32)
    return Poses(
        bboxes=torch.cat([positions.amin(1), positions.amax(1)], dim=1),
        scores=torch.tensor(scores),
        keypoints=positions,
        keypoint_scores=torch.full(positions.shape[:2], keypoint_score),
    )


def annotated(image: np.ndarray, keypoints: np.ndarray, visibility: int = 2) -> Sample:
    keypoints = keypoints.astype(np.float32)
    return Sample(
        image=image,
        bboxes=np.concatenate([keypoints.min(1), keypoints.max(1)], axis=1),
        keypoints=keypoints,
        visibility=np.full(keypoints.shape[:2], visibility, dtype=np.uint8),
        annotated=np.ones(keypoints.shape[:2], dtype=bool),
        area=np.full(len(keypoints), 1e4, dtype=np.float32),
        image_id=1,
    )


def test_limbs_have_the_colour_of_their_side_where_they_belong():
    drawn = draw_poses(blank(), POSITIONS, skeleton=CROSS)
    np.testing.assert_array_equal(at(drawn, 120, 100), RIGHT)
    np.testing.assert_array_equal(at(drawn, 280, 100), LEFT)
    np.testing.assert_array_equal(at(drawn, 200, 300), CENTRE)  # joins left and right
    for x, y, colour in ((40, 100, RIGHT), (360, 100, LEFT), (200, 100, CENTRE), (280, 300, LEFT), (120, 300, RIGHT)):
        np.testing.assert_array_equal(at(drawn, x, y), colour)
    np.testing.assert_array_equal(at(drawn, 200, 200), [GREY] * 3)


def test_sides_come_from_names_whatever_the_order_of_pairs():
    assert joint_sides(CROSS) == ("right", "left", "centre", "left", "right")
    assert joint_sides(COCO17)[:3] == ("centre", "left", "right")
    animal = KeypointSet("animal", ("R_Eye", "L_Eye", "Tail"), (("R_Eye", "L_Eye"),), (), (0.1, 0.1, 0.1))
    assert joint_sides(animal) == ("right", "left", "centre")
    numbered = KeypointSet("numbered", ("a", "b"), (("b", "a"),), (), (0.1, 0.1))
    assert joint_sides(numbered) == ("right", "left")


def test_input_is_not_modified():
    image, keypoints, bboxes = blank(), POSITIONS.copy(), np.array([[40.0, 100, 360, 300]])
    draw_poses(image, keypoints, skeleton=CROSS, bboxes=bboxes, labels=["1.00"], min_height=800)
    assert not changed(image).any()
    np.testing.assert_array_equal(keypoints, POSITIONS)
    prediction_panel(annotated(image, POSITIONS), predicted(POSITIONS, [0.9]), skeleton=CROSS, height=400)
    assert not changed(image).any()


def test_hidden_joints_are_hollow_and_unlabeled_ones_absent():
    visibility = np.array([[2, 1, 2, 0, 2]], dtype=np.uint8)
    drawn = draw_poses(blank(), POSITIONS, skeleton=CROSS, visibility=visibility)
    np.testing.assert_array_equal(at(drawn, 40, 100), RIGHT)
    np.testing.assert_array_equal(at(drawn, 360, 100), OUTLINE)  # a hole
    assert (drawn[95:106, 355:366] == LEFT).all(axis=2).any()  # with a rim of its colour
    assert not changed(drawn)[290:311, 140:400].any()  # neither the joint nor its limb


def test_joints_below_the_threshold_are_absent():
    scores = np.array([[0.9, 0.2, 0.9, 0.2, 0.2]])
    drawn = draw_poses(blank(), POSITIONS, skeleton=CROSS, keypoint_scores=scores, keypoint_thr=0.5)
    assert changed(drawn)[:, :210].any()
    assert not changed(drawn)[:, 220:].any()


def test_people_below_the_threshold_are_absent():
    poses = predicted(POSITIONS, [0.4])
    assert changed(draw_predictions(blank(), poses, skeleton=CROSS, score_thr=0.4)).any()
    assert not changed(draw_predictions(blank(), poses, skeleton=CROSS, score_thr=0.41)).any()


def test_the_first_person_is_on_top():
    other = POSITIONS[:, [1, 0, 2, 4, 3]]  # the mirror image, on the same spots
    drawn = draw_poses(blank(), np.concatenate([POSITIONS, other]), skeleton=CROSS)
    np.testing.assert_array_equal(at(drawn, 280, 100), LEFT)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_joints_that_are_not_usable_do_no_harm(bad):
    keypoints = POSITIONS.copy()
    keypoints[0, 3] = bad
    drawn = draw_poses(blank(), keypoints, skeleton=CROSS, bboxes=np.full((1, 4), bad), labels=["x"])
    np.testing.assert_array_equal(at(drawn, 280, 100), LEFT)


def test_labels_stay_inside_the_image():
    tabs = []
    for x, y in ((-200, -200), (600, -200), (-200, 600), (600, 600)):
        box = np.array([[x, y, x + 20, y + 20]], dtype=float)
        drawn = draw_poses(blank(), np.full((1, 5, 2), np.nan), skeleton=CROSS, bboxes=box, labels=["0.97"])
        rows, columns = np.nonzero(changed(drawn))
        tabs.append(drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    np.testing.assert_array_equal(tabs[0][0, 0], OUTLINE)
    for tab in tabs[1:]:  # were one cut by the border, it would be smaller
        np.testing.assert_array_equal(tab, tabs[0])


def test_small_images_are_magnified_and_others_keep_their_size():
    small = draw_poses(blank(100, 150), POSITIONS / 4, skeleton=CROSS, min_height=400)
    assert small.shape == (400, 600, 3)
    np.testing.assert_array_equal(at(small, 280, 100), LEFT)  # positions are magnified along
    assert draw_poses(blank(500, 300), POSITIONS, skeleton=CROSS, min_height=400).shape == (500, 300, 3)


def test_lines_grow_with_the_image():
    def thickness(scale: int) -> int:
        drawn = draw_poses(blank(400 * scale, 400 * scale), POSITIONS * scale, skeleton=CROSS)
        return int((drawn[:, 280 * scale] == LEFT).all(axis=1).sum())

    assert thickness(1) >= 2
    assert thickness(4) == pytest.approx(4 * thickness(1), rel=0.4)


def test_no_people():
    empty = Poses(torch.empty(0, 4), torch.empty(0), torch.empty(0, 5, 2), torch.empty(0, 5))
    assert not changed(draw_predictions(blank(), empty, skeleton=CROSS)).any()


def test_panel_shows_ground_truth_left_and_prediction_right():
    image = blank(200, 200)
    panel = prediction_panel(
        annotated(image, POSITIONS / 2), predicted(POSITIONS / 2 + [0, 20], [0.9]), skeleton=CROSS, height=400
    )
    bar = panel.shape[0] - 400
    truth, found = panel[bar:, :400], panel[bar:, -400:]
    np.testing.assert_array_equal(at(truth, 280, 100), LEFT)
    np.testing.assert_array_equal(at(found, 280, 140), LEFT)
    np.testing.assert_array_equal(at(found, 120, 140), RIGHT)
    legend = panel[:bar, -400:].reshape(-1, 3)
    places = [np.flatnonzero((legend == colour).all(axis=1)) % 400 for colour in (LEFT, RIGHT)]
    assert places[0].size
    assert places[0].max() < places[1].min()  # "left" before "right"


def test_panel_leaves_out_people_without_a_labeled_joint():
    sample = annotated(blank(), POSITIONS, visibility=0)
    panel = prediction_panel(sample, predicted(POSITIONS, [0.1]), skeleton=CROSS, height=400)
    assert not changed(panel[-400:, :400]).any()
    assert not changed(panel[-400:, -400:]).any()


def test_contact_sheet_has_equal_cells_with_the_images_in_their_middle():
    images = [
        np.full((40, 60, 3), 250, np.uint8),
        np.full((20, 20, 3), 200, np.uint8),
        np.full((9, 9, 3), 150, np.uint8),
    ]
    sheet = contact_sheet(images, columns=2, gap=10)
    assert sheet.shape == (2 * 50 + 10, 2 * 70 + 10, 3)
    assert (sheet == 250).all(axis=2).sum() == 40 * 60
    np.testing.assert_array_equal(sheet[10:50, 10:70], images[0])
    np.testing.assert_array_equal(sheet[20:40, 100:120], images[1])
    assert contact_sheet(images[:1], columns=5, gap=0).shape == (40, 60, 3)


def test_contact_sheet_refuses_nothing():
    with pytest.raises(ValueError, match="got 0 and 2"):
        contact_sheet([])


def test_write_image_makes_the_folder(tmp_path):
    image = draw_poses(blank(), POSITIONS, skeleton=CROSS)
    path = tmp_path / "Bilder für später" / "a.png"
    write_image(path, image)
    np.testing.assert_array_equal(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), image)


def test_regions_are_tinted_and_hatched_and_the_rest_is_left():
    mask = np.zeros((400, 400), dtype=bool)
    mask[100:200, 50:350] = True
    image = blank()
    drawn = draw_regions(image, mask)
    np.testing.assert_array_equal(changed(drawn), mask)
    assert len(np.unique(drawn[mask], axis=0)) == 2  # tint and hatching
    assert not changed(image).any()
    assert not changed(draw_regions(image, np.zeros((400, 400), dtype=bool))).any()


def test_titles_too_long_for_their_bar_lose_their_beginning():
    wide, long = blank(100, 300), "folder/" * 30
    titles = [titled(wide, text, height=30) for text in (long + "a.png", "x" + long + "a.png", long + "b.png")]
    np.testing.assert_array_equal(titles[0], titles[1])
    assert not np.array_equal(titles[0], titles[2])
    assert titles[0].shape == (130, 300, 3)


def test_identities_colour_box_and_label_and_no_others():
    poses = predicted(np.concatenate([POSITIONS * 0.3 + 20, POSITIONS * 0.3 + [20, 220]]), [0.9, 0.8])
    plain, first, second = (
        draw_predictions(blank(), poses, skeleton=CROSS, identities=identities) for identities in (None, [1, 2], [1, 3])
    )
    upper, lower = slice(0, 180), slice(200, 400)
    np.testing.assert_array_equal(first[upper], second[upper])
    assert not np.array_equal(first[lower], second[lower])
    assert not np.array_equal(first[upper], plain[upper])
    unknown = draw_predictions(blank(), poses, skeleton=CROSS, identities=[0, 0])
    np.testing.assert_array_equal(unknown, plain)


def test_identities_stay_with_their_people_when_others_are_left_out():
    poses = predicted(np.concatenate([POSITIONS * 0.3 + 20, POSITIONS * 0.3 + [20, 220]]), [0.1, 0.8])
    alone = predicted(POSITIONS * 0.3 + [20, 220], [0.8])
    np.testing.assert_array_equal(
        draw_predictions(blank(), poses, skeleton=CROSS, identities=[4, 2]),
        draw_predictions(blank(), alone, skeleton=CROSS, identities=[2]),
    )


def test_boxes_may_be_left_out_and_lines_be_wider():
    poses = predicted(POSITIONS, [0.9])
    usual = changed(draw_predictions(blank(), poses, skeleton=CROSS))
    corner = POSITIONS[0].min(0)  # of the box; no joint is there
    assert usual[round(corner[1]) - 1 : round(corner[1]) + 2, 100].any()
    bare = changed(draw_predictions(blank(), poses, skeleton=CROSS, boxes=False))
    assert bare.sum() < usual.sum()
    wide = changed(draw_predictions(blank(), poses, skeleton=CROSS, boxes=False, line_width=3))
    assert wide.sum() > 1.5 * bare.sum()


def test_boxes_that_overlap_are_blended_once():
    """Two equal boxes look as one; neither is blended over the other's blend."""
    corners = np.array([[40.0, 100, 360, 300]])
    one, two = (
        draw_poses(blank(), np.full((count, 5, 2), np.nan), skeleton=CROSS, bboxes=corners.repeat(count, axis=0))
        for count in (1, 2)
    )
    np.testing.assert_array_equal(at(one, 40, 200), at(two, 40, 200))
    assert GREY < at(one, 40, 200)[0] < 235  # faint
