"""What the reference implementation computes. Runs in its own environment; numerics.py starts it.

    python reference.py weights FOLDER   # makes seeded random weights
    python reference.py record FOLDER    # outputs and training runs of the weights that came back from us

Models, losses, phases, optimizer and schedule are built from the published configurations, which the package contains.
"""

import argparse
import json
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import stand_ins  # noqa: F401 # isort: skip  (mmpose imports these names)
import mmcv
import mmengine
import mmpose.datasets
import mmpose.engine
import mmpose.models
import numpy as np
import torch
from cases import BATCH, CONSTANT_RATE, EPOCHS, MODELS, PUBLISHED_START, RUNS, STEPS, STEPS_OF_EPOCH, Run
from mmcv.cnn import ConvModule
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint, save_checkpoint
from mmengine.structures import InstanceData, PixelData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import HOOKS, PARAM_SCHEDULERS
from mmpose.registry import MODELS as REGISTRY
from mmpose.structures import PoseDataSample
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

CONFIGS = {
    "rtmo_t": "body7/rtmo-t_8xb32-600e_body7-416x416.py",
    "rtmo_s": "coco/rtmo-s_8xb32-600e_coco-640x640.py",
    "rtmo_m": "coco/rtmo-m_16xb16-600e_coco-640x640.py",
    "rtmo_l": "coco/rtmo-l_16xb16-600e_coco-640x640.py",
    "rtmo_s_k14": "crowdpose/rtmo-s_8xb32-700e_crowdpose-640x640.py",
}
CHANGES = {"A": (), "B": (280,), "C": (280, 579)}  # epochs at which hooks have changed the head, by phase
SEED = 7
WEIGHT_SCALE = 10  # of weights that a norm follows
grid_sample = functional.grid_sample


def main() -> None:
    """Reads the arguments and does what they say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("weights", "record"))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    init_default_scope("mmpose")
    functional.grid_sample = sample_in_type_of_points
    inputs = load_file(arguments.folder / "inputs.safetensors")
    if arguments.task == "weights":
        write_weights(arguments.folder, inputs)
    else:
        write_records(arguments.folder, inputs)


def write_weights(folder: Path, inputs: dict[str, Tensor]) -> None:
    """A file a model, as mmengine saves them."""
    for name in MODELS:
        torch.manual_seed(SEED)
        _, model = build(name)
        randomize(model, inputs["images/640"].float())
        data_set = "crowdpose" if name.endswith("k14") else "coco"
        meta = {"dataset_meta": parse_pose_metainfo({"from_file": f"configs/_base_/datasets/{data_set}.py"})}
        save_checkpoint({"meta": meta, "state_dict": model.state_dict()}, str(folder / "weights" / f"{name}.pth"))


def write_records(folder: Path, inputs: dict[str, Tensor]) -> None:
    """What the models say of the images, and all training runs."""
    output = folder / "reference"
    output.mkdir(exist_ok=True)
    for name, sides in MODELS.items():
        record: dict[str, Tensor] = {}
        for side in sides:
            record |= evaluate(name, folder, inputs[f"images/{side}"].float(), side)
        save_file(record, output / f"{name}.safetensors")
    rates = published_rates()
    for run in RUNS:
        constant = [(CONSTANT_RATE, CONSTANT_RATE / 20)] * run.steps
        losses, change = train(run, folder, inputs, constant if run.rate == "constant" else rates[run.phase])
        (output / f"{run.name}.json").write_text(json.dumps(losses))
        if run.keeps_weights:
            save_file(change, output / f"{run.name}.safetensors")
        print(f"reference: {run.name}", flush=True)
    versions = {module.__name__: module.__version__ for module in (mmpose, mmcv, mmengine, torch, np)}
    (output / "environment.json").write_text(json.dumps(versions))


def build(name: str) -> tuple[Config, nn.Module]:
    """Published configuration and network of a size, with whatever weights it starts with."""
    folder = Path(mmpose.__file__).parent / ".mim" / "configs" / "body_2d_keypoint" / "rtmo"
    config = Config.fromfile(folder / CONFIGS[name])
    config.model.backbone.init_cfg = None  # else a download
    return config, REGISTRY.build(config.model)


def load(name: str, folder: Path) -> tuple[Config, nn.Module]:
    """The network with the weights that were converted to rtmo and back."""
    config, model = build(name)
    load_checkpoint(model, str(folder / "converted" / f"{name}.pth"), map_location="cpu", strict=True, logger="silent")
    return config, model


@torch.no_grad()
def randomize(model: nn.Module, images: Tensor) -> None:
    """Disturbs fresh weights so that every part of the network has a say and a few people are found.

    Norms get random weights and biases, and the statistics of the images, disturbed. Scores are spread and shifted so
    that some priors of either level pass the threshold; boxes are made large enough to suppress one another. Heatmaps
    are widened: many of a fresh classifier are a single bin, which rounding moves.

    Training a fresh network is chaotic: each step at 1e-4 makes a difference in the weights about a hundred times as
    large, so that ten turn the rounding of float64 into another run. What tames it is the heatmaps, activations that
    seldom vanish (hence the norms' biases), and weights that are large against the steps: those before a norm may have
    any size without changing what the network says.
    """
    for module in model.modules():
        if isinstance(module, ConvModule) and module.with_norm:
            module.conv.weight *= WEIGHT_SCALE
    dcc = model.head.dcc
    dcc.pose_to_kpts[0].weight *= WEIGHT_SCALE
    for linear, scale in ((dcc.gau.o, 0.03), (dcc.x_fc, 0.1), (dcc.y_fc, 0.1)):
        linear.weight *= scale
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.35, 0.75)
        nn.init.normal_(norm.bias, 1.0, 0.3)
    model.train()
    pose_vectors = model.head.forward(model.extract_feat(images))[4]
    flat = torch.cat([level.flatten(2).transpose(1, 2).flatten(0, 1) for level in pose_vectors])
    dcc.pose_to_kpts(flat[torch.randperm(len(flat))[:64]])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.running_mean += 0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.25)
    model.eval()
    outputs = model.head.head_module
    for level in range(2):
        for convs in (outputs.out_cls, outputs.out_bbox, outputs.out_kpt_reg, outputs.out_kpt_vis, outputs.out_pose):
            nn.init.normal_(convs[level].bias, std=0.3)
        outputs.out_cls[level].weight *= 4
        outputs.out_bbox[level].weight *= 0.5
        outputs.out_bbox[level].bias[2:] += 1.2  # 3.3 strides
    scores = model.head.forward(model.extract_feat(images))[0]
    for level, wanted in enumerate((24, 12)):
        lowest = scores[level].flatten().topk(wanted).values[-1]
        outputs.out_cls[level].bias += math.log(0.1 / 0.9) - lowest + 0.02 * torch.randn(1)


@torch.no_grad()
def evaluate(name: str, folder: Path, images: Tensor, side: int) -> dict[str, Tensor]:
    """Maps and predictions of every stage, in px of the network's input."""
    config, model = load(name, folder)
    model.eval()
    head, record = model.head, {}
    features = model.backbone(images)
    levels = model.neck(features)
    head.head_module.training = True  # of the module itself, not of its norms: the proxy is regressed as well
    maps = head.forward(levels)
    head.head_module.training = False
    for stage, values in (("backbone", features), ("neck", levels)):
        record |= {f"{stage}/{index}": value for index, value in enumerate(values)}
    fields = ("cls_logits", "bbox_offsets", "proxy_offsets", "visibility_logits", "pose_vectors")
    record |= {f"head/{field}": head._flatten_predictions(values) for field, values in zip(fields, maps, strict=True)}
    for index in range(len(images)):
        with recorded(head.dcc) as seen:
            sample = PoseDataSample(metainfo={"input_size": (side, side)})
            feats = [level[index : index + 1] for level in levels]
            found = head.predict(feats, [sample], config.model.test_cfg)[0]
        if not seen:
            continue  # nobody found
        priors = torch.cat(head.mlvl_priors)
        grids, heatmaps = seen
        record |= {
            f"{index}/prior": torch.cdist(grids, priors).argmin(dim=1),
            f"{index}/heatmap_x": heatmaps[0],
            f"{index}/heatmap_y": heatmaps[1],
            **{
                f"{index}/{field}": torch.from_numpy(found[field])
                for field in ("bboxes", "scores", "keypoints", "keypoint_scores")
            },
        }
    return {f"{side}/{key}": value.contiguous() for key, value in record.items()}


@contextmanager
def recorded(dcc: nn.Module) -> Iterator[list[Any]]:
    """Collects the grid points and heatmaps of the people that the classifier is asked about."""
    seen: list[Any] = []
    encode, softmax = dcc._get_bin_enc, dcc._apply_softmax

    def keep_grids(bbox_cs: Tensor, grids: Tensor) -> Any:
        seen.append(grids)
        return encode(bbox_cs, grids)

    def keep_heatmaps(*logits: Tensor) -> Any:
        seen.append(softmax(*logits))
        return seen[-1]

    dcc._get_bin_enc, dcc._apply_softmax = keep_grids, keep_heatmaps
    try:
        yield seen
    finally:
        dcc._get_bin_enc, dcc._apply_softmax = encode, softmax


def train(
    run: Run, folder: Path, inputs: dict[str, Tensor], rates: list[tuple[float, float]]
) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """Losses and gradient norm of every step; by how much weights, statistics and their average have changed."""
    dtype = getattr(torch, run.precision)
    config, model = load(run.model, folder)
    model.to(dtype).train()
    enter_phase(model, config, run.phase)
    start = {key: value.clone() for key, value in model.state_dict().items()}
    base = config.optim_wrapper.optimizer.lr
    optimizer = build_optim_wrapper(model, config.optim_wrapper)
    groups = [(group, group["lr"] < base) for group in optimizer.param_groups]
    average = average_of(model, config)
    history = []
    for step in range(run.steps):
        for group, is_encoder in groups:
            group["lr"] = rates[step][is_encoder]
        raw = model.loss(inputs["batches/images"][step].to(dtype), samples(inputs, step, run.phase, dtype))
        loss, named = model.parse_losses(raw)
        optimizer.update_params(loss)
        average.update_parameters(model)
        norm = MessageHub.get_current_instance().get_scalar("train/grad_norm").current()
        history.append({key: float(value) for key, value in named.items()} | {"gradient_norm": norm})
    change = {key: value - start[key] for key, value in model.state_dict().items() if value.is_floating_point()}
    averaged = average.module.state_dict()
    change |= {f"average/{key}": averaged[key] - start[key] for key in list(change)}
    return history, {key: value.float() for key, value in change.items()}


def enter_phase(model: nn.Module, config: Config, phase: str) -> None:
    """Lets the published hooks change the head; that data change too is none of our concern here."""
    for epoch in CHANGES[phase]:
        runner = SimpleNamespace(epoch=epoch, max_epochs=EPOCHS, model=model, logger=logging.getLogger())
        for settings in config.custom_hooks:
            if settings.type in ("RTMOModeSwitchHook", "YOLOXPoseModeSwitchHook"):
                hook = HOOKS.build({key: value for key, value in settings.items() if key != "priority"})
                hook._modify_dataloader = lambda runner: None
                hook.before_train_epoch(runner)


def average_of(model: nn.Module, config: Config) -> nn.Module:
    """The average that the published hook keeps."""
    settings = next(dict(hook) for hook in config.custom_hooks if hook.type == "EMAHook")
    kept = {key: settings[key] for key in ("momentum", "update_buffers")}
    return REGISTRY.build({"type": settings["ema_type"], "model": model, **kept})


def sample_in_type_of_points(image: Tensor, points: Tensor, **options: Any) -> Tensor:
    """The reference looks float64 points up in a float32 ignore mask, which torch refuses."""
    return grid_sample(image.to(points.dtype), points, **options)


def samples(inputs: dict[str, Tensor], step: int, phase: str, dtype: torch.dtype) -> list[PoseDataSample]:
    """The people of a batch in the reference's records."""
    batch = {key.removeprefix("batches/"): value[step] for key, value in inputs.items() if key.startswith("batches/")}
    result = []
    for image in range(BATCH):
        people = batch["valid"][image]
        sample = PoseDataSample()
        sample.gt_instance_labels = InstanceData(
            bboxes=batch["bboxes"][image, people].to(dtype),
            labels=torch.zeros(int(people.sum()), dtype=torch.int8),
            keypoints=batch["keypoints"][image, people].to(dtype),
            keypoints_visible=(batch["visibility"][image, people] > 0).to(dtype),
            areas=batch["area"][image, people].to(dtype),
        )
        if phase == "C":
            sample.gt_fields = PixelData(heatmap_mask=batch["ignore_mask"][image][None])
        result.append(sample)
    return result


def published_rates() -> dict[str, list[tuple[float, float]]]:
    """Rates (of most weights, of the encoder) at the steps of every phase that are compared."""
    config, _ = build("rtmo_s")
    base = config.optim_wrapper.optimizer.lr
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [weights[0]], "lr": base}, {"params": [weights[1]], "lr": base / 20}])
    defaults = {"optimizer": optimizer, "epoch_length": STEPS_OF_EPOCH}
    schedulers = [PARAM_SCHEDULERS.build(settings, default_args=defaults) for settings in config.param_scheduler]
    rates = []
    for step in range(EPOCHS * STEPS_OF_EPOCH):
        rates.append(tuple(group["lr"] for group in optimizer.param_groups))
        for scheduler in schedulers:
            if not scheduler.by_epoch or (step + 1) % STEPS_OF_EPOCH == 0:
                scheduler.step()
    return {phase: rates[start : start + STEPS] for phase, start in PUBLISHED_START.items()}


if __name__ == "__main__":
    main()
