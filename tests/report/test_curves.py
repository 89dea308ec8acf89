"""Curves over seeds."""

import numpy as np
import pytest
from planted_runs import plant, plant_sweep

from rtmo.report.curves import band, phase_starts
from rtmo.report.rows import make_rows
from rtmo.report.runs import find_runs


def test_mean_and_deviation_over_seeds_against_images_seen(tmp_path):
    plant_sweep(tmp_path)
    row = make_rows(find_runs([str(tmp_path)]))[0]
    ap = band(row, "val/AP")
    assert ap.images.tolist() == [80, 160, 240, 320]
    assert ap.mean == pytest.approx([0.1025, 0.205, 0.3075, 0.41])
    assert ap.deviation == pytest.approx(np.array([0.25, 0.5, 0.75, 1]) * 0.01)
    assert band(row, "val/AR") is None


def test_long_curves_are_averaged_over_stretches(tmp_path):
    folder = plant(tmp_path / "run")
    lines = [f"{step // 100},{step},{step % 2}" for step in range(1000)]
    (folder / "metrics.csv").write_text("\n".join(["epoch,step,train/loss", *lines]))
    (row,) = make_rows(find_runs([str(tmp_path)]))
    loss = band(row, "train/loss")
    assert len(loss.mean) == 100
    assert loss.mean == pytest.approx(np.full(100, 0.5))
    assert loss.images[:2] == pytest.approx([5.5 * 8, 15.5 * 8])
    assert not loss.deviation.any()


def test_values_that_are_not_finite_are_left_out(tmp_path):
    folder = plant(tmp_path / "run")
    (folder / "metrics.csv").write_text("epoch,step,train/loss\n0,0,1.5\n0,1,nan\n0,2,inf\n0,3,2.5\n")
    (row,) = make_rows(find_runs([str(tmp_path)]))
    assert band(row, "train/loss").mean.tolist() == [1.5, 2.5]


def test_phases_begin_where_training_changed(tmp_path):
    plant(tmp_path / "run")
    (run,) = find_runs([str(tmp_path)])
    assert phase_starts(run) == [("A", 0), ("B", 160), ("C", 240)]
