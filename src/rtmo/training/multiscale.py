"""Multi-scale training: a new square size for every batch, resized on the device."""

from dataclasses import replace

import numpy as np
from torch.nn import functional

from rtmo.types import Batch

SIZE_STEP = 32


class MultiScale:
    """Draws the size of each batch; the draw depends on the seed, the epoch and the batch's place in it alone.

    Args:
        min_size: Smallest side, px, a multiple of 32.
        max_size: Largest side, px, a multiple of 32.
        seed: Of the draws.

    Raises:
        ValueError: If a bound is not a multiple of 32 or they are in the wrong order.
    """

    def __init__(self, *, min_size: int, max_size: int, seed: int) -> None:
        if min_size % SIZE_STEP or max_size % SIZE_STEP or not 0 < min_size <= max_size:
            raise ValueError(
                f"multiscale needs 0 < min_size <= max_size, both multiples of {SIZE_STEP}; "
                f"got min_size={min_size}, max_size={max_size}"
            )
        self.min_size = min_size
        self.max_size = max_size
        self.seed = seed

    def size(self, epoch: int, batch_index: int, image_size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) in px of a batch; the run's first batch keeps its own size, as published."""
        if epoch == 0 and batch_index == 0:
            return image_size
        rng = np.random.default_rng((self.seed, epoch, batch_index))
        side = SIZE_STEP * int(rng.integers(self.min_size // SIZE_STEP, self.max_size // SIZE_STEP, endpoint=True))
        return side, side


def resize_batch(batch: Batch, size: tuple[int, int]) -> Batch:
    """The batch at another (height, width), with people, areas and ignore mask; images become float."""
    height, width = batch.images.shape[-2:]
    images = batch.images.float()
    if size == (height, width):
        return replace(batch, images=images)
    scale = images.new_tensor((size[1] / width, size[0] / height))
    targets = replace(
        batch.targets,
        bboxes=batch.targets.bboxes * scale.repeat(2),
        keypoints=batch.targets.keypoints * scale,
        area=batch.targets.area * scale.prod(),
    )
    mask = batch.ignore_mask
    if mask is not None:
        mask = functional.interpolate(mask[:, None].float(), size, mode="bilinear", align_corners=False)[:, 0] > 0.5
    return replace(
        batch,
        images=functional.interpolate(images, size, mode="bilinear", align_corners=False),
        targets=targets,
        ignore_mask=mask,
        warps=batch.warps * scale.to(batch.warps)[:, None],
    )
