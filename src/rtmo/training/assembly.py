"""What a run is made of, from its checked config: Lightning's Trainer with callbacks and loggers, and the module."""

import functools
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module  # wandb is slow to import and seldom wanted
from typing import Any

from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback

from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet
from rtmo.targets import build
from rtmo.training.checkpoint_io import SafeCheckpointIO
from rtmo.training.distributed import check_strategy, check_trainer
from rtmo.training.module import PoseModule

# What Lightning says of things that are as they should be.
POINTLESS_WARNINGS = (
    "(Experiment logs|Checkpoint) directory .* exists and is not empty",  # it is the run's folder
    r".isinstance\(treespec, LeafSpec\). is deprecated",  # in its own code
    "It is recommended to use .*'val/.* sync_dist=True",  # the metric has gathered all ranks
    "The dirpath has changed from",  # a run that goes on from a checkpoint has a folder of its own
    "You're resuming from a checkpoint that ended before the epoch ended",  # the data module knows where that was
    "The number of training batches .* is smaller than the logging interval",
    "The '.*_dataloader' does not have many workers",
    "torch.distributed.nn.functional.all_gather is deprecated",  # in its own code
)

log = logging.getLogger(__name__)


def build_trainer(cfg: Mapping[str, Any], skeleton: KeypointSet, callbacks: Sequence[Callback] = ()) -> Trainer:
    """Lightning's Trainer with the config's callbacks and loggers, and some more callbacks.

    Raises:
        InputError: If the machine has not got what the config asks for.
    """
    for message in POINTLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    named = build(cfg["callbacks"], "callbacks", skeleton)
    loggers = build(offline_without_account(cfg["logger"]), "logger")
    # StopRequests has the time limit
    settings = {**cfg["trainer"], **_validated_at_the_end(cfg["trainer"]), "max_time": None}
    check_strategy(settings.get("strategy", "auto"))
    try:
        trainer: Trainer = build(
            settings,
            "trainer",
            callbacks=[*(callback for callback in named.values() if callback is not None), *callbacks],
            logger=[logger for logger in loggers.values() if logger is not None],
        )
    except MisconfigurationException as error:
        raise InputError(f"trainer: {error}") from error
    check_trainer(trainer, sync_batchnorm=settings.get("sync_batchnorm", False))
    trainer.strategy.checkpoint_io = SafeCheckpointIO()
    return trainer


def brief_trainer(
    cfg: Mapping[str, Any], skeleton: KeypointSet, callbacks: Sequence[Callback] = (), **settings: Any
) -> Trainer:
    """One that writes nothing, for what is to be known of the machine before a run; of an epoch unless said otherwise.

    Args:
        settings: Of Lightning's Trainer, where they differ from the config's.
    """
    brief = {**cfg["trainer"], "max_epochs": 1, "check_val_every_n_epoch": 1, **settings}
    return build_trainer({**cfg, "callbacks": {}, "logger": {}, "trainer": brief}, skeleton, callbacks)


def _validated_at_the_end(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """What has a run that is shorter than the epochs between two validations be validated at least once."""
    every, epochs = trainer.get("check_val_every_n_epoch"), trainer.get("max_epochs")
    if every is None or epochs is None or not 0 < epochs < every:
        return {}
    log.info("trainer.check_val_every_n_epoch=%d: the run has %d epochs and is validated at its end", every, epochs)
    return {"check_val_every_n_epoch": epochs}


def offline_without_account(loggers: Mapping[str, Any]) -> dict[str, Any]:
    """The loggers, W&B set to offline if nobody is logged in: it would stop and ask."""
    chosen = loggers.get("wandb")
    if chosen is None or chosen.get("offline") or "WANDB_MODE" in os.environ:
        return dict(loggers)
    if import_module("wandb").login(prompt=False):
        return dict(loggers)
    log.warning("W&B: no account on this machine, so the run is logged offline; `wandb sync` sends it later")
    return {**loggers, "wandb": {**chosen, "mode": "offline"}}


def wandb_run(
    loggers: Mapping[str, Any], *, run_id: str | None, group: str | None, overrides: Sequence[str]
) -> dict[str, Any]:
    """The loggers, W&B told which run goes on, what sweep it is of, and its ablations; what the config says wins.

    Lightning's own ``log_model`` knows no best checkpoint and no skeleton: ``WandbRecords`` does it instead.
    """
    chosen = loggers.get("wandb")
    if chosen is None:
        return dict(loggers)
    known = {"id": chosen.get("id") or run_id, "group": chosen.get("group") or group, "log_model": False}
    values = [override.removeprefix("ablation=") for override in overrides if override.startswith("ablation=")]
    ablations = [name for value in values for name in value.strip("[]").split(",") if name]
    return {**loggers, "wandb": {**chosen, **known, "tags": [*(chosen.get("tags") or ()), *ablations]}}


def build_module(cfg: Mapping[str, Any], skeleton: KeypointSet, lr_scale: float = 1.0) -> PoseModule:
    """The LightningModule with network, losses and the makers of optimizer, schedule and metric."""
    parts = {name: build(cfg[name], name, skeleton) for name in ("model", "criterion", "optimizer", "schedule")}
    metric = functools.partial(build, cfg["metric"], "metric", skeleton)  # lacks the ground truth
    return build(cfg["module"], "module", skeleton, **parts, metric=metric, lr_scale=lr_scale)
