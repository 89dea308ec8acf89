from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from sources import spotted

from rtmo.data.image_file import ImageFile
from rtmo.data.picture import ArrayImage, Picture, StoredImage

NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
TURN = np.array([[0.9, -0.2, 12.0], [0.2, 0.9, -3.0]])


def pixels(picture):
    image, _ = picture.draw()
    return image


@dataclass
class Watched(StoredImage):
    """An image that notes how it is read."""

    image_size: tuple[int, int]
    read_at: list[int] = field(default_factory=list)

    def read(self, reduction=1):
        self.read_at.append(reduction)
        height, width = self.image_size
        return np.zeros((-(-height // reduction), -(-width // reduction), 3), dtype=np.uint8)


@pytest.fixture
def noise():
    return Picture.showing(ArrayImage(NOISE))


def test_an_image_that_nobody_moved_is_itself(noise):
    assert pixels(noise) is NOISE
    assert noise.image_size == (60, 80)


@pytest.mark.parametrize("size", [(60, 80), (90, 100), (31, 47), (200, 90)])
def test_resizing_is_opencvs(noise, size):
    np.testing.assert_array_equal(pixels(noise.resized(size)), cv2.resize(NOISE, size[::-1]))


def test_two_sizes_in_turn_are_one_interpolation(noise):
    twice = pixels(noise.resized((90, 120)).resized((60, 80)))
    np.testing.assert_array_equal(twice, NOISE)


def test_placing_cuts_and_leaves_grey(noise):
    canvas = pixels(noise.placed(-20, 30, (70, 100)))
    np.testing.assert_array_equal(canvas[30:70, :60], NOISE[:40, 20:])
    assert (canvas[:30] == 114).all()
    assert (canvas[:, 60:] == 114).all()


def test_what_was_cut_off_does_not_come_back(noise):
    canvas = pixels(noise.placed(-20, 0, (60, 40)).placed(20, 0, (60, 80)))
    np.testing.assert_array_equal(canvas[:, 20:60], NOISE[:, 20:60])
    assert (canvas[:, :20] == 114).all()
    assert (canvas[:, 60:] == 114).all()


def test_mirroring_is_opencvs(noise):
    np.testing.assert_array_equal(pixels(noise.mirrored()), cv2.flip(NOISE, 1))


@pytest.mark.parametrize("matrix", [TURN, [[6, 0, 10], [0, 6, 20]]])  # when it grows, its edges fade over some pixels
def test_warping_is_opencvs(noise, matrix):
    expected = cv2.warpAffine(NOISE, np.array(matrix, dtype=float), (500, 400), borderValue=(114, 114, 114))
    warped = pixels(noise.warped(np.array(matrix, dtype=float), (400, 500)))
    np.testing.assert_allclose(warped.astype(int), expected, atol=1)  # four channels are rounded otherwise than three


def test_what_was_cut_off_does_not_come_back_by_a_turn():
    white = Picture.showing(ArrayImage(np.full((60, 80, 3), 255, dtype=np.uint8))).placed(-40, 0, (60, 80))
    turn = np.array([[0.8, -0.6, 40.0], [0.6, 0.8, 0.0]])
    expected = cv2.warpAffine(pixels(white), turn, (110, 110), borderValue=(114, 114, 114))
    assert (
        np.abs(pixels(white.warped(turn, (110, 110))).astype(int) - expected) > 100
    ).mean() < 0.01  # edges, which fade there


def test_a_turned_picture_is_cut_off_where_it_ended(noise):
    turned = noise.warped(TURN, (70, 90))
    image, _ = turned.draw()
    again = np.array([[1.0, 0.0, 30.0], [0.0, 1.0, 10.0]])
    expected = cv2.warpAffine(image, again, (130, 90), borderValue=(114, 114, 114))
    np.testing.assert_array_equal(pixels(turned.warped(again, (90, 130))), expected)


def test_tiles_that_meet_leave_no_grey_between_them():
    white = Picture.showing(ArrayImage(np.full((64, 64, 3), 255, dtype=np.uint8)), np.ones((64, 64), dtype=bool))
    corners = [(0, 0), (64, 0), (0, 64), (64, 64)]
    canvas = Picture.overlay([white.placed(x, y, (128, 128)) for x, y in corners], (128, 128))
    image, ignored = canvas.warped(TURN, (128, 128)).draw()
    assert (image[40:90, 40:90] == 255).all()
    assert ignored[40:90, 40:90].all()


def test_the_ignore_mask_moves_along():
    sample = spotted(left=(50, 40), right=(75, 60), ignore=True)
    _, mask = Picture.of(sample).resized((192, 256)).placed(10, 20, (256, 256)).draw()
    np.testing.assert_allclose(mask.sum(), 4 * sample.ignore_mask.sum(), rtol=0.06)
    assert mask[110:138, 120:158].all()
    assert not Picture.of(spotted((5, 5), (9, 9))).draw()[1]


@pytest.mark.parametrize("move", [
    lambda picture: picture.placed(100, 0, (96, 96)),
    lambda picture: picture.placed(0, -60, (96, 96)).placed(0, 60, (96, 96)),
    lambda picture: picture.placed(0, -70, (96, 96)).placed(0, 70, (96, 96)),
    lambda picture: picture.placed(120, 0, (96, 96)).warped(TURN, (96, 96)),
    lambda picture: picture.warped(np.add(TURN, [[0, 0, 200], [0, 0, 0]]), (96, 96)),
])  # fmt: skip
def test_what_lies_outside_is_not_read(move):
    image = Watched((60, 80))
    assert (pixels(move(Picture.showing(image))) == 114).all()
    assert image.read_at == []


@pytest.mark.parametrize(("scale", "reduction"), [(1.2, 1), (0.51, 1), (0.5, 2), (0.26, 2), (0.25, 4), (0.1, 8)])
def test_no_more_pixels_are_read_than_can_be_seen(scale, reduction):
    image = Watched((60, 80))
    Picture.showing(image).warped(np.array([[scale, 0, 0], [0, scale, 0]]), (96, 96)).draw()
    Picture.showing(image).warped(np.array([[0, scale, 0], [-scale / 2, 0, 90]]), (96, 96)).draw()
    assert image.read_at == [reduction, reduction]


def test_a_turn_does_not_make_an_image_smaller():
    image = Watched((60, 80))
    Picture.showing(image).warped(0.6 * np.array([[0.8, -0.6, 50], [0.6, 0.8, 0]]), (96, 96)).draw()
    assert image.read_at == [1]


def middle(image):
    """(x, y) of a white spot on black, weighted by brightness; the grey around the image does not count."""
    weights = (image[..., 0].astype(float) - 120).clip(min=0)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


@pytest.mark.parametrize("scale", [0.5, 0.25, 0.125])
def test_reduced_pixels_stay_in_place(tmp_path, scale):
    height, width = 501, 643  # the last blocks of pixels are cut off
    y, x = np.mgrid[:height, :width]
    spot = 255 * np.exp(-((x - 410.3) ** 2 + (y - 299.6) ** 2) / (2 * 30**2))
    file = tmp_path / "spot.jpg"
    cv2.imwrite(str(file), np.repeat(spot[..., None], 3, axis=2).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 100])
    stored = ImageFile(file, (height, width), False, tmp_path / "people.json")
    reduction = int(1 / scale)
    assert stored.read(reduction).shape == (-(-height // reduction), -(-width // reduction), 3)
    small = Picture.showing(stored).warped(
        np.array([[scale, 0, 0], [0, scale, 0]]), (500 // reduction, 640 // reduction)
    )
    np.testing.assert_allclose(middle(pixels(small)), np.multiply((410.3, 299.6), scale), atol=0.05)
