"""Identities and smoothing on poses of a real clip, data/video/two_people.mp4: 100 frames at 60 fps, 1088 x 1920 px.

A walker loses his balance beside a helper, and his arm passes in front of a bystander. ``two_people.json`` has their
keypoints as labeled by hand in some frames, x and y of COCO's joints in px; the bystander stands still.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rtmo.inference.smoothing import OneEuroSmoother
from rtmo.inference.tracking import PoseTracker
from rtmo.skeletons import COCO17
from rtmo.types import Poses

FPS = 60
NAMES = ("walker", "helper", "bystander")
ARM_IN_FRONT = range(79, 96)  # frames in which the walker's arm covers a part of the bystander


@pytest.fixture(scope="module")
def labeled():
    """Keypoints of the three people in every frame, px; between labeled frames on straight lines."""
    labels = json.loads((Path(__file__).parent / "two_people.json").read_text())
    frames = labels["frames"]
    people = np.stack([np.broadcast_to(np.array(labels[name], float), (len(frames), 34)) for name in NAMES], axis=1)
    between = [np.interp(range(100), frames, column) for column in people.reshape(len(frames), -1).T]
    return np.stack(between, axis=1).reshape(100, 3, 17, 2)


def found(keypoints, who, noise):
    """What a network could find of some of the people: joints a quarter of their OKS falloff beside the labels."""
    corners = np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1)
    sizes = np.sqrt((corners[:, 2:] - corners[:, :2]).prod(axis=1))[:, None, None]
    falloff = 2 * np.array(COCO17.oks_sigmas)[:, None] * sizes
    keypoints = keypoints + 0.25 * falloff * noise.normal(size=keypoints.shape)
    return Poses(
        bboxes=torch.from_numpy(corners[who]).float(),
        scores=torch.full((len(who),), 0.8),
        keypoints=torch.from_numpy(keypoints[who]).float(),
        keypoint_scores=torch.full((len(who), 17), 0.8),
    )


def identities(labeled, unseen, step):
    """By person, the identities given; ``unseen`` has by person the frames in which they are not found."""
    noise, tracker = np.random.default_rng(0), PoseTracker(COCO17, fps=FPS / step)
    given = {name: set() for name in NAMES}
    for frame in range(0, 100, step):
        who = [index for index in noise.permutation(3) if frame not in unseen.get(NAMES[index], ())]
        for index, identity in zip(who, tracker.update(found(labeled[frame], who, noise)), strict=True):
            given[NAMES[index]].add(identity)
    return given


@pytest.mark.parametrize("step", [1, 2, 6])
@pytest.mark.parametrize(
    "unseen",
    [
        {},
        {"bystander": ARM_IN_FRONT},
        {"walker": range(40, 64), "bystander": ARM_IN_FRONT},
        {"walker": range(40, 64), "helper": range(50, 90)},
    ],
    ids=["seen", "bystander hidden", "walker hidden", "walker and helper hidden"],
)
def test_identities_survive_being_hidden(labeled, unseen, step):
    given = identities(labeled, unseen, step)
    assert sorted(map(sorted, given.values())) == [[1], [2], [3]]


def test_smoothing_takes_off_most_of_the_jitter_and_follows(labeled):
    noise, smoother = np.random.default_rng(0), OneEuroSmoother(FPS)
    raw, calm = [], []
    for keypoints in labeled:
        poses = found(keypoints, [0, 1, 2], noise)
        raw.append(poses.keypoints.numpy())
        calm.append(smoother.smooth(poses, [1, 2, 3]).keypoints.numpy())
    jitter_raw, jitter_calm = (np.abs(np.diff(each, n=2, axis=0)).mean() for each in (raw, calm))
    assert jitter_calm < 0.3 * jitter_raw
    error_raw, error_calm = (np.linalg.norm(each - labeled, axis=-1).mean() for each in (raw, calm))
    assert error_calm < error_raw
