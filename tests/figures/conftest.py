"""Small random networks to draw figures of, and a checkpoint of one."""

from pathlib import Path

import pytest
import torch
from networks import SMALL, small_rtmo

from rtmo import config
from rtmo.figures.network import Network
from rtmo.skeletons import COCO17, KeypointSet
from rtmo.train import KEYS

TINY = ("model=rtmo_n", "data=synthetic", "image_size=[64,64]", "paths.output_dir=run", "data.val.num_images=3")


@pytest.fixture
def network() -> Network:
    """Finds a person at every grid point of an image of 64 x 64 px."""
    return Network(small_rtmo(), COCO17, image_size=(64, 64), score_thr=0.0, nms_thr=1.0)


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory):
    """Writes a checkpoint as a run does, of a network with random weights; gives its file."""
    model = {**SMALL, "strides": [16, 32], "neck_widen_factor": None}
    words = [f"model.{name}={'null' if value is None else value}" for name, value in model.items()]

    def make(*overrides: str, skeleton: KeypointSet = COCO17, **arguments: str) -> Path:
        cfg = config.validate(config.compose("train", [*TINY, *words, *overrides]), "train", KEYS)
        weights = {f"model.{name}": value for name, value in small_rtmo(skeleton, **arguments).state_dict().items()}
        file = tmp_path_factory.mktemp("run") / "best.ckpt"
        torch.save({"state_dict": weights, "rtmo": {"config": cfg, "skeleton": skeleton.to_plain()}}, file)
        return file

    return make


@pytest.fixture(scope="session")
def checkpoint(make_checkpoint) -> Path:
    return make_checkpoint()
