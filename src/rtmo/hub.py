"""Networks by name or path: ``rtmo.load_model``."""

import logging
from pathlib import Path
from typing import Any

from rtmo import config
from rtmo.models.rtmo import RTMO
from rtmo.skeletons import KeypointSet, keypoint_set
from rtmo.targets import build
from rtmo.weights.checkpoint import find, read_checkpoint
from rtmo.weights.load import load_weights

log = logging.getLogger(__name__)


def load_model(name_or_path: str | Path, *, skeleton: str | KeypointSet | None = None, **overrides: Any) -> RTMO:
    """A network in eval mode.

    Args:
        name_or_path: ``"rtmo_s_coco"`` or another name of docs/model-zoo.md downloads published weights once; a path
            takes our checkpoints, safetensors and published ``.pth`` files alike; a bare size, ``"rtmo_s"``, gives
            fresh weights.
        skeleton: Keypoints it finds, as a built-in name, the path of a YAML file or a set; None: those of the weights,
            and COCO's 17 for fresh ones. Joints that the weights do not know start fresh.
        overrides: Arguments of ``RTMO`` in place of the checkpoint's.

    Raises:
        InputError: If there is no such model, or the file cannot be used.
    """
    wanted = keypoint_set(skeleton) if isinstance(skeleton, str) else skeleton
    if str(name_or_path) in model_names() and not Path(name_or_path).is_file():
        described = config.compose("train", [f"model={name_or_path}", "recipe=published"]).model
        model: RTMO = build({**described, **overrides}, "model", wanted or keypoint_set("coco17"))
        return model.eval()
    checkpoint = read_checkpoint(find(name_or_path))
    model = checkpoint.build_model(wanted, **overrides)
    report = load_weights(model, checkpoint, wanted)
    log.log(logging.WARNING if report.is_partial else logging.INFO, "%s: %s", checkpoint.path.name, report)
    return model.eval()


def model_names() -> list[str]:
    """Sizes of network, each a file of conf/model."""
    return sorted(file.stem for file in (config.conf_dir() / "model").glob("*.yaml"))
