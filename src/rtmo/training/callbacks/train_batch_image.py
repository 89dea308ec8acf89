"""A picture of the first training batch: is the data what it should be, after all that augmentation does to it?"""

import numpy as np
from jaxtyping import UInt8
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from rtmo.drawing import contact_sheet, draw_poses, draw_regions, scaled, titled, write_image
from rtmo.skeletons import KeypointSet
from rtmo.training.callbacks.pictures import images_folder, log_picture
from rtmo.types import Batch

_HEADING = 36  # px


class TrainBatchImage(Callback):
    """Writes ``images/train_batch.png`` when training starts, and gives it to loggers as ``train/batch``.

    It shows the images as the loader hands them to the network, with all people they are to teach and, hatched, the
    regions that phase C ignores. Multi-scale training resizes later batches further.

    Args:
        num_images: At most so many of the batch.
        columns: Images beside each other.
        height: Of each picture, px.
    """

    def __init__(self, *, num_images: int = 16, columns: int = 4, height: int = 320) -> None:
        self.num_images = num_images
        self.columns = columns
        self.height = height
        self._done = False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        if self._done or not trainer.is_global_zero:
            return
        self._done = True
        skeleton = trainer.datamodule.train_source.skeleton  # type: ignore[attr-defined]
        batch = batch.to("cpu")
        images = [_drawn(batch, number, skeleton, self.height) for number in range(min(len(batch), self.num_images))]
        title = f"{len(images)} of {len(batch)} images of the first batch, epoch {trainer.current_epoch}"
        sheet = titled(contact_sheet(images, self.columns), title, legend=True, height=_HEADING)
        write_image(images_folder(trainer) / "train_batch.png", sheet)
        log_picture(trainer, "train/batch", sheet)


def _drawn(batch: Batch, number: int, skeleton: KeypointSet, height: int) -> UInt8[np.ndarray, "H W 3"]:
    image = np.ascontiguousarray(batch.images[number].permute(1, 2, 0).numpy())
    if batch.ignore_mask is not None:
        image = draw_regions(image, batch.ignore_mask[number].numpy())
    people, valid = batch.targets, batch.targets.valid[number]
    keypoints, visibility, bboxes = (
        values[number][valid].numpy() for values in (people.keypoints, people.visibility, people.bboxes)
    )
    image, scale = scaled(image, height / image.shape[0])
    return draw_poses(image, keypoints * scale, skeleton=skeleton, visibility=visibility, bboxes=bboxes * scale)
