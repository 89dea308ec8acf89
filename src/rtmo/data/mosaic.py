"""Four images on one canvas (Bochkovskiy et al., YOLOv4, arXiv:2004.10934), as RTMO's phases A and B train on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtmo.data.letterbox import warp_people
from rtmo.data.picture import Picture
from rtmo.data.transforms import Draw, Transform, check_image_size, check_prob, check_range, concatenate
from rtmo.types import Sample


@dataclass(frozen=True)
class MosaicParams:
    """Where the four images meet, px of the canvas."""

    x: int
    y: int


class Mosaic(Transform):
    """Puts an image and three random others on a canvas twice the network's size.

    Each is fitted into ``image_size`` and touches the meeting point with a corner; what reaches over the edge of the
    canvas is cut off. The image itself is top left, the others top right, bottom left and bottom right.

    Args:
        image_size: (height, width) of the network input, px.
        centre: Range of the meeting point, fraction of ``image_size``.
        prob: How often; otherwise the sample passes unchanged.
    """

    takes_undrawn = True

    def __init__(self, *, image_size: Sequence[int], centre: Sequence[float] = (0.5, 1.5), prob: float = 1.0) -> None:
        self.image_size = check_image_size(image_size)
        self.centre, self.prob = check_range("centre", centre), check_prob(prob)

    def __call__(self, sample: Sample, rng: np.random.Generator, draw: Draw) -> Sample:
        """See ``Transform``."""
        if rng.random() >= self.prob:
            return sample
        others = [draw(rng) for _ in range(3)]
        return self.apply([sample, *others], self.draw(rng))

    def draw(self, rng: np.random.Generator) -> MosaicParams:
        """Draws the meeting point."""
        height, width = self.image_size
        x, y = rng.uniform(*self.centre, size=2).tolist()
        return MosaicParams(x=int(x * width), y=int(y * height))

    def apply(self, samples: Sequence[Sample], params: MosaicParams) -> Sample:
        """Combines four samples and leaves the image undrawn; ``image_id`` and ``warp`` are those of the first."""
        canvas_size = (2 * self.image_size[0], 2 * self.image_size[1])
        placed = [self._place(sample, place, params, canvas_size) for place, sample in enumerate(samples)]
        picture = Picture.overlay([Picture.of(sample) for sample in placed], canvas_size)
        return replace(concatenate(placed), image=picture)

    def _place(self, sample: Sample, place: int, params: MosaicParams, canvas_size: tuple[int, int]) -> Sample:
        """One image alone on the canvas."""
        height, width = sample.image_size
        ratio = min(self.image_size[0] / height, self.image_size[1] / width)
        size = (max(1, int(height * ratio)), max(1, int(width * ratio)))
        left = params.x - size[1] if place in {0, 2} else params.x
        top = params.y - size[0] if place in {0, 1} else params.y
        picture = Picture.of(sample).resized(size).placed(left, top, canvas_size)
        matrix = np.array([[ratio, 0, left], [0, ratio, top]])
        return replace(warp_people(sample, matrix, canvas_size, ratio**2), image=picture, ignore_mask=None)
