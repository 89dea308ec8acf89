import os
import sys

import pytest
from coco_files import write_coco
from webdataset.tariterators import group_by_keys, tar_file_expander

from rtmo.data.coco_pose import CocoPose
from rtmo.data.packing import pack
from rtmo.errors import InputError
from rtmo.skeletons import COCO17


@pytest.fixture
def source(tmp_path):
    write_coco(tmp_path / "people.json", tmp_path / "images", 8)
    return CocoPose(
        name="people", annotation_file=tmp_path / "people.json", image_dir=tmp_path / "images", skeleton=COCO17
    )


def content(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_webdataset_reads_the_shards(source, tmp_path):
    """The form of the shards is that of the library, whose own reader knows nothing of our index."""
    pack({"people": source}, tmp_path / "set", shard_mb=0.01)
    shards = sorted(str(path) for path in (tmp_path / "set" / "people").glob("*.tar"))
    assert len(shards) > 1
    samples = []
    for shard in shards:
        with open(shard, "rb") as stream:
            samples += group_by_keys(tar_file_expander([{"url": shard, "stream": stream}]))
    assert [int(sample["__key__"]) for sample in samples] == source.image_ids.tolist() == [101, 102, 103, 105, 106, 107]
    for index, sample in enumerate(samples):
        assert sample["jpg" if "jpg" in sample else "png"] == source.file_at(index).read_bytes()


def test_packing_again_gives_the_same_bytes(source, tmp_path):
    manifest = pack({"people": source}, tmp_path / "a", shard_mb=0.01)
    assert pack({"people": source}, tmp_path / "b", shard_mb=0.01) == manifest
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_a_set_is_replaced_only_on_demand(source, tmp_path):
    output = tmp_path / "set"
    pack({"people": source}, output, shard_mb=0.01)
    before = content(output)
    with pytest.raises(InputError, match="there is a shard set; choose a new folder, or say overwrite=true"):
        pack({"people": source}, output, shard_mb=1)
    assert content(output) == before
    pack({"people": source}, output, shard_mb=1, overwrite=True)
    assert len(content(output)) < len(before)


def test_another_folder_is_never_replaced(source, tmp_path):
    with pytest.raises(InputError, match="something else than a shard set"):
        pack({"people": source}, tmp_path, shard_mb=1, overwrite=True)
    assert (tmp_path / "people.json").is_file()


def test_an_interruption_leaves_nothing(source, tmp_path, monkeypatch):
    before = sorted(os.listdir(tmp_path))
    calls = iter(range(3))
    file_at = source.file_at

    def interrupted(index):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return file_at(index)

    monkeypatch.setattr(source, "file_at", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack({"people": source}, tmp_path / "set", shard_mb=0.01)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("name", "shard_mb", "message"),
    [("../people", 1, "its name becomes a folder"), ("people", 0, "shard_mb must be above 0")],
)
def test_arguments_that_cannot_be_used(source, tmp_path, name, shard_mb, message):
    with pytest.raises(InputError, match=message):
        pack({name: source}, tmp_path / "set", shard_mb=shard_mb)


def test_without_webdataset_it_says_what_to_install(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(InputError, match=r"pip install 'rtmo\[streaming\]'"):
        pack({"people": source}, tmp_path / "set", shard_mb=1)
    assert not (tmp_path / "set").exists()
