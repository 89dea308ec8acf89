"""Says when the coordinate classifier has stalled, instead of letting a run end at AP 0 without a word."""

import logging
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from rtmo.training.module import PoseModule
from rtmo.types import Batch

log = logging.getLogger(__name__)


class StallWarning(Callback):
    """Warns once where heatmaps have been sharp and wrong for so many steps: the likelihood hardly leaves that.

    It reads ``train/heatmap_peak`` and ``train/pose_oks`` at the steps that are logged. Why it happens:
    docs/decisions/classifier-stall.md.

    Args:
        peak: Probability of the highest bin, the mean over joints and positives, above which heatmaps are sharp.
        oks: Mean OKS of the positives below which they are wrong.
        steps: Optimizer steps in a row.

    Raises:
        ValueError: If ``peak`` or ``oks`` is not in 0..1.
    """

    def __init__(self, *, peak: float = 0.5, oks: float = 0.3, steps: int = 50) -> None:
        if not (0 <= peak <= 1 and 0 <= oks <= 1):
            raise ValueError(f"peak={peak} and oks={oks} must be in 0..1")
        self.peak = peak
        self.oks = oks
        self.steps = steps
        self._since: int | None = None  # the step since which it is so
        self._told = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, PoseModule)
        metrics = trainer.callback_metrics
        if self._told or "train/heatmap_peak" not in metrics or not pl_module.logs_this_step():
            return
        peak, oks = float(metrics["train/heatmap_peak"]), float(metrics["train/pose_oks"])
        if peak < self.peak or oks > self.oks:
            self._since = None
            return
        self._since = trainer.global_step if self._since is None else self._since
        if trainer.global_step - self._since >= self.steps and trainer.is_global_zero:
            self._told = True
            log.warning(
                "step %d: the coordinate classifier has stalled: for %d steps its heatmaps are sharp (highest bin "
                "%.2f) and wrong (OKS %.2f), which the likelihood hardly leaves; start again with a lower optimizer.lr "
                "or lr_factors.dcc, or a higher criterion.phases.*.heatmap_weight (docs/decisions/classifier-stall.md)",
                trainer.global_step,
                self.steps,
                peak,
                oks,
            )
