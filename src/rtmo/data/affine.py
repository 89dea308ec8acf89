"""A random rotation, scaling, shear and shift of a mosaic, cut down to the network's frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rtmo.data.letterbox import fitted, warp_sample
from rtmo.data.transforms import Draw, Transform, check_image_size, check_range
from rtmo.types import Sample


@dataclass(frozen=True)
class AffineParams:
    """How the image moves.

    Attributes:
        translation: (x, y), fraction of the output's width and height.
        scale: Above 1 people get larger.
        rotation: Degrees, clockwise on screen.
        shear: (x, y), degrees.
    """

    translation: tuple[float, float]
    scale: float
    rotation: float
    shear: tuple[float, float]


class RandomAffine(Transform):
    """Turns, scales, shears and shifts an image and cuts ``image_size`` out of it.

    The reference turns a mosaic about the middle of its top left quarter, so that this quarter is most of what the
    result shows; so does this by default. ``centered`` turns about the middle of the mosaic and shows the part where
    the four images meet. An image that is no mosaic is letterboxed first; it turns about its middle either way.

    Args:
        image_size: (height, width) of the result, px.
        translation: Largest shift, fraction of the result.
        scale: Smallest and largest scale.
        rotation: Largest turn, degrees.
        shear: Largest shear of each axis, degrees.
        centered: Whether to turn about and show the middle of the image given.
    """

    takes_undrawn = True

    def __init__(
        self,
        *,
        image_size: Sequence[int],
        translation: float = 0.1,
        scale: Sequence[float] = (0.75, 1.0),
        rotation: float = 10.0,
        shear: float = 2.0,
        centered: bool = False,
    ) -> None:
        self.image_size = check_image_size(image_size)
        self.scale, self.centered = check_range("scale", scale), centered
        self.translation, self.rotation, self.shear = translation, rotation, shear

    def __call__(self, sample: Sample, rng: np.random.Generator, draw: Draw) -> Sample:
        """See ``Transform``."""
        height, width = self.image_size
        if sample.image_size != (2 * height, 2 * width):
            sample = fitted(sample, self.image_size)
        return self.apply(sample, self.draw(rng))

    def draw(self, rng: np.random.Generator) -> AffineParams:
        """Draws all amounts uniformly."""
        x, y, turn, shear_x, shear_y = rng.uniform(-1, 1, 5).tolist()
        return AffineParams(
            translation=(x * self.translation, y * self.translation),
            scale=rng.uniform(*self.scale),
            rotation=turn * self.rotation,
            shear=(shear_x * self.shear, shear_y * self.shear),
        )

    def apply(self, sample: Sample, params: AffineParams) -> Sample:
        """Moves image, people and ignore mask; the image is left undrawn."""
        return warp_sample(sample, self.matrix(sample.image_size, params), self.image_size)

    def matrix(self, source_size: tuple[int, int], params: AffineParams) -> Float[np.ndarray, "2 3"]:
        """Pixels of the image given to those of the result."""
        height, width = self.image_size
        middle = np.array([width / 2, height / 2])
        pivot = np.array([source_size[1] / 2, source_size[0] / 2]) if self.centered else middle
        angle, (shear_x, shear_y) = np.deg2rad(params.rotation), np.tan(np.deg2rad(params.shear))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = params.scale * np.array([[1, shear_x], [shear_y, 1]]) @ turn
        offset = middle + np.array(params.translation) * (width, height) - linear @ pivot
        return np.hstack([linear, offset[:, None]])
