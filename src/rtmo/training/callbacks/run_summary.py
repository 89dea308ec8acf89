"""summary.json: what a run reached and what it cost, in numbers that can be compared."""

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
from rtmo.training.module import PoseModule

STATE = "cost"  # key in checkpoints: what a run reached and took so far


class RunSummary(Callback):
    """Writes ``summary.json`` into the run folder when training ends.

    It holds the final value of every metric, the best ``val/AP`` and its checkpoint, seconds of training (without
    validation) and in total, images/s of training, and peak memory in MiB (``PeakMemory``). Of a run that goes on from
    a checkpoint, what it cost up to there counts as well.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._earlier: dict[str, Any] = {"metrics": {}, "total_seconds": 0.0, "peak_memory_mib": 0.0}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = time.monotonic()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        assert isinstance(pl_module, PoseModule)
        checkpoint[STATE] = {
            "metrics": {**self._earlier["metrics"], **_floats(trainer.callback_metrics)},
            "images": pl_module.step_times.images,
            "train_seconds": pl_module.step_times.seconds,
            "total_seconds": self._total_seconds(),
            "peak_memory_mib": self._peak_memory_mib(pl_module),
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if STATE in checkpoint:
            assert isinstance(pl_module, PoseModule)
            self._earlier = checkpoint[STATE]
            pl_module.step_times.images = self._earlier["images"]
            pl_module.step_times.seconds = self._earlier["train_seconds"]

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for name, value in self._earlier["metrics"].items():  # of what was left to do, nothing may have been validated
            trainer.callback_metrics.setdefault(name, torch.tensor(value))
        self._write(trainer, pl_module)

    @rank_zero_only
    def _write(self, trainer: Trainer, pl_module: LightningModule) -> None:
        checkpoint = trainer.checkpoint_callback
        assert isinstance(pl_module, PoseModule)
        times = pl_module.step_times
        summary = {
            "metrics": dict(sorted(_floats(trainer.callback_metrics).items())),
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "total_seconds": round(self._total_seconds(), 1),
            "train_seconds": round(times.seconds, 1),
            "images_per_second": round(times.images / max(times.seconds, 1e-9), 2),
            "peak_memory_mib": round(self._peak_memory_mib(pl_module), 1),
        }
        if isinstance(checkpoint, ModelCheckpoint) and checkpoint.best_model_score is not None:
            summary["best_val_AP"] = float(checkpoint.best_model_score)
            summary["best_checkpoint"] = Path(checkpoint.best_model_path).name
        write_json(Path(trainer.default_root_dir) / "summary.json", summary, "paths.output_dir", indent=2)

    def _total_seconds(self) -> float:
        return self._earlier["total_seconds"] + time.monotonic() - self._started

    def _peak_memory_mib(self, module: PoseModule) -> float:
        return max(self._earlier["peak_memory_mib"], module.peak_memory.mib())


def _floats(metrics: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}
