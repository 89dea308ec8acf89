"""What commands of figures make of their options."""

from dataclasses import replace

import pytest

from rtmo.errors import InputError
from rtmo.figures.options import listed, network_of
from rtmo.skeletons import COCO17


def test_joints_of_ones_own_are_those_that_the_checkpoint_names(make_checkpoint):
    own = replace(COCO17, name="dancers")
    file = make_checkpoint(skeleton=own)
    network = network_of({"checkpoint": file, "skeleton": "dancers", "image_size": [64, 64], "device": "cpu"})
    assert network.skeleton == own


def test_one_value_is_a_list_of_one():
    cfg = {"one": 5, "two": [1, 2], "none": None}
    assert [listed(cfg, name, int) for name in cfg] == [[5], [1, 2], []]


@pytest.mark.parametrize("value", [[], [1, "nose"], True, {"nose": 1}])
def test_other_values_are_refused(value):
    with pytest.raises(InputError, match="people: expected a whole number or a list of them, got"):
        listed({"people": value}, "people", int)
