"""Calmer keypoints of a video: the One-Euro filter for every joint of every identity.

Reference: Casiez, Roussel, Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems", CHI 2012. We differ in that speed is counted in sizes of the person, one speed for both coordinates of a
joint; in that joints weigh as they are scored; and in that frames may be missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi

import numpy as np
import torch
from jaxtyping import Float

from rtmo.inference.tracking import NOBODY
from rtmo.types import Poses

_SPEED_CUTOFF = 1.0  # Hz, of the filter of the speed; as in the paper


@dataclass(slots=True)
class _State:
    """What is known of the joints of one identity.

    Attributes:
        keypoints: Smoothed, px.
        velocity: Smoothed, sizes of the person per second.
        unseen: Frames since.
    """

    keypoints: Float[np.ndarray, "K 2"]
    velocity: Float[np.ndarray, "K 2"]
    unseen: int = 0


class OneEuroSmoother:
    """Low-pass filters whose cutoff frequency rises with the speed of a joint: still joints rest, fast ones do not lag.

    Args:
        fps: How many frames a second ``smooth`` is given.
        min_cutoff: Cutoff of a joint at rest, Hz: the lower, the less jitter.
        beta: By how much the cutoff rises for a speed of one person's size (the root of the area of the box) per
            second, Hz: the higher, the less lag.
        max_unseen: For how long the joints of somebody unseen are remembered, s.

    Raises:
        ValueError: If ``fps`` or ``min_cutoff`` is not positive.
    """

    def __init__(self, fps: float, *, min_cutoff: float = 1.0, beta: float = 5.0, max_unseen: float = 0.5) -> None:
        if not (fps > 0 and min_cutoff > 0):
            raise ValueError(f"fps and min_cutoff must be positive, got {fps} and {min_cutoff}")
        self.fps, self.min_cutoff, self.beta, self.max_unseen = fps, min_cutoff, beta, max_unseen
        self.reset()

    def reset(self) -> None:
        """Forgets everybody: the next frame is the first of another video."""
        self._states: dict[int, _State] = {}

    def smooth(self, poses: Poses, identities: Sequence[int]) -> Poses:
        """The poses of the next frame with calmer keypoints; those of identity 0 stay as they are.

        Frames without anybody have to be given too, for time goes by.
        """
        for state in self._states.values():
            state.unseen += 1
        keypoints = poses.keypoints.numpy(force=True).astype(np.float64)
        scores = poses.keypoint_scores.numpy(force=True).astype(np.float64)
        sizes = (poses.bboxes[:, 2:] - poses.bboxes[:, :2]).clamp(min=1).prod(dim=1).sqrt().tolist()
        for index, identity in enumerate(identities):
            if identity != NOBODY:
                keypoints[index] = self._smooth(identity, keypoints[index], scores[index], sizes[index])
        self._states = {
            identity: state for identity, state in self._states.items() if state.unseen <= self.max_unseen * self.fps
        }
        return replace(poses, keypoints=torch.from_numpy(keypoints).to(poses.keypoints))

    def _smooth(
        self, identity: int, keypoints: Float[np.ndarray, "K 2"], scores: Float[np.ndarray, " K"], size: float
    ) -> Float[np.ndarray, "K 2"]:
        state = self._states.get(identity)
        if state is None:
            self._states[identity] = _State(keypoints.copy(), np.zeros_like(keypoints))
            return keypoints
        seconds = state.unseen / self.fps
        velocity = (keypoints - state.keypoints) / seconds / size
        state.velocity += scores[:, None] * _share(_SPEED_CUTOFF, seconds) * (velocity - state.velocity)
        speed = np.linalg.norm(state.velocity, axis=-1, keepdims=True)
        share = _share(self.min_cutoff + self.beta * speed, seconds)
        state.keypoints = state.keypoints + scores[:, None] * share * (keypoints - state.keypoints)
        state.unseen = 0
        return state.keypoints


def _share(cutoff: float | Float[np.ndarray, "K 1"], seconds: float) -> float | Float[np.ndarray, "K 1"]:
    """How much of the new value an exponential filter takes over: the paper's alpha.

    Args:
        cutoff: Hz.
        seconds: Since the last value.
    """
    return 1 / (1 + 1 / (2 * pi * cutoff * seconds))
