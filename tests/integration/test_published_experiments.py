"""The published experiments on a few real images of each data set, with a very small network: does all of it run?"""

import csv
import json
import logging

import pytest
import torch

from rtmo.config import compose, validate
from rtmo.evaluate import KEYS as EVALUATE_KEYS
from rtmo.evaluate import evaluate, take_from_checkpoint
from rtmo.skeletons import CROWDPOSE14
from rtmo.train import KEYS, train

TINY = (
    *("model.widen_factor=0.125", "model.hidden_dim=32", "model.ffn_dim=64", "model.num_heads=4", "model.dcc_dim=16"),
    *("model.attention_dim=16", "image_size=[64,64]", "multiscale=null", "pretrained=null", "trainer=cpu"),
    *("data.batch_size=2", "data.num_workers=0", "trainer.log_every_n_steps=1", "callbacks.images=null"),
)
LAYOUT = {  # below paths.data_dir, as conf/source has it: what of the samples stands for it
    "coco/annotations/person_keypoints_train2017.json": "coco/test_coco.json",
    "coco/annotations/person_keypoints_val2017.json": "coco/test_coco.json",
    "coco/train2017": "coco",
    "coco/val2017": "coco",
    "aic/annotations/aic_train.json": "aic/test_aic.json",
    "aic/ai_challenger_keypoint_train_20170902/keypoint_train_images_20170902": "aic",
    "crowdpose/annotations/mmpose_crowdpose_trainval.json": "crowdpose/test_crowdpose.json",
    "crowdpose/annotations/mmpose_crowdpose_test.json": "crowdpose/test_crowdpose.json",
    "crowdpose/images": "crowdpose",
    "mpii/annotations/mpii_train.json": "mpii/test_mpii.json",
    "mpii/images": "mpii",
    "jhmdb/annotations/Sub1_train.json": "jhmdb/test_jhmdb_sub1.json",
    "halpe/annotations/halpe_train_v1.json": "halpe/test_halpe.json",
    "halpe/hico_20160224_det/images/train2015": "coco",
    "posetrack18/annotations/posetrack18_train.json": "posetrack18/annotations/test_posetrack18_val.json",
    "posetrack18/images": "posetrack18/images",
}


@pytest.fixture
def run(shared_dir, tmp_path):
    """Trains an experiment with samples in place of the data sets; gives its folder."""
    samples, data_dir = shared_dir / "data" / "samples", tmp_path / "data"
    for place, sample in LAYOUT.items():
        (data_dir / place).parent.mkdir(parents=True, exist_ok=True)
        (data_dir / place).symlink_to(samples / sample)
    for clip in (path for path in (samples / "jhmdb").iterdir() if path.is_dir()):
        (data_dir / "jhmdb" / clip.name).symlink_to(clip)

    def train_on_samples(experiment, *overrides):
        paths = [f"paths.output_dir={tmp_path}", f"paths.data_dir={data_dir}"]
        cfg = compose("train", [f"experiment={experiment}", *paths, *TINY, *overrides])
        train(validate(cfg, "train", KEYS), chosen_recipe=experiment)
        return tmp_path

    return train_on_samples


def rows(folder, column):
    return [row for row in csv.DictReader((folder / "metrics.csv").read_text().splitlines()) if row[column]]


def test_crowdpose(run, tmp_path, capsys):
    folder = run(
        "rtmo_s_crowdpose", "trainer.max_epochs=1", "phases.refine_start=0.0", "phases.light_start=0.0",
        "module.score_thr=0.0",
    )  # fmt: skip
    shown = capsys.readouterr().out
    assert "published_crowdpose, of model=rtmo_s with data=crowdpose" in shown
    assert "2 images x 1 device(s) x 128 accumulated = 256, nominal 256" in shown
    assert "AP_hard" in shown
    metrics = json.loads((folder / "summary.json").read_text())["metrics"]
    names = ("AP", "AP50", "AP75", "AR", "AR50", "AR75", "AP_easy", "AP_medium", "AP_hard")
    assert {name for name in metrics if name.startswith("val/")} == {f"val/{name}" for name in names}
    checkpoint = folder / "checkpoints" / "last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["rtmo"]["skeleton"] == CROWDPOSE14.to_plain()
    cfg = compose("evaluate", ["trainer=cpu", "num_workers=0", f"paths.output_dir={tmp_path / 'scores'}",
                               f"checkpoint={checkpoint}"])  # fmt: skip
    take_from_checkpoint(cfg)
    scores = evaluate(validate(cfg, "evaluate", EVALUATE_KEYS))
    assert scores == pytest.approx({name: metrics[f"val/{name}"] for name in names}, abs=1e-6)


def test_seven_data_sets(run, caplog):
    """Three epochs, one of each phase; the last shows COCO's four images alone, and is validated."""
    with caplog.at_level(logging.INFO):
        folder = run(
            "rtmo_t_body7", "trainer.max_epochs=3", "nominal_batch=6", "data.batch_size=6", "phases.refine_start=0.34",
            "phases.light_start=0.67", "trainer.check_val_every_n_epoch=1", "data.val_sources=[crowdpose_test]",
        )  # fmt: skip
    counts = "coco 4 of 4, aic 1 of 3, crowdpose 1 of 2, mpii 2 of 5, jhmdb 1 of 3, halpe 2 of 4, posetrack18 1 of 3"
    assert f"body7: 12 images an epoch: {counts}; in phase C coco" in caplog.text
    # 4 of COCO, 1 of AIC, CrowdPose, JHMDB and PoseTrack18 each, 2 of MPII and of Halpe: two steps of six images
    steps = [int(row["epoch"]) for row in rows(folder, "train/loss")]
    assert [steps.count(epoch) for epoch in range(3)] == [2, 2, 1]
    for name in ("val/AP", "val/crowdpose_test/AP"):
        assert [int(row["epoch"]) for row in rows(folder, name)] == [0, 1, 2]
