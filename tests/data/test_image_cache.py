import gc
import json
import logging
import multiprocessing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sources import NoiseSource, published, spotted
from torch.utils.data import DataLoader, Dataset

from rtmo.data.coco_pose import CocoPose
from rtmo.data.datamodule import PoseDataModule
from rtmo.data.image_cache import ImageCache
from rtmo.data.image_file import ImageFile
from rtmo.data.picture import Picture, StoredImage
from rtmo.errors import InputError
from rtmo.phases import Phases
from rtmo.skeletons import COCO17

SIZE = (60, 80)
PIXELS = 3 * SIZE[0] * SIZE[1]

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.fixture
def source(tmp_path):
    """Eight JPEG files and nobody in them."""
    rng = np.random.default_rng(0)
    for number in range(8):
        image = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), image)
    content = {
        "images": [
            {"id": number, "file_name": f"{number}.jpg", "height": SIZE[0], "width": SIZE[1]} for number in range(8)
        ],
        "annotations": [],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }
    (tmp_path / "people.json").write_text(json.dumps(content))
    return CocoPose(
        name="files",
        annotation_file=tmp_path / "people.json",
        image_dir=tmp_path,
        skeleton=COCO17,
        drop_empty=False,
    )


def cache_of(images, count=8):
    """A cache in which so many images of SIZE fit."""
    empty = ImageCache(num_images=count, max_bytes=0).used_bytes
    return ImageCache(num_images=count, max_bytes=empty + images * (PIXELS + 16))


class Images(Dataset):
    """The images of a source, by way of a cache."""

    def __init__(self, source, cache, scale=1.0):
        self.source, self.cache, self.scale = source, cache, scale

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        sample = self.cache.keep(self.source.load_undrawn(index), index)
        size = tuple(int(side * self.scale) for side in SIZE)
        return sample.image.warped(np.array([[self.scale, 0, 0], [0, self.scale, 0]]), size).draw()[0].copy()


def shown(source, cache, scale=1.0):
    images = Images(source, cache, scale)
    return [images[index] for index in range(len(images))]


def of_workers(source, cache, method, order):
    loader = DataLoader(
        Images(source, cache), batch_size=1, sampler=order, num_workers=2, multiprocessing_context=method
    )
    return {index: batch[0].numpy() for index, batch in zip(order, loader, strict=True)}


def without_files(source, folder):
    """What the files hold, and then they are gone."""
    expected = [source.load(index).image for index in range(len(source))]
    for file in folder.glob("*.jpg"):
        file.unlink()
    return expected


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_share_what_one_of_them_decoded(source, tmp_path, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    cache = cache_of(8)
    forward = list(range(8))
    of_workers(source, cache, method, forward)  # one has the even images, the other the odd ones
    assert len(cache) == 8
    expected = without_files(source, tmp_path)
    order = [1, 0, 3, 2, 5, 4, 7, 6]
    for index, image in of_workers(source, cache, method, order).items():
        np.testing.assert_array_equal(image, expected[index])


def test_images_stay_over_epochs_and_files_are_read_once(source, tmp_path):
    cache = cache_of(8)
    first = shown(source, cache)
    expected = without_files(source, tmp_path)
    for again in (first, shown(source, cache)):
        np.testing.assert_array_equal(again, expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_limit_holds_and_the_rest_is_decoded(source, caplog, workers):
    cache = cache_of(3)
    limit = cache.used_bytes + 3 * (PIXELS + 16)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            images = (
                of_workers(source, cache, "fork", list(range(8))) if workers else dict(enumerate(shown(source, cache)))
            )
    assert len(cache) == 3
    assert cache.used_bytes == limit
    for index, image in images.items():
        np.testing.assert_array_equal(image, source.load(index).image)
    if not workers:  # the log of workers is their own
        assert caplog.text.count("full with 3 decoded images") == 1


def test_reduced_images_are_kept_apart(source, tmp_path):
    scales = (1.0, 0.5, 0.2)
    expected = [shown(source, cache_of(0), scale) for scale in scales]
    cache = cache_of(16)
    first = [shown(source, cache, scale) for scale in scales]
    without_files(source, tmp_path)
    for kept in (first, [shown(source, cache, scale) for scale in scales]):
        for ours, plain in zip(kept, expected, strict=True):
            np.testing.assert_array_equal(ours, plain)
    assert len(cache) == 24


def test_a_file_that_comes_whole_at_every_scale_takes_memory_once(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    file = tmp_path / "noise.png"
    cv2.imwrite(str(file), noise)
    image = ImageFile(file, SIZE, False, tmp_path / "people.json")
    cache = cache_of(1)
    for scale in (2, 1, 4):
        np.testing.assert_array_equal(cache.read(image, 3, scale), noise)
    assert len(cache) == 1
    file.unlink()
    for scale in (1, 2, 4):
        np.testing.assert_array_equal(cache.read(image, 3, scale), noise)


class Decoded(StoredImage):
    """An image whose pixels a function makes."""

    image_size = SIZE

    def __init__(self, decode):
        self.decode = decode

    def read(self, reduction=1):
        return self.decode()


def test_an_image_whose_worker_died_is_decoded():
    class Dying(np.ndarray):
        def ravel(self, order="C"):
            raise KeyboardInterrupt

    cache, pixels = cache_of(2), np.full((*SIZE, 3), 7, dtype=np.uint8)
    with pytest.raises(KeyboardInterrupt):
        cache.read(Decoded(lambda: pixels.view(Dying)), 0, 1)
    for _ in range(2):
        assert cache.read(Decoded(lambda: pixels), 0, 1) is pixels
        np.testing.assert_array_equal(cache.read(Decoded(lambda: pixels + 1), 1, 1), pixels + 1)
    assert len(cache) == 1


def test_an_image_that_two_decode_at_once_takes_memory_once():
    cache, pixels = cache_of(2), np.full((*SIZE, 3), 7, dtype=np.uint8)
    empty = cache.used_bytes
    cache.read(Decoded(lambda: cache.read(Decoded(lambda: pixels), 0, 1)), 0, 1)
    assert cache.used_bytes == empty + PIXELS + 16


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux tells it")
def test_its_memory_goes_with_it():
    def files():
        gc.collect()
        links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
        return sum("rtmo_image_cache" in str(link.readlink()) for link in links)

    before = files()
    cache = cache_of(2)
    assert files() > before
    del cache
    assert files() == before


def test_what_is_in_the_cache_cannot_be_overwritten(source):
    cache = cache_of(8)
    for _ in range(2):
        sample = cache.keep(source.load_undrawn(0), 0).drawn()
    with pytest.raises(ValueError, match="read-only"):
        sample.image[:] = 0


def test_images_that_are_loaded_at_once_are_not_kept():
    cache, sample = cache_of(1), NoiseSource().load_undrawn(1)
    assert cache.keep(sample, 1) is sample
    size = sample.image_size
    mosaic = replace(sample, image=Picture.overlay([Picture.of(spotted((5, 5), (9, 9))), Picture.of(sample)], size))
    assert cache.keep(mosaic, 1) is mosaic


def test_more_than_the_machine_has_is_refused():
    with pytest.raises(InputError, match=r"cache_gb: 1000000\.0 GB .* this machine has"):
        ImageCache(num_images=1, max_bytes=10**15)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_training_batches_do_not_depend_on_it(source, num_workers):
    def epochs(**options):
        data = PoseDataModule(
            train=source,
            val=source,
            image_size=(64, 64),
            batch_size=4,
            seed=0,
            phases=Phases(refine_start=0.0, light_start=0.5),
            augment=published(),
            **options,
        )
        data.max_epochs = 4
        for epoch in range(4):
            loader = data.train_dataloader()
            loader.sampler.set_epoch(epoch)
            yield from (batch.images.numpy() for batch in loader)

    plain = epochs(num_workers=0)
    for ours, expected in zip(epochs(num_workers=num_workers, cache_gb=0.001), plain, strict=True):
        np.testing.assert_array_equal(ours, expected)
