"""Losses of boxes matched with people."""

from jaxtyping import Float
from torch import Tensor

from rtmo.ops.boxes import encode_bboxes, iou


def iou_loss(pred: Float[Tensor, "F 4"], gt: Float[Tensor, "F 4"]) -> Float[Tensor, " F"]:
    """``1 - IoU^2`` of corners in px, 0..1. Without overlap it is 1 and has no gradient."""
    return 1 - iou(pred, gt).square()


def bbox_l1_loss(
    bbox_offsets: Float[Tensor, "F 4"],
    gt: Float[Tensor, "F 4"],
    priors: Float[Tensor, "F 2"],
    strides: Float[Tensor, " F"],
) -> Float[Tensor, " F"]:
    """L1 distance of the raw offsets from those that would decode to the ground truth, summed over the four.

    The last epochs add it to the IoU loss, as in YOLOX; the paper does not mention it, the published recipe has it.
    """
    return (bbox_offsets - encode_bboxes(gt, priors, strides)).abs().sum(dim=-1)
