import numpy as np
import pytest
import torch
from sources import NoiseSource

from rtmo.data.collate import collate
from rtmo.data.letterbox import fitted
from rtmo.data.pipeline import Item
from rtmo.errors import InputError


def items(*indices, masks=False):
    samples = [NoiseSource().load(index, with_ignore_mask=masks) for index in indices]
    return [Item(fitted(sample, (64, 64)).drawn(), sample.image_size) for sample in samples]


def test_people_are_padded_to_the_fullest_image():
    given = items(0, 1, 3)
    batch = collate(given)
    assert batch.images.shape == (3, 3, 64, 64)
    assert batch.images.dtype == torch.uint8
    np.testing.assert_array_equal(batch.targets.valid, [[0, 0, 0], [1, 0, 0], [1, 1, 1]])
    for row, item in enumerate(given):
        people = item.sample.num_people
        np.testing.assert_array_equal(batch.images[row].permute(1, 2, 0), item.sample.image)
        for field in ("bboxes", "keypoints", "visibility", "annotated", "area"):
            padded = getattr(batch.targets, field)[row]
            np.testing.assert_array_equal(padded[:people], getattr(item.sample, field))
            assert not padded[people:].any()
    assert batch.image_ids == [100, 101, 103]
    np.testing.assert_array_equal(batch.original_sizes, [item.original_size for item in given])
    np.testing.assert_allclose(batch.warps, [item.sample.warp for item in given], rtol=1e-6)
    assert batch.ignore_mask is None


def test_a_batch_without_people_has_one_empty_slot():
    batch = collate(items(0, 4))
    assert batch.targets.bboxes.shape == (2, 1, 4)
    assert not batch.targets.valid.any()


def test_images_are_channels_last_in_memory():
    assert collate(items(0, 1)).images.is_contiguous(memory_format=torch.channels_last)


def test_masks_only_where_there_is_something_to_ignore():
    given = items(1, masks=True) + items(2)
    np.testing.assert_array_equal(collate(given).ignore_mask[0], given[0].sample.ignore_mask)
    assert not collate(given).ignore_mask[1].any()
    given[0].sample.ignore_mask[:] = False
    assert collate(given).ignore_mask is None


def test_images_of_two_sizes_are_an_error():
    first, second = items(1)[0], Item(NoiseSource().load(1), (1, 1))
    with pytest.raises(InputError, match="one size"):
        collate([first, second])
