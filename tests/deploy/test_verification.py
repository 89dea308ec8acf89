"""Exported poses beside those of torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import lively_rtmo

from rtmo.deploy.verification import Expected, Limits, compare, poses_by_torch
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
    found = compare([Expected(PEOPLE), Expected(NOBODY)], [rows([1, 0, 2]), NOBODY], 0.1, LIMITS)

    assert (found.images, found.people, found.matched, found.unmatched) == (2, 3, 3, 0)
    assert (found.keypoints, found.scores) == (0, 0)
    found.check(LIMITS)


def test_who_is_about_at_the_threshold_may_be_missing() -> None:
    compare([Expected(PEOPLE)], [rows([0, 1])], 0.1, LIMITS).check(LIMITS)
    with pytest.raises(InputError, match=r"unmatched 0.333 where 0 is allowed"):
        compare([Expected(PEOPLE)], [rows([0, 2])], 0.1, LIMITS).check(LIMITS)
    with pytest.raises(InputError, match="unmatched"):
        compare([Expected(rows([0, 2]))], [PEOPLE], 0.1, LIMITS).check(LIMITS)


def test_who_overlaps_another_about_as_much_as_is_allowed_may_be_missing() -> None:
    with_and_without = (PEOPLE, rows([0, 2]))
    compare([Expected(PEOPLE, with_and_without)], [rows([0, 2])], 0.1, LIMITS).check(LIMITS)
    compare([Expected(rows([0, 2]), with_and_without)], [PEOPLE], 0.1, LIMITS).check(LIMITS)
    with pytest.raises(InputError, match="unmatched"):
        compare([Expected(PEOPLE, with_and_without)], [rows([1, 2])], 0.1, LIMITS).check(LIMITS)
    with pytest.raises(InputError, match="unmatched"):
        compare([Expected(rows([0, 2]), (rows([0, 2]), rows([0, 2])))], [PEOPLE], 0.1, LIMITS).check(LIMITS)


@pytest.mark.usefixtures("unchecked_shapes")
def test_torch_finds_them_with_a_threshold_a_little_lower_or_higher() -> None:
    model = lively_rtmo()
    images = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3), np.uint8)
    with torch.inference_mode():
        outputs = model(torch.from_numpy(images).permute(0, 3, 1, 2).float())
        score_thr = float(outputs.cls_logits.sigmoid().quantile(0.9))
        counts = [len(model.decode(outputs, score_thr, nms_thr=step / 1000)[0]) for step in range(1001)]
    changes = next(step for step in range(1, 1000) if counts[step - 1] != counts[step + 1])

    (expected,) = poses_by_torch(model, [images], score_thr, nms_thr=changes / 1000)
    less, more = expected.nearly
    assert len(less) != len(more)


def test_a_moved_joint_is_told_in_px() -> None:
    moved = replace(PEOPLE, keypoints=PEOPLE.keypoints.clone(), scores=PEOPLE.scores + 0.005)
    moved.keypoints[1, 0] += torch.tensor([3.0, 4.0])
    found = compare([Expected(PEOPLE)], [moved], 0.1, LIMITS)

    assert found.keypoints == pytest.approx(5)
    assert found.scores == pytest.approx(0.005, abs=1e-6)
    with pytest.raises(InputError, match=r"keypoints 5 where 0.5 is allowed"):
        found.check(LIMITS)
    most = replace(LIMITS, quantile=0.5)
    compare([Expected(PEOPLE)], [moved], 0.1, most).check(most)


def test_nobody_proves_nothing() -> None:
    with pytest.raises(InputError, match="proves nothing"):
        compare([Expected(NOBODY)], [NOBODY], 0.1, LIMITS).check(LIMITS)
    for expected, found in ((PEOPLE, NOBODY), (NOBODY, PEOPLE)):
        with pytest.raises(InputError, match=r"unmatched (0\.667|2) where"):
            compare([Expected(expected), Expected(NOBODY)], [found, NOBODY], 0.1, LIMITS).check(LIMITS)
