"""Where in its epoch a run is, so that one that goes on from a checkpoint repeats nothing and leaves nothing out."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

STATE = "random"  # key in checkpoints: states of the generators


class RunPosition(Callback):
    """Makes checkpoints of any moment between two optimizer steps good to go on from.

    - Lightning's counters: a batch that has begun is not done; a validation that has begun begins again, where
      Lightning would leave it out.
    - Python's, numpy's and torch's global generators. Nothing in rtmo draws from them while it trains, as every sample
      has a generator of its own; a module or transform of the user's may. All ranks get those of rank zero, as they
      start with the same.
    - What loggers hold in memory is written before, so that ``metrics.csv`` is as far as the checkpoint.
    """

    def __init__(self) -> None:
        self._random: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        for logger in trainer.loggers:
            logger.save()
        checkpoint[STATE] = random_states()
        counters = checkpoint["loops"]["fit_loop"]
        batches, val_batches = counters["epoch_loop.batch_progress"], counters["epoch_loop.val_loop.batch_progress"]
        if batches["current"]["ready"] != batches["current"]["processed"]:
            batches["is_last_batch"] = False
        for progress in (*_both(batches), *_both(val_batches)):
            progress["ready"] = progress["started"] = progress["processed"]
        if trainer.validating and val_batches["current"]["ready"] == 0:
            # What Lightning writes in the first batch of a validation, and takes for one to be run.
            val_batches["total"] = {"ready": 1, "started": 1, "processed": 0, "completed": 0}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._random = checkpoint.get(STATE)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Not before: to build things and to try the validation out may draw."""
        if self._random is not None:
            set_random_states(self._random)
            self._random = None


def validation_is_due(checkpoint: Mapping[str, Any]) -> bool:
    """Whether a checkpoint was written just before a validation, which a run that goes on from it does first."""
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]["total"]
    return progress["started"] > progress["processed"]


def random_states() -> dict[str, Any]:
    """States of the global generators as tensors and plain containers, which load with ``weights_only=True``."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002, it is that generator that is meant
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


def set_random_states(states: Mapping[str, Any]) -> None:
    """Sets the global generators to what ``random_states`` gave; GPUs that were not there keep theirs."""
    random.setstate(states["python"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy(), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    for device, state in enumerate(states["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, device)


def _both(progress: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    return progress["total"], progress["current"]
