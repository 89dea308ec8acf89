"""Boxes: decoding, encoding, overlap."""

import torch

from rtmo.ops.boxes import decode_bboxes, encode_bboxes, iou, jitter_bboxes, pairwise_iou

PRIORS, STRIDES = torch.tensor([[7.5, 7.5], [15.5, 47.5]]), torch.tensor([16.0, 32.0])


def test_decoding_moves_from_the_prior_in_units_of_the_stride() -> None:
    offsets = torch.tensor([[1.0, -1.0, 0.0, torch.log(torch.tensor(2.0))], [0.0, 0.5, 0.0, 0.0]])
    expected = torch.tensor([[15.5, -24.5, 31.5, 7.5], [-0.5, 47.5, 31.5, 79.5]])
    torch.testing.assert_close(decode_bboxes(offsets, PRIORS, STRIDES), expected)
    torch.testing.assert_close(decode_bboxes(offsets.expand(3, 2, 4), PRIORS, STRIDES), expected.expand(3, 2, 4))


def test_encoding_undoes_decoding() -> None:
    offsets = torch.randn(5, 2, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        encode_bboxes(decode_bboxes(offsets, PRIORS, STRIDES), PRIORS, STRIDES), offsets, atol=1e-5, rtol=1e-5
    )


def test_an_empty_box_has_finite_offsets() -> None:
    empty = torch.tensor([[3.0, 4.0, 3.0, 9.0]])
    assert encode_bboxes(empty, PRIORS[:1], STRIDES[:1]).isfinite().all()


def test_iou_of_known_boxes() -> None:
    a = torch.tensor([0.0, 0.0, 2.0, 2.0])
    b = torch.tensor([[1.0, 1.0, 3.0, 3.0], [0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0], [2.0, 0.0, 4.0, 2.0]])
    torch.testing.assert_close(iou(a, b), torch.tensor([1 / 7, 1.0, 0.0, 0.0]))


def test_iou_of_empty_boxes_is_zero_with_a_finite_gradient() -> None:
    point = torch.zeros(1, 4, requires_grad=True)
    overlap = iou(point, torch.zeros(1, 4))
    overlap.sum().backward()
    assert overlap.item() == 0
    assert point.grad is not None
    assert point.grad.isfinite().all()


def test_pairwise_iou_is_iou_of_every_pair() -> None:
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(2, 9, 2, 2, generator=generator) * 50
    bboxes = torch.cat((corners.amin(2), corners.amax(2)), dim=-1)
    a, b = bboxes[:, :4], bboxes[:, 4:]
    pairs = pairwise_iou(a, b)
    assert pairs.shape == (2, 4, 5)
    for image in range(2):
        for i in range(4):
            for j in range(5):
                torch.testing.assert_close(pairs[image, i, j], iou(a[image, i], b[image, j]))


def test_jitter_moves_and_scales_each_axis_by_a_share_of_the_size() -> None:
    box = torch.tensor([100.0, 200.0, 140.0, 300.0])  # 40 x 100 px about (120, 250)
    jittered = jitter_bboxes(box.expand(4000, 4), 0.1, torch.Generator().manual_seed(0))
    centres, sizes = (jittered[:, :2] + jittered[:, 2:]) / 2, jittered[:, 2:] - jittered[:, :2]
    for values, middle, reach in ((centres, (120.0, 250.0), (4.0, 10.0)), (sizes, (40.0, 100.0), (4.0, 10.0))):
        away = (values - torch.tensor(middle)) / torch.tensor(reach)
        assert (away.abs() <= 1 + 1e-4).all()
        assert (away.min(dim=0).values < -0.99).all()
        assert (away.max(dim=0).values > 0.99).all()
        assert (away.mean(dim=0).abs() < 0.05).all()
    assert torch.equal(jittered, jitter_bboxes(box.expand(4000, 4), 0.1, torch.Generator().manual_seed(0)))
