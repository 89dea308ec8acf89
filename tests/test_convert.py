"""Weights go from either format into the other and come back as they were, to the bit."""

import json
from dataclasses import asdict

import pytest
import torch
from networks import SMALL, reference_state, save_reference, small_rtmo

from rtmo.convert import convert
from rtmo.errors import InputError
from rtmo.skeletons import COCO17, CROWDPOSE14, KeypointSet
from rtmo.weights.checkpoint import read_checkpoint
from rtmo.weights.file import read_file

TWO = KeypointSet("two", ("head", "tail"), (), (("head", "tail"),), (0.1, 0.2))


def same(ours, theirs) -> bool:
    return ours.keys() == theirs.keys() and all(
        ours[name].dtype == value.dtype and torch.equal(ours[name], value) for name, value in theirs.items()
    )


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("skeleton", [COCO17, CROWDPOSE14, TWO], ids=lambda skeleton: skeleton.name)
def test_there_and_back_again(tmp_path, skeleton, suffix):
    state = reference_state(small_rtmo(skeleton), skeleton)
    state["head.dcc.x_bins"] += 1e-8  # an average over a hundred thousand steps is not quite the constant
    published = save_reference(tmp_path / "published.pth", state, optimizer={"state": {}})
    ours, back = tmp_path / f"ours{suffix}", tmp_path / f"back{suffix}"
    report = convert(published, ours, "rtmo")
    assert report.other == ("meta", "optimizer")
    convert(ours, back, "mmpose")
    assert same(read_file(back)["state_dict"], state)


def test_a_converted_file_rebuilds_the_network(tmp_path):
    published = save_reference(tmp_path / "published.pth", reference_state(small_rtmo()))
    convert(published, tmp_path / "ours.safetensors", "rtmo")
    checkpoint = read_checkpoint(tmp_path / "ours.safetensors")
    assert checkpoint.origin == "rtmo"
    assert checkpoint.skeleton == COCO17
    assert same(checkpoint.state_dict, small_rtmo().state_dict())
    assert checkpoint.build_model().dcc.dim == 16


def test_weights_of_ours_get_the_constants_that_the_reference_stores(tmp_path):
    model = small_rtmo(TWO)
    record = {"model": {"_target_": "rtmo.models.rtmo.RTMO", **SMALL}, "skeleton": TWO.to_plain()}
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": weights, "rtmo": record, "optimizer_states": []}, tmp_path / "best.ckpt")
    convert(tmp_path / "best.ckpt", tmp_path / "best.pth", "mmpose")
    content = read_file(tmp_path / "best.pth")
    assert same(content["state_dict"], reference_state(model, TWO))
    assert content["meta"]["dataset_meta"]["keypoint_id2name"] == {0: "head", 1: "tail"}


def test_what_cannot_be_converted_writes_nothing(tmp_path):
    published = save_reference(tmp_path / "published.pth", reference_state(small_rtmo()))
    for output, to, message in (
        ("a.pth", "onnx", "to=onnx: choose rtmo or mmpose"),
        ("a.txt", "rtmo", "end the name in"),
    ):
        with pytest.raises(InputError, match=message):
            convert(published, tmp_path / output, to)
    convert(published, tmp_path / "ours.safetensors", "rtmo")
    # without its constants, and of joints that no built-in set has
    weights = small_rtmo(TWO).state_dict()
    torch.save(weights, tmp_path / "nameless.pth")
    with pytest.raises(InputError, match="does not tell its OKS constants"):
        convert(tmp_path / "nameless.pth", tmp_path / "b.pth", "mmpose")
    assert {file.name for file in tmp_path.iterdir()} == {"published.pth", "ours.safetensors", "nameless.pth"}


def test_the_report_is_plain(tmp_path):
    published = save_reference(tmp_path / "published.pth", reference_state(small_rtmo()))
    report = json.loads(json.dumps(asdict(convert(published, tmp_path / "ours.pth", "rtmo"))))
    assert report["converted"]["dcc.sigma_scale"] == "head.dcc.sigma_fc.2.scale"
    assert "neck.lateral_convs.0.conv.weight" in report["loaded"]
