"""Whole runs of a very small network: what must not depend on workers, interruptions or luck."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from rtmo.config import compose, validate
from rtmo.errors import RunError
from rtmo.skeletons import COCO17
from rtmo.train import KEYS, train

TINY = (
    "experiment=demo",
    "image_size=[64,64]",
    "model.widen_factor=0.125",
    "model.hidden_dim=32",
    "model.ffn_dim=64",
    "model.dcc_dim=16",
    "model.attention_dim=16",
    "data.train.num_images=12",
    "data.val.num_images=4",
    "data.batch_size=4",
    "nominal_batch=null",
    "data.num_workers=0",
    "trainer.max_epochs=4",
    "trainer.check_val_every_n_epoch=1",
    "trainer.log_every_n_steps=1",
    "phases.refine_start=0.5",
    "phases.light_start=0.75",
    "callbacks.images.num_images=2",
)

MEASURED = ("train/images_per_second", "train/data_wait", "train/memory_mib")  # of the machine, not of the run


def run(folder: Path, *overrides: str) -> Path:
    """Trains in this process and gives the run's folder."""
    cfg = compose("train", [*TINY, f"paths.output_dir={folder}", *overrides])
    train(validate(cfg, "train", KEYS))
    return folder


def losses(folder: Path) -> list[str]:
    return [row["train/loss"] for row in rows(folder) if row["train/loss"]]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as lines:
        return list(csv.DictReader(lines))


def untimed(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if name not in MEASURED}


def checkpoint(folder: Path, name: str = "last") -> dict:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def assert_same(a: object, b: object, where: str = "") -> None:
    """Equality of nested containers, to the bit."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for index, (left, right) in enumerate(zip(a, b, strict=True)):
            assert_same(left, right, f"{where}/{index}")
    else:
        assert a == b, where


EVERY_EPOCH = ("callbacks.last.save_top_k=-1", "callbacks.last.filename='epoch{epoch}'")
STATE = ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody interrupted, with a checkpoint of every epoch."""
    return run(tmp_path_factory.mktemp("finished"), *EVERY_EPOCH)


def test_resumed_run_ends_as_the_uninterrupted_one(finished: Path, tmp_path: Path) -> None:
    """Weights, their average, optimizer and schedule; epoch 1 is the last of phase A, so the phases change after it."""
    shutil.copy(finished / "metrics.csv", tmp_path)  # as if stopped some steps after that checkpoint
    resumed = run(tmp_path, f"ckpt_path={finished / 'checkpoints' / 'epoch1.ckpt'}")
    whole, parts = checkpoint(finished, "epoch3"), checkpoint(resumed)
    for part in STATE:
        assert_same(whole[part], parts[part], part)
    assert whole["global_step"] == parts["global_step"] == 12
    assert [untimed(row) for row in rows(finished)] == [untimed(row) for row in rows(resumed)]
    assert whole["cost"]["images"] == parts["cost"]["images"] == 48
    state = whole["state_dict"]
    assert any(not torch.equal(state[name], value) for name, value in whole["current_model_state"].items())


@pytest.mark.slow
def test_what_a_loss_learns_is_resumed_too(finished: Path, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", "ablation=rle", *EVERY_EPOCH)
    half = whole / "checkpoints" / "epoch1.ckpt"
    resumed = run(tmp_path / "resumed", "ablation=rle", f"ckpt_path={half}")
    before, after, parts = checkpoint(whole, "epoch1"), checkpoint(whole, "epoch3"), checkpoint(resumed)
    for part in STATE:
        assert_same(after[part], parts[part], part)
    learned = after["state_dict"].keys() - checkpoint(finished, "epoch3")["state_dict"].keys()
    assert len(learned) == 24
    assert all(name.startswith("criterion.coordinate_loss.flow.") for name in learned)
    for state in STATE[:2]:
        assert any(not torch.equal(before[state][name], after[state][name]) for name in learned)


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [1, 3])
def test_losses_do_not_depend_on_workers(finished: Path, tmp_path: Path, num_workers: int) -> None:
    other = run(tmp_path, f"data.num_workers={num_workers}")
    assert len(losses(finished)) == 12
    assert losses(other) == losses(finished)
    assert_same(checkpoint(other)["state_dict"], checkpoint(finished, "epoch3")["state_dict"])


def test_another_seed_is_another_run(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = run(tmp_path, "seed=1", "trainer.max_epochs=1", "phases.refine_start=1.0", "phases.light_start=1.0")
    assert losses(other)[0] != losses(finished)[0]
    # progress, after the validation
    shown = re.search(
        r"^epoch 1/1 A 3/3 loss \S+ pose_oks \S+ AP \S+ \S+ images/s$", capsys.readouterr().out, re.MULTILINE
    )
    assert shown is not None
    assert len(shown[0]) <= 80


def test_everything_a_run_needs_to_be_compared_is_in_its_folder(finished: Path) -> None:
    for name in ("config.yaml", "environment.json", "metrics.csv", "summary.json", "checkpoints/best.ckpt"):
        assert (finished / name).is_file()
    assert list((finished / "images").glob("*.png"))
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["epochs"] == 4
    assert summary["steps"] == 12
    assert summary["images_per_second"] > 0
    assert summary["peak_memory_mib"] > 0
    assert set(summary["metrics"]) >= {"val/AP", "val/AR", "train/loss", "train/loss_mle", "train/pose_oks"}


def test_checkpoint_carries_config_and_skeleton(finished: Path) -> None:
    record = checkpoint(finished, "best")["rtmo"]
    assert record["skeleton"] == COCO17.to_plain()
    assert record["config"]["model"]["widen_factor"] == 0.125


def test_every_phase_was_met(finished: Path) -> None:
    """The L1 loss of phase C is the last epoch's alone where the recipe gives the other phases none."""
    assert len({row["train/loss_bbox_aux"] for row in rows(finished) if row["train/loss"]}) > 1


def test_a_run_that_diverges_fails_and_keeps_its_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"most likely diverged: lower optimizer\.lr"):
        run(tmp_path, "optimizer.lr=1e30", "trainer.max_epochs=2", "callbacks.progress=null")
    assert not (tmp_path / "summary.json").exists()
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()
