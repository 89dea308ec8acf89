import pytest
from own_data import JOINTS, write_coco

from rtmo.config import compose, validate
from rtmo.errors import InputError
from rtmo.skeletons import COCO17, keypoint_set
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


def test_streaming_a_set_that_is_in_two_places():
    data = expanded("data=coco", "data.val=${data.train}", *STREAMING)["data"]
    assert data["val"] == data["train"]
    assert data["val"]["name"] == "coco_train2017"


def test_files_need_not_be_named_if_they_are_not_read():
    assert expanded("data=custom", "skeleton=coco17", *STREAMING)["data"]["train"]["name"] == "train"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=mixture"], r"data\.sources: has no value; give data\.sources='\{coco_train"),
        (
            ["data=mixture", "data.sources={coco_tran: 1}"],
            r"data\.sources: .*coco_tran\.yaml; did you mean 'coco_train'",
        ),
        (["data.val_sources=[crowdpose]"], r"data\.val_sources: .*crowdpose\.yaml; did you mean 'crowdpose_"),
        (["data.val_sources=crowdpose_test"], r"data\.val_sources: expected a list of names, .* got crowdpose_test"),
        (["data=mixture", "data.sources=[coco_train]"], r"data\.sources: expected ratios by name, .*\['coco_train'\]"),
        (["data=coco", "data.sources={coco_train: 1}"], "sources"),
        (["data=coco", "data.streaming=true"], "data.streaming=true needs data.shards=..."),
        (["data=coco", "data.shards=set"], "data.shards=set is not read; add data.streaming=true"),
        (["data=synthetic", *STREAMING], r"data\.train: rtmo\.data\.synthetic\S* has no image files"),
    ],
)
def test_what_cannot_be_written_out_is_refused(overrides, message):
    with pytest.raises(InputError, match=message):
        expanded(*overrides)


def test_a_folder_is_written_out_with_its_keypoints(tmp_path):
    write_coco(tmp_path / "cows")
    root = tmp_path / "cows"
    cfg = expanded("data=custom", f"data.root={root}", "data.val_fraction=0.2", "data.train.max_images=3")
    train = cfg["data"]["train"]
    assert (train["_target_"], train["root"], train["format"]) == ("rtmo.data.folder.FolderPose", str(root), "coco")
    assert (train["split"], train["max_images"], train["val_fraction"]) == ("train", 3, 0.2)
    assert (cfg["data"]["val"]["split"], cfg["data"]["val"]["drop_empty"]) == ("val", False)
    assert keypoint_set(cfg["skeleton"]).joints == JOINTS
    assert not {"root", "format", "val_fraction", "joints"} & cfg["data"].keys()


def test_the_keypoints_of_a_folder_may_be_chosen(tmp_path):
    write_coco(tmp_path / "cows")
    root = f"data.root={tmp_path / 'cows'}"
    assert expanded("data=custom", root, "skeleton=coco17")["skeleton"] == "coco17"
    chosen = expanded("data=custom", root, "skeleton={joints: [nose, left_eye], name: two}")["skeleton"]
    assert keypoint_set(chosen).joints == ("nose", "left_eye")
    cfg = expanded("data=custom", root, "data.joints=[nose,left_eye,right_eye,left_ear,right_ear]")
    assert cfg["skeleton"]["joints"] == list(COCO17.joints[:5])
    assert cfg["data"]["val"]["joints"] == list(COCO17.joints[:5])


def test_coco_files_by_name_bring_their_keypoints_too(tmp_path):
    write_coco(tmp_path)
    paths = [
        f"data.{split}.{field}={tmp_path / name}"
        for split in ("train", "val")
        for field, name in (("annotation_file", "annotations.json"), ("image_dir", "photos"))
    ]
    cfg = expanded("data=custom", *paths)
    assert cfg["skeleton"]["joints"] == list(JOINTS)
    assert cfg["data"]["train"]["_target_"] == "rtmo.data.coco_pose.CocoPose"
    with pytest.raises(InputError, match=r"data\.root: data\.train\.annotation_file is given as well"):
        expanded("data=custom", *paths, f"data.root={tmp_path}")


def test_drawn_people_have_no_file_that_names_joints():
    with pytest.raises(InputError, match=r"skeleton: null means the joints that the files of data\.train name"):
        expanded("data=synthetic", "skeleton=null")
