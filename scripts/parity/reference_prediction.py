"""Predictions of the reference, timed. Runs in its own environment; latency.py starts it.

It answers requests as rtmo.benchmark.workers describes them. Pipeline, network and post-processing are those that the
published RTMO-s is tested with, which the package contains.
"""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import stand_ins  # noqa: F401 # isort: skip  (mmpose imports these names)
import mmpose.datasets
import mmpose.models
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import load_checkpoint
from mmpose.registry import MODELS, TRANSFORMS
from reference_worker import serve

CONFIG = "body_2d_keypoint/rtmo/coco/rtmo-s_8xb32-600e_coco-640x640.py"


class Reference:
    """The published RTMO-s with the weights of a file.

    Args:
        checkpoint: Under the reference's names.
        image: A file.
        score_thr: People scored below are not reported.
    """

    def __init__(self, checkpoint: str, image: str, score_thr: float) -> None:
        config = Config.fromfile(Path(mmpose.__file__).parent / ".mim" / "configs" / CONFIG)
        config.model.backbone.init_cfg = None  # else a download
        config.model.test_cfg.score_thr = score_thr
        self.model = MODELS.build(config.model).eval()
        load_checkpoint(self.model, checkpoint, map_location="cpu", strict=True, logger="silent")
        self.read, *self.fit = (TRANSFORMS.build(step) for step in config.val_pipeline)
        self.image = image
        self.network_ms = 0.0
        self.model.extract_feat = self.timed(self.model.extract_feat)
        self.model.head.forward = self.timed(self.model.head.forward)

    def timed(self, part_of_network: Callable[..., Any]) -> Callable[..., Any]:
        """The same, its time added to that of the network."""

        def call(*arguments: Any) -> Any:
            start = time.perf_counter()
            result = part_of_network(*arguments)
            self.network_ms += 1000 * (time.perf_counter() - start)
            return result

        return call

    @torch.no_grad()
    def run(self, batch: int) -> dict[str, Any]:
        """Milliseconds by part, and how many people were found in each image."""
        self.network_ms = 0.0
        moments = [time.perf_counter()]
        images = [self.read({"img_path": self.image, "img_id": 0, "id": 0}) for _ in range(batch)]
        moments.append(time.perf_counter())
        for step in self.fit:
            images = [step(image) for image in images]
        data = self.model.data_preprocessor(pseudo_collate(images), training=False)
        moments.append(time.perf_counter())
        samples = self.model(**data, mode="predict")
        moments.append(time.perf_counter())
        read, fit, predict = (1000 * (end - start) for start, end in itertools.pairwise(moments))
        times = {"read": read, "pre-process": fit, "network": self.network_ms, "decode": predict - self.network_ms}
        return {"milliseconds": times, "people": len(samples[0].pred_instances)}

    def score(self, **_: Any) -> dict[str, Any]:
        """docs/numerics.md tells how near its poses are to ours."""
        return {"AP": None}


if __name__ == "__main__":
    serve(Reference)
