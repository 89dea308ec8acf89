import numpy as np
import pytest
from sources import never, spots_in, spotted

from rtmo.data.affine import AffineParams, RandomAffine

NEUTRAL = {"translation": (0.0, 0.0), "scale": 1.0, "rotation": 0.0, "shear": (0.0, 0.0)}


def params(**changes):
    return AffineParams(**{**NEUTRAL, **changes})


@pytest.mark.parametrize("changes", [
    {},
    {"translation": (0.1, -0.1)},
    {"scale": 0.75},
    {"rotation": 10.0},
    {"shear": (2.0, -2.0)},
    {"translation": (-0.05, 0.1), "scale": 0.9, "rotation": -8.0, "shear": (-1.0, 2.0)},
])  # fmt: skip
@pytest.mark.parametrize("centered", [False, True])
def test_annotations_follow_the_pixels(changes, centered):
    spots = {"left": (110, 100), "right": (130, 125)} if centered else {"left": (50, 40), "right": (75, 60)}
    before = spotted(**spots, size=(256, 256), ignore=True)
    after = RandomAffine(image_size=(128, 128), centered=centered).apply(before, params(**changes)).drawn()
    assert after.image_size == (128, 128)
    np.testing.assert_allclose(spots_in(after.image), after.keypoints[0], atol=0.3)
    growth = np.linalg.det(after.warp[:, :2])
    np.testing.assert_allclose(after.area, before.area * growth, rtol=1e-5)
    np.testing.assert_allclose(after.ignore_mask.sum(), before.ignore_mask.sum() * growth, rtol=0.06)


def test_the_default_shows_the_top_left_quarter_and_centered_the_middle():
    canvas = spotted((30, 30), (140, 140), size=(256, 256))
    np.testing.assert_array_equal(RandomAffine(image_size=(128, 128)).apply(canvas, params()).visibility, [[2, 0]])
    middle = RandomAffine(image_size=(128, 128), centered=True).apply(canvas, params())
    np.testing.assert_array_equal(middle.visibility, [[0, 1]])
    np.testing.assert_array_equal(middle.keypoints[0, 1], (76, 76))


def test_a_positive_rotation_turns_with_the_clock():
    after = RandomAffine(image_size=(128, 128)).apply(
        spotted((60, 64), (70, 64), size=(256, 256)), params(rotation=90.0)
    )
    left, right = after.keypoints[0]
    np.testing.assert_allclose(right - left, (0, 10), atol=1e-4)


def test_an_image_that_is_no_mosaic_is_fitted_first():
    still = RandomAffine(image_size=(64, 64), translation=0.0, scale=(1.0, 1.0), rotation=0.0, shear=0.0)
    after = still(spotted((50, 40), (75, 60), size=(96, 128)), np.random.default_rng(0), never)
    np.testing.assert_allclose(after.keypoints, [[[25, 28], [37.5, 38]]])  # half the size, 8 px of grey above


def test_draws_stay_in_their_ranges():
    affine, rng = RandomAffine(image_size=(64, 64)), np.random.default_rng(0)
    draws = [affine.draw(rng) for _ in range(1000)]
    for values, low, high in (
        ([each.translation for each in draws], -0.1, 0.1),
        ([each.scale for each in draws], 0.75, 1.0),
        ([each.rotation for each in draws], -10, 10),
        ([each.shear for each in draws], -2, 2),
    ):
        assert low <= np.min(values) < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < np.max(values) <= high
