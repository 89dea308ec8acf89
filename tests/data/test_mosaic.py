import numpy as np
import pytest
from sources import SPOT, always, never, spots_in, spotted

from rtmo.data.mosaic import Mosaic, MosaicParams

GREY = np.full(3, 114)


def plain(colour, size=(64, 64)):
    sample = spotted((10, 10), (20, 20), size=size, ignore=True)
    sample.image[:] = colour
    return sample


def test_the_four_places():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9)]
    canvas = Mosaic(image_size=(64, 64)).apply([plain(colour) for colour in colours], MosaicParams(x=70, y=40)).drawn()
    assert canvas.image_size == (128, 128)
    for colour, (y, x) in zip(colours, [(0, 6), (39, 70), (40, 69), (103, 127)], strict=True):
        np.testing.assert_array_equal(canvas.image[y, x], colour)
    np.testing.assert_array_equal(canvas.image[104:], np.broadcast_to(GREY, (24, 128, 3)))
    np.testing.assert_array_equal(canvas.image[:, :6], np.broadcast_to(GREY, (128, 6, 3)))


@pytest.mark.parametrize("place", range(4))
def test_annotations_follow_the_pixels(place):
    samples = [plain(114) for _ in range(4)]
    samples[place] = spotted(left=(50, 40), right=(75, 60), ignore=True)
    result = Mosaic(image_size=(128, 128)).apply(samples, MosaicParams(x=140, y=120)).drawn()
    np.testing.assert_allclose(spots_in(result.image), result.keypoints[place], atol=0.6)  # cv2.resize: half a pixel
    x1, y1, x2, y2 = result.bboxes[place]
    np.testing.assert_allclose((x1, y1), result.keypoints[place][0], atol=1e-4)
    assert result.ignore_mask[int(y1) + 2 : int(y2) - 2, int(x1) + 2 : int(x2) - 2].all()
    np.testing.assert_allclose(result.area[place], 100)
    if place == 0:
        np.testing.assert_allclose(result.warp @ (50, 40, 1), result.keypoints[0, 0], atol=1e-4)


def test_images_are_fitted_and_cut():
    large = spotted(left=(10, 10), right=(250, 150), size=(160, 256))
    result = Mosaic(image_size=(128, 128)).apply([large] * 4, MosaicParams(x=100, y=100))
    np.testing.assert_allclose(result.area, np.full(4, 25.0))
    # Top left: 128 px wide up to x = 100, so that its left keypoint is cut off.
    np.testing.assert_allclose(result.keypoints[0], [[100 - 128 + 5, 100 - 80 + 5], [97, 95]])
    np.testing.assert_array_equal(result.visibility[0], [0, 1])
    np.testing.assert_allclose(result.bboxes[0], (0, 25, 97, 95))


def test_the_meeting_point_is_drawn_from_its_range():
    mosaic, rng = Mosaic(image_size=(64, 96)), np.random.default_rng(0)
    points = np.array([(p.x, p.y) for p in (mosaic.draw(rng) for _ in range(1000))])
    assert (points.min(0) >= (48, 32)).all()
    assert (points.min(0) <= (50, 34)).all()
    assert (points.max(0) < (144, 96)).all()
    assert (points.max(0) >= (141, 93)).all()


def test_probability():
    sample = plain(0)
    assert Mosaic(image_size=(64, 64), prob=0.0)(sample, np.random.default_rng(0), never) is sample
    result = Mosaic(image_size=(64, 64))(sample, np.random.default_rng(0), always(plain(9)))
    assert result.num_people == 4
    assert result.keypoints.shape[1] == SPOT.num_keypoints


def test_no_mask_where_nobody_asked():
    samples = [spotted((10, 10), (20, 20)) for _ in range(4)]
    assert Mosaic(image_size=(64, 64)).apply(samples, MosaicParams(x=64, y=64)).drawn().ignore_mask is None
