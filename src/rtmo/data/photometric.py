"""Pixel-level transforms: albumentations, which users configure freely, and the HSV jitter of RTMO's recipe.

Geometry is not albumentations' business here: it does not swap left and right joints.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import albumentations as A  # noqa: N812
import cv2
import numpy as np
from jaxtyping import UInt8

from rtmo.data.transforms import Draw, Transform
from rtmo.errors import InputError
from rtmo.types import Sample


class Albumentations(Transform):
    """Applies albumentations' pixel-level transforms in order; they see RGB.

    Args:
        transforms: By name, so that configs can override or remove (null) one of them.

    Raises:
        InputError: If one of them moves pixels: crops, flips, rotations and the like would leave keypoints behind.
    """

    def __init__(self, *, transforms: Mapping[str, A.BasicTransform | A.BaseCompose | None]) -> None:
        chosen = {name: transform for name, transform in transforms.items() if transform is not None}
        for name, transform in chosen.items():
            for leaf in _leaves(transform):
                if not isinstance(leaf, A.ImageOnlyTransform | A.NoOp):
                    raise InputError(
                        f"transforms.{name}: albumentations' {type(leaf).__name__} is no pixel-level transform "
                        "(ImageOnlyTransform). Geometry belongs to rtmo.data, which moves keypoints and swaps left "
                        "and right: use rtmo.data.transforms.Flip, rtmo.data.letterbox.LightAffine, "
                        "rtmo.data.affine.RandomAffine"
                    )
        self.compose = A.Compose(list(chosen.values()))

    def __call__(self, sample: Sample, rng: np.random.Generator, draw: Draw) -> Sample:
        """See ``Transform``.

        Raises:
            InputError: If a transform changed the size or type of the image.
        """
        self.compose.set_random_seed(int(rng.integers(2**31)))
        image = self.compose(image=cv2.cvtColor(sample.pixels, cv2.COLOR_BGR2RGB))["image"]
        if image.shape != sample.pixels.shape or image.dtype != np.uint8:
            raise InputError(
                f"albumentations returned {image.dtype} {image.shape} for uint8 {sample.pixels.shape}; remove "
                "transforms that normalize or change the type or the number of channels"
            )
        return replace(sample, image=cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def _leaves(transform: A.BasicTransform | A.BaseCompose) -> Iterator[A.BasicTransform]:
    if isinstance(transform, A.BaseCompose):
        for inner in transform.transforms:
            yield from _leaves(inner)
    else:
        yield transform


class HSVJitter(A.ImageOnlyTransform):
    """Shifts hue, saturation and value by whole steps, each channel switched on by a coin of its own.

    The defaults are the published recipe's: U(-1, 1) * (5, 30, 30), truncated towards zero, each with probability 1/2.

    Args:
        hue: Largest shift, in OpenCV's units of 2 degrees; wraps around.
        saturation: Largest shift, 0..255 scale; clipped.
        value: Likewise.
        gate_prob: How often each channel is shifted.
        p: How often the transform is applied at all.
    """

    class InitSchema(A.BasicTransform.InitSchema):
        """What albumentations checks the arguments against."""

        hue: float
        saturation: float
        value: float
        gate_prob: float

    def __init__(
        self, hue: float = 5, saturation: float = 30, value: float = 30, gate_prob: float = 0.5, p: float = 1.0
    ) -> None:
        super().__init__(p=p)
        self.hue, self.saturation, self.value, self.gate_prob = hue, saturation, value, gate_prob

    def get_params(self) -> dict[str, Any]:
        """Draws the three shifts."""
        rng = self.random_generator
        shifts = rng.uniform(-1, 1, 3) * (self.hue, self.saturation, self.value)
        return {"shifts": (shifts * (rng.random(3) < self.gate_prob)).astype(int)}

    def apply(self, img: UInt8[np.ndarray, "H W 3"], shifts: Any, **params: Any) -> UInt8[np.ndarray, "H W 3"]:
        """Shifts an RGB image in HSV.

        Args:
            shifts: Three whole numbers: hue, saturation, value.
        """
        hsv = cv2.cvtColor(img, cv2.COLOR_RGB2HSV)
        if shifts[0]:
            table = ((np.arange(256) + shifts[0]) % 180).astype(np.uint8)
            cv2.insertChannel(cv2.LUT(cv2.extractChannel(hsv, 0), table), hsv, 0)
        others = np.array([0.0, shifts[1], shifts[2], 0.0])
        cv2.add(hsv, others.clip(min=0), dst=hsv)  # clips; in two steps, as OpenCV is slow to add what is negative
        cv2.subtract(hsv, (-others).clip(min=0), dst=hsv)
        return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
