"""Four images on one canvas (Bochkovskiy et al., YOLOv4, arXiv:2004.10934), as RTMO's phases A and B train on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from rtmo.data.letterbox import warp_people
from rtmo.data.transforms import GREY, Draw, Transform, check_image_size, check_prob, check_range, concatenate
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
        """Combines four samples; ``image_id`` and ``warp`` of the result are those of the first."""
        height, width = 2 * self.image_size[0], 2 * self.image_size[1]
        canvas = np.full((height, width, 3), GREY, dtype=np.uint8)
        masked = any(sample.ignore_mask is not None for sample in samples)
        mask = np.zeros((height, width), dtype=bool) if masked else None
        moved = [self._place(sample, place, params, canvas, mask) for place, sample in enumerate(samples)]
        return replace(concatenate(moved), image=canvas, ignore_mask=mask)

    def _place(
        self, sample: Sample, place: int, params: MosaicParams, canvas: np.ndarray, mask: np.ndarray | None
    ) -> Sample:
        """Draws one image onto the canvas and returns its people in canvas pixels."""
        height, width = sample.image_size
        ratio = min(self.image_size[0] / height, self.image_size[1] / width)
        size = (int(width * ratio), int(height * ratio))
        left = params.x - size[0] if place in {0, 2} else params.x
        top = params.y - size[1] if place in {0, 1} else params.y
        inside = np.s_[max(top, 0) : top + size[1], max(left, 0) : left + size[0]]
        cut = np.s_[max(-top, 0) : canvas.shape[0] - top, max(-left, 0) : canvas.shape[1] - left]
        canvas[inside] = cv2.resize(sample.image, size)[cut]
        if mask is not None and sample.ignore_mask is not None:
            mask[inside] = cv2.resize(sample.ignore_mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)[cut]
        matrix = np.array([[ratio, 0, left], [0, ratio, top]])
        return warp_people(sample, matrix, (canvas.shape[0], canvas.shape[1]), ratio**2)
