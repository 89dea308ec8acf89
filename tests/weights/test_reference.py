"""Names go to the reference's and back, and nothing is lost on the way."""

from pathlib import Path

import torch
from golden import tiny_model
from networks import reference_state, small_rtmo
from safetensors.torch import load_file

from rtmo.skeletons import COCO17
from rtmo.weights.checkpoint import parse_checkpoint
from rtmo.weights.reference import CONSTANTS, reference_constants, to_our_key, to_reference_key


def test_every_weight_has_one_name_on_either_side():
    names = list(small_rtmo().state_dict())
    theirs = [to_reference_key(name) for name in names]
    assert len(set(theirs)) == len(names)
    assert [to_our_key(name) for name in theirs] == names


def test_names_and_shapes_are_the_references(shared_dir):
    """Those of RTMO-s, in full."""
    lines = (shared_dir / "reference" / "keys_rtmo_s.txt").read_text().splitlines()
    expected = {name: shape for name, shape, _ in (line.split("\t") for line in lines)}
    small = small_rtmo(widen_factor=0.5, hidden_dim=256, ffn_dim=1024, dcc_dim=128, attention_dim=128)
    state = reference_state(small)
    assert {name: str(tuple(value.shape)) for name, value in state.items()} == expected


def test_derived_constants_are_the_references_to_the_bit(shared_dir):
    stored = load_file(shared_dir / "golden" / "tiny_model.safetensors")
    derived = reference_constants(tiny_model(shared_dir / "golden"), COCO17.oks_sigmas)
    assert derived.keys() == set(CONSTANTS)
    for name in CONSTANTS:
        assert derived[name].dtype == stored[name].dtype
        assert torch.equal(derived[name], stored[name]), name


def test_there_and_back_again():
    model = small_rtmo()
    own = model.state_dict()
    back = parse_checkpoint(reference_state(model), Path("weights.pth")).state_dict
    assert list(back) == list(own)
    assert all(back[name] is value or torch.equal(back[name], value) for name, value in own.items())
