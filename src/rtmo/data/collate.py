"""Samples into a batch."""

from collections.abc import Sequence

import numpy as np
import torch

from rtmo.data.pipeline import Item
from rtmo.errors import InputError
from rtmo.types import Batch, Sample, Targets


def collate(items: Sequence[Item]) -> Batch:
    """Stacks images and pads people to the fullest image, to one slot at least.

    Images keep their bytes as loaded, so the tensor (B, 3, H, W) is channels_last in memory.

    Raises:
        InputError: If images differ in size.
    """
    samples = [item.sample for item in items]
    sizes = {sample.image_size for sample in samples}
    if len(sizes) > 1:
        raise InputError(f"the images of a batch must have one size, got {sorted(sizes)}; letterbox them")
    identity = np.eye(2, 3)
    warps = np.stack([identity if sample.warp is None else sample.warp for sample in samples])
    return Batch(
        images=torch.from_numpy(np.stack([sample.pixels for sample in samples])).permute(0, 3, 1, 2),
        targets=_targets(samples),
        ignore_mask=_ignore_mask(samples),
        image_ids=[sample.image_id for sample in samples],
        warps=torch.from_numpy(warps).float(),
        original_sizes=torch.tensor([item.original_size for item in items]),
    )


def _targets(samples: Sequence[Sample]) -> Targets:
    slots = max(1, *(sample.num_people for sample in samples))
    batch, joints = len(samples), samples[0].keypoints.shape[1]
    targets = Targets(
        bboxes=torch.zeros(batch, slots, 4),
        keypoints=torch.zeros(batch, slots, joints, 2),
        visibility=torch.zeros(batch, slots, joints, dtype=torch.uint8),
        annotated=torch.zeros(batch, slots, joints, dtype=torch.bool),
        area=torch.zeros(batch, slots),
        valid=torch.zeros(batch, slots, dtype=torch.bool),
    )
    for row, sample in enumerate(samples):
        people = sample.num_people
        targets.valid[row, :people] = True
        for field in ("bboxes", "keypoints", "visibility", "annotated", "area"):
            getattr(targets, field)[row, :people] = torch.from_numpy(getattr(sample, field))
    return targets


def _ignore_mask(samples: Sequence[Sample]) -> torch.Tensor | None:
    masks = [sample.ignore_mask for sample in samples]
    if not any(mask is not None and mask.any() for mask in masks):
        return None
    empty = np.zeros(samples[0].image_size, dtype=bool)
    return torch.from_numpy(np.stack([empty if mask is None else mask for mask in masks]))
