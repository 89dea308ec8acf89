"""Sweeps of real trainings, of which one fails, that are killed, and in parallel: nothing is lost."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from rtmo.config import compose, validate
from rtmo.errors import EXIT_INPUT_ERROR
from rtmo.skeletons import COCO17
from rtmo.train import KEYS
from rtmo.training.assembly import build_module

SIZE = ("model=rtmo_n", "model.widen_factor=0.125", "data=synthetic", "image_size=[64,64]")
TINY = (
    *(
        *SIZE,
        "trainer=cpu",
        "data.train.num_images=8",
        "data.val.num_images=3",
        "data.batch_size=2",
        "nominal_batch=null",
    ),
    *("data.num_workers=0", "trainer.max_epochs=6", "trainer.check_val_every_n_epoch=1", "trainer.log_every_n_steps=1"),
)


def command(*arguments: str) -> list[str]:
    sweep = ("-m", "hydra.sweep.dir=sweep", "optimized_metric=val/AP")
    return [sys.executable, "-m", "rtmo.train", *sweep, *TINY, *arguments]


def write_weights(file: Path, seed: int) -> None:
    torch.manual_seed(seed)
    cfg = validate(compose("train", [*SIZE, "paths.output_dir=out"]), "train", KEYS)
    torch.save({"state_dict": build_module(cfg, COCO17).model.state_dict()}, file)


def kill_when_there_is(file: Path, process: subprocess.Popen) -> None:
    while not file.is_file():
        assert process.poll() is None, "the sweep ended before it could be killed"
        time.sleep(0.01)
    process.kill()
    process.wait()


def jobs(sweep: Path) -> list[dict]:
    return [json.loads((sweep / str(number) / "job.json").read_text()) for number in range(4)]


@pytest.mark.slow
def test_four_jobs_of_which_one_fails_and_all_are_killed_end_with_four_results(tmp_path):
    """Every job starts from weights of its own; those of the second are missing at first."""
    for number in (0, 2, 3):
        write_weights(tmp_path / f"{number}.pth", seed=number)
    line = command("pretrained=0.pth,1.pth,2.pth,3.pth")
    sweep = tmp_path / "sweep"
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kill_when_there_is(sweep / "3" / "checkpoints" / "last.ckpt", process)
    assert [job["state"] for job in jobs(sweep)] == ["done", "refused", "done", "stopped"]
    assert "1.pth: no such file" in (sweep / "1" / "error.txt").read_text()
    before = {number: (sweep / number / "summary.json").stat().st_mtime_ns for number in ("0", "2")}

    write_weights(tmp_path / "1.pth", seed=1)
    again = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert [job["state"] for job in jobs(sweep)] == ["done"] * 4
    assert {number: (sweep / number / "summary.json").stat().st_mtime_ns for number in before} == before
    assert again.stdout.count("the run is finished, and is not done again") == 2
    assert again.stdout.count("the run was stopped, and goes on from checkpoints/last.ckpt") == 1
    for number, job in enumerate(jobs(sweep)):
        summary = json.loads((sweep / str(number) / "summary.json").read_text())
        assert (summary["epochs"], summary["steps"]) == (6, 24)
        assert summary["metrics"]["val/AP"] == job["value"]
        with (sweep / str(number) / "metrics.csv").open() as lines:
            steps = [int(row["step"]) for row in csv.DictReader(lines) if row["train/loss"]]
        assert steps == list(range(24))
        record = yaml.safe_load((sweep / str(number) / "config.yaml").read_text())
        assert record["ckpt_path"] is None  # as the command said, though the last one went on from a checkpoint
    assert not list(sweep.rglob("error.txt"))

    report = [sys.executable, "-m", "rtmo.report", "runs=sweep", "output=report"]
    subprocess.run(report, cwd=tmp_path, capture_output=True, check=True)
    rows = json.loads((tmp_path / "report" / "table.json").read_text())
    reported = [run["scores"]["AP"] for row in rows for run in row["runs"]]
    assert sorted(reported) == sorted(job["value"] for job in jobs(sweep))
    assert (tmp_path / "report" / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_parallel_jobs_share_the_cores_and_survive_each_other(tmp_path, launcher):
    parallel = (
        ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
        if launcher == "joblib"
        else (f"hydra/launcher={launcher}",)
    )
    arguments = command("pretrained=null,missing.pth", "trainer.max_epochs=1", *parallel)
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    run = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == EXIT_INPUT_ERROR, run.stdout + run.stderr
    done, refused = (json.loads((tmp_path / "sweep" / number / "job.json").read_text()) for number in "01")
    assert (done["state"], refused["state"]) == ("done", "refused")
    assert "missing.pth" in (tmp_path / "sweep" / "1" / "error.txt").read_text()
    assert "2 jobs in sweep" in run.stdout
    if launcher == "joblib":
        threads = json.loads((tmp_path / "sweep" / "0" / "environment.json").read_text())["threads"]
        assert threads == max((os.cpu_count() or 1) // 2, 1)
