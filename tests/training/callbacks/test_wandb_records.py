"""Without a W&B run; tests/integration/test_wandb_run.py reads one back."""

from contextlib import nullcontext
from unittest.mock import Mock

import pytest
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from rtmo.skeletons import COCO17
from rtmo.training.callbacks.wandb_records import WandbRecords
from rtmo.training.module import PoseModule
from rtmo.training.wandb_logger import RunWandbLogger
from rtmo.types import Batch


def records(log_model: bool = True) -> WandbRecords:
    return WandbRecords(config={"seed": 3}, skeleton=COCO17, log_model=log_model)


def trainer_with(*loggers, folder, **changes) -> Mock:
    settings = {"is_global_zero": True, "loggers": list(loggers), "default_root_dir": str(folder)}
    return Mock(spec=Trainer, **(settings | changes))


@pytest.fixture
def checkpoint(tmp_path):
    callback = ModelCheckpoint(monitor="val/AP")
    path = tmp_path / "best.ckpt"
    path.write_bytes(b"weights")
    callback.best_model_path, callback.best_model_score = str(path), 0.5
    return callback


def test_an_interrupted_run_keeps_its_checkpoints(tmp_path, checkpoint, monkeypatch):
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path))
    logger = Mock(spec=RunWandbLogger, outlived=nullcontext)
    logger.experiment.id = "abc"
    unused = ModelCheckpoint()  # has written nothing yet
    trainer = trainer_with(logger, folder=tmp_path, checkpoint_callbacks=[checkpoint, unused])
    records().on_exception(trainer, Mock(spec=PoseModule), KeyboardInterrupt())
    ((artifact,), options) = logger.experiment.log_artifact.call_args
    assert logger.experiment.log_artifact.call_count == 1
    assert options == {"aliases": ["best"]}
    assert artifact.name == "model-abc"
    assert artifact.metadata["config"] == {"seed": 3}
    assert artifact.metadata["val/AP"] == 0.5


def test_checkpoints_stay_here_if_asked(tmp_path, checkpoint):
    logger = Mock(spec=RunWandbLogger, outlived=nullcontext)
    trainer = trainer_with(logger, folder=tmp_path, checkpoint_callbacks=[checkpoint])
    records(log_model=False).on_exception(trainer, Mock(spec=PoseModule), KeyboardInterrupt())
    assert not logger.experiment.log_artifact.called


@pytest.mark.parametrize("is_global_zero", [True, False])
def test_nothing_happens_without_wandb_or_on_other_ranks(tmp_path, is_global_zero):
    wandb = Mock(spec=RunWandbLogger, outlived=nullcontext)
    loggers = [CSVLogger(tmp_path)] if is_global_zero else [wandb]
    trainer, module = trainer_with(*loggers, folder=tmp_path, is_global_zero=is_global_zero), Mock(spec=PoseModule)
    callback, checkpoint = records(), {"rtmo": {}}
    module.metrics = {}
    callback.on_fit_start(trainer, module)
    callback.on_validation_epoch_end(trainer, module)
    callback.on_train_batch_end(trainer, module, None, Mock(spec=Batch), 0)
    callback.on_save_checkpoint(trainer, module, checkpoint)
    callback.on_fit_end(trainer, module)
    assert checkpoint == {"rtmo": {}}
    assert not wandb.mock_calls
