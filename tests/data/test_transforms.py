import numpy as np
import pytest
from sources import SPOT, NoiseSource, never, spots_in, spotted

from rtmo.data.affine import RandomAffine
from rtmo.data.letterbox import LightAffine
from rtmo.data.mixup import MixUp
from rtmo.data.mosaic import Mosaic
from rtmo.data.transforms import Filter, Flip, check_image_size, concatenate, then
from rtmo.errors import InputError
from rtmo.skeletons import COCO17


def test_flip_moves_pixels_and_swaps_sides():
    before = spotted(left=(20, 30), right=(90, 50), ignore=True)
    after = Flip(skeleton=SPOT).apply(before)
    # The blue spot was the left one; in the mirror it is the right.
    np.testing.assert_array_equal(after.keypoints, [[[127 - 90, 50], [127 - 20, 30]]])
    np.testing.assert_allclose(spots_in(after.image)[::-1], after.keypoints[0], atol=0.01)
    np.testing.assert_array_equal(after.visibility, [[1, 2]])
    np.testing.assert_array_equal(after.bboxes, [[37, 30, 107, 50]])
    np.testing.assert_array_equal(np.argwhere(after.ignore_mask).min(0), (30, 37))
    np.testing.assert_allclose(after.warp @ (20, 30, 1), (107, 30))


def test_flipping_twice_changes_nothing():
    before = NoiseSource().load(3, with_ignore_mask=True)
    flip = Flip(skeleton=COCO17)
    after = flip.apply(flip.apply(before))
    for field in ("image", "visibility", "annotated", "ignore_mask"):
        np.testing.assert_array_equal(getattr(after, field), getattr(before, field))
    np.testing.assert_allclose(after.keypoints, before.keypoints, atol=1e-5)
    np.testing.assert_allclose(after.bboxes, before.bboxes, atol=1e-5)
    np.testing.assert_allclose(after.warp, np.eye(2, 3))


@pytest.mark.parametrize(("prob", "expected"), [(0.0, 0), (1.0, 200), (0.25, 50)])
def test_flip_probability(prob, expected):
    flip, sample, rng = Flip(skeleton=SPOT, prob=prob), spotted((20, 30), (90, 50)), np.random.default_rng(0)
    flipped = sum(flip(sample, rng, never) is not sample for _ in range(200))
    assert abs(flipped - expected) <= 15 * (0 < prob < 1)


def test_filter_keeps_who_can_be_learned_from():
    people = NoiseSource().load(3)
    people.bboxes[:] = [[0, 0, 10, 10], [0, 0, 1, 10], [0, 0, 10, 10]]
    people.visibility[2] = 0
    kept = Filter()(people, np.random.default_rng(0), never)
    np.testing.assert_array_equal(kept.keypoints, people.keypoints[:1])
    people.visibility[:] = 0
    assert Filter()(people, np.random.default_rng(0), never).num_people == 0  # the image stays, as a negative


def test_maps_compose_in_order():
    double, shift = np.array([[2.0, 0, 0], [0, 2, 0]]), np.array([[1.0, 0, 5], [0, 1, 7]])
    np.testing.assert_array_equal(then(shift, double), [[2, 0, 5], [0, 2, 7]])
    np.testing.assert_array_equal(then(double, shift), [[2, 0, 10], [0, 2, 14]])
    np.testing.assert_array_equal(then(double, None), double)


def test_concatenate_keeps_the_first_image():
    first, second = NoiseSource().load(1), NoiseSource().load(2)
    both = concatenate([first, second])
    assert both.num_people == 3
    assert both.image is first.image
    assert both.image_id == first.image_id
    np.testing.assert_array_equal(both.area, [*first.area, *second.area])


@pytest.mark.parametrize(("size", "nearest"), [((650, 640), "640 x 640 and 672 x 640"), ((64, 30), "64 x 32")])
def test_image_size_must_fit_the_strides(size, nearest):
    with pytest.raises(InputError, match=f"image_size .*{nearest}"):
        check_image_size(size)
    assert check_image_size([96, 64]) == (96, 64)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Flip(skeleton=SPOT, prob=1.5), "prob"),
        (lambda: Mosaic(image_size=(64, 64), prob=-0.1), "prob"),
        (lambda: Mosaic(image_size=(64, 64), centre=(0.5,)), "centre"),
        (lambda: MixUp(image_size=(64, 64), skeleton=SPOT, flip_prob=2.0), "flip_prob"),
        (lambda: MixUp(image_size=(64, 64), skeleton=SPOT, scale=(1.6, 0.8)), "scale"),
        (lambda: RandomAffine(image_size=(64, 64), scale=(0.0, 1.0)), "scale"),
        (lambda: LightAffine(image_size=(64, 64), scale=(1.0, 0.5)), "scale"),
    ],
)
def test_impossible_amounts_are_errors(build, message):
    with pytest.raises(InputError, match=message):
        build()
