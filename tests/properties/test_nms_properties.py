"""What must hold of suppression whatever the boxes are, more than a block of them included."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import PROPERTY, boxes, seeds

from rtmo.ops.boxes import pairwise_iou
from rtmo.ops.nms import nms


def one_after_another(overlaps, scores, iou_thr):
    kept = []
    for place in scores.argsort(descending=True, stable=True).tolist():
        if all(overlaps[place, other] <= iou_thr for other in kept):
            kept.append(place)
    return kept


@given(seeds, st.sampled_from((0, 1, 2, 40, 300)), st.sampled_from((0.0, 0.3, 0.65, 1.0)))
@PROPERTY
def test_nms_keeps_what_the_definition_keeps(seed, count, iou_thr):
    rng = np.random.default_rng(seed)
    bboxes, scores = boxes(rng, count), torch.from_numpy(np.round(rng.random(count), 1))  # with ties
    kept = nms(bboxes, scores, iou_thr)
    overlaps = pairwise_iou(bboxes, bboxes)
    assert kept.tolist() == one_after_another(overlaps, scores, iou_thr)
    among = overlaps[kept][:, kept].fill_diagonal_(0)
    assert (among <= iou_thr).all(), "two that overlap were kept"
    dropped = sorted(set(range(count)) - set(kept.tolist()))
    assert (overlaps[dropped][:, kept] > iou_thr).any(dim=1).all(), "one was dropped that no other covers"
    assert nms(bboxes[kept], scores[kept], iou_thr).tolist() == list(range(len(kept))), "not idempotent"
