"""One image fitted into the network's frame, plainly for validation or with jitter for phase C."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from rtmo.data.picture import Picture
from rtmo.data.transforms import Draw, Transform, check_image_size, check_prob, check_range, then
from rtmo.types import Sample


def warp_sample(sample: Sample, matrix: Float[np.ndarray, "2 3"], image_size: tuple[int, int]) -> Sample:
    """Moves image, people and ignore mask by an affine map; the image is left undrawn.

    Args:
        image_size: (height, width) after the move, px.
    """
    moved = warp_people(sample, matrix, image_size, abs(float(np.linalg.det(matrix[:, :2]))))
    return replace(moved, image=Picture.of(sample).warped(matrix, image_size), ignore_mask=None)


def warp_people(
    sample: Sample, matrix: Float[np.ndarray, "2 3"], image_size: tuple[int, int], area_factor: float
) -> Sample:
    """Moves the annotations of a sample, not its image, by an affine map.

    A box becomes the clipped box around its moved corners; a keypoint outside the new image becomes unlabeled.

    Args:
        image_size: (height, width) after the move, px.
        area_factor: By what ``area`` grows.
    """
    height, width = image_size
    linear, offset = matrix[:, :2], matrix[:, 2]
    keypoints = (sample.keypoints @ linear.T + offset).astype(np.float32)
    corners = sample.bboxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]] @ linear.T + offset
    bboxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    bboxes = bboxes.clip(0, (width, height, width, height)).astype(np.float32)
    return replace(
        sample,
        bboxes=bboxes,
        keypoints=keypoints,
        visibility=np.where(inside(keypoints, image_size), sample.visibility, np.uint8(0)),
        area=(sample.area * area_factor).astype(np.float32),
        warp=then(matrix, sample.warp),
    )


def inside(keypoints: Float[np.ndarray, "G K 2"], image_size: tuple[int, int]) -> Bool[np.ndarray, "G K"]:
    """Which points lie in an image of (height, width) px, its edges included."""
    height, width = image_size
    x, y = keypoints[..., 0], keypoints[..., 1]
    return (x >= 0) & (x <= width) & (y >= 0) & (y <= height)


@dataclass(frozen=True)
class LightParams:
    """How a sample is moved before it is fitted.

    Attributes:
        shift: (x, y) by which the frame moves over the image, fraction of the image's width and height.
        scale: Size of the frame: above 1 people get smaller.
        rotation: Degrees, counter-clockwise on screen.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    rotation: float = 0.0


class LightAffine(Transform):
    """Fits an image into ``image_size``, aspect ratio kept, centred, after a random shift, turn and scaling.

    One bilinear warp with grey borders. Each amount follows a normal distribution cut at one standard deviation. With
    all amounts at their neutral values this is ``Letterbox``: phase C of RTMO-t and RTMO-s; the published phase C of
    RTMO-m and RTMO-l uses shift 0.2, rotation 30, scale (0.75, 1.5).

    Args:
        image_size: (height, width) of the result, px.
        shift: Largest shift, fraction of the image.
        rotation: Largest turn, degrees.
        scale: Smallest and largest size of the frame.
        prob: How often an image is moved at all; else it is fitted as it is.
    """

    takes_undrawn = True

    def __init__(
        self,
        *,
        image_size: Sequence[int],
        shift: float = 0.2,
        rotation: float = 30.0,
        scale: Sequence[float] = (0.75, 1.5),
        prob: float = 1.0,
    ) -> None:
        self.image_size, self.prob = check_image_size(image_size), check_prob(prob)
        self.shift, self.rotation, self.scale = shift, rotation, check_range("scale", scale)

    def __call__(self, sample: Sample, rng: np.random.Generator, draw: Draw) -> Sample:
        """See ``Transform``."""
        moves = self.prob == 1 or rng.random() < self.prob
        return self.apply(sample, self.draw(rng) if moves else LightParams())

    def draw(self, rng: np.random.Generator) -> LightParams:
        """Draws the amounts; ``scale`` spans its range linearly."""
        x, y, size, turn = (truncated_normal(rng) for _ in range(4))
        low, high = self.scale
        return LightParams(
            shift=(x * self.shift, y * self.shift),
            scale=(low + high) / 2 + size * (high - low) / 2,
            rotation=turn * self.rotation,
        )

    def apply(self, sample: Sample, params: LightParams) -> Sample:
        """Moves image, people and ignore mask; the image is left undrawn."""
        return warp_sample(sample, self.matrix(sample.image_size, params), self.image_size)

    def matrix(self, source_size: tuple[int, int], params: LightParams) -> Float[np.ndarray, "2 3"]:
        """Original pixels to the result: the frame's centre onto the centre of the result."""
        height, width = self.image_size
        source_height, source_width = source_size
        ratio = min(height / source_height, width / source_width) / params.scale
        angle = np.deg2rad(params.rotation)
        cos, sin = np.cos(angle) * ratio, np.sin(angle) * ratio
        linear = np.array([[cos, sin], [-sin, cos]])
        centre = np.array(
            [source_width / 2 + params.shift[0] * source_width, source_height / 2 + params.shift[1] * source_height]
        )
        return np.hstack([linear, (np.array([width / 2, height / 2]) - linear @ centre)[:, None]])


class Letterbox(LightAffine):
    """Fits an image into ``image_size``, aspect ratio kept, centred, grey elsewhere: what the network is tested on."""

    def __init__(self, *, image_size: Sequence[int]) -> None:
        super().__init__(image_size=image_size, shift=0.0, rotation=0.0, scale=(1.0, 1.0))


def fitted(sample: Sample, image_size: tuple[int, int]) -> Sample:
    """The sample letterboxed to (height, width) px and left undrawn, or itself if it has that size."""
    if sample.image_size == image_size:
        return sample
    return Letterbox(image_size=image_size).apply(sample, LightParams())


def truncated_normal(rng: np.random.Generator) -> float:
    """A standard normal number from [-1, 1]."""
    while abs(number := rng.standard_normal()) > 1:
        pass
    return float(number)
