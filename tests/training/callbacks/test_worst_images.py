import json
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
import torch
from lightning import Trainer

from rtmo.drawing import SIDE_COLOURS
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.skeletons import COCO17
from rtmo.training.callbacks.worst_images import WorstImages
from rtmo.training.module import PoseModule
from rtmo.types import Batch, Poses, Sample

POINTS = np.random.default_rng(0).uniform(10, 54, (17, 2)).astype(np.float32)
IDS = [40, 10, 30, 20]  # of images in the order of the source; the ground truth lists them in another


class Source:
    """Grey 64 px images, as bright as their index tells, with one person each."""

    skeleton = COCO17

    def load(self, index: int, with_ignore_mask: bool = False) -> Sample:
        return Sample(
            image=np.full((64, 64, 3), 60 + 40 * index, dtype=np.uint8),
            bboxes=np.array([[8, 8, 56, 56]], dtype=np.float32),
            keypoints=POINTS[None],
            visibility=np.full((1, 17), 2, dtype=np.uint8),
            annotated=np.ones((1, 17), dtype=bool),
            area=np.full(1, 1600, dtype=np.float32),
            image_id=IDS[index],
        )

    def ground_truth(self):
        flat = np.column_stack([POINTS, np.full(17, 2)]).ravel().tolist()
        person = {"category_id": 1, "keypoints": flat, "bbox": [8, 8, 48, 48], "area": 1600}
        return {
            "images": [{"id": image_id} for image_id in sorted(IDS)],
            "annotations": [{**person, "id": number + 1, "image_id": IDS[number]} for number in range(4)],
            "categories": [{"id": 1}],
        }


def found(*offsets: float) -> Poses:
    """People so many px beside the annotated one."""
    count = len(offsets)
    points = torch.from_numpy(POINTS) + torch.tensor(offsets).view(-1, 1, 1)
    return Poses(torch.zeros(count, 4), torch.ones(count), points, torch.ones(count, 17))


@pytest.fixture
def fit(tmp_path):
    """Calls the hooks of two validations; the predictions of the second are given by image id."""

    def run(offsets: dict[int, float | None], shown: list[list[int]] | None = None, **changes) -> Path:
        callback = WorstImages(**changes)
        shown = [IDS] if shown is None else shown  # by rank; this one is the first
        metric = CocoKeypointAP(ground_truth=Source().ground_truth(), skeleton=COCO17)
        module = Mock(spec=PoseModule, metrics={"val": metric}, all_gather=lambda _: torch.tensor(shown))
        data = SimpleNamespace(val_source=Source())
        trainer = Mock(spec=Trainer, default_root_dir=str(tmp_path), datamodule=data, world_size=len(shown))
        trainer.sanity_checking, trainer.is_global_zero = False, True
        for predictions in ({}, offsets):
            callback.on_validation_epoch_start(trainer, module)
            for image_id in shown[0]:
                callback.on_validation_batch_end(trainer, module, [], Mock(spec=Batch, image_ids=[image_id]), 0)
            callback.on_validation_batch_end(trainer, module, [], Mock(spec=Batch, image_ids=[77]), 0, dataloader_idx=1)
            metric.reset()
            poses = [found() if offset is None else found(offset) for offset in predictions.values()]
            metric.update(list(predictions), poses)
            callback.on_validation_end(trainer, module)
        return tmp_path / "images"

    return run


def brightness(file: Path) -> int:
    return int(np.median(cv2.imread(str(file))[:, :100]))


def test_the_worst_come_first_with_their_numbers_and_pictures(fit):
    images = fit({40: 0.0, 10: 6.0, 30: 1.0, 20: 500.0}, num_images=3)
    listed = json.loads((images / "worst.json").read_text())
    assert [entry["file"] for entry in listed] == ["worst/00_20.png", "worst/01_10.png", "worst/02_30.png"]
    assert [entry["oks"] for entry in listed] == sorted(entry["oks"] for entry in listed)
    assert listed[0] == {
        **{"file": "worst/00_20.png", "image_id": 20, "people": 1, "found": 0, "oks": 0.0},
        **{"missed": 1, "false_positives": 1},
    }
    assert sorted(file.name for file in (images / "worst").iterdir()) == ["00_20.png", "01_10.png", "02_30.png"]
    assert [brightness(images / entry["file"]) for entry in listed] == [180, 100, 140]  # of images 3, 1 and 2
    right_half = cv2.imread(str(images / "worst" / "01_10.png"))[:, 365:]
    assert (right_half[60:] == SIDE_COLOURS["left"]).all(axis=2).sum() > 50  # the prediction is drawn


def test_images_of_other_ranks_are_found(fit):
    """Two ranks saw images 0, 2 and 1, 3 of the source."""
    images = fit({20: 500.0, 10: 6.0}, shown=[[40, 30], [10, 20]])
    listed = json.loads((images / "worst.json").read_text())
    assert [brightness(images / entry["file"]) for entry in listed] == [180, 100]


def test_an_image_without_predictions_is_drawn_too(fit):
    images = fit({10: 0.0, 30: None})
    worst = json.loads((images / "worst.json").read_text())[0]
    assert (worst["image_id"], worst["missed"], worst["false_positives"]) == (30, 1, 0)
    assert brightness(images / worst["file"]) == 140


def test_an_image_that_was_dealt_twice_is_where_it_was_first(fit):
    images = fit({40: 500.0, 10: 6.0}, shown=[[40, 30], [10, 40]])
    listed = json.loads((images / "worst.json").read_text())
    assert [brightness(images / entry["file"]) for entry in listed] == [60, 100]


def test_a_run_that_only_checked_its_validation_has_no_worst_images(tmp_path):
    callback, module = WorstImages(), Mock(spec=PoseModule)
    trainer = Mock(spec=Trainer, sanity_checking=True, default_root_dir=str(tmp_path))
    callback.on_validation_end(trainer, module)
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_the_validation_before_are_gone(fit):
    fit({40: 500.0, 10: 6.0})
    images = fit({30: 500.0})
    assert [file.name for file in (images / "worst").iterdir()] == ["00_30.png"]
