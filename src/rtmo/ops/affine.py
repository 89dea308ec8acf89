"""Poses from one image frame to another."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rtmo.types import Poses


def unwarp_points(points: Float[Tensor, "*shape 2"], warp: Float[Tensor, "2 3"]) -> Float[Tensor, "*shape 2"]:
    """Undoes ``x' = A x + b`` on points in px of the warped frame.

    Args:
        warp: [A | b], original to warped.
    """
    warp = warp.to(points.device, torch.float64)
    original = torch.linalg.solve(warp[:, :2], (points.double() - warp[:, 2]).reshape(-1, 2).T).T
    return original.reshape(points.shape).to(points.dtype)


def unwarp_poses(poses: Poses, warp: Float[Tensor, "2 3"]) -> Poses:
    """The same poses in px of the image before ``warp``, which must not rotate (boxes stay boxes)."""
    corners = unwarp_points(poses.bboxes.reshape(-1, 2, 2), warp)
    return replace(poses, bboxes=corners.reshape(-1, 4), keypoints=unwarp_points(poses.keypoints, warp))
