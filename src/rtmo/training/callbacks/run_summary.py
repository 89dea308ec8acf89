"""summary.json: what a run reached and what it cost, in numbers that can be compared."""

import json
import time
from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only

from rtmo.training.memory import peak_memory_mib
from rtmo.training.module import PoseModule


class RunSummary(Callback):
    """Writes ``summary.json`` into the run folder when training ends.

    It holds the final value of every metric, the best ``val/AP`` and its checkpoint, seconds of training (without
    validation) and in total, images/s of training, and peak memory in MiB.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = time.monotonic()

    @rank_zero_only
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        checkpoint = trainer.checkpoint_callback
        assert isinstance(pl_module, PoseModule)
        times = pl_module.step_times
        summary = {
            "metrics": {name: float(value) for name, value in sorted(trainer.callback_metrics.items())},
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "total_seconds": round(time.monotonic() - self._started, 1),
            "train_seconds": round(times.seconds, 1),
            "images_per_second": round(times.images / max(times.seconds, 1e-9), 2),
            "peak_memory_mib": round(peak_memory_mib(), 1),
        }
        if isinstance(checkpoint, ModelCheckpoint) and checkpoint.best_model_score is not None:
            summary["best_val_AP"] = float(checkpoint.best_model_score)
            summary["best_checkpoint"] = Path(checkpoint.best_model_path).name
        (Path(trainer.default_root_dir) / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
