"""summary.json: what a run reached and what it cost, in numbers that can be compared."""

import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from rtmo.data.coco_json import write_json
from rtmo.types import Batch


class RunSummary(Callback):
    """Writes ``summary.json`` into the run folder when training ends.

    It holds the final value of every metric, the best ``val/AP`` and its checkpoint, seconds of training (without
    validation) and in total, images/s of training, and peak memory in MiB. Of a run that was stopped and goes on from
    a checkpoint, seconds and images up to that checkpoint count as well.
    """

    def __init__(self) -> None:
        self.images = 0
        self.train_seconds = 0.0
        self._metrics: dict[str, float] = {}
        self._earlier: dict[str, Any] = {"total_seconds": 0.0, "peak_memory_mib": 0.0}
        self._started = time.monotonic()
        self._batch_end = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "train_seconds": self.train_seconds,
            "metrics": self._metrics,
            "total_seconds": self._total_seconds(),
            "peak_memory_mib": self._peak_memory_mib(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._earlier = state_dict
        self.images, self.train_seconds = state_dict["images"], state_dict["train_seconds"]
        self._metrics = state_dict["metrics"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._batch_end = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        now = time.monotonic()
        self.train_seconds += now - self._batch_end
        self._batch_end = now
        self.images += len(batch) * trainer.world_size

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._batch_end = time.monotonic()  # validation may come in the middle of an epoch
        self._metrics |= _floats(trainer.callback_metrics)

    @rank_zero_only
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.callback_metrics:  # the checkpoint was of the last epoch: there was nothing left to do
            trainer.callback_metrics.update({name: torch.tensor(value) for name, value in self._metrics.items()})
        checkpoint = trainer.checkpoint_callback
        summary = {
            "metrics": dict(sorted(_floats(trainer.callback_metrics).items())),
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "total_seconds": round(self._total_seconds(), 1),
            "train_seconds": round(self.train_seconds, 1),
            "images_per_second": round(self.images / max(self.train_seconds, 1e-9), 2),
            "peak_memory_mib": round(self._peak_memory_mib(), 1),
        }
        if isinstance(checkpoint, ModelCheckpoint) and checkpoint.best_model_score is not None:
            summary["best_val_AP"] = float(checkpoint.best_model_score)
            summary["best_checkpoint"] = Path(checkpoint.best_model_path).name
        write_json(Path(trainer.default_root_dir) / "summary.json", summary, "paths.output_dir", indent=2)

    def _total_seconds(self) -> float:
        return self._earlier["total_seconds"] + time.monotonic() - self._started

    def _peak_memory_mib(self) -> float:
        return max(self._earlier["peak_memory_mib"], peak_memory_mib())


def _floats(metrics: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}


def peak_memory_mib() -> float:
    """Most memory this process has held: on the GPU if one is in use, else resident, MiB."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes on macOS, KiB on Linux
