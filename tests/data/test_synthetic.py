"""Synthetic people: deterministic, varied, and truthfully annotated."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rtmo.data.synthetic import SyntheticPeople
from rtmo.data.synthetic.body import Build, pose_body, view_rotation
from rtmo.data.synthetic.figure import Figure, Projection, make_figure
from rtmo.data.synthetic.outfit import Outfit
from rtmo.data.synthetic.person import person_strokes, visible_joints
from rtmo.data.synthetic.poses import ACTIVITIES, Pose, sample_pose
from rtmo.data.synthetic.scene import to_image, to_picture
from rtmo.data.synthetic.shapes import Layer, Stroke, draw, shaded_capsules
from rtmo.skeletons import COCO17, CROWDPOSE14

_SIZE = (192, 160)
_BUILD = Build(1.0, 0.112, 0.062, 0.295, 0.168, 0.148, 0.238, 0.232, 0.054)
_OUTFIT = Outfit(sleeve=0.6, trouser=2.0, skirt=0.0, loose=1.1, hair="short", cap=False, pack=False, tucked=True)
_STANDING = Pose(
    np.zeros(2), np.zeros(3), np.zeros(3), np.tile((0.0, 25, 0, 5), (2, 1)), np.tile((0.0, 6, 0, 3), (2, 1))
)
_NO_LIGHT = np.zeros(2)


def _source(**changes: object) -> SyntheticPeople:
    return SyntheticPeople(**({"num_images": 12, "image_size": _SIZE, "seed": 5} | changes))


@pytest.fixture(scope="module")
def truth() -> dict:
    return _source(num_images=100).ground_truth()


def _standing(yaw: float, pose: Pose = _STANDING) -> tuple[Figure, Layer]:
    body = pose_body(_BUILD, pose, view_rotation(yaw, 0.0, 0.0))
    figure = make_figure(body, _OUTFIT, Projection((200.0, 380.0), 350.0, 1000.0), _NO_LIGHT)
    layer = draw(person_strokes(figure), (400, 400))
    assert layer is not None
    return figure, layer


def _seen(figure: Figure, layer: Layer, shown: np.ndarray | None = None) -> dict[str, bool]:
    pixels = np.rint(np.stack([figure[joint] for joint in COCO17.joints])).astype(int)
    shown = layer.mask if shown is None else shown
    flags = visible_joints(figure, COCO17.joints, layer, shown, pixels)
    return dict(zip(COCO17.joints, flags.tolist(), strict=True))


def test_an_image_depends_on_seed_and_index_alone():
    forward = [_source().load(index) for index in range(4)]
    longer = _source(num_images=50)
    for index in (3, 1, 2, 0):
        again = longer.load(index)
        np.testing.assert_array_equal(again.image, forward[index].image)
        np.testing.assert_array_equal(again.keypoints, forward[index].keypoints)
        np.testing.assert_array_equal(again.visibility, forward[index].visibility)


def test_seeds_and_indices_share_no_image():
    images = [_source(seed=seed).load(index).image.tobytes() for seed in (0, 1, 2) for index in range(3)]
    assert len(set(images)) == len(images)


def test_load_gives_a_complete_sample():
    source = _source()
    sample = source.load(2)
    assert sample.image.shape == (*_SIZE, 3)
    assert sample.ignore_mask is None
    assert sample.annotated.all()
    mask = source.load(2, with_ignore_mask=True).ignore_mask
    assert mask is not None
    assert mask.shape == _SIZE
    assert not mask.any()


@pytest.mark.parametrize("size", [(32, 1030), (1024, 33), (95, 97)])
def test_any_image_size(size: tuple[int, int]):
    assert _source(image_size=size).load(0).image.shape == (*size, 3)


def test_ground_truth_says_what_load_says():
    source = _source()
    truth = source.ground_truth()
    assert [image["id"] for image in truth["images"]] == list(range(len(source)))
    for index in range(len(source)):
        sample = source.load(index)
        people = [one for one in truth["annotations"] if one["image_id"] == sample.image_id]
        assert len(people) == sample.num_people
        for k, person in enumerate(people):
            x, y, width, height = person["bbox"]
            np.testing.assert_allclose(sample.bboxes[k], (x, y, x + width, y + height))
            joints = np.array(person["keypoints"]).reshape(-1, 3)
            np.testing.assert_array_equal(sample.keypoints[k], joints[:, :2].astype(np.float32))
            np.testing.assert_array_equal(sample.visibility[k], joints[:, 2])
            assert person["area"] == pytest.approx(float(sample.area[k]))
            assert person["num_keypoints"] == np.count_nonzero(joints[:, 2])


def test_numbers_and_heights_of_people_span_the_range(truth: dict):
    counts = Counter(person["image_id"] for person in truth["annotations"])
    histogram = Counter(counts[image["id"]] for image in truth["images"])
    assert set(range(7)) <= set(histogram) <= set(range(9))
    heights = np.array([person["bbox"][3] for person in truth["annotations"]]) / _SIZE[0]
    assert np.quantile(heights, 0.08) < 0.15
    assert np.quantile(heights, 0.95) > 0.65
    assert heights.max() > 0.9
    assert 0.25 < np.median(heights) < 0.5


def test_eight_people_are_possible_and_a_limit_is_kept():
    source = _source(num_images=1000, image_size=(64, 64))
    assert any(source.load(index).num_people == 8 for index in range(300))
    limited = _source(num_images=40, max_people=2)
    assert max(limited.load(index).num_people for index in range(40)) == 2
    assert not _source(max_people=0).ground_truth()["annotations"]


def test_what_was_drawn_can_be_kept_and_is_not_spoiled():
    kept = _source(keep=True)
    for _ in range(2):
        sample, fresh = kept.load(3, with_ignore_mask=True), _source().load(3, with_ignore_mask=True)
        np.testing.assert_array_equal(sample.image, fresh.image)
        np.testing.assert_array_equal(sample.keypoints, fresh.keypoints)
        np.testing.assert_array_equal(sample.ignore_mask, fresh.ignore_mask)
        sample.image[:] = 0
        sample.keypoints[:] = 0
    assert kept.load(3).ignore_mask is None


def test_people_can_be_made_easier_to_find():
    small, tall = (_source(min_height=least, max_things=0, max_people=2).ground_truth() for least in (0.13, 0.7))
    heights = [np.median([person["bbox"][3] for person in truth["annotations"]]) for truth in (small, tall)]
    assert heights[1] > 1.3 * heights[0]


def test_parts_have_one_colour_on_everybody():
    """The shades of one limb lie on a line through black: its hue is the same in all images, clothes or not."""

    def hues(colors: str) -> list[float]:
        source = _source(num_images=60, min_height=0.8, max_things=0, max_people=1, colors=colors)
        found = []
        for sample in (source.load(index) for index in range(len(source))):
            elbow = COCO17.joints.index("left_elbow")
            for keypoints, flags in zip(sample.keypoints, sample.visibility, strict=True):
                if flags[elbow] == 2:
                    x, y = keypoints[elbow].round().astype(int)
                    blue, _, red = sample.image[y, x].astype(float)
                    found.append(red / (red + blue + 1))
        assert len(found) > 10
        return found

    assert np.quantile(hues("parts"), 0.1) > 0.6, "left arms are red"
    assert np.quantile(hues("natural"), 0.1) < 0.5


def test_people_can_be_told_what_to_do_and_where_to_look():
    rng = np.random.default_rng(0)
    assert all(sample_pose(rng, ["sit"]).seated for _ in range(20))
    assert 0.2 < np.mean([sample_pose(rng, ["stand", "sit"]).seated for _ in range(400)]) < 0.35, "13 to 34"
    facing = _source(num_images=60, max_people=1, activities=["stand"], max_yaw=20.0, min_height=0.6)
    hips = [COCO17.joints.index(f"{side}_hip") for side in ("left", "right")]
    people = [p for index in range(60) for p in facing.load(index).keypoints if p[hips].all()]
    assert len(people) > 10
    assert all(left > right for left, right in (person[hips, 0] for person in people)), "left is on the right"


def test_annotations_are_consistent(truth: dict):
    height, width = _SIZE
    flags = Counter()
    for person in truth["annotations"]:
        x, y, across, down = person["bbox"]
        assert x >= 0
        assert y >= 0
        assert x + across <= width
        assert y + down <= height
        assert 0.0012 * height * width < person["area"] <= across * down
        joints = np.array(person["keypoints"]).reshape(-1, 3)
        flags.update(joints[:, 2].astype(int).tolist())
        assert not joints[joints[:, 2] == 0, :2].any()
        visible = joints[joints[:, 2] == 2, :2] + 0.5  # centres of pixels to COCO's corners
        assert (visible > np.array([x, y]) - 1).all()
        assert (visible < np.array([x + across, y + down]) + 1).all()
    share = {flag: count / flags.total() for flag, count in flags.items()}
    assert 0.02 < share[0] < 0.2
    assert 0.2 < share[1] < 0.5


def test_a_perfect_prediction_scores_one(truth: dict, capsys: pytest.CaptureFixture[str]):
    ground_truth = COCO()
    ground_truth.dataset = truth
    ground_truth.createIndex()
    results = [
        {key: person[key] for key in ("image_id", "category_id", "keypoints")} | {"score": 0.9}
        for person in truth["annotations"]
    ]
    evaluation = COCOeval(ground_truth, ground_truth.loadRes(results), "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)
    capsys.readouterr()  # pycocotools prints


def test_left_is_left():
    front, _ = _standing(yaw=0.0)
    back, _ = _standing(yaw=180.0)
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "eye", "ear"):
        assert front[f"left_{joint}"][0] > front[f"right_{joint}"][0]  # somebody who faces us
        assert back[f"left_{joint}"][0] < back[f"right_{joint}"][0]


def test_a_mirrored_pose_is_the_mirrored_figure():
    pose = sample_pose(np.random.default_rng(3), list(ACTIVITIES))
    mirrored = replace(
        pose,
        pelvis=pose.pelvis * (1, -1),
        spine=pose.spine * (1, -1, -1),
        head=pose.head * (1, -1, -1),
        arms=pose.arms[::-1].copy(),
        legs=pose.legs[::-1].copy(),
    )
    figure, _ = _standing(yaw=30.0, pose=pose)
    image, _ = _standing(yaw=-30.0, pose=mirrored)
    points = np.stack([figure[joint] for joint in COCO17.joints])
    reflected = np.stack([image[COCO17.joints[k]] for k in COCO17.flip_indices])
    np.testing.assert_allclose(reflected, points * (-1, 1) + (400, 0), atol=1e-6)


def test_the_face_is_hidden_from_behind():
    front, back = _seen(*_standing(yaw=0.0)), _seen(*_standing(yaw=180.0))
    assert all(front.values())
    assert not any(back[joint] for joint in ("nose", "left_eye", "right_eye"))
    assert all(back[joint] for joint in COCO17.joints[5:])


def test_the_far_side_is_hidden_in_profile():
    seen = _seen(*_standing(yaw=90.0))  # faces the right of the image: the left side is away from us
    assert seen["right_shoulder"]
    assert seen["right_eye"]
    assert not any(seen[f"left_{joint}"] for joint in ("shoulder", "hip", "ear", "eye"))


def test_an_arm_behind_the_back_is_hidden_from_the_front():
    arms = np.tile((-38.0, 16, -80, 60), (2, 1))
    pose = replace(_STANDING, arms=arms)
    assert not _seen(*_standing(yaw=0.0, pose=pose))["left_wrist"]
    assert _seen(*_standing(yaw=180.0, pose=pose))["left_wrist"]


def test_what_covers_a_person_hides_its_joints():
    figure, layer = _standing(yaw=0.0)
    assert not any(_seen(figure, layer, shown=np.zeros_like(layer.mask)).values())
    shown = layer.mask.copy()
    shown[layer.labels.shape[0] // 2 :] = False
    half = _seen(figure, layer, shown)
    assert half["left_shoulder"]
    assert not half["left_knee"]


def test_shapes_are_drawn_where_they_are():
    errors = []
    for center in np.random.default_rng(0).uniform(30, 70, (60, 2)):
        polygons = shaded_capsules(center[None], center[None], np.array([[14.0, 14.0]]), _NO_LIGHT)[0]
        layer = draw([Stroke(0.0, 1, polygons[:1])], (100, 120))
        assert layer is not None
        rows, columns = np.nonzero(layer.labels)
        errors.append((columns.mean() + layer.x - center[0], rows.mean() + layer.y - center[1]))
    assert np.abs(errors).max() < 0.5  # OpenCV rounds corners to pixels of the canvas, half as big as the image's
    assert np.abs(np.mean(errors, axis=0)).max() < 0.08


def test_the_picture_shows_points_where_keypoints_say():
    canvas = np.zeros((80, 100, 3), np.uint8)
    canvas[31:42, 50:61] = 255  # a square around (55, 36)
    picture = to_picture(canvas)[..., 0].astype(np.float64)
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    middle = np.array([[(picture * columns).sum(), (picture * rows).sum()]]) / picture.sum()
    np.testing.assert_allclose(to_image(np.array([[55.0, 36.0]])), middle, atol=0.05)


def test_other_keypoint_sets():
    sample = _source(skeleton=CROWDPOSE14, seed=6).load(1)
    assert sample.keypoints.shape[1:] == (14, 2)
    unknown = replace(CROWDPOSE14, joints=("tail", *CROWDPOSE14.joints[1:]), flip_pairs=(), limbs=())
    with pytest.raises(ValueError, match="tail"):
        _source(skeleton=unknown)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("num_images", 0), ("image_size", (16, 64)), ("max_people", 9), ("seed", -1), ("min_height", 0.0)),
        *(("max_things", -1), ("colors", "grey"), ("activities", ["swim"]), ("activities", []), ("max_yaw", 181.0)),
    ],
)
def test_arguments_out_of_range_are_named(field: str, value: object):
    with pytest.raises(ValueError, match=field):
        _source(**{field: value})
    with pytest.raises(IndexError):
        _source().load(12)
