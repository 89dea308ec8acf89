import json

import numpy as np
import pytest
from sources import NoiseSource, never, spots_in, spotted

from rtmo.data.image_file import read_image
from rtmo.data.letterbox import Letterbox, LightAffine, LightParams, fitted, truncated_normal
from rtmo.types import Sample


def image_only(image):
    return Sample(
        image=image,
        bboxes=np.zeros((0, 4), dtype=np.float32),
        keypoints=np.zeros((0, 17, 2), dtype=np.float32),
        visibility=np.zeros((0, 17), dtype=np.uint8),
        annotated=np.zeros((0, 17), dtype=bool),
        area=np.zeros(0, dtype=np.float32),
        image_id=0,
    )


def test_agrees_with_the_reference(shared_dir):
    pixels, samples = shared_dir / "golden" / "pixels", shared_dir / "data" / "samples" / "coco"
    expected = np.load(pixels / "test_pipeline.npz")
    letterbox = Letterbox(image_size=(640, 640))
    for row, meta in enumerate(json.loads((pixels / "test_pipeline.json").read_text())["images"]):
        sample = letterbox.apply(image_only(read_image(samples / meta["file"])), LightParams()).drawn()
        np.testing.assert_allclose(sample.warp, expected[f"{row}/warp"], atol=1e-12)
        difference = np.abs(sample.image.transpose(2, 0, 1).astype(int) - expected[f"{row}/uint8_chw"])
        # OpenCV 5 rounds some of the half-pixel paddings otherwise than the OpenCV 4 behind these pixels.
        assert difference.max() <= 1


@pytest.mark.parametrize("params", [
    LightParams(),
    LightParams(shift=(0.1, -0.05)),
    LightParams(scale=1.3),
    LightParams(rotation=25.0),
    LightParams(shift=(-0.1, 0.05), scale=0.8, rotation=-20.0),
])  # fmt: skip
def test_annotations_follow_the_pixels(params):
    before = spotted(left=(50, 40), right=(75, 60), ignore=True)
    after = LightAffine(image_size=(192, 160)).apply(before, params).drawn()
    assert after.image_size == (192, 160)
    np.testing.assert_allclose(spots_in(after.image), after.keypoints[0], atol=0.3)
    np.testing.assert_allclose(np.c_[before.keypoints[0], (1, 1)] @ after.warp.T, after.keypoints[0], atol=1e-4)
    growth = np.linalg.det(after.warp[:, :2])
    np.testing.assert_allclose(after.area, before.area * growth, rtol=1e-5)
    np.testing.assert_allclose(after.ignore_mask.sum(), before.ignore_mask.sum() * growth, rtol=0.06)


def test_a_positive_rotation_turns_against_the_clock():
    after = LightAffine(image_size=(96, 96)).apply(
        spotted((60, 40), (70, 40), size=(96, 96)), LightParams(rotation=90.0)
    )
    left, right = after.keypoints[0]
    np.testing.assert_allclose(right - left, (0, -10), atol=1e-4)


def test_a_larger_frame_makes_people_smaller():
    sizes = [
        LightAffine(image_size=(96, 128)).apply(spotted((50, 40), (75, 60)), LightParams(scale=scale)).area[0]
        for scale in (0.75, 1.0, 1.5)
    ]
    assert sizes == sorted(sizes, reverse=True)


def test_what_leaves_the_image_becomes_unlabeled():
    after = LightAffine(image_size=(96, 128)).apply(spotted((5, 40), (75, 60)), LightParams(shift=(0.1, 0.0)))
    np.testing.assert_array_equal(after.visibility, [[0, 1]])
    assert after.bboxes[0, 0] == 0


def test_draws_stay_in_their_ranges():
    light, rng = LightAffine(image_size=(64, 64), shift=0.2, rotation=30.0, scale=(0.75, 1.5)), np.random.default_rng(0)
    draws = [light.draw(rng) for _ in range(2000)]
    for values, low, high in (
        ([each.shift[0] for each in draws], -0.2, 0.2),
        ([each.shift[1] for each in draws], -0.2, 0.2),
        ([each.scale for each in draws], 0.75, 1.5),
        ([each.rotation for each in draws], -30, 30),
    ):
        reach = high - low
        assert low <= min(values) < low + 0.05 * reach
        assert high - 0.05 * reach < max(values) <= high
        # A normal distribution cut at one sigma has the standard deviation .54, a uniform one .577.
        np.testing.assert_allclose(np.std(values), 0.5396 * reach / 2, rtol=0.04)


def test_truncated_normal_is_centred():
    rng = np.random.default_rng(0)
    assert abs(np.mean([truncated_normal(rng) for _ in range(4000)])) < 0.03


def test_letterbox_draws_nothing():
    first = Letterbox(image_size=(64, 64))(NoiseSource().load(3), np.random.default_rng(0), never).drawn()
    second = Letterbox(image_size=(64, 64))(NoiseSource().load(3), np.random.default_rng(1), never).drawn()
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.keypoints, second.keypoints)


def test_fitted_leaves_what_fits():
    sample = spotted((50, 40), (75, 60))
    assert fitted(sample, (96, 128)) is sample
    assert fitted(sample, (64, 64)).image_size == (64, 64)


def test_inputs_stay_unchanged():
    sample, untouched = NoiseSource().load(3, True), NoiseSource().load(3, True)
    LightAffine(image_size=(64, 64))(sample, np.random.default_rng(0), never).drawn()
    for field in ("image", "bboxes", "keypoints", "visibility", "area", "ignore_mask"):
        np.testing.assert_array_equal(getattr(sample, field), getattr(untouched, field))
