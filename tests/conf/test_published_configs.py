"""Each of the eleven published configs is an experiment, and its resolved numbers are those of the reference."""

import numpy as np
import pytest
import torch
import yaml

from rtmo.config import compose, conf_dir, validate
from rtmo.skeletons import keypoint_set
from rtmo.targets import build
from rtmo.train import KEYS
from rtmo.training.batch_plan import plan_batch
from rtmo.training.param_groups import make_param_groups
from rtmo.training.schedules import Segment, rate_at

# What the sizes differ in: input px, smallest and largest training size, MixUp, devices, images of each, the detector
# that gives the backbone.
SIZES = {
    "t": (416, 320, 640, 0.0, 8, 32, "yolox_tiny"),
    "s": (640, 480, 800, 1.0, 8, 32, "yolox_s"),
    "m": (640, 480, 800, 1.0, 16, 16, "yolox_m"),
    "l": (640, 480, 800, 1.0, 16, 16, "yolox_l"),
}
# What recipes differ in. Losses: centre from keypoints; weight of loss_mle in A; of loss_cls and power of the OKS
# target in B and C. Augmentation: translation, degrees and scale of the affine map, scale of MixUp; whether C has an
# affine map. Run: epochs, first epochs of B and C, epochs between validations before C.
SMALL = (True, 1.0, 1.0, 0.5)
LARGE = (False, 0.01, 2.0, 1.0)
CROWD = (False, 0.001, 2.0, 1.0)
MILD = (0.1, 10.0, [0.75, 1.0], [0.8, 1.6])
STRONG = (0.2, 30.0, [0.5, 1.5], [0.6, 1.6])
LONG = (600, 280, 579, 20)
LONGER = (700, 350, 669, 50)
RECIPES = {
    "rtmo_s_coco": (SMALL, MILD, False, LONG),
    "rtmo_m_coco": (LARGE, MILD, True, LONG),
    "rtmo_l_coco": (LARGE, MILD, True, LONG),
    "rtmo_t_body7": (SMALL, MILD, False, LONG),
    "rtmo_s_body7": (SMALL, MILD, False, LONG),
    "rtmo_m_body7": (LARGE, MILD, True, LONG),
    "rtmo_l_body7": (LARGE, MILD, True, LONG),
    "rtmo_s_crowdpose": (CROWD, STRONG, False, LONGER),
    "rtmo_m_crowdpose": (CROWD, STRONG, False, LONGER),
    "rtmo_l_crowdpose": (CROWD, STRONG, False, LONGER),
    "rtmo_l_body7_crowdpose": (CROWD, MILD, False, LONGER),
}
# Skeleton; metric; shares of the sources, in order; sources of phase C; validation.
SHARES = {"coco": 1, "aic": 0.3, "crowdpose": 0.5, "mpii": 0.3, "jhmdb": 0.3, "halpe": 0.4, "posetrack18": 0.3}
DATA = {
    "coco": ("coco17", "CocoKeypointAP", None, None, "coco_val2017"),
    "body7": ("coco17", "CocoKeypointAP", SHARES, ["coco"], "coco_val2017"),
    "crowdpose": ("crowdpose14", "CrowdPoseAP", None, None, "crowdpose_test"),
    "body7_crowdpose": ("crowdpose14", "CrowdPoseAP", {**SHARES, "crowdpose": 1}, ["crowdpose"], "crowdpose_test"),
}
SAME = {  # for every config
    "optimizer": {
        **{"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 4e-3, "weight_decay": 0.05},
        **{"betas": [0.9, 0.999], "eps": 1e-8},
    },
    "lr_factors": {"backbone": 1.0, "encoder": 0.05, "dcc": 1.0},
}
SAME_PHASES = {  # weights of losses that no config changes
    "A": {"bbox_weight": 5.0, "vis_weight": 1.0, "oks_weight": 30.0, "proxy_target": "gt", "score_oks": "proxy"},
    "B": {
        **{"bbox_weight": 5.0, "vis_weight": 1.0, "oks_weight": 10.0, "coordinate_weight": 5.0},
        **{"proxy_target": "dcc", "score_oks": "dcc"},
    },
}


@pytest.fixture(scope="module", params=RECIPES)
def published(request):
    """Name and resolved config of an experiment."""
    cfg = compose("train", [f"experiment={request.param}", "paths.output_dir=out"])
    return request.param, validate(cfg, "train", KEYS)


def test_there_is_one_experiment_for_each_published_file():
    names = {file.stem for file in (conf_dir() / "experiment").glob("rtmo_*.yaml")}
    assert names == set(RECIPES)
    for name in names:
        text = (conf_dir() / "experiment" / f"{name}.yaml").read_text()
        assert f"python -m rtmo.train experiment={name} " in text
        assert set(yaml.safe_load(text)) == {"defaults"}  # all numbers are those of model, data and recipe


def test_names(published):
    name, cfg = published
    assert cfg["name"] == f"{cfg['model_name']}_{cfg['data_name']}" == name
    assert cfg["recipe"].startswith("published")


def test_losses_and_assignment(published):
    name, cfg = published
    phases, assigner = cfg["criterion"]["phases"], cfg["criterion"]["assigner"]
    centre, mle_weight, cls_weight, power = RECIPES[name][0]
    assert assigner["use_keypoints_for_center"] == centre
    assert (assigner["topk"], assigner["center_radius"], assigner["dynamic_k_indicator"]) == (10, 2.5, "oks")
    assert (assigner["iou_weight"], assigner["oks_weight"], assigner["cls_weight"]) == (3, 3, 1)
    a = {**SAME_PHASES["A"], "coordinate_weight": mle_weight, "cls_weight": 1.0, "overlaps_power": 0.5}
    b = {**SAME_PHASES["B"], "cls_weight": cls_weight, "overlaps_power": power}
    assert phases == {"A": a, "B": b, "C": {**b, "bbox_aux_weight": 1.0, "ignore_mask": True}}


def test_augmentation(published):
    name, cfg = published
    _, (translation, rotation, scale, mixup_scale), light, _ = RECIPES[name]
    size, smallest, largest, mixup_prob, *_ = SIZES[name[5]]
    augment = cfg["data"]["augment"]
    main, affine = augment["main"], augment["light"]["affine"]
    assert list(main) == ["mosaic", "affine", "mixup", "pixels", "flip", "filter"]
    assert list(augment["light"]) == ["affine", "pixels", "flip", "filter"]
    assert (main["mosaic"]["centre"], main["mosaic"]["prob"]) == ([0.5, 1.5], 1.0)
    amounts = {"translation": translation, "rotation": rotation, "scale": scale, "shear": 2.0, "centered": False}
    assert {field: main["affine"][field] for field in amounts} == amounts
    assert (main["mixup"]["scale"], main["mixup"]["prob"]) == (mixup_scale, mixup_prob)
    hsv = main["pixels"]["transforms"]["hsv"]
    assert (hsv["hue"], hsv["saturation"], hsv["value"], hsv["gate_prob"]) == (5, 30, 30, 0.5)
    assert main["flip"]["prob"] == 0.5
    amounts = {"shift": 0.2, "rotation": 30.0, "scale": [0.75, 1.5]}
    amounts = amounts if light else {"shift": 0, "rotation": 0, "scale": [1, 1]}
    assert {field: affine[field] for field in amounts} == amounts
    sizes = [cfg["image_size"], cfg["data"]["image_size"], main["mosaic"]["image_size"], affine["image_size"]]
    assert sizes == 4 * [[size, size]]
    multiscale = cfg["module"]["multiscale"]
    assert (multiscale["min_size"], multiscale["max_size"]) == (smallest, largest)


def test_phases_and_validation(published):
    name, cfg = published
    epochs, refine, light, between = RECIPES[name][3]
    assert (cfg["trainer"]["max_epochs"], cfg["trainer"]["check_val_every_n_epoch"]) == (epochs, between)
    for described in (cfg["phases"], cfg["data"]["phases"], cfg["callbacks"]["final_validation"]["phases"]):
        phases = build(described)
        changes = [epoch for epoch in range(1, epochs) if phases.at(epoch, epochs) != phases.at(epoch - 1, epochs)]
        assert changes == [refine, light]
    assert (cfg["module"]["score_thr"], cfg["module"]["nms_thr"], cfg["metric"]["max_detections"]) == (0.1, 0.65, 20)


def test_data(published):
    _, cfg = published
    skeleton, metric, shares, light, validation = DATA[cfg["data_name"]]
    assert cfg["skeleton"] == skeleton
    assert cfg["metric"]["_target_"].endswith(f".{metric}")
    train = cfg["data"]["train"]
    assert (train.get("ratios"), train.get("light")) == (shares, light)
    assert list(train.get("sources", {})) == list(shares or ())
    assert (cfg["data"]["val"]["name"], cfg["data"]["val"]["drop_empty"]) == (validation, False)
    sources = train.get("sources", {"only": train}).values()
    assert all(source["drop_empty"] and source["max_images"] is None for source in sources)
    assert not cfg["data"]["drop_last"]


def test_batch_and_optimiser(published):
    name, cfg = published
    devices, images, detector = SIZES[name[5]][-3:]
    assert cfg["pretrained"] == detector
    assert cfg["data"]["batch_size"] == images
    plan = plan_batch(images, devices, cfg["nominal_batch"])
    assert (plan.total, plan.accumulate, plan.lr_scale) == (256, 1, 1.0)
    assert plan_batch(images, 1, cfg["nominal_batch"]).total == 256
    assert {section: cfg[section] for section in SAME} == SAME
    assert cfg["trainer"]["gradient_clip_val"] == 0.1
    assert cfg["trainer"]["precision"] == "32-true"
    ema = cfg["callbacks"]["ema"]
    assert (ema["momentum"], ema["ramp"]) == (0.0002, 2000.0)


def test_parameter_groups(published):
    """Rates and decay of the groups; parameter by parameter in tests/training/test_param_groups.py."""
    _, cfg = published
    with torch.device("meta"):
        model = build(cfg["model"], "model", keypoint_set(cfg["skeleton"]))
    settings = {"lr": cfg["optimizer"]["lr"], "weight_decay": cfg["optimizer"]["weight_decay"]}
    groups = make_param_groups(model, **settings, lr_factors=cfg["module"]["lr_factors"])
    found = {(round(group["lr"], 9), group["weight_decay"]) for group in groups}
    assert found == {(4e-3, 0.05), (4e-3, 0.0), (2e-4, 0.05), (2e-4, 0.0)}


GOLDEN_CURVES = {600: "coco600_L10", 700: "crowdpose700_L10"}  # runs of 10 iterations an epoch


def test_learning_rates(published, shared_dir):
    _, cfg = published
    epochs = cfg["trainer"]["max_epochs"]
    golden = np.load(shared_dir / "golden" / "lr.npz")[f"{GOLDEN_CURVES[epochs]}/all_iters"]
    segments = [Segment(**segment) for segment in cfg["schedule"]["segments"]]
    lr = cfg["optimizer"]["lr"]
    for column, base in enumerate((lr, lr * cfg["lr_factors"]["encoder"])):
        ours = [rate_at(step, base, segments, 10 * epochs) for step in range(10 * epochs)]
        np.testing.assert_allclose(ours, golden[:, column], rtol=1e-6)
