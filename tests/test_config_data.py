import pytest

from rtmo.config import compose, validate
from rtmo.errors import InputError
from rtmo.train import KEYS

STREAMING = ("data.streaming=true", "data.shards=s3://bucket/set")


def expanded(*overrides):
    return validate(compose("train", ["paths.output_dir=out", "paths.data_dir=files", *overrides]), "train", KEYS)


def test_a_mixture_by_names_and_ratios():
    data = expanded("data=mixture", "data.sources={coco_train: 1, crowdpose_trainval: 0.5}")["data"]
    assert "sources" not in data
    assert data["train"]["ratios"] == {"coco_train": 1, "crowdpose_trainval": 0.5}
    assert data["train"]["sources"]["crowdpose_trainval"]["image_dir"] == "files/crowdpose/images"
    assert data["train"]["sources"]["crowdpose_trainval"]["joints"] == "crowdpose14"


def test_further_sets_to_validate_on():
    data = expanded("data=coco", "data.val_sources=[crowdpose_test]")["data"]
    assert list(data["more_val"]) == ["crowdpose_test"]
    assert data["more_val"]["crowdpose_test"]["drop_empty"] is False
    assert "more_val" not in expanded("data=coco")["data"]


def test_streaming_keeps_all_of_a_data_set_but_its_files():
    options = ("data=body7", "data.val_sources=[crowdpose_test]")
    files, shards = expanded(*options)["data"], expanded(*options, *STREAMING, "data.shards_cache_gb=5")["data"]
    pairs = [(files["val"], shards["val"]), (files["more_val"]["crowdpose_test"], shards["more_val"]["crowdpose_test"])]
    pairs += [(node, shards["train"]["sources"][name]) for name, node in files["train"]["sources"].items()]
    assert len(pairs) == 9
    where = {"shards": "s3://bucket/set", "cache_dir": "~/.cache/rtmo/shards", "cache_gb": 5}
    files_only = ("annotation_file", "annotation_format", "image_dir", "first_pixel")
    for before, after in pairs:
        kept = {name: value for name, value in before.items() if name not in files_only}
        assert after == {**kept, **where, "_target_": "rtmo.data.shards.ShardedImages"}
    assert shards["train"]["ratios"] == files["train"]["ratios"]


def test_files_need_not_be_named_if_they_are_not_read():
    assert expanded("data=custom", *STREAMING)["data"]["train"]["name"] == "train"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=mixture"], r"data\.sources: has no value; give data\.sources='\{coco_train"),
        (
            ["data=mixture", "data.sources={coco_tran: 1}"],
            r"data\.sources: .*coco_tran\.yaml; did you mean 'coco_train'",
        ),
        (["data.val_sources=[crowdpose]"], r"data\.val_sources: .*crowdpose\.yaml; did you mean 'crowdpose_"),
        (["data=coco", "data.sources={coco_train: 1}"], "sources"),
        (["data=coco", "data.streaming=true"], "data.streaming=true needs data.shards=..."),
        (["data=coco", "data.shards=set"], "data.shards=set is not read; add data.streaming=true"),
        (["data=synthetic", *STREAMING], r"data\.train: rtmo\.data\.synthetic\S* has no image files"),
    ],
)
def test_what_cannot_be_written_out_is_refused(overrides, message):
    with pytest.raises(InputError, match=message):
        expanded(*overrides)
