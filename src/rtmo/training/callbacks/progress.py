"""Progress of a run: one bar on a terminal, plain lines elsewhere, always with losses, AP and images/s."""

import time
from collections.abc import Callable
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from rtmo.training.module import PoseModule
from rtmo.types import Batch

BAR_SECONDS = 0.5  # between two texts beside a bar


class RunProgress(ProgressBar):
    """Shows where the whole run stands, not only its epoch.

    Args:
        line_seconds: Where output is not a terminal (a log file, CI), seconds between two lines.
    """

    def __init__(self, *, line_seconds: float = 10.0) -> None:
        super().__init__()
        self.line_seconds = line_seconds
        self.console = Console()
        self._bar: Progress | None = None
        self._last_shown = 0.0
        self._enabled = True

    def disable(self) -> None:
        """Called by Lightning on ranks other than zero."""
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def print(self, *args: Any, **kwargs: Any) -> None:
        self.console.print(*args, **kwargs)

    def _start(self, total: float) -> None:
        self._last_shown = time.monotonic()
        if self._enabled and self.console.is_terminal:
            columns = (BarColumn(6), TextColumn("{task.description}"), TimeRemainingColumn(compact=True))
            self._bar = Progress(*columns, console=self.console)
            self._bar.add_task("", total=total)
            self._bar.start()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show(self, text: Callable[[], str], completed: float, force: bool = False) -> None:
        """Shows the text if it is time to; else it is never made, which would wait for the device's metrics."""
        seconds = self.line_seconds if self._bar is None else BAR_SECONDS
        if not self._enabled or not (force or time.monotonic() - self._last_shown >= seconds):
            return
        self._last_shown = time.monotonic()
        if self._bar is None:
            self.console.print(text(), highlight=False, soft_wrap=True)
        else:
            self._bar.update(self._bar.task_ids[0], description=text(), completed=completed)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start(float(trainer.num_training_batches) * (trainer.max_epochs or 1))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        done = trainer.current_epoch * trainer.num_training_batches + batch_idx + 1
        self._show(lambda: self._training_text(trainer, pl_module, batch_idx), done)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking and trainer.num_training_batches:
            done = (trainer.current_epoch + 1) * trainer.num_training_batches
            last = int(trainer.num_training_batches) - 1
            self._show(lambda: self._training_text(trainer, pl_module, last), done, force=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._start(sum(trainer.num_val_batches))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.state.fn == "validate":
            total, done = int(sum(trainer.num_val_batches)), batch_idx + 1
            done += int(sum(trainer.num_val_batches[:dataloader_idx]))
            self._show(lambda: f"evaluating, batch {done}/{total}", done)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._stop()

    def _training_text(self, trainer: Trainer, pl_module: LightningModule, batch_idx: int) -> str:
        epoch, epochs = trainer.current_epoch, trainer.max_epochs or 1
        assert isinstance(pl_module, PoseModule)
        # short enough for a terminal of 80 columns, beside the bar
        parts = [f"epoch {epoch + 1}/{epochs} {pl_module.phase} {batch_idx + 1}/{int(trainer.num_training_batches)}"]
        metrics = self.get_metrics(trainer, pl_module)
        parts += [f"{name.rpartition('/')[2]} {value:.3g}" for name, value in metrics.items() if name != "v_num"]
        parts.append(f"{pl_module.step_times.images_per_second:.1f} images/s")
        return " ".join(parts)
