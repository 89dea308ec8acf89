"""Keypoints: proxy decoding and object keypoint similarity."""

import math

import pytest
import torch

from rtmo.ops.keypoints import decode_proxy, oks, pairwise_oks

SIGMAS = torch.tensor([0.05, 0.1, 0.2])


@pytest.fixture
def people():
    generator = torch.Generator().manual_seed(0)
    pred = torch.rand(2, 4, 3, 2, generator=generator) * 50
    gt = torch.rand(2, 5, 3, 2, generator=generator) * 50
    labeled = torch.rand(2, 5, 3, generator=generator) > 0.4
    area = torch.rand(2, 5, generator=generator) * 5000
    return pred, gt, labeled, area


def test_proxy_keypoints_are_offsets_in_strides() -> None:
    offsets = torch.tensor([[[1.0, 0.0], [-0.5, 2.0]]])
    keypoints = decode_proxy(offsets, torch.tensor([[7.5, 23.5]]), torch.tensor([16.0]))
    torch.testing.assert_close(keypoints, torch.tensor([[[23.5, 23.5], [-0.5, 55.5]]]))


def test_oks_by_hand() -> None:
    gt = torch.zeros(3, 2)
    pred = torch.tensor([[3.0, 4.0], [0.0, 0.0], [9.0, 9.0]])
    labeled = torch.tensor([True, True, False])
    # a distance of 5 px, area 100, k = 2 * 0.05 = 0.1
    expected = (math.exp(-25 / (2 * 100 * 0.01)) + 1) / 2
    assert oks(pred, gt, labeled, torch.tensor(100.0), SIGMAS).item() == pytest.approx(expected, rel=1e-6)


def test_pairwise_oks_is_oks_of_every_pair(people) -> None:
    pred, gt, labeled, area = people
    pairs = pairwise_oks(pred, gt, labeled, area, SIGMAS)
    assert pairs.shape == (2, 4, 5)
    for i in range(4):
        for j in range(5):
            expected = oks(pred[:, i], gt[:, j], labeled[:, j], area[:, j], SIGMAS)
            torch.testing.assert_close(pairs[:, i, j], expected)


def test_a_person_without_labels_scores_zero(people) -> None:
    pred, gt, labeled, area = people
    nothing = torch.zeros_like(labeled)
    assert (pairwise_oks(pred, gt, nothing, area, SIGMAS) == 0).all()
    assert (oks(gt, gt, nothing, area, SIGMAS) == 0).all()


def test_unlabeled_joints_do_not_matter(people) -> None:
    pred, gt, labeled, area = people
    moved = torch.where(labeled[..., None], gt, gt + 1000)
    assert torch.equal(pairwise_oks(pred, gt, labeled, area, SIGMAS), pairwise_oks(pred, moved, labeled, area, SIGMAS))


def test_an_area_of_zero_counts_as_one_pixel() -> None:
    point = torch.zeros(1, 3, 2)
    labeled = torch.ones(1, 3, dtype=torch.bool)
    assert oks(point, point, labeled, torch.zeros(1), SIGMAS).item() == 1
    assert torch.equal(
        oks(point + 0.1, point, labeled, torch.zeros(1), SIGMAS),
        oks(point + 0.1, point, labeled, torch.ones(1), SIGMAS),
    )


def test_gradient_is_finite_at_the_ground_truth_and_far_away() -> None:
    pred = torch.tensor([[0.0, 0.0], [1e4, -1e4], [1.0, 1.0]], requires_grad=True)
    oks(pred, torch.zeros(3, 2), torch.ones(3, dtype=torch.bool), torch.tensor(1.0), SIGMAS).backward()
    assert pred.grad is not None
    assert pred.grad.isfinite().all()
