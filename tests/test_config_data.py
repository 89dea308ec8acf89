"""What the short forms of the group data stand for."""

import pytest
from omegaconf import OmegaConf

from rtmo.config import compose, conf_dir
from rtmo.config_data import expand
from rtmo.errors import InputError

STREAMING = ("data.streaming=true", "data.shards=s3://bucket/set")


def data(*overrides):
    """The group, written out."""
    cfg = compose("train", overrides)
    expand(cfg, conf_dir() / "source")
    return OmegaConf.to_container(cfg.data)


def test_streaming_keeps_all_of_a_data_set_but_its_files():
    files = data("data=body7", "data.val_sources=[crowdpose_test]")
    shards = data("data=body7", "data.val_sources=[crowdpose_test]", *STREAMING, "data.shards_cache_gb=5")
    pairs = [(files["val"], shards["val"]), (files["more_val"]["crowdpose_test"], shards["more_val"]["crowdpose_test"])]
    pairs += [(node, shards["train"]["sources"][name]) for name, node in files["train"]["sources"].items()]
    assert len(pairs) == 9
    for before, after in pairs:
        where = {"shards": "s3://bucket/set", "cache_dir": "~/.cache/rtmo/shards", "cache_gb": 5}
        kept = {
            key: value for key, value in before.items() if key not in ("annotation_file", "image_dir", "first_pixel")
        }
        assert after == {**kept, **where, "_target_": "rtmo.data.shards.ShardedImages"}
    assert shards["train"]["ratios"] == files["train"]["ratios"]


def test_files_need_not_be_named_if_they_are_not_read():
    assert data("data=custom", *STREAMING)["train"]["name"] == "train"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=coco", "data.streaming=true"], "data.streaming=true needs data.shards=..."),
        (["data=coco", "data.shards=set"], "data.shards=set is not read; add data.streaming=true"),
        (["data=synthetic", *STREAMING], r"data\.train: rtmo\.data\.synthetic\S* has no image files"),
    ],
)
def test_streaming_that_cannot_be(overrides, message):
    with pytest.raises(InputError, match=message):
        data(*overrides)
