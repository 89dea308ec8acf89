"""Memory of loader workers does not grow with what they have seen."""

import gc
import json
import multiprocessing
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtmo.data.coco_pose import CocoPose
from rtmo.data.datamodule import PoseDataModule
from rtmo.data.mixture import Mixture
from rtmo.phases import Phases
from rtmo.skeletons import COCO17

IMAGES, SHARE, EPOCHS = 150_000, 0.0134, 20


def source(folder):
    """So many images, all in one small file, with a person each."""
    cv2.imwrite(str(folder / "grey.jpg"), np.full((32, 32, 3), 114, dtype=np.uint8))
    for number in range(10):
        (folder / f"{'sub' * 20}{number}").symlink_to(folder)
    person = {"category_id": 1, "bbox": [4, 4, 20, 20], "keypoints": [9, 9, 2] * 17}
    content = {
        "images": [
            {"id": number, "file_name": f"{'sub' * 20}{number % 10}/grey.jpg", "height": 32, "width": 32}
            for number in range(IMAGES)
        ],
        "annotations": [{"id": number, "image_id": number, **person} for number in range(IMAGES)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }
    (folder / "people.json").write_text(json.dumps(content))
    return CocoPose(name="many", annotation_file=folder / "people.json", image_dir=folder, skeleton=COCO17)


def memory_of_workers():
    """Proportional share of all loader workers, MB."""
    rollups = (Path(f"/proc/{child.pid}/smaps_rollup").read_text() for child in multiprocessing.active_children())
    return sum(int(line.split()[1]) for text in rollups for line in text.splitlines() if line.startswith("Pss:")) / 1024


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")  # to check them takes longer than all else
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells it")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_memory_stays_flat(tmp_path):
    many = source(tmp_path)
    data = PoseDataModule(
        train=Mixture(name="share", sources={"many": many}, ratios={"many": SHARE}),
        val=many,
        image_size=(32, 32),
        batch_size=32,
        num_workers=2,
        seed=0,
        phases=Phases(),
        augment={"main": {}, "light": {}},
    )
    data.max_epochs = EPOCHS
    loader, memory = data.train_dataloader(), []
    gc.collect()
    gc.freeze()  # else the collector of this process writes into the pages that it shares with the workers, once
    for epoch in range(EPOCHS):
        loader.sampler.set_epoch(epoch)
        for _ in loader:
            pass
        memory.append(memory_of_workers())
    gc.unfreeze()
    # Lists of names, rows and regions in place of packed arrays would add 50 MB; up to 12 MB are the interpreter's.
    assert max(memory[2:]) - memory[1] < 16, " ".join(f"{value:.1f}" for value in memory)
