import pytest
import torch

from rtmo.ops.gradients import dense_gradient

LAYOUTS = {"channels_last": torch.channels_last, "nchw": torch.contiguous_format}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradient_of_a_concatenated_map_arrives_without_gaps(layout: str) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(2, 3, 4, 5, generator=generator).to(memory_format=LAYOUTS[layout]) for _ in range(2))
    first.requires_grad_()
    arrived = []
    bare, dense = first * 1, first * 1
    for each in (bare, dense):
        each.register_hook(arrived.append)

    weight = torch.randn(2, 6, 4, 5, generator=generator)
    (torch.cat((bare, second), dim=1) * weight).sum().backward()
    (torch.cat((dense_gradient(dense), second), dim=1) * weight).sum().backward()

    assert [each.is_contiguous(memory_format=LAYOUTS[layout]) for each in arrived] == [False, True]
    assert arrived[0].equal(arrived[1])
    assert arrived[0].equal(weight[:, :3])
