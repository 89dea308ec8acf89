from unittest.mock import Mock

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from rtmo.training.callbacks.moved_checkpoints import MovedCheckpoints


def best_in(folder) -> ModelCheckpoint:
    return ModelCheckpoint(dirpath=folder, filename="best", monitor="val/AP", mode="max")


def go_on(earlier: ModelCheckpoint, checkpoint_in, folder) -> ModelCheckpoint:
    """What a run in a folder knows that goes on from a checkpoint."""
    now = best_in(folder)
    checkpoint = {"callbacks": {earlier.state_key: earlier.state_dict()}}
    trainer = Mock(spec=Trainer, checkpoint_callbacks=[now], ckpt_path=str(checkpoint_in / "last.ckpt"))
    MovedCheckpoints().on_load_checkpoint(trainer, Mock(spec=LightningModule), checkpoint)
    now.load_state_dict(checkpoint["callbacks"][now.state_key])
    return now


@pytest.fixture
def earlier(tmp_path):
    callback = best_in(tmp_path / "old")
    path = str(tmp_path / "old" / "best.ckpt")
    callback.best_model_path = callback.kth_best_model_path = path
    callback.best_model_score = callback.kth_value = torch.tensor(0.5)
    callback.best_k_models = {path: torch.tensor(0.5)}
    return callback


def test_the_best_of_a_moved_folder_is_still_the_best(tmp_path, earlier):
    now = go_on(earlier, tmp_path / "new", tmp_path / "new")
    path = str(tmp_path / "new" / "best.ckpt")
    assert (now.best_model_path, now.kth_best_model_path, list(now.best_k_models)) == (path, path, [path])
    assert now.best_model_score == now.kth_value == 0.5
    assert now.last_model_path == ""


@pytest.mark.filterwarnings("ignore:The dirpath has changed:UserWarning")
def test_a_new_folder_has_no_best_yet(tmp_path, earlier):
    now = go_on(earlier, tmp_path / "old", tmp_path / "new")
    assert now.best_model_score is None
    assert now.best_k_models == {}
