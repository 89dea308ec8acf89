"""Residual log-likelihood estimation: a coordinate loss that learns what errors look like while it is trained with.

Reference: Li et al., "Human Pose Regression with Residual Log-likelihood Estimation", ICCV 2021 (arXiv:2107.11291).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rtmo.losses.keypoints import MIN_SIGMA, MIN_SIZE, CoordinateLoss, check_spread, spread
from rtmo.types import CoordinateCodes

_HIDDEN = 64  # units of a coupling
_FARTHEST = 30.0  # spreads; squares of larger errors overflow
_MIN_LOG_LIKELIHOOD = -30.0
BASES = ("laplace", "gaussian")


class RLELoss(nn.Module, CoordinateLoss):
    """Negative log-likelihood of the annotation about the expected keypoint, under a density that a flow learns.

    The error of a keypoint in units of its spread, both axes having the same, is scored twice: by a base density, and
    by a flow shared by all keypoints that learns how real errors differ from it. Of the heatmap only the expectation
    matters. The loss can be negative, so it measures no progress; never monitor it.

    The parameters are the flow's; only training reads them.

    Args:
        base: ``laplace`` or ``gaussian``.
        sigma: The spread of all keypoints, as a share of the person's size; None: learned.
        min_sigma: Floor of a learned spread, likewise.
        num_couplings: Of the flow; at least two, as each moves one axis.

    Raises:
        ValueError: If an argument is not valid.

    Reference: arXiv:2107.11291, section 3. As in the authors' code and unlike the paper's formula, base and flow each
    pay for the spread: if they paid together, the flow would follow any spread and the base have it grow without end.
    The number ``s``, which makes their product a density, is left out there and here. Unlike that code, the flow's
    density of the two axes counts once, a coupling has one hidden layer, for it reads one number, and the flow's
    likelihood has a floor, as that of ``MLELoss``: one person who is far off would move it more than all others.
    """

    name = "rle"

    def __init__(
        self,
        *,
        base: str = "laplace",
        sigma: float | None = None,
        min_sigma: float = MIN_SIGMA,
        num_couplings: int = 6,
    ) -> None:
        super().__init__()
        check_spread(sigma, min_sigma)
        if base not in BASES:
            raise ValueError(f"base={base!r} is unknown; choose one of {', '.join(BASES)}")
        self.base = base
        self.sigma = sigma
        self.min_sigma = min_sigma
        self.flow = Flow(num_couplings=num_couplings)

    def forward(
        self, codes: CoordinateCodes, keypoints: Float[Tensor, "F K 2"], area: Float[Tensor, " F"]
    ) -> Float[Tensor, "F K"]:
        """Loss of every keypoint, in full precision even under autocast.

        Raises:
            ValueError: If the spread is learned and the codes come without ``pred_sigmas``.
        """
        sigmas = spread(codes, self.sigma, self.min_sigma)
        width = sigmas * area.sqrt().clamp(min=MIN_SIZE)[:, None]
        error = (keypoints - codes.keypoints) / width[..., None]
        base = (error.abs() + math.log(2)).sum(dim=-1) if self.base == "laplace" else -_log_normal(error)
        with torch.autocast(error.device.type, enabled=False):
            learned = self.flow(error.clamp(-_FARTHEST, _FARTHEST))
        learned = torch.logaddexp(learned, torch.full_like(learned, _MIN_LOG_LIKELIHOOD))
        return base - learned + 4 * sigmas.log()  # two axes, two densities; the person's size is a constant


class Flow(nn.Module):
    """RealNVP of the plane: a learned density that starts as the standard normal one.

    Args:
        num_couplings: Each shifts and scales one coordinate by what it makes of the other, in turns.

    Raises:
        ValueError: If there are fewer than two.

    Reference: Dinh et al., "Density estimation using Real NVP" (arXiv:1605.08803), section 3.
    """

    def __init__(self, *, num_couplings: int) -> None:
        super().__init__()
        if num_couplings < 2:
            raise ValueError(f"num_couplings={num_couplings} must be at least 2, one for each axis")
        self.couplings = nn.ModuleList(
            nn.Sequential(nn.Linear(1, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, 2)) for _ in range(num_couplings)
        )
        for parameter in (p for coupling in self.couplings for p in coupling[-1].parameters()):  # type: ignore[index]
            nn.init.zeros_(parameter)

    def forward(self, points: Float[Tensor, "*N 2"]) -> Float[Tensor, "*N"]:
        """Log-density of points."""
        fixed, moved = points[..., :1], points[..., 1:]
        log_det = torch.zeros_like(points[..., 0])
        for coupling in self.couplings:
            scale, shift = coupling(fixed).split(1, dim=-1)
            scale = scale.tanh()
            log_det = log_det + scale[..., 0]
            fixed, moved = moved * scale.exp() + shift, fixed
        return _log_normal(torch.cat((fixed, moved), dim=-1)) + log_det


def _log_normal(points: Float[Tensor, "*N 2"]) -> Float[Tensor, "*N"]:
    return -points.square().sum(dim=-1) / 2 - math.log(2 * math.pi)
