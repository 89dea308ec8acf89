"""The images and batches that both sides get: drawn people, and every other one a photograph where there are any."""

import os
from dataclasses import fields, replace
from itertools import count
from pathlib import Path

import numpy as np
import torch
from cases import BATCH, BATCH_SIDE, MODELS, NUM_IMAGES, STEPS
from torch import Tensor

from rtmo.data.coco_pose import CocoPose
from rtmo.data.collate import collate
from rtmo.data.letterbox import fitted
from rtmo.data.pipeline import Item
from rtmo.data.source import PoseSource
from rtmo.data.synthetic.source import SyntheticPeople
from rtmo.skeletons import COCO17
from rtmo.types import Batch, Sample, Targets

PEOPLE = 2  # in an image of a batch, at least


def photographs() -> PoseSource | None:
    """COCO's photographs in the folder that tests use as well; None where there is none."""
    checkout = Path(__file__).resolve().parents[2]
    coco = Path(os.environ.get("RTMO_SHARED_DIR", checkout.parent / "shared")) / "data" / "coco"
    if not coco.is_dir():
        return None
    annotations = coco / "annotations" / "person_keypoints_train2017.json"
    return CocoPose(name="coco", annotation_file=annotations, image_dir=coco / "train2017", skeleton=COCO17)


def make_inputs(photos: PoseSource | None) -> dict[str, Tensor]:
    """Tensors by name; see cases.py."""
    drawn = SyntheticPeople(num_images=1000, image_size=(480, 640), seed=5)
    sources = [drawn] if photos is None else [drawn, photos]
    tensors = {}
    for side in sorted({side for sides in MODELS.values() for side in sides}):
        images = [fitted(sources[i % len(sources)].load(i), (side, side)).image for i in range(NUM_IMAGES)]
        tensors[f"images/{side}"] = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    batches = make_batches(sources)
    slots = max(batch.targets.valid.shape[1] for batch in batches)
    for field in fields(Targets):
        padded = [_pad(getattr(batch.targets, field.name), slots) for batch in batches]
        tensors[f"batches/{field.name}"] = torch.stack(padded)
    tensors["batches/images"] = torch.stack([batch.images for batch in batches]).contiguous()
    tensors["batches/ignore_mask"] = torch.stack([batch.ignore_mask for batch in batches])
    return tensors


def make_batches(sources: list[PoseSource]) -> list[Batch]:
    """Batches of images with several people each. One of them counts as unlabeled, for phase C to ignore."""
    chosen: list[Sample] = []
    for index in count():
        if len(chosen) == STEPS * BATCH:
            break
        source = sources[index % len(sources)]
        sample = fitted(source.load(index // len(sources), with_ignore_mask=True), (BATCH_SIDE, BATCH_SIDE))
        sample = sample.select((sample.visibility > 0).any(axis=1))
        if sample.num_people > PEOPLE:
            chosen.append(without_first(sample))
    return [collate([Item(s, s.image_size) for s in chosen[i : i + BATCH]]) for i in range(0, len(chosen), BATCH)]


def without_first(sample: Sample) -> Sample:
    """The sample with the first person ignored instead of labeled."""
    x1, y1, x2, y2 = sample.bboxes[0].round().astype(int)
    mask = sample.ignore_mask.copy()
    mask[y1:y2, x1:x2] = True
    return replace(sample.select(np.arange(sample.num_people) > 0), ignore_mask=mask)


def _pad(people: Tensor, slots: int) -> Tensor:
    padding = people.new_zeros((len(people), slots - people.shape[1], *people.shape[2:]))
    return torch.cat((people, padding), dim=1)
