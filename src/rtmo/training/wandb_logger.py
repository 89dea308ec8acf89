"""Weights & Biases for runs that it must not end."""

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module  # wandb is slow to import and seldom wanted
from typing import Any

from lightning.pytorch.loggers import WandbLogger

from rtmo.errors import InputError

log = logging.getLogger(__name__)


def _outlived(method: Callable[..., Any]) -> Any:
    @functools.wraps(method)
    def call(self: "RunWandbLogger", *args: Any, **kwargs: Any) -> None:
        with self.outlived():
            method(self, *args, **kwargs)

    return call


class RunWandbLogger(WandbLogger):
    """Lightning's, but a run goes on without W&B: ``metrics.csv`` has the figures too.

    A server that cannot be reached when the run starts makes an offline run of it, which ``wandb sync`` sends later.
    What fails afterwards, a full disk or W&B's own process, is said once. Only what W&B refuses in its arguments is an
    ``InputError``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._failed = False

    @property
    def experiment(self) -> Any:
        if self._experiment is not None:
            return super().experiment
        errors = import_module("wandb.errors")
        try:
            return super().experiment
        except errors.CommError as error:
            reason = str(error).splitlines()[0]
            log.warning("W&B: %s. The run is logged offline; `wandb sync` sends it later", reason)
            self._wandb_init["mode"] = "offline"
            return super().experiment
        except errors.UsageError as error:
            raise InputError(f"logger.wandb: {error}; correct it, or say logger=csv") from error

    log_hyperparams = _outlived(WandbLogger.log_hyperparams)
    log_metrics = _outlived(WandbLogger.log_metrics)
    log_image = _outlived(WandbLogger.log_image)
    log_table = _outlived(WandbLogger.log_table)

    @contextmanager
    def outlived(self) -> Iterator[None]:
        """Turns an error of W&B into a warning, the first of them; ends the block."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:  # from those of its connection to those of the disk
            if not self._failed:
                self._failed = True
                reason = f"{type(error).__name__}: {error}"
                log.warning("W&B failed, and the run goes on without it; metrics.csv has all figures (%s)", reason)

    def finish(self, exit_code: int) -> None:
        """Ends the run of W&B, so that the next one of this process starts its own."""
        wandb: Any = import_module("wandb")
        with self.outlived():
            wandb.finish(exit_code)
        if self._failed:  # its process may be dead: the next run needs another, and the end of ours must not ask it
            wandb.run = None
            with self.outlived():
                wandb.teardown()
