"""What all commands of figures take, and what they make of it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from rtmo.data.source import PoseSource
from rtmo.errors import InputError
from rtmo.evaluate import joints_of, take_from_checkpoint
from rtmo.figures.network import Network
from rtmo.hub import load_model
from rtmo.skeletons import KeypointSet, keypoint_set
from rtmo.targets import build
from rtmo.weights.checkpoint import find, read_checkpoint

KEYS = frozenset(
    (
        *("checkpoint", "data", "data_name", "metric", "skeleton", "image_size", "device", "output"),
        *("paths", "seed", "phases", "augment"),
    )
)
THRESHOLDS = frozenset(("score_thr", "nms_thr"))  # of commands that look at the people found
KINDS = {int: "a whole number", str: "a name"}

T = TypeVar("T", int, str)


def prepare(cfg: DictConfig) -> None:
    """Fills in what the command line left to the checkpoint.

    Raises:
        InputError: If options choose among validation images, and ``image`` gives others.
    """
    overrides = HydraConfig.get().overrides.task
    if "image" in cfg and cfg.image is not None:
        for override in overrides:
            if unread := re.match(r"[+~]*((data|data_name|num_images)\b[^=]*)", override):
                raise InputError(f"{unread[1]}: of validation images, read only without image=...; remove one of them")
    take_from_checkpoint(cfg, overrides)


def network_of(cfg: Mapping[str, Any], key: str = "checkpoint") -> Network:
    """The network of a checkpoint, asked as the config of a command says.

    Args:
        key: The option that names the checkpoint.

    Raises:
        InputError: If it cannot be used.
    """
    checkpoint = read_checkpoint(find(cfg[key], key))
    skeleton = checkpoint.skeleton or keypoint_set(joints_of(checkpoint, cfg["skeleton"]))
    model = load_model(cfg[key], skeleton=skeleton)
    try:
        model.to(cfg["device"])
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device={cfg['device']}: cannot be used ({error}); device=cpu always can") from error
    height, width = cfg["image_size"]
    thresholds = {name: cfg[name] for name in sorted(THRESHOLDS) if name in cfg}
    for name, value in thresholds.items():
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise InputError(f"{name}: expected a number from 0 to 1, got {value!r}")
    return Network(model, skeleton, (height, width), **thresholds)


def val_source(cfg: Mapping[str, Any], skeleton: KeypointSet) -> PoseSource:
    """The validation images of a command's data, by default those of the run that trained the checkpoint."""
    source: PoseSource = build(cfg["data"]["val"], "data.val", skeleton)
    return source


def listed(cfg: Mapping[str, Any], name: str, kind: type[T]) -> list[T]:
    """The values of an option that takes one or a list of them; none if it is null.

    Raises:
        InputError: If the list is empty or has values of another kind.
    """
    if cfg[name] is None:
        return []
    values = cfg[name] if isinstance(cfg[name], list) else [cfg[name]]
    if not values or any(type(value) is not kind for value in values):
        raise InputError(f"{name}: expected {KINDS[kind]} or a list of them, got {cfg[name]!r}")
    return values


def check_counts(cfg: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuses options that count something and are no whole number from 1 on.

    Raises:
        InputError: If one is.
    """
    for name in names:
        if type(cfg[name]) is not int or cfg[name] < 1:
            raise InputError(f"{name}: expected a whole number from 1 on, got {cfg[name]!r}")
