"""Two images blended half and half (Zhang et al., arXiv:1710.09412; in the form of YOLOX, arXiv:2107.08430)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rtmo.data.letterbox import fitted, warp_people
from rtmo.data.picture import Picture
from rtmo.data.transforms import Draw, Flip, Transform, check_image_size, check_prob, check_range, concatenate
from rtmo.skeletons import KeypointSet
from rtmo.types import Sample


@dataclass(frozen=True)
class MixUpParams:
    """How the second image changes before blending.

    Attributes:
        scale: Of its letterboxed canvas.
        flip: Whether it is mirrored.
        x: Columns cut off on the left, px; 0 where the canvas is no wider than the result.
        y: Rows cut off at the top, likewise.
    """

    scale: float
    flip: bool
    x: int
    y: int


class MixUp(Transform):
    """Averages an image with a rescaled random other; the people of both are kept.

    Args:
        image_size: (height, width) of the result, px; an image of another size is letterboxed first.
        skeleton: For mirroring.
        scale: Smallest and largest scale of the other image.
        flip_prob: How often the other image is mirrored.
        prob: How often; never with an image without any person.
    """

    takes_undrawn = True

    def __init__(
        self,
        *,
        image_size: Sequence[int],
        skeleton: KeypointSet,
        scale: Sequence[float] = (0.8, 1.6),
        flip_prob: float = 0.5,
        prob: float = 1.0,
    ) -> None:
        self.image_size = check_image_size(image_size)
        self.scale = check_range("scale", scale)
        self.flip_prob, self.prob = check_prob(flip_prob), check_prob(prob)
        self._flip = Flip(skeleton=skeleton)

    def __call__(self, sample: Sample, rng: np.random.Generator, draw: Draw) -> Sample:
        """See ``Transform``."""
        if rng.random() >= self.prob:
            return sample
        other = draw(rng)
        return self.apply(sample, other, self.draw(rng)) if other.num_people else sample

    def draw(self, rng: np.random.Generator) -> MixUpParams:
        """Draws all amounts uniformly."""
        scale = rng.uniform(*self.scale)
        surplus_y, surplus_x = (max(0, int(side * scale) - side) for side in self.image_size)
        return MixUpParams(
            scale=scale,
            flip=rng.random() < self.flip_prob,
            x=int(rng.integers(surplus_x + 1)),
            y=int(rng.integers(surplus_y + 1)),
        )

    def apply(self, sample: Sample, other: Sample, params: MixUpParams) -> Sample:
        """Moves the second sample and blends it with the first."""
        for move in self.moves(params):
            other = move(other)
        return self.blend(sample, other)

    def moves(self, params: MixUpParams) -> list[Callable[[Sample], Sample]]:
        """What brings the second sample into the frame of the first, in order; its image is left undrawn."""
        return [
            self._fit,
            partial(_resize, ratio=params.scale),
            *([self._mirror] if params.flip else []),
            partial(_window, x=params.x, y=params.y, image_size=self.image_size),
        ]

    def blend(self, sample: Sample, other: Sample) -> Sample:
        """The average of two samples; ``image_id`` and ``warp`` of the result are those of the first."""
        sample, other = fitted(sample, self.image_size).drawn(), other.drawn()
        masks = [each.ignore_mask for each in (sample, other) if each.ignore_mask is not None]
        image, differing = sample.pixels & other.pixels, sample.pixels ^ other.pixels
        differing >>= 1
        image += differing  # floor((a + b) / 2) without leaving uint8
        return replace(
            concatenate([sample, other]),
            image=image,
            ignore_mask=np.logical_or.reduce(masks) if masks else None,
        )

    def _fit(self, other: Sample) -> Sample:
        """Letterboxed, top left."""
        ratio = min(self.image_size[0] / other.image_size[0], self.image_size[1] / other.image_size[1])
        return _window(_resize(other, ratio), 0, 0, self.image_size)

    def _mirror(self, other: Sample) -> Sample:
        return replace(self._flip.mirror_people(other), image=Picture.of(other).mirrored(), ignore_mask=None)


def _resize(sample: Sample, ratio: float) -> Sample:
    height, width = (max(1, int(side * ratio)) for side in sample.image_size)
    moved = warp_people(sample, np.array([[ratio, 0, 0], [0, ratio, 0]]), (height, width), ratio**2)
    return replace(moved, image=Picture.of(sample).resized((height, width)), ignore_mask=None)


def _window(sample: Sample, x: int, y: int, image_size: tuple[int, int]) -> Sample:
    """Cuts (height, width) px out of a sample, beginning at (x, y), grey where the sample ends before."""
    matrix = np.array([[1, 0, -x], [0, 1, -y]], dtype=np.float64)
    picture = Picture.of(sample).placed(-x, -y, image_size)
    return replace(warp_people(sample, matrix, image_size, 1.0), image=picture, ignore_mask=None)
