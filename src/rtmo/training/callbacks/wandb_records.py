"""What W&B gets of a run beside the metrics that every logger gets."""

import json
from collections.abc import Mapping
from importlib import import_module  # wandb is slow to import and seldom wanted
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from rtmo.skeletons import KeypointSet
from rtmo.training.callbacks.pictures import images_folder
from rtmo.training.callbacks.worst_images import WORST
from rtmo.training.module import PoseModule
from rtmo.training.redaction import redacted
from rtmo.training.wandb_logger import RunWandbLogger
from rtmo.types import Batch
from rtmo.weights.file import RECORD

RUN_ID = "wandb_id"  # in the record of a checkpoint
STEP = "trainer/global_step"  # what Lightning's logger draws everything over
COLUMNS = {  # of the prediction table: title and key of worst.json
    "image id": "image_id",
    "people": "people",
    "found": "found",
    "OKS": "oks",
    "missed": "missed",
    "false positives": "false_positives",
}


class WandbRecords(Callback):
    """Config, best values, losses by phase, the worst images as a table, and checkpoints as artifacts.

    - The summary of the run holds the highest value of every AP and AR.
    - ``phase_A/loss_oks``, ``phase_B/loss_oks``, ...: the losses of ``train/`` again, a curve for each phase.
    - ``val/worst``: what ``WorstImages`` wrote.
    - ``model-<run id>``, where ``log_model`` is set: checkpoints with the aliases ``best`` and ``last``, config and
      skeleton in their metadata.
    - Checkpoints hold the id of the run, so that it goes on in W&B where it goes on from one.

    Does nothing without a ``RunWandbLogger``. Comes after ``RunRecord`` and ``WorstImages`` among the callbacks.

    Args:
        config: Plain containers, resolved; secrets in it become stars.
        skeleton: Joints that the network finds.
        log_model: Whether checkpoints are uploaded, when training ends or is interrupted.
    """

    def __init__(self, *, config: Mapping[str, Any], skeleton: KeypointSet, log_model: bool) -> None:
        self.config = redacted(config)
        self.skeleton = skeleton
        self.log_model = log_model
        self._told = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (logger := _logger(trainer)) is not None:
            logger.log_hyperparams(self.config)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before the figures are logged: W&B keeps the best of those that it was told of.

        By name each, as patterns would compete with Lightning's ``*``, and either may win.
        """
        assert isinstance(pl_module, PoseModule)
        if self._told or not any(isinstance(logger, RunWandbLogger) for logger in trainer.loggers):
            return
        self._told = True
        # on every rank, for the metric gathers; it keeps the figures for the module, which asks next
        names = [f"{prefix}/{name}" for prefix, metric in pl_module.metrics.items() for name in metric.compute()]
        if (logger := _logger(trainer)) is not None:
            with logger.outlived():
                for name in names:
                    logger.experiment.define_metric(name, step_metric=STEP, summary="max")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, PoseModule)
        if (logger := _logger(trainer)) is None or not pl_module.logs_this_step():
            return
        losses = {name.removeprefix("train/"): value for name, value in trainer.callback_metrics.items()}
        of_phase = {
            f"phase_{pl_module.phase}/{name}": float(value) for name, value in losses.items() if name.startswith("loss")
        }
        logger.log_metrics(of_phase, trainer.global_step - 1)  # Lightning numbers the rows of train/ from 0

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if (logger := _logger(trainer)) is not None and logger.version is not None:
            checkpoint[RECORD][RUN_ID] = str(logger.version)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (logger := _logger(trainer)) is None:
            return
        worst = images_folder(trainer) / WORST
        with logger.outlived():
            if worst.is_file():
                _log_table(logger, worst, trainer.global_step)
            self._log_checkpoints(trainer, logger)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if (logger := _logger(trainer)) is not None:
            with logger.outlived():
                self._log_checkpoints(trainer, logger)

    def _log_checkpoints(self, trainer: Trainer, logger: RunWandbLogger) -> None:
        """The newest file of every ``ModelCheckpoint``; its name is its alias: ``best``, ``last``."""
        if not self.log_model:
            return
        wandb, run = import_module("wandb"), logger.experiment
        for callback in trainer.checkpoint_callbacks:
            assert isinstance(callback, ModelCheckpoint)
            path = Path(callback.best_model_path)
            if not path.is_file():
                continue
            score = callback.best_model_score
            metadata = {
                "config": self.config,
                "skeleton": self.skeleton.to_plain(),
                **({} if score is None or callback.monitor is None else {callback.monitor: float(score)}),
            }
            artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata=metadata)
            artifact.add_file(str(path), policy="immutable")  # it stays in the run's folder: no second copy of it
            run.log_artifact(artifact, aliases=[path.stem])


def _logger(trainer: Trainer) -> RunWandbLogger | None:
    """That of the one process that logs."""
    loggers = (logger for logger in trainer.loggers if isinstance(logger, RunWandbLogger))
    return next(loggers, None) if trainer.is_global_zero else None


def _log_table(logger: RunWandbLogger, worst: Path, step: int) -> None:
    """A row for every image of worst.json, in its order."""
    image = import_module("wandb").Image
    rows = [
        [image(str(worst.parent / entry["file"])), *(entry[key] for key in COLUMNS.values())]
        for entry in json.loads(worst.read_text())
    ]
    logger.log_table("val/worst", columns=["image", *COLUMNS], data=rows, step=step)
