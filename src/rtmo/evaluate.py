"""Scores a checkpoint: ``python -m rtmo.evaluate checkpoint=...``; ``--help`` lists what can be set."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from rtmo import config
from rtmo.data.datamodule import PoseDataModule
from rtmo.errors import InputError
from rtmo.phases import Phases
from rtmo.skeletons import keypoint_set
from rtmo.targets import build
from rtmo.train import build_module, build_trainer, print_scores

KEYS = frozenset(
    (
        *("name", "checkpoint", "data", "data_name", "image_size", "batch_size", "num_workers", "score_thr", "nms_thr"),
        *("trainer", "callbacks", "logger", "paths", "seed", "phases", "augment", "metric", "skeleton"),
    )
)


def take_from_checkpoint(cfg: DictConfig) -> None:
    """Fills in what the command line left to the checkpoint; data sets refer to these values."""
    record = read_checkpoint(cfg.checkpoint)["rtmo"]
    trained = record["config"]
    if cfg.skeleton not in (None, record["skeleton"]):
        raise InputError(
            f"skeleton={cfg.skeleton}: the checkpoint has the joints of {record['skeleton']}; to score those "
            f"that the data shares with it, say skeleton={record['skeleton']}"
        )
    cfg.skeleton = record["skeleton"]
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

    Writes ``results.json`` (COCO result format) and ``summary.json`` into the run's folder.

    Args:
        cfg: As ``rtmo.config.validate`` returns it.

    Returns:
        The figures of the metric.

    Raises:
        InputError: If checkpoint or data cannot be used.
    """
    checkpoint = read_checkpoint(cfg["checkpoint"])
    trained = checkpoint["rtmo"]["config"]
    skeleton = keypoint_set(cfg["skeleton"])
    source = build(cfg["data"]["val"], "data.val", skeleton)
    datamodule = PoseDataModule(
        train=source,  # never loaded
        val=source,
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
    module.load_state_dict(checkpoint["state_dict"])
    trainer = build_trainer(cfg, skeleton)
    started = time.monotonic()
    trainer.validate(module, datamodule=datamodule, verbose=False)
    seconds = time.monotonic() - started
    assert module.metric is not None  # validation made it
    results = module.metric.results()
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
        print_scores(Console(highlight=False, soft_wrap=True), scores, f"{source.name}, {len(source)} images", folder)
    return scores


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A checkpoint of ``rtmo.train``: weights, and the config they were trained with.

    Raises:
        InputError: If the file is missing or something else.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise InputError(f"checkpoint={path}: no such file; give checkpoints/best.ckpt of a run") from None
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(f"checkpoint={path}: not a checkpoint ({str(error).splitlines()[0]})") from error
    if not isinstance(checkpoint, dict) or "rtmo" not in checkpoint:
        raise InputError(f"checkpoint={path}: not written by rtmo.train; it has no config of the network")
    return checkpoint


if __name__ == "__main__":
    main()
