"""Training from shards shows what training from files shows, whatever is between them and us."""

import gzip
import hashlib
import io
import itertools
import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from coco_files import write_coco
from file_server import serve
from sources import SIZE, published

from rtmo.data.coco_pose import CocoPose
from rtmo.data.datamodule import PoseDataModule
from rtmo.data.mixture import Mixture
from rtmo.data.packing import pack
from rtmo.data.shards import ShardedImages
from rtmo.errors import InputError
from rtmo.phases import Phases
from rtmo.skeletons import COCO17

NAMES = ("one", "two")


def from_files(folder, name, **options):
    given = {"annotation_file": folder / f"{name}.json", "image_dir": folder / name, "skeleton": COCO17}
    return CocoPose(name=name, **{**given, **options})


def from_shards(address, name, cache="cache", **options):
    return ShardedImages(shards=str(address), cache_dir=cache, name=name, skeleton=COCO17, **options)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The folder of two data sets, and that of their shards."""
    folder = tmp_path_factory.mktemp("packed")
    for name, count in zip(NAMES, (12, 9), strict=True):
        write_coco(folder / f"{name}.json", folder / name, count)
    pack({name: from_files(folder, name) for name in NAMES}, folder / "set", shard_mb=0.01)
    return folder


@pytest.fixture
def copied(packed, tmp_path):
    """A copy of the shards that a test may damage."""
    return shutil.copytree(packed / "set", tmp_path / "set")


@pytest.fixture
def store(packed):
    with serve() as server:
        put(server, packed / "set")
        yield server


def put(server, folder):
    """Has the server show a shard set, and nothing else, under /set."""
    files = (file for file in folder.rglob("*") if file.is_file())
    server.contents = {f"/set/{file.relative_to(folder)}": file.read_bytes() for file in files}
    server.content = None


def batches(sources, light, num_workers=0):
    """Training batches of an epoch of a mixture, then its validation batches."""
    datamodule = PoseDataModule(
        train=Mixture(name="mixture", sources=sources, ratios={"one": 1.0, "two": 0.5}),
        val=sources["one"],
        image_size=SIZE,
        batch_size=4,
        num_workers=num_workers,
        seed=3,
        phases=Phases(refine_start=0, light_start=0) if light else Phases(),
        augment=published(),
    )
    datamodule.max_epochs = 10
    train = datamodule.train_dataloader()
    train.sampler.set_epoch(5)
    return [*train, *itertools.chain(*datamodule.val_dataloader())]


def assert_same(batches, expected):
    assert len(batches) == len(expected) > 0
    for batch, other in zip(batches, expected, strict=True):
        assert torch.equal(batch.images, other.images)
        assert batch.image_ids == other.image_ids
        assert (batch.ignore_mask is None) == (other.ignore_mask is None)
        assert batch.ignore_mask is None or torch.equal(batch.ignore_mask, other.ignore_mask)
        for field in ("bboxes", "keypoints", "visibility", "annotated", "area", "valid"):
            assert torch.equal(getattr(batch.targets, field), getattr(other.targets, field)), field


@pytest.mark.parametrize(("light", "num_workers"), [(False, 0), (True, 0), (False, 2)])
def test_batches_are_those_of_the_files(packed, light, num_workers):
    files = {name: from_files(packed, name) for name in NAMES}
    shards = {name: from_shards(packed / "set", name) for name in NAMES}
    assert_same(batches(shards, light, num_workers), batches(files, light))


@pytest.mark.parametrize("cache_gb", [None, 40e-6, 0])
def test_batches_over_a_network_are_those_of_the_files(packed, store, tmp_path, cache_gb):
    files = {name: from_files(packed, name) for name in NAMES}
    shards = {name: from_shards(f"{store.url}/set", name, tmp_path / "cache", cache_gb=cache_gb) for name in NAMES}
    assert_same(batches(shards, light=False, num_workers=2), batches(files, light=False))
    kept = sum(file.stat().st_size for file in (tmp_path / "cache").rglob("*.tar"))
    assert (kept > 0) == (cache_gb != 0)
    assert kept <= 1e9 * (1 if cache_gb is None else cache_gb)
    fetched = [path for path, part in store.requests if path.endswith(".tar") and part is None]
    assert len(fetched) == len(set(fetched))  # each shard once, whatever the number of workers


def test_what_is_in_the_cache_is_not_fetched_again(packed, store, tmp_path):
    def images():
        source = from_shards(f"{store.url}/set", "one", tmp_path)
        return [source.load(index).image for index in range(len(source))]

    first, before = images(), len(store.requests)
    assert all(map(np.array_equal, images(), first))
    assert [path for path, _ in store.requests[before:]] == ["/set/shards.json"]


def test_a_set_packed_anew_is_another_one_in_the_cache(packed, store, tmp_path):
    from_shards(f"{store.url}/set", "one", tmp_path / "cache").load(0)
    smaller = from_files(packed, "one", image_ids=[110, 111])
    pack({"one": smaller}, tmp_path / "anew", shard_mb=1)
    put(store, tmp_path / "anew")
    again = from_shards(f"{store.url}/set", "one", tmp_path / "cache", image_ids=[110, 111])
    assert np.array_equal(again.load(1).image, smaller.load(1).image)


def test_annotations_are_those_of_the_file(packed):
    files, shards = (make(where, "one") for make, where in ((from_files, packed), (from_shards, packed / "set")))
    assert shards.ground_truth() == files.ground_truth()


@pytest.mark.parametrize("options", [{"max_images": 3}, {"image_ids": [103, 101]}, {"min_area": 10.0}])
def test_fewer_images_may_be_selected(packed, options):
    files, shards = (make(w, "one", **options) for make, w in ((from_files, packed), (from_shards, packed / "set")))
    assert shards.image_ids.tolist() == files.image_ids.tolist()
    assert shards.load(1).image.tobytes() == files.load(1).image.tobytes()


def test_workers_that_are_spawned_get_a_copy(packed):
    source = from_shards(packed / "set", "one")
    copy = pickle.loads(pickle.dumps(source))
    assert copy.load(2).image.tobytes() == source.load(2).image.tobytes()


def test_images_that_were_not_packed_are_missed_at_once(packed):
    with pytest.raises(InputError, match=r"set/one: 3 of the 12 selected images are not in the shards, image_id 100"):
        from_shards(packed / "set", "one", drop_empty=False)


def test_an_unknown_data_set_names_the_nearest(packed):
    with pytest.raises(InputError, match="no data set 'on'; did you mean 'one'"):
        from_shards(packed / "set", "on")


def test_no_shard_set(tmp_path):
    with pytest.raises(InputError, match=r"data\.shards=.*no shard set there .*python -m rtmo\.data shard"):
        from_shards(tmp_path, "one")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "of format None"),
        ('{"format": 2, "sources": {}}', "of format 2"),
        ('{"format": 1, "sources": {"../one": {}}}', "no manifest"),
        ('{"format": 1, "sources": {"one": {"shards": ["a"]}}}', "no manifest"),
    ],
)
def test_a_manifest_that_cannot_be_read(copied, content, message):
    (copied / "shards.json").write_text(content)
    with pytest.raises(InputError, match=rf"shards\.json: {message}"):
        from_shards(copied, "one")


def test_missing_and_cut_shards_are_found_before_training(copied):
    shard = copied / "one" / "000001.tar"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"one/000001\.tar: of \d+ bytes instead of \d+"):
        from_shards(copied, "one")
    shard.unlink()
    with pytest.raises(InputError, match=r"one/000001\.tar: missing"):
        from_shards(copied, "one")
    from_shards(copied, "two")  # which has all of its shards


@pytest.mark.parametrize("file", ["annotations.json.gz", "index.npz"])
def test_other_files_than_those_packed(copied, file):
    shutil.copy(copied / "two" / file, copied / "one" / file)
    with pytest.raises(InputError, match=rf"one/{file}: not the file that was packed"):
        from_shards(copied, "one")


def test_a_flipped_bit_names_shard_and_image(copied):
    source = from_shards(copied, "one")
    shard = copied / "one" / "000000.tar"
    content = bytearray(shard.read_bytes())
    content[600] ^= 1  # of the first image, after its header of 512 bytes
    shard.write_bytes(content)
    with pytest.raises(InputError, match=r"one/000000\.tar: 001\.png: damaged"):
        source.load(0)


def test_an_address_that_does_not_answer(store, tmp_path):
    with pytest.raises(InputError, match=r"nowhere/shards\.json: cannot be fetched \(FileNotFoundError"):
        from_shards(f"{store.url}/nowhere", "one", tmp_path)


def test_an_unknown_kind_of_address(tmp_path):
    with pytest.raises(InputError, match=r"data\.shards=ftq://x: .*ftq"):
        from_shards("ftq://x", "one", tmp_path)


def test_a_shard_that_arrives_cut(copied, store, tmp_path):
    shard = copied / "one" / "000000.tar"
    shard.write_bytes(shard.read_bytes()[:-1])
    put(store, copied)
    with pytest.raises(InputError, match=r"set/one/000000\.tar: \d+ bytes arrived instead of \d+"):
        from_shards(f"{store.url}/set", "one", tmp_path / "cache").load(0)


def with_file(folder, source, name, data):
    """Puts a file in place of one of a shard set, and its checksum into the manifest, as an attacker would."""
    (folder / source / name).write_bytes(data)
    manifest = json.loads((folder / "shards.json").read_text())
    manifest["sources"][source]["sha256"][name] = hashlib.sha256(data).hexdigest()
    (folder / "shards.json").write_text(json.dumps(manifest))


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def places(*, shard=0, size=2):
    return np.tile(np.array([shard, 0, size, 0]), (12, 1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no index of images"),
        (npz(image_ids=np.arange(3)), "no index of images"),
        (npz(image_ids=np.arange(3), places=np.zeros((3, 2), int)), "no index of images"),
        (npz(image_ids=np.array([{}], dtype=object), places=np.zeros((1, 4), int)), "no index of images"),
        (npz(image_ids=np.arange(100, 112), places=places(size=-1)), "no index of images"),
        (npz(image_ids=np.arange(100, 112), places=places(size=2**62)), "an image beyond the end of its shard"),
        (npz(image_ids=np.arange(100, 112), places=places(shard=99)), "an image beyond the end of its shard"),
    ],
)
def test_an_index_is_not_trusted(copied, data, message):
    with_file(copied, "one", "index.npz", data)
    with pytest.raises(InputError, match=rf"index\.npz: {message}"):
        from_shards(copied, "one")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{}", "damaged"),
        (gzip.compress(b"{}")[:-4], "damaged"),
        (gzip.compress(b"{"), "not valid JSON"),
        (gzip.compress(b"[]"), "no list 'images'"),
        (gzip.compress(bytes(10**6)), "more than 100 times as large unpacked"),
    ],
    ids=["no_gzip", "cut_short", "no_json", "no_object", "bomb"],  # gzip has the time in its header
)
def test_annotations_are_not_trusted(copied, data, message):
    with_file(copied, "one", "annotations.json.gz", data)
    with pytest.raises(InputError, match=rf"annotations\.json\.gz: {message}"):
        from_shards(copied, "one")
