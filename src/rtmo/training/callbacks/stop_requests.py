"""Runs that are asked to stop save themselves, and end with an exit code that says so."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Timer

from rtmo.errors import EXIT_INTERRUPTED
from rtmo.training.agreement import Agreement
from rtmo.training.callbacks.last_checkpoint import LastCheckpoint
from rtmo.types import Batch

# Ctrl-C; schedulers and pre-emption; SLURM's warning ahead of them, as --signal=USR1@... has it sent.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))


class RunStopped(SystemExit):
    """A run was asked to stop and has ended, with exit code ``EXIT_INTERRUPTED``.

    Attributes:
        reason: What asked.
        checkpoint: Where it goes on; None if nothing was saved.
    """

    def __init__(self, reason: str, checkpoint: Path | None) -> None:
        super().__init__(EXIT_INTERRUPTED)
        self.reason, self.checkpoint = reason, checkpoint


class StopRequests(Callback):
    """Ends a run after the optimizer step it is in, once it has got a signal or its time is over.

    ``LastCheckpoint`` saves it before. All ranks stop at the same step, whichever was asked. In a validation a single
    process stops at once, as the run was saved before it; of several the others would wait for its results, so they
    finish it. Lightning's own ways are not used: its SLURM handler saves in the middle of a step, its SIGTERM handler
    communicates from within, and its timer ends the epoch as if it were over.

    Args:
        max_time: How long the run may take before it is saved and stopped, as ``Timer`` takes it: DD:HH:MM:SS, or a
            mapping such as ``{minutes: 90}``. Counts from each start of the command; None: for ever.
    """

    def __init__(self, *, max_time: Any = None) -> None:
        self._seconds = Timer(duration=max_time).time_remaining()
        self._started = time.monotonic()
        self._reason = ""
        self._stops = False  # agreed upon
        self._agreement = Agreement()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes signals for requests meanwhile; not outside of the main thread, where Python knows none."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self._listen()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _listen(self) -> None:
        if threading.current_thread() is threading.main_thread() and not self._reason:
            for number in SIGNALS:
                signal.signal(number, self._request)

    def _request(self, number: int, _: FrameType | None) -> None:
        self._reason = signal.Signals(number).name
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a second one stops at once

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen()  # Lightning has put its own handler for SIGTERM in front, which would end with exit code 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen()  # likewise, if there was no such check
        if self._agreement.any(trainer, self._is_asked()):
            self._stop(trainer)  # it is where it was when it started

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if not trainer.fit_loop._should_accumulate():
            self._stops = self._agreement.any(trainer, self._is_asked())

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._stops and not trainer.sanity_checking:
            self._save_and_stop(trainer)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        is_saved = not trainer.sanity_checking and not trainer.fit_loop._should_accumulate()
        if is_saved and trainer.world_size == 1 and self._is_asked():
            self._stop(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        if self._stops:
            self._save_and_stop(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Callbacks that save come last, so that the best checkpoint is known when the newest is written."""
        if self._stops and (last := _last(trainer)) is not None:
            last.is_due = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._stops:
            self._stop(trainer)

    def _is_asked(self) -> bool:
        if self._seconds is not None and time.monotonic() - self._started >= self._seconds:
            self._reason = self._reason or "trainer.max_time"
        return bool(self._reason)

    def _save_and_stop(self, trainer: Trainer) -> None:
        if (last := _last(trainer)) is not None:
            last.save(trainer)
        self._stop(trainer)

    def _stop(self, trainer: Trainer) -> None:
        last = _last(trainer)
        path = Path(last.best_model_path) if last is not None and last.best_model_path else None
        raise RunStopped(self._reason or "a signal to another rank", path)


def _last(trainer: Trainer) -> LastCheckpoint | None:
    return next((callback for callback in trainer.checkpoint_callbacks if isinstance(callback, LastCheckpoint)), None)
