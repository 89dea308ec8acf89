"""Keypoints in px: from the proxy branch's offsets, and object keypoint similarity (OKS).

OKS is that of the COCO evaluation: ``exp(-d^2 / (2 area (2 sigma)^2))`` per joint, averaged over the labeled joints.
"""

import math

from jaxtyping import Bool, Float
from torch import Tensor

_MIN_AREA = 1.0  # px^2
_LOG2_E = math.log2(math.e)


def decode_proxy(
    proxy_offsets: Float[Tensor, "*batch P K 2"], priors: Float[Tensor, "P 2"], strides: Float[Tensor, " P"]
) -> Float[Tensor, "*batch P K 2"]:
    """Keypoints in px regressed by the proxy branch: ``prior + stride * offset``."""
    return priors[:, None] + proxy_offsets * strides[:, None, None]


def keypoint_similarity(
    pred: Float[Tensor, "*batch K 2"],
    gt: Float[Tensor, "*batch K 2"],
    area: Float[Tensor, "*batch"],
    oks_sigmas: Float[Tensor, " K"],
) -> Float[Tensor, "*batch K"]:
    """Similarity of every joint to its ground truth, 0..1, labeled or not.

    Args:
        pred: px.
        gt: px of the same image.
        area: Object area in px^2, floored at 1.
        oks_sigmas: COCO constants; the falloff is ``k = 2 * sigma``.
    """
    return ((pred - gt).square().sum(dim=-1) * _exponent(area, oks_sigmas)).exp()


def oks(
    pred: Float[Tensor, "*batch K 2"],
    gt: Float[Tensor, "*batch K 2"],
    labeled: Bool[Tensor, "*batch K"],
    area: Float[Tensor, "*batch"],
    oks_sigmas: Float[Tensor, " K"],
) -> Float[Tensor, "*batch"]:
    """OKS of predictions and ground truths paired by position, 0..1; a person without any labeled joint scores 0."""
    similarity = keypoint_similarity(pred, gt, area, oks_sigmas)
    return (similarity * labeled).sum(dim=-1) / labeled.sum(dim=-1).clamp(min=1)


def pairwise_oks(
    pred: Float[Tensor, "*batch N K 2"],
    gt: Float[Tensor, "*batch G K 2"],
    labeled: Bool[Tensor, "*batch G K"],
    area: Float[Tensor, "*batch G"],
    oks_sigmas: Float[Tensor, " K"],
) -> Float[Tensor, "*batch N G"]:
    """OKS of every prediction with every ground truth, 0..1; only labeled joints count.

    It runs over the joints one at a time. That needs K times less memory than all at once and is faster on a CPU, and
    unlike ``|a|^2 + |b|^2 - 2ab`` it loses no digits to cancellation. Most pairs are far apart, where the results of
    ``exp`` are denormal and take a CPU ten times as long; those of ``exp2`` do not.

    Args:
        pred: px.
        gt: px of the same image.
        labeled: A person without any labeled joint scores 0.
        area: Object area in px^2, floored at 1.
        oks_sigmas: COCO constants; the falloff is ``k = 2 * sigma``.
    """
    exponent = (_exponent(area, oks_sigmas) * _LOG2_E).movedim(-1, 0)[..., None]
    weight = (labeled.to(pred.dtype) / labeled.sum(dim=-1, keepdim=True).clamp(min=1)).movedim(-1, 0)[..., None]
    # joints first, so that those of one kind lie side by side
    pred_x, pred_y = pred.movedim((-1, -2), (0, 1)).contiguous()[..., None, :]
    gt_x, gt_y = gt.movedim((-1, -2), (0, 1)).contiguous()[..., None]
    total = pred.new_zeros(())
    for joint in range(len(exponent)):
        dx, dy = pred_x[joint] - gt_x[joint], pred_y[joint] - gt_y[joint]
        similarity = (dx.square().addcmul(dy, dy) * exponent[joint]).exp2()
        total = total.addcmul(similarity, weight[joint])
    return total.mT


def _exponent(area: Float[Tensor, "*batch"], oks_sigmas: Float[Tensor, " K"]) -> Float[Tensor, "*batch K"]:
    """The factor of the squared distance in OKS, per px^2."""
    return -1 / (2 * area.clamp(min=_MIN_AREA)[..., None] * (2 * oks_sigmas).square())
