"""What rtmo computes, recorded under the names that reference.py uses."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from cases import CONSTANT_RATE, EPOCHS, PUBLISHED_START, STEPS_OF_EPOCH, Run
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

import rtmo
from rtmo.config import compose, validate
from rtmo.models.rtmo import RTMO, choose_candidates
from rtmo.ops.boxes import decode_bboxes
from rtmo.skeletons import COCO17
from rtmo.targets import build
from rtmo.train import KEYS
from rtmo.training.param_groups import make_param_groups
from rtmo.training.schedules import Segment, rate_at
from rtmo.types import Targets
from rtmo.weights.reference import to_reference_key

SCORE_THR, NMS_THR = 0.1, 0.65


@torch.no_grad()
def evaluate(model: RTMO, images: Tensor) -> dict[str, Tensor]:
    """Maps and predictions of every stage, in px of the network's input."""
    side = images.shape[-1]
    features = model.backbone(images)
    levels = model.neck(features)
    outputs = model.head(levels, (side, side), with_proxy=True)
    record: dict[str, Tensor] = {}
    for stage, values in (("backbone", features), ("neck", levels)):
        record |= {f"{stage}/{index}": value for index, value in enumerate(values)}
    for name in ("cls_logits", "bbox_offsets", "proxy_offsets", "visibility_logits", "pose_vectors"):
        record[f"head/{name}"] = getattr(outputs, name).flatten(2)
    scores = outputs.cls_logits.sigmoid()[..., 0]
    bboxes = decode_bboxes(outputs.bbox_offsets, outputs.priors, outputs.strides)
    for index, poses in enumerate(model.decode(outputs, SCORE_THR, NMS_THR)):
        if not len(poses):
            continue
        prior = choose_candidates(bboxes[index], scores[index], SCORE_THR, NMS_THR)
        codes = model.dcc(outputs.pose_vectors[index, prior], bboxes[index, prior], outputs.priors[prior])
        record |= {
            f"{index}/prior": prior,
            f"{index}/heatmap_x": codes.heatmap_x,
            f"{index}/heatmap_y": codes.heatmap_y,
        }
        record |= {f"{index}/{name}": getattr(poses, name) for name in poses.__slots__}
    return record


def train(run: Run, weights: Path, inputs: dict[str, Tensor]) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """Losses and gradient norm of every step; by how much weights, statistics and their average have changed."""
    dtype = getattr(torch, run.precision)
    cfg = settings(run.model)
    model = rtmo.load_model(weights).to(dtype).train()
    criterion = build(cfg["criterion"], "criterion", COCO17).to(dtype)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    make_optimizer = build(cfg["optimizer"], "optimizer")
    groups = make_param_groups(
        model,
        lr=cfg["optimizer"]["lr"],
        weight_decay=cfg["optimizer"]["weight_decay"],
        lr_factors=cfg["module"]["lr_factors"],
    )
    bases = [group["lr"] for group in groups]
    optimizer = make_optimizer(groups)
    ema = build(cfg["callbacks"]["ema"], "callbacks.ema")
    average = AveragedModel(model, use_buffers=True, multi_avg_fn=ema._average)
    history = []
    for step in range(run.steps):
        for group, base in zip(optimizer.param_groups, bases, strict=True):
            group["lr"] = rate(run, cfg, step, base)
        batch = {name.removeprefix("batches/"): value[step] for name, value in inputs.items() if "batches/" in name}
        outputs = model(batch["images"].to(dtype), with_proxy=True)
        targets = Targets(**{field.name: batch[field.name] for field in fields(Targets)})
        losses = criterion(outputs, targets, model.dcc, run.phase, batch["ignore_mask"])
        optimizer.zero_grad()
        losses["loss"].backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), cfg["trainer"]["gradient_clip_val"])
        optimizer.step()
        average.update_parameters(model)
        history.append({name: value.item() for name, value in losses.items()} | {"gradient_norm": norm.item()})
    averaged = average.module.state_dict()
    change = {}
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            key = to_reference_key(name)
            change[key], change[f"average/{key}"] = value - start[name], averaged[name] - start[name]
    return history, change


def settings(model: str) -> dict[str, Any]:
    """The published recipe of a size, resolved."""
    return validate(compose("train", [f"model={model}", "recipe=published", "paths.output_dir=unused"]), "train", KEYS)


def rate(run: Run, cfg: dict[str, Any], step: int, base: float) -> float:
    """Learning rate of a parameter group whose rate in the recipe is ``base``."""
    if run.rate == "constant":
        return CONSTANT_RATE * base / cfg["optimizer"]["lr"]
    segments = [Segment(**segment) for segment in cfg["schedule"]["segments"]]
    return rate_at(PUBLISHED_START[run.phase] + step, base, segments, EPOCHS * STEPS_OF_EPOCH)
