"""The interface of augmentation steps, and those that need no other image.

Each random step keeps drawing and applying apart: ``draw`` turns a generator into parameters, ``apply`` is a pure
function of sample and parameters, so that tests can replay recorded draws.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import cv2
import numpy as np
from jaxtyping import Float

from rtmo.data.values import MAX_PIXELS
from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet
from rtmo.types import Sample

# Another random image of the same source, for steps that combine several.
Draw = Callable[[np.random.Generator], Sample]

# What surrounds images: the published weights' grey, and the same for OpenCV, which wants it per channel.
GREY = 114
BORDER = (GREY, GREY, GREY)


class Transform(ABC):
    """A step of a pipeline. It returns a new sample and leaves the arrays of the one it got unchanged.

    Attributes:
        takes_undrawn: Whether it can do with images that are not drawn yet (``Picture``), its own and those that
            ``draw`` gives, and so may leave one. All others find an array in ``Sample.image``.
    """

    takes_undrawn: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, sample: Sample, rng: np.random.Generator, draw: Draw) -> Sample:
        """Transforms a sample.

        Args:
            rng: The only source of randomness.
            draw: Gives another random image.
        """


class Flip(Transform):
    """Mirrors an image left to right, joints trading sides.

    Args:
        skeleton: Knows which joints are partners.
        prob: How often.
    """

    def __init__(self, *, skeleton: KeypointSet, prob: float = 0.5) -> None:
        self.partners = list(skeleton.flip_indices)
        self.prob = check_prob(prob)

    def __call__(self, sample: Sample, rng: np.random.Generator, draw: Draw) -> Sample:
        """See ``Transform``."""
        return self.apply(sample) if rng.random() < self.prob else sample

    def apply(self, sample: Sample) -> Sample:
        """The mirrored sample. Pixel centres lie at integers: column 0 trades places with column W - 1."""
        mask = sample.ignore_mask
        return replace(
            self.mirror_people(sample),
            image=cv2.flip(sample.pixels, 1),
            ignore_mask=None if mask is None else np.ascontiguousarray(mask[:, ::-1]),
        )

    def mirror_people(self, sample: Sample) -> Sample:
        """Mirrors the annotations of a sample, not its image."""
        last = np.float32(sample.image_size[1] - 1)
        keypoints = sample.keypoints[:, self.partners]
        keypoints[..., 0] = last - keypoints[..., 0]
        bboxes = sample.bboxes[:, [2, 1, 0, 3]]
        bboxes[:, 0::2] = last - bboxes[:, 0::2]
        return replace(
            sample,
            bboxes=bboxes,
            keypoints=keypoints,
            visibility=sample.visibility[:, self.partners],
            annotated=sample.annotated[:, self.partners],
            warp=then(np.array([[-1, 0, last], [0, 1, 0]], dtype=np.float64), sample.warp),
        )


class Filter(Transform):
    """Drops people that cannot be learned from: a box side of ``min_side`` px or less, or no labeled keypoint.

    An image left without people is kept: it is a negative.
    """

    def __init__(self, *, min_side: float = 1.0) -> None:
        self.min_side = min_side

    def __call__(self, sample: Sample, rng: np.random.Generator, draw: Draw) -> Sample:
        """See ``Transform``."""
        sides = sample.bboxes[:, 2:] - sample.bboxes[:, :2]
        return sample.select((sides > self.min_side).all(axis=1) & (sample.visibility > 0).any(axis=1))


def check_prob(prob: float) -> float:
    """Returns a probability that is one.

    Raises:
        InputError: If it is not in 0..1.
    """
    if not 0 <= prob <= 1:
        raise InputError(f"prob and flip_prob must be in 0..1, got {prob}")
    return prob


def check_range(field: str, bounds: Sequence[float]) -> tuple[float, float]:
    """Returns a range of factors as (smallest, largest).

    Raises:
        InputError: If it is not two positive numbers in order.
    """
    if len(bounds) != 2 or not 0 < bounds[0] <= bounds[1]:
        raise InputError(f"{field} must be [smallest, largest], both positive, got {list(bounds)}")
    return bounds[0], bounds[1]


def then(matrix: Float[np.ndarray, "2 3"], warp: Float[np.ndarray, "2 3"] | None) -> Float[np.ndarray, "2 3"]:
    """The affine map that applies ``warp`` (None: identity) first, then ``matrix``."""
    return matrix if warp is None else matrix @ np.vstack([warp, (0, 0, 1)])


def check_image_size(image_size: Sequence[int]) -> tuple[int, int]:
    """Returns (height, width) if the network can take it.

    Raises:
        InputError: If it is not two numbers, a side is not a positive multiple of 32, the network's coarsest stride,
            or there are more than ``MAX_PIXELS``.
    """
    if not isinstance(image_size, Sequence) or [type(side) for side in image_size] != [int, int]:
        raise InputError(f"image_size must be (height, width) in px, whole numbers, got {image_size!r}")
    height, width = image_size
    if height % 32 or width % 32 or min(height, width) < 32:
        below, above = ([max(32, side // 32 * 32) for side in image_size], [-(-side // 32) * 32 for side in image_size])
        raise InputError(
            f"image_size must be (height, width) in multiples of 32, got {height} x {width}; "
            f"the nearest are {below[0]} x {below[1]} and {max(32, above[0])} x {max(32, above[1])}"
        )
    if height * width > MAX_PIXELS:
        raise InputError(f"image_size: {height} x {width} px is above the limit of {MAX_PIXELS:,} pixels")
    return height, width


def concatenate(samples: Sequence[Sample]) -> Sample:
    """The first sample with the people of all; they must share a frame."""
    return replace(
        samples[0],
        bboxes=np.concatenate([sample.bboxes for sample in samples]),
        keypoints=np.concatenate([sample.keypoints for sample in samples]),
        visibility=np.concatenate([sample.visibility for sample in samples]),
        annotated=np.concatenate([sample.annotated for sample in samples]),
        area=np.concatenate([sample.area for sample in samples]),
    )
