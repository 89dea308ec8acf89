"""Trains a model: ``python -m rtmo.train``; ``--help`` lists what can be set."""

import functools
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module  # wandb is slow to import and seldom wanted
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning import Trainer, seed_everything
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from rich.console import Console
from torch import Tensor

from rtmo import config
from rtmo.console_tables import print_scores
from rtmo.download import DownloadError
from rtmo.errors import InputError
from rtmo.skeletons import KeypointSet, keypoint_set
from rtmo.targets import build, did_you_mean
from rtmo.training.batch_plan import BatchPlan, plan_batch
from rtmo.training.callbacks.moved_checkpoints import MovedCheckpoints
from rtmo.training.callbacks.run_record import RunRecord
from rtmo.training.callbacks.wandb_records import RUN_ID, WandbRecords
from rtmo.training.earlier_run import continue_run, in_folder_of, keep_rows
from rtmo.training.module import PoseModule
from rtmo.training.redaction import refuse_secrets
from rtmo.weights.file import RECORD, read_file
from rtmo.weights.load import load_pretrained

KEYS = frozenset(
    (
        *("name", "model_name", "data_name", "recipe", "published", "seed", "skeleton", "image_size", "nominal_batch"),
        "optimized_metric",
        *("pretrained", "ckpt_path", "phases", "multiscale", "lr_factors", "model", "data", "augment", "criterion"),
        *("optimizer", "schedule", "module", "metric", "trainer", "callbacks", "logger", "paths"),
    )
)
# What Lightning says of things that are as they should be.
POINTLESS_WARNINGS = (
    "(Experiment logs|Checkpoint) directory .* exists and is not empty",  # it is the run's folder
    r".isinstance\(treespec, LeafSpec\). is deprecated",  # in its own code
    "It is recommended to use .*'val/.* sync_dist=True",  # the metric has gathered all ranks
    "The dirpath has changed from",  # a run that goes on from a checkpoint has a folder of its own
    "The number of training batches .* is smaller than the logging interval",
    "The '.*_dataloader' does not have many workers",
)

log = logging.getLogger(__name__)


@config.main("train", KEYS)
def main(cfg: dict[str, Any]) -> float | None:
    """Trains; what is returned is what a sweeper compares."""
    run = HydraConfig.get()
    refuse_secrets(run.overrides.task)
    in_sweep, asked = run.mode is RunMode.MULTIRUN, dict(cfg)
    if in_sweep and (metrics := continue_run(cfg)) is not None:
        return optimized(cfg["optimized_metric"], metrics)
    return train(
        cfg,
        overrides=run.overrides.task,
        chosen_recipe=run.runtime.choices["recipe"],
        sweep=Path(run.sweep.dir).name if in_sweep else None,
        asked=asked,
    )


def train(
    cfg: Mapping[str, Any],
    overrides: Sequence[str] = (),
    chosen_recipe: str = "",
    sweep: str | None = None,
    asked: Mapping[str, Any] | None = None,
) -> float | None:
    """Trains a model from a resolved config.

    Args:
        cfg: As ``rtmo.config.validate`` returns it.
        overrides: What the command line changed, for the record.
        chosen_recipe: The file of conf/recipe that was chosen, for the log.
        sweep: Name of the sweep's folder if this is one of several runs of a command.
        asked: The config for the record if it is not ``cfg``, whose ``ckpt_path`` may be of the run's own folder.

    Returns:
        The last value of ``optimized_metric``; None if the config names none.

    Raises:
        InputError: If something the config asks for cannot be had.
        RuntimeError: If the run ends without the metric.
    """
    check_values(cfg)
    seed_everything(cfg["seed"], workers=True, verbose=False)
    skeleton = keypoint_set(cfg["skeleton"])
    before = {RECORD: {}} if cfg["ckpt_path"] is None else check_resumable(Path(cfg["ckpt_path"]), skeleton)
    datamodule = build(cfg["data"], "data", skeleton)
    record = RunRecord(config=asked or cfg, skeleton=skeleton, overrides=overrides)
    is_same_run = sweep is None or in_folder_of(cfg)  # else jobs that start from one checkpoint would be one run
    run_id = before[RECORD].get(RUN_ID) if is_same_run else None
    loggers = wandb_run(cfg["logger"], run_id=run_id, group=sweep, overrides=overrides)
    log_model = (cfg["logger"].get("wandb") or {}).get("log_model", False)
    records = [record, WandbRecords(config=cfg, skeleton=skeleton, log_model=log_model), MovedCheckpoints()]
    trainer = build_trainer({**cfg, "logger": loggers}, skeleton, records)
    if sweep and trainer.world_size > 1 and trainer.strategy.launcher is not None:
        raise InputError(
            f"trainer.devices: Lightning would start each of {trainer.world_size} processes with the whole sweep; "
            "sweep (-m) with trainer.devices=1, or give every run a command of its own"
        )
    for logger in trainer.loggers:
        if "global_step" in before and isinstance(logger, CSVLogger):
            keep_rows(logger, before["global_step"])
    plan = plan_batch(cfg["data"]["batch_size"], trainer.world_size, cfg["nominal_batch"])
    trainer.accumulate_grad_batches = plan.accumulate
    module = build_module(cfg, skeleton, lr_scale=plan.lr_scale)
    start = load_start(cfg, module, skeleton)
    console = Console(quiet=not trainer.is_global_zero, highlight=False, soft_wrap=True)
    print_start(console, cfg, chosen_recipe, plan, module, start)
    exit_code = 1
    try:
        trainer.fit(module, datamodule=datamodule, ckpt_path=cfg["ckpt_path"], weights_only=True)
        exit_code = 0
    finally:
        if any(isinstance(logger, WandbLogger) for logger in trainer.loggers):
            import_module("wandb").finish(exit_code)  # the next job of a sweep in this process starts its own
    scores = {
        name.removeprefix("val/"): float(value)
        for name, value in trainer.callback_metrics.items()
        if name.startswith("val/")
    }
    print_scores(console, scores, "last validation", cfg["paths"]["output_dir"])
    return optimized(cfg["optimized_metric"], trainer.callback_metrics)


def optimized(name: str | None, metrics: Mapping[str, Tensor | float]) -> float | None:
    """The metric that a sweep compares its runs by; None if there is no such thing.

    Raises:
        RuntimeError: If the run has no metric of that name: a sweep must not take its absence for a bad score.
    """
    if name is None:
        return None
    if name not in metrics:
        raise RuntimeError(
            f"optimized_metric={name}: the run has no such metric; {did_you_mean(name, sorted(metrics))}"
        )
    return float(metrics[name])


def check_values(cfg: Mapping[str, Any]) -> None:
    """Refuses top-level values that no constructor would."""
    if not isinstance(cfg["seed"], int) or cfg["seed"] < 0:
        raise InputError(f"seed: expected a whole number from 0 on, got {cfg['seed']!r}")
    log_model = (cfg["logger"].get("wandb") or {}).get("log_model", False)
    if not isinstance(log_model, bool):
        raise InputError(
            f"logger.wandb.log_model: expected true (the best and the last checkpoint) or false, got {log_model!r}"
        )
    name = cfg["optimized_metric"]
    if name is not None and not str(name).startswith(("train/", "val/")):
        raise InputError(
            f"optimized_metric={name}: no metric has such a name; give one of val/, such as val/AP, or null"
        )


def check_resumable(path: Path, skeleton: KeypointSet) -> dict[str, Any]:
    """Refuses to go on from a file that is no run's, or of a run with other joints; gives what the file holds.

    Raises:
        InputError: If so.
    """
    if not path.is_file():
        raise InputError(f"ckpt_path={path}: no such file; give a checkpoint to resume from, or null")
    content = read_file(path)
    if "optimizer_states" not in content or RECORD not in content:
        raise InputError(f"ckpt_path={path}: no run can go on from it; to start from its weights say pretrained={path}")
    try:
        trained = KeypointSet.from_plain(content[RECORD]["skeleton"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"ckpt_path={path}: its joints cannot be read ({error!r}); give an undamaged one") from error
    if not skeleton.equals_but_for_name(trained):
        raise InputError(
            f"skeleton={skeleton.name}: differs from the one that {path} was trained with; give that one, or start a "
            f"new run with pretrained={path}"
        )
    return content


def build_trainer(cfg: Mapping[str, Any], skeleton: KeypointSet, callbacks: Sequence[Callback] = ()) -> Trainer:
    """Lightning's Trainer with the config's callbacks and loggers, and some more callbacks.

    Raises:
        InputError: If the machine has not got what the config asks for.
    """
    for message in POINTLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    named = build(cfg["callbacks"], "callbacks", skeleton)
    loggers = build(offline_without_account(cfg["logger"]), "logger")
    settings = {**cfg["trainer"], **_validated_at_the_end(cfg["trainer"])}
    try:
        return build(
            settings,
            "trainer",
            callbacks=[*(callback for callback in named.values() if callback is not None), *callbacks],
            logger=[logger for logger in loggers.values() if logger is not None],
        )
    except MisconfigurationException as error:
        raise InputError(f"trainer: {error}") from error


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


def load_start(cfg: Mapping[str, Any], module: PoseModule, skeleton: KeypointSet) -> str:
    """Gives the network the weights it starts from, and says in words what they are."""
    if cfg["ckpt_path"] is not None:
        unused = f"; pretrained={cfg['pretrained']} is not needed" if cfg["pretrained"] is not None else ""
        return f"of {cfg['ckpt_path']}, which the run goes on from{unused}"
    if cfg["pretrained"] is None:
        return "fresh"
    try:
        return f"of {cfg['pretrained']}: {load_pretrained(module.model, cfg['pretrained'], skeleton)}"
    except DownloadError as error:
        raise InputError(f"{error}; pretrained=null starts from fresh weights") from error


def print_start(
    console: Console, cfg: Mapping[str, Any], chosen_recipe: str, plan: BatchPlan, module: PoseModule, start: str
) -> None:
    """Says what is about to run: recipe and why, batch arithmetic, size, weights, folder."""
    pair = f"{cfg['model_name']}_{cfg['data_name']}"
    if chosen_recipe == pair:
        other = "published" if cfg["recipe"] == "fast" else "fast"
        why = f"of model={cfg['model_name']} with data={cfg['data_name']} (recipe={other} is the other)"
    else:
        why = "as asked for (without recipe=... that of model and data)"
    counts = module.model.parameter_counts()
    parts = ", ".join(f"{part} {counts[part]:,}" for part in ("backbone", "neck", "head", "dcc"))
    lines = {
        "recipe": f"{cfg['recipe']}, {why}",
        "batch": str(plan),
        "rate": f"{cfg['optimizer'].get('lr', 0) * plan.lr_scale:.4g} at most, {cfg['trainer']['max_epochs']} epochs",
        "model": f"{counts['total']:,} parameters ({parts}), {counts['training_only']:,} of them for training only",
        "weights": start,
        "folder": cfg["paths"]["output_dir"],
    }
    console.print(f"[bold]{cfg['model_name']} on {cfg['data_name']}[/bold]")
    for name, text in lines.items():
        console.print(f"  {name:8} {text}", markup=False)


if __name__ == "__main__":
    main()
