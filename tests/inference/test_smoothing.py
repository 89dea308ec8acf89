"""The One-Euro filter against its formula, and what it does to still and to moving joints."""

from math import pi

import numpy as np
import pytest
import torch

from rtmo.inference.smoothing import OneEuroSmoother
from rtmo.types import Poses

FPS = 30.0
SIZE = 100.0  # px, of everybody here


def one(x, score=1.0, size=SIZE):
    """Somebody whose two joints are at (x, 0) and (0, x), px."""
    return Poses(
        bboxes=torch.tensor([[0.0, 0.0, size, size]]),
        scores=torch.tensor([0.9]),
        keypoints=torch.tensor([[[x, 0.0], [0.0, x]]], dtype=torch.float32),
        keypoint_scores=torch.full((1, 2), score),
    )


def nobody():
    return Poses(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 2, 2), torch.zeros(0, 2))


def smoothed(smoother, xs):
    return np.array([smoother.smooth(one(x), [1]).keypoints[0, 0, 0].item() for x in xs])


def published(xs, *, rate, min_cutoff, beta, speed_cutoff):
    """Algorithm 1 of the paper, for one number at a time."""

    def alpha(cutoff):
        tau, te = 1 / (2 * pi * cutoff), 1 / rate
        return 1 / (1 + tau / te)

    filtered, speed = xs[0], 0.0
    result = [filtered]
    for x in xs[1:]:
        share = alpha(speed_cutoff)
        speed = share * (x - filtered) * rate + (1 - share) * speed
        share = alpha(min_cutoff + beta * abs(speed))
        filtered = share * x + (1 - share) * filtered
        result.append(filtered)
    return result


def test_one_coordinate_is_filtered_as_published():
    xs = 100 * np.cumsum(np.random.default_rng(0).normal(0, 0.1, 40))
    expected = published(xs, rate=FPS, min_cutoff=1.7, beta=0.8 / SIZE, speed_cutoff=1.0)
    np.testing.assert_allclose(smoothed(OneEuroSmoother(FPS, min_cutoff=1.7, beta=0.8), xs), expected, rtol=1e-5)


def test_directions_do_not_matter():
    smoother, turned = OneEuroSmoother(FPS), OneEuroSmoother(FPS)
    turn = torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    for x in (0.0, 10.0, 15.0, 40.0):
        poses, found = one(x), one(x)
        found.keypoints = found.keypoints @ turn
        expected = smoother.smooth(poses, [1]).keypoints @ turn
        torch.testing.assert_close(turned.smooth(found, [1]).keypoints, expected)


def test_a_still_joint_jitters_less():
    xs = np.random.default_rng(0).normal(0, 1.0, 300)
    calm = smoothed(OneEuroSmoother(FPS), xs)
    assert np.abs(np.diff(calm)).mean() < 0.25 * np.abs(np.diff(xs)).mean()


def test_a_fast_joint_hardly_lags():
    xs = 10.0 * np.arange(30)  # 3 sizes of the person a second
    fast, slow = smoothed(OneEuroSmoother(FPS), xs), smoothed(OneEuroSmoother(FPS, beta=0.0), xs)
    assert xs[-1] - fast[-1] < 10.0  # one frame
    assert xs[-1] - slow[-1] > 30.0


def test_people_near_and_far_are_smoothed_alike():
    near, far = OneEuroSmoother(FPS), OneEuroSmoother(FPS)
    for x in (0.0, 1.0, 5.0, 20.0):
        of_near, of_far = near.smooth(one(8 * x, size=8 * SIZE), [1]), far.smooth(one(x), [1])
        torch.testing.assert_close(of_near.keypoints, 8 * of_far.keypoints)


def test_joints_scored_low_hardly_pull():
    smoother = OneEuroSmoother(FPS)
    for _ in range(5):
        smoother.smooth(one(0.0), [1])
    unsure = smoother.smooth(one(50.0, score=0.05), [1]).keypoints[0, 0, 0].item()
    assert 0 < unsure < 1.0
    sure = smoother.smooth(one(1.0), [1]).keypoints[0, 0, 0].item()
    assert (sure - unsure) / (1.0 - unsure) < 0.35  # nor does the joint count as a fast one now


def test_everybody_has_filters_of_his_own_and_identity_0_has_none():
    smoother = OneEuroSmoother(FPS)

    def both(a, b):
        return Poses(*(torch.cat(pair) for pair in zip(_fields(one(a)), _fields(one(b)), strict=True)))

    smoother.smooth(both(0.0, 100.0), [1, 2])
    exchanged = smoother.smooth(both(100.0, 0.0), [2, 1])
    torch.testing.assert_close(exchanged.keypoints, both(100.0, 0.0).keypoints)
    smoother.smooth(both(0.0, 0.0), [0, 0])
    torch.testing.assert_close(smoother.smooth(both(0.0, 50.0), [0, 0]).keypoints, both(0.0, 50.0).keypoints)


def _fields(poses):
    return poses.bboxes, poses.scores, poses.keypoints, poses.keypoint_scores


def test_missing_frames_count_as_time():
    seconds = 4 / FPS
    smoother = OneEuroSmoother(FPS, min_cutoff=1.0, beta=0.0)
    smoother.smooth(one(0.0), [1])
    for _ in range(3):
        assert len(smoother.smooth(nobody(), [])) == 0
    share = 1 / (1 + 1 / (2 * pi * 1.0 * seconds))
    assert smoother.smooth(one(10.0), [1]).keypoints[0, 0, 0].item() == pytest.approx(10 * share)


def test_who_was_away_for_long_starts_afresh():
    smoother = OneEuroSmoother(FPS, max_unseen=0.5)
    smoother.smooth(one(0.0), [1])
    for _ in range(16):
        smoother.smooth(nobody(), [])
    assert smoother.smooth(one(10.0), [1]).keypoints[0, 0, 0].item() == 10.0


def test_only_keypoints_change_and_not_in_place():
    smoother = OneEuroSmoother(FPS)
    smoother.smooth(one(0.0), [1])
    poses = one(10.0)
    calm = smoother.smooth(poses, [1])
    torch.testing.assert_close(poses.keypoints, one(10.0).keypoints)
    assert calm.keypoints.dtype == torch.float32
    assert calm.keypoints[0, 0, 0] < 10.0
    assert calm.bboxes is poses.bboxes
    assert calm.scores is poses.scores


@pytest.mark.parametrize(("fps", "min_cutoff"), [(0.0, 1.0), (30.0, 0.0)])
def test_frequencies_must_be_positive(fps, min_cutoff):
    with pytest.raises(ValueError, match="fps and min_cutoff must be positive"):
        OneEuroSmoother(fps, min_cutoff=min_cutoff)
