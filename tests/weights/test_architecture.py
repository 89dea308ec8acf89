"""Sizes and variants are found in the shapes alone."""

import pytest
import torch
from networks import SMALL
from omegaconf import OmegaConf

from rtmo.config import compose
from rtmo.models.rtmo import RTMO
from rtmo.weights.architecture import architecture_of, size_of

SIZES = ("rtmo_t", "rtmo_s", "rtmo_m", "rtmo_l", "rtmo_r50", "rtmo_n")


def on_meta(num_keypoints: int = 17, **arguments) -> RTMO:
    with torch.device("meta"):
        return RTMO(num_keypoints=num_keypoints, **arguments)


@pytest.mark.parametrize("num_keypoints", [17, 14])
@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_recognised(size, num_keypoints):
    config = OmegaConf.to_container(compose("train", [f"model={size}", "recipe=published"]).model)
    del config["_target_"]
    found = architecture_of(on_meta(num_keypoints, **config).state_dict())
    assert size_of(found) == (None if size == "rtmo_n" else size)
    config |= {"num_heads": 8} if size == "rtmo_n" else {}  # leaves no trace
    rebuilt = on_meta(num_keypoints, **found).state_dict()
    assert {name: value.shape for name, value in rebuilt.items()} == {
        name: value.shape for name, value in on_meta(num_keypoints, **config).state_dict().items()
    }
    told = {name: config[name] for name in ("backbone", "widen_factor", "hidden_dim", "ffn_dim", "dcc_dim")}
    assert told == {name: found[name] for name in told}


def test_other_widths_and_levels_are_found():
    arguments = {**SMALL, "neck_widen_factor": 0.5, "strides": (8, 16, 32)}
    found = architecture_of(on_meta(5, **arguments).state_dict())
    assert {name: found[name] for name in arguments if name != "deepen_factor"} == {
        name: value for name, value in arguments.items() if name != "deepen_factor"
    }
    assert size_of(found) is None
