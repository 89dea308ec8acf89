import json
from unittest.mock import Mock

import torch
from lightning import LightningModule, Trainer

from rtmo.skeletons import COCO17
from rtmo.training.callbacks.run_record import RunRecord
from rtmo.training.callbacks.wandb_records import WandbRecords

SECRET = "s3cr3t"
CONFIG = {"logger": {"wandb": {"api_key": SECRET}}, "data": {"shards": f"https://me:{SECRET}@example.org/set"}}


def test_secrets_reach_neither_files_nor_checkpoints_nor_wandb(tmp_path):
    strategy = Mock(root_device=torch.device("cpu"))
    trainer = Mock(spec=Trainer, default_root_dir=str(tmp_path), world_size=1, strategy=strategy)
    record, checkpoint = RunRecord(config=CONFIG, skeleton=COCO17, overrides=["seed=1"]), {}
    record.on_fit_start(trainer, Mock(spec=LightningModule))
    record.on_save_checkpoint(trainer, Mock(spec=LightningModule), checkpoint)
    sent = WandbRecords(config=CONFIG, skeleton=COCO17, log_model=True).config
    written = [(tmp_path / name).read_text() for name in ("config.yaml", "environment.json")]
    for text in (*written, json.dumps(checkpoint), json.dumps(sent)):
        assert SECRET not in text
    assert "https://***@example.org/set" in written[0]
    assert CONFIG["logger"]["wandb"]["api_key"] == SECRET, "the run itself needs it"
