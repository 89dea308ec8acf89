"""Optimizer steps whose loss or gradients are not finite: skipped, counted, and kept for inspection."""

import functools
import logging
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from rtmo.errors import RunError
from rtmo.training.module import PoseModule
from rtmo.types import Batch
from rtmo.weights.file import write_whole

FOLDER = "non_finite"  # of the run's folder
_HELD_IMAGES = 64  # of the micro-batches of a step, in case they are to be saved: 75 MiB at 640 px

log = logging.getLogger(__name__)


class NonFinite(Callback):
    """Skips steps that would ruin the network, and stops a run in which too many would.

    A skipped step leaves no trace in the network: its gradients are dropped, and batch norms get back the statistics
    that they had before. The count of steps and the schedule go on. ``non_finite/step_<n>.pt``, n as in metrics.csv,
    holds plain tensors: the step's batches, their image ids and their losses as they were differentiated, that is
    divided by the number of accumulated batches and multiplied by the gradient scaler.

    Infinite gradients of a finite loss do not count while the gradient scaler of ``16-mixed`` looks for its scale: it
    skips them itself.

    Args:
        max_in_a_row: Skipped steps in a row after which the run stops: more than a few poor batches explain.
        max_skipped: Likewise in all.
        max_files: Steps that are saved, the first ones.

    Raises:
        RunError: At a limit, or if a checkpoint is due after two skipped steps: a network that has diverged must not
            replace the last good one.
    """

    def __init__(self, *, max_in_a_row: int = 5, max_skipped: int = 100, max_files: int = 3) -> None:
        self.max_in_a_row = max_in_a_row
        self.max_skipped = max_skipped
        self.max_files = max_files
        self.skipped = 0
        self._in_a_row = 0
        self._image_ids: list[list[int]] = []  # of the micro-batches since the last step, as are the losses
        self._losses: list[Tensor] = []
        self._batches: deque[tuple[int, Batch]] = deque()  # the latest of them, with their number in the epoch
        self._statistics: list[Tensor] = []
        self._before: list[Tensor] = []  # the statistics after the last step that was not skipped

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped, "in_a_row": self._in_a_row}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped, self._in_a_row = state_dict["skipped"], state_dict["in_a_row"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        norms = [module for module in pl_module.modules() if isinstance(module, _BatchNorm)]
        found = [statistic for norm in norms for statistic in (norm.running_mean, norm.running_var)]
        self._statistics = [statistic for statistic in found if statistic is not None]
        self._before = [statistic.clone() for statistic in self._statistics]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        self._image_ids.append(batch.image_ids)
        self._batches.append((batch_idx, batch))
        while len(self._batches) > 1 and sum(len(held) for _, held in self._batches) > _HELD_IMAGES:
            self._batches.popleft()

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self._losses.append(loss.detach())

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        assert isinstance(pl_module, PoseModule)
        losses = torch.stack(self._losses)
        norm = get_total_norm(parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None)
        if not _on_all_ranks(trainer, norm.isfinite() & losses.isfinite().all()) and not _scales(trainer, losses):
            self._skip(trainer, pl_module, losses, norm)
        else:
            self._in_a_row = 0
            torch._foreach_copy_(self._before, self._statistics)
        self._image_ids, self._losses = [], []
        self._batches.clear()
        if pl_module.logs_this_step():
            pl_module.log("train/skipped_steps", float(self.skipped))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._in_a_row > 1:
            raise self._error(trainer)

    def _skip(self, trainer: Trainer, module: PoseModule, losses: Tensor, norm: Tensor) -> None:
        torch._foreach_copy_(self._statistics, self._before)
        for parameter in module.parameters():
            parameter.grad = None  # which optimizers pass over
        self.skipped += 1
        self._in_a_row += 1
        is_bad = (~losses.isfinite()).tolist()
        if any(is_bad) or trainer.is_global_zero:  # whoever has the batch; the first, as perhaps nobody has
            of_batches = zip(self._image_ids, is_bad, strict=True)
            ids = ", ".join(str(image_id) for ids, bad in of_batches if bad or not any(is_bad) for image_id in ids)
            log.warning(
                "step %d is skipped: losses %s, gradients of norm %.4g; images %s%s",
                *(trainer.global_step, losses.tolist(), norm, ids, self._save(trainer)),
            )
        if self._in_a_row >= self.max_in_a_row or self.skipped >= self.max_skipped:
            raise self._error(trainer)

    def _save(self, trainer: Trainer) -> str:
        """Writes what the step saw; says where."""
        if self.skipped > self.max_files:
            return ""
        rank = f"_rank_{trainer.global_rank}" if trainer.world_size > 1 else ""
        file = Path(trainer.default_root_dir) / FOLDER / f"step_{trainer.global_step}{rank}.pt"
        content = {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "image_ids": self._image_ids,
            "losses": torch.stack(self._losses).cpu(),
            "batches": [{"batch_idx": number, **asdict(batch.to("cpu"))} for number, batch in self._batches],
        }
        write_whole(file, functools.partial(torch.save, content))
        return f"; saved to {file}"

    def _error(self, trainer: Trainer) -> RunError:
        return RunError(
            f"step {trainer.global_step}: {self._in_a_row} steps in a row and {self.skipped} in all had a loss or "
            "gradients that are not finite. The run has most likely diverged: lower optimizer.lr or "
            f"trainer.gradient_clip_val, or try trainer.precision=32-true; the first of the batches are in "
            f"{Path(trainer.default_root_dir) / FOLDER}"
        )


def _on_all_ranks(trainer: Trainer, holds: Tensor) -> bool:
    """Whether something holds on every rank. The one place of a step where the host waits for the device."""
    return not trainer.strategy.reduce((~holds).float(), reduce_op="sum").item()


def _scales(trainer: Trainer, losses: Tensor) -> bool:
    """Whether what is not finite are the gradients alone, for a gradient scaler still has too large a scale."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return scaler is not None and scaler.get_scale() > 1 and _on_all_ranks(trainer, losses.isfinite().all())
