"""Training samples of the reference, timed. Runs in its own environment; data_speed.py starts it.

For every line on its standard input it makes so many samples as the line says, and prints how many seconds it took. The
pipeline is that of the published RTMO-s before its last 20 epochs, which the package contains.
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter

import stand_ins  # noqa: F401 # isort: skip  (mmpose imports these names)
import cv2
import mmpose.datasets
import mmpose.models  # registers the codec
import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

CONFIG = "body_2d_keypoint/rtmo/coco/rtmo-s_8xb32-600e_coco-640x640.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("coco", type=Path, help="folder with annotations/ and train2017/")
    coco = parser.parse_args().coco
    cv2.setNumThreads(0)
    init_default_scope("mmpose")
    config = Config.fromfile(Path(mmpose.__file__).parent / ".mim" / "configs" / CONFIG)
    config.train_dataloader.dataset.update(
        data_root=str(coco),
        ann_file="annotations/person_keypoints_train2017.json",
        data_prefix={"img": "train2017/"},
    )
    dataset = DATASETS.build(config.train_dataloader.dataset)
    rng = np.random.default_rng(0)
    print("ready", flush=True)
    for line in sys.stdin:
        indices = rng.integers(len(dataset), size=int(line))
        start = perf_counter()
        for index in indices.tolist():
            dataset[index]
        print(perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
