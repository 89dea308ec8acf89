"""Whoever wrote a file, its weights come under our names, with the network and the joints they are for."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import SMALL, reference_state, save_reference, small_rtmo
from torch import Tensor

from rtmo.errors import InputError
from rtmo.skeletons import COCO17, CROWDPOSE14, KeypointSet
from rtmo.weights.checkpoint import find, read_checkpoint

THREE = KeypointSet(
    name="three",
    joints=("left_tip", "right_tip", "base"),
    flip_pairs=(("left_tip", "right_tip"),),
    limbs=(("left_tip", "base"),),
    oks_sigmas=(0.5, 0.5, 0.25),
)


def described(skeleton: KeypointSet) -> dict:
    """A keypoint set in the words of the reference."""
    return {
        "dataset_name": skeleton.name,
        "keypoint_id2name": dict(enumerate(skeleton.joints)),
        "flip_indices": list(skeleton.flip_indices),
        "skeleton_links": list(skeleton.limb_indices),
        "sigmas": np.array(skeleton.oks_sigmas, dtype=np.float32),
        "num_keypoints": skeleton.num_keypoints,
    }


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


@pytest.fixture(scope="module")
def model():
    return small_rtmo()


@pytest.fixture(scope="module")
def state(model) -> dict[str, Tensor]:
    return reference_state(model)


def is_of(checkpoint, model) -> bool:
    own = model.state_dict()
    return checkpoint.state_dict.keys() == own.keys() and all(
        torch.equal(checkpoint.state_dict[name], value) for name, value in own.items()
    )


WAYS = {
    "as published": lambda state: {"meta": {}, "state_dict": state},
    "not nested": lambda state: state,
    "with training state": lambda state: {"state_dict": state, "optimizer": {"state": {}}, "param_schedulers": [{}]},
    "of a parallel run": lambda state: {"state_dict": prefixed(state, "module.")},
    "of a compiled parallel run": lambda state: {"state_dict": prefixed(state, "module._orig_mod.")},
    "of a compiled module of Lightning": lambda state: {"state_dict": prefixed(state, "model._orig_mod.")},
    "of a run whose loss learned": lambda state: {
        "state_dict": prefixed(state, "model.") | {"criterion.coordinate_loss.flow.weight": torch.zeros(3)}
    },
    "in half precision": lambda state: {
        "state_dict": {k: v.bfloat16() if v.is_floating_point() else v for k, v in state.items()}
    },
    "with the raw weights beside": lambda state: {
        "state_dict": state,
        "ema_state_dict": {"steps": torch.tensor(9), **prefixed({k: v * 2 for k, v in state.items()}, "module.")},
    },
    "the average alone": lambda state: {"ema_state_dict": {"steps": torch.tensor(9), **prefixed(state, "module.")}},
}


@pytest.mark.parametrize("way", WAYS)
def test_files_of_the_reference_in_all_their_forms(tmp_path, model, state, way):
    torch.save(WAYS[way](state), tmp_path / "weights.pth")
    checkpoint = read_checkpoint(tmp_path / "weights.pth")
    assert checkpoint.state_dict.keys() == model.state_dict().keys()
    assert is_of(checkpoint, model) == (way != "in half precision")
    assert checkpoint.skeleton is COCO17
    assert len(checkpoint.constants) == 5
    assert checkpoint.converted["dcc.keypoint_fc.weight"] == "head.dcc.pose_to_kpts.0.weight"
    assert "backbone.stem.conv.conv.weight" not in checkpoint.converted
    assert checkpoint.build_model().num_keypoints == 17


def test_entries_beside_the_weights_are_named(tmp_path, state):
    path = save_reference(tmp_path / "weights.pth", state, optimizer={}, message_hub={})
    assert read_checkpoint(path).other == ("meta", "optimizer", "message_hub")
    torch.save({**state, "epoch": 3, 7: torch.ones(1)}, path)  # not nested
    checkpoint = read_checkpoint(path)
    assert checkpoint.other == ("epoch",)
    assert "7" in checkpoint.state_dict
    torch.save({**prefixed(state, "model."), "criterion.a": torch.ones(1), "criterion.b": torch.ones(1)}, path)
    assert read_checkpoint(path).other == ("criterion",)


def test_two_networks_in_one_file_are_refused(tmp_path, state):
    path = save_reference(tmp_path / "weights.pth", {**state, **prefixed(state, "module.")})
    with pytest.raises(InputError, match=r"weights\.pth: holds backbone\.stem\.conv\.conv\.weight twice"):
        read_checkpoint(path)


@pytest.mark.parametrize("meta", ["text", None, {"dataset_meta": "text"}, {"dataset_meta": {"num_keypoints": 17}}])
def test_a_description_of_another_form_is_passed_over(tmp_path, state, meta):
    assert read_checkpoint(save_reference(tmp_path / "weights.pth", state, meta=meta)).skeleton is COCO17


@pytest.mark.parametrize("record", [{"model": "x"}, {"skeleton": {}}, {"skeleton": THREE.to_plain()}, "text"])
def test_a_record_of_another_form_is_damage(tmp_path, model, record):
    torch.save({"state_dict": model.state_dict(), "rtmo": record}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"weights\.pth: damaged weights of an RTMO"):
        read_checkpoint(tmp_path / "weights.pth")


def test_joints_are_told_by_name_constants_or_not_at_all(tmp_path):
    crowdpose = save_reference(tmp_path / "14.pth", reference_state(small_rtmo(CROWDPOSE14), CROWDPOSE14))
    assert read_checkpoint(crowdpose).skeleton is CROWDPOSE14
    state = reference_state(small_rtmo(THREE), THREE)
    unknown = read_checkpoint(save_reference(tmp_path / "3.pth", state))
    assert unknown.skeleton is None
    assert unknown.num_keypoints == 3
    told = save_reference(tmp_path / "3 named.pth", state, meta={"dataset_meta": described(THREE)})
    assert read_checkpoint(told).skeleton == THREE


def test_the_names_in_a_file_win_over_equal_constants(tmp_path):
    animals = KeypointSet("animals", tuple("abcdefghijklmnopq"), (), (), COCO17.oks_sigmas)
    state = reference_state(small_rtmo())
    told = save_reference(tmp_path / "17.pth", state, meta={"dataset_meta": described(animals)})
    assert read_checkpoint(told).skeleton.joints == animals.joints
    # a description of another data set than the one the network was trained on
    other = save_reference(tmp_path / "14.pth", state, meta={"dataset_meta": described(CROWDPOSE14)})
    assert read_checkpoint(other).skeleton is COCO17


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"bbox_head.conv.weight": torch.ones(1), "backbone.stem.x": torch.ones(1)}, "of a detector, not of an RTMO"),
        ({"layer4.0.conv1.weight": torch.ones(1)}, "of a ResNet, not of an RTMO; its backbone can start a training"),
        ({"encoder.weight": torch.ones(1)}, "of another network, not of an RTMO: encoder.weight"),
    ],
)
def test_other_networks_are_named(tmp_path, weights, message):
    torch.save({"state_dict": weights}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=message):
        read_checkpoint(tmp_path / "weights.pth")


def test_half_a_network_and_a_file_without_weights(tmp_path, state):
    torch.save({"state_dict": {"head.dcc.pos_enc": state["head.dcc.pos_enc"]}}, tmp_path / "part.pth")
    with pytest.raises(InputError, match=r"part\.pth: damaged weights of an RTMO \(KeyError"):
        read_checkpoint(tmp_path / "part.pth")
    torch.save({"meta": {"epoch": 1}}, tmp_path / "none.pth")
    with pytest.raises(InputError, match=r"none\.pth: holds no weights, only meta"):
        read_checkpoint(tmp_path / "none.pth")


def test_a_config_in_a_file_cannot_build_what_is_no_network(tmp_path, model):
    for target, message in (
        ("rtmo.data.coco_json.read_coco", "'rtmo.data.coco_json.read_coco' may not be built from a config"),
        ("rtmo.phases.Phases", "model._target_ is rtmo.phases.Phases, which is no RTMO"),
    ):
        record = {"model": {"_target_": target}, "skeleton": COCO17.to_plain()}
        torch.save({"state_dict": model.state_dict(), "rtmo": record}, tmp_path / "weights.pth")
        with pytest.raises(InputError, match=re.escape(message)):
            read_checkpoint(tmp_path / "weights.pth").build_model()


def test_a_file_does_not_decide_what_is_imported(tmp_path, model, monkeypatch):
    (tmp_path / "beside.py").write_text("from pathlib import Path\nPath('imported').touch()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    target = {"_target_": "beside.Anything"}
    for record in ({"model": target}, {"config": {"model": {}, "callbacks": {"x": target}}}):
        torch.save({"state_dict": model.state_dict(), "rtmo": record}, tmp_path / "weights.pth")
        with pytest.raises(
            InputError, match=r"asks for 'beside\.Anything', and a file does not decide what is imported"
        ):
            read_checkpoint(tmp_path / "weights.pth")
    monkeypatch.setenv("RTMO_TRUSTED_PACKAGES", "beside")
    assert read_checkpoint(tmp_path / "weights.pth").config is not None
    assert not (tmp_path / "imported").exists()


def test_what_is_no_file_gets_a_suggestion(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"checkpoint=best\.ckpt: no such file"):
        find("best.ckpt")
    with pytest.raises(InputError, match=r"pretrained=rtmo_s_cocoo: .* did you mean 'rtmo_s_coco'"):
        find("rtmo_s_cocoo", "pretrained")
    Path("rtmo_s_coco").write_text("")  # a file of that name is the file
    assert find("rtmo_s_coco") == Path("rtmo_s_coco")


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("dcc.x_fc.weight", torch.zeros(1).expand(2**40), r"says \(1099511627776,\) and holds fewer numbers"),
        ("dcc.x_fc.weight", torch.zeros(3, 3).to_sparse(), "torch.sparse_coo"),
        ("dcc.x_fc.weight", torch.zeros(3, dtype=torch.complex64), "torch.complex64"),
    ],
)
def test_tensors_that_are_not_what_they_seem_are_refused(tmp_path, model, name, tensor, message):
    torch.save({"state_dict": {**model.state_dict(), name: tensor}}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=rf"weights\.pth: dcc\.x_fc\.weight .*{message}"):
        read_checkpoint(tmp_path / "weights.pth")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("widen_factor", 1e6),
        ("deepen_factor", 1e9),
        ("hidden_dim", 10**7),
        ("ffn_dim", -(10**9)),
        ("num_bins", (10**9, 64)),
        ("widen_factor", float("nan")),
    ],
)
def test_a_config_does_not_ask_for_more_network_than_there_are_weights(tmp_path, model, field, value):
    described = {"_target_": "rtmo.models.rtmo.RTMO", **SMALL, field: value}
    torch.save({"state_dict": model.state_dict(), "rtmo": {"model": described}}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=rf"weights\.pth: its config says {field}="):
        read_checkpoint(tmp_path / "weights.pth")


def test_a_config_that_fits_no_network(tmp_path, model):
    described = {"_target_": "rtmo.models.rtmo.RTMO", **SMALL, "strides": "ab"}
    torch.save({"state_dict": model.state_dict(), "rtmo": {"model": described}}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"weights\.pth: its config describes no network"):
        read_checkpoint(tmp_path / "weights.pth").build_model()
