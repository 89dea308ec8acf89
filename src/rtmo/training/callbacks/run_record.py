"""What a run was: its config and surroundings, in its folder and in every checkpoint."""

import importlib.metadata
import json
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only

from rtmo.skeletons import KeypointSet
from rtmo.training.redaction import redacted
from rtmo.weights.file import RECORD

PACKAGES = (
    *("rtmo", "torch", "lightning", "torchmetrics", "hydra-core", "albumentations", "numpy", "pycocotools"),
    *("onnx", "onnxruntime", "openvino"),  # of extras
)


class RunRecord(Callback):
    """Writes ``config.yaml`` and ``environment.json`` when training starts, and ``checkpoint[RECORD]``.

    Args:
        config: Plain containers, resolved; secrets in it become stars.
        skeleton: Joints that the network finds.
        overrides: What the command line changed.
    """

    def __init__(self, *, config: Mapping[str, Any], skeleton: KeypointSet, overrides: Sequence[str] = ()) -> None:
        self.config = redacted(config)
        self.skeleton = skeleton
        self.overrides = list(overrides)

    @rank_zero_only
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        folder = Path(trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True))
        devices = {"device": str(trainer.strategy.root_device), "world_size": trainer.world_size}
        record = {"overrides": self.overrides, **environment(), **devices}
        (folder / "environment.json").write_text(json.dumps(record, indent=2) + "\n")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[RECORD] = {"config": self.config, "skeleton": self.skeleton.to_plain()}


def environment() -> dict[str, Any]:
    """Versions, commit and kind of machine; nothing that names it or its user."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "packages": {package: version(package) for package in PACKAGES},
        "threads": torch.get_num_threads(),
        "accelerators": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "commit": git_commit(),
    }


def cpu_name() -> str:
    """What the processor is called."""
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def version(package: str) -> str | None:
    """Version of an installed package; None if it is not installed but only on the path."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """Commit of the checkout this package runs from, ``+changes`` if files differ from it; None outside of one."""

    def git(*arguments: str) -> str:
        folder = Path(__file__).parent
        return subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True).stdout

    try:
        if not git("ls-files", Path(__file__).name) and not git("ls-files", __file__):
            return None  # installed somewhere inside another project's checkout
        return git("rev-parse", "HEAD").strip() + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
