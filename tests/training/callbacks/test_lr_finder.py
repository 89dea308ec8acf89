"""The callback in a small run, and what it says of one that was stopped."""

import csv
import math
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from lightning import Trainer

from rtmo.config import compose, validate
from rtmo.errors import InputError
from rtmo.train import KEYS, train
from rtmo.training.callbacks.lr_finder import LRFinder, draw
from rtmo.training.callbacks.stop_requests import RunStopped
from rtmo.training.module import PoseModule
from rtmo.training.rate_range import Reading, Steps

SMALL = (
    *("model=rtmo_n", "data=synthetic", "image_size=[32,32]", "multiscale=null", "augment=none"),
    *("model.widen_factor=0.125", "model.hidden_dim=32", "model.ffn_dim=64", "model.dcc_dim=16"),
    *("model.attention_dim=16", "data.train.num_images=6", "data.train.max_people=1", "data.train.min_height=0.8"),
    *("data.val.num_images=2", "data.batch_size=2", "data.num_workers=0", "debug=lr_finder", "trainer.max_steps=5"),
)


def run(folder: Path, *overrides: str) -> list[dict[str, float]]:
    """The rows of lr_finder.csv."""
    cfg = compose("train", [*SMALL, f"paths.output_dir={folder}", *overrides])
    train(validate(cfg, "train", KEYS))
    return rows(folder / "lr_finder.csv")


def rows(file: Path) -> list[dict[str, float]]:
    with file.open() as lines:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(lines)]


def test_a_test_too_short_records_every_step_and_suggests_nothing(tmp_path: Path, capsys) -> None:
    """Rates are those to set, whatever the batch makes of them; parts of the network keep their share."""
    found = run(tmp_path, "recipe=fast", "nominal_batch=1", "optimizer.lr=1e-3", "lr_factors.dcc=0.5")
    assert [row["step"] for row in found] == [1, 2, 3, 4, 5]
    assert [row["rate"] for row in found] == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    logged = [row for row in rows(tmp_path / "metrics.csv") if "train/loss" in row]
    for row, same in zip(found, logged, strict=True):
        assert row["train/loss"] == pytest.approx(same["train/loss"])
        assert row["train/pose_oks"] == pytest.approx(same["train/pose_oks"])
    used = [row for row in rows(tmp_path / "metrics.csv") if "lr-MuonAdamW/base" in row]
    for row, same in zip(found, used, strict=True):
        assert same["lr-MuonAdamW/base"] == pytest.approx(2 * row["rate"])  # two images a step instead of one
        assert same["lr-MuonAdamW/dcc."] == pytest.approx(row["rate"])
    out = capsys.readouterr().out
    assert "rate     0.2 at most" in out
    assert "no rate suggested (5 steps, which is too few" in out
    assert (tmp_path / "lr_finder.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "checkpoints").exists()
    assert not (tmp_path / "images").exists()


def test_metrics_of_accumulated_batches_are_averaged(tmp_path: Path) -> None:
    """At rates that change nothing, in a published recipe; an epoch is one step of both of its batches."""
    whole = ("recipe=published", "optimizer.lr=1e-12", "trainer.max_steps=1", "data.train.num_images=4")
    parts = run(tmp_path / "two", *whole, "nominal_batch=4")
    logged = [row for row in rows(tmp_path / "two" / "metrics.csv") if "train/loss" in row]
    assert len(parts) == len(logged) == 1
    single = run(tmp_path / "one", *whole, "nominal_batch=null", "trainer.max_steps=2")
    assert len(single) == 2
    assert parts[0]["train/loss"] == pytest.approx((single[0]["train/loss"] + single[1]["train/loss"]) / 2, rel=1e-4)
    assert parts[0]["train/loss"] != pytest.approx(logged[0]["train/loss"])


def test_a_loss_that_is_not_finite_ends_the_test(tmp_path: Path, capsys) -> None:
    found = run(tmp_path, "recipe=fast", "optimizer=adamw", "optimizer.lr=1e9", "trainer.max_steps=40")
    assert 1 < len(found) < 40
    assert [math.isfinite(row["train/loss"]) for row in found] == [*[True] * (len(found) - 1), False]
    assert f"{len(found) - 1} steps, then the loss was not finite" in capsys.readouterr().out


def test_nothing_is_suggested_after_a_run_that_was_stopped(tmp_path: Path, capsys) -> None:
    finder = LRFinder()
    module = Mock(spec=PoseModule)
    trainer = Mock(spec=Trainer, default_root_dir=str(tmp_path))
    finder.on_exception(trainer, module, InputError("before the first step"))
    assert capsys.readouterr().out == ""
    finder._rows = [{"step": step, "rate": 10.0**-step, "train/loss": 1.0, "train/pose_oks": 0.1} for step in (1, 2)]
    finder.on_exception(trainer, module, RunStopped("SIGTERM", None))
    assert capsys.readouterr().out.startswith("no rate suggested (the run was stopped after 2 steps)")
    assert len(rows(tmp_path / "lr_finder.csv")) == 2


def test_it_does_not_go_on_from_a_checkpoint() -> None:
    with pytest.raises(InputError, match="pretrained="):
        LRFinder().on_train_start(Mock(spec=Trainer, global_step=3), Mock(spec=PoseModule))


def test_the_picture_marks_what_was_read_off() -> None:
    rates = np.geomspace(1e-4, 1e-1, 60)
    losses = np.where(np.arange(60) < 50, np.linspace(5, -5, 60), 1e9)
    losses[-1] = np.nan
    figure = draw(Steps(rates, losses, 0 * rates, 0 * rates), Reading(1e-3, "why", floor=1e-2, stall=2e-2))
    upper, lower = figure.axes
    labels = [text.get_text() for text in upper.get_legend().get_texts()]
    assert labels == ["train/loss", "suggested, 0.001", "stops falling, 0.01", "classifier stalls, 0.02"]
    assert [text.get_text() for text in lower.get_legend().get_texts()] == ["train/pose_oks", "train/heatmap_peak"]
    assert upper.get_title() == "optimizer.lr=0.001 (why)"
    assert upper.get_ylim()[1] < 6  # what is lost does not hide the rest
