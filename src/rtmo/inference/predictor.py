"""``rtmo.Predictor``: poses of all people in images, in px of these images."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from rtmo.errors import InputError
from rtmo.inference.backend import open_backend
from rtmo.inference.fitting import fit_image, poses_in_image
from rtmo.inference.images import as_bgr, read_any
from rtmo.skeletons import KeypointSet
from rtmo.types import Poses

ImageLike = np.ndarray | Image.Image | str | Path
Fitted = tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "2 3"]]  # pixels for the network, and the map to them


class Predictor:
    """Finds people in images.

    ``Predictor("best.ckpt")(image)`` gives the ``Poses`` of an image, a list of images a list of them.

    Args:
        name_or_path: A published model by name, a checkpoint, or an exported ``.onnx``.
        backend: See ``open_backend``, as for all that follow.
        batch_size: Images that go through the network together.

    Raises:
        InputError: If the file cannot be used, or an option does not go with it.
    """

    def __init__(
        self,
        name_or_path: str | Path,
        *,
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        compile: bool = False,
        image_size: Sequence[int] | None = None,
        score_thr: float = 0.3,
        nms_thr: float = 0.65,
        batch_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: expected a whole number from 1 on")
        self.batch_size = batch_size
        self.backend = open_backend(
            name_or_path,
            backend=backend,
            device=device,
            precision=precision,
            compile=compile,
            image_size=image_size,
            score_thr=score_thr,
            nms_thr=nms_thr,
        )

    @property
    def skeleton(self) -> KeypointSet:
        """The joints that are found, in order."""
        return self.backend.skeleton

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in px that images are fitted into."""
        return self.backend.image_size

    @overload
    def __call__(self, images: ImageLike) -> Poses: ...

    @overload
    def __call__(self, images: list[ImageLike]) -> list[Poses]: ...

    def __call__(self, images: Any) -> Poses | list[Poses]:
        """The people in each image, best first, px of that image; joints may lie outside of it.

        Args:
            images: One or a list; BGR arrays (H, W, 3), PIL images, or paths.

        Raises:
            InputError: If an image cannot be read or is none.
        """
        if isinstance(images, list):
            return list(self.stream(images))
        return next(self.stream([images]))

    def stream(self, images: Sequence[ImageLike]) -> Iterator[Poses]:
        """The same, one image after another: no more than a batch is in memory."""
        for start in range(0, len(images), self.batch_size):
            yield from self.predict([as_pixels(image) for image in images[start : start + self.batch_size]])

    def predict(self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> list[Poses]:
        """Poses of the images of one batch."""
        return self.find(images, [self.fit(image) for image in images])

    def find(self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]], fitted: Sequence[Fitted]) -> list[Poses]:
        """Poses of the images of one batch, each in its px, once ``fit`` has fitted them."""
        found = self.backend.decode(self.backend.network(np.stack([pixels for pixels, _ in fitted])))
        return [
            poses_in_image(poses, warp, (image.shape[0], image.shape[1]))
            for poses, (_, warp), image in zip(found, fitted, images, strict=True)
        ]

    def fit(self, image: UInt8[np.ndarray, "H W 3"]) -> Fitted:
        """See ``fit_image``."""
        return fit_image(image, self.image_size)


def as_pixels(image: object) -> UInt8[np.ndarray, "H W 3"]:
    """BGR pixels of an image, however it is given; one of Pillow is taken as it is, not turned by its EXIF header.

    Raises:
        InputError: If it cannot be read or is no image.
    """
    if isinstance(image, str | Path):
        return read_any(Path(image))
    if isinstance(image, Image.Image):
        try:
            return as_bgr(image)
        except (ValueError, OSError) as error:
            raise InputError(f"an image of Pillow cannot be read ({error}); give another one") from error
    if not isinstance(image, np.ndarray):
        kind = type(image).__name__
        raise InputError(f"an image must be a path, a BGR array or an image of Pillow, got {kind}; several are a list")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(
            f"an image must be a BGR array of uint8, (height, width, 3), got {image.dtype} {image.shape}; "
            "give a path to have it read"
        )
    return image
