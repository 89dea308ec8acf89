"""Losses of keypoint coordinates, per keypoint: labels and averaging are the criterion's business.

A coordinate loss is a callable ``(codes, keypoints, area) -> (F, K)`` with a ``name`` for the logs. To add one, write
such a class and name it in the config as ``criterion.coordinate_loss``. One that learns itself is a ``Module`` as well:
the optimizer and checkpoints then have its parameters.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from rtmo.ops.keypoints import keypoint_similarity
from rtmo.types import CoordinateCodes

MIN_LIKELIHOOD = 1e-4
MIN_SIGMA = 1e-3  # share of the person's size
MIN_SIZE = 1.0  # px
_MIN_SPACING = 1e-3  # px


@runtime_checkable
class CoordinateLoss(Protocol):
    """What the criterion expects of a loss on the classifier's heatmaps."""

    name: str

    def __call__(
        self, codes: CoordinateCodes, keypoints: Float[Tensor, "F K 2"], area: Float[Tensor, " F"]
    ) -> Float[Tensor, "F K"]:
        """Loss of every keypoint.

        Args:
            codes: What the classifier says.
            keypoints: Ground truth in px.
            area: Object area in px^2.
        """
        ...


class MLELoss(CoordinateLoss):
    """Negative log-likelihood of the annotation under the heatmap, with a Laplace error of learned spread.

    The heatmap is a prior of the true position and the annotation deviates from it by a Laplace error whose width the
    network predicts: large for hard keypoints, which eases them, and small for easy ones, which sharpens them. The
    loss can be negative, so it measures no progress; never monitor it.

    Args:
        sigma: The spread of all keypoints, as a share of the person's size; None: learned.
        min_sigma: Floor of a learned spread: a narrower one sharpens no keypoint further and gets no gradient.
        min_likelihood: Added to the likelihood, so that keypoints far less likely are given up.

    Raises:
        ValueError: If one of them is not positive.

    Reference: RTMO (arXiv:2312.07526), section 3.2. As published: the two axes multiply inside one logarithm, the
    floors are those of the defaults and of the person's size 1 px, and constant factors are left out. The box gets a
    gradient, through the positions of the bins.
    """

    name = "mle"

    def __init__(
        self,
        *,
        sigma: float | None = None,
        min_sigma: float = MIN_SIGMA,
        min_likelihood: float = MIN_LIKELIHOOD,
    ) -> None:
        check_spread(sigma, min_sigma)
        if not min_likelihood > 0:
            raise ValueError(f"min_likelihood must be positive, or the logarithm has no bottom; got {min_likelihood}")
        self.sigma = sigma
        self.min_sigma = min_sigma
        self.min_likelihood = min_likelihood

    def __call__(
        self, codes: CoordinateCodes, keypoints: Float[Tensor, "F K 2"], area: Float[Tensor, " F"]
    ) -> Float[Tensor, "F K"]:
        """Loss of every keypoint.

        Raises:
            ValueError: If the spread is learned and the codes come without ``pred_sigmas``.
        """
        sigmas = spread(codes, self.sigma, self.min_sigma)
        size = area.sqrt().clamp(min=MIN_SIZE)
        code_x = laplace_code(codes.bins_x, keypoints[..., 0], size, sigmas)
        code_y = laplace_code(codes.bins_y, keypoints[..., 1], size, sigmas)
        return negative_log_likelihood(codes.heatmap_x, codes.heatmap_y, code_x, code_y, self.min_likelihood)


class KLDLoss(CoordinateLoss):
    """Divergence of the heatmaps from Gaussians about the annotation: the baseline that MLE replaces.

    Args:
        sigma: Spread of the targets in bins, horizontal and vertical. The default is RTMPose's, 4.9 and 5.66 bins of
            half a pixel in a 192 x 256 crop that is padded by 1.25 as our bins are, hence the same share of a person.
            None: learned, the network's own spread as a share of the person's size. The paper dismisses that, and for
            a reason: flat heatmaps and flat targets agree perfectly.

    Raises:
        ValueError: If a sigma is not positive.

    Reference: RTMO (arXiv:2312.07526), sections 3.2 and 4.4 (which gives no sigma); SimCC (arXiv:2107.03332).
    Bins are constants here, otherwise a box could lower the loss by flattening its targets.
    """

    name = "kld"

    def __init__(self, *, sigma: Sequence[float] | None = (2.45, 2.83)) -> None:
        if sigma is not None and (len(sigma) != 2 or min(sigma) <= 0):
            raise ValueError(f"sigma must be two positive numbers of bins (x, y), or null: learned; got {sigma}")
        self.sigma = None if sigma is None else (sigma[0], sigma[1])

    def __call__(
        self, codes: CoordinateCodes, keypoints: Float[Tensor, "F K 2"], area: Float[Tensor, " F"]
    ) -> Float[Tensor, "F K"]:
        """Loss of every keypoint; the area plays a part only where the spread is learned.

        Raises:
            ValueError: If it is, and the codes come without ``pred_sigmas``.
        """
        bins_x, bins_y = codes.bins_x.detach(), codes.bins_y.detach()
        sigma_x: float | Tensor
        sigma_y: float | Tensor
        if self.sigma is None:
            width = spread(codes) * area.sqrt().clamp(min=MIN_SIZE)[:, None]
            sigma_x, sigma_y = width / bin_spacing(bins_x), width / bin_spacing(bins_y)
        else:
            sigma_x, sigma_y = self.sigma
        target_x = gaussian_code(bins_x, keypoints[..., 0], sigma_x)
        target_y = gaussian_code(bins_y, keypoints[..., 1], sigma_y)
        return kl_divergence(codes.heatmap_x, target_x) + kl_divergence(codes.heatmap_y, target_y)


def proxy_oks_loss(
    pred: Float[Tensor, "F K 2"],
    gt: Float[Tensor, "F K 2"],
    area: Float[Tensor, " F"],
    oks_sigmas: Float[Tensor, " K"],
    weight: Float[Tensor, "F K"],
) -> Float[Tensor, " F"]:
    """``1 - sum_k weight_k OKS_k`` of keypoints in px.

    Args:
        pred: px.
        gt: px.
        area: Object area in px^2, floored at 1.
        oks_sigmas: COCO constants; the falloff is ``k = 2 * sigma``.
        weight: Share of each keypoint in the OKS; what is missing to a sum of 1 adds a constant.

    Reference: YOLO-Pose (arXiv:2204.06806); RTMO (arXiv:2312.07526), section 3.3.
    """
    return 1 - (keypoint_similarity(pred, gt, area, oks_sigmas) * weight).sum(dim=-1)


def laplace_code(
    bins: Float[Tensor, "F X"], positions: Float[Tensor, "F K"], size: Float[Tensor, " F"], sigmas: Float[Tensor, "F K"]
) -> Float[Tensor, "F K X"]:
    """Likelihood of each annotated position if the truth lay in each bin, up to a constant factor.

    Args:
        bins: px.
        positions: px.
        size: Of the person, px.
        sigmas: Spread as a share of the size.
    """
    distance = (bins[:, None] - positions[..., None]).abs()
    sigmas = sigmas[..., None]
    return (-distance / size[:, None, None] / sigmas / 2).exp() / sigmas


def negative_log_likelihood(
    heatmap_x: Float[Tensor, "F K X"],
    heatmap_y: Float[Tensor, "F K Y"],
    code_x: Float[Tensor, "F K X"],
    code_y: Float[Tensor, "F K Y"],
    min_likelihood: float = MIN_LIKELIHOOD,
) -> Float[Tensor, "F K"]:
    """Of annotations whose likelihood given each bin is the code; the axes are independent."""
    likelihood = (heatmap_x * code_x).sum(dim=-1) * (heatmap_y * code_y).sum(dim=-1)
    return -(likelihood + min_likelihood).log()


def gaussian_code(
    bins: Float[Tensor, "F X"], positions: Float[Tensor, "F K"], sigma: float | Float[Tensor, "F K"]
) -> Float[Tensor, "F K X"]:
    """Gaussian over the bins about each position; sums to 1, even for a position far outside of the bins.

    Args:
        bins: Evenly spaced, px.
        positions: px.
        sigma: Spread in bins.
    """
    width = (bin_spacing(bins) * sigma)[..., None]
    deviation = (bins[:, None] - positions[..., None]) / width
    return torch.softmax(-deviation.square() / 2, dim=-1)


def bin_spacing(bins: Float[Tensor, "F X"]) -> Float[Tensor, "F 1"]:
    """Distance in px of neighbouring bins, which are evenly spaced."""
    return ((bins[:, -1:] - bins[:, :1]) / (bins.shape[1] - 1)).clamp(min=_MIN_SPACING)


def check_spread(sigma: float | None, min_sigma: float) -> None:
    """Checks the arguments of ``spread``.

    Raises:
        ValueError: If one is not positive.
    """
    if sigma is not None and not sigma > 0:
        raise ValueError(f"sigma must be positive, or null for a learned one; got {sigma}")
    if not min_sigma > 0:
        raise ValueError(f"min_sigma, the floor of a learned spread, must be positive; got {min_sigma}")


def spread(codes: CoordinateCodes, sigma: float | None = None, min_sigma: float = MIN_SIGMA) -> Float[Tensor, "F K"]:
    """Spread of every keypoint as a share of the person's size: the learned one above its floor, or a fixed one.

    Raises:
        ValueError: If it is learned and the codes come without ``pred_sigmas``.
    """
    if sigma is not None:
        return torch.full_like(codes.keypoints[..., 0], sigma)
    if codes.pred_sigmas is None:
        raise ValueError("a learned spread needs codes with pred_sigmas; call the classifier with with_sigmas=True")
    return codes.pred_sigmas.clamp(min=min_sigma)


def kl_divergence(heatmap: Float[Tensor, "F K X"], target: Float[Tensor, "F K X"]) -> Float[Tensor, "F K"]:
    """Kullback-Leibler divergence of heatmaps from targets, in nats summed over the bins."""
    tiny = torch.finfo(heatmap.dtype).tiny
    return (target * (target.clamp(min=tiny).log() - heatmap.clamp(min=tiny).log())).sum(dim=-1)
