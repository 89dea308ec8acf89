"""Non-maximum suppression of boxes, in plain torch."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rtmo.ops.boxes import pairwise_iou


def nms(bboxes: Float[Tensor, "N 4"], scores: Float[Tensor, " N"], iou_thr: float) -> Int[Tensor, " M"]:
    """Indices of the boxes that survive greedy suppression, best score first.

    A box goes when its IoU with a better surviving box exceeds ``iou_thr``. Each round costs one row of IoUs, so the
    memory stays linear in N however many priors an untrained network lets through.

    Args:
        bboxes: Corners in px.
        iou_thr: 1 or more suppresses nothing.
    """
    remaining = scores.argsort(descending=True, stable=True)
    keep = []
    while remaining.numel() > 0:
        best, remaining = remaining[0], remaining[1:]
        keep.append(best)
        iou = pairwise_iou(bboxes[best, None], bboxes[remaining])[0]
        remaining = remaining[iou <= iou_thr]
    return torch.stack(keep) if keep else remaining
