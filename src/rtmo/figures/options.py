"""What all commands of figures take, and what they make of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from rtmo.data.source import PoseSource
from rtmo.errors import InputError
from rtmo.evaluate import take_from_checkpoint
from rtmo.figures.network import Network
from rtmo.hub import load_model
from rtmo.skeletons import keypoint_set
from rtmo.targets import build

KEYS = frozenset(
    (
        *("checkpoint", "data", "data_name", "metric", "skeleton", "image_size", "score_thr", "nms_thr", "device"),
        *("output", "paths", "seed", "phases", "augment"),
    )
)


def prepare(cfg: DictConfig) -> None:
    """Fills in what the command line left to the checkpoint."""
    take_from_checkpoint(cfg, HydraConfig.get().overrides.task)


def network_of(cfg: Mapping[str, Any], key: str = "checkpoint") -> Network:
    """The network of a checkpoint, asked as the config of a command says.

    Args:
        key: The option that names the checkpoint.

    Raises:
        InputError: If it cannot be used.
    """
    skeleton = keypoint_set(cfg["skeleton"])
    model = load_model(cfg[key], skeleton=skeleton)
    try:
        model.to(cfg["device"])
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device={cfg['device']}: cannot be used ({error}); device=cpu always can") from error
    height, width = cfg["image_size"]
    return Network(model, skeleton, (height, width), cfg["score_thr"], cfg["nms_thr"])


def val_source(cfg: Mapping[str, Any]) -> PoseSource:
    """The validation images of a command's data, by default those of the run that trained the checkpoint."""
    source: PoseSource = build(cfg["data"]["val"], "data.val", keypoint_set(cfg["skeleton"]))
    return source


def check_counts(cfg: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuses options that count something and are no whole number from 1 on.

    Raises:
        InputError: If one is.
    """
    for name in names:
        if type(cfg[name]) is not int or cfg[name] < 1:
            raise InputError(f"{name}: expected a whole number from 1 on, got {cfg[name]!r}")
