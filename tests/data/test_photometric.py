import albumentations as A  # noqa: N812
import cv2
import numpy as np
import pytest
from sources import NoiseSource, never

from rtmo.data.photometric import Albumentations, HSVJitter
from rtmo.errors import InputError


class Recorder(A.ImageOnlyTransform):
    """Keeps what it sees."""

    def apply(self, img, **params):
        self.seen = img.copy()
        return img


def test_users_transforms_see_rgb_and_the_result_is_bgr():
    recorder = Recorder(p=1.0)
    before = NoiseSource().load(1)
    after = Albumentations(transforms={"recorder": recorder})(before, np.random.default_rng(0), never)
    np.testing.assert_array_equal(recorder.seen, before.image[..., ::-1])
    np.testing.assert_array_equal(after.image, before.image)


def test_pixels_depend_on_the_generator_alone():
    steps = [
        Albumentations(transforms={"noise": A.GaussNoise(p=0.9), "one_of": A.OneOf([A.ToGray(), A.RGBShift()], p=0.8)})
        for _ in range(2)
    ]
    sample = NoiseSource().load(1)
    steps[0](sample, np.random.default_rng(99), never)  # a past that must not matter
    images = [[step(sample, np.random.default_rng(seed), never).image for seed in range(4)] for step in steps]
    np.testing.assert_array_equal(images[0], images[1])
    assert len({image.tobytes() for image in images[0]}) > 1


@pytest.mark.parametrize(
    "spatial", [A.HorizontalFlip(), A.Rotate(), A.OneOf([A.Blur(), A.RandomCrop(8, 8)]), A.CoarseDropout()]
)
def test_geometry_is_refused(spatial):
    with pytest.raises(InputError, match=r"transforms\.mine: .*no pixel-level transform.*Flip"):
        Albumentations(transforms={"fine": A.Blur(), "mine": spatial})


def test_null_removes_a_transform():
    sample = NoiseSource().load(1)
    after = Albumentations(transforms={"noise": None})(sample, np.random.default_rng(0), never)
    np.testing.assert_array_equal(after.image, sample.image)


def test_normalizing_is_refused():
    step = Albumentations(transforms={"normalize": A.Normalize()})
    with pytest.raises(InputError, match=r"float32.*remove transforms that normalize"):
        step(NoiseSource().load(1), np.random.default_rng(0), never)


def test_shifts_in_hsv():
    rgb = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(int)
    expected = np.stack([(hsv[..., 0] - 4) % 180, (hsv[..., 1] + 25).clip(0, 255), (hsv[..., 2] - 30).clip(0, 255)], -1)
    expected = cv2.cvtColor(expected.astype(np.uint8), cv2.COLOR_HSV2RGB)
    np.testing.assert_array_equal(HSVJitter().apply(rgb, (-4, 25, -30)), expected)


def test_each_channel_has_a_coin_of_its_own():
    jitter = HSVJitter(hue=50, saturation=30, value=40)
    jitter.set_random_seed(0)
    shifts = np.array([jitter.get_params()["shifts"] for _ in range(2000)])
    np.testing.assert_allclose((shifts == 0).mean(0), 0.5, atol=0.06)  # a shift below one step is none, too
    on = shifts != 0
    np.testing.assert_allclose((on[:, 0] & on[:, 1]).mean(), 0.25, atol=0.05)
    assert (np.abs(shifts).max(0) < (50, 30, 40)).all()
    assert (np.abs(shifts).max(0) >= (48, 28, 38)).all()
    assert not np.array([HSVJitter(gate_prob=0.0).get_params()["shifts"] for _ in range(20)]).any()
