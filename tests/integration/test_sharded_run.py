"""Whole runs of a very small network: from files, and from the shards that the command packs of them."""

import csv
from pathlib import Path

import pytest
from coco_files import write_coco

from rtmo.config import compose, validate
from rtmo.data_commands import shard
from rtmo.skeletons import CROWDPOSE14
from rtmo.train import KEYS, train

MIX = ("data=mixture", "data.sources={coco_train: 1, crowdpose_trainval: 0.5}")
TINY = (
    "model=rtmo_n",
    "image_size=[64,64]",
    "multiscale=null",
    "trainer=cpu",
    "data.batch_size=4",
    "nominal_batch=null",
    "trainer.max_epochs=2",
    "trainer.check_val_every_n_epoch=1",
    "trainer.log_every_n_steps=1",
    "phases.refine_start=0.3",
    "phases.light_start=0.5",
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets to train on and one to validate on, where conf/source looks for them."""
    folder = tmp_path_factory.mktemp("data")
    coco, crowdpose = folder / "coco", folder / "crowdpose"
    for split, count in (("train", 12), ("val", 5)):
        write_coco(coco / f"annotations/person_keypoints_{split}2017.json", coco / f"{split}2017", count)
    write_coco(crowdpose / "annotations/mmpose_crowdpose_trainval.json", crowdpose / "images", 9, CROWDPOSE14)
    return folder


def metrics(folder: Path, *overrides: str) -> list[dict[str, str]]:
    """Trains in this process and gives what it logged, but for times."""
    train(validate(compose("train", [*MIX, *TINY, f"paths.output_dir={folder}", *overrides]), "train", KEYS))
    with (folder / "metrics.csv").open() as lines:
        return [
            {name: value for name, value in row.items() if name.startswith(("train/loss", "val/", "epoch"))}
            for row in csv.DictReader(lines)
        ]


@pytest.mark.slow
def test_losses_and_scores_from_shards_are_those_from_files(data_dir: Path, tmp_path: Path) -> None:
    output = (f"output={tmp_path / 'set'}", "paths.output_dir=out")
    packing = compose("data_shard", [*MIX, f"paths.data_dir={data_dir}", *output])
    shard.shard(validate(packing, "data_shard", shard.KEYS))
    files = metrics(tmp_path / "files", f"paths.data_dir={data_dir}", "data.num_workers=0")
    streaming = ("data.streaming=true", f"data.shards={tmp_path / 'set'}", "paths.data_dir=nowhere")
    shards = metrics(tmp_path / "shards", *streaming, "data.num_workers=2")
    assert len([row for row in files if row["train/loss"]]) == 6
    assert len([row for row in files if row["val/AP"]]) == 2
    assert shards == files
