from dataclasses import replace

import numpy as np
import pytest
from sources import SIZE, NoiseSource, published

from rtmo.data.picture import Picture
from rtmo.data.pipeline import TrainDataset, ValDataset
from rtmo.data.transforms import Transform
from rtmo.errors import InputError
from rtmo.phases import Phases


def dataset(**options):
    given = {
        "source": NoiseSource(),
        "image_size": SIZE,
        "augment": published(),
        "phases": Phases(refine_start=0.25, light_start=0.5),
        "max_epochs": 4,
        "seed": 3,
    }
    return TrainDataset(**{**given, **options})


def assert_equal(first, second):
    for field in ("image", "bboxes", "keypoints", "visibility", "annotated", "area", "warp"):
        np.testing.assert_array_equal(getattr(first.sample, field), getattr(second.sample, field))
    assert first.original_size == second.original_size


def test_a_sample_is_a_function_of_seed_epoch_and_index():
    one, other = dataset(), dataset()
    one[0, 2], one[3, 4]  # a past that must not matter
    for key in ((0, 1), (3, 1)):
        assert_equal(one[key], other[key])
    images = [dataset(seed=seed)[epoch, index].sample.image.tobytes() for seed, epoch, index in
              ((3, 0, 1), (4, 0, 1), (3, 1, 1), (3, 0, 2))]  # fmt: skip
    assert len(set(images)) == 4


def test_the_light_augmentation_takes_over_with_its_phase():
    items = [dataset()[epoch, 1] for epoch in range(4)]
    assert [item.sample.ignore_mask is not None for item in items] == [False, False, True, True]


def test_a_bare_index_means_the_first_epoch():
    assert_equal(dataset()[2], dataset()[0, 2])


@pytest.mark.parametrize("off", ["mosaic", "affine", "mixup", "colour", "flip", "filter"])
def test_any_step_can_be_switched_off(off):
    augment = published()
    augment["main"][off] = None
    item = dataset(augment=augment)[0, 3]
    assert item.sample.image_size == SIZE
    assert item.original_size == NoiseSource().load(3).image_size


def test_without_steps_images_are_letterboxed():
    plain = dataset(augment={"main": {}, "light": {}})[0, 3].sample
    np.testing.assert_array_equal(plain.image, ValDataset(source=NoiseSource(), image_size=SIZE)[3].sample.image)


class Watcher(Transform):
    """A step of somebody else's, that asks for another image as well."""

    def __call__(self, sample, rng, draw):
        assert isinstance(sample.image, np.ndarray)
        assert isinstance(draw(rng).image, np.ndarray)
        return sample


class UndrawnNoise(NoiseSource):
    def load_undrawn(self, index, with_ignore_mask=False):
        sample = self.load(index, with_ignore_mask)
        return replace(sample, image=Picture.of(sample), ignore_mask=None)


@pytest.mark.parametrize("place", range(4))
def test_steps_that_do_not_say_otherwise_get_arrays(place):
    augment = published()
    steps = list(augment["main"].items())
    augment["main"] = dict([*steps[:place], ("watcher", Watcher()), *steps[place:]])
    undrawn = dataset(augment=augment, source=UndrawnNoise())[0, 3]
    assert_equal(undrawn, dataset(augment=augment)[0, 3])
    assert isinstance(undrawn.sample.image, np.ndarray)


def test_undrawn_images_change_nothing():
    for key in ((0, 1), (3, 1)):
        assert_equal(dataset(source=UndrawnNoise())[key], dataset()[key])


def test_validation_shows_every_image_plainly():
    shown = ValDataset(source=NoiseSource(), image_size=SIZE)
    assert len(shown) == 5
    item = shown[3]
    original = NoiseSource().load(3)
    assert item.sample.image_id == original.image_id
    assert item.original_size == original.image_size
    expected = np.einsum("ij,gkj->gki", item.sample.warp[:, :2], original.keypoints) + item.sample.warp[:, 2]
    np.testing.assert_allclose(item.sample.keypoints, expected, atol=1e-4)


@pytest.mark.parametrize("build", [dataset, lambda **options: ValDataset(source=NoiseSource(), **options)])
def test_image_size_must_fit_the_strides(build):
    with pytest.raises(InputError, match="image_size"):
        build(image_size=(100, 64))
