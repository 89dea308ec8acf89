import numpy as np
import pytest
from sources import SPOT, always, never, spots_in, spotted

from rtmo.data.mixup import MixUp, MixUpParams

PLAIN = {"scale": 1.0, "flip": False, "x": 0, "y": 0}


def mixup(**options):
    return MixUp(**{"image_size": (128, 128), "skeleton": SPOT, **options})


def grey():
    sample = spotted((10, 10), (20, 20), size=(128, 128))
    sample.image[:] = 114
    return sample


@pytest.mark.parametrize(
    "changes", [{}, {"scale": 0.8}, {"scale": 1.5, "x": 20, "y": 10}, {"flip": True}, {"scale": 0.9, "flip": True}]
)
def test_annotations_follow_the_pixels(changes):
    other = spotted(left=(50, 40), right=(75, 60), ignore=True)
    result = mixup().apply(grey(), other, MixUpParams(**{**PLAIN, **changes}))
    found = spots_in(result.image)  # blue was left, red right; a mirror makes it the other way round
    expected = result.keypoints[1][::-1] if changes.get("flip") else result.keypoints[1]
    np.testing.assert_allclose(found, expected, atol=0.7)  # cv2.resize: half a pixel
    np.testing.assert_allclose(result.area[1], 100 * changes.get("scale", 1) ** 2, rtol=1e-5)
    assert result.num_people == 2
    x1, y1, x2, y2 = result.bboxes[1].round().astype(int)
    assert result.ignore_mask[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].all()
    assert not result.ignore_mask[: y1 - 2].any()


def test_pixels_are_averaged_and_truncated():
    first, second = grey(), grey()
    first.image[:], second.image[:] = (255, 10, 3), (255, 20, 4)
    result = mixup().apply(first, second, MixUpParams(**PLAIN))
    np.testing.assert_array_equal(result.image[64, 64], (255, 15, 3))


def test_the_other_image_is_padded_with_grey():
    first, second = grey(), grey()
    first.image[:], second.image[:] = 0, 0
    result = mixup().apply(first, second, MixUpParams(**{**PLAIN, "scale": 0.75}))
    assert (result.image[:96, :96] == 0).all()
    assert (result.image[96:] == 57).all()


def test_ignored_is_what_either_image_ignores():
    first, second = (
        spotted(*spots, size=(128, 128), ignore=True) for spots in (((9, 9), (30, 30)), ((70, 70), (99, 99)))
    )
    result = mixup().apply(first, second, MixUpParams(**PLAIN))
    np.testing.assert_array_equal(result.ignore_mask, first.ignore_mask | second.ignore_mask)


def test_a_lone_image_is_not_mixed():
    sample = grey()
    empty = grey().select(np.array([False]))
    assert mixup()(sample, np.random.default_rng(0), always(empty)) is sample
    assert mixup(prob=0.0)(sample, np.random.default_rng(0), never) is sample
    assert mixup()(sample, np.random.default_rng(0), always(grey())).num_people == 2


def test_an_image_of_another_size_is_fitted_first():
    result = mixup().apply(spotted((5, 5), (9, 9), size=(64, 64)), grey(), MixUpParams(**PLAIN))
    assert result.image_size == (128, 128)
    np.testing.assert_allclose(result.keypoints[0], [[10, 10], [18, 18]])


def test_cuts_stay_inside_the_canvas():
    step, rng = mixup(scale=(0.5, 1.5)), np.random.default_rng(0)
    draws = [step.draw(rng) for _ in range(2000)]
    assert all(draw.x == draw.y == 0 for draw in draws if draw.scale < 1)
    surplus = [int(128 * draw.scale) - 128 for draw in draws if draw.scale >= 1]
    cuts = [draw.x for draw in draws if draw.scale >= 1]
    assert all(0 <= cut <= room for cut, room in zip(cuts, surplus, strict=True))
    assert any(cut == room > 10 for cut, room in zip(cuts, surplus, strict=True))
    np.testing.assert_allclose(np.mean([draw.flip for draw in draws]), 0.5, atol=0.05)
