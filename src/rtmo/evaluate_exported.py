"""Scores an exported file: ``python -m rtmo.evaluate checkpoint=model.onnx``, see ``evaluate``."""

import functools
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rtmo.data.datamodule import PoseDataModule
from rtmo.errors import InputError
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.inference.exported import read_record
from rtmo.inference.onnx_backend import OnnxRuntimeBackend
from rtmo.inference.scoring import score_backend
from rtmo.skeletons import KeypointSet, keypoint_set
from rtmo.targets import build
from rtmo.training.module import metrics_of

SUFFIX = ".onnx"
OF_CHECKPOINTS = ("trainer", "callbacks", "logger", "flip_test")  # options that runtimes do not have

Scored = tuple[dict[str, CocoKeypointAP], dict[str, float]]  # metrics by prefix, and their figures
Scorer = Callable[[PoseDataModule], Scored]

log = logging.getLogger(__name__)


def is_exported(checkpoint: str | Path) -> bool:
    """Whether a checkpoint is a file of ``rtmo.export``."""
    return Path(checkpoint).suffix == SUFFIX


def take_from_export(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Fills in what the command line left to the file.

    Raises:
        InputError: If the file cannot be used or does not tell, or an option is given that goes with checkpoints only.
    """
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if re.split("[.@]", key)[0] in OF_CHECKPOINTS:
            raise InputError(f"{key}: read only with checkpoints that torch runs; remove it to score {cfg.checkpoint}")
    record = read_record(Path(cfg.checkpoint))
    if cfg.skeleton is not None and not keypoint_set(cfg.skeleton).equals_but_for_name(record.skeleton):
        raise InputError(f"skeleton={cfg.skeleton}: {cfg.checkpoint} finds the joints of {record.skeleton.name}")
    cfg.skeleton = record.skeleton.name
    trained = record.source.get("config") or {}
    for name in ("data", "metric"):
        if cfg[name] is None:
            if name not in trained:
                raise InputError(f"{name}: {cfg.checkpoint} does not tell; give {name}=...")
            cfg[name] = trained[name]
    for name in ("image_size", "score_thr", "nms_thr"):
        if cfg[name] is None:
            cfg[name] = getattr(record, name)


def of_export(cfg: Mapping[str, Any]) -> tuple[KeypointSet, Scorer]:
    """The joints of an exported file, and what scores it in ONNX Runtime."""
    options = {name: cfg[name] for name in ("image_size", "score_thr", "nms_thr")}
    backend = OnnxRuntimeBackend(cfg["checkpoint"], **options)
    log.info("%s: %s", cfg["checkpoint"], backend.description)
    make_metric = functools.partial(build, cfg["metric"], "metric", backend.skeleton)

    def score(datamodule: PoseDataModule) -> Scored:
        metrics = metrics_of(datamodule, make_metric)
        scores = {
            f"{prefix}/{name}".removeprefix("val/"): value
            for (prefix, metric), loader in zip(metrics.items(), datamodule.val_dataloader(), strict=True)
            for name, value in score_backend(backend, loader, metric).items()
        }
        return metrics, scores

    return backend.skeleton, score
