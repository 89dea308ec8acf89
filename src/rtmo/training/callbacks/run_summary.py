"""summary.json: what a run reached and what it cost, in numbers that can be compared."""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only

from rtmo.types import Batch


class RunSummary(Callback):
    """Writes ``summary.json`` into the run folder when training ends.

    It holds the final value of every metric, the best ``val/AP`` and its checkpoint, seconds of training (without
    validation) and in total, images/s of training, and peak memory in MiB.
    """

    def __init__(self) -> None:
        self.images = 0
        self.train_seconds = 0.0
        self._started = time.monotonic()
        self._batch_end = time.monotonic()

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

    @rank_zero_only
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        checkpoint = trainer.checkpoint_callback
        summary = {
            "metrics": {name: float(value) for name, value in sorted(trainer.callback_metrics.items())},
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "total_seconds": round(time.monotonic() - self._started, 1),
            "train_seconds": round(self.train_seconds, 1),
            "images_per_second": round(self.images / max(self.train_seconds, 1e-9), 2),
            "peak_memory_mib": round(peak_memory_mib(), 1),
        }
        if isinstance(checkpoint, ModelCheckpoint) and checkpoint.best_model_score is not None:
            summary["best_val_AP"] = float(checkpoint.best_model_score)
            summary["best_checkpoint"] = Path(checkpoint.best_model_path).name
        (Path(trainer.default_root_dir) / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


def peak_memory_mib() -> float:
    """Most memory this process has held: on the GPU if one is in use, else resident, MiB."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes on macOS, KiB on Linux
