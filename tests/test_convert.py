"""Weights go from either format into the other and come back as they were, to the bit."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from networks import SMALL, reference_state, save_reference, small_rtmo

from rtmo.convert import convert
from rtmo.errors import InputError
from rtmo.skeletons import COCO17, CROWDPOSE14, KeypointSet
from rtmo.weights.checkpoint import MODEL, read_checkpoint
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
    # TWO was not named by the published file
    assert read_checkpoint(back).skeleton == (None if skeleton == TWO else skeleton)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_joints_and_what_leaves_no_trace_go_along(tmp_path, suffix):
    """Right before left: the constants alone would pass for COCO's."""
    mirrored = replace(COCO17, name="mirrored", joints=tuple(COCO17.joints[i] for i in COCO17.flip_indices))
    record = {"model": {"_target_": MODEL, **SMALL, "num_heads": 4}, "skeleton": mirrored.to_plain()}
    torch.save({"state_dict": small_rtmo(mirrored).state_dict(), "rtmo": record}, tmp_path / "best.ckpt")
    for to in ("mmpose", "rtmo"):
        convert(tmp_path / "best.ckpt", tmp_path / f"{to}{suffix}", to)
        checkpoint = read_checkpoint(tmp_path / f"{to}{suffix}")
        assert checkpoint.skeleton == mirrored
        assert checkpoint.model["num_heads"] == 4


def test_what_has_no_place_is_left_out_and_what_lacks_is_said(tmp_path, caplog):
    """So that the reference's strict mode takes what was converted, or one knows that it will not."""
    state = reference_state(small_rtmo())
    more = save_reference(tmp_path / "more.pth", {**state, "extra.weight": torch.ones(2)})
    assert convert(more, tmp_path / "a.pth", "mmpose").unexpected == ("extra.weight",)
    assert same(read_file(tmp_path / "a.pth")["state_dict"], state)
    assert not caplog.text
    less = {name: value for name, value in state.items() if "kpt_reg" not in name}
    convert(save_reference(tmp_path / "less.pth", less), tmp_path / "b.pth", "mmpose")
    assert same(read_file(tmp_path / "b.pth")["state_dict"], less)
    assert "lacks head.proxy_out.0.weight, " in caplog.text
    assert "strict=False only" in caplog.text


def test_joints_can_be_named(tmp_path):
    torch.save(small_rtmo(TWO).state_dict(), tmp_path / "nameless.pth")
    convert(tmp_path / "nameless.pth", tmp_path / "named.pth", "mmpose", TWO)
    assert read_checkpoint(tmp_path / "named.pth").skeleton == TWO
    assert same(read_file(tmp_path / "named.pth")["state_dict"], reference_state(small_rtmo(TWO), TWO))


def test_a_converted_file_rebuilds_the_network(tmp_path):
    published = save_reference(tmp_path / "published.pth", reference_state(small_rtmo()))
    convert(published, tmp_path / "ours.safetensors", "rtmo")
    checkpoint = read_checkpoint(tmp_path / "ours.safetensors")
    assert checkpoint.skeleton == COCO17
    assert same(checkpoint.state_dict, small_rtmo().state_dict())
    assert checkpoint.build_model().dcc.dim == 16


def test_weights_of_ours_get_the_constants_that_the_reference_stores(tmp_path):
    model = small_rtmo(TWO)
    record = {"model": {"_target_": MODEL, **SMALL}, "skeleton": TWO.to_plain()}
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
    with pytest.raises(InputError, match=r"lacks head\.loss_oks\.sigmas, .* name them with skeleton="):
        convert(tmp_path / "nameless.pth", tmp_path / "b.pth", "mmpose")
    with pytest.raises(InputError, match=r"skeleton=coco17: .* has 2 joints, others than the given ones"):
        convert(tmp_path / "nameless.pth", tmp_path / "b.pth", "mmpose", COCO17)
    with pytest.raises(InputError, match=r"skeleton=two: .* has 17 joints, those of coco17"):
        convert(published, tmp_path / "b.pth", "mmpose", TWO)
    assert {file.name for file in tmp_path.iterdir()} == {"published.pth", "ours.safetensors", "nameless.pth"}


def test_the_report_is_plain(tmp_path):
    published = save_reference(tmp_path / "published.pth", reference_state(small_rtmo()))
    report = json.loads(json.dumps(asdict(convert(published, tmp_path / "ours.pth", "rtmo"))))
    assert report["converted"]["dcc.sigma_scale"] == "head.dcc.sigma_fc.2.scale"
    assert "neck.lateral_convs.0.conv.weight" in report["loaded"]
