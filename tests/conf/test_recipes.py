"""Which recipe a model and a data set get, and that `published` holds the published numbers of every size."""

from itertools import product

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from rtmo.config import compose, conf_dir
from rtmo.skeletons import COCO17, CROWDPOSE14
from rtmo.targets import build
from rtmo.training.schedules import Segment, rate_at
from rtmo.weights.zoo import MODELS as MODELS_OF_THE_ZOO

MODELS = ("rtmo_t", "rtmo_s", "rtmo_m", "rtmo_l", "rtmo_r50", "rtmo_n")


def resolved(*overrides: str) -> dict:
    return OmegaConf.to_container(compose("train", ["paths.output_dir=out", *overrides]), resolve=True)


# Data sets with a published recipe, and its name.
PUBLISHED_FOR = {
    **{"coco": "published", "body7": "published"},
    **{"crowdpose": "published_crowdpose", "body7_crowdpose": "published_body7_crowdpose"},
}


@pytest.mark.parametrize(("model", "data"), list(product(MODELS, (*PUBLISHED_FOR, "synthetic", "custom"))))
def test_a_pair_without_a_published_recipe_takes_the_fast_one(model, data):
    recipe = "fast" if model == "rtmo_n" else PUBLISHED_FOR.get(data, "fast")
    pair = conf_dir() / "recipe" / f"{model}_{data}.yaml"
    assert pair.read_text() == f"# @package _global_\ndefaults: [{recipe}]\n"


@pytest.mark.parametrize(
    ("model", "data", "recipe"),
    [
        ("rtmo_t", "coco", "published"),
        ("rtmo_n", "coco", "fast"),
        ("rtmo_l", "synthetic", "fast"),
        ("rtmo_s", "crowdpose", "published_crowdpose"),
    ],
)
def test_model_and_data_select_the_recipe(model, data, recipe):
    cfg = resolved(f"model={model}", f"data={data}")
    assert (cfg["model_name"], cfg["data_name"], cfg["name"]) == (model, data, f"{model}_{data}")
    assert cfg["recipe"] == recipe
    assert len(cfg["schedule"]["segments"]) == (3 if recipe == "fast" else 5)


@pytest.mark.parametrize("recipe", ["fast", *sorted(set(PUBLISHED_FOR.values()))])
def test_a_recipe_can_be_forced(recipe):
    for model in ("rtmo_r50", "rtmo_n"):
        assert resolved(f"model={model}", "data=coco", f"recipe={recipe}")["recipe"] == recipe


def test_fine_tuning_starts_from_published_weights_of_the_model():
    for model in ("rtmo_t", "rtmo_l"):
        cfg = resolved("experiment=finetune", f"model={model}", "data=synthetic")
        assert (cfg["pretrained"], cfg["recipe"]) == (f"{model}_body7", "fast")
        assert f"{model}_body7" in MODELS_OF_THE_ZOO
    assert cfg["lr_factors"]["backbone"] < 1


def test_what_a_recipe_selects_can_be_set_as_well():
    cfg = resolved("model=rtmo_n", "schedule=two_cosines", "augment=none", "optimizer=nadam")
    assert cfg["recipe"] == "fast"
    assert len(cfg["schedule"]["segments"]) == 5
    assert list(cfg["augment"]["main"]) == ["filter"]
    assert cfg["optimizer"]["_target_"] == "torch.optim.NAdam"
    assert cfg["optimizer"]["betas"] == [0.9, 0.95]


# image_size, smallest and largest training size, MixUp, light affine, centre from keypoints, weight of loss_mle in A,
# of loss_cls in B and C, power of the OKS target in B and C, batch of a device
SMALL = (False, True, 1.0, 1.0, 0.5, 32)
LARGE = (True, False, 0.01, 2.0, 1.0, 16)
PUBLISHED = {
    "rtmo_t": ([416, 416], 320, 640, 0.0, *SMALL),
    "rtmo_s": ([640, 640], 480, 800, 1.0, *SMALL),
    "rtmo_m": ([640, 640], 480, 800, 1.0, *LARGE),
    "rtmo_l": ([640, 640], 480, 800, 1.0, *LARGE),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_published_recipe_holds_the_published_numbers(model):
    cfg = resolved(f"model={model}")
    criterion, augment = cfg["criterion"], cfg["data"]["augment"]
    light = augment["light"]["affine"]
    neutral = {"shift": 0.0, "rotation": 0.0, "scale": [1.0, 1.0]}
    amounts = {name: light[name] for name in neutral}
    assert amounts in (neutral, {"shift": 0.2, "rotation": 30.0, "scale": [0.75, 1.5]})
    assert criterion["phases"]["B"]["cls_weight"] == criterion["phases"]["C"]["cls_weight"]
    assert criterion["phases"]["B"]["overlaps_power"] == criterion["phases"]["C"]["overlaps_power"]
    assert (
        cfg["data"]["image_size"],
        cfg["module"]["multiscale"]["min_size"],
        cfg["module"]["multiscale"]["max_size"],
        augment["main"]["mixup"]["prob"],
        amounts != neutral,
        criterion["assigner"]["use_keypoints_for_center"],
        criterion["phases"]["A"]["coordinate_weight"],
        criterion["phases"]["C"]["cls_weight"],
        criterion["phases"]["C"]["overlaps_power"],
        cfg["data"]["batch_size"],
    ) == PUBLISHED[model]


def test_what_no_size_changes_in_the_published_recipe():
    cfg = resolved()
    a, b, c = (cfg["criterion"]["phases"][phase] for phase in "ABC")
    assert (a["bbox_weight"], a["vis_weight"], a["oks_weight"], a["cls_weight"], a["overlaps_power"]) == (
        5,
        1,
        30,
        1,
        0.5,
    )
    assert (b["bbox_weight"], b["vis_weight"], b["oks_weight"], b["coordinate_weight"]) == (5, 1, 10, 5)
    assert {**c, "bbox_aux_weight": None, "ignore_mask": None} == {**b, "bbox_aux_weight": None, "ignore_mask": None}
    assert (c["bbox_aux_weight"], c["ignore_mask"]) == (1, True)
    assert (a["proxy_target"], b["proxy_target"]) == ("gt", "dcc")
    assert (a["score_oks"], b["score_oks"]) == ("proxy", "dcc")
    optimizer = cfg["optimizer"]
    assert (optimizer["lr"], optimizer["weight_decay"], optimizer["betas"]) == (4e-3, 0.05, [0.9, 0.999])
    assert (cfg["trainer"]["gradient_clip_val"], cfg["trainer"]["max_epochs"], cfg["nominal_batch"]) == (0.1, 600, 256)
    assert cfg["module"]["lr_factors"] == {"backbone.": 1.0, "neck.encoder.": 0.05, "dcc.": 1.0}
    assert (cfg["callbacks"]["ema"]["momentum"], cfg["callbacks"]["ema"]["ramp"]) == (0.0002, 2000)
    assert not cfg["criterion"]["detach_bboxes"]
    assert not cfg["criterion"]["average_labeled"]
    assert not cfg["augment"]["main"]["affine"]["centered"]
    assert cfg["model"]["bin_init_scale"] == 1.0


def test_phases_begin_at_the_published_epochs():
    phases = build(resolved()["phases"])
    assert [epoch for epoch in range(1, 600) if phases.at(epoch, 600) != phases.at(epoch - 1, 600)] == [280, 579]


def test_the_published_schedule_is_the_references(shared_dir):
    golden = np.load(shared_dir / "golden" / "lr.npz")
    cfg = resolved()
    segments = [Segment(**segment) for segment in cfg["schedule"]["segments"]]
    base = cfg["optimizer"]["lr"]
    bases = (base, base * cfg["lr_factors"]["encoder"])  # columns of the golden file
    length = 251  # steps of an epoch
    for place, first in (("first", 0), ("last", length - 1)):
        expected = golden[f"coco600_L251/{place}_iter_of_epoch"]
        steps = range(first, 600 * length, length)
        ours = [[rate_at(step, rate, segments, 600 * length) for rate in bases] for step in steps]
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_the_table_of_sizes_has_every_model_and_every_column():
    table = resolved()["published"]
    assert set(table) == set(MODELS) == {file.stem for file in (conf_dir() / "model").glob("*.yaml")}
    assert all(row.keys() == table["rtmo_s"].keys() for row in table.values())


PARAMETERS = {"rtmo_t": 6_829_875, "rtmo_s": 9_868_899, "rtmo_m": 22_526_307, "rtmo_l": 44_693_315}


@pytest.mark.parametrize("model", PARAMETERS)
def test_the_configs_of_the_sizes_have_the_published_parameter_counts(model):
    with torch.device("meta"):
        network = build(resolved(f"model={model}")["model"], "model", COCO17)
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[model]


def test_another_skeleton_reaches_the_network_and_the_metric():
    cfg = resolved("skeleton=crowdpose14", "model=rtmo_n")
    assert cfg["skeleton"] == "crowdpose14"
    with torch.device("meta"):
        assert build(cfg["model"], "model", CROWDPOSE14).num_keypoints == 14
