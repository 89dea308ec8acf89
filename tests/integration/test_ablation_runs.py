"""Every ablation row trains twenty steps and is scored, on drawn people; those of the paper on photographs too."""

import csv
import json

import pytest

from rtmo.config import compose, conf_dir, validate
from rtmo.data.synthetic.source import SyntheticPeople
from rtmo.evaluate import KEYS as EVALUATE_KEYS
from rtmo.evaluate import evaluate, take_from_checkpoint
from rtmo.train import KEYS, train

pytestmark = pytest.mark.slow

# What the paper does not know: docs/recipes.md.
LEVERS = {
    *("dcc_denoised_boxes", "dcc_gt_boxes", "dcc_jittered_boxes", "late_dcc", "mle_clamped", "mle_kld"),
    *("one_to_many", "quiet_attention", "quiet_bins", "refine_by_oks", "rle"),
}
PAPER = sorted({file.stem for file in (conf_dir() / "ablation").glob("*.yaml")} - LEVERS)
ROWS = [*(f"ablation={name}" for name in PAPER), "optimizer=adam", "optimizer=nadam", "optimizer=muon"]
RUNS = [
    *((row, data) for row in ROWS for data in ("synthetic", "coco")),
    *((f"ablation={name}", "synthetic") for name in sorted(LEVERS)),
]
SMALL = (
    *("model=rtmo_n", "model.widen_factor=0.125", "model.hidden_dim=32", "model.ffn_dim=64", "model.dcc_dim=16"),
    "model.attention_dim=16",
    *(
        "recipe=fast",
        "augment=mosaic",
        "image_size=[64,64]",
        "data.batch_size=2",
        "nominal_batch=null",
        "data.num_workers=0",
        "trainer=cpu",
    ),
    *("trainer.max_epochs=4", "trainer.limit_train_batches=5", "trainer.num_sanity_val_steps=0"),
    *("trainer.log_every_n_steps=1", "trainer.check_val_every_n_epoch=4", "callbacks.last.every_n_epochs=4"),
    "callbacks={images: null, worst: null, train_batch: null}",
)


@pytest.fixture(scope="module", autouse=True)
def scenes_kept():
    """Rows see the same few scenes again and again, and to place people takes longer than the steps."""
    sample, kept = SyntheticPeople._scene, {}

    def scene(people, index):
        key = people.seed, people.image_size, people.style, index
        if key not in kept:
            kept[key] = sample(people, index)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SyntheticPeople, "_scene", scene)
        yield


@pytest.mark.parametrize(("row", "data_name"), RUNS)
def test_a_row_trains_and_is_scored(row, data_name, shared_dir, tmp_path):
    data = ["data=synthetic", "data.train.num_images=10", "data.val.num_images=4"]
    if data_name == "coco":
        data = ["data=coco", f"paths.data_dir={shared_dir / 'data'}", "trainer.limit_val_batches=2"]
    cfg = compose("train", [*SMALL, *data, row, f"paths.output_dir={tmp_path}"])
    train(validate(cfg, "train", KEYS))
    with (tmp_path / "metrics.csv").open() as lines:
        losses = [float(line["train/loss"]) for line in csv.DictReader(lines) if line["train/loss"]]
    assert len(losses) == 20
    assert all(abs(loss) < 1e4 for loss in losses)

    limits = [] if "data=synthetic" in data else ["trainer.limit_val_batches=2"]
    options = ["trainer=cpu", "num_workers=0", "batch_size=2", "score_thr=0.0", *limits]
    places = [f"checkpoint={tmp_path / 'checkpoints' / 'last.ckpt'}", f"paths.output_dir={tmp_path / 'score'}"]
    cfg = compose("evaluate", [*options, *places])
    take_from_checkpoint(cfg)
    scores = evaluate(validate(cfg, "evaluate", EVALUATE_KEYS))
    assert 0 <= scores["AP"] <= 1
    assert json.loads((tmp_path / "score" / "summary.json").read_text())["predictions"] > 0
