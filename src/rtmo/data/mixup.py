"""Two images blended half and half (Zhang et al., arXiv:1710.09412; in the form of YOLOX, arXiv:2107.08430)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from rtmo.data.letterbox import fitted, warp_people
from rtmo.data.transforms import GREY, Draw, Flip, Transform, check_image_size, check_prob, check_range, concatenate
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
        """Blends two samples; ``image_id`` and ``warp`` of the result are those of the first."""
        sample = fitted(sample, self.image_size)
        other = self._second(other, params)
        masks = [each.ignore_mask for each in (sample, other) if each.ignore_mask is not None]
        return replace(
            concatenate([sample, other]),
            # floor((a + b) / 2) without leaving uint8
            image=(sample.image & other.image) + ((sample.image ^ other.image) >> 1),
            ignore_mask=np.logical_or.reduce(masks) if masks else None,
        )

    def _second(self, other: Sample, params: MixUpParams) -> Sample:
        """The second image in the frame of the first."""
        height, width = self.image_size
        ratio = min(height / other.image_size[0], width / other.image_size[1])
        canvas = _window(_resize(other, ratio), 0, 0, self.image_size)
        canvas = _resize(canvas, params.scale)
        if params.flip:
            canvas = self._flip.apply(canvas)
        return _window(canvas, params.x, params.y, self.image_size)


def _resize(sample: Sample, ratio: float) -> Sample:
    height, width = (int(side * ratio) for side in sample.image_size)
    mask = sample.ignore_mask
    if mask is not None:
        mask = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
    moved = warp_people(sample, np.array([[ratio, 0, 0], [0, ratio, 0]]), (height, width), ratio**2)
    return replace(moved, image=cv2.resize(sample.image, (width, height)), ignore_mask=mask)


def _window(sample: Sample, x: int, y: int, image_size: tuple[int, int]) -> Sample:
    """Cuts (height, width) px out of a sample, beginning at (x, y), grey where the sample ends before."""
    height, width = image_size
    image = np.full((height, width, 3), GREY, dtype=np.uint8)
    content = sample.image[y : y + height, x : x + width]
    image[: content.shape[0], : content.shape[1]] = content
    mask = None
    if sample.ignore_mask is not None:
        mask = np.zeros(image_size, dtype=bool)
        mask[: content.shape[0], : content.shape[1]] = sample.ignore_mask[y : y + height, x : x + width]
    matrix = np.array([[1, 0, -x], [0, 1, -y]], dtype=np.float64)
    return replace(warp_people(sample, matrix, image_size, 1.0), image=image, ignore_mask=mask)
