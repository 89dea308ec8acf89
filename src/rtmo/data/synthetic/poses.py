"""Joint angles of plausible poses: standing, walking, running, sitting, squatting, kneeling, bending, dancing.

Angles are degrees. An arm is (flexion forward, abduction outward, twist about the upper arm, elbow flexion), a leg
likewise with the knee; zero hangs straight down, a negative twist turns the forearm inward. Left and right are mirror
images of each other, so the same numbers mean the same pose on either side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_LEFT, _RIGHT = 0, 1
_Range = tuple[int | float, int | float]  # middle and half range

# of flexion, abduction, twist and elbow of each habit of an arm
_ARM_HABITS: dict[str, tuple[_Range, ...]] = {
    "hang": ((0, 15), (10, 8), (-10, 25), (14, 14)),
    "hip": ((-12, 10), (48, 10), (-80, 12), (95, 15)),
    "reach": ((75, 30), (8, 18), (0, 30), (28, 28)),
    "up": ((158, 22), (8, 14), (0, 40), (35, 35)),
    "sideways": ((0, 15), (82, 22), (0, 60), (30, 30)),
    "raised": ((0, 15), (135, 30), (0, 60), (40, 40)),
    "phone": ((50, 20), (30, 15), (-40, 15), (135, 10)),
    "folded": ((35, 12), (8, 8), (-62, 12), (100, 12)),
    "behind": ((-38, 12), (16, 8), (-80, 20), (50, 25)),
    "carry": ((15, 15), (8, 8), (-15, 20), (85, 20)),
}
_ARM_SHARES = np.cumsum([0.36, 0.1, 0.1, 0.08, 0.06, 0.06, 0.06, 0.06, 0.03])


@dataclass(frozen=True)
class Pose:
    """Joint angles in degrees.

    Attributes:
        pelvis: Lean forward and sideways of the pelvis.
        spine: Flexion, side bend and twist of the chest against the pelvis.
        head: Nod, tilt and turn of the head against the chest.
        arms: Left, right; flexion, abduction, twist, elbow.
        legs: Left, right; flexion, abduction, twist, knee.
        seated: Whether the pose needs something to sit on.
        lift: Height of the lowest point above the ground, in statures.
    """

    pelvis: Float[np.ndarray, "2"]
    spine: Float[np.ndarray, "3"]
    head: Float[np.ndarray, "3"]
    arms: Float[np.ndarray, "2 4"]
    legs: Float[np.ndarray, "2 4"]
    seated: bool = False
    lift: float = 0.0


def sample_pose(rng: np.random.Generator, activities: Sequence[str]) -> Pose:
    """Draws a pose: first what the person does, of some ``ACTIVITIES``, then how."""
    shares = np.cumsum([ACTIVITIES[name][1] for name in activities])
    chosen = int(np.searchsorted(shares[:-1], rng.random() * shares[-1]))
    return ACTIVITIES[activities[chosen]][0](rng)


def _spread(rng: np.random.Generator, *ranges: _Range) -> Float[np.ndarray, " N"]:
    """Uniform draws, each given as (middle, half range)."""
    middle, half = np.array(ranges, np.float64).T
    return middle + half * rng.uniform(-1, 1, len(ranges))


def _head(rng: np.random.Generator) -> Float[np.ndarray, "3"]:
    return rng.normal((6, 0, 0), (12, 7, 24)).clip((-30, -20, -65), (45, 20, 65))


def _arms(rng: np.random.Generator) -> Float[np.ndarray, "2 4"]:
    """Both arms do the same half of the time."""
    habits = list(_ARM_HABITS.values())
    left, right = np.searchsorted(_ARM_SHARES, rng.random(2)).tolist()
    if rng.random() < 0.5:
        right = left
    return np.stack([_spread(rng, *habits[left]), _spread(rng, *habits[right])])


def _stand(rng: np.random.Generator) -> Pose:
    legs = np.stack([_spread(rng, (0, 6), (5, 6), (8, 12), (5, 5)) for _ in range(2)])
    if rng.random() < 0.35:  # weight on one leg
        legs[rng.integers(2)] += (12, 4, 8, 24)
    return Pose(_spread(rng, (0, 5), (0, 4)), _spread(rng, (3, 8), (0, 7), (0, 12)), _head(rng), _arms(rng), legs)


def _stride(
    rng: np.random.Generator, *, swing: float, knee: float, elbow: float, lean: float, lift: float = 0.0
) -> Pose:
    front = rng.integers(2)
    back = 1 - front
    legs, arms = np.zeros((2, 4)), np.zeros((2, 4))
    legs[front] = _spread(rng, (swing, 0.35 * swing), (2, 3), (4, 8), (0.45 * knee, 0.4 * knee))
    legs[back] = _spread(rng, (-0.7 * swing, 0.3 * swing), (2, 3), (4, 8), (knee, 0.6 * knee))
    arms[front] = _spread(rng, (-swing, 10), (10, 6), (-15, 15), (elbow, 0.4 * elbow))
    arms[back] = _spread(rng, (swing, 10), (8, 6), (-20, 15), (elbow, 0.4 * elbow))
    if rng.random() < 0.35:
        arms[_LEFT if rng.random() < 0.5 else _RIGHT] = _arms(rng)[0]
    twist = rng.uniform(0, 10) * (1 if front == _LEFT else -1)
    spine = np.array([lean, rng.uniform(-4, 4), twist])
    return Pose(_spread(rng, (lean / 2, 4), (0, 3)), spine, _head(rng), arms, legs, lift=lift)


def _walk(rng: np.random.Generator) -> Pose:
    swing, knee, elbow, lean = rng.uniform((12, 10, 10, 0), (32, 35, 40, 8))
    return _stride(rng, swing=swing, knee=knee, elbow=elbow, lean=lean)


def _run(rng: np.random.Generator) -> Pose:
    swing, knee, elbow, lean = rng.uniform((30, 50, 60, 6), (55, 75, 95, 18))
    return _stride(rng, swing=swing, knee=knee, elbow=elbow, lean=lean, lift=0.04)


def _sit(rng: np.random.Generator) -> Pose:
    knee = rng.uniform(55, 105)
    legs = np.stack([_spread(rng, (85, 9), (8, 10), (4, 10), (knee, 12)) for _ in range(2)])
    arms = _arms(rng)
    for side in range(2):
        if rng.random() < 0.6:  # hands in the lap or on the knees
            arms[side] = _spread(rng, (32, 14), (8, 8), (-25, 25), (55, 25))
    return Pose(_spread(rng, (-6, 8), (0, 3)), _spread(rng, (8, 16), (0, 7), (0, 14)), _head(rng), arms, legs, True)


def _squat(rng: np.random.Generator) -> Pose:
    legs = np.stack([_spread(rng, (112, 14), (14, 12), (10, 10), (120, 14)) for _ in range(2)])
    arms = np.stack([_spread(rng, (65, 30), (8, 14), (-15, 25), (40, 40)) for _ in range(2)])
    return Pose(_spread(rng, (18, 10), (0, 3)), _spread(rng, (22, 14), (0, 6), (0, 10)), _head(rng), arms, legs)


def _kneel(rng: np.random.Generator) -> Pose:
    legs = np.stack([_spread(rng, (88, 10), (6, 8), (4, 8), (90, 8)), _spread(rng, (0, 10), (4, 5), (2, 6), (88, 10))])
    if rng.random() < 0.5:
        legs = legs[::-1].copy()
    return Pose(_spread(rng, (2, 6), (0, 4)), _spread(rng, (12, 14), (0, 6), (0, 12)), _head(rng), _arms(rng), legs)


def _bend(rng: np.random.Generator) -> Pose:
    lean, flex = rng.uniform(18, 58), rng.uniform(10, 40)
    legs = np.stack([_spread(rng, (lean + 6, 8), (5, 5), (6, 8), (12, 10)) for _ in range(2)])
    arms = np.stack([_spread(rng, (lean + flex + 8, 18), (6, 8), (-10, 20), (22, 20)) for _ in range(2)])
    if rng.random() < 0.25:
        arms[rng.integers(2)] = _spread(rng, *_ARM_HABITS["hip"])
    head = np.array([rng.uniform(-30, 20), rng.uniform(-10, 10), rng.uniform(-35, 35)])
    return Pose(np.array([lean, rng.uniform(-4, 4)]), np.array([flex, 0, rng.uniform(-15, 15)]), head, arms, legs)


def _dance(rng: np.random.Generator) -> Pose:
    legs = np.stack([_spread(rng, (12, 32), (16, 20), (10, 20), (38, 38)) for _ in range(2)])
    arms = np.stack([_spread(rng, (50, 90), (45, 50), (0, 70), (55, 55)) for _ in range(2)])
    spine = _spread(rng, (6, 18), (0, 18), (0, 22))
    return Pose(_spread(rng, (2, 12), (0, 10)), spine, _head(rng), arms, legs, lift=float(rng.uniform(0, 0.08)))


# what a person does, and how often
ACTIVITIES: dict[str, tuple[Callable[[np.random.Generator], Pose], float]] = {
    "stand": (_stand, 0.34),
    "walk": (_walk, 0.2),
    "run": (_run, 0.08),
    "sit": (_sit, 0.13),
    "squat": (_squat, 0.04),
    "kneel": (_kneel, 0.04),
    "bend": (_bend, 0.07),
    "dance": (_dance, 0.1),
}
