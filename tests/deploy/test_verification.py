"""Exported poses beside those of torch."""

from dataclasses import replace

import pytest
import torch

from rtmo.deploy.verification import Limits, compare
from rtmo.errors import InputError
from rtmo.types import Poses

LIMITS = Limits(unmatched=0, keypoints=0.5, scores=0.01)
PEOPLE = Poses(
    bboxes=torch.tensor([[0.0, 0, 40, 80], [10, 0, 50, 80], [100, 0, 140, 80]]),
    scores=torch.tensor([0.9, 0.8, 0.105]),
    keypoints=torch.tensor([[[5.0, 5], [30, 70]], [[20, 5], [45, 70]], [[110, 5], [130, 70]]]),
    keypoint_scores=torch.full((3, 2), 0.5),
)
NOBODY = Poses(*(getattr(PEOPLE, name)[:0] for name in ("bboxes", "scores", "keypoints", "keypoint_scores")))


def rows(indices: list[int]) -> Poses:
    fields = ("bboxes", "scores", "keypoints", "keypoint_scores")
    return Poses(*(getattr(PEOPLE, name)[indices] for name in fields))


def test_same_people_in_another_order_do_not_differ() -> None:
    found = compare([PEOPLE, NOBODY], [rows([1, 0, 2]), NOBODY], 0.1, LIMITS)

    assert (found.images, found.people, found.matched, found.unmatched) == (2, 3, 3, 0)
    assert (found.keypoints, found.scores) == (0, 0)
    found.check(LIMITS)


def test_who_is_about_at_the_threshold_may_be_missing() -> None:
    compare([PEOPLE], [rows([0, 1])], 0.1, LIMITS).check(LIMITS)
    with pytest.raises(InputError, match=r"unmatched 0.333 where 0 is allowed"):
        compare([PEOPLE], [rows([0, 2])], 0.1, LIMITS).check(LIMITS)
    with pytest.raises(InputError, match="unmatched"):
        compare([rows([0, 2])], [PEOPLE], 0.1, LIMITS).check(LIMITS)


def test_a_moved_joint_is_told_in_px() -> None:
    moved = replace(PEOPLE, keypoints=PEOPLE.keypoints.clone(), scores=PEOPLE.scores + 0.005)
    moved.keypoints[1, 0] += torch.tensor([3.0, 4.0])
    found = compare([PEOPLE], [moved], 0.1, LIMITS)

    assert found.keypoints == pytest.approx(5)
    assert found.scores == pytest.approx(0.005, abs=1e-6)
    with pytest.raises(InputError, match=r"keypoints 5 where 0.5 is allowed"):
        found.check(LIMITS)
    most = replace(LIMITS, quantile=0.5)
    compare([PEOPLE], [moved], 0.1, most).check(most)


def test_nobody_proves_nothing() -> None:
    with pytest.raises(InputError, match="proves nothing"):
        compare([NOBODY], [NOBODY], 0.1, LIMITS).check(LIMITS)
    for expected, found in ((PEOPLE, NOBODY), (NOBODY, PEOPLE)):
        with pytest.raises(InputError, match=r"unmatched (0\.667|2) where"):
            compare([expected, NOBODY], [found, NOBODY], 0.1, LIMITS).check(LIMITS)
