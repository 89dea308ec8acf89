import csv
import json
import os
from pathlib import Path

import pytest
import yaml
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from rtmo.errors import InputError
from rtmo.training.callbacks.run_record import environment
from rtmo.training.earlier_run import continue_run, in_folder_of, keep_rows, last_checkpoint


def config(folder: Path, **changed) -> dict:
    paths = {"output_dir": str(folder), "outputs_dir": str(folder.parent), "data_dir": "data"}
    best = {"dirpath": f"{folder}/checkpoints", "mode": "max"}
    lists = {"image_size": [64, 64], "segments": [{"until": 0.5, "shape": "cosine"}, {"until": 1.0, "shape": "flat"}]}
    quiet = {"data": {"num_workers": 2}, "callbacks": {"progress": {"line_seconds": 10}}, "logger": {"csv": {}}}
    values = {
        **quiet,
        "ckpt_path": None,
        "seed": 0,
        "rate": float("nan"),
        "images": "data/coco/train2017",
        "best": best,
        **lists,
        **changed,
    }
    return {**values, "paths": paths}


def leave_run(folder: Path, *, finished: bool, **changed) -> None:
    """What the run of a config leaves in its folder."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.ckpt").touch()
    (folder / "config.yaml").write_text(yaml.safe_dump(config(folder, **changed)))
    if finished:
        (folder / "summary.json").write_text(json.dumps({"metrics": {"val/AP": 0.25}}))


def test_a_new_folder_starts_a_new_run(tmp_path):
    cfg = config(tmp_path)
    (tmp_path / "config.yaml").write_text("seed: 7")  # of a run that was stopped before its first checkpoint
    assert continue_run(cfg) is None
    assert cfg["ckpt_path"] is None


def test_a_stopped_run_goes_on(tmp_path):
    leave_run(tmp_path / "run", finished=False)
    cfg = config(tmp_path / "run")
    assert continue_run(cfg) is None
    assert cfg["ckpt_path"] == str(tmp_path / "run" / "checkpoints" / "last.ckpt")
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(cfg))
    assert continue_run(config(tmp_path / "run")) is None  # nor is what it went on from another config


def test_a_finished_run_gives_its_metrics_wherever_it_is_now(tmp_path):
    leave_run(tmp_path / "run", finished=True)
    (tmp_path / "run").rename(tmp_path / "moved")
    cfg = config(tmp_path / "moved")
    cfg["paths"]["data_dir"], cfg["images"] = "/mnt/data", "/mnt/data/coco/train2017"
    assert continue_run(cfg) == {"val/AP": 0.25}
    assert cfg["ckpt_path"] is None


def test_what_does_not_change_the_network_may_be_other(tmp_path):
    leave_run(tmp_path / "run", finished=True)
    callbacks = {"progress": None, "last": {"every_minutes": 5}}
    quiet = {"data": {"num_workers": 8}, "callbacks": callbacks, "logger": {"wandb": {"project": "rtmo"}}}
    quiet["trainer"] = {"max_time": "00:12:00:00"}
    assert continue_run(config(tmp_path / "run", **quiet)) == {"val/AP": 0.25}


def test_a_run_of_other_code_is_used_with_a_warning(tmp_path, caplog):
    leave_run(tmp_path / "run", finished=True)
    now = environment()
    file = tmp_path / "run" / "environment.json"
    file.write_text(json.dumps({**now, "threads": 64}))
    assert continue_run(config(tmp_path / "run")) == {"val/AP": 0.25}
    assert not caplog.records
    file.write_text(json.dumps({**now, "commit": "abc", "packages": {**now["packages"], "torch": "1.0"}}))
    assert continue_run(config(tmp_path / "run")) == {"val/AP": 0.25}
    (warning,) = caplog.records
    assert f"other code (commit abc there, {now['commit']} now; torch 1.0 there, " in warning.message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 1}, r"run: holds a run with other options: seed \(0 there, 1 now\); give the sweep a new folder"),
        ({"ckpt_path": "other.ckpt"}, r"ckpt_path \(None there, 'other.ckpt' now\)"),
        ({"rate": 0.1}, r"rate \(nan there, 0.1 now\)"),
        ({"more": None}, r"more \(missing there, None now\)"),
        ({"image_size": [64, 96]}, r"image_size.1 \(64 there, 96 now\)"),
        ({"images": "other/coco/train2017"}, r"images \('\$\{paths.data_dir\}/coco/train2017' there, 'other/"),
        ({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}, r"a \(.*, b \(.*, c \([^,]*, 3 now\) and 2 more;"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_another_run_is_refused(tmp_path, finished, changed, message):
    leave_run(tmp_path / "run", finished=finished)
    with pytest.raises(InputError, match=message):
        continue_run(config(tmp_path / "run", **changed))


@pytest.mark.filterwarnings("ignore:Experiment logs directory:UserWarning")
def test_rows_of_earlier_steps_are_kept(tmp_path):
    def logger() -> CSVLogger:
        return CSVLogger(tmp_path, name="", version="")

    first = logger()
    for step in range(4):
        first.log_metrics({"loss": 1.0 - step / 10}, step)
        first.save()
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("0.")  # it was stopped while writing
    again = logger()
    keep_rows(again, 2)
    again.log_metrics({"loss": 0.5, "val/AP": 0.1}, 2)
    again.save()
    with (tmp_path / "metrics.csv").open() as lines:
        rows = [(int(row["step"]), row["loss"], row["val/AP"]) for row in csv.DictReader(lines)]
    assert rows == [(0, "1.0", ""), (1, "0.9", ""), (2, "0.5", "0.1")]


def test_without_a_file_there_are_no_rows_to_keep(tmp_path):
    keep_rows(CSVLogger(tmp_path, name="", version=""), 2)
    assert not (tmp_path / "metrics.csv").exists()


def test_other_ranks_leave_the_rows_alone(tmp_path, monkeypatch):
    (tmp_path / "metrics.csv").write_text("step,loss\n0,1.0\n")
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    keep_rows(CSVLogger(tmp_path, name="", version=""), 2)
    assert (tmp_path / "metrics.csv").read_text() == "step,loss\n0,1.0\n"


def test_a_checkpoint_of_another_run_is_known_by_its_folder(tmp_path):
    cfg = config(tmp_path / "sweep" / "1")
    assert not in_folder_of(cfg)
    assert in_folder_of({**cfg, "ckpt_path": str(tmp_path / "sweep" / "1" / "checkpoints" / "last.ckpt")})
    assert not in_folder_of({**cfg, "ckpt_path": str(tmp_path / "sweep" / "0" / "checkpoints" / "last.ckpt")})


def test_the_last_checkpoint_is_the_newest_of_the_name(tmp_path):
    def leave(folder: str, second: int, name: str = "last.ckpt") -> Path:
        file = tmp_path / "mine" / folder / "checkpoints" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (second, second))
        return file

    paths = {"outputs_dir": str(tmp_path), "output_dir": str(tmp_path / "mine" / "now")}
    cfg = {"name": "mine", "paths": paths}
    with pytest.raises(InputError, match=r"ckpt_path=last: no checkpoint in .*mine/\*/checkpoints; give the file"):
        last_checkpoint(cfg, folder_is_given=False)
    older, newer = leave("a", 100), leave("b", 200, "previous.ckpt")
    leave("c", 300, "best.ckpt")
    assert last_checkpoint(cfg, folder_is_given=False) == str(newer)
    os.utime(older, (400, 400))
    assert last_checkpoint(cfg, folder_is_given=False) == str(older)
    assert last_checkpoint(cfg, folder_is_given=True) is None  # the first start of a job that is started again
    own = leave("now", 50)
    assert last_checkpoint(cfg, folder_is_given=True) == last_checkpoint(cfg, folder_is_given=False) == str(own)


@pytest.mark.filterwarnings("ignore:Experiment logs directory:UserWarning")
def test_a_validation_that_is_done_again_is_logged_once(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,train/loss,val/AP\n0,3.0,\n0,,0.1\n1,2.0,\n1,,0.2\n2,1.0,\n")
    keep_rows(CSVLogger(tmp_path, name="", version=""), 2, count=3)
    assert (tmp_path / "metrics.csv").read_text().split() == ["step,train/loss,val/AP", "0,3.0,", "0,,0.1", "1,2.0,"]


def test_a_run_whose_config_had_a_secret_goes_on(tmp_path):
    shards = {"data": {"num_workers": 2, "shards": "https://me:s3cr3t@example.org/set"}}
    starred = {"data": {"num_workers": 2, "shards": "https://***@example.org/set"}}
    leave_run(tmp_path / "run", finished=False, **starred)
    assert continue_run(config(tmp_path / "run", **shards)) is None
