"""The training command in two processes."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TINY = (
    *("experiment=demo", "trainer=ddp_cpu", "image_size=[64,64]", "model.widen_factor=0.125"),
    *("model.hidden_dim=32", "model.ffn_dim=64", "model.dcc_dim=16", "model.attention_dim=16"),
    *("data.train.num_images=8", "data.val.num_images=3", "data.batch_size=2", "data.num_workers=0"),
    *("trainer.check_val_every_n_epoch=1", "trainer.log_every_n_steps=1", "callbacks.worst.num_images=2"),
)


def train(folder: Path, *overrides: str) -> None:
    command = [sys.executable, "-m", "rtmo.train", *TINY, f"hydra.run.dir={folder}", *overrides]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("distributed") / "run"
    train(place, "trainer.max_epochs=2")
    return place


def test_a_run_of_two_processes_leaves_what_one_process_does(folder: Path) -> None:
    assert json.loads((folder / "summary.json").read_text())["steps"] == 4
    assert json.loads((folder / "analysis.json").read_text())["errors"]
    listed = json.loads((folder / "images" / "worst.json").read_text())
    assert {entry["file"] for entry in listed} == {f"worst/{file.name}" for file in (folder / "images/worst").iterdir()}
    assert len(listed) == 2


def test_it_goes_on_in_its_folder(folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folder, tmp_path / "run"))
    train(folder, "trainer.max_epochs=3", f"ckpt_path={folder}/checkpoints/last.ckpt")
    with (folder / "metrics.csv").open(newline="") as lines:
        steps = [row["step"] for row in csv.DictReader(lines) if row["train/loss"]]
    assert steps == ["0", "1", "2", "3", "4", "5"]
