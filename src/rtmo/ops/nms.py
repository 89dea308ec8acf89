"""Non-maximum suppression of boxes, in plain torch."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rtmo.ops.boxes import pairwise_iou

BLOCK = 256  # boxes compared with one another at once: more than the people of most images give


def nms(bboxes: Float[Tensor, "N 4"], scores: Float[Tensor, " N"], iou_thr: float) -> Int[Tensor, " M"]:
    """Indices of the boxes that survive greedy suppression, best score first.

    A box goes when its IoU with a better surviving box exceeds ``iou_thr``. Boxes are taken in blocks, so the memory
    stays linear in N however many priors an untrained network lets through.

    Args:
        bboxes: Corners in px.
        iou_thr: 1 or more suppresses nothing.
    """
    remaining = scores.argsort(descending=True, stable=True)
    keep = [remaining[:0]]
    while remaining.numel() > 0:
        block, remaining = remaining[:BLOCK], remaining[BLOCK:]
        survivors = block[_survivors(pairwise_iou(bboxes[block], bboxes[block]) <= iou_thr)]
        keep.append(survivors)
        apart = pairwise_iou(bboxes[survivors], bboxes[remaining]) <= iou_thr
        remaining = remaining[apart.all(dim=0)]
    return torch.cat(keep)


def _survivors(apart: Bool[Tensor, "N N"]) -> Bool[Tensor, " N"]:
    """Which of some boxes survive, best first, by whether each pair may stand together.

    On the host in numpy: it decides one box after another, and torch takes longer to start than to do it.
    """
    pairs = apart.cpu().numpy()
    survive = np.ones(len(pairs), dtype=bool)
    for place, row in enumerate(pairs):
        if survive[place]:
            survive[place + 1 :] &= row[place + 1 :]
    return torch.from_numpy(survive).to(apart.device)
