"""Losses of boxes."""

import torch

from rtmo.losses.boxes import bbox_l1_loss, iou_loss
from rtmo.ops.boxes import encode_bboxes


def test_iou_loss_runs_from_one_to_zero() -> None:
    gt = torch.tensor([[0.0, 0.0, 2.0, 2.0]]).expand(3, 4)
    pred = torch.tensor([[10.0, 10.0, 12.0, 12.0], [1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
    torch.testing.assert_close(iou_loss(pred, gt), torch.tensor([1.0, 1 - (1 / 3) ** 2, 0.0]))


def test_l1_loss_is_the_distance_of_raw_offsets() -> None:
    priors, strides = torch.tensor([[7.5, 7.5], [15.5, 47.5]]), torch.tensor([16.0, 32.0])
    gt = torch.tensor([[2.0, 3.0, 30.0, 40.0], [10.0, 10.0, 10.0, 50.0]])  # the second has no width
    exact = encode_bboxes(gt, priors, strides)
    torch.testing.assert_close(bbox_l1_loss(exact, gt, priors, strides), torch.zeros(2))
    moved = exact + torch.tensor([0.5, -0.25, 0.0, 1.0])
    torch.testing.assert_close(bbox_l1_loss(moved, gt, priors, strides), torch.full((2,), 1.75))
