"""Residual log-likelihood estimation: by hand where the flow is the identity, as a density where it is not."""

import math

import pytest
import torch
from scene import TinyClassifier
from torch import Tensor, nn

from rtmo.losses.rle import Flow, RLELoss
from rtmo.training.muon import is_matrix
from rtmo.types import CoordinateCodes

GT = torch.tensor([[[60.0, 100.0], [30.0, 200.0]]])
AREA = torch.tensor([400.0])  # a person of 20 px


def codes_at(keypoints: Tensor, sigmas: float | Tensor | None = 0.1) -> CoordinateCodes:
    """What a classifier says whose keypoints lie there; the loss reads nothing else of its heatmaps."""
    nothing = torch.zeros(len(keypoints), keypoints.shape[1], 1)
    if isinstance(sigmas, float):
        sigmas = torch.full(keypoints.shape[:2], sigmas)
    return CoordinateCodes(nothing, nothing, nothing[:, 0], nothing[:, 0], keypoints, sigmas)


def disturbed(module: nn.Module, size: float = 0.2) -> nn.Module:
    """A flow that is not the identity any more."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator))
    return module


def test_a_fresh_flow_is_the_standard_normal() -> None:
    """Errors of 4 and -3 px where the spread is 2 px: residuals of 2 and -1.5."""
    pred = GT - torch.tensor([4.0, -3.0])
    normal = math.log(2 * math.pi) + (2.0**2 + 1.5**2) / 2
    spread = 2 * math.log(0.1)  # of two axes, for each density
    laplace = 2 * math.log(2) + 2.0 + 1.5 + normal + 2 * spread
    gaussian = 2 * normal + 2 * spread
    for base, expected in (("laplace", laplace), ("gaussian", gaussian)):
        loss = RLELoss(base=base)(codes_at(pred), GT, AREA)
        torch.testing.assert_close(loss, torch.full((1, 2), expected))


def test_a_fixed_spread_is_that_of_a_network_that_says_so() -> None:
    pred, loss = GT + 3, RLELoss()
    torch.testing.assert_close(RLELoss(sigma=0.1)(codes_at(pred, None), GT, AREA), loss(codes_at(pred), GT, AREA))
    floored = RLELoss(min_sigma=0.1)(codes_at(pred, 0.02), GT, AREA)
    torch.testing.assert_close(floored, loss(codes_at(pred), GT, AREA))


def test_the_density_of_a_flow_sums_to_one() -> None:
    flow = disturbed(Flow(num_couplings=6))
    axis = torch.linspace(-10, 10, 401)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density, normal = flow(grid).exp(), Flow(num_couplings=6)(grid).exp()
    assert (density.sum() * 0.05**2).item() == pytest.approx(1, abs=1e-4)
    assert (density - normal).abs().sum() * 0.05**2 > 0.5  # of 2, so it is another density


def test_both_axes_depend_on_each_other_through_the_flow() -> None:
    curvature = torch.autograd.functional.hessian(disturbed(Flow(num_couplings=2)), torch.tensor([0.5, -1.0]))
    assert curvature[0, 1].abs() > 0.01


@pytest.mark.parametrize("base", ["laplace", "gaussian"])
def test_gradients_reach_heatmaps_spread_and_flow(base: str) -> None:
    loss, dcc = RLELoss(base=base), TinyClassifier()
    vectors = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    bboxes = torch.tensor([[10.0, 20.0, 110.0, 220.0]]).repeat(3, 1).requires_grad_()
    codes = dcc(vectors, bboxes, torch.zeros(3, 2), with_sigmas=True)
    for tensor in (codes.heatmap_x, codes.heatmap_y, codes.pred_sigmas):
        tensor.retain_grad()
    disturbed(loss)
    gt = codes.keypoints.detach() + 2
    loss(codes, gt, torch.full((3,), 9000.0)).sum().backward()
    reached = (codes.heatmap_x.grad, codes.heatmap_y.grad, codes.pred_sigmas.grad, bboxes.grad)
    assert all(grad is not None and grad.abs().sum() > 0 for grad in reached)
    assert all(parameter.grad.abs().sum() > 0 for parameter in loss.parameters())


def test_nobody_gives_every_parameter_a_gradient_of_zero() -> None:
    loss = RLELoss()
    loss(codes_at(torch.empty(0, 17, 2)), torch.empty(0, 17, 2), torch.empty(0)).sum().backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in loss.parameters())


@pytest.mark.parametrize("base", ["laplace", "gaussian"])
@pytest.mark.parametrize("area", [0.0, 1.0, 1e5])
@pytest.mark.parametrize("sigma", [-1.0, 0.0, 0.1])
def test_extremes_are_finite(base: str, area: float, sigma: float) -> None:
    loss = disturbed(RLELoss(base=base), size=3.0)
    pred = (GT + torch.tensor([1e5, -1e5])).requires_grad_()
    sigmas = torch.full((1, 2), sigma, requires_grad=True)
    value = loss(codes_at(pred, sigmas), GT, torch.tensor([area]))
    value.sum().backward()
    assert value.isfinite().all()
    for leaf in (pred, sigmas, *loss.parameters()):
        assert leaf.grad.isfinite().all()


def test_people_far_off_move_the_keypoint_and_not_the_flow() -> None:
    loss = RLELoss()
    for distance, moves in ((10.0, True), (40.0, False), (1e4, False)):  # px; the spread is 2
        pred = (GT + distance).requires_grad_()
        loss.zero_grad()
        loss(codes_at(pred), GT, AREA).sum().backward()
        assert (max(parameter.grad.abs().max().item() for parameter in loss.parameters()) > 1) is moves
        assert moves or torch.allclose(pred.grad, torch.full_like(GT, 1 / 2))  # the base's


def test_half_precision_around_it_changes_nothing() -> None:
    loss = disturbed(RLELoss())
    codes = codes_at(GT + 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = loss(codes, GT, AREA)
    assert half.dtype == torch.float32
    assert torch.equal(half, loss(codes, GT, AREA))


def test_the_spread_settles_at_the_size_of_the_errors() -> None:
    """And does not grow without end while the flow learns to follow it; the flow ends better than the normal."""
    generator = torch.Generator().manual_seed(0)
    signs = torch.rand(2000, 1, 2, generator=generator) - 0.5
    errors = -0.04 * signs.sign() * (1 - 2 * signs.abs()).log()  # Laplace of width .04, as a share of the person
    loss = RLELoss()
    log_sigma = nn.Parameter(torch.tensor(math.log(0.2)))
    optimizer = torch.optim.Adam([log_sigma, *loss.parameters()], lr=0.02)
    area, gt = torch.ones(2000), torch.zeros(2000, 1, 2)
    history = []
    for _ in range(250):
        optimizer.zero_grad()
        value = loss(codes_at(errors, log_sigma.exp().expand(2000, 1)), gt, area).mean()
        value.backward()
        optimizer.step()
        history.append(value.item())
    assert log_sigma.exp().item() == pytest.approx(0.04, rel=0.15)
    with torch.no_grad():
        normal = RLELoss()(codes_at(errors, log_sigma.exp().expand(2000, 1)), gt, area).mean().item()
    # what the flow can gain on a Laplace error is the divergence of the normal from it
    assert history[-1] < normal - 0.15
    entropy = 2 * (1 + math.log(2 * 0.04))
    assert history[-1] == pytest.approx(2 * entropy, abs=0.1)


def test_keypoints_are_learned_by_heart() -> None:
    torch.manual_seed(0)
    loss, dcc = RLELoss(), TinyClassifier()
    vectors = torch.eye(4, 6)
    bboxes = torch.tensor([[0.0, 0.0, 60.0, 100.0]]).expand(4, 4)
    gt = torch.rand(4, 17, 2) * torch.tensor([50.0, 90.0]) + 5
    area = torch.full((4,), 3000.0)
    history = []
    optimizer = torch.optim.Adam([*dcc.parameters(), *loss.parameters()], lr=0.03)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=300)
    for _ in range(300):
        codes = dcc(vectors, bboxes, torch.zeros(4, 2), with_sigmas=True)
        optimizer.zero_grad()
        loss(codes, gt, area).mean().backward()
        optimizer.step()
        schedule.step()
        history.append((codes.keypoints - gt).norm(dim=-1).mean().item())  # px
    assert history[0] > 20
    assert history[-1] < 0.5


def test_muon_leaves_the_flow_to_adamw() -> None:
    assert not any(is_matrix(parameter) for parameter in RLELoss().parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "cauchy"}, "base='cauchy' is unknown; choose one of laplace, gaussian"),
        ({"sigma": 0.0}, "sigma must be positive, or null for a learned one; got 0.0"),
        ({"min_sigma": 0.0}, "min_sigma, the floor of a learned spread, must be positive; got 0.0"),
        ({"num_couplings": 1}, "num_couplings=1 must be at least 2"),
    ],
)
def test_what_cannot_be_is_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        RLELoss(**options)


def test_a_learned_spread_must_be_given() -> None:
    with pytest.raises(ValueError, match="with_sigmas=True"):
        RLELoss()(codes_at(GT, None), GT, AREA)
