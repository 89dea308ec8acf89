"""Who is who from frame to frame of a video: poses are matched by OKS with where the people known are expected."""

from dataclasses import dataclass, replace
from math import exp

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from rtmo.data.coco_json import AREA_OF_BOX
from rtmo.evaluation.pairs import keypoint_similarity
from rtmo.skeletons import KeypointSet
from rtmo.types import Poses

NOBODY = 0  # the identity of a pose that is nobody known

_SPEED_MEMORY = 0.2  # s, time constant of the average over a person's speed
_EPS = 1e-9


@dataclass(frozen=True, slots=True)
class _Person:
    """One pose: px, scores of its joints, px^2."""

    keypoints: Float[np.ndarray, "K 2"]
    scores: Float[np.ndarray, " K"]
    area: float


@dataclass(slots=True)
class _Track:
    """Somebody known.

    Attributes:
        person: As last seen.
        velocity: Average over the past, px/s.
        num_moves: How often it was measured.
        unseen: Frames since.
    """

    identity: int
    person: _Person
    velocity: Float[np.ndarray, " 2"]
    num_moves: int = 0
    unseen: int = 0


class PoseTracker:
    """Gives the people of a video identities that last.

    People are expected where they were last seen, moved on at a speed that dies down. The poses that are scored surely
    choose first, those that are most similar to what is expected; the unsure ones choose among the people left, so
    that they can continue a track but not begin one. These two rounds are those of ByteTrack (arXiv:2110.06864), with
    OKS in place of the overlap of boxes. Joints count by their scores.

    The longer somebody is unseen, the larger is the place to look for them, and the less it counts to lie in it.

    Args:
        skeleton: Of the poses.
        fps: How many frames a second ``update`` is told.
        min_oks: Least OKS of a pose with what is expected of a person, 0..1.
        sure_score: Least score of a pose that is sure, 0..1.
        max_unseen: For how long somebody unseen is remembered, s.
        max_overlap: A pose with this OKS, 0..1, with somebody of its frame who has an identity is that person again.
        coasting: Time constant with which the speed of people unseen dies down, s.
        growth: By how much of a person's size the place to look for them grows, 1/s.

    Raises:
        ValueError: If ``fps`` or ``coasting`` is not positive.
    """

    def __init__(
        self,
        skeleton: KeypointSet,
        *,
        fps: float = 30.0,
        min_oks: float = 0.2,
        sure_score: float = 0.5,
        max_unseen: float = 1.0,
        max_overlap: float = 0.5,
        coasting: float = 0.5,
        growth: float = 2.0,
    ) -> None:
        if not (fps > 0 and coasting > 0):
            raise ValueError(f"fps and coasting must be positive, got {fps} and {coasting}")
        self.fps, self.max_unseen, self.coasting, self.growth = fps, max_unseen, coasting, growth
        self.min_oks, self.sure_score, self.max_overlap = min_oks, sure_score, max_overlap
        self._oks_sigmas = np.asarray(skeleton.oks_sigmas)
        self.reset()

    def reset(self) -> None:
        """Forgets everybody: the next frame is the first of another video, whose identities start at 1."""
        self._tracks: list[_Track] = []
        self._num_identities = 0

    def update(self, poses: Poses) -> list[int]:
        """Identities of the people of the next frame, in their order.

        They count from 1, and nobody is ever given that of somebody else. 0 is for a pose that is nobody known and is
        unsure, or the same person again. Frames without anybody have to be told too, for time goes by.
        """
        people, scores = _people(poses), poses.scores.numpy(force=True)
        for track in self._tracks:
            track.unseen += 1
        self._tracks = [track for track in self._tracks if track.unseen - 1 <= self.max_unseen * self.fps]
        identities = [NOBODY] * len(people)
        sure = scores >= self.sure_score
        for choosing in (np.flatnonzero(sure), np.flatnonzero(~sure)):
            self._continue(people, choosing.tolist(), identities)
        for index in np.argsort(-scores, kind="stable").tolist():  # whatever the order of the poses
            known = [person for person, identity in zip(people, identities, strict=True) if identity != NOBODY]
            if sure[index] and identities[index] == NOBODY and not self._is_among(people[index], known):
                self._num_identities += 1
                identities[index] = self._num_identities
                self._tracks.append(_Track(self._num_identities, people[index], velocity=np.zeros(2)))
        return identities

    def _continue(self, people: list[_Person], choosing: list[int], identities: list[int]) -> None:
        """Lets some people of a frame choose among the tracks that nobody of it continues yet."""
        tracks = [track for track in self._tracks if track.unseen]
        if not tracks or not choosing:
            return
        size = np.array([1 + self.growth * track.unseen / self.fps for track in tracks])
        oks = self._pairwise_oks(
            [people[index] for index in choosing], [self._expected(track) for track in tracks], size
        )
        weight = np.where(oks >= self.min_oks, oks / size**2, 0)
        for row, column in zip(*linear_sum_assignment(weight, maximize=True), strict=True):
            if weight[row, column] > 0:
                self._see(tracks[column], people[choosing[row]])
                identities[choosing[row]] = tracks[column].identity

    def _expected(self, track: _Track) -> _Person:
        """The person of a track in this frame."""
        seconds = self.coasting * (1 - exp(-track.unseen / self.fps / self.coasting))
        return replace(track.person, keypoints=track.person.keypoints + track.velocity * seconds)

    def _see(self, track: _Track, person: _Person) -> None:
        """Takes over what a person looks like now; the first measured speeds are averaged evenly."""
        weights = track.person.scores * person.scores
        move = np.average(person.keypoints - track.person.keypoints, axis=0, weights=weights + _EPS)
        seconds = track.unseen / self.fps
        track.num_moves += 1
        share = max(1 - exp(-seconds / _SPEED_MEMORY), 1 / track.num_moves)
        track.velocity += share * (move / seconds - track.velocity)
        track.person, track.unseen = person, 0

    def _is_among(self, person: _Person, others: list[_Person]) -> bool:
        """Whether somebody is one of others once more."""
        if not others:
            return False
        return bool(self._pairwise_oks([person], others, np.ones(len(others))).max() >= self.max_overlap)

    def _pairwise_oks(
        self, people: list[_Person], others: list[_Person], size: Float[np.ndarray, " T"]
    ) -> Float[np.ndarray, "N T"]:
        """OKS of everybody with each of the others as if these were ``size`` times as large; joints weigh as scored."""
        offsets = np.array([[person.keypoints - other.keypoints for other in others] for person in people])
        weights = np.array([[person.scores * other.scores for other in others] for person in people]) + _EPS
        areas = np.array([other.area for other in others]) * size**2
        similarity = keypoint_similarity(offsets, areas[:, None], self._oks_sigmas)
        return (similarity * weights).sum(axis=-1) / weights.sum(axis=-1)


def _people(poses: Poses) -> list[_Person]:
    sides = (poses.bboxes[:, 2:] - poses.bboxes[:, :2]).clamp(min=1)
    areas = sides.prod(dim=1) * AREA_OF_BOX
    arrays = (each.numpy(force=True).astype(np.float64) for each in (poses.keypoints, poses.keypoint_scores, areas))
    return [_Person(*fields) for fields in zip(*arrays, strict=True)]
