"""Losses of keypoint coordinates: likelihood, divergence, proxy OKS."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from rtmo.losses.keypoints import KLDLoss, MLELoss, gaussian_code, laplace_code, proxy_oks_loss
from rtmo.types import CoordinateCodes

NUM_BINS = (48, 64)
BBOXES = torch.tensor([[10.0, 20.0, 110.0, 220.0], [50.0, 0.0, 80.0, 40.0]])
GT = torch.tensor([[[60.0, 100.0], [30.0, 200.0]], [[60.0, 20.0], [75.0, 5.0]]])
AREA = torch.tensor([9000.0, 700.0])


def codes_around(centers: Tensor, width: float = 3.0, sigmas: float | None = 0.05) -> CoordinateCodes:
    """Heatmaps with a bump of ``width`` bins about each centre, over bins that span the boxes."""
    bins_x, bins_y = (
        BBOXES[:, axis, None] + (BBOXES[:, axis + 2] - BBOXES[:, axis])[:, None] * torch.linspace(0, 1, num)
        for axis, num in enumerate(NUM_BINS)
    )
    return CoordinateCodes(
        heatmap_x=gaussian_code(bins_x, centers[..., 0], width),
        heatmap_y=gaussian_code(bins_y, centers[..., 1], width),
        bins_x=bins_x,
        bins_y=bins_y,
        keypoints=centers,
        pred_sigmas=None if sigmas is None else torch.full(centers.shape[:2], sigmas),
    )


@pytest.mark.parametrize("loss", [MLELoss(), KLDLoss(sigma=(3.0, 3.0))])
def test_loss_falls_as_the_prediction_approaches(loss) -> None:
    distances = (15.0, 8.0, 4.0, 2.0, 1.0)
    losses = [loss(codes_around(GT + distance), GT, AREA) for distance in (*distances, 0.0)]
    for farther, nearer in itertools.pairwise(losses):
        assert (nearer < farther).all()


def test_divergence_of_the_target_itself_is_zero() -> None:
    loss = KLDLoss(sigma=(3.0, 3.0))(codes_around(GT, width=3.0), GT, AREA)
    torch.testing.assert_close(loss, torch.zeros(2, 2), atol=1e-6, rtol=0)


def test_divergence_leaves_the_bins_alone() -> None:
    codes = codes_around(GT + 2)
    bins = codes.bins_x.clone().requires_grad_()
    heatmap = codes.heatmap_x.clone().requires_grad_()
    KLDLoss()(codes._replace(bins_x=bins, heatmap_x=heatmap), GT, AREA).sum().backward()
    assert bins.grad is None
    assert heatmap.grad is not None
    assert heatmap.grad.abs().sum() > 0


def test_gaussian_code_has_its_spread_in_bins_and_sums_to_one() -> None:
    bins = torch.linspace(0, 47, 48)[None] * 2.5 + 10  # a bin is 2.5 px
    positions = torch.tensor([[70.0, 10.0, 1e5, -1e5]])
    code = gaussian_code(bins, positions, sigma=3.0)
    torch.testing.assert_close(code.sum(-1), torch.ones(1, 4))
    mean = (code[0, 0] * bins[0]).sum()
    deviation = (code[0, 0] * (bins[0] - mean).square()).sum().sqrt()
    assert mean.item() == pytest.approx(70, abs=0.01)
    assert deviation.item() == pytest.approx(3 * 2.5, rel=0.01)


def test_laplace_code_by_hand() -> None:
    code = laplace_code(torch.tensor([[0.0, 6.0]]), torch.tensor([[2.0]]), torch.tensor([10.0]), torch.tensor([[0.1]]))
    expected = [math.exp(-2 / 10 / 0.1 / 2) / 0.1, math.exp(-4 / 10 / 0.1 / 2) / 0.1]
    torch.testing.assert_close(code, torch.tensor([[expected]]))


def test_likelihood_prefers_the_spread_of_its_error() -> None:
    """The reason for learning the spread: far off, doubt costs less; close by, confidence pays."""
    sure, unsure = (codes_around(GT, sigmas=sigmas) for sigmas in (0.01, 0.3))
    loss = MLELoss()
    assert (loss(sure, GT, AREA) < loss(unsure, GT, AREA)).all()
    off = GT + AREA.sqrt()[:, None, None] / 2
    assert (loss(sure, off, AREA) > loss(unsure, off, AREA)).all()


def test_likelihood_needs_the_spread() -> None:
    with pytest.raises(ValueError, match="with_sigmas=True"):
        MLELoss()(codes_around(GT, sigmas=None), GT, AREA)


@pytest.mark.parametrize("loss", [MLELoss(), KLDLoss()])
def test_extremes_are_finite(loss) -> None:
    """Keypoints far outside, empty boxes, no spread, no area."""
    for codes in (codes_around(GT), codes_around(GT, sigmas=0.0)):
        flat = codes._replace(bins_x=torch.full_like(codes.bins_x, 5.0))
        for bins in (codes, flat):
            heatmap = bins.heatmap_x.clone().requires_grad_()
            values = loss(bins._replace(heatmap_x=heatmap), GT + torch.tensor([1e5, -1e5]), torch.zeros(2))
            values.sum().backward()
            assert values.isfinite().all()
            assert heatmap.grad is not None
            assert heatmap.grad.isfinite().all()


@pytest.mark.parametrize("sigma", [(0.0, 2.0), (2.0,)])
def test_a_sigma_that_is_no_spread_is_refused(sigma: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="sigma must be two positive numbers"):
        KLDLoss(sigma=sigma)


def test_proxy_loss_of_perfect_keypoints_is_what_their_shares_leave() -> None:
    shares = torch.tensor([[0.5, 0.5], [0.5, 0.0]])
    loss = proxy_oks_loss(GT, GT, AREA, torch.tensor([0.05, 0.1]), shares)
    torch.testing.assert_close(loss, torch.tensor([0.0, 0.5]))


def test_a_fixed_spread_is_that_of_a_network_that_says_so() -> None:
    codes = codes_around(GT + 3, sigmas=0.02)
    torch.testing.assert_close(MLELoss(sigma=0.02)(codes, GT, AREA), MLELoss()(codes, GT, AREA))
    without = codes._replace(pred_sigmas=None)
    torch.testing.assert_close(MLELoss(sigma=0.02)(without, GT, AREA), MLELoss()(codes, GT, AREA))


def test_a_learned_spread_of_the_divergence_is_a_share_of_the_person() -> None:
    """The first person: 95 px large, horizontal bins of 100 / 47 px, vertical ones of 200 / 63."""
    spread = 6.0  # px
    codes = codes_around(GT + 3)._replace(pred_sigmas=torch.full((2, 2), spread / math.sqrt(9000)))
    fixed = KLDLoss(sigma=(spread / (100 / 47), spread / (200 / 63)))
    torch.testing.assert_close(KLDLoss(sigma=None)(codes, GT, AREA)[0], fixed(codes, GT, AREA)[0])


def test_a_learned_divergence_falls_by_flattening_both_sides() -> None:
    """Why the paper does not learn it: heatmaps that know nothing reach a loss of nothing."""
    flat = codes_around(GT + 40, width=1e4)
    loss = KLDLoss(sigma=None)
    narrow, wide = (loss(flat._replace(pred_sigmas=torch.full((2, 2), spread)), GT, AREA) for spread in (0.05, 50.0))
    assert (wide < 0.01 * narrow).all()


@pytest.mark.parametrize("loss", [MLELoss(), KLDLoss(sigma=None)])
def test_a_learned_spread_must_be_given(loss) -> None:
    with pytest.raises(ValueError, match="with_sigmas=True"):
        loss(codes_around(GT, sigmas=None), GT, AREA)


@pytest.mark.parametrize("make", [lambda: MLELoss(sigma=0.0), lambda: KLDLoss(sigma=(1.0, -1.0))])
def test_a_spread_must_be_positive(make) -> None:
    with pytest.raises(ValueError, match="sigma must be"):
        make()


def test_the_divergence_pulls_where_the_likelihood_cannot() -> None:
    """Heatmaps that are sharp and wrong: what the label's bin is to gain."""
    codes = codes_around(GT + 40, width=0.5)
    logits = codes.heatmap_x.clamp(min=1e-30).log().requires_grad_()

    def pull(loss) -> Tensor:
        (gradient,) = torch.autograd.grad(loss(codes._replace(heatmap_x=logits.softmax(-1)), GT, AREA).sum(), logits)
        at_label = (codes.bins_x[:, None] - GT[..., :1]).abs().argmin(-1)
        return -gradient.gather(-1, at_label[..., None])

    assert (pull(MLELoss()).abs() < 1e-4).all()
    assert (pull(KLDLoss()) > 0.1).all()


@pytest.mark.parametrize("name", ["min_sigma", "min_likelihood"])
def test_floors_must_be_positive(name: str) -> None:
    for number in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=f"{name}.* must be positive"):
            MLELoss(**{name: number})


def test_a_spread_below_its_floor_counts_as_the_floor_and_gets_no_gradient() -> None:
    codes = codes_around(GT + 3, sigmas=0.01)
    sigmas = codes.pred_sigmas.clone().requires_grad_()
    clamped = MLELoss(min_sigma=0.02)(codes._replace(pred_sigmas=sigmas), GT, AREA)
    torch.testing.assert_close(clamped, MLELoss()(codes_around(GT + 3, sigmas=0.02), GT, AREA))
    clamped.sum().backward()
    assert not sigmas.grad.any()
    wider = codes_around(GT + 3, sigmas=0.03)
    assert torch.equal(MLELoss(min_sigma=0.02)(wider, GT, AREA), MLELoss()(wider, GT, AREA))


def test_the_floor_of_the_likelihood_is_added_before_the_logarithm() -> None:
    codes = codes_around(GT)
    likelihood = (-MLELoss()(codes, GT, AREA)).exp() - 1e-4
    loss = MLELoss(min_likelihood=2.0)(codes, GT, AREA)
    torch.testing.assert_close(loss, -(likelihood + 2.0).log())
    lost = MLELoss(min_likelihood=2.0)(codes, GT + 1e5, AREA)
    torch.testing.assert_close(lost, torch.full_like(lost, -math.log(2.0)))
