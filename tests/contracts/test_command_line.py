"""Exit codes and messages of the entry points, as a shell sees them."""

import json
import os
import subprocess
import sys
from unittest.mock import Mock

import pytest
import torch
from coco_files import write_coco
from hydra._internal.hydra import Hydra
from hydra.errors import ConfigCompositionException
from networks import reference_state, save_reference, small_rtmo

from rtmo import convert, evaluate, predict, train
from rtmo.config import conf_dir
from rtmo.data_commands import convert as data_convert
from rtmo.data_commands import get as data_get
from rtmo.data_commands import shard as data_shard
from rtmo.errors import EXIT_INTERRUPTED, InputError, RunError
from rtmo.report import __main__ as report
from rtmo.training.callbacks.stop_requests import RunStopped

TINY = ("model=rtmo_n", "data=synthetic", "trainer=cpu", "image_size=[64,64]", "data.train.num_images=4")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["optimizer.lrr=1"], "optimizer.lrr: no such key; did you mean 'lr'?"),
        (["experiment=true"], "experiment=true: no such choice; experiment may be demo,"),
        (["model=rtmo_x"], "model=rtmo_x: no such choice; model may be rtmo_l, rtmo_m,"),
        (["recipe=quick"], "say recipe=fast"),
        (["image_size=[100,64]"], "image_size must be (height, width) in multiples of 32, got 100 x 64"),
        (["skeleton=coco18"], "skeleton='coco18' is not a built-in keypoint set"),
        (["ckpt_path=nowhere.ckpt"], "ckpt_path=nowhere.ckpt: no such file"),
        (["pretrained=yes"], "pretrained=yes: neither a file nor a published model"),
        (["pretrained=nowhere.pth"], "pretrained=nowhere.pth: no such file"),
        (["seed=x"], "seed: expected a whole number"),
        (["ablation=kld,dcc"], "ablation=kld,dcc: several values need -m, a run for each of them; a list is written"),
        (["nominal_batch=often"], "nominal_batch: expected a number of images, auto or null, got 'often'"),
        (["optimized_metric=AP"], "optimized_metric=AP: no metric has such a name; give one of val/"),
        (["criterion.assigner.topk=0"], "criterion.assigner: topk must be"),
    ],
)
def test_what_cannot_be_used_ends_with_one_message_and_exit_code_2(call, tmp_path, arguments, message):
    code, _, stderr = call(train.main, *TINY, *arguments)
    assert code == 2
    assert message in stderr
    assert "Traceback" not in stderr
    assert stderr.startswith("error: ")
    assert len(stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("*.ckpt"))


class Planted:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("planted",)


def half_a_checkpoint(path):
    torch.save({"state_dict": {"w": torch.rand(200, 200)}}, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


UNUSABLE = {
    "planted": (lambda path: torch.save({"w": Planted()}, path), "weights.pth: asks for posix.mkdir beside tensors"),
    "half": (half_a_checkpoint, "weights.pth: no weights, damaged or cut short"),
    "page": (lambda path: path.write_text("<!DOCTYPE html><title>404</title>"), "weights.pth: a web page, not weights"),
    "detector": (
        lambda path: torch.save({"state_dict": {"bbox_head.w": torch.ones(1)}}, path),
        "weights.pth: weights of a detector, not of an RTMO; its backbone can start a training: pretrained=...",
    ),
}


@pytest.mark.parametrize("kind", UNUSABLE)
@pytest.mark.parametrize(
    ("entry", "arguments"),
    [
        (evaluate.main, ["checkpoint=weights.pth"]),
        (convert.main, ["input=weights.pth", "output=out.pth", "to=rtmo"]),
    ],
    ids=["evaluate", "convert"],
)
def test_files_that_are_no_weights_get_one_line(call, tmp_path, entry, arguments, kind):
    write, message = UNUSABLE[kind]
    write(tmp_path / "weights.pth")
    code, _, stderr = call(entry, *arguments)
    assert code == 2
    assert stderr.startswith(f"error: {message}")
    assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "planted").exists()
    assert not (tmp_path / "out.pth").exists()


def test_converting_leaves_nothing_but_what_was_asked_for(call, tmp_path):
    save_reference(tmp_path / "published.pth", reference_state(small_rtmo()), optimizer={})
    code, stdout, stderr = call(convert.main, "input=published.pth", "output=new/ours.pth", "to=rtmo", "report=r.json")
    assert (code, stderr) == (0, "")
    assert stdout.startswith("new/ours.pth (")
    assert "beside the weights, not used: meta, optimizer" in stdout
    less = {name: value for name, value in reference_state(small_rtmo()).items() if "kpt_reg" not in name}
    save_reference(tmp_path / "less.pth", less)
    code, stdout, _ = call(convert.main, "input=less.pth", "output=new/theirs.pth", "to=mmpose")
    assert (code, "WARNING: less.pth: lacks head.proxy_out" in stdout) == (0, True)
    names = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert names == {"published.pth", "less.pth", "r.json", "new/ours.pth", "new/theirs.pth"}


def test_shards_are_packed_once(call, tmp_path):
    for split in ("train", "val"):
        file = tmp_path / f"coco/annotations/person_keypoints_{split}2017.json"
        write_coco(file, tmp_path / f"coco/{split}2017", 4)
    code, stdout, stderr = call(data_shard.main, "data=coco", "paths.data_dir=.", "output=set")
    assert (code, stderr) == (0, "")
    assert "set/coco_train2017  3 images in 1 shards, " in stdout
    assert "set/coco_val2017  4 images in 1 shards, " in stdout
    code, _, stderr = call(data_shard.main, "data=coco", "paths.data_dir=.", "output=set")
    assert (code, stderr) == (
        2,
        "error: output=set: there is a shard set; choose a new folder, or say overwrite=true\n",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coco", "set"]


def test_missing_data_is_named_with_the_way_out(call):
    code, _, stderr = call(train.main, "paths.data_dir=nowhere")
    assert code == 2
    assert "data.train: " in stderr
    assert "there is no file nowhere/coco/annotations/person_keypoints_train2017.json" in stderr
    assert "data=synthetic" in stderr


def test_a_mistake_of_ours_keeps_its_traceback_and_exits_with_1(call, monkeypatch):
    def broken(*_args, **_kwargs):
        raise KeyError("our mistake")

    monkeypatch.setattr(train, "train", broken)
    with pytest.raises(KeyError, match="our mistake"):  # Python prints it and exits with 1
        call(train.main, *TINY)


def failed(*_args, **_kwargs):
    raise RunError("metrics.csv: cannot be written; make room")


def test_a_run_that_fails_for_reasons_of_the_machine_ends_with_one_message_and_exit_code_1(call, monkeypatch):
    monkeypatch.setattr(train, "train", failed)
    assert call(train.main, *TINY) == (1, "", "error: metrics.csv: cannot be written; make room\n")


def test_a_run_that_is_stopped_before_it_saved_anything_goes_on_where_it_came_from(call, monkeypatch, tmp_path):
    monkeypatch.setattr(train, "train", Mock(side_effect=RunStopped("SIGTERM", None)))
    (tmp_path / "mine").mkdir()
    own = ("--config-dir", str(tmp_path / "mine"))
    code, stdout, _ = call(train.main, *own, *TINY, "ckpt_path=other/last.ckpt", "hydra.run.dir=run")
    assert code == EXIT_INTERRUPTED
    assert stdout.startswith("stopped by SIGTERM; saved nothing; this goes on:\n")
    assert f"python -m rtmo.train --config-dir {tmp_path / 'mine'} model=rtmo_n " in stdout
    assert stdout.endswith(f" ckpt_path=other/last.ckpt hydra.run.dir={tmp_path / 'run'}\n")


def test_every_error_keeps_its_traceback_if_asked_for(call, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ConfigCompositionException, match=r"Could not override 'optimizer\.lrr'"):
        call(train.main, *TINY, "optimizer.lrr=1")
    with pytest.raises(InputError, match="no such file"):
        call(train.main, *TINY, "ckpt_path=nowhere.ckpt")


def test_a_refused_run_leaves_no_folder(call, tmp_path):
    assert call(train.main, *TINY, "ckpt_path=nowhere.ckpt")[0] == 2
    assert not [path for path in (tmp_path / "outputs").rglob("*") if path.name[:2] == "20"]


def test_a_refused_command_leaves_the_folder_it_was_called_in(call, tmp_path):
    assert call(convert.main, "input=nowhere.pth", "output=out.pth", "to=rtmo")[0] == 2
    assert tmp_path.is_dir()


def test_help_is_a_page_with_the_current_values(call, monkeypatch):
    code, page, _ = call(train.main, "model=rtmo_t", "--help")
    assert code == 0
    assert "[416, 416]" in page
    assert "$" not in page
    assert len(page.splitlines()) < 60
    assert max(map(len, page.splitlines())) <= 120
    # Hydra lists all groups of conf/ for every page, which takes seconds, and no page shows the list.
    monkeypatch.setattr(Hydra, "format_config_groups", lambda *_: "groups of conf/")
    for entry, option in (
        (evaluate.main, "checkpoint="),
        (convert.main, "input="),
        (data_convert.main, "from=aic"),
        (report.main, "latency   False"),
        (data_get.main, "keep_archives   False"),
        (data_shard.main, "output=shards/coco"),
        (predict.main, "score_thr     0.3"),
    ):
        code, page, _ = call(entry, "--help")
        assert code == 0
        assert option in page
        assert "groups of conf/" not in page


def test_the_config_is_shown_without_a_run(call):
    code, shown, _ = call(train.main, "model=rtmo_t", "paths.output_dir=out", "--cfg", "job", "--resolve")
    assert code == 0
    assert "recipe: published" in shown
    assert "- 416" in shown


def test_tab_completion_offers_choices(call, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "rtmo-train model=rtmo_")
    _, offered, _ = call(train.main, "-sc", "query=bash")
    assert "model=rtmo_l" in offered.split()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "checkpoint: has no value; give checkpoint=..."),
        (["checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt: no such file"),
        ([f"checkpoint={conf_dir() / 'train.yaml'}"], "no weights, damaged or cut short"),
        (["checkpoint=x", "batchsize=3"], "batchsize: no such key; did you mean 'batch_size'?"),
    ],
)
def test_evaluate_refuses_what_is_no_checkpoint(call, arguments, message):
    code, _, stderr = call(evaluate.main, *arguments)
    assert code == 2
    assert message in stderr
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("entry", "arguments", "message"),
    [
        (data_get.main, [], "sets: which? python -m rtmo.data get coco"),
        (data_get.main, ["sets=[coco,mpi]"], "sets: mpi: no such data set; did you mean 'mpii'?"),
        (data_convert.main, ["from=aic", "input=nowhere", "output=out.json"], "input=nowhere: no such file or folder"),
        (data_convert.main, ["from=aic", "input=nowhere"], "output: has no value; give output=..."),
    ],
)
def test_data_commands_refuse_what_they_cannot_use(call, tmp_path, entry, arguments, message):
    code, _, stderr = call(entry, *arguments)
    assert code == 2
    assert stderr.startswith(f"error: {message}")
    assert len(stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_converting_annotations_writes_one_file(call, tmp_path):
    person = {"human_annotations": {"human1": [0, 0, 9, 9]}, "keypoint_annotations": {"human1": [1, 2, 1] * 14}}
    (tmp_path / "raw.json").write_text(json.dumps([{"image_id": "a", **person}]))
    code, stdout, stderr = call(data_convert.main, "from=aic", "input=raw.json", "output=new/aic.json")
    assert (code, stderr) == (0, "")
    assert stdout.startswith("new/aic.json: 1 images, 1 people with keypoints, 14 joints")
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"raw.json", "aic.json"}


@pytest.mark.slow
def test_exit_codes_reach_the_shell(tmp_path):
    def shell(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "rtmo.train", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert shell("--help").returncode == 0
    refused = shell("optimizer.lrr=1")
    assert refused.returncode == 2
    assert refused.stderr == "error: optimizer.lrr: no such key; did you mean 'lr'? " + (
        "(+optimizer.lrr=... passes an argument that conf/ does not list)\n"
    )
