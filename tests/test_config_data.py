import pytest

from rtmo.config import compose, validate
from rtmo.errors import InputError
from rtmo.train import KEYS


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
    ],
)
def test_what_cannot_be_written_out_is_refused(overrides, message):
    with pytest.raises(InputError, match=message):
        expanded(*overrides)
