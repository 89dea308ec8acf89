"""Identities of people who move, cross, hide, leave and appear."""

import torch

from rtmo.types import Poses

FPS = 30.0
STANDING = torch.tensor(  # a person of 100 px around the origin
    [
        *((0.0, -45), (3, -48), (-3, -48), (7, -46), (-7, -46)),
        *((13.0, -32), (-13, -32), (17, -15), (-17, -15), (18, 2), (-18, 2)),
        *((8.0, 2), (-8, 2), (9, 25), (-9, 25), (9, 48), (-9, 48)),
    ]
)


def people(*where, scores=None, joints=1.0, size=1.0):
    """Standing people at points of an image, px."""
    keypoints = torch.stack([STANDING * size + torch.tensor(point, dtype=torch.float32) for point in where] or [])
    return poses(keypoints, scores, joints)


def poses(keypoints, scores=None, joints=1.0):
    count = len(keypoints)
    keypoints = keypoints.reshape(count, 17, 2)
    return Poses(
        bboxes=torch.cat([keypoints.amin(dim=1), keypoints.amax(dim=1)], dim=1),
        scores=torch.full((count,), 0.9) if scores is None else torch.tensor(scores),
        keypoints=keypoints,
        keypoint_scores=torch.full((count, 17), joints),
    )
