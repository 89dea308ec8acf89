"""Boxes as corners (x1, y1, x2, y2) in px: from and to the head's offsets, and their overlap."""

import torch
from jaxtyping import Float
from torch import Tensor

_MIN_UNION = 1e-6  # px^2, so that two empty boxes have IoU 0 instead of NaN
_MIN_RATIO = 1e-8  # keeps the logarithm of an empty box finite


def decode_bboxes(
    bbox_offsets: Float[Tensor, "*batch P 4"], priors: Float[Tensor, "P 2"], strides: Float[Tensor, " P"]
) -> Float[Tensor, "*batch P 4"]:
    """Boxes predicted at the priors, neither clipped nor padded.

    The centre lies ``stride * (dx, dy)`` from the prior and the size is ``stride * exp(log w, log h)``, as in YOLOX.

    Args:
        bbox_offsets: (dx, dy, log w, log h) in units of the stride.
        priors: Grid points in px.
        strides: Stride of each prior's level in px.
    """
    strides = strides[:, None]
    centres = priors + bbox_offsets[..., :2] * strides
    half_sizes = bbox_offsets[..., 2:].exp() * strides / 2
    return torch.cat([centres - half_sizes, centres + half_sizes], dim=-1)


def encode_bboxes(
    bboxes: Float[Tensor, "*batch P 4"], priors: Float[Tensor, "P 2"], strides: Float[Tensor, " P"]
) -> Float[Tensor, "*batch P 4"]:
    """Offsets (dx, dy, log w, log h) that decode to the boxes; a side of no length gives log 1e-8."""
    strides = strides[:, None]
    centres = (bboxes[..., :2] + bboxes[..., 2:]) / 2
    sizes = bboxes[..., 2:] - bboxes[..., :2]
    return torch.cat([(centres - priors) / strides, (sizes / strides + _MIN_RATIO).log()], dim=-1)


def iou(a: Float[Tensor, "*#batch 4"], b: Float[Tensor, "*#batch 4"]) -> Float[Tensor, "*batch"]:
    """Intersection over union of boxes paired by position, 0..1; leading dimensions broadcast."""
    left, top = torch.maximum(a[..., 0], b[..., 0]), torch.maximum(a[..., 1], b[..., 1])
    right, bottom = torch.minimum(a[..., 2], b[..., 2]), torch.minimum(a[..., 3], b[..., 3])
    intersection = (right - left).clamp(min=0) * (bottom - top).clamp(min=0)
    return intersection / (_area(a) + _area(b) - intersection).clamp(min=_MIN_UNION)


def pairwise_iou(a: Float[Tensor, "*batch N 4"], b: Float[Tensor, "*batch M 4"]) -> Float[Tensor, "*batch N M"]:
    """Intersection over union of every box of ``a`` with every box of ``b``, 0..1."""
    return iou(a[..., :, None, :], b[..., None, :, :])


def jitter_bboxes(
    bboxes: Float[Tensor, "N 4"], share: float, generator: torch.Generator | None = None
) -> Float[Tensor, "N 4"]:
    """Boxes moved and scaled at random, each axis on its own.

    Args:
        share: Of the size: centres move by at most so much, sizes change by at most so much. Below 1.
        generator: On the CPU; None: torch's own.
    """
    noise = share * (2 * torch.rand(len(bboxes), 4, generator=generator).to(bboxes) - 1)
    sizes = bboxes[:, 2:] - bboxes[:, :2]
    centres = (bboxes[:, :2] + bboxes[:, 2:]) / 2 + noise[:, :2] * sizes
    half_sizes = sizes * (1 + noise[:, 2:]) / 2
    return torch.cat([centres - half_sizes, centres + half_sizes], dim=-1)


def _area(bboxes: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    return (bboxes[..., 2] - bboxes[..., 0]) * (bboxes[..., 3] - bboxes[..., 1])
