"""The training command in two processes."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

TINY = (
    *("experiment=demo", "trainer=ddp_cpu", "image_size=[64,64]", "model.widen_factor=0.125"),
    *("model.hidden_dim=32", "model.ffn_dim=64", "model.dcc_dim=16", "model.attention_dim=16"),
    *(
        "data.train.num_images=8",
        "data.val.num_images=3",
        "data.batch_size=2",
        "nominal_batch=null",
        "data.num_workers=0",
    ),
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


def test_a_sweep_runs_its_jobs_one_after_the_other_each_in_its_folder(tmp_path: Path) -> None:
    sweep = tmp_path / "a, (b)"
    command = [sys.executable, "-m", "rtmo.train", "-m", *TINY, "trainer.max_epochs=1", "seed=1,2"]
    done = subprocess.run(
        [*command, f"hydra.sweep.dir='{sweep}'"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert {file.name for file in tmp_path.iterdir()} == {sweep.name}
    assert {file.name for file in sweep.iterdir()} == {"0", "1", "multirun.yaml"}
    first, second = (yaml.safe_load((sweep / job / "config.yaml").read_text()) for job in "01")
    assert (first["seed"], second["seed"]) == (1, 2)
    for job in "01":
        assert json.loads((sweep / job / "summary.json").read_text())["steps"] == 2
        assert json.loads((sweep / job / "environment.json").read_text())["world_size"] == 2


def other_rank(command: int) -> int:
    """The process that a training command started for its second device."""
    children = Path(f"/proc/{command}/task/{command}/children").read_text().split()
    return next(int(child) for child in children if b"LOCAL_RANK=1" in Path(f"/proc/{child}/environ").read_bytes())


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for the process in /proc")
def test_a_rank_that_dies_ends_the_run_which_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "rtmo.train", *TINY, "trainer.max_epochs=1000", f"hydra.run.dir={folder}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as run:
        while not (folder / "metrics.csv").is_file() and run.poll() is None:
            time.sleep(0.1)
        other = other_rank(run.pid)
        os.kill(other, signal.SIGKILL)
        _, told = run.communicate(timeout=60)
    assert run.returncode == 1
    assert re.search(rf"rank 1 \(process {other}\) was killed by SIGKILL", told)
