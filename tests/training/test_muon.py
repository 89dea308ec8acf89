import pytest
import torch
from torch import nn

from rtmo.training.muon import MuonAdamW, orthogonalized


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 12, 3), nn.Conv2d(12, 4, 1))


def train(optimizer: torch.optim.Optimizer, model: nn.Module, steps: int) -> None:
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        optimizer.zero_grad()
        model(images).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("shape", [(16, 40), (40, 16), (16, 16)])
def test_singular_values_become_about_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalized(matrix)

    turned = u.T @ found @ v.T
    assert values.max() > 1.2 * values.min()
    assert 0.6 < turned.diag().min() <= turned.diag().max() < 1.3
    torch.testing.assert_close(turned, turned.diag().diag(), atol=1e-4, rtol=0)
    assert not orthogonalized(torch.zeros(shape)).any()


def test_a_convolution_is_the_matrix_of_its_filters_and_moves_by_as_much_as_asked() -> None:
    model = network()
    before = model[0].weight.detach().clone()
    train(MuonAdamW(model.parameters(), lr=0.01, weight_decay=0.0, rms=0.5), model, steps=1)

    update = (before - model[0].weight.detach()).flatten(1)
    assert update.square().mean().sqrt() == pytest.approx(0.01 * 0.5, rel=0.2)
    values = torch.linalg.svdvals(update)
    assert values.min() > 0.5 * values.max()


def test_the_rest_learns_as_by_adamw() -> None:
    ours, theirs = network(), network()
    settings = {"lr": 0.01, "weight_decay": 0.1, "betas": (0.9, 0.95)}
    train(MuonAdamW(ours.parameters(), **settings), ours, steps=1)
    train(torch.optim.AdamW(theirs.parameters(), **settings), theirs, steps=1)

    for index, is_matrix in ((0, True), (1, False), (2, True), (3, False)):
        assert ours[index].weight.equal(theirs[index].weight) != is_matrix
        assert ours[index].bias.equal(theirs[index].bias)
    assert all(parameter.grad is not None for parameter in ours.parameters())


def test_weights_decay_in_groups_of_their_own() -> None:
    weight = nn.Parameter(torch.ones(16, 16))
    optimizer = MuonAdamW([{"params": [weight], "lr": 0.1, "weight_decay": 0.5}], lr=1.0)
    weight.grad = torch.zeros_like(weight)
    optimizer.step()

    torch.testing.assert_close(weight.detach(), torch.full((16, 16), 0.95))


def test_a_run_goes_on_as_if_it_had_not_stopped() -> None:
    whole, first, second = network(), network(), network()
    train(MuonAdamW(whole.parameters(), lr=0.01), whole, steps=4)

    optimizer = MuonAdamW(first.parameters(), lr=0.01)
    train(optimizer, first, steps=2)
    second.load_state_dict(first.state_dict())
    again = MuonAdamW(second.parameters(), lr=0.01)
    again.load_state_dict(optimizer.state_dict())
    train(again, second, steps=2)

    for expected, found in zip(whole.parameters(), second.parameters(), strict=True):
        assert found.equal(expected)


def test_what_makes_no_sense_is_refused() -> None:
    for name, value in (("momentum", 1.0), ("rms", 0.0)):
        with pytest.raises(ValueError, match=f"{name}="):
            MuonAdamW(network().parameters(), **{name: value})
