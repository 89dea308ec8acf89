"""Contact sheets of samples: as stored, as training sees them, as validation does."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

from rtmo.data.coco_pose import AnnotatedImages
from rtmo.data.pipeline import TrainDataset, ValDataset
from rtmo.data.source import PoseSource
from rtmo.drawing import contact_sheet, draw_poses, draw_regions, scaled, titled
from rtmo.skeletons import KeypointSet
from rtmo.types import Sample

_CAPTION, _HEADING = 22, 36  # px, height of the bars above a picture and above a sheet
_COLUMNS = 4

Image = UInt8[np.ndarray, "_ _ 3"]


def raw_sheet(source: PoseSource, *, num_images: int, seed: int, height: int) -> Image:
    """Random images of a source with all people and ignored regions.

    Args:
        height: Of the pictures, px.
    """
    indices = _drawn(np.arange(len(source)), num_images, seed)
    samples = [(image_name(source, index), source.load(index, with_ignore_mask=True)) for index in indices]
    return _sheet(samples, source, f"as stored: {len(indices)} of {len(source)} images", height)


def training_sheet(dataset: TrainDataset, epochs: Sequence[int], *, num_images: int, height: int) -> Image:
    """Augmented samples as training gets them, in turn from each of some epochs."""
    drawn = [_drawn(dataset.epoch_indices(epoch), num_images, dataset.seed + epoch) for epoch in epochs]
    samples = []
    for number in range(min(num_images, *map(len, drawn))):
        epoch, index = epochs[number % len(epochs)], drawn[number % len(epochs)][number]
        phase = dataset.phases.at(epoch, dataset.max_epochs)
        samples.append((f"phase {phase}, epoch {epoch}, index {index}", dataset[epoch, index].sample))
    return _sheet(samples, dataset.source, f"as training sees it: {len(samples)} samples", height)


def validation_sheet(
    source: PoseSource, image_size: Sequence[int], *, num_images: int, seed: int, height: int
) -> Image:
    """Letterboxed samples, the same images that ``raw_sheet`` shows."""
    dataset = ValDataset(source=source, image_size=image_size)
    indices = _drawn(np.arange(len(source)), num_images, seed)
    samples = [(image_name(source, index), dataset[index].sample) for index in indices]
    return _sheet(samples, source, f"as validation sees it: {len(indices)} of {len(source)} images", height)


def sample_panel(sample: Sample, skeleton: KeypointSet, caption: str, height: int) -> Image:
    """A sample at some height with boxes, skeletons, hatched ignored regions and a caption."""
    image, scale = scaled(sample.pixels, height / sample.image_size[0])
    if sample.ignore_mask is not None:
        size = (image.shape[1], image.shape[0])
        mask = cv2.resize(sample.ignore_mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        image = draw_regions(image, mask > 0)
    drawn = draw_poses(
        image,
        sample.keypoints * scale,
        skeleton=skeleton,
        visibility=sample.visibility,
        bboxes=sample.bboxes * scale,
    )
    return titled(drawn, caption, height=_CAPTION)


def image_name(source: PoseSource, index: int) -> str:
    """File name of an image, or its number where images have none."""
    return source.file_name(index) if isinstance(source, AnnotatedImages) else f"image {index}"


def _drawn(indices: np.ndarray, num_images: int, seed: int) -> list[int]:
    """Some of the indices, a function of the seed."""
    return np.random.default_rng(seed).permutation(indices)[:num_images].tolist()


def _sheet(samples: Sequence[tuple[str, Sample]], source: PoseSource, heading: str, height: int) -> Image:
    """Samples below their captions, all below a heading."""
    panels = [sample_panel(sample, source.skeleton, caption, height) for caption, sample in samples]
    hatched = any(sample.ignore_mask is not None and sample.ignore_mask.any() for _, sample in samples)
    title = f"{source.name} {heading}{', hatched: ignored in phase C' if hatched else ''}"
    return titled(contact_sheet(panels, columns=_COLUMNS), title, legend=True, height=_HEADING)
