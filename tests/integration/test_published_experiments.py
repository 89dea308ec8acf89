"""The published experiments on a few real images of each data set, with a very small network: does all of it run?"""

import csv
import json

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
SAMPLES = {  # annotation file, folder of images
    "coco": ("coco/test_coco.json", "coco"),
    "aic": ("aic/test_aic.json", "aic"),
    "crowdpose": ("crowdpose/test_crowdpose.json", "crowdpose"),
    "mpii": ("mpii/test_mpii.json", "mpii"),
    "jhmdb": ("jhmdb/test_jhmdb_sub1.json", "jhmdb"),
    "halpe": ("halpe/test_halpe.json", "coco"),
    "posetrack18": ("posetrack18/annotations/test_posetrack18_val.json", "posetrack18"),
}


@pytest.fixture
def run(shared_dir, tmp_path):
    """Trains an experiment whose sources, by their key in the config, are samples; gives its folder."""

    def train_on_samples(experiment, sources, *overrides):
        files = []
        for key, name in sources.items():
            annotations, images = (shared_dir / "data" / "samples" / path for path in SAMPLES[name])
            files += [f"{key}.annotation_file={annotations}", f"{key}.image_dir={images}"]
        cfg = compose("train", [f"experiment={experiment}", f"paths.output_dir={tmp_path}", *TINY, *files, *overrides])
        train(validate(cfg, "train", KEYS), chosen_recipe=experiment)
        return tmp_path

    return train_on_samples


def rows(folder, column):
    return [row for row in csv.DictReader((folder / "metrics.csv").read_text().splitlines()) if row[column]]


def test_crowdpose(run, tmp_path, capsys):
    folder = run(
        "rtmo_s_crowdpose", {"data.train": "crowdpose", "data.val": "crowdpose"}, "trainer.max_epochs=1",
        "phases.refine_start=0.0", "phases.light_start=0.0",
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


def test_seven_data_sets(run):
    """Three epochs, one of each phase; the last shows COCO's four images alone, and is validated."""
    sources = {f"data.train.sources.{name}": name for name in SAMPLES}
    folder = run(
        "rtmo_t_body7", {**sources, "data.val": "coco"}, "trainer.max_epochs=3", "nominal_batch=6", "data.batch_size=6",
        "phases.refine_start=0.34", "phases.light_start=0.67", "trainer.check_val_every_n_epoch=1",
    )  # fmt: skip
    # 4 of COCO, 1 of AIC, CrowdPose, JHMDB and PoseTrack18 each, 2 of MPII and of Halpe: two steps of six images
    steps = [int(row["epoch"]) for row in rows(folder, "train/loss")]
    assert [steps.count(epoch) for epoch in range(3)] == [2, 2, 1]
    assert [int(row["epoch"]) for row in rows(folder, "val/AP")] == [0, 1, 2]
