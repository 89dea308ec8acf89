from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
import torch
from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from torch.utils.data import DataLoader

from rtmo.drawing import SIDE_COLOURS
from rtmo.skeletons import KeypointSet
from rtmo.training.callbacks.prediction_images import PredictionImages
from rtmo.types import Batch, Poses, Sample, Targets

PAIR = KeypointSet(
    name="pair",
    joints=("left_hand", "right_hand"),
    flip_pairs=(("left_hand", "right_hand"),),
    limbs=(("left_hand", "right_hand"),),
    oks_sigmas=(0.1, 0.1),
)
HANDS = np.array([[[48, 32], [16, 32]]], dtype=np.float32)


class Source:
    """Grey 64 px images with one person, but nobody in images whose index is divisible by three."""

    name = "grey"
    skeleton = PAIR

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def load(self, index: int, with_ignore_mask: bool = False) -> Sample:
        people = 1 if index % 3 else 0
        return Sample(
            image=np.full((64, 64, 3), 128, dtype=np.uint8),
            bboxes=np.array([[10, 20, 54, 44]], dtype=np.float32)[:people],
            keypoints=HANDS[:people],
            visibility=np.full((people, 2), 2, dtype=np.uint8),
            annotated=np.ones((people, 2), dtype=bool),
            area=np.full(people, 900, dtype=np.float32),
            image_id=1000 + index,
        )


def batch_of(image_ids: list[int]) -> Batch:
    count = len(image_ids)
    empty = Targets(
        bboxes=torch.zeros(count, 0, 4),
        keypoints=torch.zeros(count, 0, 2, 2),
        visibility=torch.zeros(count, 0, 2, dtype=torch.uint8),
        annotated=torch.zeros(count, 0, 2, dtype=torch.bool),
        area=torch.zeros(count, 0),
        valid=torch.zeros(count, 0, dtype=torch.bool),
    )
    return Batch(
        images=torch.zeros(count, 3, 64, 64),
        targets=empty,
        ignore_mask=None,
        image_ids=image_ids,
        warps=torch.eye(2, 3).repeat(count, 1, 1),
        original_sizes=torch.full((count, 2), 64),
    )


def found(score: float = 0.9) -> Poses:
    return Poses(
        bboxes=torch.tensor([[10.0, 20, 54, 44]]),
        scores=torch.tensor([score]),
        keypoints=torch.from_numpy(HANDS) + torch.tensor([0.0, 10]),
        keypoint_scores=torch.full((1, 2), 0.9),
    )


def fake_trainer(folder: Path, val_images: int = 12, **changes: Any) -> Mock:
    settings = {
        "default_root_dir": str(folder),
        "datamodule": SimpleNamespace(val_source=Source(val_images), val_batch_size=2),
        "num_val_batches": [6],
        "world_size": 1,
        "is_global_zero": True,
        "sanity_checking": False,
        "current_epoch": 0,
        "global_step": 7,
        "loggers": [],
        "state": SimpleNamespace(fn="fit"),
    }
    return Mock(spec=Trainer, **(settings | changes))


def validate(callback: PredictionImages, trainer: Mock, score: float = 0.9) -> None:
    """Calls the hooks of one validation with the images that rank zero sees."""
    module = Mock(spec=LightningModule)
    indices = range(0, len(trainer.datamodule.val_source), trainer.world_size)[: 2 * trainer.num_val_batches[0]]
    callback.on_validation_epoch_start(trainer, module)
    for number, start in enumerate(range(0, len(indices), 2)):
        batch = batch_of([1000 + index for index in indices[start : start + 2]])
        callback.on_validation_batch_end(trainer, module, [found(score) for _ in batch.image_ids], batch, number)
    callback.on_validation_epoch_end(trainer, module)


def count(image: np.ndarray, side: str) -> int:
    return int((image == SIDE_COLOURS[side]).all(axis=2).sum())


def test_writes_a_sheet_after_every_validation_and_one_at_the_end(tmp_path):
    callback, trainer = PredictionImages(num_images=4, height=128), fake_trainer(tmp_path)
    validate(callback, trainer)
    trainer.current_epoch = 12
    validate(callback, trainer, score=0.1)
    callback.on_fit_end(trainer, Mock(spec=LightningModule))
    paths = sorted((tmp_path / "images").iterdir())
    assert [path.name for path in paths] == ["epoch_000.png", "epoch_012.png", "final.png"]
    first, last, final = (cv2.imread(str(path)) for path in paths)
    assert first.shape[0] > 2 * 128  # 4 panels in 2 columns
    assert first.shape[1] > 4 * 128
    assert count(first, "left") > count(last, "left") > 0  # ground truth, but nothing predicted above the threshold
    np.testing.assert_array_equal(last, final)


def test_images_of_further_data_sets_stay_out_of_the_sheet(tmp_path):
    callback, trainer, module = PredictionImages(num_images=1), fake_trainer(tmp_path), Mock(spec=LightningModule)
    callback.on_validation_epoch_start(trainer, module)
    (image_id,) = callback._samples
    callback.on_validation_batch_end(trainer, module, [found(0.9)], batch_of([image_id]), 0, dataloader_idx=1)
    callback.on_validation_epoch_end(trainer, module)
    assert not (tmp_path / "images").exists()  # another set numbers its images alike


def test_images_are_spread_evenly_and_show_people(tmp_path):
    callback = PredictionImages(num_images=4)
    validate(callback, fake_trainer(tmp_path))
    assert list(callback._samples) == [1001, 1004, 1007, 1010]  # one of 0-2, 3-5, ...; 0, 3, ... show nobody


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_val_batches": [2]}, [1001, 1002]),  # a limited validation shows images 0 to 3 only
        ({"world_size": 2}, [1002, 1008]),  # rank zero sees 0, 2, 4, ...
        ({"val_images": 1, "num_val_batches": [1]}, [1000]),  # nobody anywhere
    ],
)
def test_only_images_that_rank_zero_validates_are_chosen(tmp_path, changes, expected):
    callback = PredictionImages(num_images=2)
    validate(callback, fake_trainer(tmp_path, **changes))
    assert list(callback._samples) == list(callback._found) == expected


@pytest.mark.parametrize(
    "changes", [{"is_global_zero": False}, {"sanity_checking": True}, {"state": SimpleNamespace(fn="validate")}]
)
def test_silent_on_other_ranks_in_the_sanity_check_and_outside_training(tmp_path, changes):
    callback, trainer = PredictionImages(), fake_trainer(tmp_path, **changes)
    validate(callback, trainer)
    callback.on_fit_end(trainer, Mock(spec=LightningModule))
    assert list(tmp_path.iterdir()) == []


def test_wandb_gets_the_sheet_in_rgb_and_csv_nothing(tmp_path):
    wandb = Mock(spec=WandbLogger)
    validate(PredictionImages(), fake_trainer(tmp_path, loggers=[CSVLogger(tmp_path), wandb]))
    (key, (image,)), options = wandb.log_image.call_args
    assert (key, options) == ("val/predictions", {"step": 7})
    np.testing.assert_array_equal(image[..., ::-1], cv2.imread(str(tmp_path / "images" / "epoch_000.png")))


class TinyData(LightningDataModule):
    val_source = Source(5)
    val_batch_size = 2

    def train_dataloader(self) -> DataLoader:
        return DataLoader([0, 1], batch_size=1)

    def val_dataloader(self) -> DataLoader:
        ids = [1000 + index for index in range(5)]
        return DataLoader(ids, batch_size=2, collate_fn=lambda some: batch_of(list(some)))


class TinyModule(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.weight**2

    def validation_step(self, batch: Batch, batch_idx: int) -> list[Poses]:
        return [found() for _ in batch.image_ids]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*LeafSpec:FutureWarning",  # Lightning 2.6 on torch 2.13
)
def test_with_lightning_and_tensorboard(tmp_path):
    trainer = Trainer(
        default_root_dir=tmp_path,
        max_epochs=2,
        accelerator="cpu",
        callbacks=[PredictionImages(num_images=3, height=96)],
        logger=TensorBoardLogger(tmp_path, name="board", version=""),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(TinyModule(), datamodule=TinyData())
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert names == ["epoch_000.png", "epoch_001.png", "final.png"]
    assert b"val/predictions" in next((tmp_path / "board").glob("events*")).read_bytes()
