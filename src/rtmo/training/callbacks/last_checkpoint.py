"""The newest checkpoint, to resume from."""

import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from rtmo.errors import InputError
from rtmo.training.agreement import Agreement
from rtmo.types import Batch


class LastCheckpoint(ModelCheckpoint):
    """Saves at the end of epochs, of the last one always, before every validation, and after so many steps or minutes.

    Only when gradients have become a step, and after its metrics were logged: before the next batch. What is saved
    before a validation needs no step repeated whatever happens in it.

    Args:
        dirpath: Where to; see ``ModelCheckpoint``, as for the arguments that are not described here.
        every_n_epochs: Saves after so many.
        every_n_train_steps: Saves after so many optimizer steps of the run; None: steps do not count.
        every_minutes: Saves when so much time has passed since it last did; None: time does not count.
    """

    def __init__(
        self,
        *,
        dirpath: str,
        filename: str = "last",
        every_n_epochs: int = 1,
        every_n_train_steps: int | None = None,
        every_minutes: float | None = None,
        save_top_k: int = 1,
        auto_insert_metric_name: bool = False,
        enable_version_counter: bool = False,
    ) -> None:
        for name, value in (("every_n_train_steps", every_n_train_steps), ("every_minutes", every_minutes)):
            if value is not None and value <= 0:
                raise InputError(f"{name}: expected a number above 0, or null for never; got {value}")
        super().__init__(
            dirpath=dirpath,
            filename=filename,
            every_n_epochs=every_n_epochs,
            save_top_k=save_top_k,
            auto_insert_metric_name=auto_insert_metric_name,
            enable_version_counter=enable_version_counter,
        )
        self.every_steps = every_n_train_steps
        self.every_seconds = None if every_minutes is None else 60 * every_minutes
        self.is_due = False  # set it to have the run saved at the next opportunity
        self._saved_at = 0.0
        self._agreement = Agreement()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if trainer.fit_loop._should_accumulate():
            return
        if self.every_steps is not None and trainer.global_step % self.every_steps == 0:
            self.is_due = True
        if self.every_seconds is not None:
            is_time = time.monotonic() - self._saved_at >= self.every_seconds
            self.is_due |= self._agreement.any(trainer, is_time)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        if self.is_due:
            self.save(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking and not trainer.fit_loop._should_accumulate():
            self.save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Not Lightning's: what follows is another step, or the end of the epoch."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        done = trainer.current_epoch + 1
        is_turn = self._every_n_epochs > 0 and done % self._every_n_epochs == 0
        if is_turn or self.is_due or done == trainer.max_epochs:
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Saves the run as it is now; ``NonFinite`` sees to it that it has not diverged."""
        if trainer.fast_dev_run or trainer.state.fn != "fit":
            return
        self.is_due = False
        self._saved_at = time.monotonic()
        self._save_none_monitor_checkpoint(trainer, self._monitor_candidates(trainer))
