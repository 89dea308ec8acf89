"""Trains a model: ``python -m rtmo.train``; ``--help`` lists what can be set."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from torch import Tensor

from rtmo import config
from rtmo.commands import override, resume_command
from rtmo.console_tables import print_scores
from rtmo.download import DownloadError
from rtmo.errors import EXIT_INTERRUPTED, InputError
from rtmo.models.compiling import check_compiler
from rtmo.skeletons import KeypointSet, keypoint_set
from rtmo.targets import AUTO, build, did_you_mean
from rtmo.training import failures
from rtmo.training.assembly import build_module, build_trainer, wandb_run
from rtmo.training.batch_plan import BatchPlan, plan_batch
from rtmo.training.batch_size import automatic_batch_size
from rtmo.training.callbacks.moved_checkpoints import MovedCheckpoints
from rtmo.training.callbacks.run_position import ROWS, RunPosition
from rtmo.training.callbacks.run_record import RunRecord
from rtmo.training.callbacks.stop_requests import RunStopped, StopRequests
from rtmo.training.callbacks.wandb_records import RUN_ID, WandbRecords
from rtmo.training.checkpoint_io import undamaged
from rtmo.training.earlier_run import check_resumable, continue_run, in_folder_of, keep_rows, last_checkpoint
from rtmo.training.module import PoseModule
from rtmo.training.ranks import RankLauncher
from rtmo.training.redaction import refuse_secrets
from rtmo.training.run_plan import RunPlan, build_data, planned_fields, with_fields
from rtmo.training.wandb_logger import RunWandbLogger
from rtmo.weights.file import RECORD
from rtmo.weights.load import load_pretrained

KEYS = frozenset(
    (
        *("name", "model_name", "data_name", "recipe", "published", "seed", "skeleton", "image_size", "nominal_batch"),
        "optimized_metric",
        *("pretrained", "ckpt_path", "phases", "multiscale", "lr_factors", "model", "data", "augment", "criterion"),
        *("optimizer", "schedule", "module", "metric", "trainer", "callbacks", "logger", "paths"),
    )
)


@config.main("train", KEYS)
def main(cfg: dict[str, Any]) -> float | None:
    """Trains; what is returned is what a sweeper compares."""
    run = HydraConfig.get()
    refuse_secrets(run.overrides.task)
    in_sweep = run.mode is RunMode.MULTIRUN
    if cfg["ckpt_path"] == "last":
        if in_sweep:
            raise InputError("ckpt_path=last: a sweep goes on by itself where its folder holds runs; leave it out")
        cfg["ckpt_path"] = last_checkpoint(
            cfg, folder_is_given=any(text.startswith("hydra.run.dir=") for text in run.overrides.hydra)
        )
    if cfg["data"]["batch_size"] == AUTO:
        cfg["data"]["batch_size"] = automatic_batch_size(cfg, in_sweep=in_sweep)
    asked = dict(cfg)
    if in_sweep and (metrics := continue_run(cfg)) is not None:
        return optimized(cfg["optimized_metric"], metrics)
    try:
        return train(
            cfg,
            overrides=run.overrides.task,
            chosen_recipe=run.runtime.choices["recipe"],
            sweep=Path(run.sweep.dir).name if in_sweep else None,
            asked=asked,
            rank_command=[*config.command_of_this_job("rtmo.train"), override("ckpt_path", cfg["ckpt_path"])],
        )
    except RunStopped as stop:
        if in_sweep:
            again = f"the same command with {override('hydra.sweep.dir', run.sweep.dir)}"
        else:
            start = stop.checkpoint or cfg["ckpt_path"]  # before anything was saved it goes on where it came from
            options = [*config.flags_of_this_job("rtmo.train"), *run.overrides.task]
            again = resume_command(options, start, cfg["paths"]["output_dir"])
        print_stop(stop, again)
        raise


@rank_zero_only
def print_stop(stop: RunStopped, again: str) -> None:
    """Says why a run ended before its end, and how it goes on."""
    print(f"stopped by {stop.reason}; saved {stop.checkpoint or 'nothing'}; this goes on:\n  {again}")


def train(
    cfg: Mapping[str, Any],
    overrides: Sequence[str] = (),
    chosen_recipe: str = "",
    sweep: str | None = None,
    asked: Mapping[str, Any] | None = None,
    rank_command: Sequence[str] | None = None,
) -> float | None:
    """Trains a model from a resolved config.

    Args:
        cfg: As ``rtmo.config.validate`` returns it.
        overrides: What the command line changed, for the record.
        chosen_recipe: The file of conf/recipe that was chosen, for the log.
        sweep: Name of the sweep's folder if this is one of several runs of a command.
        asked: The config for the record if it is not ``cfg``, whose ``ckpt_path`` may be of the run's own folder.
        rank_command: Starts this run in the process of another device; None: the command that this process is of.

    Returns:
        The last value of ``optimized_metric``; None if the config names none.

    Raises:
        InputError: If something the config asks for cannot be had.
        RuntimeError: If the run ends without the metric.
    """
    check_values(cfg)
    seed_everything(cfg["seed"], workers=True, verbose=False)
    skeleton = keypoint_set(cfg["skeleton"])
    before: dict[str, Any] = {RECORD: {}}
    if cfg["ckpt_path"] is not None:
        cfg = {**cfg, "ckpt_path": str(undamaged(Path(cfg["ckpt_path"])))}
        before = check_resumable(Path(cfg["ckpt_path"]), skeleton)
    stops = StopRequests(max_time=cfg["trainer"].get("max_time"))
    train_source = build(cfg["data"].get("train"), "data.train", skeleton)
    earlier = before[RECORD].get("config") if cfg["ckpt_path"] is not None else None
    fields, run_plan = planned_fields(cfg, train_source, skeleton, earlier, in_sweep=sweep is not None)
    cfg, asked = with_fields(cfg, fields), with_fields(asked or cfg, fields)
    datamodule = build_data(cfg, train_source, skeleton)
    record = RunRecord(config=asked, skeleton=skeleton, overrides=overrides)
    is_same_run = sweep is None or in_folder_of(cfg)  # else jobs that start from one checkpoint would be one run
    run_id = before[RECORD].get(RUN_ID) if is_same_run else None
    loggers = wandb_run(cfg["logger"], run_id=run_id, group=sweep, overrides=overrides)
    log_model = (cfg["logger"].get("wandb") or {}).get("log_model", False)
    records = [record, WandbRecords(config=cfg, skeleton=skeleton, log_model=log_model), MovedCheckpoints()]
    records += [RunPosition(), stops]
    trainer = build_trainer({**cfg, "logger": loggers}, skeleton, records)
    if cfg["module"].get("compile"):
        check_compiler(trainer.strategy.root_device)
    if isinstance(trainer.strategy.launcher, RankLauncher):
        trainer.strategy.launcher.command = rank_command
    for logger in trainer.loggers:
        if "global_step" in before and isinstance(logger, CSVLogger):
            keep_rows(logger, before["global_step"], before.get(ROWS))
    plan = plan_batch(cfg["data"]["batch_size"], trainer.world_size, cfg["nominal_batch"])
    trainer.accumulate_grad_batches = plan.accumulate
    module = build_module(cfg, skeleton, lr_scale=plan.lr_scale)
    start = load_start(cfg, module, skeleton)
    console = Console(quiet=not trainer.is_global_zero, highlight=False, soft_wrap=True)
    print_start(console, cfg, chosen_recipe, plan, module, start, run_plan)
    with wandb_finished(trainer), stops.listening(), failures.told(plan, Path(cfg["paths"]["output_dir"])):
        trainer.fit(module, datamodule=datamodule, ckpt_path=cfg["ckpt_path"], weights_only=True)
    scores = {
        name.removeprefix("val/"): float(value)
        for name, value in trainer.callback_metrics.items()
        if name.startswith("val/")
    }
    print_scores(console, scores, "last validation", cfg["paths"]["output_dir"])
    return optimized(cfg["optimized_metric"], trainer.callback_metrics)


@contextmanager
def wandb_finished(trainer: Trainer) -> Iterator[None]:
    """Tells W&B in the end how the run ended, if it is logged there."""
    exit_code = 1
    try:
        yield
        exit_code = 0
    except RunStopped:
        exit_code = EXIT_INTERRUPTED
        raise
    finally:
        for logger in trainer.loggers:
            if isinstance(logger, RunWandbLogger):
                logger.finish(exit_code)


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
    nominal = cfg["nominal_batch"]
    if not (nominal is None or nominal == AUTO or (isinstance(nominal, int) and nominal > 0)):
        raise InputError(f"nominal_batch: expected a number of images, auto or null, got {nominal!r}")
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
    console: Console,
    cfg: Mapping[str, Any],
    chosen_recipe: str,
    plan: BatchPlan,
    module: PoseModule,
    start: str,
    run_plan: RunPlan | None,
) -> None:
    """Says what is about to run: recipe and why, batch arithmetic, size, weights, folder."""
    pair = f"{cfg['model_name']}_{cfg['data_name']}"
    if chosen_recipe == pair:
        other = "published" if cfg["recipe"] == "fast" else "fast"
        why = f"of model={cfg['model_name']} with data={cfg['data_name']} (recipe={other} is the other)"
    else:
        why = "as asked for (without recipe=... that of model and data)"
    counts = module.model.parameter_counts()
    lr = cfg["optimizer"].get("lr", 0) * plan.lr_scale
    lr *= max((segment.get("end_factor", 1.0) for segment in cfg["schedule"].get("segments", ())), default=1.0)
    parts = ", ".join(f"{part} {counts[part]:,}" for part in ("backbone", "neck", "head", "dcc"))
    lines = {
        "recipe": f"{cfg['recipe']}, {why}",
        "batch": str(plan),
        **({} if run_plan is None else {"plan": str(run_plan)}),
        "rate": f"{lr:.4g} at most, {cfg['trainer']['max_epochs']} epochs",
        "model": f"{counts['total']:,} parameters ({parts}), {counts['training_only']:,} of them for training only",
        "weights": start,
        "folder": cfg["paths"]["output_dir"],
    }
    console.print(f"[bold]{cfg['model_name']} on {cfg['data_name']}[/bold]")
    for name, text in lines.items():
        console.print(f"  {name:8} {text}", markup=False)


if __name__ == "__main__":
    main()
