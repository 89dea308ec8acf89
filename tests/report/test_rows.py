"""Which runs belong together, and what they are called."""

import json

import pytest
from planted_runs import ANALYSIS, plant, plant_refused, plant_sweep

from rtmo.errors import InputError
from rtmo.evaluate import write_scores
from rtmo.report.rows import choose_baseline, differences, make_rows, shared
from rtmo.report.runs import find_runs


def rows_of(folder):
    return make_rows(find_runs([str(folder)]))


def labels(folder):
    return {row.label: [run.name for run in row.runs] for row in rows_of(folder)}


def test_runs_that_differ_in_seed_and_place_are_a_row(tmp_path):
    plant_sweep(tmp_path)
    assert labels(tmp_path) == {"default": ["0", "1", "2"], "optimizer.lr=0.002": ["3", "4", "5"]}


def test_places_name_logger_and_resuming_do_not_matter(tmp_path):
    plant(tmp_path / "a")
    changes = {"name": "b", "ckpt_path": "a/last.ckpt", "logger.csv": None, "logger.wandb": {"id": 1}}
    paths = {"output_dir": str(tmp_path / "b"), "data_dir": "/mnt/data"}
    plant(tmp_path / "b", changes={**changes, "paths": paths}, overrides=("name=b", "paths.data_dir=/mnt/data"))
    plant(tmp_path / "c", changes={"data.file": "data/train.json", "model.width": [f"{tmp_path}/c/x"]})
    elsewhere = {"data.file": "/mnt/data/train.json", "model.width": [f"{tmp_path}/d/x"]}
    plant(tmp_path / "d", changes={**elsewhere, "paths": {**paths, "output_dir": str(tmp_path / "d")}})
    assert list(labels(tmp_path).values()) == [["a", "b"], ["c", "d"]]


def test_a_data_set_of_another_seed_is_another_row(tmp_path):
    plant(tmp_path / "a", seed=1)
    plant(tmp_path / "b", seed=1, changes={"data.train.seed": 2}, overrides=("data.train.seed=2",))
    assert list(labels(tmp_path)) == ["default", "data.train.seed=2"]


def test_the_order_of_overrides_says_nothing(tmp_path):
    for place, seed in enumerate((0, 1)):
        overrides = ("+trainer.x=1", "optimizer.lr=2")[:: -1 if place else 1]
        plant(tmp_path / f"{place}", seed=seed, overrides=overrides, changes={"optimizer.lr": 2, "trainer.x": 1})
    plant(tmp_path / "2", overrides=("optimizer.lr=2",), changes={"optimizer.lr": 2})
    assert labels(tmp_path) == {"+trainer.x=1": ["0", "1"], "default": ["2"]}


def test_configs_tell_rows_apart_where_overrides_do_not(tmp_path):
    for name, lr in (("a", 0.1), ("b", 0.2)):
        plant(tmp_path / name, changes={"optimizer.lr": lr})
    assert list(labels(tmp_path)) == ["optimizer.lr=0.1", "optimizer.lr=0.2"]


def test_folders_tell_rows_apart_where_configs_take_too_many_words(tmp_path):
    for name in "ab":
        plant(tmp_path / name, changes={f"model.{'very_' * 20}{key}": name for key in "xy"})
    assert list(labels(tmp_path)) == ["a", "b"]


def test_what_has_no_config_is_a_row_of_its_own(tmp_path):
    sweep = plant_sweep(tmp_path)
    plant_refused(sweep / "6")
    evaluation = {"checkpoint": "/x/runs/a/checkpoints/best.ckpt", "data": "val", "metrics": {"AP": 0.5}}
    (sweep / "7").mkdir()
    (sweep / "7" / "summary.json").write_text(json.dumps(evaluation))
    (sweep / "8").mkdir()
    (sweep / "8" / "summary.json").write_text(json.dumps({**evaluation, "flip_test": True}))
    (sweep / "9").mkdir()
    results = {"results": "theirs.json", "annotations": "data/coco/annotations/val.json", "metrics": {"AP": 0.6}}
    (sweep / "9" / "summary.json").write_text(json.dumps(results))
    rows = rows_of(sweep)
    assert {row.label: len(row.finished) for row in rows} == {
        "default": 3,
        "optimizer.lr=0.002": 3,
        "6": 0,
        "evaluation of a/checkpoints/best.ckpt on val": 1,
        "evaluation of a/checkpoints/best.ckpt on val, flip test": 1,
        "evaluation of theirs.json on coco/annotations/val.json": 1,
    }


EVALUATED = {
    **{"checkpoint": "/x/1/checkpoints/best.ckpt", "flip_test": False, "submission": None, "image_size": [64, 64]},
    **{"score_thr": 0.1, "nms_thr": 0.65, "metric": {"_target_": "m.Coco"}, "skeleton": "coco17"},
}


@pytest.mark.parametrize(
    ("changed", "settings"),
    [
        ({"image_size": [96, 96]}, [", image_size=[64, 64]", ", image_size=[96, 96]"]),
        ({"score_thr": 0.2}, [", score_thr=0.1", ", score_thr=0.2"]),
        ({"nms_thr": 0.5}, [", nms_thr=0.65", ", nms_thr=0.5"]),
        ({"metric": {"_target_": "m.Crowd"}}, [", metric=m.Coco", ", metric=m.Crowd"]),
        ({"skeleton": "crowdpose14"}, [", skeleton=coco17", ", skeleton=crowdpose14"]),
        ({"checkpoint": "/y/1/checkpoints/best.ckpt"}, [" (a)", " (b)"]),
    ],
)
def test_evaluations_of_other_settings_or_files_are_other_rows(tmp_path, changed, settings):
    for name, given in (("a", {}), ("b", changed)):
        cfg = {**EVALUATED, **given, "paths": {"output_dir": str(tmp_path / name)}}
        write_scores(cfg, "val", {"val": []}, ANALYSIS, {"images": 1, "metrics": {"AP": 0.5}})
    assert list(labels(tmp_path)) == [f"evaluation of 1/checkpoints/best.ckpt on val{end}" for end in settings]


def test_a_run_whose_overrides_are_unknown_does_not_make_its_row_the_default(tmp_path):
    sweep = plant_sweep(tmp_path)
    (sweep / "4" / "environment.json").unlink()
    assert labels(sweep) == {"default": list("012"), "optimizer.lr=0.002": list("345")}


@pytest.mark.parametrize("unknown", ["345", ""])
def test_configs_tell_rows_apart_where_overrides_have_nothing_in_common(tmp_path, unknown):
    sweep = plant_sweep(tmp_path)
    for name in unknown:
        (sweep / name / "environment.json").unlink()
    if not unknown:
        (sweep / "4" / "environment.json").write_text(json.dumps({"overrides": ["experiment=fast"]}))
    assert labels(sweep) == {"optimizer.lr=0.001": list("012"), "optimizer.lr=0.002": list("345")}


def test_a_refused_job_belongs_where_its_command_line_says(tmp_path):
    sweep = plant_sweep(tmp_path)
    plant_refused(sweep / "6", "optimizer.lr=0.002", "seed=3", "experiment=demo")
    plant_refused(sweep / "7", "optimizer.lr=x", "seed=0", "experiment=demo")
    plant_refused(sweep / "8", "optimizer.lr=x", "seed=1", "experiment=demo")
    assert labels(sweep) == {"default": list("012"), "optimizer.lr=0.002": list("3456"), "optimizer.lr=x": list("78")}


def test_the_baseline_is_named_or_the_row_without_overrides(tmp_path):
    for job, lr in enumerate((0.001, 0.01, 0.1)):
        plant(tmp_path / str(job), overrides=(f"optimizer.lr={lr}",) if job != 1 else (), changes={"optimizer.lr": lr})
    rows = rows_of(tmp_path)
    assert choose_baseline(rows, None) is rows[1]
    assert choose_baseline(rows[::2], None) is rows[0]
    assert choose_baseline(rows, "lr=0.1") is rows[2]
    with pytest.raises(InputError, match=r"baseline=lr: names several rows"):
        choose_baseline(rows, "lr")
    with pytest.raises(InputError, match=r"baseline=defalt: names no row; did you mean 'default'\?"):
        choose_baseline(rows, "defalt")


def test_differences_leave_out_what_follows():
    configs = [
        {"size": 1, "data.size": 1, "other.size": 3, "x": None, "y": 5, "cls.weight": 1, "box.weight": 1},
        {"size": 2, "data.size": 2, "other.size": 4, "x": None, "z": 6, "cls.weight": 2, "box.weight": 2},
    ]
    independent = {"cls.weight": [1, 2], "box.weight": [1, 2]}
    assert differences(configs) == {"size": [1, 2], "other.size": [3, 4], "y": [5, "-"], "z": ["-", 6], **independent}
    assert shared(configs) == {"x": None}
