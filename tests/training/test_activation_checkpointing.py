"""Activations computed twice: everything else stays as it is."""

import copy

import pytest
import torch
from networks import small_rtmo

from rtmo.training.activation_checkpointing import checkpoint_stages


@pytest.mark.parametrize("backbone", ["csp_darknet", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_gradients_and_statistics_are_those_without_it(backbone) -> None:
    plain = small_rtmo(backbone=backbone).backbone.double().train()
    again = copy.deepcopy(plain)
    checkpoint_stages(again.stages)
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64) * 255
    for network in (plain, again):
        torch.stack([level.square().mean() for level in network(images)]).sum().backward()
    gradients, expected = ([each.grad for each in network.parameters()] for network in (again, plain))
    torch.testing.assert_close(gradients, expected, rtol=1e-9, atol=0)
    torch.testing.assert_close(again.state_dict(), plain.state_dict(), rtol=1e-9, atol=0)  # statistics counted once


def test_only_inputs_of_stages_are_kept() -> None:
    backbone = small_rtmo().backbone.train()
    images = torch.rand(1, 3, 64, 64)

    def kept() -> int:
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
            backbone(images)
        return sum(sizes)

    without = kept()
    checkpoint_stages(backbone.stages)
    assert kept() < without / 3


def test_a_copy_computes_with_its_own_weights() -> None:
    """As the average of the weights does, which is a copy of the module."""
    backbone = small_rtmo().backbone.train()
    checkpoint_stages(backbone.stages)
    other = copy.deepcopy(backbone)
    for parameter in other.parameters():
        torch.nn.init.zeros_(parameter)
    images = torch.rand(1, 3, 64, 64)
    assert all(level.abs().max() == 0 for level in other(images))
    assert all(level.abs().max() > 0 for level in backbone(images))
