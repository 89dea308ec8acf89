"""Where pictures of a run go."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from lightning import Trainer


def images_folder(trainer: Trainer) -> Path:
    """``images/`` of the run."""
    return Path(trainer.default_root_dir) / "images"


def log_picture(trainer: Trainer, name: str, image: UInt8[np.ndarray, "H W 3"]) -> None:
    """Hands a BGR picture to the loggers that take pictures: W&B, TensorBoard; others, such as CSV, have only files."""
    image_rgb = np.ascontiguousarray(image[..., ::-1])
    for logger in trainer.loggers:
        if hasattr(logger, "log_image"):
            logger.log_image(name, [image_rgb], step=trainer.global_step)
        elif add_image := getattr(getattr(logger, "experiment", None), "add_image", None):
            add_image(name, image_rgb, trainer.global_step, dataformats="HWC")
