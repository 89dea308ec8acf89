"""What a run leaves behind, and that a checkpoint gives the AP that training reported."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from coco_files import write_coco

from rtmo.config import compose, validate
from rtmo.errors import InputError
from rtmo.evaluate import KEYS as EVALUATE_KEYS
from rtmo.evaluate import evaluate, take_from_checkpoint
from rtmo.skeletons import COCO17
from rtmo.targets import build
from rtmo.train import KEYS, train
from rtmo.training.run_plan import planned_fields, with_fields

FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
TINY = (
    *("model=rtmo_n", "data=synthetic", "trainer=cpu", "image_size=[64,64]", "model.widen_factor=0.125"),
    *("data.train.num_images=4", "data.val.num_images=3", "data.batch_size=2", "data.num_workers=0"),
    *("trainer.max_epochs=2", "trainer.check_val_every_n_epoch=1", "trainer.log_every_n_steps=1"),
)


MORE_VAL = (
    "+data.more_val.other={_target_: rtmo.data.synthetic.source.SyntheticPeople, name: other, num_images: 2, "
    "image_size: [64, 64], seed: 3, max_people: 3}"
)


def run(folder: Path, *overrides: str) -> dict:
    cfg = validate(compose("train", [*TINY, f"paths.output_dir={folder}", *overrides]), "train", KEYS)
    train(cfg, overrides=list(overrides), chosen_recipe="rtmo_n_synthetic")
    planned, _ = planned_fields(cfg, build(cfg["data"]["train"]), COCO17, None, in_sweep=False)
    return with_fields(cfg, planned)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, run(folder, "module.score_thr=0.001", MORE_VAL)


def test_the_folder_holds_what_is_needed_to_compare_runs(finished):
    folder, cfg = finished
    assert {file.name for file in folder.iterdir()} == {
        *("config.yaml", "environment.json", "metrics.csv", "summary.json", "analysis.json", "checkpoints", "images"),
    }
    assert {file.name for file in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt", "previous.ckpt"}
    assert yaml.safe_load((folder / "config.yaml").read_text()) == cfg
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["overrides"] == ["module.score_thr=0.001", MORE_VAL]
    assert environment["packages"]["torch"] == torch.__version__
    assert {"commit", "python", "platform", "device"} <= environment.keys()


def test_metrics_go_by_their_names(finished):
    folder, _ = finished
    metrics = json.loads((folder / "summary.json").read_text())["metrics"]
    for prefix in ("val", "val/other"):
        assert {f"{prefix}/{name}" for name in FIGURES} <= metrics.keys()
    assert {"train/loss", "train/loss_oks", "train/loss_mle", "train/pose_oks"} <= metrics.keys()
    diagnostics = (
        "phase",
        "positives_per_image",
        "pred_sigma",
        "grad_norm",
        "images_per_second",
        "data_wait",
        "memory_mib",
    )
    assert {f"train/{name}" for name in diagnostics} <= metrics.keys()
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    assert {"epoch", "step", "train/loss", "val/AP"} <= rows[0].keys()
    assert sum(row["val/AP"] != "" for row in rows) == 2
    assert [row["train/grad_norm"] != "" for row in rows] == [row["train/loss"] != "" for row in rows]


def test_pictures_of_the_first_batch_and_of_the_worst_images(finished):
    images = finished[0] / "images"
    listed = json.loads((images / "worst.json").read_text())
    fields = {"file", "image_id", "people", "found", "oks", "missed", "false_positives"}
    assert [set(entry) for entry in listed] == [fields] * 3
    files = {str(file.relative_to(images)) for file in images.glob("**/*.png")}
    assert files == {
        "epoch_000.png",
        "epoch_001.png",
        "final.png",
        "train_batch.png",
        *(entry["file"] for entry in listed),
    }


def test_the_diagnosis_is_of_the_first_validation_set(finished):
    folder, cfg = finished
    analysis = json.loads((folder / "analysis.json").read_text())
    assert list(analysis) == ["keypoints", "errors", "by_people", "by_crowding", "calibration"]
    assert list(analysis["keypoints"]) == list(COCO17.joints)
    truth = build(cfg["data"]["val"], "data.val", COCO17).ground_truth()
    people = analysis["errors"]["people"]
    assert people["found"] + people["missed"] == sum(one["num_keypoints"] > 0 for one in truth["annotations"])


def test_a_checkpoint_is_plain_and_knows_its_network(finished):
    folder, cfg = finished
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["rtmo"] == {"config": cfg, "skeleton": COCO17.to_plain()}


def test_evaluating_gives_the_ap_that_training_reported(finished, tmp_path, capsys):
    folder, _ = finished
    reported = json.loads((folder / "summary.json").read_text())["metrics"]
    overrides = ["trainer=cpu", "num_workers=0", "batch_size=1", f"paths.output_dir={tmp_path / 'scores'}"]
    cfg = compose("evaluate", [*overrides, f"checkpoint={folder / 'checkpoints' / 'last.ckpt'}"])
    take_from_checkpoint(cfg)
    scores = evaluate(validate(cfg, "evaluate", EVALUATE_KEYS))
    names = [f"{prefix}{name}" for prefix in ("", "other/") for name in FIGURES]
    assert scores == pytest.approx({name: reported[f"val/{name}"] for name in names}, abs=1e-6)
    printed = capsys.readouterr().out
    assert len(printed.split("│ other │")) == 2  # a row of the table
    assert "people, and joints of those found" in printed
    first, second = (json.loads((at / "analysis.json").read_text()) for at in (folder, tmp_path / "scores"))
    assert first["errors"] == second["errors"]
    results = json.loads((tmp_path / "scores" / "results.json").read_text())
    assert results
    assert set(results[0]) == {"image_id", "category_id", "keypoints", "score"}
    summary = json.loads((tmp_path / "scores" / "summary.json").read_text())
    assert summary["metrics"] == scores
    others = json.loads((tmp_path / "scores" / "results_other.json").read_text())
    assert (summary["images"], summary["predictions"]) == (5, len(results) + len(others))
    assert "5 images" in printed


def test_a_flip_tested_submission(finished, tmp_path):
    folder, _ = finished
    write_coco(tmp_path / "all.json", tmp_path / "images", num_images=2)
    listed = json.loads((tmp_path / "all.json").read_text())
    (tmp_path / "listed.json").write_text(json.dumps({**listed, "annotations": [], "categories": [{"id": 1}]}))
    results = {}
    for flip_test in (False, True):
        cfg = compose(
            "evaluate",
            [
                *("trainer=cpu", "num_workers=0", f"flip_test={flip_test}", "submission=mine"),
                *("data=coco", "source@data.val=coco_test_dev", f"paths.output_dir={tmp_path / 'scores'}"),
                *(f"data.val.annotation_file={tmp_path / 'listed.json'}", f"data.val.image_dir={tmp_path / 'images'}"),
                f"checkpoint={folder / 'checkpoints' / 'last.ckpt'}",
            ],
        )
        take_from_checkpoint(cfg)
        evaluate(validate(cfg, "evaluate", EVALUATE_KEYS))
        file = "person_keypoints_test-dev2017_mine_results.json"
        # there is nobody to analyse
        assert {each.name for each in (tmp_path / "scores").iterdir()} == {file, "summary.json"}
        results[flip_test] = json.loads((tmp_path / "scores" / file).read_text())
        assert json.loads((tmp_path / "scores" / "summary.json").read_text())["flip_test"] == flip_test
    assert results[True]
    assert results[True] != results[False]
    assert set(results[True][0]) == {"image_id", "category_id", "keypoints", "score"}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("flip_test=maybe", "flip_test: expected true or false"),
        ("submission=a/b", "submission=a/b: becomes part of"),
        ("submission=mine", "submission=mine: is for the joints of coco17 on images without people"),
    ],
)
def test_options_of_evaluation_are_checked(finished, tmp_path, option, message):
    folder, _ = finished
    cfg = compose(
        "evaluate", [f"paths.output_dir={tmp_path}", option, f"checkpoint={folder / 'checkpoints/last.ckpt'}"]
    )
    take_from_checkpoint(cfg)
    with pytest.raises(InputError, match=message):
        evaluate(validate(cfg, "evaluate", EVALUATE_KEYS))


def test_data_with_other_joints_than_the_checkpoint_is_refused(finished):
    folder, _ = finished
    checkpoint = f"checkpoint={folder / 'checkpoints' / 'last.ckpt'}"
    with pytest.raises(InputError, match=r"skeleton=crowdpose14: differs from coco17, .*=coco17"):
        take_from_checkpoint(compose("evaluate", [checkpoint, "data=crowdpose"]))
    cfg = compose("evaluate", [checkpoint, "data=crowdpose", "skeleton=coco17"])
    take_from_checkpoint(cfg)
    assert cfg.metric._target_.endswith("CrowdPoseAP")


def test_a_run_shorter_than_the_epochs_between_validations_is_validated(tmp_path):
    run(tmp_path, "trainer.max_epochs=1", "trainer.check_val_every_n_epoch=5")
    assert "val/AP" in json.loads((tmp_path / "summary.json").read_text())["metrics"]
    assert (tmp_path / "checkpoints" / "best.ckpt").is_file()


def test_a_run_goes_on_from_a_checkpoint(finished, tmp_path):
    folder, _ = finished
    run(tmp_path, f"ckpt_path={folder / 'checkpoints' / 'last.ckpt'}", "trainer.max_epochs=3", "module.score_thr=0.001")
    assert json.loads((tmp_path / "summary.json").read_text())["epochs"] == 3


def test_a_run_that_torch_could_not_compile_ends_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr("rtmo.models.compiling.torch", SimpleNamespace(__path__=["/my environment/torch"]))
    with pytest.raises(InputError, match="torch cannot compile for CPUs from /my environment/torch"):
        run(tmp_path, "module.compile=true")
    assert not (tmp_path / "checkpoints").exists()
