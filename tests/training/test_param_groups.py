import pytest
import torch

from rtmo.models.rtmo import RTMO
from rtmo.training.param_groups import make_param_groups
from rtmo.weights.reference import to_our_key


def groups(**changes):
    with torch.device("meta"):
        model = RTMO(num_keypoints=17, widen_factor=0.5, deepen_factor=0.33)
    settings = {"lr": 4e-3, "weight_decay": 0.05, "lr_factors": {"neck.encoder.": 0.05}, **changes}
    return model, make_param_groups(model, **settings)


def test_every_parameter_as_the_reference(shared_dir) -> None:
    """Rate and decay of each of RTMO-s's 278 parameters."""
    model, ours = groups()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {names[id(p)]: (group["lr"], group["weight_decay"]) for group in ours for p in group["params"]}
    lines = (shared_dir / "reference" / "param_groups_rtmo_s.txt").read_text().splitlines()
    expected = {}
    for name, lr, decay, _shape in (line.split("\t") for line in lines if line.strip()):
        expected[to_our_key(name)] = (pytest.approx(float(lr)), float(decay))
    assert len(found) == 278
    assert found == expected


def test_longest_prefix_wins() -> None:
    _, ours = groups(lr_factors={"neck.": 0.5, "neck.encoder.": 0.05})
    assert {group["name"]: group["lr"] for group in ours}["neck.encoder."] == pytest.approx(2e-4)
    assert {group["name"]: group["lr"] for group in ours}["neck."] == pytest.approx(2e-3)


def test_prefix_without_parameters() -> None:
    with pytest.raises(ValueError, match=r"'decoder\.'"):
        groups(lr_factors={"decoder.": 0.1})
