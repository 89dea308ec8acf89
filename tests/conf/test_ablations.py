"""Every row of an ablation differs from the published configuration in what its name says and in nothing else."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pytest
import yaml

from rtmo.config import compose, conf_dir, validate
from rtmo.errors import InputError
from rtmo.train import KEYS

KLD = "rtmo.losses.keypoints.KLDLoss"
RLE = "rtmo.losses.rle.RLELoss"
# What changes in the published RTMO-s on COCO. Rows without a difference name the published choice itself.
DIFFERENCES: dict[str, dict[str, Any]] = {
    "regression": {
        "model.decoding": "regression",
        **dict.fromkeys(("lr_factors.dcc", "module.lr_factors.dcc.")),
        **{f"criterion.phases.{phase}.proxy_target": "gt" for phase in "BC"},
        **{f"criterion.phases.{phase}.score_oks": "proxy" for phase in "BC"},
    },
    "cc_static": {"model.decoding": "cc_static", "model.static_range": 640},
    "cc_dba": {"model.decoding": "cc_dba"},
    "dcc": {},
    "mle": {"criterion.coordinate_loss.sigma": None},
    "mle_fixed_spread": {"criterion.coordinate_loss.sigma": 0.05},
    "mle_clamped": {"criterion.coordinate_loss.sigma": None, "criterion.coordinate_loss.min_sigma": 0.02},
    "rle": {"criterion.coordinate_loss._target_": RLE, "criterion.coordinate_loss.sigma": None},
    "kld": {"criterion.coordinate_loss._target_": KLD, "criterion.coordinate_loss.sigma": [2.45, 2.83]},
    "kld_learned_spread": {"criterion.coordinate_loss._target_": KLD, "criterion.coordinate_loss.sigma": None},
    "mle_kld": {f"criterion.phases.{phase}.heatmap_weight": 0.5 for phase in "ABC"},
    "quiet_attention": {"model.attention_init_scale": 0.25, "model.bin_init_scale": 0.2},
    "quiet_bins": {
        "model.bin_init_scale": 0.03125,
        **{f"module.lr_factors.dcc.{part}_fc.": 0.03125 for part in "xy"},
    },
    "late_dcc": {"schedule.warmups.dcc.": 0.1},
    "dcc_gt_boxes": {"criterion.phases.A.dcc_bboxes": "gt"},
    "dcc_denoised_boxes": {"criterion.phases.A.dcc_bboxes": "gt", "criterion.phases.A.bbox_jitter": 0.2},
    "dcc_jittered_boxes": {f"criterion.phases.{phase}.bbox_jitter": 0.1 for phase in "ABC"},
    "one_to_many": {"criterion.phases.A.min_positives": 4},
    "refine_by_oks": {"criterion.refine_oks": 0.5},
    "p4_p5": {},
    "p3_p4_p5": {"model.strides": [8, 16, 32]},
    "proxy_one_stage": {f"criterion.phases.{phase}.proxy_target": "gt" for phase in "BC"},
    "proxy_two_stage": {},
    "assign_oks": {"criterion.assigner.iou_weight": 0.0},
    "assign_iou": {"criterion.assigner.oks_weight": 0.0, "criterion.assigner.dynamic_k_indicator": "iou"},
    "assign_both": {},
    "mle_weight_1": {},
    "mle_weight_1e-2": {"criterion.phases.A.coordinate_weight": 0.01},
    "mle_weight_1e-3": {"criterion.phases.A.coordinate_weight": 0.001},
    "mosaic_centered": {f"{node}.main.affine.centered": True for node in ("augment", "data.augment")},
    "no_mosaic": {f"{node}.main.mosaic": None for node in ("augment", "data.augment")},
    "no_mixup": {f"{node}.main.mixup": None for node in ("augment", "data.augment")},
    "no_ema": {"callbacks.ema": None},
}


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(node, Mapping):
        yield key, node
        return
    for name, value in node.items():
        yield from leaves(value, f"{key}.{name}".lstrip("."))


def checked(*overrides: str) -> dict[str, Any]:
    return validate(compose("train", ["paths.output_dir=out", *overrides]), "train", KEYS)


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return dict(leaves(checked("model=rtmo_s", "data=coco")))


def test_every_file_has_its_row():
    assert sorted(file.stem for file in (conf_dir() / "ablation").glob("*.yaml")) == sorted(DIFFERENCES)


@pytest.mark.parametrize("row", DIFFERENCES)
def test_a_row_differs_from_the_published_configuration_in_what_it_names(row, published):
    changed = dict(leaves(checked("model=rtmo_s", "data=coco", f"ablation={row}")))
    different = {key: value for key, value in changed.items() if key not in published or published[key] != value}
    assert different == DIFFERENCES[row]
    gone = published.keys() - changed.keys()
    assert all(any(key.startswith(f"{node}.") for node in different) for key in gone)


def test_rows_combine():
    changed = dict(leaves(checked("model=rtmo_n", "data=synthetic", "ablation=[kld,p4_p5,no_ema]")))
    assert changed["criterion.coordinate_loss._target_"] == KLD
    assert changed["model.strides"] == [16, 32]
    assert changed["callbacks.ema"] is None


def test_the_static_range_follows_the_image():
    assert (
        checked("model=rtmo_n", "data=synthetic", "image_size=[192,256]", "ablation=cc_static")["model"]["static_range"]
        == 256
    )


def test_the_centre_of_a_mosaic_is_refused_where_there_is_none():
    with pytest.raises(InputError, match=r"augment\.main\.affine\.centered: LightAffine has no such argument"):
        checked("model=rtmo_n", "data=synthetic", "ablation=mosaic_centered")


SWEEPS = sorted(file.stem for file in (conf_dir() / "sweep").glob("*.yaml") if file.stem != "optuna_lr")


@pytest.mark.parametrize("sweep", SWEEPS)
def test_the_runs_of_a_sweep_differ_and_are_compared_by_ap(sweep):
    """But for the seed; a row that repeats another would train it twice."""
    content = yaml.safe_load((conf_dir() / "sweep" / f"{sweep}.yaml").read_text())
    params = content["hydra"]["sweeper"]["params"]
    usual = [] if "defaults" in content else ["model=rtmo_s", "data=coco"]  # else it names its own
    choices = [[f"{key}={value}" for value in params[key].split(",")] for key in params if key != "seed"]
    configs = [checked(*usual, f"sweep={sweep}", *row) for row in product(*choices)]
    assert len(configs) > 1
    for index, config in enumerate(configs):
        assert config["optimized_metric"] == "val/AP"
        assert config not in configs[:index]


@pytest.mark.parametrize("sweep", [*SWEEPS, "optuna_lr"])
def test_the_folder_of_a_sweep_is_named_by_what_all_its_runs_share(sweep):
    settings = yaml.safe_load((conf_dir() / "sweep" / f"{sweep}.yaml").read_text())["hydra"]
    model = "" if "model" in settings["sweeper"]["params"] else "_${model_name}"
    assert settings["sweep"]["dir"] == f"${{paths.outputs_dir}}/sweeps/{sweep}{model}_${{data_name}}"
