"""What is read of run folders, and that none is lost."""

import json

import pytest
import yaml
from planted_runs import ANALYSIS, plant, plant_refused, plant_sweep

from rtmo.errors import InputError
from rtmo.report.runs import FINISHED, find_runs


def names(runs):
    return [run.name for run in runs]


def test_a_sweep_a_glob_and_a_list_lead_to_the_same_runs(tmp_path):
    sweep = plant_sweep(tmp_path / "sweep")
    for patterns in ([sweep], [tmp_path], [sweep / "*"], [tmp_path / "**"], [sweep / "[0-2]", sweep / "[2-5]"]):
        assert names(find_runs([str(pattern) for pattern in patterns])) == list("012345")


def test_a_run_folder_is_a_run(tmp_path):
    plant(tmp_path / "alone" / "run")
    assert names(find_runs([str(tmp_path / "alone" / "run")])) == ["run"]


def test_jobs_are_in_order_of_number(tmp_path):
    for job in (10, 9, 1):
        plant(tmp_path / str(job))
    assert names(find_runs([str(tmp_path)])) == ["1", "9", "10"]


def test_names_come_before_numbers(tmp_path):
    for name in ("a10", "b9", "a2", "c1"):
        plant(tmp_path / name)
    assert names(find_runs([str(tmp_path)])) == ["a2", "a10", "b9", "c1"]


def test_a_folder_with_brackets_in_its_name_is_found(tmp_path):
    folder = plant(tmp_path / "image_size=[192,192]")
    assert names(find_runs([str(folder)])) == [folder.name]


def test_no_score_where_nobody_is_to_be_found(tmp_path):
    folder = plant(tmp_path / "run", ap=-1.0)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "best_val_AP": -1.0}))
    (folder / "metrics.csv").write_text("step,train/loss_mle,val/AP\n0,-2.5,\n9,,-1\n19,,0.5\n")
    (run,) = find_runs([str(tmp_path)])
    assert "AP" not in run.scores
    assert run.best_score is None
    assert run.curves == {"train/loss_mle": [(1, -2.5)], "val/AP": [(20, 0.5)]}


def test_numbers_of_a_run(tmp_path):
    plant(tmp_path / "run", seed=2, ap=0.25, environment={"world_size": 3}, changes={"nominal_batch": 48})
    (run,) = find_runs([str(tmp_path)])
    assert (run.state, run.kind, run.seed) == (FINISHED, "training", 2)
    assert run.scores == {"AP": 0.25, "AP50": 0.35}  # APL is -1: nobody of that size
    assert run.images_per_step == 48  # 8 images, 3 devices, twice
    assert run.images == 40 * 48
    assert run.curves["val/AP"] == [(10, 0.0625), (20, 0.125), (30, 0.1875), (40, 0.25)]
    assert set(run.curves) == {"val/AP", "train/loss", "train/loss_oks"}


def test_a_recipe_that_takes_any_batch_adds_up_to_16(tmp_path):
    plant(tmp_path / "run", seed=2, ap=0.25, changes={"nominal_batch": "auto"})
    plant(tmp_path / "other", seed=2, ap=0.25, changes={"nominal_batch": "often"})
    other, run = find_runs([str(tmp_path)])
    assert run.images_per_step == 16  # 8 images, twice
    assert "no usable nominal_batch" in other.state


def test_what_did_not_finish_is_there_with_its_state(tmp_path):
    sweep = plant_sweep(tmp_path)
    (sweep / "0" / "summary.json").unlink()
    (sweep / "1" / "error.txt").write_text("Traceback (most recent call last):\n  ...\nValueError: no more\n")
    (sweep / "2" / "summary.json").write_text('{"metrics": {"val/AP"')
    (sweep / "3" / "config.yaml").write_text("seed: 1\n")
    (sweep / "4" / "config.yaml").unlink()
    (plant_refused(sweep / "6") / "error.txt").unlink()  # killed before it trained
    plant_refused(sweep / "7")
    states = {run.name: run.state for run in find_runs([str(sweep)])}
    assert states["0"] == states["6"] == "no summary.json, so it was stopped or is still running"
    assert states["1"] == "failed: ValueError: no more"
    assert states["2"].startswith("summary.json cannot be read: Expecting ':' delimiter")
    assert states["3"].startswith("config.yaml cannot be read: no usable skeleton, image_size")
    assert states["4"] == "no config.yaml"
    assert states["5"] == FINISHED
    assert states["7"] == "failed: no such thing"


@pytest.mark.parametrize(
    ("file", "changes", "what"),
    [
        ("summary.json", {"metrics": {"val/AP": None}}, "val/AP"),
        ("summary.json", {"metrics": None}, "metrics"),
        ("summary.json", {"steps": None}, "steps"),
        ("config.yaml", {"data": {}}, "data.batch_size"),
        ("config.yaml", {"trainer": {"max_epochs": None}}, "trainer.max_epochs"),
    ],
)
def test_a_file_without_what_numbers_need_is_the_state_of_its_run(tmp_path, file, changes, what):
    path = plant(tmp_path / "run") / file
    path.write_text(json.dumps({**yaml.safe_load(path.read_text()), **changes}))
    (run,) = find_runs([str(tmp_path)])
    assert run.state == f"{file} cannot be read: no usable {what}"
    assert not run.finished


def test_a_training_is_one_without_its_steps(tmp_path):
    folder = plant(tmp_path / "run")
    (folder / "summary.json").write_text('{"metrics": {"val/AP": 0.5}}')
    (run,) = find_runs([str(tmp_path)])
    assert (run.kind, run.state) == ("training", "summary.json cannot be read: no usable steps, epochs")


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("metrics.csv", "epoch,val/AP\n0,0.5\n", "line 2 has no step"),
        ("metrics.csv", "step,val/AP\n0,0.5,0.6\n", "line 2 has too many fields"),
        ("metrics.csv", "step,val/AP\n,0.5\n", "invalid literal for int() with base 10: ''"),
        ("analysis.json", json.dumps({**ANALYSIS, "errors": {"people": {}}}), "no usable errors.keypoints.good, "),
        ("analysis.json", json.dumps({**ANALYSIS, "calibration": None}), "no usable calibration.instance, "),
    ],
)
def test_scores_do_without_curves_and_analysis(tmp_path, file, text, fault):
    (plant(tmp_path / "run", analysis=True) / file).write_text(text)
    (run,) = find_runs([str(tmp_path)])
    assert run.state.startswith(f"{FINISHED}, but {file} cannot be read: {fault}")
    assert run.finished
    assert run.scores["AP"] == 0.5


def test_an_evaluation_is_a_run(tmp_path):
    summary = {"checkpoint": "a/b/checkpoints/best.ckpt", "data": "val", "metrics": {"AP": 0.5, "APM": -1, "x/AP": 0.1}}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (run,) = find_runs([str(tmp_path)])
    assert (run.kind, run.state, run.images) == ("evaluation", FINISHED, None)
    assert run.scores == {"AP": 0.5, "x/AP": 0.1}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("nowhere/*", "runs=.*nowhere/.*: no such folder; give"),
        ("empty", "runs=.*empty: no run there, .* give folders"),
    ],
)
def test_a_pattern_that_leads_nowhere_is_refused(tmp_path, pattern, message):
    plant(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        find_runs([str(tmp_path / "run"), str(tmp_path / pattern)])
