"""Scores a checkpoint: ``python -m rtmo.evaluate checkpoint=...``; ``--help`` lists what can be set."""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from rtmo import config
from rtmo.data.coco_json import write_json
from rtmo.data.datamodule import PoseDataModule
from rtmo.errors import InputError
from rtmo.evaluation.analysis import analyse
from rtmo.phases import Phases
from rtmo.skeletons import CROWDPOSE14, keypoint_set
from rtmo.targets import build
from rtmo.train import build_module, build_trainer, print_errors, print_scores
from rtmo.weights.checkpoint import Checkpoint, find, read_checkpoint
from rtmo.weights.load import load_weights

KEYS = frozenset(
    (
        *("name", "checkpoint", "data", "data_name", "image_size", "batch_size", "num_workers", "score_thr", "nms_thr"),
        *("trainer", "callbacks", "logger", "paths", "seed", "phases", "augment", "metric", "skeleton"),
    )
)

log = logging.getLogger(__name__)


def take_from_checkpoint(cfg: DictConfig) -> None:
    """Fills in what the command line left to the checkpoint; data sets refer to these values."""
    checkpoint = read_checkpoint(find(cfg.checkpoint))
    if checkpoint.config is None and checkpoint.size is None:
        if cfg.image_size is None:
            raise InputError(f"image_size: {cfg.checkpoint} does not tell; give image_size=[height,width]")
        log.warning("%s is of no published size: taken to have 8 attention heads, as those have", checkpoint.path)
    trained = trained_with(checkpoint)
    cfg.skeleton = joints_of(checkpoint, OmegaConf.to_container(cfg)["skeleton"])  # type: ignore[index, call-overload]
    overrides = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    if cfg.data is None and any(override.startswith("paths.data_dir=") for override in overrides):
        raise InputError("paths.data_dir: read only together with data=...; without it the checkpoint names the files")
    for name in ("image_size", "data", "metric"):
        if cfg[name] is None:
            cfg[name] = trained[name]
    for name in ("score_thr", "nms_thr"):
        if cfg[name] is None:
            cfg[name] = trained["module"][name]


@config.main("evaluate", KEYS, prepare=take_from_checkpoint)
def main(cfg: dict[str, Any]) -> float:
    """Evaluates; the returned AP is what a sweeper maximises."""
    return evaluate(cfg)["AP"]


def evaluate(cfg: Mapping[str, Any]) -> dict[str, float]:
    """Scores a checkpoint on the validation images of a data set.

    Writes ``results.json`` (COCO result format), ``summary.json`` and ``analysis.json`` into the run's folder.

    Args:
        cfg: As ``rtmo.config.validate`` returns it.

    Returns:
        The figures of the metric.

    Raises:
        InputError: If checkpoint or data cannot be used.
    """
    checkpoint = read_checkpoint(find(cfg["checkpoint"]))
    trained = trained_with(checkpoint)
    skeleton = checkpoint.skeleton or keypoint_set(cfg["skeleton"])
    source = build(cfg["data"]["val"], "data.val", skeleton)
    more_val = build(cfg["data"].get("more_val") or {}, "data.more_val", skeleton)
    datamodule = PoseDataModule(
        train=source,  # never loaded
        val=source,
        more_val=more_val,
        image_size=cfg["image_size"],
        batch_size=cfg["batch_size"],
        num_workers=cfg["num_workers"],
        seed=cfg["seed"],
        phases=Phases(),
        augment={"main": {}, "light": {}},
    )
    thresholds = {"score_thr": cfg["score_thr"], "nms_thr": cfg["nms_thr"]}
    parts = {**trained, "module": {**trained["module"], **thresholds}, "metric": cfg["metric"]}
    module = build_module(parts, skeleton)
    report = load_weights(module.model, checkpoint)
    if report.is_partial:
        log.warning("%s: %s", checkpoint.path, report)
    trainer = build_trainer(cfg, skeleton)
    started = time.monotonic()
    trainer.validate(module, datamodule=datamodule, verbose=False)
    seconds = time.monotonic() - started
    results = module.metrics["val"].results()
    analysis = analyse(module.metrics["val"])
    scores = {name.removeprefix("val/"): float(value) for name, value in trainer.callback_metrics.items()}
    if trainer.is_global_zero:
        folder = Path(cfg["paths"]["output_dir"])
        summary = {
            "checkpoint": str(cfg["checkpoint"]),
            "data": source.name,
            "images": len(source),
            "predictions": len(results),
            "metrics": scores,
            "seconds": round(seconds, 1),
            "images_per_second": round(len(source) / seconds, 2),
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(json.dumps(results))
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        write_json(folder / "analysis.json", analysis, label="paths.output_dir", indent=2)
        console = Console(highlight=False, soft_wrap=True)
        print_errors(console, analysis)
        print_scores(console, scores, f"{source.name}, {len(source)} images", folder)
    return scores


def trained_with(checkpoint: Checkpoint) -> dict[str, Any]:
    """The config of the run a checkpoint comes from; the published recipe's for weights that no run of ours trained."""
    if checkpoint.config is not None:
        return checkpoint.config
    on_crowdpose = checkpoint.skeleton == CROWDPOSE14
    choices = ["data=crowdpose", "recipe=published_crowdpose"] if on_crowdpose else ["data=coco", "recipe=published"]
    published = config.compose("train", [f"model={checkpoint.size or 'rtmo_s'}", *choices])
    parts = ("image_size", "data", "module", "criterion", "optimizer", "schedule", "metric")
    return {
        **{name: OmegaConf.to_container(published[name], resolve=True) for name in parts},
        "model": checkpoint.model,
    }


def joints_of(checkpoint: Checkpoint, chosen: str | Mapping[str, Any] | None) -> str | Mapping[str, Any]:
    """The joints that are scored: the name of the checkpoint's, or the chosen ones if it does not name its own.

    Raises:
        InputError: If the choice is not what the network finds, or there is none.
    """
    own = checkpoint.skeleton
    if own is not None:
        if chosen is None or chosen == own.name or keypoint_set(chosen).equals_but_for_name(own):
            return own.name
        raise InputError(
            f"skeleton={chosen}: differs from {own.name}, which the checkpoint has; to score those joints that the "
            f"data shares with it, say skeleton={own.name}"
        )
    if chosen is None or keypoint_set(chosen).num_keypoints != checkpoint.num_keypoints:
        raise InputError(
            f"skeleton={chosen}: {checkpoint.path} finds {checkpoint.num_keypoints} joints and does not name them; "
            "give a built-in set or a .yaml file of as many"
        )
    return chosen


if __name__ == "__main__":
    main()
