"""Pictures of predictions beside the ground truth, on the same validation images throughout the run."""

from itertools import pairwise
from typing import Any

import numpy as np
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from rtmo.drawing import contact_sheet, prediction_panel, write_image
from rtmo.training.callbacks.pictures import images_folder, log_picture
from rtmo.types import Batch, Poses, Sample

_LOOK_AHEAD = 20  # images tried until one shows a person


class PredictionImages(Callback):
    """Writes ``images/epoch_XXX.png`` into the run folder after every validation, and ``images/final.png`` at the end.

    The images are spread evenly over the validation set, those with labeled people preferred. Loggers that take
    images (W&B, TensorBoard) get them as ``val/predictions``. Expects what ``PoseModule`` offers: a ``validation_step``
    that returns the ``Poses`` of each image in its original pixels, and a ``PoseDataModule``.

    Args:
        num_images: At most so many, fewer if validation shows fewer.
        score_thr: People and joints scored below are left out of the pictures.
        columns: Panels beside each other.
        height: Of each picture, px.
    """

    def __init__(self, *, num_images: int = 8, score_thr: float = 0.3, columns: int = 2, height: int = 360) -> None:
        self.num_images = num_images
        self.score_thr = score_thr
        self.columns = columns
        self.height = height
        self._samples: dict[int, Sample] = {}  # by image id
        self._found: dict[int, Poses] = {}
        self._sheet: np.ndarray | None = None

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._is_due(trainer):
            return
        self._found = {}
        if not self._samples:
            self._samples = self._choose(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._is_due(trainer) and dataloader_idx == 0:  # other data sets may use the same ids
            for image_id, poses in zip(batch.image_ids, outputs, strict=True):
                if image_id in self._samples:
                    self._found[image_id] = poses.to("cpu")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._is_due(trainer) or not self._found:
            return
        panels = [
            prediction_panel(
                self._samples[image_id],
                poses,
                skeleton=trainer.datamodule.val_source.skeleton,  # type: ignore[attr-defined]
                score_thr=self.score_thr,
                keypoint_thr=self.score_thr,
                height=self.height,
            )
            for image_id, poses in self._found.items()
        ]
        self._sheet = contact_sheet(panels, self.columns)
        write_image(images_folder(trainer) / f"epoch_{trainer.current_epoch:03d}.png", self._sheet)
        log_picture(trainer, "val/predictions", self._sheet)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero and self._sheet is not None:
            write_image(images_folder(trainer) / "final.png", self._sheet)

    def _is_due(self, trainer: Trainer) -> bool:
        return trainer.is_global_zero and trainer.state.fn == "fit" and not trainer.sanity_checking

    def _choose(self, trainer: Trainer) -> dict[int, Sample]:
        """One image, with people if there are, of each of ``num_images`` equal stretches of what this rank will see."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        share = -(-len(data.val_source) // trainer.world_size)
        share = min(share, int(trainer.num_val_batches[0]) * data.val_batch_size)
        bounds = np.linspace(0, share, min(self.num_images, share) + 1).astype(int).tolist()
        samples = {}
        for start, stop in pairwise(bounds):
            # the sampler deals images to the ranks in turn; this runs on the first
            indices = [rank_index * trainer.world_size for rank_index in range(start, min(stop, start + _LOOK_AHEAD))]
            candidates = (data.val_source.load(index) for index in indices)
            with_people = (sample for sample in candidates if (sample.visibility > 0).any())
            sample = next(with_people, None) or data.val_source.load(indices[0])
            samples[sample.image_id] = sample
        return samples
