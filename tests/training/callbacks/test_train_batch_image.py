from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import cv2
import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger

from rtmo.drawing import SIDE_COLOURS
from rtmo.skeletons import COCO17
from rtmo.training.callbacks.train_batch_image import TrainBatchImage
from rtmo.types import Batch, Targets


def batch_of(people: list[int], ignored: bool = False) -> Batch:
    """Grey 64 px images with so many labeled people each, padded to the fullest."""
    count, slots = len(people), max(1, *people)
    valid = torch.arange(slots)[None] < torch.tensor(people)[:, None]
    keypoints = torch.from_numpy(np.random.default_rng(0).uniform(8, 56, (count, slots, 17, 2))).float()
    targets = Targets(
        bboxes=torch.tensor([4.0, 4, 60, 60]).repeat(count, slots, 1),
        keypoints=keypoints,
        visibility=torch.full((count, slots, 17), 2, dtype=torch.uint8),  # of padding too: only valid counts
        annotated=torch.ones(count, slots, 17, dtype=torch.bool),
        area=torch.full((count, slots), 900.0),
        valid=valid,
    )
    mask = torch.ones(count, 64, 64, dtype=torch.bool) if ignored else None
    sizes = torch.full((count, 2), 64)
    images = torch.full((count, 3, 64, 64), 128, dtype=torch.uint8)
    return Batch(images, targets, mask, list(range(count)), torch.eye(2, 3).repeat(count, 1, 1), sizes)


def start(folder: Path, batch: Batch, callback: TrainBatchImage | None = None, **changes) -> Mock:
    logger = Mock(spec=WandbLogger)
    settings = {
        "default_root_dir": str(folder),
        "datamodule": SimpleNamespace(train_source=SimpleNamespace(skeleton=COCO17)),
        "is_global_zero": True,
        "current_epoch": 0,
        "global_step": 0,
        "loggers": [logger],
    }
    trainer = Mock(spec=Trainer, **(settings | changes))
    (callback or TrainBatchImage()).on_train_batch_start(trainer, Mock(spec=LightningModule), batch, 0)
    return logger


def marks(picture: np.ndarray, side: str) -> int:
    return int((picture == SIDE_COLOURS[side]).all(axis=2).sum())


def test_shows_the_people_of_the_batch_and_logs_the_picture(tmp_path):
    logger = start(tmp_path, batch_of([1, 2]))
    picture = cv2.imread(str(tmp_path / "images" / "train_batch.png"))
    left, right = picture[:, : picture.shape[1] // 2], picture[:, picture.shape[1] // 2 :]
    assert marks(left, "left") > 0
    assert marks(right, "left") > 1.2 * marks(left, "left")
    (key, (image,)), options = logger.log_image.call_args
    assert (key, options) == ("train/batch", {"step": 0})
    np.testing.assert_array_equal(image[..., ::-1], picture)


def test_padding_is_nobody(tmp_path):
    start(tmp_path, batch_of([0, 1]))
    picture = cv2.imread(str(tmp_path / "images" / "train_batch.png"))[60:]  # below the legend
    assert marks(picture[:, : picture.shape[1] // 2], "left") == 0


def test_ignored_regions_are_hatched(tmp_path):
    start(tmp_path / "plain", batch_of([0]))
    start(tmp_path / "hatched", batch_of([0], ignored=True))
    plain, hatched = (cv2.imread(str(tmp_path / name / "images" / "train_batch.png")) for name in ("plain", "hatched"))
    assert (plain != hatched).any(axis=2).mean() > 0.5


def test_only_the_first_batch_and_so_many_images(tmp_path):
    callback = TrainBatchImage(num_images=2, columns=1, height=64)
    start(tmp_path, batch_of([1, 1, 1]), callback)
    written = cv2.imread(str(tmp_path / "images" / "train_batch.png"))
    assert written.shape[0] < 3 * 64 + 36
    assert not start(tmp_path, batch_of([0]), callback).log_image.called


def test_other_ranks_are_silent(tmp_path):
    assert not start(tmp_path, batch_of([1]), is_global_zero=False).log_image.called
    assert list(tmp_path.iterdir()) == []
