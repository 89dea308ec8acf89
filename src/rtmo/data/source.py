"""What a data set must offer, whatever stores it."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from rtmo.skeletons import KeypointSet
from rtmo.types import Sample


@runtime_checkable
class PoseSource(Protocol):
    """Images with people, by index.

    Attributes:
        name: How configs, logs and errors refer to it.
        skeleton: The joints of every sample, in order; joints the data set lacks are ``annotated = False``.
    """

    name: str
    skeleton: KeypointSet

    def __len__(self) -> int:
        """The number of images."""
        ...

    def load(self, index: int, with_ignore_mask: bool = False) -> Sample:
        """One image with its people; a pure function of the index, so that any worker may call it.

        Args:
            with_ignore_mask: Whether ``Sample.ignore_mask`` is wanted; it costs time and only phase C uses it.
        """
        ...

    def load_undrawn(self, index: int, with_ignore_mask: bool = False) -> Sample:
        """As ``load``, for training: ``Sample.image`` may be a ``Picture`` whose pixels are read when it is drawn.

        Of a mosaic, much ends outside of what is shown. A source that cannot wait loads the image at once, as here.
        """
        return self.load(index, with_ignore_mask)

    def ground_truth(self) -> dict[str, Any]:
        """All people in COCO's format (images, annotations, categories), joints in the order of ``skeleton``."""
        ...

    def epoch_indices(self, rng: np.random.Generator, light: bool) -> Int64[np.ndarray, " _"]:
        """The images of one epoch, each once: all of them, unless a source draws some.

        Args:
            rng: The only source of randomness, a function of (seed, epoch).
            light: Whether the epoch is of phase C; how many images there are may depend on it, and on nothing else.
        """
        return np.arange(len(self))
