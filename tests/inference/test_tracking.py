"""Identities of people who move, cross, hide, leave and appear."""

import numpy as np
import pytest
import torch

from rtmo.inference.tracking import PoseTracker
from rtmo.skeletons import COCO17
from rtmo.types import Poses

FPS = 30.0
STANDING = torch.tensor(  # a person of 100 px around the origin
    [
        *((0.0, -45), (3, -48), (-3, -48), (7, -46), (-7, -46)),
        *((13.0, -32), (-13, -32), (17, -15), (-17, -15), (18, 2), (-18, 2)),
        *((8.0, 2), (-8, 2), (9, 25), (-9, 25), (9, 48), (-9, 48)),
    ]
)


def people(*where, scores=None, jitter=0.0, seed=0):
    """People who stand at points of an image, px; all are scored 0.9."""
    keypoints = torch.zeros(len(where), 17, 2)
    noise = np.random.default_rng(seed)
    for index, point in enumerate(where):
        keypoints[index] = STANDING + torch.tensor(point) + torch.tensor(noise.normal(0, jitter, (17, 2)))
    return Poses(
        bboxes=torch.cat([keypoints.amin(dim=1), keypoints.amax(dim=1)], dim=1),
        scores=torch.full((len(where),), 0.9) if scores is None else torch.tensor(scores),
        keypoints=keypoints,
        keypoint_scores=torch.full((len(where), 17), 0.9),
    )


@pytest.fixture
def tracker():
    return PoseTracker(COCO17, fps=FPS)


def test_people_keep_their_identities_whatever_their_order(tracker):
    shuffle, places = np.random.default_rng(0), [(100.0, 100.0), (220.0, 120.0), (400.0, 90.0)]
    first = tracker.update(people(*places))
    assert first == [1, 2, 3]
    for frame in range(1, 20):
        order = shuffle.permutation(3)
        moved = [(places[person][0] + 3 * frame, places[person][1]) for person in order]
        assert tracker.update(people(*moved, jitter=1.0, seed=frame)) == [first[person] for person in order]


def test_the_best_pose_of_the_first_frame_is_the_first_identity(tracker):
    assert tracker.update(people((100.0, 100.0), (300.0, 100.0), scores=[0.6, 0.8])) == [2, 1]


def test_two_people_cross(tracker):
    for frame in range(60):
        right, left = (100.0 + 5 * frame, 100.0), (400.0 - 5 * frame, 110.0)
        assert tracker.update(people(right, left, jitter=1.0, seed=frame)) == [1, 2]


def test_who_is_hidden_while_another_one_crosses_is_found_again(tracker):
    for frame in range(60):
        right, left = (100.0 + 5 * frame, 100.0), (400.0 - 5 * frame, 110.0)
        hidden = abs(right[0] - left[0]) < 40
        found = tracker.update(people(right, *([] if hidden else [left]), jitter=1.0, seed=frame))
        assert found == ([1] if hidden else [1, 2])


@pytest.mark.parametrize(("frames", "identity"), [(1, 1), (10, 1), (30, 1), (31, 2)])
def test_somebody_is_remembered_for_a_second(tracker, frames, identity):
    tracker.update(people((100.0, 100.0)))
    for _ in range(frames):
        assert tracker.update(people()) == []
    assert tracker.update(people((104.0, 100.0))) == [identity]


def test_who_enters_elsewhere_is_somebody_else(tracker):
    tracker.update(people((100.0, 100.0), (300.0, 100.0)))
    tracker.update(people((300.0, 100.0)))
    assert tracker.update(people((300.0, 100.0), (200.0, 100.0))) == [2, 3]


def test_who_walks_on_unseen_is_expected_further_on(tracker):
    for frame in range(20):
        tracker.update(people((100.0 + 6 * frame, 100.0)))
    for _ in range(5):
        tracker.update(people())
    assert tracker.update(people((100.0 + 6 * 25, 100.0))) == [1]
    still = PoseTracker(COCO17, fps=FPS, coasting=1e-6)
    for frame in range(20):
        still.update(people((100.0 + 6 * frame, 100.0)))
    for _ in range(5):
        still.update(people())
    assert still.update(people((100.0 + 6 * 25, 100.0))) == [2]


def test_who_is_seen_is_not_taken_for_who_is_not(tracker):
    tracker.update(people((100.0, 100.0), (116.0, 100.0)))
    for _ in range(25):  # the second one is looked for in an ever larger place
        assert tracker.update(people((100.0, 100.0))) == [1]
    assert tracker.update(people((108.0, 100.0))) == [1]


def test_identities_do_not_depend_on_the_frame_rate():
    for fps in (5.0, 15.0, 60.0):
        tracker = PoseTracker(COCO17, fps=fps)
        for second in np.arange(0, 3, 1 / fps):
            assert tracker.update(people((100.0 + 60 * second, 100.0))) == [1], fps  # 60 px/s: as if 1 m/s


def test_the_same_person_twice_is_one_identity(tracker):
    twice = people((100.0, 100.0), (101.0, 100.0), scores=[0.9, 0.8])
    assert tracker.update(twice) == [1, 0]
    assert tracker.update(twice) == [1, 0]
    assert tracker.update(people((101.0, 100.0))) == [1]


def test_an_unsure_pose_continues_a_track_but_begins_none(tracker):
    assert tracker.update(people((100.0, 100.0), (300.0, 100.0), scores=[0.9, 0.4])) == [1, 0]
    assert tracker.update(people((100.0, 100.0), (300.0, 100.0), scores=[0.4, 0.9])) == [1, 2]


def test_a_sure_pose_chooses_before_an_unsure_one(tracker):
    tracker.update(people((100.0, 100.0)))
    assert tracker.update(people((100.0, 100.0), (104.0, 100.0), scores=[0.4, 0.9])) == [0, 1]


def test_joints_that_are_scored_low_do_not_decide(tracker):
    tracker.update(people((100.0, 100.0)))
    found = people((100.0, 100.0))
    found.keypoints[0, 11:] += 60  # legs that nobody saw
    found.keypoint_scores[0, 11:] = 0.01
    assert tracker.update(found) == [1]
    found.keypoint_scores[:] = 0.0  # if there is none to decide, all do
    assert tracker.update(found) == [1]


def test_eight_people_walk_to_and_fro_and_hide_one_another():
    assert _changes(PoseTracker(COCO17, fps=15.0)) <= 1
    assert _changes(PoseTracker(COCO17, fps=15.0, coasting=1e-6)) > 4  # without a speed: they do hide one another


def _changes(tracker):
    """How often the identity of a walker changes in six seconds."""
    noise = np.random.default_rng(0)
    places, speeds = noise.uniform(0, 1000, 8), noise.uniform(30, 90, 8) * noise.choice([-1, 1], 8)
    before, changes = {}, 0
    for second in np.arange(0, 6, 1 / tracker.fps):
        x = np.abs((places + speeds * second) % 2000 - 1000)  # between 0 and 1000, there and back
        seen = [walker for walker in range(8) if not any(0 < abs(x[other] - x[walker]) < 18 for other in range(walker))]
        walkers = people(*((x[walker], 100.0 + 2 * walker) for walker in seen), jitter=1.0, seed=int(1000 * second))
        for walker, identity in zip(seen, tracker.update(walkers), strict=True):
            changes += before.get(walker, identity) != identity
            before[walker] = identity
    return changes


def test_the_next_video_starts_at_one(tracker):
    tracker.update(people((100.0, 100.0)))
    tracker.update(people((100.0, 100.0), (300.0, 100.0)))
    tracker.reset()
    assert tracker.update(people((300.0, 100.0))) == [1]


@pytest.mark.parametrize("wrong", [{"fps": 0.0}, {"fps": float("nan")}, {"coasting": 0.0}], ids=str)
def test_rates_and_times_of_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="fps and coasting must be positive"):
        PoseTracker(COCO17, **wrong)
